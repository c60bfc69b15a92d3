//! Quantities with their unit in the type.
//!
//! Counters, rates, sizes and instants are all 64-bit integers; a type for each keeps a counter from being served as a
//! rate. Nothing here reads a clock: instants come from kubelets or from `host::clock` as arguments.

use std::time::Duration;

/// A cumulative CPU counter: nanoseconds of one core's time, since the container (or node) started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct CoreNanos(pub u64);

/// A CPU rate: nanoseconds of core time per second of wall time; 1 000 000 000 is one core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nanocores(pub u64);

/// An amount of memory in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl Nanocores {
    /// The sum, or the largest rate there is.
    #[must_use]
    pub const fn saturating_add(self, other: Nanocores) -> Nanocores {
        Nanocores(self.0.saturating_add(other.0))
    }
}

impl Bytes {
    /// The sum, or the largest amount there is.
    #[must_use]
    pub const fn saturating_add(self, other: Bytes) -> Bytes {
        Bytes(self.0.saturating_add(other.0))
    }
}

/// An instant: nanoseconds since the Unix epoch, UTC. Signed, since a hostile kubelet may claim any time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixNanos(pub i64);

impl UnixNanos {
    /// Older than every instant: the start time of something whose start nobody reported.
    pub const UNKNOWN: UnixNanos = UnixNanos(i64::MIN);

    /// From milliseconds since the epoch, the resolution of the exposition format; saturates.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        UnixNanos(millis.saturating_mul(1_000_000))
    }

    /// Time passed since `earlier`; zero when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: UnixNanos) -> Window {
        let nanos = self.0.saturating_sub(earlier.0);
        Window(if nanos > 0 { nanos } else { 0 })
    }

    /// Whole seconds since the epoch, rounded towards the past.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }
}

/// A moment of this machine's monotonic clock: tenths of a second since it started. It does not follow steps of the wall
/// clock, and goes on over restarts of the program; 32 bits last for 13 years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Uptime(pub u32);

impl Uptime {
    /// From the time since the machine started; saturates.
    #[must_use]
    pub fn from_duration(since_boot: Duration) -> Uptime {
        Uptime(u32::try_from(since_boot.as_millis() / 100).unwrap_or(u32::MAX))
    }

    /// Time passed since `earlier`; zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Uptime) -> Window {
        Window(i64::from(self.0.saturating_sub(earlier.0)) * 100_000_000)
    }
}

/// The time between the two points a rate was computed from, in nanoseconds; never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window(pub i64);

impl Window {
    /// From whole seconds; saturates.
    #[must_use]
    pub const fn from_secs(secs: i64) -> Self {
        Window(secs.saturating_mul(1_000_000_000))
    }

    /// From a duration; saturates.
    #[must_use]
    pub fn from_duration(duration: Duration) -> Self {
        Window(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
    }

    /// The window in seconds, rounded as metrics-server does before it divides.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn as_secs_f64(self) -> f64 {
        // Go's Duration.Seconds adds whole seconds and the fraction: the same rounding, step by step.
        (self.0 / 1_000_000_000) as f64 + (self.0 % 1_000_000_000) as f64 / 1e9
    }
}
