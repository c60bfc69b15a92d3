//! Request bodies: nothing here wants one, so they are read past, up to a limit.
//!
//! A pure machine over whatever bytes are there, in pieces of any size. Chunk framing is read strictly, since a second
//! reading would let one request hide in another: sizes are 1 to 15 hexadecimal digits, every line ends in CRLF.
//! Memory: none beside the connection's buffer, which must hold one line of at most `LINE_LEN_MAX` bytes.

use crate::serve::http1::{BodyLength, Refusal};

/// Bytes of a chunk-size line or a trailer line; beyond it 400.
const LINE_LEN_MAX: usize = 256;

/// How far a body has been read past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skip {
    state: State,
    /// Bytes of the body's framing and content seen so far.
    seen: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Bytes(u64),
    Size,
    Chunk(u64),
    ChunkEnd,
    Trailer,
    Done,
}

impl Skip {
    /// Before the first byte of a body.
    #[must_use]
    pub fn new(length: BodyLength) -> Skip {
        let state = match length {
            BodyLength::Bytes(0) => State::Done,
            BodyLength::Bytes(len) => State::Bytes(len),
            BodyLength::Chunked => State::Size,
        };
        Skip { state, seen: 0 }
    }

    /// The body ended.
    #[must_use]
    pub fn is_done(self) -> bool {
        self.state == State::Done
    }

    /// Bytes that belong to the body so far, framing included.
    #[must_use]
    pub fn seen(self) -> usize {
        self.seen
    }

    /// Reads past as much of `bytes` as belongs to the body, and says how much that is.
    /// # Errors
    /// The chunks are malformed.
    pub fn advance(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        let mut used = 0;
        loop {
            let rest = bytes.get(used..).unwrap_or_default();
            let taken = match self.state {
                State::Done => break,
                State::Bytes(left) => self.content(left, rest, State::Bytes, State::Done),
                State::Chunk(left) => self.content(left, rest, State::Chunk, State::ChunkEnd),
                State::ChunkEnd => {
                    self.line(rest, |line| if line.is_empty() { Some(State::Size) } else { None })?
                }
                State::Size => self.line(rest, after_size)?,
                State::Trailer => {
                    self.line(rest, |line| Some(if line.is_empty() { State::Done } else { State::Trailer }))?
                }
            };
            if taken == 0 {
                break;
            }
            used += taken;
        }
        self.seen = self.seen.saturating_add(used);
        Ok(used)
    }

    fn content(&mut self, left: u64, rest: &[u8], more: impl Fn(u64) -> State, end: State) -> usize {
        let taken = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
        let left = left.saturating_sub(u64::try_from(taken).unwrap_or(u64::MAX));
        self.state = if left == 0 { end } else { more(left) };
        taken
    }

    /// Takes one line if it is whole.
    fn line(&mut self, rest: &[u8], next: impl Fn(&[u8]) -> Option<State>) -> Result<usize, Refusal> {
        let window = rest.get(..LINE_LEN_MAX).unwrap_or(rest);
        let Some(end) = memchr::memchr(b'\n', window) else {
            return if rest.len() >= LINE_LEN_MAX { Err(Refusal::Bad("")) } else { Ok(0) };
        };
        let line = window.get(..end).and_then(|line| line.strip_suffix(b"\r")).ok_or(Refusal::Bad(""))?;
        if line.contains(&b'\r') || line.contains(&0) {
            return Err(Refusal::Bad(""));
        }
        self.state = next(line).ok_or(Refusal::Bad(""))?;
        Ok(end + 1)
    }
}

/// Reads `size[;extension]`.
fn after_size(line: &[u8]) -> Option<State> {
    let digits = line.split(|&b| b == b';').next()?.trim_ascii_end();
    if digits.is_empty() || digits.len() > 15 {
        return None;
    }
    let size = digits.iter().try_fold(0u64, |sum, &digit| {
        char::from(digit).to_digit(16).map(|value| (sum << 4) | u64::from(value))
    })?;
    Some(if size == 0 { State::Trailer } else { State::Chunk(size) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &[u8], piece_len: usize) -> Result<(bool, usize), Refusal> {
        let mut skip = Skip::new(BodyLength::Chunked);
        let (mut buffer, mut used) = (Vec::new(), 0);
        for piece in body.chunks(piece_len) {
            buffer.extend_from_slice(piece);
            let taken = skip.advance(&buffer)?;
            buffer.drain(..taken);
            used += taken;
        }
        Ok((skip.is_done(), used))
    }

    #[test]
    fn chunks_are_read_past_in_pieces_of_any_size() {
        let body = b"4\r\nwiki\r\n5;ext=1\r\npedia\r\n00\r\nTrailer: x\r\n\r\n";
        let mut sent = body.to_vec();
        sent.extend_from_slice(b"GET / HTTP/1.1\r\n");
        for piece_len in 1..=sent.len() {
            assert_eq!(read(&sent, piece_len), Ok((true, body.len())), "{piece_len}");
        }
    }

    #[test]
    fn a_length_is_read_past_and_no_byte_more() {
        let mut skip = Skip::new(BodyLength::Bytes(5));
        assert_eq!(skip.advance(b"abc"), Ok(3));
        assert!(!skip.is_done());
        assert_eq!(skip.advance(b"deGET"), Ok(2));
        assert!(skip.is_done());
        assert_eq!(skip.seen(), 5);
    }

    #[test]
    fn every_ambiguous_chunk_is_refused() {
        for body in [
            &b"\r\n"[..],
            b"x\r\n",
            b"-1\r\n",
            b"+1\r\nab",
            b"0x5\r\nabcde\r\n0\r\n\r\n",
            b" 5\r\nabcde\r\n0\r\n\r\n",
            b"5\nabcde\r\n0\r\n\r\n",
            b"5;\nx\r\nabcde\r\n",
            b"5\r\r\nabcde\r\n",
            b"5 5\r\nabcde\r\n",
            b"5\0\r\nabcde\r\n",
            b"3\r\nabcde\r\n0\r\n\r\n",
            b"5\r\nabcde0\r\n\r\n",
            b"5\r\nabcde\n0\r\n\r\n",
            b"1000000000000000\r\n",
            b"0\r\nTrailer: x\n\r\n",
        ] {
            for piece_len in [1, 3, body.len()] {
                assert_eq!(read(body, piece_len), Err(Refusal::Bad("")), "{}", body.escape_ascii());
            }
        }
        let mut long = b"5;".to_vec();
        long.resize(LINE_LEN_MAX, b'x');
        assert_eq!(read(&long, 7), Err(Refusal::Bad("")));
    }
}
