//! Request heads of HTTP/1.x: bytes to a request, or the reason to refuse it. The one file that names httparse.
//!
//! Pure. httparse reads the lines; here is what it leaves open: targets, `Host`, and where a request ends. Refused, with
//! the connection closed, is whatever two parsers could read in two ways: `Transfer-Encoding` beside `Content-Length`, in
//! HTTP/1.0 or repeated, more than one `Content-Length`, folded lines, NUL and bare CR, blanks before a colon, a missing
//! or second `Host`. Bodies are never read: a request that has one is answered, and its connection closes.
//! Deviation: targets are `/path` or `http(s)://host/path`: CONNECT, `OPTIONS *`, other schemes and HTTP/1.2 are refused,
//! and a connection closes after a request with a body.
//! Memory: one header line is 32 bytes beside the buffer; their number is bounded by `limits::HEADER_COUNT_MAX`.

use crate::invariant::assured;
use crate::limits;
use crate::wire::percent;
use crate::wire::request::{Head, Header};

/// Why a request is not read any further. Nothing of it reaches the API, and the connection closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 400, with what is wrong.
    Bad(&'static str),
    /// 414: the target is longer than `limits::TARGET_LEN_MAX`.
    LongTarget,
    /// 431: more bytes or lines than there is room for.
    TooLarge,
    /// 501: a transfer coding other than `chunked`.
    Encoding,
    /// 505: neither HTTP/1.0 nor HTTP/1.1.
    Version,
}

/// How a request is framed, apart from what it asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framing {
    /// HTTP/1.1 (or else 1.0).
    pub http11: bool,
    /// The connection may be used again.
    pub keep_alive: bool,
    /// A body follows the head, or may follow it.
    pub has_body: bool,
}

/// A request as it was sent. Borrows from the buffer it was read into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedRequest<'a> {
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

impl ParsedRequest<'_> {
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

/// Bytes that parsing a head and answering it may take beside its buffer: a header line is 32; a copy of the head goes into
/// identities and reviews, the path into two more texts; of a selector each term is an allocation.
#[must_use]
pub fn cost(head: &[u8]) -> usize {
    let line = assured(head.split(|&b| b == b'\n').next(), "a split has a first part, even of nothing");
    let path_len = memchr::memchr(b'?', line).unwrap_or(line.len());
    let selector_len = (line.len() - path_len).saturating_mul(24).min(limits::SELECTOR_TERMS_MAX * 64);
    let lines_len = line_count(head).saturating_mul(size_of::<Header<'_>>());
    lines_len.saturating_add(head.len()).saturating_add(2 * path_len).saturating_add(selector_len)
}

/// Parses a whole head, its empty line included.
/// # Errors
/// Why it is refused.
pub fn parse(head: &[u8]) -> Result<ParsedRequest<'_>, Refusal> {
    let count = line_count(head);
    if count > limits::HEADER_COUNT_MAX {
        return Err(Refusal::TooLarge);
    }
    // httparse would skip empty lines before the request line.
    if head.starts_with(b"\r") || head.starts_with(b"\n") {
        return Err(Refusal::Bad("empty request line"));
    }
    let mut lines = vec![httparse::EMPTY_HEADER; count];
    let mut request = httparse::Request::new(&mut lines);
    match request.parse(head) {
        Ok(httparse::Status::Complete(len)) if len == head.len() => {}
        Ok(_) => return Err(Refusal::Bad("the head does not end with its empty line")),
        Err(error) => return Err(refusal_of(error, head)),
    }
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version) else {
        return Err(Refusal::Bad("no request line"));
    };
    let len = request.headers.len();
    lines.truncate(len);
    // Collected in place: both kinds of line are two slices.
    let headers: Vec<_> =
        lines.into_iter().map(|h| Header { name: h.name, value: h.value.trim_ascii() }).collect();
    let (path, query) = split_target(method, target)?;
    let framing = framing(&headers, minor == 1)?;
    check_host(&headers, framing.http11)?;
    Ok(ParsedRequest { method, path, query, headers, framing })
}

fn refusal_of(error: httparse::Error, head: &[u8]) -> Refusal {
    // A blank in the target makes the rest of it a version as well.
    let parts = || head.split(|&b| b == b'\n').next().into_iter().flatten().filter(|&&b| b == b' ').count();
    match error {
        httparse::Error::Version if parts() == 2 => Refusal::Version,
        httparse::Error::TooManyHeaders => Refusal::TooLarge,
        httparse::Error::HeaderName => Refusal::Bad("malformed header name"),
        httparse::Error::HeaderValue => Refusal::Bad("malformed header value"),
        httparse::Error::NewLine => Refusal::Bad("malformed line end"),
        _ => Refusal::Bad("malformed request line"),
    }
}

/// Path and query of a target in origin form, or in absolute form with an authority, which counts for nothing.
fn split_target<'a>(method: &str, target: &'a str) -> Result<(&'a str, Option<&'a str>), Refusal> {
    if method == "CONNECT" {
        return Err(Refusal::Bad("CONNECT is not supported"));
    }
    if target.len() > limits::TARGET_LEN_MAX {
        return Err(Refusal::LongTarget);
    }
    let target = if target.starts_with('/') { target } else { after_authority(target)? };
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    if percent::is_well_formed(path) {
        Ok((path, query))
    } else {
        Err(Refusal::Bad("malformed escape in the path"))
    }
}

/// What follows `http://HOST` or `https://HOST`, of which a path is a part.
fn after_authority(target: &str) -> Result<&str, Refusal> {
    const WANTED: Refusal = Refusal::Bad("the target must be /PATH or https://HOST/PATH");
    let rest = ["http://", "https://"].into_iter().find_map(|scheme| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    });
    let rest = rest.ok_or(WANTED)?;
    let (authority, path) = rest.find('/').and_then(|end| rest.split_at_checked(end)).ok_or(WANTED)?;
    let is_host = authority.bytes().all(|byte| is_host_byte(byte) && byte != b'%');
    if is_host && !authority.is_empty() { Ok(path) } else { Err(WANTED) }
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!$%&'()*+,-.:;=[]_~".contains(&byte)
}

fn check_host(headers: &[Header<'_>], needed: bool) -> Result<(), Refusal> {
    let mut hosts = headers.iter().filter(|h| h.name.eq_ignore_ascii_case("host"));
    match (hosts.next(), hosts.next()) {
        (_, Some(_)) => Err(Refusal::Bad("more than one Host header")),
        (None, _) if needed => Err(Refusal::Bad("missing required Host header")),
        (Some(host), _) if !host.value.iter().copied().all(is_host_byte) => {
            Err(Refusal::Bad("malformed Host header"))
        }
        _ => Ok(()),
    }
}

fn framing(headers: &[Header<'_>], http11: bool) -> Result<Framing, Refusal> {
    let (mut close, mut keep, mut length, mut chunked) = (false, false, None, false);
    for Header { name, value } in headers {
        if name.eq_ignore_ascii_case("connection") {
            close |= has_token(value, "close");
            keep |= has_token(value, "keep-alive");
        } else if name.eq_ignore_ascii_case("content-length") {
            let len = decimal(value).ok_or(Refusal::Bad("malformed Content-Length"))?;
            if length.replace(len).is_some() {
                return Err(Refusal::Bad("more than one Content-Length"));
            }
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            if chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Refusal::Encoding);
            }
            chunked = true;
        }
    }
    // Deviation: requests whose end two parsers could find in two places are refused: `Transfer-Encoding` beside
    // `Content-Length`, or in HTTP/1.0.
    if chunked && (length.is_some() || !http11) {
        return Err(Refusal::Bad("ambiguous length of the body"));
    }
    let has_body = chunked || length.is_some_and(|len| len > 0);
    Ok(Framing { http11, keep_alive: !close && !has_body && (http11 || keep), has_body })
}

/// A comma-separated list of tokens holds this one.
fn has_token(list: &[u8], token: &str) -> bool {
    list.split(|&b| b == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

/// Digits and nothing else, of a number that fits 63 bits, and so every integer a peer may use.
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok().filter(|number| i64::try_from(*number).is_ok())
}

#[cfg(test)]
mod tests;
