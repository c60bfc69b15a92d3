//! What is read, what is refused: one row an input.

use super::*;

fn refused(head: &str) -> Refusal {
    assert_eq!(head_end(head.as_bytes(), 0), Some(head.len()), "not one whole head: {}", head.escape_debug());
    parse(head.as_bytes()).map(|r| panic!("accepted {} as {r:?}", head.escape_debug())).unwrap_err()
}

fn accepted(head: &str) -> Request<'_> {
    assert_eq!(head_end(head.as_bytes(), 0), Some(head.len()), "not one whole head: {}", head.escape_debug());
    parse(head.as_bytes()).unwrap_or_else(|r| panic!("{r:?} for {}", head.escape_debug()))
}

#[test]
fn a_plain_request_is_read() {
    let request =
        accepted("GET /apis?a=b?c HTTP/1.1\r\nHost: x:4443\r\nX-Remote-User:  a b \r\nEmpty:\r\n\r\n");
    assert_eq!((request.method, request.path, request.query), ("GET", "/apis", Some("a=b?c")));
    assert_eq!(request.head().first("x-remote-user"), Some(&b"a b"[..]));
    assert_eq!(request.head().first("empty"), Some(&b""[..]));
    let Framing { http11, keep_alive, body, expects_continue, about_server } = request.framing;
    assert!(http11 && keep_alive && !expects_continue && !about_server);
    assert_eq!(body, BodyLength::Bytes(0));
}

#[test]
fn the_leniencies_of_the_reference_are_kept() {
    let host = "Host: x\r\n";
    for (head, path, body) in [
        ("GET / HTTP/1.1\nHost: x\n\n".to_string(), "/", BodyLength::Bytes(0)),
        ("GET / HTTP/1.1\r\nHost: x\n\r\n".to_string(), "/", BodyLength::Bytes(0)),
        ("GET / HTTP/1.0\r\n\r\n".to_string(), "/", BodyLength::Bytes(0)),
        (format!("GET http://x/readyz HTTP/1.1\r\n{host}\r\n"), "/readyz", BodyLength::Bytes(0)),
        (format!("GET HTTPS://x:1?a HTTP/1.1\r\n{host}\r\n"), "", BodyLength::Bytes(0)),
        (format!("GET ftp://u:p@[::1]:1/a HTTP/1.2\r\n{host}\r\n"), "/a", BodyLength::Bytes(0)),
        (format!("GET http:///readyz HTTP/1.1\r\n{host}\r\n"), "/readyz", BodyLength::Bytes(0)),
        (format!("GET mailto:a@b HTTP/1.1\r\n{host}\r\n"), "", BodyLength::Bytes(0)),
        (format!("GET * HTTP/1.1\r\n{host}\r\n"), "*", BodyLength::Bytes(0)),
        ("CONNECT x:443 HTTP/1.1\r\n\r\n".to_string(), "", BodyLength::Bytes(0)),
        (format!("GET / HTTP/1.1\r\n{host}Expect: 100-continue, x\r\n\r\n"), "/", BodyLength::Bytes(0)),
        (format!("GET //a%20b HTTP/1.1\r\n{host}\r\n"), "//a%20b", BodyLength::Bytes(0)),
        (format!("GET / HTTP/1.1\r\n{host}Content-Length: 5\r\n\r\n"), "/", BodyLength::Bytes(5)),
        (
            format!("GET / HTTP/1.1\r\n{host}Content-Length: 5\r\ncontent-length: 5\r\n\r\n"),
            "/",
            BodyLength::Bytes(5),
        ),
        (format!("GET / HTTP/1.1\r\n{host}Transfer-Encoding: Chunked\r\n\r\n"), "/", BodyLength::Chunked),
        (format!("BREW /?%zz HTTP/1.1\r\n{host}X: \u{e9}\r\n\r\n"), "/", BodyLength::Bytes(0)),
        (format!("CONNECT /readyz HTTP/1.1\r\n{host}\r\n"), "/readyz", BodyLength::Bytes(0)),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n".to_string(), "/", BodyLength::Bytes(0)),
    ] {
        let request = accepted(&head);
        assert_eq!((request.path, request.framing.body), (path, body), "{}", head.escape_debug());
    }
}

#[test]
fn whatever_has_two_readings_is_refused() {
    for lines in [
        "Host: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5",
        "Host: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
        "Host: x\r\nContent-Length: 5\r\nContent-Length: 6",
        "Host: x\r\nContent-Length: 5, 5",
        "Host: x\r\nContent-Length: +5",
        "Host: x\r\nContent-Length: -5",
        "Host: x\r\nContent-Length: 0x5",
        "Host: x\r\nContent-Length: 5 5",
        "Host: x\r\nContent-Length:",
        "Host: x\r\nContent-Length: 99999999999999999999",
        "Host: x\r\nA: b\r\n folded",
        "Host: x\r\nA: b\r\n\tfolded",
        "Host: x\r\n A: b",
        "Host: x\r\nA : b",
        "Host: x\r\nA\t: b",
        "Host: x\r\n: b",
        "Host: x\r\nA",
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
    assert_eq!(refused("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), Refusal::Bad(""));
}

#[test]
fn a_name_that_is_no_token_is_called_so_unless_a_line_has_no_colon() {
    let why = |lines: &str| refused(&format!("GET / HTTP/1.1\r\nHost: x\r\n{lines}\r\n\r\n"));
    assert_eq!(why("A : b"), Refusal::Bad("invalid header name"));
    assert_eq!(why("A : b\r\nC"), Refusal::Bad(""));
    assert_eq!(why("A"), Refusal::Bad(""));
    assert_eq!(why("A{: b"), Refusal::Bad(""));
}

#[test]
fn the_first_of_several_mistakes_counts() {
    for (head, refusal) in [
        ("GET /%zz HTTP/2.0\r\n\r\n", Refusal::Bad("")),
        ("GET / HTTP/2.0\r\nA{: b\r\n\r\n", Refusal::Bad("")),
        ("GET / HTTP/2.0\r\nTransfer-Encoding: x\r\n\r\n", Refusal::Encoding),
        ("GET / HTTP/2.0\r\nA : b\r\n\r\n", Refusal::Version),
        ("GET / HTTP/1.1\r\nHost : b\r\n\r\n", Refusal::Bad("missing required Host header")),
        ("GET / HTTP/1.1\r\nHost: a b\r\nA : b\r\n\r\n", Refusal::Bad("malformed Host header")),
        ("GET / HTTP/1.1\r\nHost: a b\r\nTransfer-Encoding: x\r\n\r\n", Refusal::Encoding),
        ("GET / HTTP/1.1\r\nHost: a b\r\nExpect: x\r\n\r\n", Refusal::Bad("malformed Host header")),
    ] {
        assert_eq!(refused(head), refusal, "{}", head.escape_debug());
    }
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
        "GET / http/1.1",
        "GET / HTTP/1",
        "GET / HTTP/11",
        "GET / HTTPS/1.1",
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
        "GET http://a\\b/ HTTP/1.1",
        "GET http://x:a/ HTTP/1.1",
        "GET http://[::1/ HTTP/1.1",
        "GET http://%41/ HTTP/1.1",
        "GET http://x%zz/ HTTP/1.1",
        "GET ://x HTTP/1.1",
        "GET 1http://x/ HTTP/1.1",
        "CONNECT a\\b HTTP/1.1",
        "\r\nGET / HTTP/1.1",
    ] {
        let refusal = parse(format!("{line}\r\nHost: x\r\n\r\n").as_bytes())
            .map(|r| panic!("{line}: {r:?}"))
            .unwrap_err();
        assert_eq!(refusal, Refusal::Bad(""), "{}", line.escape_debug());
    }
}

#[test]
fn other_refusals_have_their_own_status() {
    for (head, refusal) in [
        ("GET / HTTP/2.0\r\nHost: x\r\n\r\n", Refusal::Version),
        ("PRI * HTTP/2.0\r\n\r\n", Refusal::Version),
        ("GET / HTTP/0.9\r\n\r\n", Refusal::Version),
        ("GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", Refusal::Encoding),
        ("GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", Refusal::Encoding),
        ("GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\n", Refusal::Encoding),
        ("GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \"chunked\"\r\n\r\n", Refusal::Encoding),
        (
            "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            Refusal::Encoding,
        ),
        ("GET / HTTP/1.1\r\nHost: x\r\nExpect: more\r\n\r\n", Refusal::Expectation),
    ] {
        assert_eq!(refused(head), refusal, "{}", head.escape_debug());
    }
}

#[test]
fn connection_and_expect_are_lists_of_words() {
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
    let expects = |head: &str| accepted(head).framing.expects_continue;
    assert!(expects("GET / HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\n\r\n"));
    assert!(!expects("GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n"));
}

#[test]
fn options_star_is_about_the_server() {
    assert!(accepted("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n").framing.about_server);
    assert!(!accepted("OPTIONS / HTTP/1.1\r\nHost: x\r\n\r\n").framing.about_server);
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
