//! What the tables hold of a node and a pod, and how far a list has come.

use super::batch::BatchSource;
use super::names::{NameId, Names};
use super::row::Row;
use super::rows::END;
use super::slab::NONE;
use crate::units::Uptime;
use crate::wire::allocatable::Allocatable;

/// One node.
pub(super) struct Node {
    pub(super) name: NameId,
    pub(super) labels: NameId,
    /// Path annotation, then type and address of each address.
    pub(super) endpoint: NameId,
    pub(super) kubelet_port: u16,
    pub(super) ready: bool,
    pub(super) allocatable: Allocatable,
    /// The list that named it last; 0 for none yet.
    pub(super) listed_in: u32,
    /// What its points were read from.
    pub(super) source: BatchSource,
    /// Its own points.
    pub(super) row: Row,
    /// First of the pods it reported in its last batch.
    pub(super) pods: u32,
    pub(super) served_since: u64,
    /// When its last point was seen first.
    pub(super) seen_at: Uptime,
    /// When its last batch was committed.
    pub(super) committed_at: Uptime,
    /// Its last scrape failed.
    pub(super) is_failing: bool,
}

impl Default for Node {
    fn default() -> Self {
        Node {
            name: NameId::EMPTY,
            labels: NameId::EMPTY,
            endpoint: NameId::EMPTY,
            kubelet_port: 0,
            ready: false,
            allocatable: Allocatable::default(),
            listed_in: 0,
            source: BatchSource::default(),
            row: Row::NONE,
            pods: NONE,
            served_since: 0,
            seen_at: Uptime(0),
            committed_at: Uptime(0),
            is_failing: false,
        }
    }
}

/// One pod.
pub(super) struct Pod {
    pub(super) namespace: NameId,
    pub(super) name: NameId,
    pub(super) labels: NameId,
    /// The API server says it is running.
    pub(super) listed: bool,
    /// Labels and node are those of a record; false while it is listed first.
    pub(super) has_record: bool,
    pub(super) listed_in: u32,
    /// `spec.nodeName`; empty when not known.
    pub(super) assigned: NameId,
    /// The node that reported it; [`NONE`] without points.
    pub(super) node: u32,
    /// Next pod of that node.
    pub(super) next_of_node: u32,
    /// The commit that reported it last.
    pub(super) committed_in: u32,
    /// First of its containers' rows.
    pub(super) rows: u32,
    /// The generation since when it is served without a break; 0 when it is not.
    pub(super) served_since: u64,
}

impl Default for Pod {
    fn default() -> Self {
        Pod {
            namespace: NameId::EMPTY,
            name: NameId::EMPTY,
            labels: NameId::EMPTY,
            listed: false,
            has_record: false,
            listed_in: 0,
            assigned: NameId::EMPTY,
            node: NONE,
            next_of_node: NONE,
            committed_in: 0,
            rows: END,
            served_since: 0,
        }
    }
}

impl Pod {
    /// Gives its texts back.
    pub(super) fn release_names(self, names: &mut Names) {
        for name in [self.namespace, self.name, self.labels, self.assigned] {
            names.release(name);
        }
    }
}

/// Progress of one kind's lists.
#[derive(Clone, Copy)]
pub(super) struct Listing {
    /// Number of the last list that began; 1 before the first.
    pub(super) number: u32,
    pub(super) synced: bool,
    /// Objects that found no room since the last list began.
    pub(super) refused_count: u32,
}

impl Default for Listing {
    fn default() -> Self {
        Listing { number: 1, synced: false, refused_count: 0 }
    }
}
