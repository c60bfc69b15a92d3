mod capacity;
mod inventory;
mod model;
mod owners;
mod rates;
mod snapshot;

use super::batch::Batch;
use super::row::Point;
use super::*;
use crate::units::{CoreNanos, Uptime};
use crate::wire::exposition::Key;

const MIB: u64 = 1 << 20;
/// Any instant: times of the cases are seconds after it.
const BASE: i64 = 1_633_253_809;
const CAPACITY: Capacity = Capacity { nodes: 8, pods: 64, containers: 128, text_len: 1 << 16 };

/// `P(start, ts, cpu, mem)` of the cases: seconds after the base, core-seconds, MiB. A start of `None` is unknown.
fn point(start: Option<i64>, at: i64, cpu: u64, mem: u64) -> Point {
    let nanos = |secs: i64| UnixNanos((BASE + secs) * 1_000_000_000);
    let mut point = Point::NONE;
    point.taken_at = nanos(at);
    (point.cpu, point.working_set) = (CoreNanos(cpu * 1_000_000_000), Bytes(mem * MIB));
    point.started_at = start.map_or(UnixNanos::UNKNOWN, nanos);
    point
}

fn node_record(name: &str) -> NodeRecord<'_> {
    NodeRecord { name, ready: true, ..NodeRecord::default() }
}

fn pod_record<'a>(namespace: &'a str, name: &'a str) -> PodRecord<'a> {
    PodRecord { namespace, name, ..PodRecord::default() }
}

/// A store with one node and one listed pod, as most cases have it.
fn store_with(resolution_secs: i64) -> Store {
    let mut store = Store::new(CAPACITY, Window::from_secs(resolution_secs));
    store.upsert_node(&node_record("node1")).unwrap();
    store.upsert_node(&node_record("node2")).unwrap();
    store.upsert_pod(&pod_record("ns1", "pod1")).unwrap();
    store.upsert_pod(&pod_record("ns1", "pod2")).unwrap();
    store
}

fn store() -> Store {
    store_with(60)
}

fn batch(node: Option<Point>, pods: &[(&str, &str, Point)]) -> Batch {
    let mut batch = Batch::new();
    batch.begin(UnixNanos(0));
    if let Some(point) = node {
        batch.set_node(point);
    }
    for (pod, container, point) in pods {
        batch.set_container(Key { namespace: "ns1", pod, container }, *point).unwrap();
    }
    batch.finish();
    batch
}

/// The time of a commit: that of the batch's newest point, as a kubelet's samples are fresh when they are scraped.
fn commit(store: &mut Store, node: &str, batch: &Batch) -> Commit {
    let points = batch.pods().flat_map(|pod| pod.containers().map(|(_, point)| point).collect::<Vec<_>>());
    let newest = points.chain(batch.node()).map(|point| point.taken_at.0).max().unwrap_or(0);
    let secs = (newest / 1_000_000_000 - BASE).max(0);
    store.commit(node, batch, uptime(secs))
}

/// Seconds after the base, on our own clock.
fn uptime(secs: i64) -> Uptime {
    Uptime(u32::try_from(secs + 1_000).unwrap() * 10)
}

fn commit_node(store: &mut Store, point: Point) {
    commit(store, "node1", &batch(Some(point), &[]));
}

fn commit_pod(store: &mut Store, containers: &[(&str, Point)]) -> Commit {
    let pods: Vec<_> = containers.iter().map(|(name, point)| ("pod1", *name, *point)).collect();
    commit(store, "node1", &batch(None, &pods))
}

/// What is served: seconds after the base, window in nanoseconds, canonical CPU and memory.
fn node_text(store: &Store, name: &str) -> Option<String> {
    store.node(name)?.usage.map(usage_text)
}

fn usage_text(usage: Usage) -> String {
    let at = usage.at.0 - BASE * 1_000_000_000;
    let at = crate::wire::time::duration_text(Window(at));
    let window = crate::wire::time::duration_text(usage.window);
    let cpu = crate::wire::quantity::cpu_text(usage.cpu);
    let memory = crate::wire::quantity::bytes_text(usage.working_set);
    format!("at {} over {}: {} {}", at.as_str(), window.as_str(), cpu.as_str(), memory.as_str())
}

fn pod_text(store: &Store, name: &str) -> Option<String> {
    let usage = store.pod("ns1", name)?.usage?;
    let (at, window) = usage.span();
    let at = at.map_or("never".to_owned(), |at| (at.seconds() - BASE).to_string());
    let window = crate::wire::time::duration_text(window);
    let containers: Vec<_> = usage
        .containers()
        .map(|(name, usage)| {
            let cpu = crate::wire::quantity::cpu_text(usage.cpu);
            let memory = crate::wire::quantity::bytes_text(usage.working_set);
            format!("{name} {} {}", cpu.as_str(), memory.as_str())
        })
        .collect();
    Some(format!("{at} over {} [{}]", window.as_str(), containers.join(", ")))
}

fn is_ready(store: &Store) -> bool {
    let readiness = store.readiness();
    readiness.nodes && readiness.pods
}
