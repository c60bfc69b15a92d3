//! Accepting connections, sweeping their deadlines, and stopping.
//!
//! An error of accepting never ends the loop: out of descriptors it pauses and says so once. Stopping refuses nothing that
//! was accepted, by this process or by the kernel for it: go on for the shutdown delay (readiness fails meanwhile); take
//! what waits at a listener of our own and close it, or leave it to the next process at a listener that systemd keeps; let
//! handshakes, requests and answers under way finish for at most `limits::DRAIN_TIME_MAX`, and connections that stay quiet
//! for `limits::DRAIN_QUIET_TIME`; end. A second stop ends at once.

use crate::host::clock;
use crate::limits;
use crate::serve::connection;
use crate::serve::server::Server;
use crate::serve::socket::ClientSocket;
use smol::channel::Receiver;
use smol::future::FutureExt;
use smol::{Async, LocalExecutor, Timer};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::time::Duration;

/// Where connections come from.
pub struct Entrance {
    server: Rc<Server>,
    executor: Rc<LocalExecutor<'static>>,
    listener: Async<TcpListener>,
    /// Another process goes on listening when this one ends.
    is_shared: bool,
}

impl Entrance {
    /// Watches a listener.
    /// # Errors
    /// The operating system's refusal.
    pub fn new(
        server: Rc<Server>,
        executor: Rc<LocalExecutor<'static>>,
        listener: TcpListener,
        is_shared: bool,
    ) -> io::Result<Entrance> {
        Ok(Entrance { server, executor, listener: Async::new(listener)?, is_shared })
    }

    /// Accepts connections until it is dropped.
    pub async fn accept(&self) {
        let mut failing = false;
        loop {
            match self.listener.accept().await {
                Ok((stream, address)) => {
                    failing = false;
                    self.open(stream, address);
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

    fn open(&self, stream: Async<TcpStream>, address: SocketAddr) {
        // Answers go out in whole pieces; waiting for more to send would only delay them.
        let _ = stream.get_ref().set_nodelay(true);
        let socket = ClientSocket::from(stream);
        let slot = self.server.slots.open(socket.clone(), address.ip().to_canonical(), clock::mono());
        self.server.note_open();
        self.executor.spawn(connection::run(self.server.clone(), socket, slot)).detach();
    }

    /// Ends listening. The kernel has completed connections that nobody took yet: closing the last listener would reset
    /// them.
    pub fn close(&self) {
        if self.is_shared {
            return;
        }
        for _ in 0..limits::BACKLOG_MAX {
            let Ok((stream, address)) = self.listener.get_ref().accept() else { return };
            match Async::new(stream) {
                Ok(stream) => self.open(stream, address),
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
