//! The API over a real connection: methods, negotiation, discovery, framing.

use crate::support::kubelet::{Behaviour, Kubelet, container};
use crate::support::lab::{Lab, NODES, PODS};
use crate::support::toplet::Toplet;

fn served() -> (Lab, Kubelet, Toplet) {
    let lab = Lab::new();
    let kubelet = Kubelet::start(Behaviour::Steady(vec![container("default", "web-1", "main", 150, 20)]));
    lab.node("n1", &kubelet, &[("default", "web-1")]);
    let toplet = lab.start(&[]);
    toplet.until(&lab.admin(&toplet), PODS, |body| body.contains("web-1"));
    (lab, kubelet, toplet)
}

#[test]
fn both_versions_answer_alike() {
    let (lab, _kubelet, toplet) = served();
    let admin = lab.admin(&toplet);
    let old = admin.get("/apis/metrics.k8s.io/v1beta1/namespaces/default/pods/web-1").unwrap().text();
    let new = admin.get("/apis/metrics.k8s.io/v1/namespaces/default/pods/web-1").unwrap().text();
    // Everything but the version and the moment of the answer.
    let masked = |text: &str, version: &str| {
        let text = text.replace(&format!("metrics.k8s.io/{version}"), "metrics.k8s.io/V");
        let (before, after) = text.split_once("\"creationTimestamp\":\"").unwrap();
        format!("{before}{}", &after[20..])
    };
    assert_eq!(masked(&old, "v1beta1"), masked(&new, "v1"));
}

#[test]
fn k31_aggregated_discovery_has_a_tag_and_knows_it_again() {
    let (lab, _kubelet, toplet) = served();
    let admin = lab.admin(&toplet);
    let kind = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let first = admin.request("GET", "/apis", &[("Accept", kind)]).unwrap();
    assert_eq!((first.status, first.header("content-type")), (200, Some(kind)));
    let tag = first.header("etag").unwrap().to_string();
    let second = admin.request("GET", "/apis", &[("Accept", kind), ("If-None-Match", &tag)]).unwrap();
    assert_eq!((second.status, second.body.len()), (304, 0));
}

#[test]
fn k38_what_is_not_a_read_is_not_allowed_and_what_is_not_there_is_not_found() {
    let (lab, _kubelet, toplet) = served();
    let admin = lab.admin(&toplet);
    let status = |method: &str, path: &str| admin.request(method, path, &[]).unwrap().status;
    assert_eq!(status("GET", &format!("{PODS}?watch=true")), 405);
    assert_eq!(status("POST", PODS), 405);
    assert_eq!(status("DELETE", NODES), 405);
    assert_eq!(status("GET", "/apis/metrics.k8s.io/v1beta1/foo"), 404);
    let index = admin.get("/apis/example.org/v1").unwrap();
    assert_eq!(index.status, 404);
    assert!(index.text().contains("\"paths\""), "{}", index.text());
}

#[test]
fn k39_selectors_that_cannot_be_are_refused() {
    let (lab, _kubelet, toplet) = served();
    let admin = lab.admin(&toplet);
    let status = |query: &str| admin.get(&format!("{PODS}?{query}")).unwrap().status;
    assert_eq!(status("fieldSelector=spec.hostNetwork%3Dtrue"), 400);
    assert_eq!(status("labelSelector=a%20in%20("), 400);
    assert_eq!(status("resourceVersionMatch=Exact"), 422);
    assert_eq!(status("labelSelector=app%3Dweb-1"), 200);
}

#[test]
fn k40_each_accept_gets_its_encoding() {
    let (lab, _kubelet, toplet) = served();
    let admin = lab.admin(&toplet);
    let ask = |accept: &str| admin.request("GET", PODS, &[("Accept", accept)]).unwrap();
    let protobuf = ask("application/vnd.kubernetes.protobuf");
    assert_eq!(protobuf.header("content-type"), Some("application/vnd.kubernetes.protobuf"));
    assert!(protobuf.body.starts_with(b"k8s\0"));
    assert_eq!(ask("application/yaml").header("content-type"), Some("application/yaml"));
    assert!(ask("application/json;as=Table;v=v1;g=meta.k8s.io").text().contains("\"kind\":\"Table\""));
    assert_eq!(ask("application/xml").status, 406);
    assert_eq!(ask("application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io").status, 406);
}

#[test]
fn a_connection_carries_many_requests_and_pipelined_ones_in_order() {
    let (lab, _kubelet, toplet) = served();
    let admin = lab.admin(&toplet);
    let mut connection = admin.connect().unwrap();
    for _ in 0..3 {
        connection.send(&admin.head("GET", NODES, &[])).unwrap();
        assert_eq!(connection.read_answer("GET").unwrap().status, 200);
    }
    let both = [admin.head("GET", "/livez/ping", &[]), admin.head("GET", "/livez/nope", &[])].concat();
    connection.send(&both).unwrap();
    assert_eq!(connection.read_answer("GET").unwrap().text(), "ok");
    assert_eq!(connection.read_answer("GET").unwrap().status, 404);
    connection.send(&admin.head("GET", NODES, &[("Connection", "close")])).unwrap();
    assert_eq!(connection.read_answer("GET").unwrap().status, 200);
    assert!(connection.closed());
}

#[test]
fn a_thousand_lists_leave_no_memory_behind() {
    let (lab, _kubelet, toplet) = served();
    let admin = lab.admin(&toplet);
    let mut connection = admin.connect().unwrap();
    let mut ask = |count: usize| {
        for _ in 0..count {
            connection.send(&admin.head("GET", PODS, &[])).unwrap();
            assert_eq!(connection.read_answer("GET").unwrap().status, 200);
        }
    };
    ask(100);
    let before = toplet.status_kib("RssAnon");
    ask(900);
    let after = toplet.status_kib("RssAnon");
    assert!(after <= before + 256, "anonymous memory went from {before} to {after} KiB");
}
