//! What the checks read: the tree's text files, and the code of a file without comments, strings and tests.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Folders of other tools, and answers recorded from other programs.
const SKIPPED: [&str; 7] = [
    "target",
    ".git",
    "tests/golden",
    "tests/bench/target",
    "tests/fuzz/target",
    "tests/fuzz/corpus",
    "tests/fuzz/artifacts",
];

/// Text files of the project: path from its top, and content.
pub fn tree() -> BTreeMap<String, String> {
    fn walk(folder: &Path, prefix: &str, out: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
            if SKIPPED.contains(&path.as_str()) {
                continue;
            }
            if entry.file_type().unwrap().is_dir() {
                walk(&entry.path(), &path, out);
            } else if let Ok(text) = fs::read_to_string(entry.path()) {
                out.insert(path, text);
            }
        }
    }
    let mut out = BTreeMap::new();
    walk(Path::new(env!("CARGO_MANIFEST_DIR")), "", &mut out);
    assert!(out.len() > 20, "the tree was not found");
    out
}

pub fn is_source(path: &str) -> bool {
    path.starts_with("src/") && path.ends_with(".rs")
}

pub fn is_test(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    ["tests.rs", "testing.rs", "fake.rs"].contains(&name)
        || path.contains("/tests/")
        || path.starts_with("tests/")
}

/// Source files of the program without its test files.
pub fn program() -> BTreeMap<String, String> {
    tree().into_iter().filter(|(path, _)| is_source(path) && !is_test(path)).collect()
}

/// The lines of code, numbered from 1, without comments, blank lines and what `#[cfg(test)]` stands before.
pub fn code(text: &str) -> Vec<(usize, &str)> {
    let mut out = Vec::new();
    let mut lines =
        text.lines().enumerate().map(|(at, line)| (at + 1, line.split(" //").next().unwrap_or(line)));
    while let Some((at, line)) = lines.next() {
        if line.trim().is_empty() || line.trim_start().starts_with("//") {
            continue;
        }
        if line.trim() == "#[cfg(test)]" {
            skip_item(&mut lines);
        } else {
            out.push((at, line));
        }
    }
    out
}

/// Passes over one item: to the line that closes its braces, or to a semicolon outside of braces.
fn skip_item<'a>(lines: &mut impl Iterator<Item = (usize, &'a str)>) {
    let mut depth = 0i32;
    for (_, line) in lines {
        for c in line.chars() {
            depth += i32::from(c == '{') - i32::from(c == '}');
        }
        if depth == 0 && line.trim_end().ends_with([';', '}']) {
            return;
        }
    }
}

/// `line` without what stands between double quotes.
pub fn without_strings(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut quoted = false;
    let mut before = ' ';
    for c in line.chars() {
        if c == '"' && before != '\\' && before != '\'' {
            quoted = !quoted;
        } else if !quoted {
            out.push(c);
        }
        before = if before == '\\' && c == '\\' { ' ' } else { c };
    }
    out
}

/// Runs a check over files and fails with everything it found.
pub fn all(wanted: impl Fn(&str) -> bool, check: impl Fn(&str, &str) -> Vec<String>) {
    let files = tree();
    let problems: Vec<String> =
        files.iter().filter(|(path, _)| wanted(path)).flat_map(|(path, text)| check(path, text)).collect();
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn tests_in_the_middle_of_a_file_are_no_code() {
    let text =
        "a();\n#[cfg(test)]\nmod tests;\nb();\n#[cfg(test)]\nmod t {\n    c();\n}\nd(); // why\n// e\n";
    assert_eq!(code(text), [(1, "a();"), (4, "b();"), (9, "d();")]);
    assert_eq!(without_strings(r#"a("b\"c", 'x', "d") + '"'"#), "a(, 'x', ) + '\"'");
}
