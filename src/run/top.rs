//! `toplet top`: usage as `kubectl top` prints it, asked of the toplet of this machine or of a server.
//!
//! Columns, units, order and the words for nothing are kubectl's; `-o wide` adds the age of each sample. Of lines that are equal
//! in what they are sorted by kubectl leaves the order open; here it is that of names. Nodes without usage stand last, and standard
//! error says why. Source: `pkg/cmd/top` and `pkg/metricsutil` of kubectl 1.37.

mod ask;
mod columns;
mod lists;
mod tables;

use crate::cli::{TopForm, TopOptions, TopSubject};
use crate::host::clock;
use crate::limits;
use ask::UsageServer;
use lists::{NodeFigure, NodeLine, PodLine};
use std::fmt::Write as _;
use std::io::Write as _;

/// Prints what was asked for.
/// # Errors
/// What is in the way, and what to do.
pub fn run(options: &TopOptions) -> Result<(), String> {
    let server = UsageServer::open(&options.origin)?;
    if matches!(options.form, TopForm::Json | TopForm::Yaml) {
        let body = server.document(&lists::path(options), options.form)?;
        return print(&String::from_utf8_lossy(&body));
    }
    let mut out = String::new();
    let both = options.subject == TopSubject::Everything;
    if options.subject != TopSubject::Pods {
        nodes(&server, options, &mut out)?;
    }
    if both {
        out.push('\n');
    }
    if options.subject != TopSubject::Nodes {
        let pods = PodLine::list(&server, options)?;
        if pods.is_empty() {
            nothing(&server, options)?;
        } else {
            tables::pods(&mut out, pods, options, clock::wall());
        }
    }
    print(&out)
}

fn nodes(server: &UsageServer, options: &TopOptions, out: &mut String) -> Result<(), String> {
    let lines = NodeLine::list(server, options)?;
    let figures = NodeFigure::list(server);
    let is_whole = options.name.is_none() && options.selector.is_empty();
    let missing: Vec<&str> = figures
        .iter()
        .map(|figure| figure.name.as_str())
        .filter(|name| is_whole && lines.iter().all(|line| line.name != **name))
        .collect();
    tell_reasons(server, &missing);
    if lines.is_empty() {
        return Err("metrics not available yet".to_owned());
    }
    tables::nodes(out, lines, &figures, &missing, options, clock::wall());
    Ok(())
}

/// Says on standard error why nodes have no usage.
fn tell_reasons(server: &UsageServer, missing: &[&str]) {
    if missing.is_empty() {
        return;
    }
    let told = server.text("/readyz/nodes").unwrap_or_default();
    let mut text = String::new();
    // Writing to a String cannot fail.
    for node in missing.iter().take(limits::TOP_REASONS_MAX) {
        let prefix = format!("[-]{node} failed: ");
        let reason = told.lines().find_map(|line| line.strip_prefix(&prefix));
        let reason = reason.unwrap_or("it was not read twice yet");
        let _ = writeln!(text, "toplet: node {node} has no usage: {}", columns::printable(reason));
    }
    if missing.len() > limits::TOP_REASONS_MAX {
        let _ =
            writeln!(text, "toplet: {} more nodes have no usage", missing.len() - limits::TOP_REASONS_MAX);
    }
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Why the list of pods is empty.
fn nothing(server: &UsageServer, options: &TopOptions) -> Result<(), String> {
    if server.status("/readyz")? != 200 {
        return Err("metrics not available yet".to_owned());
    }
    let text = match &options.namespace {
        None => "No resources found\n".to_owned(),
        Some(namespace) => format!("No resources found in {} namespace.\n", columns::printable(namespace)),
    };
    let _ = std::io::stderr().write_all(text.as_bytes());
    Ok(())
}

fn print(text: &str) -> Result<(), String> {
    // A closed standard output has no reader, so nothing is lost.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(())
}
