//! Accepting connections, sweeping their deadlines, and stopping.
//!
//! An error of accepting never ends the loop: out of descriptors it pauses and says so once. Stopping refuses nothing that
//! was accepted, by this process or by the kernel for it: go on for the shutdown delay (readiness fails meanwhile); take
//! what waits at a listener of our own and close it, or leave it to the next process at a listener that systemd keeps; let
//! handshakes, requests and answers under way finish for at most `limits::DRAIN_TIME_MAX`, and connections that stay quiet
//! for `limits::DRAIN_QUIET_TIME`; end. A second stop ends at once.

use crate::host::{clock, socket as socket_options};
use crate::limits;
use crate::serve::connection;
use crate::serve::server::Server;
use crate::serve::socket::ClientSocket;
use smol::channel::Receiver;
use smol::future::FutureExt;
use smol::{Async, LocalExecutor, Timer};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener, UnixStream};
use std::rc::Rc;
use std::time::Duration;

/// Where connections come from.
pub struct Entrance {
    server: Rc<Server>,
    executor: Rc<LocalExecutor<'static>>,
    listening: Listening,
}

/// A listener of either kind.
pub enum Listening {
    /// TCP.
    Tcp {
        /// The listener.
        listener: Async<TcpListener>,
        /// Another process goes on listening when this one ends.
        is_shared: bool,
    },
    /// The local socket.
    Local(Async<UnixListener>),
}

impl Listening {
    /// Watches a TCP listener.
    /// # Errors
    /// The operating system's refusal.
    pub fn tcp(listener: TcpListener, is_shared: bool) -> io::Result<Listening> {
        Ok(Listening::Tcp { listener: Async::new(listener)?, is_shared })
    }

    /// Watches the local socket.
    /// # Errors
    /// The operating system's refusal.
    pub fn local(listener: UnixListener) -> io::Result<Listening> {
        Ok(Listening::Local(Async::new(listener)?))
    }

    /// The next connection.
    async fn accept(&self) -> io::Result<(ClientSocket, IpAddr)> {
        match self {
            Listening::Tcp { listener, .. } => {
                listener.read_with(TcpListener::accept).await.and_then(from_tcp)
            }
            Listening::Local(listener) => listener.read_with(UnixListener::accept).await.and_then(from_local),
        }
    }

    /// A connection that the kernel holds already; an error when there is none.
    fn accept_held(&self) -> io::Result<(ClientSocket, IpAddr)> {
        match self {
            Listening::Tcp { listener, .. } => listener.get_ref().accept().and_then(from_tcp),
            Listening::Local(listener) => listener.get_ref().accept().and_then(from_local),
        }
    }
}

fn from_tcp((stream, address): (TcpStream, SocketAddr)) -> io::Result<(ClientSocket, IpAddr)> {
    // Answers go out in whole pieces; waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    Ok((ClientSocket::from(Async::new(stream)?), address.ip().to_canonical()))
}

/// All clients of the local socket count as one peer, by an address that no other has.
fn from_local((stream, _): (UnixStream, UnixAddress)) -> io::Result<(ClientSocket, IpAddr)> {
    // Here the listener's bound is not inherited; see `serve::run` for an error.
    let _ = socket_options::send_buffer(&stream, limits::SEND_BUFFER_LEN);
    Ok((ClientSocket::local(stream)?, Ipv4Addr::UNSPECIFIED.into()))
}

impl Entrance {
    /// Connections of this listener.
    pub fn new(server: Rc<Server>, executor: Rc<LocalExecutor<'static>>, listening: Listening) -> Entrance {
        Entrance { server, executor, listening }
    }

    /// Accepts connections until it is dropped.
    pub async fn accept(&self) {
        let mut failing = false;
        loop {
            match self.listening.accept().await {
                Ok((socket, peer)) => {
                    failing = false;
                    self.open(socket, peer);
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        log::error!(
                            "cannot accept connections: {error}; if it is too many open files, raise LimitNOFILE= or lower \
                             --max-connections"
                        );
                    }
                    Timer::after(limits::ACCEPT_PAUSE).await;
                }
            }
            // A flood of connections must not keep the open ones from being served.
            smol::future::yield_now().await;
        }
    }

    fn open(&self, socket: ClientSocket, peer: IpAddr) {
        let slot = self.server.slots.open(socket.clone(), peer, clock::mono());
        self.server.note_open();
        self.executor.spawn(connection::run(self.server.clone(), socket, slot)).detach();
    }

    /// Ends listening. The kernel has completed connections that nobody took yet: closing the last listener would reset
    /// them.
    pub fn close(&self) {
        if matches!(self.listening, Listening::Tcp { is_shared: true, .. }) {
            return;
        }
        for _ in 0..limits::BACKLOG_MAX {
            match self.listening.accept_held() {
                Ok((socket, peer)) => self.open(socket, peer),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => log::debug!("a connection ended: {error}"),
            }
        }
    }
}

/// Cuts connections over their deadline until the server stops; sleeps while there is none.
pub async fn sweep(server: Rc<Server>) {
    loop {
        match server.slots.sweep(clock::mono()) {
            Some(pause) => {
                Timer::after(pause).await;
            }
            None => server.until_open().await,
        }
    }
}

/// Waits for the stop and carries it out. `close` is called when the listeners must go.
pub async fn stop(server: Rc<Server>, signal: Receiver<()>, delay: Duration, close: impl FnOnce()) {
    let _ = signal.recv().await;
    let again = async {
        let _ = signal.recv().await;
    };
    let orderly = async {
        Timer::after(delay).await;
        close();
        server.begin_stop();
        server.slots.hasten(clock::mono(), limits::DRAIN_QUIET_TIME);
        drained(&server).or(drain_time()).await;
    };
    orderly.or(again).await;
    server.slots.cut_all();
}

async fn drained(server: &Server) {
    while server.slots.sweep(clock::mono()).is_some() {
        Timer::after(limits::DRAIN_CHECK_PERIOD).await;
    }
}

async fn drain_time() {
    Timer::after(limits::DRAIN_TIME_MAX).await;
}
