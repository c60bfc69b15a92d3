//! How many files and sockets this process may have open.

#![allow(unsafe_code)]

/// Raises the soft limit of open files to `wanted`, as far as the hard one allows, and gives what is in force.
#[must_use]
pub fn raise_limit(wanted: usize) -> usize {
    let wanted = libc::rlim_t::try_from(wanted).unwrap_or(libc::rlim_t::MAX);
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes one live structure.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        // It cannot fail for a valid resource; if it did, a refused connection would tell later.
        return usize::MAX;
    }
    if limit.rlim_cur < wanted {
        let raised = libc::rlimit { rlim_cur: wanted.min(limit.rlim_max), ..limit };
        // SAFETY: the kernel reads one live structure.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) } == 0 {
            limit = raised;
        }
    }
    usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX)
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
