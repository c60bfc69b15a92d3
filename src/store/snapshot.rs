//! The last points as bytes and back, so that the first scrape after a restart gives rates at once.
//!
//! A file is `MAGIC`, the boot's id, the time it was written (since that boot), one section a node, and a checksum. Times
//! are those of the monotonic clock, which means nothing in another boot: a file of another boot, another version, or with
//! one wrong bit is refused as a whole. A section is used once, as the batch before a node's first one, and only while it
//! is young; a rate over it spans the restart, with a window that says so. Pure: reading and writing files is the caller's.
//! Memory: the bytes of the file until every node was read, or they are too old.

use super::batch::{Batch, BatchSource};
use super::row::Point;
use crate::limits;
use crate::units::{Bytes, CoreNanos, UnixNanos, Uptime};
use crate::wire::exposition::Key;
use crate::wire::protobuf::put_varint;
use std::fmt;
use std::ops::Range;

/// What a file begins with; the number is the version of its form.
const MAGIC: &[u8] = b"toplet points 2\n";
const CHECKSUM_LEN: usize = 8;

/// Why a file is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotError {
    /// Not a file of this version.
    OtherVersion,
    /// The checksum or a length is wrong.
    Corrupt,
    /// Written before this machine was started, or on another.
    OtherBoot,
    /// Too old to rate anything from.
    Old,
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SnapshotError::OtherVersion => "it is not a file of this version",
            SnapshotError::Corrupt => "it is damaged",
            SnapshotError::OtherBoot => "it was written before this machine started",
            SnapshotError::Old => "it is too old",
        })
    }
}

/// Points of nodes that were not scraped since the start.
pub struct Snapshot {
    bytes: Vec<u8>,
    nodes: Vec<NodePart>,
}

/// One node's part of a file.
struct NodePart {
    name: Range<usize>,
    bytes: Range<usize>,
    committed_at: Uptime,
    /// What its points were read from: those of another source make no rate with them.
    source: BatchSource,
}

impl Snapshot {
    /// The beginning of a file: points follow by `Store::write_points`, and [`Snapshot::seal`] ends it.
    #[must_use]
    pub fn begin(boot_id: &str, at: Uptime) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        put_text(&mut out, boot_id);
        put_varint(&mut out, at.0.into());
        out
    }

    /// Ends a file.
    pub fn seal(out: &mut Vec<u8>) {
        let sum = checksum(out);
        out.extend_from_slice(&sum.to_le_bytes());
    }

    /// Reads a file whole.
    /// # Errors
    /// Why it cannot be used.
    pub fn read(bytes: Vec<u8>, boot_id: &str, now: Uptime) -> Result<Snapshot, SnapshotError> {
        if !bytes.starts_with(MAGIC) {
            return Err(SnapshotError::OtherVersion);
        }
        let end = bytes.len().saturating_sub(CHECKSUM_LEN);
        let (body, sum) = bytes.split_at_checked(end).ok_or(SnapshotError::Corrupt)?;
        if sum != checksum(body).to_le_bytes() {
            return Err(SnapshotError::Corrupt);
        }
        let mut reader = PointReader { bytes: body, at: MAGIC.len() };
        let head = (reader.text(), reader.number());
        let (Some(boot), Some(written_at)) = head else { return Err(SnapshotError::Corrupt) };
        if body.get(boot) != Some(boot_id.as_bytes()) {
            return Err(SnapshotError::OtherBoot);
        }
        let written_at = Uptime(u32::try_from(written_at).map_err(|_| SnapshotError::Corrupt)?);
        if written_at > now {
            return Err(SnapshotError::OtherBoot);
        }
        if now.since(written_at) > limits::SNAPSHOT_AGE_MAX {
            return Err(SnapshotError::Old);
        }
        let mut nodes = Vec::new();
        while reader.at < body.len() {
            let node = reader.node(&mut |_, _| {}).ok_or(SnapshotError::Corrupt)?;
            nodes.push(node);
        }
        Ok(Snapshot { bytes, nodes })
    }

    /// Whether no node's points are young enough any more.
    pub(super) fn is_spent(&self, now: Uptime) -> bool {
        self.nodes.iter().all(|section| now.since(section.committed_at) > limits::SNAPSHOT_AGE_MAX)
    }

    /// Takes a node's points as a batch, with the time of its commit; `None` when it has none that are young enough.
    pub(super) fn take(&mut self, node: &str, now: Uptime) -> Option<(Batch, Uptime)> {
        let is_it = |name: &Range<usize>| self.bytes.get(name.clone()) == Some(node.as_bytes());
        let found = self.nodes.iter().position(|section| is_it(&section.name))?;
        let NodePart { bytes, committed_at, source, .. } = self.nodes.swap_remove(found);
        if now.since(committed_at) > limits::SNAPSHOT_AGE_MAX {
            return None;
        }
        let mut batch = Batch::new();
        batch.begin(UnixNanos(0));
        batch.set_source(source);
        let mut reader = PointReader { bytes: &self.bytes, at: bytes.start };
        let mut is_full = false;
        reader.node(&mut |key, point| match key {
            None => batch.set_node(point),
            Some(key) => is_full |= batch.set_container(key, point).is_err(),
        })?;
        batch.finish();
        (!is_full).then_some((batch, committed_at))
    }
}

pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

pub(super) fn put_point(out: &mut Vec<u8>, point: &Point) {
    let swap = point.swap().map_or(u64::MAX, |swap| swap.0);
    let times = [point.taken_at.0.cast_unsigned(), point.started_at.0.cast_unsigned()];
    for number in [times[0], point.cpu.0, point.working_set.0, swap, times[1]] {
        out.extend_from_slice(&number.to_le_bytes());
    }
}

/// FNV-1a, 64 bits: against torn writes and rotten bits, not against forgers, who could write the file as well.
fn checksum(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum: u64, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Reads a file's parts; `None` when one is not there.
struct PointReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> PointReader<'a> {
    fn number(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// Where a text stands; it is UTF-8.
    fn text(&mut self) -> Option<Range<usize>> {
        let len = usize::try_from(self.number()?).ok()?;
        let range = self.at..self.at.checked_add(len)?;
        std::str::from_utf8(self.bytes.get(range.clone())?).ok()?;
        self.at = range.end;
        Some(range)
    }

    fn str(&mut self) -> Option<&'a str> {
        let range = self.text()?;
        std::str::from_utf8(self.bytes.get(range)?).ok()
    }

    fn point(&mut self) -> Option<Point> {
        let mut number = || {
            let (bytes, _) = self.bytes.get(self.at..)?.split_first_chunk::<8>()?;
            self.at += 8;
            Some(u64::from_le_bytes(*bytes))
        };
        let mut point = Point::NONE;
        point.taken_at = UnixNanos(number()?.cast_signed());
        point.cpu = CoreNanos(number()?);
        point.working_set = Bytes(number()?);
        point.set_swap(Bytes(number()?));
        point.started_at = UnixNanos(number()?.cast_signed());
        Some(point)
    }

    /// One node; its points go to `each`, the node's own without a key.
    fn node(&mut self, each: &mut dyn FnMut(Option<Key<'a>>, Point)) -> Option<NodePart> {
        let start = self.at;
        let name = self.text()?;
        let committed_at = Uptime(u32::try_from(self.number()?).ok()?);
        let source = BatchSource::from_number(self.number()?)?;
        each(None, self.point()?);
        for _ in 0..self.number()? {
            let (namespace, pod) = (self.str()?, self.str()?);
            for _ in 0..self.number()? {
                let container = self.str()?;
                each(Some(Key { namespace, pod, container }), self.point()?);
            }
        }
        Some(NodePart { name, bytes: start..self.at, committed_at, source })
    }
}
