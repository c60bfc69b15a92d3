//! A bare `toplet`: this machine as one node, with no cluster and no configuration.

use crate::support::lab::{NODES, PODS};
use crate::support::toplet::{Folder, Toplet, command, free_port};
use crate::support::{PATIENCE, eventually};

fn usage(body: &str, key: &str) -> String {
    let after = body.split_once(&format!("\"{key}\":\"")).unwrap_or_else(|| panic!("no {key} in {body}")).1;
    after.split_once('"').unwrap().0.to_string()
}

fn bytes(quantity: &str) -> f64 {
    let digits = quantity.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let scale = match &quantity[digits.len()..] {
        "Ki" => 1024.0,
        "Mi" => 1024.0 * 1024.0,
        "Gi" => 1024.0 * 1024.0 * 1024.0,
        _ => 1.0,
    };
    digits.parse::<f64>().unwrap() * scale
}

fn meminfo(name: &str) -> f64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1024.0
}

#[test]
fn the_machine_is_served_and_agrees_with_proc() {
    let folder = Folder::new();
    let toplet = Toplet::start(&folder, &[]);
    // Samples are some seconds old, and the tests beside this one take and free memory: one of them must agree.
    let agrees = |body: &str| {
        let used = meminfo("MemTotal") - meminfo("MemFree") - meminfo("Inactive(file)");
        let served = bytes(&usage(body, "memory"));
        let tolerance = 0.1 * used + 64e6;
        // The root memory cgroup of version 1 does not count the kernel's slab.
        let range = used - meminfo("Slab") - tolerance..used + tolerance;
        println!("serves {served}, /proc says {used}, of which slab {}", meminfo("Slab"));
        range.contains(&served)
    };
    let body = toplet.until(&toplet.client(), NODES, |body| body.contains("\"usage\"") && agrees(body));
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert!(body.contains(&format!("\"name\":\"{}\"", name.trim())), "{body}");
    assert!(!usage(&body, "cpu").is_empty());
}

#[test]
fn the_line_to_try_is_printed_once_it_has_usage_to_show() {
    let folder = Folder::new();
    let toplet = Toplet::start(&folder, &[]);
    eventually("the line to try", PATIENCE, || (toplet.logged("Try:") > 0).then_some(()));
    let answer = toplet.client().get(NODES).unwrap();
    assert!(answer.text().contains("\"usage\""), "{}", answer.text());
    assert_eq!(
        toplet.logged(&format!("curl -sk https://127.0.0.1:{}/", toplet.port)),
        1,
        "{:?}",
        toplet.log()
    );
}

#[test]
fn a_second_answer_has_a_later_sample() {
    let folder = Folder::new();
    let toplet = Toplet::start(&folder, &["--metric-resolution=10s", "--kubelet-request-timeout=2s"]);
    let first = toplet.until(&toplet.client(), NODES, |body| body.contains("\"usage\""));
    let stamp = |body: &str| usage(body, "timestamp");
    toplet.until(&toplet.client(), NODES, |body| body.contains("\"usage\"") && stamp(body) > stamp(&first));
}

#[test]
fn pods_are_an_empty_list_and_readiness_does_not_wait_for_them() {
    let folder = Folder::new();
    let toplet = Toplet::start(&folder, &[]);
    assert!(toplet.body(PODS).contains("\"kind\":\"PodMetricsList\""));
    assert_eq!(toplet.body("/readyz"), "ok");
}

#[test]
fn only_reads_are_answered_without_a_name() {
    let folder = Folder::new();
    let toplet = Toplet::start(&folder, &[]);
    assert_eq!(toplet.client().request("POST", NODES, &[]).unwrap().status, 403);
    assert_eq!(toplet.client().get("/apis/metrics.k8s.io/v1beta1/nodes/nobody").unwrap().status, 404);
}

#[test]
fn an_open_address_wants_a_certificate_authority() {
    let folder = Folder::new();
    let cert_dir = format!("--cert-dir={}", folder.path().display());
    let port = format!("--secure-port={}", free_port());
    let output = command().args(["--bind-address=0.0.0.0", &port, &cert_dir]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("--client-ca-file"), "{said}");
}
