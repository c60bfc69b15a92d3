//! Taking a mutex, in one word.
//!
//! A panic ends the process, so no lock is ever left poisoned by one; what the standard library says of it is passed over.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Waits for the lock.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
