//! The fault matrix: each row breaks one thing, and the rest must not notice; with --nocapture it prints as a table of name,
//! fault, what is expected and what was observed, time, and memory.
//!
//! Every row shows that what is healthy stays fresh and right, that a failing node keeps its last figures within the
//! grace period (and is absent without one), that a log line names it, the cause and a remedy, and that it recovers by
//! itself. Kubelets that speak plain HTTP after a restart or share an address, and watches that end, are in `kubelets` and
//! `cluster_mode`.

mod api_server;
mod kubelets;
mod process;
mod wall_clock;

use crate::support::client::Client;
use crate::support::kubelet::{Behaviour, container};
use crate::support::lab::NODES;
use crate::support::toplet::{MemoryWatch, Toplet};
use crate::support::{PATIENCE, eventually, timestamp};
use std::time::{Duration, Instant};

/// What one run may add to the peak of the program's own memory.
const GROWTH_KIB_MAX: u64 = 1024;

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

/// Rows of the table for one run of the program, with time and memory from its begin on.
struct Rows {
    begin: Instant,
    memory: MemoryWatch,
}

impl Rows {
    fn begin(toplet: &Toplet) -> Rows {
        Rows { begin: Instant::now(), memory: toplet.watch_memory() }
    }

    fn print(&self, name: &str, fault: &str, expected: &str, observed: &str) {
        let (took, growth): (Duration, u64) = (self.begin.elapsed(), self.memory.growth_kib());
        println!("{name:<22} | {fault:<34} | {expected:<34} | {took:>5.1?} | {growth:>5} KiB | {observed}");
        assert!(growth < GROWTH_KIB_MAX, "{name}: {growth} KiB");
    }
}
