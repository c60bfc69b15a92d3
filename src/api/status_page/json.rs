//! The same facts for programs: one JSON object, numbers in base units.
//!
//! Names are those of Kubernetes where it has one. A value of a history that is not known is `null`.

use super::facts::{NodeRow, Overview, PodRow};
use super::rank::Totals;
use crate::api::context::HostLoad;
use crate::api::encode_json::string;
use crate::store::Recent;
use crate::store::batch::BatchSource;
use crate::units::{Bytes, Nanocores, UnixNanos, Window};
use crate::wire::allocatable::Allocatable;
use crate::wire::pressure::{RESOURCES, Stall};
use crate::wire::time;
use std::io::Write;

/// Everything up to the first node.
pub(super) fn overview(out: &mut Vec<u8>, it: &Overview<'_>) {
    out.push(b'{');
    text(out, "version", env!("CARGO_PKG_VERSION"));
    text(out, "mode", it.mode);
    instant(out, "now", it.now);
    instant(out, "startedAt", it.vitals.started_at);
    if let Some(end) = it.vitals.certificate_ends_at {
        instant(out, "certificateNotAfter", end);
    }
    number(out, "resolutionSeconds", it.resolution.as_secs());
    number(out, "historySeconds", it.history.0.unsigned_abs() / 1_000_000_000);
    key(out, "memory");
    out.push(b'{');
    if let Some(rss) = it.vitals.rss {
        number(out, "residentBytes", rss.0);
    }
    number(out, "reservedBytes", it.reserved.0);
    out.pop();
    out.extend_from_slice(b"},");
    held(out, it);
    if let Some(load) = &it.vitals.host {
        host(out, load);
    }
    let Totals { nodes, nodes_failing, nodes_measured, .. } = it.totals;
    key(out, "nodes");
    out.push(b'{');
    number(out, "count", nodes as u64);
    number(out, "measured", nodes_measured as u64);
    number(out, "failing", nodes_failing as u64);
    key(out, "items");
    out.push(b'[');
}

/// The machine's pressure and file systems.
fn host(out: &mut Vec<u8>, load: &HostLoad) {
    key(out, "host");
    out.extend_from_slice(b"{\"pressure\":{");
    for (index, (resource, pressure)) in load.pressures().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        key(out, resource);
        out.push(b'{');
        for (kind, stall) in [("some", Some(pressure.some)), ("full", pressure.full)] {
            let Some(stall) = stall else { continue };
            stalled(out, kind, stall);
            out.push(b',');
        }
        out.pop();
        out.push(b'}');
    }
    out.extend_from_slice(b"},\"fileSystems\":[");
    for (index, it) in load.file_systems().enumerate() {
        out.extend_from_slice(if index == 0 { b"{" } else { b",{" });
        text(out, "path", it.path);
        number(out, "sizeBytes", it.size.0);
        number(out, "usedBytes", it.used.0);
        number(out, "availableBytes", it.available.0);
        out.pop();
        out.push(b'}');
    }
    out.extend_from_slice(b"]},");
}

/// The figures of one line of the kernel.
fn stalled(out: &mut Vec<u8>, kind: &str, stall: Stall) {
    key(out, kind);
    out.push(b'{');
    for (name, share) in ["avg10", "avg60", "avg300"].into_iter().zip(stall.averages) {
        key(out, name);
        let _ = write!(out, "{share:.2},");
    }
    number(out, "totalMicroseconds", stall.total_micros);
    out.pop();
    out.push(b'}');
}

/// What a pod's work waits for.
fn waits(out: &mut Vec<u8>, waits: [Option<Stall>; 3]) {
    key(out, "pressure");
    out.push(b'{');
    let known = RESOURCES.into_iter().zip(waits).filter_map(|(resource, stall)| Some((resource, stall?)));
    for (index, (resource, stall)) in known.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        key(out, resource);
        out.push(b'{');
        stalled(out, "some", stall);
        out.push(b'}');
    }
    out.extend_from_slice(b"},");
}

/// How full the tables are.
fn held(out: &mut Vec<u8>, it: &Overview<'_>) {
    let used = it.occupancy;
    key(out, "tables");
    out.push(b'{');
    for (name, used, capacity) in [
        ("nodes", used.nodes, it.capacity.map(|capacity| capacity.nodes)),
        ("pods", used.pods, it.capacity.map(|capacity| capacity.pods)),
        ("containers", used.containers, it.capacity.map(|capacity| capacity.containers)),
        ("textBytes", used.text_len, it.capacity.map(|capacity| capacity.text_len)),
    ] {
        key(out, name);
        out.push(b'{');
        number(out, "used", used.into());
        if let Some(capacity) = capacity {
            number(out, "capacity", capacity.into());
        }
        out.pop();
        out.extend_from_slice(b"},");
    }
    out.pop();
    out.extend_from_slice(b"},");
}

/// One node.
pub(super) fn node(out: &mut Vec<u8>, it: &NodeRow<'_>, is_first: bool) {
    out.extend_from_slice(if is_first { b"{" } else { b",{" });
    text(out, "name", it.name);
    if let Some(source) = it.source {
        let source = match source {
            BatchSource::Kubelet => "kubelet",
            BatchSource::Summary => "summary",
            BatchSource::Machine => "machine",
        };
        text(out, "source", source);
    }
    if let Some(address) = &it.scrape.address {
        text(out, "address", address);
    }
    if let Some(took) = it.scrape.took {
        decimal(out, "latencySeconds", took.as_secs_f64());
    }
    if let Some((reason, sentence)) = &it.scrape.failure {
        text(out, "reason", reason);
        if let Some(sentence) = sentence {
            text(out, "message", sentence);
        }
    }
    if let Some(usage) = it.usage {
        instant(out, "timestamp", usage.at);
        values(out, usage.cpu, usage.working_set);
        if let Some(swap) = usage.swap {
            number(out, "swapBytes", swap.0);
        }
    }
    allocatable(out, &it.allocatable);
    age(out, it.age);
    history(out, it.history);
}

/// What a node has for pods, as far as that is known.
fn allocatable(out: &mut Vec<u8>, it: &Allocatable) {
    if it.cpu.0 == 0 && it.memory.0 == 0 {
        return;
    }
    key(out, "allocatable");
    out.push(b'{');
    for (name, amount) in [("cpuNanocores", it.cpu.0), ("memoryBytes", it.memory.0)] {
        if amount > 0 {
            number(out, name, amount);
        }
    }
    out.pop();
    out.extend_from_slice(b"},");
}

/// What stands between the nodes and the pods.
pub(super) fn pods(out: &mut Vec<u8>, totals: &Totals) {
    out.extend_from_slice(b"]},");
    key(out, "pods");
    out.push(b'{');
    number(out, "count", totals.pods as u64);
    number(out, "withoutUsage", totals.pods_without as u64);
    values(out, totals.cpu, totals.working_set);
    key(out, "items");
    out.push(b'[');
}

/// One pod.
pub(super) fn pod(out: &mut Vec<u8>, it: &PodRow<'_>, is_first: bool) {
    out.extend_from_slice(if is_first { b"{" } else { b",{" });
    text(out, "namespace", it.namespace);
    text(out, "name", it.name);
    if let Some(node) = it.node {
        text(out, "node", node);
    }
    number(out, "containers", it.containers as u64);
    values(out, it.cpu, it.working_set);
    it.waits.into_iter().for_each(|found| waits(out, found));
    age(out, it.age);
    history(out, it.history);
}

/// The end of the document.
pub(super) fn end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"]}}\n");
}

fn values(out: &mut Vec<u8>, cpu: Nanocores, working_set: Bytes) {
    number(out, "cpuNanocores", cpu.0);
    number(out, "memoryBytes", working_set.0);
}

fn age(out: &mut Vec<u8>, age: Option<Window>) {
    if let Some(age) = age {
        decimal(out, "ageSeconds", age.as_secs_f64());
    }
}

/// Ends an object with its history, the oldest first.
fn history(out: &mut Vec<u8>, history: &[Recent]) {
    key(out, "history");
    out.push(b'{');
    list(out, "cpuNanocores", history.iter().map(|sample| sample.cpu.map(|cpu| cpu.0)));
    list(out, "memoryBytes", history.iter().map(|sample| sample.working_set.map(|bytes| bytes.0)));
    out.pop();
    out.extend_from_slice(b"}}");
}

fn list(out: &mut Vec<u8>, name: &str, values: impl Iterator<Item = Option<u64>>) {
    key(out, name);
    out.push(b'[');
    for (index, value) in values.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        // Writing to a vector cannot fail.
        let _ = match value {
            Some(value) => write!(out, "{value}"),
            None => write!(out, "null"),
        };
    }
    out.extend_from_slice(b"],");
}

fn key(out: &mut Vec<u8>, name: &str) {
    string(out, name);
    out.push(b':');
}

fn text(out: &mut Vec<u8>, name: &str, value: &str) {
    key(out, name);
    string(out, value);
    out.push(b',');
}

fn number(out: &mut Vec<u8>, name: &str, value: u64) {
    key(out, name);
    let _ = write!(out, "{value},");
}

fn decimal(out: &mut Vec<u8>, name: &str, value: f64) {
    key(out, name);
    let _ = write!(out, "{value:.3},");
}

fn instant(out: &mut Vec<u8>, name: &str, at: UnixNanos) {
    text(out, name, time::rfc3339_text(at).as_str());
}
