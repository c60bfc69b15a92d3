//! The sockets in front of a fake: a relay that ends TLS where asked and can cut every connection at once.
//!
//! tiny_http keeps connections to itself; behind a relay a test can do what a restarting server does to its clients.
//! Its thread pool may queue a connection behind one that never ends, as a watch, so each connection has a server of its
//! own.

use super::toplet::free_port;
use super::{PATIENCE, eventually};
use futures_rustls::TlsAcceptor;
use smol::future::FutureExt as _;
use smol::net::{TcpListener, TcpStream};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// Answers one request, on a thread of its own.
pub type Handler = Arc<dyn Fn(tiny_http::Request) + Send + Sync>;

/// A listening relay; dropping it closes the port and every connection.
pub struct Front {
    /// Where clients connect.
    pub address: SocketAddr,
    /// Connections accepted so far, over every restart.
    pub accepted: Arc<AtomicUsize>,
    /// Connections are closed as soon as they are accepted.
    pub resets: Arc<AtomicBool>,
    /// Bytes after which a new connection breaks.
    pub breaks_after: Arc<AtomicU64>,
    handler: Handler,
    tls: Option<Arc<rustls::ServerConfig>>,
    running: Option<(smol::channel::Sender<()>, std::thread::JoinHandle<()>)>,
}

impl Front {
    /// Listens on loopback, on a port the system picks.
    pub fn new(handler: Handler, tls: Option<rustls::ServerConfig>) -> Front {
        // Not one that the system picks: after a cut somebody else could have it.
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut front = Front {
            address,
            accepted: Arc::default(),
            resets: Arc::default(),
            breaks_after: Arc::new(AtomicU64::new(u64::MAX)),
            handler,
            tls: tls.map(Arc::new),
            running: None,
        };
        front.resume();
        front
    }

    /// Closes the port and every connection; clients see what a stopped process leaves.
    pub fn cut(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            drop(stop);
            thread.join().unwrap();
            // A child process between its start and exec still has the listener, and the kernel connects for it.
            eventually("the port is closed", PATIENCE, || std::net::TcpStream::connect(self.address).err());
        }
    }

    /// Speaks TLS in another way after the next [`Front::resume`].
    pub fn set_tls(&mut self, tls: rustls::ServerConfig) {
        self.tls = Some(Arc::new(tls));
    }

    /// Listens again where it listened before.
    pub fn resume(&mut self) {
        // A child process may still have the listener that looked whether the port is free.
        let listener =
            eventually("the port is free", PATIENCE, || std::net::TcpListener::bind(self.address).ok());
        let (stop, stopped) = smol::channel::bounded::<()>(1);
        let (handler, tls, accepted) = (self.handler.clone(), self.tls.clone(), self.accepted.clone());
        let (resets, breaks_after) = (self.resets.clone(), self.breaks_after.clone());
        let thread = std::thread::spawn(move || {
            let executor = smol::LocalExecutor::new();
            let listen = async {
                let listener = TcpListener::try_from(listener).unwrap();
                loop {
                    if let Ok((client, _)) = listener.accept().await {
                        accepted.fetch_add(1, Ordering::SeqCst);
                        if !resets.load(Ordering::SeqCst) {
                            let len = breaks_after.load(Ordering::SeqCst);
                            executor.spawn(relay(client, handler.clone(), tls.clone(), len)).detach();
                        }
                    }
                }
            };
            let until = async {
                let _ = stopped.recv().await;
            };
            smol::block_on(executor.run(listen.or(until)));
        });
        self.running = Some((stop, thread));
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.cut();
    }
}

async fn relay(client: TcpStream, handler: Handler, tls: Option<Arc<rustls::ServerConfig>>, len: u64) {
    let backend = Backend::start(handler);
    let Ok(server) = TcpStream::connect(backend.address()).await else { return };
    match tls {
        None => both_ways(client.clone(), client, server, len).await,
        Some(config) => {
            if let Ok(stream) = TlsAcceptor::from(config).accept(client).await {
                let (reader, writer) = smol::io::split(stream);
                both_ways(reader, writer, server, len).await;
            }
        }
    }
}

/// The server of one connection; it ends with it.
struct Backend(Arc<tiny_http::Server>);

impl Backend {
    fn start(handler: Handler) -> Backend {
        let server = Arc::new(tiny_http::Server::http("127.0.0.1:0").unwrap());
        let requests = server.clone();
        std::thread::spawn(move || {
            for request in requests.incoming_requests() {
                let handler = handler.clone();
                std::thread::spawn(move || handler(request));
            }
        });
        Backend(server)
    }

    fn address(&self) -> SocketAddr {
        self.0.server_addr().to_ip().unwrap()
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.0.unblock();
    }
}

async fn both_ways(
    reader: impl smol::io::AsyncRead + Unpin,
    writer: impl smol::io::AsyncWrite + Unpin,
    server: TcpStream,
    len: u64,
) {
    use smol::io::AsyncReadExt as _;
    let up = smol::io::copy(reader, server.clone());
    let down = smol::io::copy(server.take(len), writer);
    let _ = up.or(down).await;
}
