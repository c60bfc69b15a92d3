//! Who gets the last room: what the API server lists, before what only a kubelet claims.
//!
//! A listed object that finds no room takes that of unlisted pods, one after the other. What was refused all the same is
//! counted, so that a new list can be asked for once there is room again.

use super::slab::NONE;
use super::{Inventory, Refused, Store};

impl Store {
    /// Takes something that needs room, evicting unlisted pods until there is enough.
    pub(super) fn with_room<T>(
        &mut self,
        take: impl Fn(&mut Store) -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        loop {
            match take(self) {
                Err(_) if self.evict_unlisted_pod() => {}
                done => return done,
            }
        }
    }

    /// Forgets one pod that no list names; false when there is none. Every pass goes on where the last one ended, so
    /// that evicting many is one pass over all.
    fn evict_unlisted_pod(&mut self) -> bool {
        if self.listed_count >= self.pods.count() {
            return false;
        }
        let end = self.pods.slot_end();
        for _ in 0..end {
            let slot = if self.evict_from < end { self.evict_from } else { 0 };
            self.evict_from = slot + 1;
            // A pod being added is neither listed nor reported.
            if self.pods.at(slot).is_some_and(|pod| !pod.listed && pod.node != NONE) {
                self.release_pod(slot);
                self.remove_if_unused(slot);
                return true;
            }
        }
        false
    }

    /// Notes that an object of a list or a watch found no room.
    pub(super) fn note_refusal(&mut self, kind: Inventory) {
        match kind {
            Inventory::Nodes => self.refused_nodes += 1,
            Inventory::Pods => self.refused_pods += 1,
        }
        let listing = self.listing(kind);
        listing.refused_count = listing.refused_count.saturating_add(1);
    }

    /// Whether objects were refused since the last list began and would find room now, all or an eighth of the table:
    /// then a new list is due.
    #[must_use]
    pub fn has_room_again(&self, kind: Inventory) -> bool {
        let (refused, room, capacity) = match kind {
            Inventory::Nodes => (self.node_listing.refused_count, self.nodes.room(), self.nodes.capacity()),
            // Unlisted pods make room for listed ones.
            Inventory::Pods => {
                let unlisted = self.pods.count().saturating_sub(self.listed_count) as usize;
                (self.pod_listing.refused_count, self.pods.room() + unlisted, self.pods.capacity())
            }
        };
        let wanted = (refused as usize).min(capacity / 8).max(1);
        refused > 0 && room >= wanted && self.names.room() >= wanted.saturating_mul(TEXT_LEN)
    }
}

/// Bytes of text that an object needs at least.
const TEXT_LEN: usize = 64;
