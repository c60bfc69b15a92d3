//! The kubelet's Summary API (`/stats/summary`), for nodes without `/metrics/resource`: a streaming decoder to the same
//! samples as the exposition's.
//!
//! The body is cut into the objects in use, `node` and each of `pods`, which the JSON library reads one at a time. Memory: one
//! object of at most `limits::SUMMARY_OBJECT_LEN_MAX` bytes, and what it holds. Unknown fields are passed over; of a repeated
//! field the last one counts. An object that is no JSON, or in which a field is not of its type, and a usage without a time or
//! beyond 2^63 is dropped and counted; a container without any usage is handed out with zero memory, so that its pod counts as
//! incomplete. The node's system containers and a pod's own sums are not read.
//! Times are whole seconds (`metav1.Time`): the CPU sample comes last, so that a point's time is that of its counter.
//! Source: `k8s.io/kubelet` `pkg/apis/stats/v1alpha1/types.go`.

use super::exposition::{DropReason, Family, Key, Sample, VALUE_MAX};
use super::time::parse_rfc3339;
use crate::limits;
use crate::units::UnixNanos;
use miniserde::{Deserialize, json};

/// Why a body is no Summary, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SummaryError {
    /// From 1.
    pub line: u32,
    /// What is wrong there.
    pub reason: &'static str,
}

/// Decodes one body, piece by piece.
#[derive(Default)]
pub struct SummaryDecoder {
    begun: bool,
    /// Open objects and arrays.
    depth: u32,
    in_text: bool,
    /// The byte before was a backslash that counts.
    escaped: bool,
    /// The last text of the document's own level, cut: the name of the field that follows.
    name: Vec<u8>,
    /// The object in use so far, cut behind the limit; `object_depth` is its level, 0 outside of one.
    object: Vec<u8>,
    object_depth: u32,
    /// Line feeds so far.
    line_count: u32,
    bad_count: u32,
    first_bad: Option<(u32, DropReason)>,
}

#[derive(Deserialize)]
struct SummaryPod {
    #[serde(rename = "podRef")]
    pod_ref: Option<SummaryPodRef>,
    containers: Option<Vec<SummaryStats>>,
}

#[derive(Default, Deserialize)]
struct SummaryPodRef {
    name: Option<String>,
    namespace: Option<String>,
}

/// Of a node or a container.
#[derive(Deserialize)]
struct SummaryStats {
    name: Option<String>,
    #[serde(rename = "startTime")]
    start_time: Option<String>,
    cpu: Option<SummaryUsage>,
    memory: Option<SummaryUsage>,
    swap: Option<SummaryUsage>,
}

/// Each kind of usage has its time and one of the values.
#[derive(Deserialize)]
struct SummaryUsage {
    time: Option<String>,
    #[serde(rename = "usageCoreNanoSeconds")]
    cpu_nanos: Option<f64>,
    #[serde(rename = "workingSetBytes")]
    working_set: Option<f64>,
    #[serde(rename = "swapUsageBytes")]
    swap: Option<f64>,
}

impl SummaryDecoder {
    /// Forgets the previous body; scratch is kept.
    pub fn begin(&mut self) {
        let (mut name, mut object) = (std::mem::take(&mut self.name), std::mem::take(&mut self.object));
        name.clear();
        object.clear();
        *self = SummaryDecoder { name, object, ..SummaryDecoder::default() };
    }

    /// Takes one piece and hands out the samples of the node and of every pod that ends in it.
    /// # Errors
    /// The body is not a JSON object.
    pub fn feed(&mut self, piece: &[u8], mut each: impl FnMut(Sample<'_>)) -> Result<(), SummaryError> {
        piece.iter().try_for_each(|byte| self.take(*byte, &mut each))
    }

    /// Ends the body.
    /// # Errors
    /// It ended within the document. A body of which nothing came at all is left to the caller.
    pub fn finish(&self) -> Result<(), SummaryError> {
        if self.depth == 0 { Ok(()) } else { Err(self.error("the document ends too early")) }
    }

    /// Objects and usages that were dropped since [`SummaryDecoder::begin`].
    #[must_use]
    pub const fn bad_count(&self) -> u32 {
        self.bad_count
    }

    /// The first of them: the line where its object ends, from 1, and why.
    #[must_use]
    pub const fn first_bad(&self) -> Option<(u32, &'static str)> {
        self.first_bad
    }

    fn error(&self, reason: &'static str) -> SummaryError {
        SummaryError { line: self.line_count.saturating_add(1), reason }
    }

    fn take(&mut self, byte: u8, each: &mut impl FnMut(Sample<'_>)) -> Result<(), SummaryError> {
        if self.object_depth > 0 && self.object.len() <= limits::SUMMARY_OBJECT_LEN_MAX {
            self.object.push(byte);
        }
        if self.in_text {
            self.in_text = byte != b'"' || self.escaped;
            self.escaped = byte == b'\\' && !self.escaped;
            // One byte more than the longest name in use, so that no longer one is taken for it.
            if self.in_text && self.depth == 1 && self.name.len() <= 4 {
                self.name.push(byte);
            }
            return Ok(());
        }
        match byte {
            b'\n' => self.line_count = self.line_count.saturating_add(1),
            b' ' | b'\t' | b'\r' => {}
            _ if self.depth == 0 && self.begun => return Err(self.error("something follows the document")),
            _ if self.depth == 0 && byte != b'{' => return Err(self.error("not a JSON object")),
            b'"' => {
                self.in_text = true;
                if self.depth == 1 {
                    self.name.clear();
                }
            }
            b'{' | b'[' => self.open(byte),
            b'}' | b']' => {
                if self.depth == self.object_depth {
                    self.object_depth = 0;
                    self.end_object(each);
                }
                self.depth = self.depth.saturating_sub(1);
            }
            _ => {}
        }
        Ok(())
    }

    fn open(&mut self, byte: u8) {
        self.begun = true;
        self.depth = self.depth.saturating_add(1);
        // The node is the value of a field of the document, a pod an element of one.
        let is_used = matches!((self.depth, self.name.as_slice()), (2, b"node") | (3, b"pods"));
        if is_used && byte == b'{' {
            self.object_depth = self.depth;
            self.object.clear();
            self.object.push(byte);
        }
    }

    fn end_object(&mut self, each: &mut impl FnMut(Sample<'_>)) {
        let object = std::mem::take(&mut self.object);
        if let Err(reason) = self.read(&object, each) {
            self.drop_one(reason);
        }
        self.object = object;
    }

    fn read(&mut self, object: &[u8], each: &mut impl FnMut(Sample<'_>)) -> Result<(), DropReason> {
        if object.len() > limits::SUMMARY_OBJECT_LEN_MAX {
            return Err("an object is too large");
        }
        let text = std::str::from_utf8(object).map_err(|_| "an object is not UTF-8")?;
        if self.depth == 2 {
            return parse::<SummaryStats>(text)?.hand_out(Key::default(), NODE, each);
        }
        let SummaryPod { pod_ref, containers } = parse(text)?;
        // Names that are missing are empty here, and refused by `check`.
        let SummaryPodRef { name, namespace } = pod_ref.unwrap_or_default();
        let (pod, namespace) = (name.unwrap_or_default(), namespace.unwrap_or_default());
        for stats in containers.iter().flatten() {
            let container = stats.name.as_deref().unwrap_or_default();
            let key = Key { namespace: &namespace, pod: &pod, container };
            if let Err(reason) = key.check().and_then(|()| stats.hand_out(key, CONTAINER, each)) {
                self.drop_one(reason);
            }
        }
        Ok(())
    }

    #[cold]
    fn drop_one(&mut self, reason: DropReason) {
        self.bad_count = self.bad_count.saturating_add(1);
        self.first_bad.get_or_insert((self.line_count.saturating_add(1), reason));
    }
}

fn parse<T: Deserialize>(object: &str) -> Result<T, DropReason> {
    json::from_str(object).map_err(|_| "an object is not JSON, or one of its fields not of its type")
}

/// In the order of memory, swap and CPU.
const NODE: [Family; 3] = [Family::NodeMemory, Family::NodeSwap, Family::NodeCpu];
/// As for the node.
const CONTAINER: [Family; 3] = [Family::ContainerMemory, Family::ContainerSwap, Family::ContainerCpu];

impl SummaryStats {
    /// Hands out what is there; the last usage that cannot be used is the error.
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
        if families == CONTAINER
            && let Some(at) = time(&self.start_time)
        {
            #[allow(clippy::cast_precision_loss)]
            hand_out(Family::ContainerStart, at.seconds() as f64, None);
        }
        let mut is_empty = true;
        let [memory, swap, cpu] = [&self.memory, &self.swap, &self.cpu].map(Option::as_ref);
        for (family, usage, value, unit) in [
            (families[0], memory, memory.and_then(|it| it.working_set), 1.0),
            (families[1], swap, swap.and_then(|it| it.swap), 1.0),
            (families[2], cpu, cpu.and_then(|it| it.cpu_nanos), 1e9),
        ] {
            let (Some(usage), Some(value)) = (usage, value) else { continue };
            match time(&usage.time) {
                None => dropped = Err("a usage has no time"),
                Some(_) if !(0.0..VALUE_MAX).contains(&value) => dropped = Err("a usage is out of range"),
                Some(at) => {
                    is_empty = false;
                    hand_out(family, value / unit, Some(at));
                }
            }
        }
        if is_empty && families == CONTAINER {
            hand_out(Family::ContainerMemory, 0.0, None);
        }
        dropped
    }
}

/// A time after 1970.
fn time(text: &Option<String>) -> Option<UnixNanos> {
    parse_rfc3339(text.as_ref()?).filter(|at| at.0 > 0)
}

#[cfg(test)]
mod tests;
