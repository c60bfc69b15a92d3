//! How points follow one another, and the rate between two of them.
//!
//! Pure functions; the rules are metrics-server's, which each batch applies to what was known before. A container that
//! is between ten seconds and one resolution old is rated from its start, so it is served after one scrape.
//! Source: metrics-server `pkg/storage/{node,pod,types}.go`.
//!
//! Deviation: where metrics-server rates a container against an empty point (the pod had an earlier point, this
//! container had none, and the time did not advance: a window of 292 years and no CPU), there is no rate and the pod is
//! absent.
//! Deviation: a pod whose counters all went back is absent; metrics-server lists it without containers or time.
//! Deviation: when a kubelet's clock steps by more than a resolution, metrics-server serves a window of an hour and a
//! fraction of the usage; here the window must agree with our own monotonic clock, or there is no rate until the next.

use super::Usage;
use super::batch::BatchSource;
use super::row::{Point, PrevPoint, Row};
use crate::limits;
use crate::units::{CoreNanos, Nanocores, UnixNanos, Uptime, Window};

/// A container younger than this is not rated from its start: too short a window for a rate.
const FRESH_AGE_MIN: Window = Window::from_secs(10);

/// A row after a new point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Advanced {
    pub(super) row: Row,
    /// When the last point was seen first.
    pub(super) seen_at: Uptime,
    /// The kubelet's clock stepped between the two points: there is no rate over them.
    pub(super) stepped: bool,
}

/// What is known of a node or container before a new point.
#[derive(Clone, Copy, Debug)]
pub(super) struct KnownRow {
    pub(super) row: Row,
    pub(super) seen_at: Uptime,
}

impl KnownRow {
    /// Nothing.
    pub(super) const NONE: KnownRow = KnownRow { row: Row::NONE, seen_at: Uptime(0) };

    /// The row as it is, where `point` comes too soon after its last one: times of a Summary are cut to seconds, so that a
    /// short window between two of them would be a wrong rate. The next scrape's window is longer.
    pub(super) fn kept(&self, point: Point, source: BatchSource) -> Option<Advanced> {
        let last = self.row.last;
        let passed = point.taken_at.0.saturating_sub(last.taken_at.0);
        let is_kept = source == BatchSource::Summary
            && (0..limits::WHOLE_SECONDS_WINDOW_MIN.0).contains(&passed)
            && point.started_at == last.started_at
            && point.cpu >= last.cpu;
        is_kept.then_some(Advanced { row: self.row, seen_at: self.seen_at, stepped: false })
    }

    /// Whether the time of `point` disagrees with our own clock by more than a resolution. A sample may be a resolution
    /// old when it is seen first, and repeated for any time, but it cannot overtake the clock or fall behind it.
    fn has_stepped(&self, point: Point, at: Uptime, resolution: Window) -> bool {
        let last = self.row.last.taken_at;
        let passed = point.taken_at.0.saturating_sub(last.0);
        if last == UnixNanos::UNKNOWN || passed == 0 {
            return false;
        }
        let expected = if passed > 0 { at.since(self.seen_at).0 } else { 0 };
        passed.saturating_sub(expected).unsigned_abs() > (resolution.0 + SLACK.0).unsigned_abs()
    }

    /// When the last point after `point` was seen first.
    fn seen_at(&self, point: Point, at: Uptime) -> Uptime {
        if point.taken_at == self.row.last.taken_at { self.seen_at } else { at }
    }
}

/// How far two readings of our clock may be apart from what they stand for: its unit, and the time an answer takes.
const SLACK: Window = Window::from_secs(2);

/// A node's row after `point`.
pub(super) fn advance_node(old: KnownRow, point: Point, at: Uptime, resolution: Window) -> Advanced {
    let stepped = old.has_stepped(point, at, resolution);
    let prev = if stepped { PrevPoint::NONE } else { base(old.row, point) };
    Advanced { row: Row { last: point, prev }, seen_at: old.seen_at(point, at), stepped }
}

/// A container's row after `point`; `old` is [`KnownRow::NONE`] for one not seen before.
pub(super) fn advance_container(old: KnownRow, point: Point, at: Uptime, resolution: Window) -> Advanced {
    let mut stepped = false;
    let prev = if is_fresh(point, resolution) {
        PrevPoint { taken_at: point.started_at, cpu: CoreNanos(0), started_at: point.started_at }
    } else if point.started_at < old.row.last.taken_at {
        stepped = old.has_stepped(point, at, resolution);
        if stepped { PrevPoint::NONE } else { base(old.row, point) }
    } else {
        // Restarted since, or not seen before.
        PrevPoint::NONE
    };
    Advanced { row: Row { last: point, prev }, seen_at: old.seen_at(point, at), stepped }
}

/// What to rate `point` from: the last point, or the one before when the last is not older.
fn base(old: Row, point: Point) -> PrevPoint {
    if point.taken_at > old.last.taken_at {
        old.last.into()
    } else if old.prev.is_some() && old.prev.taken_at < point.taken_at {
        old.prev
    } else {
        PrevPoint::NONE
    }
}

fn is_fresh(point: Point, resolution: Window) -> bool {
    let age = point.taken_at.since(point.started_at);
    FRESH_AGE_MIN <= age && age < resolution
}

/// Usage between the two points of a row; `None` without two, or when the start or the counter went back.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(super) fn usage(row: &Row) -> Option<Usage> {
    let Row { last, prev } = row;
    if !prev.is_some() || last.started_at < prev.started_at {
        return None;
    }
    let cpu = last.cpu.0.checked_sub(prev.cpu.0)?;
    let window = last.taken_at.since(prev.taken_at);
    if window == Window(0) {
        return None;
    }
    Some(Usage {
        cpu: Nanocores((cpu as f64 / window.as_secs_f64()) as u64),
        working_set: last.working_set,
        swap: last.swap(),
        at: last.taken_at,
        window,
    })
}
