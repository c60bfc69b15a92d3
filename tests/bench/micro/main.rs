//! Micro-benchmarks of the inner loops, beside other crates on the same values: one table in Markdown.
//!
//!   micro [--instructions] [FILTER]      operations whose name has FILTER in it; all by default
//!   micro --once NUMBER                  one operation, once: what callgrind watches
//!
//! No harness of a crate: divan and criterion print times of functions, and what is asked for here is bytes a cycle and how
//! far that is from copying memory, and instructions of the same operations in the same program.
//! Everything allocates from the program's own heap, as whatever is compiled into it would.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods
)]

mod crates_json;
mod crates_protobuf;
mod decode;
mod encode;
mod instructions;
mod lookups;
mod measure;
mod names;
mod request;
mod world;

use measure::{Machine, Work};
use std::process::ExitCode;
// Files of the table that are compiled here once more name their neighbours as the table does.
#[allow(unused_imports)]
use toplet::*;

/// What is measured: a group, who does it, what is counted beside bytes, and how to prepare it.
pub struct Operation {
    /// Same input, same output.
    pub group: &'static str,
    /// `toplet`, or the crate beside it.
    pub by: &'static str,
    /// What the work consists of.
    pub item: &'static str,
    /// Builds what is needed.
    pub make: fn() -> Work,
}

fn operations() -> Vec<Operation> {
    let operation = |(group, by, item, make)| Operation { group, by, item, make };
    [decode::ALL, lookups::ALL, encode::ALL, request::ALL].concat().into_iter().map(operation).collect()
}

/// A row of a catalogue.
pub type Row = (&'static str, &'static str, &'static str, fn() -> Work);

fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    if let [once, number] = &*words
        && once == "--once"
    {
        let all = operations();
        let Some(operation) = number.parse().ok().and_then(|number: usize| all.get(number)) else {
            eprintln!("micro: {number:?} is not the number of an operation, 0 to {}", all.len() - 1);
            return ExitCode::from(2);
        };
        measure::once(&mut (operation.make)());
        return ExitCode::SUCCESS;
    }
    let by_callgrind = words.iter().any(|word| word == "--instructions");
    words.retain(|word| word != "--instructions");
    if words.len() > 1 || words.iter().any(|word| word.starts_with('-')) {
        eprintln!("usage: micro [--instructions] [FILTER]");
        return ExitCode::from(2);
    }
    let wanted = words.pop().unwrap_or_default();
    let all = operations();
    let chosen: Vec<(usize, &Operation)> = all
        .iter()
        .enumerate()
        .filter(|(_, operation)| format!("{} {}", operation.group, operation.by).contains(&wanted))
        .collect();
    if chosen.is_empty() {
        eprintln!("micro: no operation has {wanted:?} in its name");
        return ExitCode::from(2);
    }
    if by_callgrind {
        return instructions::table(&chosen);
    }
    let machine = Machine::measured();
    machine.print_head();
    for (_, operation) in chosen {
        machine.print_row(operation);
    }
    ExitCode::SUCCESS
}
