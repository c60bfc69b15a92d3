//! Hostile clients against the real binary: what each attack costs in memory at its peak, and that probes are answered.
//!
//! The budget is what `limits.rs` allows: the memory in rest, a full table of connections, and what they share. The peak
//! is the kernel's own (`VmHWM`), reset for each attack.

use crate::support::certs::{Authority, Leaf};
use crate::support::client::{Client, Connection};
use crate::support::kubelet::{Behaviour, Kubelet, container};
use crate::support::lab::{Lab, PODS};
use crate::support::protobuf::Pod;
use crate::support::toplet::{Folder, GROWTH_KIB_MAX, Toplet, reserved};
use crate::support::{PATIENCE, eventually, timestamp};
use rcgen::CustomExtension;
use rustls::ConnectionTrafficSecrets;
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use toplet::limits;

const PODS_COUNT: usize = 3_000;

/// Somebody who may ask for a list of more than a megabyte, and a server that has it.
struct Target {
    lab: Lab,
    toplet: Toplet,
    _kubelet: Kubelet,
}

impl Target {
    fn new() -> Target {
        let (lab, names) = (Lab::new(), (0..PODS_COUNT).map(|nth| format!("web-{nth:04}")));
        let containers = names.clone().map(|name| container("default", &name, "main", 100, 10)).collect();
        let kubelet = Kubelet::start(Behaviour::Steady(containers));
        lab.node("n1", &kubelet, &[]);
        names.for_each(|name| lab.api.add_pod(Pod::new("default", &name)));
        let toplet = lab.start(&[]);
        let is_whole = |body: &str| body.matches("\"usage\"").count() == PODS_COUNT;
        toplet.until(&lab.admin(&toplet), PODS, is_whole);
        Target { lab, toplet, _kubelet: kubelet }
    }

    fn admin(&self) -> Client {
        self.lab.admin(&self.toplet)
    }

    /// A bare TCP connection; `None` when the server is too busy to take it at once.
    fn socket(&self) -> Option<TcpStream> {
        let address = SocketAddr::from(([127, 0, 0, 1], self.toplet.port));
        let socket = TcpStream::connect_timeout(&address, Duration::from_millis(100)).ok()?;
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        socket.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
        Some(socket)
    }

    /// As many connections as get through, on which these bytes were sent.
    fn held(&self, client: &Client, count: usize, bytes: &[u8]) -> Vec<Connection> {
        let connect = || client.connect().ok();
        let mut held: Vec<Connection> = std::iter::repeat_with(connect).take(count).flatten().collect();
        for connection in &mut held {
            let _ = connection.send(bytes);
        }
        held
    }
}

/// What an attack holds on to until the probes were answered.
type Held = Box<dyn std::any::Any>;
type Attack = (&'static str, fn(&Target) -> Held);

const ATTACKS: [Attack; 15] = [
    ("slow headers", slow_headers),
    ("slow reads of a large list", slow_reads),
    ("4,000 connections", many_connections),
    ("huge heads", huge_heads),
    ("pipelining", pipelining),
    ("smuggling", smuggling),
    ("bodies on GET", bodies),
    ("half-closed sockets", half_closed),
    ("TLS garbage", tls_garbage),
    ("renegotiation", renegotiation),
    ("key updates", key_updates),
    ("client certificates of 100 KB", large_certificates),
    ("session-ticket flood", session_flood),
    ("tokens nobody has", token_flood),
    ("questions nobody waits for", abandoned_questions),
];

/// Two thirds more than there is room for.
const CROWD: usize = limits::CONNECTIONS_MAX * 5 / 3;

fn slow_headers(target: &Target) -> Held {
    let mut held =
        target.held(&target.admin(), CROWD, b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: aaaaaaaaaaaaaaaa");
    for connection in &mut held {
        let _ = connection.send(b"a");
    }
    Box::new(held)
}

fn slow_reads(target: &Target) -> Held {
    let request = format!("GET {PODS} HTTP/1.1\r\nHost: x\r\n\r\n");
    Box::new(begun(target.held(&target.admin(), limits::CONNECTIONS_MAX - 8, request.as_bytes())))
}

/// Waits until each answer has begun to come, and takes no more than its first piece.
fn begun(mut held: Vec<Connection>) -> Vec<Connection> {
    let count = held.len();
    held.retain_mut(|connection| !connection.closed());
    assert!(held.len() > count / 2, "{} of {count} answers began", held.len());
    held
}

fn many_connections(target: &Target) -> Held {
    // At most 2,000 of them are open at this end, so that an ordinary limit of open files is enough.
    let mut held = VecDeque::new();
    for _ in 0..4_000 {
        held.push_back(target.socket());
        if held.len() > 2_000 {
            held.pop_front();
        }
    }
    assert!(held.iter().flatten().count() > 1_000, "the flood reached the server");
    // Beside connections: listener, log, the API server, kubelets; and some that are cut and not closed yet.
    let open = target.toplet.open_files();
    assert!(open <= limits::CONNECTIONS_MAX + limits::SILENT_CONNECTIONS_MAX + 64, "{open} open files");
    Box::new(held)
}

fn huge_heads(target: &Target) -> Held {
    let mut endless = b"GET /livez HTTP/1.1\r\nHost: x\r\n".to_vec();
    while endless.len() < limits::HEAD_LEN_MAX - 100 {
        endless.extend_from_slice(format!("X-{}: {}\r\n", endless.len(), "a".repeat(8_000)).as_bytes());
    }
    let mut answered = endless.clone();
    answered.resize(limits::HEAD_LEN_MAX + 100, b'a');
    let client = target.toplet.client();
    assert_eq!(status_of(&client, &answered), Some(431), "a head beyond the limit");
    let lines = (0..limits::HEADER_COUNT_MAX).map(|nth| format!("A{nth}: b\r\n")).collect::<String>();
    let many = format!("GET /livez HTTP/1.1\r\nHost: x\r\n{lines}\r\n");
    assert_eq!(status_of(&client, many.as_bytes()), Some(431), "more lines than there may be");
    Box::new(target.held(&client, 64, &endless))
}

fn pipelining(target: &Target) -> Held {
    let (count, request) = (1_000, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut held = target.held(&target.toplet.client(), 16, &request.repeat(count));
    for connection in &mut held {
        for _ in 0..count {
            assert_eq!(connection.read_answer("GET").unwrap().text(), "ok");
        }
    }
    Box::new(held)
}

/// The status of the first answer to these bytes; `None` when the connection ends without one.
fn status_of(client: &Client, bytes: &[u8]) -> Option<u16> {
    let mut connection = client.connect().unwrap();
    // The answer may come, and the connection end, before all is sent.
    let _ = connection.send(bytes);
    connection.read_answer("GET").ok().map(|answer| answer.status)
}

const SMUGGLED: &str = "GET /livez HTTP/1.1\r\nHost: inner\r\n\r\n";

/// Heads that two parsers could read in two ways; each is followed by a request that must never be answered.
const AMBIGUOUS: [(&str, u16); 19] = [
    ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        501,
    ),
    ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n", 501),
    ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n", 400),
    ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x5\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: x\r\nX-Folded: a\r\n b\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: x\r\nX-Nul: a\0b\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: x\r\nX-Bare: a\rb\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
    ("GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", 400),
    // No tunnel, and nothing but a path.
    ("CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n", 400),
    ("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("GET x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n", 400),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
];

fn smuggling(target: &Target) -> Held {
    let client = target.toplet.client();
    for (head, expected) in AMBIGUOUS {
        let mut connection = client.connect().unwrap();
        connection.send(format!("{head}{SMUGGLED}").as_bytes()).unwrap();
        let answer = connection.read_answer("GET").unwrap();
        assert_eq!(answer.status, expected, "{head:?}: {}", answer.text());
        assert!(connection.closed(), "{head:?}: the request behind it was read");
    }
    // Read in one way: lines that end in LF alone, and an absolute target.
    for head in
        ["GET /livez HTTP/1.1\nHost: x\n\n", "GET https://elsewhere/livez HTTP/1.1\r\nHost: x\r\n\r\n"]
    {
        let mut connection = client.connect().unwrap();
        connection.send(format!("{head}{SMUGGLED}").as_bytes()).unwrap();
        for _ in 0..2 {
            assert_eq!(connection.read_answer("GET").unwrap().text(), "ok", "{head:?}");
        }
    }
    Box::new(())
}

fn bodies(target: &Target) -> Held {
    let client = target.toplet.client();
    let body = vec![b'a'; 256 * 1024];
    let long = [b"GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", &body[..]].concat();
    let mut chunks = b"GET /livez HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for piece in body.chunks(1_000) {
        chunks.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        chunks.extend_from_slice(piece);
        chunks.extend_from_slice(b"\r\n");
    }
    let held: Vec<Connection> =
        [&long, &chunks].into_iter().flat_map(|bytes| target.held(&client, 40, bytes)).collect();
    for bytes in [&long, &chunks] {
        assert_eq!(status_of(&client, bytes), Some(200), "a long body changes no answer");
    }
    let mut short = client.connect().unwrap();
    short
        .send(format!("GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc{SMUGGLED}").as_bytes())
        .unwrap();
    let answer = short.read_answer("GET").unwrap();
    assert_eq!((answer.text().as_str(), answer.header("Connection")), ("ok", Some("close")));
    assert!(short.closed(), "nothing is read behind a body");
    Box::new(held)
}

fn half_closed(target: &Target) -> Held {
    let request = format!("GET {PODS} HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut held = target.held(&target.admin(), 32, request.as_bytes());
    held.iter_mut().for_each(|connection| connection.half_close().unwrap());
    for connection in &mut held {
        let answer = connection.read_answer("GET").unwrap();
        assert_eq!(answer.text().matches("\"usage\"").count(), PODS_COUNT);
    }
    let bare: Vec<_> = std::iter::repeat_with(|| target.socket()).take(CROWD).flatten().collect();
    bare.iter().for_each(|socket| socket.shutdown(std::net::Shutdown::Write).unwrap());
    Box::new((held, bare))
}

fn tls_garbage(target: &Target) -> Held {
    let mut hello = vec![0x16, 3, 1, 0x3f, 0xff, 1, 0, 0xff, 0xff];
    hello.resize(5 + 0x3fff, 0x5a);
    let noise: Vec<u8> = (0..40_000_u32).map(|nth| (nth.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let empty = [0x17, 3, 3, 0, 0].repeat(2_000);
    let mut held = Vec::new();
    for bytes in [
        &hello[..],
        &hello[..5],
        &noise,
        &empty,
        b"\x16\x03\x01\xff\xff",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x01\x00",
        b"\0",
    ] {
        for mut socket in std::iter::repeat_with(|| target.socket()).take(24).flatten() {
            let _ = socket.write_all(bytes);
            held.push(socket);
        }
    }
    // And after an honest handshake.
    for connection in target.held(&target.toplet.client(), 24, b"GET /livez HTTP/1.1\r\n") {
        let (_, mut socket) = connection.into_parts();
        let _ = socket.write_all(&noise);
        held.push(socket);
    }
    Box::new(held)
}

/// A TLS 1.2 record of a handshake message, sealed as the session's next.
fn sealed(secrets: (u64, ConnectionTrafficSecrets), message: &[u8]) -> Vec<u8> {
    use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
    let (sequence, ConnectionTrafficSecrets::Aes256Gcm { key, iv }) = secrets else {
        panic!("another cipher than is asked for")
    };
    let iv = iv.as_ref();
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_ref()).unwrap());
    // Salt, then the explicit part, which stands before the sealed text as well.
    let explicit = sequence.to_be_bytes();
    let nonce: Vec<u8> = iv[..4].iter().chain(&explicit).copied().collect();
    let len = u16::try_from(message.len()).unwrap().to_be_bytes();
    let aad = [&sequence.to_be_bytes()[..], &[0x16, 3, 3], &len].concat();
    let mut text = message.to_vec();
    key.seal_in_place_append_tag(
        Nonce::try_assume_unique_for_key(&nonce).unwrap(),
        Aad::from(aad),
        &mut text,
    )
    .unwrap();
    let len = u16::try_from(explicit.len() + text.len()).unwrap().to_be_bytes();
    [&[0x16, 3, 3][..], &len, &explicit, &text].concat()
}

fn renegotiation(target: &Target) -> Held {
    let client = Client::with_tls12(target.toplet.port, None);
    // A well-formed second ClientHello: version, random, no session, one suite, no compression.
    let body = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0xc0, 0x2c, 1, 0]].concat();
    let hello = [&[1, 0, 0, u8::try_from(body.len()).unwrap()][..], &body].concat();
    let mut held = Vec::new();
    for connection in target.held(&client, 24, b"GET /livez HTTP/1.1\r\n") {
        let (session, mut socket) = connection.into_parts();
        let (sequence, secrets) = session.dangerous_extract_secrets().unwrap().tx;
        let ConnectionTrafficSecrets::Aes256Gcm { key, iv } = secrets else { panic!("another cipher") };
        let again = |nth: u64| {
            let key = rustls::crypto::cipher::AeadKey::from(<[u8; 32]>::try_from(key.as_ref()).unwrap());
            let iv = rustls::crypto::cipher::Iv::copy(iv.as_ref());
            sealed((sequence + nth, ConnectionTrafficSecrets::Aes256Gcm { key, iv }), &hello)
        };
        for nth in 0..50 {
            let _ = socket.write_all(&again(nth));
        }
        // It is told no (an alert), and never a second ServerHello; then the connection ends.
        let mut said = Vec::new();
        let _ = socket.read_to_end(&mut said);
        assert!(!said.is_empty() && said.len() < 1_000, "{} bytes", said.len());
        assert!(records(&said).iter().all(|&kind| kind == 0x15), "{:x?}", records(&said));
        held.push(socket);
    }
    assert!(!held.is_empty());
    Box::new(held)
}

/// The types of TLS records.
fn records(mut bytes: &[u8]) -> Vec<u8> {
    let mut kinds = Vec::new();
    while let [kind, _, _, high, low, rest @ ..] = bytes {
        kinds.push(*kind);
        bytes = rest.get(usize::from(u16::from_be_bytes([*high, *low]))..).unwrap_or_default();
    }
    kinds
}

fn key_updates(target: &Target) -> Held {
    let mut held = Vec::new();
    for connection in target.held(&target.toplet.client(), 24, b"GET /livez HTTP/1.1\r\n") {
        let (mut session, mut socket) = connection.into_parts();
        for _ in 0..500 {
            let _ = session.refresh_traffic_keys();
            if session.write_tls(&mut socket).is_err() {
                break;
            }
        }
        held.push((session, socket));
    }
    Box::new(held)
}

fn large_certificates(target: &Target) -> Held {
    let with_len = |len: usize| {
        target.lab.users.odd_client("bob", |params| {
            params.custom_extensions.push(CustomExtension::from_oid_content(&[1, 2, 3], vec![4; len]));
        })
    };
    let one = with_len(100_000);
    let piece = with_len(12_000);
    let chain: Leaf = piece.clone().with(&piece.cert_pem.repeat(7));
    for leaf in [&one, &chain] {
        // In TLS 1.3 the client is done first: the refusal shows when it reads.
        let refused = || {
            let mut connection = Client::with_cert(target.toplet.port, leaf).connect().ok()?;
            connection.send(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").ok()?;
            connection.read_answer("GET").ok()
        };
        for _ in 0..40 {
            assert!(refused().is_none(), "served with {} bytes of certificates", leaf.cert_pem.len());
        }
    }
    let client = Client::with_cert(target.toplet.port, &one);
    Box::new(target.held(&client, CROWD, b""))
}

fn session_flood(target: &Target) -> Held {
    let large = target.lab.users.odd_client("bob", |params| {
        params.custom_extensions.push(CustomExtension::from_oid_content(&[1, 2, 3], vec![4; 10_000]));
    });
    let small = target.lab.users.client("bob", &[]);
    for nth in 0..240 {
        let leaf = if nth % 2 == 0 { &large } else { &small };
        let client = match nth % 3 {
            0 => Client::with_tls12(target.toplet.port, Some(leaf)),
            _ => Client::with_cert(target.toplet.port, leaf),
        };
        assert_eq!(client.get("/livez").unwrap().status, 200);
    }
    Box::new(())
}

fn token_flood(target: &Target) -> Held {
    let client = target.toplet.client();
    let mut connection = client.connect().unwrap();
    for nth in 0..600 {
        let token = format!("Bearer {nth}-{}", "t".repeat(4_000));
        connection.send(&client.head("GET", PODS, &[("Authorization", &token)])).unwrap();
        assert_eq!(connection.read_answer("GET").unwrap().status, 401);
    }
    Box::new(())
}

/// Tokens that fill a head, whose callers do not wait for their slow review.
fn abandoned_questions(target: &Target) -> Held {
    target.lab.api.world().review_delay = Duration::from_secs(5);
    let client = target.toplet.client();
    let path = format!("{PODS}?timeout=20ms");
    let statuses = (0..40).map(|nth| {
        let token = format!("Bearer {nth}-{}", "t".repeat(limits::HEAD_LEN_MAX * 3 / 4));
        client.request("GET", &path, &[("Authorization", &token)]).unwrap().status
    });
    let (late, busy): (Vec<u16>, Vec<u16>) = statuses.partition(|status| *status == 504);
    assert!(!late.is_empty() && busy.iter().all(|status| *status == 429), "{late:?} {busy:?}");
    Box::new(())
}

/// Memory in rest, a full table of connections, and what limits.rs lets all of them share, in KiB.
fn budget(rest_kib: u64) -> u64 {
    let connections = limits::CONNECTIONS_MAX as u64 * limits::CONNECTION_LEN;
    let shared = limits::HEAD_LEN_SHARED
        + limits::REVIEW_BYTES_MAX * limits::REVIEW_COPIES
        + limits::VERDICT_BYTES_MAX
        + limits::TLS_SESSIONS_MAX * limits::TLS_SESSION_LEN_MAX;
    rest_kib + (connections + shared as u64) / 1024
}

#[test]
fn under_each_attack_probes_are_answered_and_memory_stays_within_the_budget() {
    let target = Target::new();
    let toplet = &target.toplet;
    // What every client may cause once: a handshake of each kind, an answer of each kind.
    let tls12 = Client::with_tls12(toplet.port, Some(&target.lab.users.client("admin", &["system:masters"])));
    for client in [target.admin(), tls12] {
        for path in [PODS, "/openapi/v2", "/metrics", "/livez"] {
            assert_eq!(client.get(path).unwrap().status, 200, "{path}");
        }
    }
    let rest = toplet.status_kib("VmRSS");
    let budget = budget(rest);
    println!("{:<32} | peak RSS, KiB | growth, KiB | budget, KiB (at rest {rest})", "attack");
    for (name, attack) in ATTACKS {
        eventually("the connections before it are closed", PATIENCE, || {
            (toplet.open_files() < 64).then_some(())
        });
        toplet.forget_peak();
        let memory = toplet.watch_memory();
        let begin = std::time::Instant::now();
        let held = attack(&target);
        let attacked = begin.elapsed();
        eventually("a probe is answered", PATIENCE, || {
            (toplet.client().get("/livez").ok()?.status == 200).then_some(())
        });
        let peak = toplet.status_kib("VmHWM");
        let growth = memory.growth_kib();
        println!(
            "{name:<32} | {peak:>13} | {:>11} | {budget:>11}   ({attacked:.1?} attacked, a probe answered {:.1?} later)",
            growth,
            begin.elapsed() - attacked
        );
        assert!(peak <= budget, "{name}: {peak} KiB of {budget}");
        assert!(growth < GROWTH_KIB_MAX, "{name}: {growth} KiB more");
        drop(held);
    }
    let list = target.admin().get(PODS).unwrap().text();
    assert_eq!(list.matches("\"usage\"").count(), PODS_COUNT, "the list is whole afterwards");
    println!("after all of them: {} KiB", toplet.status_kib("VmRSS"));
}

/// What 40 kubelets do to us: each of these, over and over.
fn hostile(nth: usize) -> Behaviour {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n";
    let raw = |bytes: Vec<u8>| Behaviour::Raw(bytes, Duration::from_secs(30));
    let containers = |count: usize, len: usize| {
        let pad = "x".repeat(len);
        (0..count)
            .map(|nth| container(&format!("{pad}{nth}"), &format!("p{pad}{nth}"), "main", 1, 1))
            .collect()
    };
    match nth % 10 {
        0 => Behaviour::Endless(100 << 20),
        1 => Behaviour::Silence,
        2 => Behaviour::Body(b"\x00\xff{}{}\n\"".repeat(500_000)),
        3 => Behaviour::Body(vec![b'a'; 7 << 20]),
        4 => Behaviour::Steady(containers(limits::NODE_CONTAINERS_MAX - 1, 10)),
        5 => Behaviour::Steady(containers(3_000, 200)),
        6 => raw([head.as_bytes(), &b"X: ".repeat(100_000)].concat()),
        7 => raw(format!("{head}Transfer-Encoding: chunked\r\n\r\n{}", "1;".repeat(100_000)).into_bytes()),
        8 => {
            raw([head.as_bytes(), b"Content-Encoding: gzip\r\nContent-Length: 200000\r\n\r\n", &BOMB]
                .concat())
        }
        _ => raw(format!("{head}Content-Length: 9\r\n\r\n# half").into_bytes()),
    }
}

/// A hundred mebibytes in a hundred kilobytes; made once, since that takes a second.
static BOMB: LazyLock<Vec<u8>> = LazyLock::new(|| gzip(&vec![b'#'; 100 << 20]));

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn forty_hostile_kubelets_cost_less_than_two_mebibytes() {
    let lab = Lab::new();
    let fine = Kubelet::start(Behaviour::Steady(vec![container("default", "web-1", "main", 100, 10)]));
    lab.node("a-fine", &fine, &[("default", "web-1")]);
    let toplet = lab.start(&[]);
    let admin = lab.admin(&toplet);
    toplet.until(&admin, PODS, |body| body.contains("web-1"));
    let memory = toplet.watch_memory();
    let kubelets: Vec<Kubelet> = (0..40).map(|nth| Kubelet::start(hostile(nth))).collect();
    kubelets.iter().enumerate().for_each(|(nth, kubelet)| lab.node(&format!("bad-{nth}"), kubelet, &[]));
    for (nth, kubelet) in kubelets.iter().enumerate() {
        let what = format!("kubelet {nth} is asked three times");
        eventually(&what, PATIENCE * 3, || (kubelet.scrapes() >= 3).then_some(()));
    }
    let seen = timestamp(&admin.get(PODS).unwrap().text());
    toplet.until(&admin, PODS, |body| body.contains("web-1") && timestamp(body) > seen);
    let growth = memory.growth_kib();
    println!("40 hostile kubelets: {growth} KiB more than before");
    assert!(growth < GROWTH_KIB_MAX, "{growth} KiB");
}

#[test]
fn long_paths_stay_within_the_checked_sum() {
    let folder = Folder::new();
    let flags = ["--max-nodes=1", "--max-pods=110", "--max-containers=300", "--max-connections=32"];
    let (toplet, sum) = (Toplet::start(&folder, &flags), reserved(&flags)["in all"]);
    // The first request brings code into memory, of which a debug build has much more than the sum says.
    assert_eq!(
        toplet.client().get(&format!("/apis/metrics.k8s.io/v1beta1/{}", "a".repeat(90_000))).unwrap().status,
        404
    );
    let rest = toplet.status_kib("VmRSS");
    let budget = sum + rest.saturating_sub(limits::PROGRAM_LEN / 1024);
    println!("long paths: at rest {rest} KiB, checked sum {sum} KiB, budget {budget} KiB");
    for (count, len) in [(16, 1_000 * 1024), (32, 1_000 * 1024), (32, 90 * 1024), (32, 60 * 1024)] {
        toplet.forget_peak();
        let request =
            format!("GET /apis/metrics.k8s.io/v1beta1/{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(len));
        let mut held: Vec<Connection> =
            std::iter::repeat_with(|| toplet.client().connect().unwrap()).take(count).collect();
        for connection in &mut held {
            let _ = connection.send(request.as_bytes());
        }
        // None of them reads: the answers wait.
        assert_eq!(toplet.client().get("/livez").unwrap().status, 200);
        let peak = toplet.status_kib("VmHWM");
        println!("{count} connections with a path of {} KiB: peak {peak} KiB", len / 1024);
        assert!(peak < budget, "{count} x {len}: {peak} KiB of {budget}");
        assert!(peak < rest + 2 * 1024, "{count} x {len}: {peak} KiB, {rest} at rest");
    }
}

/// A client that asks from another address of this machine.
fn dial_from(source: [u8; 4], port: u16) -> TcpStream {
    use std::os::fd::{FromRawFd, OwnedFd};
    // SAFETY: plain calls with live structures of the lengths given; the descriptor belongs to nobody else.
    #[allow(unsafe_code)]
    unsafe {
        let socket = OwnedFd::from_raw_fd(libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0));
        let name = |address: [u8; 4], port: u16| libc::sockaddr_in {
            sin_family: libc::AF_INET as libc::sa_family_t,
            sin_port: port.to_be(),
            sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(address) },
            sin_zero: [0; 8],
        };
        use std::os::fd::AsRawFd;
        let len = size_of::<libc::sockaddr_in>() as libc::socklen_t;
        let (from, to) = (name(source, 0), name([127, 0, 0, 1], port));
        assert_eq!(libc::bind(socket.as_raw_fd(), (&raw const from).cast(), len), 0);
        assert_eq!(libc::connect(socket.as_raw_fd(), (&raw const to).cast(), len), 0);
        TcpStream::from(socket)
    }
}

#[test]
fn readers_that_drip_keep_no_other_address_out() {
    let target = Target::new();
    let request = format!("GET {PODS} HTTP/1.1\r\nHost: x\r\n\r\n");
    let held = begun(target.held(&target.admin(), limits::CONNECTIONS_MAX, request.as_bytes()));
    let taken = held.len();
    println!("{taken} of {} places taken by readers that take nothing more", limits::CONNECTIONS_MAX);
    assert!(taken > limits::CONNECTIONS_MAX / 2);
    // As many honest clients as there are places for others, and then more, each at once.
    for nth in 0..40 {
        let socket = dial_from([127, 0, 0, 2], target.toplet.port);
        let mut honest = target.toplet.client().connect_over(socket, "localhost").unwrap();
        honest.send(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        assert_eq!(honest.read_answer("GET").unwrap().status, 200, "honest client {nth}");
    }
    drop(held);
}

#[test]
fn silent_connections_cost_their_own_address_no_request() {
    let folder = Folder::new();
    let toplet = Toplet::start(&folder, &[]);
    let (rest, files) = (toplet.status_kib("VmRSS"), toplet.open_files());
    let silent: Vec<_> = (0..500).map(|_| TcpStream::connect(("127.0.0.1", toplet.port)).unwrap()).collect();
    eventually("they are accepted", PATIENCE, || (toplet.open_files() > 500).then_some(()));
    println!("500 silent connections: {} KiB more", toplet.status_kib("VmRSS").saturating_sub(rest));
    // One after the other, and many at once.
    for nth in 0..41 {
        assert_eq!(toplet.client().get("/livez").unwrap().status, 200, "request {nth}");
    }
    // As many as one address has places for, once those before are closed: more would make room for each other.
    eventually("requests are over", PATIENCE, || (toplet.open_files() <= files + silent.len()).then_some(()));
    let together: Vec<_> = (0..limits::CONNECTIONS_MAX * 3 / 4)
        .map(|_| {
            let client = toplet.client();
            std::thread::spawn(move || client.get("/livez").unwrap().status)
        })
        .collect();
    assert!(together.into_iter().all(|thread| thread.join().unwrap() == 200));
    assert!(toplet.open_files() > 500, "the silent ones are still there");
    drop(silent);
}

#[test]
fn requests_count_as_in_flight_until_their_answer_is_written() {
    let target = Target::new();
    target.lab.api.world().allowed.push("alice".into());
    let toplet = target.lab.start(&["--max-requests-inflight=1"]);
    let alice = target.lab.proxy(&toplet, "alice");
    toplet.until(&alice, PODS, |body| body.matches("\"usage\"").count() == PODS_COUNT);
    let mut slow = alice.connect().unwrap();
    slow.send(&alice.head("GET", PODS, &[])).unwrap();
    assert!(!slow.closed(), "the answer has begun");
    assert_eq!(alice.get(PODS).unwrap().status, 429);
    assert_eq!(slow.read_answer("GET").unwrap().status, 200);
    assert_eq!(alice.get(PODS).unwrap().status, 200);
}

#[test]
fn a_flood_from_one_address_keeps_no_other_address_out() {
    let v6 = std::net::IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);
    if std::net::TcpListener::bind((v6, 0)).is_err() {
        println!("no IPv6 on this machine: there is no second address to ask from");
        return;
    }
    let folder = Folder::new();
    std::fs::write(folder.path().join("users.crt"), Authority::new("users").pem).unwrap();
    let toplet =
        Toplet::start(&folder, &["--bind-address=::", "--client-ca-file=users.crt", "--max-connections=32"]);
    let (port, stop) = (toplet.port, Arc::new(AtomicBool::new(false)));
    let stopped = stop.clone();
    let flood = std::thread::spawn(move || {
        let (address, mut held) = (SocketAddr::from(([127, 0, 0, 1], port)), VecDeque::new());
        while !stopped.load(Ordering::Relaxed) {
            held.extend(TcpStream::connect_timeout(&address, Duration::from_millis(100)));
            if held.len() > 500 {
                held.pop_front();
            }
        }
        held.len()
    });
    let mut probe = toplet.client();
    probe.address = v6;
    eventually("the table is full", PATIENCE, || (toplet.open_files() >= 32).then_some(()));
    for nth in 0..20 {
        assert_eq!(probe.get("/livez").unwrap().status, 200, "probe {nth}");
    }
    stop.store(true, Ordering::Relaxed);
    assert!(flood.join().unwrap() > 100);
}

#[test]
fn slow_clients_are_cut_in_their_time() {
    let folder = Folder::new();
    let toplet = Toplet::start(&folder, &[]);
    let socket = || {
        let socket = TcpStream::connect(("127.0.0.1", toplet.port)).unwrap();
        socket.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket
    };
    let after_handshake = |bytes: &[u8]| {
        let mut connection = toplet.client().connect().unwrap();
        connection.send(bytes).unwrap();
        let (session, socket) = connection.into_parts();
        socket.set_nonblocking(true).unwrap();
        (Some(session), socket)
    };
    let mut hello = socket();
    hello.write_all(&[0x16]).unwrap();
    // Answers of some megabytes, of which nothing is taken.
    let unread = b"GET /openapi/v2 HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1_500);
    let mut clients = [
        ("silence", (None, socket()), limits::HANDSHAKE_TIME_MAX),
        ("a handshake that goes no further", (None, hello), limits::HANDSHAKE_TIME_MAX),
        ("a head byte by byte", after_handshake(b"GET /livez HTTP/1.1\r\nX-Slow: "), limits::HEAD_TIME_MAX),
        ("no request", after_handshake(b""), limits::HEAD_TIME_MAX),
        ("answers that are not taken", after_handshake(&unread), limits::PIECE_TIME_MAX),
    ];
    let begin = std::time::Instant::now();
    let slow = |name: &str| name.contains("byte");
    for (name, (session, socket), time) in &mut clients {
        eventually(&format!("{name}: cut within {time:?}"), *time + PATIENCE, || {
            if let Some(session) = session.as_mut().filter(|_| slow(name)) {
                session.writer().write_all(b"a").unwrap();
                while session.wants_write() && session.write_tls(socket).is_ok() {}
            }
            // Answers must not be taken here: that they were cut shows when writing. Elsewhere what came is passed over.
            let ended = match name.contains("taken") {
                true => socket.write(&[0]).is_err_and(is_end),
                false => loop {
                    match socket.read(&mut [0; 1024]) {
                        Ok(0) => break true,
                        Ok(_) => {}
                        Err(error) => break is_end(error),
                    }
                },
            };
            std::thread::sleep(Duration::from_millis(200));
            ended.then_some(())
        });
        println!("{name:<34} | cut after {:>4.0?} | limit {time:?}", begin.elapsed());
    }
}

fn is_end(error: std::io::Error) -> bool {
    error.kind() != std::io::ErrorKind::WouldBlock
}
