//! What a server answers at one time: usage, what nodes have, and why some have no usage.

use super::ask::UsageServer;
use super::columns::printable;
use super::lists::{NodeFigure, NodeLine, PodLine};
use super::tables;
use crate::cli::{TopOptions, TopSubject};
use crate::host::clock;
use std::collections::{HashMap, HashSet};

/// What a server answers at one time.
#[derive(Default)]
pub(super) struct Seen {
    /// Usage of nodes.
    pub(super) nodes: Vec<NodeLine>,
    /// What nodes have.
    pub(super) figures: Vec<NodeFigure>,
    /// Nodes without usage, and why.
    pub(super) missing: Vec<(String, String)>,
    /// Usage of pods.
    pub(super) pods: Vec<PodLine>,
}

impl Seen {
    /// Asks for what is to be shown.
    /// # Errors
    /// There is no answer, or a refusal.
    pub(super) fn ask(server: &UsageServer, options: &TopOptions) -> Result<Seen, String> {
        let mut seen = Seen::default();
        if options.subject != TopSubject::Pods || options.watch {
            seen.figures = NodeFigure::list(server);
        }
        if options.subject != TopSubject::Pods {
            seen.nodes = NodeLine::list(server, options)?;
            // Of a selection nobody knows what is missing.
            if options.name.is_none() && options.selector.is_empty() {
                seen.missing = missing(server, &seen.nodes, &seen.figures);
            }
        }
        if options.subject != TopSubject::Nodes {
            seen.pods = PodLine::list(server, options)?;
        }
        Ok(seen)
    }

    /// One table, or both.
    pub(super) fn tables(self, options: &TopOptions) -> String {
        let (mut out, now) = (String::new(), clock::wall());
        let missing: Vec<&str> = self.missing.iter().map(|(name, _)| name.as_str()).collect();
        if options.subject != TopSubject::Pods {
            tables::nodes(&mut out, self.nodes, &self.figures, &missing, options, now);
        }
        if !self.pods.is_empty() {
            if options.subject == TopSubject::Everything {
                out.push('\n');
            }
            tables::pods(&mut out, self.pods, options, now);
        }
        out
    }
}

/// Nodes of the inventory without usage, and why.
fn missing(server: &UsageServer, nodes: &[NodeLine], figures: &[NodeFigure]) -> Vec<(String, String)> {
    let known: HashSet<&str> = nodes.iter().map(|line| line.name.as_str()).collect();
    let missing: Vec<&NodeFigure> = figures.iter().filter(|figure| !known.contains(&*figure.name)).collect();
    if missing.is_empty() {
        return Vec::new();
    }
    let Ok(told) = server.text("/readyz/nodes") else {
        let unsaid = || "the server did not answer why".to_owned();
        return missing.iter().map(|node| (printable(&node.name), unsaid())).collect();
    };
    let reasons: HashMap<&str, &str> =
        told.lines().filter_map(|line| line.strip_prefix("[-]")?.split_once(" failed: ")).collect();
    let reason = |name: &str| printable(reasons.get(name).unwrap_or(&"it was not read twice yet"));
    missing.iter().map(|node| (printable(&node.name), reason(&node.name))).collect()
}
