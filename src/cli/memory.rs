//! The memory that a configuration asks for, one line a holder, as `toplet check` prints it.
//!
//! What is reserved is address space: a page counts only once it is used, so a large capacity costs nothing on a small
//! cluster. The sum is the most that these holders can come to, not what they hold.

use super::config::Config;
use crate::access::Mode;
use crate::limits;
use crate::store::Capacity;
use std::fmt::Write;

/// Clusters whose share of the tables is printed: nodes, pods. Two containers a pod.
const CLUSTERS: [(u32, u32); 4] = [(1, 30), (100, 7_000), (1_000, 30_000), (5_000, 100_000)];

/// Holders of memory, and the most bytes each may come to.
#[must_use]
pub fn holders(config: &Config) -> Vec<(&'static str, u64)> {
    let mut holders: Vec<_> = config.capacity.holders().to_vec();
    holders.push(("history", config.capacity.history_bytes(config.history_samples)));
    holders.push(("connections", u64::from(config.max_connections).saturating_mul(limits::CONNECTION_LEN)));
    if config.kubelet_credentials.pins.is_some() {
        holders.push(("pinned keys", u64::from(config.capacity.nodes).saturating_mul(limits::PIN_LEN)));
    }
    let at_once = |count: usize| u64::from(config.capacity.nodes).min(count as u64);
    let scrapes = at_once(limits::SCRAPERS_MAX) * limits::SCRAPE_LEN as u64;
    let large = at_once(limits::LARGE_BATCHES_MAX) * limits::LARGE_BATCH_LEN as u64;
    holders.push(("scrapes under way", scrapes + large));
    holders.push(("large request heads", limits::HEAD_LEN_SHARED as u64));
    if config.policy.mode == Mode::Delegated {
        holders.push(("reviews under way", (limits::REVIEW_BYTES_MAX * limits::REVIEW_COPIES) as u64));
    }
    holders.push(("program, threads, caches", limits::PROGRAM_LEN));
    holders
}

/// Prints the holders and their sum.
pub(super) fn print(out: &mut String, config: &Config) {
    let holders = holders(config);
    let sum: u64 = holders.iter().map(|(_, len)| len).sum();
    // Writing to a String cannot fail.
    let _ = writeln!(out, "memory reserved, which only counts where it is in use (KiB):");
    for (name, len) in holders.into_iter().chain([("in all", sum)]) {
        let _ = writeln!(out, "  {:>9}  {name}", len.div_ceil(1024));
    }
    let _ = writeln!(
        out,
        "of which nodes, pods, samples, history, names and labels of a cluster use at most (KiB):"
    );
    for (nodes, pods) in CLUSTERS {
        if nodes > config.capacity.nodes || pods > config.capacity.pods {
            continue;
        }
        let capacity = Capacity::of(nodes, pods, 2 * pods);
        let tables: u64 = capacity.holders().iter().map(|(_, len)| len).sum();
        let sum = tables + capacity.history_bytes(config.history_samples);
        let plural = if nodes == 1 { "" } else { "s" };
        let _ = writeln!(out, "  {:>9}  {nodes} node{plural}, {pods} pods", sum.div_ceil(1024));
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::{Command, Surroundings, parse};
    use crate::limits;

    fn sum(flags: &[&str]) -> u64 {
        let words = ["toplet", "check"].iter().chain(flags).map(std::ffi::OsString::from);
        let Ok(Command::Check(check)) = parse(words, &Surroundings::default()) else { panic!("not a check") };
        let report = check.report(&|_| unreachable!()).unwrap();
        let line = report.lines().find(|line| line.ends_with("in all")).unwrap();
        line.split_ascii_whitespace().next().unwrap().parse().unwrap()
    }

    #[test]
    fn every_capacity_has_its_price() {
        let base = sum(&[]);
        // 64 bytes of points for each container at least.
        assert!(sum(&["--max-containers=400000"]) >= base + 100_000 * 64 / 1024);
        assert!(sum(&["--max-pods=160000"]) > base);
        assert!(sum(&["--max-nodes=6000"]) > base);
        // 301 rings of 60 and of 120 samples, of 4 bytes each and 8 beside them.
        let one = |history| sum(&["--max-nodes=1", "--max-containers=300", history]);
        assert!((one("--history=15m") - one("--history=0s")).abs_diff(301 * 248 / 1024) <= 1);
        assert!((one("--history=30m") - one("--history=15m")).abs_diff(301 * 240 / 1024) <= 1);
        // No more than the limit for containers.
        assert!(base - sum(&["--history=0s"]) <= (5_000 * 248 + limits::HISTORY_LEN_MAX) / 1024 + 1);
        assert!(sum(&["--max-connections=129"]) > base);
        assert!(
            sum(&["--max-pods=110", "--max-nodes=1", "--max-containers=300", "--max-connections=16"])
                < 9 * 1024
        );
    }
}
