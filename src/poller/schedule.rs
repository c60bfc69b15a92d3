//! When which node is scraped. Pure: the time is an argument, nothing sleeps here.
//!
//! A round begins every resolution, counted from the first one; a slow round never queues a second. A node seen for the
//! first time is due at once, and at `limits::YOUNG_SCRAPES_AFTER` until its own sample has moved. Nodes that fail come
//! last and are left alone for a while, at most `limits::BACKOFF_MAX`. Memory: one entry for each node.

use crate::limits;
use crate::store::Target;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing until then, or until the inventory changes.
    Sleep(Instant),
    /// Scrape this node, then call [`Schedule::done`].
    Scrape(Arc<Target>),
}

/// How a scrape ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Read; `settled` when the node's own usage can be served.
    Read {
        /// The node has a usage.
        settled: bool,
    },
    /// Not read.
    Failed,
}

/// Nodes and their due times.
pub struct Schedule {
    resolution: Duration,
    nodes: Vec<Node>,
    /// The first round's start; later rounds are whole resolutions away from it.
    first_round: Option<Instant>,
    round: Option<Round>,
    workers: usize,
}

/// The round under way.
struct Round {
    started: Instant,
    /// Time spent scraping so far, on all threads, and for how many nodes.
    busy: Duration,
    scraped: u32,
    open: bool,
}

struct Node {
    target: Arc<Target>,
    due: Instant,
    first_scrape: Option<Instant>,
    /// Its own usage can be served; until then it is scraped more often.
    settled: bool,
    /// Failures in a row.
    failures: u32,
    /// It was read once; a node that never was is tried sooner at first.
    known_good: bool,
    /// When its scrape under way began.
    taken_at: Option<Instant>,
}

impl Schedule {
    /// Nothing to scrape yet. `resolution` is at least a second.
    #[must_use]
    pub fn new(resolution: Duration) -> Schedule {
        let resolution = resolution.max(Duration::from_secs(1));
        Schedule { resolution, nodes: Vec::new(), first_round: None, round: None, workers: 1 }
    }

    /// Takes over the inventory, sorted by name: new nodes are due at once, missing ones are forgotten. A node whose
    /// address, port or path changed, or that became ready, is due at once if it failed.
    pub fn replace(&mut self, targets: Vec<Target>, now: Instant) {
        let mut old = std::mem::take(&mut self.nodes).into_iter().peekable();
        for target in targets {
            while old.next_if(|node| node.target.name < target.name).is_some() {}
            let known = old.next_if(|node| node.target.name == target.name);
            self.nodes.push(match known {
                None => Node::new(target, now),
                Some(mut node) => {
                    if *node.target != target {
                        if node.failures > 0 {
                            node.due = now;
                        }
                        node.target = Arc::new(target);
                    }
                    node
                }
            });
        }
        if self.first_round.is_none() {
            self.first_round = Some(now);
        }
    }

    /// Begins a round when one is due: `true` at its beginning.
    pub fn begin_round(&mut self, now: Instant) -> bool {
        let Some(first) = self.first_round else { return false };
        let current = self.boundary(first, now);
        if self.round.as_ref().is_some_and(|r| r.started >= current) {
            return false;
        }
        // The last round's true cost decides; during a round the number only grows.
        self.workers = self.round.as_ref().map_or(1, |last| self.workers_for(last.busy));
        self.round = Some(Round { started: current, busy: Duration::ZERO, scraped: 0, open: true });
        true
    }

    /// Ends the round under way when nothing is due or in flight any more: its length, once.
    pub fn end_round(&mut self, now: Instant) -> Option<Duration> {
        let idle = self.nodes.iter().all(|n| n.taken_at.is_none() && n.due > now);
        let round = self.round.as_mut().filter(|r| r.open && idle)?;
        round.open = false;
        Some(now.saturating_duration_since(round.started))
    }

    /// What to do now.
    pub fn next(&mut self, now: Instant) -> Next {
        let due = self.nodes.iter_mut().filter(|n| n.taken_at.is_none() && n.due <= now);
        if let Some(node) = due.min_by_key(|n| (n.failures, !n.target.ready, n.due)) {
            node.taken_at = Some(now);
            node.first_scrape.get_or_insert(now);
            return Next::Scrape(node.target.clone());
        }
        let soonest = self.nodes.iter().filter(|n| n.taken_at.is_none()).map(|n| n.due).min();
        let round = self.first_round.map_or(now + self.resolution, |first| self.after(first, now));
        Next::Sleep(soonest.map_or(round, |due| due.min(round)))
    }

    /// Notes how the scrape of `name` ended, which took `took`.
    pub fn done(&mut self, name: &str, now: Instant, took: Duration, outcome: Outcome) {
        self.count(now, took);
        let boundary = self.first_round.map_or(now, |first| self.after(first, now));
        let resolution = self.resolution;
        let Some(node) = self.nodes.iter_mut().find(|n| n.target.name == name) else { return };
        node.taken_at = None;
        match outcome {
            Outcome::Read { settled } => {
                node.failures = 0;
                node.known_good = true;
                node.settled |= settled;
                node.due = node.young_due(now).map_or(boundary, |due| due.min(boundary));
            }
            Outcome::Failed => {
                node.failures = node.failures.saturating_add(1);
                // What it had is dropped: it starts anew when it answers again.
                node.settled = false;
                node.first_scrape = None;
                node.due = if node.known_good || node.failures > limits::EARLY_TRIES {
                    boundary + resolution * rounds_skipped(node.failures, resolution)
                } else {
                    // A machine that boots starts us before its kubelet answers.
                    boundary.min(now + limits::SECOND_SCRAPE_AFTER)
                };
            }
        }
    }

    /// How many threads should scrape: more than one only when a round does not fit into half the resolution.
    #[must_use]
    pub const fn workers(&self) -> usize {
        self.workers
    }

    /// When a further thread should take a node: now while there are fewer busy threads than [`Schedule::workers`], else
    /// when one of them has hung for `limits::STALLED_AFTER`. `None` when no other thread is busy, or no node is left.
    #[must_use]
    pub fn help_at(&self, now: Instant) -> Option<Instant> {
        let stalls_at = |taken_at: Instant| taken_at + limits::STALLED_AFTER;
        let busy = || self.nodes.iter().filter_map(|n| n.taken_at).map(stalls_at);
        let soonest = self.nodes.iter().filter(|n| n.taken_at.is_none()).map(|n| n.due).min()?.max(now);
        let first_stall = busy().filter(|at| *at > now).min();
        busy().next()?;
        match first_stall {
            Some(at) if busy().filter(|at| *at > now).count() >= self.workers => Some(soonest.max(at)),
            _ => Some(soonest),
        }
    }

    /// Nodes waiting for a scrape.
    fn due(&self, now: Instant) -> usize {
        self.nodes.iter().filter(|n| n.taken_at.is_none() && n.due <= now).count()
    }

    /// Threads that fit so much scraping into half the resolution.
    fn workers_for(&self, busy: Duration) -> usize {
        let needed = busy.as_millis().div_ceil((self.resolution / 2).as_millis().max(1));
        usize::try_from(needed).unwrap_or(limits::SCRAPERS_MAX).clamp(1, limits::SCRAPERS_MAX)
    }

    /// Counts a scrape, and foresees the cost of the round from those done so far.
    fn count(&mut self, now: Instant, took: Duration) {
        let due = u32::try_from(self.due(now)).unwrap_or(u32::MAX);
        let Some(round) = &mut self.round else { return };
        round.busy += took;
        round.scraped = round.scraped.saturating_add(1);
        let foreseen = round.busy.saturating_add((round.busy / round.scraped).saturating_mul(due));
        self.workers = self.workers.max(self.workers_for(foreseen));
    }

    /// The start of the round that `now` lies in.
    fn boundary(&self, first: Instant, now: Instant) -> Instant {
        let rounds = now.saturating_duration_since(first).as_nanos() / self.resolution.as_nanos().max(1);
        first + self.resolution * u32::try_from(rounds).unwrap_or(u32::MAX)
    }

    /// The start of the round after `now`.
    fn after(&self, first: Instant, now: Instant) -> Instant {
        self.boundary(first, now) + self.resolution
    }
}

impl Node {
    fn new(target: Target, now: Instant) -> Node {
        Node {
            target: Arc::new(target),
            due: now,
            first_scrape: None,
            settled: false,
            failures: 0,
            known_good: false,
            taken_at: None,
        }
    }

    /// The next extra scrape of a node that cannot be served yet.
    fn young_due(&self, now: Instant) -> Option<Instant> {
        let first = self.first_scrape.filter(|_| !self.settled)?;
        limits::YOUNG_SCRAPES_AFTER.map(|after| first + after).into_iter().find(|due| *due > now)
    }
}

/// Rounds to leave a node alone after so many failures in a row: 0, 1, 3, 7, ... as far as `BACKOFF_MAX` allows.
fn rounds_skipped(failures: u32, resolution: Duration) -> u32 {
    let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX).saturating_sub(1);
    let allowed = limits::BACKOFF_MAX.as_millis() / resolution.as_millis().max(1);
    doubled.min(u32::try_from(allowed.saturating_sub(1)).unwrap_or(0))
}

#[cfg(test)]
mod tests;
