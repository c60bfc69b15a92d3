//! One node's decoded samples in reusable scratch. Completeness, zeros and duplicates are decided here and nowhere else.
//!
//! A node, and a container, is complete with CPU and memory, neither zero; one incomplete container leaves its pod out.
//! Of repeated samples the last one counts. A point's time is that of the last CPU or memory sample in the order of the
//! body, which for a kubelet's sorted families is the memory sample, as in the reference. Families list containers in
//! the same order, so a sample is looked for next to its family's last one first, then in a hash index.
//! Memory: at most `limits::NODE_CONTAINERS_MAX` rows and `limits::NODE_TEXT_LEN_MAX` bytes; beyond, the node is refused.
//! Source: metrics-server `pkg/scraper/client/resource/decode.go`.

use super::names::hash;
use super::row::Point;
use crate::limits;
use crate::units::{Bytes, CoreNanos, UnixNanos};
use crate::wire::exposition::{Decoder, Family, Key, Sample};

/// Why a body could not be used as a whole. The batch is then empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchError {
    /// More containers than one node may have.
    TooManyContainers,
    /// More bytes of names than one node may have.
    TooMuchText,
}

/// What decoding dropped, for the log and the self metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Lines that are not valid exposition, or that lack a label.
    pub bad_lines: u32,
    /// Pods left out since a container lacks CPU or memory, or has zero.
    pub incomplete_pods: u32,
    /// The node's own point was incomplete.
    pub incomplete_node: bool,
    /// Why the first bad line was dropped and where: line number and reason.
    pub first: Option<(u32, &'static str)>,
}

/// Reusable scratch for one node's samples; its memory is bounded by `limits` and kept between scrapes.
#[derive(Default)]
pub struct Batch {
    decoder: Decoder,
    points: Points,
    /// Containers of complete pods, by namespace, pod and name.
    order: Vec<u32>,
    error: Option<BatchError>,
}

/// One complete pod of a batch.
#[derive(Clone, Copy)]
pub struct BatchPod<'a> {
    /// Namespace.
    pub namespace: &'a str,
    /// Name.
    pub name: &'a str,
    points: &'a Points,
    containers: &'a [u32],
}

impl<'a> BatchPod<'a> {
    /// Containers with their points, by name; at least one.
    pub fn containers(self) -> impl Iterator<Item = (&'a str, Point)> {
        self.containers
            .iter()
            .map(move |index| (self.points.key(*index).container, self.points.point(*index)))
    }
}

impl Batch {
    /// Empty scratch.
    #[must_use]
    pub fn new() -> Batch {
        Batch::default()
    }

    /// Forgets the previous body. `requested_at` stamps samples without a timestamp (truncated to milliseconds).
    pub fn begin(&mut self, requested_at: UnixNanos) {
        self.decoder.begin();
        self.points.clear();
        self.points.requested_at = UnixNanos::from_millis(requested_at.0.div_euclid(1_000_000));
        self.order.clear();
        self.error = None;
    }

    /// Decodes one piece of the body; pieces may end anywhere.
    /// # Errors
    /// The body is too large for a node; reading on is useless.
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), BatchError> {
        let Batch { decoder, points, error, .. } = self;
        if error.is_none() {
            decoder.feed(piece, |sample| keep(points, error, sample));
        }
        self.check()
    }

    /// Ends the body: decides completeness and says what was dropped.
    pub fn finish(&mut self) -> Dropped {
        let Batch { decoder, points, error, .. } = self;
        if error.is_none() {
            decoder.finish(|sample| keep(points, error, sample));
        }
        let _ = self.check();
        let incomplete_pods = self.sort_and_complete();
        let points = &mut self.points;
        let incomplete_node = points.node_seen && !points.node.is_complete();
        if incomplete_node {
            points.node = Point::NONE;
        }
        let (bad_lines, first) = (self.decoder.bad_line_count(), self.decoder.first_bad());
        Dropped { bad_lines, incomplete_pods, incomplete_node, first }
    }

    /// Sets the node's own point, for a source that has no exposition.
    pub fn set_node(&mut self, point: Point) {
        (self.points.node, self.points.node_seen) = (point, true);
    }

    /// Sets a container's point, for a source that has no exposition. Before [`Batch::finish`].
    /// # Errors
    /// More than a node may have.
    pub fn set_container(&mut self, key: Key<'_>, point: Point) -> Result<(), BatchError> {
        match self.points.entry(key) {
            Ok(entry) => entry.point = point,
            Err(error) => self.error = Some(error),
        }
        self.check()
    }

    /// The node's own point, when complete.
    #[must_use]
    pub fn node(&self) -> Option<Point> {
        self.points.node.is_complete().then_some(self.points.node)
    }

    /// The complete pods, by namespace and name. After [`Batch::finish`].
    pub fn pods(&self) -> impl Iterator<Item = BatchPod<'_>> {
        let points = &self.points;
        self.order.chunk_by(|a, b| points.is_same_pod(*a, *b)).filter_map(move |containers| {
            let Key { namespace, pod, .. } = points.key(*containers.first()?);
            Some(BatchPod { namespace, name: pod, points, containers })
        })
    }

    fn check(&mut self) -> Result<(), BatchError> {
        match self.error {
            None => Ok(()),
            Some(error) => {
                self.points.clear();
                Err(error)
            }
        }
    }

    /// Orders the containers and leaves out those of incomplete pods; how many pods that were.
    fn sort_and_complete(&mut self) -> u32 {
        let points = &self.points;
        let count = u32::try_from(points.entries.len()).unwrap_or(0);
        self.order.clear();
        self.order.extend(0..count);
        self.order.sort_unstable_by(|a, b| points.key_order(*a).cmp(&points.key_order(*b)));
        let (mut incomplete_pods, mut kept, mut start) = (0, 0, 0);
        while let Some(rest) = self.order.get(start..)
            && let Some(pod) = rest.chunk_by(|a, b| points.is_same_pod(*a, *b)).next()
        {
            let len = pod.len();
            if pod.iter().all(|index| points.point(*index).is_complete()) {
                self.order.copy_within(start..start + len, kept);
                kept += len;
            } else {
                incomplete_pods += 1;
            }
            start += len;
        }
        self.order.truncate(kept);
        incomplete_pods
    }
}

fn keep(points: &mut Points, error: &mut Option<BatchError>, sample: Sample<'_>) {
    if error.is_none()
        && let Err(refused) = points.take(sample)
    {
        *error = Some(refused);
    }
}

/// The points as they come in.
#[derive(Default)]
struct Points {
    requested_at: UnixNanos,
    node: Point,
    node_seen: bool,
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
struct Entry {
    text_start: u32,
    namespace_len: u16,
    pod_len: u16,
    container_len: u16,
    point: Point,
}

impl Points {
    fn clear(&mut self) {
        (self.node, self.node_seen) = (Point::NONE, false);
        self.entries.clear();
        self.text.clear();
        self.index.fill(0);
        (self.cursor, self.family) = (0, None);
    }

    fn take(&mut self, sample: Sample<'_>) -> Result<(), BatchError> {
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
    fn entry(&mut self, key: Key<'_>) -> Result<&mut Entry, BatchError> {
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

    fn key(&self, index: u32) -> Key<'_> {
        self.entries.get(index as usize).map_or_else(Key::default, |entry| self.key_of(entry))
    }

    fn key_order(&self, index: u32) -> (&str, &str, &str) {
        let key = self.key(index);
        (key.namespace, key.pod, key.container)
    }

    fn is_same_pod(&self, a: u32, b: u32) -> bool {
        let (a, b) = (self.key(a), self.key(b));
        a.pod == b.pod && a.namespace == b.namespace
    }

    fn point(&self, index: u32) -> Point {
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

#[cfg(test)]
mod tests;
