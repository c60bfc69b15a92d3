//! Any bytes on a connection: the same requests however they come, each either refused or free of second readings.
#![no_main]

use libfuzzer_sys::fuzz_target;
use toplet::limits;
use toplet::serve::http1::{self, ParsedRequest, head_end, resume_at};
use toplet::wire::percent;

/// Where the head ends when its bytes come in pieces.
fn end_in_pieces(bytes: &[u8], piece_len: usize) -> Option<usize> {
    let mut from = 0;
    for len in (0..bytes.len()).step_by(piece_len).chain([bytes.len()]) {
        if let Some(end) = head_end(&bytes[..len], from) {
            return Some(end);
        }
        from = resume_at(len);
    }
    None
}

/// A request in its plainest form.
fn written(request: &ParsedRequest<'_>) -> Vec<u8> {
    let query = request.query.map(|query| format!("?{query}")).unwrap_or_default();
    let version = u8::from(request.framing.http11);
    let mut out = format!("{} {}{query} HTTP/1.{version}\r\n", request.method, request.path).into_bytes();
    for header in &request.headers {
        out.extend_from_slice(header.name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(header.value);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out
}

fn check(request: &ParsedRequest<'_>) {
    assert!(request.headers.len() <= limits::HEADER_COUNT_MAX);
    assert!(request.path.starts_with('/') && request.path.len() <= limits::TARGET_LEN_MAX, "{request:?}");
    assert!(percent::is_well_formed(request.path), "{request:?}");
    let target = [request.path, request.query.unwrap_or_default()].concat();
    assert!(target.bytes().all(|b| b > b' ' && b != 0x7f), "{request:?}");
    for header in &request.headers {
        assert!(!header.name.is_empty() && header.name.bytes().all(|b| b.is_ascii_graphic() && b != b':'));
        assert!(!header.value.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)), "{request:?}");
        assert_eq!(header.value, header.value.trim_ascii());
    }
    let all = |name: &str| request.headers.iter().filter(|h| h.name.eq_ignore_ascii_case(name)).count();
    assert!(all("host") == 1 || !request.framing.http11);
    assert!(all("host") <= 1 && all("content-length") <= 1 && all("transfer-encoding") <= 1);
    assert!(all("transfer-encoding") == 0 || all("content-length") == 0);
    assert!(request.framing.has_body || all("transfer-encoding") == 0);
    assert!(!(request.framing.has_body && request.framing.keep_alive));
    let again = written(request);
    assert_eq!(http1::parse(&again).as_ref(), Ok(request));
}

fuzz_target!(|input: &[u8]| {
    let Some((mut rest, piece_len)) = toplet_fuzz::cut(input) else { return };
    for _ in 0..16 {
        let end = head_end(rest, 0);
        assert_eq!(end, end_in_pieces(rest, piece_len));
        let Some((head, after)) = end.and_then(|end| rest.split_at_checked(end)) else { return };
        let Ok(request) = http1::parse(head) else { return };
        check(&request);
        if !request.framing.keep_alive {
            return;
        }
        rest = after;
    }
});
