//! How fast lists are encoded: the whole of 7,000 pods with 14,000 containers in each encoding, a list by label, and beside
//! them serde_json and prost on the same values.
//!
//! `cargo bench --bench encode`; with `--one NAME COUNT` one of them COUNT times, for callgrind.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods
)]

use std::time::{Duration, Instant};
use toplet::api::answer::{Answer, Body, Progress};
use toplet::api::{self, Context, Settings, Vitals};
use toplet::counters::Counters;
use toplet::store::batch::Batch;
use toplet::store::{Capacity, NodeRecord, PodRecord, Store};
use toplet::units::{UnixNanos, Uptime, Window};
use toplet::wire::request::{Head, Header, RequestInfo};

const NODES: usize = 100;
const PODS: usize = 70;
const NOW: UnixNanos = UnixNanos(1_795_514_230_000_000_000);

fn exposition(node: usize, turn: u64) -> String {
    let at = NOW.0 / 1_000_000 - 20_000 + i64::try_from(turn).unwrap() * 15_000;
    let mut text = format!("node_cpu_usage_seconds_total {} {at}\n", 1000 + turn * 5);
    text += &format!("node_memory_working_set_bytes {} {at}\n", 2_032_496_640_u64);
    for family in ["cpu_usage_seconds_total", "memory_working_set_bytes"] {
        for pod in 0..PODS {
            for (container, weight) in [("main", 3), ("sidecar", 1)] {
                let seed = (node * PODS + pod) as u64 * 7919 % 1009;
                let value = match family {
                    "cpu_usage_seconds_total" => format!("{}.{:09}", 100 + turn * weight, seed * 977_177),
                    _ => format!("{}", (weight * 40 + seed) * 1_048_576 / 4 * 3),
                };
                let (namespace, name) = place(node, pod);
                text += &format!(
                    "container_{family}{{container=\"{container}\",namespace=\"{namespace}\",pod=\"{name}\"}} {value} {at}\n"
                );
            }
        }
    }
    text
}

fn place(node: usize, pod: usize) -> (String, String) {
    let number = node * PODS + pod;
    (
        format!("ns-{:02}", number % 50),
        format!("web-{:03}-5fddb4c866-{:05x}", number / 50 % 140, number * 7919 % 1_048_576),
    )
}

fn store() -> Store {
    let capacity = Capacity { nodes: 200, pods: 8_000, containers: 16_000, text_len: 4 << 20 };
    let mut store = Store::new(capacity, Window::from_secs(15));
    for node in 0..NODES {
        let name = format!("node-{node:03}");
        let labels = vec![
            ("kubernetes.io/arch", "amd64"),
            ("kubernetes.io/hostname", &*name),
            ("kubernetes.io/os", "linux"),
        ];
        store.upsert_node(&NodeRecord { name: &name, labels, ready: true, ..NodeRecord::default() }).unwrap();
        for pod in 0..PODS {
            let (namespace, pod_name) = place(node, pod);
            let app = pod_name.get(..7).unwrap().to_owned();
            let labels = vec![("app", &*app), ("pod-template-hash", "5fddb4c866")];
            store
                .upsert_pod(&PodRecord {
                    namespace: &namespace,
                    name: &pod_name,
                    labels,
                    ..PodRecord::default()
                })
                .unwrap();
        }
    }
    for turn in 0..2 {
        for node in 0..NODES {
            let mut batch = Batch::new();
            batch.begin(UnixNanos(0));
            batch.feed(exposition(node, turn).as_bytes()).unwrap();
            batch.finish();
            store.commit(&format!("node-{node:03}"), &batch, Uptime(0));
        }
    }
    store
}

/// A request of the bench: its name, target and `Accept`.
const REQUESTS: [(&str, &str, &str); 6] = [
    ("protobuf, all pods", "pods", "application/vnd.kubernetes.protobuf"),
    ("JSON, all pods", "pods", "application/json"),
    ("Table, all pods", "pods", "application/json;as=Table;v=v1;g=meta.k8s.io"),
    (
        "protobuf, one label of a namespace",
        "namespaces/ns-07/pods?labelSelector=app%3Dweb-003",
        "application/vnd.kubernetes.protobuf",
    ),
    ("protobuf, one label of all", "pods?labelSelector=app%3Dweb-003", "application/vnd.kubernetes.protobuf"),
    ("JSON, all nodes", "nodes", "application/json"),
];

struct World {
    store: Store,
    metrics: Counters,
    settings: Settings,
}

impl World {
    /// Encodes one answer into `out`, piece by piece as it is sent; gives its length.
    fn ask(&self, target: &str, accept: &str, out: &mut Vec<u8>) -> usize {
        let path = format!("/apis/metrics.k8s.io/v1beta1/{target}");
        let (path, query) = path.split_once('?').map_or((&*path, None), |(path, query)| (path, Some(query)));
        let headers = [Header { name: "Accept", value: accept.as_bytes() }];
        let head = Head { method: "GET", path, query, headers: &headers };
        let context = Context {
            settings: &self.settings,
            metrics: &self.metrics,
            vitals: Vitals::default(),
            now: NOW,
            store: &self.store,
        };
        let Ok(Answer { status: 200, body: Body::List(mut list), .. }) =
            api::answer(&context, &head, &RequestInfo::new(&head))
        else {
            panic!("no list")
        };
        while !list.prepare(&self.store, &self.metrics) {}
        let mut len = 0;
        loop {
            out.clear();
            let progress = list.next(&self.store, &self.metrics, out);
            len += out.len();
            if progress != Progress::More {
                assert_eq!(progress, Progress::Done);
                return len;
            }
        }
    }
}

fn main() {
    let settings = Settings {
        node_selector: Default::default(),
        server_address: String::new(),
        resolution: Duration::from_secs(15),
        ..Settings::default()
    };
    let world = World { store: store(), metrics: Counters::new(Duration::from_secs(15)), settings };
    let mut out = Vec::with_capacity(64 * 1024);
    let args: Vec<String> = std::env::args().collect();
    if let Some(at) = args.iter().position(|arg| arg == "--one") {
        let (_, target, accept) = REQUESTS.iter().find(|(name, ..)| *name == args[at + 1]).unwrap();
        for _ in 0..args[at + 2].parse().unwrap() {
            world.ask(target, accept, &mut out);
        }
        return;
    }
    for (name, target, accept) in REQUESTS {
        let len = world.ask(target, accept, &mut out);
        let mut times: Vec<Duration> = (0..100)
            .map(|_| {
                let begin = Instant::now();
                world.ask(target, accept, &mut out);
                begin.elapsed()
            })
            .collect();
        times.sort();
        let (best, p50) = (times[0].as_secs_f64(), times[50].as_secs_f64());
        println!(
            "{name:<40} {len:>9} bytes  best {:>8.1} us  p50 {:>8.1} us  {:>7.0} MB/s",
            best * 1e6,
            p50 * 1e6,
            len as f64 / best / 1e6
        );
    }
}
