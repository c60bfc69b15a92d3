//! Idle connections of one remote host, kept for its next request.

use crate::host::clock;
use crate::limits;
use crate::lock::lock;
use crate::net::dial::Stream;
use std::io;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Instant;

/// Whom requests go to: its idle connections. Cloning shares them.
#[derive(Clone, Default)]
pub struct RemoteHost(Arc<Connections>);

#[derive(Default)]
struct Connections {
    idle: Mutex<Vec<Idle>>,
    /// Sockets of requests under way, for [`RemoteHost::stop`]; those that are closed leave at the next connect.
    live: Mutex<Vec<Weak<TcpStream>>>,
    stopped: AtomicBool,
    opened_count: AtomicU32,
}

/// A connection that waits for the next request.
pub(super) struct Idle {
    pub(super) stream: Stream,
    pub(super) authority: Box<str>,
    /// The name that was verified, as the request named it.
    pub(super) server_name: Box<str>,
    /// Of the certificates it was opened with.
    pub(super) generation: u64,
    pub(super) since: Instant,
}

impl RemoteHost {
    /// An idle connection to `authority`, verified under `server_name`, that still stands; others are closed.
    pub(super) fn take(&self, authority: &str, server_name: &str, generation: u64) -> Option<Stream> {
        let now = clock::mono();
        loop {
            let idle = lock(&self.0.idle).pop()?;
            let age = now.saturating_duration_since(idle.since);
            if *idle.authority == *authority
                && *idle.server_name == *server_name
                && idle.generation == generation
                && age < limits::IDLE_CONNECTION_AGE_MAX
                && idle.stream.is_idle()
            {
                return Some(idle.stream);
            }
        }
    }

    pub(super) fn keep(&self, idle: Idle) {
        let mut all = lock(&self.0.idle);
        if all.len() < limits::IDLE_CONNECTIONS_MAX && !self.is_stopped() {
            all.push(idle);
        }
    }

    /// Connections opened so far, wrapping: two equal readings mean that the same one is used still.
    #[must_use]
    pub fn opened_count(&self) -> u32 {
        self.0.opened_count.load(Ordering::Acquire)
    }

    pub(super) fn opened(&self, socket: &Arc<TcpStream>) -> io::Result<()> {
        self.0.opened_count.fetch_add(1, Ordering::AcqRel);
        let mut live = lock(&self.0.live);
        live.retain(|socket| socket.strong_count() > 0);
        live.push(Arc::downgrade(socket));
        if self.is_stopped() { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }

    /// Ends every request under way and refuses new ones: for the end of the process.
    pub fn stop(&self) {
        self.0.stopped.store(true, Ordering::Release);
        lock(&self.0.idle).clear();
        for socket in lock(&self.0.live).drain(..).filter_map(|socket| socket.upgrade()) {
            // A socket that is closed already needs no end.
            let _ = socket.shutdown(std::net::Shutdown::Both);
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.0.stopped.load(Ordering::Acquire)
    }
}
