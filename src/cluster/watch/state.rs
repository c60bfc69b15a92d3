//! What to do after a list, a watch or a failure. Pure: events go in, the next step and a wait come out.
//!
//! A list costs the API server as much as a thousand watches: it happens once, and again only when the version to watch
//! from is gone (410), newer than the server knows (504), or leads nowhere several times, and when the server may know
//! another history than we do: after refused connections (it was down, and may have been restored from a backup), when
//! versions go back, and after `limits::WATCH_SILENCE_MAX` without an event or a bookmark. A server too busy and a stream's
//! end resume the watch where it was.

use super::super::backoff;
use crate::limits;
use crate::net::fetch::{FetchError, Reason};
use std::time::{Duration, Instant};

/// What to ask next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchStep {
    /// A page of a list.
    List {
        /// `0`: as new as the server's cache; empty: as new as its storage; else not older than this.
        version: String,
        /// `continue`; empty for the first page.
        token: String,
    },
    /// A watch.
    Watch {
        /// Where it begins.
        version: String,
    },
}

/// Why a watch ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEnd {
    /// The server ended it: its time was up.
    End,
    /// It was refused, broke, or ended with an ERROR event.
    Failed(FetchError),
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A page is in the store.
    Listed {
        /// The list's version.
        version: String,
        /// The next page's token; empty on the last.
        token: String,
    },
    /// A page could not be had.
    ListFailed(FetchError),
    /// A watch is over.
    WatchEnded {
        /// Why.
        cause: WatchEnd,
        /// There was at least one event, bookmarks included.
        events: bool,
        /// How long it lasted since it was accepted; zero when it was not.
        lasted: Duration,
        /// Time since the last event, bookmark or list.
        silence: Duration,
    },
}

/// The next step, and how long to wait before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// Wait so long.
    pub after: Duration,
    /// Then do this.
    pub step: WatchStep,
}

/// Until when a watch is listened to: a server that says nothing for longer may hang, or know another history.
#[must_use]
pub fn listen_until(heard_at: Instant) -> Instant {
    heard_at + limits::WATCH_SILENCE_MAX
}

/// Where one kind's list and watch stand.
#[derive(Debug)]
pub struct WatchState {
    /// The newest version seen; empty before the first list.
    version: String,
    /// The version to ask the next list at.
    list_at: String,
    /// Failures in a row: they decide the wait.
    failures: u32,
    /// Watches in a row that failed without an event at a version that may be the trouble.
    stuck: u32,
    /// New lists since the last healthy watch.
    relists: u32,
}

impl WatchState {
    /// Nothing known yet.
    #[must_use]
    pub fn new() -> WatchState {
        WatchState { version: String::new(), list_at: "0".to_owned(), failures: 0, stuck: 0, relists: 0 }
    }

    /// The first step.
    #[must_use]
    pub fn first(&self) -> WatchStep {
        self.list()
    }

    /// An event or a bookmark carried this version. `false` when it is older than one seen before: the server was restored.
    pub fn saw(&mut self, version: &str) -> bool {
        if version.is_empty() {
            return true;
        }
        let went_back = match (version.parse::<u64>(), self.version.parse::<u64>()) {
            (Ok(new), Ok(old)) => new < old,
            _ => false,
        };
        version.clone_into(&mut self.version);
        !went_back
    }

    /// What to do after `event`; `chance` from 0 to 1 spreads the waits.
    pub fn next(&mut self, event: &Event, chance: f64) -> Action {
        match event {
            Event::Listed { version, token } if token.is_empty() => {
                version.clone_into(&mut self.version);
                self.list_at.clone_from(&self.version);
                self.stuck = 0;
                at_once(self.watch())
            }
            Event::Listed { version, token } => {
                at_once(WatchStep::List { version: version.clone(), token: token.clone() })
            }
            Event::ListFailed(error) => {
                if matches!(error.reason, Reason::Gone | Reason::ServerTimeout) {
                    // The version is too old or too new, or a page's token has expired: ask the storage itself.
                    self.list_at.clear();
                }
                self.after_failure(error, chance, self.list())
            }
            Event::WatchEnded { cause, silence, .. } if *silence >= limits::WATCH_SILENCE_MAX => {
                self.list_at.clear();
                match cause {
                    WatchEnd::End => at_once(self.list()),
                    WatchEnd::Failed(error) => self.after_failure(error, chance, self.list()),
                }
            }
            Event::WatchEnded { cause, events, lasted, .. } => {
                let healthy = *events || *lasted >= limits::WATCH_SHORT;
                if healthy {
                    (self.failures, self.stuck, self.relists) = (0, 0, 0);
                }
                match cause {
                    WatchEnd::End if healthy => at_once(self.watch()),
                    WatchEnd::End => {
                        self.after_failure(&FetchError::new(Reason::Disconnected, ""), chance, self.watch())
                    }
                    WatchEnd::Failed(error) => self.after_watch_failure(error, healthy, chance),
                }
            }
        }
    }

    fn after_watch_failure(&mut self, error: &FetchError, healthy: bool, chance: f64) -> Action {
        match error.reason {
            Reason::Gone => {
                self.list_at.clone_from(&self.version);
                // One such end is normal after a long silence; more without a healthy watch between are a failure.
                self.relists = self.relists.saturating_add(1);
                if self.relists == 1 {
                    at_once(self.list())
                } else {
                    self.after_failure(error, chance, self.list())
                }
            }
            Reason::ServerTimeout => {
                self.list_at.clear();
                self.after_failure(error, chance, self.list())
            }
            Reason::Refused => {
                // "Not older than" the last version: a server that was restored to an older one refuses that with 504.
                self.list_at.clone_from(&self.version);
                self.after_failure(error, chance, self.list())
            }
            // A connection that broke after a while: the server restarts, or a proxy cut it.
            Reason::Disconnected | Reason::Timeout if healthy => at_once(self.watch()),
            Reason::Status | Reason::Body | Reason::TooLarge => {
                self.stuck += 1;
                let step = if self.stuck >= limits::WATCH_FAILURES_MAX {
                    self.list_at.clear();
                    self.list()
                } else {
                    self.watch()
                };
                self.after_failure(error, chance, step)
            }
            _ => self.after_failure(error, chance, self.watch()),
        }
    }

    fn after_failure(&mut self, error: &FetchError, chance: f64, step: WatchStep) -> Action {
        self.failures = backoff::after_failure(self.failures, error.reason);
        let (first, longest) = (limits::WATCH_BACKOFF_FIRST, limits::WATCH_BACKOFF_MAX);
        let wait = backoff::wait(self.failures, first, 2.0, longest, chance);
        Action { after: error.retry_after.map_or(wait, |asked| asked.max(wait)), step }
    }

    fn list(&self) -> WatchStep {
        WatchStep::List { version: self.list_at.clone(), token: String::new() }
    }

    fn watch(&self) -> WatchStep {
        WatchStep::Watch { version: self.version.clone() }
    }
}

impl Default for WatchState {
    fn default() -> Self {
        WatchState::new()
    }
}

const fn at_once(step: WatchStep) -> Action {
    Action { after: Duration::ZERO, step }
}

#[cfg(test)]
mod tests;
