//! When which node is scraped. Pure: the time is an argument, nothing sleeps here, and no clock but the monotonic counts.
//!
//! Every node has a due time of its own, a resolution after its last one, so that its samples keep their distance. Nodes
//! stand in four queues and are taken in this order: quick ones that can be served, those that were read and cannot be
//! served yet (extra scrapes at `limits::YOUNG_SCRAPES_AFTER`), those that were never read, and those that are slow, fail
//! or are not ready. Latency is learned for each node. The latter two never take the last thread, so they cannot delay
//! the others: with too many of them their own period grows. Failing nodes are tried less and less often, with jitter, at
//! most `limits::BACKOFF_MAX` apart. How many threads may scrape at once follows from what a resolution's scrapes cost.
//! Each step looks at the heads of the queues only. Memory: one entry for each node and one for its place in a queue.

mod queue;

use crate::invariant::assured;
use crate::limits;
use crate::store::Target;
use queue::{Class, QueuePlace, Queues};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What to do now.
pub enum Turn<S> {
    /// Nothing until then, or until the inventory changes or a scrape ends.
    Sleep(Instant),
    /// Scrape this node, then call [`Schedule::done`].
    Scrape(Job<S>),
}

/// One scrape, and what is lent for it.
pub struct Job<S> {
    /// The node.
    pub target: Arc<Target>,
    /// Its source; `None` at its first scrape.
    pub source: Option<S>,
    slot: u32,
    number: u64,
}

/// How a scrape ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Read; `settled` when the node's own usage can be served.
    Read {
        /// The node has a usage.
        settled: bool,
    },
    /// Not read, for this reason (a counter label).
    Failed(&'static str),
}

/// Nodes and their due times. `S` is what a scrape of a node needs from the one before.
pub struct Schedule<S> {
    resolution: Duration,
    nodes: Vec<Option<ScheduledNode<S>>>,
    free: Vec<u32>,
    /// Slots by node name.
    by_name: Vec<u32>,
    queues: Queues,
    in_flight: Vec<ScrapeInFlight>,
    /// What one scrape of every node but those of the last class costs, and of those.
    quick_cost: Duration,
    other_cost: Duration,
    round: Round,
    jobs: u64,
    random: u64,
    synced: bool,
}

/// Scrapes since the beginning of a resolution, for the self metric of a round's length.
#[derive(Default)]
struct Round {
    begun_at: Option<Instant>,
    /// The next round begins with the first scrape from here on.
    next_at: Option<Instant>,
}

struct ScrapeInFlight {
    number: u64,
    class: Class,
    stalls_at: Instant,
}

impl ScrapeInFlight {
    /// It holds a thread for longer than a quick scrape does.
    fn is_long(&self, now: Instant) -> bool {
        self.class == Class::Last || self.stalls_at <= now
    }
}

struct ScheduledNode<S> {
    target: Arc<Target>,
    source: Option<S>,
    due: Instant,
    place: QueuePlace,
    /// What the next scrape is expected to take.
    expected: Duration,
    first_scrape: Option<Instant>,
    /// Its own usage can be served; until then it is scraped more often.
    settled: bool,
    /// Failures in a row, and why the last one failed.
    failures: u32,
    failing: Option<&'static str>,
    /// It was read once; a node that never was is tried sooner at first.
    known_good: bool,
    /// The job under way.
    job: Option<u64>,
}

impl<S> Schedule<S> {
    /// Nothing to scrape yet. `resolution` is at least a second; `seed` starts the jitter.
    #[must_use]
    pub fn new(resolution: Duration, seed: u64) -> Schedule<S> {
        Schedule {
            resolution: resolution.max(Duration::from_secs(1)),
            nodes: Vec::new(),
            free: Vec::new(),
            by_name: Vec::new(),
            queues: Queues::default(),
            in_flight: Vec::with_capacity(limits::SCRAPERS_MAX),
            quick_cost: Duration::ZERO,
            other_cost: Duration::ZERO,
            round: Round::default(),
            jobs: 0,
            random: seed,
            synced: false,
        }
    }

    /// Takes over the inventory, sorted by name: new nodes are due at once, missing ones are forgotten. A node whose
    /// address, port or path changed, or that became ready, is due at once if it failed.
    pub fn replace(&mut self, targets: Vec<Target>, now: Instant) {
        self.synced = true;
        let mut old = std::mem::take(&mut self.by_name).into_iter().peekable();
        let mut by_name = Vec::with_capacity(targets.len());
        for target in targets {
            while let Some(slot) = old.next_if(|slot| self.name(*slot) < target.name.as_str()) {
                self.remove(slot);
            }
            match old.next_if(|slot| self.name(*slot) == target.name) {
                None => by_name.push(self.insert(target, now)),
                Some(slot) => {
                    by_name.push(slot);
                    self.update(slot, target, now);
                }
            }
        }
        for slot in old {
            self.remove(slot);
        }
        self.by_name = by_name;
    }

    fn name(&self, slot: u32) -> &str {
        self.entry(slot).map_or("", |entry| &entry.target.name)
    }

    fn entry(&self, slot: u32) -> Option<&ScheduledNode<S>> {
        self.nodes.get(usize::try_from(slot).ok()?)?.as_ref()
    }

    fn entry_mut(&mut self, slot: u32) -> Option<&mut ScheduledNode<S>> {
        self.nodes.get_mut(usize::try_from(slot).ok()?)?.as_mut()
    }

    fn insert(&mut self, target: Target, now: Instant) -> u32 {
        let entry = ScheduledNode {
            target: Arc::new(target),
            source: None,
            due: now,
            place: QueuePlace::default(),
            expected: limits::FIRST_SCRAPE_EXPECTED,
            first_scrape: None,
            settled: false,
            failures: 0,
            failing: None,
            known_good: false,
            job: None,
        };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.nodes.push(None);
            assured(u32::try_from(self.nodes.len() - 1).ok(), "there are at most --max-nodes nodes")
        });
        *assured(self.nodes.get_mut(slot as usize), "a slot has a place") = Some(entry);
        self.enqueue(slot);
        slot
    }

    fn remove(&mut self, slot: u32) {
        self.dequeue(slot);
        if assured(self.nodes.get_mut(slot as usize), "a slot has a place").take().is_some() {
            self.free.push(slot);
        }
    }

    fn update(&mut self, slot: u32, target: Target, now: Instant) {
        if self.entry(slot).is_none_or(|entry| *entry.target == target) {
            return;
        }
        let waits = self.entry(slot).is_some_and(|entry| entry.job.is_none());
        if waits {
            self.dequeue(slot);
        }
        if let Some(entry) = self.entry_mut(slot) {
            if entry.failing.is_some() {
                entry.due = now;
            }
            entry.target = Arc::new(target);
        }
        if waits {
            self.enqueue(slot);
        }
    }

    /// Puts a node that is not in flight into the queue of its class and counts its cost.
    fn enqueue(&mut self, slot: u32) {
        let Some(entry) = self.entry(slot) else { return };
        let (class, due, expected) = (entry.class(), entry.due, entry.expected);
        *self.cost(class) += expected;
        let place = self.queues.push(class, due, slot);
        if let Some(entry) = self.entry_mut(slot) {
            entry.place = place;
        }
    }

    /// Takes a node out of its queue and of the cost; one in flight is in no queue, but counted.
    fn dequeue(&mut self, slot: u32) {
        let Some(entry) = self.entry(slot) else { return };
        let (place, expected, waits) = (entry.place, entry.expected, entry.job.is_none());
        if waits {
            self.queues.remove(place, slot);
        }
        let cost = self.cost(place.class);
        *cost = cost.saturating_sub(expected);
    }

    fn cost(&mut self, class: Class) -> &mut Duration {
        match class {
            Class::Quick | Class::Young | Class::New => &mut self.quick_cost,
            Class::Last => &mut self.other_cost,
        }
    }

    /// Threads that fit so much scraping into half the resolution.
    fn threads_for(&self, cost: Duration) -> usize {
        let needed = cost.as_millis().div_ceil((self.resolution / 2).as_millis().max(1));
        usize::try_from(needed).unwrap_or(limits::SCRAPERS_MAX).clamp(1, limits::SCRAPERS_MAX)
    }

    /// Whether a node of this class may be taken now, as far as threads go.
    fn has_thread(&self, class: Class, now: Instant) -> bool {
        // Only a node that answered lately may take the last thread.
        let last = match class {
            Class::Quick | Class::Young => limits::SCRAPERS_MAX,
            Class::New | Class::Last => limits::SCRAPERS_MAX - 1,
        };
        let own = match class {
            Class::Quick | Class::Young | Class::New => {
                let short = self.in_flight.iter().filter(|flight| !flight.is_long(now));
                short.count() < self.threads_for(self.quick_cost)
            }
            Class::Last => {
                let others = self.in_flight.iter().filter(|flight| flight.class == Class::Last);
                others.count() < self.threads_for(self.other_cost)
            }
        };
        own && self.in_flight.len() < last
    }

    /// What to do now.
    pub fn next(&mut self, now: Instant) -> Turn<S> {
        for class in Class::ORDER {
            if !self.has_thread(class, now) {
                continue;
            }
            // Who is due soon is taken too: one wake-up for several nodes.
            let early = if class == Class::Quick { self.resolution / 128 } else { Duration::ZERO };
            if let Some(slot) = self.queues.take_due(class, now + early)
                && let Some(job) = self.begin(slot, class, now)
            {
                return Turn::Scrape(job);
            }
        }
        Turn::Sleep(self.look_again_at(now))
    }

    fn begin(&mut self, slot: u32, class: Class, now: Instant) -> Option<Job<S>> {
        self.jobs += 1;
        let number = self.jobs;
        let entry = self.entry_mut(slot)?;
        entry.job = Some(number);
        entry.first_scrape.get_or_insert(now);
        let patience = if entry.known_good { limits::STALLED_AFTER } else { limits::FIRST_STALLED_AFTER };
        let job = Job { target: entry.target.clone(), source: entry.source.take(), slot, number };
        let stalls_at = now + patience;
        self.in_flight.push(ScrapeInFlight { number, class, stalls_at });
        if self.round.next_at.is_none_or(|at| at <= now) {
            self.round = Round { begun_at: Some(now), next_at: Some(now + self.resolution) };
        }
        Some(job)
    }

    /// When a thread with nothing to do should look again: at the next due time, or when a scrape under way stalls that
    /// keeps one from being taken.
    #[must_use]
    pub fn look_again_at(&self, now: Instant) -> Instant {
        let stall = self.in_flight.iter().map(|flight| flight.stalls_at).filter(|at| *at > now).min();
        let mut soonest = now + self.resolution;
        for class in Class::ORDER {
            let Some(due) = self.queues.head_due(class) else { continue };
            let at = match (self.has_thread(class, now.max(due)), stall) {
                (true, _) => due,
                (false, Some(stall)) => due.max(stall),
                // Nothing but the end of a scrape helps, and that wakes.
                (false, None) => continue,
            };
            soonest = soonest.min(at.max(now));
        }
        soonest
    }

    /// Notes how a scrape ended, which took `took`, and takes its source back.
    pub fn done(&mut self, job: Job<S>, now: Instant, took: Duration, outcome: Outcome) {
        self.in_flight.retain(|flight| flight.number != job.number);
        let Some(entry) = self.entry(job.slot).filter(|entry| entry.job == Some(job.number)) else {
            // The node left the inventory meanwhile.
            return;
        };
        // Soon after the boot of this machine there may be no earlier instant.
        let taken_at = now.checked_sub(took).unwrap_or(now);
        let due_from = entry.due.max(taken_at.checked_sub(self.resolution / 8).unwrap_or(taken_at));
        self.dequeue(job.slot);
        let (resolution, jitter) = (self.resolution, self.jitter());
        let Some(entry) = self.entry_mut(job.slot) else { return };
        (entry.job, entry.source) = (None, job.source);
        // A rise is believed at once, a fall by and by; but the first scrape looks names up, tries addresses and shakes
        // hands, and says little of the next.
        entry.expected = if entry.settled { took.max((entry.expected + took) / 2) } else { took };
        match outcome {
            Outcome::Read { settled } => {
                (entry.failing, entry.failures) = (None, 0);
                entry.known_good = true;
                entry.settled |= settled;
                let due = (due_from + resolution).max(now);
                entry.due = entry.young_due(now).map_or(due, |young| young.min(due));
            }
            Outcome::Failed(reason) => {
                entry.failing = Some(reason);
                entry.failures = entry.failures.saturating_add(1);
                // What it had is dropped: it starts again when it answers again.
                entry.settled = false;
                entry.first_scrape = None;
                entry.due = if entry.known_good || entry.failures > limits::EARLY_TRIES {
                    let wait = backoff(entry.failures, resolution, entry.target.ready);
                    (due_from + wait + wait.mul_f64(jitter)).max(now)
                } else {
                    // A machine that boots starts us before its kubelet answers.
                    now + limits::SECOND_SCRAPE_AFTER.min(resolution)
                };
            }
        }
        self.enqueue(job.slot);
    }

    /// The round's length, once, when nothing is due or in flight any more.
    pub fn end_round(&mut self, now: Instant) -> Option<Duration> {
        let busy = !self.in_flight.is_empty()
            || Class::ORDER.iter().any(|class| self.queues.head_due(*class).is_some_and(|due| due <= now));
        if busy {
            return None;
        }
        self.round.begun_at.take().map(|begun_at| now.saturating_duration_since(begun_at))
    }

    /// The nodes that fail for a reason of `given` are due now: what made them fail is over.
    pub fn retry(&mut self, given: impl Fn(&'static str) -> bool, now: Instant) {
        for at in 0..self.by_name.len() {
            let Some(slot) = self.by_name.get(at).copied() else { return };
            let waits = |entry: &ScheduledNode<S>| entry.job.is_none() && entry.failing.is_some_and(&given);
            if self.entry(slot).is_some_and(waits) {
                self.dequeue(slot);
                if let Some(entry) = self.entry_mut(slot) {
                    (entry.due, entry.failures) = (now, 0);
                }
                self.enqueue(slot);
            }
        }
    }

    /// Whether a node list was taken over.
    #[must_use]
    pub const fn is_synced(&self) -> bool {
        self.synced
    }

    /// Nodes that no thread reads at the moment.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.by_name.len().saturating_sub(self.in_flight.len())
    }

    /// A number from 0 to `limits::BACKOFF_JITTER`: nodes that failed together are not tried together again.
    fn jitter(&mut self) -> f64 {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from((self.random >> 32) as u32) / f64::from(u32::MAX) * limits::BACKOFF_JITTER
    }
}

impl<S> ScheduledNode<S> {
    fn class(&self) -> Class {
        if self.failing.is_some() || !self.target.ready || self.expected >= limits::STALLED_AFTER {
            Class::Last
        } else if self.settled {
            Class::Quick
        } else if self.known_good {
            Class::Young
        } else {
            Class::New
        }
    }

    /// The next extra scrape of a node that cannot be served yet.
    fn young_due(&self, now: Instant) -> Option<Instant> {
        let first = self.first_scrape.filter(|_| !self.settled)?;
        limits::YOUNG_SCRAPES_AFTER.map(|after| first + after).into_iter().find(|due| *due > now)
    }
}

/// The time between two tries after so many failures in a row: 1, 2, 4, ... resolutions as far as `BACKOFF_MAX` allows;
/// a node that is not ready is expected to fail and left alone for as long as that at once.
fn backoff(failures: u32, resolution: Duration, ready: bool) -> Duration {
    let most = limits::BACKOFF_MAX.max(resolution);
    if !ready {
        return most;
    }
    let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    resolution.saturating_mul(doubled).min(most)
}

#[cfg(test)]
mod tests;
