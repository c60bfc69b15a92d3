//! What this machine knows of itself, put into the store's inventory: its node, and the pods that run here.
//!
//! Without a cluster that is the inventory; with one it is assumed while the API server was never listed. Pods have names
//! and no labels.

use super::HostSource;
use super::files::{self, Files};
use crate::lock::lock;
use crate::log_once::LogOnce;
use crate::store::{Inventory, NodeRecord, PodRecord, Refused, Store};
use crate::units::{Bytes, Nanocores};
use crate::wire::allocatable::Allocatable;
use std::path::Path;
use std::sync::Mutex;

impl HostSource {
    /// Brings the store's inventory up to date: this node once, then the pods whenever their containers change.
    ///
    /// Call it before every reading: without a change it costs one directory listing.
    pub fn refresh_inventory(&mut self, store: &Mutex<Store>) {
        let changed = self.refresh();
        if !std::mem::replace(&mut self.node_announced, true) {
            let allocatable = self.allocatable();
            let mut store = lock(store);
            store.begin_list(Inventory::Nodes);
            let refused = store.upsert_node(&record(&self.name, allocatable)).err();
            store.end_list(Inventory::Nodes);
            log_refusal(&self.log, "this node", 1, refused);
        }
        if changed {
            let mut store = lock(store);
            store.begin_list(Inventory::Pods);
            let refused = self.pods().map(|(namespace, name)| {
                store.upsert_pod(&PodRecord { namespace, name, ..PodRecord::default() }).err()
            });
            let (count, first) = count(refused);
            store.end_list(Inventory::Pods);
            log_refusal(&self.log, "pods of this node", count, first);
        }
    }

    /// Puts this node and the pods that run here into an inventory that the API server has not filled yet. Its first list
    /// replaces them.
    pub fn assume_inventory(&mut self, store: &Mutex<Store>) {
        self.refresh();
        let pods: Vec<(String, String)> =
            self.pods().map(|(namespace, name)| (namespace.to_owned(), name.to_owned())).collect();
        let allocatable = self.allocatable();
        let mut store = lock(store);
        let ready = store.readiness();
        if !ready.nodes_synced {
            let refused = store.upsert_node(&record(&self.name, allocatable)).err();
            log_refusal(&self.log, "this node", 1, refused);
        }
        if !ready.pods_synced {
            for (namespace, name) in &self.assumed_pods {
                if pods.binary_search_by(|pod| (&pod.0, &pod.1).cmp(&(namespace, name))).is_err() {
                    store.remove_pod(namespace, name);
                }
            }
            let (count, first) = count(pods.iter().map(|(namespace, name)| {
                store.upsert_pod(&PodRecord { namespace, name, ..PodRecord::default() }).err()
            }));
            log_refusal(&self.log, "pods of this node", count, first);
        }
        self.assumed_pods = pods;
    }

    /// What the machine has: its processors, memory and swap.
    fn allocatable(&mut self) -> Allocatable {
        allocatable(&self.roots.proc, &mut self.files)
    }

    /// The pods that run here, in order, once each.
    fn pods(&self) -> impl Iterator<Item = (&str, &str)> {
        let running = self.containers.running();
        let pods =
            running.chunk_by(|a, b| (&a.link.namespace, &a.link.pod) == (&b.link.namespace, &b.link.pod));
        pods.filter_map(|containers| containers.first())
            .map(|container| (container.link.namespace.as_str(), container.link.pod.as_str()))
    }
}

fn allocatable(proc: &Path, files: &mut Files) -> Allocatable {
    let processors = files.text(&proc.join("stat")).ok().and_then(|text| {
        // With very many of them the file is cut before it comes to interrupts.
        let (processors, _) = text.split_once("\nintr ")?;
        let lines = processors.lines().filter_map(|line| line.strip_prefix("cpu"));
        Some(lines.filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit())).count() as u64)
    });
    // Zero is what a node has whose status does not say.
    let memory = files.text(&proc.join("meminfo")).unwrap_or_default();
    let bytes = |key| files::keyed(memory, key)?.checked_mul(1024).map(Bytes);
    Allocatable {
        cpu: Nanocores(processors.unwrap_or_default().saturating_mul(1_000_000_000)),
        memory: bytes("MemTotal:").unwrap_or_default(),
        swap: bytes("SwapTotal:"),
    }
}

/// How many were refused, and why the first was.
fn count(refused: impl Iterator<Item = Option<Refused>>) -> (usize, Option<Refused>) {
    refused.flatten().fold((0, None), |(count, first), refused| (count + 1, first.or(Some(refused))))
}

fn log_refusal(log: &LogOnce, what: &str, count: usize, refused: Option<Refused>) {
    match refused {
        None => _ = log.recovered(what, format_args!("{what}: all served again")),
        Some(full) => {
            let message = format_args!("{what}: {count} not served: {full}");
            log.problem(log::Level::Warn, what, full, message);
        }
    }
}

/// A node as far as this machine knows it.
fn record(name: &str, allocatable: Allocatable) -> NodeRecord<'_> {
    NodeRecord {
        name,
        labels: vec![
            ("kubernetes.io/arch", architecture()),
            ("kubernetes.io/hostname", name),
            ("kubernetes.io/os", "linux"),
        ],
        addresses: vec![("Hostname", name)],
        ready: true,
        allocatable,
        ..NodeRecord::default()
    }
}

/// The machine's architecture as Kubernetes labels it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}
