//! One word for one thing: no type of the program has the name of another.

use crate::exceptions::assert_only_listed;
use crate::source::{code, program};
use std::collections::BTreeMap;

/// The type that a line declares. Associated types and types of a macro's own are indented `type` lines: left out.
fn declared(line: &str) -> Option<&str> {
    let mut text = line.trim_start();
    if let Some(rest) = text.strip_prefix("pub") {
        text = match rest.strip_prefix('(') {
            Some(rest) => rest.split_once(')')?.1,
            None => rest,
        };
    }
    let (word, rest) = text.trim_start().split_once(' ')?;
    let known =
        ["struct", "enum", "trait", "union"].contains(&word) || (word == "type" && !line.starts_with(' '));
    let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
    (known && name.starts_with(char::is_uppercase)).then_some(name)
}

fn duplicates<'a>(files: impl Iterator<Item = (&'a String, &'a String)>) -> Vec<(String, String)> {
    let mut places: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (path, text) in files {
        for (at, line) in code(text) {
            if let Some(name) = declared(line) {
                places.entry(name).or_default().push(format!("{path}:{at}"));
            }
        }
    }
    let twice = places.into_iter().filter(|(_, places)| places.len() > 1);
    twice
        .map(|(name, places)| (name.to_string(), format!("{name} is declared in {}", places.join(", "))))
        .collect()
}

#[test]
fn no_type_name_is_used_twice() {
    assert_only_listed("type", &duplicates(program().iter()));
}

#[test]
fn a_type_name_used_twice_is_seen() {
    let a =
        "pub(crate) struct Request<'a> {}\npub enum Mode {}\ntype Map = ();\n#[cfg(test)]\nstruct Fake;\n"
            .to_string();
    let b = "struct Request;\n// struct Mode\ntrait Map {}\nimpl X for Y {\n    type Mode = ();\n}\nstruct Fake;\n".to_string();
    let (one, two) = ("src/a.rs".to_string(), "src/b.rs".to_string());
    let names: Vec<String> =
        duplicates([(&one, &a), (&two, &b)].into_iter()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["Map", "Request"]);
}
