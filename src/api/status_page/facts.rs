//! What the page shows, before it is written in one notation or the other.

use super::rank::Totals;
use crate::api::Vitals;
use crate::counters::LastScrape;
use crate::limits;
use crate::store::batch::BatchSource;
use crate::store::{Capacity, Occupancy, Recent, Usage};
use crate::units::{Bytes, Nanocores, UnixNanos, Window};
use crate::wire::allocatable::Allocatable;
use crate::wire::pressure::Stall;
use crate::wire::request::parameter;
use std::borrow::Cow;
use std::time::Duration;

/// What is asked for: pods of one namespace, of one node, and how often a browser asks again.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    pub(super) namespace: Option<String>,
    pub(super) node: Option<String>,
    /// `None`: never.
    pub(super) refresh_secs: Option<u64>,
}

/// What stands above the tables.
pub(super) struct Overview<'a> {
    pub(super) wanted: &'a Wanted,
    pub(super) vitals: &'a Vitals,
    pub(super) mode: &'static str,
    pub(super) reserved: Bytes,
    pub(super) resolution: Duration,
    pub(super) now: UnixNanos,
    pub(super) totals: Totals,
    pub(super) nodes_shown: usize,
    pub(super) pods_shown: usize,
    /// What pods wait for is known.
    pub(super) has_waits: bool,
    pub(super) occupancy: Occupancy,
    pub(super) capacity: Option<Capacity>,
    /// The time that a history covers; zero when none is kept.
    pub(super) history: Window,
}

/// One node.
pub(super) struct NodeRow<'a> {
    pub(super) name: &'a str,
    pub(super) source: Option<BatchSource>,
    pub(super) scrape: LastScrape,
    pub(super) usage: Option<Usage>,
    /// What its usage is a share of.
    pub(super) allocatable: Allocatable,
    /// Since the last sample.
    pub(super) age: Option<Window>,
    pub(super) history: &'a [Recent],
}

/// One pod; sums of its containers.
pub(super) struct PodRow<'a> {
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    pub(super) node: Option<&'a str>,
    pub(super) containers: usize,
    pub(super) cpu: Nanocores,
    pub(super) working_set: Bytes,
    /// By resource; `None` where nothing of it is known.
    pub(super) waits: Option<[Option<Stall>; 3]>,
    pub(super) age: Option<Window>,
    pub(super) history: &'a [Recent],
}

impl Wanted {
    pub(super) fn read(query: Option<&str>, resolution: Duration) -> Wanted {
        let text = |name| parameter(query, name).filter(|text| !text.is_empty()).map(Cow::into_owned);
        let refresh = text("refresh");
        let refresh_secs = match refresh.as_deref() {
            Some("off") => None,
            Some(secs) => Some(secs.parse().unwrap_or(0).max(limits::STATUS_REFRESH_SECS_MIN)),
            None => Some(resolution.as_secs()),
        };
        Wanted { namespace: text("namespace"), node: text("node"), refresh_secs }
    }
}
