//! Where batches come from: a kubelet, or this machine, also in place of its kubelet. Never mixed into one rate.

pub mod address;
mod body;
pub mod kubelet;
pub mod machine;
pub mod own_node;
pub mod remedy;

use crate::store::batch::{Batch, Dropped};
use crate::store::{Commit, Store, Target};
use crate::units::Uptime;
use std::borrow::Cow;

/// A completed reading of one node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Bytes read.
    pub len: u64,
    /// What decoding left out.
    pub dropped: Dropped,
    /// Why the node's kubelet could not be read, where this machine's own cgroups were read in its place.
    pub instead_of: Option<SourceError>,
}

/// Why a node could not be read: a counter label, one sentence with what was tried, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceError {
    /// One of a fixed set, for `toplet_scrape_errors_total{reason}`: `dns`, `refused`, `timeout`, `tls`, `unauthorized`,
    /// `forbidden`, `not_found`, `status`, `redirect`, `too_large`, `body`, `empty`, `scrape_error`,
    /// `no_address`, `io`.
    pub reason: &'static str,
    /// What happened, with the address tried.
    pub message: String,
    /// What to do.
    pub hint: Cow<'static, str>,
}

/// Reads one node into a batch, again and again, and keeps what makes that cheap.
pub trait Source: Send {
    /// Fills `batch` (calls `begin`, `feed` and `finish`).
    /// # Errors
    /// Why nothing could be read; the batch is then of no use.
    fn read(&mut self, target: &Target, batch: &mut Batch) -> Result<Reading, SourceError>;

    /// The address that answered last, as far as there is one.
    fn address(&self) -> Option<&str> {
        None
    }

    /// Puts the batch just read into the store. A source that takes over from another one has an earlier batch to put first.
    fn commit(&mut self, store: &mut Store, node: &str, batch: &Batch, at: Uptime) -> Commit {
        store.commit(node, batch, at)
    }
}
