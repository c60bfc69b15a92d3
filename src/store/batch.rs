//! One node's decoded samples in reusable scratch. Completeness, zeros and duplicates are decided here and nowhere else.
//!
//! A node, and a container, is complete with CPU and memory, neither zero; one incomplete container leaves its pod out.
//! A container that stands twice in a body keeps all its complete instances, of which the commit takes one; a node that
//! does is left out. A point's time is that of the last CPU or memory sample in the order of the body, which for a
//! kubelet's sorted families is the memory sample, as in metrics-server.
//! Deviation: of repeated series metrics-server takes the last, and so rates two instances of a container as one; here
//! the instance that continues the last point is kept.
//! Memory: at most `limits::NODE_CONTAINERS_MAX` rows and `limits::NODE_TEXT_LEN_MAX` bytes; beyond, the node is refused.
//! Of large batches there are `limits::LARGE_BATCHES_MAX` at a time.
//! Source: metrics-server `pkg/scraper/client/resource/decode.go`.

pub use super::grouping::BatchError;
use super::grouping::Points;
use super::pool::count_of;
use super::row::Point;
use crate::units::UnixNanos;
use crate::wire::exposition::{Decoder, Family, Key, Sample, TakeSamples};
use crate::wire::summary::SummaryDecoder;

/// What decoding dropped, for the log and the self metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Lines that are not valid exposition, or that lack a label.
    pub bad_lines: u32,
    /// Pods left out since a container lacks CPU or memory, or has zero.
    pub incomplete_pods: u32,
    /// The node's own point was incomplete, or stood twice.
    pub incomplete_node: bool,
    /// Containers that stand several times in the body.
    pub repeated_containers: u32,
    /// Why the first bad line was dropped and where: line number and reason.
    pub first: Option<(u32, &'static str)>,
}

/// What a batch was read from. No rate has points of two of them: their counters and clocks differ. A kubelet takes both of
/// its answers from the same counters, but a Summary's times are cut to seconds, and a kubelet that changes from one to the
/// other has been replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BatchSource {
    /// The resource metrics of the node's kubelet.
    #[default]
    Kubelet,
    /// The Summary API of the node's kubelet.
    Summary,
    /// The cgroups of the machine that runs here.
    Machine,
}

/// What a body holds, for a failure that names its cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Samples of the families in use.
    pub sample_count: u32,
    /// The kubelet says that it could not collect its statistics (`scrape_error 1`).
    pub scrape_error: bool,
    /// Pods with statistics of their own.
    pub pod_count: u32,
}

impl BatchSource {
    /// Its number in files.
    pub(super) const fn number(self) -> u64 {
        match self {
            BatchSource::Kubelet => 0,
            BatchSource::Machine => 1,
            BatchSource::Summary => 2,
        }
    }

    /// The source of a number; `None` for one of another version.
    pub(super) const fn from_number(number: u64) -> Option<BatchSource> {
        match number {
            0 => Some(BatchSource::Kubelet),
            1 => Some(BatchSource::Machine),
            2 => Some(BatchSource::Summary),
            _ => None,
        }
    }
}

/// Reusable scratch for one node's samples; its memory is bounded by `limits` and kept between scrapes.
#[derive(Default)]
pub struct Batch {
    decoder: Decoder,
    summary: SummaryDecoder,
    points: Points,
    /// Containers of complete pods, by namespace, pod and name.
    order: Vec<u32>,
    /// Where each pod ends in them.
    pod_ends: Vec<u32>,
    source: BatchSource,
    sample_count: u32,
    error: Option<BatchError>,
}

/// One complete pod of a batch.
#[derive(Clone, Copy)]
pub struct BatchPod<'a> {
    /// Namespace.
    pub namespace: &'a str,
    /// Name.
    pub name: &'a str,
    /// What the body is read from.
    pub(super) source: BatchSource,
    points: &'a Points,
    containers: &'a [u32],
}

impl<'a> BatchPod<'a> {
    /// Containers with their points, by name; at least one. Instances of one container follow one another.
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

    /// Gives back the memory of a large node, once its points are in the store: others may be waiting for it.
    pub fn release(&mut self) {
        if self.points.release() {
            (self.order, self.pod_ends) = (Vec::new(), Vec::new());
        }
    }

    /// Forgets the previous body; the source is a kubelet until said otherwise. `requested_at` stamps samples without a timestamp (truncated to milliseconds).
    pub fn begin(&mut self, requested_at: UnixNanos) {
        self.decoder.begin();
        self.summary.begin();
        self.release();
        self.points.clear();
        self.points.requested_at = UnixNanos::from_millis(requested_at.0.div_euclid(1_000_000));
        self.order.clear();
        self.pod_ends.clear();
        self.source = BatchSource::Kubelet;
        (self.sample_count, self.error) = (0, None);
    }

    /// Says what the body is read from, before its first piece: a Summary is JSON, all others are expositions.
    pub fn set_source(&mut self, source: BatchSource) {
        self.source = source;
    }

    /// What the body is read from.
    #[must_use]
    pub fn source(&self) -> BatchSource {
        self.source
    }

    /// Decodes one piece of the body; pieces may end anywhere.
    /// # Errors
    /// The body is too large for a node, or not JSON; reading on is useless.
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), BatchError> {
        let Batch { decoder, summary, points, error, sample_count, .. } = self;
        match (&error, self.source) {
            (Some(_), _) => {}
            (None, BatchSource::Summary) => {
                let mut keep = Keep { points, error, sample_count };
                if let Err(malformed) = summary.feed(piece, |sample| keep.take(sample)) {
                    error.get_or_insert(BatchError::Malformed(malformed));
                }
            }
            (None, _) => decoder.feed(piece, Keep { points, error, sample_count }),
        }
        self.check()
    }

    /// Ends the body: decides completeness and says what was dropped. See [`Batch::error`] for a body that ended too early.
    pub fn finish(&mut self) -> Dropped {
        let Batch { decoder, summary, points, error, sample_count, .. } = self;
        if error.is_none() {
            decoder.finish(Keep { points, error, sample_count });
            *error = (*error).or(summary.finish().err().map(BatchError::Malformed));
        }
        let _ = self.check();
        self.points.finish();
        let incomplete_pods = self.sort_and_complete();
        let points = &mut self.points;
        let incomplete_node = points.has_node() && (points.node_repeated || !points.node.is_complete());
        if incomplete_node {
            points.node = Point::NONE;
        }
        let (bad_lines, first) = match self.source {
            BatchSource::Summary => (self.summary.bad_count(), self.summary.first_bad()),
            _ => (self.decoder.bad_line_count(), self.decoder.first_bad()),
        };
        let (repeated_containers, _) = self.points.repeated();
        Dropped { bad_lines, incomplete_pods, incomplete_node, repeated_containers, first }
    }

    /// Why the batch is empty, when its body could not be used as a whole.
    #[must_use]
    pub const fn error(&self) -> Option<BatchError> {
        self.error
    }

    /// What the body holds. After [`Batch::finish`].
    #[must_use]
    pub fn contents(&self) -> Contents {
        let (sample_count, decoder) = (self.sample_count, &self.decoder);
        Contents { sample_count, scrape_error: decoder.scrape_error(), pod_count: decoder.pod_count() }
    }

    /// The first container that stands several times in the body.
    #[must_use]
    pub fn first_repeated(&self) -> Option<Key<'_>> {
        self.points.repeated().1
    }

    /// Sets the node's own point.
    pub(crate) fn set_node(&mut self, point: Point) {
        self.points.set_node(point);
    }

    /// Sets a container's point, before [`Batch::finish`].
    pub(crate) fn set_container(&mut self, key: Key<'_>, point: Point) -> Result<(), BatchError> {
        if let Err(error) = self.points.set(key, point) {
            self.error = Some(error);
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
        let (points, source) = (&self.points, self.source);
        let mut start = 0;
        self.pod_ends.iter().filter_map(move |end| {
            let containers = self.order.get(start as usize..*end as usize)?;
            start = *end;
            let Key { namespace, pod, .. } = points.key(*containers.first()?);
            Some(BatchPod { namespace, name: pod, source, points, containers })
        })
    }

    fn check(&mut self) -> Result<(), BatchError> {
        match self.error {
            None => Ok(()),
            Some(error) => {
                self.release();
                self.points.clear();
                Err(error)
            }
        }
    }

    /// Orders the containers and leaves out those of incomplete pods; how many pods that were.
    fn sort_and_complete(&mut self) -> u32 {
        let points = &self.points;
        self.order.clear();
        self.pod_ends.clear();
        self.order.extend(0..points.count());
        // Bodies list each container name's pods in order, and this sort merges what is in order already. Beyond 1,024 containers
        // it borrows four bytes for each from the heap.
        self.order.sort_by(|a, b| points.names(*a).cmp(&points.names(*b)));
        let (mut incomplete_pods, mut kept, mut start) = (0, 0, 0);
        while let Some(rest) = self.order.get(start..)
            && let Some(pod) = rest.chunk_by(|a, b| points.is_same_pod(*a, *b)).next()
        {
            let (end, pod_start) = (start + pod.len(), kept);
            let mut instances = pod.chunk_by(|a, b| points.is_same_container(*a, *b));
            let is_complete = instances.all(|of_one| of_one.iter().any(|index| points.is_complete(*index)));
            incomplete_pods += u32::from(!is_complete);
            for at in start..end {
                let Some(index) = self.order.get(at).copied() else { continue };
                if is_complete && points.is_complete(index) {
                    self.order.copy_within(at..=at, kept);
                    kept += 1;
                }
            }
            debug_assert!(is_complete == (kept > pod_start));
            if is_complete {
                self.pod_ends.push(count_of(kept));
            }
            start = end;
        }
        self.order.truncate(kept);
        incomplete_pods
    }
}

/// Keeps samples, until one has no room.
struct Keep<'a> {
    points: &'a mut Points,
    error: &'a mut Option<BatchError>,
    sample_count: &'a mut u32,
}

impl TakeSamples for Keep<'_> {
    fn take(&mut self, sample: Sample<'_>) {
        if self.error.is_none() {
            *self.sample_count = self.sample_count.saturating_add(1);
            *self.error = self.points.take(&sample).err();
        }
    }

    fn expected(&self, family: Family) -> &[u8] {
        if self.error.is_none() { self.points.expected(family) } else { &[] }
    }

    fn take_expected(&mut self, family: Family, value: f64, at_millis: Option<i64>) {
        *self.sample_count = self.sample_count.saturating_add(1);
        self.points.take_expected(family, value, at_millis);
    }
}

#[cfg(test)]
mod tests;
