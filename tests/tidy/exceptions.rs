//! What still breaks a rule, one `CHECK ITEM` a line, in a file for each directory of the source. These lists only shrink: a
//! line that is not needed any more fails as well. `TIDY_SHRINK=1 cargo test --test tidy` removes such lines.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

fn files() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tidy/exceptions");
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// What `found` (item and text of each complaint) says beyond the exceptions of `check`, and exceptions without need.
fn beyond(check: &str, found: &[(String, String)], listed: &[String]) -> Vec<String> {
    let allowed: BTreeSet<&str> =
        listed.iter().filter_map(|line| line.strip_prefix(check)?.strip_prefix(' ')).collect();
    let needed: BTreeSet<&str> = found.iter().map(|(item, _)| item.as_str()).collect();
    let new = found.iter().filter(|(item, _)| !allowed.contains(item.as_str()));
    let stale = allowed.difference(&needed);
    new.map(|(_, text)| text.clone())
        .chain(stale.map(|item| format!("the exception `{check} {item}` is not needed any more")))
        .collect()
}

/// Fails with what a check found beyond its exceptions.
pub fn assert_only_listed(check: &str, found: &[(String, String)]) {
    let mut listed = Vec::new();
    for file in files() {
        let text = fs::read_to_string(&file).unwrap();
        let keep = |line: &&str| {
            let item = line.strip_prefix(check).and_then(|rest| rest.strip_prefix(' '));
            item.is_none_or(|item| found.iter().any(|(other, _)| other == item))
        };
        if std::env::var_os("TIDY_SHRINK").is_some() && text.lines().any(|line| !keep(&line)) {
            let kept: Vec<String> = text.lines().filter(keep).map(|line| format!("{line}\n")).collect();
            fs::write(&file, kept.concat()).unwrap();
            listed.extend(kept.iter().map(|line| line.trim_end().to_string()));
        } else {
            listed.extend(text.lines().map(str::to_string));
        }
    }
    let problems = beyond(check, found, &listed);
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn an_exception_without_need_is_seen() {
    let found =
        [("a.rs".to_string(), "a.rs is bad".to_string()), ("b.rs".to_string(), "b.rs is bad".to_string())];
    let listed = ["words a.rs".to_string(), "words c.rs".to_string(), "circle b.rs".to_string()];
    assert_eq!(
        beyond("words", &found, &listed),
        ["b.rs is bad", "the exception `words c.rs` is not needed any more"]
    );
}
