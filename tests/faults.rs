//! The fault matrix: each row breaks one thing, and the rest must not notice; with --nocapture it prints as a table.
//!
//! Every row shows that the healthy node stays fresh and right, that the failing one keeps its last figures within the
//! grace period (and is absent without one), that a log line names it, the cause and a remedy, and that it recovers by
//! itself. A kubelet that hangs, refuses a redirect or restarts in plain HTTP, and watches that end, are in `kubelets`
//! and `cluster_mode`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout
)]

mod support;

use std::io::Write;
use std::time::Duration;
use support::certs::{Authority, server_config};
use support::client::Client;
use support::kubelet::{Behaviour, Kubelet, container, exposition};
use support::lab::{Lab, NODES, PODS};
use support::protobuf::Pod;
use support::toplet::Toplet;
use support::{PATIENCE, eventually, timestamp};

/// What one run may add to the peak of resident memory.
const GROWTH_KIB_MAX: u64 = 3 * 1024;
/// Longer than any request of toplet here.
const LONG: Duration = Duration::from_secs(30);

fn steady(node: &str) -> Behaviour {
    Behaviour::Steady(vec![container("default", &format!("pod-{node}"), "main", 100, 10)])
}

fn figures(client: &Client, node: &str) -> Option<String> {
    let answer = client.get(&format!("{NODES}/{node}")).unwrap();
    (answer.status == 200).then(|| answer.text())
}

/// The node is served with a sample younger than `seen`, and its memory is what its kubelet says.
fn fresh(what: &str, client: &Client, node: &str, seen: &str) {
    eventually(&format!("{what}: {node} is fresh"), PATIENCE * 3, || {
        let body = figures(client, node).filter(|body| timestamp(body).as_str() > seen)?;
        assert!(body.contains("\"memory\":\"522Mi\""), "{what}: {body}");
        Some(())
    });
}

fn row(name: &str, fault: &str, expected: &str, observed: &str) {
    println!("{name:<22} | {fault:<34} | {expected:<30} | {observed}");
}

struct Fault {
    name: &'static str,
    what: &'static str,
    /// Part of the log line; `-` where the node must not fail at all.
    cause: &'static str,
    begin: fn(&mut Kubelet, &Authority),
}

const fn fault(
    name: &'static str,
    what: &'static str,
    cause: &'static str,
    begin: fn(&mut Kubelet, &Authority),
) -> Fault {
    Fault { name, what, cause, begin }
}

/// The head of an answer and the first half of its body.
fn half(head: &str) -> Vec<u8> {
    let body = exposition(&[container("default", "pod", "main", 100, 10)]);
    let half = &body[..body.len() / 2];
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n{head}\r\n{half}",
        body.len()
    )
    .into_bytes()
}

fn truncated_gzip() -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(exposition(&[]).as_bytes()).unwrap();
    let gzip = encoder.finish().unwrap();
    let half = &gzip[..gzip.len() / 2];
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        half.len()
    );
    [head.as_bytes(), half].concat()
}

fn restart(kubelet: &mut Kubelet, authority: &Authority) {
    kubelet.front.cut();
    kubelet.front.resets.store(false, std::sync::atomic::Ordering::SeqCst);
    kubelet.front.set_tls(server_config(&authority.server()));
    kubelet.front.resume();
}

const KUBELET_FAULTS: [Fault; 14] = [
    fault("down", "port closed", "refused", |k, _| k.front.cut()),
    fault("slow", "answers after 30 s", "no complete answer", |k, _| k.set(Behaviour::Silence)),
    fault("hung", "hangs in the body", "no complete answer", |k, _| k.set(Behaviour::Raw(half(""), LONG))),
    fault("reset", "connections are reset", "closed before the answer", |k, _| {
        k.front.cut();
        k.front.resets.store(true, std::sync::atomic::Ordering::SeqCst);
        k.front.resume();
    }),
    fault("wrong-certificate", "another authority", "unknown authority", |k, _| {
        restart(k, &Authority::new("others"))
    }),
    fault("changed-key", "new key, same authority", "-", restart),
    fault("token-rotated", "401", "401", |k, _| k.set(Behaviour::Status(401))),
    fault("forbidden", "403", "403", |k, _| k.set(Behaviour::Status(403))),
    fault("not-found", "404", "404", |k, _| k.set(Behaviour::Status(404))),
    fault("error", "500", "500", |k, _| k.set(Behaviour::Status(500))),
    fault("garbage", "a body of other bytes", "no sample of a node", |k, _| {
        k.set(Behaviour::Body(b"\x00\xff{}{}\n\"".repeat(5_000)))
    }),
    fault("large", "100 MB", "larger than", |k, _| k.set(Behaviour::Endless(100 << 20))),
    fault("gzip-cut", "half of a gzip body", "cannot be inflated", |k, _| {
        k.set(Behaviour::Raw(truncated_gzip(), Duration::ZERO))
    }),
    fault("redirect", "302 elsewhere", "redirect", |k, _| {
        k.set(Behaviour::Redirect("http://127.0.0.1:9/".into()))
    }),
];

fn arguments(lab: &Lab, authority: &Authority) -> Vec<String> {
    let ca = lab.folder.path().join("kubelet-ca.crt");
    std::fs::write(&ca, &authority.pem).unwrap();
    let mut arguments = lab.arguments();
    arguments.retain(|argument| argument != "--deprecated-kubelet-completely-insecure");
    arguments.push(format!("--kubelet-certificate-authority={}", ca.display()));
    arguments
}

#[test]
fn faults_of_kubelets() {
    let (lab, authority) = (Lab::new(), Authority::new("kubelets"));
    let start = |node: &str| Kubelet::start_tls(steady(node), server_config(&authority.server()));
    let healthy = start("healthy");
    let mut kubelets: Vec<Kubelet> = KUBELET_FAULTS.iter().map(|fault| start(fault.name)).collect();
    let nodes = std::iter::once(("healthy", &healthy));
    for (name, kubelet) in nodes.chain(KUBELET_FAULTS.iter().map(|fault| fault.name).zip(&kubelets)) {
        lab.node(name, kubelet, &[("default", &format!("pod-{name}"))]);
    }
    let common = arguments(&lab, &authority);
    let start = |grace: &str| {
        let all: Vec<&str> = common.iter().map(String::as_str).chain([grace]).collect();
        Toplet::start(&lab.folder, &all)
    };
    let (toplet, strict) = (start("--grace-period=10m"), start("--grace-period=0s"));
    let (client, absent) = (lab.admin(&toplet), lab.admin(&strict));
    for fault in &KUBELET_FAULTS {
        fresh("before", &client, fault.name, "");
        fresh("before", &absent, fault.name, "");
    }
    toplet.forget_peak();
    let peak = toplet.status_kib("VmHWM");
    for (fault, kubelet) in KUBELET_FAULTS.iter().zip(&mut kubelets) {
        (fault.begin)(kubelet, &authority);
    }
    let began = timestamp(&figures(&client, "healthy").unwrap());
    for fault in &KUBELET_FAULTS {
        if fault.cause == "-" {
            fresh(fault.name, &client, fault.name, &began);
            row(fault.name, fault.what, "no failure", "fresh");
            continue;
        }
        let said = eventually(&format!("{} is said", fault.name), PATIENCE, || {
            let named = format!("\"{}\"", fault.name);
            toplet
                .log()
                .into_iter()
                .find(|line| line.contains(&named) || line.contains(&format!(" {}", fault.name)))
        });
        assert!(
            said.contains(fault.cause) && said.contains("; "),
            "{}: cause and remedy: {said}",
            fault.name
        );
        eventually(&format!("{} is absent without grace", fault.name), PATIENCE, || {
            figures(&absent, fault.name).is_none().then_some(())
        });
        let kept =
            figures(&client, fault.name).unwrap_or_else(|| panic!("{} lost its last figures", fault.name));
        assert!(kept.contains("\"memory\":\"522Mi\""), "{}: {kept}", fault.name);
        row(fault.name, fault.what, "last good, one line; absent at 0s", &said);
    }
    fresh("while others fail", &client, "healthy", &began);
    fresh("while others fail", &absent, "healthy", &began);
    let growth = toplet.status_kib("VmHWM").saturating_sub(peak);
    row("memory", "all at once", "at most 3 MiB over the peak before", &format!("{growth} KiB"));
    assert!(growth < GROWTH_KIB_MAX, "{growth} KiB");
    let seen = timestamp(&figures(&client, "healthy").unwrap());
    for (fault, kubelet) in KUBELET_FAULTS.iter().zip(&mut kubelets) {
        kubelet.set(steady(fault.name));
        restart(kubelet, &authority);
    }
    for fault in &KUBELET_FAULTS {
        fresh("after", &client, fault.name, &seen);
    }
}

/// One fault of the API server: its name, how it begins, and how it ends.
type ApiFault = (&'static str, fn(&mut Lab), fn(&mut Lab));

const API_FAULTS: [ApiFault; 5] = [
    ("429", |lab| fail(lab, 429), heal),
    ("500", |lab| fail(lab, 500), heal),
    ("lists cut in the middle", cut_lists, heal),
    ("down for a while", |lab| lab.api.front.cut(), |lab| lab.api.front.resume()),
    ("restored backup", restore, |lab| lab.api.front.resume()),
];

fn fail(lab: &mut Lab, status: u16) {
    lab.api.world().failure = Some(status);
    lab.api.end_watches(Some(410));
}

fn cut_lists(lab: &mut Lab) {
    lab.api.world().cuts_lists = true;
    lab.api.end_watches(Some(410));
}

/// Comes back with versions from before those that toplet knows.
fn restore(lab: &mut Lab) {
    lab.api.front.cut();
    lab.api.restore(10);
}

fn heal(lab: &mut Lab) {
    let mut world = lab.api.world();
    (world.failure, world.cuts_lists) = (None, false);
}

#[test]
fn faults_of_the_api_server() {
    std::thread::scope(|scope| {
        let rows: Vec<_> = API_FAULTS.iter().map(|fault| scope.spawn(|| api_fault(fault))).collect();
        rows.into_iter().for_each(|row| row.join().unwrap());
    });
}

fn api_fault(&(name, begin, end): &ApiFault) {
    const PODS_COUNT: usize = 7_000;
    let mut lab = Lab::new();
    let containers =
        [("pod-n1", 9), ("new", 1)].map(|(pod, size)| container("default", pod, "main", 100, size));
    let kubelet = Kubelet::start(Behaviour::Steady(containers.into()));
    (0..PODS_COUNT).for_each(|nth| lab.api.add_pod(Pod::new("default", &format!("web-{nth}"))));
    lab.node("n1", &kubelet, &[("default", "pod-n1")]);
    let toplet = lab.start(&[]);
    let client = lab.admin(&toplet);
    toplet.until(&client, PODS, |body| body.contains("pod-n1"));
    toplet.forget_peak();
    let (peak, lines, asked) = (toplet.status_kib("VmHWM"), toplet.log().len(), lab.api.world().seen.len());
    let seen = timestamp(&figures(&client, "n1").unwrap());
    begin(&mut lab);
    let said = eventually(&format!("{name} is said"), PATIENCE, || {
        toplet
            .log()
            .split_off(lines)
            .into_iter()
            .find(|line| line.contains("API server") && line.contains("; "))
    });
    fresh(name, &client, "n1", &seen);
    assert!(client.get(PODS).unwrap().text().contains("pod-n1"), "{name}: a pod is lost");
    end(&mut lab);
    lab.api.add_pod(Pod::new("default", "new"));
    let up_to_date = |body: &str| body.contains("\"new\"") && body.contains("pod-n1");
    eventually(&format!("{name}: up to date"), PATIENCE * 3, || {
        up_to_date(&client.get(PODS).unwrap().text()).then_some(())
    });
    let (growth, asked) =
        (toplet.status_kib("VmHWM").saturating_sub(peak), lab.api.world().seen.len() - asked);
    row(
        name,
        "API server",
        "nothing lost, then up to date",
        &format!("{growth} KiB, {asked} requests: {said}"),
    );
    assert!(growth < GROWTH_KIB_MAX && asked < 60, "{name}: {growth} KiB, {asked} requests");
}

/// Starts toplet with this directory for its state, and waits for figures; gives the scrapes that it took.
fn served_from(lab: &Lab, kubelet: &Kubelet, state: &std::path::Path) -> (Toplet, usize) {
    let before = kubelet.scrapes();
    let toplet = lab.start(&[&format!("--state-dir={}", state.display())]);
    toplet.until(&lab.admin(&toplet), PODS, |body| body.contains("pod-n1"));
    (toplet, kubelet.scrapes() - before)
}

#[test]
fn faults_of_our_own_process() {
    let (lab, kubelet) = (Lab::new(), Kubelet::start(steady("n1")));
    lab.node("n1", &kubelet, &[("default", "pod-n1")]);
    let state = lab.folder.path().join("state");
    std::fs::create_dir_all(&state).unwrap();
    let (mut toplet, scrapes) = served_from(&lab, &kubelet, &state);
    assert!(scrapes >= 2, "without a state two samples make a rate");
    toplet.signal("TERM");
    assert!(toplet.wait().success());
    for (name, signal) in [("restart", "KILL"), ("restart after SIGKILL", "TERM")] {
        let (mut toplet, scrapes) = served_from(&lab, &kubelet, &state);
        assert_eq!(scrapes, 1, "{name}: the first scrape has its rate");
        row(name, "the process ends", "rates with the first scrape", &format!("{scrapes} scrape"));
        toplet.signal(signal);
        toplet.wait();
    }
    full_disk(&lab, &kubelet);
}

/// A state directory without room costs a line and nothing else.
fn full_disk(lab: &Lab, kubelet: &Kubelet) {
    let disk = lab.folder.path().join("disk");
    std::fs::create_dir_all(&disk).unwrap();
    let mount = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=16k", "none"])
        .arg(&disk)
        .stderr(std::process::Stdio::null())
        .status();
    if !mount.is_ok_and(|status| status.success()) {
        println!("SKIPPED: a full disk, since no tmpfs can be mounted here (not root)");
        return;
    }
    let _ = std::fs::write(disk.join("filler"), vec![0; 64 * 1024]);
    let (mut toplet, _) = served_from(lab, kubelet, &disk);
    toplet.signal("TERM");
    let ended = toplet.wait();
    let said = toplet.log().into_iter().find(|line| line.contains("No space left"));
    let unmounted = std::process::Command::new("umount").arg(&disk).status();
    assert!(ended.success() && unmounted.unwrap().success());
    let said = said.unwrap_or_else(|| panic!("the full disk is not said: {:?}", toplet.log()));
    row("full disk", "state directory", "served; one line", &said);
}
