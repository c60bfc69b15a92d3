//! A small HTTPS client: exact bytes out, whole answers in, with or without a client certificate.

use super::certs::Leaf;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// Asks one server, by default on a new connection each time.
#[derive(Clone)]
pub struct Client {
    port: u16,
    /// Where the server is asked.
    pub address: IpAddr,
    config: Arc<ClientConfig>,
    /// Sent with every request.
    pub headers: Vec<(String, String)>,
}

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// One answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A connection that is kept.
pub struct Connection {
    stream: StreamOwned<ClientConnection, TcpStream>,
    buffer: Vec<u8>,
}

impl Client {
    pub fn new(port: u16) -> Client {
        Client {
            port,
            address: LOOPBACK,
            config: Arc::new(builder().with_no_client_auth()),
            headers: Vec::new(),
        }
    }

    /// Shows a certificate, whatever it is worth.
    pub fn with_cert(port: u16, leaf: &Leaf) -> Client {
        let key = ring::default_provider().key_provider.load_private_key(leaf.key()).unwrap();
        let shown = SingleCertAndKey::from(CertifiedKey::new(leaf.chain(), key));
        let config = builder().with_client_cert_resolver(Arc::new(shown));
        Client { port, address: LOOPBACK, config: Arc::new(config), headers: Vec::new() }
    }

    /// Speaks TLS 1.2, and shows a certificate or none.
    pub fn with_tls12(port: u16, leaf: Option<&Leaf>) -> Client {
        let builder = builder_for(&[&rustls::version::TLS12]);
        let mut config = match leaf {
            Some(leaf) => builder.with_client_auth_cert(leaf.chain(), leaf.key()).unwrap(),
            None => builder.with_no_client_auth(),
        };
        config.enable_secret_extraction = true;
        Client { port, address: LOOPBACK, config: Arc::new(config), headers: Vec::new() }
    }

    /// Believes only servers with a certificate of this authority.
    pub fn believing(port: u16, ca_pem: &str) -> Client {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Client { port, address: LOOPBACK, config: Arc::new(config), headers: Vec::new() }
    }

    /// Adds a header to every request.
    pub fn header(mut self, name: &str, value: &str) -> Client {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn get(&self, path: &str) -> io::Result<Answer> {
        self.request("GET", path, &[])
    }

    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> io::Result<Answer> {
        let mut connection = self.connect()?;
        connection.send(&self.head(method, path, headers))?;
        connection.read_answer(method)
    }

    /// The bytes of a request head.
    pub fn head(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: localhost:{}\r\n", self.port);
        for (name, value) in
            self.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).chain(headers.iter().copied())
        {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        text.into_bytes()
    }

    pub fn connect(&self) -> io::Result<Connection> {
        self.connect_as("localhost")
    }

    /// Connects to the server under this name.
    pub fn connect_as(&self, name: &str) -> io::Result<Connection> {
        self.connect_over(TcpStream::connect((self.address, self.port))?, name)
    }

    /// Begins TLS on a TCP connection.
    pub fn connect_over(&self, socket: TcpStream, name: &str) -> io::Result<Connection> {
        socket.set_read_timeout(Some(Duration::from_secs(20)))?;
        socket.set_write_timeout(Some(Duration::from_secs(20)))?;
        let name = ServerName::try_from(name.to_string()).unwrap();
        let session = ClientConnection::new(self.config.clone(), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(session, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Connection { stream, buffer: Vec::new() })
    }
}

impl Connection {
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Sends no more, and still reads.
    pub fn half_close(&mut self) -> io::Result<()> {
        self.stream.sock.shutdown(std::net::Shutdown::Write)
    }

    /// The TLS session and the socket below it.
    pub fn into_parts(self) -> (ClientConnection, TcpStream) {
        self.stream.into_parts()
    }

    /// Whether an earlier session was resumed.
    pub fn resumed(&self) -> bool {
        self.stream.conn.handshake_kind() == Some(rustls::HandshakeKind::Resumed)
    }

    /// The server's certificate, DER.
    pub fn server_certificate(&self) -> Vec<u8> {
        self.stream.conn.peer_certificates().unwrap()[0].to_vec()
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut piece = [0; 16 * 1024];
        let n = self.stream.read(&mut piece)?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.buffer.extend_from_slice(&piece[..n]);
        Ok(())
    }

    fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|&b| b == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_string());
            }
            self.fill()?;
        }
    }

    fn take(&mut self, len: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < len {
            self.fill()?;
        }
        Ok(self.buffer.drain(..len).collect())
    }

    pub fn read_answer(&mut self, method: &str) -> io::Result<Answer> {
        let line = self.line()?;
        let status = line
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .ok_or_else(|| io::Error::other(line))?;
        let mut answer = Answer { status, headers: Vec::new(), body: Vec::new() };
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| io::Error::other(line.clone()))?;
            answer.headers.push((name.to_string(), value.trim().to_string()));
        }
        if method == "HEAD" || status == 304 || status == 204 {
            return Ok(answer);
        }
        if answer.header("transfer-encoding") == Some("chunked") {
            loop {
                let len = usize::from_str_radix(&self.line()?, 16).map_err(io::Error::other)?;
                let piece = self.take(len)?;
                self.line()?;
                if len == 0 {
                    return Ok(answer);
                }
                answer.body.extend(piece);
            }
        }
        let len = answer.header("content-length").and_then(|len| len.parse().ok());
        answer.body = match len {
            Some(len) => self.take(len)?,
            None => {
                while self.fill().is_ok() {}
                std::mem::take(&mut self.buffer)
            }
        };
        Ok(answer)
    }

    /// True when the server has closed the connection.
    pub fn closed(&mut self) -> bool {
        self.buffer.is_empty() && self.fill().is_err()
    }
}

fn builder() -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    builder_for(rustls::DEFAULT_VERSIONS)
}

fn builder_for(
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    let provider = Arc::new(ring::default_provider());
    ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer(provider)))
}

/// Takes every server's certificate, as `curl -k` does: tests ask on loopback.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
