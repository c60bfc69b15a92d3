//! What a connection has received and not used yet, in a buffer that is small until a large head comes.
//!
//! Each connection may hold `limits::HEAD_LEN_OWN` bytes on its own account. Beyond that, buffer and parsed header lines
//! are taken from one allowance that all connections share, and given back when the request is done; so are answers whose
//! size a client chooses. Many large ones at once are refused instead of growing the process.

use crate::invariant::assured;
use crate::limits;
use smol::io::{AsyncRead, AsyncReadExt};
use std::cell::Cell;
use std::io;
use std::rc::Rc;

/// Bytes that connections may use beyond their own; shared.
#[derive(Clone, Debug)]
pub struct Allowance(Rc<Cell<usize>>);

impl Allowance {
    /// `len` bytes to share.
    #[must_use]
    pub fn new(len: usize) -> Allowance {
        Allowance(Rc::new(Cell::new(len)))
    }

    /// Lends `len` bytes; `None` when there is not enough left.
    #[must_use]
    pub fn lend(&self, len: usize) -> Option<Loan> {
        let mut loan = Loan { from: self.clone(), len: 0 };
        loan.resize(len).then_some(loan)
    }
}

/// Bytes taken from an [`Allowance`], given back on drop.
#[derive(Debug)]
pub struct Loan {
    from: Allowance,
    len: usize,
}

impl Loan {
    /// Makes the loan `len` bytes; `false` and unchanged when there is not enough left.
    fn resize(&mut self, len: usize) -> bool {
        let left = self.from.0.get().saturating_add(self.len);
        let enough = left >= len;
        if enough {
            self.from.0.set(left - len);
            self.len = len;
        }
        enough
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        self.resize(0);
    }
}

/// Received bytes.
#[derive(Debug)]
pub struct Inbox {
    bytes: Vec<u8>,
    buffer: Loan,
    request: Loan,
}

/// What came of reading.
#[derive(Debug, PartialEq, Eq)]
pub enum Fill {
    /// More bytes are there.
    More,
    /// The peer sends no more.
    End,
    /// There is no room for more.
    Full,
}

impl Inbox {
    /// Empty.
    #[must_use]
    pub fn new(shared: &Allowance) -> Inbox {
        let loan = || Loan { from: shared.clone(), len: 0 };
        Inbox { bytes: Vec::new(), buffer: loan(), request: loan() }
    }

    /// The bytes received and not used.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The first `len` bytes, which are there.
    #[must_use]
    pub fn first(&self, len: usize) -> &[u8] {
        assured(self.bytes.get(..len), "as many bytes were received")
    }

    /// Reads once, making room first. `len_max` bounds the bytes held.
    /// # Errors
    /// The connection failed.
    pub async fn fill(&mut self, from: &mut (impl AsyncRead + Unpin), len_max: usize) -> io::Result<Fill> {
        let held = self.bytes.len();
        if held >= len_max || (held == self.bytes.capacity() && !self.grow(len_max)) {
            return Ok(Fill::Full);
        }
        let end = self.bytes.capacity().min(len_max).min(held.saturating_add(limits::CHUNK_LEN_MAX));
        self.bytes.resize(end, 0);
        let read = match self.bytes.get_mut(held..) {
            Some(room) => from.read(room).await,
            None => Ok(0),
        };
        self.bytes.truncate(held + *read.as_ref().unwrap_or(&0));
        Ok(if read? == 0 { Fill::End } else { Fill::More })
    }

    /// Forgets the first `len` bytes.
    pub fn consume(&mut self, len: usize) {
        self.bytes.drain(..len.min(self.bytes.len()));
    }

    /// Reserves what parsing a request and answering it takes. `false`: there is no room for so much now.
    pub fn reserve_request(&mut self, cost: usize) -> bool {
        self.request.resize(cost.saturating_sub(limits::HEAD_LEN_OWN))
    }

    /// Gives back the buffer that the next request does not need.
    pub fn release(&mut self) {
        self.bytes.shrink_to(limits::READ_LEN_IDLE);
        self.settle();
    }

    /// Gives back what [`Inbox::reserve_request`] took.
    pub fn forget_request(&mut self) {
        self.request.resize(0);
    }

    fn grow(&mut self, len_max: usize) -> bool {
        let capacity = self.bytes.capacity();
        let wanted =
            capacity.saturating_mul(2).clamp(limits::READ_LEN_IDLE, len_max.max(limits::READ_LEN_IDLE));
        if wanted <= capacity || !self.buffer.resize(wanted.saturating_sub(limits::HEAD_LEN_OWN)) {
            return false;
        }
        self.bytes.reserve_exact(wanted - self.bytes.len());
        self.settle();
        true
    }

    fn settle(&mut self) {
        self.buffer.resize(self.bytes.capacity().saturating_sub(limits::HEAD_LEN_OWN));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill_up(inbox: &mut Inbox, len: usize) -> usize {
        let source = vec![b'a'; len];
        let mut source = &source[..];
        smol::block_on(async {
            while inbox.fill(&mut source, limits::HEAD_LEN_MAX).await.unwrap() == Fill::More {}
        });
        inbox.bytes().len()
    }

    #[test]
    fn a_small_head_takes_nothing_of_the_shared_allowance() {
        let shared = Allowance::new(0);
        let mut inbox = Inbox::new(&shared);
        assert_eq!(fill_up(&mut inbox, 3_000), 3_000);
        inbox.consume(3_000);
        inbox.release();
        assert!(inbox.bytes.capacity() <= limits::READ_LEN_IDLE);
    }

    #[test]
    fn large_heads_share_and_give_back() {
        const SHARED: usize = limits::HEAD_LEN_MAX - limits::HEAD_LEN_OWN;
        let shared = Allowance::new(SHARED);
        let mut first = Inbox::new(&shared);
        assert_eq!(fill_up(&mut first, limits::HEAD_LEN_MAX), limits::HEAD_LEN_MAX);
        let mut second = Inbox::new(&shared);
        assert_eq!(
            fill_up(&mut second, 64 * 1024),
            limits::HEAD_LEN_OWN,
            "only its own while the first holds the rest"
        );
        first.consume(limits::HEAD_LEN_MAX);
        first.release();
        assert_eq!(fill_up(&mut second, 64 * 1024), limits::HEAD_LEN_OWN + 64 * 1024);
        drop((first, second));
        assert_eq!(shared.0.get(), SHARED);
    }

    #[test]
    fn no_head_grows_beyond_the_limit() {
        let shared = Allowance::new(16 * limits::HEAD_LEN_MAX);
        let mut inbox = Inbox::new(&shared);
        assert_eq!(fill_up(&mut inbox, 2 * limits::HEAD_LEN_MAX), limits::HEAD_LEN_MAX);
    }

    #[test]
    fn a_costly_request_is_paid_for_from_the_shared_allowance() {
        let shared = Allowance::new(1_000);
        let mut inbox = Inbox::new(&shared);
        assert!(inbox.reserve_request(limits::HEAD_LEN_OWN));
        assert_eq!(shared.0.get(), 1_000);
        assert!(!inbox.reserve_request(limits::HEAD_LEN_OWN + 1_001));
        assert!(inbox.reserve_request(limits::HEAD_LEN_OWN + 1_000));
        assert!(shared.lend(1).is_none() && shared.lend(0).is_some());
        inbox.forget_request();
        let loan = shared.lend(1_000).unwrap();
        assert!(shared.lend(1).is_none());
        drop(loan);
        assert_eq!(shared.0.get(), 1_000);
    }
}
