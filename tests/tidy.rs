//! The house rules that no compiler knows: layers, sizes, words, borrowed crates, and that the documents name what the code does.
//!
//! Every check is a function from a file's path and text to complaints, and each has a test that it does complain.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "tidy/circles.rs"]
mod circles;
#[path = "tidy/exceptions.rs"]
mod exceptions;
#[path = "tidy/words.rs"]
mod plain_words;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/types.rs"]
mod types;
#[path = "tidy/weight.rs"]
mod weight;

use exceptions::assert_only_listed;
use source::{all, code, is_source, is_test, program, tree};
use std::collections::BTreeMap;
use std::fs;

/// Which directory may use which: its own row and every row above it.
const LAYERS: &[&[&str]] = &[
    &["units", "limits", "lock", "invariant", "log_once", "allocator"],
    &["wire"],
    &["store"],
    &["counters"],
    &["api"],
    &["access"],
    &["host"],
    &["net"],
    &["source"],
    &["poller"],
    &["cluster"],
    &["serve"],
    &["cli"],
    &["run"],
];

/// The file that may name a borrowed crate; a directory where it is woven into all of it: the C library with the operating
/// system, the executor with serving, TLS with the network.
const BORROWED: &[(&str, &[&str])] = &[
    ("dlmalloc", &["src/allocator.rs"]),
    ("flate2", &["src/source/body.rs"]),
    ("futures_rustls", &["src/serve/transport.rs"]),
    ("httparse", &["src/serve/http1.rs"]),
    ("libc", &["src/host/", "src/allocator.rs"]),
    ("rustix", &["src/host/"]),
    (
        "miniserde",
        &[
            "src/access/policy.rs",
            "src/cluster/",
            "src/run/top",
            "src/wire/request.rs",
            "src/wire/summary.rs",
        ],
    ),
    ("rcgen", &["src/net/self_signed.rs"]),
    ("rustls", &["src/net/", "src/access/chain.rs"]),
    ("sd_notify", &["src/host/systemd.rs"]),
    ("serde", &["src/cluster/kubeconfig.rs"]),
    ("serde_norway", &["src/cluster/kubeconfig.rs"]),
    ("smol", &["src/serve/"]),
    ("ureq_proto", &["src/net/fetch"]),
    ("webpki", &["src/access/chain.rs"]),
];

/// Directories that must not know each other, whichever stands above.
const APART: &[(&str, &str)] = &[("access", "api"), ("api", "access")];

/// Files over the limit of code lines, each with what it may have. This list only shrinks.
const LARGE: &[(&str, usize)] = &[];
const CODE_LINES_MAX: usize = 350;
const ARCHITECTURE_LINES_MAX: usize = 120;
const README_LINES_MAX: usize = 150;

/// What may stand at the top; the last two are what a build and a start leave there.
const TOP: &[&str] = &[
    "Cargo.lock",
    "Cargo.toml",
    "CHANGELOG.md",
    "Dockerfile",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "clippy.toml",
    "configs",
    "deny.toml",
    "rustfmt.toml",
    "src",
    "systemd",
    "target",
    "tests",
    "apiserver.local.config",
];

// ---- layers ---------------------------------------------------------------------------------------------------------

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&module))
}

/// Modules of this crate that a line of code names: after `crate::`, also in a brace list.
fn modules(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for rest in line.split("crate::").skip(1) {
        if let Some(list) = rest.strip_prefix('{') {
            let mut depth = 0;
            for (at, c) in list.char_indices() {
                if depth == 0 && (at == 0 || list[..at].ends_with([',', ' ']) || list[..at].ends_with('{')) {
                    found.extend(first_word(&list[at..]));
                }
                depth += i32::from(c == '{') - i32::from(c == '}');
                if depth < 0 {
                    break;
                }
            }
        } else {
            found.extend(first_word(rest));
        }
    }
    found
}

fn first_word(text: &str) -> Option<&str> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    (end > 0).then(|| &text[..end])
}

fn layers(path: &str, text: &str) -> Vec<String> {
    let own = path.trim_start_matches("src/").split('/').next().unwrap().trim_end_matches(".rs");
    let Some(own_layer) = layer(own) else { return Vec::new() };
    code(text)
        .into_iter()
        .flat_map(|(at, line)| modules(line).into_iter().map(move |module| (at, module)))
        .filter(|(_, module)| {
            *module != own && layer(module).is_some_and(|other| other >= own_layer && own_layer != 0)
        })
        .map(|(at, module)| format!("{path}:{at}: {own} uses {module}, which stands below it"))
        .collect()
}

#[test]
fn a_file_uses_only_layers_above_its_own() {
    all(|path| is_source(path) && !is_test(path), layers);
}

#[test]
fn a_breach_of_layers_is_seen() {
    assert_eq!(layers("src/wire/a.rs", "use crate::store::Store;\n").len(), 1);
    assert_eq!(layers("src/wire/a.rs", "use crate::{units::Bytes, store::{Store, x}, api};\n").len(), 2);
    assert_eq!(
        layers(
            "src/wire/a.rs",
            "// crate::store\nuse crate::units::X;\n#[cfg(test)]\nuse crate::store::Y;\n"
        ),
        Vec::<String>::new()
    );
    assert_eq!(layers("src/serve/a.rs", "use crate::{access, store};\n"), Vec::<String>::new());
}

fn border(path: &str, text: &str) -> Vec<(String, String)> {
    let own = path.trim_start_matches("src/").split('/').next().unwrap();
    let named = code(text)
        .into_iter()
        .flat_map(|(at, line)| modules(line).into_iter().map(move |module| (at, module)));
    named
        .filter(|(_, module)| APART.contains(&(own, module)))
        .map(|(at, module)| (path.to_string(), format!("{path}:{at}: {own} knows {module}")))
        .collect()
}

#[test]
fn access_and_answers_do_not_know_each_other() {
    let found: Vec<_> = program().iter().flat_map(|(path, text)| border(path, text)).collect();
    assert_only_listed("border", &found);
}

#[test]
fn a_crossed_border_is_seen() {
    assert_eq!(border("src/access/a.rs", "use crate::{wire::x, api::status};\n").len(), 1);
    assert_eq!(border("src/api/a.rs", "fn a() { crate::access::b() }\n").len(), 1);
    assert_eq!(border("src/serve/a.rs", "use crate::{api, access};\n"), []);
}

#[test]
fn every_module_has_a_layer() {
    let files = tree();
    let lost: Vec<&String> = files
        .keys()
        .filter(|path| {
            is_source(path) && !["src/main.rs", "src/lib.rs", "src/table.rs"].contains(&path.as_str())
        })
        .filter(|path| {
            layer(path.trim_start_matches("src/").split('/').next().unwrap().trim_end_matches(".rs"))
                .is_none()
        })
        .collect();
    assert!(lost.is_empty(), "no layer for {lost:?}");
}

/// The modules of the table of layers in src/ARCHITECTURE.md, row by row.
fn told_layers(page: &str) -> Vec<Vec<&str>> {
    let section =
        page.split_once("\n# Layers").map_or("", |(_, rest)| rest.split("\n# ").next().unwrap_or(""));
    let cells = section.lines().filter_map(|line| line.strip_prefix("| `")?.split(" |").next());
    cells.map(|cell| cell.split(", ").map(|name| name.trim_matches('`')).collect()).collect()
}

#[test]
fn the_architecture_tells_the_layers_in_their_order() {
    assert_eq!(
        told_layers(&tree()["src/ARCHITECTURE.md"]),
        LAYERS.iter().map(|row| row.to_vec()).collect::<Vec<_>>()
    );
    assert_eq!(told_layers("x\n# Layers\n| layer |\n| `a`, `b` | c |\n# D\n| `e` | f |\n"), [["a", "b"]]);
}

// ---- borrowed crates ------------------------------------------------------------------------------------------------

fn names_crate(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = &line[at + name.len()..];
        let used =
            after.starts_with("::") || (line.trim_start().starts_with("use ") && after.starts_with(';'));
        used && !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':' || c == '"')
    })
}

fn borrowed(path: &str, text: &str) -> Vec<String> {
    let mut out = Vec::new();
    for (at, line) in code(text) {
        for (name, homes) in BORROWED {
            if names_crate(line, name) && !homes.iter().any(|home| path.starts_with(home)) {
                out.push(format!("{path}:{at}: names {name}, whose place is {}", homes.join(", ")));
            }
        }
    }
    out
}

#[test]
fn a_borrowed_crate_stays_where_it_is_wrapped() {
    all(|path| is_source(path) && !is_test(path), borrowed);
}

/// Places of the table that hold nothing: the crate went, and its row can go.
fn unused_homes(files: &BTreeMap<String, String>) -> Vec<String> {
    let used = |name: &str, home: &str| {
        let mut inside = files.iter().filter(|(path, _)| path.starts_with(home));
        inside.any(|(_, text)| code(text).iter().any(|(_, line)| names_crate(line, name)))
    };
    let rows = BORROWED.iter().flat_map(|(name, homes)| homes.iter().map(move |home| (*name, *home)));
    rows.filter(|(name, home)| !used(name, home))
        .map(|(name, home)| format!("{home} does not name {name}"))
        .collect()
}

#[test]
fn every_place_of_a_borrowed_crate_is_used() {
    let unused = unused_homes(&program());
    assert!(unused.is_empty(), "rows that can go: {unused:?}");
    assert_eq!(
        unused_homes(&BTreeMap::new()).len(),
        BORROWED.iter().map(|(_, homes)| homes.len()).sum::<usize>()
    );
}

#[test]
fn a_stray_crate_is_seen() {
    assert_eq!(borrowed("src/api/view.rs", "use ureq_proto::client;\n").len(), 1);
    assert_eq!(borrowed("src/api/view.rs", "let x = libc::getpid();\n").len(), 1);
    assert_eq!(
        borrowed("src/net/fetch.rs", "use ureq_proto::client;\nuse crate::x::ureq_proto::y;\n"),
        Vec::<String>::new()
    );
}

// ---- sizes ----------------------------------------------------------------------------------------------------------

fn size(path: &str, text: &str) -> Vec<String> {
    let lines = code(text).len();
    match LARGE.iter().find(|(large, _)| *large == path) {
        Some((_, allowed)) if lines > *allowed => {
            vec![format!("{path}: {lines} code lines, its exception says {allowed}")]
        }
        Some(_) if lines <= CODE_LINES_MAX => {
            vec![format!("{path}: {lines} code lines, its exception can go")]
        }
        None if lines > CODE_LINES_MAX => {
            vec![format!("{path}: {lines} code lines, more than {CODE_LINES_MAX}")]
        }
        _ => Vec::new(),
    }
}

#[test]
fn a_file_is_short_enough_to_read() {
    all(|path| is_source(path) && !is_test(path), size);
    for (path, _) in LARGE {
        assert!(tree().contains_key(*path), "{path} has an exception and is gone");
    }
}

#[test]
fn a_long_file_is_seen() {
    assert_eq!(size("src/wire/long.rs", &"let x = 1;\n".repeat(351)).len(), 1);
    assert_eq!(size("src/wire/long.rs", &"let x = 1;\n// why\n\n".repeat(350)), Vec::<String>::new());
}

#[test]
fn the_architecture_fits_on_two_pages() {
    let lines = tree()["src/ARCHITECTURE.md"].lines().count();
    assert!(
        lines <= ARCHITECTURE_LINES_MAX,
        "src/ARCHITECTURE.md has {lines} lines, at most {ARCHITECTURE_LINES_MAX}"
    );
}

// ---- words ----------------------------------------------------------------------------------------------------------

/// Words that do not belong in code: name, and what it is found by. Written in two halves so that this file may stand.
fn words_of_code() -> Vec<(&'static str, String)> {
    vec![
        ("a getter says what it gives", format!("fn {}", "get_")),
        ("name what it manages", ["Man", "ager"].concat()),
        ("name what it helps", ["Hel", "per"].concat()),
        ("name what is in it", ["mod ut", "ils"].concat()),
        ("name the thing", ["let da", "ta "].concat()),
        ("name the thing", ["(da", "ta: "].concat()),
        ("unfinished", ["unimple", "mented!("].concat()),
    ]
}

/// Words of a place where the project was made; it speaks of itself alone.
fn words_of_places() -> Vec<(&'static str, String)> {
    vec![
        ("a path of one machine", ["/wo", "rk/"].concat()),
        ("a path of one machine", ["/fa", "rm/"].concat()),
        ("a path of one machine", ["/ro", "ot/."].concat()),
        ("a folder that is not here", ["../sha", "red"].concat()),
        ("another place", ["work", "place"].concat()),
        ("a test that does not run", ["#[ig", "nore"].concat()),
    ]
}

fn words(path: &str, text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut report = |at: usize, line: &str, wanted: &[(&str, String)]| {
        for (why, word) in wanted.iter().filter(|(_, word)| line.contains(word.as_str())) {
            out.push(format!("{path}:{at}: {word:?}: {why}"));
        }
    };
    if is_source(path) && !is_test(path) {
        code(text).into_iter().for_each(|(at, line)| report(at, line, &words_of_code()));
    }
    text.lines().enumerate().for_each(|(at, line)| report(at + 1, line, &words_of_places()));
    for (at, line) in text.lines().enumerate() {
        if issue_number(line) || registry_host(line) {
            out.push(format!("{path}:{}: an issue number or a registry's host", at + 1));
        }
    }
    out
}

/// A number sign or the word for a ticket, before a number.
fn issue_number(line: &str) -> bool {
    let digit = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    let hash = line.match_indices(" #").any(|(at, _)| {
        let rest = line[at + 2..].trim_start_matches(|c: char| c.is_ascii_digit());
        digit(&line[at + 2..])
            && !line[..at].ends_with("PKCS")
            && (rest.is_empty() || rest.starts_with([' ', ',', '.', ')', ':']))
    });
    let lower = line.to_ascii_lowercase();
    hash || lower.match_indices("issue ").any(|(at, _)| digit(&lower[at + 6..]))
}

/// A URL whose host is a mirror of something.
fn registry_host(line: &str) -> bool {
    line.split("://").skip(1).any(|rest| {
        let host = rest.split(['/', ' ', '"', ':']).next().unwrap_or("");
        host.contains('.')
            && ["proxy.", "registry.", "mirror."].iter().any(|word| host.contains(word))
            && !host.ends_with(".example")
    })
}

#[test]
fn the_project_speaks_of_itself() {
    all(|path| !["Cargo.lock"].contains(&path) && !path.ends_with(".sum") && !path.ends_with(".mod"), words);
}

#[test]
fn a_word_that_does_not_belong_is_seen() {
    assert_eq!(words("src/a.rs", &format!("fn {}thing() {{}}", "get_")).len(), 1);
    assert_eq!(words("src/a.rs", &format!("struct Pod{};", ["Man", "ager"].concat())).len(), 1);
    assert_eq!(words("README.md", &["see /wo", "rk/x"].concat()).len(), 1);
    assert_eq!(words("README.md", &["fixes iss", "ue 12"].concat()).len(), 1);
    assert_eq!(words("README.md", &["fixes #", "12."].concat()).len(), 1);
    assert_eq!(words("README.md", &["https:", "//proxy.acme.org/x"].concat()).len(), 1);
    assert_eq!(
        words("README.md", "a colour #12ab, the target's state, https://example.org"),
        Vec::<String>::new()
    );
}

// ---- papers ---------------------------------------------------------------------------------------------------------

/// Words of six letters and more, lower case: enough to tell whether two sentences speak of the same thing.
fn long_words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|w| w.len() >= 6).map(str::to_lowercase).collect()
}

/// The list items of README's section "Deviations".
fn listed_deviations(readme: &str) -> Vec<String> {
    let Some((_, section)) = readme.split_once("\n## Deviations") else { return Vec::new() };
    let section = section.split("\n## ").next().unwrap_or("");
    section.split("\n- ").skip(1).map(|item| item.trim().to_string()).collect()
}

/// What the code calls a deviation: the comment from that word to its end, at most four lines.
fn coded_deviations(text: &str) -> Vec<String> {
    let begin = |line: &str| {
        let comment = line.starts_with("//").then_some(line)?;
        ["Deviation: ", "Deviations: "].iter().find_map(|word| Some(comment.split_once(word)?.1.to_string()))
    };
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let mut out = Vec::new();
    for (at, first) in lines.iter().enumerate().filter_map(|(at, line)| Some((at, begin(line)?))) {
        let more =
            lines[at + 1..].iter().take(3).take_while(|line| line.starts_with("//") && begin(line).is_none());
        out.push(more.fold(first, |text, line| text + " " + line.trim_start_matches(['/', '!', ' '])));
    }
    out
}

fn speak_of_the_same(a: &str, b: &str) -> bool {
    let b = long_words(b);
    let mut shared: Vec<String> = long_words(a).into_iter().filter(|word| b.contains(word)).collect();
    shared.sort();
    shared.dedup();
    shared.len() >= 2
}

/// Deviations of one side that the other side does not speak of.
fn unspoken(these: &[String], those: &[String]) -> Vec<String> {
    these.iter().filter(|this| !those.iter().any(|that| speak_of_the_same(this, that))).cloned().collect()
}

/// Deviations in comments, and those that the requests compared with metrics-server expect.
fn known_deviations(files: &BTreeMap<String, String>) -> Vec<String> {
    let code = files.iter().filter(|(path, _)| is_source(path)).flat_map(|(_, text)| coded_deviations(text));
    let corpus = files["tests/cluster/parity/corpus.jsonl"].lines();
    let compared = corpus
        .filter_map(|line| Some(line.split_once("\"deviation\": \"")?.1.split('"').next()?.to_string()));
    code.chain(compared).collect()
}

#[test]
fn deviations_of_the_code_and_of_the_readme_are_the_same() {
    let files = tree();
    let (listed, known) = (listed_deviations(&files["README.md"]), known_deviations(&files));
    let missing = unspoken(&known, &listed);
    assert!(missing.is_empty(), "not in README.md, section Deviations:\n{}", missing.join("\n"));
    let made_up = unspoken(&listed, &known);
    assert!(made_up.is_empty(), "no code says so with `Deviation:`:\n{}", made_up.join("\n"));
}

#[test]
fn a_silent_deviation_is_seen() {
    let readme = "# x\n\n## Deviations\n\n- Redirects of kubelets are refused.\n- One bad line is dropped.\n\n## Next\n- nothing\n";
    assert_eq!(listed_deviations(readme).len(), 2);
    let code = "//! Deviation: a kubelet that redirects us is refused;\n//! metrics-server follows redirects of kubelets.\nfn x() {}\n";
    let found = coded_deviations(code);
    assert_eq!(found.len(), 1);
    assert_eq!(unspoken(&found, &listed_deviations(readme)), Vec::<String>::new());
    assert_eq!(unspoken(&listed_deviations(readme), &found), ["One bad line is dropped."]);
}

/// `configs/FLAGS.md` as the program's own table makes it.
fn flags_page() -> String {
    let head = "# Flags\n\nmetrics-server's flags keep their names, defaults and meaning. `--config FILE` reads them from a file, one a \
                line, before the\ncommand line. This page is printed from the flag table: `TIDY_WRITE=1 cargo test --test tidy`.\n\n";
    let table = toplet::cli::help::markdown();
    let (used, ignored) = table.split_once("\n- ").expect("flags without effect");
    format!(
        "{head}{used}\n## Flags without effect\n\nAccepted, so that existing argument lists start. Each is warned about once when it is set.\n\n- {ignored}"
    )
}

/// Compares a file of `configs/` with what the program makes of its tables; writes it where that is wanted.
fn is_made(file: &str, wanted: &str) {
    assert!(wanted.len() > 2_000, "{file}");
    let path = format!("{}/configs/{file}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("TIDY_WRITE").is_some() {
        fs::write(&path, wanted).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let different = wanted.lines().zip(found.lines()).find(|(wanted, found)| wanted != found);
    assert!(
        found == wanted,
        "configs/{file} is old: TIDY_WRITE=1 cargo test --test tidy; first at {different:?}"
    );
}

#[test]
fn the_pages_of_flags_and_the_completions_are_the_programs_tables() {
    is_made("FLAGS.md", &flags_page());
    is_made("toplet.1", &toplet::cli::manual::page());
    for shell in toplet::cli::completion::SHELLS {
        let script = toplet::cli::completion::script(shell).unwrap();
        is_made(&format!("completion/toplet.{shell}"), &script);
    }
}

/// The files of `configs/` that `toplet manifest` prints.
const MANIFESTS: [(&str, &str); 5] = [
    ("deployment", "deployment.yaml"),
    ("static-pod", "static-pod.yaml"),
    ("host", "host-service.yaml"),
    ("rbac", "rbac.yaml"),
    ("doctor-rbac", "doctor-rbac.yaml"),
];

#[test]
fn every_manifest_that_ships_is_what_the_program_prints() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/configs");
    let mut shipped: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".yaml"))
        .collect();
    shipped.sort();
    for (kind, file) in MANIFESTS {
        let output =
            std::process::Command::new(env!("CARGO_BIN_EXE_toplet")).args(["manifest", kind]).output();
        let wanted = String::from_utf8(output.unwrap().stdout).unwrap();
        assert!(wanted.contains("\nkind: "), "{kind}");
        let path = format!("{folder}/{file}");
        if std::env::var_os("TIDY_WRITE").is_some() {
            fs::write(&path, &wanted).unwrap();
        }
        let is_same = fs::read_to_string(&path).unwrap_or_default() == wanted;
        assert!(
            is_same,
            "configs/{file} is not `toplet manifest {kind}`: TIDY_WRITE=1 cargo test --test tidy"
        );
        shipped.retain(|name| name != file);
    }
    assert_eq!(shipped, Vec::<String>::new(), "no manifest prints these");
}

#[test]
fn the_readme_is_short() {
    let lines = tree()["README.md"].lines().count();
    assert!(lines <= README_LINES_MAX, "README.md has {lines} lines, at most {README_LINES_MAX}");
}

/// Places that name the version and name another one.
fn other_versions(version: &str, files: &BTreeMap<String, String>) -> Vec<String> {
    let named = [
        ("Dockerfile", "ARG VERSION=".to_string()),
        ("CHANGELOG.md", "\n## ".to_string()),
        ("configs/INSTALL.md", "toplet:v".to_string()),
        ("configs/INSTALL.md", "toplet_".to_string()),
        ("configs/deployment.yaml", "image: toplet:v".to_string()),
        ("configs/static-pod.yaml", "image: toplet:v".to_string()),
    ];
    let wrong = |(path, before): &(&str, String)| {
        let text = files.get(*path).map_or("", String::as_str);
        let first =
            text.split(before.as_str()).skip(1).find(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        (!first.is_some_and(|rest| rest.starts_with(version))).then(|| format!("{path}: after {before:?}"))
    };
    named.iter().filter_map(wrong).collect()
}

#[test]
fn the_version_is_the_same_everywhere() {
    let wrong = other_versions(env!("CARGO_PKG_VERSION"), &tree());
    assert!(wrong.is_empty(), "another version than Cargo.toml's: {wrong:?}");
    assert_eq!(other_versions("999.0.0", &tree()).len(), 6);
}

fn stray(names: &[&str]) -> Vec<String> {
    names
        .iter()
        .filter(|name| !name.starts_with('.') && !TOP.contains(name))
        .map(|name| (*name).to_string())
        .collect()
}

#[test]
fn the_top_level_holds_nothing_else() {
    let top = fs::read_dir(env!("CARGO_MANIFEST_DIR")).unwrap();
    let names: Vec<String> = top.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let strays = stray(&names.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(strays.is_empty(), "does not belong at the top level: {strays:?}");
}

#[test]
fn a_stray_file_is_seen() {
    assert_eq!(stray(&["src", ".ci", "notes.txt"]), ["notes.txt"]);
}

/// Test files that no binary contains.
fn unrun(names: &[&str], root: &str) -> Vec<String> {
    let is_run = |module: &str| root.lines().any(|line| line == format!("mod {module};"));
    names
        .iter()
        .filter_map(|name| name.strip_suffix(".rs"))
        .filter(|module| !["integration", "tidy"].contains(module) && !is_run(module))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_test_file_is_run() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let root = fs::read_to_string(folder.join("integration.rs")).unwrap();
    let names: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let missing = unrun(&names.iter().map(String::as_str).collect::<Vec<_>>(), &root);
    assert!(missing.is_empty(), "tests/integration.rs lacks these modules: {missing:?}");
}

#[test]
fn a_test_file_that_is_not_run_is_seen() {
    assert_eq!(unrun(&["a.rs", "b.rs", "tidy.rs", "support"], "mod a;\n"), ["b"]);
}
