//! The one place that reads clocks. Everything else takes time as an argument.

#![allow(unsafe_code)]

use crate::units::{UnixNanos, Uptime};
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
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec for the length of the call, which writes nothing else.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) } != 0;
    // Linux has this clock since 2.6.39; without it every window would look wrong.
    assert!(!failed, "the kernel has no CLOCK_BOOTTIME");
    // Neither part is ever negative, or above a billion nanoseconds.
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Uptime::from_duration(Duration::new(seconds.unwrap_or(0), nanos.unwrap_or(0)))
}
