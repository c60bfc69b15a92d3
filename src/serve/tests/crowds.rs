//! Many and slow clients: who waits, who is cut, what it costs.

use super::*;

#[test]
fn a_slow_reader_holds_nobody_up() {
    let server = Running::start(8);
    let mut slow = server.connect();
    slow.send("GET /list/50000000 HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut quick = server.connect();
    for _ in 0..20 {
        assert_eq!(quick.get("/a").text(), "GET /a");
    }
    assert_eq!(slow.head().status, 200);
}

#[test]
fn a_full_server_makes_room_for_a_newcomer() {
    let server = Running::start(3);
    let mut first = server.connect();
    assert_eq!(first.get("/1").status, 200);
    let mut others: Vec<_> = (0..2).map(|_| server.connect()).collect();
    for other in &mut others {
        assert_eq!(other.get("/2").status, 200);
    }
    assert_eq!(server.connect().get("/new").text(), "GET /new");
    assert!(first.ends(), "the longest idle one went");
    assert_eq!(others[1].get("/2").status, 200);
}

#[test]
fn a_flood_of_silent_connections_leaves_room_for_a_probe() {
    let server = Running::start(16);
    let silent: Vec<_> = (0..200).map(|_| TcpStream::connect(server.address).unwrap()).collect();
    // For a second the first connections keep their places; then the silent ones go, one for each newcomer.
    let served = std::iter::repeat_with(|| {
        let mut probe = server.connect();
        let sent =
            probe.tls.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").and_then(|()| probe.tls.flush());
        let served = sent.is_ok() && probe.tls.read(&mut [0; 64]).is_ok_and(|len| len > 0);
        if !served {
            std::thread::sleep(Duration::from_millis(50));
        }
        served
    })
    .take(200)
    .any(|served| served);
    assert!(served);
    drop(silent);
}

#[test]
fn the_kernel_holds_little_of_an_unread_answer() {
    let server = Running::start(8);
    let mut slow = server.connect();
    slow.send("GET /list/50000000 HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(slow.head().status, 200);
    assert_eq!(server.connect().get("/a").status, 200);
    server.stopper.stop();
    server.stopper.stop();
    let mut len = 0;
    let mut piece = [0; 16 * 1024];
    while let Ok(1..) = slow.tls.read(&mut piece).inspect(|&n| len += n) {}
    // What the client's own kernel took is bounded by the client; both together stay far from the whole answer.
    assert!(len < 10_000_000, "{len}");
}

#[test]
fn a_silent_connection_is_small() {
    fn size<F>(_: impl Fn(Rc<Server>, socket::ClientSocket, Rc<slot::Slot>) -> F) -> usize {
        size_of::<F>()
    }
    let len = size(connection::run);
    println!("a silent connection: a task of {len} bytes, an entry of {}", size_of::<slot::Slot>());
    assert!(len + size_of::<slot::Slot>() <= 640, "{len} bytes");
}
