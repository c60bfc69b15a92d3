//! What toplet counts of itself, for `/metrics`: metrics-server's six families, and our own.
//!
//! Counters of hot paths are atomics; what carries a node's name lives in one list behind a mutex that is taken once a
//! scrape. Memory: about 1 KiB when idle, and some 150 bytes for every node scraped, at most
//! `limits::SELF_METRICS_NODES_MAX` of them; nodes that leave the inventory are forgotten (metrics-server keeps them for
//! ever). The page itself is rendered piece by piece (`page.rs`). Refuses nothing: what finds no place counts in totals.

mod histogram;

use crate::limits;
use crate::lock::lock;
use crate::store::batch::Dropped;
use crate::store::{Capacity, Commit};
use crate::units::UnixNanos;
pub(crate) use histogram::Atomic;
use histogram::{Bounds, Plain};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

/// Counters and histograms of this process; shared by all threads, updated without a lock where it is hot.
pub struct Counters {
    pub(crate) ticks: Atomic,
    pub(crate) freshness: Atomic,
    pub(crate) scrapes_good: AtomicU64,
    pub(crate) scrapes_bad: AtomicU64,
    pub(crate) own_cgroup_readings: AtomicU64,
    pub(crate) nodes: Mutex<Vec<NodeSeries>>,
    /// Nodes whose last scrape failed: the reason, and a sentence while few nodes fail.
    pub(crate) failing: Mutex<BTreeMap<Box<str>, Failing>>,
    pub(crate) dropped: [AtomicU64; DROPPED.len()],
    pub(crate) connections_opened: AtomicU64,
    pub(crate) connections_closed: AtomicU64,
    pub(crate) connections_refused: AtomicU64,
    pub(crate) connections_timed_out: AtomicU64,
    pub(crate) reviews: Mutex<Vec<(&'static str, &'static str, u64)>>,
    pub(crate) capacity: OnceLock<Capacity>,
}

/// Why something of a scrape was left out, as a label: four reasons of decoding, then four of commits.
pub(crate) const DROPPED: [&str; 8] = [
    "bad_line",
    "incomplete_node",
    "incomplete_pod",
    "repeated_container",
    "ambiguous_pod",
    "claimed_pod",
    "clock_step",
    "unlisted_pod",
];

/// Why a scrape failed: the reason, and a sentence.
pub type Failing = (&'static str, Option<Box<str>>);

/// What is known of one node's scrapes.
pub(crate) struct NodeSeries {
    pub(crate) name: Box<str>,
    pub(crate) took: Plain,
    /// Whole seconds since the epoch.
    pub(crate) last_at: i64,
    pub(crate) errors: Vec<(&'static str, u64)>,
    /// How long the last one took, in milliseconds.
    pub(crate) last_took: u32,
    /// The address that answered last; empty for none.
    pub(crate) address: Box<str>,
}

/// The last scrape of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastScrape {
    /// How long it took; `None` before the first.
    pub took: Option<Duration>,
    /// The address that answered last, if one did.
    pub address: Option<Box<str>>,
    /// Why it failed, if it did: the reason, and a sentence while few nodes fail.
    pub failure: Option<Failing>,
}

impl Counters {
    /// Nothing counted yet. `resolution` decides the tick buckets.
    #[must_use]
    pub fn new(resolution: Duration) -> Counters {
        Counters {
            ticks: Atomic::new(Bounds::tick(resolution)),
            freshness: Atomic::new(Bounds::freshness()),
            scrapes_good: AtomicU64::new(0),
            scrapes_bad: AtomicU64::new(0),
            own_cgroup_readings: AtomicU64::new(0),
            nodes: Mutex::new(Vec::new()),
            failing: Mutex::new(BTreeMap::new()),
            dropped: [const { AtomicU64::new(0) }; DROPPED.len()],
            connections_opened: AtomicU64::new(0),
            connections_closed: AtomicU64::new(0),
            connections_refused: AtomicU64::new(0),
            connections_timed_out: AtomicU64::new(0),
            reviews: Mutex::new(Vec::new()),
            capacity: OnceLock::new(),
        }
    }

    /// Says how much the store may hold; the capacity series are left out until then. Only the first call counts.
    pub fn capacity(&self, capacity: Capacity) {
        let _ = self.capacity.set(capacity);
    }

    /// One scrape of a node ended, well (`None`) or with a reason.
    pub fn scrape(&self, node: &str, took: Duration, ended_at: UnixNanos, error: Option<&'static str>) {
        let total = if error.is_none() { &self.scrapes_good } else { &self.scrapes_bad };
        total.fetch_add(1, Relaxed);
        let mut nodes = lock(&self.nodes);
        let index = match nodes.binary_search_by(|series| (*series.name).cmp(node)) {
            Ok(index) => index,
            Err(_)
                if nodes.len() >= limits::SELF_METRICS_NODES_MAX
                    || node.len() > limits::NODE_NAME_LEN_MAX =>
            {
                return;
            }
            Err(index) => {
                let name = node.into();
                nodes.insert(
                    index,
                    NodeSeries {
                        name,
                        took: Plain::default(),
                        last_at: 0,
                        errors: Vec::new(),
                        last_took: 0,
                        address: Box::default(),
                    },
                );
                index
            }
        };
        if let Some(series) = nodes.get_mut(index) {
            series.took.observe(took);
            series.last_at = ended_at.seconds();
            series.last_took = u32::try_from(took.as_millis()).unwrap_or(u32::MAX);
            if let Some(reason) = error {
                if let Some((_, count)) = series.errors.iter_mut().find(|(known, _)| *known == reason) {
                    *count += 1;
                } else if series.errors.len() < limits::SELF_METRICS_REASONS_MAX {
                    series.errors.push((reason, 1));
                }
            }
        }
    }

    /// The address at which a node was read; empty for none.
    pub fn address(&self, node: &str, address: &str) {
        let mut nodes = lock(&self.nodes);
        if let Ok(index) = nodes.binary_search_by(|series| (*series.name).cmp(node))
            && let Some(series) = nodes.get_mut(index)
            && *series.address != *address
        {
            series.address = address.into();
        }
    }

    /// Whether the last scrape of a node failed.
    #[must_use]
    pub fn is_failing(&self, node: &str) -> bool {
        lock(&self.failing).contains_key(node)
    }

    /// What is known of the last scrape of a node.
    #[must_use]
    pub fn last_scrape(&self, node: &str) -> LastScrape {
        let failure = lock(&self.failing).get(node).cloned();
        let nodes = lock(&self.nodes);
        let found = nodes.binary_search_by(|series| (*series.name).cmp(node)).ok();
        let series = found.and_then(|index| nodes.get(index));
        LastScrape {
            took: series.map(|series| Duration::from_millis(series.last_took.into())),
            address: series.map(|series| series.address.clone()).filter(|address| !address.is_empty()),
            failure,
        }
    }

    /// Keeps why the last scrape of a node failed: reason and sentence; `None` when it did not.
    pub fn explain(&self, node: &str, failure: Option<(&'static str, String)>) {
        let mut failing = lock(&self.failing);
        failing.remove(node);
        let Some((reason, sentence)) = failure else { return };
        if failing.len() >= limits::SELF_METRICS_NODES_MAX || node.len() > limits::NODE_NAME_LEN_MAX {
            return;
        }
        let explained = failing.values().filter(|(_, sentence)| sentence.is_some()).count();
        let cut = || sentence.chars().take(limits::EXPLAINED_LEN_MAX).collect::<String>().into();
        failing.insert(node.into(), (reason, (explained < limits::EXPLAINED_NODES_MAX).then(cut)));
    }

    /// This machine's own cgroups were read in place of its kubelet.
    pub fn own_cgroup_reading(&self) {
        self.own_cgroup_readings.fetch_add(1, Relaxed);
    }

    /// One round over all nodes ended.
    pub fn tick(&self, took: Duration) {
        self.ticks.observe(took);
    }

    /// An object was served whose last point is `age` old.
    pub fn freshness(&self, age: Duration) {
        self.freshness.observe(age);
    }

    /// What decoding left out of a body.
    pub fn decoded(&self, dropped: &Dropped) {
        let Dropped { bad_lines, incomplete_node, incomplete_pods, repeated_containers, .. } = *dropped;
        self.add_dropped(0, [bad_lines, incomplete_node.into(), incomplete_pods, repeated_containers]);
    }

    /// What a commit left out.
    pub fn committed(&self, commit: &Commit) {
        let Commit { ambiguous_pods, claimed_pods, clock_steps, unlisted_pods, .. } = *commit;
        self.add_dropped(4, [ambiguous_pods, claimed_pods, clock_steps, unlisted_pods]);
    }

    fn add_dropped(&self, first: usize, counts: [u32; 4]) {
        for (total, count) in self.dropped.iter().skip(first).zip(counts) {
            total.fetch_add(count.into(), Relaxed);
        }
    }

    /// Keeps node-labelled series to the nodes of the inventory (names sorted).
    pub fn retain_nodes(&self, nodes: &[&str]) {
        lock(&self.failing).retain(|name, _| nodes.binary_search(&&**name).is_ok());
        let mut known = lock(&self.nodes);
        known.retain(|series| nodes.binary_search(&&*series.name).is_ok());
        if known.capacity() > 2 * known.len() + 16 {
            known.shrink_to_fit();
        }
    }

    /// A connection was accepted, refused at the cap, or closed.
    pub fn connection(&self, change: ConnectionChange) {
        let count = match change {
            ConnectionChange::Opened => &self.connections_opened,
            ConnectionChange::Closed => &self.connections_closed,
            ConnectionChange::Refused => &self.connections_refused,
            ConnectionChange::TimedOut => &self.connections_timed_out,
        };
        count.fetch_add(1, Relaxed);
    }

    /// A review was answered from the cache or asked of the API server.
    pub fn review(&self, kind: &'static str, outcome: &'static str) {
        let mut reviews = lock(&self.reviews);
        if let Some((.., count)) = reviews.iter_mut().find(|(k, o, _)| (*k, *o) == (kind, outcome)) {
            *count += 1;
        } else if reviews.len() < limits::SELF_METRICS_REASONS_MAX {
            reviews.push((kind, outcome, 1));
        }
    }
}

/// What happened to a connection. One that timed out ends with `Closed` like any other.
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
