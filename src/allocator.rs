//! The program's allocator: one heap for all threads, which gives back what it does not need.
//!
//! Small pieces come from dlmalloc behind one lock, without caches: glibc keeps up to seven freed pieces of each size
//! for each thread, which was a third of this program's heap, and musl's allocator is slow between threads. Large ones
//! go to the C library, which maps each by itself once [`limit`] was called, so that a burst leaves no holes. Threads
//! wait for each other only for some ten nanoseconds: scraping, storing and encoding allocate next to nothing.
//! Memory: what is in use, and below `limits::HEAP_PIECE_LEN_MAX` what fragmentation holds.

#![allow(unsafe_code)]

use crate::limits;
use dlmalloc::Dlmalloc;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::{Mutex, MutexGuard, PoisonError};

// Fuzz targets keep the allocator of their sanitizer.
#[cfg_attr(not(fuzzing), global_allocator)]
static ALLOCATOR: Allocator = Allocator(Mutex::new(Dlmalloc::new()));

struct Allocator(Mutex<Dlmalloc>);

impl Allocator {
    fn heap(&self) -> MutexGuard<'_, Dlmalloc> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
thread_local! {
    static ALLOCATIONS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Pieces that this thread took or resized so far: what steady paths must not do is counted, not timed.
#[cfg(test)]
pub(crate) fn allocation_count() -> u64 {
    ALLOCATIONS.get()
}

fn is_small(len: usize) -> bool {
    len < limits::HEAP_PIECE_LEN_MAX
}

// SAFETY: the layout that a piece is given back with is the one it was taken with, so `is_small` decides the same way
// both times and a piece returns to the allocator it came from. dlmalloc is alone behind the lock, and a `Mutex` of
// this size neither allocates nor panics. The caller's promises (a size above zero, a live pointer) are passed on.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        #[cfg(test)]
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: see above.
        unsafe {
            match is_small(layout.size()) {
                true => self.heap().malloc(layout.size(), layout.align()),
                false => System.alloc(layout),
            }
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        #[cfg(test)]
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: see above.
        unsafe {
            match is_small(layout.size()) {
                true => self.heap().calloc(layout.size(), layout.align()),
                false => System.alloc_zeroed(layout),
            }
        }
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        // SAFETY: see above.
        unsafe {
            match is_small(layout.size()) {
                true => self.heap().free(piece, layout.size(), layout.align()),
                false => System.dealloc(piece, layout),
            }
        }
    }

    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, len: usize) -> *mut u8 {
        #[cfg(test)]
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: see above; between the two allocators the bytes that both lengths have are copied.
        unsafe {
            match (is_small(layout.size()), is_small(len)) {
                (true, true) => self.heap().realloc(piece, layout.size(), layout.align(), len),
                (false, false) => System.realloc(piece, layout, len),
                _ => {
                    let new = self.alloc(Layout::from_size_align_unchecked(len, layout.align()));
                    if !new.is_null() {
                        new.copy_from_nonoverlapping(piece, layout.size().min(len));
                        self.dealloc(piece, layout);
                    }
                    new
                }
            }
        }
    }
}

/// Makes the C library map large pieces by themselves and keep no memory that is free. Call it before any thread starts.
pub fn limit() {
    #[cfg(target_env = "gnu")]
    for (parameter, value) in [
        (libc::M_ARENA_MAX, 1),
        (libc::M_TRIM_THRESHOLD, THRESHOLD),
        (libc::M_MMAP_THRESHOLD, THRESHOLD),
        (libc::M_TOP_PAD, 0),
    ] {
        // SAFETY: documented parameters; a refusal leaves the default, which is only larger.
        unsafe { libc::mallopt(parameter, value) };
    }
}

#[cfg(target_env = "gnu")]
#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)]
const THRESHOLD: libc::c_int = limits::HEAP_PIECE_LEN_MAX as libc::c_int;

/// Gives free memory at the heap's end back to the operating system: some microseconds, nothing when there is none.
pub fn trim() {
    // SAFETY: the heap is alone behind its lock.
    unsafe { ALLOCATOR.heap().trim(0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_keep_their_bytes_between_the_two_allocators() {
        for lens in [[10, 100, 1_000], [1_000, 100_000, 1_000_000], [1_000_000, 100, 100_000]] {
            let mut bytes: Vec<u8> = (0..10).collect();
            for len in lens {
                bytes.reserve_exact(len - bytes.len().min(len));
                bytes.shrink_to(len);
                assert_eq!(bytes, (0..10).collect::<Vec<u8>>());
            }
        }
    }

    #[test]
    fn zeroed_pieces_are_zero_after_use() {
        for len in [64, 4_096, limits::HEAP_PIECE_LEN_MAX - 1, limits::HEAP_PIECE_LEN_MAX] {
            drop(std::hint::black_box(vec![0xff_u8; len]));
            assert!(std::hint::black_box(vec![0_u8; len]).iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn pieces_are_aligned_as_asked() {
        #[repr(align(4096))]
        struct Page([u8; 4096]);
        let pages = [Box::new(Page([1; 4096])), Box::new(Page([2; 4096]))];
        assert!(pages.iter().all(|page| std::ptr::from_ref(&page.0).addr() % 4096 == 0));
        assert_eq!(pages.iter().map(|page| page.0[4095]).sum::<u8>(), 3);
    }
}
