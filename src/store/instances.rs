//! Which of several instances of one container counts: a body may hold the series of an old one, whose cgroup remained.
//!
//! The instance that continues the last point is kept, else the younger one by start, then by time of its sample; when
//! nothing tells them apart the pod is left out. Counters of instances that were not taken are remembered until the next
//! body, so that one of them is never taken for a continuation: no rate mixes two instances.

use super::row::Point;
use crate::limits;
use crate::units::CoreNanos;

/// A counter can grow by this many cores in real time; faster growth is another instance.
const CORES_MAX: u64 = 4_096;

/// Counters of instances that were not taken: the container's row, and the counter.
#[derive(Default)]
pub(super) struct Rejected(Vec<(u32, CoreNanos)>);

/// The instance to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) point: Point,
    /// It continues the last point.
    pub(super) continues: bool,
}

impl Rejected {
    /// Whether nothing is remembered of a row.
    pub(super) fn is_empty_for(&self, row: u32) -> bool {
        !self.0.iter().any(|(known, _)| *known == row)
    }

    /// Forgets a row.
    pub(super) fn forget(&mut self, row: u32) {
        if !self.0.is_empty() {
            self.0.retain(|(known, _)| *known != row);
        }
    }

    /// Chooses among `instances` (at least one) of the container in `row`, whose last point is `last`. Remembers the
    /// others; `None` when nothing tells them apart, or there is no room to remember.
    pub(super) fn choose(&mut self, row: u32, last: Option<Point>, instances: &[Point]) -> Option<Taken> {
        let taken = self.pick(row, last, instances);
        self.forget(row);
        let taken = taken?;
        let others = instances.iter().filter(|point| **point != taken.point);
        if self.0.len() + instances.len() > limits::REJECTED_INSTANCES_MAX {
            return None;
        }
        self.0.extend(others.map(|point| (row, point.cpu)));
        Some(taken)
    }

    fn pick(&self, row: u32, last: Option<Point>, instances: &[Point]) -> Option<Taken> {
        let is_rejected = |point: &Point, growth: Option<u64>| {
            let known = self.0.iter().filter(|(known, _)| *known == row);
            let nearest = known.filter_map(|(_, cpu)| point.cpu.0.checked_sub(cpu.0)).min();
            nearest.is_some_and(|nearest| growth.is_none_or(|growth| nearest <= growth))
        };
        let growth = |point: &Point| last.and_then(|last| grown(last, *point));
        let continuing = instances.iter().filter(|point| !is_rejected(point, growth(point)));
        let continuing = continuing.filter_map(|point| Some((growth(point)?, point)));
        if let Some(point) = only_least(continuing, |(growth, _)| *growth) {
            return Some(Taken { point: *point.1, continues: true });
        }
        let others = || instances.iter().filter(|point| !is_rejected(point, None));
        let youngest = others().map(|point| point.started_at).max()?;
        let young = others().filter(|point| point.started_at == youngest);
        let point = only_least(young, |point| std::cmp::Reverse(point.taken_at))?;
        Some(Taken { point: *point, continues: false })
    }
}

/// By how much the counter grew since `last`, if one instance can have done so.
fn grown(last: Point, point: Point) -> Option<u64> {
    let growth = point.cpu.0.checked_sub(last.cpu.0)?;
    let passed = point.taken_at.since(last.taken_at).0.unsigned_abs();
    // A point is at most some seconds off its time.
    let possible = passed.saturating_add(10_000_000_000).saturating_mul(CORES_MAX);
    (point.started_at == last.started_at && growth <= possible).then_some(growth)
}

/// The item with the least key, unless two have it.
fn only_least<T, K: Ord>(items: impl Iterator<Item = T>, key: impl Fn(&T) -> K) -> Option<T> {
    let mut least: Option<(T, bool)> = None;
    for item in items {
        least = match least {
            Some((known, is_alone)) => match key(&known).cmp(&key(&item)) {
                std::cmp::Ordering::Less => Some((known, is_alone)),
                std::cmp::Ordering::Equal => Some((known, false)),
                std::cmp::Ordering::Greater => Some((item, true)),
            },
            None => Some((item, true)),
        };
    }
    least.and_then(|(item, is_alone)| is_alone.then_some(item))
}
