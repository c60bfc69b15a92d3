//! What people met with kubelets and kubeconfigs, on the real binary: what is served, or what is said.
//!
//! With --nocapture it prints a table. The kinds behind the reports have tests of their own beside the code.

use crate::support::kubelet::{Behaviour, Kubelet, container, exposition};
use crate::support::lab::{Lab, NODES, PODS};
use crate::support::toplet::run;
use crate::support::{PATIENCE, eventually};
use std::io::Write;

/// A kubelet's answer: a name, its bytes, and what must be in the log line about its node. Without words the node is served.
type Answer = (&'static str, fn() -> Vec<u8>, &'static [&'static str]);

fn answer(status: &str, head: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\n{head}Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn steady(pod: &str) -> String {
    exposition(&[container("default", pod, "main", 100, 10)])
}

fn zipped() -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(steady("zipped").as_bytes()).unwrap();
    answer("200 OK", "Content-Encoding: gzip\r\n", &encoder.finish().unwrap())
}

/// The cgroup of an old instance remained: its counter is frozen, and stands now before, now behind the living one.
fn twice() -> Vec<u8> {
    static NTH: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let body = steady("twice");
    let living = body.lines().find(|line| line.starts_with("container_cpu")).unwrap();
    let (series, rest) = living.split_once("} ").unwrap();
    let frozen = format!("{series}}} 994631 {}", rest.split(' ').nth(1).unwrap());
    let both = match NTH.fetch_add(1, std::sync::atomic::Ordering::SeqCst) % 2 {
        0 => format!("{frozen}\n{living}"),
        _ => format!("{living}\n{frozen}"),
    };
    answer("200 OK", "", body.replace(living, &both).as_bytes())
}

const ANSWERS: [Answer; 13] = [
    (
        "virtual-json",
        || answer("200 OK", "Content-Type: application/json\r\n", b"{\"node\":{}}"),
        &["application/json", "{"],
    ),
    (
        "login-page",
        || answer("200 OK", "Content-Type: text/html\r\n", b"<!DOCTYPE html>\n<title>Sign in</title>"),
        &["text/html", "<!DOCTYPE html>"],
    ),
    ("empty", || answer("200 OK", "Content-Type: text/plain\r\n", b""), &["the answer is empty"]),
    ("scrape-error", || answer("200 OK", "", b"resource_scrape_error 1\n"), &["could not collect"]),
    (
        "says-why",
        || answer("500 Internal Server Error", "", b"failed to get cgroup stats\nmore"),
        &["500", "failed to get cgroup stats"],
    ),
    (
        "protobuf",
        || answer("200 OK", "Content-Type: application/vnd.google.protobuf\r\n", b"\x0a\x05\xff\xfe\x00"),
        &["application/vnd.google.protobuf"],
    ),
    ("deflated", || answer("200 OK", "Content-Encoding: br\r\n", b"\x00"), &["encoded as", "br"]),
    (
        "other-names",
        || {
            let others = "{\"my.metric\",a=\"b\"} 1\n# UNIT x bytes\nx{a=\"\\u\"} NaN\n# EOF\n";
            answer("200 OK", "", (steady("other-names") + others).as_bytes())
        },
        &[],
    ),
    (
        "quoted-names",
        || answer("200 OK", "", b"{\"node_cpu_usage_seconds_total\"} 21600.25 1795735658000\n"),
        &["no sample of a node"],
    ),
    ("zipped", zipped, &[]),
    ("crlf", || answer("200 OK", "", steady("crlf").replace('\n', "\r\n").as_bytes()), &[]),
    (
        "infinite",
        || answer("200 OK", "", steady("infinite").replace(" 1.048576e7 ", " +Inf ").as_bytes()),
        &["infinite"],
    ),
    ("twice", twice, &["twice"]),
];

#[test]
fn answers_of_kubelets_are_served_or_said_with_their_cause() {
    let lab = Lab::new();
    let kubelets = ANSWERS.map(|(_, make, _)| Kubelet::start(Behaviour::Made(make)));
    ANSWERS
        .iter()
        .zip(&kubelets)
        .for_each(|((name, ..), kubelet)| lab.node(name, kubelet, &[("default", name)]));
    let toplet = lab.start(&[]);
    let admin = lab.admin(&toplet);
    for (name, _, words) in ANSWERS {
        let said = |line: &String| line.contains(name) && words.iter().all(|word| line.contains(word));
        let said = match words {
            [] => {
                toplet.until(&admin, NODES, |body| body.contains(name));
                toplet.until(&admin, PODS, |body| body.contains(name));
                assert!(!toplet.log().iter().any(|line| line.contains(name)), "{:?}", toplet.log());
                "served".to_owned()
            }
            _ => eventually(&format!("{name} is said with {words:?}"), PATIENCE, || {
                toplet.log().into_iter().find(said)
            }),
        };
        println!("{name:<14} | {said}");
    }
    let pods = admin.get(PODS).unwrap().text();
    assert!(!pods.contains("18446744073709551610") && !pods.contains("\"name\":\"infinite\""), "{pods}");
    assert!(!pods.contains("\"timestamp\":null") && !pods.contains("\"window\":\"0s\""), "{pods}");
    // Of a container that stands twice the living instance is rated, a tenth of a core, or none.
    if let Some((_, row)) = pods.split_once("{\"name\":\"twice\"") {
        let cpu = row.split_once("\"cpu\":\"").unwrap().1.split('"').next().unwrap().to_owned();
        assert!(cpu.starts_with("100") || cpu.starts_with("99"), "{cpu}");
    }
}

/// A kubeconfig by its cluster and user, and what is said of it.
const KUBECONFIGS: [(&str, &str, &[&str]); 6] = [
    ("{server: 'https://k8s:6443'}", "{token: abc, as: admin}", &["users[u].as"]),
    (
        "{server: 'https://k8s:6443', certificate-authority: /ca, insecure-skip-tls-verify: true}",
        "{token: abc}",
        &["certificate-authority", "insecure-skip-tls-verify"],
    ),
    ("{server: 'https://2001:db8::1:6443'}", "{token: abc}", &["clusters[c].server", "brackets"]),
    (
        "{server: 'https://k8s:6443', certificate-authority-data: DATA+OMITTED}",
        "{token: abc}",
        &["certificate-authority-data", "--raw"],
    ),
    ("{server: 'https://k8s:6443'}", "{tokenFile: /nowhere/token}", &["/nowhere/token", "tokenFile"]),
    (
        "{server: 'https://k8s:6443'}}, {name: c, cluster: {server: 'https://other'}",
        "{token: abc}",
        &["two entries"],
    ),
];

#[test]
fn kubeconfigs_that_cannot_hold_are_refused_by_field() {
    let folder = crate::support::toplet::Folder::new();
    for (cluster, user, words) in KUBECONFIGS {
        let path = folder.path().join("kubeconfig");
        let text = format!(
            "clusters: [{{name: c, cluster: {cluster}}}]\nusers: [{{name: u, user: {user}}}]\n\
             contexts: [{{name: x, context: {{cluster: c, user: u}}}}]\ncurrent-context: x\n"
        );
        std::fs::write(&path, text).unwrap();
        let (code, _, said) = run(&["check", &format!("--kubeconfig={}", path.display())]);
        println!("{}", said.trim_end());
        assert!(code != Some(0) && words.iter().all(|word| said.contains(word)), "{words:?}: {said}");
    }
    // What is null is absent.
    let path = folder.path().join("kubeconfig");
    let text = "clusters: [{name: c, cluster: {server: 'http://k8s', certificate-authority: null}}]\nusers: [{name: u, user: null}]\n\
                contexts: [{name: x, context: {cluster: c, user: u, namespace: null}}]\ncurrent-context: x\npreferences: null\n";
    std::fs::write(&path, text).unwrap();
    let (code, _, said) = run(&["check", &format!("--kubeconfig={}", path.display())]);
    assert_eq!(code, Some(0), "{said}");
}
