//! Requests and answers on one connection: order, bodies, chunks, limits of heads.

use super::*;

#[test]
fn a_smuggled_request_is_never_answered() {
    let server = Running::start(8);
    for attack in [
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 40\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n Content-Length: 40\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "CONNECT y:80 HTTP/1.1\r\nHost: x\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n",
    ] {
        let mut client = server.connect();
        client.send(format!("{attack}GET /evil HTTP/1.1\r\nHost: x\r\n\r\n"));
        let response = client.response();
        assert!(matches!(response.status, 400 | 501), "{attack}");
        assert_eq!(response.header("Connection"), Some("close"));
        assert_eq!(response.header("Audit-Id"), None);
        assert!(!response.text().contains("evil") && client.ends(), "{attack}");
    }
}

#[test]
fn a_request_with_a_body_is_answered_and_ends_its_connection() {
    let server = Running::start(8);
    for body in [
        "Content-Length: 27\r\n\r\nGET /evil HTTP/1.1\r\nHost: x",
        "Content-Length: 1000000000\r\n\r\nabc",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n0;\nx\r\n\r\n",
        "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n",
    ] {
        let mut client = server.connect();
        client.send(format!("PUT /a HTTP/1.1\r\nHost: x\r\n{body}GET /evil HTTP/1.1\r\nHost: x\r\n\r\n"));
        let response = client.response();
        assert_eq!((response.text(), response.header("Connection")), ("PUT /a", Some("close")), "{body}");
        assert!(client.ends(), "{body}");
    }
}

#[test]
fn an_answer_is_read_before_a_large_body_is_sent_whole() {
    let server = Running::start(8);
    let mut client = server.connect();
    let len = limits::LINGER_LEN_MAX / 2;
    client.send(format!("PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: {len}\r\n\r\n"));
    client.send(vec![b'x'; len]);
    assert_eq!(client.response().text(), "PUT /a", "closed without a reset");
    assert!(client.ends());
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = Running::start(8);
    let mut client = server.connect();
    let requests: String = (0..50).map(|i| format!("GET /{i} HTTP/1.1\r\nHost: x\r\n\r\n")).collect();
    client.send(requests);
    for i in 0..50 {
        assert_eq!(client.response().text(), format!("GET /{i}"));
    }
}

#[test]
fn a_request_sent_byte_by_byte_is_read() {
    let server = Running::start(8);
    let mut client = server.connect();
    for byte in b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n" {
        client.send([*byte]);
    }
    assert_eq!(client.response().text(), "GET /slow");
}

#[test]
fn a_long_list_is_chunked_and_a_short_one_has_its_length() {
    let server = Running::start(8);
    let mut client = server.connect();
    let long = client.get("/list/1000000");
    assert_eq!(long.header("Transfer-Encoding"), Some("chunked"));
    assert!(long.body == letters(0, 1_000_000));
    let short = client.get("/list/1000");
    assert_eq!(short.header("Content-Length"), Some("1000"));
    assert!(short.body == letters(0, 1_000));
    let empty = client.get("/list/0");
    assert_eq!(empty.header("Content-Length"), Some("0"));
    let whole = client.get("/whole/100000");
    assert_eq!(whole.header("Content-Length"), Some("100000"));
    assert!(whole.body == letters(0, 100_000));
}

#[test]
fn a_list_that_breaks_off_has_no_end_mark() {
    let server = Running::start(8);
    let mut client = server.connect();
    client.send("GET /broken HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.head().header("Transfer-Encoding"), Some("chunked"));
    while client.more() {}
    assert!(!client.rest.ends_with(b"0\r\n\r\n"));
    assert_eq!(server.connect().get("/next").status, 200);
}

#[test]
fn a_large_list_is_never_compressed() {
    let server = Running::start(8);
    let mut client = server.connect();
    client.send("GET /list/300000 HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n");
    let response = client.response();
    assert_eq!(response.header("Content-Encoding"), None);
    assert!(response.body == letters(0, 300_000));
}

#[test]
fn head_and_304_have_no_body() {
    let server = Running::start(8);
    let mut client = server.connect();
    client.send("HEAD /whole/100 HTTP/1.1\r\nHost: x\r\n\r\nGET /304 HTTP/1.1\r\nHost: x\r\n\r\n");
    let head = client.head();
    assert_eq!((head.status, head.header("Content-Length")), (200, Some("100")));
    let not_modified = client.head();
    assert_eq!((not_modified.status, not_modified.header("Content-Length")), (304, None));
    assert_eq!(not_modified.header("Transfer-Encoding"), None);
    assert_eq!(client.get("/next").text(), "GET /next");
}

#[test]
fn http10_ends_the_connection_unless_asked_to_keep_it() {
    let server = Running::start(8);
    let mut client = server.connect();
    client.send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(client.response().header("Connection"), Some("keep-alive"));
    client.send("GET /list/100000 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let response = client.response();
    assert_eq!(response.header("Transfer-Encoding"), None);
    assert!(response.body == letters(0, 100_000));
    assert!(client.ends());
    let mut client = server.connect();
    client.send("GET /a HTTP/1.0\r\n\r\n");
    assert_eq!(client.response().text(), "GET /a");
    assert!(client.ends());
}

#[test]
fn heads_may_be_large_but_not_endless() {
    let server = Running::start(8);
    let mut client = server.connect();
    let groups =
        format!("GET /groups HTTP/1.1\r\nHost: x\r\n{}\r\n", "X-Remote-Group: group\r\n".repeat(1_000));
    client.send(groups);
    assert_eq!(client.response().text(), "1000");
    client.send(format!("GET /large HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(200_000)));
    assert_eq!(client.response().text(), "GET /large");
    client.send(format!("GET /huge HTTP/1.1\r\nHost: x\r\nX: {}", "x".repeat(limits::HEAD_LEN_MAX)));
    let response = client.response();
    assert_eq!(response.status, 431);
    assert!(client.ends());
}

#[test]
fn a_half_closed_connection_gets_its_answer() {
    let server = Running::start(8);
    let mut client = server.connect();
    client.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
    client.tls.sock.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.response().text(), "GET /a");
    assert!(client.ends());
}

#[test]
fn a_large_answer_is_503_while_another_holds_what_they_share() {
    let server = Running::start(8);
    let (held, asked) = (limits::HEAD_LEN_SHARED, limits::CHUNK_LEN_MAX * 3);
    let mut slow = server.connect();
    // More than both kernels hold, so that an answer waits here for its reader.
    slow.send(format!("GET /whole/{held} HTTP/1.1\r\nHost: x\r\n\r\n").repeat(64));
    assert!(slow.more(), "the first answer has begun");
    let mut other = server.connect();
    let refused = (0..200).map(|_| other.get(&format!("/whole/{asked}"))).find(|answer| answer.status == 503);
    let refused = refused.expect("refused while the slow reader holds the rest");
    assert_eq!(refused.header("Retry-After"), Some("1"));
    assert_eq!(other.get("/small").status, 200, "what fits one piece needs no share");
    drop(slow);
    let served = (0..200).any(|_| other.get(&format!("/whole/{asked}")).status == 200);
    assert!(served, "given back with the connection");
}
