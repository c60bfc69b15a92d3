//! The command line: argument lists that metrics-server is deployed with, help, and mistakes.

use crate::support::lab::Lab;
use crate::support::toplet::{Folder, Toplet, run};

/// The base of the shipped manifest.
const BASE: &str = "--cert-dir=/tmp/x --kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname \
                    --kubelet-use-node-status-port --metric-resolution=15s";
const CIPHERS: &str = "--tls-cipher-suites=TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,\
                       TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,\
                       TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305,TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305";

/// Starts it with this list and what a test machine has elsewhere, and waits until it answers.
fn starts(list: &str) {
    let lab = Lab::new();
    // What RBAC grants to everybody: with the chart, the health paths rest on it.
    lab.api.world().allowed.push("system:anonymous".into());
    let kubeconfig = lab.arguments().remove(0);
    let cert = format!("--cert-dir={}", lab.folder.path().display());
    let mut arguments: Vec<&str> = list.split_whitespace().collect();
    arguments.extend([kubeconfig.as_str(), cert.as_str()]);
    // The port and the address are repeated last: the last of repeated scalars counts.
    let port = crate::support::toplet::free_port();
    let own = ["--bind-address=127.0.0.1".to_string(), format!("--secure-port={port}")];
    arguments.extend(own.iter().map(String::as_str));
    let mut toplet = Toplet::spawn(&lab.folder, &arguments);
    toplet.port = port;
    assert_eq!(toplet.body("/livez"), "ok");
}

#[test]
fn the_kustomize_arguments_start() {
    starts(&format!("--secure-port=10250 {BASE}"));
}

#[test]
fn the_test_overlay_starts() {
    starts(&format!(
        "--secure-port=10250 {BASE} --kubelet-insecure-tls --v=4 --node-selector=metrics-server-skip!=true"
    ));
}

#[test]
fn the_helm_arguments_start() {
    starts(&format!("--secure-port=10250 {BASE} --authorization-always-allow-paths=/metrics"));
}

#[test]
fn k48_the_k3s_arguments_start_also_as_two_words() {
    starts(&format!("--secure-port=10250 {BASE} {CIPHERS}"));
    starts(&format!("--secure-port 10250 --cert-dir /tmp/y --metric-resolution 15s -v4 {CIPHERS}"));
}

#[test]
fn the_version_is_printed_alone() {
    let (code, out, _) = run(&["--version"]);
    assert_eq!(code, Some(0));
    assert_eq!(out.lines().count(), 1, "{out}");
    assert!(out.contains(env!("CARGO_PKG_VERSION")), "{out}");
}

#[test]
fn the_help_names_every_flag() {
    let (code, out, _) = run(&["--help"]);
    assert_eq!(code, Some(0));
    for flag in toplet::cli::flags::FLAGS {
        assert!(out.contains(&format!("--{}", flag.name)), "--{} is not in the help", flag.name);
    }
}

#[test]
fn an_unknown_flag_is_an_error_that_names_the_nearest() {
    for (wrong, right) in [
        ("--metric-resolutoin=15s", "--metric-resolution"),
        ("--kubelet-insecure-tsl", "--kubelet-insecure-tls"),
    ] {
        let (code, _, said) = run(&[wrong]);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(right), "{said}");
        assert!(said.lines().count() <= 2 && !said.contains("panicked"), "{said}");
    }
}

#[test]
fn mistakes_name_the_flag_and_end_with_two() {
    for (arguments, named) in [
        (vec!["--metric-resolution=5s"], "--metric-resolution"),
        (vec!["--metric-resolution=10s", "--kubelet-request-timeout=10s"], "--kubelet-request-timeout"),
        (vec!["--secure-port=99999"], "--secure-port"),
        (vec!["--kubelet-client-certificate=/tmp/x"], "--kubelet-client-key"),
        (vec!["--kubelet-insecure-tls", "--kubelet-certificate-authority=/tmp/x"], "--kubelet-insecure-tls"),
        (vec!["--node-selector=a in ("], "--node-selector"),
        (vec!["--max-nodes=1000000000"], "--max-nodes"),
        (vec!["chekc"], "unknown command"),
        (vec!["--tls-min-version=VersionTLS99"], "--tls-min-version"),
    ] {
        let (code, _, said) = run(&arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {said}");
        assert!(said.contains(named), "{arguments:?}: {said}");
    }
}

#[test]
fn k49_every_flag_takes_its_default() {
    let defaults: Vec<String> = toplet::cli::flags::FLAGS
        .iter()
        .filter(|flag| {
            !flag.default_text().is_empty() && flag.effect != toplet::cli::flags::Effect::Immediate
        })
        .map(|flag| format!("--{}={}", flag.name, flag.default_text()))
        .collect();
    assert!(defaults.len() > 20);
    let mut arguments = vec!["check"];
    arguments.extend(defaults.iter().map(String::as_str));
    arguments.extend(["--bind-address=127.0.0.1"]);
    let (code, out, said) = run(&arguments);
    assert_eq!(code, Some(0), "{out}{said}");
}

#[test]
fn the_environment_ends_the_start_with_one() {
    let folder = Folder::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = format!("--secure-port={}", taken.local_addr().unwrap().port());
    let cert_dir = format!("--cert-dir={}", folder.path().display());
    for (arguments, named) in [
        (vec!["--host-only", &port, &cert_dir], "the port is in use"),
        (vec!["--kubeconfig=/nowhere/kubeconfig"], "/nowhere/kubeconfig"),
        (
            vec!["--host-only", "--bind-address=192.0.2.7", "--client-ca-file=/nowhere/ca.crt"],
            "/nowhere/ca.crt",
        ),
    ] {
        let (code, _, stderr) = run(&arguments);
        assert_eq!(code, Some(1), "{arguments:?}: {stderr}");
        assert!(stderr.contains(named), "{arguments:?}: {stderr}");
    }
}

#[test]
fn a_directory_that_cannot_be_written_leaves_the_certificate_in_memory() {
    let folder = Folder::new();
    // A file where the test's certificate directory should be: no user can write below it, root neither.
    std::fs::write(folder.path().join("cert"), "").unwrap();
    let toplet = Toplet::start(&folder, &["--host-only"]);
    assert_eq!(toplet.body("/livez"), "ok");
    let logged = || (toplet.logged("certificate in memory") > 0).then_some(());
    crate::support::eventually("the reason is logged", crate::support::PATIENCE, logged);
}
