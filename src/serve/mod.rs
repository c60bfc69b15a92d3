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
pub mod slots;
pub mod socket;

pub use exchange::App;

use crate::host::socket as socket_options;
use crate::limits;
use crate::net::tls::ServerConfig;
use exchange::RequestHandler;
use inbox::Allowance;
use slots::Slots;
use smol::channel::{Receiver, Sender};
use smol::{Async, LocalExecutor};
use std::cell::Cell;
use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Where and how to serve.
pub struct Options {
    /// Bound listeners.
    pub listeners: Vec<TcpListener>,
    /// From `net::tls::server_config`.
    pub tls: Arc<ServerConfig>,
    /// `--shutdown-delay-duration`.
    pub shutdown_delay: Duration,
    /// Connections at once; `limits::CONNECTIONS_MAX` unless a flag says otherwise.
    pub connections_max: usize,
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

/// What every task of the serving thread shares.
struct Server {
    handler: RequestHandler,
    slots: Slots,
    allowance: Allowance,
    tls: Arc<ServerConfig>,
    /// Told when a connection opens.
    opened: (Sender<()>, Receiver<()>),
    stopping: Cell<bool>,
}

impl Server {
    fn is_stopping(&self) -> bool {
        self.stopping.get()
    }
}

/// Serves on the calling thread until it is stopped and drained.
/// # Errors
/// The operating system refuses to watch a listener; later errors are told in the log and do not end it.
pub fn run(options: Options, app: App, signal: StopSignal) -> io::Result<()> {
    let listeners: io::Result<Vec<_>> = options.listeners.into_iter().map(watched).collect();
    let metrics = app.metrics.clone();
    let server = Rc::new(Server {
        handler: RequestHandler::new(app),
        slots: Slots::new(options.connections_max, metrics),
        allowance: Allowance::new(limits::HEAD_LEN_SHARED),
        tls: options.tls,
        opened: smol::channel::bounded(1),
        stopping: Cell::new(false),
    });
    let executor = Rc::new(LocalExecutor::new());
    let accepting: Vec<_> = listeners?
        .into_iter()
        .map(|listener| executor.spawn(listener::accept(server.clone(), executor.clone(), Rc::new(listener))))
        .collect();
    executor.spawn(listener::sweep(server.clone())).detach();
    let delivering = server.clone();
    executor.spawn(async move { delivering.handler.deliver().await }).detach();
    // A dropped task is cancelled, and its listener closed.
    let stopped = listener::stop(server, signal.0, options.shutdown_delay, move || drop(accepting));
    smol::block_on(executor.run(stopped));
    Ok(())
}

fn watched(listener: TcpListener) -> io::Result<Async<TcpListener>> {
    // Without the bound a slow reader costs kernel memory, nothing else; so a refusal is no reason to stop.
    let _ = socket_options::send_buffer(&listener, limits::SEND_BUFFER_LEN);
    Async::new(listener)
}

#[cfg(test)]
mod tests;
