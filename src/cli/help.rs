//! The flag table as text: `--help`, and `configs/FLAGS.md`.

use super::flags::{Effect, FLAGS, Flag, FlagTable, SUBCOMMANDS, ValueKind};
use super::top::TOP_FLAGS;
use std::fmt::Write;

/// What `--version` prints: the version and nothing else, as metrics-server does.
#[must_use]
pub fn version() -> String {
    concat!("v", env!("CARGO_PKG_VERSION"), "\n").to_owned()
}

/// What `--help` prints.
#[must_use]
pub fn text() -> String {
    let mut out = String::from(
        "toplet answers kubectl top: the Kubernetes Metrics API for a cluster, or for this machine alone.\n\n\
         Usage:\n  toplet [flags]\n",
    );
    // Writing to a String cannot fail.
    for (name, help) in SUBCOMMANDS {
        let _ = writeln!(out, "  toplet {name} [flags]   {help}");
    }
    for flags in FLAGS.chunk_by(|one, next| one.section == next.section) {
        let title = flags.first().map_or("", |flag| flag.section.title());
        let _ = write!(out, "\n{title} flags:\n\n");
        rows(&mut out, flags);
    }
    out
}

/// What `toplet top --help` prints.
#[must_use]
pub fn top() -> String {
    let mut out = String::from(
        "Prints the usage of nodes and pods as kubectl top does. The toplet of this machine is asked through its local socket;\n\
         --server or --kubeconfig asks another server. Without node or pod: nodes, then all pods by CPU.\n\n\
         Usage:\n  toplet top [flags]\n  toplet top node [NAME | -l SELECTOR] [flags]\n  toplet top pod [NAME | -l SELECTOR] [flags]\n\n\
         Flags:\n\n",
    );
    rows(&mut out, TOP_FLAGS);
    out
}

fn rows(out: &mut String, flags: &[Flag]) {
    let width = flags.iter().map(|flag| left(flag).len()).max().unwrap_or(0);
    for flag in flags {
        let _ = writeln!(out, "{:width$}   {}", left(flag), right(flag));
    }
}

/// The table of `configs/FLAGS.md`: a row for each flag that has an effect, then, by reason, those that have none.
#[must_use]
pub fn markdown() -> String {
    let mut out = String::new();
    table(&mut out, FLAGS);
    let ignored = || FLAGS.iter().filter(|flag| flag.effect == Effect::Ignored);
    let mut reasons = Vec::new();
    for reason in ignored().map(|flag| flag.help) {
        if reasons.contains(&reason) {
            continue;
        }
        reasons.push(reason);
        let names: Vec<String> =
            ignored().filter(|flag| flag.help == reason).map(|flag| format!("`--{}`", flag.name)).collect();
        let _ = write!(out, "\n- {reason}\n  {}\n", names.join(", "));
    }
    out.push_str("\n## `toplet top`\n\n");
    table(&mut out, TOP_FLAGS);
    out
}

/// A row for each flag of a table that has an effect.
fn table(out: &mut String, flags: FlagTable) {
    out.push_str("| flag | default | meaning |\n|---|---|---|\n");
    for flag in flags.iter().filter(|flag| flag.effect != Effect::Ignored) {
        let short = flag.short.map(|letter| format!(", `-{letter}`")).unwrap_or_default();
        let default = match flag.default_text() {
            text if text.is_empty() => String::new(),
            text => format!("`{text}`"),
        };
        let help = flag.help.replace('|', "\\|");
        let _ = writeln!(out, "| `--{}`{short} | {default} | {help} |", flag.name);
    }
}

fn left(flag: &Flag) -> String {
    let short = flag.short.map_or("    ".to_owned(), |letter| format!("-{letter}, "));
    let kind = match flag.kind {
        ValueKind::Switch => "",
        ValueKind::Int | ValueKind::Port => " int",
        ValueKind::Float => " float",
        ValueKind::Duration => " duration",
        ValueKind::Ip => " ip",
        ValueKind::Text => " string",
        ValueKind::List | ValueKind::Repeated => " strings",
    };
    format!("  {short}--{}{kind}", flag.name)
}

fn right(flag: &Flag) -> String {
    let mut text = match flag.effect {
        Effect::Ignored => format!("No effect: {}", flag.help),
        Effect::Used | Effect::Immediate => flag.help.to_owned(),
    };
    let default = flag.default_text();
    if !default.is_empty() && default != "false" && flag.effect != Effect::Ignored {
        let _ = write!(text, " (default {default})");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_names_every_flag_once_under_its_heading() {
        let text = text();
        for flag in FLAGS {
            let line = format!("--{}", flag.name);
            let named = text.lines().filter(|l| l.trim_start().split([' ', ',']).any(|word| word == line));
            assert!(named.count() >= 1, "{line}");
        }
        let mut headings: Vec<_> = text.lines().filter(|line| line.ends_with(" flags:")).collect();
        let sections = FLAGS.iter().map(|flag| flag.section);
        assert!(sections.is_sorted(), "the flags of one section stand together");
        headings.dedup();
        assert_eq!(headings.len(), FLAGS.chunk_by(|one, next| one.section == next.section).count());
    }

    #[test]
    fn the_version_is_all_that_version_prints() {
        assert_eq!(version(), format!("v{}\n", env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn the_markdown_names_every_flag_once() {
        let text = markdown();
        let (server, top) = text.split_once("\n## `toplet top`\n").unwrap();
        for (text, flags) in [(server, FLAGS), (top, TOP_FLAGS)] {
            for flag in flags {
                assert_eq!(text.matches(&format!("`--{}`", flag.name)).count(), 1, "{}", flag.name);
            }
        }
    }
}
