//! `toplet top`: usage as `kubectl top` prints it, asked of the toplet of this machine or of a server.
//!
//! Columns, units, order and the words for nothing are kubectl's; `-o wide` adds the age of each sample. Of lines that are equal
//! in what they are sorted by kubectl leaves the order open; here it is that of names. Nodes without usage stand last, and standard
//! error says why. Source: `pkg/cmd/top` and `pkg/metricsutil` of kubectl 1.37.

mod ask;
mod columns;
mod keys;
mod lists;
mod screen;
mod seen;
mod tables;
mod watch;

use crate::cli::{TopForm, TopOptions, TopSubject};
use crate::limits;
use ask::UsageServer;
use columns::printable;
use seen::Seen;
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
    if options.watch {
        return watch::run(server, options);
    }
    let seen = Seen::ask(&server, options)?;
    let mut text = String::new();
    // Writing to a String cannot fail.
    for (node, reason) in seen.missing.iter().take(limits::TOP_REASONS_MAX) {
        let _ = writeln!(text, "toplet: node {node} has no usage: {reason}");
    }
    if seen.missing.len() > limits::TOP_REASONS_MAX {
        let rest = seen.missing.len() - limits::TOP_REASONS_MAX;
        let _ = writeln!(text, "toplet: {rest} more nodes have no usage");
    }
    let _ = std::io::stderr().write_all(text.as_bytes());
    if options.subject != TopSubject::Pods && seen.nodes.is_empty() {
        return Err("metrics not available yet".to_owned());
    }
    if options.subject != TopSubject::Nodes && seen.pods.is_empty() {
        nothing(&server, options)?;
    }
    print(&seen.tables(options))
}

/// Why the list of pods is empty.
fn nothing(server: &UsageServer, options: &TopOptions) -> Result<(), String> {
    if server.status("/readyz")? != 200 {
        return Err("metrics not available yet".to_owned());
    }
    let text = match &options.namespace {
        None => "No resources found\n".to_owned(),
        Some(namespace) => format!("No resources found in {} namespace.\n", printable(namespace)),
    };
    let _ = std::io::stderr().write_all(text.as_bytes());
    Ok(())
}

fn print(text: &str) -> Result<(), String> {
    // A closed standard output has no reader, so nothing is lost.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(())
}
