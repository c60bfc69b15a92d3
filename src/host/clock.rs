//! The one place that reads clocks. Everything else takes time as an argument.

use crate::invariant::assured;
use crate::units::{UnixNanos, Uptime};
use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant, SystemTime};

/// Wall clock: nanoseconds since the Unix epoch; 0 before 1970.
#[must_use]
#[allow(clippy::disallowed_methods)]
pub fn wall() -> UnixNanos {
    let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_nanos());
    UnixNanos(i64::try_from(nanos).unwrap_or(i64::MAX))
}

/// Monotonic clock, for durations and deadlines: boards without a battery-backed clock jump at their first time sync.
#[must_use]
#[allow(clippy::disallowed_methods)]
pub fn mono() -> Instant {
    Instant::now()
}

/// Time since this machine started, sleep included. It outlives the process, which [`mono`] does not.
#[must_use]
pub fn uptime() -> Uptime {
    let since_boot = Duration::try_from(clock_gettime(ClockId::Boottime)).ok();
    // With a wrong time every window would be wrong.
    Uptime::from_duration(assured(since_boot, "the time since the boot is never negative"))
}
