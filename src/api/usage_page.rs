//! The page at `/metrics/usage`: counters and gauges of nodes and containers for Prometheus, as the kubelet names them.
//!
//! Samples are the last ones that were read, with the kubelet's own timestamps, so that a rate over them is that of the kubelet
//! however late they are asked for; start times have none, as there. What a kubelet does not report is left out. A family
//! stands in one block with one head, so the store is walked once for each; a walk goes on behind the last node, or behind a
//! pod's last container. The page keeps that key alone. Beside the kubelet's families stand some about each node's last scrape.

use super::answer::{Answer, Body, Pieces, Progress};
use super::page_text::{self, PageText};
use crate::counters::Counters;
use crate::limits;
use crate::lock::lock;
use crate::store::row::Point;
use crate::store::{PodView, Store};
use crate::units::UnixNanos;
use crate::wire::pressure::RESOURCES;

/// Answers `/metrics/usage`.
#[must_use]
pub fn answer() -> Answer {
    Answer::ok(page_text::CONTENT_TYPE, Body::List(Box::new(UsagePage::default())))
}

/// What a family shows of a point: a value, and whether it has the point's time.
#[derive(Clone, Copy)]
enum Shown {
    Cpu,
    WorkingSet,
    Swap,
    Start,
}

/// What a family shows of a node's last scrape.
#[derive(Clone, Copy)]
enum ScrapeShown {
    Took,
    Success,
    At,
}

#[derive(Clone, Copy)]
enum Series {
    Nodes(Shown),
    Containers(Shown),
    /// Time in which some work of a pod waited.
    Waits,
    Scrapes(ScrapeShown),
}

/// Name, type and help of a family, and its series, in the order of names.
const FAMILIES: [([&str; 3], Series); 11] = [
    (
        [
            "container_cpu_usage_seconds_total",
            "counter",
            "[STABLE] Cumulative cpu time consumed by the container in core-seconds",
        ],
        Series::Containers(Shown::Cpu),
    ),
    (
        [
            "container_memory_working_set_bytes",
            "gauge",
            "[STABLE] Current working set of the container in bytes",
        ],
        Series::Containers(Shown::WorkingSet),
    ),
    (
        [
            "container_start_time_seconds",
            "gauge",
            "[STABLE] Start time of the container since unix epoch in seconds",
        ],
        Series::Containers(Shown::Start),
    ),
    (
        [
            "container_swap_usage_bytes",
            "gauge",
            "[ALPHA] Current amount of the container swap usage in bytes. Reported only on non-windows systems",
        ],
        Series::Containers(Shown::Swap),
    ),
    (
        [
            "node_cpu_usage_seconds_total",
            "counter",
            "[STABLE] Cumulative cpu time consumed by the node in core-seconds",
        ],
        Series::Nodes(Shown::Cpu),
    ),
    (
        ["node_memory_working_set_bytes", "gauge", "[STABLE] Current working set of the node in bytes"],
        Series::Nodes(Shown::WorkingSet),
    ),
    (
        [
            "node_swap_usage_bytes",
            "gauge",
            "[ALPHA] Current swap usage of the node in bytes. Reported only on non-windows systems",
        ],
        Series::Nodes(Shown::Swap),
    ),
    (
        [
            "toplet_host_pod_pressure_waiting_seconds_total",
            "counter",
            "Time in which some work of a pod of this machine waited, by resource.",
        ],
        Series::Waits,
    ),
    (
        ["toplet_scrape_duration_seconds", "gauge", "How long the last scrape of a node took."],
        Series::Scrapes(ScrapeShown::Took),
    ),
    (
        ["toplet_scrape_success", "gauge", "Whether the last scrape of a node succeeded."],
        Series::Scrapes(ScrapeShown::Success),
    ),
    (
        [
            "toplet_scrape_timestamp_seconds",
            "gauge",
            "When the last scrape of a node ended, in seconds since the epoch.",
        ],
        Series::Scrapes(ScrapeShown::At),
    ),
];

/// How far the page has come.
#[derive(Default)]
struct UsagePage {
    /// Index into [`FAMILIES`].
    family: usize,
    /// The family's head is written.
    has_head: bool,
    /// The last node, or namespace and pod, that was written.
    after: Option<(Box<str>, Box<str>)>,
    /// Containers of that pod that were written; `None` when all were.
    written: Option<usize>,
}

impl Pieces for UsagePage {
    fn prepare(&mut self, _store: &Store, _metrics: &Counters) -> bool {
        true
    }

    fn len(&self) -> Option<usize> {
        None
    }

    fn next(&mut self, store: &Store, metrics: &Counters, out: &mut Vec<u8>) -> Progress {
        let mut piece = Piece {
            end: out.len() + limits::CHUNK_LEN_MAX - limits::PART_LEN_MAX,
            work: limits::LIST_WORK_MAX,
            text: PageText(out),
        };
        while let Some((head, series)) = FAMILIES.get(self.family) {
            let is_done = match series {
                Series::Nodes(shown) => self.nodes(store, *head, *shown, &mut piece),
                Series::Containers(shown) => self.pods(store, *head, Some(*shown), &mut piece),
                Series::Waits => self.pods(store, *head, None, &mut piece),
                Series::Scrapes(shown) => self.scrapes(metrics, *head, *shown, &mut piece),
            };
            if !is_done {
                return Progress::More;
            }
            *self = UsagePage { family: self.family + 1, ..UsagePage::default() };
        }
        Progress::Done
    }
}

/// One piece under way.
struct Piece<'a> {
    /// Bytes after which no further line is begun.
    end: usize,
    /// Objects that may still be looked at.
    work: u32,
    text: PageText<'a>,
}

impl Piece<'_> {
    fn is_full(&self) -> bool {
        self.text.0.len() > self.end || self.work == 0
    }

    /// The head of a family, before its first sample.
    fn head(&mut self, head: [&'static str; 3], has_head: &mut bool) {
        if !std::mem::replace(has_head, true) {
            self.text.head(head);
        }
    }

    /// One sample of a point, if it has one.
    fn point(
        &mut self,
        head: [&'static str; 3],
        has_head: &mut bool,
        shown: Shown,
        labels: &[(&str, &str)],
        point: &Point,
    ) {
        let Some((value, at)) = sample(shown, point) else { return };
        self.head(head, has_head);
        self.text.series(&[head[0]], labels);
        self.text.push(&[&value]);
        if let Some(at) = at {
            self.text.push(&[" ", &at.0.div_euclid(1_000_000).to_string()]);
        }
        self.text.push(&["\n"]);
    }
}

/// Value and time of what a family shows; `None` where the kubelet did not report it.
fn sample(shown: Shown, point: &Point) -> Option<(String, Option<UnixNanos>)> {
    let at = Some(point.taken_at);
    Some(match shown {
        Shown::Cpu => (seconds(point.cpu.0), at),
        Shown::WorkingSet => (point.working_set.0.to_string(), at),
        Shown::Swap => (point.swap()?.0.to_string(), at),
        Shown::Start if point.started_at == UnixNanos::UNKNOWN => return None,
        Shown::Start => (seconds(u64::try_from(point.started_at.0).ok()?), None),
    })
}

/// Nanoseconds as seconds, to the last digit.
fn seconds(nanos: u64) -> String {
    format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
}

impl UsagePage {
    fn nodes(&mut self, store: &Store, head: [&'static str; 3], shown: Shown, piece: &mut Piece<'_>) -> bool {
        let after = self.after.take();
        for node in store.nodes_after(after.as_ref().map(|(name, _)| &**name)) {
            if let Some(last) = &node.last {
                piece.point(head, &mut self.has_head, shown, &[("node", node.name)], last);
            }
            piece.work = piece.work.saturating_sub(1);
            if piece.is_full() {
                self.after = Some((node.name.into(), Box::default()));
                return false;
            }
        }
        true
    }

    /// Containers of pods, or what pods wait for.
    fn pods(
        &mut self,
        store: &Store,
        head: [&'static str; 3],
        shown: Option<Shown>,
        piece: &mut Piece<'_>,
    ) -> bool {
        let (after, written) = (self.after.take(), self.written.take());
        let key = after.as_ref().map(|(namespace, name)| (&**namespace, &**name));
        let cut = written
            .zip(key)
            .and_then(|(written, (namespace, name))| Some((store.pod(namespace, name)?, written)));
        let further = store.pods_after(None, key).map(|pod| (pod, 0));
        for (pod, written) in cut.into_iter().chain(further) {
            match shown {
                Some(shown) => self.written = self.pod(&pod, written, head, shown, piece),
                None => self.waits(&pod, head, piece),
            }
            piece.work = piece.work.saturating_sub(1);
            if piece.is_full() {
                self.after = Some((pod.namespace().into(), pod.name().into()));
                return false;
            }
        }
        true
    }

    /// Writes containers of a pod; how many in all where the piece is full before the last one.
    fn pod(
        &mut self,
        pod: &PodView<'_>,
        written: usize,
        head: [&'static str; 3],
        shown: Shown,
        piece: &mut Piece<'_>,
    ) -> Option<usize> {
        // To Prometheus an empty label is an absent one: the pod is not bound to a node yet.
        let node = pod.node().unwrap_or_default();
        for (index, (container, point)) in pod.points.containers().enumerate().skip(written) {
            if piece.is_full() {
                return Some(index);
            }
            let labels = [
                ("container", container),
                ("namespace", pod.namespace()),
                ("node", node),
                ("pod", pod.name()),
            ];
            piece.point(head, &mut self.has_head, shown, &labels, point);
        }
        None
    }

    fn waits(&mut self, pod: &PodView<'_>, head: [&'static str; 3], piece: &mut Piece<'_>) {
        let node = pod.node().unwrap_or_default();
        for (resource, stall) in RESOURCES.into_iter().zip(pod.waits().into_iter().flatten()) {
            let Some(stall) = stall else { continue };
            piece.head(head, &mut self.has_head);
            let labels =
                [("namespace", pod.namespace()), ("node", node), ("pod", pod.name()), ("resource", resource)];
            piece.text.sample(&[head[0]], &labels, stall.total_micros as f64 / 1e6);
        }
    }

    fn scrapes(
        &mut self,
        metrics: &Counters,
        head: [&'static str; 3],
        shown: ScrapeShown,
        piece: &mut Piece<'_>,
    ) -> bool {
        let failing = lock(&metrics.failing);
        let nodes = lock(&metrics.nodes);
        let after = self.after.take();
        let start = after.map_or(0, |(after, _)| nodes.partition_point(|node| node.name <= after));
        for node in nodes.iter().skip(start) {
            piece.head(head, &mut self.has_head);
            let value = match shown {
                ScrapeShown::Took => f64::from(node.last_took) / 1_000.0,
                ScrapeShown::Success => f64::from(u8::from(!failing.contains_key(&node.name))),
                ScrapeShown::At => node.last_at as f64,
            };
            piece.text.sample(&[head[0]], &[("node", &node.name)], value);
            piece.work = piece.work.saturating_sub(1);
            if piece.is_full() {
                self.after = Some((node.name.clone(), Box::default()));
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests;
