//! The two tables of `toplet top`.

use super::columns::{AlignedText, printable};
use super::lists::{Figures, NodeFigure, NodeLine, PodLine};
use crate::cli::{SortBy, TopForm, TopOptions};
use crate::units::{Bytes, UnixNanos};
use crate::wire::quantity::{cores, mebibytes, millicores};
use std::collections::HashMap;

const UNKNOWN: &str = "<unknown>";
/// What stands above the sum.
const RULE: &str = "________";

/// Appends nodes in their order, then those without usage.
pub fn nodes(
    out: &mut String,
    mut lines: Vec<NodeLine>,
    figures: &[NodeFigure],
    missing: &[&str],
    options: &TopOptions,
    now: UnixNanos,
) {
    lines.sort_by(|a, b| {
        rank(options.sort, a.figures).cmp(&rank(options.sort, b.figures)).then(a.name.cmp(&b.name))
    });
    let wide = options.form == TopForm::Wide;
    let mut columns = AlignedText::default();
    let mut names = vec!["NAME", "CPU(cores)", "CPU(%)", "MEMORY(bytes)", "MEMORY(%)"];
    if options.swap {
        names.extend(["SWAP(bytes)", "SWAP(%)"]);
    }
    header(&mut columns, names, options);
    let has: HashMap<&str, &NodeFigure> =
        figures.iter().map(|figure| (figure.name.as_str(), figure)).collect();
    for line in &lines {
        let has = has.get(&*line.name);
        // Of nothing no share is shown.
        let available = has.map(|has| has.figures).unwrap_or_default();
        let used = line.figures;
        let mut cells = vec![
            printable(&line.name),
            cores(used.cpu),
            share(millicores(used.cpu) as f64, millicores(available.cpu) as f64),
            mebibytes(used.memory),
            share(used.memory.0 as f64, available.memory.0 as f64),
        ];
        match has.and_then(|has| has.swap) {
            Some(Bytes(0)) if options.swap => cells.extend([mebibytes(used.swap), "0%".to_owned()]),
            Some(swap) if options.swap => {
                cells.extend([mebibytes(used.swap), share(used.swap.0 as f64, swap.0 as f64)]);
            }
            None if options.swap => cells.extend([UNKNOWN.to_owned(), UNKNOWN.to_owned()]),
            _ => {}
        }
        if wide {
            cells.push(age(line.at, now));
        }
        columns.push(cells);
    }
    let unknown = if options.swap { 6 } else { 4 } + usize::from(wide);
    for name in missing {
        columns.push(std::iter::once(printable(name)).chain(vec![UNKNOWN.to_owned(); unknown]).collect());
    }
    columns.write(out);
}

/// Appends pods in their order, or their containers, and the sum.
pub fn pods(out: &mut String, mut lines: Vec<PodLine>, options: &TopOptions, now: UnixNanos) {
    let key = |line: &PodLine| rank(options.sort, line.figures);
    lines.sort_by(|a, b| {
        key(a).cmp(&key(b)).then_with(|| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)))
    });
    let with_namespace = options.namespace.is_none();
    let mut columns = AlignedText::default();
    let mut names = Vec::new();
    names.extend(with_namespace.then_some("NAMESPACE"));
    names.extend(options.containers.then_some("POD"));
    names.extend(["NAME", "CPU(cores)", "MEMORY(bytes)"]);
    names.extend(options.swap.then_some("SWAP(bytes)"));
    let count = names.len();
    header(&mut columns, names, options);
    for line in &mut lines {
        let mut row = |pod: Option<&str>, name: &str, used: Figures| {
            let mut cells = Vec::new();
            cells.extend(with_namespace.then(|| printable(&line.namespace)));
            cells.extend(pod.map(printable));
            cells.extend([printable(name), cores(used.cpu), mebibytes(used.memory)]);
            cells.extend(options.swap.then(|| mebibytes(used.swap)));
            cells.extend((options.form == TopForm::Wide).then(|| age(line.at, now)));
            columns.push(cells);
        };
        if options.containers {
            line.containers
                .sort_by(|a, b| rank(options.sort, a.1).cmp(&rank(options.sort, b.1)).then(a.0.cmp(&b.0)));
            for (container, used) in &line.containers {
                row(Some(&line.name), container, *used);
            }
        } else {
            row(None, &line.name, line.figures);
        }
    }
    if options.sum {
        sum(&mut columns, &lines, count, options.swap);
    }
    columns.write(out);
}

/// The two last lines: a rule below the columns of figures, and the sum of all pods.
/// Deviation: with swap, kubectl prints the sum one column too far right.
fn sum(columns: &mut AlignedText, lines: &[PodLine], count: usize, swap: bool) {
    let total = lines.iter().fold(Figures::default(), |sum, line| sum.plus(line.figures));
    let mut figures = vec![cores(total.cpu), mebibytes(total.memory)];
    figures.extend(swap.then(|| mebibytes(total.swap)));
    let blank = vec![String::new(); count.saturating_sub(figures.len())];
    columns.push([blank.clone(), vec![RULE.to_owned(); figures.len()]].concat());
    columns.push([blank, figures].concat());
}

fn header(columns: &mut AlignedText, mut names: Vec<&str>, options: &TopOptions) {
    names.extend((options.form == TopForm::Wide).then_some("AGE"));
    if options.headers {
        columns.push(names.into_iter().map(str::to_owned).collect());
    }
}

/// What a line is sorted by, the largest first; without an order all are equal.
pub fn rank(sort: Option<SortBy>, used: Figures) -> std::cmp::Reverse<u64> {
    std::cmp::Reverse(match sort {
        Some(SortBy::Cpu) => millicores(used.cpu),
        Some(SortBy::Memory) => used.memory.0,
        None => 0,
    })
}

/// How many hundredths of what there is are used.
fn share(used: f64, available: f64) -> String {
    if available > 0.0 { format!("{}%", (used / available * 100.0) as i64) } else { UNKNOWN.to_owned() }
}

/// How old a sample is: `12s`, `5m`, `3h`.
#[must_use]
pub fn age(at: Option<UnixNanos>, now: UnixNanos) -> String {
    let Some(at) = at else { return UNKNOWN.to_owned() };
    match now.since(at).0 / 1_000_000_000 {
        seconds @ 0..120 => format!("{seconds}s"),
        seconds @ 120..7_200 => format!("{}m", seconds / 60),
        seconds => format!("{}h", seconds / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{TopOrigin, TopSubject};
    use crate::units::Nanocores;

    fn options() -> TopOptions {
        TopOptions {
            subject: TopSubject::Pods,
            name: None,
            namespace: Some("default".to_owned()),
            selector: String::new(),
            field_selector: String::new(),
            containers: false,
            sort: None,
            sum: false,
            headers: true,
            swap: false,
            form: TopForm::Table,
            watch: false,
            origin: TopOrigin::LocalSocket("/s".into()),
        }
    }

    fn used(nanocores: u64, mebibytes: u64, swap: u64) -> Figures {
        Figures { cpu: Nanocores(nanocores), memory: Bytes(mebibytes << 20), swap: Bytes(swap << 20) }
    }

    fn pod(namespace: &str, name: &str, containers: &[(&str, Figures)]) -> PodLine {
        PodLine {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            figures: containers.iter().fold(Figures::default(), |sum, (_, used)| sum.plus(*used)),
            at: Some(UnixNanos(1_000_000_000)),
            containers: containers.iter().map(|(name, used)| ((*name).to_owned(), *used)).collect(),
        }
    }

    const NOW: UnixNanos = UnixNanos(13_900_000_000);

    fn pods_text(options: &TopOptions) -> String {
        let lines = vec![
            pod("kube-system", "dns", &[("dns", used(2_000_001, 13, 0))]),
            pod("default", "web", &[("side", used(40_000_000, 2, 1)), ("main", used(10_000_000, 70, 0))]),
            pod("default", "a-much-longer-name", &[("main", used(0, 1, 0))]),
        ];
        let mut out = String::new();
        pods(&mut out, lines, options, NOW);
        out
    }

    #[test]
    fn pods_are_aligned_as_kubectl_aligns_them() {
        assert_eq!(
            pods_text(&options()),
            "NAME                 CPU(cores)   MEMORY(bytes)   \n\
             a-much-longer-name   0m           1Mi             \n\
             web                  50m          72Mi            \n\
             dns                  3m           13Mi            \n"
        );
        let all = TopOptions { namespace: None, sort: Some(SortBy::Cpu), containers: true, ..options() };
        assert_eq!(
            pods_text(&all),
            "NAMESPACE     POD                  NAME   CPU(cores)   MEMORY(bytes)   \n\
             default       web                  side   40m          2Mi             \n\
             default       web                  main   10m          70Mi            \n\
             kube-system   dns                  dns    3m           13Mi            \n\
             default       a-much-longer-name   main   0m           1Mi             \n"
        );
        let memory = TopOptions { sort: Some(SortBy::Memory), headers: false, sum: true, ..options() };
        assert_eq!(
            pods_text(&memory),
            "web                  50m        72Mi       \n\
             dns                  3m         13Mi       \n\
             a-much-longer-name   0m         1Mi        \n\
             \x20                    ________   ________   \n\
             \x20                    53m        86Mi       \n"
        );
        let swap = TopOptions { headers: false, sum: true, swap: true, ..options() };
        let text = pods_text(&swap);
        assert!(text.ends_with("                     53m        86Mi       1Mi        \n"), "{text}");
        let wide = TopOptions { form: TopForm::Wide, swap: true, ..options() };
        assert!(
            pods_text(&wide)
                .contains("web                  50m          72Mi            1Mi           12s   \n")
        );
    }

    #[test]
    fn nodes_have_percentages_where_it_is_known_what_they_have() {
        let line = |name: &str, figures| NodeLine { name: name.to_owned(), figures, at: None, window: None };
        let lines = || vec![line("b", used(106_000_000, 1083, 5)), line("a", used(1_999_000_001, 999, 0))];
        let has = NodeFigure {
            name: "b".to_owned(),
            figures: used(2_000_000_000, 24_000, 0),
            swap: Some(Bytes(0)),
        };
        let mut out = String::new();
        nodes(&mut out, lines(), std::slice::from_ref(&has), &["c"], &options(), NOW);
        assert_eq!(
            out,
            "NAME   CPU(cores)   CPU(%)      MEMORY(bytes)   MEMORY(%)   \n\
             a      2000m        <unknown>   999Mi           <unknown>   \n\
             b      106m         5%          1083Mi          4%          \n\
             c      <unknown>    <unknown>   <unknown>       <unknown>   \n"
        );
        let swap = TopOptions { swap: true, headers: false, sort: Some(SortBy::Memory), ..options() };
        out.clear();
        nodes(&mut out, lines(), &[has], &[], &swap, NOW);
        assert!(out.starts_with("b     106m    5%          1083Mi   4%          5Mi         0%"), "{out}");
        assert_eq!(out.matches(UNKNOWN).count(), 4);
    }

    #[test]
    fn ages_are_short() {
        let at = |seconds: i64| age(Some(UnixNanos(0)), UnixNanos(seconds * 1_000_000_000));
        assert_eq!([at(0), at(119), at(120), at(7_199), at(7_200)], ["0s", "119s", "2m", "119m", "2h"]);
        assert_eq!(age(None, NOW), UNKNOWN);
        assert_eq!(age(Some(UnixNanos(5)), UnixNanos(0)), "0s", "a clock that is ahead");
    }
}
