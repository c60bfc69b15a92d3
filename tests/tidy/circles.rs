//! No two files import each other, directly or through others.
//!
//! A file imports the file that declares what a path of its code names: `crate::`, `super::`, `self::`, or a module of its own.
//! What a module only passes on (`pub use`) belongs to the file that declares it.

use crate::exceptions::assert_only_listed;
use crate::source::{code, program, without_strings};
use std::collections::{BTreeMap, BTreeSet};

type Files = BTreeMap<String, String>;

/// The module that a file holds, as its path below the crate: `api::list` for `src/api/list.rs`.
fn module_of(path: &str) -> String {
    let inner = path.trim_start_matches("src/").trim_end_matches(".rs");
    match inner {
        "lib" | "main" => String::new(),
        _ => inner.trim_end_matches("/mod").replace('/', "::"),
    }
}

/// Every path of `text` after one of the `use` trees in braces has been multiplied out.
fn expand(prefix: &str, tree: &str, out: &mut Vec<String>) {
    let Some(open) = tree.find('{') else {
        let path = tree.split(" as ").next().unwrap_or(tree).trim();
        out.push(format!("{prefix}{path}"));
        return;
    };
    let prefix = format!("{prefix}{}", tree[..open].trim());
    let inner = &tree[open + 1..tree.rfind('}').unwrap_or(tree.len())];
    let (mut depth, mut begin) = (0, 0);
    for (at, c) in inner.char_indices() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        if c == ',' && depth == 0 {
            expand(&prefix, &inner[begin..at], out);
            begin = at + 1;
        }
    }
    if !inner[begin..].trim().is_empty() {
        expand(&prefix, &inner[begin..], out);
    }
}

/// Paths that the code names outside of `use`: runs of identifiers joined by `::`.
fn inline_paths(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').filter(|word| word.contains("::"))
}

/// The paths that a file imports, and those it passes on, both from the crate's root.
fn paths(module: &str, text: &str, children: &BTreeSet<String>) -> (Vec<String>, Vec<String>) {
    let plain: Vec<String> = code(text).iter().map(|(_, line)| without_strings(line)).collect();
    let (mut own, mut passed, mut rest) = (Vec::new(), Vec::new(), String::new());
    for item in plain.join("\n").split_inclusive(';') {
        let start = item.rfind("use ").filter(|at| {
            let before = item[..*at].trim_end();
            item[..*at]
                .rsplit('\n')
                .next()
                .is_some_and(|line| line.trim().is_empty() || line.trim().starts_with("pub"))
                && !before.ends_with(char::is_alphanumeric) | before.ends_with("pub") | before.ends_with(')')
        });
        let Some(start) = start else {
            rest.push_str(item);
            continue;
        };
        let line = item[..start].rsplit('\n').next().unwrap_or("");
        let target = if line.contains("pub") { &mut passed } else { &mut own };
        expand("", item[start + 4..].trim_end_matches(';').trim(), target);
        rest.push_str(&item[..start]);
    }
    own.extend(inline_paths(&rest).map(str::to_string));
    let absolute =
        |paths: Vec<String>| paths.iter().filter_map(|path| absolute(module, path, children)).collect();
    (absolute(own), absolute(passed))
}

/// `path` from the crate's root, when it leads into the crate.
fn absolute(module: &str, path: &str, children: &BTreeSet<String>) -> Option<String> {
    let join =
        |base: &str, rest: &str| if base.is_empty() { rest.to_string() } else { format!("{base}::{rest}") };
    if let Some(rest) = path.strip_prefix("crate::").or_else(|| path.strip_prefix("toplet::")) {
        return Some(rest.to_string());
    }
    let (mut base, mut rest) = (module, path.strip_prefix("self::").unwrap_or(path));
    let explicit = rest.len() != path.len() || rest.starts_with("super::");
    while let Some(shorter) = rest.strip_prefix("super::") {
        base = base.rsplit_once("::").map_or("", |(parent, _)| parent);
        rest = shorter;
    }
    let first = join(base, rest.split("::").next().unwrap_or(rest));
    (explicit || children.contains(&first)).then(|| join(base, rest))
}

/// The file whose module is the longest beginning of `path`; what that module passes on leads further.
fn target(
    path: &str,
    modules: &BTreeMap<String, String>,
    passed: &BTreeMap<String, Vec<String>>,
    depth: u32,
) -> Option<String> {
    let mut module = path;
    loop {
        if let Some(file) = modules.get(module) {
            let name = path[module.len()..].trim_start_matches("::").split("::").next().unwrap_or("");
            let further = passed.get(module).and_then(|list| {
                list.iter().find(|other| !name.is_empty() && other.rsplit("::").next() == Some(name))
            });
            return match further {
                Some(other) if depth > 0 && other != path => target(other, modules, passed, depth - 1),
                _ => Some(file.clone()),
            };
        }
        module = module.rsplit_once("::")?.0;
    }
}

fn imports(files: &Files) -> BTreeMap<String, BTreeSet<String>> {
    let modules: BTreeMap<String, String> =
        files.keys().map(|path| (module_of(path), path.clone())).collect();
    let children: BTreeSet<String> = modules.keys().cloned().collect();
    let read: Vec<(String, Vec<String>, Vec<String>)> = files
        .iter()
        .map(|(path, text)| {
            let (own, passed) = paths(&module_of(path), text, &children);
            (path.clone(), own, passed)
        })
        .collect();
    let passed = read.iter().map(|(path, _, passed)| (module_of(path), passed.clone())).collect();
    read.iter()
        .map(|(path, own, _)| {
            let targets = own.iter().filter_map(|name| target(name, &modules, &passed, 4));
            (path.clone(), targets.filter(|other| other != path && other != "src/lib.rs").collect())
        })
        .collect()
}

/// Files from which a chain of imports leads back to them, each with the shortest such chain.
fn circles(files: &Files) -> Vec<(String, String)> {
    let graph = imports(files);
    let chain = |from: &String| {
        let mut before: BTreeMap<&String, &String> = BTreeMap::new();
        let mut queue = std::collections::VecDeque::from([from]);
        while let Some(file) = queue.pop_front() {
            for next in graph.get(file).into_iter().flatten() {
                if next == from {
                    let mut chain = vec![from.as_str(), file.as_str()];
                    let mut at = file;
                    while let Some(previous) = before.get(at) {
                        chain.push(previous);
                        at = previous;
                    }
                    chain.reverse();
                    return Some(chain.join(" -> "));
                }
                if next != from && !before.contains_key(next) {
                    before.insert(next, file);
                    queue.push_back(next);
                }
            }
        }
        None
    };
    graph.keys().filter_map(|file| Some((file.clone(), format!("circle: {}", chain(file)?)))).collect()
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    assert_only_listed("circle", &circles(&program()));
}

#[test]
fn a_circle_is_seen() {
    let files = |list: &[(&str, &str)]| -> Files {
        list.iter().map(|(path, text)| (format!("src/{path}"), (*text).to_string())).collect()
    };
    let names = |list: &[(&str, &str)]| -> Vec<String> {
        circles(&files(list)).into_iter().map(|(name, _)| name).collect()
    };
    // Through a brace list, a parent's name and a path inside a function.
    assert_eq!(
        names(&[
            ("api/a.rs", "use crate::{\n    units::X,\n    api::b::{B, C},\n};\n"),
            ("api/b.rs", "use super::c::Thing;\n"),
            ("api/c.rs", "fn x() {\n    crate::api::a::x();\n}\n"),
            ("api/mod.rs", "mod a;\nmod b;\nmod c;\n"),
            ("units.rs", "pub struct X;\n"),
        ]),
        ["src/api/a.rs", "src/api/b.rs", "src/api/c.rs"]
    );
    // What a module passes on belongs to the file that declares it; what it declares itself does not.
    let parent = "mod a;\nmod b;\npub use a::A;\npub struct Own;\n";
    assert_eq!(
        names(&[("api/mod.rs", parent), ("api/a.rs", "struct A;\n"), ("api/b.rs", "use super::{A, Own};\n")]),
        Vec::<String>::new()
    );
    let parent = "mod b;\npub struct Own;\nfn x() {\n    b::go()\n}\n";
    assert_eq!(
        names(&[("api/mod.rs", parent), ("api/b.rs", "use super::Own;\n")]),
        ["src/api/b.rs", "src/api/mod.rs"]
    );
    // Comments, strings and tests import nothing.
    let quiet = "// crate::b::x\nfn a() {\n    say(\"crate::b::x\")\n}\n#[cfg(test)]\nuse crate::b::X;\n";
    assert_eq!(names(&[("a.rs", quiet), ("b.rs", "use crate::a;\n")]), Vec::<String>::new());
}
