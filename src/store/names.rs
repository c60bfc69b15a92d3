//! Interned text: every name and every label set once, in one arena.
//!
//! The arena and the entries are reserved at the start and never grow; only the index grows with the number of entries.
//! Texts are counted; the bytes of those nobody uses are given back by moving the others together, once they are more
//! than the bytes in use (or the space is needed), so that churn of pods does not touch more and more of the arena.

use super::pool::{ItemPool, count_of};
use crate::invariant::assured;
use crate::limits;

/// Smallest index.
const HEADS_MIN: usize = 64;

const END: u32 = u32::MAX;

/// An interned text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NameId(pub(super) u32);

impl NameId {
    /// The empty text, which is never stored.
    pub(super) const EMPTY: NameId = NameId(END);
}

/// One text.
#[derive(Clone, Copy)]
struct NameEntry {
    /// Where it lies in the arena; behind all of it when free.
    start: u32,
    len: u32,
    /// How many use it; 0 when free.
    use_count: u32,
    /// Next entry of the same hash.
    next: u32,
}

impl Default for NameEntry {
    fn default() -> Self {
        NameEntry { start: END, len: 0, use_count: 0, next: END }
    }
}

/// The texts.
pub(super) struct Names {
    arena: String,
    arena_len_max: usize,
    live_len: usize,
    entries: ItemPool<NameEntry>,
    /// First entry of each hash; the length is a power of two.
    heads: Vec<u32>,
}

impl Names {
    /// Bytes an entry comes to, with its share of the index, which may be twice as long as the entries are many.
    pub(super) const ENTRY_LEN: usize = ItemPool::<NameEntry>::ITEM_LEN + 2 * size_of::<u32>();

    /// Reserves `text_len` bytes and `count` entries.
    pub(super) fn new(text_len: u32, count: usize) -> Names {
        Names {
            arena: String::with_capacity(text_len as usize),
            arena_len_max: text_len as usize,
            live_len: 0,
            entries: ItemPool::new(count),
            heads: vec![END; HEADS_MIN],
        }
    }

    /// Bytes in use.
    pub(super) fn live_len(&self) -> usize {
        self.live_len
    }

    /// Bytes that are left.
    pub(super) fn room(&self) -> usize {
        self.arena_len_max - self.live_len
    }

    /// The text of an id; only the empty one has no entry.
    pub(super) fn text(&self, id: NameId) -> &str {
        self.entries.at(id.0).map_or("", |entry| self.slice(*entry))
    }

    /// The id of a text that is in use.
    pub(super) fn find(&self, text: &str) -> Option<NameId> {
        if text.is_empty() {
            return Some(NameId::EMPTY);
        }
        let mut at = self.head(self.bucket(text));
        while let Some(entry) = self.entries.at(at) {
            if self.slice(*entry) == text {
                return Some(NameId(at));
            }
            at = entry.next;
        }
        None
    }

    /// Finds or keeps a text, and counts one more use; `None` when there is no room.
    pub(super) fn intern(&mut self, text: &str) -> Option<NameId> {
        let Some(id) = self.find(text) else { return self.keep(text) };
        if let Some(entry) = self.entries.at_mut(id.0) {
            entry.use_count += 1;
        }
        Some(id)
    }

    /// Counts one use less; the last one frees the text.
    pub(super) fn release(&mut self, id: NameId) {
        let Some(entry) = self.entries.at_mut(id.0) else { return };
        assert!(entry.use_count > 0, "a name is released as often as it was interned");
        entry.use_count -= 1;
        if entry.use_count > 0 {
            return;
        }
        let entry = *entry;
        self.unlink(id.0, entry);
        self.live_len -= entry.len as usize;
        self.entries.remove(id.0);
        if self.arena.len() - self.live_len > self.live_len.max(limits::TEXT_DEAD_LEN_MAX) {
            self.compact();
        }
    }

    fn keep(&mut self, text: &str) -> Option<NameId> {
        if text.len() > self.room() || self.entries.room() == 0 {
            return None;
        }
        if self.arena.len() + text.len() > self.arena_len_max {
            self.compact();
        }
        if self.entries.count() >= self.heads.len() {
            self.grow_index();
        }
        let bucket = self.bucket(text);
        let (start, len) = (u32::try_from(self.arena.len()).ok()?, u32::try_from(text.len()).ok()?);
        let id = self.entries.insert(NameEntry { start, len, use_count: 1, next: self.head(bucket) })?;
        *self.heads.get_mut(bucket)? = id;
        self.arena.push_str(text);
        self.live_len += text.len();
        Some(NameId(id))
    }

    #[inline]
    fn slice(&self, entry: NameEntry) -> &str {
        let start = entry.start as usize;
        let text = self.arena.get(start..start + entry.len as usize);
        assured(text, "a name in use lies in the arena, between two characters")
    }

    fn head(&self, bucket: usize) -> u32 {
        *assured(self.heads.get(bucket), "buckets are numbered by the length of the index")
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
        while let Some(before) = self.entries.at_mut(at) {
            if before.next == index {
                before.next = entry.next;
                return;
            }
            at = before.next;
        }
    }

    /// Indices of the entries in use.
    fn live(&self) -> impl Iterator<Item = (u32, NameEntry)> {
        let indices = 0..count_of(self.entries.index_end());
        let entries = indices.filter_map(|index| Some((index, *self.entries.at(index)?)));
        entries.filter(|(_, entry)| entry.use_count > 0)
    }

    fn grow_index(&mut self) {
        let len = self.heads.len() * 2;
        self.heads.clear();
        self.heads.resize(len, END);
        for index in 0..count_of(self.entries.index_end()) {
            let Some(entry) = self.entries.at(index).copied().filter(|entry| entry.use_count > 0) else {
                continue;
            };
            let bucket = self.bucket(self.slice(entry));
            if let (Some(head), Some(entry)) = (self.heads.get_mut(bucket), self.entries.at_mut(index)) {
                entry.next = std::mem::replace(head, index);
            }
        }
    }

    /// Moves the texts in use together at the arena's start, in the order they have.
    fn compact(&mut self) {
        let mut order: Vec<(u32, u32)> = self.live().map(|(index, entry)| (entry.start, index)).collect();
        order.sort_unstable();
        let mut bytes = std::mem::take(&mut self.arena).into_bytes();
        let mut end = 0;
        for (start, index) in order {
            let Some(entry) = self.entries.at_mut(index) else { continue };
            let (start, len) = (start as usize, entry.len as usize);
            bytes.copy_within(start..start + len, end);
            entry.start = count_of(end);
            end += len;
        }
        bytes.truncate(end);
        self.arena = assured(String::from_utf8(bytes).ok(), "whole texts are moved");
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
        assert_eq!((names.live_len(), names.entries.count()), (0, 0));
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
        assert_eq!((names.arena.capacity(), names.entries.index_end()), (10, 2));
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
