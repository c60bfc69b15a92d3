//! Threads with small stacks: the program has a handful, each for the life of the process.
//!
//! A TLS handshake needs some 40 KiB of stack and a request 20, the waiting after them a page or two: [`give_back_stack`]
//! returns the rest, which would stay resident otherwise.

#![allow(unsafe_code)]

use super::memory;
use crate::limits;
use std::cell::Cell;
use std::io::Result;
use std::thread::{Builder, JoinHandle};

thread_local! {
    /// Address of a variable of this thread's first function; 0 on threads that were not started here.
    static STACK_TOP: Cell<usize> = const { Cell::new(0) };
}

/// Starts a thread with a stack of `limits::THREAD_STACK_LEN`. Of `name`, Linux keeps the first 15 bytes.
/// # Errors
/// The operating system has no room for another thread.
pub fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>> {
    let work = move || {
        let first = 0_u8;
        STACK_TOP.set((&raw const first).addr());
        work()
    };
    Builder::new().name(name.to_owned()).stack_size(limits::THREAD_STACK_LEN).spawn(work)
}

/// Gives back what the calling thread used of its stack and does not use now.
#[inline(never)]
pub fn give_back_stack() {
    let here = 0_u8;
    let here = &raw const here;
    let (top, page_len) = (STACK_TOP.get(), memory::page_len());
    // A page is left to this function, the call it makes, and signals.
    let end = (here.addr() / page_len).saturating_sub(1) * page_len;
    let lowest = top.saturating_sub(limits::THREAD_STACK_LEN - limits::STACK_SPARE_LEN);
    let begin = lowest.next_multiple_of(page_len);
    if top == 0 || begin >= end {
        return;
    }
    // SAFETY: the range is part of this thread's own stack, below everything that is in use: what uses it next
    // writes before it reads.
    unsafe { libc::madvise(here.with_addr(begin).cast_mut().cast(), end - begin, libc::MADV_DONTNEED) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(never)]
    fn deep(levels: usize) -> usize {
        let bytes = std::hint::black_box([levels; 512]);
        if levels == 0 { 0 } else { deep(levels - 1) + bytes[levels % 512] }
    }

    /// Pages of the 16 KiB below `address`, 32 KiB further down, that are in memory.
    fn resident_below(address: *const u8) -> usize {
        let begin = (address.addr() - 48 * 1024) & !4095;
        let mut pages = [0_u8; 4];
        // SAFETY: four pages of this thread's stack, and a byte for each.
        let asked = unsafe {
            libc::mincore(address.with_addr(begin).cast_mut().cast(), 16 * 1024, pages.as_mut_ptr())
        };
        assert_eq!(asked, 0);
        pages.iter().filter(|page| **page & 1 == 1).count()
    }

    #[test]
    fn an_unused_stack_is_given_back_and_can_be_used_again() {
        let thread = spawn("deep", || {
            let here = 0_u8;
            let sum = deep(15);
            let used = resident_below(&raw const here);
            give_back_stack();
            let left = resident_below(&raw const here);
            (used, left, sum == deep(15), here)
        });
        assert_eq!(thread.unwrap().join().unwrap(), (4, 0, true, 0));
    }

    #[test]
    fn a_thread_from_elsewhere_keeps_its_stack() {
        give_back_stack();
        assert_eq!(deep(3), 6);
    }
}
