//! The page for people: HTML of one file, without scripts and without anything from elsewhere.
//!
//! Everything that is not of this source is escaped. The style is allowed by its digest, so that the page cannot be made to
//! load or run anything even if an escape were missing. What a drawing shows stands beside it as text.

use super::facts::{NodeRow, Overview, PodRow, Wanted};
use super::history_path::{draw, extent};
use super::markup::{Html, STYLE};
use super::rank::Totals;
use crate::api::context::HostLoad;
use crate::limits;
use crate::store::Recent;
use crate::store::batch::BatchSource;
use crate::units::{Bytes, Nanocores, UnixNanos, Window};
use crate::wire::allocatable::Allocatable;
use crate::wire::pressure::{RESOURCES, Stall};
use crate::wire::quantity::{cores, mebibytes};
use crate::wire::{percent, text, time};
use std::fmt::Write;
use std::time::Duration;

/// Everything above the rows of nodes.
pub(super) fn overview(out: &mut Vec<u8>, it: &Overview<'_>) {
    let mut page = Html(out);
    page.raw("<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">");
    page.raw("<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">");
    if let Some(secs) = it.wanted.refresh_secs {
        page.raw("<meta http-equiv=\"refresh\" content=\"");
        page.text(&secs.to_string());
        page.raw("\">");
    }
    let Totals { nodes, nodes_failing, nodes_measured, .. } = it.totals;
    let title = format!("toplet: {nodes_measured} of {nodes} {} measured", plural(nodes, "node"));
    page.raw("<title>");
    page.text(&title);
    page.raw("</title><style>");
    page.raw(STYLE);
    page.raw("</style></head><body><header><h1>");
    page.text(&title);
    page.raw("</h1><p>");
    page.text(&format!(
        "Version {}, {}, up {}, read every {} s. ",
        env!("CARGO_PKG_VERSION"),
        it.mode,
        span(it.now.since(it.vitals.started_at)),
        it.resolution.as_secs()
    ));
    if let Some(end) = it.vitals.certificate_ends_at {
        page.certificate(end, it.now);
    }
    page.text(&format!("As of {}. ", time::rfc3339_text(it.now).as_str()));
    page.refreshing(it.wanted);
    page.raw("</p>");
    page.selection(it.wanted);
    page.raw("</header><main>");
    let failing = match nodes_failing {
        0 => String::new(),
        count => format!(", {count} failing"),
    };
    let shown = if it.nodes_shown < nodes { format!(", {} shown", it.nodes_shown) } else { String::new() };
    page.heading(&format!("Nodes: {nodes}{failing}{shown}"));
    // A table without rows only puzzles those who have it read aloud.
    if it.nodes_shown == 0 {
        return;
    }
    page.table("Nodes, those that fail first, then by CPU");
    page.heads(&[("Node", false)]);
    page.usage_heads(it.history);
    page.heads(&[("Age", true), ("Latency", true), ("Read from", false)]);
    page.rows();
}

/// One node.
pub(super) fn node(out: &mut Vec<u8>, it: &NodeRow<'_>, wanted: &Wanted) {
    let mut page = Html(out);
    page.raw("<tr><th scope=\"row\">");
    page.link(wanted.namespace.as_deref(), Some(it.name), wanted, it.name);
    page.raw("</th>");
    page.usage(it.usage.map(|usage| (usage.cpu, usage.working_set)), it.allocatable, it.history);
    page.number(&it.age.map_or("–".to_owned(), span));
    page.number(&it.scrape.took.map_or("–".to_owned(), latency));
    page.raw("<td>");
    page.text(match it.source {
        Some(BatchSource::Kubelet) => "kubelet",
        Some(BatchSource::Summary) => "kubelet (Summary API)",
        Some(BatchSource::Machine) => "own cgroups",
        None => "nothing yet",
    });
    if let Some(address) = &it.scrape.address {
        page.raw("<small>");
        page.text(address);
        page.raw("</small>");
    }
    page.raw("</td></tr>");
    if let Some((reason, sentence)) = &it.scrape.failure {
        let columns = if it.history.is_empty() { 6 } else { 8 };
        page.raw(&format!("<tr><td colspan=\"{columns}\"><p class=\"w\">"));
        page.text(&format!("{} cannot be read: {reason}: ", it.name));
        page.text(sentence.as_deref().unwrap_or("see the log"));
        page.raw("</p></td></tr>");
    }
}

/// What stands between the nodes and the pods.
pub(super) fn pods(out: &mut Vec<u8>, it: &Overview<'_>) {
    let mut page = Html(out);
    let totals = &it.totals;
    if it.nodes_shown > 0 {
        page.table_end();
    }
    let mut caption = format!("Pods: {}", totals.pods);
    if it.pods_shown < totals.pods {
        let _ = write!(caption, ", the {} with most CPU", it.pods_shown);
    }
    if totals.pods_without > 0 {
        let _ = write!(caption, ", {} without usage yet", totals.pods_without);
    }
    if totals.pods > 0 {
        let _ = write!(caption, "; together {} and {}", cores(totals.cpu), mebibytes(totals.working_set));
    }
    page.heading(&caption);
    if it.pods_shown == 0 {
        return;
    }
    page.table("Pods, by CPU");
    page.heads(&[("Pod", false)]);
    page.usage_heads(it.history);
    page.heads(&[("Age", true), ("Containers", true)]);
    if it.has_waits {
        page.heads(&[("Waited, last 10 s", false)]);
    }
    page.heads(&[("Node", false)]);
    page.rows();
}

/// One pod.
pub(super) fn pod(out: &mut Vec<u8>, it: &PodRow<'_>, wanted: &Wanted, has_waits: bool) {
    let mut page = Html(out);
    page.raw("<tr><th scope=\"row\">");
    page.text(it.name);
    page.raw("<small>");
    page.link(Some(it.namespace), wanted.node.as_deref(), wanted, it.namespace);
    page.raw("</small></th>");
    page.usage(Some((it.cpu, it.working_set)), Allocatable::default(), it.history);
    page.number(&it.age.map_or("–".to_owned(), span));
    page.number(&it.containers.to_string());
    page.raw("<td>");
    if has_waits {
        page.text(&waited(it.waits));
        page.raw("</td><td>");
    }
    if let Some(node) = it.node {
        page.link(wanted.namespace.as_deref(), Some(node), wanted, node);
    }
    page.raw("</td></tr>");
}

/// The end of the pods, and what toplet itself uses.
pub(super) fn end(out: &mut Vec<u8>, it: &Overview<'_>) {
    let mut page = Html(out);
    if it.pods_shown > 0 {
        page.table_end();
    }
    if let Some(load) = &it.vitals.host {
        page.host(load);
    }
    page.heading("toplet itself");
    page.table("What it holds, and what there is room for");
    page.heads(&[("What", false), ("In use", true), ("Room for", true)]);
    page.rows();
    let resident = it.vitals.rss.map_or("–".to_owned(), |rss| kib(rss.0));
    page.held("Memory (resident; reserved as address space)", &resident, &kib(it.reserved.0));
    let room = |count: Option<u32>| count.map_or("–".to_owned(), |count| count.to_string());
    let used = it.occupancy;
    for (name, used, capacity) in [
        ("Nodes", used.nodes, it.capacity.map(|capacity| capacity.nodes)),
        ("Pods", used.pods, it.capacity.map(|capacity| capacity.pods)),
        ("Containers", used.containers, it.capacity.map(|capacity| capacity.containers)),
    ] {
        page.held(name, &used.to_string(), &room(capacity));
    }
    let text_len = it.capacity.map_or("–".to_owned(), |capacity| kib(capacity.text_len.into()));
    page.held("Names and labels", &kib(used.text_len.into()), &text_len);
    page.table_end();
    page.raw("</main></body></html>\n");
}

impl Html<'_> {
    /// A link to this page with another selection.
    fn link(&mut self, namespace: Option<&str>, node: Option<&str>, wanted: &Wanted, name: &str) {
        let mut href = String::from("?");
        for (key, value) in [("namespace", namespace), ("node", node)] {
            if let Some(value) = value {
                href.extend([key, "="]);
                percent::push(&mut href, text::cut(value, limits::STATUS_TEXT_LEN_MAX), b"-_.~");
                href.push('&');
            }
        }
        if wanted.refresh_secs.is_none() {
            href.push_str("refresh=off&");
        }
        href.pop();
        self.raw("<a href=\"");
        let href = if href.is_empty() { "?".to_owned() } else { href.replace('&', "&amp;") };
        self.raw(&href);
        self.raw("\">");
        self.text(name);
        self.raw("</a>");
    }

    fn certificate(&mut self, end: UnixNanos, now: UnixNanos) {
        let at = time::rfc3339_text(end);
        self.text(&match end.0 < now.0 {
            true => format!("The serving certificate expired at {}. ", at.as_str()),
            false => format!("The serving certificate is valid for {} more. ", span(end.since(now))),
        });
    }

    /// Whether the page comes again by itself, and how to change that.
    fn refreshing(&mut self, wanted: &Wanted) {
        let (namespace, node) = (wanted.namespace.as_deref(), wanted.node.as_deref());
        let (says, other) = match wanted.refresh_secs {
            Some(secs) => (format!("Loads again every {secs} s: "), Wanted::default()),
            None => {
                ("Does not load again: ".to_owned(), Wanted { refresh_secs: Some(0), ..Wanted::default() })
            }
        };
        self.text(&says);
        self.link(namespace, node, &other, if wanted.refresh_secs.is_some() { "stop" } else { "start" });
    }

    /// What is selected, with a link to everything.
    fn selection(&mut self, wanted: &Wanted) {
        if wanted.namespace.is_none() && wanted.node.is_none() {
            return;
        }
        self.raw("<p>Only");
        for (kind, name) in [(" namespace ", &wanted.namespace), (" node ", &wanted.node)] {
            if let Some(name) = name {
                self.text(kind);
                self.text(name);
            }
        }
        self.raw(": ");
        self.link(None, None, wanted, "show all");
        self.raw("</p>");
    }

    fn usage_heads(&mut self, history: Window) {
        let lately = span(history);
        for name in ["CPU", "Memory"] {
            self.heads(&[(name, true)]);
            if history.0 > 0 {
                self.heads(&[(&format!("{name}, last {lately}"), false)]);
            }
        }
    }

    /// What the machine's work waits for, and how full its file systems are.
    fn host(&mut self, load: &HostLoad) {
        self.heading("This machine");
        if load.pressures().next().is_some() {
            self.table("Share of the last seconds in which some work waited, and all of it");
            self.heads(&[("Waiting for", false), ("10 s", true), ("60 s", true), ("300 s", true)]);
            self.rows();
        }
        for (resource, pressure) in load.pressures() {
            for (kind, stall) in [("some work", Some(pressure.some)), ("all work", pressure.full)] {
                let Some(stall) = stall else { continue };
                self.row(&format!("{resource}, {kind}"));
                stall.averages.iter().for_each(|share| self.number(&format!("{share:.1} %")));
                self.raw("</tr>");
            }
        }
        if load.pressures().next().is_some() {
            self.table_end();
        }
        self.table("File systems");
        self.heads(&[("Directory", false), ("In use", true), ("Size", true), ("Free", true)]);
        self.rows();
        for it in load.file_systems() {
            self.row(it.path);
            [it.used, it.size, it.available].into_iter().for_each(|bytes| self.number(&mebibytes(bytes)));
            self.raw("</tr>");
        }
        self.table_end();
    }

    /// CPU and memory now, as shares of what there is where that is known, and lately.
    fn usage(&mut self, now: Option<(Nanocores, Bytes)>, of: Allocatable, history: &[Recent]) {
        self.share(now.map(|(now, _)| now.0), of.cpu.0, |value| cores(Nanocores(value)));
        let values = || history.iter().map(|sample| sample.cpu.map(|cpu| cpu.0));
        self.lately(values, history.len(), |value| cores(Nanocores(value.saturating_sub(kept_off(value)))));
        self.share(now.map(|(_, now)| now.0), of.memory.0, |value| mebibytes(Bytes(value)));
        let values = || history.iter().map(|sample| sample.working_set.map(|bytes| bytes.0));
        self.lately(values, history.len(), |value| mebibytes(Bytes(value.saturating_add(kept_off(value)))));
    }

    /// A cell with a value, and its share in whole hundredths.
    fn share(&mut self, now: Option<u64>, of: u64, unit: impl Fn(u64) -> String) {
        self.raw("<td class=\"n\">");
        self.text(&now.map_or("–".to_owned(), &unit));
        if let Some(share) = now.and_then(|now| now.saturating_mul(100).checked_div(of)) {
            self.raw("<small>");
            self.text(&format!("{share} % of {}", unit(of)));
            self.raw("</small>");
        }
        self.raw("</td>");
    }

    fn lately<I: Iterator<Item = Option<u64>>>(
        &mut self,
        values: impl Fn() -> I,
        count: usize,
        unit: impl Fn(u64) -> String,
    ) {
        if count == 0 {
            return;
        }
        self.raw("<td>");
        if let Some(extent) = extent(values()) {
            draw(self.0, values(), count, extent.largest);
            self.raw("<small>");
            self.text(&format!("{} to {}", unit(extent.least), unit(extent.largest)));
            self.raw("</small>");
        }
        self.raw("</td>");
    }

    /// One row of what toplet holds.
    fn held(&mut self, name: &str, used: &str, room: &str) {
        self.row(name);
        self.number(used);
        self.number(room);
        self.raw("</tr>");
    }
}

/// What a pod waited for, without what it did not wait for.
fn waited(waits: Option<[Option<Stall>; 3]>) -> String {
    let Some(waits) = waits else { return "–".to_owned() };
    let shares =
        RESOURCES.into_iter().zip(waits).filter_map(|(name, stall)| Some((name, stall?.averages[0])));
    let parts: Vec<String> = shares
        .filter(|(_, share)| *share > 0.0)
        .map(|(name, share)| format!("{name} {share:.1} %"))
        .collect();
    if parts.is_empty() { "for nothing".to_owned() } else { parts.join(", ") }
}

/// How far a value of the history may be from what was measured. Printed, CPU is rounded up and memory down: this much the other way
/// first, so that a steady figure is the same in both cells.
const fn kept_off(value: u64) -> u64 {
    value >> 11
}

fn plural(count: usize, one: &str) -> String {
    if count == 1 { one.to_owned() } else { format!("{one}s") }
}

fn kib(bytes: u64) -> String {
    format!("{} KiB", bytes.div_ceil(1024))
}

fn latency(took: Duration) -> String {
    if took.is_zero() { "< 1 ms".to_owned() } else { format!("{} ms", took.as_millis()) }
}

/// A time in its two largest units.
fn span(time: Window) -> String {
    let secs = time.0 / 1_000_000_000;
    match secs {
        ..60 => format!("{secs} s"),
        60..3_600 if secs % 60 == 0 => format!("{} min", secs / 60),
        60..3_600 => format!("{} min {} s", secs / 60, secs % 60),
        3_600..86_400 => format!("{} h {} min", secs / 3_600, secs % 3_600 / 60),
        _ => format!("{} d {} h", secs / 86_400, secs % 86_400 / 3_600),
    }
}
