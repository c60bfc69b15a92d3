//! What this process uses of memory and CPU time, and what of the program it gives back.

#![allow(unsafe_code)]

use crate::invariant::assured;
use crate::units::Bytes;
use rustix::time::{ClockId, clock_gettime};
use std::io::Read;
use std::time::Duration;

unsafe extern "C" {
    // Set by the linker: where the program's constants and code begin and end.
    static __executable_start: u8;
    static etext: u8;
}

/// Gives back the pages of the program itself, once the start is over: what is called again is mapped again from the page
/// cache, 64 KiB with each of some 25 page faults, and what only the start needed stays out.
pub fn forget_program() {
    let page_len = page_len();
    let begin = (&raw const __executable_start).addr().next_multiple_of(page_len);
    let len = (&raw const etext).addr().saturating_sub(begin) / page_len * page_len;
    let begin = (&raw const __executable_start).with_addr(begin).cast_mut().cast();
    // SAFETY: these pages are the file's own, mapped only to be read and run: dropping them changes no byte.
    unsafe { libc::madvise(begin, len, libc::MADV_DONTNEED) };
}

/// Whether the operating system would give pieces of so many bytes now, all at once; nothing stays reserved.
/// # Errors
/// A limit of the process or of the machine is in the way.
pub fn check_room(mut pieces: impl Iterator<Item = Bytes>) -> std::io::Result<()> {
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    let mut held = Vec::new();
    let mut take = |piece: Bytes| {
        let len = usize::try_from(piece.0.max(1)).map_err(|_| std::io::ErrorKind::OutOfMemory)?;
        // SAFETY: a mapping of its own, wherever the kernel puts it.
        let room = unsafe { libc::mmap(std::ptr::null_mut(), len, access, kind, -1, 0) };
        if room == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error());
        }
        held.push((room, len));
        Ok(())
    };
    let taken = pieces.try_for_each(&mut take);
    for (room, len) in held {
        // SAFETY: mapped above, and nothing points into it.
        unsafe { libc::munmap(room, len) };
    }
    taken
}

/// Bytes of a page of memory.
#[must_use]
pub fn page_len() -> usize {
    // SAFETY: a query without arguments that can be wrong.
    let len = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).ok();
    assured(len.filter(|len| *len > 0), "every kernel says how long its pages are")
}

/// Resident memory of this process; `None` where /proc does not say.
#[must_use]
pub fn resident() -> Option<Bytes> {
    let mut text = [0_u8; 128];
    let len = std::fs::File::open("/proc/self/statm").and_then(|mut file| file.read(&mut text)).ok()?;
    let text = std::str::from_utf8(text.get(..len)?).ok()?;
    let pages: u64 = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(Bytes(pages.saturating_mul(u64::try_from(page_len()).ok()?)))
}

/// CPU time this process has used, user and system, of all its threads.
#[must_use]
pub fn cpu_time() -> Duration {
    let used = Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).ok();
    assured(used, "the time that a process has used is never negative")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn touched_memory_is_resident() {
        let touched = std::hint::black_box(vec![1_u8; 32 << 20]);
        assert!(resident().unwrap() > Bytes(32 << 20));
        drop(touched);
    }

    #[test]
    fn room_beyond_the_address_space_is_refused_and_room_that_is_there_is_not_kept() {
        let room = |pieces: &[u64]| check_room(pieces.iter().copied().map(Bytes));
        assert!(room(&[4096, u64::MAX / 4]).is_err());
        // Kept, they would be more than there are addresses for: 128 TiB, or 4 GiB of them.
        let large = if cfg!(target_pointer_width = "64") { 1 << 36 } else { 1 << 30 };
        for _ in 0..3_000 {
            room(&[large, 0]).unwrap();
        }
    }

    #[test]
    fn the_program_runs_on_after_its_pages_are_given_back() {
        let before = &raw const __executable_start;
        assert!(before.addr() < (&raw const etext).addr());
        forget_program();
        assert_eq!(format!("{:?}", 1.5 + std::hint::black_box(2.25)), "3.75");
    }

    #[test]
    fn work_takes_cpu_time() {
        let before = cpu_time();
        let mut sum = 0_u64;
        while cpu_time() <= before {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(cpu_time() > before);
    }
}
