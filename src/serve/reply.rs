//! Answers onto the wire: framing and pieces.
//!
//! A list is encoded piece by piece: each piece holds the store's lock for as long as it takes to encode it, is written
//! and flushed, and the next one is made only when the kernel takes more; so a slow reader costs no piece in memory, and
//! never a second copy of the store. A list that fits one piece goes out with its length; a longer one goes out chunked, or until the
//! connection closes for HTTP/1.0. A list that cannot be finished ends the connection without an end mark, so that no
//! client takes half of it for the whole.

use crate::api::answer::{Answer, Body, Pieces, Progress};
use crate::counters::Counters;
use crate::host::clock;
use crate::limits;
use crate::lock::lock;
use crate::serve::response::{self, Frame, Meta};
use crate::serve::slot::Slot;
use crate::serve::socket::ClientSocket;
use crate::store::Store;
use smol::io::{AsyncWrite, AsyncWriteExt};
use std::borrow::Cow;
use std::io;
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

/// Free bytes before a piece, for the size of its chunk: 16 hexadecimal digits and a line end are the most there can be.
const SIZE_LEN: usize = 18;
/// Bytes beside the first piece: the head, and the framing of a chunk.
const HEAD_ROOM: usize = 1024;

/// What lists are encoded from.
#[derive(Clone, Copy)]
pub struct Storage<'a> {
    /// The sample table.
    pub store: &'a Mutex<Store>,
    /// Counted into while encoding.
    pub metrics: &'a Counters,
}

impl Storage<'_> {
    fn lock(&self) -> MutexGuard<'_, Store> {
        lock(self.store)
    }
}

/// A body, read piece by piece.
enum BodyReader {
    /// Bytes, and how many of them were read.
    Whole(Cow<'static, [u8]>, usize),
    List(Box<dyn Pieces>),
}

impl BodyReader {
    fn len(&self) -> Option<usize> {
        match self {
            BodyReader::Whole(bytes, _) => Some(bytes.len()),
            BodyReader::List(list) => list.len(),
        }
    }

    fn next(&mut self, source: Storage<'_>, out: &mut Vec<u8>) -> Progress {
        match self {
            BodyReader::Whole(bytes, at) => {
                let Some(rest) = bytes.get(*at..) else { return Progress::Broken };
                let (piece, _) = rest.split_at(rest.len().min(limits::CHUNK_LEN_MAX));
                out.extend_from_slice(piece);
                *at += piece.len();
                if *at >= bytes.len() { Progress::Done } else { Progress::More }
            }
            BodyReader::List(list) => list.next(&source.lock(), source.metrics, out),
        }
    }
}

/// Writes one answer. `Ok(true)`: the connection may be used again.
/// # Errors
/// The connection failed or was cut, or the list could not be finished; the connection is of no more use.
pub async fn write(
    to: &mut (impl AsyncWrite + Unpin),
    socket: &ClientSocket,
    slot: &Slot,
    mut answer: Answer,
    meta: &Meta,
    source: Storage<'_>,
) -> io::Result<bool> {
    let mut reader = match std::mem::replace(&mut answer.body, Body::Static(&[])) {
        Body::Static(bytes) => BodyReader::Whole(bytes.into(), 0),
        Body::Whole(bytes) => BodyReader::Whole(bytes.into(), 0),
        Body::List(list) => BodyReader::List(list),
    };
    let mut sender = Sender { to, slot, until: deadline() };
    if meta.head_only || matches!(answer.status, 204 | 304) {
        let len = reader.len().filter(|_| meta.head_only);
        let mut head = Vec::new();
        response::head(&answer, meta, Frame::None(len), clock::wall(), &mut head);
        sender.send(&head).await?;
        return Ok(meta.keep_alive);
    }
    let known = reader.len();
    let mut out = room_for(known);
    let mut progress = next(&mut reader, source, sender.until, &mut out).await?;
    let frame = match known {
        Some(len) => Frame::Length(len),
        None if progress == Progress::Done => Frame::Length(out.len().saturating_sub(SIZE_LEN)),
        None if meta.http11 => Frame::Chunked,
        None => Frame::UntilClose,
    };
    let mut head = Vec::new();
    response::head(&answer, meta, frame, clock::wall(), &mut head);
    let mut sent = 0usize;
    loop {
        sent = sent.saturating_add(out.len().saturating_sub(SIZE_LEN));
        let start = enclose(frame, progress, &mut out);
        // The head goes out in one record with the first piece.
        let start = if head.is_empty() {
            start
        } else {
            out.splice(..start, head.drain(..));
            0
        };
        sender.send(out.get(start..).ok_or_else(broken)?).await?;
        if progress == Progress::Done {
            break;
        }
        smol::future::yield_now().await;
        // While the peer takes no more, there is no piece in memory.
        if !socket.has_room() {
            drop(out);
            sender.begin();
            socket.until_writable().await?;
            out = room_for(None);
        }
        out.truncate(SIZE_LEN);
        progress = next(&mut reader, source, sender.until, &mut out).await?;
    }
    match frame {
        Frame::Length(len) if len != sent => Err(broken()),
        Frame::UntilClose => Ok(false),
        _ => Ok(meta.keep_alive),
    }
}

/// An empty piece behind room for the size of its chunk.
fn room_for(known: Option<usize>) -> Vec<u8> {
    let room = known.unwrap_or(limits::CHUNK_LEN_MAX).min(limits::CHUNK_LEN_MAX);
    let mut out = Vec::with_capacity(room.saturating_add(HEAD_ROOM));
    out.resize(SIZE_LEN, 0);
    out
}

/// Appends the next piece. While the list finds nothing to write, others have their turn.
async fn next(
    reader: &mut BodyReader,
    source: Storage<'_>,
    until: Instant,
    out: &mut Vec<u8>,
) -> io::Result<Progress> {
    let held = out.len();
    loop {
        match reader.next(source, out) {
            Progress::Broken => return Err(broken()),
            Progress::More if out.len() == held => {
                if clock::mono() >= until {
                    return Err(broken());
                }
                smol::future::yield_now().await;
            }
            progress => return Ok(progress),
        }
    }
}

/// Puts the framing around the piece that lies in `out` behind `SIZE_LEN` free bytes; gives where to send from.
fn enclose(frame: Frame, progress: Progress, out: &mut Vec<u8>) -> usize {
    if frame != Frame::Chunked {
        return SIZE_LEN;
    }
    let len = out.len().saturating_sub(SIZE_LEN);
    let mut start = SIZE_LEN;
    if len > 0 {
        let size = format!("{len:x}\r\n");
        start = SIZE_LEN.saturating_sub(size.len());
        if let Some(room) = out.get_mut(start..SIZE_LEN) {
            room.copy_from_slice(size.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }
    if progress == Progress::Done {
        out.extend_from_slice(b"0\r\n\r\n");
    }
    start
}

fn broken() -> io::Error {
    io::Error::other("the list could not be finished")
}

fn deadline() -> Instant {
    clock::mono() + limits::ANSWER_TIME_MAX
}

/// Writes under two deadlines: one for each piece, one for all.
struct Sender<'a, W> {
    to: &'a mut W,
    slot: &'a Slot,
    until: Instant,
}

impl<W: AsyncWrite + Unpin> Sender<'_, W> {
    /// Gives the next piece its time.
    fn begin(&self) {
        let now = clock::mono();
        self.slot.extend(now, limits::PIECE_TIME_MAX.min(self.until.saturating_duration_since(now)));
    }

    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.begin();
        self.to.write_all(bytes).await?;
        self.to.flush().await
    }
}
