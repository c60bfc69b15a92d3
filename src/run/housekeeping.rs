//! One thread for rare work: signals, points that are too old, systemd's watchdog and status line, and whatever is done with files.
//!
//! The watchdog is fed only while scraping moves on, so that systemd restarts a program that hangs. Files are the business of a
//! thread beside it: a restart would not mend a file system that does not answer.

use super::file_duties::{FileCare, FileDuties};
use crate::allocator;
use crate::host::signals::{Signal, Signals};
use crate::host::{clock, memory, systemd, threads};
use crate::limits;
use crate::lock::lock;
use crate::poller::Poller;
use crate::serve::Stopper;
use crate::store::Store;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What the thread looks after.
pub struct Housekeeping {
    /// Pending signals.
    pub signals: Signals,
    /// Stops the server.
    pub stopper: Stopper,
    /// Read by `/readyz`: set before the server begins to stop.
    pub stopping: Arc<AtomicBool>,
    /// Reads credentials and trust of a cluster again.
    pub reload: Option<Arc<dyn Fn() + Send + Sync>>,
    /// Whether scraping moves on.
    pub poller: Poller,
    /// The API server has refused our credentials for a while.
    pub unauthorized: Arc<AtomicBool>,
    /// Our kubeconfig, where it is a copy that only a restart renews.
    pub credential_copy: Option<PathBuf>,
    /// For the status line.
    pub store: Arc<Mutex<Store>>,
    /// `--metric-resolution`.
    pub resolution: Duration,
}

impl Housekeeping {
    /// Runs until the process ends.
    pub fn work(self, files: FileDuties) {
        let mut files = FileCare::new(files);
        let watchdog = systemd::watchdog_interval();
        let pause = watchdog.unwrap_or(limits::STATUS_INTERVAL).min(limits::STATUS_INTERVAL);
        let mut status = String::new();
        let mut starting = true;
        loop {
            files.start();
            threads::give_back_stack();
            match self.signals.wait(pause) {
                Ok(Some(Signal::Stop)) => {
                    log::info!("stopping: no new connections, answers under way are finished");
                    self.stopping.store(true, Ordering::Relaxed);
                    self.stopper.stop();
                }
                // Files are looked at again by themselves; a reload only makes it sooner.
                Ok(Some(Signal::Reload)) => {
                    files.reload();
                    self.reload.iter().for_each(|reload| reload());
                }
                Ok(None) => {}
                Err(error) => {
                    log::error!(
                        "signals cannot be waited for: {error}; the process must be killed to end it"
                    );
                    return;
                }
            }
            self.end_with_stale_copy();
            if watchdog.is_some() && self.moves_on(clock::mono()) {
                systemd::alive();
            }
            lock(&self.store).expire(clock::uptime());
            self.report(&mut status);
            allocator::trim();
            // Only the start is left out of memory: later, what was called once may well be called again.
            if std::mem::take(&mut starting) {
                memory::forget_program();
            }
        }
    }

    /// systemd copies a credential when it starts the unit: once the API server refuses it, only another start helps.
    fn end_with_stale_copy(&self) {
        let Some(path) =
            self.credential_copy.as_deref().filter(|_| self.unauthorized.load(Ordering::Relaxed))
        else {
            return;
        };
        if !self.stopping.swap(true, Ordering::Relaxed) {
            log::error!(
                "the API server refuses the credentials of {}, which is a copy made at the start: ending, so that the unit \
                 starts again with the original as it is now",
                path.display()
            );
            self.stopper.stop();
        }
    }

    fn moves_on(&self, now: Instant) -> bool {
        self.poller.tick_age(now).is_none_or(|age| age <= self.resolution * 3)
    }

    /// Tells systemd how much is measured, when that changed.
    fn report(&self, reported: &mut String) {
        let occupancy = lock(&self.store).occupancy();
        let status = format!(
            "{}/{} nodes and {} containers measured",
            occupancy.node_points, occupancy.nodes, occupancy.container_points
        );
        if *reported != status {
            systemd::status(&status);
            *reported = status;
        }
    }
}
