//! The threads that read nodes: one, and a spare one that goes on while a scrape hangs.
//!
//! What is scraped when is decided by [`schedule`], which is pure; here are the threads that do it. More than two of them
//! live only while the schedule has work for them at once. A node's source (a kubelet's connection) is lent to the thread
//! that reads it. The store is locked for a commit, never during a scrape. A node that fails costs itself alone, and one
//! line says why, when that changes. The source is a parameter: kubelets, or this machine.

pub mod report;
pub mod schedule;

use crate::counters::Counters;
use crate::host::{clock, threads};
use crate::limits;
use crate::lock::lock;
use crate::log_once::LogOnce;
use crate::source::{Source, SourceError};
use crate::store::batch::Batch;
use crate::store::{Commit, Store, Target};
use crate::wire::selector::LabelSelector;
use schedule::{Job, Outcome, Schedule, Turn};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Makes the source of a node, before its first scrape.
pub type MakeSource = Box<dyn Fn(&Target) -> Box<dyn Source> + Send + Sync>;

/// The poller's threads. Cloning shares them.
#[derive(Clone)]
pub struct Poller(Arc<Crew>);

struct Crew {
    store: Arc<Mutex<Store>>,
    metrics: Arc<Counters>,
    selector: LabelSelector,
    make_source: MakeSource,
    desk: Mutex<Desk>,
    /// Wakes threads that sleep until something is due.
    wake: Condvar,
    changed: AtomicBool,
    stopped: AtomicBool,
    progress: Mutex<Option<Instant>>,
    log: LogOnce,
}

/// What the threads share under one lock.
struct Desk {
    schedule: Schedule<Box<dyn Source>>,
    /// Threads that live, and those of them that sleep.
    threads: usize,
    idle: usize,
    /// When the first of the sleeping ones wakes; `None` when that is not known.
    wakes_at: Option<Instant>,
    /// A thread takes over the inventory; the next may from then on.
    taking_inventory: bool,
    inventory_from: Instant,
}

impl Poller {
    /// Starts the first thread. It scrapes as soon as the store's node inventory is synced; `selector` is
    /// `--node-selector`, `resolution` `--metric-resolution`.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub fn start(
        resolution: Duration,
        selector: LabelSelector,
        store: Arc<Mutex<Store>>,
        metrics: Arc<Counters>,
        make_source: MakeSource,
    ) -> std::io::Result<Poller> {
        let crew = Arc::new(Crew::new(resolution, selector, store, metrics, make_source));
        let first = crew.clone();
        threads::spawn("poller", move || first.work(true))?;
        Ok(Poller(crew))
    }

    /// The node inventory changed: new nodes are scraped at once.
    pub fn inventory_changed(&self) {
        self.0.changed.store(true, Ordering::Release);
        self.0.wake_all();
    }

    /// The API server is reachable again: nodes whose kubelets refused us meanwhile, since they could not ask it about
    /// our token, are scraped at once.
    pub fn api_server_reachable(&self) {
        let now = clock::mono();
        lock(&self.0.desk).schedule.retry(|reason| limits::REASONS_OF_API_SERVER.contains(&reason), now);
        self.0.wake_all();
    }

    /// Time since a thread last looked for work; `None` before the first node list.
    #[must_use]
    pub fn tick_age(&self, now: Instant) -> Option<Duration> {
        lock(&self.0.progress).map(|at| now.saturating_duration_since(at))
    }

    /// Asks the threads to end; a scrape under way ends at its timeout.
    pub fn stop(&self) {
        self.0.stopped.store(true, Ordering::Release);
        self.0.wake_all();
    }
}

impl Crew {
    fn new(
        resolution: Duration,
        selector: LabelSelector,
        store: Arc<Mutex<Store>>,
        metrics: Arc<Counters>,
        make_source: MakeSource,
    ) -> Crew {
        let seed = clock::wall().0.cast_unsigned();
        let desk = Desk {
            schedule: Schedule::new(resolution, seed),
            threads: 1,
            idle: 0,
            wakes_at: None,
            taking_inventory: false,
            inventory_from: clock::mono(),
        };
        Crew {
            store,
            metrics,
            selector,
            make_source,
            desk: Mutex::new(desk),
            wake: Condvar::new(),
            changed: AtomicBool::new(true),
            stopped: AtomicBool::new(false),
            progress: Mutex::new(None),
            log: LogOnce::new(),
        }
    }

    fn wake_all(&self) {
        // Under the lock, so that a thread about to sleep cannot miss it.
        let _desk = lock(&self.desk);
        self.wake.notify_all();
    }

    /// The life of a thread: it takes what is due. All but the first end when two others have nothing to do either.
    fn work(self: &Arc<Crew>, first: bool) {
        let mut batch = Batch::new();
        let mut desk = lock(&self.desk);
        while !self.stopped.load(Ordering::Acquire) {
            let now = clock::mono();
            if self.changed.load(Ordering::Acquire) && !desk.taking_inventory && desk.inventory_from <= now {
                desk = self.take_inventory(desk, now);
                continue;
            }
            if desk.schedule.is_synced() {
                *lock(&self.progress) = Some(now);
            }
            match desk.schedule.next(now) {
                Turn::Scrape(job) => {
                    self.call_spare(&mut desk, now);
                    drop(desk);
                    self.scrape(&mut batch, job);
                    desk = lock(&self.desk);
                }
                Turn::Sleep(_) if !first && desk.idle >= 2 => break,
                Turn::Sleep(until) => desk = self.sleep(desk, now, until),
            }
        }
        desk.threads -= 1;
    }

    fn sleep<'a>(
        &self,
        mut desk: MutexGuard<'a, Desk>,
        now: Instant,
        until: Instant,
    ) -> MutexGuard<'a, Desk> {
        let until = if self.changed.load(Ordering::Acquire) && !desk.taking_inventory {
            until.min(desk.inventory_from)
        } else {
            until
        };
        desk.idle += 1;
        desk.wakes_at = Some(desk.wakes_at.filter(|_| desk.idle > 1).map_or(until, |at| at.min(until)));
        let left = until.saturating_duration_since(now);
        if left >= limits::STACK_KEPT_TIME {
            threads::give_back_stack();
        }
        let mut desk = match self.wake.wait_timeout(desk, left) {
            Ok((desk, _)) => desk,
            Err(poisoned) => poisoned.into_inner().0,
        };
        desk.idle -= 1;
        desk.wakes_at = None;
        desk
    }

    /// Sees to it that another thread is there in time while this one scrapes.
    fn call_spare(self: &Arc<Crew>, desk: &mut Desk, now: Instant) {
        if desk.idle > 0 {
            let wanted_at = desk.schedule.look_again_at(now);
            if desk.wakes_at.is_none_or(|at| at > wanted_at) {
                desk.wakes_at = Some(wanted_at);
                self.wake.notify_one();
            }
            return;
        }
        if desk.schedule.waiting() == 0 || desk.threads >= limits::SCRAPERS_MAX {
            return;
        }
        let crew = self.clone();
        match threads::spawn("poller", move || crew.work(false)) {
            Ok(_) => desk.threads += 1,
            Err(e) => log::debug!("no further scraping thread: {e}"),
        }
    }

    /// Hands the selected nodes to the schedule; nodes that are no longer selected lose their points.
    fn take_inventory<'a>(&'a self, mut desk: MutexGuard<'a, Desk>, now: Instant) -> MutexGuard<'a, Desk> {
        self.changed.store(false, Ordering::Release);
        desk.taking_inventory = true;
        drop(desk);
        let targets = self.selected_targets();
        let mut desk = lock(&self.desk);
        let done = clock::mono();
        if let Some(targets) = targets {
            desk.schedule.replace(targets, done);
            // With thousands of nodes one of them changes all the time.
            desk.inventory_from = done + done.saturating_duration_since(now) * limits::INVENTORY_SHARE;
        }
        desk.taking_inventory = false;
        self.wake.notify_all();
        desk
    }

    /// The selected nodes by name; `None` before the first node list, unless this machine's own node is assumed.
    fn selected_targets(&self) -> Option<Vec<Target>> {
        let mut targets = {
            let mut store = lock(&self.store);
            let all = store.targets();
            if all.is_empty() && !store.readiness().nodes_synced {
                return None;
            }
            let (selected, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(|t| self.selected(&store, t));
            for target in &rest {
                store.drop_node(&target.name);
            }
            selected
        };
        targets.sort_unstable_by(Target::by_name);
        report::log_shared_address(&self.log, &targets);
        report::log_invalid_annotations(&self.log, &targets);
        self.metrics.retain_nodes(&targets.iter().map(|t| t.name.as_str()).collect::<Vec<_>>());
        Some(targets)
    }

    fn selected(&self, store: &Store, target: &Target) -> bool {
        store.node(&target.name).is_some_and(|node| self.selector.matches(|key| node.labels.value(key)))
    }

    fn scrape(&self, batch: &mut Batch, mut job: Job<Box<dyn Source>>) {
        let started = clock::mono();
        let target = job.target.clone();
        let source = job.source.get_or_insert_with(|| (self.make_source)(&target));
        let outcome = self.attempt(source.as_mut(), batch, &target);
        batch.release();
        let Some(outcome) = outcome else { return };
        let now = clock::mono();
        let round = {
            let mut desk = lock(&self.desk);
            desk.schedule.done(job, now, now.saturating_duration_since(started), outcome);
            desk.schedule.end_round(now)
        };
        if let Some(took) = round {
            self.metrics.tick(took);
        }
    }

    /// Reads a node, counts and reports how it went; `None` when the process ends.
    fn attempt(&self, source: &mut dyn Source, batch: &mut Batch, target: &Target) -> Option<Outcome> {
        let started = clock::mono();
        let read = self.read(source, batch, target);
        if read.is_err() {
            if self.stopped.load(Ordering::Acquire) {
                // Cut off by the end of the process: no news of the node.
                return None;
            }
            lock(&self.store).fail(&target.name, clock::uptime());
        }
        let took = clock::mono().saturating_duration_since(started);
        let (outcome, error) = match read {
            Ok((settled, instead_of)) => (Outcome::Read { settled }, instead_of),
            Err(e) => (Outcome::Failed(e.reason), Some(e)),
        };
        self.metrics.scrape(&target.name, took, clock::wall(), error.as_ref().map(|e| e.reason));
        self.metrics.address(&target.name, source.address().unwrap_or_default());
        self.metrics
            .explain(&target.name, error.as_ref().map(|e| (e.reason, format!("{}; {}", e.message, e.hint))));
        self.log_outcome(target, error);
        Some(outcome)
    }

    /// Reads a node into the store: whether its own usage can be served then, and why its kubelet was not what was read.
    fn read(
        &self,
        source: &mut dyn Source,
        batch: &mut Batch,
        target: &Target,
    ) -> Result<(bool, Option<SourceError>), SourceError> {
        let reading = source.read(target, batch)?;
        self.metrics.decoded(&reading.dropped);
        report::check(batch)?;
        let (commit, settled) = {
            let mut store = lock(&self.store);
            let commit = source.commit(&mut store, &target.name, batch, clock::uptime());
            (commit, store.node(&target.name).is_some_and(|node| node.usage.is_some()))
        };
        self.metrics.committed(&commit);
        self.log_refusals(&target.name, &commit);
        report::log_oddities(&self.log, &target.name, batch, &reading.dropped, &commit);
        if reading.instead_of.is_some() {
            self.metrics.own_cgroup_reading();
        }
        Ok((settled, reading.instead_of))
    }

    /// One line when a node begins to fail, fails for another reason, or answers again.
    fn log_outcome(&self, target: &Target, error: Option<SourceError>) {
        let name = &target.name;
        let Some(e) = error else {
            self.log.recovered(("scrape", name), format_args!("node {name}: scraped again"));
            return;
        };
        // A node that is not ready is expected to fail.
        let (level, state) =
            if target.ready { (log::Level::Warn, "") } else { (log::Level::Debug, " (not ready)") };
        let message = format_args!("node {name}{state}: scrape failed: {}; {}", e.message, e.hint);
        self.log.problem(level, ("scrape", name), e.reason, message);
    }

    /// One line when pods of a node find no room in the store, and one when they do again.
    fn log_refusals(&self, name: &str, commit: &Commit) {
        let subject = ("room", name);
        match commit.first_refusal {
            None => {
                self.log.recovered(subject, format_args!("node {name}: all its pods are served again"));
            }
            Some(full) => {
                let count = commit.refused;
                let message = format_args!("node {name}: {count} of its pods are not served: {full}");
                self.log.problem(log::Level::Warn, subject, full, message);
            }
        }
    }
}

#[cfg(test)]
mod tests;
