//! How many files and sockets this process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit of open files to `wanted`, as far as the hard one allows, and gives what is in force.
#[must_use]
pub fn raise_limit(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    // `None` is no limit.
    let number = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
    let raised = (wanted as u64).min(number(limit.maximum));
    let is_raised = number(limit.current) < raised
        && setrlimit(Resource::Nofile, Rlimit { current: Some(raised), ..limit }).is_ok();
    usize::try_from(if is_raised { raised } else { number(limit.current) }).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_raised_and_never_lowered() {
        let before = raise_limit(0);
        assert!(before > 0);
        assert_eq!(raise_limit(1), before, "what is enough stays");
        assert!(raise_limit(before + 1) >= before);
    }
}
