//! Kubelets that misbehave: each costs only itself, in bounded memory, and is said once with what to do.

use crate::support::certs::{Authority, server_config};
use crate::support::kubelet::{Behaviour, Kubelet, babbler, container};
use crate::support::lab::{Lab, NODES, PODS};
use crate::support::protobuf::{Node, Pod};
use crate::support::toplet::{GROWTH_KIB_MAX, Toplet};
use crate::support::{PATIENCE, eventually, timestamp};
use std::io::Write;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

fn good(pod: &str) -> Behaviour {
    Behaviour::Steady(vec![container("default", pod, "main", 100, 10)])
}

/// A whole answer that is large only once it is inflated.
fn bomb() -> Vec<u8> {
    let mut body = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let comments = b"# HELP x y\n".repeat(1 << 16);
    (0..400).for_each(|_| body.write_all(&comments).unwrap());
    let body = body.finish().unwrap();
    assert!(body.len() < 2 << 20, "{} bytes", body.len());
    let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), &body].concat()
}

/// An answer that begins so, and never gets beyond this.
fn stuck(begin: &str, again: &str) -> Behaviour {
    Behaviour::Raw(
        [begin, &again.repeat((4 << 20) / again.len())].concat().into_bytes(),
        Duration::from_secs(3),
    )
}

#[test]
fn bad_kubelets_cost_only_themselves() {
    let lab = Lab::new();
    let fine = Kubelet::start(good("web-1"));
    lab.node("a-fine", &fine, &[("default", "web-1")]);
    let toplet = lab.start(&["--kubelet-request-timeout=2s"]);
    let admin = lab.admin(&toplet);
    toplet.until(&admin, PODS, |body| body.contains("web-1"));
    let memory = toplet.watch_memory();

    let target = Kubelet::start(good("stolen"));
    let bad: Vec<(&str, Kubelet)> = vec![
        ("bad-garbage", Kubelet::start(Behaviour::Body(b"\x00\xff{}{}\n\"".repeat(5000)))),
        ("bad-endless", Kubelet::start(Behaviour::Endless(100 << 20))),
        ("bad-silent", Kubelet::start(Behaviour::Silence)),
        (
            "bad-redirect",
            Kubelet::start(Behaviour::Redirect(format!("http://{}/metrics/resource", target.address()))),
        ),
        ("bad-status", Kubelet::start(Behaviour::Status(503))),
        ("bad-unknown", Kubelet::start(Behaviour::Status(404))),
        ("bad-bomb", Kubelet::start(Behaviour::Raw(bomb(), Duration::ZERO))),
        ("bad-interim", Kubelet::start(stuck("", "HTTP/1.1 100 Continue\r\n\r\n"))),
        ("bad-heads", Kubelet::start(stuck("HTTP/1.1 200 OK\r\n", "X-More: header\r\n"))),
        ("bad-chunk", Kubelet::start(stuck(&format!("{CHUNKED}5;"), "extension"))),
        ("bad-trailer", Kubelet::start(stuck(&format!("{CHUNKED}2\r\n#\n\r\n0\r\n"), "X-More: trailer\r\n"))),
    ];
    for (name, kubelet) in &bad {
        lab.node(name, kubelet, &[]);
    }
    let noise: SocketAddr = babbler(b"SSH-2.0-OpenSSH_9.2\r\n");
    lab.api.add_node(Node::new("bad-noise", "127.0.0.1", noise.port()));
    let nobody = crate::support::toplet::free_port();
    lab.api.add_node(Node::new("bad-refused", "127.0.0.1", nobody));

    for (name, kubelet) in &bad {
        eventually(&format!("{name} is scraped"), PATIENCE, || (kubelet.scrapes() > 0).then_some(()));
    }
    let seen = timestamp(&admin.get(PODS).unwrap().text());
    // The good node goes on at its pace, past one whole round of the others.
    toplet.until(&admin, PODS, |body| body.contains("web-1") && timestamp(body) > seen);
    let again = timestamp(&admin.get(PODS).unwrap().text());
    toplet.until(&admin, PODS, |body| timestamp(body) > again);
    assert_eq!(target.scrapes(), 0, "a redirect was followed");
    let growth = memory.growth_kib();
    println!("memory grew by {growth} KiB at its peak");
    assert!(growth < GROWTH_KIB_MAX, "memory grew by {growth} KiB at its peak");
    for name in bad.iter().map(|(name, _)| *name).chain(["bad-noise", "bad-refused"]) {
        if name != "bad-garbage" {
            eventually(&format!("{name} is said"), PATIENCE, || (toplet.logged(name) > 0).then_some(()));
        }
        assert!(toplet.logged(name) <= 2, "{name} is said {} times: {:?}", toplet.logged(name), toplet.log());
    }
    let nodes = admin.get(NODES).unwrap().text();
    assert!(!nodes.contains("bad-"), "{nodes}");
}

#[test]
fn a_kubelet_that_recovers_is_served_again() {
    let lab = Lab::new();
    let kubelet = Kubelet::start(Behaviour::Status(500));
    lab.node("n1", &kubelet, &[("default", "web-1")]);
    let toplet = lab.start(&[]);
    eventually("it is scraped", PATIENCE, || (kubelet.scrapes() > 0).then_some(()));
    kubelet.set(good("web-1"));
    toplet.until(&lab.admin(&toplet), PODS, |body| body.contains("web-1"));
}

#[test]
fn two_nodes_with_one_address_are_named_once() {
    let (lab, kubelet) = (Lab::new(), Kubelet::start(good("web")));
    lab.node("old", &kubelet, &[]);
    lab.node("new", &kubelet, &[("default", "web")]);
    let toplet = lab.start(&[]);
    let both = "nodes new and old both have the address 127.0.0.1";
    eventually("they are named", PATIENCE, || (toplet.logged(both) > 0).then_some(()));
    lab.api.remove_node("old");
    eventually("that it ended is said", PATIENCE, || {
        (toplet.logged("every node has an address of its own again") > 0).then_some(())
    });
    assert_eq!(toplet.logged(both), 1);
}

#[test]
fn kubelets_are_read_through_the_api_server_where_only_it_reaches_them() {
    let lab = Lab::new();
    lab.api.world().credential = "abc".into();
    // Nothing listens at the nodes' own address.
    for name in ["near", "closed"] {
        lab.api.add_node(Node::new(name, "127.0.0.1", 1));
    }
    lab.api.add_pod(Pod::new("default", "web-1"));
    lab.api.world().proxied = vec![("near".into(), vec![container("default", "web-1", "main", 100, 10)])];
    let kubeconfig = lab.api.kubeconfig(lab.folder.path(), "{token: abc}");
    let kubeconfig = format!("--kubeconfig={}", kubeconfig.display());
    let toplet = Toplet::start(
        &lab.folder,
        &[&kubeconfig, "--kubelet-via-apiserver", "--metric-resolution=10s", "--kubelet-request-timeout=2s"],
    );
    toplet.until(&lab.admin(&toplet), PODS, |body| body.contains("web-1"));
    let nodes = toplet.body_with(&lab.admin(&toplet), NODES);
    assert!(nodes.contains("near") && !nodes.contains("closed"), "{nodes}");
    let refused = "allow \"get\" on \"nodes/proxy\" to our user";
    eventually("the missing right is named", PATIENCE, || (toplet.logged(refused) > 0).then_some(()));
    assert_eq!(toplet.logged(refused), 1);
    for other in ["--kubelet-pin", "--kubelet-insecure-tls", "--kubelet-certificate-authority=ca.crt"] {
        let more = [&*kubeconfig, "--kubelet-via-apiserver", "--state-dir=.", other];
        let (code, _, error) = crate::support::toplet::run(&[&["check"], &more[..]].concat());
        assert!(code == Some(2) && error.contains("cannot be used together"), "{other}: {error}");
    }
}

#[test]
fn an_annotation_leads_to_the_node_proxy_and_never_out_of_it() {
    let lab = Lab::new();
    lab.api.world().credential = "abc".into();
    let (near, unasked) = (Kubelet::start(good("web-1")), Kubelet::start(good("stolen")));
    lab.node("near", &near, &[("default", "web-1")]);
    let add = |name: &str, via: &str| {
        let mut node = Node::new(name, "127.0.0.1", unasked.port());
        node.annotations = vec![("toplet.io/kubelet-via".into(), via.into())];
        lab.api.add_node(node);
    };
    add("far", "apiserver");
    lab.api.world().proxied =
        vec![("far".into(), vec![container("default", "web-2", "main", 100, 10)]), ("astray".into(), vec![])];
    let toplet = lab.start(&[]);
    let nodes =
        toplet.until(&lab.admin(&toplet), NODES, |body| body.contains("near") && body.contains("far"));
    assert!(!nodes.contains("stolen") && near.scrapes() > 0, "{nodes}");
    drop(toplet);
    // Where the flag sends everything to the API server, a node cannot ask for our token.
    add("astray", "direct");
    let kubeconfig = lab.api.kubeconfig(lab.folder.path(), "{token: abc}");
    let toplet = Toplet::start(
        &lab.folder,
        &[
            &format!("--kubeconfig={}", kubeconfig.display()),
            "--kubelet-via-apiserver",
            "--metric-resolution=10s",
            "--kubelet-request-timeout=2s",
        ],
    );
    toplet.until(&lab.admin(&toplet), NODES, |body| body.contains("astray"));
    let said = "annotation toplet.io/kubelet-via: \"direct\" is not apiserver";
    assert_eq!(
        (toplet.logged(said), unasked.front.accepted.load(Ordering::SeqCst)),
        (1, 0),
        "{:?}",
        toplet.log()
    );
}

#[test]
fn a_kubelet_without_resource_metrics_is_read_through_its_summary_until_it_is_upgraded() {
    let lab = Lab::new();
    let web = vec![container("default", "web-1", "main", 100, 10)];
    let kubelet = Kubelet::start(Behaviour::Summary(web.clone()));
    lab.node("n1", &kubelet, &[("default", "web-1")]);
    let toplet = lab.start(&[]);
    let admin = lab.admin(&toplet);
    let body = toplet.until(&admin, PODS, |body| body.contains("web-1"));
    assert!(body.contains("\"memory\":\"10Mi\"") || body.contains("\"memory\":\"10240Ki\""), "{body}");
    assert_eq!(toplet.logged("its Summary API is read instead"), 1, "{:?}", toplet.log());
    let asked = kubelet.paths.lock().unwrap().clone();
    let count = |path: &str| asked.iter().filter(|asked| asked.starts_with(path)).count();
    assert_eq!(count("/metrics/resource"), 1, "asked for once, then remembered: {asked:?}");
    assert!(count("/stats/summary?only_cpu_and_memory=true") >= 2, "{asked:?}");

    kubelet.set(Behaviour::Steady(web));
    eventually("the upgrade is noticed", PATIENCE, || {
        (toplet.logged("it has resource metrics now") > 0).then_some(())
    });
    toplet.until(&admin, PODS, |body| body.contains("web-1"));
    assert_eq!(kubelet.paths.lock().unwrap().last().unwrap(), "/metrics/resource");
}

/// A cluster whose kubelet speaks TLS under this authority, and toplet that believes `trusted`.
fn over_tls(lab: &Lab, kubelet: &Kubelet, trusted: &Authority, more: &[&str]) -> Toplet {
    lab.api.add_node(Node::new("n1", "127.0.0.1", kubelet.port()));
    lab.api.add_pod(Pod::new("default", "web-1"));
    let ca = lab.folder.path().join("kubelet-ca.crt");
    std::fs::write(&ca, &trusted.pem).unwrap();
    let ca = format!("--kubelet-certificate-authority={}", ca.display());
    let mut arguments = lab.arguments();
    arguments.retain(|argument| argument != "--deprecated-kubelet-completely-insecure");
    if !more.contains(&"--kubelet-insecure-tls") {
        arguments.push(ca);
    }
    let all: Vec<&str> = arguments.iter().map(String::as_str).chain(more.iter().copied()).collect();
    Toplet::start(&lab.folder, &all)
}

#[test]
fn a_kubelet_of_the_right_authority_gets_the_token() {
    let (lab, authority) = (Lab::new(), Authority::new("kubelets"));
    let kubelet = Kubelet::start_tls(good("web-1"), server_config(&authority.server()));
    let toplet = over_tls(&lab, &kubelet, &authority, &[]);
    toplet.until(&lab.admin(&toplet), PODS, |body| body.contains("web-1"));
    assert_eq!(*kubelet.authorization.lock().unwrap(), "Bearer abc");
}

#[test]
fn annotations_move_a_kubelet_but_never_weaken_its_verification() {
    let (lab, authority) = (Lab::new(), Authority::new("kubelets"));
    let kubelet = || Kubelet::start_tls(good("web-1"), server_config(&authority.server()));
    let (moved, misnamed) = (kubelet(), kubelet());
    // In the status of each stands a port at which nothing listens.
    let add = |name: &str, annotations: &[(&str, &str)]| {
        let mut node = Node::new(name, "127.0.0.1", 1);
        node.annotations =
            annotations.iter().map(|(k, v)| (format!("toplet.io/kubelet-{k}"), (*v).into())).collect();
        lab.api.add_node(node);
    };
    let ports = [moved.port(), misnamed.port()].map(|port| port.to_string());
    add("moved", &[("address", "127.0.0.1"), ("port", &ports[0]), ("server-name", "localhost")]);
    add("misnamed", &[("port", &ports[1]), ("server-name", "another.example")]);
    add("bad", &[("address", "127.0.0.1/elsewhere?")]);
    let toplet = over_tls(&lab, &kubelet(), &authority, &["--kubelet-use-node-status-port"]);
    toplet.until(&lab.admin(&toplet), NODES, |body| body.contains("moved"));
    let bad = "node bad: annotation toplet.io/kubelet-address: \"127.0.0.1/elsewhere?\" is not IP addresses";
    for line in ["node misnamed: scrape failed", bad] {
        eventually(line, PATIENCE, || (toplet.logged(line) > 0).then_some(()));
        assert_eq!(toplet.logged(line), 1);
    }
    assert_eq!((misnamed.scrapes(), &**misnamed.authorization.lock().unwrap()), (0, ""));
    assert!(moved.scrapes() > 0);
}

#[test]
fn a_kubelet_of_another_authority_gets_no_request_at_all() {
    let lab = Lab::new();
    let kubelet =
        Kubelet::start_tls(good("web-1"), server_config(&Authority::new("other-authority").server()));
    let toplet = over_tls(&lab, &kubelet, &Authority::new("kubelets"), &[]);
    eventually("the failure is said", PATIENCE, || (toplet.logged("n1") > 0).then_some(()));
    assert_eq!(kubelet.scrapes(), 0);
    assert!(
        !toplet.log().iter().any(|line| line.contains("Bearer") || line.contains("abc")),
        "{:?}",
        toplet.log()
    );
}

#[test]
fn insecure_tls_takes_any_certificate() {
    let lab = Lab::new();
    let kubelet =
        Kubelet::start_tls(good("web-1"), server_config(&Authority::new("other-authority").server()));
    let toplet = over_tls(&lab, &kubelet, &Authority::new("unused"), &["--kubelet-insecure-tls"]);
    toplet.until(&lab.admin(&toplet), PODS, |body| body.contains("web-1"));
}

#[test]
fn a_kubelet_that_restarts_is_found_again() {
    let lab = Lab::new();
    let mut kubelet = Kubelet::start(good("web-1"));
    lab.node("n1", &kubelet, &[("default", "web-1")]);
    let toplet = lab.start(&[]);
    let admin = lab.admin(&toplet);
    let seen = timestamp(&toplet.until(&admin, PODS, |body| body.contains("web-1")));
    kubelet.front.cut();
    kubelet.front.resume();
    toplet.until(&admin, PODS, |body| body.contains("web-1") && timestamp(body) > seen);
}

#[test]
fn names_are_looked_up_without_the_c_library() {
    let program = env!("CARGO_BIN_EXE_toplet");
    let bytes = std::fs::read(program).unwrap();
    let nss = b"nsswitch.conf";
    assert!(!bytes.windows(nss.len()).any(|part| part == nss), "the C library's resolver is linked in");
    // What a lookup opens, where the tool to see it is installed.
    if std::process::Command::new("strace").arg("-V").output().is_err() {
        eprintln!("strace is not installed: only the program's bytes were looked at");
        return;
    }
    let folder = crate::support::toplet::Folder::new();
    let (config, trace) = (folder.path().join("kubeconfig"), folder.path().join("trace"));
    let text = "apiVersion: v1\nkind: Config\ncurrent-context: a\n\
         clusters: [{name: a, cluster: {server: 'https://api.invalid:6443', insecure-skip-tls-verify: true}}]\n\
         users: [{name: a, user: {token: abc}}]\ncontexts: [{name: a, context: {cluster: a, user: a}}]\n";
    std::fs::write(&config, text).unwrap();
    let mut child = std::process::Command::new("strace")
        .args(["-f", "-e", "trace=open,openat,execve", "-o", &trace.display().to_string(), program])
        .args(["--bind-address=127.0.0.1", &format!("--secure-port={}", crate::support::toplet::free_port())])
        .arg(format!("--cert-dir={}", folder.path().join("cert").display()))
        .arg(format!("--kubeconfig={}", config.display()))
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let opened = || std::fs::read_to_string(&trace).unwrap_or_default();
    let seen = eventually("a name is looked up", PATIENCE, || {
        Some(opened()).filter(|text| text.matches("\"/etc/hosts\"").count() > 2)
    });
    // The program itself: strace would leave it running.
    let pid = seen.split_whitespace().next().unwrap_or_default();
    assert!(std::process::Command::new("kill").args(["-KILL", pid]).status().unwrap().success());
    let _ = child.wait();
    let strays: Vec<&str> = seen
        .lines()
        .filter(|line| line.contains(".so") || line.contains("/lib") || line.contains("nss"))
        .collect();
    assert!(strays.is_empty(), "{strays:?}");
}
