//! The queues of a schedule: one for each class of nodes, each in the order of due times.
//!
//! Quick nodes are scraped a resolution apart, so they come in almost the order of their due times: a ring, without a
//! comparison. The other classes are small or short-lived, and ordered. Memory: one entry for each node.

use std::cmp::Ordering;
use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

/// What is expected of a node's next scrape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Class {
    /// It takes little time, and the node can be served.
    Quick,
    /// The node was read, and cannot be served yet.
    Young,
    /// The node was never read.
    #[default]
    New,
    /// It takes long, or is expected to fail.
    Last,
}

impl Class {
    /// The order in which nodes that are due are taken.
    pub(super) const ORDER: [Class; 4] = [Class::Quick, Class::Young, Class::New, Class::Last];

    const fn index(self) -> usize {
        match self {
            Class::Quick => 0,
            Class::Young => 1,
            Class::New => 2,
            Class::Last => 3,
        }
    }
}

/// Where a node waits.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct QueuePlace {
    pub(super) class: Class,
    due: Option<Instant>,
}

/// A node in a queue: its due time and slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Due(Instant, u32);

impl Ord for Due {
    fn cmp(&self, other: &Due) -> Ordering {
        #[cfg(test)]
        COMPARISONS.set(COMPARISONS.get() + 1);
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Due) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
thread_local! {
    /// Comparisons of due times so far, for the test that a round's cost grows with its nodes and no faster.
    pub(super) static COMPARISONS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

#[derive(Default)]
pub(super) struct Queues {
    ring: VecDeque<Due>,
    ordered: [BTreeSet<Due>; 4],
}

impl Queues {
    pub(super) fn push(&mut self, class: Class, due: Instant, slot: u32) -> QueuePlace {
        if class == Class::Quick {
            // A node that became quick may be due before the last ones: it goes where it belongs.
            let mut at = self.ring.len();
            let entry = Due(due, slot);
            while at > 0 && self.ring.get(at - 1).is_some_and(|other| *other > entry) {
                at -= 1;
            }
            self.ring.insert(at, entry);
        } else if let Some(ordered) = self.ordered.get_mut(class.index()) {
            ordered.insert(Due(due, slot));
        }
        QueuePlace { class, due: Some(due) }
    }

    pub(super) fn remove(&mut self, place: QueuePlace, slot: u32) {
        let Some(due) = place.due else { return };
        if place.class == Class::Quick {
            self.ring.retain(|entry| *entry != Due(due, slot));
        } else if let Some(ordered) = self.ordered.get_mut(place.class.index()) {
            ordered.remove(&Due(due, slot));
        }
    }

    /// The due time of the first node.
    pub(super) fn head_due(&self, class: Class) -> Option<Instant> {
        let head = match class {
            Class::Quick => self.ring.front(),
            _ => self.ordered.get(class.index()).and_then(BTreeSet::first),
        };
        head.map(|entry| entry.0)
    }

    /// Takes the first node, if it is due.
    pub(super) fn take_due(&mut self, class: Class, now: Instant) -> Option<u32> {
        if self.head_due(class).is_none_or(|due| due > now) {
            return None;
        }
        let head = match class {
            Class::Quick => self.ring.pop_front(),
            _ => self.ordered.get_mut(class.index()).and_then(BTreeSet::pop_first),
        };
        head.map(|entry| entry.1)
    }
}
