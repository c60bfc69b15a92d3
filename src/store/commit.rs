//! Commits: one node's batch replaces everything known from that node.
//!
//! Whose pod it is, is decided in `owner`. A pod is taken whole or refused whole: without room for one container it loses
//! its points, as with an incomplete batch. A node that cannot be scraped keeps its points for the grace period, with
//! their own times. Time is an argument: the monotonic clock at the end of a scrape.

use super::batch::{Batch, BatchPod, BatchSource};
use super::owner::CommitProgress;
use super::rate::{self, KnownRow};
use super::row::{Point, PrevPoint, Row};
use super::rows::END;
use super::slab::NONE;
use super::{Commit, Recent, Refused, Store};
use crate::invariant::assured;
use crate::limits;
use crate::units::{Uptime, Window};

impl Store {
    /// Replaces everything known from `node`'s kubelet by one batch: points missing from it are dropped. A node the
    /// inventory does not have is ignored. A batch from another source than the last one begins rates of its own.
    pub fn commit(&mut self, node: &str, batch: &Batch, at: Uptime) -> Commit {
        let Some(slot) = self.node_slot(node) else { return Commit::default() };
        self.commit_restored(slot, node, at);
        self.commit_batch(slot, batch, at)
    }

    pub(super) fn commit_batch(&mut self, slot: u32, batch: &Batch, at: Uptime) -> Commit {
        let mut done = Commit::default();
        self.change();
        if self.nodes.at(slot).is_some_and(|node| node.source != batch.source()) {
            self.drop_points(slot);
            if let Some(node) = self.nodes.at_mut(slot) {
                node.source = batch.source();
            }
        }
        self.commit_number = self.commit_number.wrapping_add(1);
        let mut progress = self.begin_commit(slot);
        for pod in batch.pods() {
            if let Err(refused) = self.commit_pod(slot, pod, at, &mut progress, &mut done) {
                done.refused += 1;
                done.first_refusal.get_or_insert(refused);
                self.refused_pods += 1;
            }
        }
        self.drop_pods_without_commit(slot);
        self.commit_node(slot, batch, at, &mut done);
        done
    }

    /// The node could not be scraped: its points and those of its pods stay for the grace period after its last commit,
    /// and are dropped then. Without a grace period they are dropped at once, as in metrics-server.
    pub fn fail(&mut self, node: &str, at: Uptime) {
        let Some(slot) = self.node_slot(node) else { return };
        if let Some(node) = self.nodes.at_mut(slot) {
            node.is_failing = true;
        }
        self.expire_node(slot, at);
    }

    /// Drops what failing nodes left longer ago than the grace period.
    pub fn expire(&mut self, at: Uptime) {
        for position in 0..self.nodes.order().len() {
            if let Some(slot) = self.nodes.order().get(position).copied() {
                self.expire_node(slot, at);
            }
        }
    }

    fn expire_node(&mut self, slot: u32, at: Uptime) {
        let Some(node) = self.nodes.at(slot) else { return };
        let is_over = self.grace == Window(0) || at.since(node.committed_at) > self.grace;
        if node.is_failing && is_over && (node.row.last != Point::NONE || node.pods != NONE) {
            self.change();
            self.drop_points(slot);
        }
    }

    /// Drops the points of a node and of its pods at once: it is not scraped any more.
    pub fn drop_node(&mut self, node: &str) {
        if let Some(slot) = self.node_slot(node) {
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

    fn commit_node(&mut self, slot: u32, batch: &Batch, at: Uptime, done: &mut Commit) {
        let Some(node) = self.nodes.at_mut(slot) else { return };
        let old = KnownRow { row: node.row, seen_at: node.seen_at };
        (node.committed_at, node.is_failing) = (at, false);
        let Some(point) = batch.node() else { return self.set_node_row(slot, Row::NONE) };
        let new = match old.kept(point, batch.source()) {
            Some(kept) => kept,
            None => rate::advance_node(old, point, at, self.resolution),
        };
        node.seen_at = new.seen_at;
        done.node = true;
        done.node_advanced = new.row.last.taken_at > old.row.last.taken_at;
        done.clock_steps += u32::from(new.stepped);
        self.set_node_row(slot, new.row);
        self.node_history.write(slot, at, recent(&new.row));
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

    /// Takes one pod's points, unless another node owns it, or it is one unlisted pod too many.
    fn commit_pod(
        &mut self,
        node: u32,
        reported: BatchPod<'_>,
        at: Uptime,
        progress: &mut CommitProgress,
        done: &mut Commit,
    ) -> Result<(), Refused> {
        let found = self.next_pod_slot(node, reported, progress);
        let is_listed = found.and_then(|slot| self.pods.at(slot)).is_some_and(|pod| pod.listed);
        if !is_listed && !progress.unlisted.has_room(reported, self.pod_listing.synced) {
            done.unlisted_pods += 1;
            return Ok(());
        }
        let slot = match found {
            Some(slot) => slot,
            None => match self.add_unlisted_pod(reported.namespace, reported.name) {
                Some(slot) => slot,
                None => {
                    done.unlisted_pods += 1;
                    return Ok(());
                }
            },
        };
        if !self.claim(slot, node, reported, done) {
            return Ok(());
        }
        let Some(pod) = self.pods.at(slot) else { return Ok(()) };
        let (is_new, old) = (pod.node == NONE, pod.rows);
        let (rows, taken) = self.replace_rows(old, reported, at, is_listed, done);
        let Some(pod) = self.pods.at_mut(slot) else { return Ok(()) };
        pod.rows = rows;
        let containers = match taken {
            Ok(containers) => containers,
            Err(refused) => {
                // A pod known before is dropped with those this batch lacks.
                pod.committed_in = self.commit_number.wrapping_sub(1);
                self.evaluate_pod(slot);
                self.remove_if_unused(slot);
                return refused.map_or(Ok(()), Err);
            }
        };
        pod.committed_in = self.commit_number;
        if is_new {
            self.link_pod(slot, node, progress.before);
        }
        progress.before = slot;
        done.pods += 1;
        done.containers += containers;
        self.evaluate_pod(slot);
        Ok(())
    }

    /// Merges a pod's rows (sorted by name) with its reported containers (likewise): the new first row, and how many
    /// there are. Without room, or when instances of a container cannot be told apart (`None`), all rows are freed.
    fn replace_rows(
        &mut self,
        old: u32,
        reported: BatchPod<'_>,
        at: Uptime,
        is_listed: bool,
        done: &mut Commit,
    ) -> (u32, Result<u32, Option<Refused>>) {
        let (mut old, mut first, mut last, mut count) = (old, END, END, 0);
        let mut containers = reported.containers().peekable();
        while let Some((name, point)) = containers.next() {
            while self.rows.at(old).is_some_and(|(known, ..)| self.names.text(known) < name) {
                old = self.free_row(old);
            }
            let (index, known) = match self.rows.at(old) {
                Some((known, row, next)) if self.names.text(known) == name => {
                    let found = (old, KnownRow { row: *row, seen_at: self.rows.seen_at(old) });
                    old = next;
                    (found.0, found.1)
                }
                _ => match self.new_row(name, is_listed) {
                    Ok(index) => (index, KnownRow::NONE),
                    Err(refused) => {
                        self.free_rows(old);
                        self.free_rows(first);
                        return (END, Err(Some(refused).filter(|_| is_listed)));
                    }
                },
            };
            let mut instances = [point; limits::INSTANCES_MAX];
            let mut instance_count = 1;
            while let Some((_, other)) = containers.next_if(|(other, _)| *other == name) {
                if let Some(place) = instances.get_mut(instance_count) {
                    *place = other;
                    instance_count += 1;
                }
            }
            let instances =
                assured(instances.get(..instance_count), "only instances with a place are counted");
            let Some(advanced) = self.advance(index, known, instances, at, reported.source) else {
                self.free_row(index);
                self.free_rows(old);
                self.free_rows(first);
                done.ambiguous_pods += 1;
                return (END, Err(None));
            };
            done.clock_steps += u32::from(advanced.stepped);
            self.rows.set(index, advanced.row, advanced.seen_at);
            self.rows.record(index, at, recent(&advanced.row));
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

    /// The row after a container's point, or after the one of several instances that counts.
    fn advance(
        &mut self,
        index: u32,
        known: KnownRow,
        instances: &[Point],
        at: Uptime,
        source: BatchSource,
    ) -> Option<rate::Advanced> {
        if let [point] = instances
            && self.rejected.is_empty_for(index)
        {
            let kept = known.kept(*point, source);
            return Some(kept.unwrap_or_else(|| rate::advance_container(known, *point, at, self.resolution)));
        }
        let last = Some(known.row.last).filter(|last| *last != Point::NONE);
        let taken = self.rejected.choose(index, last, instances)?;
        let base = if taken.continues { known } else { KnownRow::NONE };
        // A start time may be that of the other instance: only what was seen of this one counts.
        let mut advanced = rate::advance_node(base, taken.point, at, self.resolution);
        if !taken.continues {
            advanced.row.prev = PrevPoint::NONE;
        }
        Some(advanced)
    }

    fn new_row(&mut self, name: &str, is_listed: bool) -> Result<u32, Refused> {
        let row = |store: &mut Store| -> Result<u32, Refused> {
            let name = store.names.intern(name).ok_or(Refused::Text)?;
            store.rows.insert(name).ok_or_else(|| {
                store.names.release(name);
                Refused::Containers
            })
        };
        if is_listed { self.with_room(row) } else { row(self) }
    }

    /// Frees one row; the row after it.
    fn free_row(&mut self, index: u32) -> u32 {
        let Some((name, next)) = self.rows.remove(index) else { return END };
        self.rejected.forget(index);
        self.names.release(name);
        next
    }

    pub(super) fn free_rows(&mut self, first: u32) {
        let mut index = first;
        while index != END {
            index = self.free_row(index);
        }
    }

    /// Drops the points of those pods of a node that the current commit did not report. Pods that are not listed go
    /// with them: a few one by one, many in one pass over all.
    fn drop_pods_without_commit(&mut self, node: u32) {
        let mut before = NONE;
        let mut slot = self.nodes.at(node).map_or(NONE, |node| node.pods);
        let mut unused_count = 0;
        while let Some(pod) = self.pods.at_mut(slot) {
            let next = pod.next_of_node;
            if pod.committed_in == self.commit_number {
                before = slot;
            } else {
                (pod.node, pod.next_of_node) = (NONE, NONE);
                let rows = std::mem::replace(&mut pod.rows, END);
                let is_unused = !pod.listed;
                self.free_rows(rows);
                self.evaluate_pod(slot);
                if let Some(before) = self.pods.at_mut(before) {
                    before.next_of_node = next;
                } else if let Some(node) = self.nodes.at_mut(node) {
                    node.pods = next;
                }
                unused_count += u32::from(is_unused);
                if is_unused && unused_count <= REMOVED_SINGLY_MAX {
                    self.remove_if_unused(slot);
                }
            }
            slot = next;
        }
        if unused_count > REMOVED_SINGLY_MAX {
            self.sweep_pods();
        }
    }

    /// Notes since when a pod is served: listed, with two points of every container.
    pub(super) fn evaluate_pod(&mut self, slot: u32) {
        let generation = self.generation;
        let Some(pod) = self.pods.at(slot) else { return };
        let served = pod.listed && self.is_rated(pod.rows);
        let Some(pod) = self.pods.at_mut(slot) else { return };
        if !served {
            pod.served_since = 0;
        } else if pod.served_since == 0 {
            pod.served_since = generation;
        }
    }

    /// Whether there are rows, all with two points, and at least one of them has usage.
    fn is_rated(&self, first: u32) -> bool {
        let (mut index, mut has_usage) = (first, false);
        while let Some((_, row, next)) = self.rows.at(index) {
            if !row.prev.is_some() {
                return false;
            }
            has_usage |= rate::usage(row).is_some();
            index = next;
        }
        has_usage
    }
}

/// What goes into the history of a row.
fn recent(row: &Row) -> Recent {
    let working_set = Some(row.last.working_set).filter(|_| row.last != Point::NONE);
    Recent { cpu: rate::usage(row).map(|usage| usage.cpu), working_set }
}

/// Pods removed from the order one by one in one commit; more are removed in one pass over all.
const REMOVED_SINGLY_MAX: u32 = 16;
