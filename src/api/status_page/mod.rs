//! The pages `/status` and `/status.json`: how toplet fares, each node, and the pods that use most, with what they used lately.
//!
//! First the store is walked for the nodes and pods to show, a bounded number of objects under one lock; then they are
//! written a row at a time. The page holds their names alone, at most `limits::STATUS_NODES_MAX` and
//! `limits::STATUS_PODS_MAX`; what was removed meanwhile is left out. Both forms show the same facts.

mod facts;
mod history_path;
mod html;
mod json;
mod markup;
mod rank;

use super::answer::{Answer, Body, Pieces, Progress};
use super::context::{Context, Vitals};
use crate::counters::Counters;
use crate::limits;
use crate::store::{Recent, Store};
use crate::units::{Bytes, UnixNanos, Window};
use crate::wire::request::Head;
use facts::{NodeRow, Overview, PodRow, Wanted};
use rank::Ranking;
use std::borrow::Cow;
use std::time::Duration;

/// What the answer is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notation {
    /// For people.
    Html,
    /// For programs.
    Json,
}

/// Where the writing is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Overview,
    Node(usize),
    Pods,
    Pod(usize),
    End,
}

/// The page under way.
struct StatusPage {
    notation: Notation,
    wanted: Wanted,
    vitals: Vitals,
    mode: &'static str,
    reserved: Bytes,
    resolution: Duration,
    now: UnixNanos,
    ranking: Ranking,
    part: Part,
    /// No row of this table is written yet.
    is_first: bool,
    /// One row's history.
    history: Vec<Recent>,
}

/// Answers `/status` or `/status.json`.
#[must_use]
pub fn answer(context: &Context<'_>, head: &Head<'_>, notation: Notation) -> Answer {
    let wanted = Wanted::read(head.query, context.settings.resolution);
    let page = StatusPage {
        notation,
        wanted,
        vitals: context.vitals,
        mode: context.settings.mode,
        reserved: context.settings.reserved,
        resolution: context.settings.resolution,
        now: context.now,
        ranking: Ranking::default(),
        part: Part::Overview,
        is_first: true,
        history: Vec::new(),
    };
    let mut headers: Vec<(&'static str, Cow<'static, str>)> = match notation {
        Notation::Html => vec![
            ("Content-Type", "text/html; charset=utf-8".into()),
            ("Content-Security-Policy", markup::CONTENT_SECURITY_POLICY.into()),
            ("Referrer-Policy", "no-referrer".into()),
        ],
        Notation::Json => vec![("Content-Type", "application/json".into())],
    };
    headers.push(("X-Content-Type-Options", "nosniff".into()));
    Answer { status: 200, headers, body: Body::List(Box::new(page)) }
}

impl StatusPage {
    /// What stands around the tables.
    fn facts<'a>(&'a self, store: &Store, metrics: &Counters) -> Overview<'a> {
        let resolution = Window::from_duration(self.resolution);
        Overview {
            wanted: &self.wanted,
            vitals: &self.vitals,
            mode: self.mode,
            reserved: self.reserved,
            resolution: self.resolution,
            now: self.now,
            totals: self.ranking.totals(),
            nodes_shown: self.ranking.nodes().len(),
            pods_shown: self.ranking.pods().len(),
            has_waits: store.has_pressures(),
            occupancy: store.occupancy(),
            capacity: metrics.capacity.get().copied(),
            history: Window(resolution.0.saturating_mul(store.history_len().into())),
        }
    }

    fn node(&mut self, store: &Store, metrics: &Counters, index: usize, out: &mut Vec<u8>) {
        let Some(name) = self.ranking.nodes().get(index) else { return };
        let Some(node) = store.node(name) else { return };
        store.node_history(name, self.vitals.uptime, &mut self.history);
        let scrape = metrics.last_scrape(name);
        let is_first = std::mem::take(&mut self.is_first);
        let row = NodeRow {
            name,
            source: node.source,
            scrape,
            usage: node.usage,
            allocatable: node.allocatable,
            age: node.usage.map(|usage| self.now.since(usage.at)),
            history: &self.history,
        };
        match self.notation {
            Notation::Html => html::node(out, &row, &self.wanted),
            Notation::Json => json::node(out, &row, is_first),
        }
    }

    fn pod(&mut self, store: &Store, index: usize, out: &mut Vec<u8>) {
        let Some((namespace, name)) = self.ranking.pods().get(index) else { return };
        let Some(pod) = store.pod(namespace, name) else { return };
        let Some(usage) = pod.usage else { return };
        store.pod_history(namespace, name, self.vitals.uptime, &mut self.history);
        let (cpu, working_set) = rank::sum(&usage);
        let is_first = std::mem::take(&mut self.is_first);
        let row = PodRow {
            namespace,
            name,
            node: pod.node(),
            containers: usage.containers().count(),
            cpu,
            working_set,
            waits: pod.waits(),
            age: usage.span().0.map(|at| self.now.since(at)),
            history: &self.history,
        };
        match self.notation {
            Notation::Html => html::pod(out, &row, &self.wanted, store.has_pressures()),
            Notation::Json => json::pod(out, &row, is_first),
        }
    }

    /// Writes one part; the next one, or `None` after the last.
    fn write(&mut self, store: &Store, metrics: &Counters, out: &mut Vec<u8>) -> Option<Part> {
        Some(match self.part {
            Part::Overview => {
                let facts = self.facts(store, metrics);
                match self.notation {
                    Notation::Html => html::overview(out, &facts),
                    Notation::Json => json::overview(out, &facts),
                }
                Part::Node(0)
            }
            Part::Node(index) if index < self.ranking.nodes().len() => {
                self.node(store, metrics, index, out);
                Part::Node(index + 1)
            }
            Part::Node(_) => Part::Pods,
            Part::Pods => {
                self.is_first = true;
                let facts = self.facts(store, metrics);
                match self.notation {
                    Notation::Html => html::pods(out, &facts),
                    Notation::Json => json::pods(out, &facts.totals),
                }
                Part::Pod(0)
            }
            Part::Pod(index) if index < self.ranking.pods().len() => {
                self.pod(store, index, out);
                Part::Pod(index + 1)
            }
            Part::Pod(_) => Part::End,
            Part::End => {
                match self.notation {
                    Notation::Html => html::end(out, &self.facts(store, metrics)),
                    Notation::Json => json::end(out),
                }
                return None;
            }
        })
    }
}

impl Pieces for StatusPage {
    fn prepare(&mut self, store: &Store, metrics: &Counters) -> bool {
        self.ranking.walk(store, metrics, self.wanted.namespace.as_deref(), self.wanted.node.as_deref())
    }

    fn len(&self) -> Option<usize> {
        None
    }

    fn next(&mut self, store: &Store, metrics: &Counters, out: &mut Vec<u8>) -> Progress {
        if !self.prepare(store, metrics) {
            return Progress::More;
        }
        let end = out.len() + limits::CHUNK_LEN_MAX - limits::PART_LEN_MAX;
        while out.len() <= end {
            match self.write(store, metrics, out) {
                Some(part) => self.part = part,
                None => return Progress::Done,
            }
        }
        Progress::More
    }
}

#[cfg(test)]
mod tests;
