//! A server for tests that answers with exactly the bytes a test wants: one thread, one connection at a time.

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What a script does with one request.
pub(crate) enum Reply {
    /// Sends these bytes and waits for the next request on the same connection.
    Keep(Vec<u8>),
    /// Sends these bytes and closes.
    Close(Vec<u8>),
    /// Sends these bytes, again and again until the peer has enough.
    Endless(Vec<u8>, Vec<u8>),
    /// Says nothing until the peer gives up.
    Silence,
}

/// A running fake server; it ends with the process.
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    /// Request heads (and bodies) in order, as text.
    pub(crate) seen: Arc<Mutex<Vec<String>>>,
    /// Connections accepted.
    pub(crate) connections: Arc<Mutex<usize>>,
}

impl Fake {
    /// Answers request number `n` (from 0) of text `head` with `script(n, head)`.
    pub(crate) fn start(script: impl FnMut(usize, &str) -> Reply + Send + 'static) -> Fake {
        Fake::serve(None, script)
    }

    pub(crate) fn tls(
        config: ServerConfig,
        script: impl FnMut(usize, &str) -> Reply + Send + 'static,
    ) -> Fake {
        Fake::serve(Some(Arc::new(config)), script)
    }

    fn serve(
        tls: Option<Arc<ServerConfig>>,
        mut script: impl FnMut(usize, &str) -> Reply + Send + 'static,
    ) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(Mutex::new(0));
        let (heads, accepted) = (seen.clone(), connections.clone());
        std::thread::spawn(move || {
            for tcp in listener.incoming() {
                *accepted.lock().unwrap() += 1;
                let tcp = tcp.unwrap();
                match &tls {
                    None => converse(tcp, &heads, &mut script),
                    Some(config) => {
                        let tls = ServerConnection::new(config.clone()).unwrap();
                        converse(StreamOwned::new(tls, tcp), &heads, &mut script);
                    }
                }
            }
        });
        Fake { address, seen, connections }
    }

    pub(crate) fn url(&self, scheme: &str, path: &str) -> String {
        format!("{scheme}://{}{path}", self.address)
    }

    pub(crate) fn heads(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn converse<S: Read + Write>(
    mut stream: S,
    heads: &Mutex<Vec<String>>,
    script: &mut impl FnMut(usize, &str) -> Reply,
) {
    while let Some(head) = request(&mut stream) {
        let n = {
            let mut heads = heads.lock().unwrap();
            heads.push(head.clone());
            heads.len() - 1
        };
        match script(n, &head) {
            Reply::Keep(bytes) => {
                if stream.write_all(&bytes).and_then(|()| stream.flush()).is_err() {
                    return;
                }
            }
            Reply::Close(bytes) => {
                let _ = stream.write_all(&bytes).and_then(|()| stream.flush());
                return;
            }
            Reply::Endless(head, again) => {
                if stream.write_all(&head).is_ok() && again.is_empty() {
                    // Until the peer gives up, without using the processor.
                    let _ = stream.read(&mut [0; 64]);
                } else {
                    while stream.write_all(&again).is_ok() {}
                }
                return;
            }
            Reply::Silence => {
                let _ = stream.read(&mut [0; 64]);
                return;
            }
        }
    }
}

/// Reads one request with its body.
fn request(stream: &mut impl Read) -> Option<String> {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        text.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&text).to_lowercase();
    let len =
        head.split("content-length: ").nth(1).and_then(|t| t.split("\r\n").next()?.parse().ok()).unwrap_or(0);
    let mut body = vec![0; len];
    stream.read_exact(&mut body).ok()?;
    text.extend(body);
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// An answer with a length.
pub(crate) fn answer(status: &str, body: &str) -> Vec<u8> {
    let kind = "Content-Type: text/plain";
    format!("HTTP/1.1 {status}\r\n{kind}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// A certificate authority for tests, and what it signs.
pub(crate) struct Authority {
    pub(crate) pem: String,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

/// A certificate with its key, in PEM.
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { pem, issuer: rcgen::Issuer::new(params, key) }
    }

    pub(crate) fn sign(&self, names: &[&str]) -> Pair {
        let key = rcgen::KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        let params = rcgen::CertificateParams::new(names).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Pair { certificate, key: key.serialize_pem() }
    }

    /// A server's TLS configuration; with `clients`, their certificates are required.
    pub(crate) fn server(&self, names: &[&str], clients: Option<&Authority>) -> ServerConfig {
        use rustls::pki_types::pem::PemObject;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = rustls::RootCertStore::empty();
                roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
                let verifier =
                    rustls::server::WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let pair = self.sign(names);
        let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
        builder.with_single_cert(vec![certificate], key).unwrap()
    }
}

/// A connection to `address`, for tests that speak by hand.
#[allow(dead_code)]
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).unwrap()
}
