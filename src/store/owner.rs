//! Whose pod it is when several nodes report it: a StatefulSet's pod that moved, or a kubelet that lies.
//!
//! The node that the API server names in `spec.nodeName` owns the pod, whatever others say. While it is not known (the pod
//! is not listed yet), the first node that reported it keeps it, unless another has newer samples by far, or a younger
//! instance: then the other has it and its points begin again. No rate is taken over points of two nodes.
//! Deviation: in metrics-server the first answer that reports a pod counts, whichever node the API server names.
//! A node's pods are kept in the order of its batches, so that a commit finds each without a search.

use super::batch::BatchPod;
use super::names::NameId;
use super::pool::count_of;
use super::rows::END;
use super::slab::NONE;
use super::{Claim, Commit, Store};
use crate::limits;
use crate::units::{UnixNanos, Window};

/// Newest sample and newest start among some containers.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Newest {
    taken_at: UnixNanos,
    started_at: UnixNanos,
}

impl Newest {
    fn of(points: impl Iterator<Item = (UnixNanos, UnixNanos)>) -> Newest {
        let none = Newest { taken_at: UnixNanos::UNKNOWN, started_at: UnixNanos::UNKNOWN };
        points.fold(none, |newest, (taken_at, started_at)| Newest {
            taken_at: newest.taken_at.max(taken_at),
            started_at: newest.started_at.max(started_at),
        })
    }

    /// Whether this is the live instance and `other` a remnant. Samples of two live kubelets differ by up to two
    /// resolutions, since they are scraped one after the other; the younger start decides then.
    fn replaces(self, other: Newest, resolution: Window) -> bool {
        let limit = resolution.0.saturating_mul(2);
        let ahead = self.taken_at.0.saturating_sub(other.taken_at.0);
        if ahead.unsigned_abs() > limit.unsigned_abs() {
            return ahead > 0;
        }
        self.started_at > other.started_at
    }
}

impl Store {
    /// Whether `node` may have the pod in `slot`. If it takes it from another, that one's points are freed.
    pub(super) fn claim(&mut self, slot: u32, node: u32, reported: BatchPod<'_>, done: &mut Commit) -> bool {
        let Some(pod) = self.pods.at(slot) else { return false };
        let (owner, assigned, rows) = (pod.node, pod.assigned, pod.rows);
        let claimant = self.nodes.at(node).map_or(NameId::EMPTY, |node| node.name);
        if assigned != NameId::EMPTY {
            if assigned == claimant {
                return true;
            }
            self.note_claim(reported, assigned, done);
            return false;
        }
        if owner == NONE || owner == node {
            return true;
        }
        let newest = |row: &super::row::Row| (row.last.taken_at, row.last.started_at);
        let known = Newest::of(self.containers(rows).map(|(_, row)| newest(row)));
        let new = Newest::of(reported.containers().map(|(_, point)| (point.taken_at, point.started_at)));
        let owner_name = self.nodes.at(owner).map_or(NameId::EMPTY, |node| node.name);
        self.note_claim(reported, owner_name, done);
        if !new.replaces(known, self.resolution) {
            return false;
        }
        self.release_pod(slot);
        true
    }

    fn note_claim(&self, reported: BatchPod<'_>, owner: NameId, done: &mut Commit) {
        done.claimed_pods += 1;
        done.first_claim.get_or_insert_with(|| Claim {
            namespace: reported.namespace.into(),
            pod: reported.name.into(),
            owner: self.names.text(owner).into(),
        });
    }

    /// Takes a pod and its points from the node that has it.
    pub(super) fn release_pod(&mut self, slot: u32) {
        let Some(pod) = self.pods.at_mut(slot).filter(|pod| pod.node != NONE) else { return };
        let (node, next) = (pod.node, pod.next_of_node);
        let rows = std::mem::replace(&mut pod.rows, END);
        (pod.node, pod.next_of_node) = (NONE, NONE);
        self.free_rows(rows);
        let mut at = self.nodes.at(node).map_or(NONE, |node| node.pods);
        if at == slot
            && let Some(node) = self.nodes.at_mut(node)
        {
            node.pods = next;
        }
        while let Some(before) = self.pods.at_mut(at) {
            if before.next_of_node == slot {
                before.next_of_node = next;
                break;
            }
            at = before.next_of_node;
        }
        self.evaluate_pod(slot);
    }

    /// The begin of a commit to a node.
    pub(super) fn begin_commit(&self, node: u32) -> CommitProgress {
        let next = self.nodes.at(node).map_or(NONE, |node| node.pods);
        CommitProgress { next, before: NONE, unlisted: Unlisted::default() }
    }

    /// The slot of a reported pod. A node's pods are kept in the order of batches, so that as a rule it is the next one.
    pub(super) fn next_pod_slot(
        &self,
        node: u32,
        reported: BatchPod<'_>,
        progress: &mut CommitProgress,
    ) -> Option<u32> {
        while let Some(pod) = self.pods.at(progress.next).filter(|pod| pod.node == node) {
            let (slot, order) =
                (progress.next, self.compare_pod(progress.next, reported.namespace, reported.name));
            if order.is_gt() {
                break;
            }
            progress.next = pod.next_of_node;
            if order.is_eq() {
                return Some(slot);
            }
        }
        self.pod_slot(reported.namespace, reported.name)
    }

    /// Makes a pod one of a node's, behind another of them, or as the first.
    pub(super) fn link_pod(&mut self, slot: u32, node: u32, before: u32) {
        let next = match self.pods.at_mut(before) {
            Some(before) if before.node == node => Some(std::mem::replace(&mut before.next_of_node, slot)),
            _ => self.nodes.at_mut(node).map(|node| std::mem::replace(&mut node.pods, slot)),
        };
        if let Some(pod) = self.pods.at_mut(slot) {
            (pod.node, pod.next_of_node) = (node, next.unwrap_or(NONE));
        }
    }
}

/// How far a commit has come.
pub(super) struct CommitProgress {
    /// The pod of the node that is reported next, if the batch is like the last one.
    next: u32,
    /// The pod committed last; [`NONE`] before the first.
    pub(super) before: u32,
    pub(super) unlisted: Unlisted,
}

/// Pods and containers of one batch that the API server has not listed.
#[derive(Default)]
pub(super) struct Unlisted {
    pods: u32,
    containers: u32,
}

impl Unlisted {
    /// Counts a pod, if there is room for it; before the first list there is for all.
    pub(super) fn has_room(&mut self, reported: BatchPod<'_>, is_synced: bool) -> bool {
        let containers = count_of(reported.containers().count());
        let (pods, containers) = (self.pods + 1, self.containers.saturating_add(containers));
        let has_room = !is_synced
            || (pods <= limits::UNLISTED_PODS_MAX && containers <= limits::UNLISTED_CONTAINERS_MAX);
        if has_room {
            (self.pods, self.containers) = (pods, containers);
        }
        has_room
    }
}
