//! Interned text: every name and every label set once, in one arena.
//!
//! The arena and the entries are reserved at the start and never grow; only the index grows with the number of entries.
//! Texts are counted; the bytes of those nobody uses are given back by moving the others together, once they are more
//! than the bytes in use (or the space is needed), so that churn of pods does not touch more and more of the arena.

use crate::limits;

/// Smallest index.
const HEADS_MIN: usize = 64;

const END: u32 = u32::MAX;

/// An interned text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NameId(u32);

impl NameId {
    /// The empty text, which is never stored.
    pub(super) const EMPTY: NameId = NameId(END);
}

/// One text; free entries are linked through `next`.
#[derive(Clone, Copy)]
struct NameEntry {
    start: u32,
    len: u32,
    /// How many use it; 0 when free.
    use_count: u32,
    /// Next entry of the same hash.
    next: u32,
}

/// The texts.
pub(super) struct Names {
    arena: String,
    arena_len_max: usize,
    live_len: usize,
    entries: Vec<NameEntry>,
    entry_count_max: usize,
    free: u32,
    live_count: usize,
    /// First entry of each hash; the length is a power of two.
    heads: Vec<u32>,
}

impl Names {
    /// Bytes an entry comes to, with its share of the index, which may be twice as long as the entries are many.
    pub(super) const ENTRY_LEN: usize = size_of::<NameEntry>() + 2 * size_of::<u32>();

    /// Reserves `text_len` bytes and `count` entries.
    pub(super) fn new(text_len: u32, count: usize) -> Names {
        Names {
            arena: String::with_capacity(text_len as usize),
            arena_len_max: text_len as usize,
            live_len: 0,
            entries: Vec::with_capacity(count),
            entry_count_max: count,
            free: END,
            live_count: 0,
            heads: vec![END; HEADS_MIN],
        }
    }

    /// Bytes in use.
    pub(super) fn live_len(&self) -> usize {
        self.live_len
    }

    /// The text of an id.
    pub(super) fn text(&self, id: NameId) -> &str {
        self.entry(id.0).map_or("", |entry| self.slice(entry))
    }

    /// Finds or keeps a text, and counts one more use; `None` when there is no room.
    pub(super) fn intern(&mut self, text: &str) -> Option<NameId> {
        if text.is_empty() {
            return Some(NameId::EMPTY);
        }
        let mut at = self.heads.get(self.bucket(text)).copied().unwrap_or(END);
        while let Some(entry) = self.entry(at) {
            if self.slice(entry) == text {
                self.entries.get_mut(at as usize)?.use_count += 1;
                return Some(NameId(at));
            }
            at = entry.next;
        }
        self.keep(text)
    }

    /// Counts one use less; the last one frees the text.
    pub(super) fn release(&mut self, id: NameId) {
        let Some(entry) = self.entries.get_mut(id.0 as usize) else { return };
        entry.use_count = entry.use_count.saturating_sub(1);
        if entry.use_count > 0 {
            return;
        }
        let entry = *entry;
        self.unlink(id.0, entry);
        self.live_len -= entry.len as usize;
        self.live_count -= 1;
        if let Some(freed) = self.entries.get_mut(id.0 as usize) {
            *freed = NameEntry { start: 0, len: 0, use_count: 0, next: self.free };
            self.free = id.0;
        }
        if self.arena.len() - self.live_len > self.live_len.max(limits::TEXT_DEAD_LEN_MAX) {
            self.compact();
        }
    }

    fn keep(&mut self, text: &str) -> Option<NameId> {
        if self.live_len + text.len() > self.arena_len_max {
            return None;
        }
        if self.free == END && self.entries.len() >= self.entry_count_max {
            return None;
        }
        if self.arena.len() + text.len() > self.arena_len_max {
            self.compact();
        }
        if self.live_count >= self.heads.len() {
            self.grow_index();
        }
        let bucket = self.bucket(text);
        let head = self.heads.get_mut(bucket)?;
        let entry = NameEntry {
            start: u32::try_from(self.arena.len()).ok()?,
            len: u32::try_from(text.len()).ok()?,
            use_count: 1,
            next: *head,
        };
        let id = match self.entries.get_mut(self.free as usize) {
            Some(free) => {
                let id = std::mem::replace(&mut self.free, free.next);
                *free = entry;
                id
            }
            None => {
                self.entries.push(entry);
                u32::try_from(self.entries.len() - 1).ok()?
            }
        };
        *head = id;
        self.arena.push_str(text);
        self.live_len += text.len();
        self.live_count += 1;
        Some(NameId(id))
    }

    fn entry(&self, index: u32) -> Option<NameEntry> {
        self.entries.get(index as usize).copied()
    }

    fn slice(&self, entry: NameEntry) -> &str {
        let start = entry.start as usize;
        self.arena.get(start..start + entry.len as usize).unwrap_or("")
    }

    #[allow(clippy::cast_possible_truncation)]
    fn bucket(&self, text: &str) -> usize {
        hash(0, text) as usize & (self.heads.len() - 1)
    }

    /// Takes an entry out of its bucket.
    fn unlink(&mut self, index: u32, entry: NameEntry) {
        let bucket = self.bucket(self.slice(entry));
        let Some(head) = self.heads.get_mut(bucket) else { return };
        if *head == index {
            *head = entry.next;
            return;
        }
        let mut at = *head;
        while let Some(before) = self.entries.get_mut(at as usize) {
            if before.next == index {
                before.next = entry.next;
                return;
            }
            at = before.next;
        }
    }

    fn grow_index(&mut self) {
        let len = self.heads.len() * 2;
        self.heads.clear();
        self.heads.resize(len, END);
        for index in 0..self.entries.len() {
            let Some(entry) = self.entries.get(index).copied().filter(|entry| entry.use_count > 0) else {
                continue;
            };
            let bucket = self.bucket(self.slice(entry));
            if let (Some(head), Some(entry), Ok(index)) =
                (self.heads.get_mut(bucket), self.entries.get_mut(index), u32::try_from(index))
            {
                entry.next = std::mem::replace(head, index);
            }
        }
    }

    /// Moves the texts in use together at the arena's start, in the order they have.
    fn compact(&mut self) {
        let mut order: Vec<u32> =
            (0..).zip(&self.entries).filter(|(_, e)| e.use_count > 0).map(|(i, _)| i).collect();
        order.sort_unstable_by_key(|index| self.entry(*index).map_or(0, |entry| entry.start));
        let mut bytes = std::mem::take(&mut self.arena).into_bytes();
        let mut end = 0;
        for index in order {
            let Some(entry) = self.entries.get_mut(index as usize) else { continue };
            let start = entry.start as usize;
            bytes.copy_within(start..start + entry.len as usize, end);
            entry.start = u32::try_from(end).unwrap_or(u32::MAX);
            end += entry.len as usize;
        }
        bytes.truncate(end);
        self.arena = String::from_utf8(bytes).unwrap_or_default();
    }
}

/// Spreads texts over an index. A hostile kubelet may choose names that collide: what one node may report is bounded
/// by `limits::NODE_CONTAINERS_MAX`, and so is the time that costs.
pub(super) fn hash(seed: u64, text: &str) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = seed ^ (text.len() as u64).wrapping_mul(ODD);
    let (words, rest) = text.as_bytes().as_chunks::<8>();
    for word in words {
        hash = (hash.rotate_left(5) ^ u64::from_le_bytes(*word)).wrapping_mul(ODD);
    }
    let mut last = [0; 8];
    last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    hash = (hash.rotate_left(5) ^ u64::from_le_bytes(last)).wrapping_mul(ODD);
    hash ^ hash >> 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::tests::Lcg;
    use std::collections::HashMap;

    #[test]
    fn a_text_is_kept_once_and_freed_with_its_last_use() {
        let mut names = Names::new(100, 10);
        let a = names.intern("kube-system").unwrap();
        let b = names.intern("kube-system").unwrap();
        assert_eq!((a, names.live_len()), (b, 11));
        names.release(a);
        assert_eq!(names.text(b), "kube-system");
        names.release(b);
        assert_eq!((names.live_len(), names.text(b)), (0, ""));
    }

    #[test]
    fn beyond_the_capacity_nothing_is_kept_and_nothing_grows() {
        let mut names = Names::new(10, 2);
        let a = names.intern("12345678").unwrap();
        assert!(names.intern("abc").is_none());
        let _ = names.intern("ab").unwrap();
        assert!(names.intern("x").is_none(), "two entries only");
        names.release(a);
        assert!(names.intern("cdefghij").is_some(), "the freed bytes are used again");
        assert_eq!((names.arena.capacity(), names.entries.capacity()), (10, 2));
    }

    #[test]
    fn churn_does_not_touch_more_and_more_of_the_arena() {
        let mut names = Names::new(1 << 24, 100);
        let kept = names.intern("kept").unwrap();
        for number in 0..100_000 {
            let id = names.intern(&format!("pod-{number}")).unwrap();
            names.release(id);
            assert!(names.arena.len() < 2 * limits::TEXT_DEAD_LEN_MAX);
        }
        assert_eq!(names.text(kept), "kept");
        assert_eq!(names.arena.capacity(), 1 << 24);
    }

    #[test]
    fn any_history_keeps_every_text_that_is_in_use() {
        let mut lcg = Lcg(17);
        let mut names = Names::new(60_000, 1_500);
        let mut model: HashMap<String, (NameId, u32)> = HashMap::new();
        for _ in 0..60_000 {
            let text = format!("n{}-{}", lcg.below(2_000), "é".repeat(lcg.below(3)));
            if lcg.next() % 5 < 3 {
                let live_len: usize = model.keys().map(String::len).sum();
                match names.intern(&text) {
                    Some(id) => {
                        let known = model.entry(text).or_insert((id, 0));
                        assert_eq!(known.0, id);
                        known.1 += 1;
                    }
                    None => assert!(model.len() == 1_500 || live_len + text.len() > 60_000),
                }
            } else if let Some((id, count)) = model.get_mut(&text) {
                names.release(*id);
                *count -= 1;
                if *count == 0 {
                    model.remove(&text);
                }
            }
        }
        assert_eq!(names.live_len(), model.keys().map(String::len).sum::<usize>());
        for (text, (id, _)) in &model {
            assert_eq!(names.text(*id), text);
        }
    }
}
