//! One log line for each change of state, none for a repetition.
//!
//! A problem is logged when its subject did not have it before: a new subject, another state, or a more severe level.
//! A recovery is logged only after a problem that was logged, so a problem below the log level leaves no recovery line
//! either. Memory: two hashes a subject that has a problem, at most `limits::LOGGED_STATES_MAX` subjects; beyond them one
//! line says that further problems are not logged.

use crate::limits;
use crate::lock::lock;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;

/// What the lines logged here name as their module.
pub const MODULE: &str = module_path!();

/// The problems that were logged and have not ended.
#[derive(Debug, Default)]
pub struct LogOnce(Mutex<Logged>);

#[derive(Debug, Default)]
struct Logged {
    /// Hash of the subject; hash of its state, and the level it was logged at.
    states: BTreeMap<u64, (u64, log::Level)>,
    /// The table was full, and that was logged.
    overflow: bool,
}

impl LogOnce {
    /// No problem was logged yet.
    #[must_use]
    pub const fn new() -> LogOnce {
        LogOnce(Mutex::new(Logged { states: BTreeMap::new(), overflow: false }))
    }

    /// Logs `message` unless `subject` is in `state` already; whether it was logged.
    pub fn problem(
        &self,
        level: log::Level,
        subject: impl Hash,
        state: impl Hash,
        message: impl Display,
    ) -> bool {
        if level > log::max_level() {
            return false;
        }
        let (subject, state) = (hash(subject), hash(state));
        let mut logged = lock(&self.0);
        if let Some((known, known_level)) = logged.states.get(&subject)
            && *known == state
            && *known_level <= level
        {
            return false;
        }
        if logged.states.len() >= limits::LOGGED_STATES_MAX && !logged.states.contains_key(&subject) {
            if !std::mem::replace(&mut logged.overflow, true) {
                log::warn!("more than {} problems: further ones are not logged", limits::LOGGED_STATES_MAX);
            }
            return false;
        }
        logged.states.insert(subject, (state, level));
        drop(logged);
        log::log!(level, "{message}");
        true
    }

    /// The problem of `subject` ended: logs `message` if it was logged; whether it was.
    pub fn recovered(&self, subject: impl Hash, message: impl Display) -> bool {
        let known = self.forget(subject);
        if known {
            log::info!("{message}");
        }
        known
    }

    /// The problem of `subject` ended without a line of its own, for instance because the subject is gone.
    pub fn forget(&self, subject: impl Hash) -> bool {
        let mut logged = lock(&self.0);
        if logged.states.is_empty() {
            // The usual case of every scrape: nothing to look up.
            return false;
        }
        let known = logged.states.remove(&hash(subject)).is_some();
        logged.overflow &= !known;
        known
    }
}

fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use log::Level::{Debug, Info, Warn};

    fn log_once() -> LogOnce {
        log::set_max_level(log::LevelFilter::Info);
        LogOnce::new()
    }

    #[test]
    fn a_problem_is_logged_at_each_change_and_a_recovery_once() {
        let log = log_once();
        let lines = [
            log.problem(Warn, "node a", "timeout", "slow"),
            log.problem(Warn, "node a", "timeout", "slow"),
            log.problem(Warn, "node b", "timeout", "slow"),
            log.problem(Warn, "node a", "refused", "closed"),
            log.recovered("node a", "answers"),
            log.recovered("node a", "answers"),
            log.problem(Warn, "node a", "refused", "closed"),
        ];
        assert_eq!(lines, [true, false, true, true, true, false, true]);
    }

    #[test]
    fn what_the_level_hides_has_no_recovery_and_is_logged_when_it_becomes_severe() {
        let log = log_once();
        assert!(!log.problem(Debug, "node a", "refused", "not ready"));
        assert!(!log.recovered("node a", "answers"));
        assert!(log.problem(Info, "node a", "refused", "not ready"));
        assert!(log.problem(Warn, "node a", "refused", "ready, yet closed"));
        assert!(!log.problem(Info, "node a", "refused", "not ready"));
    }

    #[test]
    fn subjects_are_bounded_and_a_recovery_makes_room() {
        let log = log_once();
        for subject in 0..limits::LOGGED_STATES_MAX {
            assert!(log.problem(Warn, subject, "", "full"));
        }
        assert!(!log.problem(Warn, "one more", "", "full"));
        assert!(log.problem(Warn, 0_usize, "other", "known subjects may change"));
        assert!(log.recovered(0_usize, "room"));
        assert!(log.problem(Warn, "one more", "", "full"));
    }
}
