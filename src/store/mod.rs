//! The sample table: the last two points of every node and container, and what the API server says exists.
//!
//! One `Store` lives behind one mutex. Writers are the watchers (inventory) and the poller (batches); readers walk it in
//! key order, a piece at a time, and hold the lock only for a piece. It knows nothing of HTTP, JSON or API objects, and
//! reads no clock.

pub mod batch;
pub mod source;

use crate::units::{Bytes, Nanocores, UnixNanos, Window};
use batch::Batch;

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

/// A node, a running pod: the store takes them as the wire decodes them.
pub use crate::wire::kube_objects::{NodeObject as NodeRecord, PodObject as PodRecord};

/// Which half of the inventory a list replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nodes.
    Nodes,
    /// Running pods.
    Pods,
}

/// Something was not kept because a capacity is used up; counted, and said once by the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// What a commit did, for the log and the self metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// The node point was kept.
    pub node: bool,
    /// Pods kept.
    pub pods: u32,
    /// Containers kept.
    pub containers: u32,
    /// Pods that another node reported in its own last batch already.
    pub duplicate_pods: u32,
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
#[derive(Clone, Copy, Debug)]
pub struct Labels<'a> {
    pub(crate) text: &'a [u8],
}

/// One node of the inventory.
#[derive(Clone, Copy, Debug)]
pub struct NodeView<'a> {
    /// Name.
    pub name: &'a str,
    /// Labels, sorted by key.
    pub labels: Labels<'a>,
    /// Usage; `None` until two points are there.
    pub usage: Option<Usage>,
    /// The generation at which usage became servable; a list begun earlier leaves it out.
    pub served_since: u32,
}

/// One running pod of the inventory.
#[derive(Clone, Copy)]
pub struct PodView<'a> {
    /// Namespace.
    pub namespace: &'a str,
    /// Name.
    pub name: &'a str,
    /// Labels, sorted by key.
    pub labels: Labels<'a>,
    /// The node whose kubelet reported the pod, if any did.
    pub node: Option<&'a str>,
    /// Usage; `None` unless every container has two points. May hold zero containers (all counters went back).
    pub usage: Option<PodUsage<'a>>,
    /// The generation at which usage became servable; a list begun earlier leaves it out.
    pub served_since: u32,
}

/// Usage of a pod: time and window of the container with the earliest last point.
#[derive(Clone, Copy)]
pub struct PodUsage<'a> {
    /// Time of the earliest container's last point; `None` with zero containers.
    pub at: Option<UnixNanos>,
    /// That container's window; zero with zero containers.
    pub window: Window,
    pub(crate) store: &'a Store,
    pub(crate) head: u32,
}

/// A node to scrape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Node name.
    pub name: String,
    /// `status.addresses` in order: type and address.
    pub addresses: Vec<(String, String)>,
    /// Kubelet port of the node's status; 0 when absent.
    pub kubelet_port: u16,
    /// Path annotation; empty when absent.
    pub metrics_path: String,
    /// Condition `Ready` is `True`.
    pub ready: bool,
}

/// The sample table and the inventory.
pub struct Store {}

impl Store {
    /// An empty store. `resolution` bounds what counts as a fresh container.
    #[must_use]
    pub fn new(_capacity: Capacity, _resolution: Window) -> Store {
        todo!()
    }

    // ---- inventory (the watchers) ----

    /// Starts a full list of one kind: what is not upserted until [`Store::end_list`] is removed then.
    pub fn begin_list(&mut self, _kind: Kind) {
        todo!()
    }
    /// Ends a full list; marks the kind as synced.
    pub fn end_list(&mut self, _kind: Kind) {
        todo!()
    }
    /// Adds or updates a node.
    /// # Errors
    /// The capacity that is used up; an existing node stays as it was.
    pub fn upsert_node(&mut self, _node: &NodeRecord<'_>) -> Result<(), Refused> {
        todo!()
    }
    /// Removes a node and its points.
    pub fn remove_node(&mut self, _name: &str) {
        todo!()
    }
    /// Adds or updates a running pod.
    /// # Errors
    /// The capacity that is used up.
    pub fn upsert_pod(&mut self, _pod: &PodRecord<'_>) -> Result<(), Refused> {
        todo!()
    }
    /// The pod is gone or no longer running: it is not served any more.
    pub fn remove_pod(&mut self, _namespace: &str, _name: &str) {
        todo!()
    }
    /// The nodes to scrape, by name.
    #[must_use]
    pub fn targets(&self) -> Vec<Target> {
        todo!()
    }

    // ---- points (the poller) ----

    /// Replaces everything known from `node`'s kubelet by one batch: points missing from it are dropped.
    pub fn commit(&mut self, _node: &str, _batch: &Batch) -> Commit {
        todo!()
    }
    /// The node could not be scraped: its points and those of its pods are dropped, as in the reference.
    pub fn fail(&mut self, _node: &str) {
        todo!()
    }

    // ---- reading (the views) ----

    /// Counts up with every change; a list notes it when it begins.
    #[must_use]
    pub fn generation(&self) -> u32 {
        todo!()
    }
    /// One node of the inventory by name.
    #[must_use]
    pub fn node(&self, _name: &str) -> Option<NodeView<'_>> {
        todo!()
    }
    /// One running pod by key.
    #[must_use]
    pub fn pod(&self, _namespace: &str, _name: &str) -> Option<PodView<'_>> {
        todo!()
    }
    /// Nodes of the inventory in name order, after `after` (exclusive).
    pub fn nodes_after<'a>(&'a self, _after: Option<&str>) -> impl Iterator<Item = NodeView<'a>> {
        std::iter::empty()
    }
    /// Running pods in order of namespace, then name, after `after` (exclusive). `namespace` limits the walk to one.
    pub fn pods_after<'a>(
        &'a self,
        _namespace: Option<&'a str>,
        _after: Option<(&str, &str)>,
    ) -> impl Iterator<Item = PodView<'a>> {
        std::iter::empty()
    }
    /// Whether there is anything to serve.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        todo!()
    }
    /// How full the store is.
    #[must_use]
    pub fn occupancy(&self) -> Occupancy {
        todo!()
    }
}

impl<'a> PodUsage<'a> {
    /// Containers in name order with their usage; a container whose counter went back is left out.
    pub fn containers(&self) -> impl Iterator<Item = (&'a str, Usage)> + use<'a> {
        std::iter::empty()
    }
}

impl<'a> Labels<'a> {
    /// `(key, value)` pairs in key order.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        std::iter::empty()
    }
    /// The value of one key.
    #[must_use]
    pub fn value(self, _key: &str) -> Option<&'a str> {
        todo!()
    }
}
