//! What is shipped stays small: bytes of the program, and crates that it is made of; and what is measured is compiled the same way.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

/// Bytes of `target/release/toplet`, linked with glibc.
const PROGRAM_LEN_MAX: u64 = 4_500_000;
/// Crates of its tree with the two of its own, those that run at compile time included. A new one is argued for where it is added.
const CRATES_MAX: usize = 84;

/// The release build beside the build of this test, with the time when it was made.
fn release_build() -> Option<(PathBuf, SystemTime)> {
    let test = std::env::current_exe().unwrap();
    // target/debug/deps/tidy-0123
    let program = test.ancestors().nth(3).unwrap().join("release/toplet");
    let made_at = program.metadata().ok()?.modified().ok()?;
    Some((program, made_at))
}

/// The last change of a source file below.
fn changed_at(folder: &Path) -> SystemTime {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let times = entries.map(|entry| match entry.file_type().unwrap().is_dir() {
        true => changed_at(&entry.path()),
        false => entry.metadata().unwrap().modified().unwrap(),
    });
    times.max().unwrap_or(SystemTime::UNIX_EPOCH)
}

#[test]
fn the_program_is_small() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    match release_build().filter(|(_, made_at)| *made_at >= changed_at(&source)) {
        None => {
            println!("SKIPPED: target/release/toplet is not of this source; cargo build --release makes it")
        }
        Some((program, _)) => {
            let len = program.metadata().unwrap().len();
            println!("{}: {len} bytes of {PROGRAM_LEN_MAX}", program.display());
            assert!(len <= PROGRAM_LEN_MAX, "{len} bytes");
        }
    }
}

#[test]
fn the_tree_has_few_crates() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into());
    let run = Command::new(cargo)
        .args(["tree", "--locked", "--offline", "--edges=normal", "--prefix=none", "--format={p}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let text = String::from_utf8(run.stdout).unwrap();
    let crates: BTreeSet<&str> = text.lines().filter_map(|line| line.split(" (").next()).collect();
    println!("{} crates of {CRATES_MAX}", crates.len());
    assert!(crates.contains("toplet v0.1.0") && crates.len() > 20, "{crates:?}");
    assert!(crates.len() <= CRATES_MAX, "{} crates: {crates:?}", crates.len());
}

/// Levels of optimisation by crate, of lines such as `[profile.release.package.NAME]` with `opt-level = 3`, or `NAME.opt-level = 3`.
fn levels(manifest: &str) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    let mut section = "";
    for line in manifest.lines() {
        section = line.strip_prefix('[').unwrap_or(section).trim_end_matches(']');
        let Some((key, level)) = line.split_once(" = ") else { continue };
        let Some(of) = key.strip_suffix("opt-level") else { continue };
        let path = format!("{section}.{of}");
        if let Some(name) = path.strip_prefix("profile.release") {
            found
                .insert((name.trim_start_matches(".package").trim_matches('.').to_owned(), level.to_owned()));
        }
    }
    found
}

#[test]
fn micro_benchmarks_measure_what_is_shipped() {
    let levels = |file: &str| {
        levels(&std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap())
    };
    let (shipped, measured) = (levels("Cargo.toml"), levels("tests/bench/Cargo.toml"));
    assert!(shipped.len() > 1 && shipped.iter().any(|(name, _)| name.is_empty()), "{shipped:?}");
    let missing: Vec<_> = shipped.difference(&measured).collect();
    assert!(missing.is_empty(), "tests/bench/Cargo.toml lacks these levels of Cargo.toml: {missing:?}");
}
