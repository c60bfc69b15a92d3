//! What several fuzz targets share: cutting inputs, a small store, requests from lines of text.

use toplet::api::answer::{Answer, Body, Progress};
use toplet::counters::Counters;
use toplet::limits::CHUNK_LEN_MAX;
use toplet::store::{NodeRecord, PodRecord, Store};
use toplet::wire::kube_objects::Object;

/// Splits an input into the bytes and, from its last byte, the length of the pieces they come in. Last, so that a golden
/// file is a good seed as it is.
pub fn cut(input: &[u8]) -> Option<(&[u8], usize)> {
    let (last, bytes) = input.split_last()?;
    Some((bytes, usize::from(*last) + 1))
}

/// The head of a request from lines of text: `METHOD TARGET`, then `Name: value`; what every head has is added.
pub fn head(lines: &[u8]) -> Vec<u8> {
    let mut lines = lines.split(|b| *b == b'\n');
    let mut head = lines.next().unwrap_or_default().to_vec();
    head.extend_from_slice(b" HTTP/1.1\r\nHost: a");
    for line in lines.filter(|line| !line.is_empty()) {
        head.extend_from_slice(b"\r\n");
        head.extend_from_slice(line);
    }
    head.extend_from_slice(b"\r\n\r\n");
    head
}

/// Reads a body to its end, which must come; pieces keep their length, one object beyond it excepted.
pub fn whole(answer: Answer, store: &Store, metrics: &Counters) -> Vec<u8> {
    let mut out = Vec::new();
    let mut pieces = match answer.body {
        Body::Static(bytes) => return bytes.to_vec(),
        Body::Whole(bytes) => return bytes,
        Body::List(pieces) => pieces,
    };
    assert!((0..1_000).any(|_| pieces.prepare(store, metrics)), "a list that is never ready");
    let announced = pieces.len();
    for _ in 0..10_000 {
        let before = out.len();
        let progress = pieces.next(store, metrics, &mut out);
        assert!(out.len() - before <= 2 * CHUNK_LEN_MAX, "a piece of {} bytes", out.len() - before);
        assert_ne!(progress, Progress::Broken, "nothing changed");
        if progress == Progress::Done {
            assert!(announced.is_none_or(|len| len == out.len()), "{announced:?}, not {}", out.len());
            return out;
        }
    }
    panic!("a body without an end");
}

/// Takes an object of a list or an event into the inventory; refusals are the store's right.
pub fn keep(store: &mut Store, object: &Object<'_>) {
    let _ = match object {
        Object::Node(node) => store.upsert_node(node),
        Object::Pod(pod) => store.upsert_pod(pod),
    };
}

/// Takes an object out of the inventory.
pub fn release(store: &mut Store, object: &Object<'_>) {
    match object {
        Object::Node(NodeRecord { name, .. }) => store.remove_node(name),
        Object::Pod(PodRecord { namespace, name, .. }) => store.remove_pod(namespace, name),
    }
}

/// What holds of every inventory: within capacity, and in strict order.
pub fn check(store: &Store, nodes_max: u32, pods_max: u32, text_len_max: u32) {
    let occupancy = store.occupancy();
    assert!(occupancy.nodes <= nodes_max && occupancy.pods <= pods_max && occupancy.text_len <= text_len_max);
    let nodes: Vec<_> = store.nodes_after(None).map(|node| node.name).collect();
    assert!(nodes.is_sorted_by(|a, b| a < b), "{nodes:?}");
    let pods: Vec<_> = store.pods_after(None, None).map(|pod| (pod.namespace(), pod.name())).collect();
    assert!(pods.is_sorted_by(|a, b| a < b), "{pods:?}");
    assert!(nodes.iter().all(|name| store.node(name).is_some()));
    assert!(pods.iter().all(|(namespace, name)| store.pod(namespace, name).is_some()));
    for node in store.nodes_after(None) {
        let keys: Vec<_> = node.labels.iter().map(|(key, _)| key).collect();
        assert!(keys.is_sorted_by(|a, b| a < b), "{keys:?}");
        assert!(node.labels.iter().all(|(key, value)| node.labels.value(key) == Some(value)));
    }
}

/// The path of a file in memory, for readers that want a path.
pub fn memory_file(name: &str) -> std::path::PathBuf {
    let shared = std::path::Path::new("/dev/shm");
    let folder = if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() };
    folder.join(format!("toplet-fuzz-{name}-{}", std::process::id()))
}
