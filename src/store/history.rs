//! What nodes and containers used lately: a ring of one CPU and one memory value for each resolution.
//!
//! A value is kept as a floating-point number of 16 bits: 0 for none, then whole numbers below 2,048 as they are, and above
//! it 10 bits behind the leading one and 6 bits of exponent, rounded to the nearest: at most 1/2,048 (0.05 %) off, for every
//! number of 64 bits. Memory: 4 bytes a sample and 8 a ring, reserved as address space for the whole table, or for its first
//! rows up to `limits::HISTORY_LEN_MAX`; pages are touched as rows are used. A ring goes with its row, and a row that is used again begins with an empty one.
//!
//! Scrapes come about a resolution apart. A ring has its own grid of times, which begins with its first sample; a sample up to
//! three quarters of a resolution early or late takes the next place, so that jitter makes neither gaps nor doubles. What was
//! not written is a gap, and stays one.

use super::pool::count_of;
use crate::limits;
use crate::units::{Bytes, Nanocores, Uptime};

/// One place of a ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct PackedSample {
    cpu: u16,
    working_set: u16,
}

/// Where a ring's newest sample is.
#[derive(Clone, Copy, Debug)]
struct RingHead {
    /// The time of the newest sample on the ring's grid.
    at: Uptime,
    /// Its place; [`EMPTY`] before the first.
    newest: u32,
}

const EMPTY: u32 = u32::MAX;

impl RingHead {
    const NONE: RingHead = RingHead { at: Uptime(0), newest: EMPTY };
}

/// Rings by index: those of containers by row, those of nodes by slot.
#[derive(Default)]
pub(super) struct History {
    heads: Vec<RingHead>,
    samples: Vec<PackedSample>,
    /// Rings that there is room for; rows beyond have no history.
    ring_count: usize,
    /// Samples of a ring; 0: nothing is kept.
    ring_len: usize,
    /// A resolution, in the unit of [`Uptime`].
    step: u32,
}

/// What a node or pod used at one time; `None` where it is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recent {
    /// CPU rate.
    pub cpu: Option<Nanocores>,
    /// Memory working set.
    pub working_set: Option<Bytes>,
}

impl Recent {
    /// Adds a container that was there at the time. CPU of one that has no rate yet is unknown, and so is the sum.
    fn add(&mut self, other: Recent) {
        let Some(working_set) = other.working_set else { return };
        let is_first = self.working_set.is_none();
        self.working_set = Some(self.working_set.unwrap_or_default().saturating_add(working_set));
        self.cpu = match (self.cpu, other.cpu) {
            (None, cpu) if is_first => cpu,
            (Some(sum), Some(cpu)) => Some(sum.saturating_add(cpu)),
            _ => None,
        };
    }
}

impl History {
    /// Bytes that rings of so many samples take for `count` rows: all of them, or as many as there is room for.
    pub(super) fn bytes(count: u32, samples: u32) -> u64 {
        ring_count(u64::from(count), samples).saturating_mul(ring_bytes(samples))
    }

    /// Reserves rings of so many samples for `count` rows; `step` is a resolution.
    pub(super) fn new(count: usize, samples: u32, step: u32) -> History {
        let (ring_count, ring_len) = (ring_count(count as u64, samples) as usize, samples as usize);
        History {
            heads: Vec::with_capacity(ring_count),
            samples: Vec::with_capacity(ring_count.saturating_mul(ring_len)),
            ring_count,
            ring_len,
            step: step.max(1),
        }
    }

    /// Samples of a ring.
    pub(super) fn len(&self) -> u32 {
        count_of(self.ring_len)
    }

    /// Writes what was seen at a time. A second sample of one resolution replaces the first.
    pub(super) fn write(&mut self, index: u32, at: Uptime, seen: Recent) {
        let index = index as usize;
        if index >= self.ring_count {
            return;
        }
        if index >= self.heads.len() {
            // Within what was reserved.
            self.heads.resize(index + 1, RingHead::NONE);
            self.samples.resize((index + 1) * self.ring_len, PackedSample::default());
        }
        let step = self.step;
        let Some((head, ring)) = self.ring_mut(index) else { return };
        let steps = if head.newest == EMPTY { 0 } else { steps_between(head.at, at, step) };
        let mut place = if head.newest == EMPTY { 0 } else { head.newest as usize };
        if steps as usize >= ring.len() {
            ring.fill(PackedSample::default());
        } else {
            for _ in 0..steps {
                place = if place + 1 == ring.len() { 0 } else { place + 1 };
                if let Some(sample) = ring.get_mut(place) {
                    *sample = PackedSample::default();
                }
            }
        }
        let on_grid = head.at.0.saturating_add(steps.saturating_mul(step));
        head.at = if head.newest == EMPTY { at } else { Uptime(on_grid) };
        head.newest = count_of(place);
        if let Some(sample) = ring.get_mut(place) {
            *sample = PackedSample {
                cpu: encode(seen.cpu.map(|cpu| cpu.0)),
                working_set: encode(seen.working_set.map(|bytes| bytes.0)),
            };
        }
    }

    /// Where the samples of a ring are.
    fn places(&self, index: usize) -> std::ops::Range<usize> {
        let start = index * self.ring_len;
        start..start + self.ring_len
    }

    fn ring_mut(&mut self, index: usize) -> Option<(&mut RingHead, &mut [PackedSample])> {
        let places = self.places(index);
        Some((self.heads.get_mut(index)?, self.samples.get_mut(places)?))
    }

    /// Empties a ring, for the next that has its index.
    pub(super) fn clear(&mut self, index: u32) {
        if let Some((head, ring)) = self.ring_mut(index as usize) {
            *head = RingHead::NONE;
            ring.fill(PackedSample::default());
        }
    }

    /// Adds a ring to `sums`, which end now: as many as a ring has samples, the oldest first.
    pub(super) fn add_to(&self, index: u32, now: Uptime, sums: &mut [Recent]) {
        let index = index as usize;
        let (Some(head), Some(ring)) = (self.heads.get(index), self.samples.get(self.places(index))) else {
            return;
        };
        if head.newest == EMPTY {
            return;
        }
        // Until the next sample is late, the newest one is that of now.
        let missing = steps_between(head.at, now, self.step).saturating_sub(1) as usize;
        let newest = head.newest as usize;
        let oldest_first = ring.iter().skip(newest + 1).chain(ring.iter().take(newest + 1));
        for (sum, sample) in sums.iter_mut().zip(oldest_first.skip(missing)) {
            sum.add(Recent {
                cpu: decode(sample.cpu).map(Nanocores),
                working_set: decode(sample.working_set).map(Bytes),
            });
        }
    }

    /// As many empty sums as a ring has samples.
    pub(super) fn sums<'a>(&self, out: &'a mut Vec<Recent>) -> &'a mut [Recent] {
        out.clear();
        out.resize(self.ring_len, Recent::default());
        out
    }
}

fn ring_bytes(samples: u32) -> u64 {
    size_of::<RingHead>() as u64 + size_of::<PackedSample>() as u64 * u64::from(samples)
}

fn ring_count(rows: u64, samples: u32) -> u64 {
    if samples == 0 { 0 } else { rows.min(limits::HISTORY_LEN_MAX / ring_bytes(samples)) }
}

/// Places from one time of a grid to another time, to the nearest; the next place has a quarter more on both sides.
fn steps_between(from: Uptime, to: Uptime, step: u32) -> u32 {
    let (passed, step) = (u64::from(to.0.saturating_sub(from.0)), u64::from(step));
    let steps = if (step..7 * step).contains(&(4 * passed)) { 1 } else { (passed + step / 2) / step };
    u32::try_from(steps).unwrap_or(u32::MAX)
}

/// Bits behind the leading one.
const FRACTION_BITS: u32 = 10;
const LEADING: u64 = 1 << FRACTION_BITS;

/// The code of a number: codes are in the order of their numbers.
fn encode(value: Option<u64>) -> u16 {
    let Some(value) = value else { return 0 };
    let shift = (u64::BITS - FRACTION_BITS - 1).saturating_sub(value.leading_zeros());
    let half = if shift == 0 { 0 } else { (value >> (shift - 1)) & 1 };
    // Rounding up to the next power of two carries into the exponent.
    let code = u64::from(shift) * LEADING + (value >> shift) + half;
    u16::try_from(code + 1).unwrap_or(u16::MAX)
}

fn decode(code: u16) -> Option<u64> {
    let code = u64::from(code.checked_sub(1)?);
    let shift = (code / LEADING).saturating_sub(1);
    let digits = code - shift * LEADING;
    // The code above the largest number stands for it.
    Some(u64::try_from(u128::from(digits) << shift).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
