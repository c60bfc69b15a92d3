//! What toplet says of itself at `/metrics`: the reference's six families, and our own.

use std::time::Duration;

/// Counters and histograms of this process; shared by all threads, updated without a lock where it is hot.
pub struct SelfMetrics {}

impl SelfMetrics {
    /// Nothing counted yet. `resolution` decides the tick buckets.
    #[must_use]
    pub fn new(_resolution: Duration) -> SelfMetrics {
        SelfMetrics {}
    }
    /// One scrape of a node ended, well (`None`) or with a reason.
    pub fn scrape(&self, _node: &str, _took: Duration, _ended_at: crate::units::UnixNanos, _error: Option<&'static str>) {}
    /// One round over all nodes ended.
    pub fn tick(&self, _took: Duration) {}
    /// An object was served whose last point is `age` old.
    pub fn freshness(&self, _age: Duration) {}
    /// Lines dropped while decoding, by reason.
    pub fn dropped(&self, _dropped: &crate::store::batch::Dropped) {}
    /// Keeps node-labelled series to the nodes of the inventory (names sorted).
    pub fn retain_nodes(&self, _nodes: &[&str]) {}
    /// A connection was accepted, refused at the cap, or closed.
    pub fn connection(&self, _change: ConnectionChange) {}
    /// A review was answered from the cache or asked of the API server.
    pub fn review(&self, _kind: &'static str, _outcome: &'static str) {}
}

/// What happened to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionChange {
    /// Accepted.
    Opened,
    /// Ended.
    Closed,
    /// Turned away at the cap.
    Refused,
    /// Cut by a deadline (handshake, head, write, idle).
    TimedOut,
}
