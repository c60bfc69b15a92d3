//! Our own process: its end, its limits, its disk and its clock.

use super::wall_clock::WallClock;
use super::{Rows, figures, fresh, steady};
use crate::support::kubelet::{Behaviour, Kubelet, container};
use crate::support::lab::{Lab, PODS};
use crate::support::toplet::{Folder, Toplet};
use crate::support::{PATIENCE, eventually, timestamp};
use std::net::TcpStream;

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
        let rows = Rows::begin(&toplet);
        rows.print(name, "the process ends", "rates with the first scrape", &format!("{scrapes} scrape"));
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
    let rows = Rows::begin(&toplet);
    toplet.signal("TERM");
    let ended = toplet.wait();
    let said = eventually("the full disk is said", PATIENCE, || {
        toplet.log().into_iter().find(|line| line.contains("No space left"))
    });
    let unmounted = std::process::Command::new("umount").arg(&disk).status();
    assert!(ended.success() && unmounted.unwrap().success());
    rows.print("full disk", "state directory", "served; one line", &said);
}

/// Address space for tables is asked for before anything else is done.
#[test]
fn too_little_memory_is_refused_at_the_start() {
    let folder = Folder::new();
    let large = ["--max-containers=4000000", "--max-pods=2000000"];
    let mut toplet = Toplet::spawn_limited(&folder, "-v 500000", &large);
    let code = toplet.wait().code();
    let said = eventually("it says why", PATIENCE, || {
        toplet.log().into_iter().find(|line| line.contains("cannot be had"))
    });
    println!("memory limit at start  | ulimit -v 500000: {said}");
    assert!(
        code == Some(1) && said.contains("--max-containers") && said.contains("ulimit -v"),
        "{code:?}: {said}"
    );
    // Whatever the limit is, it serves or says why not; below 40 MB the shell itself may not start the program.
    for mebibytes in (40..=160).step_by(20) {
        let mut toplet = Toplet::spawn_limited(&folder, &format!("-v {}", mebibytes * 1024), &[]);
        let ended = eventually("it serves or ends", PATIENCE, || match toplet.running() {
            false => Some(toplet.wait().code()),
            true => (toplet.logged("serving the Metrics API") > 0).then_some(Some(0)),
        });
        assert!(matches!(ended, Some(0 | 1)), "{mebibytes} MiB: {ended:?} {:?}", toplet.log());
        if ended == Some(1) {
            eventually("it says why", PATIENCE, || (toplet.logged("cannot be had") == 1).then_some(()));
        }
    }
}

#[test]
fn pods_beyond_the_table_are_refused_and_come_when_there_is_room() {
    let lab = Lab::new();
    let pods: Vec<String> = (0..6).map(|nth| format!("web-{nth}")).collect();
    let kubelet = Kubelet::start(Behaviour::Steady(
        pods.iter().map(|pod| container("default", pod, "main", 100, 10)).collect(),
    ));
    let listed: Vec<(&str, &str)> = pods.iter().map(|pod| ("default", pod.as_str())).collect();
    lab.node("n1", &kubelet, &listed);
    let toplet = lab.start(&["--max-pods=4"]);
    let (client, rows) = (lab.admin(&toplet), Rows::begin(&toplet));
    let served = |body: &str| body.matches("\"usage\"").count();
    toplet.until(&client, PODS, |body| served(body) == 4);
    let said = toplet.log().into_iter().filter(|line| line.contains("--max-pods")).collect::<Vec<_>>();
    assert!(!said.is_empty() && said.len() <= 2, "{said:?}");
    let body = client.get(PODS).unwrap().text();
    let (first, rest): (Vec<_>, Vec<_>) = pods.iter().partition(|pod| body.contains(pod.as_str()));
    // The kubelet goes on reporting them: what is listed comes first.
    first[..2].iter().for_each(|pod| lab.api.remove_pod("default", pod));
    eventually("the others have their room", PATIENCE * 3, || {
        let body = client.get(PODS).unwrap().text();
        (served(&body) == 4 && rest.iter().all(|pod| body.contains(pod.as_str()))).then_some(())
    });
    rows.print("table full", "6 pods, --max-pods=4", "4 served, the flag named, then the rest", &said[0]);
}

/// More clients than there are file descriptors: who is served is served, and nodes are read on.
#[test]
fn used_up_file_descriptors_stop_neither_scrapes_nor_probes() {
    let lab = Lab::new();
    let kubelets = ["a", "b"].map(|name| Kubelet::start(steady(name)));
    ["a", "b"].iter().zip(&kubelets).for_each(|(name, kubelet)| lab.node(name, kubelet, &[]));
    let arguments = lab.arguments();
    let all: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut toplet = Toplet::spawn_limited(&lab.folder, "-n 96", &all);
    toplet.until_serving();
    let client = lab.admin(&toplet);
    ["a", "b"].iter().for_each(|name| fresh("before", &client, name, ""));
    let seen = timestamp(&figures(&client, "a").unwrap());
    let rows = Rows::begin(&toplet);
    // Some say nothing, some stop in their request, some have been served.
    let silent: Vec<_> = (0..200).map(|_| TcpStream::connect(("127.0.0.1", toplet.port)).unwrap()).collect();
    let mut open: Vec<_> = (0..60).filter_map(|_| client.connect().ok()).collect();
    for (nth, connection) in open.iter_mut().enumerate() {
        let whole = client.head("GET", "/livez", &[]);
        let _ = connection.send(if nth % 2 == 0 { &whole } else { &whole[..10] });
    }
    // Kubelets that were restarted need sockets of their own.
    let [mut a, b] = kubelets;
    a.front.cut();
    a.front.resume();
    let most = toplet.open_files();
    eventually("a probe is answered", PATIENCE, || {
        (toplet.client().get("/livez").ok()?.status == 200).then_some(())
    });
    let before = (a.scrapes(), b.scrapes());
    eventually("both are read on", PATIENCE * 3, || {
        (a.scrapes() > before.0 + 1 && b.scrapes() > before.1 + 1).then_some(())
    });
    drop((silent, open));
    fresh("afterwards", &client, "a", &seen);
    rows.print(
        "file descriptors",
        "ulimit -n 96, 260 connections",
        "scrapes and probes go on",
        &format!("{most} open files"),
    );
    assert!(most <= 96);
}

/// A program that serves node n1, its kubelet, and its clock; `None` where that cannot be reached.
fn clocked() -> Option<(Lab, Kubelet, Toplet, WallClock)> {
    let (lab, kubelet) = (Lab::new(), Kubelet::start(steady("n1")));
    lab.node("n1", &kubelet, &[("default", "pod-n1")]);
    let toplet = lab.start(&[]);
    fresh("before", &lab.admin(&toplet), "n1", "");
    let clock = WallClock::of(&toplet);
    if clock.is_none() {
        println!("SKIPPED: our own clock steps, since the program's clock cannot be reached here");
    }
    Some((lab, kubelet, toplet, clock?))
}

/// Our own wall clock steps by so many seconds while the kubelets' stay.
fn step_changes_neither_pace_nor_rates(step: i32) {
    let Some((lab, kubelet, toplet, clock)) = clocked() else { return };
    let (client, rows) = (lab.admin(&toplet), Rows::begin(&toplet));
    let (lines, scrapes) = (toplet.log().len(), kubelet.scrapes());
    clock.step(step);
    let seen = timestamp(&figures(&client, "n1").unwrap());
    let mut looks = 0;
    eventually("two more scrapes", PATIENCE * 2, || {
        let body = figures(&client, "n1").expect("it is served all the while");
        assert!(body.contains("\"memory\":\"522Mi\"") && body.contains("\"cpu\":\"3"), "{body}");
        looks += 1;
        (timestamp(&body) > seen && kubelet.scrapes() >= scrapes + 2).then_some(())
    });
    let said = toplet.log().split_off(lines);
    let observed = format!("{looks} looks in 2 scrapes, said: {said:?}");
    rows.print("own clock", &format!("{step} s"), "served with the same times and pace", &observed);
    assert!(!said.iter().any(|line| line.contains("n1")), "{said:?}");
}

#[test]
fn our_own_clock_an_hour_ahead_changes_neither_pace_nor_rates() {
    step_changes_neither_pace_nor_rates(3_600);
}

#[test]
fn our_own_clock_an_hour_behind_changes_neither_pace_nor_rates() {
    step_changes_neither_pace_nor_rates(-3_600);
}

/// As on a board without a battery, which learns the time some while after its start. Nobody's certificate is valid before
/// that.
#[test]
fn our_own_clock_that_begins_in_1976_costs_nothing_once_it_is_set() {
    let Some((lab, kubelet, toplet, clock)) = clocked() else { return };
    let (client, rows) = (lab.admin(&toplet), Rows::begin(&toplet));
    clock.step(-50 * 365 * 86_400);
    let scrapes = kubelet.scrapes();
    eventually("it is read in 1976 too", PATIENCE * 2, || (kubelet.scrapes() >= scrapes + 2).then_some(()));
    clock.step(0);
    let body = figures(&client, "n1").expect("it is served at once");
    assert!(body.contains("\"cpu\":\"3"), "{body}");
    let observed = &body[body.find("\"timestamp").unwrap()..];
    rows.print("own clock", "from 1976 to now", "served with the first look", observed);
}
