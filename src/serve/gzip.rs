//! A streaming gzip encoder: pieces go in, compressed bytes are appended to the caller's buffer.
//!
//! One fixed-Huffman block with back references found through one small hash table. That is weaker than what a general
//! compressor reaches, and wins here by its memory: 32 KiB a stream, where the usual deflate state takes more than
//! 300 KiB and builds a fifth of it on the stack. Lists of a cluster are mostly repetition, and pieces are one TLS
//! record each. At most [`limits::GZIP_COUNT_MAX`] streams live at once on a thread; a body beyond that goes out plain.
//! Refuses nothing: any bytes in pieces of any size. Formats: RFC 1951, RFC 1952.

use crate::limits;
use std::cell::Cell;

/// Bytes of history kept for back references at least.
const WINDOW_LEN: usize = 8 * 1024;
/// Bytes taken in at once; positions then stay below 64 Ki.
const STEP_LEN: usize = 16 * 1024;
/// Entries of the hash table.
const HEADS_LEN: usize = 4096;
/// Shortest and longest back reference.
const MATCH_LEN_MIN: usize = 4;
const MATCH_LEN_MAX: usize = 258;
/// Magic, deflate, no flags, no time, fastest algorithm, Unix.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 3];
/// End of block in the fixed code.
const END_OF_BLOCK: u16 = 256;

thread_local! {
    static STREAMS: Cell<usize> = const { Cell::new(0) };
}

/// One gzip stream.
pub struct Gzip {
    /// History, then the bytes of the current step.
    text: Vec<u8>,
    /// Last position of each hash, plus one; 0 is none.
    heads: Vec<u16>,
    bits: Bits,
    crc: u32,
    /// Length of the input modulo 2^32, as the trailer has it.
    len: u32,
    begun: bool,
}

impl Gzip {
    /// A new stream, or `None` while this thread has as many as it may: send the body uncompressed then.
    #[must_use]
    pub fn acquire() -> Option<Gzip> {
        STREAMS.with(|streams| {
            (streams.get() < limits::GZIP_COUNT_MAX).then(|| {
                streams.set(streams.get() + 1);
                Gzip {
                    text: Vec::with_capacity(WINDOW_LEN + STEP_LEN),
                    heads: vec![0; HEADS_LEN],
                    bits: Bits::default(),
                    crc: !0,
                    len: 0,
                    begun: false,
                }
            })
        })
    }

    /// Compresses a piece. Output may lag behind by up to seven bytes until [`Gzip::finish`].
    pub fn feed(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        self.begin(out);
        for step in piece.chunks(STEP_LEN) {
            self.crc = step.iter().fold(self.crc, |crc, &byte| crc32_step(crc, byte));
            self.len = self.len.wrapping_add(u32::try_from(step.len()).unwrap_or(0));
            if self.text.len() + step.len() > WINDOW_LEN + STEP_LEN {
                self.forget();
            }
            let start = self.text.len();
            self.text.extend_from_slice(step);
            self.compress_from(start, out);
        }
    }

    /// Ends the stream: the rest of the bits, checksum and length.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        self.begin(out);
        self.bits.symbol(END_OF_BLOCK, out);
        self.bits.align(out);
        out.extend_from_slice(&(!self.crc).to_le_bytes());
        out.extend_from_slice(&self.len.to_le_bytes());
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if !self.begun {
            self.begun = true;
            out.extend_from_slice(&HEADER);
            // BFINAL 1, BTYPE 01: one last block with the fixed code.
            self.bits.put(0b011, 3, out);
        }
    }

    fn compress_from(&mut self, start: usize, out: &mut Vec<u8>) {
        let mut at = start;
        while let Some(&byte) = self.text.get(at) {
            if let Some((len, distance)) = self.find(at) {
                self.bits.reference(len, distance, out);
                // Entries for the inside of a match cost more time than they save bytes; its end is where text goes on.
                for inside in (at + 1..at + len).rev().take(2) {
                    self.remember(inside);
                }
                at += len;
            } else {
                self.bits.symbol(u16::from(byte), out);
                at += 1;
            }
        }
    }

    /// The last earlier place with the same four bytes: how far it agrees, and how far back it is.
    fn find(&mut self, at: usize) -> Option<(usize, usize)> {
        let earlier = usize::from(self.remember(at)?.checked_sub(1)?);
        let (before, here) = (self.text.get(earlier..)?, self.text.get(at..)?);
        let same = before.iter().zip(here).take(MATCH_LEN_MAX).take_while(|(a, b)| a == b).count();
        (same >= MATCH_LEN_MIN).then_some((same, at - earlier))
    }

    /// Notes the four bytes at `at`, and returns what was noted for their hash before.
    fn remember(&mut self, at: usize) -> Option<u16> {
        let word = u32::from_le_bytes(*self.text.get(at..)?.first_chunk::<4>()?);
        let hash = word.wrapping_mul(0x9E37_79B1) >> (32 - HEADS_LEN.ilog2());
        let head = self.heads.get_mut(hash as usize)?;
        Some(std::mem::replace(head, u16::try_from(at + 1).ok()?))
    }

    /// Drops text beyond the window, and moves the noted positions along. Costs as much as a few KiB of text, so it waits
    /// until there is no room for more.
    fn forget(&mut self) {
        let surplus = self.text.len().saturating_sub(WINDOW_LEN);
        if surplus > 0 {
            self.text.drain(..surplus);
            let surplus = u16::try_from(surplus).unwrap_or(u16::MAX);
            for head in &mut self.heads {
                *head = head.saturating_sub(surplus);
            }
        }
    }
}

impl Drop for Gzip {
    fn drop(&mut self) {
        // The thread may be ending and its counter gone; then nobody counts any more.
        let _ = STREAMS.try_with(|streams| streams.set(streams.get().saturating_sub(1)));
    }
}

/// Bits not yet written, lowest first.
#[derive(Default)]
struct Bits {
    held: u64,
    count: u32,
}

impl Bits {
    /// Appends the low `count` bits (at most 32) of `value`.
    fn put(&mut self, value: u32, count: u32, out: &mut Vec<u8>) {
        self.held |= u64::from(value) << self.count;
        self.count += count;
        if self.count >= 32 {
            out.extend_from_slice(&(self.held as u32).to_le_bytes());
            self.held >>= 32;
            self.count -= 32;
        }
    }

    /// A literal, length code or end of block in the fixed Huffman code.
    fn symbol(&mut self, symbol: u16, out: &mut Vec<u8>) {
        let (code, count) = match symbol {
            0..=143 => (0x30 + symbol, 8),
            144..=255 => (0x190 + (symbol - 144), 9),
            256..=279 => (symbol - 256, 7),
            _ => (0xC0 + (symbol - 280), 8),
        };
        // Huffman codes go out highest bit first, everything else lowest bit first.
        self.put(u32::from(code).reverse_bits() >> (32 - count), count, out);
    }

    /// A back reference: 3 to 258 bytes long, 1 to 32768 bytes back.
    fn reference(&mut self, len: usize, distance: usize, out: &mut Vec<u8>) {
        let (len, distance) = ((len - 3) as u32, (distance - 1) as u32);
        let (code, extra) = match len {
            0..8 => (257 + len, 0),
            255.. => (285, 0),
            _ => {
                let extra = len.ilog2() - 2;
                (261 + 4 * extra + ((len >> extra) & 3), extra)
            }
        };
        self.symbol(code as u16, out);
        self.put(len & ((1 << extra) - 1), extra, out);
        let (code, extra) = if distance < 4 {
            (distance, 0)
        } else {
            let extra = distance.ilog2() - 1;
            (2 + 2 * extra + ((distance >> extra) & 1), extra)
        };
        self.put(code.reverse_bits() >> 27, 5, out);
        self.put(distance & ((1 << extra) - 1), extra, out);
    }

    /// Writes what is held, filled up to a whole byte.
    fn align(&mut self, out: &mut Vec<u8>) {
        let len = self.count.div_ceil(8) as usize;
        out.extend(self.held.to_le_bytes().iter().take(len));
        (self.held, self.count) = (0, 0);
    }
}

fn crc32_step(crc: u32, byte: u8) -> u32 {
    CRC32.get(usize::from(crc as u8 ^ byte)).map_or(0, |entry| entry ^ (crc >> 8))
}

/// CRC-32 of each byte value, reflected polynomial EDB88320.
static CRC32: [u32; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let (mut entry, mut bit) = (at as u32, 0);
        while bit < 8 {
            entry = if entry & 1 == 1 { 0xEDB8_8320 ^ (entry >> 1) } else { entry >> 1 };
            bit += 1;
        }
        table[at] = entry;
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that look random, the same in every run.
    fn noise(len: usize, letters: u32) -> Vec<u8> {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 16) % letters) as u8
        };
        (0..len).map(|_| next()).collect()
    }

    fn compress(text: &[u8], piece_len: usize) -> Vec<u8> {
        let mut gzip = Gzip::acquire().unwrap();
        let mut out = Vec::new();
        for piece in text.chunks(piece_len.max(1)) {
            gzip.feed(piece, &mut out);
        }
        gzip.finish(&mut out);
        out
    }

    /// Checks header, checksum and length, and returns the text.
    fn inflate(stream: &[u8]) -> Vec<u8> {
        assert_eq!(stream[..10], HEADER);
        let (deflated, trailer) = stream[10..].split_at(stream.len() - 18);
        let text = miniz_oxide::inflate::decompress_to_vec(deflated).unwrap();
        let crc = !text.iter().fold(!0, |crc, &byte| crc32_step(crc, byte));
        assert_eq!(trailer[..4], crc.to_le_bytes());
        assert_eq!(trailer[4..], (text.len() as u32).to_le_bytes());
        text
    }

    #[test]
    fn crc32_is_the_one_of_the_check_word() {
        assert_eq!(!b"123456789".iter().fold(!0, |crc, &byte| crc32_step(crc, byte)), 0xCBF4_3926);
    }

    #[test]
    fn any_text_in_any_pieces_comes_back() {
        let texts = [
            Vec::new(),
            b"a".to_vec(),
            b"abc".repeat(5),
            vec![0; 70_000],
            noise(40_000, 256),
            noise(40_000, 3),
            (0..=255).cycle().take(30_000).collect(),
            (0..3000)
                .flat_map(|i| format!("{{\"name\":\"pod-{i}\",\"cpu\":\"{}n\"}},", i * 7919).into_bytes())
                .collect(),
        ];
        for text in &texts {
            for piece_len in [1, 7, 1000, 16 * 1024, 100_000] {
                assert_eq!(inflate(&compress(text, piece_len)), *text, "{} in {piece_len}", text.len());
            }
        }
    }

    #[test]
    fn every_match_length_and_distance_comes_back() {
        for len in (4..=40).chain([66, 67, 130, 131, 257, 258, 259, 262, 519]) {
            for distance in [1, 2, 3, 4, 5, 6, 9, 13, 100, 1000, 8192, 9000] {
                let mut text = noise(distance, 256);
                let start = text.len() - distance;
                (0..len).for_each(|i| text.push(text[start + i]));
                assert_eq!(inflate(&compress(&text, 16 * 1024)), text, "{len} bytes {distance} back");
            }
        }
    }

    #[test]
    fn a_list_shrinks_to_less_than_a_quarter() {
        let list: Vec<u8> = (0..2000)
            .flat_map(|i| {
                format!("{{\"metadata\":{{\"name\":\"pod-{i}\",\"namespace\":\"default\"}},\"usage\":{{\"cpu\":\"{}n\"}}}},", i * 7919)
                    .into_bytes()
            })
            .collect();
        let len = compress(&list, 16 * 1024).len();
        assert!(len * 4 < list.len(), "{len} of {}", list.len());
    }

    #[test]
    fn streams_are_counted_and_given_back() {
        let held: Vec<_> = (0..limits::GZIP_COUNT_MAX).map(|_| Gzip::acquire().unwrap()).collect();
        assert!(Gzip::acquire().is_none());
        drop(held);
        assert!(Gzip::acquire().is_some());
    }
}
