//! The Prometheus text exposition, as kubelets write it at `/metrics/resource`: a streaming decoder.
//!
//! Pieces may end anywhere; a line cut by a piece's end is carried over, so memory is one line
//! (`limits::EXPOSITION_LINE_LEN_MAX`) plus scratch for escaped labels. Lines of other families are passed over by
//! their first bytes. A sample borrows the line it stands in: nothing is allocated for it.
//!
//! Deviation: metrics-server loses the whole node for one line that is not valid (an old kubelet prints a negative
//! timestamp for a container that never started); here that line alone is dropped, and counted with its number and reason.
//! Deviation: metrics-server finds labels by searching for their name and cuts values at the first quote; here labels
//! are parsed and unescaped, so a sample that lacks one cannot end the process.
//! Source: the text format 0.0.4; `pkg/kubelet/metrics/collectors/resource_metrics.go` for the families.

mod number;

use crate::invariant::assured;
use crate::limits;
use memchr::memchr;
pub(super) use number::VALUE_MAX;
use number::value_and_time;

/// The families in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `node_cpu_usage_seconds_total`: core-seconds.
    NodeCpu,
    /// `node_memory_working_set_bytes`.
    NodeMemory,
    /// `node_swap_usage_bytes`.
    NodeSwap,
    /// `container_cpu_usage_seconds_total`: core-seconds.
    ContainerCpu,
    /// `container_memory_working_set_bytes`.
    ContainerMemory,
    /// `container_swap_usage_bytes`.
    ContainerSwap,
    /// `container_start_time_seconds`: seconds since the epoch.
    ContainerStart,
}

/// Which container a sample belongs to; all empty for a node's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Key<'a> {
    /// Label `namespace`.
    pub namespace: &'a str,
    /// Label `pod`.
    pub pod: &'a str,
    /// Label `container`.
    pub container: &'a str,
}

impl Key<'_> {
    /// Whether the names stand in a body as they are, without escapes.
    pub(crate) fn is_plain(&self) -> bool {
        [self.namespace, self.pod, self.container]
            .iter()
            .all(|name| quote_or_backslash(name.as_bytes()).is_none())
    }

    /// Whether all three are names that Kubernetes allows by their length; else what is wrong.
    pub(super) fn check(&self) -> Result<(), DropReason> {
        if self.namespace.is_empty() || self.pod.is_empty() || self.container.is_empty() {
            return Err("the name of the container, namespace or pod is missing");
        }
        let fits = self.namespace.len() <= LABEL_LEN_MAX
            && self.container.len() <= LABEL_LEN_MAX
            && self.pod.len() <= limits::NODE_NAME_LEN_MAX;
        if fits {
            Ok(())
        } else {
            Err("the name of the container, namespace or pod is longer than Kubernetes allows")
        }
    }
}

/// One line of a family in use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample<'a> {
    /// Which.
    pub family: Family,
    /// Whose.
    pub key: Key<'a>,
    /// From 0 to 2^63.
    pub value: f64,
    /// Milliseconds since the epoch, above zero; `None` when the line has no timestamp.
    pub at_millis: Option<i64>,
}

/// What stands before the names of container, namespace and pod, and behind the last, where a kubelet writes labels: sorted by
/// their names and without escapes.
pub const LABELS: [&str; 4] = ["{container=\"", "\",namespace=\"", "\",pod=\"", "\"}"];

/// Takes the samples of a body; any function of a sample does.
pub trait TakeSamples {
    /// Takes one.
    fn take(&mut self, sample: Sample<'_>);

    /// The labels that the next sample of a container's family probably has, as kubelets write them ([`LABELS`]), of a container
    /// that was taken before; empty when nothing is expected. Families list containers in the same order, so that labels
    /// are read once and then only compared.
    fn expected(&self, family: Family) -> &[u8] {
        let _ = family;
        &[]
    }

    /// Takes one with the labels that [`TakeSamples::expected`] gave just now.
    fn take_expected(&mut self, family: Family, value: f64, at_millis: Option<i64>) {
        let _ = (family, value, at_millis);
    }
}

impl<F: FnMut(Sample<'_>)> TakeSamples for F {
    fn take(&mut self, sample: Sample<'_>) {
        self(sample);
    }
}

/// Why a line was dropped.
pub(super) type DropReason = &'static str;

/// Decodes one body, piece by piece.
#[derive(Default)]
pub struct Decoder {
    /// The beginning of a line whose end is in a later piece.
    carry: Vec<u8>,
    /// The carried line is too long: the rest of it is passed over.
    is_overlong: bool,
    escaped: Escaped,
    line_count: u32,
    bad_line_count: u32,
    first_bad: Option<(u32, DropReason)>,
    others: Others,
}

/// What lines of other families say about the body.
#[derive(Clone, Copy, Default)]
struct Others {
    scrape_error: bool,
    pod_count: u32,
}

impl Others {
    fn note(&mut self, line: &[u8]) {
        const ERRORS: [&[u8]; 2] = [b"resource_scrape_error", b"scrape_error"];
        match line.first() {
            Some(b'p') if line.starts_with(b"pod_cpu_usage_seconds_total{") => {
                self.pod_count = self.pod_count.saturating_add(1);
            }
            Some(b'r' | b's') => {
                let value = ERRORS.iter().find_map(|name| line.strip_prefix(*name));
                self.scrape_error |= value.is_some_and(|value| first_word_of(value) == b"1");
            }
            _ => {}
        }
    }
}

/// The first word of some bytes.
fn first_word_of(bytes: &[u8]) -> &[u8] {
    let first = bytes.trim_ascii().split(u8::is_ascii_whitespace).next();
    assured(first, "a split has a first part, even of nothing")
}

impl Decoder {
    /// Forgets the previous body; scratch is kept.
    pub fn begin(&mut self) {
        self.carry.clear();
        self.is_overlong = false;
        (self.line_count, self.bad_line_count, self.first_bad) = (0, 0, None);
        self.others = Others::default();
    }

    /// Takes one piece and hands out the samples of every line that ends in it.
    pub fn feed(&mut self, piece: &[u8], mut to: impl TakeSamples) {
        let mut rest = piece;
        if (!self.carry.is_empty() || self.is_overlong)
            && let Some(end) = memchr(b'\n', rest)
        {
            let (line, after) = split_line(rest, end);
            self.carry_on(line);
            self.end_carried(&mut to);
            rest = after;
        }
        // Without the end of the carried line there is none in the rest either.
        while let Some(end) = memchr(b'\n', rest) {
            let (line, after) = split_line(rest, end);
            rest = after;
            self.line_count = self.line_count.saturating_add(1);
            if let Err(reason) = decode_line(line, &mut self.escaped, &mut self.others, &mut to) {
                self.drop_line(reason);
            }
        }
        self.carry_on(rest);
    }

    /// Ends the body: its last line need not end with a line feed.
    pub fn finish(&mut self, mut to: impl TakeSamples) {
        if !self.carry.is_empty() || self.is_overlong {
            self.end_carried(&mut to);
        }
    }

    /// Lines that were dropped since [`Decoder::begin`].
    #[must_use]
    pub const fn bad_line_count(&self) -> u32 {
        self.bad_line_count
    }

    /// The first dropped line: its number, from 1, and why.
    #[must_use]
    pub const fn first_bad(&self) -> Option<(u32, &'static str)> {
        self.first_bad
    }

    /// Whether the kubelet says that it could not collect its statistics.
    #[must_use]
    pub const fn scrape_error(&self) -> bool {
        self.others.scrape_error
    }

    /// Pods with statistics of their own, beside those of their containers.
    #[must_use]
    pub const fn pod_count(&self) -> u32 {
        self.others.pod_count
    }

    fn carry_on(&mut self, part: &[u8]) {
        if self.is_overlong || self.carry.len() + part.len() > limits::EXPOSITION_LINE_LEN_MAX {
            self.carry.clear();
            self.is_overlong = true;
        } else {
            self.carry.extend_from_slice(part);
        }
    }

    fn end_carried(&mut self, to: &mut impl TakeSamples) {
        self.line_count = self.line_count.saturating_add(1);
        let decoded = if self.is_overlong {
            Err(TOO_LONG)
        } else {
            decode_line(&self.carry, &mut self.escaped, &mut self.others, to)
        };
        self.carry.clear();
        self.is_overlong = false;
        if let Err(reason) = decoded {
            self.drop_line(reason);
        }
    }

    #[cold]
    fn drop_line(&mut self, reason: DropReason) {
        self.bad_line_count = self.bad_line_count.saturating_add(1);
        self.first_bad.get_or_insert((self.line_count, reason));
    }
}

const TOO_LONG: DropReason = "line is too long";
const VALUE_NOT_CLOSED: DropReason = "label value is not closed";

/// A line without its line feed, and what follows.
fn split_line(bytes: &[u8], end: usize) -> (&[u8], &[u8]) {
    let (line, after) = bytes.split_at(end);
    (line, after.get(1..).unwrap_or(&[]))
}

/// Decodes one line; lines of other families, comments and empty lines are fine and give nothing.
fn decode_line(
    line: &[u8],
    escaped: &mut Escaped,
    others: &mut Others,
    to: &mut impl TakeSamples,
) -> Result<(), DropReason> {
    if line.len() > limits::EXPOSITION_LINE_LEN_MAX {
        return Err(TOO_LONG);
    }
    match family_of(line) {
        Some((family, rest)) => decode_sample(family, rest, escaped, to),
        None => {
            others.note(line);
            Ok(())
        }
    }
}

/// Decodes what follows the name of a family in use.
#[inline(never)]
fn decode_sample(
    family: Family,
    rest: &[u8],
    escaped: &mut Escaped,
    to: &mut impl TakeSamples,
) -> Result<(), DropReason> {
    // Some exporters end lines as on Windows.
    let rest = rest.strip_suffix(b"\r").unwrap_or(rest);
    let is_node = matches!(family, Family::NodeCpu | Family::NodeMemory | Family::NodeSwap);
    let expected = if is_node { &[] } else { to.expected(family) };
    if !expected.is_empty()
        && let Some(rest) = rest.strip_prefix(expected)
        // What is taken here is UTF-8: the names are, and the rest is digits.
        && let Ok((value, at_millis)) = value_and_time(rest)
    {
        to.take_expected(family, value, at_millis);
        return Ok(());
    }
    let rest = str::from_utf8(rest).map_err(|_| "line is not UTF-8")?;
    let (key, rest) = match rest.strip_prefix('{') {
        Some(labels) => plain_labels(rest).map_or_else(|| parse_labels(labels, escaped), Ok)?,
        None => (Key::default(), rest),
    };
    if !is_node {
        key.check()?;
    }
    let (value, at_millis) = value_and_time(rest.as_bytes())?;
    to.take(Sample { family, key: if is_node { Key::default() } else { key }, value, at_millis });
    Ok(())
}

/// Bytes of a namespace's and a container's name (RFC 1123 label); a pod's is as long as a node's.
const LABEL_LEN_MAX: usize = 63;

/// The family a line belongs to, and what follows its name: `{`, a blank, or nothing.
#[inline]
fn family_of(line: &[u8]) -> Option<(Family, &[u8])> {
    // The first bytes that tell the families apart; most lines are of none.
    let (rest, family) = match (line.first()?, line.get(5)?, line.get(10)?, line.get(11)?) {
        (b'c', _, b'c', _) => (line.strip_prefix(b"container_cpu_usage_seconds_total"), Family::ContainerCpu),
        (b'c', _, b'm', _) => {
            (line.strip_prefix(b"container_memory_working_set_bytes"), Family::ContainerMemory)
        }
        (b'c', _, b's', b't') => (line.strip_prefix(b"container_start_time_seconds"), Family::ContainerStart),
        (b'c', _, b's', b'w') => (line.strip_prefix(b"container_swap_usage_bytes"), Family::ContainerSwap),
        (b'n', b'c', ..) => (line.strip_prefix(b"node_cpu_usage_seconds_total"), Family::NodeCpu),
        (b'n', b'm', ..) => (line.strip_prefix(b"node_memory_working_set_bytes"), Family::NodeMemory),
        (b'n', b's', ..) => (line.strip_prefix(b"node_swap_usage_bytes"), Family::NodeSwap),
        _ => return None,
    };
    let rest = rest?;
    // A longer name is another family.
    matches!(rest.first(), None | Some(b'{' | b' ' | b'\t')).then_some((family, rest))
}

/// Labels exactly as a kubelet writes them; `None` for anything else.
#[inline]
fn plain_labels(text: &str) -> Option<(Key<'_>, &str)> {
    let (container, rest) = plain_value(text.strip_prefix(LABELS[0])?)?;
    let (namespace, rest) = plain_value(rest.strip_prefix(LABELS[1])?)?;
    let (pod, rest) = plain_value(rest.strip_prefix(LABELS[2])?)?;
    Some((Key { namespace, pod, container }, rest.strip_prefix(LABELS[3])?))
}

/// A label's value without escapes, and what begins with its closing quote.
#[inline]
fn plain_value(text: &str) -> Option<(&str, &str)> {
    text.split_at_checked(quote_or_backslash(text.as_bytes())?)
}

/// Where the first of the two stands. Names are short: eight bytes at a time cost less than a search that first aligns itself.
#[inline]
fn quote_or_backslash(text: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const TOPS: u64 = ONES << 7;
    let (words, last) = text.as_chunks();
    for (at, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let (quotes, backslashes) = (word ^ (ONES * u64::from(b'"')), word ^ (ONES * u64::from(b'\\')));
        // The top bit of a byte that is zero, and perhaps of bytes behind it.
        let is_zero = |word: u64| word.wrapping_sub(ONES) & !word & TOPS;
        let found = is_zero(quotes) | is_zero(backslashes);
        if found != 0 {
            return Some(at * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let at = last.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    Some(text.len() - last.len() + at)
}

/// Scratch for label values with escapes.
#[derive(Default)]
struct Escaped {
    namespace: String,
    pod: String,
    container: String,
    /// Any other label's value.
    other: String,
}

fn skip_blanks(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

/// Labels in any order, with blanks, a trailing comma and escapes; what follows the closing brace. Of a repeated label
/// the last one counts.
fn parse_labels<'a>(labels: &'a str, escaped: &'a mut Escaped) -> Result<(Key<'a>, &'a str), DropReason> {
    const NOT_CLOSED: DropReason = "labels are not closed";
    escaped.namespace.clear();
    escaped.pod.clear();
    escaped.container.clear();
    let mut rest = skip_blanks(labels);
    while !rest.starts_with('}') {
        let name_len = rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
        let (name, after) = rest.split_at_checked(name_len).ok_or(NOT_CLOSED)?;
        if name.is_empty() || name.as_bytes().first().is_some_and(u8::is_ascii_digit) {
            return Err(if rest.is_empty() { NOT_CLOSED } else { "label name is not valid" });
        }
        let after = skip_blanks(after).strip_prefix('=').ok_or("label has no value")?;
        let after = skip_blanks(after).strip_prefix('"').ok_or("label value is not quoted")?;
        let target = match name {
            "namespace" => &mut escaped.namespace,
            "pod" => &mut escaped.pod,
            "container" => &mut escaped.container,
            _ => &mut escaped.other,
        };
        rest = skip_blanks(unescape(after, target)?);
        match rest.strip_prefix(',') {
            Some(after) => rest = skip_blanks(after),
            None if rest.starts_with('}') => {}
            None if rest.is_empty() => return Err(NOT_CLOSED),
            None => return Err("labels are not separated by a comma"),
        }
    }
    let key = Key { namespace: &escaped.namespace, pod: &escaped.pod, container: &escaped.container };
    Ok((key, rest.get(1..).ok_or(NOT_CLOSED)?))
}

/// Reads a value up to its closing quote into `target`; what follows the quote.
fn unescape<'a>(text: &'a str, target: &mut String) -> Result<&'a str, DropReason> {
    target.clear();
    let mut rest = text;
    loop {
        let end = quote_or_backslash(rest.as_bytes()).ok_or(VALUE_NOT_CLOSED)?;
        let (plain, after) = rest.split_at(end);
        target.push_str(plain);
        if let Some(after) = after.strip_prefix('"') {
            return Ok(after);
        }
        let (character, len) = match after.as_bytes().get(1) {
            Some(b'n') => ('\n', 2),
            Some(b'"') => ('"', 2),
            Some(b'\\') => ('\\', 2),
            // As in Prometheus' scanner, any other backslash stands for itself.
            _ => ('\\', 1),
        };
        target.push(character);
        rest = after.get(len..).ok_or(VALUE_NOT_CLOSED)?;
    }
}

#[cfg(test)]
mod tests;
