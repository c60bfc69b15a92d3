//! Any request to the API over a small store: an answer that is what it says it is, and whose body ends.
//! Input: lines as in `toplet_fuzz::head`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use std::time::Duration;
use toplet::api::answer::{Answer, Body};
use toplet::wire::request::{Head, Header, RequestInfo};
use toplet::counters::Counters;
use toplet::api::{self, Context, Settings, Vitals, encode_status};
use toplet::serve::http1;
use toplet::serve::response::{self, Frame, Meta};
use toplet::store::batch::Batch;
use toplet::store::{Capacity, Inventory, NodeRecord, PodRecord, Store};
use toplet::units::{UnixNanos, Uptime, Window};
use toplet::wire::protobuf::{Fields, MAGIC};
use toplet::wire::selector::LabelSelector;

const NOW: UnixNanos = UnixNanos(1_795_514_230_000_000_000);
/// Values that JSON must escape and YAML must quote.
const LABELS: [(&str, &str); 12] = [
    ("a", "yes"),
    ("b", "0x1f"),
    ("c", "null"),
    ("d", "a: b #c"),
    ("e", "- x\n"),
    ("f", "\"'\\\u{7f}\u{1}"),
    ("g", "\u{2028}<&>"),
    ("h", "1e3"),
    ("i", "2001-01-01"),
    ("j", " x "),
    ("k", "~"),
    ("zone", "attic"),
];

struct World {
    settings: Settings,
    metrics: Counters,
    store: Store,
}

/// CPU and memory lines of a node or a container.
fn samples(family: &str, labels: &str, turn: u64, seed: u64) -> String {
    let at = (NOW.0 - 25_000_000_000) / 1_000_000 + i64::try_from(turn).unwrap() * 15_000;
    let (cpu, memory) = (0.001 * ((turn + 1) * seed) as f64, seed * 4096);
    format!("{family}_cpu_usage_seconds_total{labels} {cpu} {at}\n{family}_memory_working_set_bytes{labels} {memory} {at}\n")
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let capacity = Capacity { nodes: 8, pods: 128, containers: 256, text_len: 1 << 16 };
    let mut store = Store::new(capacity, Window::from_secs(60));
    store.begin_list(Inventory::Nodes);
    for name in ["edge-1", "edge-2", "quiet"] {
        let labels = LABELS.to_vec();
        store.upsert_node(&NodeRecord { name, labels, ready: true, ..NodeRecord::default() }).unwrap();
    }
    store.end_list(Inventory::Nodes);
    store.begin_list(Inventory::Pods);
    let names: Vec<String> = (0..70).map(|at| format!("pod-{at:02}")).collect();
    for (at, name) in names.iter().enumerate() {
        let namespace = if at % 3 == 0 { "default" } else { "kube-public" };
        store.upsert_pod(&PodRecord { namespace, name, labels: LABELS[at % 12..].to_vec(), ..PodRecord::default() }).unwrap();
    }
    store.end_list(Inventory::Pods);
    for turn in 0..2 {
        for (node_at, node) in ["edge-1", "edge-2"].into_iter().enumerate() {
            let mut batch = Batch::new();
            batch.begin(UnixNanos(0));
            let mut body = samples("node", "", turn, 1_000_000);
            for (at, pod) in names.iter().enumerate().filter(|(at, _)| at % 2 == node_at && *at != 5) {
                let namespace = if at % 3 == 0 { "default" } else { "kube-public" };
                for container in ["main", "side"] {
                    let labels = format!("{{container=\"{container}\",namespace=\"{namespace}\",pod=\"{pod}\"}}");
                    body += &samples("container", &labels, turn, 1 + at as u64 * 101);
                }
            }
            batch.feed(body.as_bytes()).unwrap();
            batch.finish();
            store.commit(node, &batch, Uptime(0));
        }
    }
    let settings = Settings {
        node_selector: LabelSelector::default(),
        server_address: "10.0.0.1:4443".to_owned(),
        resolution: Duration::from_secs(15),
        ..Settings::default()
    };
    World { settings, metrics: Counters::new(Duration::from_secs(15)), store }
});

fn ask(head: &Head<'_>) -> Answer {
    let info = RequestInfo::new(head);
    let World { settings, metrics, store } = &*WORLD;
    let context = Context { settings, metrics, vitals: Vitals::default(), now: NOW, store };
    let answered = api::before_authentication(head, &info).and_then(|()| api::answer(&context, head, &info));
    answered.unwrap_or_else(|status| encode_status::answer(&status, head))
}

fn whole(answer: Answer) -> Vec<u8> {
    toplet_fuzz::whole(answer, &WORLD.store, &WORLD.metrics)
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    let mut found = answer.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
    let value = found.next().map_or("", |(_, value)| value);
    assert!(found.next().is_none(), "two of {name}");
    value
}

/// The response's head: lines of the form `name: value`, an empty one at its end and nowhere else.
fn check_head(head: &Head<'_>, answer: &Answer) {
    let mut out = Vec::new();
    response::head(answer, &Meta::new(head, true, true), Frame::Chunked, NOW, &mut out);
    let out = out.strip_suffix(b"\r\n\r\n").unwrap();
    for (at, line) in out.split(|b| *b == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        assert!(!line.contains(&b'\r') && !line.contains(&0), "{}", out.escape_ascii());
        match at {
            0 => assert!(
                line.starts_with(b"HTTP/1.1 ") && !line.ends_with(b"status code"),
                "{}",
                answer.status
            ),
            _ => assert!(line.split(|b| *b == b':').next().unwrap().iter().all(u8::is_ascii_graphic)),
        }
    }
}

/// The body as JSON, if it is JSON or YAML; protobuf and text are looked through.
fn document(content_type: &str, body: &[u8]) -> Option<serde_json::Value> {
    match content_type.split(';').next().unwrap() {
        "application/json" => Some(serde_json::from_slice(body).unwrap()),
        "application/yaml" => Some(serde_norway::from_slice(body).unwrap_or_else(|error| {
            panic!("{error}:\n{}", String::from_utf8_lossy(body));
        })),
        "application/vnd.kubernetes.protobuf" => {
            assert!(Fields::new(body.strip_prefix(&MAGIC).unwrap()).all(|field| field.is_ok()));
            None
        }
        _ => {
            assert!(content_type.contains("protobuf") || std::str::from_utf8(body).is_ok(), "{content_type}");
            None
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let bytes = toplet_fuzz::head(input);
    let Ok(request) = http1::parse(&bytes) else { return };
    let head = request.head();
    let answer = ask(&head);
    check_head(&head, &answer);
    let (status, content_type) = (answer.status, header(&answer, "Content-Type").to_owned());
    let is_list = matches!(answer.body, Body::List(_));
    let body = whole(answer);
    if status == 304 {
        return;
    }
    let value = document(&content_type, &body);
    if let Some(value) = value.as_ref().filter(|value| value["kind"] == "Status") {
        assert_eq!(value["code"], status);
    }
    let info = RequestInfo::new(&head);
    if info.path == "/metrics" || !info.path.starts_with("/apis") {
        return;
    }
    // The same again.
    let again = ask(&head);
    assert!(whole(again) == body, "two answers to one request");
    // YAML says what JSON says.
    if content_type == "application/yaml" {
        let mut headers = request.headers.clone();
        for header in headers.iter_mut().filter(|h| h.name.eq_ignore_ascii_case("accept")) {
            *header = Header { name: "Accept", value: b"application/json" };
        }
        let answer = ask(&Head { headers: &headers, ..head });
        if answer.status == status && header(&answer, "Content-Type") == "application/json" && is_list {
            assert_eq!(serde_json::from_slice::<serde_json::Value>(&whole(answer)).ok(), value);
        }
    }
});
