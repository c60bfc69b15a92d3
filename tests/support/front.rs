//! The sockets in front of a fake: a relay that ends TLS where asked and can cut every connection at once.
//!
//! tiny_http keeps connections to itself; behind a relay a test can do what a restarting server does to its clients.

use futures_rustls::TlsAcceptor;
use smol::future::FutureExt as _;
use smol::net::{TcpListener, TcpStream};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A listening relay; dropping it closes the port and every connection.
pub struct Front {
    /// Where clients connect.
    pub address: SocketAddr,
    /// Connections accepted so far, over every restart.
    pub accepted: Arc<AtomicUsize>,
    backend: SocketAddr,
    tls: Option<Arc<rustls::ServerConfig>>,
    running: Option<(smol::channel::Sender<()>, std::thread::JoinHandle<()>)>,
}

impl Front {
    /// Listens on loopback, on a port the system picks.
    pub fn new(backend: SocketAddr, tls: Option<rustls::ServerConfig>) -> Front {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut front = Front {
            address: nowhere,
            accepted: Arc::default(),
            backend,
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
        }
    }

    /// Listens again where it listened before.
    pub fn resume(&mut self) {
        let listener = std::net::TcpListener::bind(self.address).unwrap();
        self.address = listener.local_addr().unwrap();
        let (stop, stopped) = smol::channel::bounded::<()>(1);
        let (backend, tls, accepted) = (self.backend, self.tls.clone(), self.accepted.clone());
        let thread = std::thread::spawn(move || {
            let executor = smol::LocalExecutor::new();
            let listen = async {
                let listener = TcpListener::try_from(listener).unwrap();
                loop {
                    if let Ok((client, _)) = listener.accept().await {
                        accepted.fetch_add(1, Ordering::SeqCst);
                        executor.spawn(relay(client, backend, tls.clone())).detach();
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

async fn relay(client: TcpStream, backend: SocketAddr, tls: Option<Arc<rustls::ServerConfig>>) {
    let Ok(server) = TcpStream::connect(backend).await else { return };
    match tls {
        None => both_ways(client.clone(), client, server).await,
        Some(config) => {
            if let Ok(stream) = TlsAcceptor::from(config).accept(client).await {
                let (reader, writer) = smol::io::split(stream);
                both_ways(reader, writer, server).await;
            }
        }
    }
}

async fn both_ways(
    reader: impl smol::io::AsyncRead + Unpin,
    writer: impl smol::io::AsyncWrite + Unpin,
    server: TcpStream,
) {
    let up = smol::io::copy(reader, server.clone());
    let down = smol::io::copy(server, writer);
    let _ = up.or(down).await;
}
