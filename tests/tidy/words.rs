//! Plain English: words for which the field has a standard term, in code, comments and documents.

use crate::exceptions::assert_only_listed;
use crate::source::tree;

/// What not to write, and what to write; each in two halves so that this file may hold it.
const PLAIN: [(&str, &str, &str); 22] = [
    ("an", "ew", "again"),
    ("for e", "ver", "linger, or until it ends"),
    ("stran", "ger", "unauthenticated caller"),
    ("stran", "gers", "unauthenticated callers"),
    ("who", "ever", "name the caller"),
    ("there is n", "o such", "unknown"),
    ("good", "bye", "linger"),
    ("the ref", "erence", "metrics-server"),
    ("up", "stream", "metrics-server, or Kubernetes"),
    ("upstr", "eam's", "metrics-server's"),
    ("jud", "ge", "verify, validate or evaluate"),
    ("jud", "ged", "verified, validated or evaluated"),
    ("jud", "ges", "verifies, validates or evaluates"),
    ("jud", "ging", "verifying"),
    ("jud", "gement", "verdict"),
    ("is a", "way", "is unreachable"),
    ("are a", "way", "are unreachable"),
    ("is ba", "ck", "is reachable again"),
    ("worth ste", "aling", "assets"),
    ("do", "or", "entry point"),
    ("do", "ors", "entry points"),
    ("the pa", "pers", "the documents"),
];

fn found(line: &str) -> Vec<String> {
    let line = line.to_lowercase();
    let inside = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let mut out = Vec::new();
    for (begin, end, instead) in PLAIN {
        let word = format!("{begin}{end}");
        let whole = line.match_indices(&word).any(|(at, _)| {
            !inside(line[..at].chars().next_back()) && !inside(line[at + word.len()..].chars().next())
        });
        if whole {
            out.push(format!("{word:?}: write {instead}"));
        }
    }
    out
}

/// Locks, module sums and recorded answers speak for others.
fn ours(path: &str) -> bool {
    !["Cargo.lock", "tests/bench/Cargo.lock", "tests/fuzz/Cargo.lock", "LICENSE"].contains(&path)
        && ![".sum", ".mod", ".jsonl"].iter().any(|end| path.ends_with(end))
        && !path.starts_with("tests/tidy/exceptions/")
}

fn plain(path: &str, text: &str) -> Vec<(String, String)> {
    let lines = text.lines().enumerate();
    lines
        .flat_map(|(at, line)| found(&line.replace('_', " ")).into_iter().map(move |what| (at, what)))
        .map(|(at, what)| (path.to_string(), format!("{path}:{}: {what}", at + 1)))
        .collect()
}

#[test]
fn the_language_is_plain() {
    let files = tree();
    let found: Vec<(String, String)> =
        files.iter().filter(|(path, _)| ours(path)).flat_map(|(path, text)| plain(path, text)).collect();
    assert_only_listed("words", &found);
}

#[test]
fn a_metaphor_is_seen() {
    let text = |words: [&str; 2]| plain("README.md", &words.concat()).len();
    assert_eq!(text(["made an", "ew."]), 1);
    assert_eq!(text(["fn a_stran", "ger_waits() {}"]), 1);
    assert_eq!(text(["The ref", "erence does so"]), 1);
    assert_eq!(text(["a new reference, an outd", "oor reference"]), 0);
    assert_eq!(text(["a reference to the up", "streamed thing"]), 0);
}
