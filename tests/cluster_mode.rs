//! With a cluster: inventory by list and watch, kubelets, and answers that follow what happens there.

use crate::support::certs::{Authority, server_config};
use crate::support::kubelet::{Behaviour, Kubelet, container};
use crate::support::lab::{Lab, NODES, PODS};
use crate::support::protobuf::{Node, Pod};
use crate::support::toplet::Toplet;
use crate::support::{PATIENCE, eventually};

fn steady() -> Behaviour {
    Behaviour::Steady(vec![
        container("default", "web-1", "main", 150, 20),
        container("default", "web-1", "side", 10, 5),
        container("default", "web-2", "main", 75, 30),
        container("kube-public", "idle", "idle", 5, 1),
    ])
}

/// Lists of pods so far: requests that are not watches.
fn lists(lab: &Lab) -> usize {
    lab.api
        .world()
        .seen
        .iter()
        .filter(|line| line.contains("/api/v1/pods") && !line.contains("watch="))
        .count()
}

fn watches(lab: &Lab) -> usize {
    lab.api.count("/api/v1/pods?").saturating_sub(lists(lab))
}

/// A cluster of one node, and toplet that already serves it.
fn ready() -> (Lab, Kubelet, Toplet) {
    let lab = Lab::new();
    let kubelet = Kubelet::start(steady());
    lab.node("n1", &kubelet, &[("default", "web-1"), ("kube-public", "idle")]);
    let toplet = lab.start(&[]);
    toplet.until(&lab.admin(&toplet), PODS, |body| body.contains("web-1") && body.contains("\"idle\""));
    (lab, kubelet, toplet)
}

#[test]
fn usage_is_what_the_kubelet_counted() {
    let (lab, _kubelet, toplet) = ready();
    let pod =
        toplet.body_with(&lab.admin(&toplet), "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods/web-1");
    for (name, millicores, memory) in [("main", 150.0, "20Mi"), ("side", 10.0, "5Mi")] {
        let after = pod
            .split_once(&format!("\"name\":\"{name}\",\"usage\":{{\"cpu\":\""))
            .unwrap_or_else(|| panic!("{pod}"))
            .1;
        let (cpu, rest) = after.split_once('"').unwrap();
        let digits = cpu.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let scale = match &cpu[digits.len()..] {
            "n" => 1e-6,
            "u" => 1e-3,
            _ => 1.0,
        };
        let served = digits.parse::<f64>().unwrap() * scale;
        assert!((served - millicores).abs() < 0.02 * millicores, "{name}: {served}m of {millicores}m");
        assert!(rest.starts_with(&format!(",\"memory\":\"{memory}\"")), "{rest}");
    }
    assert!(pod.contains("\"labels\":{\"app\":\"web-1\"}"), "{pod}");
    let node = toplet.until(&lab.admin(&toplet), NODES, |body| body.contains("\"n1\""));
    assert!(node.contains("\"swap\":\"1Mi\""), "{node}");
    assert_eq!(toplet.body("/readyz"), "ok");
}

#[test]
fn a_pod_that_starts_appears_and_one_that_ends_goes() {
    let (lab, _kubelet, toplet) = ready();
    let admin = lab.admin(&toplet);
    lab.api.add_pod(Pod::new("default", "web-2"));
    toplet.until(&admin, PODS, |body| body.contains("web-2"));
    lab.api.remove_pod("default", "web-1");
    toplet.until(&admin, PODS, |body| !body.contains("web-1"));
    let gone = admin.get("/apis/metrics.k8s.io/v1beta1/namespaces/default/pods/web-1").unwrap();
    assert_eq!(gone.status, 404);
    assert!(gone.text().contains("pods \\\"web-1\\\" not found"), "{}", gone.text());
}

#[test]
fn k37_a_pod_that_does_not_run_is_not_found_though_the_kubelet_lists_it() {
    let (lab, _kubelet, toplet) = ready();
    let answer =
        lab.admin(&toplet).get("/apis/metrics.k8s.io/v1beta1/namespaces/default/pods/web-2").unwrap();
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("pods \\\"web-2\\\" not found"), "{}", answer.text());
}

#[test]
fn a_node_that_joins_is_scraped_and_one_that_leaves_is_forgotten() {
    let (lab, kubelet, toplet) = ready();
    let admin = lab.admin(&toplet);
    let second = Kubelet::start(Behaviour::Steady(vec![container("default", "web-2", "main", 75, 30)]));
    lab.node("n2", &second, &[("default", "web-2")]);
    kubelet.set(Behaviour::Steady(vec![container("default", "web-1", "main", 150, 20)]));
    toplet.until(&admin, PODS, |body| body.contains("web-2"));
    toplet.until(&admin, NODES, |body| body.contains("\"n2\""));
    lab.api.remove_node("n2");
    toplet.until(&admin, NODES, |body| !body.contains("\"n2\""));
}

#[test]
fn a_watch_that_ends_goes_on_without_a_list() {
    let (lab, _kubelet, toplet) = ready();
    let (listed, watched) = (lists(&lab), watches(&lab));
    lab.api.end_watches(None);
    eventually("another watch", PATIENCE, || (watches(&lab) > watched).then_some(()));
    lab.api.add_pod(Pod::new("default", "web-2"));
    toplet.until(&lab.admin(&toplet), PODS, |body| body.contains("web-2"));
    assert_eq!(lists(&lab), listed, "{:?}", lab.api.world().seen);
}

#[test]
fn an_expired_version_is_listed_again_once() {
    let (lab, _kubelet, toplet) = ready();
    let listed = lists(&lab);
    lab.api.end_watches(Some(410));
    eventually("another list", PATIENCE, || (lists(&lab) > listed).then_some(()));
    lab.api.add_pod(Pod::new("default", "web-2"));
    toplet.until(&lab.admin(&toplet), PODS, |body| body.contains("web-2"));
    assert_eq!(lists(&lab), listed + 1, "{:?}", lab.api.world().seen);
}

#[test]
fn an_error_event_is_survived() {
    let (lab, _kubelet, toplet) = ready();
    lab.api.end_watches(Some(500));
    lab.api.add_pod(Pod::new("default", "web-2"));
    toplet.until(&lab.admin(&toplet), PODS, |body| body.contains("web-2"));
}

#[test]
fn a_restart_of_the_api_server_costs_no_answer() {
    let (mut lab, _kubelet, mut toplet) = ready();
    let admin = lab.admin(&toplet);
    lab.api.front.cut();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert!(admin.get(PODS).unwrap().text().contains("web-1"));
    lab.api.front.resume();
    lab.api.add_pod(Pod::new("default", "web-2"));
    toplet.until(&admin, PODS, |body| body.contains("web-2"));
    assert!(toplet.running());
}

#[test]
fn a_token_file_that_rotates_is_read_again() {
    let lab = Lab::new();
    let kubelet = Kubelet::start(steady());
    lab.node("n1", &kubelet, &[("default", "web-1")]);
    let token = lab.folder.path().join("token");
    std::fs::write(&token, "one").unwrap();
    lab.api.world().credential = "one".into();
    let mut arguments = lab.arguments();
    let kubeconfig = lab.api.kubeconfig(lab.folder.path(), &format!("{{tokenFile: {}}}", token.display()));
    arguments[0] = format!("--kubeconfig={}", kubeconfig.display());
    let toplet = Toplet::start(&lab.folder, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let admin = lab.admin(&toplet);
    toplet.until(&admin, PODS, |body| body.contains("web-1"));
    std::fs::write(&token, "two").unwrap();
    lab.api.world().credential = "two".into();
    lab.api.end_watches(None);
    lab.api.add_pod(Pod::new("default", "web-2"));
    toplet.until(&admin, PODS, |body| body.contains("web-2"));
}

#[test]
fn k44_an_api_server_that_is_unreachable_at_the_start_is_waited_for() {
    let mut lab = Lab::new();
    let kubelet = Kubelet::start(steady());
    lab.node("n1", &kubelet, &[("default", "web-1")]);
    lab.api.front.cut();
    let mut toplet = lab.start(&[]);
    assert_eq!(toplet.body("/livez"), "ok");
    assert_eq!(toplet.client().get("/readyz").unwrap().status, 500);
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert!(toplet.running());
    lab.api.front.resume();
    toplet.until(&lab.admin(&toplet), PODS, |body| body.contains("web-1"));
    toplet.until(&lab.admin(&toplet), NODES, |body| body.contains("\"n1\""));
    assert_eq!(toplet.body("/readyz"), "ok");
}

#[test]
fn k50_a_selector_that_matches_no_node_scrapes_nothing() {
    let lab = Lab::new();
    let kubelet = Kubelet::start(steady());
    lab.node("n1", &kubelet, &[("default", "web-1")]);
    let mut toplet = lab.start(&["--node-selector=zone=nowhere"]);
    let body = toplet.body_with(&lab.admin(&toplet), NODES);
    assert!(body.contains("\"items\":[]"), "{body}");
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert!(toplet.running());
    assert_eq!(kubelet.scrapes(), 0);
}

#[test]
fn an_annotation_moves_the_resource_path() {
    let lab = Lab::new();
    let kubelet = Kubelet::start(steady());
    let mut node = Node::new("n1", "127.0.0.1", kubelet.port());
    node.annotations.push(("metrics.k8s.io/resource-metrics-path".into(), "/elsewhere".into()));
    lab.api.add_node(node);
    lab.api.add_pod(Pod::new("default", "web-1"));
    let toplet = lab.start(&[]);
    toplet.until(&lab.admin(&toplet), PODS, |body| body.contains("web-1"));
    assert_eq!(kubelet.paths.lock().unwrap()[0], "/elsewhere");
}

/// Rewrites a credential that the API server still accepts, sends SIGHUP, and waits for the new one at the kubelet. Without
/// the signal the old one would be presented for a minute.
fn sighup_presents(user: &str, write: impl Fn(&Lab, &str)) {
    let lab = Lab::new();
    let node = Authority::new("node").server();
    let kubelet = Kubelet::start_tls(steady(), server_config(&node));
    lab.node("n1", &kubelet, &[("default", "web-1")]);
    write(&lab, "one");
    let kubeconfig = lab
        .api
        .kubeconfig(lab.folder.path(), &user.replace("FOLDER", &lab.folder.path().display().to_string()));
    let kubeconfig = format!("--kubeconfig={}", kubeconfig.display());
    let more = [
        "--kubelet-insecure-tls",
        "--kubelet-use-node-status-port",
        "--metric-resolution=10s",
        "--kubelet-request-timeout=2s",
        "--kubelet-preferred-address-types=InternalIP",
    ];
    let toplet = Toplet::start(&lab.folder, &[&[kubeconfig.as_str()], &more[..]].concat());
    let presents = |token: &str| *kubelet.authorization.lock().unwrap() == format!("Bearer {token}");
    eventually("the first token", PATIENCE, || presents("one").then_some(()));
    write(&lab, "two");
    toplet.signal("HUP");
    eventually("the second token", PATIENCE, || presents("two").then_some(()));
}

#[test]
fn sighup_reads_a_token_file_at_once() {
    sighup_presents("{tokenFile: FOLDER/token}", |lab, token| {
        std::fs::write(lab.folder.path().join("token"), token).unwrap();
    });
}

#[test]
fn sighup_reads_a_token_inside_the_kubeconfig_at_once() {
    sighup_presents("{token: one}", |lab, token| {
        lab.api.kubeconfig(lab.folder.path(), &format!("{{token: {token}}}"));
    });
}

#[test]
fn why_nodes_fail_is_said_to_authorized_callers_alone() {
    let lab = Lab::new();
    let failing = [
        ("unauthorized", "401", Behaviour::Status(401)),
        ("forbidden", "403", Behaviour::Status(403)),
        ("not_found", "404", Behaviour::Status(404)),
        ("empty", "the answer is empty", Behaviour::Body(Vec::new())),
        ("body", "<html>", Behaviour::Body(b"<html>".to_vec())),
        ("timeout", "no complete answer", Behaviour::Silence),
        ("refused", "connection refused", steady()),
    ];
    let mut kubelets = Vec::new();
    for (reason, _, behaviour) in &failing {
        let mut kubelet = Kubelet::start(behaviour.clone());
        if *reason == "refused" {
            kubelet.front.cut();
        }
        lab.node(&format!("node-{}", reason.replace('_', "-")), &kubelet, &[]);
        kubelets.push(kubelet);
    }
    let toplet = lab.start(&[]);
    let admin = lab.admin(&toplet);
    let said = toplet.until(&admin, "/readyz/nodes", |body| body.ends_with("\n0 of 7 nodes scraped\n"));
    for (reason, words, _) in &failing {
        let begin = format!("[-]node-{} failed: {reason}: GET http://127.0.0.1:", reason.replace('_', "-"));
        let line =
            said.lines().find(|line| line.starts_with(&begin)).unwrap_or_else(|| panic!("{begin} in {said}"));
        assert!(line.contains(words) && line.contains("; "), "{line}");
    }
    let anonymous = toplet.client();
    for (path, status) in [("/readyz/nodes", 403), ("/readyz?verbose", 500), ("/livez?verbose", 200)] {
        let answer = anonymous.get(path).unwrap();
        let text = answer.text();
        assert_eq!(answer.status, status, "{path}: {text}");
        assert!(!text.contains("node-") && !text.contains("127.0.0.1"), "{path}: {text}");
    }
}
