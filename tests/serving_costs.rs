//! What connections and requests cost the real binary, in bytes and system calls; each figure is printed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use std::net::TcpStream;
use std::process::{Command, Stdio};
use support::certs::Authority;
use support::client::{Client, Connection};
use support::toplet::{Folder, Toplet};
use support::{PATIENCE, eventually};

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

#[test]
fn a_request_on_a_kept_connection_takes_few_system_calls() {
    const REQUEST_COUNT: usize = 200;
    if Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_err() {
        println!("SKIPPED: strace is not installed, so system calls cannot be counted");
        return;
    }
    let folder = Folder::new();
    let toplet = Toplet::start(&folder, &[]);
    let client = toplet.client();
    let mut connection = served(&client);
    let trace = folder.path().join("trace");
    // The main thread alone: it is the one that serves.
    let mut strace = Command::new("strace")
        .args(["-p", &toplet.pid().to_string(), "-o", trace.to_str().unwrap()])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = || std::fs::read_to_string(&trace).unwrap_or_default().lines().count();
    let mut ask = || {
        connection.send(&client.head("GET", "/livez", &[])).unwrap();
        assert_eq!(connection.read_answer("GET").unwrap().status, 200);
    };
    eventually("it is traced", PATIENCE, || {
        ask();
        (lines() > 0).then_some(())
    });
    let before = lines();
    (0..REQUEST_COUNT).for_each(|_| ask());
    // The trace is written with a buffer; it is whole once strace has ended.
    assert!(Command::new("kill").args(["-INT", &strace.id().to_string()]).status().unwrap().success());
    strace.wait().unwrap();
    let count = lines() - before;
    println!("{count} system calls for {REQUEST_COUNT} requests");
    assert!(count <= REQUEST_COUNT * 7, "{count}");
}
