//! An answer: status, headers, and a body that is whole or encoded piece by piece.

use crate::counters::Counters;
use crate::store::Store;
use std::borrow::Cow;

/// The answer to one request. `serve` adds Audit-Id, Cache-Control (unless set here), Date and the framing headers.
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers in order, Content-Type included.
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    /// Body.
    pub body: Body,
}

impl Answer {
    /// A 200 of one content type.
    #[must_use]
    pub fn ok(content_type: &'static str, body: Body) -> Answer {
        Answer { status: 200, headers: vec![("Content-Type", content_type.into())], body }
    }
}

/// The body of an answer.
pub enum Body {
    /// A constant document.
    Static(&'static [u8]),
    /// A document made for this answer.
    Whole(Vec<u8>),
    /// A list, encoded from the store piece by piece.
    List(Box<dyn Pieces>),
}

/// How far a list has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Call again: more to come.
    More,
    /// That was the last piece.
    Done,
    /// The store changed so much that the announced length cannot be kept: close the connection without an end mark.
    Broken,
}

/// A body that is encoded from the store. Each call does a bounded amount of work (`limits::LIST_WORK_MAX`), however
/// little of the store is selected, so that the store's lock is free again soon.
#[allow(clippy::len_without_is_empty)] // No body is empty.
pub trait Pieces {
    /// Works towards the first piece; `true` once it is ready and `len` may be asked. Until then it wants to be called
    /// again, and nothing of the answer need have been written.
    fn prepare(&mut self, store: &Store, metrics: &Counters) -> bool;
    /// Bytes of the whole body, when it fits one piece or the encoding needs it; else `None`.
    fn len(&self) -> Option<usize>;
    /// Appends the next piece (at most `limits::CHUNK_LEN_MAX` bytes, and perhaps none) to `out`.
    fn next(&mut self, store: &Store, metrics: &Counters, out: &mut Vec<u8>) -> Progress;
}
