//! Reviews in flight and verdicts remembered: one review for each question at a time, one verdict for each lifetime.
//!
//! Questions are named by a keyed hash: no token is kept, and no client can make two questions share a name. Verdicts are
//! bounded in count, in bytes and in time; failures are never remembered. While reviews fail, a verdict counts on for
//! [`REVIEW_GRACE_SECS`] after its end. A lookup is one keyed hash and one pass over an array of 16-byte names.
//! Unauthenticated callers (unknown tokens, anonymous requests) can ask without limit, so they get at most half of the
//! reviews in flight, and their verdicts are evicted first. The other half is reserved for authenticated callers and for
//! tokens that were valid before: the names of the last [`KNOWN_TOKEN_COUNT_MAX`] of those are kept.
//! Memory: at most [`VERDICT_COUNT_MAX`] rows and [`VERDICT_BYTES_MAX`], taken as verdicts come, and 16 bytes for each
//! known token; dead rows are dropped by the next insertion.

use super::Identity;
use super::digest::KeyedHash;
use super::review::{Asked, Question, Verdict};
use crate::limits::{
    KNOWN_TOKEN_COUNT_MAX, REVIEW_BYTES_MAX, REVIEW_COUNT_MAX, REVIEW_GRACE_SECS, REVIEW_SECS_MAX,
    REVIEW_WAITER_COUNT_MAX, VERDICT_BYTES_MAX, VERDICT_COUNT_MAX, VERDICT_LEN_MAX,
};
use std::collections::VecDeque;
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
#[derive(Debug)]
pub enum Begin<W> {
    /// The verdict is known, or [`Verdict::Busy`]; the waiter comes back unused.
    Answer(Verdict, W),
    /// This is under review already; the waiter is kept and comes back from [`Reviews::finish`].
    Wait,
    /// The caller must ask this question; the waiter is kept and comes back from [`Reviews::finish`].
    Ask(Ticket, Question),
}

/// Verdicts and waiters; owned by the serving thread. `W` wakes a waiting request.
pub struct Reviews<W> {
    lifetimes: Lifetimes,
    hash: KeyedHash,
    is_gone: fn(&W) -> bool,
    /// Names of the remembered questions; the row of the same index belongs to it.
    names: Vec<u128>,
    rows: Vec<CachedVerdict>,
    /// Bytes of all verdicts.
    bytes: usize,
    /// Counts uses: the row with the lowest is the one used longest ago.
    uses: u64,
    flights: Vec<Flight<W>>,
    /// Names of tokens that were valid once, the last one last.
    known_tokens: VecDeque<u128>,
}

struct CachedVerdict {
    verdict: Verdict,
    len: usize,
    expires_at: Instant,
    /// Asked for an unauthenticated caller who remains one.
    is_unauthenticated: bool,
    used: u64,
}

/// A review under way.
struct Flight<W> {
    ticket: Ticket,
    cacheable: bool,
    is_unauthenticated: bool,
    /// Bytes of the question.
    len: usize,
    since: Instant,
    waiters: Vec<W>,
}

const GRACE: Duration = Duration::from_secs(REVIEW_GRACE_SECS);

impl<W> Reviews<W> {
    /// Empty. `key` is random, new for each process; `is_gone` tells that nobody waits with a waiter any more.
    #[must_use]
    pub fn new(lifetimes: Lifetimes, key: [u8; 32], is_gone: fn(&W) -> bool) -> Reviews<W> {
        Reviews {
            lifetimes,
            hash: KeyedHash::new(&key),
            is_gone,
            names: Vec::new(),
            rows: Vec::new(),
            bytes: 0,
            uses: 0,
            flights: Vec::new(),
            known_tokens: VecDeque::new(),
        }
    }

    /// Looks a question up, joins the review that is under way, or tells the caller to ask.
    pub fn begin(&mut self, mut question: Question, waiter: W, now: Instant) -> Begin<W> {
        let (name, cacheable) = match &question.asked {
            Asked::Token(token) => (self.hash.name(0, token.0.as_bytes()), true),
            Asked::Access { spec, cacheable } => (self.hash.name(1, spec.as_bytes()), *cacheable),
        };
        question.is_unauthenticated &= !self.known_tokens.contains(&name);
        if let Some(verdict) = self.remembered(name, now) {
            return Begin::Answer(verdict, waiter);
        }
        let ticket = Ticket(name);
        if let Some(at) = self.flights.iter().position(|flight| flight.ticket == ticket) {
            let may_join = self.may_join();
            let Some(flight) = self.flights.get_mut(at).filter(|_| may_join) else {
                return self.busy(name, waiter, now);
            };
            flight.waiters.push(waiter);
            if now.saturating_duration_since(flight.since) < Duration::from_secs(REVIEW_SECS_MAX) {
                return Begin::Wait;
            }
            flight.since = now;
            return Begin::Ask(ticket, question);
        }
        let (is_unauthenticated, len) = (question.is_unauthenticated, question.len());
        if !self.has_room(1, len, |_| true)
            || (is_unauthenticated && !self.has_room(2, len, |flight| flight.is_unauthenticated))
        {
            return self.busy(name, waiter, now);
        }
        let waiters = vec![waiter];
        self.flights.push(Flight { ticket, cacheable, is_unauthenticated, len, since: now, waiters });
        Begin::Ask(ticket, question)
    }

    /// Whether one more question of `len` bytes fits into a `part` of the room, of which these flights take some.
    fn has_room(&self, part: usize, len: usize, counts: fn(&Flight<W>) -> bool) -> bool {
        let (count, bytes) = self
            .flights
            .iter()
            .filter(|flight| counts(flight))
            .fold((1, len), |(count, bytes), flight| (count + 1, bytes + flight.len));
        count <= REVIEW_COUNT_MAX / part && bytes <= REVIEW_BYTES_MAX / part
    }

    /// Whether one more request may wait for a review that is under way.
    fn may_join(&mut self) -> bool {
        let count = |flights: &[Flight<W>]| flights.iter().map(|flight| flight.waiters.len()).sum::<usize>();
        if count(&self.flights) >= REVIEW_WAITER_COUNT_MAX {
            let is_gone = self.is_gone;
            self.flights.iter_mut().for_each(|flight| flight.waiters.retain(|waiter| !is_gone(waiter)));
        }
        count(&self.flights) < REVIEW_WAITER_COUNT_MAX
    }

    fn busy(&self, name: u128, waiter: W, now: Instant) -> Begin<W> {
        Begin::Answer(self.with_grace(name, Verdict::Busy, now), waiter)
    }

    /// Takes the verdict of a review (also one that could not be asked) and returns the verdict that counts - a
    /// remembered one within the grace when the review failed - with all who wait for it. The grace is not prolonged
    /// by a failure that it covers.
    pub fn finish(&mut self, ticket: Ticket, verdict: Verdict, now: Instant) -> (Verdict, Vec<W>) {
        let Some(at) = self.flights.iter().position(|flight| flight.ticket == ticket) else {
            return (self.with_grace(ticket.0, verdict, now), Vec::new());
        };
        let flight = self.flights.swap_remove(at);
        if flight.cacheable {
            let is_known = matches!(verdict, Verdict::Known(_));
            if is_known {
                self.known_tokens.retain(|&known| known != ticket.0);
                self.known_tokens.push_back(ticket.0);
                if self.known_tokens.len() > KNOWN_TOKEN_COUNT_MAX {
                    self.known_tokens.pop_front();
                }
            }
            self.remember(ticket.0, &verdict, flight.is_unauthenticated && !is_known, now);
        }
        (self.with_grace(ticket.0, verdict, now), flight.waiters)
    }

    #[cfg(test)]
    fn in_flight(&self) -> usize {
        self.flights.len()
    }

    fn remembered(&mut self, name: u128, now: Instant) -> Option<Verdict> {
        let at = self.names.iter().position(|&known| known == name)?;
        let row = self.rows.get_mut(at).filter(|row| now < row.expires_at)?;
        self.uses += 1;
        row.used = self.uses;
        Some(row.verdict.clone())
    }

    /// The verdict itself, or what is remembered of it when it failed and the grace lasts.
    fn with_grace(&self, name: u128, verdict: Verdict, now: Instant) -> Verdict {
        if !matches!(verdict, Verdict::Failed(_) | Verdict::Busy) {
            return verdict;
        }
        let row = self.names.iter().position(|&known| known == name).and_then(|at| self.rows.get(at));
        match row.filter(|row| now < row.expires_at + GRACE) {
            Some(row) => row.verdict.clone(),
            None => verdict,
        }
    }

    fn remember(&mut self, name: u128, verdict: &Verdict, is_unauthenticated: bool, now: Instant) {
        let lifetime = match verdict {
            Verdict::Known(_) | Verdict::Unknown(_) => self.lifetimes.token,
            Verdict::Allowed => self.lifetimes.allowed,
            Verdict::Denied(_) => self.lifetimes.denied,
            Verdict::Failed(_) | Verdict::Busy => return,
        };
        self.forget(|row_name, row| row_name == name || now >= row.expires_at + GRACE);
        let len = len_of(verdict);
        if lifetime.is_zero() || len > VERDICT_LEN_MAX {
            return;
        }
        while self.rows.len() >= VERDICT_COUNT_MAX || self.bytes + len > VERDICT_BYTES_MAX {
            let last = self.rows.iter().map(|row| (!row.is_unauthenticated, row.used)).min();
            self.forget(|_, row| Some((!row.is_unauthenticated, row.used)) == last);
        }
        self.uses += 1;
        self.bytes += len;
        self.names.push(name);
        self.rows.push(CachedVerdict {
            verdict: verdict.clone(),
            len,
            expires_at: now + lifetime,
            is_unauthenticated,
            used: self.uses,
        });
    }

    fn forget(&mut self, is_gone: impl Fn(u128, &CachedVerdict) -> bool) {
        let mut at = 0;
        while let (Some(&name), Some(row)) = (self.names.get(at), self.rows.get(at)) {
            if is_gone(name, row) {
                self.bytes -= row.len;
                self.names.swap_remove(at);
                self.rows.swap_remove(at);
            } else {
                at += 1;
            }
        }
    }
}

/// Bytes a verdict takes beside its row.
fn len_of(verdict: &Verdict) -> usize {
    let strings = |strings: &[String]| strings.iter().map(|s| s.len() + size_of::<String>()).sum::<usize>();
    match verdict {
        Verdict::Known(Identity { user, uid, groups, extra }) => {
            let extra = extra
                .iter()
                .map(|(key, values)| key.len() + strings(values) + size_of::<(String, Vec<String>)>());
            user.len() + uid.len() + strings(groups) + extra.sum::<usize>()
        }
        Verdict::Unknown(text) | Verdict::Denied(text) | Verdict::Failed(text) => text.len(),
        Verdict::Allowed | Verdict::Busy => 0,
    }
}

#[cfg(test)]
mod tests;
