//! What comes in: expositions of kubelets, lists of the API server, and their way into the table.

use crate::Row;
use crate::crates_protobuf as prost_types;
use crate::measure::Work;
use crate::world::{self, PIECE_LEN, PODS};
use prost::Message;
use std::cell::RefCell;
use std::hint::black_box;
use std::rc::Rc;
use toplet::store::PodRecord;
use toplet::store::batch::Batch;
use toplet::wire::exposition::{Decoder, Sample};
use toplet::wire::kube_objects::Object;
use toplet::wire::kube_stream::ListDecoder;

/// The operations.
pub const ALL: &[Row] = &[
    ("exposition of 70 pods, samples", "toplet", "line", samples),
    ("exposition of 70 pods, into a batch", "toplet", "line", batch),
    ("exposition of 70 pods", "prometheus-parse", "line", prometheus_parse),
    ("exposition of 70 pods", "openmetrics-parser", "line", openmetrics_parser),
    ("commit of 70 pods", "toplet", "container", commit),
    ("protobuf list of 7,000 pods", "toplet", "pod", list),
    ("protobuf list of 7,000 pods", "prost", "pod", list_by_prost),
    ("known pods again, into the inventory", "toplet", "pod", inventory),
];

fn body() -> (String, usize) {
    let body = world::exposition(0, 0);
    let lines = body.lines().count();
    (body, lines)
}

fn samples() -> Work {
    let (body, lines) = body();
    let mut decoder = Decoder::default();
    Work::new(body.len(), lines, move || {
        let mut sum = 0;
        decoder.begin();
        for piece in body.as_bytes().chunks(PIECE_LEN) {
            decoder.feed(piece, |sample: Sample<'_>| sum += sample.value as usize + sample.key.pod.len());
        }
        decoder.finish(|_: Sample<'_>| ());
        sum
    })
}

fn batch() -> Work {
    let (body, lines) = body();
    let mut batch = Batch::new();
    Work::new(body.len(), lines, move || {
        world::decode(&mut batch, &body);
        batch.pods().count()
    })
}

fn prometheus_parse() -> Work {
    let (body, lines) = body();
    Work::new(body.len(), lines, move || {
        let lines = body.lines().map(|line| Ok(line.to_owned()));
        let scrape = prometheus_parse::Scrape::parse(lines).unwrap();
        assert!(scrape.samples.len() > PODS * 8);
        scrape.samples.len()
    })
}

fn openmetrics_parser() -> Work {
    let (body, lines) = body();
    Work::new(body.len(), lines, move || {
        let exposition = openmetrics_parser::prometheus::parse_prometheus(&body).unwrap();
        assert!(exposition.families.len() >= 10);
        exposition.families.len()
    })
}

/// One node's batch into a table of 100, each 15 seconds after the last one.
fn commit() -> Work {
    let name = world::node_name(0);
    let len = world::exposition(0, 2).len();
    let state = Rc::new(RefCell::new((world::store(), Batch::new(), 1)));
    let prepared = state.clone();
    let prepare = move || {
        let (_, batch, turn) = &mut *prepared.borrow_mut();
        *turn += 1;
        world::decode(batch, &world::exposition(0, *turn));
    };
    let run = move || {
        let (store, batch, turn) = &mut *state.borrow_mut();
        let done = store.commit(&name, batch, world::uptime(*turn));
        assert_eq!((done.pods as usize, done.clock_steps, done.refused), (PODS, 0, 0));
        done.containers as usize
    };
    Work { bytes: len, items: 2 * PODS, prepare: Box::new(prepare), run: Box::new(run) }
}

fn list() -> Work {
    let (bytes, count) = prost_types::pod_list();
    Work::new(bytes.len(), count, move || {
        let (mut decoder, mut seen) = (ListDecoder::default(), 0);
        for piece in bytes.chunks(PIECE_LEN) {
            let fed = decoder.feed(piece, |object| {
                if let Object::Pod(pod) = &object.object {
                    seen += black_box(pod).labels.len().min(1);
                }
            });
            fed.unwrap();
        }
        assert_eq!(decoder.finish().unwrap().skipped, 0);
        assert_eq!(seen, count);
        seen
    })
}

fn list_by_prost() -> Work {
    let (bytes, count) = prost_types::pod_list();
    Work::new(bytes.len(), count, move || {
        let envelope = prost_types::Unknown::decode(&bytes[4..]).unwrap();
        let list = prost_types::PodList::decode(&*envelope.raw).unwrap();
        assert_eq!(list.items.len(), count);
        black_box(&list).items.len()
    })
}

fn inventory() -> Work {
    let (mut store, pods) = (world::store(), world::pods());
    let bytes = pods
        .iter()
        .map(|(namespace, name, labels)| {
            let labels: usize = labels.iter().map(|(key, value)| key.len() + value.len()).sum();
            namespace.len() + name.len() + labels
        })
        .sum();
    Work::new(bytes, pods.len(), move || {
        for (namespace, name, labels) in &pods {
            let labels = labels.iter().map(|(key, value)| (&**key, &**value)).collect();
            store.upsert_pod(&PodRecord { namespace, name, labels, ..PodRecord::default() }).unwrap();
        }
        store.occupancy().pods as usize
    })
}
