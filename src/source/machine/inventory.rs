//! What this machine knows of itself, put into the store's inventory: its node, and the pods that run here.
//!
//! Without a cluster that is the inventory; with one it is assumed while the API server was never listed. Pods have names
//! and no labels.

use super::HostSource;
use crate::lock::lock;
use crate::log_once::LogOnce;
use crate::store::{Inventory, NodeRecord, PodRecord, Refused, Store};
use std::sync::Mutex;

impl HostSource {
    /// Brings the store's inventory up to date: this node once, then the pods whenever their containers change.
    ///
    /// Call it before every reading: without a change it costs one directory listing.
    pub fn refresh_inventory(&mut self, store: &Mutex<Store>) {
        let changed = self.refresh();
        if !std::mem::replace(&mut self.node_announced, true) {
            let mut store = lock(store);
            store.begin_list(Inventory::Nodes);
            let refused = store.upsert_node(&record(&self.name)).err();
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
        let mut store = lock(store);
        let ready = store.readiness();
        if !ready.nodes_synced {
            let refused = store.upsert_node(&record(&self.name)).err();
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

    /// The pods that run here, in order, once each.
    fn pods(&self) -> impl Iterator<Item = (&str, &str)> {
        let running = self.containers.running();
        let pods =
            running.chunk_by(|a, b| (&a.link.namespace, &a.link.pod) == (&b.link.namespace, &b.link.pod));
        pods.filter_map(|containers| containers.first())
            .map(|container| (container.link.namespace.as_str(), container.link.pod.as_str()))
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
fn record(name: &str) -> NodeRecord<'_> {
    NodeRecord {
        name,
        labels: vec![
            ("kubernetes.io/arch", architecture()),
            ("kubernetes.io/hostname", name),
            ("kubernetes.io/os", "linux"),
        ],
        addresses: vec![("Hostname", name)],
        ready: true,
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
