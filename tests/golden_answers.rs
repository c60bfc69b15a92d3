//! Answers of metrics-server, asked again of this program over the same objects, and compared.
//!
//! `tests/golden/answers/requests.tsv` has a request a line: name, method, target, headers. `NAME.http` is the answer
//! that metrics-server v0.9.0 gave to it: status line, headers, body. The objects, their usage and the time are those of
//! that moment. Containers were put in the order of their names, which metrics-server takes from a map. Objects in JSON and
//! protobuf are compared to the byte, YAML by its values, and errors by what clients read: code, reason and details.

use serde_norway::Value;
use std::time::Duration;
use toplet::api::answer::{Answer, Body, Progress};
use toplet::api::{self, Context, Settings, Vitals, encode_status};
use toplet::counters::Counters;
use toplet::store::batch::Batch;
use toplet::store::{Capacity, NodeRecord, PodRecord, Store};
use toplet::units::{UnixNanos, Uptime, Window};
use toplet::wire::request::{Head, Header, RequestInfo};

const CAPACITY: Capacity = Capacity { nodes: 8, pods: 64, containers: 128, text_len: 1 << 16 };
/// 2026-11-24T09:57:00Z.
const MINUTE: i64 = 1_795_514_220;

type Container = (&'static str, u64, u64);

/// Namespace, name, application, window in milliseconds; containers with nanocores and KiB.
const PODS: [(&str, &str, &str, i64, &[Container]); 6] = [
    (
        "default",
        "web-5fddb4c866-lq75t",
        "web",
        15_001,
        &[("main", 120_016_678, 208), ("side", 8_673_903, 208)],
    ),
    (
        "default",
        "web-5fddb4c866-npf6t",
        "web",
        14_995,
        &[("main", 119_740_907, 204), ("side", 8_437_619, 204)],
    ),
    (
        "default",
        "web-5fddb4c866-rkhkm",
        "web",
        14_996,
        &[("main", 115_234_398, 200), ("side", 8_850_048, 200)],
    ),
    (
        "default",
        "web-5fddb4c866-rwstc",
        "web",
        15_002,
        &[("main", 113_166_893, 204), ("side", 9_235_575, 200)],
    ),
    ("default", "with-init", "with-init", 15_001, &[("main", 25_239_974, 204), ("sidecar", 16_962_522, 200)]),
    ("kube-public", "idle", "idle", 15_013, &[("idle", 0, 196)]),
];

const NODE_LABELS: [(&str, &str); 6] = [
    ("beta.kubernetes.io/arch", "amd64"),
    ("beta.kubernetes.io/os", "linux"),
    ("kubernetes.io/arch", "amd64"),
    ("kubernetes.io/hostname", "edge-1"),
    ("kubernetes.io/os", "linux"),
    ("zone", "attic"),
];

/// The samples of two scrapes that give this usage: CPU in seconds, memory in bytes, time in milliseconds.
fn samples(at: i64, window_millis: i64, nanocores: u64, kib: u64) -> [(String, u64, i64); 2] {
    let started_with = 1_000_000_000;
    let seconds = window_millis as f64 / 1e3;
    let near = (nanocores as f64 * seconds) as u64;
    let spent = (near..near + 99).find(|spent| (*spent as f64 / seconds) as u64 == nanocores).unwrap();
    // Half a nanosecond more, so that the double is not just below the whole number that it is cut to.
    let cpu = |nanos: u64| format!("{}.{:09}5", nanos / 1_000_000_000, nanos % 1_000_000_000);
    let at = at * 1_000;
    [(cpu(started_with), kib * 1024, at - window_millis), (cpu(started_with + spent), kib * 1024, at)]
}

fn store() -> Store {
    let mut store = Store::new(CAPACITY, Window::from_secs(15));
    let node =
        NodeRecord { name: "edge-1", labels: NODE_LABELS.to_vec(), ready: true, ..NodeRecord::default() };
    store.upsert_node(&node).unwrap();
    for (namespace, name, app, ..) in PODS {
        let mut labels = vec![("app", app)];
        if app == "web" {
            labels.extend([("pod-template-hash", "5fddb4c866"), ("tier", "front")]);
        }
        store.upsert_pod(&PodRecord { namespace, name, labels, ..PodRecord::default() }).unwrap();
    }
    for turn in 0..2 {
        let mut body = String::new();
        let mut add = |family: &str, labels: &str, (cpu, memory, at): &(String, u64, i64)| {
            body += &format!("{family}_cpu_usage_seconds_total{labels} {cpu} {at}\n");
            body += &format!("{family}_memory_working_set_bytes{labels} {memory} {at}\n");
        };
        add("node", "", &samples(MINUTE, 10_038, 1_563_741_155, 2_032_496)[turn]);
        for (namespace, pod, _, window, containers) in PODS {
            for (container, nanocores, kib) in containers {
                let labels = format!("{{container=\"{container}\",namespace=\"{namespace}\",pod=\"{pod}\"}}");
                add("container", &labels, &samples(MINUTE + 7, window, *nanocores, *kib)[turn]);
            }
        }
        let mut batch = Batch::new();
        batch.begin(UnixNanos(0));
        batch.feed(body.as_bytes()).unwrap();
        batch.finish();
        store.commit("edge-1", &batch, Uptime(0));
    }
    store
}

/// An answer's status, headers and body.
type Shown = (u16, Vec<(String, String)>, Vec<u8>);

fn ask(store: &Store, now: UnixNanos, request: &[&str]) -> Shown {
    let [_, method, target, headers @ ..] = request else { panic!("{request:?}") };
    let (path, query) = target.split_once('?').map_or((*target, None), |(path, query)| (path, Some(query)));
    let headers: Vec<Header<'_>> = headers
        .iter()
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| Header { name, value: value.as_bytes() })
        .collect();
    let head = Head { method, path, query, headers: &headers };
    let metrics = Counters::new(Duration::from_secs(15));
    let settings = Settings {
        node_selector: Default::default(),
        server_address: ":4443".to_owned(),
        resolution: Duration::from_secs(15),
        ..Settings::default()
    };
    let context = Context { settings: &settings, metrics: &metrics, vitals: Vitals::default(), now, store };
    let info = RequestInfo::new(&head);
    let answered =
        api::before_authentication(&head, &info).and_then(|()| api::answer(&context, &head, &info));
    let Answer { status, headers, body } =
        answered.unwrap_or_else(|status| encode_status::answer(&status, &head));
    let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value.into_owned())).collect();
    let mut whole = Vec::new();
    match body {
        Body::Static(bytes) => whole.extend_from_slice(bytes),
        Body::Whole(bytes) => whole = bytes,
        Body::List(mut pieces) => while pieces.next(store, &metrics, &mut whole) == Progress::More {},
    }
    if *method == "HEAD" {
        whole.clear();
    }
    (status, headers, whole)
}

fn recorded(name: &str) -> Shown {
    let bytes = std::fs::read(format!("tests/golden/answers/{name}.http")).unwrap();
    let split = bytes.windows(2).position(|pair| pair == b"\n\n").unwrap();
    let head = std::str::from_utf8(&bytes[..split]).unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let others = ["Audit-Id", "Cache-Control", "Date", "Content-Length", "Transfer-Encoding"];
    let headers = lines
        .map(|line| line.split_once(": ").unwrap())
        .filter(|(name, _)| !others.contains(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    (status, headers, bytes[split + 2..].to_vec())
}

/// The time of an answer: its objects' creation time, or its `Date`. All were given on one day.
fn time_of(name: &str) -> UnixNanos {
    let bytes = std::fs::read(format!("tests/golden/answers/{name}.http")).unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let find = |mark: &str| {
        text.find(mark).map(|at| text[at + mark.len()..].trim_start_matches([' ', '"']).to_owned())
    };
    let clock = match find("creationTimestamp\":").or_else(|| find("creationTimestamp:")) {
        Some(time) => time[11..19].to_owned(),
        None => find("Date: ").unwrap()[17..25].to_owned(),
    };
    let part = |range: std::ops::Range<usize>| clock[range].parse::<i64>().unwrap();
    UnixNanos((MINUTE + (part(0..2) - 9) * 3600 + (part(3..5) - 57) * 60 + part(6..8)) * 1_000_000_000)
}

/// What a client reads of an error: words of messages are our own.
fn read_of_error(body: &[u8]) -> Option<Value> {
    let mut status: Value = serde_norway::from_slice(body).ok()?;
    status.get("kind").filter(|kind| *kind == "Status")?;
    let members = status.as_mapping_mut()?;
    members.remove("message")?;
    if members.get("details").is_some_and(|details| details.as_mapping().is_some_and(|m| m.is_empty())) {
        members.remove("details");
    }
    if let Some(causes) = status.get_mut("details").and_then(|details| details.get_mut("causes")) {
        for cause in causes.as_sequence_mut()? {
            cause.as_mapping_mut()?.remove("message")?;
        }
    }
    Some(status)
}

/// Whether two bodies of one content type say the same to a client.
fn same(content_type: &str, ours: &[u8], theirs: &[u8]) -> bool {
    let yaml = |body: &[u8]| serde_norway::from_slice::<Value>(body).ok();
    match (read_of_error(ours), read_of_error(theirs)) {
        (Some(ours), Some(theirs)) => ours == theirs,
        (None, None) if content_type == "application/yaml" => {
            yaml(ours).is_some() && yaml(ours) == yaml(theirs)
        }
        (None, None) => ours == theirs,
        _ => false,
    }
}

fn content_type(headers: &[(String, String)]) -> String {
    headers
        .iter()
        .find(|(name, _)| name == "Content-Type")
        .map(|(_, value)| value.clone())
        .unwrap_or_default()
}

/// Requests that are answered otherwise on purpose: name and status.
const DEVIATIONS: [(&str, u16); 6] = [
    ("table-v1beta1", 406),
    ("partial-list", 406),
    ("partial-one", 406),
    ("accept-subtype-any", 200),
    ("pretty-accept", 200),
    ("error-deadline", 504),
];

#[test]
fn every_recorded_request_gets_metrics_servers_answer() {
    let requests = std::fs::read_to_string("tests/golden/answers/requests.tsv").unwrap();
    let store = store();
    let mut wrong = Vec::new();
    for line in requests.lines() {
        let request: Vec<&str> = line.split('\t').collect();
        let (status, headers, body) = ask(&store, time_of(request[0]), &request);
        if let Some((_, wanted)) = DEVIATIONS.iter().find(|(name, _)| *name == request[0]) {
            assert_eq!(status, *wanted, "{line}");
            continue;
        }
        let (wanted_status, wanted_headers, wanted_body) = recorded(request[0]);
        let (kind, wanted_kind) = (content_type(&headers), content_type(&wanted_headers));
        if (status, &kind) != (wanted_status, &wanted_kind) {
            wrong.push(format!("{line}\n  {status} {kind}\n  {wanted_status} {wanted_kind}"));
        } else if !same(&kind, &body, &wanted_body) {
            wrong.push(format!(
                "{line}\n---- ours\n{}\n---- metrics-server's\n{}",
                String::from_utf8_lossy(&body),
                String::from_utf8_lossy(&wanted_body)
            ));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(requests.lines().count() > 80);
}

#[test]
fn v1_has_the_same_objects_under_its_own_name() {
    let requests = std::fs::read_to_string("tests/golden/answers/requests.tsv").unwrap();
    let store = store();
    for line in requests.lines().filter(|line| !line.contains("protobuf")) {
        let newer = line.replace("/v1beta1/", "/v1/");
        let now = UnixNanos(MINUTE * 1_000_000_000);
        let old = ask(&store, now, &line.split('\t').collect::<Vec<_>>());
        let new = ask(&store, now, &newer.split('\t').collect::<Vec<_>>());
        let text = String::from_utf8_lossy(&old.2).replace("metrics.k8s.io/v1beta1", "metrics.k8s.io/v1");
        assert_eq!(
            (new.0, new.1, String::from_utf8_lossy(&new.2).into_owned()),
            (old.0, old.1, text),
            "{line}"
        );
    }
}
