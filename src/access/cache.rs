//! Reviews in flight and verdicts remembered.

use super::review::{Question, Verdict};
use std::time::{Duration, Instant};

/// How long verdicts count, from flags. Zero: not remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// Tokens, known and unknown (`--authentication-token-webhook-cache-ttl`).
    pub token: Duration,
    /// Allowed requests (`--authorization-webhook-cache-authorized-ttl`).
    pub allowed: Duration,
    /// Denied requests (`--authorization-webhook-cache-unauthorized-ttl`).
    pub denied: Duration,
}

/// Names a review in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u128);

/// What to do about a question.
pub enum Begin<W> {
    /// The verdict is known (or cannot be asked for now); the waiter comes back unused.
    Answer(Verdict, W),
    /// Somebody asks this already; the waiter is kept and comes back from [`Reviews::finish`].
    Wait,
    /// The caller must ask; the waiter is kept and comes back from [`Reviews::finish`].
    Ask(Ticket),
}

/// Verdicts and waiters; owned by the serving thread. `W` is whatever wakes a waiting request.
pub struct Reviews<W> {
    _waiters: Vec<W>,
}

impl<W> Reviews<W> {
    /// Empty. `key` is random, new for each process.
    #[must_use]
    pub fn new(_lifetimes: Lifetimes, _key: [u8; 32]) -> Reviews<W> {
        todo!()
    }
    /// Looks a question up, joins the review that is under way, or tells the caller to ask.
    pub fn begin(&mut self, _question: &Question, _waiter: W, _now: Instant) -> Begin<W> {
        todo!()
    }
    /// Takes the verdict of a review (also [`Verdict::Failed`], when it could not be asked) and gives back the verdict
    /// that counts - a remembered one within the grace when the review failed - with everybody who waits for it.
    pub fn finish(&mut self, _ticket: Ticket, _verdict: Verdict, _now: Instant) -> (Verdict, Vec<W>) {
        todo!()
    }
}
