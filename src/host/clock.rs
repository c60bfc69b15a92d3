//! The one place that reads clocks. Everything else takes time as an argument.

use crate::units::UnixNanos;
use std::time::{Instant, SystemTime};

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
