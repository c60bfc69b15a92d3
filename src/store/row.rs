//! One row of the sample table: the last two points of one node or container, in 64 bytes.
//!
//! A row is one cache line, so a walk over a pod's containers touches one line each. What is absent has a value of its
//! own in place: no swap is `u64::MAX`, no earlier point is a point of an unknown time.

use crate::units::{Bytes, CoreNanos, UnixNanos};

/// One observation of CPU and memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// Time of the sample.
    pub taken_at: UnixNanos,
    /// Cumulative CPU.
    pub cpu: CoreNanos,
    /// Memory working set.
    pub working_set: Bytes,
    /// Swap in use, `u64::MAX` when not reported; read through [`Point::swap`].
    pub(super) swap: u64,
    /// Start of the container; [`UnixNanos::UNKNOWN`] when not reported.
    pub started_at: UnixNanos,
}

impl Point {
    /// Not reported, or never seen.
    pub const NONE: Point = Point {
        taken_at: UnixNanos::UNKNOWN,
        cpu: CoreNanos(0),
        working_set: Bytes(0),
        swap: u64::MAX,
        started_at: UnixNanos::UNKNOWN,
    };

    /// Swap in use, when reported.
    #[must_use]
    pub fn swap(&self) -> Option<Bytes> {
        (self.swap != u64::MAX).then_some(Bytes(self.swap))
    }

    /// Sets swap in use; the largest number means not reported.
    pub fn set_swap(&mut self, swap: Bytes) {
        self.swap = swap.0;
    }

    /// Whether CPU and memory are there: zero is what a kubelet says when it does not know.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.cpu.0 != 0 && self.working_set.0 != 0
    }
}

impl Default for Point {
    fn default() -> Self {
        Point::NONE
    }
}

/// What the rate needs of the point before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrevPoint {
    /// Time of the sample; [`UnixNanos::UNKNOWN`] when there is none.
    pub taken_at: UnixNanos,
    /// Cumulative CPU.
    pub cpu: CoreNanos,
    /// Start of the container.
    pub started_at: UnixNanos,
}

impl PrevPoint {
    /// No point before.
    pub const NONE: PrevPoint =
        PrevPoint { taken_at: UnixNanos::UNKNOWN, cpu: CoreNanos(0), started_at: UnixNanos::UNKNOWN };

    /// Whether there is a point before.
    #[must_use]
    pub fn is_some(&self) -> bool {
        self.taken_at != UnixNanos::UNKNOWN
    }
}

impl From<Point> for PrevPoint {
    fn from(point: Point) -> Self {
        PrevPoint { taken_at: point.taken_at, cpu: point.cpu, started_at: point.started_at }
    }
}

/// The last two points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The last point.
    pub last: Point,
    /// The point before.
    pub prev: PrevPoint,
}

const _: () = assert!(size_of::<Row>() == 64);

impl Row {
    /// No points.
    pub const NONE: Row = Row { last: Point::NONE, prev: PrevPoint::NONE };
}
