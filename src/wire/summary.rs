//! The kubelet's Summary API (`/stats/summary`), for nodes without `/metrics/resource`: a streaming decoder to the same
//! samples as the exposition's.
//!
//! Memory: the names of one pod and one container, the numbers of one object, and the reader's one text. Unknown fields are
//! passed over at any place; of a repeated field the last one counts. A sample without a time, or with a value that is not a
//! number from 0 to 2^63, is dropped and counted; a container without any usage is handed out with zero memory, so that its
//! pod counts as incomplete. The node's system containers and a pod's own sums are not read.
//! Times are whole seconds (`metav1.Time`): the CPU sample comes last, so that a point's time is that of its counter.
//! Source: `k8s.io/kubelet` `pkg/apis/stats/v1alpha1/types.go`.

use super::exposition::{DropReason, Family, Key, Sample, VALUE_MAX};
use super::json::{JsonError, JsonEvent, JsonReader};
use super::time::parse_rfc3339;
use crate::units::UnixNanos;

/// Decodes one body, piece by piece.
#[derive(Default)]
pub struct SummaryDecoder {
    json: JsonReader,
    reader: SummaryReader,
}

/// An object or array whose fields are in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum SummaryPlace {
    /// Before and behind the document.
    #[default]
    Outside,
    Document,
    Node,
    Pods,
    Pod,
    PodRef,
    Containers,
    Container,
    Cpu,
    Memory,
    Swap,
}

/// A field in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum SummaryField {
    #[default]
    Other,
    /// An object or array.
    Nested(SummaryPlace),
    Name,
    Namespace,
    StartTime,
    Time,
    Value,
}

/// A number and its time.
#[derive(Clone, Copy, Default)]
struct TimedValue {
    value: Option<f64>,
    at: Option<UnixNanos>,
}

/// The deepest path in use: document, pods, pod, containers, container, cpu.
const PATH_LEN_MAX: usize = 6;

#[derive(Default)]
struct SummaryReader {
    /// The open places, outermost first.
    path: [SummaryPlace; PATH_LEN_MAX],
    path_len: usize,
    /// Levels below them that are passed over.
    skipped: u32,
    field: SummaryField,
    namespace: String,
    pod: String,
    container: String,
    started_at: Option<UnixNanos>,
    cpu: TimedValue,
    memory: TimedValue,
    swap: TimedValue,
    line: u32,
    bad_count: u32,
    first_bad: Option<(u32, DropReason)>,
}

impl SummaryDecoder {
    /// Forgets the previous body; scratch is kept.
    pub fn begin(&mut self) {
        self.json.begin();
        let SummaryReader { namespace, pod, container, .. } = std::mem::take(&mut self.reader);
        self.reader = SummaryReader { namespace, pod, container, ..SummaryReader::default() };
    }

    /// Takes one piece and hands out the samples of every node and container that ends in it.
    /// # Errors
    /// The body is not JSON.
    pub fn feed(&mut self, piece: &[u8], mut each: impl FnMut(Sample<'_>)) -> Result<(), JsonError> {
        let SummaryDecoder { json, reader } = self;
        json.feed(piece, &mut |event, line| {
            reader.line = line;
            reader.take(event, &mut each);
        })
    }

    /// Ends the body.
    /// # Errors
    /// It ended within the document. A body of which nothing came at all is left to the caller.
    pub fn finish(&self) -> Result<(), JsonError> {
        if self.json.is_untouched() { Ok(()) } else { self.json.finish() }
    }

    /// Fields and containers that were dropped since [`SummaryDecoder::begin`].
    #[must_use]
    pub const fn bad_count(&self) -> u32 {
        self.reader.bad_count
    }

    /// The first of them: its line, from 1, and why.
    #[must_use]
    pub const fn first_bad(&self) -> Option<(u32, &'static str)> {
        self.reader.first_bad
    }
}

impl SummaryReader {
    fn place(&self) -> SummaryPlace {
        let last = self.path_len.checked_sub(1).and_then(|at| self.path.get(at));
        last.copied().unwrap_or_default()
    }

    fn take(&mut self, event: JsonEvent<'_>, each: &mut impl FnMut(Sample<'_>)) {
        match event {
            JsonEvent::Object | JsonEvent::Array => self.open(event == JsonEvent::Object),
            JsonEvent::End if self.skipped > 0 => self.skipped -= 1,
            JsonEvent::End => self.close(each),
            _ if self.skipped > 0 => {}
            JsonEvent::Name(name) => self.field = field(self.place(), name),
            JsonEvent::Text(text) => self.scalar(Some(text), None),
            JsonEvent::Number(number) => self.scalar(None, Some(number)),
            JsonEvent::Bool => self.scalar(None, None),
            JsonEvent::Null => self.null(),
        }
    }

    fn open(&mut self, is_object: bool) {
        let inner = match (self.place(), self.field) {
            _ if self.skipped > 0 => None,
            (SummaryPlace::Outside, _) => Some(SummaryPlace::Document),
            (SummaryPlace::Pods, _) => Some(SummaryPlace::Pod),
            (SummaryPlace::Containers, _) => Some(SummaryPlace::Container),
            (_, SummaryField::Nested(place)) => Some(place),
            _ => None,
        };
        let inner =
            inner.filter(|place| is_object != matches!(place, SummaryPlace::Pods | SummaryPlace::Containers));
        let Some((place, free)) = inner.zip(self.path.get_mut(self.path_len)) else {
            self.skipped += 1;
            return;
        };
        *free = place;
        self.path_len += 1;
        self.field = SummaryField::Other;
        self.forget(place);
    }

    /// Forgets what an earlier object at this place said.
    fn forget(&mut self, place: SummaryPlace) {
        match place {
            SummaryPlace::Pod | SummaryPlace::PodRef => {
                self.namespace.clear();
                self.pod.clear();
            }
            SummaryPlace::Node | SummaryPlace::Container => {
                self.container.clear();
                self.started_at = None;
                (self.cpu, self.memory, self.swap) = Default::default();
            }
            SummaryPlace::Cpu | SummaryPlace::Memory | SummaryPlace::Swap => {
                if let Some(reading) = self.reading(place) {
                    *reading = TimedValue::default();
                }
            }
            SummaryPlace::Outside
            | SummaryPlace::Document
            | SummaryPlace::Pods
            | SummaryPlace::Containers => {}
        }
    }

    fn close(&mut self, each: &mut impl FnMut(Sample<'_>)) {
        let place = self.place();
        self.path_len = self.path_len.saturating_sub(1);
        self.field = SummaryField::Other;
        let dropped = match place {
            SummaryPlace::Node => self.hand_out(Key::default(), NODE, each),
            SummaryPlace::Container => {
                let key = Key { namespace: &self.namespace, pod: &self.pod, container: &self.container };
                key.check().and_then(|()| self.hand_out(key, CONTAINER, each))
            }
            _ => return,
        };
        if let Err(reason) = dropped {
            self.drop_one(reason);
        }
    }

    /// Hands out what is there of a node or container.
    fn hand_out(
        &self,
        key: Key<'_>,
        families: [Family; 3],
        each: &mut impl FnMut(Sample<'_>),
    ) -> Result<(), DropReason> {
        let mut dropped = Ok(());
        let mut hand_out = |family, value, at: Option<UnixNanos>| {
            each(Sample { family, key, value, at_millis: at.map(|at| at.0.div_euclid(1_000_000)) });
        };
        if let Some(at) = self.started_at.filter(|at| at.0 > 0 && families == CONTAINER) {
            #[allow(clippy::cast_precision_loss)]
            hand_out(Family::ContainerStart, at.seconds() as f64, None);
        }
        let mut is_empty = true;
        for (family, reading) in families.into_iter().zip([self.memory, self.swap, self.cpu]) {
            match (reading.value, reading.at) {
                (Some(value), Some(at)) if at.0 > 0 => {
                    is_empty = false;
                    hand_out(family, value, Some(at));
                }
                (Some(_), _) => dropped = Err("a usage has no time"),
                (None, _) => {}
            }
        }
        if is_empty && families == CONTAINER {
            hand_out(Family::ContainerMemory, 0.0, None);
        }
        dropped
    }

    fn reading(&mut self, place: SummaryPlace) -> Option<&mut TimedValue> {
        match place {
            SummaryPlace::Cpu => Some(&mut self.cpu),
            SummaryPlace::Memory => Some(&mut self.memory),
            SummaryPlace::Swap => Some(&mut self.swap),
            _ => None,
        }
    }

    /// A text, a number, or neither.
    fn scalar(&mut self, text: Option<&str>, number: Option<&str>) {
        let (place, field) = (self.place(), std::mem::take(&mut self.field));
        let time = text.and_then(parse_rfc3339);
        let taken = match (field, text) {
            (SummaryField::Name | SummaryField::Namespace, Some(text)) => {
                let name = match (place, field) {
                    (SummaryPlace::PodRef, SummaryField::Name) => &mut self.pod,
                    (SummaryPlace::PodRef, _) => &mut self.namespace,
                    _ => &mut self.container,
                };
                name.clear();
                name.push_str(text);
                true
            }
            (SummaryField::StartTime, _) => {
                self.started_at = time;
                time.is_some()
            }
            (SummaryField::Time, _) => {
                if let Some(reading) = self.reading(place) {
                    reading.at = time;
                }
                time.is_some()
            }
            (SummaryField::Value, _) => {
                let value = number.and_then(value_of);
                let unit = if place == SummaryPlace::Cpu { 1e9 } else { 1.0 };
                if let Some(reading) = self.reading(place) {
                    reading.value = value.map(|value| value / unit);
                }
                value.is_some()
            }
            // What should be an object or array.
            (SummaryField::Nested(_), _) => false,
            (SummaryField::Other, _) => true,
            (SummaryField::Name | SummaryField::Namespace, None) => false,
        };
        if !taken {
            self.drop_one("a field is not of its type");
        }
    }

    /// `null` is as good as no field; an earlier one is forgotten.
    fn null(&mut self) {
        let (place, field) = (self.place(), std::mem::take(&mut self.field));
        match field {
            SummaryField::Nested(inner) => self.forget(inner),
            SummaryField::Name if place == SummaryPlace::PodRef => self.pod.clear(),
            SummaryField::Name => self.container.clear(),
            SummaryField::Namespace => self.namespace.clear(),
            SummaryField::StartTime => self.started_at = None,
            SummaryField::Time | SummaryField::Value => {
                if let Some(reading) = self.reading(place) {
                    match field {
                        SummaryField::Time => reading.at = None,
                        _ => reading.value = None,
                    }
                }
            }
            SummaryField::Other => {}
        }
    }

    #[cold]
    fn drop_one(&mut self, reason: DropReason) {
        self.bad_count = self.bad_count.saturating_add(1);
        self.first_bad.get_or_insert((self.line, reason));
    }
}

/// In the order of memory, swap and CPU.
const NODE: [Family; 3] = [Family::NodeMemory, Family::NodeSwap, Family::NodeCpu];
/// As for the node.
const CONTAINER: [Family; 3] = [Family::ContainerMemory, Family::ContainerSwap, Family::ContainerCpu];

/// What a name means at a place.
fn field(place: SummaryPlace, name: &str) -> SummaryField {
    match (place, name) {
        (SummaryPlace::Document, "node") => SummaryField::Nested(SummaryPlace::Node),
        (SummaryPlace::Document, "pods") => SummaryField::Nested(SummaryPlace::Pods),
        (SummaryPlace::Pod, "podRef") => SummaryField::Nested(SummaryPlace::PodRef),
        (SummaryPlace::Pod, "containers") => SummaryField::Nested(SummaryPlace::Containers),
        (SummaryPlace::Node | SummaryPlace::Container, "cpu") => SummaryField::Nested(SummaryPlace::Cpu),
        (SummaryPlace::Node | SummaryPlace::Container, "memory") => {
            SummaryField::Nested(SummaryPlace::Memory)
        }
        (SummaryPlace::Node | SummaryPlace::Container, "swap") => SummaryField::Nested(SummaryPlace::Swap),
        (SummaryPlace::PodRef | SummaryPlace::Container, "name") => SummaryField::Name,
        (SummaryPlace::PodRef, "namespace") => SummaryField::Namespace,
        (SummaryPlace::Container, "startTime") => SummaryField::StartTime,
        (SummaryPlace::Cpu | SummaryPlace::Memory | SummaryPlace::Swap, "time") => SummaryField::Time,
        (SummaryPlace::Cpu, "usageCoreNanoSeconds")
        | (SummaryPlace::Memory, "workingSetBytes")
        | (SummaryPlace::Swap, "swapUsageBytes") => SummaryField::Value,
        _ => SummaryField::Other,
    }
}

/// A number from 0 to 2^63.
fn value_of(number: &str) -> Option<f64> {
    number.parse().ok().filter(|value| (0.0..VALUE_MAX).contains(value))
}

#[cfg(test)]
mod tests;
