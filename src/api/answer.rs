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

/// A body that is encoded from the store, each piece under one short lock.
#[allow(clippy::len_without_is_empty)] // No body is empty.
pub trait Pieces {
    /// Bytes of the whole body, when it is known to fit one piece or the encoding needs it; else `None`.
    fn len(&self) -> Option<usize>;
    /// Appends the next piece (at most `limits::CHUNK_LEN_MAX` bytes) to `out`.
    fn next(&mut self, store: &Store, metrics: &Counters, out: &mut Vec<u8>) -> Progress;
}
