//! The sample table: the last two points of every node and container, and what the API server says exists.
//!
//! One `Store` lives behind one mutex. Writers are the watchers (inventory) and the poller (batches); readers walk it in
//! key order, a piece at a time, and hold the lock only for a piece. It knows nothing of HTTP, JSON or API objects, and
//! reads no clock.

#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

pub mod batch;
mod commit;
mod grouping;
mod history;
mod instances;
mod inventory;
mod labels;
mod large;
mod names;
mod owner;
mod pool;
mod pressure;
mod rate;
mod records;
mod restore;
mod room;
pub mod row;
mod rows;
mod slab;
pub mod snapshot;
mod walk;

use crate::units::{Bytes, Nanocores, UnixNanos, Window};
use crate::wire::allocatable::Allocatable;
use history::History;
pub use history::Recent;
use instances::Rejected;
use names::{NameId, Names};
pub use pressure::PodPressure;
use records::{Listing, Node, Pod};
use rows::Rows;
use slab::Slab;
use std::cmp::Ordering;

/// How much the store may ever hold; reserved as address space when the store is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Nodes, known or measured.
    pub nodes: u32,
    /// Pods, known or measured.
    pub pods: u32,
    /// Containers with points.
    pub containers: u32,
    /// Bytes of interned text: names, label sets, addresses.
    pub text_len: u32,
}

impl Capacity {
    /// Room for so many objects, and for the names and labels that go with them.
    #[must_use]
    pub fn of(nodes: u32, pods: u32, containers: u32) -> Capacity {
        use crate::limits::{CONTAINER_TEXT_LEN, NODE_TEXT_LEN, POD_TEXT_LEN};
        let sum = u64::from(nodes) * NODE_TEXT_LEN
            + u64::from(pods) * POD_TEXT_LEN
            + u64::from(containers) * CONTAINER_TEXT_LEN;
        // Offsets into the text are 32 bits wide.
        Capacity { nodes, pods, containers, text_len: u32::try_from(sum).unwrap_or(u32::MAX) }
    }

    /// Entries of the arena of names: namespace, name and label set of a pod (its node's name is one of a node); name,
    /// label set and addresses of a node; name of a container.
    fn name_count(self) -> usize {
        3 * (self.pods as usize + self.nodes as usize) + self.containers as usize
    }

    /// Bytes that a history of so many samples reserves.
    #[must_use]
    pub fn history_bytes(self, samples: u32) -> u64 {
        History::bytes(self.nodes, samples) + History::bytes(self.containers, samples)
    }

    /// What a store of this capacity reserves, by holder, in bytes. Pages count only once they are used.
    #[must_use]
    pub fn holders(self) -> [(&'static str, u64); 4] {
        let bytes = |count: u64, len: usize| count.saturating_mul(len as u64);
        [
            ("nodes", bytes(self.nodes.into(), Slab::<Node>::SLOT_LEN)),
            ("pods", bytes(self.pods.into(), Slab::<Pod>::SLOT_LEN)),
            ("container samples", bytes(self.containers.into(), Rows::ROW_LEN)),
            (
                "names and labels",
                bytes(self.name_count() as u64, Names::ENTRY_LEN) + u64::from(self.text_len),
            ),
        ]
    }
}

/// A node, a running pod: the store takes them as the wire decodes them.
pub use crate::wire::kube_objects::{NodeObject as NodeRecord, PodObject as PodRecord};

/// Which half of the inventory a list replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inventory {
    /// Nodes.
    Nodes,
    /// Running pods.
    Pods,
}

/// Something was not kept because a capacity is used up; counted, and said once by the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refused {
    /// More nodes than `Capacity::nodes`.
    Nodes,
    /// More pods than `Capacity::pods`.
    Pods,
    /// More containers than `Capacity::containers`.
    Containers,
    /// More text than `Capacity::text_len`.
    Text,
}

impl std::fmt::Display for Refused {
    /// Which table is full, and the flag that makes it larger.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Refused::Nodes => "the table of nodes is full; raise --max-nodes",
            Refused::Pods => "the table of pods is full; raise --max-pods",
            Refused::Containers => "the table of containers is full; raise --max-containers",
            Refused::Text => "the room for names and labels is full; raise --max-pods",
        })
    }
}

/// A node reported a pod of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The pod's namespace.
    pub namespace: Box<str>,
    /// Its name.
    pub pod: Box<str>,
    /// The node it belongs to, or belonged to until this commit.
    pub owner: Box<str>,
}

/// What a commit did, for the log and the self metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// The node point was kept.
    pub node: bool,
    /// Pods kept.
    pub pods: u32,
    /// Containers kept.
    pub containers: u32,
    /// Pods that belong, or belonged, to another node.
    pub claimed_pods: u32,
    /// The first of them.
    pub first_claim: Option<Claim>,
    /// Pods left out since the API server has not listed them and there were too many.
    pub unlisted_pods: u32,
    /// Pods left out since several instances of a container could not be told apart.
    pub ambiguous_pods: u32,
    /// Points without a rate since the kubelet's clock stepped.
    pub clock_steps: u32,
    /// Pods refused for lack of capacity.
    pub refused: u32,
    /// The first capacity that was used up.
    pub first_refusal: Option<Refused>,
    /// The node's own point advanced in time.
    pub node_advanced: bool,
}

/// Whether there is anything to serve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// At least one node has two points.
    pub nodes: bool,
    /// At least one pod has two points.
    pub pods: bool,
    /// The node inventory was listed once.
    pub nodes_synced: bool,
    /// The pod inventory was listed once.
    pub pods_synced: bool,
}

/// How full the store is, for the self metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Occupancy {
    /// Nodes held.
    pub nodes: u32,
    /// Pods held.
    pub pods: u32,
    /// Containers held.
    pub containers: u32,
    /// Bytes of interned text in use.
    pub text_len: u32,
    /// Nodes with two points (`metrics_server_storage_points{type="node"}`).
    pub node_points: u32,
    /// Containers with two points.
    pub container_points: u32,
    /// Nodes of lists and watches refused since the start.
    pub refused_nodes: u64,
    /// Pods refused since the start.
    pub refused_pods: u64,
}

/// Usage of a node or a container between its last two points; computed on read, never stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// CPU rate over the window.
    pub cpu: Nanocores,
    /// Memory working set at `at`.
    pub working_set: Bytes,
    /// Swap in use at `at`, when the kubelet reports it.
    pub swap: Option<Bytes>,
    /// Time of the last point.
    pub at: UnixNanos,
    /// Time between the two points.
    pub window: Window,
}

/// Labels of one object, sorted by key; iterate for `(key, value)`.
#[derive(Clone, Copy)]
pub struct Labels<'a> {
    names: &'a Names,
    id: NameId,
}

/// One node of the inventory.
#[derive(Clone, Copy)]
pub struct NodeView<'a> {
    /// Name.
    pub name: &'a str,
    /// Labels, sorted by key.
    pub labels: Labels<'a>,
    /// Usage; `None` until two points are there.
    pub usage: Option<Usage>,
    /// What it has for pods.
    pub allocatable: Allocatable,
    /// What it was read from; `None` without a point.
    pub source: Option<batch::BatchSource>,
    /// The last point; `None` without one.
    pub last: Option<row::Point>,
    /// The generation at which usage became servable; a list begun earlier leaves it out.
    pub served_since: u64,
}

/// One running pod of the inventory. Its texts are looked up when they are asked for: a list passes most pods over.
#[derive(Clone, Copy)]
pub struct PodView<'a> {
    store: &'a Store,
    pod: &'a Pod,
    /// Labels, sorted by key.
    pub labels: Labels<'a>,
    /// Usage; `None` unless every container has two points. May hold zero containers (all counters went back).
    pub usage: Option<PodUsage<'a>>,
    /// The last point of each of its containers.
    pub points: PodPoints<'a>,
    /// The generation at which usage became servable; a list begun earlier leaves it out.
    pub served_since: u64,
}

/// Usage of a pod; nothing is computed before it is asked for.
#[derive(Clone, Copy)]
pub struct PodUsage<'a> {
    pub(crate) store: &'a Store,
    pub(crate) head: u32,
}

/// The last points of a pod's containers.
#[derive(Clone, Copy)]
pub struct PodPoints<'a> {
    pub(crate) store: &'a Store,
    pub(crate) head: u32,
}

/// A node to scrape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Node name.
    pub name: String,
    /// `status.addresses` in order: type and address; after them the annotations that override them, under their own names.
    pub addresses: Vec<(String, String)>,
    /// Kubelet port of the node's status; 0 when absent.
    pub kubelet_port: u16,
    /// Path annotation; empty when absent.
    pub metrics_path: String,
    /// Condition `Ready` is `True`.
    pub ready: bool,
}

impl Target {
    /// The order of names; one function, so that sorting is compiled once.
    #[must_use]
    pub fn by_name(&self, other: &Target) -> Ordering {
        self.name.cmp(&other.name)
    }
}

/// The sample table and the inventory.
pub struct Store {
    names: Names,
    nodes: Slab<Node>,
    pods: Slab<Pod>,
    rows: Rows,
    node_history: History,
    resolution: Window,
    generation: u64,
    /// How long points of a node that cannot be scraped are kept.
    grace: Window,
    /// Marks the pods of the commit under way.
    commit_number: u32,
    node_listing: Listing,
    pod_listing: Listing,
    /// Nodes with two points.
    rated_nodes: u32,
    /// Pods that are listed.
    listed_count: u32,
    /// Where the search for a pod to evict goes on.
    evict_from: u32,
    rejected: Rejected,
    /// Points of an earlier run.
    restored: Option<snapshot::Snapshot>,
    /// Of this machine's pods, in order of namespace and name.
    pressures: Vec<PodPressure>,
    refused_nodes: u64,
    refused_pods: u64,
    /// Where label sets and addresses are put together before they are interned.
    scratch: String,
}

impl Store {
    /// An empty store. `resolution` bounds what counts as a fresh container.
    #[must_use]
    pub fn new(capacity: Capacity, resolution: Window) -> Store {
        let Capacity { nodes, pods, containers, text_len } = capacity;
        Store {
            names: Names::new(text_len, capacity.name_count()),
            nodes: Slab::new(nodes),
            pods: Slab::new(pods),
            rows: Rows::new(containers),
            node_history: History::default(),
            resolution,
            generation: 0,
            grace: Window(0),
            commit_number: 0,
            node_listing: Listing::default(),
            pod_listing: Listing::default(),
            rated_nodes: 0,
            listed_count: 0,
            evict_from: 0,
            rejected: Rejected::default(),
            restored: None,
            pressures: Vec::new(),
            refused_nodes: 0,
            refused_pods: 0,
            scratch: String::new(),
        }
    }

    /// Keeps points of a node that cannot be scraped for so long after its last commit.
    #[must_use]
    pub fn with_grace(self, grace: Window) -> Store {
        Store { grace, ..self }
    }

    /// Keeps so many samples of each node and container, one for each resolution; 0 keeps none.
    #[must_use]
    pub fn with_history(mut self, samples: u32) -> Store {
        let step = u32::try_from(self.resolution.0 / 100_000_000).unwrap_or(u32::MAX);
        self.node_history = History::new(self.nodes.capacity(), samples, step);
        self.rows.keep_history(samples, step);
        self
    }

    /// Begins a change. Never 0, which stands for "not served".
    fn change(&mut self) {
        self.generation += 1;
    }
}

#[cfg(test)]
mod tests;
