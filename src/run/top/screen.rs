//! The live screen of `toplet top --watch` as text: a title, nodes, and the rows that fit, from the largest.
//!
//! Pure: what was seen, the size and the time go in, and the bytes of a frame come out, never wider or higher than the screen.
//! Bars are shares of what the nodes have, where that is known; a sparkline is what this process saw of a row, on a scale of its
//! own. Names from a server are printed as ASCII, so that a column is a byte and nothing is obeyed by the terminal.

use super::lists::Figures;
use super::seen::Seen;
use super::tables::{age, rank};
use crate::cli::{SortBy, TopOptions};
use crate::limits;
use crate::units::UnixNanos;
use crate::wire::quantity::{cores, mebibytes, millicores};
use std::collections::{HashMap, VecDeque};
use std::fmt::Write;

/// How a terminal is drawn on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScreenStyle {
    /// Colours and bold letters.
    pub colour: bool,
    /// Block characters of Unicode; else ASCII.
    pub blocks: bool,
}

/// One row.
pub(super) struct ScreenRow {
    name: String,
    figures: Figures,
    at: Option<UnixNanos>,
    /// What its bars are shares of; zero where that is not known.
    of: Figures,
    /// Why there is no usage.
    reason: Option<String>,
    is_node: bool,
}

/// CPU of each row so far, in thousandths of a core, the newest last.
#[derive(Default)]
pub(super) struct Traces {
    rows: HashMap<String, VecDeque<u64>>,
}

impl Traces {
    /// Notes one refresh; rows that are gone are forgotten.
    pub(super) fn note(&mut self, rows: &[ScreenRow]) {
        let mut old = std::mem::take(&mut self.rows);
        for row in rows.iter().filter(|row| row.reason.is_none()).take(limits::TOP_TRACES_MAX) {
            let mut trace = old.remove(&row.key()).unwrap_or_default();
            if trace.len() >= limits::TOP_TRACE_LEN_MAX {
                trace.pop_front();
            }
            trace.push_back(millicores(row.figures.cpu));
            self.rows.insert(row.key(), trace);
        }
    }
}

impl ScreenRow {
    fn key(&self) -> String {
        format!("{}{}", if self.is_node { "" } else { "/" }, self.name)
    }
}

/// The rows of what was seen: nodes, then pods or containers.
pub(super) fn rows(seen: &Seen, options: &TopOptions) -> Vec<ScreenRow> {
    let has: HashMap<&str, Figures> =
        seen.figures.iter().map(|figure| (figure.name.as_str(), figure.figures)).collect();
    let all = seen.figures.iter().fold(Figures::default(), |sum, figure| sum.plus(figure.figures));
    let mut rows: Vec<ScreenRow> = Vec::new();
    for line in &seen.nodes {
        // Of nothing no bar is shown.
        let of = has.get(&*line.name).copied().unwrap_or_default();
        rows.push(ScreenRow {
            name: ascii(&line.name),
            figures: line.figures,
            at: line.at,
            of,
            reason: None,
            is_node: true,
        });
    }
    for (name, reason) in &seen.missing {
        let (name, reason) = (ascii(name), Some(ascii(reason)));
        rows.push(ScreenRow { name, figures: Figures::default(), at: None, of: all, reason, is_node: true });
    }
    for line in &seen.pods {
        let pod = if options.namespace.is_none() {
            format!("{}/{}", line.namespace, line.name)
        } else {
            line.name.clone()
        };
        let row = |name: &str, figures| ScreenRow {
            name: ascii(name),
            figures,
            at: line.at,
            of: all,
            reason: None,
            is_node: false,
        };
        if options.containers {
            rows.extend(
                line.containers.iter().map(|(name, figures)| row(&format!("{pod}/{name}"), *figures)),
            );
        } else {
            rows.push(row(&pod, line.figures));
        }
    }
    rows
}

/// Sorts the rows: nodes first, each kind from the largest.
pub(super) fn sort(rows: &mut [ScreenRow], by: Option<SortBy>) {
    rows.sort_by(|a, b| {
        let key = |row: &ScreenRow| (!row.is_node, row.reason.is_some(), rank(by, row.figures));
        key(a).cmp(&key(b)).then_with(|| a.name.cmp(&b.name))
    });
}

/// What a frame shows beside its rows.
pub(super) struct Scene<'a> {
    pub(super) rows: &'a [ScreenRow],
    pub(super) traces: &'a Traces,
    pub(super) sort: Option<SortBy>,
    /// How many of the rows that can be scrolled stand above the first one shown.
    pub(super) first: usize,
    /// Why the last refresh failed.
    pub(super) problem: Option<&'a str>,
    pub(super) now: UnixNanos,
}

/// Which rows have a place on a screen of some height.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ScreenExtent {
    /// Nodes that stand above all other rows.
    fixed: usize,
    /// Where the rows that can be scrolled begin, ...
    begin: usize,
    /// ... how many they are, ...
    count: usize,
    /// ... and how many lines there are for them.
    pub(super) lines: usize,
    /// The last line says what is not shown.
    has_rest: bool,
}

impl ScreenExtent {
    /// The most rows that may stand above the screen.
    pub(super) fn first_max(self) -> usize {
        self.count.saturating_sub(self.lines)
    }
}

/// Lines above the rows.
const HEAD_LINES: usize = 2;

/// Widths of the columns besides the name and the sparkline, with the blanks between them.
const FIXED_WIDTH: usize = 8 + 11 + 10 + 11 + 6;
/// The same without bars, age and sparkline.
const FIGURES_WIDTH: usize = 8 + 10;
const BAR_WIDTH: usize = 10;
const NAME_WIDTH_MIN: usize = 12;
const NAME_WIDTH_MAX: usize = 64;

impl Scene<'_> {
    /// A frame of so many columns and lines, from the upper left corner.
    pub(super) fn frame(&self, (width, height): (usize, usize), style: ScreenStyle) -> String {
        let mut lines = vec![self.title(width, style)];
        let spark = (width.saturating_sub(FIXED_WIDTH + NAME_WIDTH_MIN) / 3).min(limits::TOP_TRACE_LEN_MAX);
        let fixed = if has_bars(width) { FIXED_WIDTH + spark } else { FIGURES_WIDTH };
        let name = width.saturating_sub(fixed).clamp(1, NAME_WIDTH_MAX);
        lines.push(bold(&cut(&head(name, has_bars(width)), width), style));
        let extent = self.extent(height);
        let scrolled = self.rows.iter().skip(extent.begin).skip(self.first).take(extent.lines);
        for row in self.rows.iter().take(extent.fixed).chain(scrolled) {
            lines.push(self.row(row, name, spark, width, style));
        }
        if extent.has_rest {
            lines.push(cut(&self.rest(extent), width));
        }
        lines.truncate(height.max(1));
        let mut out = String::from("\x1b[H");
        out.push_str(&lines.join("\x1b[K\r\n"));
        out.push_str("\x1b[K\x1b[J");
        out
    }

    /// Where there are pods as well, as many nodes as fit into a third of the screen stay above them; nodes alone are scrolled.
    pub(super) fn extent(&self, height: usize) -> ScreenExtent {
        let room = height.saturating_sub(HEAD_LINES);
        let nodes = self.rows.iter().filter(|row| row.is_node).count();
        let (fixed, begin) =
            if nodes < self.rows.len() { (nodes.min((room / 3).max(1)), nodes) } else { (0, 0) };
        let (count, lines) = (self.rows.len().saturating_sub(begin), room.saturating_sub(fixed));
        let has_rest = fixed < begin || count > lines;
        ScreenExtent { fixed, begin, count, lines: lines.saturating_sub(usize::from(has_rest)), has_rest }
    }

    /// What is not shown, and how to come there.
    fn rest(&self, extent: ScreenExtent) -> String {
        let below = extent.count.saturating_sub(self.first).saturating_sub(extent.lines);
        let parts = [
            (extent.begin.saturating_sub(extent.fixed), "more nodes"),
            (self.first, "above"),
            (below, "below"),
        ];
        let parts =
            parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
        let keys = if extent.first_max() > 0 { "  [j k PgUp PgDn] scroll" } else { "" };
        format!("... {}{keys}", parts.collect::<Vec<_>>().join(", "))
    }

    fn title(&self, width: usize, style: ScreenStyle) -> String {
        if let Some(problem) = self.problem {
            return paint(&cut(&format!("toplet top: {}", ascii(problem)), width), "31", style);
        }
        let nodes = self.rows.iter().filter(|row| row.is_node).count();
        let by = match self.sort {
            Some(SortBy::Cpu) => "CPU",
            Some(SortBy::Memory) => "memory",
            None => "name",
        };
        let seconds = self.now.seconds().rem_euclid(86_400);
        let time = format!("{:02}:{:02}:{:02} UTC", seconds / 3600, seconds / 60 % 60, seconds % 60);
        let others = self.rows.len().saturating_sub(nodes);
        bold(
            &cut(
                &format!(
                    "toplet top  {time}  nodes: {nodes}, others: {others}, by {by}  [c m n] sort [q] quit"
                ),
                width,
            ),
            style,
        )
    }

    fn row(&self, row: &ScreenRow, name: usize, spark: usize, width: usize, style: ScreenStyle) -> String {
        let label = shortened(&row.name, name.saturating_sub(1));
        let mut text = format!("{label:name$}");
        if let Some(reason) = &row.reason {
            let room = width.saturating_sub(name);
            text.push_str(&paint(&cut(reason, room), "31", style));
            return text;
        }
        let cpu = share(millicores(row.figures.cpu), millicores(row.of.cpu));
        let memory = share(row.figures.memory.0, row.of.memory.0);
        let fits = has_bars(width);
        // Writing to a String cannot fail.
        let _ = write!(text, "{:>7} ", cores(row.figures.cpu));
        if fits {
            text.push_str(&bar(cpu, style));
        }
        let _ = write!(text, " {:>8} ", mebibytes(row.figures.memory));
        if fits {
            text.push_str(&bar(memory, style));
            let _ = write!(text, "{:>6} ", age(row.at, self.now));
            if let Some(trace) = self.traces.rows.get(&row.key()) {
                text.push_str(&sparkline(trace, spark.saturating_sub(1), style));
            }
            text
        } else {
            cut(&text, width)
        }
    }
}

/// Whether there is room for more than names and figures.
fn has_bars(width: usize) -> bool {
    width >= FIXED_WIDTH + NAME_WIDTH_MIN
}

fn head(name: usize, has_bars: bool) -> String {
    if !has_bars {
        return format!("{:name$}{:>7}  {:>8}", "NAME", "CPU", "MEMORY");
    }
    format!(
        "{:name$}{:>7} {:BAR_WIDTH$} {:>8} {:BAR_WIDTH$}{:>6} TREND",
        "NAME", "CPU", "", "MEMORY", "", "AGE"
    )
}

/// A share of 1; `None` where the whole is not known.
fn share(used: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| (used as f64 / of as f64).min(1.0))
}

/// A bar of [`BAR_WIDTH`] columns.
fn bar(share: Option<f64>, style: ScreenStyle) -> String {
    let Some(share) = share else { return " ".repeat(BAR_WIDTH) };
    let full = ((share * BAR_WIDTH as f64).round() as usize).min(BAR_WIDTH);
    let (on, off) = if style.blocks { ("\u{2588}", "\u{2591}") } else { ("#", ".") };
    let colour = match share {
        share if share >= 0.9 => "31",
        share if share >= 0.7 => "33",
        _ => "32",
    };
    format!("{}{}", paint(&on.repeat(full), colour, style), off.repeat(BAR_WIDTH.saturating_sub(full)))
}

/// The last values, from none to the largest of them.
fn sparkline(trace: &VecDeque<u64>, width: usize, style: ScreenStyle) -> String {
    const BLOCKS: [char; 8] =
        ['\u{2581}', '\u{2582}', '\u{2583}', '\u{2584}', '\u{2585}', '\u{2586}', '\u{2587}', '\u{2588}'];
    const LETTERS: [char; 8] = ['_', '_', '.', '.', '-', '=', '*', '#'];
    let marks = if style.blocks { BLOCKS } else { LETTERS };
    let shown = trace.iter().skip(trace.len().saturating_sub(width));
    let most = shown.clone().max().copied().unwrap_or(0).max(1);
    let mark = |value: &u64| {
        let level = u128::from(*value).saturating_mul(7) / u128::from(most);
        usize::try_from(level).ok().and_then(|level| marks.get(level)).copied().unwrap_or(' ')
    };
    shown.map(mark).collect()
}

fn bold(text: &str, style: ScreenStyle) -> String {
    paint(text, "1", style)
}

fn paint(text: &str, attribute: &str, style: ScreenStyle) -> String {
    if style.colour && !text.is_empty() { format!("\x1b[{attribute}m{text}\x1b[0m") } else { text.to_owned() }
}

/// At most `width` columns of an ASCII text.
fn cut(text: &str, width: usize) -> String {
    text.chars().take(width).collect()
}

/// A name of at most `width` columns, without its middle where it is longer: names of pods differ at their end.
fn shortened(name: &str, width: usize) -> String {
    let len = name.chars().count();
    if len <= width || width < 8 {
        return cut(name, width);
    }
    let (front, end) = (width / 2, (width - 1) / 2);
    name.chars()
        .take(front)
        .chain(['~'])
        .chain(name.chars().skip(len.saturating_sub(end)))
        .take(width)
        .collect()
}

/// A text of a server as letters that are one column wide.
fn ascii(text: &str) -> String {
    text.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::top::lists::{NodeFigure, NodeLine, PodLine};
    use crate::units::{Bytes, Nanocores};

    const PLAIN: ScreenStyle = ScreenStyle { colour: false, blocks: false };

    fn used(millicores: u64, mebibytes: u64) -> Figures {
        Figures { cpu: Nanocores(millicores * 1_000_000), memory: Bytes(mebibytes << 20), swap: Bytes(0) }
    }

    fn options() -> TopOptions {
        let args = ["toplet", "top", "-w"].map(std::ffi::OsString::from);
        match crate::cli::parse(args.into_iter(), &crate::cli::Surroundings::default()) {
            Ok(crate::cli::Command::Top(options)) => *options,
            other => panic!("{other:?}"),
        }
    }

    fn seen(pods: usize) -> Seen {
        let at = Some(UnixNanos(0));
        Seen {
            nodes: vec![NodeLine {
                name: "edge\x1b[2J-\u{4e00}".to_owned(),
                figures: used(1900, 100),
                at,
                window: None,
            }],
            figures: vec![NodeFigure {
                name: "edge\x1b[2J-\u{4e00}".to_owned(),
                figures: used(2000, 1000),
                swap: None,
            }],
            missing: vec![("dead".to_owned(), "connection refused: see its log".to_owned())],
            pods: (0..pods)
                .map(|nth| PodLine {
                    namespace: "default".to_owned(),
                    name: format!("pod-{nth:03}-{}", "x".repeat(nth)),
                    figures: used(nth as u64, 500 - nth as u64),
                    at,
                    containers: Vec::new(),
                })
                .collect(),
        }
    }

    fn frame(pods: usize, sort_by: Option<SortBy>, size: (usize, usize), style: ScreenStyle) -> String {
        scrolled(pods, sort_by, size, style, 0)
    }

    fn scrolled(
        pods: usize,
        sort_by: Option<SortBy>,
        size: (usize, usize),
        style: ScreenStyle,
        first: usize,
    ) -> String {
        let mut rows = rows(&seen(pods), &options());
        sort(&mut rows, sort_by);
        let mut traces = Traces::default();
        for _ in 0..100 {
            traces.note(&rows);
        }
        let now = UnixNanos(4_000_000_000);
        let mut scene = Scene { rows: &rows, traces: &traces, sort: sort_by, first, problem: None, now };
        scene.first = first.min(scene.extent(size.1).first_max());
        scene.frame(size, style)
    }

    /// Columns of a line without what a terminal obeys.
    fn plain(line: &str) -> String {
        let mut out = String::new();
        let mut rest = line;
        while let Some((before, after)) = rest.split_once("\x1b[") {
            out.push_str(before);
            rest = after.split_once(|c: char| c.is_ascii_alphabetic()).map_or("", |(_, rest)| rest);
        }
        out + rest
    }

    #[test]
    fn no_frame_is_larger_than_its_screen() {
        for size in [(80, 24), (200, 50), (40, 10), (20, 3), (1, 1), (300, 100), (0, 0)] {
            for pods in [0, 1, 30, 150] {
                let coloured = ScreenStyle { colour: true, blocks: true };
                for (style, first) in [(PLAIN, 0), (coloured, 0), (coloured, 7), (PLAIN, usize::MAX)] {
                    let text = scrolled(pods, Some(SortBy::Cpu), size, style, first);
                    let lines: Vec<&str> = text.split("\r\n").collect();
                    assert!(lines.len() <= size.1.max(1), "{size:?} {pods}: {} lines", lines.len());
                    for line in lines {
                        let line = plain(line);
                        assert!(line.chars().count() <= size.0, "{size:?}: {line:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn rows_are_sorted_and_say_what_is_missing() {
        let text = frame(30, Some(SortBy::Cpu), (100, 24), PLAIN);
        let lines: Vec<String> = text.split("\r\n").map(plain).collect();
        assert!(lines[0].contains("00:00:04 UTC  nodes: 2, others: 30, by CPU"), "{}", lines[0]);
        assert!(lines[2].starts_with("edge?[2J-?") && lines[2].contains("1900m ##########"), "{}", lines[2]);
        assert!(lines[2].contains("100Mi #.........    4s #############"), "{}", lines[2]);
        assert!(lines[3].starts_with("dead") && lines[3].contains("connection refused"), "{}", lines[3]);
        assert!(lines[4].starts_with("default/pod-029"), "{}", lines[4]);
        assert_eq!(lines[23], "... 11 below  [j k PgUp PgDn] scroll");
        let narrow = frame(3, None, (40, 9), PLAIN);
        assert!(narrow.contains("default/pod-002-xx         2m     498Mi"), "{narrow}");
        assert_eq!(shortened("default/web-5fddb4c866-xqm9z/main", 20), "default/we~qm9z/main");
        let text = frame(30, Some(SortBy::Memory), (100, 24), PLAIN);
        assert!(plain(text.split("\r\n").nth(4).unwrap()).starts_with("default/pod-000"));
        assert!(!text.contains("\x1b[3") && !text.contains("\x1b[1m"), "no colours");
        assert!(
            frame(3, None, (100, 24), ScreenStyle { colour: true, blocks: true })
                .contains("\x1b[31m\u{2588}")
        );
    }

    #[test]
    fn every_row_can_be_reached_and_nodes_stay() {
        let at = |first| scrolled(30, Some(SortBy::Cpu), (100, 24), PLAIN, first);
        let mut seen = std::collections::BTreeSet::new();
        for first in [0, 1, 10, 11, usize::MAX] {
            let text = at(first);
            let lines: Vec<String> = text.split("\r\n").map(plain).collect();
            assert!(lines[2].starts_with("edge") && lines[3].starts_with("dead"), "{text}");
            seen.extend(lines.iter().filter_map(|line| line.get(..15)).map(str::to_owned));
        }
        assert_eq!(seen.iter().filter(|line| line.starts_with("default/pod-")).count(), 30);
        assert!(at(1).contains("... 1 above, 10 below"), "{}", at(1));
        assert_eq!(at(11), at(usize::MAX));
        assert!(at(11).contains("... 11 above  [j k PgUp PgDn] scroll"), "{}", at(11));
        // Everything fits: nothing to scroll, nothing said.
        assert!(!scrolled(5, None, (100, 24), PLAIN, 3).contains("scroll"));
    }

    #[test]
    fn traces_are_bounded_and_forget_what_is_gone() {
        let mut traces = Traces::default();
        for _ in 0..3 * limits::TOP_TRACE_LEN_MAX {
            traces.note(&rows(&seen(5), &options()));
        }
        assert_eq!(traces.rows.len(), 6);
        assert!(traces.rows.values().all(|trace| trace.len() == limits::TOP_TRACE_LEN_MAX));
        traces.note(&rows(&seen(1), &options()));
        assert_eq!(traces.rows.len(), 2);
        let values: VecDeque<u64> = [0, 5, 10, u64::MAX].into();
        assert_eq!(sparkline(&values, 4, PLAIN), "___#");
        assert_eq!(sparkline(&[0, 0].into(), 9, PLAIN), "__");
        assert_eq!(sparkline(&[0, 5, 10].into(), 2, PLAIN), ".#");
    }
}
