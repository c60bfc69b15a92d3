//! Histograms as Prometheus has them: cumulative buckets on reading, one count a bucket on writing.
//!
//! Bounds are a small array in place, so that a histogram allocates nothing. A value equal to a bound belongs to that
//! bound's bucket. Bounds are those of metrics-server, bit for bit: they are names that dashboards ask for.

use crate::invariant::assured;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Most bounds any histogram has.
const BOUNDS_MAX: usize = 20;

/// The bounds that Prometheus clients call default, in seconds.
pub(crate) const DEFAULT_BOUNDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Upper bounds in seconds, strictly increasing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    values: [f64; BOUNDS_MAX],
    len: usize,
}

impl Bounds {
    fn of(values: impl IntoIterator<Item = f64>) -> Bounds {
        let mut bounds = Bounds { values: [0.0; BOUNDS_MAX], len: 0 };
        for value in values {
            if let Some(place) = bounds.values.get_mut(bounds.len) {
                *place = value;
                bounds.len += 1;
            }
        }
        bounds
    }

    /// Tick durations: the default bounds and the resolution; above 10 s also half way to it, and 1.5 and 2 times it.
    pub(crate) fn tick(resolution: Duration) -> Bounds {
        let seconds = resolution.as_secs_f64();
        let last = 10.0;
        if seconds > last {
            let above = [last + (seconds - last) / 2.0, seconds, seconds * 1.5, seconds * 2.0];
            return Bounds::of(DEFAULT_BOUNDS.into_iter().chain(above));
        }
        let below = DEFAULT_BOUNDS.into_iter().filter(|bound| *bound < seconds);
        let above = DEFAULT_BOUNDS.into_iter().filter(|bound| *bound > seconds);
        Bounds::of(below.chain([seconds]).chain(above))
    }

    /// Ages of served points: 20 bounds from 1 s on, each 1.364 times the one before.
    pub(crate) fn freshness() -> Bounds {
        Bounds::of(std::iter::successors(Some(1.0), |bound| Some(bound * 1.364)).take(BOUNDS_MAX))
    }

    pub(crate) fn values(&self) -> &[f64] {
        assured(self.values.get(..self.len), "only bounds with a place are counted")
    }
}

/// Which bucket a value falls into; the length of `bounds` stands for `+Inf`.
fn bucket(bounds: &[f64], value: f64) -> usize {
    bounds.partition_point(|bound| *bound < value)
}

/// A histogram that many threads may observe into.
pub(crate) struct Atomic {
    bounds: Bounds,
    counts: [AtomicU64; BOUNDS_MAX + 1],
    /// Bits of an f64, in seconds.
    sum: AtomicU64,
}

impl Atomic {
    pub(crate) fn new(bounds: Bounds) -> Atomic {
        Atomic { bounds, counts: [const { AtomicU64::new(0) }; BOUNDS_MAX + 1], sum: AtomicU64::new(0) }
    }

    pub(crate) fn observe(&self, value: Duration) {
        let value = value.as_secs_f64();
        if let Some(count) = self.counts.get(bucket(self.bounds.values(), value)) {
            count.fetch_add(1, Relaxed);
            let add = |sum| Some((f64::from_bits(sum) + value).to_bits());
            let _ = self.sum.fetch_update(Relaxed, Relaxed, add);
        }
    }

    /// Bounds, counts by bucket (one more than bounds), sum. Not one instant's picture while others observe.
    pub(crate) fn read(&self) -> (&[f64], impl Iterator<Item = u64>, f64) {
        let counts = self.counts.iter().take(self.bounds.len + 1).map(|count| count.load(Relaxed));
        (self.bounds.values(), counts, f64::from_bits(self.sum.load(Relaxed)))
    }

    /// How much was observed.
    pub(crate) fn count(&self) -> u64 {
        self.read().1.sum()
    }
}

/// A histogram with the default bounds, for use behind a lock.
#[derive(Default)]
pub(crate) struct Plain {
    counts: [u32; DEFAULT_BOUNDS.len() + 1],
    sum: f64,
}

impl Plain {
    pub(crate) fn observe(&mut self, value: Duration) {
        let value = value.as_secs_f64();
        if let Some(count) = self.counts.get_mut(bucket(&DEFAULT_BOUNDS, value)) {
            *count = count.saturating_add(1);
        }
        self.sum += value;
    }

    /// As [`Atomic::read`].
    pub(crate) fn read(&self) -> (&[f64], impl Iterator<Item = u64>, f64) {
        (&DEFAULT_BOUNDS, self.counts.iter().map(|count| u64::from(*count)), self.sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tick(seconds: u64) -> Vec<f64> {
        Bounds::tick(Duration::from_secs(seconds)).values().to_vec()
    }

    fn with_default(above: &[f64]) -> Vec<f64> {
        DEFAULT_BOUNDS.iter().chain(above).copied().collect()
    }

    #[test]
    fn d1_tick_bounds_go_beyond_a_resolution_of_15_seconds() {
        assert_eq!(tick(15), with_default(&[12.5, 15.0, 22.5, 30.0]));
        assert_eq!(tick(60), with_default(&[35.0, 60.0, 90.0, 120.0]));
    }

    #[test]
    fn d2_tick_bounds_with_a_resolution_among_them() {
        assert_eq!(tick(5), DEFAULT_BOUNDS);
        assert_eq!(tick(7), [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 7.0, 10.0]);
    }

    #[test]
    fn d3_tick_bounds_with_the_largest_default_as_resolution() {
        assert_eq!(tick(10), DEFAULT_BOUNDS);
    }

    #[test]
    fn a_value_equal_to_a_bound_counts_below_it() {
        assert_eq!(bucket(&DEFAULT_BOUNDS, 0.005), 0);
        assert_eq!(bucket(&DEFAULT_BOUNDS, 0.0051), 1);
        assert_eq!(bucket(&DEFAULT_BOUNDS, 10.0), 10);
        assert_eq!(bucket(&DEFAULT_BOUNDS, 10.1), 11);
    }
}
