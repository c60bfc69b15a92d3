//! A cluster of 100 nodes, 7,000 pods and 14,000 containers, and what its kubelets say.

use std::time::Duration;
use toplet::api::Settings;
use toplet::counters::Counters;
use toplet::store::batch::Batch;
use toplet::store::{Capacity, NodeRecord, PodRecord, Store};
use toplet::units::{UnixNanos, Uptime, Window};

/// Nodes of the cluster.
pub const NODES: usize = 100;
/// Pods of each node.
pub const PODS: usize = 70;
/// The time at which everything is asked.
pub const NOW: UnixNanos = UnixNanos(1_795_514_230_000_000_000);
const CONTAINERS: [(&str, u64); 2] = [("main", 3), ("sidecar", 1)];

/// Bytes of kubelets arrive in pieces of this length.
pub const PIECE_LEN: usize = 16 * 1024;

/// Namespace and name of a pod.
pub fn place(node: usize, pod: usize) -> (String, String) {
    let number = node * PODS + pod;
    (
        format!("ns-{:02}", number % 50),
        format!("web-{:03}-5fddb4c866-{:05x}", number / 50 % 140, number * 7_919 % 1_048_576),
    )
}

/// The body of a node's kubelet at a turn, 15 seconds apart: every family that a kubelet of today writes, in its order.
pub fn exposition(node: usize, turn: u64) -> String {
    let at = NOW.0 / 1_000_000 - 20_000 + i64::try_from(turn).unwrap() * 15_000;
    let mut text = String::new();
    let mut places: Vec<_> = (0..PODS).map(|pod| (place(node, pod), pod)).collect();
    places.sort();
    for family in [
        "container_cpu_usage_seconds_total",
        "container_memory_working_set_bytes",
        "container_start_time_seconds",
        "container_swap_usage_bytes",
    ] {
        text += &head(family, "What the container used");
        for (container, weight) in CONTAINERS {
            for ((namespace, name), pod) in &places {
                let seed = (node * PODS + pod) as u64 * 7_919 % 1_009;
                let value = match family {
                    "container_cpu_usage_seconds_total" => {
                        format!("{}.{:09}", 100 + turn * weight, seed * 977_177)
                    }
                    "container_memory_working_set_bytes" => format!("{}", (weight * 40 + seed) * 786_432),
                    "container_start_time_seconds" => format!("1.79551{:04}{:05}e+09", seed, seed * 7),
                    _ => "0".to_owned(),
                };
                text += &format!(
                    "{family}{{container=\"{container}\",namespace=\"{namespace}\",pod=\"{name}\"}} {value} {at}\n"
                );
            }
        }
    }
    for (family, value) in [
        ("node_cpu_usage_seconds_total", format!("{}.25", 1_000 + turn * 5)),
        ("node_memory_working_set_bytes", "2.03249664e+09".to_owned()),
        ("node_swap_usage_bytes", "0".to_owned()),
    ] {
        text += &head(family, "What the node used");
        text += &format!("{family} {value} {at}\n");
    }
    for family in ["pod_cpu_usage_seconds_total", "pod_memory_working_set_bytes", "pod_swap_usage_bytes"] {
        text += &head(family, "What the pod used");
        for ((namespace, name), _) in &places {
            text += &format!("{family}{{namespace=\"{namespace}\",pod=\"{name}\"}} 14.25 {at}\n");
        }
    }
    text += &head(
        "resource_scrape_error",
        "1 if there was an error while getting container metrics, 0 otherwise",
    );
    text + "resource_scrape_error 0\n"
}

/// What stands before a family.
fn head(family: &str, help: &str) -> String {
    format!("# HELP {family} [STABLE] {help}\n# TYPE {family} gauge\n")
}

/// A decoded body.
pub fn decode(batch: &mut Batch, body: &str) {
    batch.begin(UnixNanos(0));
    for piece in body.as_bytes().chunks(PIECE_LEN) {
        batch.feed(piece).unwrap();
    }
    batch.finish();
}

/// Name of a node.
pub fn node_name(node: usize) -> String {
    format!("node-{node:03}")
}

/// The monotonic time of a turn.
pub fn uptime(turn: u64) -> Uptime {
    Uptime::from_duration(Duration::from_secs(1_000 + 15 * turn))
}

/// Namespace, name and labels.
pub type Pod = (String, String, [(String, String); 2]);

/// All pods.
pub fn pods() -> Vec<Pod> {
    let labels = |name: &str| {
        [("app".to_owned(), name[..7].to_owned()), ("pod-template-hash".to_owned(), "5fddb4c866".to_owned())]
    };
    let all = (0..NODES).flat_map(|node| (0..PODS).map(move |pod| place(node, pod)));
    all.map(|(namespace, name)| {
        let labels = labels(&name);
        (namespace, name, labels)
    })
    .collect()
}

/// The table after two scrapes of every node.
pub fn store() -> Store {
    let capacity = Capacity { nodes: 200, pods: 8_000, containers: 16_000, text_len: 4 << 20 };
    let mut store = Store::new(capacity, Window::from_secs(15));
    for node in 0..NODES {
        let name = node_name(node);
        let labels = vec![
            ("kubernetes.io/arch", "amd64"),
            ("kubernetes.io/hostname", &*name),
            ("kubernetes.io/os", "linux"),
        ];
        store.upsert_node(&NodeRecord { name: &name, labels, ready: true, ..NodeRecord::default() }).unwrap();
    }
    for (namespace, name, labels) in &pods() {
        let labels = labels.iter().map(|(key, value)| (&**key, &**value)).collect();
        store.upsert_pod(&PodRecord { namespace, name, labels, ..PodRecord::default() }).unwrap();
    }
    let mut batch = Batch::new();
    for turn in 0..2 {
        for node in 0..NODES {
            decode(&mut batch, &exposition(node, turn));
            let done = store.commit(&node_name(node), &batch, uptime(turn));
            assert_eq!((done.pods as usize, done.refused), (PODS, 0));
        }
    }
    store
}

/// What the API knows of the configuration.
pub fn settings() -> Settings {
    Settings { resolution: Duration::from_secs(15), ..Settings::default() }
}

/// Fresh counters.
pub fn counters() -> Counters {
    Counters::new(Duration::from_secs(15))
}
