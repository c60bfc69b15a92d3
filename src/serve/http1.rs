//! Request heads of HTTP/1.x: bytes to a request, or the reason to refuse it. The one file that names httparse.
//!
//! Pure. Lenient where the reference is and no second reading exists: HTTP/1.0 and 1.2, absolute-form targets, lines
//! that end in LF alone, repeated equal `Content-Length`. Refused, with the connection closed, is whatever two parsers could read in
//! two ways: `Transfer-Encoding` beside `Content-Length` or in HTTP/1.0, different lengths, folded lines, NUL and bare CR,
//! blanks before a colon, a missing or second `Host`. Texts and statuses of refusals are those of Go's net/http.
//! Memory: one header line is 32 bytes beside the buffer; their number is bounded by `limits::HEADER_COUNT_MAX`.

use crate::limits;
use crate::wire::percent;
use crate::wire::request::{Head, Header};

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
    /// 505: not HTTP/1.x.
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
    /// HTTP/1.1 or later (or else 1.0).
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

/// Parses a whole head, its empty line included. What is wrong is looked for in the reference's order, so that a head
/// with several mistakes is refused for the same one.
/// # Errors
/// Why it is refused.
pub fn parse(head: &[u8]) -> Result<Request<'_>, Refusal> {
    let count = line_count(head);
    if count > limits::HEADER_COUNT_MAX {
        return Err(Refusal::TooLarge);
    }
    let (line, rest) = memchr::memchr(b'\n', head)
        .and_then(|end| Some((head.get(..end)?, head.get(end + 1..)?)))
        .ok_or(Refusal::Bad(""))?;
    let (method, target, version) = request_line(line.strip_suffix(b"\r").unwrap_or(line))?;
    let (path, query) = split_target(method, target)?;
    let (headers, named) = header_lines(rest, count)?;
    if headers.iter().filter(|h| h.name.eq_ignore_ascii_case("host")).count() > 1 {
        return Err(Refusal::Bad(""));
    }
    let http11 = version >= (1, 1);
    let mut framing = framing(&headers, http11, method == "OPTIONS" && target == "*")?;
    // A proxy that thinks it got a tunnel may send anything next.
    framing.keep_alive &= method != "CONNECT";
    if version.0 != 1 {
        return Err(Refusal::Version);
    }
    check_host(&headers, http11 && method != "CONNECT")?;
    if !named {
        return Err(Refusal::Bad("invalid header name"));
    }
    match headers.iter().find(|h| h.name.eq_ignore_ascii_case("expect")) {
        Some(expect) if !expect.value.is_empty() && !expects_continue(expect.value) => {
            Err(Refusal::Expectation)
        }
        _ => Ok(Request { method, path, query, headers, framing }),
    }
}

/// Method, target and version, which single blanks part.
fn request_line(line: &[u8]) -> Result<(&str, &str, (u8, u8)), Refusal> {
    let line = std::str::from_utf8(line).map_err(|_| Refusal::Bad(""))?;
    let (method, rest) = line.split_once(' ').ok_or(Refusal::Bad(""))?;
    let (target, version) = rest.split_once(' ').ok_or(Refusal::Bad(""))?;
    let version = match version.as_bytes() {
        [b'H', b'T', b'T', b'P', b'/', major @ b'0'..=b'9', b'.', minor @ b'0'..=b'9'] => {
            (major - b'0', minor - b'0')
        }
        _ => return Err(Refusal::Bad("")),
    };
    if method.is_empty() || !method.bytes().all(is_token_byte) {
        return Err(Refusal::Bad(""));
    }
    Ok((method, target, version))
}

const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// The header lines up to the empty one, and whether each has a proper name. A name with a blank is found here and
/// refused later, since other mistakes go before it.
fn header_lines(rest: &[u8], count: usize) -> Result<(Vec<Header<'_>>, bool), Refusal> {
    let mut lines = vec![httparse::EMPTY_HEADER; count];
    match httparse::parse_headers(rest, &mut lines) {
        Ok(httparse::Status::Complete((len, found))) if len == rest.len() => {
            Ok((found.iter().map(|h| Header { name: h.name, value: h.value.trim_ascii() }).collect(), true))
        }
        Err(httparse::Error::HeaderName) => {
            let lines = rest.split(|&b| b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
            let headers: Option<Vec<_>> = lines.take_while(|line| !line.is_empty()).map(blank_name).collect();
            Ok((headers.ok_or(Refusal::Bad(""))?, false))
        }
        _ => Err(Refusal::Bad("")),
    }
}

/// A header line whose name may hold blanks, though it may not begin with one.
fn blank_name(line: &[u8]) -> Option<Header<'_>> {
    let (name, value) = line.split_at_checked(memchr::memchr(b':', line)?)?;
    let name = std::str::from_utf8(name).ok()?;
    let wrong = |byte: u8| !(is_token_byte(byte) || byte == b' ');
    let value = value.get(1..)?;
    let controls = value.iter().any(|b| b.is_ascii_control() && *b != b'\t');
    let refused = name.is_empty() || name.starts_with(' ') || name.bytes().any(wrong) || controls;
    (!refused).then(|| Header { name, value: value.trim_ascii() })
}

/// Path and query of a request target, as Go's `url.ParseRequestURI` finds them: after the authority of an absolute
/// form, whatever its scheme. What has a scheme and no slash after it has no path.
fn split_target<'a>(method: &str, target: &'a str) -> Result<(&'a str, Option<&'a str>), Refusal> {
    let authority_form = method == "CONNECT" && !target.starts_with('/');
    if target.bytes().any(|b| b.is_ascii_control()) {
        return Err(Refusal::Bad(""));
    }
    if target == "*" && !authority_form {
        return Ok(("*", None));
    }
    let (absolute, rest) = if authority_form { (true, target) } else { after_scheme(target)? };
    let (rest, query) = match rest.split_once('?') {
        Some((rest, query)) => (rest, Some(query)),
        None => (rest, None),
    };
    let path = match rest.strip_prefix("//").filter(|_| absolute) {
        _ if authority_form => after_authority(rest)?,
        Some(rest) => after_authority(rest)?,
        None if rest.starts_with('/') => rest,
        None if absolute => "",
        None => return Err(Refusal::Bad("")),
    };
    if percent::is_well_formed(path) { Ok((path, query)) } else { Err(Refusal::Bad("")) }
}

/// Whether a target begins with a scheme, and what follows it.
fn after_scheme(target: &str) -> Result<(bool, &str), Refusal> {
    let end = target.bytes().position(|b| !(b.is_ascii_alphanumeric() || b"+-.".contains(&b)));
    match end.and_then(|end| target.split_at_checked(end)) {
        Some(("", rest)) if rest.starts_with(':') => Err(Refusal::Bad("")),
        Some((scheme, rest)) if scheme.starts_with(|c: char| c.is_ascii_alphabetic()) => {
            Ok(rest.strip_prefix(':').map_or((false, target), |rest| (true, rest)))
        }
        _ => Ok((false, target)),
    }
}

/// What follows an authority, which must be one.
fn after_authority(text: &str) -> Result<&str, Refusal> {
    let end = text.find('/').unwrap_or(text.len());
    let (authority, path) = text.split_at_checked(end).ok_or(Refusal::Bad(""))?;
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let user_bytes = |b: u8| b.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&b);
    let name_end = match host.strip_prefix('[') {
        Some(_) => host.rfind(']').map(|at| at + 1),
        None => Some(host.rfind(':').unwrap_or(host.len())),
    };
    let port = name_end.and_then(|end| host.get(end..)).ok_or(Refusal::Bad(""))?;
    let is_port = port.is_empty()
        || port.strip_prefix(':').is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    // In a host only bytes beyond ASCII may be escaped, and the percent sign of a zone.
    let mut escapes = host.split('%').skip(1);
    let escaped = escapes.all(|part| {
        let digits = part.as_bytes().get(..2).unwrap_or_default();
        matches!(digits, b"25")
            || matches!(digits, [b'8'..=b'9' | b'a'..=b'f' | b'A'..=b'F', low] if low.is_ascii_hexdigit())
    });
    let valid =
        user.bytes().all(user_bytes) && percent::is_well_formed(user) && host.bytes().all(is_authority_byte);
    if valid && is_port && escaped { Ok(path) } else { Err(Refusal::Bad("")) }
}

fn is_authority_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || !byte.is_ascii() || b"-_.~!$&'()*+,;=:[]<>\"%".contains(&byte)
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!$%&'()*+,-.:;=[]_~".contains(&byte)
}

fn check_host(headers: &[Header<'_>], needed: bool) -> Result<(), Refusal> {
    match headers.iter().find(|h| h.name.eq_ignore_ascii_case("host")) {
        None if needed => Err(Refusal::Bad("missing required Host header")),
        Some(host) if !host.value.iter().copied().all(is_host_byte) => {
            Err(Refusal::Bad("malformed Host header"))
        }
        _ => Ok(()),
    }
}

/// The one expectation that is known, anywhere among the words of the header.
fn expects_continue(value: &[u8]) -> bool {
    let mut words = value.split(|b| matches!(b, b' ' | b'\t' | b','));
    words.any(|word| word.eq_ignore_ascii_case(b"100-continue"))
}

fn framing(headers: &[Header<'_>], http11: bool, about_server: bool) -> Result<Framing, Refusal> {
    let (mut close, mut keep, mut expected) = (false, false, None);
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
            if http11 && (chunked || !value.eq_ignore_ascii_case(b"chunked")) {
                return Err(Refusal::Encoding);
            }
            chunked = true;
        } else if name.eq_ignore_ascii_case("expect") && expected.is_none() {
            expected = Some(http11 && expects_continue(value));
        }
    }
    let expects_continue = expected.unwrap_or(false);
    let body = match length {
        // Deviation: requests whose end two parsers could find in two places are refused: `Transfer-Encoding` beside
        // `Content-Length`, or in HTTP/1.0.
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

/// Digits and nothing else, of a number that fits 63 bits, and so every integer a peer may use.
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok().filter(|number| i64::try_from(*number).is_ok())
}

#[cfg(test)]
mod tests;
