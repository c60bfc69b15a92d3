//! What is read, what is refused: one row for each input.

use super::*;

fn refused(head: &str) -> Refusal {
    assert_eq!(head_end(head.as_bytes(), 0), Some(head.len()), "not one whole head: {}", head.escape_debug());
    parse(head.as_bytes()).map(|r| panic!("accepted {} as {r:?}", head.escape_debug())).unwrap_err()
}

fn accepted(head: &str) -> ParsedRequest<'_> {
    assert_eq!(head_end(head.as_bytes(), 0), Some(head.len()), "not one whole head: {}", head.escape_debug());
    parse(head.as_bytes()).unwrap_or_else(|r| panic!("{r:?} for {}", head.escape_debug()))
}

#[test]
fn heads_with_two_readings_are_refused() {
    for lines in [
        "Host: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5",
        "Host: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
        "Host: x\r\nContent-Length: 0\r\nTransfer-Encoding: chunked",
        "Host: x\r\nContent-Length: 5\r\nContent-Length: 6",
        "Host: x\r\nContent-Length: 5\r\ncontent-length: 5",
        "Host: x\r\nContent-Length: 5, 5",
        "Host: x\r\nContent-Length: +5",
        "Host: x\r\nContent-Length: -5",
        "Host: x\r\nContent-Length: 0x5",
        "Host: x\r\nContent-Length: 5 5",
        "Host: x\r\nContent-Length:",
        "Host: x\r\nContent-Length: 99999999999999999999",
        "Host: x\r\nContent-Length: 9223372036854775808",
        "Host: x\r\nA: b\r\n folded",
        "Host: x\r\nA: b\r\n\tfolded",
        "Host: x\r\n A: b",
        "Host: x\r\nA : b",
        "Host: x\r\nA\t: b",
        "Host: x\r\n: b",
        "Host: x\r\nA",
        "Host: x\r\nA{: b",
        "Host: x\r\nA: b\0c",
        "Host: x\r\nA\0: b",
        "Host: x\r\nA: b\rc",
        "Host: x\r\nA: b\r\r",
        "Host: x\r\nA: \u{7f}",
        "Host: x\r\nA\u{e9}: b",
        "Host: x\r\nHost: x",
        "Host: x\r\nhost: y",
        "Host: a b",
        "Host: a/b",
        "Accept: */*",
    ] {
        let refusal = refused(&format!("GET / HTTP/1.1\r\n{lines}\r\n\r\n"));
        assert!(matches!(refusal, Refusal::Bad(_)), "{}", lines.escape_debug());
    }
    let refusal = refused("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(refusal, Refusal::Bad("ambiguous length of the body"));
}

#[test]
fn odd_request_lines_are_refused() {
    for line in [
        "GET",
        "GET /",
        "GET / ",
        "GET  / HTTP/1.1",
        "GET /a b HTTP/1.1",
        "GET / HTTP/1.1 x",
        " GET / HTTP/1.1",
        "G\0T / HTTP/1.1",
        "G(T / HTTP/1.1",
        "GET /\0 HTTP/1.1",
        "GET /\t HTTP/1.1",
        "GET /%zz HTTP/1.1",
        "GET /%2 HTTP/1.1",
        "GET /a% HTTP/1.1",
        "GET readyz HTTP/1.1",
        "GET x/readyz HTTP/1.1",
        "GET * HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "GET x:443 HTTP/1.1",
        "CONNECT x:443 HTTP/1.1",
        "CONNECT /readyz HTTP/1.1",
        "GET mailto:a@b HTTP/1.1",
        "GET ftp://x/readyz HTTP/1.1",
        "GET http:///readyz HTTP/1.1",
        "GET http://x HTTP/1.1",
        "GET http://x?a HTTP/1.1",
        "GET http://u@x/ HTTP/1.1",
        "GET http://a\\b/ HTTP/1.1",
        "GET http:/x/ HTTP/1.1",
        "GET http://%41/readyz HTTP/1.1",
        "GET ://x/ HTTP/1.1",
        "\r\nGET / HTTP/1.1",
        "\nGET / HTTP/1.1",
    ] {
        let refusal = parse(format!("{line}\r\nHost: x\r\n\r\n").as_bytes())
            .map(|r| panic!("{line}: {r:?}"))
            .unwrap_err();
        assert!(matches!(refusal, Refusal::Bad(_) | Refusal::Version), "{}", line.escape_debug());
    }
}

#[test]
fn other_refusals_have_their_own_status() {
    for (head, refusal) in [
        ("GET / HTTP/2.0\r\nHost: x\r\n\r\n", Refusal::Version),
        ("PRI * HTTP/2.0\r\n\r\n", Refusal::Version),
        ("GET / HTTP/0.9\r\n\r\n", Refusal::Version),
        ("GET / HTTP/1.2\r\nHost: x\r\n\r\n", Refusal::Version),
        ("GET / http/1.1\r\nHost: x\r\n\r\n", Refusal::Version),
        ("GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", Refusal::Encoding),
        ("GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", Refusal::Encoding),
        ("GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\n", Refusal::Encoding),
        ("GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \"chunked\"\r\n\r\n", Refusal::Encoding),
        ("GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n\r\n", Refusal::Encoding),
        (
            "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            Refusal::Encoding,
        ),
    ] {
        assert_eq!(refused(head), refusal, "{}", head.escape_debug());
    }
    let long = |len: usize| format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(len - 1));
    assert_eq!(refused(&long(limits::TARGET_LEN_MAX + 1)), Refusal::LongTarget);
    assert_eq!(accepted(&long(limits::TARGET_LEN_MAX)).path.len(), limits::TARGET_LEN_MAX);
}

#[test]
fn a_plain_request_is_read() {
    let request =
        accepted("GET /apis?a=b?c HTTP/1.1\r\nHost: x:4443\r\nX-Remote-User:  a b \r\nEmpty:\r\n\r\n");
    assert_eq!((request.method, request.path, request.query), ("GET", "/apis", Some("a=b?c")));
    assert_eq!(request.head().first("x-remote-user"), Some(&b"a b"[..]));
    assert_eq!(request.head().first("empty"), Some(&b""[..]));
    assert_eq!(request.framing, Framing { http11: true, keep_alive: true, has_body: false });
}

#[test]
fn forms_with_one_reading_are_accepted() {
    let host = "Host: x\r\n";
    for (head, path, has_body) in [
        ("GET / HTTP/1.1\nHost: x\n\n".to_string(), "/", false),
        ("GET / HTTP/1.1\r\nHost: x\n\r\n".to_string(), "/", false),
        ("GET / HTTP/1.0\r\n\r\n".to_string(), "/", false),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n".to_string(), "/", false),
        (format!("GET http://x/readyz HTTP/1.1\r\n{host}\r\n"), "/readyz", false),
        (format!("GET http://x:80/readyz HTTP/1.1\r\n{host}\r\n"), "/readyz", false),
        (format!("GET http://[::1]/readyz HTTP/1.1\r\n{host}\r\n"), "/readyz", false),
        (format!("GET HTTPS://[::1]:1/a?b HTTP/1.1\r\n{host}\r\n"), "/a", false),
        (format!("GET / HTTP/1.1\r\n{host}Expect: 100-continue\r\n\r\n"), "/", false),
        (format!("GET //a%20b HTTP/1.1\r\n{host}\r\n"), "//a%20b", false),
        (format!("GET / HTTP/1.1\r\n{host}Content-Length: 0\r\n\r\n"), "/", false),
        (format!("GET / HTTP/1.1\r\n{host}Content-Length: 5\r\n\r\n"), "/", true),
        (format!("GET / HTTP/1.1\r\n{host}Content-Length: 9223372036854775807\r\n\r\n"), "/", true),
        (format!("GET / HTTP/1.1\r\n{host}Transfer-Encoding: Chunked\r\n\r\n"), "/", true),
        (format!("BREW /?%zz HTTP/1.1\r\n{host}X: \u{e9}\r\n\r\n"), "/", false),
    ] {
        let request = accepted(&head);
        assert_eq!((request.path, request.framing.has_body), (path, has_body), "{}", head.escape_debug());
        assert!(!(has_body && request.framing.keep_alive), "a body ends the connection");
    }
}

#[test]
fn connection_is_a_list_of_words() {
    for (lines, http11, keep_alive) in [
        ("HTTP/1.1\r\nHost: x", true, true),
        ("HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Close", true, false),
        ("HTTP/1.1\r\nHost: x\r\nConnection: x\r\nConnection: close", true, false),
        ("HTTP/1.1\r\nHost: x\r\nConnection: closed", true, true),
        ("HTTP/1.0", false, false),
        ("HTTP/1.0\r\nConnection: Keep-Alive", false, true),
        ("HTTP/1.0\r\nConnection: keep-alive\r\nConnection: close", false, false),
    ] {
        let head = format!("GET / {lines}\r\n\r\n");
        let framing = accepted(&head).framing;
        assert_eq!((framing.http11, framing.keep_alive), (http11, keep_alive), "{lines}");
    }
}

#[test]
fn the_end_of_a_head_is_found_wherever_pieces_end() {
    let head = b"GET / HTTP/1.1\r\nHost: x\r\nA: b\n\r\nGET / HTTP/1.1\r\n\r\n";
    let end = head.windows(4).position(|w| w == b"b\n\r\n").unwrap() + 4;
    for len in 0..end {
        assert_eq!(head_end(&head[..len], 0), None, "{len}");
        assert_eq!(head_end(head, resume_at(len)), Some(end), "{len}");
    }
}

#[test]
fn hundreds_of_groups_are_read_and_too_many_lines_refused() {
    let head =
        |count: usize| format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "X-Remote-Group: g\r\n".repeat(count));
    let many = head(2000);
    assert_eq!(accepted(&many).head().all("x-remote-group").count(), 2000);
    assert_eq!(refused(&head(limits::HEADER_COUNT_MAX)), Refusal::TooLarge);
}

#[test]
fn no_bytes_make_the_parser_panic() {
    let head = b"GET http://x/a%20b?c HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nConnection: close\r\n\r\n";
    for at in 0..head.len() {
        for value in 0..=255 {
            let mut broken = head.to_vec();
            broken[at] = value;
            if let Some(end) = head_end(&broken, 0) {
                let _ = parse(&broken[..end]);
            }
        }
        let _ = parse(&head[..at]);
    }
}
