//! Waiting longer after each failure, with chance in it, so that many clients do not come back at once. Pure.

use crate::net::fetch::Reason;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// A number from 0 to 1, different at each call: keys of the standard library's hash maps come from the system's chance.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn chance() -> f64 {
    (RandomState::new().build_hasher().finish() >> 11) as f64 / (1_u64 << 53) as f64
}

/// The number of failures in a row after one more. Refused connections do not count beyond the second: where nothing listens,
/// asking costs nobody, and after an outage nobody should wait for the end of a long pause.
#[must_use]
pub fn after_failure(failures: u32, reason: Reason) -> u32 {
    if reason == Reason::Refused { failures.saturating_add(1).min(2) } else { failures.saturating_add(1) }
}

/// The wait after `failures` in a row: `first` times `factor` to their number, at most `longest`, and up to `jitter`
/// of it more.
#[must_use]
pub fn wait(failures: u32, first: Duration, factor: f64, longest: Duration, jitter: f64) -> Duration {
    let exponent = failures.saturating_sub(1).min(64) as i32;
    let seconds = (first.as_secs_f64() * factor.powi(exponent)).min(longest.as_secs_f64());
    Duration::from_secs_f64(seconds * (1.0 + jitter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_longest() {
        let at = |failures| {
            wait(failures, Duration::from_millis(800), 2.0, Duration::from_secs(30), 0.0).as_millis()
        };
        assert_eq!([1, 2, 3, 6, 7, u32::MAX].map(at), [800, 1_600, 3_200, 25_600, 30_000, 30_000]);
        let jittered = wait(9, Duration::from_millis(800), 2.0, Duration::from_secs(30), 1.0);
        assert_eq!(jittered, Duration::from_secs(60));
    }

    #[test]
    fn chance_stays_within_its_bounds_and_changes() {
        let drawn: Vec<f64> = (0..64).map(|_| chance()).collect();
        assert!(drawn.iter().all(|c| (0.0..1.0).contains(c)));
        assert!(drawn.windows(2).any(|w| w[0] != w[1]));
    }
}
