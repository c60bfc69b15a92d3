//! Commits: one node's batch replaces everything known from that node.
//!
//! A pod belongs to the node that reported it first, until a batch of that node lacks it. A pod is taken whole or
//! refused whole: without room for one container it loses its points, as with an incomplete batch.

use super::batch::{Batch, BatchPod};
use super::row::Row;
use super::rows::END;
use super::slab::NONE;
use super::{Commit, Refused, Store, rate};

impl Store {
    /// Replaces everything known from `node`'s kubelet by one batch: points missing from it are dropped. A node the
    /// inventory does not have is ignored. A batch from another source than the last one begins rates of its own.
    pub fn commit(&mut self, node: &str, batch: &Batch) -> Commit {
        let mut done = Commit::default();
        let Ok(position) = self.find_node(node) else { return done };
        let Some(slot) = self.nodes.order().get(position).copied() else { return done };
        self.change();
        if self.nodes.at(slot).is_some_and(|node| node.source != batch.source()) {
            self.drop_points(slot);
            if let Some(node) = self.nodes.at_mut(slot) {
                node.source = batch.source();
            }
        }
        self.commit_number = self.commit_number.wrapping_add(1);
        for pod in batch.pods() {
            match self.commit_pod(slot, pod) {
                Ok(Some(containers)) => {
                    done.pods += 1;
                    done.containers += containers;
                }
                Ok(None) => done.duplicate_pods += 1,
                Err(refused) => {
                    done.refused += 1;
                    done.first_refusal.get_or_insert(refused);
                    self.refused_pods += 1;
                }
            }
        }
        self.drop_pods_without_commit(slot);
        self.commit_node(slot, batch, &mut done);
        done
    }

    /// The node could not be scraped: its points and those of its pods are dropped, as in the reference.
    pub fn fail(&mut self, node: &str) {
        if let Ok(position) = self.find_node(node)
            && let Some(slot) = self.nodes.order().get(position).copied()
        {
            self.change();
            self.drop_points(slot);
        }
    }

    /// Drops the points of a node and of its pods.
    pub(super) fn drop_points(&mut self, slot: u32) {
        self.commit_number = self.commit_number.wrapping_add(1);
        self.drop_pods_without_commit(slot);
        self.set_node_row(slot, Row::NONE);
    }

    fn commit_node(&mut self, slot: u32, batch: &Batch, done: &mut Commit) {
        let old = self.nodes.at(slot).map_or(Row::NONE, |node| node.row);
        let new = batch.node().map_or(Row::NONE, |point| rate::advance_node(old, point));
        done.node = batch.node().is_some();
        done.node_advanced = done.node && new.last.taken_at > old.last.taken_at;
        self.set_node_row(slot, new);
    }

    fn set_node_row(&mut self, slot: u32, row: Row) {
        let generation = self.generation;
        let Some(node) = self.nodes.at_mut(slot) else { return };
        self.rated_nodes += u32::from(row.prev.is_some());
        self.rated_nodes -= u32::from(node.row.prev.is_some());
        node.row = row;
        match rate::usage(&row) {
            None => node.served_since = 0,
            Some(_) if node.served_since == 0 => node.served_since = generation,
            Some(_) => {}
        }
    }

    /// Takes one pod's points; how many containers, or `None` when another node has the pod.
    fn commit_pod(&mut self, node: u32, reported: BatchPod<'_>) -> Result<Option<u32>, Refused> {
        let slot = self.find_or_add_pod(reported.namespace, reported.name)?;
        let Some(pod) = self.pods.at(slot) else { return Err(Refused::Pods) };
        if pod.node != NONE && pod.node != node {
            return Ok(None);
        }
        let (is_new, old) = (pod.node == NONE, pod.rows);
        let (rows, containers) = self.replace_rows(old, reported);
        let Some(pod) = self.pods.at_mut(slot) else { return Err(Refused::Pods) };
        pod.rows = rows;
        let containers = match containers {
            Ok(containers) => containers,
            Err(refused) => {
                // A pod known before is dropped with those this batch lacks.
                pod.committed_in = self.commit_number.wrapping_sub(1);
                self.judge_pod(slot);
                self.remove_if_unused(slot);
                return Err(refused);
            }
        };
        pod.committed_in = self.commit_number;
        if is_new {
            pod.node = node;
            pod.next_of_node = self.nodes.at(node).map_or(NONE, |node| node.pods);
            if let Some(node) = self.nodes.at_mut(node) {
                node.pods = slot;
            }
        }
        self.judge_pod(slot);
        Ok(Some(containers))
    }

    /// Merges a pod's rows (sorted by name) with its reported containers (likewise): the new first row, and how many
    /// there are. Without room all rows are freed.
    fn replace_rows(&mut self, old: u32, reported: BatchPod<'_>) -> (u32, Result<u32, Refused>) {
        let (mut old, mut first, mut last, mut count) = (old, END, END, 0);
        for (name, point) in reported.containers() {
            while self.rows.at(old).is_some_and(|(known, ..)| self.names.text(known) < name) {
                old = self.free_row(old);
            }
            let (index, row) = match self.rows.at(old) {
                Some((known, row, next)) if self.names.text(known) == name => {
                    let found = (old, *row);
                    old = next;
                    found
                }
                _ => match self.new_row(name) {
                    Ok(index) => (index, Row::NONE),
                    Err(refused) => {
                        self.free_rows(old);
                        self.free_rows(first);
                        return (END, Err(refused));
                    }
                },
            };
            self.rows.set(index, rate::advance_container(row, point, self.resolution));
            self.rows.link(index, END);
            if last == END {
                first = index;
            } else {
                self.rows.link(last, index);
            }
            last = index;
            count += 1;
        }
        self.free_rows(old);
        (first, Ok(count))
    }

    fn new_row(&mut self, name: &str) -> Result<u32, Refused> {
        let name = self.names.intern(name).ok_or(Refused::Text)?;
        self.rows.insert(name).ok_or_else(|| {
            self.names.release(name);
            Refused::Containers
        })
    }

    /// Frees one row; the row after it.
    fn free_row(&mut self, index: u32) -> u32 {
        let Some((name, next)) = self.rows.remove(index) else { return END };
        self.names.release(name);
        next
    }

    fn free_rows(&mut self, first: u32) {
        let mut index = first;
        while index != END {
            index = self.free_row(index);
        }
    }

    /// Drops the points of those pods of a node that the current commit did not report.
    fn drop_pods_without_commit(&mut self, node: u32) {
        let mut before = NONE;
        let mut slot = self.nodes.at(node).map_or(NONE, |node| node.pods);
        while let Some(pod) = self.pods.at_mut(slot) {
            let next = pod.next_of_node;
            if pod.committed_in == self.commit_number {
                before = slot;
            } else {
                (pod.node, pod.next_of_node) = (NONE, NONE);
                let rows = std::mem::replace(&mut pod.rows, END);
                self.free_rows(rows);
                self.judge_pod(slot);
                self.remove_if_unused(slot);
                if let Some(before) = self.pods.at_mut(before) {
                    before.next_of_node = next;
                } else if let Some(node) = self.nodes.at_mut(node) {
                    node.pods = next;
                }
            }
            slot = next;
        }
    }

    /// Notes since when a pod is served: listed, with two points of every container.
    pub(super) fn judge_pod(&mut self, slot: u32) {
        let generation = self.generation;
        let Some(pod) = self.pods.at(slot) else { return };
        let served = pod.listed && self.has_two_points(pod.rows);
        let Some(pod) = self.pods.at_mut(slot) else { return };
        if !served {
            pod.served_since = 0;
        } else if pod.served_since == 0 {
            pod.served_since = generation;
        }
    }

    /// Whether there are rows, all with two points.
    fn has_two_points(&self, first: u32) -> bool {
        let mut index = first;
        while let Some((_, row, next)) = self.rows.at(index) {
            if !row.prev.is_some() {
                return false;
            }
            index = next;
        }
        first != END
    }
}
