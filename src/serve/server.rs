//! What every task of the serving thread shares.

use crate::limits;
use crate::net::tls::ServerConfig;
use crate::serve::exchange::RequestHandler;
use crate::serve::inbox::Allowance;
use crate::serve::slots::Slots;
use smol::channel::{Receiver, Sender};
use std::cell::Cell;
use std::sync::Arc;

/// Everything that connections share.
pub struct Server {
    /// Answers requests.
    pub handler: RequestHandler,
    /// The open connections.
    pub slots: Slots,
    /// Memory for large heads and answers.
    pub allowance: Allowance,
    /// For handshakes.
    pub tls: Arc<ServerConfig>,
    opened: (Sender<()>, Receiver<()>),
    stopping: Cell<bool>,
}

impl Server {
    /// Without connections.
    #[must_use]
    pub fn new(handler: RequestHandler, slots: Slots, tls: Arc<ServerConfig>) -> Server {
        Server {
            handler,
            slots,
            allowance: Allowance::new(limits::HEAD_LEN_SHARED),
            tls,
            opened: smol::channel::bounded(1),
            stopping: Cell::new(false),
        }
    }

    /// Whether requests may only be finished, not awaited.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    /// Begins to stop.
    pub fn begin_stop(&self) {
        self.stopping.set(true);
    }

    /// A connection was opened.
    pub fn note_open(&self) {
        // Full: the sweep is told already.
        let _ = self.opened.0.try_send(());
    }

    /// Waits for [`Server::note_open`].
    pub async fn until_open(&self) {
        // It cannot fail: the sender is beside it.
        let _ = self.opened.1.recv().await;
    }
}
