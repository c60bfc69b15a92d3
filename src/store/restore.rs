//! What of the store is written for the next run, and how that one takes it.

use super::records::{Node, Pod};
use super::row::Point;
use super::snapshot::{Snapshot, put_point, put_text};
use super::{Store, slab};
use crate::units::Uptime;
use crate::wire::protobuf::put_varint;

impl Store {
    /// Appends the points of the first node after `after` in name order; its name, or `None` when there is none.
    pub fn write_points(&self, after: Option<&str>, out: &mut Vec<u8>) -> Option<String> {
        let name = self.nodes_after(after).next()?.name;
        let node = self.nodes.at(self.node_slot(name)?)?;
        if node.row.last != Point::NONE || node.pods != slab::NONE {
            self.write_node(name, node, out);
        }
        Some(name.to_owned())
    }

    fn write_node(&self, name: &str, node: &Node, out: &mut Vec<u8>) {
        put_text(out, name);
        put_varint(out, node.committed_at.0.into());
        put_varint(out, node.source.number());
        put_point(out, &node.row.last);
        let pods = || {
            let mut next = node.pods;
            std::iter::from_fn(move || {
                let pod = self.pods.at(next)?;
                next = pod.next_of_node;
                Some(pod)
            })
        };
        put_varint(out, pods().count() as u64);
        pods().for_each(|pod| self.write_pod(pod, out));
    }

    fn write_pod(&self, pod: &Pod, out: &mut Vec<u8>) {
        put_text(out, self.names.text(pod.namespace));
        put_text(out, self.names.text(pod.name));
        put_varint(out, self.containers(pod.rows).count() as u64);
        for (name, row) in self.containers(pod.rows) {
            put_text(out, name);
            put_point(out, &row.last);
        }
    }

    /// Keeps points of an earlier run until their nodes are scraped.
    pub fn restore(&mut self, snapshot: Snapshot) {
        self.restored = Some(snapshot);
    }

    /// Commits what an earlier run knew of a node, before its first batch.
    pub(super) fn commit_restored(&mut self, slot: u32, name: &str, at: Uptime) {
        let Some(snapshot) = &mut self.restored else { return };
        let taken = snapshot.take(name, at);
        if snapshot.is_spent(at) {
            self.restored = None;
        }
        if let Some((batch, committed_at)) = taken
            && self.nodes.at(slot).is_some_and(|node| node.row.last == Point::NONE && node.pods == slab::NONE)
        {
            let _ = self.commit_batch(slot, &batch, committed_at);
        }
    }
}
