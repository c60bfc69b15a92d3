//! The serving thread over real TLS on loopback, with answers of the tests' own: framing, limits, stopping.

use super::*;
use crate::access::Policy;
use crate::access::cache::Lifetimes;
use crate::api::answer::{Answer, Body, Pieces, Progress};
use crate::api::{Settings, Vitals};
use crate::cluster::authentication::{self, Authentication};
use crate::counters::Counters;
use crate::host::clock;
use crate::net::certificate::{CertificateSettings, Certificates};
use crate::net::credentials::BelieveAnybody;
use crate::net::self_signed::Authority;
use crate::net::tls::{self, TlsSettings};
use crate::store::{Capacity, Store};
use crate::units::Window;
use crate::wire::request::Head;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Mutex;
use std::thread::JoinHandle;

/// Generous: a test that would hang fails instead.
const PATIENCE: Duration = Duration::from_secs(20);

struct Running {
    address: SocketAddr,
    stopper: Stopper,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn start(connections_max: usize) -> Running {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (stopper, signal) = stop_signal();
        let thread = std::thread::spawn(move || {
            exchange::CANNED.set(Some(canned));
            let settings = CertificateSettings { names: vec!["localhost".into()], ..Default::default() };
            let certificates = Certificates::load(&settings, clock::wall()).unwrap();
            let options = Options {
                listeners: vec![listener],
                tls: tls::server_config(&TlsSettings::default(), certificates.clone()).unwrap(),
                certificates,
                shutdown_delay: Duration::ZERO,
                connections_max,
            };
            run(options, app(), signal).unwrap();
        });
        Running { address, stopper, thread: Some(thread) }
    }

    fn connect(&self) -> Client {
        self.connect_with(client_config())
    }

    fn connect_with(&self, config: ClientConfig) -> Client {
        let socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let tls = ClientConnection::new(Arc::new(config), name).unwrap();
        Client { tls: StreamOwned::new(tls, socket), rest: Vec::new() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stopper.stop();
        self.stopper.stop();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

pub(super) fn app() -> App {
    let capacity = Capacity { nodes: 4, pods: 4, containers: 4, text_len: 4096 };
    let resolution = Duration::from_secs(15);
    let zero = Duration::ZERO;
    App {
        store: Arc::new(Mutex::new(Store::new(capacity, Window::from_secs(15)))),
        metrics: Arc::new(Counters::new(resolution)),
        settings: Settings {
            node_selector: crate::wire::selector::LabelSelector::default(),
            server_address: "127.0.0.1:4443".into(),
            resolution,
        },
        authentication: Arc::new(Authentication::new(authentication::Settings::default(), None).unwrap()),
        policy: Policy::default(),
        lifetimes: Lifetimes { token: zero, allowed: zero, denied: zero },
        ask: None,
        vitals: Box::new(|_| Vitals::default()),
        requests_max: limits::REQUESTS_MAX,
        request_time_max: limits::REQUEST_TIME_MAX,
    }
}

/// `/list/N`: a list of N bytes; `/broken`: one that breaks off; `/whole/N`; `/304`; else the request line as text.
fn canned(head: &Head<'_>) -> Option<Answer> {
    let text =
        |body| Some(Answer { status: 200, headers: vec![("Content-Type", "text/plain".into())], body });
    let count = |prefix: &str| head.path.strip_prefix(prefix).and_then(|n| n.parse::<usize>().ok());
    if let Some(len) = count("/list/") {
        return text(Body::List(Box::new(Letters { made: 0, len, broken: false })));
    }
    if let Some(len) = count("/whole/") {
        return text(Body::Whole(letters(0, len)));
    }
    match head.path {
        "/broken" => text(Body::List(Box::new(Letters { made: 0, len: 100_000, broken: true }))),
        "/304" => {
            Some(Answer { status: 304, headers: vec![("Etag", "\"x\"".into())], body: Body::Static(b"") })
        }
        "/groups" => text(Body::Whole(head.all("x-remote-group").count().to_string().into_bytes())),
        path => text(Body::Whole(format!("{} {path}", head.method).into_bytes())),
    }
}

fn letters(from: usize, len: usize) -> Vec<u8> {
    (from..from + len).map(|at| b'a' + u8::try_from(at % 23).unwrap()).collect()
}

struct Letters {
    made: usize,
    len: usize,
    broken: bool,
}

impl Pieces for Letters {
    fn len(&self) -> Option<usize> {
        None
    }
    fn next(&mut self, _: &Store, _: &Counters, out: &mut Vec<u8>) -> Progress {
        let len = (self.len - self.made).min(limits::CHUNK_LEN_MAX);
        out.extend(letters(self.made, len));
        self.made += len;
        match self.made == self.len {
            true => Progress::Done,
            false if self.broken && self.made > 50_000 => Progress::Broken,
            false => Progress::More,
        }
    }
}

fn client_builder() -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    ClientConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(BelieveAnybody(tls::provider())))
}

fn client_config() -> ClientConfig {
    client_builder().with_no_client_auth()
}

struct Client {
    tls: StreamOwned<ClientConnection, TcpStream>,
    rest: Vec<u8>,
}

#[derive(Debug)]
struct Response {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Response {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).filter_map(|l| l.split_once(": ")).find(|(n, _)| *n == name).map(|(_, v)| v)
    }
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Client {
    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.tls.write_all(bytes.as_ref()).unwrap();
        self.tls.flush().unwrap();
    }

    /// Reads more; `false` at the end.
    fn more(&mut self) -> bool {
        let mut piece = [0; 16 * 1024];
        match self.tls.read(&mut piece) {
            Ok(0) => false,
            Ok(len) => {
                self.rest.extend_from_slice(&piece[..len]);
                true
            }
            Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {
                false
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn take(&mut self, len: usize) -> Vec<u8> {
        while self.rest.len() < len {
            assert!(self.more(), "the connection ended too early");
        }
        self.rest.drain(..len).collect()
    }

    fn line(&mut self) -> String {
        let end = loop {
            match self.rest.windows(2).position(|w| w == b"\r\n") {
                Some(end) => break end,
                None => assert!(self.more(), "the connection ended in a line"),
            }
        };
        let line = self.take(end + 2);
        String::from_utf8(line[..end].to_vec()).unwrap()
    }

    fn head(&mut self) -> Response {
        let mut head = self.line();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        loop {
            let line = self.line();
            if line.is_empty() {
                break;
            }
            head = head + "\n" + &line;
        }
        Response { status, head, body: Vec::new() }
    }

    fn response(&mut self) -> Response {
        let mut response = self.head();
        if let Some(len) = response.header("Content-Length") {
            response.body = self.take(len.parse().unwrap());
        } else if response.header("Transfer-Encoding") == Some("chunked") {
            loop {
                let len = usize::from_str_radix(&self.line(), 16).unwrap();
                assert!(len <= limits::CHUNK_LEN_MAX + 1024, "a chunk of {len} bytes");
                response.body.extend(self.take(len));
                assert_eq!(self.line(), "");
                if len == 0 {
                    break;
                }
            }
        } else {
            while self.more() {}
            response.body = std::mem::take(&mut self.rest);
        }
        response
    }

    fn get(&mut self, path: &str) -> Response {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
        self.response()
    }

    fn ends(&mut self) -> bool {
        self.rest.is_empty() && !self.more()
    }
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
fn bodies_are_read_past() {
    let server = Running::start(8);
    let mut client = server.connect();
    let length = "GET /a HTTP/1.1\r\nHost: x\r\nContent-Length: 27\r\n\r\nGET /evil HTTP/1.1\r\nHost: x";
    let chunked =
        "POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n";
    client.send(format!("{length}{chunked}GET /c HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_eq!(client.response().text(), "GET /a");
    assert_eq!(client.response().text(), "POST /b");
    assert_eq!(client.response().text(), "GET /c");
    client.send(format!("PUT /d HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", limits::BODY_LEN_MAX));
    client.send(vec![b'x'; limits::BODY_LEN_MAX]);
    assert_eq!(client.response().text(), "PUT /d");
    assert_eq!(client.get("/e").text(), "GET /e");
}

#[test]
fn a_body_too_long_is_answered_and_ends_the_connection() {
    let server = Running::start(8);
    let mut client = server.connect();
    client.send("PUT /d HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\nabc");
    let response = client.response();
    assert_eq!((response.text(), response.header("Connection")), ("PUT /d", Some("close")));
    assert!(client.ends());
    let mut client = server.connect();
    client.send("PUT /d HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    let response = client.response();
    assert_eq!((response.text(), response.header("Connection")), ("PUT /d", Some("close")));
    assert!(client.ends());
}

#[test]
fn nothing_is_read_after_a_connect() {
    let server = Running::start(8);
    let mut client = server.connect();
    client.send("CONNECT y:80 HTTP/1.1\r\nHost: x\r\n\r\nGET /evil HTTP/1.1\r\nHost: x\r\n\r\n");
    let response = client.response();
    assert!(!response.text().contains("evil") && client.ends());
}

#[test]
fn a_smuggled_request_is_never_answered() {
    let server = Running::start(8);
    for attack in [
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 40\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n Content-Length: 40\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0;\nx\r\n\r\n",
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
fn heads_may_be_large_but_not_endless() {
    let server = Running::start(8);
    let mut client = server.connect();
    let groups =
        format!("GET /groups HTTP/1.1\r\nHost: x\r\n{}\r\n", "X-Remote-Group: group\r\n".repeat(1_000));
    client.send(groups);
    assert_eq!(client.response().text(), "1000");
    client.send(format!("GET /large HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(800_000)));
    assert_eq!(client.response().text(), "GET /large");
    client.send(format!("GET /huge HTTP/1.1\r\nHost: x\r\nX: {}", "x".repeat(limits::HEAD_LEN_MAX)));
    let response = client.response();
    assert_eq!(response.status, 431);
    assert!(client.ends());
}

#[test]
fn options_star_is_answered_without_the_api() {
    let server = Running::start(8);
    let mut client = server.connect();
    client.send("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n");
    let response = client.response();
    assert_eq!((response.status, response.header("Content-Length")), (200, Some("0")));
    assert_eq!(response.header("Audit-Id"), None);
    assert_eq!(client.get("/a").status, 200);
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
fn garbage_and_plain_http_end_without_harm() {
    let server = Running::start(8);
    for garbage in [&b"\x16\x03\x01\xff\xff\xff\xff"[..], b"\0\0\0\0\0\0\0\0", b"SSH-2.0-x\r\n"] {
        let mut socket = TcpStream::connect(server.address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.write_all(garbage).unwrap();
        socket.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
    }
    let mut socket = TcpStream::connect(server.address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    assert!(answer.starts_with(b"HTTP/1.0 400 Bad Request\r\n"));
    assert_eq!(server.connect().get("/a").status, 200);
}

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
fn alpn_is_http11_or_nothing() {
    let server = Running::start(8);
    let with = |protocols: &[&str]| {
        let mut config = client_config();
        config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
        let mut client = server.connect_with(config);
        let worked = client.tls.write_all(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n").is_ok() && client.more();
        (worked, client.tls.conn.alpn_protocol().map(<[u8]>::to_vec))
    };
    assert_eq!(with(&[]), (true, None));
    assert_eq!(with(&["h2", "http/1.1"]), (true, Some(b"http/1.1".to_vec())));
    for refused in ["h2", "acme-tls/1"] {
        let mut config = client_config();
        config.alpn_protocols = vec![refused.as_bytes().to_vec()];
        let mut client = server.connect_with(config);
        let told = client.tls.write_all(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n").unwrap_err();
        assert!(told.to_string().contains("NoApplicationProtocol"), "{refused}: {told}");
    }
}

#[test]
fn any_client_certificate_is_let_in_and_a_huge_one_is_not() {
    let server = Running::start(8);
    let now = clock::wall();
    let with_chain = |authorities: usize| {
        let issued = Authority::generate(now).unwrap().issue(&["somebody".to_string()], now).unwrap();
        let mut chain: Vec<_> =
            CertificateDer::pem_slice_iter(issued.chain_pem.as_bytes()).collect::<Result<_, _>>().unwrap();
        chain.extend(vec![chain[1].clone(); authorities]);
        let key = PrivateKeyDer::from_pem_slice(issued.key_pem.as_bytes()).unwrap();
        client_builder().with_client_auth_cert(chain, key).unwrap()
    };
    assert_eq!(server.connect_with(with_chain(2)).get("/a").status, 200);
    // Beyond the limit here, and beyond what TLS takes at all.
    for authorities in [60, 300] {
        let mut client = server.connect_with(with_chain(authorities));
        let _ = client.tls.write_all(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n").and_then(|()| client.tls.flush());
        assert!(client.tls.read(&mut [0; 64]).is_err(), "{authorities}");
    }
    assert_eq!(server.connect().get("/a").status, 200);
}

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
fn a_connection_is_small_before_its_handshake_and_in_rest() {
    fn size<F>(_: impl Fn(Rc<Server>, socket::Socket, Rc<slots::Slot>) -> F) -> usize {
        size_of::<F>()
    }
    let len = size(connection::run);
    assert!(len <= 1024, "{len} bytes");
}

#[test]
fn a_flood_of_silent_connections_leaves_room_for_a_probe() {
    let server = Running::start(16);
    let silent: Vec<_> = (0..200).map(|_| TcpStream::connect(server.address).unwrap()).collect();
    // The first second belongs to whoever came first; then the silent ones go, one for each newcomer.
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
