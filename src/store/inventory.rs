//! What the API server says exists: nodes and running pods, kept in order of their keys.
//!
//! A pod is held while it is listed, or has points (a kubelet reports a pod before the watch does); it is served only
//! with both. A node is held while it is listed. Names, label sets and addresses are interned; a label set is one text,
//! sorted by key, so that pods of one template share it. When a capacity is used up an object is refused, and what was
//! known of it before stays.

use super::labels::intern_labels;
use super::names::{NameId, Names};
use super::records::{Listing, Node, Pod};
use super::slab::NONE;
use super::{Inventory, NodeRecord, PodRecord, Refused, Store, Target};
use crate::invariant::assured;
use std::cmp::Ordering;

/// Between the parts of a node's endpoint.
const SEPARATOR: char = '\0';

impl Store {
    /// Starts a full list of one kind: what is not upserted until [`Store::end_list`] is removed then.
    pub fn begin_list(&mut self, kind: Inventory) {
        let listing = self.listing(kind);
        listing.number = listing.number.wrapping_add(1).max(1);
        listing.refused_count = 0;
    }

    /// Ends a full list; marks the kind as synced.
    pub fn end_list(&mut self, kind: Inventory) {
        self.change();
        let listing = self.listing(kind);
        listing.synced = true;
        let number = listing.number;
        match kind {
            Inventory::Nodes => {
                for position in (0..self.nodes.order().len()).rev() {
                    let slot = self.nodes.slot_at(position);
                    if self.nodes.at(slot).is_some_and(|node| node.listed_in != number) {
                        self.remove_node_at(position);
                    }
                }
            }
            Inventory::Pods => {
                for slot in 0..self.pods.slot_end() {
                    if self.pods.at(slot).is_some_and(|pod| pod.listed && pod.listed_in != number) {
                        self.unlist_pod(slot);
                    }
                }
                self.sweep_pods();
            }
        }
    }

    /// Removes all pods that are neither listed nor have points, in one pass.
    pub(super) fn sweep_pods(&mut self) {
        let Store { pods, names, .. } = self;
        pods.sweep(|pod| pod.listed || pod.node != NONE, |pod| pod.release_names(names));
    }

    pub(super) fn listing(&mut self, kind: Inventory) -> &mut Listing {
        match kind {
            Inventory::Nodes => &mut self.node_listing,
            Inventory::Pods => &mut self.pod_listing,
        }
    }

    /// Adds or updates a node.
    /// # Errors
    /// The capacity that is used up; an existing node stays as it was.
    pub fn upsert_node(&mut self, record: &NodeRecord<'_>) -> Result<(), Refused> {
        self.change();
        let kept = self.list_node(record);
        if kept.is_err() {
            self.note_refusal(Inventory::Nodes);
        }
        kept
    }

    fn list_node(&mut self, record: &NodeRecord<'_>) -> Result<(), Refused> {
        let slot = match self.find_node(record.name) {
            Ok(position) => self.nodes.slot_at(position),
            Err(_) if self.nodes.room() == 0 => return Err(Refused::Nodes),
            Err(position) => {
                let name = self.with_room(|store| store.names.intern(record.name).ok_or(Refused::Text))?;
                self.nodes.insert(position, Node { name, ..Node::default() }).ok_or(Refused::Nodes)?
            }
        };
        let kept = self.update_node(slot, record);
        if kept.is_err()
            && self.nodes.at(slot).is_some_and(|node| node.listed_in == 0)
            && let Ok(position) = self.find_node(record.name)
        {
            self.remove_node_at(position);
        }
        kept
    }

    fn update_node(&mut self, slot: u32, record: &NodeRecord<'_>) -> Result<(), Refused> {
        let number = self.node_listing.number;
        if let Some(node) = self.nodes.at_mut(slot)
            && node.listed_in != 0
        {
            // Named by the list even if its changes find no room.
            node.listed_in = number;
        }
        let labels = self.intern_labels(&record.labels)?;
        let endpoint = self.with_room(|store| {
            store.scratch.clear();
            store.scratch.push_str(record.metrics_path);
            for (kind, address) in &record.addresses {
                for part in [kind, address] {
                    store.scratch.push(SEPARATOR);
                    store.scratch.push_str(part);
                }
            }
            store.names.intern(&store.scratch).ok_or(Refused::Text)
        });
        let endpoint = endpoint.inspect_err(|_| self.names.release(labels))?;
        let Some(node) = self.nodes.at_mut(slot) else { return Ok(()) };
        let old =
            [std::mem::replace(&mut node.labels, labels), std::mem::replace(&mut node.endpoint, endpoint)];
        (node.kubelet_port, node.ready, node.listed_in) = (record.kubelet_port, record.ready, number);
        node.allocatable = record.allocatable;
        old.into_iter().for_each(|name| self.names.release(name));
        Ok(())
    }

    /// Interns a label set of something listed.
    fn intern_labels(&mut self, labels: &[(&str, &str)]) -> Result<NameId, Refused> {
        self.with_room(|store| {
            intern_labels(&mut store.names, &mut store.scratch, labels).ok_or(Refused::Text)
        })
    }

    /// Removes a node and its points.
    pub fn remove_node(&mut self, name: &str) {
        self.change();
        if let Ok(position) = self.find_node(name) {
            self.remove_node_at(position);
        }
    }

    fn remove_node_at(&mut self, position: usize) {
        let Some(slot) = self.nodes.order().get(position).copied() else { return };
        self.drop_points(slot);
        self.node_history.clear(slot);
        if let Some(node) = self.nodes.remove(position) {
            for name in [node.name, node.labels, node.endpoint] {
                self.names.release(name);
            }
        }
    }

    /// Adds or updates a running pod.
    /// # Errors
    /// The capacity that is used up; an existing pod keeps its labels.
    pub fn upsert_pod(&mut self, record: &PodRecord<'_>) -> Result<(), Refused> {
        self.change();
        let kept = self.list_pod(record);
        if kept.is_err() {
            self.note_refusal(Inventory::Pods);
        }
        kept
    }

    fn list_pod(&mut self, record: &PodRecord<'_>) -> Result<(), Refused> {
        let slot = match self.pod_slot(record.namespace, record.name) {
            Some(slot) => slot,
            None => self.with_room(|store| store.add_pod(record.namespace, record.name))?,
        };
        let number = self.pod_listing.number;
        if let Some(pod) = self.pods.at_mut(slot) {
            if pod.listed {
                pod.listed_in = number;
            } else {
                // Not a place to be evicted from while room for its texts is made.
                (pod.listed, pod.listed_in) = (true, number);
                self.listed_count += 1;
            }
        }
        let texts = self.intern_labels(&record.labels).and_then(|labels| {
            let assigned = self.with_room(|store| store.names.intern(record.node_name).ok_or(Refused::Text));
            Ok((labels, assigned.inspect_err(|_| self.names.release(labels))?))
        });
        let (labels, assigned) = match texts {
            Ok(texts) => texts,
            Err(refused) => {
                if self.pods.at(slot).is_some_and(|pod| !pod.has_record) {
                    self.unlist_pod(slot);
                    self.remove_if_unused(slot);
                }
                return Err(refused);
            }
        };
        let Some(pod) = self.pods.at_mut(slot) else { return Ok(()) };
        let old =
            [std::mem::replace(&mut pod.labels, labels), std::mem::replace(&mut pod.assigned, assigned)];
        pod.has_record = true;
        let owner = pod.node;
        old.into_iter().for_each(|name| self.names.release(name));
        if assigned != NameId::EMPTY && self.nodes.at(owner).is_some_and(|node| node.name != assigned) {
            self.release_pod(slot);
        }
        self.evaluate_pod(slot);
        Ok(())
    }

    /// The pod is gone or no longer running: it is not served any more.
    pub fn remove_pod(&mut self, namespace: &str, name: &str) {
        self.change();
        if let Some(slot) = self.pod_slot(namespace, name) {
            self.unlist_pod(slot);
            self.remove_if_unused(slot);
        }
    }

    /// Takes a pod from the inventory; the caller removes it if it has no points either.
    fn unlist_pod(&mut self, slot: u32) {
        let Some(pod) = self.pods.at_mut(slot).filter(|pod| pod.listed) else { return };
        (pod.listed, pod.has_record) = (false, false);
        self.listed_count -= 1;
        let old = [
            std::mem::replace(&mut pod.labels, NameId::EMPTY),
            std::mem::replace(&mut pod.assigned, NameId::EMPTY),
        ];
        old.into_iter().for_each(|name| self.names.release(name));
        self.evaluate_pod(slot);
    }

    /// Forgets a pod that is neither listed nor has points.
    pub(super) fn remove_if_unused(&mut self, slot: u32) {
        let Some(pod) = self.pods.at(slot).filter(|pod| !pod.listed && pod.node == NONE) else { return };
        if let Ok(position) = self.find_pod(self.names.text(pod.namespace), self.names.text(pod.name))
            && let Some(pod) = self.pods.remove(position)
        {
            pod.release_names(&mut self.names);
        }
    }

    /// A slot for a pod that has none.
    fn add_pod(&mut self, namespace: &str, name: &str) -> Result<u32, Refused> {
        let (Ok(position) | Err(position)) = self.find_pod(namespace, name);
        if self.pods.room() == 0 {
            return Err(Refused::Pods);
        }
        let namespace = self.names.intern(namespace).ok_or(Refused::Text)?;
        let Some(name) = self.names.intern(name) else {
            self.names.release(namespace);
            return Err(Refused::Text);
        };
        self.pods.insert(position, Pod { namespace, name, ..Pod::default() }).ok_or(Refused::Pods)
    }

    /// A slot for a pod that only a kubelet reports; `None` without room.
    pub(super) fn add_unlisted_pod(&mut self, namespace: &str, name: &str) -> Option<u32> {
        self.add_pod(namespace, name).ok()
    }

    /// The slot of a node.
    pub(super) fn node_slot(&self, name: &str) -> Option<u32> {
        self.nodes.order().get(self.find_node(name).ok()?).copied()
    }

    /// The slot of a pod.
    pub(super) fn pod_slot(&self, namespace: &str, name: &str) -> Option<u32> {
        self.pods.order().get(self.find_pod(namespace, name).ok()?).copied()
    }

    /// Position of a node in the order, or where it would be.
    pub(super) fn find_node(&self, name: &str) -> Result<usize, usize> {
        self.nodes.order().binary_search_by(|slot| self.node_name(*slot).cmp(name))
    }

    /// Position of a pod in the order, or where it would be.
    pub(super) fn find_pod(&self, namespace: &str, name: &str) -> Result<usize, usize> {
        self.pods.order().binary_search_by(|slot| self.compare_pod(*slot, namespace, name))
    }

    pub(super) fn compare_pod(&self, slot: u32, namespace: &str, name: &str) -> Ordering {
        let Some(pod) = self.pods.at(slot) else { return Ordering::Less };
        self.names.text(pod.namespace).cmp(namespace).then_with(|| self.names.text(pod.name).cmp(name))
    }

    /// Name of the node in a slot; empty for none.
    pub(super) fn node_name(&self, slot: u32) -> &str {
        self.nodes.at(slot).map_or("", |node| self.names.text(node.name))
    }

    /// The nodes to scrape, by name.
    #[must_use]
    pub fn targets(&self) -> Vec<Target> {
        let nodes = self.nodes.order().iter().filter_map(|slot| self.nodes.at(*slot));
        nodes.map(|node| target(&self.names, node)).collect()
    }
}

/// Reads a target back from its interned texts.
fn target(names: &Names, node: &Node) -> Target {
    let mut parts = names.text(node.endpoint).split(SEPARATOR);
    let metrics_path = assured(parts.next(), "a split has a first part, even of nothing").to_owned();
    let mut addresses = Vec::new();
    while let (Some(kind), Some(address)) = (parts.next(), parts.next()) {
        addresses.push((kind.to_owned(), address.to_owned()));
    }
    let (name, kubelet_port) = (names.text(node.name).to_owned(), node.kubelet_port);
    Target { name, addresses, kubelet_port, metrics_path, ready: node.ready }
}
