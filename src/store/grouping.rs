//! Samples to points: which container a sample belongs to, in one pass over a body.
//!
//! Families list containers in the same order, so a sample is looked for next to its family's last one first, then in
//! a hash index; each container's labels are kept once, one after the other in one text. A body that holds one series
//! twice (the cgroup of an old instance remained) gives an entry for each instance; which one counts is decided by the
//! commit. All of it is scratch of a batch, bounded by `limits`, and kept between scrapes unless it is that of a large node.

use super::large::LargePlace;
use super::names::hash;
use super::pool::count_of;
use super::row::Point;
use crate::invariant::assured;
use crate::limits;
use crate::units::{Bytes, CoreNanos, UnixNanos};
use crate::wire::exposition::{Family, Key, LABELS, Sample};
use crate::wire::summary::SummaryError;
use std::fmt;

/// Why a body could not be used as a whole. The batch is then empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchError {
    /// More containers than one node may have.
    TooManyContainers,
    /// More bytes of names than one node may have.
    TooMuchText,
    /// The body of a Summary is not JSON, or ended too early.
    Malformed(SummaryError),
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BatchError::TooManyContainers => f.write_str("more containers than one node may have"),
            BatchError::TooMuchText => f.write_str("more names than one node may have"),
            BatchError::Malformed(SummaryError { line, reason }) => write!(f, "line {line}: {reason}"),
        }
    }
}

/// The points as they come in.
#[derive(Default)]
pub(super) struct Points {
    /// Time of samples that have none.
    pub(super) requested_at: UnixNanos,
    /// The node's own point.
    pub(super) node: Point,
    /// Families of the node that were seen.
    node_seen: u8,
    /// A family of the node was seen twice, with different samples.
    pub(super) node_repeated: bool,
    /// In order of first sight.
    entries: Vec<Entry>,
    /// The labels of every entry as kubelets write them ([`LABELS`]), one after the other.
    text: String,
    /// Entry numbers by hash, plus one; 0 is free. A power of two, at least twice the entries.
    index: Vec<u32>,
    /// Where the next sample of this family is expected.
    cursor: usize,
    family: Option<Family>,
    /// First of each container that was seen twice.
    repeated: Vec<u32>,
    /// Held while there is more than a batch may have on its own account.
    large: Option<LargePlace>,
}

/// One container, or one of several instances of it that a body holds.
pub(super) struct Entry {
    text_start: u32,
    namespace_len: u16,
    pod_len: u16,
    container_len: u16,
    /// Families that were seen, a bit each; [`CROWDED`], [`FURTHER`], [`QUOTED`].
    seen: u8,
    /// The next instance of the same container.
    next: u32,
    pub(super) point: Point,
}

impl Entry {
    /// Where namespace, pod and container stand in the text.
    fn places(&self) -> [(usize, usize); 3] {
        let [before_container, before_namespace, before_pod, _] = LABELS.map(str::len);
        let container = self.text_start as usize + before_container;
        let container_end = container + usize::from(self.container_len);
        let namespace = container_end + before_namespace;
        let namespace_end = namespace + usize::from(self.namespace_len);
        let pod = namespace_end + before_pod;
        [(namespace, namespace_end), (pod, pod + usize::from(self.pod_len)), (container, container_end)]
    }
}

/// No further instance.
const ALONE: u32 = u32::MAX;
/// More instances than are told apart.
const CROWDED: u8 = 0x80;
/// Not the first instance of its container: not in the index.
const FURTHER: u8 = 0x40;
/// A name has a quote or a backslash in it, so that it stands in bodies with escapes.
const QUOTED: u8 = 0x20;
const START: u8 = 8;

/// The bit of a family.
const fn bit(family: Family) -> u8 {
    match family {
        Family::NodeCpu | Family::ContainerCpu => 1,
        Family::NodeMemory | Family::ContainerMemory => 2,
        Family::NodeSwap | Family::ContainerSwap => 4,
        Family::ContainerStart => START,
    }
}

/// Puts a sample into a point.
fn apply(point: &mut Point, family: Family, value: f64, at: UnixNanos) {
    match family {
        Family::NodeCpu | Family::ContainerCpu => {
            (point.cpu, point.taken_at) = (CoreNanos(whole(value * 1e9)), at);
        }
        Family::NodeMemory | Family::ContainerMemory => {
            (point.working_set, point.taken_at) = (Bytes(whole(value)), at);
        }
        Family::NodeSwap | Family::ContainerSwap => point.set_swap(Bytes(whole(value))),
        Family::ContainerStart => point.started_at = start(value),
    }
}

/// Whether a sample says what the point says already.
fn says_the_same(mut point: Point, sample: &Sample<'_>, at: UnixNanos) -> bool {
    let before = point;
    apply(&mut point, sample.family, sample.value, at);
    point == before
}

impl Points {
    /// Forgets everything but its memory.
    pub(super) fn clear(&mut self) {
        (self.node, self.node_seen, self.node_repeated) = (Point::NONE, 0, false);
        self.entries.clear();
        self.text.clear();
        self.index.fill(0);
        self.repeated.clear();
        (self.cursor, self.family) = (0, None);
    }

    /// Gives back what a large node took, and its place.
    pub(super) fn release(&mut self) -> bool {
        let is_large = self.large.is_some();
        if is_large {
            *self = Points { requested_at: self.requested_at, ..Points::default() };
        }
        is_large
    }

    /// Whether any sample of the node was seen.
    pub(super) fn has_node(&self) -> bool {
        self.node_seen != 0
    }

    /// Takes one sample to the point it belongs to.
    pub(super) fn take(&mut self, sample: &Sample<'_>) -> Result<(), BatchError> {
        let at = self.time_of(sample.at_millis);
        let family = sample.family;
        if matches!(family, Family::NodeCpu | Family::NodeMemory | Family::NodeSwap) {
            let is_repeated = self.node_seen & bit(family) != 0;
            if is_repeated {
                self.node_repeated |= !says_the_same(self.node, sample, at);
            }
            self.node_seen |= bit(family);
            apply(&mut self.node, family, sample.value, at);
            return Ok(());
        }
        self.enter(family);
        let first = self.position(sample.key)?;
        if let Some(position) = self.instance(first, sample, at)? {
            self.put(position, family, sample.value, at);
        }
        Ok(())
    }

    /// A sample without a time is of when the kubelet was asked.
    fn time_of(&self, at_millis: Option<i64>) -> UnixNanos {
        at_millis.map_or(self.requested_at, UnixNanos::from_millis)
    }

    /// Each family lists its containers from the first.
    fn enter(&mut self, family: Family) {
        if self.family != Some(family) {
            (self.cursor, self.family) = (0, Some(family));
        }
    }

    fn put(&mut self, position: usize, family: Family, value: f64, at: UnixNanos) {
        if let Some(entry) = self.entries.get_mut(position) {
            entry.seen |= bit(family);
            apply(&mut entry.point, family, value, at);
        }
    }

    /// The labels of the next sample of this family, if it lists containers as the one before; empty when that has one already.
    pub(super) fn expected(&self, family: Family) -> &[u8] {
        let next = self.entries.get(if self.family == Some(family) { self.cursor } else { 0 });
        match next {
            Some(entry) if entry.seen & (FURTHER | QUOTED | bit(family)) == 0 && entry.next == ALONE => {
                let [_, (_, end), _] = entry.places();
                self.text.as_bytes().get(entry.text_start as usize..end + LABELS[3].len()).unwrap_or_default()
            }
            _ => &[],
        }
    }

    /// Takes a sample of the container that is expected.
    pub(super) fn take_expected(&mut self, family: Family, value: f64, at_millis: Option<i64>) {
        self.enter(family);
        self.put(self.cursor, family, value, self.time_of(at_millis));
        self.cursor += 1;
    }

    /// Which instance of a container a sample belongs to: one that lacks its family, of the same time if there is one.
    /// A new one when none lacks it; `None` for a sample that is there already, or beyond `limits::INSTANCES_MAX`.
    fn instance(
        &mut self,
        first: usize,
        sample: &Sample<'_>,
        at: UnixNanos,
    ) -> Result<Option<usize>, BatchError> {
        let bit = bit(sample.family);
        let Some(entry) = self.entries.get(first) else { return Ok(None) };
        if entry.next == ALONE && entry.seen & bit == 0 {
            return Ok(Some(first));
        }
        let (mut lacking, mut last, mut count) = (None, first, 0);
        let mut next = count_of(first);
        while let Some(entry) = self.entries.get(next as usize) {
            (last, count) = (next as usize, count + 1);
            if entry.seen & bit == 0 {
                if bit != START && entry.point.taken_at == at {
                    return Ok(Some(last));
                }
                lacking = lacking.or(Some(last));
            } else if says_the_same(entry.point, sample, at) {
                return Ok(None);
            }
            next = entry.next;
        }
        if lacking.is_some() {
            return Ok(lacking);
        }
        if count == 1 {
            self.repeated.push(count_of(first));
        }
        if count >= limits::INSTANCES_MAX {
            if let Some(entry) = self.entries.get_mut(first) {
                entry.seen |= CROWDED;
            }
            return Ok(None);
        }
        let new = self.entries.len();
        self.push(sample.key)?;
        for (position, next, seen) in [(last, count_of(new), 0), (new, ALONE, FURTHER)] {
            if let Some(entry) = self.entries.get_mut(position) {
                (entry.next, entry.seen) = (next, entry.seen | seen);
            }
        }
        Ok(Some(new))
    }

    /// Ends a body: a start time that stands once holds for all instances of its container.
    pub(super) fn finish(&mut self) {
        for index in 0..self.repeated.len() {
            let Some(first) = self.repeated.get(index).copied() else { continue };
            let (mut started_at, mut is_crowded, mut next) = (UnixNanos::UNKNOWN, 0, first);
            while let Some(entry) = self.entries.get(next as usize) {
                if started_at == UnixNanos::UNKNOWN {
                    started_at = entry.point.started_at;
                }
                (is_crowded, next) = (is_crowded | (entry.seen & CROWDED), entry.next);
            }
            next = first;
            while let Some(entry) = self.entries.get_mut(next as usize) {
                entry.seen |= is_crowded;
                if entry.point.started_at == UnixNanos::UNKNOWN {
                    entry.point.started_at = started_at;
                }
                next = entry.next;
            }
        }
    }

    /// Containers that the body holds several instances of: how many, and the first.
    pub(super) fn repeated(&self) -> (u32, Option<Key<'_>>) {
        (count_of(self.repeated.len()), self.repeated.first().map(|first| self.key(*first)))
    }

    /// Sets a container's point.
    pub(super) fn set(&mut self, key: Key<'_>, point: Point) -> Result<(), BatchError> {
        let position = self.position(key)?;
        if let Some(entry) = self.entries.get_mut(position) {
            entry.point = point;
        }
        Ok(())
    }

    /// Sets the node's own point.
    pub(super) fn set_node(&mut self, point: Point) {
        (self.node, self.node_seen) = (point, 1);
    }

    /// The entry of a container, new if need be. Moves the cursor behind it.
    fn position(&mut self, key: Key<'_>) -> Result<usize, BatchError> {
        let position = if self.is_at(self.cursor, key) { self.cursor } else { self.find_or_insert(key)? };
        self.cursor = position + 1;
        Ok(position)
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
        self.push(key)?;
        if let Some(slot) = self.index.get_mut(slot) {
            *slot = count_of(position + 1);
        }
        Ok(position)
    }

    fn push(&mut self, key: Key<'_>) -> Result<(), BatchError> {
        if self.entries.len() >= limits::NODE_CONTAINERS_MAX {
            return Err(BatchError::TooManyContainers);
        }
        let is_large = self.entries.len() >= limits::BATCH_CONTAINERS_OWN
            || self.text.len() >= limits::BATCH_TEXT_LEN_OWN;
        if is_large && self.large.is_none() {
            self.large = Some(LargePlace::take());
        }
        let len = |text: &str| u16::try_from(text.len()).map_err(|_| BatchError::TooMuchText);
        let entry = Entry {
            text_start: u32::try_from(self.text.len()).map_err(|_| BatchError::TooMuchText)?,
            namespace_len: len(key.namespace)?,
            pod_len: len(key.pod)?,
            container_len: len(key.container)?,
            seen: if key.is_plain() { 0 } else { QUOTED },
            next: ALONE,
            point: Point::NONE,
        };
        for (before, name) in LABELS.into_iter().zip([key.container, key.namespace, key.pod]) {
            self.text.push_str(before);
            self.text.push_str(name);
        }
        self.text.push_str(LABELS[3]);
        self.entries.push(entry);
        if self.text.len() > limits::NODE_TEXT_LEN_MAX { Err(BatchError::TooMuchText) } else { Ok(()) }
    }

    fn grow_index(&mut self) {
        let len = (self.index.len() * 2).max(64);
        self.index.clear();
        self.index.resize(len, 0);
        for number in 0..self.count() {
            if self.entries.get(number as usize).is_none_or(|entry| entry.seen & FURTHER != 0) {
                continue;
            }
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
        self.entries.get(position).is_some_and(|entry| entry.seen & FURTHER == 0 && self.key_of(entry) == key)
    }

    fn key_of(&self, entry: &Entry) -> Key<'_> {
        let [namespace, pod, container] = entry.places().map(|(start, end)| {
            assured(self.text.get(start..end), "the names of an entry lie in the text, between quotes")
        });
        Key { namespace, pod, container }
    }

    #[cfg(test)]
    pub(super) fn text_capacity(&self) -> usize {
        self.text.capacity()
    }

    /// Number of entries: containers, and further instances of them.
    pub(super) fn count(&self) -> u32 {
        count_of(self.entries.len())
    }

    /// Whose point an entry is.
    pub(super) fn key(&self, index: u32) -> Key<'_> {
        self.entries.get(index as usize).map_or_else(Key::default, |entry| self.key_of(entry))
    }

    /// What entries are ordered by: the bytes of namespace, pod and container.
    pub(super) fn names(&self, index: u32) -> [&[u8]; 3] {
        let Some(entry) = self.entries.get(index as usize) else { return [&[]; 3] };
        let text = self.text.as_bytes();
        entry.places().map(|(start, end)| assured(text.get(start..end), "an entry's names stand in the text"))
    }

    /// Whether two entries of one pod are of one container.
    pub(super) fn is_same_container(&self, a: u32, b: u32) -> bool {
        self.names(a)[2] == self.names(b)[2]
    }

    /// Whether an entry can be used: it has CPU and memory, and its instances could be told apart.
    pub(super) fn is_complete(&self, index: u32) -> bool {
        let entry = self.entries.get(index as usize);
        entry.is_some_and(|entry| entry.seen & CROWDED == 0 && entry.point.is_complete())
    }

    /// Whether two containers belong to one pod.
    pub(super) fn is_same_pod(&self, a: u32, b: u32) -> bool {
        let ([namespace, pod, _], [other_namespace, other_pod, _]) = (self.names(a), self.names(b));
        pod == other_pod && namespace == other_namespace
    }

    /// The point of an entry.
    pub(super) fn point(&self, index: u32) -> Point {
        self.entries.get(index as usize).map_or(Point::NONE, |entry| entry.point)
    }
}

/// A double as a whole number, truncated. The decoder hands out no NaN, infinity or negative; what is too large
/// saturates.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn whole(value: f64) -> u64 {
    value as u64
}

/// A start time in seconds as an instant.
#[allow(clippy::cast_possible_truncation)]
fn start(seconds: f64) -> UnixNanos {
    UnixNanos((seconds * 1e9) as i64)
}
