//! Start, stop and change while running.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use support::certs::Authority;
use support::lab::{Lab, NODES};
use support::toplet::{Folder, Toplet};
use support::{PATIENCE, eventually};

#[test]
fn a_terminated_program_ends_with_zero() {
    let folder = Folder::new();
    let mut toplet = Toplet::start(&folder, &[]);
    toplet.body("/livez");
    toplet.signal("TERM");
    assert_eq!(toplet.wait().code(), Some(0), "{:?}", toplet.log());
}

#[test]
fn an_interrupted_program_ends_with_zero() {
    let folder = Folder::new();
    let mut toplet = Toplet::start(&folder, &[]);
    toplet.body("/livez");
    toplet.signal("INT");
    assert_eq!(toplet.wait().code(), Some(0), "{:?}", toplet.log());
}

#[test]
fn k47_a_request_in_flight_is_answered_before_the_end() {
    let lab = Lab::new();
    lab.api.world().allowed.push("alice".into());
    let mut toplet = lab.start(&[]);
    let alice = lab.proxy(&toplet, "alice");
    eventually("alice is known", PATIENCE, || (alice.get("/version").ok()?.status == 200).then_some(()));
    lab.api.world().review_delay = std::time::Duration::from_secs(2);
    let mut connection = alice.connect().unwrap();
    connection.send(&alice.head("GET", NODES, &[])).unwrap();
    eventually("the review is under way", PATIENCE, || {
        lab.api.world().reviews.iter().any(|review| review.contains("\"nodes\"")).then_some(())
    });
    toplet.signal("TERM");
    assert_eq!(connection.read_answer("GET").unwrap().status, 200);
    assert_eq!(toplet.wait().code(), Some(0), "{:?}", toplet.log());
}

#[test]
fn k47_readiness_fails_while_draining_and_a_second_signal_ends_at_once() {
    let folder = Folder::new();
    let mut toplet = Toplet::start(&folder, &["--shutdown-delay-duration=30s"]);
    toplet.until(&toplet.client(), "/readyz", |body| body == "ok");
    toplet.signal("TERM");
    let body = toplet.until(&toplet.client(), "/readyz", |body| body != "ok");
    assert!(body.contains("[-]shutdown failed"), "{body}");
    assert_eq!(toplet.client().get(NODES).unwrap().status, 200, "requests are still answered");
    toplet.signal("TERM");
    assert_eq!(toplet.wait().code(), Some(1), "{:?}", toplet.log());
}

#[test]
fn k43_a_serving_pair_is_taken_when_both_halves_match() {
    let (folder, authority) = (Folder::new(), Authority::new("servers"));
    let (first, second) = (authority.server(), authority.server());
    let (cert, key) = first.write(folder.path(), "tls");
    let arguments =
        [format!("--tls-cert-file={}", cert.display()), format!("--tls-private-key-file={}", key.display())];
    let toplet = Toplet::start(&folder, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let shown = || toplet.client().connect().map(|connection| connection.server_certificate());
    assert_eq!(shown().unwrap(), first.chain()[0].to_vec());
    std::fs::write(&cert, &second.cert_pem).unwrap();
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(shown().unwrap(), first.chain()[0].to_vec(), "half a pair is not taken");
    std::fs::write(&key, &second.key_pem).unwrap();
    eventually("the new pair is shown", PATIENCE * 3, || {
        (shown().ok()? == second.chain()[0].to_vec()).then_some(())
    });
}

#[test]
fn a_certificate_folder_is_kept_over_restarts() {
    let folder = Folder::new();
    let first = Toplet::start(&folder, &[]).client().connect().unwrap().server_certificate();
    let second = Toplet::start(&folder, &[]).client().connect().unwrap().server_certificate();
    assert_eq!(first, second);
}

#[test]
fn a_port_in_use_is_a_start_up_error_that_names_the_flag() {
    let folder = Folder::new();
    let toplet = Toplet::start(&folder, &[]);
    let port = format!("--secure-port={}", toplet.port);
    let (code, _, said) = support::toplet::run(&[
        "--bind-address=127.0.0.1",
        &port,
        "--cert-dir",
        folder.path().to_str().unwrap(),
    ]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--secure-port"), "{said}");
}

#[test]
fn discovery_answers_before_the_cluster_does() {
    let mut lab = Lab::new();
    lab.api.front.cut();
    let ca = lab.folder.path().join("users.crt");
    std::fs::write(&ca, &lab.users.pem).unwrap();
    let toplet = lab.start(&[&format!("--client-ca-file={}", ca.display())]);
    let answer = lab.admin(&toplet).get("/apis/metrics.k8s.io/v1beta1").unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn a_start_that_is_refused_leaves_no_certificate_behind() {
    let folder = Folder::new();
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("--secure-port={}", holder.local_addr().unwrap().port());
    let lab = Lab::new();
    let kubeconfig = format!("--kubeconfig={}", lab.api.kubeconfig(folder.path(), "toplet").display());
    let certificates = folder.path().join("certificates");
    let cert_dir = format!("--cert-dir={}", certificates.display());
    for mistake in [
        &[taken.as_str()][..],
        &["--client-ca-file=/nowhere"],
        &["--kubeconfig=/nowhere"],
        &[&kubeconfig, "--kubelet-certificate-authority=/nowhere"],
        &[&kubeconfig, "--authorization-kubeconfig=/nowhere"],
        &[&kubeconfig, taken.as_str()],
    ] {
        let mut arguments = vec!["--bind-address=127.0.0.1", &cert_dir];
        arguments.extend(mistake);
        let (code, _, said) = support::toplet::run(&arguments);
        assert_eq!(code, Some(2), "{mistake:?}: {said}");
        assert!(!certificates.exists(), "{mistake:?}");
    }
}
