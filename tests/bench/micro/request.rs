//! One whole request and its answer through TLS, in memory: decrypted, read, admitted, answered, encoded and encrypted as the
//! serving thread does it, without its sockets. What the client does is not measured.

use crate::Row;
use crate::measure::Work;
use crate::world;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};
use std::cell::RefCell;
use std::io::{Read, Write};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use toplet::access::cache::Lifetimes;
use toplet::access::{Mode, Peer, Policy};
use toplet::api::Vitals;
use toplet::api::answer::{Body, Progress};
use toplet::cluster::authentication::{TrustSettings, TrustSource};
use toplet::host::clock;
use toplet::net::certificate::{CertificateOrigin, CertificateSettings, Certificates};
use toplet::net::self_signed::SigningAuthority;
use toplet::net::tls::{self, TlsSettings};
use toplet::serve::App;
use toplet::serve::exchange::RequestHandler;
use toplet::serve::http1;
use toplet::serve::response::{self, Frame, Meta};
use toplet::store::Store;

const ONE: &str = "namespaces/ns-00/pods/web-000-5fddb4c866-00000";

/// The operations.
pub const ALL: &[Row] = &[
    ("request through TLS: one pod, JSON", "toplet", "request", || request(ONE, "application/json")),
    ("request through TLS: 7,000 pods, protobuf", "toplet", "request", || {
        request("pods", "application/vnd.kubernetes.protobuf")
    }),
    ("request through TLS: 7,000 pods, JSON", "toplet", "request", || request("pods", "application/json")),
    ("encryption alone, records of 16 KiB", "ring through rustls", "record", encryption),
];

/// Both ends of a connection after its handshake.
struct Ends {
    client: ClientConnection,
    server: ServerConnection,
    /// What goes from one to the other.
    wire: Vec<u8>,
}

impl Ends {
    fn connected() -> Ends {
        let authority = SigningAuthority::generate(clock::wall()).unwrap();
        let issued = authority.issue(&["localhost".into()], clock::wall()).unwrap();
        let folder = std::env::temp_dir().join(format!("toplet-micro-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (certificate, key) = (folder.join("tls.crt"), folder.join("tls.key"));
        std::fs::write(&certificate, &issued.chain_pem).unwrap();
        std::fs::write(&key, &*issued.key_pem).unwrap();
        let origin = CertificateOrigin::Files(certificate, key);
        let settings = CertificateSettings { origin, ..CertificateSettings::default() };
        let certificates = Certificates::load(&settings, clock::wall()).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        let config = tls::server_config(&TlsSettings::default(), certificates).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
        let trusting =
            ClientConfig::builder_with_provider(tls::provider()).with_safe_default_protocol_versions();
        let trusting = Arc::new(trusting.unwrap().with_root_certificates(roots).with_no_client_auth());
        let client = ClientConnection::new(trusting, ServerName::try_from("localhost").unwrap()).unwrap();
        let mut ends = Ends { client, server: ServerConnection::new(config).unwrap(), wire: Vec::new() };
        while ends.client.is_handshaking() || ends.server.is_handshaking() || ends.client.wants_write() {
            ends.feed_server();
            ends.feed_client();
        }
        ends
    }

    fn feed_server(&mut self) {
        while self.client.wants_write() {
            self.client.write_tls(&mut self.wire).unwrap();
        }
        let mut rest = &*self.wire;
        while !rest.is_empty() {
            self.server.read_tls(&mut rest).unwrap();
            self.server.process_new_packets().unwrap();
        }
        self.wire.clear();
    }

    /// What the server has written, decrypted.
    fn feed_client(&mut self) -> Vec<u8> {
        while self.server.wants_write() {
            self.server.write_tls(&mut self.wire).unwrap();
        }
        let (mut rest, mut text) = (&*self.wire, Vec::new());
        while !rest.is_empty() {
            self.client.read_tls(&mut rest).unwrap();
            let state = self.client.process_new_packets().unwrap();
            let begin = text.len();
            text.resize(begin + state.plaintext_bytes_to_read(), 0);
            self.client.reader().read_exact(&mut text[begin..]).unwrap();
        }
        self.wire.clear();
        text
    }
}

fn app(store: Store) -> App {
    App {
        store: Arc::new(Mutex::new(store)),
        metrics: Arc::new(world::counters()),
        settings: world::settings(),
        authentication: Arc::new(TrustSource::new(TrustSettings::default(), None).unwrap()),
        policy: Policy { mode: Mode::HostAnonymous, ..Policy::default() },
        lifetimes: Lifetimes { token: Duration::ZERO, allowed: Duration::ZERO, denied: Duration::ZERO },
        ask: None,
        vitals: Box::new(|_| Vitals::default()),
        requests_max: 100,
        request_time_max: Duration::from_secs(60),
    }
}

/// Answers what has arrived at the server; gives the bytes of the answer before encryption.
fn serve(handler: &RequestHandler, ends: &mut Ends, inbox: &mut Vec<u8>, out: &mut Vec<u8>) -> usize {
    ends.server.process_new_packets().unwrap();
    inbox.clear();
    let mut piece = [0; 1_024];
    while let Ok(len) = ends.server.reader().read(&mut piece)
        && len > 0
    {
        inbox.extend_from_slice(&piece[..len]);
    }
    let end = http1::head_end(inbox, 0).unwrap();
    let parsed = http1::parse(&inbox[..end]).unwrap();
    let head = parsed.head();
    let meta = Meta::new(&head, parsed.framing.http11, parsed.framing.keep_alive);
    let mut peer = Peer::new(Vec::new());
    let (mut answer, under_way) = smol::future::block_on(handler.answer(&head, &mut peer));
    assert_eq!(answer.status, 200);
    let send = |ends: &mut Ends, bytes: &[u8]| {
        ends.server.writer().write_all(bytes).unwrap();
        while ends.server.wants_write() {
            ends.server.write_tls(&mut ends.wire).unwrap();
        }
        bytes.len()
    };
    out.clear();
    let mut len = 0;
    match std::mem::replace(&mut answer.body, Body::Static(&[])) {
        Body::List(mut list) => {
            let frame = list.len().map_or(Frame::Chunked, Frame::Length);
            response::head(&answer, &meta, frame, clock::wall(), out);
            loop {
                let store = handler.app().store.lock().unwrap();
                let progress = list.next(&store, &handler.app().metrics, out);
                drop(store);
                len += send(ends, out);
                out.clear();
                if progress == Progress::Done {
                    break;
                }
            }
        }
        body => {
            let bytes = match body {
                Body::Whole(bytes) => bytes,
                _ => Vec::new(),
            };
            response::head(&answer, &meta, Frame::Length(bytes.len()), clock::wall(), out);
            out.extend_from_slice(&bytes);
            len += send(ends, out);
        }
    }
    drop(under_way);
    len
}

fn request(target: &str, accept: &str) -> Work {
    let text = format!(
        "GET /apis/metrics.k8s.io/v1beta1/{target} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: kubectl/v1.36.0\r\n\
         Accept: {accept}\r\nAccept-Encoding: gzip\r\n\r\n"
    );
    let ends = Rc::new(RefCell::new(Ends::connected()));
    let client = ends.clone();
    // The answer to the last request is read, and the next request lies encrypted in the server's buffer.
    let prepare = move || {
        let ends = &mut *client.borrow_mut();
        ends.feed_client();
        ends.client.writer().write_all(text.as_bytes()).unwrap();
        while ends.client.wants_write() {
            ends.client.write_tls(&mut ends.wire).unwrap();
        }
        let mut rest = &*ends.wire;
        ends.server.read_tls(&mut rest).unwrap();
        assert!(rest.is_empty());
        ends.wire.clear();
    };
    let handler = RequestHandler::new(app(world::store()));
    let (mut inbox, mut out) = (Vec::new(), Vec::with_capacity(64 * 1024));
    let mut run = move || serve(&handler, &mut ends.borrow_mut(), &mut inbox, &mut out);
    prepare();
    let bytes = run();
    Work { bytes, items: 1, prepare: Box::new(prepare), run: Box::new(run) }
}

fn encryption() -> Work {
    const RECORDS: usize = 64;
    let ends = Rc::new(RefCell::new(Ends::connected()));
    let client = ends.clone();
    let piece = vec![b'x'; 16 * 1024];
    let run = move || {
        let ends = &mut *ends.borrow_mut();
        for _ in 0..RECORDS {
            ends.server.writer().write_all(&piece).unwrap();
            while ends.server.wants_write() {
                ends.server.write_tls(&mut ends.wire).unwrap();
            }
        }
        ends.wire.len()
    };
    let prepare = move || {
        client.borrow_mut().feed_client();
    };
    Work { bytes: RECORDS * 16 * 1024, items: RECORDS, prepare: Box::new(prepare), run: Box::new(run) }
}
