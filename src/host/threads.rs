//! Threads with small stacks: the program has a handful, each for the life of the process.

use crate::limits;
use std::io::Result;
use std::thread::{Builder, JoinHandle};

/// Starts a thread with a stack of `limits::THREAD_STACK_LEN`. Of `name`, Linux keeps the first 15 bytes.
/// # Errors
/// The operating system has no room for another thread.
pub fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>> {
    Builder::new().name(name.to_owned()).stack_size(limits::THREAD_STACK_LEN).spawn(work)
}
