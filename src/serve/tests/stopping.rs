//! An orderly stop.

use super::*;

#[test]
fn a_stop_ends_idle_connections_and_finishes_answers() {
    let mut server = Running::start(8);
    let mut idle = server.connect();
    assert_eq!(idle.get("/a").status, 200);
    let mut busy = server.connect();
    busy.send("GET /list/20000000 HTTP/1.1\r\nHost: x\r\n\r\n");
    let head = busy.head();
    assert_eq!(head.header("Connection"), None);
    server.stopper.stop();
    assert!(idle.ends());
    let mut len = 0;
    loop {
        let chunk = usize::from_str_radix(&busy.line(), 16).unwrap();
        busy.take(chunk + 2);
        len += chunk;
        if chunk == 0 {
            break;
        }
    }
    assert_eq!(len, 20_000_000);
    server.thread.take().unwrap().join().unwrap();
    assert!(TcpStream::connect(server.address).is_err());
}

#[test]
fn a_stop_refuses_no_request_of_an_accepted_connection() {
    // A request that a slow machine sends after the time for quiet connections may be refused: that attempt shows nothing.
    assert!((0..20).any(|_| requests_after_a_stop_are_answered()), "no request was sent in time");
}

/// `false`: they were sent too late.
fn requests_after_a_stop_are_answered() -> bool {
    let mut server = Running::start(8);
    let mut idle = server.connect();
    assert_eq!(idle.get("/a").header("Connection"), None);
    let mut handshaken = server.connect();
    handshaken.tls.conn.complete_io(&mut handshaken.tls.sock).unwrap();
    let mut silent = server.connect();
    // Keeps the server draining, whatever else happens.
    let mut busy = server.connect();
    busy.send("GET /list/20000000 HTTP/1.1\r\nHost: x\r\n\r\n");
    busy.head();
    let stopped_at = clock::mono();
    server.stopper.stop();
    while TcpStream::connect(server.address).is_ok() {
        std::thread::yield_now();
    }
    let mut clients = [&mut idle, &mut handshaken, &mut silent];
    let request = b"GET /b HTTP/1.1\r\nHost: x\r\n\r\n";
    let all_sent = clients.iter_mut().all(|client| client.tls.write_all(request).is_ok());
    let in_time = clock::mono() - stopped_at < limits::DRAIN_QUIET_TIME / 2;
    if in_time {
        assert!(all_sent, "a connection was closed early");
        for client in clients {
            let response = client.response();
            assert_eq!((response.text(), response.header("Connection")), ("GET /b", Some("close")));
            assert!(client.ends());
        }
    }
    server.stopper.stop();
    server.thread.take().unwrap().join().unwrap();
    in_time
}
