//! `--kubelet-pin` on the real binary: a key that changed gets neither a request nor a token.

use crate::support::certs::{Authority, server_config};
use crate::support::kubelet::{Behaviour, Kubelet, container};
use crate::support::lab::{Lab, PODS};
use crate::support::protobuf::Node;
use crate::support::toplet::{Toplet, command, run};
use crate::support::{PATIENCE, eventually};

fn kubelet() -> Kubelet {
    let steady = Behaviour::Steady(vec![container("default", "web-1", "main", 150, 20)]);
    Kubelet::start_tls(steady, server_config(&Authority::new("node").server()))
}

fn arguments(lab: &Lab) -> Vec<String> {
    let kubeconfig = lab.api.kubeconfig(lab.folder.path(), "{token: s3cret}");
    vec![
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--state-dir={}", lab.folder.path().display()),
        "--kubelet-pin".into(),
        "--kubelet-use-node-status-port".into(),
        "--kubelet-preferred-address-types=InternalIP".into(),
        "--metric-resolution=10s".into(),
        "--kubelet-request-timeout=2s".into(),
    ]
}

fn start(lab: &Lab) -> Toplet {
    let arguments = arguments(lab);
    Toplet::start(&lab.folder, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

fn doctor(lab: &Lab, more: &[&str]) -> (Option<i32>, String) {
    let output = command().arg("doctor").args(arguments(lab)).args(more).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_changed_key_gets_no_request_until_the_old_one_is_forgotten() {
    let lab = Lab::new();
    let first = kubelet();
    lab.node("n1", &first, &[("default", "web-1")]);
    let toplet = start(&lab);
    toplet.until(&lab.admin(&toplet), PODS, |body| body.contains("web-1"));
    assert_eq!(toplet.logged("node n1: pinned the key of its kubelet, sha256:"), 1);
    drop(toplet);
    let (_, report) = doctor(&lab, &[]);
    assert!(report.contains("pins n1: pinned is sha256:"), "{report}");

    // Another key answers in the node's place, while it did not run.
    let second = kubelet();
    lab.api.add_node(Node::new("n1", "127.0.0.1", second.port()));
    let toplet = start(&lab);
    eventually("it is refused", PATIENCE, || {
        (toplet.logged("the kubelet's key changed: pinned is sha256:") > 0).then_some(())
    });
    assert_eq!(toplet.logged("toplet doctor --forget-pin NODE"), 1);
    let (code, report) = doctor(&lab, &[]);
    assert!(code == Some(1) && report.contains("the kubelet's key changed"), "{report}");
    assert_eq!(
        (second.scrapes(), second.authorization.lock().unwrap().as_str()),
        (1, ""),
        "only the doctor's anonymous look"
    );

    assert_eq!(doctor(&lab, &["--forget-pin=n2"]).0, Some(1));
    let (code, report) = doctor(&lab, &["--forget-pin", "n1"]);
    assert!(code == Some(0) && report.contains("forgot sha256:"), "{report}");
    eventually("it is scraped", PATIENCE, || {
        (second.authorization.lock().unwrap().as_str() == "Bearer s3cret").then_some(())
    });
}

#[test]
fn the_doctor_pins_nothing() {
    let lab = Lab::new();
    let kubelet = kubelet();
    lab.node("n1", &kubelet, &[]);
    let (_, report) = doctor(&lab, &[]);
    assert!(report.contains("1 of 1 kubelets answer") && report.contains("0 keys are pinned"), "{report}");
    assert!(!lab.folder.path().join("kubelet-pins").exists());
}

#[test]
fn a_damaged_file_keeps_it_from_starting() {
    let lab = Lab::new();
    std::fs::write(lab.folder.path().join("kubelet-pins"), "toplet kubelet pins 1\n").unwrap();
    let arguments = arguments(&lab);
    let (code, _, error) = run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(code, Some(1), "{error}");
    let line = error.lines().last().unwrap();
    assert!(
        line.contains("--kubelet-pin: ") && line.contains("damaged") && line.contains("remove it"),
        "{error}"
    );
}

#[test]
fn flags_that_contradict_pins_are_refused() {
    for (more, words) in [
        (vec!["--kubelet-insecure-tls"], "--kubelet-insecure-tls"),
        (vec!["--deprecated-kubelet-completely-insecure"], "--deprecated-kubelet-completely-insecure"),
        (vec!["--kubelet-certificate-authority=/ca.crt"], "--kubelet-certificate-authority"),
        (vec![], "--state-dir"),
    ] {
        let (code, _, error) = run(&[&["check", "--kubelet-pin"], &more[..]].concat());
        assert!(code == Some(2) && error.contains("--kubelet-pin: ") && error.contains(words), "{error}");
    }
    let (code, _, error) = run(&["doctor", "--forget-pin=n1"]);
    assert!(code == Some(2) && error.contains("needs --kubelet-pin"), "{error}");
}
