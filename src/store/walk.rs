//! Reading: single objects, and walks in key order that resume behind any key.
//!
//! Views borrow the store; usage is computed as it is read. A walk finds its start by binary search, so that a list may
//! be taken in pieces, with the store free between them.

use super::names::NameId;
use super::pool::count_of;
use super::records::{Node, Pod};
use super::row::{Point, Row};
use super::{
    Labels, NodeView, Occupancy, PodPoints, PodUsage, PodView, Readiness, Recent, Store, Usage, rate,
};
use crate::units::{UnixNanos, Uptime, Window};

impl Store {
    /// Counts up with every change; a list notes it when it begins.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// One node of the inventory by name.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<NodeView<'_>> {
        let slot = self.nodes.order().get(self.find_node(name).ok()?)?;
        self.nodes.at(*slot).map(|node| self.view_node(node))
    }

    /// One running pod by key.
    #[must_use]
    pub fn pod(&self, namespace: &str, name: &str) -> Option<PodView<'_>> {
        let slot = self.pods.order().get(self.find_pod(namespace, name).ok()?)?;
        self.pods.at(*slot).filter(|pod| pod.listed).map(|pod| self.view_pod(pod))
    }

    /// Nodes of the inventory in name order, after `after` (exclusive).
    pub fn nodes_after<'a>(&'a self, after: Option<&str>) -> impl Iterator<Item = NodeView<'a>> + use<'a> {
        let start = after.map_or(0, |name| behind(self.find_node(name)));
        let slots = self.nodes.order_from(start);
        slots.iter().filter_map(|slot| self.nodes.at(*slot)).map(|node| self.view_node(node))
    }

    /// Running pods in order of namespace, then name, after `after` (exclusive). `namespace` limits the walk to one.
    pub fn pods_after<'a>(
        &'a self,
        namespace: Option<&str>,
        after: Option<(&str, &str)>,
    ) -> impl Iterator<Item = PodView<'a>> + use<'a> {
        let resumed = after.map_or(0, |(namespace, name)| behind(self.find_pod(namespace, name)));
        // No pod has an empty name: this is where the namespace begins.
        let first =
            namespace.map_or(0, |namespace| self.find_pod(namespace, "").unwrap_or_else(|position| position));
        let slots = self.pods.order_from(resumed.max(first));
        // A text that nobody uses is the namespace of no pod.
        let only = namespace.map(|namespace| self.names.find(namespace));
        let pods = slots.iter().filter_map(|slot| self.pods.at(*slot));
        let inside = pods.take_while(move |pod| only.is_none_or(|only| only == Some(pod.namespace)));
        inside.filter(|pod| pod.listed).map(|pod| self.view_pod(pod))
    }

    /// Samples that are kept of each node and container.
    #[must_use]
    pub fn history_len(&self) -> u32 {
        self.node_history.len()
    }

    /// What a node used lately, the oldest first, ending now; empty when nothing is kept.
    pub fn node_history(&self, name: &str, now: Uptime, out: &mut Vec<Recent>) {
        let sums = self.node_history.sums(out);
        if let Some(slot) = self.node_slot(name) {
            self.node_history.add_to(slot, now, sums);
        }
    }

    /// What the containers of a running pod used together, the oldest first, ending now; empty when nothing is kept.
    pub fn pod_history(&self, namespace: &str, name: &str, now: Uptime, out: &mut Vec<Recent>) {
        let history = self.rows.history();
        let sums = history.sums(out);
        let pod = self.pod_slot(namespace, name).and_then(|slot| self.pods.at(slot));
        if let Some(pod) = pod.filter(|pod| pod.listed) {
            self.rows.indices(pod.rows).for_each(|index| history.add_to(index, now, sums));
        }
    }

    /// Whether there is anything to serve.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        Readiness {
            nodes: self.rated_nodes > 0,
            pods: self.rows.rated_count() > 0,
            nodes_synced: self.node_listing.synced,
            pods_synced: self.pod_listing.synced,
        }
    }

    /// How full the store is.
    #[must_use]
    pub fn occupancy(&self) -> Occupancy {
        Occupancy {
            nodes: self.nodes.count(),
            pods: self.pods.count(),
            containers: self.rows.count(),
            text_len: count_of(self.names.live_len()),
            node_points: self.rated_nodes,
            container_points: self.rows.rated_count(),
            refused_nodes: self.refused_nodes,
            refused_pods: self.refused_pods,
        }
    }

    fn view_node<'a>(&'a self, node: &Node) -> NodeView<'a> {
        NodeView {
            name: self.names.text(node.name),
            labels: Labels { names: &self.names, id: node.labels },
            usage: rate::usage(&node.row),
            allocatable: node.allocatable,
            source: Some(node.source).filter(|_| node.row.last != Point::NONE),
            last: Some(node.row.last).filter(|last| *last != Point::NONE),
            served_since: node.served_since,
        }
    }

    fn view_pod<'a>(&'a self, pod: &'a Pod) -> PodView<'a> {
        PodView {
            store: self,
            pod,
            labels: Labels { names: &self.names, id: pod.labels },
            points: PodPoints { store: self, head: pod.rows },
            usage: (pod.served_since != 0).then_some(PodUsage { store: self, head: pod.rows }),
            served_since: pod.served_since,
        }
    }

    fn rows(&self, head: u32) -> impl Iterator<Item = (NameId, &Row)> {
        let mut index = head;
        std::iter::from_fn(move || {
            let (name, row, next) = self.rows.at(index)?;
            index = next;
            Some((name, row))
        })
    }

    pub(super) fn containers(&self, head: u32) -> impl Iterator<Item = (&str, &Row)> {
        self.rows(head).map(|(name, row)| (self.names.text(name), row))
    }
}

/// The position behind a key, whether it is there or not.
fn behind(found: Result<usize, usize>) -> usize {
    found.map_or_else(|position| position, |position| position + 1)
}

impl<'a> PodView<'a> {
    /// Namespace.
    #[must_use]
    pub fn namespace(&self) -> &'a str {
        self.store.names.text(self.pod.namespace)
    }

    /// Name.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.store.names.text(self.pod.name)
    }

    /// The node whose kubelet reported the pod, if any did.
    #[must_use]
    pub fn node(&self) -> Option<&'a str> {
        Some(self.store.node_name(self.pod.node)).filter(|name| !name.is_empty())
    }
}

impl<'a> PodUsage<'a> {
    /// Time of the earliest last point of the containers that have a rate, and that container's window; no time and zero
    /// with none.
    #[must_use]
    pub fn span(&self) -> (Option<UnixNanos>, Window) {
        let mut earliest: Option<(UnixNanos, Window)> = None;
        for (_, row) in self.store.rows(self.head) {
            if let Some(Usage { at, window, .. }) = rate::usage(row)
                && earliest.is_none_or(|(other, _)| at < other)
            {
                earliest = Some((at, window));
            }
        }
        earliest.map_or((None, Window(0)), |(at, window)| (Some(at), window))
    }

    /// Containers in name order with their usage; a container whose counter went back is left out.
    pub fn containers(&self) -> impl Iterator<Item = (&'a str, Usage)> + use<'a> {
        let store = self.store;
        store.containers(self.head).filter_map(|(name, row)| Some((name, rate::usage(row)?)))
    }
}

impl<'a> PodPoints<'a> {
    /// Containers in name order with their last points.
    pub fn containers(&self) -> impl Iterator<Item = (&'a str, &'a Point)> + use<'a> {
        self.store.containers(self.head).map(|(name, row)| (name, &row.last))
    }
}
