//! How points follow one another, and the rate between two of them.
//!
//! Pure functions; the rules are metrics-server's, which each batch applies to what was known before. A container that
//! is between ten seconds and one resolution old is rated from its start, so it is served after one scrape.
//! Source: metrics-server `pkg/storage/{node,pod,types}.go`.
//!
//! Deviation: where upstream rates a container against an empty point (the pod had an earlier point, this container
//! had none, and the time did not advance: a window of 292 years and no CPU), there is no rate and the pod is absent.

use super::Usage;
use super::row::{Point, PrevPoint, Row};
use crate::units::{CoreNanos, Nanocores, Window};

/// A container younger than this is not rated from its start: too short a window for a rate.
const FRESH_AGE_MIN: Window = Window::from_secs(10);

/// A node's row after `point`.
pub(super) fn advance_node(old: Row, point: Point) -> Row {
    Row { last: point, prev: base(old, point) }
}

/// A container's row after `point`; `old` is [`Row::NONE`] for one not seen before.
pub(super) fn advance_container(old: Row, point: Point, resolution: Window) -> Row {
    let prev = if is_fresh(point, resolution) {
        PrevPoint { taken_at: point.started_at, cpu: CoreNanos(0), started_at: point.started_at }
    } else if point.started_at < old.last.taken_at {
        base(old, point)
    } else {
        // Restarted since, or not seen before.
        PrevPoint::NONE
    };
    Row { last: point, prev }
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
