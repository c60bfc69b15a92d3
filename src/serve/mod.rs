//! The serving thread: listener, TLS, HTTP/1.1, and the way of a request through access and api.
//!
//! One thread, one executor, one task a connection; nothing here blocks but the short lock of the store. All of this
//! directory's state is this thread's own; other threads reach it through [`App`]'s shared parts and [`Stopper`].
//! Memory: at most `limits::CONNECTION_LEN` a connection, and `limits::HEAD_LEN_SHARED` for large heads together.

mod connection;
pub mod exchange;
pub mod http1;
pub mod inbox;
mod listener;
pub mod reply;
pub mod response;
mod room;
mod server;
mod slot;
mod slots;
pub mod socket;
mod transport;

pub use exchange::App;

pub use slots::SlotLimits;

use crate::host::socket as socket_options;
use crate::limits;
use crate::net::tls::ServerConfig;
use exchange::RequestHandler;
use listener::{Entrance, Listening};
use server::Server;
use slots::Slots;
use smol::LocalExecutor;
use smol::channel::{Receiver, Sender};
use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Where and how to serve.
pub struct Options {
    /// Bound listeners.
    pub listeners: Vec<TcpListener>,
    /// The listeners were passed by systemd, which goes on listening when this process ends.
    pub listeners_are_shared: bool,
    /// The local socket, served without TLS.
    pub local: Option<UnixListener>,
    /// From `net::tls::server_config`.
    pub tls: Arc<ServerConfig>,
    /// `--shutdown-delay-duration`.
    pub shutdown_delay: Duration,
    /// Connections at once.
    pub connections: SlotLimits,
}

/// Stops the server, from any thread.
#[derive(Clone, Debug)]
pub struct Stopper(Sender<()>);

impl Stopper {
    /// The first call begins an orderly stop, the second ends it at once.
    pub fn stop(&self) {
        let _ = self.0.try_send(());
    }
}

/// The receiving end of a [`Stopper`].
#[derive(Debug)]
pub struct StopSignal(Receiver<()>);

/// A pair to stop the server with.
#[must_use]
pub fn stop_signal() -> (Stopper, StopSignal) {
    let (sender, receiver) = smol::channel::bounded(2);
    (Stopper(sender), StopSignal(receiver))
}

/// Serves on the calling thread until it is stopped and drained.
/// # Errors
/// The operating system refuses to watch a listener; later errors are told in the log and do not end it.
pub fn run(options: Options, app: App, signal: StopSignal) -> io::Result<()> {
    let slots = Slots::new(options.connections, app.metrics.clone());
    let server = Rc::new(Server::new(RequestHandler::new(app), slots, options.tls));
    let executor = Rc::new(LocalExecutor::new());
    let mut entrances = Vec::new();
    let mut watch = |listening: io::Result<Listening>| {
        entrances.push(Rc::new(Entrance::new(server.clone(), executor.clone(), listening?)));
        io::Result::Ok(())
    };
    for listener in options.listeners {
        // Without the bound a slow reader costs kernel memory, nothing else; so a refusal is no reason to stop.
        let _ = socket_options::send_buffer(&listener, limits::SEND_BUFFER_LEN);
        watch(Listening::tcp(listener, options.listeners_are_shared))?;
    }
    if let Some(listener) = options.local {
        watch(Listening::local(listener))?;
    }
    let accept = |entrance: &Rc<Entrance>| {
        let entrance = entrance.clone();
        executor.spawn(async move { entrance.accept().await })
    };
    let accepting: Vec<_> = entrances.iter().map(accept).collect();
    executor.spawn(listener::sweep(server.clone())).detach();
    let delivering = server.clone();
    executor.spawn(async move { delivering.handler.deliver().await }).detach();
    let close = move || {
        // A dropped task is cancelled: nobody else accepts from here on.
        drop(accepting);
        entrances.iter().for_each(|entrance| entrance.close());
    };
    let stopped = listener::stop(server, signal.0, options.shutdown_delay, close);
    smol::block_on(executor.run(stopped));
    Ok(())
}

#[cfg(test)]
mod tests;
