//! The page at `/metrics`: the text exposition format 0.0.4, rendered piece by piece.
//!
//! Families stand in the order of their names, those of metrics-server with its exact names, labels and help. A family
//! is absent until something was observed, as there. Series by node are resumed by node name, so a page over any number
//! of nodes needs one piece of memory, and the lock on the node list is held for a piece at most. Deviation: there is no
//! protobuf form (scrapers that ask for it accept text as well), and the families of Go's libraries are left out.

use crate::api::answer::{Answer, Body, Pieces, Progress};
use crate::api::context::{Context, FileSystem, Vitals};
use crate::api::page_text::{self, PageText};
use crate::counters::{Atomic, Counters, DROPPED, NodeSeries};
use crate::limits;
use crate::lock::lock;
use crate::store::{Occupancy, Store};
use crate::wire::pressure::{Pressure, Stall};
use std::sync::atomic::Ordering::Relaxed;

/// Answers `/metrics`; any method.
#[must_use]
pub fn answer(context: &Context<'_>) -> Answer {
    Answer {
        status: 200,
        headers: vec![
            ("Content-Type", page_text::CONTENT_TYPE.into()),
            ("Process-Start-Time-Unix", context.vitals.started_at.seconds().to_string().into()),
        ],
        body: Body::List(Box::new(page(context.vitals))),
    }
}

/// How far the page has come.
pub(super) struct Page {
    vitals: Vitals,
    /// Index into [`FAMILIES`].
    family: usize,
    /// The last node written of that family; `None` before its head.
    after: Option<Box<str>>,
}

/// Everything a family may read.
struct Sources<'a> {
    metrics: &'a Counters,
    occupancy: Occupancy,
    vitals: Vitals,
}

enum MetricFamily {
    /// Written at once, at most `limits::PART_LEN_MAX` bytes.
    Whole(fn(&Sources<'_>, &mut PageText<'_>)),
    /// Name, type and help, and the lines of one node, at most `limits::PART_LEN_MAX` bytes.
    ByNode([&'static str; 3], fn(&NodeSeries, &mut PageText<'_>)),
}

const FAMILIES: &[MetricFamily] = &[
    MetricFamily::Whole(freshness),
    MetricFamily::ByNode(LAST_REQUEST, |node, text| {
        text.sample(&[LAST_REQUEST[0]], &[("node", &node.name)], node.last_at as f64);
    }),
    MetricFamily::ByNode(REQUEST_DURATION, |node, text| {
        text.histogram(REQUEST_DURATION[0], Some(&node.name), node.took.read());
    }),
    MetricFamily::Whole(requests),
    MetricFamily::Whole(ticks),
    MetricFamily::Whole(storage_points),
    MetricFamily::Whole(process),
    MetricFamily::Whole(build),
    MetricFamily::Whole(connections),
    MetricFamily::Whole(dropped),
    MetricFamily::Whole(host),
    MetricFamily::Whole(own_cgroups),
    MetricFamily::Whole(reviews),
    MetricFamily::ByNode(SCRAPE_ERRORS, |node, text| {
        for (reason, count) in &node.errors {
            text.sample(&[SCRAPE_ERRORS[0]], &[("node", &node.name), ("reason", reason)], *count as f64);
        }
    }),
    MetricFamily::Whole(store),
];

const LAST_REQUEST: [&str; 3] = [
    "metrics_server_kubelet_last_request_time_seconds",
    "gauge",
    "[ALPHA] Time of last request performed to Kubelet API since unix epoch in seconds",
];
const REQUEST_DURATION: [&str; 3] = [
    "metrics_server_kubelet_request_duration_seconds",
    "histogram",
    "[ALPHA] Duration of requests to Kubelet API in seconds",
];
const SCRAPE_ERRORS: [&str; 3] =
    ["toplet_scrape_errors_total", "counter", "Scrapes of a node that failed, by reason."];

impl Pieces for Page {
    fn prepare(&mut self, _store: &Store, _metrics: &Counters) -> bool {
        true
    }

    fn len(&self) -> Option<usize> {
        None
    }

    fn next(&mut self, store: &Store, metrics: &Counters, out: &mut Vec<u8>) -> Progress {
        self.piece(metrics, store.occupancy(), out)
    }
}

pub(super) fn page(vitals: Vitals) -> Page {
    Page { vitals, family: 0, after: None }
}

impl Page {
    /// Appends the next piece.
    pub(super) fn piece(&mut self, metrics: &Counters, occupancy: Occupancy, out: &mut Vec<u8>) -> Progress {
        let sources = Sources { metrics, occupancy, vitals: self.vitals };
        let end = out.len() + limits::CHUNK_LEN_MAX - limits::PART_LEN_MAX;
        while out.len() <= end {
            match FAMILIES.get(self.family) {
                None => return Progress::Done,
                Some(MetricFamily::Whole(write)) => {
                    write(&sources, &mut PageText(out));
                    self.family += 1;
                }
                Some(MetricFamily::ByNode(head, write)) => {
                    if self.by_node(*head, *write, &sources, &mut PageText(out), end) {
                        (self.family, self.after) = (self.family + 1, None);
                    }
                }
            }
        }
        Progress::More
    }

    /// Writes nodes until `end` is passed; `true` when none is left.
    fn by_node(
        &mut self,
        head: [&'static str; 3],
        write: fn(&NodeSeries, &mut PageText<'_>),
        sources: &Sources<'_>,
        text: &mut PageText<'_>,
        end: usize,
    ) -> bool {
        let nodes = lock(&sources.metrics.nodes);
        let start = self.after.as_ref().map_or(0, |after| nodes.partition_point(|node| node.name <= *after));
        // A family without any sample has no head either.
        if self.after.is_none() && nodes.iter().any(|node| head != SCRAPE_ERRORS || !node.errors.is_empty()) {
            text.head(head);
        }
        for node in nodes.iter().skip(start) {
            write(node, text);
            if text.0.len() > end {
                self.after = Some(node.name.clone());
                return false;
            }
        }
        true
    }
}

fn freshness(from: &Sources<'_>, text: &mut PageText<'_>) {
    let name = "metrics_server_api_metric_freshness_seconds";
    histogram(text, [name, "histogram", "[ALPHA] Freshness of metrics exported"], &from.metrics.freshness);
}

fn ticks(from: &Sources<'_>, text: &mut PageText<'_>) {
    let name = "metrics_server_manager_tick_duration_seconds";
    let help = "[ALPHA] The total time spent collecting and storing metrics in seconds.";
    text.head([name, "histogram", help]);
    text.histogram(name, None, from.metrics.ticks.read());
}

fn histogram(text: &mut PageText<'_>, head: [&'static str; 3], values: &Atomic) {
    if values.count() > 0 {
        text.head(head);
        text.histogram(head[0], None, values.read());
    }
}

fn requests(from: &Sources<'_>, text: &mut PageText<'_>) {
    let name = "metrics_server_kubelet_request_total";
    let counts = [
        ("false", from.metrics.scrapes_bad.load(Relaxed)),
        ("true", from.metrics.scrapes_good.load(Relaxed)),
    ];
    if counts.iter().any(|(_, count)| *count > 0) {
        text.head([name, "counter", "[ALPHA] Number of requests sent to Kubelet API"]);
    }
    for (success, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        text.sample(&[name], &[("success", success)], count as f64);
    }
}

fn storage_points(from: &Sources<'_>, text: &mut PageText<'_>) {
    let name = "metrics_server_storage_points";
    // Absent until the first batch was stored.
    if from.metrics.scrapes_good.load(Relaxed) > 0 || from.metrics.ticks.count() > 0 {
        text.head([name, "gauge", "[ALPHA] Number of metrics points stored."]);
        text.sample(&[name], &[("type", "container")], from.occupancy.container_points.into());
        text.sample(&[name], &[("type", "node")], from.occupancy.node_points.into());
    }
}

fn process(from: &Sources<'_>, text: &mut PageText<'_>) {
    let Vitals { rss, cpu_nanos, started_at, .. } = from.vitals;
    text.single(
        ["process_cpu_seconds_total", "counter", "CPU time used, user and system, in seconds."],
        cpu_nanos as f64 / 1e9,
    );
    if let Some(rss) = rss {
        text.single(["process_resident_memory_bytes", "gauge", "Resident memory in bytes."], rss.0 as f64);
    }
    text.single(
        ["process_start_time_seconds", "gauge", "Start of the process in seconds since the epoch."],
        started_at.0 as f64 / 1e9,
    );
}

fn build(_: &Sources<'_>, text: &mut PageText<'_>) {
    let name = "toplet_build_info";
    text.head([name, "gauge", "The version of this program; always 1."]);
    text.sample(&[name], &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
}

fn connections(from: &Sources<'_>, text: &mut PageText<'_>) {
    let metrics = from.metrics;
    let opened = metrics.connections_opened.load(Relaxed);
    let open = opened.saturating_sub(metrics.connections_closed.load(Relaxed));
    text.single(["toplet_connections", "gauge", "Connections open now."], open as f64);
    let name = "toplet_connections_total";
    text.head([name, "counter", "Connections accepted, refused at the cap, and cut by a deadline."]);
    text.sample(&[name], &[("outcome", "accepted")], opened as f64);
    text.sample(&[name], &[("outcome", "refused")], metrics.connections_refused.load(Relaxed) as f64);
    text.sample(&[name], &[("outcome", "timed_out")], metrics.connections_timed_out.load(Relaxed) as f64);
}

fn dropped(from: &Sources<'_>, text: &mut PageText<'_>) {
    let name = "toplet_dropped_total";
    text.head([
        name,
        "counter",
        "What was left out of scrapes: invalid lines, what lacks CPU or memory or stands twice, pods of other nodes.",
    ]);
    for (reason, count) in DROPPED.iter().zip(&from.metrics.dropped) {
        text.sample(&[name], &[("reason", reason)], count.load(Relaxed) as f64);
    }
}

/// In the manner of the node exporter's, under names of our own.
fn host(from: &Sources<'_>, text: &mut PageText<'_>) {
    let Some(host) = &from.vitals.host else { return };
    let file_systems = |text: &mut PageText<'_>, head: [&str; 3], value: fn(&FileSystem) -> u64| {
        if host.file_systems().next().is_some() {
            text.head(head);
        }
        for it in host.file_systems() {
            text.sample(&[head[0]], &[("mountpoint", it.path)], value(&it) as f64);
        }
    };
    let name = "toplet_host_filesystem_available_bytes";
    file_systems(text, [name, "gauge", "What users other than root may still use."], |it| it.available.0);
    let name = "toplet_host_filesystem_size_bytes";
    file_systems(text, [name, "gauge", "What a file system of this machine has in all."], |it| it.size.0);
    let stalls = |text: &mut PageText<'_>, head: [&str; 3], value: fn(&Pressure) -> Option<Stall>| {
        if host.pressures().any(|(_, pressure)| value(&pressure).is_some()) {
            text.head(head);
        }
        for (resource, pressure) in host.pressures() {
            if let Some(stall) = value(&pressure) {
                text.sample(&[head[0]], &[("resource", resource)], stall.total_micros as f64 / 1e6);
            }
        }
    };
    let name = "toplet_host_pressure_stalled_seconds_total";
    stalls(text, [name, "counter", "Time in which all work of this machine waited, by resource."], |it| {
        it.full
    });
    let name = "toplet_host_pressure_waiting_seconds_total";
    let help = "Time in which some work of this machine waited, by resource.";
    stalls(text, [name, "counter", help], |it| Some(it.some));
}

fn own_cgroups(from: &Sources<'_>, text: &mut PageText<'_>) {
    let name = "toplet_own_cgroup_readings_total";
    let help = "Readings of this machine's own cgroups in place of its kubelet, which could not be scraped.";
    text.single([name, "counter", help], from.metrics.own_cgroup_readings.load(Relaxed) as f64);
}

fn reviews(from: &Sources<'_>, text: &mut PageText<'_>) {
    let name = "toplet_reviews_total";
    let reviews = lock(&from.metrics.reviews);
    if !reviews.is_empty() {
        text.head([
            name,
            "counter",
            "Token and access reviews, answered from the cache or asked of the API server.",
        ]);
    }
    for (kind, outcome, count) in reviews.iter() {
        text.sample(&[name], &[("kind", kind), ("outcome", outcome)], *count as f64);
    }
}

fn store(from: &Sources<'_>, text: &mut PageText<'_>) {
    let Occupancy { nodes, pods, containers, text_len, refused_nodes, refused_pods, .. } = from.occupancy;
    if let Some(capacity) = from.metrics.capacity.get() {
        let name = "toplet_store_capacity";
        text.head([name, "gauge", "How much the store may hold, by kind."]);
        text.by_kind(name, [capacity.containers, capacity.nodes, capacity.pods, capacity.text_len]);
    }
    text.single(
        ["toplet_store_refused_nodes_total", "counter", "Nodes refused since the store was full."],
        refused_nodes as f64,
    );
    text.single(
        ["toplet_store_refused_pods_total", "counter", "Pods refused since the store was full."],
        refused_pods as f64,
    );
    let name = "toplet_store_used";
    text.head([name, "gauge", "How much the store holds, by kind."]);
    text.by_kind(name, [containers, nodes, pods, text_len]);
}

#[cfg(test)]
mod tests;
