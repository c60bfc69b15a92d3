//! Response heads: status line, headers in metrics-server's order, framing, and the refusals of the HTTP parser.
//!
//! Pure. Every answer of the API carries an Audit-Id (the caller's, or a random UUID) and `Cache-Control`; the parser's
//! own refusals carry neither. Header values are taken as they are but for line breaks, which end a value: an
//! echoed Audit-Id cannot add a header.
//! Deviation: answers are never compressed: across a local network gzip costs more CPU than it saves bytes.

use crate::api::answer::{Answer, Body};
use crate::limits;
use crate::net::tls;
use crate::serve::http1::Refusal;
use crate::units::UnixNanos;
use crate::wire::http_date::http_date;
use crate::wire::request::Head;
use std::fmt::Write as _;

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// There is no body, whatever the headers say (HEAD, 304); a length that is known is told all the same.
    None(Option<usize>),
    /// `Content-Length`.
    Length(usize),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// The connection closes after it.
    UntilClose,
}

/// What of a request the response needs after the request's buffer is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// HEAD: headers only.
    pub head_only: bool,
    /// HTTP/1.1.
    pub http11: bool,
    /// The connection may be used again.
    pub keep_alive: bool,
    /// The caller's Audit-Id; empty for a new one.
    pub audit_id: Vec<u8>,
}

impl Meta {
    /// Notes what `head` says.
    #[must_use]
    pub fn new(head: &Head<'_>, http11: bool, keep_alive: bool) -> Meta {
        // Deviation: an Audit-Id that is longer than 1 KiB is replaced, not echoed: it is kept while the answer is sent.
        // An empty one means a new one.
        let audit_id =
            head.first("audit-id").filter(|id| id.len() <= limits::AUDIT_ID_LEN_MAX).unwrap_or_default();
        Meta { head_only: head.method == "HEAD", http11, keep_alive, audit_id: audit_id.to_vec() }
    }
}

/// Appends the head of an answer. A header without a value is left out; as `Cache-Control` it keeps the usual one away.
pub fn head(answer: &Answer, meta: &Meta, frame: Frame, now: UnixNanos, out: &mut Vec<u8>) {
    let mut text = String::with_capacity(320);
    let _ = write!(text, "HTTP/1.1 {} {}\r\nAudit-Id: ", answer.status, reason(answer.status));
    out.extend_from_slice(text.as_bytes());
    if meta.audit_id.is_empty() {
        out.extend_from_slice(uuid().as_bytes());
    } else {
        out.extend_from_slice(&meta.audit_id);
    }
    text.clear();
    text.push_str("\r\n");
    if !answer.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("cache-control")) {
        text.push_str("Cache-Control: no-cache, private\r\n");
    }
    for (name, value) in answer.headers.iter().filter(|(_, value)| !value.is_empty()) {
        let end = value.find(['\r', '\n']).unwrap_or(value.len());
        let (value, _) = value.split_at(end);
        let _ = write!(text, "{name}: {value}\r\n");
    }
    let _ = write!(text, "Date: {}\r\n", http_date(now));
    match frame {
        Frame::None(None) | Frame::UntilClose => {}
        Frame::None(Some(len)) | Frame::Length(len) => {
            let _ = write!(text, "Content-Length: {len}\r\n");
        }
        Frame::Chunked => text.push_str("Transfer-Encoding: chunked\r\n"),
    }
    if !meta.keep_alive || frame == Frame::UntilClose {
        text.push_str("Connection: close\r\n");
    } else if !meta.http11 {
        text.push_str("Connection: keep-alive\r\n");
    }
    text.push_str("\r\n");
    out.extend_from_slice(text.as_bytes());
}

/// The whole response to a request that was refused before the API; the connection closes after it.
#[must_use]
pub fn refusal(refusal: Refusal) -> String {
    let (status, text) = match refusal {
        Refusal::Bad(why) => ("400 Bad Request", why),
        Refusal::LongTarget => ("414 URI Too Long", "the request target is too long"),
        Refusal::TooLarge => ("431 Request Header Fields Too Large", "the request head is too large"),
        Refusal::Encoding => ("501 Not Implemented", "unsupported transfer coding"),
        Refusal::Version => ("505 HTTP Version Not Supported", "unsupported protocol version"),
    };
    let len = status.len().saturating_add(text.len()).saturating_add(3);
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len}\r\nConnection: close\r\n\r\n\
         {status}: {text}\n"
    )
}

/// The answer instead of one for which there is no memory now.
#[must_use]
pub fn overloaded() -> Answer {
    Answer {
        status: 503,
        headers: vec![
            ("Content-Type", "text/plain; charset=utf-8".into()),
            ("Retry-After", "1".into()),
            ("X-Content-Type-Options", "nosniff".into()),
        ],
        body: Body::Static(b"too many large answers are under way; try again\n"),
    }
}

/// The answer to plain HTTP on the TLS port.
pub const PLAIN_HTTP: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// Go's reason phrases for the statuses that occur.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        422 => "Unprocessable Entity",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "status code",
    }
}

/// A random UUID (version 4).
fn uuid() -> String {
    let mut bytes = [0u8; 16];
    tls::random(&mut bytes);
    let value = u128::from_be_bytes(bytes);
    let value = value & !(0xf << 76) | (4 << 76);
    let value = value & !(0b11 << 62) | (0b10 << 62);
    let (high, low) = (value >> 64, value & u128::from(u64::MAX));
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::request::Header;

    fn meta(headers: &[Header<'_>]) -> Meta {
        Meta::new(&Head { method: "GET", path: "/", query: None, headers }, true, true)
    }

    fn written(answer: &Answer, meta: &Meta, frame: Frame) -> String {
        let mut out = Vec::new();
        head(answer, meta, frame, UnixNanos(1_700_000_000_000_000_000), &mut out);
        String::from_utf8(out).unwrap()
    }

    fn json() -> Answer {
        Answer {
            status: 200,
            headers: vec![("Content-Type", "application/json".into())],
            body: Body::Static(b"{}"),
        }
    }

    #[test]
    fn an_answer_has_metrics_servers_headers_in_its_order() {
        let id = Header { name: "Audit-ID", value: b"abc" };
        assert_eq!(
            written(&json(), &meta(&[id, Header { name: "Audit-Id", value: b"second" }]), Frame::Length(2)),
            "HTTP/1.1 200 OK\r\nAudit-Id: abc\r\nCache-Control: no-cache, private\r\nContent-Type: application/json\r\n\
             Date: Tue, 14 Nov 2023 22:13:20 GMT\r\nContent-Length: 2\r\n\r\n"
        );
    }

    #[test]
    fn cache_control_of_the_answer_stays_alone() {
        let mut answer = json();
        answer.headers.push(("Cache-Control", "public".into()));
        assert_eq!(written(&answer, &meta(&[]), Frame::Length(2)).matches("Cache-Control").count(), 1);
    }

    #[test]
    fn a_value_cannot_add_a_header() {
        let mut answer = json();
        answer.headers.push(("X-Note", "a\r\nEvil: b".to_string().into()));
        let text = written(&answer, &meta(&[]), Frame::Length(2));
        assert!(text.contains("X-Note: a\r\n") && !text.contains("Evil"));
    }

    #[test]
    fn the_connection_header_follows_version_and_frame() {
        let connection = |http11, keep_alive, frame| {
            let meta = Meta { http11, keep_alive, ..meta(&[]) };
            let text = written(&json(), &meta, frame);
            text.lines().find_map(|line| line.strip_prefix("Connection: ").map(str::to_string))
        };
        assert_eq!(connection(true, true, Frame::Length(2)), None);
        assert_eq!(connection(true, false, Frame::Length(2)).as_deref(), Some("close"));
        assert_eq!(connection(false, true, Frame::Length(2)).as_deref(), Some("keep-alive"));
        assert_eq!(connection(false, true, Frame::UntilClose).as_deref(), Some("close"));
    }

    #[test]
    fn an_empty_or_huge_audit_id_is_replaced_by_a_new_uuid() {
        let huge = vec![b'a'; limits::AUDIT_ID_LEN_MAX + 1];
        for value in [&b""[..], &huge] {
            let text = written(&json(), &meta(&[Header { name: "Audit-Id", value }]), Frame::Length(2));
            let id = text.lines().find_map(|line| line.strip_prefix("Audit-Id: ")).unwrap();
            assert_eq!(id.len(), 36);
            assert_eq!((id.as_bytes()[14], id.split('-').count()), (b'4', 5));
        }
        assert_ne!(uuid(), uuid());
    }

    #[test]
    fn a_refusal_says_why_and_closes() {
        assert_eq!(
            refusal(Refusal::Bad("malformed Host header")),
            "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 39\r\nConnection: close\r\n\r\n\
             400 Bad Request: malformed Host header\n"
        );
        for (refused, status) in [
            (Refusal::LongTarget, "414 URI Too Long"),
            (Refusal::TooLarge, "431 Request Header Fields Too Large"),
            (Refusal::Encoding, "501 Not Implemented"),
            (Refusal::Version, "505 HTTP Version Not Supported"),
        ] {
            assert!(refusal(refused).starts_with(&format!("HTTP/1.1 {status}\r\n")));
        }
    }
}
