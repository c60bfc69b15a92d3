//! Reviews in flight and verdicts remembered: one review for each question at a time, one verdict for each lifetime.
//!
//! Questions are named by a keyed hash (no token is kept, nobody outside can make two questions meet). Verdicts are
//! bounded in count, in bytes and in time; failures are never remembered. While reviews fail, a verdict counts on for
//! [`REVIEW_GRACE_SECS`] after its end. A lookup is one keyed hash and one pass over an array of 16-byte names.
//! Strangers (unproven tokens, anonymous requests) can ask for anything without end, so they never get more than half
//! of the reviews in flight, and what is remembered of them goes first.
//! Memory: at most [`VERDICT_COUNT_MAX`] rows and [`VERDICT_BYTES_MAX`], taken as verdicts come; dead rows are dropped
//! by the next insertion.

use super::Identity;
use super::digest::KeyedHash;
use super::review::{Question, Verdict};
use crate::limits::{
    REVIEW_COUNT_MAX, REVIEW_GRACE_SECS, REVIEW_SECS_MAX, REVIEW_WAITER_COUNT_MAX, VERDICT_BYTES_MAX,
    VERDICT_COUNT_MAX, VERDICT_LEN_MAX,
};
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
    /// The verdict is known (or cannot be asked for now); the waiter comes back unused.
    Answer(Verdict, W),
    /// Somebody asks this already; the waiter is kept and comes back from [`Reviews::finish`].
    Wait,
    /// The caller must ask; the waiter is kept and comes back from [`Reviews::finish`].
    Ask(Ticket),
}

/// Verdicts and waiters; owned by the serving thread. `W` is whatever wakes a waiting request.
pub struct Reviews<W> {
    lifetimes: Lifetimes,
    hash: KeyedHash,
    /// Names of the remembered questions; the row of the same index belongs to it.
    names: Vec<u128>,
    rows: Vec<Row>,
    /// Bytes of all verdicts.
    bytes: usize,
    /// Counts uses: the row with the lowest is the one used longest ago.
    uses: u64,
    flights: Vec<Flight<W>>,
}

struct Row {
    verdict: Verdict,
    len: usize,
    expires_at: Instant,
    /// Asked for a stranger who stayed one.
    is_stranger: bool,
    used: u64,
}

/// A review under way.
struct Flight<W> {
    ticket: Ticket,
    cacheable: bool,
    is_stranger: bool,
    since: Instant,
    waiters: Vec<W>,
}

const GRACE: Duration = Duration::from_secs(REVIEW_GRACE_SECS);

impl<W> Reviews<W> {
    /// Empty. `key` is random, new for each process.
    #[must_use]
    pub fn new(lifetimes: Lifetimes, key: [u8; 32]) -> Reviews<W> {
        Reviews {
            lifetimes,
            hash: KeyedHash::new(&key),
            names: Vec::new(),
            rows: Vec::new(),
            bytes: 0,
            uses: 0,
            flights: Vec::new(),
        }
    }

    /// Looks a question up, joins the review that is under way, or tells the caller to ask.
    pub fn begin(&mut self, question: &Question, waiter: W, now: Instant) -> Begin<W> {
        let (name, cacheable) = match question {
            Question::Token(token) => (self.hash.name(0, token.0.as_bytes()), true),
            Question::Access { spec, cacheable } => (self.hash.name(1, spec.as_bytes()), *cacheable),
        };
        if let Some(verdict) = self.remembered(name, now) {
            return Begin::Answer(verdict, waiter);
        }
        let ticket = Ticket(name);
        if let Some(flight) = self.flights.iter_mut().find(|flight| flight.ticket == ticket) {
            if flight.waiters.len() >= REVIEW_WAITER_COUNT_MAX {
                return self.too_many(name, waiter, now);
            }
            flight.waiters.push(waiter);
            if now.saturating_duration_since(flight.since) < Duration::from_secs(REVIEW_SECS_MAX) {
                return Begin::Wait;
            }
            flight.since = now;
            return Begin::Ask(ticket);
        }
        let is_stranger = question.is_from_stranger();
        let strangers = self.flights.iter().filter(|flight| flight.is_stranger).count();
        if self.flights.len() >= REVIEW_COUNT_MAX || (is_stranger && strangers >= REVIEW_COUNT_MAX / 2) {
            return self.too_many(name, waiter, now);
        }
        self.flights.push(Flight { ticket, cacheable, is_stranger, since: now, waiters: vec![waiter] });
        Begin::Ask(ticket)
    }

    fn too_many(&self, name: u128, waiter: W, now: Instant) -> Begin<W> {
        let verdict = Verdict::Failed("too many reviews are under way".to_owned());
        Begin::Answer(self.with_grace(name, verdict, now), waiter)
    }

    /// Takes the verdict of a review (also [`Verdict::Failed`], when it could not be asked) and gives back the verdict
    /// that counts - a remembered one within the grace when the review failed - with everybody who waits for it. A
    /// failure that comes back as something else was covered by the grace; the grace is not prolonged by it.
    pub fn finish(&mut self, ticket: Ticket, verdict: Verdict, now: Instant) -> (Verdict, Vec<W>) {
        let Some(at) = self.flights.iter().position(|flight| flight.ticket == ticket) else {
            return (self.with_grace(ticket.0, verdict, now), Vec::new());
        };
        let flight = self.flights.swap_remove(at);
        if flight.cacheable {
            let is_stranger = flight.is_stranger && !matches!(verdict, Verdict::Known(_));
            self.remember(ticket.0, &verdict, is_stranger, now);
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
        if !matches!(verdict, Verdict::Failed(_)) {
            return verdict;
        }
        let row = self.names.iter().position(|&known| known == name).and_then(|at| self.rows.get(at));
        match row.filter(|row| now < row.expires_at + GRACE) {
            Some(row) => row.verdict.clone(),
            None => verdict,
        }
    }

    fn remember(&mut self, name: u128, verdict: &Verdict, is_stranger: bool, now: Instant) {
        let lifetime = match verdict {
            Verdict::Known(_) | Verdict::Unknown(_) => self.lifetimes.token,
            Verdict::Allowed => self.lifetimes.allowed,
            Verdict::Denied(_) => self.lifetimes.denied,
            Verdict::Failed(_) => return,
        };
        self.forget(|row_name, row| row_name == name || now >= row.expires_at + GRACE);
        let len = len_of(verdict);
        if lifetime.is_zero() || len > VERDICT_LEN_MAX {
            return;
        }
        while self.rows.len() >= VERDICT_COUNT_MAX || self.bytes + len > VERDICT_BYTES_MAX {
            let last = self.rows.iter().map(|row| (!row.is_stranger, row.used)).min();
            self.forget(|_, row| Some((!row.is_stranger, row.used)) == last);
        }
        self.uses += 1;
        self.bytes += len;
        self.names.push(name);
        self.rows.push(Row {
            verdict: verdict.clone(),
            len,
            expires_at: now + lifetime,
            is_stranger,
            used: self.uses,
        });
    }

    fn forget(&mut self, is_gone: impl Fn(u128, &Row) -> bool) {
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
        Verdict::Allowed => 0,
    }
}

#[cfg(test)]
mod tests;
