//! Time of an operation, cycles of the processor, and the bandwidth of memory.

use crate::Operation;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Each operation is repeated for so long, and at least so often.
const TIME: Duration = Duration::from_millis(600);
const COUNT_MIN: usize = 15;
/// More than any cache holds.
const COPY_LEN: usize = 96 << 20;

/// An operation that is ready to run.
pub struct Work {
    /// Bytes that go in or come out, whichever the operation is about.
    pub bytes: usize,
    /// How many items they are.
    pub items: usize,
    /// What must be done before each run and is not measured.
    pub prepare: Box<dyn FnMut()>,
    /// What is measured; gives something that depends on all of it.
    pub run: Box<dyn FnMut() -> usize>,
}

impl Work {
    /// Work without preparation.
    pub fn new(bytes: usize, items: usize, run: impl FnMut() -> usize + 'static) -> Work {
        Work { bytes, items, prepare: Box::new(|| ()), run: Box::new(run) }
    }
}

/// Runs an operation once, warm, inside the function that callgrind counts in.
pub fn once(work: &mut Work) {
    for _ in 0..2 {
        (work.prepare)();
        black_box((work.run)());
    }
    (work.prepare)();
    micro_counted(work);
}

/// A name that callgrind finds.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn micro_counted(work: &mut Work) {
    black_box((work.run)());
}

/// Best and middle time of a run.
fn times(work: &mut Work) -> (f64, f64) {
    let (begin, mut times) = (Instant::now(), Vec::new());
    while begin.elapsed() < TIME || times.len() < COUNT_MIN {
        (work.prepare)();
        let started = Instant::now();
        black_box((work.run)());
        times.push(started.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    (times[0], times[times.len() / 2])
}

/// What this machine can do at best, measured in the same run.
pub struct Machine {
    /// Cycles in a second.
    hertz: f64,
    /// Bytes a second that `memcpy` copies where no cache helps.
    copied: f64,
}

impl Machine {
    /// Measures both.
    pub fn measured() -> Machine {
        let (from, mut to) = (vec![1_u8; COPY_LEN], vec![2_u8; COPY_LEN]);
        let mut copy = Work::new(COPY_LEN, 1, move || {
            black_box(&mut to).copy_from_slice(black_box(&from));
            to.len()
        });
        Machine { hertz: hertz(), copied: COPY_LEN as f64 / times(&mut copy).0 }
    }

    /// The head of the table.
    pub fn print_head(&self) {
        println!(
            "Measured at {:.2} GHz; memcpy of {} MiB copies {:.1} GB/s, {:.1} bytes a cycle.\n",
            self.hertz / 1e9,
            COPY_LEN >> 20,
            self.copied / 1e9,
            self.copied / self.hertz
        );
        println!(
            "| operation | by | bytes | best | middle | MB/s | bytes a cycle | memcpy is faster | an item |"
        );
        println!("|---|---|--:|--:|--:|--:|--:|--:|--:|");
    }

    /// Measures one operation.
    pub fn print_row(&self, operation: &Operation) {
        let mut work = (operation.make)();
        let (best, middle) = times(&mut work);
        let bytes = work.bytes as f64;
        println!(
            "| {} | {} | {} | {:.1} us | {:.1} us | {:.0} | {:.2} | {:.1} x | {:.0} ns/{} |",
            operation.group,
            operation.by,
            work.bytes,
            best * 1e6,
            middle * 1e6,
            bytes / best / 1e6,
            bytes / best / self.hertz,
            self.copied / (bytes / best),
            best * 1e9 / work.items as f64,
            operation.item,
        );
    }
}

/// Cycles a second by a chain in which each step waits for the last one: a multiplication takes three cycles and an addition
/// one, on every processor of the last ten years.
fn hertz() -> f64 {
    const STEPS: u32 = 200_000;
    let (factor, summand) =
        (black_box(6_364_136_223_846_793_005_u64), black_box(1_442_695_040_888_963_407_u64));
    let mut chain = Work::new(0, 1, move || {
        let mut value = black_box(1_u64);
        for _ in 0..STEPS {
            value = value.wrapping_mul(factor).wrapping_add(summand);
        }
        value as usize
    });
    4.0 * f64::from(STEPS) / times(&mut chain).0
}
