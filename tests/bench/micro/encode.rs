//! What goes out: lists of 7,000 pods in each encoding, as they are sent, and the same values by other crates.

use crate::Row;
use crate::measure::Work;
use crate::world::{self, NOW};
use crate::{crates_json as json, crates_protobuf as prost_types};
use prost::Message;
use toplet::api::answer::{Answer, Body, Progress};
use toplet::api::{self, Context, Vitals};
use toplet::counters::Counters;
use toplet::store::Store;
use toplet::wire::protobuf::Fields;
use toplet::wire::request::{Head, Header, RequestInfo};

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const JSON: &str = "application/json";
const YAML: &str = "application/yaml";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
const BY_LABEL: &str = "labelSelector=app%3Dweb-003";

/// The operations.
pub const ALL: &[Row] = &[
    ("protobuf of 7,000 pods", "toplet", "pod", || asked("pods", PROTOBUF)),
    ("protobuf of 7,000 pods", "prost", "pod", prost),
    ("JSON of 7,000 pods", "toplet", "pod", || asked("pods", JSON)),
    ("JSON of 7,000 pods", "serde_json", "pod", serde_json),
    ("Table of 7,000 pods", "toplet", "pod", || asked("pods", TABLE)),
    ("Table of 7,000 pods", "serde_json", "pod", serde_json_table),
    ("YAML of 7,000 pods", "toplet", "pod", || asked("pods", YAML)),
    ("YAML of 7,000 pods", "serde_json, pretty", "pod", serde_json_pretty),
    ("protobuf by label, of 7,000 pods", "toplet", "pod", || {
        of_all(asked(&format!("pods?{BY_LABEL}"), PROTOBUF))
    }),
    ("protobuf by label, of one namespace", "toplet", "answer", || Work {
        items: 1,
        ..asked(&format!("namespaces/ns-07/pods?{BY_LABEL}"), PROTOBUF)
    }),
    ("JSON of 100 nodes", "toplet", "node", || Work { items: world::NODES, ..asked("nodes", JSON) }),
];

fn of_all(work: Work) -> Work {
    Work { items: world::NODES * world::PODS, ..work }
}

struct Served {
    store: Store,
    counters: Counters,
    settings: api::Settings,
}

impl Served {
    fn new() -> Served {
        Served { store: world::store(), counters: world::counters(), settings: world::settings() }
    }

    /// Encodes one answer piece by piece, as it is sent, and hands each piece out.
    fn ask(&self, target: &str, accept: &str, out: &mut Vec<u8>, mut each: impl FnMut(&[u8])) {
        let path = format!("/apis/metrics.k8s.io/v1beta1/{target}");
        let (path, query) = path.split_once('?').map_or((&*path, None), |(path, query)| (path, Some(query)));
        let headers = [Header { name: "Accept", value: accept.as_bytes() }];
        let head = Head { method: "GET", path, query, headers: &headers };
        let context = Context {
            settings: &self.settings,
            metrics: &self.counters,
            vitals: Vitals::default(),
            now: NOW,
            store: &self.store,
        };
        let answered = api::answer(&context, &head, &RequestInfo::new(&head));
        let Ok(Answer { status: 200, body: Body::List(mut list), .. }) = answered else {
            panic!("{target} is no list")
        };
        while !list.prepare(&self.store, &self.counters) {}
        loop {
            out.clear();
            let progress = list.next(&self.store, &self.counters, out);
            each(out);
            match progress {
                Progress::More => {}
                Progress::Done => return,
                Progress::Broken => panic!("{target} broke off"),
            }
        }
    }

    fn whole(&self, target: &str, accept: &str) -> Vec<u8> {
        let mut whole = Vec::new();
        self.ask(target, accept, &mut Vec::new(), |piece| whole.extend_from_slice(piece));
        whole
    }
}

/// A list by toplet.
fn asked(target: &str, accept: &'static str) -> Work {
    let (served, target, mut out) = (Served::new(), target.to_owned(), Vec::with_capacity(64 * 1024));
    let bytes = served.whole(&target, accept).len();
    Work::new(bytes, world::NODES * world::PODS, move || {
        let mut len = 0;
        served.ask(&target, accept, &mut out, |piece| len += piece.len());
        assert_eq!(len, bytes);
        len
    })
}

/// Writes by another crate into memory that is there already, all at once.
fn written(wanted: &[u8], mut write: impl FnMut(&mut Vec<u8>) + 'static) -> Work {
    let mut out = Vec::with_capacity(wanted.len() + 1_024);
    write(&mut out);
    assert!(out == wanted.trim_ascii_end(), "the crate writes something else: {}", out.len());
    of_all(Work::new(out.len(), 0, move || {
        out.clear();
        write(&mut out);
        out.len()
    }))
}

/// All pods as toplet writes them, and the same read by serde.
fn read<T: serde::de::DeserializeOwned>(accept: &str) -> (Vec<u8>, T) {
    let wanted = Served::new().whole("pods", accept);
    let list = serde_json::from_slice(&wanted).unwrap();
    (wanted, list)
}

fn serde_json() -> Work {
    let (wanted, list) = read::<json::PodMetricsList>(JSON);
    written(&wanted, move |out| serde_json::to_writer(out, &list).unwrap())
}

fn serde_json_table() -> Work {
    let (wanted, table) = read::<json::Table>(TABLE);
    written(&wanted, move |out| serde_json::to_writer(out, &table).unwrap())
}

fn serde_json_pretty() -> Work {
    let (wanted, list) = read::<json::PodMetricsList>(YAML);
    written(&wanted, move |out| serde_json::to_writer_pretty(out, &list).unwrap())
}

/// Without the field that fills toplet's answer to the length it announced.
fn prost() -> Work {
    let bytes = Served::new().whole("pods", PROTOBUF);
    let envelope = prost_types::Unknown::decode(&bytes[4..]).unwrap();
    let list = prost_types::PodMetricsList::decode(&*envelope.raw).unwrap();
    let items = Fields::new(&envelope.raw).map(Result::unwrap).filter(|(number, _)| *number == 2);
    for ((_, wanted), item) in items.zip(&list.items) {
        assert!(item.encode_to_vec() == wanted.bytes().unwrap(), "the crate writes something else: {item:?}");
    }
    assert_eq!(list.items.len(), world::NODES * world::PODS);
    let len = list.encoded_len();
    let mut out = Vec::with_capacity(bytes.len());
    of_all(Work::new(len, 0, move || {
        out.clear();
        list.encode(&mut out).unwrap();
        out.len()
    }))
}
