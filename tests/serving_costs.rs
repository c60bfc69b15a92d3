//! What connections and requests cost the real binary, in bytes and system calls; each figure is printed.

use crate::support::certs::{Authority, server_config};
use crate::support::client::{Client, Connection};
use crate::support::kubelet::{Behaviour, Kubelet, container, exposition};
use crate::support::lab::{Lab, PODS};
use crate::support::protobuf::{Node, Pod};
use crate::support::toplet::{Folder, Toplet, reserved};
use crate::support::{PATIENCE, eventually};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Fewer than the places that one peer may have.
const CONNECTION_COUNT: u64 = 64;

fn served(client: &Client) -> Connection {
    let mut connection = client.connect().unwrap();
    connection.send(&client.head("GET", "/livez", &[])).unwrap();
    assert_eq!(connection.read_answer("GET").unwrap().status, 200);
    connection
}

#[test]
fn a_connection_at_rest_costs_at_most_16_kib() {
    let leaf = Authority::new("clients").client("front-proxy-client", &[]);
    for (name, leaf) in [("no certificate", None), ("a client certificate", Some(&leaf))] {
        let folder = Folder::new();
        let toplet = Toplet::start(&folder, &[]);
        let client = leaf.map_or(toplet.client(), |leaf| Client::with_cert(toplet.port, leaf));
        // What the first ones need of the heap is there when the others come.
        let _warm: Vec<_> = (0..8).map(|_| served(&client)).collect();
        let before = toplet.status_kib("RssAnon");
        let _held: Vec<_> = (0..CONNECTION_COUNT).map(|_| served(&client)).collect();
        let len = (toplet.status_kib("RssAnon") - before) * 1024 / CONNECTION_COUNT;
        println!("a connection at rest with {name}: {len} bytes");
        assert!((1..=16 * 1024).contains(&len), "{len}");
    }
}

#[test]
fn a_silent_connection_costs_at_most_2_kib() {
    let folder = Folder::new();
    let toplet = Toplet::start(&folder, &[]);
    served(&toplet.client());
    let before = toplet.status_kib("RssAnon");
    let silent: Vec<_> =
        (0..1_000).map(|_| TcpStream::connect(("127.0.0.1", toplet.port)).unwrap()).collect();
    eventually("they are accepted", PATIENCE, || (toplet.open_files() > 1_000).then_some(()));
    let len = (toplet.status_kib("RssAnon") - before) * 1024 / 1_000;
    println!("a connection that has not sent a byte: {len} bytes");
    assert!(len <= 2 * 1024, "{len}");
    drop(silent);
}

#[test]
fn connections_of_one_client_are_resumed() {
    let folder = Folder::new();
    let toplet = Toplet::start(&folder, &[]);
    let authority = Authority::new("clients");
    let leaf = authority.client("front-proxy-client", &[]);
    let (shared, mut costs) = (Client::with_cert(toplet.port, &leaf), [0; 2]);
    served(&shared);
    for nth in 0..40 {
        let resumes = nth % 2 == 1;
        let fresh = Client::with_cert(toplet.port, &leaf);
        let before = toplet.serving_nanos();
        let connection = served(if resumes { &shared } else { &fresh });
        assert_eq!(connection.resumed(), resumes, "connection {nth}");
        costs[usize::from(resumes)] += toplet.serving_nanos() - before;
    }
    let [full, resumed] = costs.map(|nanos| nanos / 20 / 1_000);
    println!("a new connection with a client certificate: {full} us of CPU, resumed {resumed} us");
}

/// System calls of a thread of `toplet`, traced from its first one on until dropped or [`Trace::end`].
struct Trace {
    strace: Child,
    file: PathBuf,
}

impl Trace {
    /// `None` where strace is not installed.
    fn begin(folder: &Folder, thread: u32) -> Option<Trace> {
        if Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_err() {
            println!("SKIPPED: strace is not installed, so system calls cannot be counted");
            return None;
        }
        let file = folder.path().join("trace");
        let strace = Command::new("strace")
            .args(["-p", &thread.to_string(), "-o", file.to_str().unwrap()])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Some(Trace { strace, file })
    }

    fn lines(&self) -> Vec<String> {
        std::fs::read_to_string(&self.file).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// Everything that was traced: it is written with a buffer, and whole once strace has ended.
    fn end(mut self) -> Vec<String> {
        let kill = Command::new("kill").args(["-INT", &self.strace.id().to_string()]).status();
        assert!(kill.unwrap().success());
        self.strace.wait().unwrap();
        self.lines()
    }
}

#[test]
fn a_request_on_a_kept_connection_takes_few_system_calls() {
    const REQUEST_COUNT: usize = 200;
    let folder = Folder::new();
    let toplet = Toplet::start(&folder, &[]);
    let client = toplet.client();
    let mut connection = served(&client);
    // The main thread is the one that serves.
    let Some(trace) = Trace::begin(&folder, toplet.pid()) else { return };
    let mut asked = 0;
    let mut ask = || {
        asked += 1;
        connection.send(&client.head("GET", "/livez", &[])).unwrap();
        assert_eq!(connection.read_answer("GET").unwrap().status, 200);
    };
    eventually("it is traced", PATIENCE, || {
        ask();
        (!trace.lines().is_empty()).then_some(())
    });
    (0..REQUEST_COUNT).for_each(|_| ask());
    // Written with a buffer, so that where the trace stood when these began is unknown: all requests are counted.
    let count = trace.end().len();
    println!("{count} system calls for {asked} requests");
    assert!(count <= asked * 7, "{count} for {asked}");
}

#[test]
fn a_scrape_on_a_kept_connection_takes_few_system_calls() {
    /// What TLS carries in a record.
    const RECORD_LEN: usize = 16 * 1024;
    let containers: Vec<_> =
        (0..400).map(|i| container("default", &format!("web-{i}"), "main", 100, 10)).collect();
    let body_len = exposition(&containers).len();
    let authority = Authority::new("kubelets");
    let tls = server_config(&authority.server());
    let kubelet = Kubelet::start_tls(Behaviour::Steady(containers), tls);
    let lab = Lab::new();
    lab.api.add_node(Node::new("n1", "127.0.0.1", kubelet.port()));
    let mut arguments = lab.arguments();
    arguments.retain(|word| word != "--deprecated-kubelet-completely-insecure");
    arguments.push("--kubelet-insecure-tls".into());
    let toplet = Toplet::start(&lab.folder, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let scrapes = || kubelet.scrapes.load(Ordering::Relaxed);
    eventually("it is scraped", PATIENCE, || (scrapes() > 0).then_some(()));
    let Some(trace) = Trace::begin(&lab.folder, toplet.thread("poller")) else { return };
    let begin = scrapes();
    eventually("it is scraped twice more", PATIENCE, || (scrapes() >= begin + 2).then_some(()));
    // The end of the last answer.
    std::thread::sleep(Duration::from_millis(500));
    let count = scrapes() - begin;
    let lines = trace.end();
    let of =
        |names: &[&str]| lines.iter().filter(|line| names.iter().any(|name| line.starts_with(name))).count();
    let (writes, reads) = (of(&["write(", "send", "writev("]), of(&["read(", "recv", "readv("]));
    println!(
        "{count} scrapes of {body_len} bytes: {writes} writes, {reads} reads, {} system calls in all",
        lines.len()
    );
    assert!(writes <= count, "{writes} writes");
    // One for each record, and a second one for a record that had not arrived whole.
    assert!(reads <= count * (2 * body_len.div_ceil(RECORD_LEN) + 2), "{reads} reads");
    assert!(lines.len() <= 2 * reads + 12 * count, "{} in all:\n{}", lines.len(), lines.join("\n"));
}

/// One node whose kubelet fills the tables, asked for every list at once: what is in use stays within what the limits add up to.
#[test]
fn a_full_table_stays_within_the_sum_of_the_limits() {
    const PODS_COUNT: usize = 3_000;
    let name = |nth: usize| format!("web-{nth:04}-5fddb4c866");
    let containers: Vec<_> = (0..PODS_COUNT)
        .flat_map(|nth| {
            ["main", "sidecar"]
                .map(|container_name| container("default", &name(nth), container_name, 100, 10))
        })
        .collect();
    let lab = Lab::new();
    let kubelet = Kubelet::start(Behaviour::Steady(containers));
    (0..PODS_COUNT).for_each(|nth| lab.api.add_pod(Pod::new("default", &name(nth))));
    lab.node("n1", &kubelet, &[]);
    let mut arguments = lab.arguments();
    let full = [
        "--max-nodes=1".into(),
        "--max-connections=64".into(),
        format!("--max-pods={PODS_COUNT}"),
        format!("--max-containers={}", 2 * PODS_COUNT),
    ];
    arguments.extend(full);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let reserved = reserved(&arguments);
    let toplet = Toplet::start(&lab.folder, &arguments);
    let admin = lab.admin(&toplet);
    let last = format!("/apis/metrics.k8s.io/v1beta1/namespaces/default/pods/{}", name(PODS_COUNT - 1));
    eventually("the last pod is served", PATIENCE, || (admin.get(&last).ok()?.status == 200).then_some(()));
    let rest = toplet.status_kib("RssAnon");
    toplet.forget_peak();
    std::thread::scope(|scope| {
        for accept in
            ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"].repeat(2)
        {
            let admin = &admin;
            scope.spawn(move || {
                let answer = admin.request("GET", PODS, &[("Accept", accept)]).unwrap();
                assert_eq!(answer.status, 200);
                assert!(answer.body.len() > 100 * PODS_COUNT, "{} bytes of {accept}", answer.body.len());
            });
        }
    });
    // Of code that was brought into memory a debug build has more than the sum says.
    let code = toplet.status_kib("RssFile").saturating_sub(::toplet::limits::PROGRAM_LEN / 1024);
    let (peak, sum) = (toplet.status_kib("VmHWM"), reserved["in all"] + code);
    let table = ["nodes", "pods", "container samples", "names and labels"].map(|holder| reserved[holder]);
    let table: u64 = table.iter().sum();
    println!(
        "full tables: {table} KiB reserved for them, {rest} KiB of its own at rest, at the peak of all {peak} KiB of {sum}"
    );
    assert!(peak <= sum, "{peak} KiB of {sum}");
    // Else they were not full, or far more is reserved than they can use.
    assert!(rest >= table / 8, "{rest} KiB of {table}");
}
