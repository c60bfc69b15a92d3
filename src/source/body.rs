//! The body of a kubelet's answer on its way into a batch: inflated where it is compressed, counted, and cut at its limit.
//!
//! A kubelet compresses only for clients that ask for it (`--kubelet-gzip`), but a proxy in front of one may do so unasked. It
//! is inflated as a stream, within the limit of a body. Memory: while a compressed body is read, some 48 KiB.
//! Deviation: a 200 without a sample of a node or container is a failed scrape; for metrics-server it is a success.

use crate::limits;
use crate::net::fetch::{Exchange, FetchError, Reason};
use crate::source::Reading;
use crate::store::batch::{Batch, BatchError};
use flate2::write::GzDecoder;
use std::io::{self, Write};

/// Bytes of a body's begin that a message shows when the body is not what was asked for.
const SHOWN_LEN: usize = 60;

/// Takes plain bytes of the body.
struct Sink<'a> {
    batch: &'a mut Batch,
    len: u64,
    begin: Vec<u8>,
    refused: Option<FetchError>,
}

impl Sink<'_> {
    fn take(&mut self, piece: &[u8]) -> Result<(), FetchError> {
        self.len = self.len.saturating_add(piece.len() as u64);
        if self.len > limits::KUBELET_BODY_LEN_MAX {
            let limit = limits::KUBELET_BODY_LEN_MAX;
            return Err(FetchError::new(Reason::TooLarge, format!("the body is larger than {limit} bytes")));
        }
        let room = SHOWN_LEN.saturating_sub(self.begin.len()).min(piece.len());
        self.begin.extend_from_slice(&piece[..room]);
        self.batch.feed(piece).map_err(unusable)
    }
}

impl Write for Sink<'_> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        match self.take(piece) {
            Ok(()) => Ok(piece.len()),
            Err(refused) => {
                self.refused = Some(refused);
                Err(io::ErrorKind::Other.into())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn unusable(error: BatchError) -> FetchError {
    match error {
        BatchError::Malformed(_) => {
            FetchError::new(Reason::Body, format!("the answer is not a valid Summary: {error}"))
        }
        _ => FetchError::new(Reason::TooLarge, format!("the answer holds {error}")),
    }
}

/// Reads the body of an answer into `batch`, which was begun.
///
/// # Errors
/// The connection broke, the body is too large, cannot be inflated, or holds nothing that a kubelet reports.
pub fn read(answer: &mut Exchange, batch: &mut Batch) -> Result<Reading, FetchError> {
    let encoding = std::mem::take(&mut answer.content_encoding).to_ascii_lowercase();
    let mut sink = Sink { batch, len: 0, begin: Vec::new(), refused: None };
    match encoding.as_str() {
        "" | "identity" => each_piece(answer, |piece| sink.take(piece))?,
        "gzip" | "x-gzip" => inflate(answer, &mut sink)?,
        other => {
            let message = format!("the body is encoded as {:?}, which was not asked for", shown(other));
            return Err(FetchError::new(Reason::Body, message));
        }
    }
    let (len, begin) = (sink.len, sink.begin);
    let dropped = batch.finish();
    if let Some(error) = batch.error() {
        return Err(unusable(error));
    }
    let seen = batch.node().is_some()
        || batch.pods().next().is_some()
        || dropped.incomplete_node
        || dropped.incomplete_pods > 0;
    // What the kubelet could not collect is reported with its own reason.
    if seen || batch.contents().scrape_error {
        return Ok(Reading { len, dropped, instead_of: None });
    }
    if len == 0 {
        return Err(FetchError::new(Reason::Empty, "the answer is empty"));
    }
    let kind = if answer.content_type.is_empty() { "none" } else { &answer.content_type };
    let mut message = format!(
        "the answer holds no sample of a node or container (Content-Type {}, begins with {:?}",
        shown(kind),
        shown(&String::from_utf8_lossy(&begin))
    );
    if let Some((line, why)) = dropped.first {
        message.push_str(&format!("; line {line}: {why}"));
    }
    message.push(')');
    Err(FetchError::new(Reason::Body, message))
}

/// Not inlined: its frame of 40 KiB would be touched for every body, and stay resident on each poller's stack.
#[inline(never)]
fn inflate(answer: &mut Exchange, sink: &mut Sink<'_>) -> Result<(), FetchError> {
    let mut inflate = GzDecoder::new(&mut *sink);
    let read = each_piece(answer, |piece| inflate.write_all(piece).map_err(|e| truncated(&e)))
        .and_then(|()| inflate.try_finish().map_err(|e| truncated(&e)));
    drop(inflate);
    // What the sink refused is the reason, not that writing to it failed.
    sink.refused.take().map_or(read, Err)
}

fn each_piece(
    answer: &mut Exchange,
    mut take: impl FnMut(&[u8]) -> Result<(), FetchError>,
) -> Result<(), FetchError> {
    let mut piece = vec![0; limits::KUBELET_PIECE_LEN];
    loop {
        match answer.read(&mut piece)? {
            0 => return Ok(()),
            len => take(&piece[..len])?,
        }
    }
}

fn truncated(error: &io::Error) -> FetchError {
    FetchError::new(Reason::Body, format!("the gzip body cannot be inflated: {error}"))
}

/// Foreign text for a message: cut, and without control characters.
pub fn shown(text: &str) -> String {
    text.chars().take(limits::LOGGED_LEN_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The first line of a refusal's body that says something, for its message; empty when there is none. A short body is read
/// to its end, so that the connection can be used again.
pub fn first_line(answer: &mut Exchange) -> String {
    let mut piece = vec![0; limits::REFUSAL_LEN_MAX];
    let mut len = 0;
    // A body that breaks off has no bearing on the refusal.
    while let Some(read) = answer.read(&mut piece[len..]).ok().filter(|read| *read > 0) {
        len += read;
        if len == piece.len() {
            break;
        }
    }
    let text = String::from_utf8_lossy(&piece[..len]).into_owned();
    shown(text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default())
}
