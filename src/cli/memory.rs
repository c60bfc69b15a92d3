//! The memory that a configuration asks for, one line a holder, as `toplet check` prints it.
//!
//! What is reserved is address space: a page counts only once it is used, so a large capacity costs nothing on a small
//! cluster. The sum is the most the program can come to hold, not what it holds.

use super::config::Config;
use crate::limits;
use std::fmt::Write;

/// Bytes by holder, the largest amounts they may come to.
#[must_use]
pub fn holders(config: &Config) -> Vec<(&'static str, u64)> {
    let capacity = config.capacity;
    vec![
        ("nodes", u64::from(capacity.nodes) * limits::NODE_LEN),
        ("pods", u64::from(capacity.pods) * limits::POD_LEN),
        ("containers", u64::from(capacity.containers) * limits::CONTAINER_LEN),
        ("names and labels", u64::from(capacity.text_len)),
        ("connections", u64::from(config.max_connections) * limits::CONNECTION_LEN),
        ("program and threads", limits::PROGRAM_LEN),
    ]
}

/// Prints the holders and their sum.
pub fn print(out: &mut String, config: &Config) {
    let _ = writeln!(out, "memory at most (used pages only; KiB):");
    let mut sum = 0;
    for (name, len) in holders(config) {
        sum += len;
        let _ = writeln!(out, "  {:>9}  {name}", len.div_ceil(1024));
    }
    let _ = writeln!(out, "  {:>9}  in all", sum.div_ceil(1024));
}
