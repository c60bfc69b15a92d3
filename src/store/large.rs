//! A few places for the batches of large nodes: how many may be read at once, however many threads read.
//!
//! A batch takes a place when it grows beyond what each may have on its own account, and waits for one when all are taken: a
//! place is held by a request to a kubelet, which ends in its time.

use crate::limits;
use crate::lock::lock;
use std::sync::{Condvar, Mutex, PoisonError};

static TAKEN: Mutex<usize> = Mutex::new(0);
static FREED: Condvar = Condvar::new();

/// A place; dropping it frees it.
pub(super) struct LargePlace(());

impl LargePlace {
    /// Waits for a place.
    pub(super) fn take() -> LargePlace {
        let is_full = |taken: &mut usize| *taken >= limits::LARGE_BATCHES_MAX;
        let mut taken = FREED.wait_while(lock(&TAKEN), is_full).unwrap_or_else(PoisonError::into_inner);
        *taken += 1;
        LargePlace(())
    }
}

impl Drop for LargePlace {
    fn drop(&mut self) {
        *lock(&TAKEN) -= 1;
        FREED.notify_one();
    }
}
