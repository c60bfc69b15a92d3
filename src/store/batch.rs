//! One node's decoded samples in reusable scratch. Completeness, zeros and duplicates are decided here and nowhere else.

use crate::units::UnixNanos;

/// Why a body could not be used as a whole. The batch is then empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchError {
    /// More containers than one node may have.
    TooManyContainers,
    /// More bytes of names than one node may have.
    TooMuchText,
}

/// What decoding dropped, for the log and the self metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Lines that are not valid exposition, or that lack a label.
    pub bad_lines: u32,
    /// Pods left out since a container lacks CPU or memory, or has zero.
    pub incomplete_pods: u32,
    /// The node's own point was incomplete.
    pub incomplete_node: bool,
    /// Why the first bad line was dropped and where: line number and reason.
    pub first: Option<(u32, &'static str)>,
}

/// Reusable scratch for one node's samples; its memory is bounded by `limits` and kept between scrapes.
#[derive(Default)]
pub struct Batch {}

impl Batch {
    /// Empty scratch.
    #[must_use]
    pub fn new() -> Batch {
        Batch::default()
    }
    /// Forgets the previous body. `requested_at` stamps samples without a timestamp (truncated to milliseconds).
    pub fn begin(&mut self, _requested_at: UnixNanos) {}
    /// Decodes one piece of the body; pieces may end anywhere.
    /// # Errors
    /// The body is too large for a node; reading on is useless.
    pub fn feed(&mut self, _piece: &[u8]) -> Result<(), BatchError> {
        Ok(())
    }
    /// Ends the body: decides completeness and says what was dropped.
    pub fn finish(&mut self) -> Dropped {
        Dropped::default()
    }
}
