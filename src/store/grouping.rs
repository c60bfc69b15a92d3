//! Samples to points: which container a sample belongs to, in one pass over a body.
//!
//! Families list containers in the same order, so a sample is looked for next to its family's last one first, then in
//! a hash index; each container's names are kept once, one after the other in one text. All of it is scratch of a
//! batch, kept between scrapes and bounded by `limits`.

use super::batch::BatchError;
use super::names::hash;
use super::row::Point;
use crate::limits;
use crate::units::{Bytes, CoreNanos, UnixNanos};
use crate::wire::exposition::{Family, Key, Sample};

/// The points as they come in.
#[derive(Default)]
pub(super) struct Points {
    /// Time of samples that have none.
    pub(super) requested_at: UnixNanos,
    /// The node's own point.
    pub(super) node: Point,
    /// Whether any sample of the node was seen.
    pub(super) node_seen: bool,
    /// In order of first sight.
    entries: Vec<Entry>,
    /// Namespace, pod and container of every entry, one after the other.
    text: String,
    /// Entry numbers by hash, plus one; 0 is free. A power of two, at least twice the entries.
    index: Vec<u32>,
    /// Where the next sample of this family is expected.
    cursor: usize,
    family: Option<Family>,
}

/// One container.
pub(super) struct Entry {
    text_start: u32,
    namespace_len: u16,
    pod_len: u16,
    container_len: u16,
    pub(super) point: Point,
}

impl Points {
    /// Forgets everything but its memory.
    pub(super) fn clear(&mut self) {
        (self.node, self.node_seen) = (Point::NONE, false);
        self.entries.clear();
        self.text.clear();
        self.index.fill(0);
        (self.cursor, self.family) = (0, None);
    }

    /// Takes one sample to the point it belongs to.
    pub(super) fn take(&mut self, sample: Sample<'_>) -> Result<(), BatchError> {
        let at = sample.at_millis.map_or(self.requested_at, UnixNanos::from_millis);
        let point = match sample.family {
            Family::NodeCpu | Family::NodeMemory | Family::NodeSwap => {
                self.node_seen = true;
                &mut self.node
            }
            family => {
                if self.family != Some(family) {
                    (self.cursor, self.family) = (0, Some(family));
                }
                &mut self.entry(sample.key)?.point
            }
        };
        match sample.family {
            Family::NodeCpu | Family::ContainerCpu => {
                (point.cpu, point.taken_at) = (CoreNanos(whole(sample.value * 1e9)), at);
            }
            Family::NodeMemory | Family::ContainerMemory => {
                (point.working_set, point.taken_at) = (Bytes(whole(sample.value)), at);
            }
            Family::NodeSwap | Family::ContainerSwap => point.set_swap(Bytes(whole(sample.value))),
            Family::ContainerStart => point.started_at = start(sample.value),
        }
        Ok(())
    }

    /// The entry of a container, new if need be. Moves the cursor behind it.
    pub(super) fn entry(&mut self, key: Key<'_>) -> Result<&mut Entry, BatchError> {
        let position = if self.is_at(self.cursor, key) { self.cursor } else { self.find_or_insert(key)? };
        self.cursor = position + 1;
        self.entries.get_mut(position).ok_or(BatchError::TooManyContainers)
    }

    fn find_or_insert(&mut self, key: Key<'_>) -> Result<usize, BatchError> {
        if self.index.len() < 2 * (self.entries.len() + 1) {
            self.grow_index();
        }
        let mut slot = self.first_slot(key);
        while let Some(position) = self.index.get(slot).and_then(|number| number.checked_sub(1)) {
            if self.is_at(position as usize, key) {
                return Ok(position as usize);
            }
            slot = (slot + 1) & (self.index.len() - 1);
        }
        let position = self.entries.len();
        if position >= limits::NODE_CONTAINERS_MAX {
            return Err(BatchError::TooManyContainers);
        }
        if let (Some(slot), Ok(number)) = (self.index.get_mut(slot), u32::try_from(position + 1)) {
            *slot = number;
        }
        self.push(key)?;
        Ok(position)
    }

    fn push(&mut self, key: Key<'_>) -> Result<(), BatchError> {
        let len = |text: &str| u16::try_from(text.len()).map_err(|_| BatchError::TooMuchText);
        let entry = Entry {
            text_start: u32::try_from(self.text.len()).map_err(|_| BatchError::TooMuchText)?,
            namespace_len: len(key.namespace)?,
            pod_len: len(key.pod)?,
            container_len: len(key.container)?,
            point: Point::NONE,
        };
        for text in [key.namespace, key.pod, key.container] {
            self.text.push_str(text);
        }
        self.entries.push(entry);
        if self.text.len() > limits::NODE_TEXT_LEN_MAX { Err(BatchError::TooMuchText) } else { Ok(()) }
    }

    fn grow_index(&mut self) {
        let len = (self.index.len() * 2).max(64);
        self.index.clear();
        self.index.resize(len, 0);
        for number in 0..u32::try_from(self.entries.len()).unwrap_or(0) {
            let mut slot = self.first_slot(self.key(number));
            while self.index.get(slot).is_some_and(|taken| *taken != 0) {
                slot = (slot + 1) & (len - 1);
            }
            if let Some(slot) = self.index.get_mut(slot) {
                *slot = number + 1;
            }
        }
    }

    #[allow(clippy::cast_possible_truncation)]
    fn first_slot(&self, key: Key<'_>) -> usize {
        let hash = hash(hash(hash(0, key.namespace), key.container), key.pod);
        hash as usize & (self.index.len().wrapping_sub(1))
    }

    fn is_at(&self, position: usize, key: Key<'_>) -> bool {
        self.entries.get(position).is_some_and(|entry| self.key_of(entry) == key)
    }

    fn key_of(&self, entry: &Entry) -> Key<'_> {
        let text = self.text.get(entry.text_start as usize..).unwrap_or("");
        let (namespace, text) = text.split_at_checked(entry.namespace_len.into()).unwrap_or_default();
        let (pod, text) = text.split_at_checked(entry.pod_len.into()).unwrap_or_default();
        Key { namespace, pod, container: text.get(..entry.container_len.into()).unwrap_or("") }
    }

    #[cfg(test)]
    pub(super) fn text_capacity(&self) -> usize {
        self.text.capacity()
    }

    /// Number of containers.
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.entries.len()).unwrap_or(u32::MAX)
    }

    /// Whose point an entry is.
    pub(super) fn key(&self, index: u32) -> Key<'_> {
        self.entries.get(index as usize).map_or_else(Key::default, |entry| self.key_of(entry))
    }

    /// What entries are ordered by: namespace, pod, container.
    pub(super) fn key_order(&self, index: u32) -> (&str, &str, &str) {
        let key = self.key(index);
        (key.namespace, key.pod, key.container)
    }

    /// Whether two containers belong to one pod.
    pub(super) fn is_same_pod(&self, a: u32, b: u32) -> bool {
        let (a, b) = (self.key(a), self.key(b));
        a.pod == b.pod && a.namespace == b.namespace
    }

    /// The point of an entry.
    pub(super) fn point(&self, index: u32) -> Point {
        self.entries.get(index as usize).map_or(Point::NONE, |entry| entry.point)
    }
}

/// A double as a whole number: truncated; NaN and negatives are 0, which is incomplete; what is too large saturates.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn whole(value: f64) -> u64 {
    value as u64
}

/// A start time in seconds as an instant.
#[allow(clippy::cast_possible_truncation)]
fn start(seconds: f64) -> UnixNanos {
    if seconds.is_nan() { UnixNanos::UNKNOWN } else { UnixNanos((seconds * 1e9) as i64) }
}
