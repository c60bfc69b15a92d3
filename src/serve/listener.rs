//! Accepting connections, sweeping their deadlines, and stopping.
//!
//! An error of accepting never ends the loop: out of descriptors it pauses and says so once. Stopping goes in the
//! order of metrics-server: go on for the shutdown delay (readiness fails meanwhile), accept no more, let answers under way
//! finish for at most `limits::DRAIN_TIME_MAX`, end. A second stop ends at once.

use crate::host::clock;
use crate::limits;
use crate::log_once::LogOnce;
use crate::serve::Server;
use crate::serve::connection;
use crate::serve::socket::ClientSocket;
use smol::channel::Receiver;
use smol::future::FutureExt;
use smol::{Async, LocalExecutor, Timer};
use std::net::TcpListener;
use std::rc::Rc;
use std::time::Duration;

/// Accepts connections until the server stops.
pub async fn accept(
    server: Rc<Server>,
    executor: Rc<LocalExecutor<'static>>,
    listener: Rc<Async<TcpListener>>,
) {
    let log = LogOnce::new();
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                log.recovered("accept", "connections are accepted again");
                // Answers go out in whole pieces; waiting for more to send would only delay them.
                let _ = stream.get_ref().set_nodelay(true);
                let socket = ClientSocket::from(stream);
                if let Some(slot) =
                    server.slots.open(socket.clone(), address.ip().to_canonical(), clock::mono())
                {
                    let _ = server.opened.0.try_send(());
                    executor.spawn(connection::run(server.clone(), socket, slot)).detach();
                }
            }
            Err(error) => {
                let message = format_args!(
                    "cannot accept connections: {error}; raise the limit of open files (LimitNOFILE) if it is that"
                );
                log.problem(log::Level::Error, "accept", error.kind(), message);
                Timer::after(limits::ACCEPT_PAUSE).await;
            }
        }
        // A flood of connections must not keep the open ones from being served.
        smol::future::yield_now().await;
    }
}

/// Cuts connections over their deadline until the server stops; sleeps while there is none.
pub async fn sweep(server: Rc<Server>) {
    loop {
        match server.slots.sweep(clock::mono()) {
            Some(pause) => {
                Timer::after(pause).await;
            }
            None => {
                if server.opened.1.recv().await.is_err() {
                    return;
                }
            }
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
        server.stopping.set(true);
        server.slots.cut_idle();
        drained(&server).or(patience()).await;
    };
    orderly.or(again).await;
    server.slots.cut_all();
}

async fn drained(server: &Server) {
    while !server.slots.is_empty() {
        Timer::after(limits::DRAIN_CHECK_PERIOD).await;
    }
}

async fn patience() {
    Timer::after(limits::DRAIN_TIME_MAX).await;
}
