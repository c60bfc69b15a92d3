//! Instructions of each operation, counted by callgrind: the same from run to run, on whatever machine.

use crate::{Operation, measure};
use std::path::Path;
use std::process::{Command, ExitCode};

/// Functions that are named for each operation.
const NAMED: usize = 4;

/// Prints the table of these operations, each by its number.
pub fn table(chosen: &[(usize, &Operation)]) -> ExitCode {
    if let Err(error) = Command::new("valgrind").arg("--version").output() {
        eprintln!("micro: valgrind cannot be started ({error}): install it, or leave --instructions out");
        return ExitCode::FAILURE;
    }
    println!("| operation | by | instructions | a byte | an item | most of them in |");
    println!("|---|---|--:|--:|--:|---|");
    for (number, operation) in chosen {
        if let Err(error) = row(*number, operation) {
            eprintln!("micro: {}, {}: {error}", operation.group, operation.by);
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn row(number: usize, operation: &Operation) -> Result<(), String> {
    let file = std::env::temp_dir().join(format!("toplet-micro-{}-{number}.callgrind", std::process::id()));
    let counted = counted(number, &file);
    // An error means that callgrind wrote none.
    let _ = std::fs::remove_file(&file);
    let (instructions, functions) = counted?;
    let work: measure::Work = (operation.make)();
    println!(
        "| {} | {} | {instructions} | {:.2} | {:.0}/{} | {} |",
        operation.group,
        operation.by,
        instructions as f64 / work.bytes as f64,
        instructions as f64 / work.items as f64,
        operation.item,
        functions.join(", ")
    );
    Ok(())
}

/// Instructions of one operation, and where most of them are.
fn counted(number: usize, file: &Path) -> Result<(u64, Vec<String>), String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=micro_counted"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(this)
        .args(["--once", &number.to_string()])
        .output()
        .map_err(|error| error.to_string())?;
    if !run.status.success() {
        return Err(format!("valgrind: {}", String::from_utf8_lossy(&run.stderr)));
    }
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    let total = total.and_then(|total| total.trim().parse().ok()).ok_or("callgrind counted nothing")?;
    Ok((total, functions(&text, total)))
}

/// The functions that have most of the instructions themselves, with their share.
fn functions(text: &str, total: u64) -> Vec<String> {
    let (mut names, mut costs) = (std::collections::HashMap::new(), std::collections::HashMap::new());
    let (mut current, mut is_call) = ("", false);
    for line in text.lines() {
        if let Some(function) = line.strip_prefix("fn=").or(line.strip_prefix("cfn=")) {
            // A name stands in full where it comes first: `(12) name`, then `(12)`.
            let (id, name) = function.split_once(' ').unwrap_or((function, ""));
            if !name.is_empty() {
                names.insert(id, name);
            }
            if line.starts_with("fn=") {
                current = id;
            }
        } else if line.starts_with("calls=") {
            is_call = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            // The line behind a call is what the called one cost.
            if !std::mem::take(&mut is_call) {
                let cost: u64 = line.split(' ').nth(1).and_then(|cost| cost.parse().ok()).unwrap_or(0);
                *costs.entry(current).or_insert(0) += cost;
            }
        }
    }
    let mut costs: Vec<(u64, &str)> = costs.into_iter().map(|(id, cost)| (cost, id)).collect();
    costs.sort_unstable_by(|a, b| b.cmp(a));
    costs
        .into_iter()
        .take(NAMED)
        .filter(|(cost, _)| cost * 50 >= total)
        .map(|(cost, id)| format!("{} {} %", short(names.get(id).copied().unwrap_or(id)), cost * 100 / total))
        .collect()
}

/// A function's name with the last module of its path, without its hash and its types.
fn short(name: &str) -> String {
    let name = name.split("::h").next().unwrap_or(name);
    let bare: String = name
        .chars()
        .scan(0_u32, |depth, c| {
            *depth += u32::from(c == '<');
            let kept = if *depth == 0 { Some(c) } else { None };
            *depth = depth.saturating_sub(u32::from(c == '>'));
            Some(kept)
        })
        .flatten()
        .collect();
    let parts: Vec<&str> = bare.split("::").filter(|part| !part.is_empty()).collect();
    format!("`{}`", parts[parts.len().saturating_sub(2)..].join("::"))
}
