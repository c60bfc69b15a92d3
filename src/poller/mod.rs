//! One thread that reads every node in turn: schedule, address choice, scrape.
//!
//! More threads help only while a scrape hangs or a round does not fit into half the resolution, and end after it. The
//! store is locked for a commit, never during a scrape. A node that fails costs itself alone: its points are dropped, it comes
//! last, and one line says why, when that changes. The source is a parameter: kubelets, or this machine.

pub mod schedule;

use crate::counters::Counters;
use crate::host::{clock, threads};
use crate::limits;
use crate::lock::lock;
use crate::log_once::LogOnce;
use crate::source::{Source, SourceError};
use crate::store::batch::{Batch, Dropped};
use crate::store::{Commit, Store, Target};
use crate::wire::selector::LabelSelector;
use schedule::{Next, Outcome, Schedule};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Makes a source; called on the thread that will use it.
pub type Sources = Box<dyn Fn() -> Box<dyn Source> + Send + Sync>;

/// The poller's threads. Cloning shares them.
#[derive(Clone)]
pub struct Poller(Arc<Shared>);

struct Shared {
    store: Arc<Mutex<Store>>,
    metrics: Arc<Counters>,
    selector: LabelSelector,
    sources: Sources,
    schedule: Mutex<Schedule>,
    wake: Condvar,
    /// Wakes the thread that stands by, at the end only.
    help: Condvar,
    standby: AtomicBool,
    changed: AtomicBool,
    stopped: AtomicBool,
    running: AtomicUsize,
    progress: Mutex<Option<Instant>>,
    log: LogOnce,
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
        sources: Sources,
    ) -> std::io::Result<Poller> {
        let shared = Arc::new(Shared::new(resolution, selector, store, metrics, sources));
        let first = shared.clone();
        threads::spawn("poller", move || first.work())?;
        Ok(Poller(shared))
    }

    /// The node inventory changed: new nodes are scraped at once.
    pub fn inventory_changed(&self) {
        self.0.changed.store(true, Ordering::Release);
        // Under the lock, so that a thread about to wait cannot miss it.
        let _schedule = lock(&self.0.schedule);
        self.0.wake.notify_all();
    }

    /// Time since the poller last began a round or ended a scrape; `None` before the first round.
    #[must_use]
    pub fn tick_age(&self, now: Instant) -> Option<Duration> {
        lock(&self.0.progress).map(|at| now.saturating_duration_since(at))
    }

    /// Asks the threads to end; a scrape under way ends at its timeout.
    pub fn stop(&self) {
        self.0.stopped.store(true, Ordering::Release);
        let _schedule = lock(&self.0.schedule);
        self.0.wake.notify_all();
        self.0.help.notify_all();
    }
}

impl Shared {
    fn new(
        resolution: Duration,
        selector: LabelSelector,
        store: Arc<Mutex<Store>>,
        metrics: Arc<Counters>,
        sources: Sources,
    ) -> Shared {
        Shared {
            store,
            metrics,
            selector,
            sources,
            schedule: Mutex::new(Schedule::new(resolution)),
            wake: Condvar::new(),
            help: Condvar::new(),
            standby: AtomicBool::new(false),
            changed: AtomicBool::new(true),
            stopped: AtomicBool::new(false),
            running: AtomicUsize::new(1),
            progress: Mutex::new(None),
            log: LogOnce::new(),
        }
    }

    /// The life of the first thread.
    fn work(self: &Arc<Shared>) {
        let mut source = (self.sources)();
        let mut batch = Batch::new();
        while !self.stopped.load(Ordering::Acquire) {
            if self.changed.swap(false, Ordering::AcqRel) {
                self.take_inventory();
            }
            let mut schedule = lock(&self.schedule);
            self.begin_round(&mut schedule);
            match schedule.next(clock::mono()) {
                Next::Scrape(target) => {
                    self.call_help(schedule);
                    self.scrape(source.as_mut(), &mut batch, &target);
                }
                Next::Sleep(until) => self.sleep(schedule, until),
            }
        }
    }

    /// The life of a further thread: it goes on where others hang or are too few, and ends when they are not busy.
    fn help(self: &Arc<Shared>) {
        let (mut tools, mut standing_by) = (None, true);
        while !self.stopped.load(Ordering::Acquire) {
            let mut schedule = lock(&self.schedule);
            let now = clock::mono();
            let Some(at) = schedule.help_at(now) else { break };
            if at > now {
                if !standing_by && self.standby.swap(true, Ordering::Relaxed) {
                    // Somebody else stands by already.
                    return;
                }
                standing_by = true;
                drop(self.help.wait_timeout(schedule, at.saturating_duration_since(now)));
                continue;
            }
            self.begin_round(&mut schedule);
            if let Next::Scrape(target) = schedule.next(now) {
                if std::mem::take(&mut standing_by) {
                    self.standby.store(false, Ordering::Relaxed);
                }
                self.call_help(schedule);
                let (source, batch) = tools.get_or_insert_with(|| ((self.sources)(), Batch::new()));
                self.scrape(source.as_mut(), batch, &target);
            }
        }
        if standing_by {
            self.standby.store(false, Ordering::Relaxed);
        }
    }

    fn begin_round(&self, schedule: &mut Schedule) {
        let now = clock::mono();
        if schedule.begin_round(now) {
            *lock(&self.progress) = Some(now);
        }
    }

    /// Has a thread stand by while a scrape is under way and other nodes are left.
    fn call_help(self: &Arc<Shared>, schedule: MutexGuard<'_, Schedule>) {
        let wanted = schedule.help_at(clock::mono()).is_some();
        drop(schedule);
        if !wanted
            || self.running.load(Ordering::Relaxed) >= limits::SCRAPERS_MAX
            || self.standby.swap(true, Ordering::Relaxed)
        {
            return;
        }
        self.running.fetch_add(1, Ordering::Relaxed);
        let helper = self.clone();
        let spawned = threads::spawn("poller", move || {
            helper.help();
            helper.running.fetch_sub(1, Ordering::Relaxed);
        });
        if let Err(e) = spawned {
            self.standby.store(false, Ordering::Relaxed);
            self.running.fetch_sub(1, Ordering::Relaxed);
            log::debug!("no further scraping thread: {e}");
        }
    }

    fn sleep(&self, schedule: MutexGuard<'_, Schedule>, until: Instant) {
        if self.changed.load(Ordering::Acquire) || self.stopped.load(Ordering::Acquire) {
            return;
        }
        let left = until.saturating_duration_since(clock::mono());
        drop(self.wake.wait_timeout(schedule, left));
    }

    /// Hands the selected nodes to the schedule; nodes that are no longer selected lose their points.
    fn take_inventory(&self) {
        let mut targets = {
            let mut store = lock(&self.store);
            if !store.readiness().nodes_synced {
                return;
            }
            let all = store.targets();
            let (selected, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(|t| self.selected(&store, t));
            for target in &rest {
                store.fail(&target.name);
            }
            selected
        };
        targets.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        self.metrics.retain_nodes(&targets.iter().map(|t| t.name.as_str()).collect::<Vec<_>>());
        lock(&self.schedule).replace(targets, clock::mono());
    }

    fn selected(&self, store: &Store, target: &Target) -> bool {
        store.node(&target.name).is_some_and(|node| self.selector.matches(|key| node.labels.value(key)))
    }

    fn scrape(&self, source: &mut dyn Source, batch: &mut Batch, target: &Target) {
        let started = clock::mono();
        let read = source.read(target, batch).and_then(|reading| {
            let (commit, settled) = {
                let mut store = lock(&self.store);
                let commit = store.commit(&target.name, batch);
                (commit, store.node(&target.name).is_some_and(|node| node.usage.is_some()))
            };
            self.metrics.dropped(&reading.dropped);
            self.log_refusals(&target.name, &commit);
            useful(&commit, &reading.dropped).map(|()| settled)
        });
        if read.is_err() {
            if self.stopped.load(Ordering::Acquire) {
                // Cut off by the end of the process: no news of the node.
                return;
            }
            lock(&self.store).fail(&target.name);
        }
        let now = clock::mono();
        let took = now.saturating_duration_since(started);
        let reason = read.as_ref().err().map(|e| e.reason);
        self.metrics.scrape(&target.name, took, clock::wall(), reason);
        let outcome = match &read {
            Ok(settled) => Outcome::Read { settled: *settled },
            Err(_) => Outcome::Failed,
        };
        {
            let mut schedule = lock(&self.schedule);
            schedule.done(&target.name, now, took, outcome);
            if let Some(took) = schedule.end_round(now) {
                self.metrics.tick(took);
            }
            // The first thread may sleep towards a later due time than this node's next one.
            self.wake.notify_all();
        }
        *lock(&self.progress) = Some(now);
        self.log_outcome(target, read.err());
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

/// An answer of nothing but bad lines is a failure: something else listens there.
fn useful(commit: &Commit, dropped: &Dropped) -> Result<(), SourceError> {
    if commit.node || commit.pods > 0 || dropped.bad_lines == 0 {
        return Ok(());
    }
    let (line, why) = dropped.first.unwrap_or((1, "not a sample"));
    Err(SourceError {
        reason: "body",
        message: format!("the answer holds no usable sample; line {line}: {why}"),
        hint: "does the node's address and port point at its kubelet?",
    })
}

#[cfg(test)]
mod tests;
