//! The serving thread over real TLS on loopback, with answers of the tests' own. Here is what the tests share.

mod crowds;
mod framing;
mod handshakes;
mod stopping;

use super::*;
use crate::access::Policy;
use crate::access::cache::Lifetimes;
use crate::api::answer::{Answer, Body, Pieces, Progress};
use crate::api::{Settings, Vitals};
use crate::cluster::authentication::{TrustSettings, TrustSource};
use crate::counters::Counters;
use crate::host::clock;
use crate::net::certificate::{CertificateSettings, Certificates};
use crate::net::self_signed::SigningAuthority;
use crate::net::server_verifier::ServerVerifier;
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
                listeners_are_shared: false,
                local: None,
                tls: tls::server_config(&TlsSettings::default(), certificates).unwrap(),
                shutdown_delay: Duration::ZERO,
                connections: SlotLimits { places: connections_max, silent: 1_000 },
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
            ..Settings::default()
        },
        authentication: Arc::new(TrustSource::new(TrustSettings::default(), None).unwrap()),
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
    fn prepare(&mut self, _: &Store, _: &Counters) -> bool {
        true
    }
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
        .with_custom_certificate_verifier(Arc::new(ServerVerifier::any()))
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
