//! Values that are there by construction.
//!
//! Without one of them only a plausible wrong value could be served, so the process ends and says which invariant was broken.
//! For values that depend on what others send this is the wrong function: their absence is an error or a fallback.

/// The value of `Some`; `invariant` says why it cannot be `None`.
#[track_caller]
#[inline]
#[allow(clippy::expect_used)]
pub fn assured<T>(value: Option<T>, invariant: &str) -> T {
    value.expect(invariant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    // The musl build ends at a panic and links no working unwinder, which the test would need to see it.
    #[cfg_attr(target_env = "musl", ignore)]
    #[should_panic(expected = "there are two")]
    fn a_broken_invariant_is_named() {
        assert_eq!(assured(Some(2), "there are two"), 2);
        assured(None::<u32>, "there are two");
    }
}
