//! Any bytes from a kubelet, in any pieces: the same samples, the same batch, and a store within its capacity.
#![no_main]

use libfuzzer_sys::fuzz_target;
use toplet::limits::NODE_CONTAINERS_MAX;
use toplet::store::batch::{Batch, BatchError, Dropped};
use toplet::store::row::Point;
use toplet::store::{Capacity, NodeRecord, PodRecord, Store};
use toplet::units::{UnixNanos, Uptime, Window};
use toplet::wire::exposition::{Decoder, Family, Sample};

const CAPACITY: Capacity = Capacity { nodes: 2, pods: 8, containers: 16, text_len: 4096 };
const NOW: UnixNanos = UnixNanos(1_795_514_230_000_000_000);

/// Family, names one after another, value and time of each sample.
type Seen = Vec<(Family, String, u64, Option<i64>)>;

fn samples(bytes: &[u8], piece_len: usize) -> Seen {
    let (mut decoder, mut seen) = (Decoder::default(), Vec::new());
    let mut keep = |sample: Sample<'_>| {
        let names = [sample.key.namespace, sample.key.pod, sample.key.container].join("\n");
        seen.push((sample.family, names, sample.value.to_bits(), sample.at_millis));
    };
    decoder.begin();
    for piece in bytes.chunks(piece_len) {
        decoder.feed(piece, &mut keep);
    }
    decoder.finish(&mut keep);
    seen
}

fn read(bytes: &[u8], piece_len: usize) -> (Batch, Result<Dropped, BatchError>) {
    let mut batch = Batch::new();
    batch.begin(NOW);
    let fed = bytes.chunks(piece_len).try_for_each(|piece| batch.feed(piece));
    let dropped = fed.map(|()| batch.finish());
    (batch, dropped)
}

type Pod<'a> = (&'a str, &'a str, Vec<(&'a str, Point)>);

fn pods(batch: &Batch) -> Vec<Pod<'_>> {
    batch.pods().map(|pod| (pod.namespace, pod.name, pod.containers().collect())).collect()
}

fuzz_target!(|input: &[u8]| {
    let Some((bytes, piece_len)) = toplet_fuzz::cut(input) else { return };
    assert_eq!(samples(bytes, bytes.len().max(1)), samples(bytes, piece_len));
    let (batch, dropped) = read(bytes, bytes.len().max(1));
    let (same, same_dropped) = read(bytes, piece_len);
    assert_eq!(dropped, same_dropped);
    if dropped.is_err() {
        return;
    }
    let measured = pods(&batch);
    assert_eq!((batch.node(), &measured), (same.node(), &pods(&same)));
    assert!(measured.is_sorted_by(|a, b| (a.0, a.1) < (b.0, b.1)));
    let mut count = 0;
    for (_, _, containers) in &measured {
        assert!(!containers.is_empty() && containers.is_sorted_by(|a, b| a.0 <= b.0));
        assert!(containers.iter().all(|(_, point)| point.is_complete()));
        count += containers.len();
    }
    assert!(count <= NODE_CONTAINERS_MAX as usize);

    let mut store = Store::new(CAPACITY, Window::from_secs(60));
    store.upsert_node(&NodeRecord { name: "n", ready: true, ..NodeRecord::default() }).unwrap();
    for (namespace, name, _) in measured.iter().take(4) {
        let _ = store.upsert_pod(&PodRecord { namespace, name, ..PodRecord::default() });
    }
    for _ in 0..2 {
        let done = store.commit("n", &batch, Uptime(150));
        assert!(done.pods as usize <= measured.len() && done.containers as usize <= count);
    }
    let occupancy = store.occupancy();
    assert!(occupancy.pods <= CAPACITY.pods && occupancy.containers <= CAPACITY.containers);
    assert!(occupancy.text_len <= CAPACITY.text_len);
    toplet_fuzz::check(&store, CAPACITY.nodes, CAPACITY.pods, CAPACITY.text_len);
    store.remove_node("n");
    for (namespace, name, _) in &measured {
        store.remove_pod(namespace, name);
    }
    let occupancy = store.occupancy();
    assert_eq!((occupancy.nodes, occupancy.pods, occupancy.containers, occupancy.text_len), (0, 0, 0, 0));
});
