//! List and watch of one kind - nodes, or metadata of running pods - into the store's inventory.
//!
//! Bytes pass through the decoder a piece at a time; the store is locked for a piece, never for a list. What happens
//! after an end or a failure is decided by [`state::WatchState`], which is pure; the thread only does it. Nothing the API
//! server sends ends this thread. Memory: one piece and one object. Source: the reflector of `k8s.io/client-go`.

pub mod once;
mod query;
mod refusal;
pub mod state;

use super::backoff::chance;
use super::client::{ApiServer, hint};
use crate::host::{clock, threads};
use crate::limits;
use crate::lock::lock;
use crate::log_once::LogOnce;
use crate::net::fetch::{Exchange, FetchError, Reason};
use crate::store::{Inventory, Refused, Store};
use crate::wire::kube_objects::{Object, ObjectError, Versioned, WatchEvent};
use crate::wire::kube_stream::{ListDecoder, WatchDecoder};
use query::{list_path, names, watch_path};
use refusal::{accepted, garbage, stream_error};
use state::{Event, WatchEnd, WatchState, WatchStep};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Called by a watcher on its own thread.
pub type Callback = Box<dyn Fn() + Send>;

/// Who is told of what a watcher sees.
pub struct WatchListeners {
    /// The inventory changed.
    pub changed: Callback,
    /// The API server answers again after it did not.
    pub reachable: Callback,
    /// A list failed.
    pub list_failed: Callback,
    /// It has refused our credentials for `limits::UNAUTHORIZED_TIME_MAX`.
    pub unauthorized: Callback,
}

/// Stops watchers that wait.
#[derive(Default)]
pub struct Stop {
    stopped: AtomicBool,
    lock: Mutex<()>,
    wake: Condvar,
}

impl Stop {
    /// Ends every wait, now and later. Requests under way end with [`ApiServer::stop`].
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        let _lock = lock(&self.lock);
        self.wake.notify_all();
    }

    /// Ends the waits of now: a request that waits for its next try is made at once.
    pub fn wake(&self) {
        let _lock = lock(&self.lock);
        self.wake.notify_all();
    }

    /// Whether the process ends.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Waits, unless the process ends.
    pub fn wait(&self, time: Duration) {
        let lock = lock(&self.lock);
        if !time.is_zero() && !self.is_stopped() {
            drop(self.wake.wait_timeout(lock, time));
        }
    }
}

/// Starts the thread that follows one kind.
///
/// # Errors
/// The operating system gives no thread.
pub fn start(
    kind: Inventory,
    api: Arc<ApiServer>,
    store: Arc<Mutex<Store>>,
    listeners: WatchListeners,
    stop: Arc<Stop>,
) -> std::io::Result<std::thread::JoinHandle<()>> {
    let watcher = Watcher::new(kind, api, store, listeners, stop);
    threads::spawn(names(kind).0, move || watcher.run())
}

struct Watcher {
    kind: Inventory,
    api: Arc<ApiServer>,
    store: Arc<Mutex<Store>>,
    listeners: WatchListeners,
    stop: Arc<Stop>,
    log: LogOnce,
    refusals: Refusals,
    /// When the last event, bookmark or list came.
    heard_at: Instant,
    listed_at: Instant,
    /// The last request was not answered, or refused.
    unreachable: bool,
    /// When it began to refuse our credentials.
    unauthorized_since: Option<Instant>,
}

/// Objects that the store had no room for since the last list began.
#[derive(Default)]
struct Refusals {
    count: u32,
    /// The first one's name, and which table was full.
    first: Option<(String, Refused)>,
}

impl Refusals {
    /// Puts one object into the inventory, or notes that there is no room for it.
    fn upsert(&mut self, store: &mut Store, object: &Object<'_>) {
        let (done, namespace, name) = match object {
            Object::Node(node) => (store.upsert_node(node), "", node.name),
            Object::Pod(pod) => (store.upsert_pod(pod), pod.namespace, pod.name),
        };
        if let Err(full) = done {
            self.count = self.count.saturating_add(1);
            self.first.get_or_insert_with(|| {
                let slash = if namespace.is_empty() { "" } else { "/" };
                (format!("{namespace}{slash}{name}"), full)
            });
        }
    }
}

impl Watcher {
    fn new(
        kind: Inventory,
        api: Arc<ApiServer>,
        store: Arc<Mutex<Store>>,
        listeners: WatchListeners,
        stop: Arc<Stop>,
    ) -> Watcher {
        let (log, refusals) = (LogOnce::new(), Refusals::default());
        let now = clock::mono();
        Watcher {
            kind,
            api,
            store,
            listeners,
            stop,
            log,
            refusals,
            heard_at: now,
            listed_at: now,
            unreachable: false,
            unauthorized_since: None,
        }
    }

    fn run(mut self) {
        let mut state = WatchState::new();
        let mut piece = vec![0; limits::API_PIECE_LEN];
        let mut step = state.first();
        while !self.stop.is_stopped() {
            let event = match &step {
                WatchStep::List { version, token } => self.list(version, token, &mut piece),
                WatchStep::Watch { version } => {
                    let version = version.clone();
                    self.watch(&version, &mut state, &mut piece)
                }
            };
            if self.stop.is_stopped() {
                return;
            }
            self.log_event(&event);
            if matches!(event, Event::ListFailed(_)) {
                (self.listeners.list_failed)();
            }
            let action = state.next(&event, chance());
            self.stop.wait(action.after);
            step = action.step;
        }
    }

    /// One page of a list.
    fn list(&mut self, version: &str, token: &str, piece: &mut [u8]) -> Event {
        match self.page(version, token, piece) {
            Ok(event) => event,
            Err(e) => Event::ListFailed(e),
        }
    }

    fn page(&mut self, version: &str, token: &str, piece: &mut [u8]) -> Result<Event, FetchError> {
        let (name, path, accept, _) = names(self.kind);
        let answer = self.api.get(&list_path(path, version, token), accept, Some(limits::LIST_TIMEOUT))?;
        let mut answer = accepted(answer)?;
        let mut decoder = ListDecoder::default();
        if token.is_empty() {
            lock(&self.store).begin_list(self.kind);
            self.refusals = Refusals::default();
        }
        loop {
            let len = answer.read(piece)?;
            if len == 0 {
                break;
            }
            let mut store = lock(&self.store);
            let fed = decoder.feed(&piece[..len], |object| {
                self.refusals.upsert(&mut store, &object.object);
            });
            drop(store);
            fed.map_err(garbage)?;
        }
        let end = decoder.finish().map_err(garbage)?;
        if end.skipped > 0 {
            log::warn!("{name}: {} objects of the list could not be read and are left out", end.skipped);
        }
        if end.continue_token.is_empty() {
            lock(&self.store).end_list(self.kind);
            self.log_refusals();
            self.listed_at = clock::mono();
            self.heard_at = self.listed_at;
            (self.listeners.changed)();
        }
        Ok(Event::Listed { version: end.resource_version, token: end.continue_token })
    }

    /// One watch, until it ends.
    fn watch(&mut self, version: &str, state: &mut WatchState, piece: &mut [u8]) -> Event {
        let (_, path, _, accept) = names(self.kind);
        let answer = match self.api.get(&watch_path(path, version), accept, None).and_then(accepted) {
            Ok(answer) => answer,
            Err(e) => {
                let (lasted, silence) = (Duration::ZERO, self.silence());
                return Event::WatchEnded { cause: WatchEnd::Failed(e), events: false, lasted, silence };
            }
        };
        self.reachable();
        // What the list before needed.
        threads::give_back_stack();
        let accepted_at = clock::mono();
        let mut events = false;
        let cause = match self.follow(answer, state, piece, &mut events) {
            Ok(cause) => cause,
            Err(e) => WatchEnd::Failed(e),
        };
        let lasted = clock::mono().saturating_duration_since(accepted_at);
        Event::WatchEnded { cause, events, lasted, silence: self.silence() }
    }

    fn silence(&self) -> Duration {
        clock::mono().saturating_duration_since(self.heard_at)
    }

    /// Whether another list may find room for what the store refused.
    fn room_came_back(&self, now: Instant) -> bool {
        let age = now.saturating_duration_since(self.listed_at);
        self.refusals.count > 0
            && age >= limits::ROOM_LIST_INTERVAL
            && lock(&self.store).has_room_again(self.kind)
    }

    fn follow(
        &mut self,
        mut answer: Exchange,
        state: &mut WatchState,
        piece: &mut [u8],
        events: &mut bool,
    ) -> Result<WatchEnd, FetchError> {
        let mut decoder = WatchDecoder::default();
        loop {
            answer.end_by(state::listen_until(self.heard_at));
            let len = answer.read(piece)?;
            if len == 0 && !decoder.is_between_events() {
                return Err(garbage(ObjectError::Truncated));
            }
            if self.room_came_back(clock::mono()) {
                let message = "room came back for objects that the store refused";
                return Ok(WatchEnd::Failed(FetchError::new(Reason::Gone, message)));
            }
            if len == 0 {
                return Ok(WatchEnd::End);
            }
            let mut over = None;
            let refused = self.refusals.count;
            let (mut touched, mut bookmark, mut forward) = (false, false, true);
            let mut store = lock(&self.store);
            let fed = decoder.feed(&piece[..len], |event| match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    forward &= state.saw(object.resource_version);
                    self.refusals.upsert(&mut store, &object.object);
                    touched = true;
                }
                WatchEvent::Deleted(object) => {
                    forward &= state.saw(object.resource_version);
                    remove(&mut store, &object);
                    touched = true;
                }
                WatchEvent::Bookmark { resource_version, .. } => {
                    forward &= state.saw(resource_version);
                    bookmark = true;
                }
                WatchEvent::Error(status) => over = Some(stream_error(&status)),
            });
            drop(store);
            if self.refusals.count > refused {
                self.log_refusals();
            }
            let heard = touched || bookmark;
            *events |= heard;
            if heard {
                self.heard_at = clock::mono();
            }
            if touched {
                (self.listeners.changed)();
            }
            if !forward {
                let message = "versions went back: the API server was restored from a backup";
                return Ok(WatchEnd::Failed(FetchError::new(Reason::Gone, message)));
            }
            if let Some(error) = over {
                return Ok(WatchEnd::Failed(error));
            }
            fed.map_err(garbage)?;
        }
    }

    /// One line when objects find no room in the store, and one when a list found room for all.
    fn log_refusals(&self) {
        let name = names(self.kind).0;
        let Some((first, full)) = &self.refusals.first else {
            self.log.recovered("room", format_args!("{name}: all are served again"));
            return;
        };
        let count = self.refusals.count;
        let message = format_args!("{name}: {count} not served, {first} among them: {full}");
        self.log.problem(log::Level::Warn, "room", full, message);
    }

    /// One line when the API server becomes unreachable or refuses, one when it answers again.
    fn log_event(&mut self, event: &Event) {
        let name = names(self.kind).0;
        match event {
            Event::Listed { .. } => self.reachable(),
            Event::ListFailed(e) | Event::WatchEnded { cause: WatchEnd::Failed(e), .. }
                if e.reason == Reason::Gone =>
            {
                log::info!("{name}: {e}; listing again");
            }
            // A broken stream is retried at once in most cases; only a request that is not answered is worth a word.
            Event::WatchEnded { cause: WatchEnd::Failed(e), lasted, .. }
                if *lasted >= limits::WATCH_SHORT =>
            {
                log::debug!("{name}: watch ended: {e}");
            }
            Event::ListFailed(e) | Event::WatchEnded { cause: WatchEnd::Failed(e), .. } => {
                let hint =
                    hint(e.reason, &format!("\"get\", \"list\" and \"watch\" on \"{name}\" to our user"));
                let base = self.api.base();
                let problem = match e.reason {
                    Reason::Unauthorized | Reason::Forbidden => "refuses us",
                    _ => "unreachable",
                };
                let message = format_args!("API server {problem}: {name} from {base}: {e}, retrying; {hint}");
                self.log.problem(log::Level::Warn, "API server", e.reason, message);
                self.unreachable = true;
                self.note_unauthorized(e.reason == Reason::Unauthorized, clock::mono());
            }
            Event::WatchEnded { cause: WatchEnd::End, .. } => {}
        }
    }

    /// Reports refused credentials that last. An API server that cannot be reached meanwhile changes nothing about them.
    fn note_unauthorized(&mut self, refused: bool, now: Instant) {
        if !refused {
            return;
        }
        let since = *self.unauthorized_since.get_or_insert(now);
        if now.saturating_duration_since(since) >= limits::UNAUTHORIZED_TIME_MAX {
            (self.listeners.unauthorized)();
        }
    }

    fn reachable(&mut self) {
        self.unauthorized_since = None;
        let (name, base) = (names(self.kind).0, self.api.base());
        let message = format_args!("API server reachable again: {name} from {base}");
        self.log.recovered("API server", message);
        if std::mem::take(&mut self.unreachable) {
            (self.listeners.reachable)();
        }
    }
}

fn remove(store: &mut Store, object: &Versioned<'_>) {
    match &object.object {
        Object::Node(node) => store.remove_node(node.name),
        Object::Pod(pod) => store.remove_pod(pod.namespace, pod.name),
    }
}

#[cfg(test)]
mod tests;
