//! The program's allocator: one heap for all threads, which gives back what it does not need.
//!
//! Small pieces come from dlmalloc behind one lock, without caches: glibc keeps up to seven freed pieces of each size
//! for each thread, which was a third of this program's heap, and musl's allocator is slow between threads. Its segments
//! never touch each other: it would join them, and could give back only the end of what it joined. Each large piece is a
//! mapping of the kernel, which goes back when it is freed; a few are kept for the next piece of their length, since each
//! record of TLS and each part of an answer is one. Threads wait for each other only for some ten nanoseconds: scraping,
//! storing and encoding allocate next to nothing.
//! Memory: what is in use, the kept mappings, and below `limits::HEAP_PIECE_LEN_MAX` the segments that hold a piece in use.

#![allow(unsafe_code)]

use crate::limits;
use dlmalloc::Dlmalloc;
use std::alloc::{GlobalAlloc, Layout};
use std::sync::{Mutex, MutexGuard, PoisonError};

// Fuzz targets keep the allocator of their sanitizer.
#[cfg_attr(not(fuzzing), global_allocator)]
static ALLOCATOR: Allocator =
    Allocator { small: Mutex::new(Dlmalloc::new_with_allocator(Apart)), spare: Mutex::new(Spare::NONE) };

struct Allocator {
    small: Mutex<Dlmalloc<Apart>>,
    spare: Mutex<Spare>,
}

impl Allocator {
    fn heap(&self) -> MutexGuard<'_, Dlmalloc<Apart>> {
        self.small.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spare(&self) -> MutexGuard<'_, Spare> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A large piece: a mapping that was kept, or a fresh one.
    fn map(&self, len: usize, zeroed: bool) -> *mut u8 {
        let Some(base) = self.spare().take(page_count(len)) else { return map(len) };
        if zeroed {
            // SAFETY: a mapping of as many pages, which nobody else has.
            unsafe { base.write_bytes(0, len) };
        }
        base
    }

    fn unmap(&self, piece: *mut u8, len: usize) {
        let gone = self.spare().keep(piece, page_count(len));
        unmap(gone);
    }
}

/// Mappings of freed pieces: where they begin, and their pages.
struct Spare {
    mappings: [(*mut u8, usize); limits::HEAP_SPARES_MAX],
    oldest: usize,
}

// SAFETY: the mappings belong to nobody else.
unsafe impl Send for Spare {}

impl Spare {
    const NONE: Spare = Spare { mappings: [(std::ptr::null_mut(), 0); limits::HEAP_SPARES_MAX], oldest: 0 };

    /// A mapping of exactly as many pages.
    fn take(&mut self, pages: usize) -> Option<*mut u8> {
        let found = self.mappings.iter_mut().find(|(_, kept)| *kept == pages && pages > 0)?;
        Some(std::mem::replace(found, (std::ptr::null_mut(), 0)).0)
    }

    /// Keeps a mapping; what has to go instead, null for nothing.
    fn keep(&mut self, piece: *mut u8, pages: usize) -> (*mut u8, usize) {
        if pages > limits::HEAP_SPARE_LEN_MAX / limits::HEAP_GAP_LEN {
            return (piece, pages);
        }
        let place = self.mappings.iter().position(|(_, kept)| *kept == 0).unwrap_or(self.oldest);
        self.oldest = (place + 1) % limits::HEAP_SPARES_MAX;
        self.mappings.get_mut(place).map_or((piece, pages), |kept| std::mem::replace(kept, (piece, pages)))
    }
}

/// Gives a mapping that nobody uses back; null is none.
fn unmap((base, pages): (*mut u8, usize)) {
    if !base.is_null() {
        // SAFETY: what was mapped can be taken down.
        unsafe { libc::munmap(base.cast(), pages * limits::HEAP_GAP_LEN) };
    }
}

/// Pages that a mapping of this length takes.
fn page_count(len: usize) -> usize {
    len.div_ceil(limits::HEAP_GAP_LEN)
}

/// Segments with a gap behind each, so that one whose pieces are all free goes back by itself, wherever it lies.
struct Apart;

// SAFETY: fresh private mappings, each longer by a gap that the heap does not know of. Pieces are smaller than a segment,
// so that none is resized and none is given back in part.
unsafe impl dlmalloc::Allocator for Apart {
    fn alloc(&self, len: usize) -> (*mut u8, usize, u32) {
        let whole = len.saturating_add(limits::HEAP_GAP_LEN);
        (map(whole), len, 0)
    }
    fn free(&self, base: *mut u8, len: usize) -> bool {
        // SAFETY: mapped by `alloc` with this length and the gap; the heap holds no piece of it.
        unsafe { libc::munmap(base.cast(), len + limits::HEAP_GAP_LEN) == 0 }
    }
    fn remap(&self, _base: *mut u8, _old: usize, _new: usize, _can_move: bool) -> *mut u8 {
        std::ptr::null_mut()
    }
    fn free_part(&self, _base: *mut u8, _old: usize, _new: usize) -> bool {
        false
    }
    fn can_release_part(&self, _flags: u32) -> bool {
        true
    }
    fn allocates_zeros(&self) -> bool {
        true
    }
    fn page_size(&self) -> usize {
        limits::HEAP_GAP_LEN
    }
}

#[cfg(debug_assertions)]
thread_local! {
    static ALLOCATIONS: std::cell::Cell<(u64, u64)> = const { std::cell::Cell::new((0, 0)) };
}

/// Pieces that this thread took or resized so far: what steady paths must not do is counted, not timed. Tests only.
#[cfg(debug_assertions)]
#[must_use]
pub fn allocation_count() -> u64 {
    ALLOCATIONS.get().0
}

/// Bytes of those pieces. Tests only.
#[cfg(debug_assertions)]
#[must_use]
pub fn allocated_len() -> u64 {
    ALLOCATIONS.get().1
}

/// Counts a piece; nothing in a release build.
#[inline]
#[allow(unused_variables)]
fn count(len: usize) {
    #[cfg(debug_assertions)]
    {
        let (count, bytes) = ALLOCATIONS.get();
        ALLOCATIONS.set((count + 1, bytes + len as u64));
    }
}

/// Whether a piece lies in the heap; others have a mapping of their own, which begins with a page.
fn is_small(len: usize, align: usize) -> bool {
    len < limits::HEAP_PIECE_LEN_MAX || align > limits::HEAP_GAP_LEN
}

/// Fresh zeroed memory of the kernel; null when there is none.
fn map(len: usize) -> *mut u8 {
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a mapping of its own, wherever the kernel puts it.
    let base = unsafe { libc::mmap(std::ptr::null_mut(), len, access, kind, -1, 0) };
    if base == libc::MAP_FAILED { std::ptr::null_mut() } else { base.cast() }
}

// SAFETY: the layout that a piece is given back with is the one it was taken with, so `is_small` decides the same way
// both times and a piece returns to where it came from. dlmalloc is alone behind the lock, and a `Mutex` of
// this size neither allocates nor panics. The caller's promises (a size above zero, a live pointer) are passed on.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: see above.
        unsafe {
            match is_small(layout.size(), layout.align()) {
                true => self.heap().malloc(layout.size(), layout.align()),
                false => self.map(layout.size(), false),
            }
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: see above.
        unsafe {
            match is_small(layout.size(), layout.align()) {
                true => self.heap().calloc(layout.size(), layout.align()),
                false => self.map(layout.size(), true),
            }
        }
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        // SAFETY: see above.
        unsafe {
            match is_small(layout.size(), layout.align()) {
                true => self.heap().free(piece, layout.size(), layout.align()),
                false => self.unmap(piece, layout.size()),
            }
        }
    }

    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, len: usize) -> *mut u8 {
        count(len);
        // SAFETY: see above; between the two allocators the bytes that both lengths have are copied.
        unsafe {
            match (is_small(layout.size(), layout.align()), is_small(len, layout.align())) {
                (true, true) => self.heap().realloc(piece, layout.size(), layout.align(), len),
                (false, false) => {
                    let new = libc::mremap(piece.cast(), layout.size(), len, libc::MREMAP_MAYMOVE);
                    if new == libc::MAP_FAILED { std::ptr::null_mut() } else { new.cast() }
                }
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

/// Makes the C library keep nothing of what it allocates for itself and frees. Call it before any thread starts.
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

/// Gives segments without a piece in use, and kept mappings, back to the operating system: some microseconds, nothing
/// when there is none.
pub fn trim() {
    // SAFETY: the heap is alone behind its lock.
    unsafe { ALLOCATOR.heap().trim(0) };
    let spare = std::mem::replace(&mut *ALLOCATOR.spare(), Spare::NONE);
    spare.mappings.into_iter().for_each(unmap);
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
    fn a_freed_mapping_is_used_again_and_few_are_kept() {
        let mut spare = Spare::NONE;
        let mapping = |pages: usize| std::ptr::without_provenance_mut::<u8>(pages * limits::HEAP_GAP_LEN);
        assert!(spare.keep(mapping(5), 5).0.is_null());
        assert_eq!(spare.take(4), None, "of another length");
        assert_eq!(spare.take(5), Some(mapping(5)));
        assert_eq!(spare.take(5), None, "only once");
        assert_eq!(spare.take(0), None);
        let beyond = limits::HEAP_SPARE_LEN_MAX / limits::HEAP_GAP_LEN + 1;
        assert_eq!(spare.keep(mapping(beyond), beyond), (mapping(beyond), beyond), "large ones are not kept");
        let gone: Vec<usize> = (1..=8).map(|pages| spare.keep(mapping(pages), pages).1).collect();
        assert_eq!(gone, [0, 0, 0, 0, 1, 2, 3, 4], "the oldest goes");
    }

    fn is_mapped(page: usize) -> bool {
        let mut resident = 0_u8;
        // SAFETY: a question about one page, and a byte for its answer.
        unsafe { libc::mincore(std::ptr::without_provenance_mut(page & !4095), 1, &raw mut resident) == 0 }
    }

    #[test]
    fn what_is_freed_between_pieces_in_use_goes_back() {
        let pieces: Vec<Vec<u8>> = (0..4_000).map(|_| vec![1; 16 * 1024]).collect();
        // One in forty stays: ten times as much as a segment holds lies between two of them.
        let (kept, freed): (Vec<_>, Vec<_>) =
            pieces.into_iter().enumerate().partition(|(nth, _)| nth % 40 == 0);
        let places: Vec<usize> = freed.iter().map(|(_, piece)| piece.as_ptr().addr()).collect();
        let mapped = || places.iter().filter(|place| is_mapped(**place)).count();
        assert_eq!(mapped(), places.len());
        drop(freed);
        trim();
        assert!(mapped() < places.len() / 4, "{} of {} pieces are kept", mapped(), places.len());
        drop(kept);
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
