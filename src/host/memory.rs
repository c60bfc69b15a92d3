//! The allocator's settings, and what this process uses.

#![allow(unsafe_code)]

use crate::units::Bytes;
use std::io::Read;
use std::time::Duration;

/// Keeps the allocator small: one arena for all threads, freed memory goes back early. Call it before any thread starts.
///
/// glibc would otherwise keep an arena a thread and up to 128 KiB of freed memory at the end of each.
pub fn limit_allocator() {
    #[cfg(target_env = "gnu")]
    for (parameter, value) in [
        (libc::M_ARENA_MAX, 1),
        (libc::M_TRIM_THRESHOLD, ALLOCATOR_THRESHOLD),
        (libc::M_MMAP_THRESHOLD, ALLOCATOR_THRESHOLD),
    ] {
        // SAFETY: documented parameters; a refusal leaves the default, which is only larger.
        unsafe { libc::mallopt(parameter, value) };
    }
}

/// Bytes of free memory that are kept, and from which an allocation gets its own mapping.
#[cfg(target_env = "gnu")]
const ALLOCATOR_THRESHOLD: libc::c_int = 64 * 1024;

/// Resident memory of this process; `None` where /proc does not say.
#[must_use]
pub fn resident() -> Option<Bytes> {
    let mut text = [0_u8; 128];
    let len = std::fs::File::open("/proc/self/statm").and_then(|mut file| file.read(&mut text)).ok()?;
    let text = std::str::from_utf8(text.get(..len)?).ok()?;
    let pages: u64 = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
    // SAFETY: a query without arguments that can be wrong.
    let page_len = u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).ok()?;
    Some(Bytes(pages.saturating_mul(page_len)))
}

/// CPU time this process has used, user and system, of all its threads.
#[must_use]
pub fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is live; the clock exists on every Linux. On a refusal it stays zero.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    let secs = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(secs, u32::try_from(time.tv_nsec).unwrap_or(0))
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
    fn work_takes_cpu_time() {
        let before = cpu_time();
        let mut sum = 0_u64;
        while cpu_time() <= before {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(cpu_time() > before);
    }
}
