//! Request heads of HTTP/1.x: bytes to a request, or the reason to refuse it. The one file that names httparse.
//!
//! Pure. Lenient where the reference is and no second reading exists: HTTP/1.0, absolute-form targets, lines that end in
//! LF alone, repeated equal `Content-Length`. Refused, with the connection closed, is whatever two parsers could read in
//! two ways: `Transfer-Encoding` beside `Content-Length` or in HTTP/1.0, different lengths, folded lines, NUL and bare CR,
//! blanks before a colon, a missing or second `Host`. Texts and statuses of refusals are those of Go's net/http.
//! Memory: one header line is 32 bytes beside the buffer; their number is bounded by `limits::HEADER_COUNT_MAX`.

use crate::api::request::{Head, Header};
use crate::limits;
use crate::wire::percent;

/// Why a request is not read any further. Nothing of it reaches the API, and the connection closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 400; the text follows the reason phrase when it is not empty.
    Bad(&'static str),
    /// 417: an expectation other than `100-continue`.
    Expectation,
    /// 431: more bytes or lines than there is room for.
    TooLarge,
    /// 501: a transfer coding other than `chunked`.
    Encoding,
    /// 505: neither HTTP/1.0 nor HTTP/1.1.
    Version,
}

/// What a request says about the length of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// `Content-Length`, or zero.
    Bytes(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// How a request is framed, apart from what it asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framing {
    /// HTTP/1.1 (or else 1.0).
    pub http11: bool,
    /// The connection may be used again.
    pub keep_alive: bool,
    /// Length of the body.
    pub body: BodyLength,
    /// The peer sends the body only after a `100 Continue`.
    pub expects_continue: bool,
    /// `OPTIONS *`: about the server, not about a resource.
    pub about_server: bool,
}

/// A request as it was sent. Borrows from the buffer it was read into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// Method.
    pub method: &'a str,
    /// Path, see [`Head::path`].
    pub path: &'a str,
    /// Query, see [`Head::query`].
    pub query: Option<&'a str>,
    /// Header lines in order.
    pub headers: Vec<Header<'a>>,
    /// Framing.
    pub framing: Framing,
}

impl Request<'_> {
    /// The request as the API sees it.
    #[must_use]
    pub fn head(&self) -> Head<'_> {
        Head { method: self.method, path: self.path, query: self.query, headers: &self.headers }
    }
}

/// Where the head ends (the index after its empty line), looking from `from` on; a head found incomplete before may be
/// looked through from [`resume_at`].
#[must_use]
pub fn head_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        let line_end = memchr::memchr(b'\n', bytes.get(at..)?)? + at;
        let next = line_end + 1;
        match bytes.get(next..)? {
            [b'\n', ..] => return Some(next + 1),
            [b'\r', b'\n', ..] => return Some(next + 2),
            _ => at = next,
        }
    }
}

/// From where to look again when `len` bytes hold no end: the end may have begun in the last three.
#[must_use]
pub fn resume_at(len: usize) -> usize {
    len.saturating_sub(3)
}

/// The number of lines of a head, an upper bound for its header lines.
#[must_use]
pub fn line_count(head: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', head).count()
}

/// Parses a whole head, its empty line included.
/// # Errors
/// Why it is refused.
pub fn parse(head: &[u8]) -> Result<Request<'_>, Refusal> {
    if matches!(head.first(), Some(b'\r' | b'\n')) {
        return Err(Refusal::Bad(""));
    }
    let count = line_count(head);
    if count > limits::HEADER_COUNT_MAX {
        return Err(Refusal::TooLarge);
    }
    let mut lines = vec![httparse::EMPTY_HEADER; count];
    let mut parsed = httparse::Request::new(&mut lines);
    match parsed.parse(head) {
        Ok(httparse::Status::Complete(len)) if len == head.len() => {}
        Ok(_) => return Err(Refusal::Bad("")),
        Err(httparse::Error::Version) => return Err(version_refusal(head)),
        Err(httparse::Error::HeaderName) => return Err(name_refusal(head)),
        Err(_) => return Err(Refusal::Bad("")),
    }
    let (Some(method), Some(target), Some(version)) = (parsed.method, parsed.path, parsed.version) else {
        return Err(Refusal::Bad(""));
    };
    let headers: Vec<Header<'_>> =
        parsed.headers.iter().map(|h| Header { name: h.name, value: h.value.trim_ascii() }).collect();
    let about_server = method == "OPTIONS" && target == "*";
    let (path, query) = if about_server { ("*", None) } else { split_target(target)? };
    check_host(&headers, version == 1)?;
    let framing = framing(&headers, version == 1, about_server)?;
    Ok(Request { method, path, query, headers, framing })
}

/// A version that is well formed but not ours is 505, anything else 400.
fn version_refusal(head: &[u8]) -> Refusal {
    let line = head.split(|&b| b == b'\n').next().unwrap_or_default().trim_ascii_end();
    let mut words = line.split(|&b| b == b' ').skip(2);
    let version = words.next().unwrap_or_default();
    match version {
        _ if words.next().is_some() => Refusal::Bad(""),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Refusal::Version
        }
        _ => Refusal::Bad(""),
    }
}

/// A name that is no token is called so, as long as every line has a colon at all.
fn name_refusal(head: &[u8]) -> Refusal {
    let mut lines =
        head.split(|&b| b == b'\n').skip(1).map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    let named = lines.all(|line| memchr::memchr(b':', line).is_some_and(|at| at > 0));
    Refusal::Bad(if named { "invalid header name" } else { "" })
}

/// Path and query of a request target in origin-form or absolute-form.
fn split_target(target: &str) -> Result<(&str, Option<&str>), Refusal> {
    let origin = if target.starts_with('/') { target } else { after_authority(target)? };
    let (path, query) = match origin.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (origin, None),
    };
    if !percent::is_well_formed(path) {
        return Err(Refusal::Bad(""));
    }
    Ok((if path.is_empty() { "/" } else { path }, query))
}

/// The rest of `http://authority/path?query` after the authority; empty or beginning with `/` or `?`.
fn after_authority(target: &str) -> Result<&str, Refusal> {
    let (scheme, rest) = target.split_once("://").ok_or(Refusal::Bad(""))?;
    if !(scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")) {
        return Err(Refusal::Bad(""));
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at_checked(end).ok_or(Refusal::Bad(""))?;
    let valid = !authority.is_empty() && authority.bytes().all(|b| is_host_byte(b) || b == b'@');
    if valid { Ok(rest) } else { Err(Refusal::Bad("")) }
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!$%&'()*+,-.:;=[]_~".contains(&byte)
}

fn check_host(headers: &[Header<'_>], http11: bool) -> Result<(), Refusal> {
    let mut hosts = headers.iter().filter(|h| h.name.eq_ignore_ascii_case("host"));
    match (hosts.next(), hosts.next()) {
        (_, Some(_)) => Err(Refusal::Bad("")),
        (None, None) if http11 => Err(Refusal::Bad("missing required Host header")),
        (None, None) => Ok(()),
        (Some(host), None) if host.value.iter().copied().all(is_host_byte) => Ok(()),
        (Some(_), None) => Err(Refusal::Bad("malformed Host header")),
    }
}

fn framing(headers: &[Header<'_>], http11: bool, about_server: bool) -> Result<Framing, Refusal> {
    let (mut close, mut keep, mut expects_continue) = (false, false, false);
    let (mut length, mut chunked) = (None, false);
    for Header { name, value } in headers {
        if name.eq_ignore_ascii_case("connection") {
            close |= has_token(value, "close");
            keep |= has_token(value, "keep-alive");
        } else if name.eq_ignore_ascii_case("content-length") {
            if *length.get_or_insert(*value) != *value {
                return Err(Refusal::Bad(""));
            }
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            if chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Refusal::Encoding);
            }
            chunked = true;
        } else if name.eq_ignore_ascii_case("expect") && !value.is_empty() {
            if !value.eq_ignore_ascii_case(b"100-continue") {
                return Err(Refusal::Expectation);
            }
            expects_continue = http11;
        }
    }
    let body = match length {
        // Two lengths, or a coding that the version does not know: another parser may see another end.
        Some(_) if chunked => return Err(Refusal::Bad("")),
        None if chunked && !http11 => return Err(Refusal::Bad("")),
        None if chunked => BodyLength::Chunked,
        Some(digits) => BodyLength::Bytes(decimal(digits).ok_or(Refusal::Bad(""))?),
        None => BodyLength::Bytes(0),
    };
    let keep_alive = !close && (http11 || keep);
    Ok(Framing { http11, keep_alive, body, expects_continue, about_server })
}

/// A comma-separated list of tokens holds this one.
#[must_use]
pub fn has_token(list: &[u8], token: &str) -> bool {
    list.split(|&b| b == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

/// Digits and nothing else; below 10^18, so it fits every integer a peer may use.
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    digits.iter().try_fold(0u64, |sum, d| d.is_ascii_digit().then(|| sum * 10 + u64::from(d - b'0')))
}

#[cfg(test)]
mod tests;
