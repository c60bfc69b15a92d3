//! Kubelets that fail: all at once, a fifth of a hundred, and with clocks that step.

use super::{Rows, figures, fresh, steady};
use crate::support::certs::{Authority, server_config};
use crate::support::kubelet::{Behaviour, Container, Kubelet, container, exposition};
use crate::support::lab::{Lab, NODES};
use crate::support::toplet::Toplet;
use crate::support::{PATIENCE, eventually, timestamp};
use std::io::Write;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Longer than any request of toplet here.
const LONG: Duration = Duration::from_secs(30);

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
    fault("slow", "answers after 30 s", "no complete answer", |k, _| {
        k.set(Behaviour::Slow(Vec::new(), LONG))
    }),
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
    let others = ["--deprecated-kubelet-completely-insecure", "--kubelet-request-timeout=2s"];
    arguments.retain(|argument| !others.contains(&argument.as_str()));
    // Time for the bytes of the largest body that is read, on a machine that has other things to do.
    arguments.push("--kubelet-request-timeout=8s".into());
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
    let rows = Rows::begin(&toplet);
    for (fault, kubelet) in KUBELET_FAULTS.iter().zip(&mut kubelets) {
        (fault.begin)(kubelet, &authority);
    }
    let began = timestamp(&figures(&client, "healthy").unwrap());
    for fault in &KUBELET_FAULTS {
        if fault.cause == "-" {
            fresh(fault.name, &client, fault.name, &began);
            rows.print(fault.name, fault.what, "no failure", "fresh");
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
        rows.print(fault.name, fault.what, "last good, one line; absent at 0s", &said);
    }
    fresh("while others fail", &client, "healthy", &began);
    fresh("while others fail", &absent, "healthy", &began);
    let seen = timestamp(&figures(&client, "healthy").unwrap());
    for (fault, kubelet) in KUBELET_FAULTS.iter().zip(&mut kubelets) {
        kubelet.set(steady(fault.name));
        restart(kubelet, &authority);
    }
    for fault in &KUBELET_FAULTS {
        fresh("after", &client, fault.name, &seen);
    }
}

/// A fifth of a hundred nodes is slow or down: what the others lose.
#[test]
fn ten_slow_and_ten_dead_nodes_of_a_hundred_cost_the_others_nothing() {
    let lab = Lab::new();
    let containers = |node: &str| -> Vec<Container> {
        vec![container("default", &format!("pod-{node}"), "main", 100, 10)]
    };
    let names: Vec<String> = (0..100).map(|nth| format!("node-{nth:02}")).collect();
    let mut kubelets: Vec<Kubelet> = names.iter().map(|name| Kubelet::start(steady(name))).collect();
    names.iter().zip(&kubelets).for_each(|(name, kubelet)| lab.node(name, kubelet, &[]));
    let toplet = lab.start(&[]);
    let admin = lab.admin(&toplet);
    let served = |body: &str| body.matches("\"usage\"").count();
    toplet.until(&admin, NODES, |body| served(body) == 100);
    let rows = Rows::begin(&toplet);
    for (nth, kubelet) in kubelets.iter_mut().enumerate() {
        match nth % 10 {
            3 => kubelet.set(Behaviour::Slow(containers(&names[nth]), LONG)),
            7 => kubelet.front.cut(),
            _ => {}
        }
    }
    let healthy: Vec<usize> = (0..100).filter(|nth| ![3, 7].contains(&(nth % 10))).collect();
    let begun: Vec<usize> = kubelets.iter().map(Kubelet::scrapes).collect();
    let scraped = |nth: usize| kubelets[nth].scrapes() - begun[nth];
    eventually("three rounds", PATIENCE * 4, || (scraped(0) >= 3).then_some(()));
    let counts: Vec<usize> = healthy.iter().map(|nth| scraped(*nth)).collect();
    let (fewest, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
    let observed = format!("the 80 others were read {fewest} to {most} times in the time of 3 rounds");
    rows.print(
        "slow and dead",
        "10 answer after 30 s, 10 are down",
        "a healthy node misses no round",
        &observed,
    );
    // One is in the round that has just begun.
    assert!(*fewest >= 2, "{counts:?}");
    let body = admin.get(NODES).unwrap().text();
    assert!(healthy.iter().all(|nth| body.contains(&names[*nth])), "{body}");
}

/// What is served of a node's CPU, in nanocores.
fn nanocores(body: &str) -> u64 {
    let text = body.split_once("\"cpu\":\"").unwrap().1;
    text.split('n').next().unwrap().parse().unwrap()
}

#[test]
fn a_kubelets_clock_that_steps_gives_no_wrong_rate() {
    let lab = Lab::new();
    let steps = [("healthy", 0), ("ahead", 3_600), ("behind", -3_600)];
    let kubelets = steps.map(|(name, _)| Kubelet::start(steady(name)));
    steps.iter().zip(&kubelets).for_each(|((name, _), kubelet)| lab.node(name, kubelet, &[]));
    let toplet = lab.start(&[]);
    let client = lab.admin(&toplet);
    let before = steps.map(|(name, _)| {
        fresh("before", &client, name, "");
        timestamp(&figures(&client, name).unwrap())
    });
    let rows = Rows::begin(&toplet);
    steps
        .iter()
        .zip(&kubelets)
        .for_each(|((_, step), kubelet)| kubelet.clock_ahead.store(*step, Ordering::SeqCst));
    for ((name, step), before) in steps.iter().zip(&before) {
        // Every rate on the way is the true one: 350 thousandths of a core.
        let moved = |now: &str| {
            if *step < 0 {
                now < before.as_str()
            } else {
                now > before.as_str() && (*step == 0 || now[11..13] != before[11..13])
            }
        };
        let body = eventually(&format!("{name} goes on in its new time"), PATIENCE * 2, || {
            let body = figures(&client, name)?;
            assert!((300_000_000..400_000_000).contains(&nanocores(&body)), "{name}: {body}");
            moved(&timestamp(&body)).then_some(body)
        });
        let fault = format!("its clock steps by {step} s");
        rows.print(
            name,
            &fault,
            "no rate over the step, the next right",
            &body[body.find("\"timestamp").unwrap()..],
        );
    }
    for (name, step) in steps {
        let said = toplet
            .log()
            .into_iter()
            .filter(|line| line.contains(name) && line.contains("its clock stepped"))
            .count();
        assert_eq!(said, usize::from(step != 0), "{name}: {:?}", toplet.log());
    }
}
