//! The API over a real store: the cases of metrics-server's own tests, and what they leave out.

use super::answer::{Answer, Body, Progress};
use super::*;
use crate::counters::Counters;
use crate::store::batch::Batch;
use crate::store::row::Point;
use crate::store::{Capacity, NodeRecord, PodRecord, Store};
use crate::units::{Bytes, CoreNanos, UnixNanos, Uptime, Window};
use crate::wire::exposition::Key;
use crate::wire::request::{Head, Header, RequestInfo};
use crate::wire::selector::LabelSelector;
use std::time::Duration;

pub(super) const NOW: UnixNanos = UnixNanos(1_795_514_230_000_000_000);
const MIB: u64 = 1 << 20;
const CAPACITY: Capacity = Capacity { nodes: 8, pods: 2048, containers: 4096, text_len: 1 << 20 };

/// A point 10 s before now, or `window_nanos` before that; the rate between the two is `nanocores`.
fn point(turn: u64, window_nanos: u64, nanocores: u64, mebibytes: u64) -> Point {
    let mut point = Point::NONE;
    point.taken_at = UnixNanos(NOW.0 - 10_000_000_000 - i64::try_from((1 - turn) * window_nanos).unwrap());
    // A fraction more than needed, since the rate is cut off.
    let spent = (nanocores * window_nanos).div_ceil(1_000_000_000);
    (point.cpu, point.working_set) = (CoreNanos(1_000_000_000 + turn * spent), Bytes(mebibytes * MIB));
    point
}

/// One container's load: pod, container, window, nanocores, MiB.
pub(super) type Container<'a> = (&'a str, &'a str, &'a str, u64, u64, u64);

type Pairs<'a> = &'a [(&'a str, &'a str)];

/// Commits two batches of one node.
pub(super) fn commit(
    store: &mut Store,
    node: &str,
    node_load: Option<(u64, u64, u64)>,
    pods: &[Container<'_>],
) {
    for turn in 0..2 {
        let mut batch = Batch::new();
        batch.begin(UnixNanos(0));
        if let Some((window, nanocores, mebibytes)) = node_load {
            batch.set_node(point(turn, window, nanocores, mebibytes));
        }
        for (namespace, pod, container, window, nanocores, mebibytes) in pods {
            let key = Key { namespace, pod, container };
            batch.set_container(key, point(turn, *window, *nanocores, *mebibytes)).unwrap();
        }
        batch.finish();
        store.commit(node, &batch, Uptime(0));
    }
}

/// The objects of metrics-server's tests; quantities are larger, since a rate over a microsecond has few digits.
fn fixture() -> Store {
    const SECOND: u64 = 1_000_000_000;
    let mut store = Store::new(CAPACITY, Window::from_secs(60));
    let nodes: [(&str, Pairs<'_>); 5] = [
        ("node1", &[("labelKey", "labelValue")]),
        ("node2", &[("otherKey", "labelValue")]),
        ("node3", &[("labelKey", "otherValue")]),
        ("node4", &[("skipKey", "skipValue")]),
        ("node5", &[]),
    ];
    for (name, labels) in nodes {
        let record = NodeRecord { name, labels: labels.to_vec(), ready: true, ..NodeRecord::default() };
        store.upsert_node(&record).unwrap();
    }
    let pods: [(&str, &str, Pairs<'_>); 4] = [
        ("other", "pod1", &[("labelKey", "labelValue")]),
        ("other", "pod2", &[("otherKey", "labelValue")]),
        ("other", "pod4", &[]),
        ("testValue", "pod3", &[("labelKey", "otherValue")]),
    ];
    for (namespace, name, labels) in pods {
        store
            .upsert_pod(&PodRecord { namespace, name, labels: labels.to_vec(), ..PodRecord::default() })
            .unwrap();
    }
    let on_node1 = [
        ("other", "pod1", "metric1", SECOND, 4_000_000, 2),
        ("other", "pod1", "metric1-b", SECOND, 6_000_000, 3),
        ("other", "pod2", "metric2", 2 * SECOND, 20_000_000, 15),
        ("other", "gone", "metric", 2 * SECOND, 20_000_000, 15),
    ];
    commit(&mut store, "node1", Some((SECOND, 10_000_000, 7)), &on_node1);
    let on_node2 = [("testValue", "pod3", "metric3", 3 * SECOND, 20_000_000, 25)];
    commit(&mut store, "node2", Some((2 * SECOND, 1, 5)), &on_node2);
    commit(&mut store, "node3", Some((3 * SECOND, 1_000_000_000, 9)), &[]);
    store
}

pub(super) fn metrics() -> Counters {
    Counters::new(Duration::from_secs(60))
}

/// Asks with metrics of one's own; `select` is the program's node selector.
fn ask_with(store: &Store, metrics: &Counters, select: &str, target: &str, accept: &str) -> (u16, String) {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let headers = [Header { name: "Accept", value: accept.as_bytes() }];
    let head = Head { method: "GET", path, query, headers: &headers };
    let settings = Settings {
        node_selector: LabelSelector::parse(select).unwrap(),
        server_address: String::new(),
        resolution: Duration::from_secs(60),
        ..Settings::default()
    };
    let context = Context { settings: &settings, metrics, vitals: Vitals::default(), now: NOW, store };
    let answer = rendered(answer(&context, &head, &RequestInfo::new(&head)), &head);
    (answer.status, String::from_utf8_lossy(&whole(answer.body, store, metrics)).into_owned())
}

fn rendered(answered: Result<Answer, status::Status>, head: &Head<'_>) -> Answer {
    answered.unwrap_or_else(|status| encode_status::answer(&status, head))
}

pub(super) fn whole(body: Body, store: &Store, metrics: &Counters) -> Vec<u8> {
    let mut out = Vec::new();
    match body {
        Body::Static(bytes) => out.extend_from_slice(bytes),
        Body::Whole(bytes) => out = bytes,
        Body::List(mut pieces) => while pieces.next(store, metrics, &mut out) == Progress::More {},
    }
    out
}

fn ask(target: &str) -> (u16, String) {
    let target = format!("/apis/metrics.k8s.io/v1beta1/{target}");
    ask_with(&fixture(), &metrics(), "skipKey!=skipValue", &target, "")
}

/// Every `"name"` within a metadata, in order.
fn names(body: &str) -> Vec<String> {
    let parts = body.split("\"metadata\":{\"name\":\"").skip(1);
    parts.map(|part| part.split('"').next().unwrap().to_owned()).collect()
}

fn listed(target: &str) -> Vec<String> {
    let (status, body) = ask(target);
    assert_eq!(status, 200, "{body}");
    names(&body)
}

#[test]
fn f1_nodes_are_listed_by_name() {
    assert_eq!(listed("nodes"), ["node1", "node2", "node3"]);
    assert!(ask("nodes").1.contains(r#""labels":{"labelKey":"labelValue"}},"timestamp":"2026-11-24T09:57:00Z","window":"1s","usage":{"cpu":"10m","memory":"7Mi"}}"#));
}

#[test]
fn f2_to_f5_nodes_are_selected_by_name_and_label() {
    assert_eq!(listed("nodes?fieldSelector=metadata.name%3Dnode4"), [""; 0]);
    assert_eq!(listed("nodes?fieldSelector=metadata.name%3Dnode2"), ["node2"]);
    assert_eq!(listed("nodes?labelSelector=labelKey%3DlabelValue"), ["node1"]);
    let both = "nodes?fieldSelector=metadata.name%3Dnode3&labelSelector=labelKey%3DotherValue";
    assert_eq!(listed(both), ["node3"]);
    assert_eq!(listed("nodes?fieldSelector=metadata.namespace%3Dx"), [""; 0]);
}

#[test]
fn f7_a_node_is_got_with_its_labels() {
    let (status, body) = ask("nodes/node1");
    assert_eq!(status, 200);
    assert!(body.starts_with(r#"{"kind":"NodeMetrics","apiVersion":"metrics.k8s.io/v1beta1","metadata":{"name":"node1","creationTimestamp":"2026-11-24T09:57:10Z","labels":{"labelKey":"labelValue"}}"#), "{body}");
}

#[test]
fn f8_f10_a_node_without_metrics_is_not_found_in_the_group() {
    for node in ["node4", "node5"] {
        let (status, body) = ask(&format!("nodes/{node}"));
        assert_eq!(status, 404);
        assert!(
            body.contains(&format!(r#""message":"nodemetrics.metrics.k8s.io \"{node}\" not found""#)),
            "{body}"
        );
        assert!(body.contains(&format!(
            r#""details":{{"name":"{node}","group":"metrics.k8s.io","kind":"nodemetrics"}}"#
        )));
    }
    assert!(ask("nodes/a%3Cb").1.contains(r#""message":"node \"a\u003cb\" not found""#));
}

#[test]
fn f11_f23_every_object_served_counts_its_age() {
    let store = fixture();
    for (target, count) in [("nodes", 3), ("pods", 3), ("nodes/node1", 1)] {
        for accept in ["", "application/yaml", "application/vnd.kubernetes.protobuf"] {
            let metrics = metrics();
            let target = format!("/apis/metrics.k8s.io/v1beta1/{target}");
            ask_with(&store, &metrics, "", &target, accept);
            let page = ask_with(&store, &metrics, "", "/metrics", "").1;
            let lines = [
                "metrics_server_api_metric_freshness_seconds_bucket{le=\"8.784167171490942\"} 0\n".to_owned(),
                format!(
                    "metrics_server_api_metric_freshness_seconds_bucket{{le=\"11.981604021913647\"}} {count}\n"
                ),
                format!("metrics_server_api_metric_freshness_seconds_count {count}\n"),
                format!("metrics_server_api_metric_freshness_seconds_sum {}\n", 10 * count),
            ];
            lines.iter().for_each(|line| assert!(page.contains(line), "{target} {accept}: {line}{page}"));
        }
    }
}

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

fn cells(target: &str) -> Vec<String> {
    let target = format!("/apis/metrics.k8s.io/v1beta1/{target}");
    let (status, body) = ask_with(&fixture(), &metrics(), "", &target, TABLE);
    assert_eq!(status, 200);
    let rows = body.split("\"cells\":[").skip(1).map(|row| row.split(']').next().unwrap().replace('"', ""));
    let columns = body.split("\"columnDefinitions\":").nth(1).unwrap().split(']').next().unwrap();
    let columns = columns.split("{\"name\":\"").skip(1).map(|column| column.split('"').next().unwrap());
    std::iter::once(columns.collect::<Vec<_>>().join(",")).chain(rows).collect()
}

#[test]
fn f12_nodes_are_a_table() {
    let wanted = ["Name,cpu,memory,Window", "node1,10m,7Mi,1s", "node2,1n,5Mi,2s", "node3,1,9Mi,3s"];
    assert_eq!(cells("nodes"), wanted);
    assert_eq!(cells("nodes/node3"), ["Name,cpu,memory,Window", "node3,1,9Mi,3s"]);
}

#[test]
fn f13_pods_are_listed_by_namespace_then_name() {
    assert_eq!(listed("pods"), ["pod1", "pod2", "pod3"]);
    assert_eq!(listed("namespaces/other/pods"), ["pod1", "pod2"]);
    assert_eq!(listed("namespaces//pods"), ["pod1", "pod2", "pod3"]);
    assert_eq!(listed("namespaces/nope/pods"), [""; 0]);
}

#[test]
fn f14_to_f17_pods_are_selected_by_field_and_label() {
    assert_eq!(listed("pods?fieldSelector=metadata.namespace%3Dunknown"), [""; 0]);
    assert_eq!(listed("pods?fieldSelector=metadata.namespace%3DtestValue"), ["pod3"]);
    assert_eq!(listed("pods?labelSelector=labelKey%3DlabelValue"), ["pod1"]);
    let both = "pods?fieldSelector=metadata.name%3Dpod3&labelSelector=labelKey%3DotherValue";
    assert_eq!(listed(both), ["pod3"]);
}

#[test]
fn pods_are_selected_by_the_node_that_reports_them() {
    assert_eq!(listed("pods?fieldSelector=spec.nodeName%3Dnode2"), ["pod3"]);
    assert_eq!(listed("pods?fieldSelector=spec.nodeName!%3Dnode2"), ["pod1", "pod2"]);
    let (status, body) = ask("nodes?fieldSelector=spec.nodeName%3Dnode2");
    assert_eq!(status, 400);
    assert!(body.contains(
        r#"fieldSelector: unknown field \"spec.nodeName\"; known are metadata.name and metadata.namespace"#
    ));
}

#[test]
fn f19_a_pod_is_got_with_labels_and_namespace() {
    let (status, body) = ask("namespaces/other/pods/pod1");
    assert_eq!(status, 200);
    assert!(
        body.contains(r#""name":"pod1","namespace":"other","#)
            && body.contains(r#"{"labelKey":"labelValue"}"#)
    );
    assert!(body.ends_with("\"containers\":[{\"name\":\"metric1\",\"usage\":{\"cpu\":\"4m\",\"memory\":\"2Mi\"}},{\"name\":\"metric1-b\",\"usage\":{\"cpu\":\"6m\",\"memory\":\"3Mi\"}}]}\n"), "{body}");
}

#[test]
fn f21_f22_a_pod_without_metrics_and_an_unknown_pod_are_not_found_differently() {
    let (status, body) = ask("namespaces/other/pods/pod4");
    assert_eq!(status, 404);
    assert!(body.contains(r#""message":"podmetrics.metrics.k8s.io \"other/pod4\" not found""#), "{body}");
    // `gone` is measured and not running, as in K37; a namespace must not be empty.
    for path in ["namespaces/other/pods/pod5", "namespaces/other/pods/gone", "namespaces//pods/pod1"] {
        let (status, body) = ask(path);
        assert_eq!(status, 404);
        let name = path.rsplit('/').next().unwrap();
        assert!(body.contains(&format!(r#""message":"pods \"{name}\" not found""#)), "{body}");
    }
}

#[test]
fn f24_pods_are_a_table_of_sums() {
    let wanted = ["Name,cpu,memory,Window", "pod1,10m,5Mi,1s", "pod2,20m,15Mi,2s", "pod3,20m,25Mi,3s"];
    assert_eq!(cells("pods"), wanted);
}

#[test]
fn the_node_selector_limits_lists_and_hides_no_node() {
    let base = "/apis/metrics.k8s.io/v1/nodes";
    let store = fixture();
    let select = "labelKey in (labelValue,otherValue)";
    assert_eq!(names(&ask_with(&store, &metrics(), select, base, "").1), ["node1", "node3"]);
    let more = format!("{base}?labelSelector=labelKey%3DotherValue");
    assert_eq!(names(&ask_with(&store, &metrics(), select, &more, "").1), ["node3"]);
    assert_eq!(ask_with(&store, &metrics(), select, &format!("{base}/node2"), "").0, 200);
}

#[test]
fn e14_a_pod_whose_counters_went_back_is_absent() {
    let mut store = fixture();
    let mut batch = Batch::new();
    batch.begin(UnixNanos(0));
    let mut back = point(1, 1, 1, 4);
    (back.taken_at.0, back.cpu.0) = (back.taken_at.0 + 5_000_000_000, 5);
    batch.set_container(Key { namespace: "other", pod: "pod1", container: "metric1" }, back).unwrap();
    batch.finish();
    store.commit("node1", &batch, Uptime(0));
    let target = "/apis/metrics.k8s.io/v1beta1/namespaces/other/pods";
    let (_, body) = ask_with(&store, &metrics(), "", target, "");
    assert!(!body.contains("pod1") && !body.contains(r#""timestamp":null"#), "{body}");
    let (status, _) = ask_with(&store, &metrics(), "", &format!("{target}/pod1"), "");
    assert_eq!(status, 404);
}

#[test]
fn swap_is_served_when_it_is_reported() {
    let mut store = fixture();
    for turn in 0..2 {
        let mut batch = Batch::new();
        batch.begin(UnixNanos(0));
        let mut with_swap = point(turn, 1_000_000_000, 5_000_000, 4);
        with_swap.set_swap(Bytes(3 * MIB));
        batch.set_node(with_swap);
        batch.set_container(Key { namespace: "other", pod: "pod1", container: "a" }, with_swap).unwrap();
        let plain = point(turn, 1_000_000_000, 5_000_000, 4);
        batch.set_container(Key { namespace: "other", pod: "pod1", container: "b" }, plain).unwrap();
        batch.set_container(Key { namespace: "other", pod: "pod2", container: "c" }, plain).unwrap();
        batch.finish();
        store.commit("node1", &batch, Uptime(0));
    }
    let ask = |target: &str, accept| {
        ask_with(&store, &metrics(), "", &format!("/apis/metrics.k8s.io/v1/{target}"), accept).1
    };
    assert!(ask("nodes/node1", "").contains(r#""usage":{"cpu":"5m","memory":"4Mi","swap":"3Mi"}"#));
    let rows = ask("namespaces/other/pods", TABLE);
    assert!(
        rows.contains(r#"{"name":"swap","type":"string","format":"quantity","description":"","priority":0}"#)
    );
    assert!(
        rows.contains(r#"["pod1","10m","8Mi","1s","3Mi"]"#)
            && rows.contains(r#"["pod2","5m","4Mi","1s","0"]"#),
        "{rows}"
    );
    let bytes = ask("nodes/node1", "application/vnd.kubernetes.protobuf");
    assert!(bytes.contains("\n\u{4}swap\u{12}\u{5}\n\u{3}3Mi"));
}

#[test]
fn k38_unknown_paths_are_a_status_in_the_group_and_a_list_of_paths_elsewhere() {
    let store = fixture();
    let ask = |target: &str| ask_with(&store, &metrics(), "", target, "");
    for target in [
        "/apis/metrics.k8s.io/v2",
        "/apis/metrics.k8s.io/v1/foo",
        "/apis/metrics.k8s.io/v1beta1/watch/nodes",
        "/apis/metrics.k8s.io/v1/namespaces/x/nodes",
        "/apis/metrics.k8s.io/v1/pods/x",
        "/apis/metrics.k8s.io//v1",
        "/apis/metrics.k8s.io/v1//nodes",
        "/apis/metrics.k8s.io/v1/./nodes",
        "/apis/metrics.k8s.io/v1/nodes/a%2Fb",
        "/apis/metrics.k8s.io/v1/namespaces/x/pods/y/status",
        "/apis/metrics.k8s.io/v1/namespaces/a/pods/b/c/d/e",
        "/version/x",
    ] {
        let (status, body) = ask(target);
        assert_eq!(status, 404, "{target}");
        assert!(body.contains(r#""message":"the server could not find the requested resource","reason":"NotFound","details":{}"#), "{target} {body}");
    }
    for target in [
        "/apis/foo/v1",
        "/foo",
        "/api",
        "/apis//",
        "//apis",
        "/metrics/",
        "/apis/metrics.k8s.iox",
        "/index.html/",
    ] {
        let (status, body) = ask(target);
        assert!(status == 404 && body.starts_with("{\n  \"paths\": [\n"), "{target} {body}");
    }
    for target in [
        "/apis/metrics.k8s.io/v1/nodes/",
        "/apis/metrics.k8s.io/v1/",
        "/apis/metrics.k8s.io/",
        "/apis/",
        "/version/",
        "/",
        "/index.html",
        "/apis/metrics.k8s.io/v1/namespaces/other/pods/pod1/",
    ] {
        assert_eq!(ask(target).0, 200, "{target}");
    }
    assert!(ask("/apis/metrics.k8s.io/v1/nodes/%2e%2e").1.contains(r#"node \"..\" not found"#));
}

#[test]
fn list_options_are_refused_in_metrics_servers_order() {
    for (query, status, text) in [
        ("limit=", 400, r#"limit: expected a whole number, found \"\""#),
        ("limit=99999999999999999999", 400, "limit: expected a whole number"),
        ("timeoutSeconds=a&limit=b", 400, r#"timeoutSeconds: expected a whole number, found \"a\""#),
        ("limit=b&labelSelector==", 400, "limit: "),
        ("labelSelector==&fieldSelector=x", 400, "labelSelector: "),
        ("fieldSelector=x&resourceVersionMatch=Exact", 400, "fieldSelector: "),
        (
            "resourceVersionMatch=Exact&fieldSelector=x%3Dy",
            422,
            "resourceVersionMatch: needs resourceVersion",
        ),
        ("fieldSelector==idle", 400, r#"unknown field \"\""#),
        (
            "resourceVersionMatch=Exact&resourceVersion=0",
            422,
            "resourceVersionMatch: Exact cannot be combined with resourceVersion 0",
        ),
        (
            "resourceVersionMatch=Exact&resourceVersion=1&continue=x",
            422,
            "resourceVersionMatch: cannot be combined with continue",
        ),
        (
            "resourceVersionMatch=Foo&resourceVersion=1",
            422,
            r#""causes":[{"reason":"FieldValueNotSupported","message":"\"Foo\" is not supported; known are Exact and NotOlderThan","field":"resourceVersionMatch"}]"#,
        ),
        (
            "resourceVersionMatch=Foo",
            422,
            r#""causes":[{"reason":"FieldValueForbidden","message":"needs resourceVersion","field":"resourceVersionMatch"},{"reason":"FieldValueNotSupported""#,
        ),
        ("sendInitialEvents=abc", 422, "sendInitialEvents: cannot be combined with a list"),
        ("watch=true&limit=x", 400, "limit: "),
        (
            "watch=true&resourceVersionMatch=Exact",
            422,
            r#"resourceVersionMatch: needs sendInitialEvents in a watch; resourceVersionMatch: \"Exact\" is not supported; known are NotOlderThan"#,
        ),
        ("watch=true&sendInitialEvents=true", 422, "must be NotOlderThan with sendInitialEvents"),
        (
            "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan",
            405,
            "watch is not supported",
        ),
        ("watch", 405, r#"watch is not supported on resources of kind \"pods.metrics.k8s.io\""#),
        ("watch=x&fieldSelector=a%3Db", 400, "unknown field"),
        (
            "limit=-1&continue=x&resourceVersion=abc&allowWatchBookmarks=x&foo=bar&export=1&watch=false&LIMIT=x",
            200,
            "items",
        ),
        ("resourceVersionMatch=Exact&resourceVersion=5", 200, "items"),
        ("includeObject=Foo", 200, "items"),
    ] {
        let (got, body) = ask(&format!("pods?{query}"));
        assert_eq!(got, status, "{query}: {body}");
        assert!(body.contains(text), "{query}: {body}");
    }
}

#[test]
fn no_error_repeats_more_than_a_little_of_the_request() {
    let long = "x".repeat(20_000);
    let dashes = "-".repeat(20_000);
    for target in [
        format!("pods?limit={long}"),
        format!("pods?timeoutSeconds={long}"),
        format!("pods?labelSelector={dashes}"),
        format!("pods?labelSelector=a%3D{dashes}"),
        format!("pods?labelSelector=a+in+({dashes}"),
        format!("pods?labelSelector=a+{long}"),
        format!("pods?fieldSelector={long}"),
        format!("pods?fieldSelector={long}%3Da"),
        format!("pods?fieldSelector=a%3D{long}\\x"),
        format!("pods?resourceVersionMatch={long}&resourceVersion=1&continue={long}"),
        format!("pods?watch=1&sendInitialEvents=1&resourceVersionMatch={long}"),
        format!("nodes/{long}"),
        format!("namespaces/{long}/pods/{long}"),
        format!("nodes/{}", "%01".repeat(7_000)),
        format!("nodes/{}", "%C3%A9".repeat(7_000)),
        format!("{long}/{long}"),
    ] {
        for accept in ["", "application/yaml", "application/vnd.kubernetes.protobuf", &*long] {
            let path = format!("/apis/metrics.k8s.io/v1beta1/{target}");
            let (status, body) = ask_with(&fixture(), &metrics(), "", &path, accept);
            assert!((400..500).contains(&status), "{status} {}", &target[..40]);
            assert!(body.len() < 4096, "{} bytes for {}: {body}", body.len(), &target[..40]);
            assert!(!body.contains(&"x".repeat(201)) && !body.contains(&"-".repeat(201)), "{body}");
        }
    }
    for target in [
        format!("/readyz?exclude={long}&exclude={long}1&verbose"),
        format!("/apis/metrics.k8s.io/v1beta1/nodes?includeObject={long}"),
        format!("/{long}"),
        format!("/openapi/v3/{long}"),
    ] {
        let (_, body) = ask_with(&fixture(), &metrics(), "", &target, TABLE);
        assert!(body.len() < 4096 && !body.contains(&"x".repeat(201)), "{body}");
    }
}

#[test]
fn options_of_a_get() {
    for (query, status) in [
        ("export=abc", 400),
        ("export", 400),
        ("export=false", 200),
        ("export=0", 200),
        ("watch=true&fieldSelector=x&limit=x&resourceVersion=y", 200),
    ] {
        assert_eq!(ask(&format!("nodes/node1?{query}")).0, status, "{query}");
    }
    let target = "/apis/metrics.k8s.io/v1/nodes";
    for (query, status) in
        [("includeObject=object", 400), ("includeObject=", 200), ("includeObject=None&includeObject=x", 200)]
    {
        let target = format!("{target}?{query}");
        assert_eq!(ask_with(&fixture(), &metrics(), "", &target, TABLE).0, status, "{query}");
    }
}

#[test]
fn before_authentication_only_timeouts_and_broken_paths_are_answered() {
    let early = |target: &str| {
        let (path, query) =
            target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let head = Head { method: "GET", path, query, headers: &[] };
        before_authentication(&head, &RequestInfo::new(&head)).map_err(|s| (s.code, s.reason, s.message))
    };
    assert_eq!(early("/readyz"), Ok(()));
    for query in ["timeout=0", "timeout=-5s", "timeout=1h", "timeout=", "Timeout=x", "timeout=1s&timeout=x"] {
        assert_eq!(early(&format!("/readyz?{query}")), Ok(()), "{query}");
    }
    let message = "timeout: invalid duration \"abc\": expected a number with a unit, such as 15s or 1m30s";
    assert_eq!(early("/readyz?timeout=abc"), Err((400, "BadRequest", message.to_owned())));
    assert_eq!(early("/readyz?timeout=1ns").unwrap_err().0, 504);
    assert_eq!(early("/apis/metrics.k8s.io/v1/nodes?watch=1&timeout=abc"), Ok(()));
    assert_eq!(ask("watch").0, 404);
    let long = format!("/readyz?timeout={}", "x".repeat(100_000));
    assert!(early(&long).unwrap_err().2.len() < 300);
}
