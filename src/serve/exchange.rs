//! From a request to its answer: what comes before authentication, who asks, whether they may, then the API.
//!
//! Runs on the serving thread and never blocks it. Reviews go through the cache: one under way is joined, a new one is
//! handed to the reviewer's thread, and the request sleeps until the verdict comes or its own time is up (504). The store
//! is locked for the making of the answer only, never while waiting. Refusals of access and of the API travel as values
//! and are rendered here, once.

use crate::access::cache::{Begin, Lifetimes, Reviews, Ticket};
use crate::access::review::{Ask, Asked, Question, Verdict};
use crate::access::{Check, Denial, Peer, Policy, Step};
use crate::api::answer::{Answer, Body};
use crate::api::status::Status;
use crate::api::{self, Context, Settings, Vitals, encode_status};
use crate::cluster::authentication::TrustSource;
use crate::counters::Counters;
use crate::host::clock;
use crate::limits;
use crate::lock::lock;
use crate::net::tls;
use crate::store::Store;
use crate::wire::request::{Head, RequestInfo};
use smol::channel::{Receiver, Sender};
use smol::future::FutureExt;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What the serving thread answers from; everything here is shared with other threads.
pub struct App {
    /// The sample table.
    pub store: Arc<Mutex<Store>>,
    /// Self metrics.
    pub metrics: Arc<Counters>,
    /// What the API knows of the configuration.
    pub settings: Settings,
    /// Whom to trust; asked for every request, so that a rotated CA is in force with the next one.
    pub authentication: Arc<TrustSource>,
    /// Policy from flags.
    pub policy: Policy,
    /// How long verdicts count.
    pub lifetimes: Lifetimes,
    /// Asks the API server; `None` without a cluster.
    pub ask: Option<Arc<Ask>>,
    /// The state of the process; called for every request, so it must be cheap. Memory and CPU time cost system calls
    /// and are asked for (`true`) only where they are shown.
    pub vitals: Box<dyn Fn(bool) -> Vitals>,
    /// `--max-requests-inflight`; 0: no limit.
    pub requests_max: usize,
    /// `--request-timeout`: the longest time until an answer begins, whatever the client asks for.
    pub request_time_max: Duration,
}

/// A review that was answered.
type Came = (Ticket, Verdict);

/// Answers requests; lives on the serving thread.
pub struct RequestHandler {
    app: App,
    reviews: RefCell<Reviews<Sender<Verdict>>>,
    verdicts: (Sender<Came>, Receiver<Came>),
    under_way: Rc<Cell<usize>>,
}

/// A request that counts as under way until dropped: when its answer is written.
#[derive(Debug)]
pub struct UnderWay(Rc<Cell<usize>>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

impl RequestHandler {
    /// Ready to answer.
    #[must_use]
    pub fn new(app: App) -> RequestHandler {
        let mut key = [0; 32];
        tls::random(&mut key);
        let reviews = RefCell::new(Reviews::new(app.lifetimes, key, Sender::is_closed));
        RequestHandler { app, reviews, verdicts: smol::channel::unbounded(), under_way: Rc::default() }
    }

    /// What the exchange answers from.
    #[must_use]
    pub fn app(&self) -> &App {
        &self.app
    }

    /// Hands verdicts from the reviewer's thread to those who wait for them; runs for as long as the server does.
    pub async fn deliver(&self) {
        while let Ok((ticket, verdict)) = self.verdicts.1.recv().await {
            self.finish(ticket, verdict);
        }
    }

    fn finish(&self, ticket: Ticket, verdict: Verdict) {
        let (verdict, waiters) = self.reviews.borrow_mut().finish(ticket, verdict, clock::mono());
        for waiter in waiters {
            // A waiter whose time was up is gone; nothing is lost.
            let _ = waiter.try_send(verdict.clone());
        }
    }

    /// Answers one request of one peer. The request counts as under way until what comes with the answer is dropped.
    pub async fn answer(&self, head: &Head<'_>, peer: &mut Peer) -> (Answer, Option<UnderWay>) {
        let started_at = clock::mono();
        #[cfg(test)]
        if let Some(answer) = canned(head) {
            return (answer, None);
        }
        let info = RequestInfo::new(head);
        let (answered, under_way) = match self.admit(head, &info, peer, started_at).await {
            Ok((until, under_way)) => (self.ask_api(head, &info, until).await, Some(under_way)),
            Err(status) => (Err(status), None),
        };
        let answer = answered.unwrap_or_else(|status| encode_status::answer(&status, head));
        log::debug!("{} {}: {}", head.method, head.path, answer.status);
        (answer, under_way)
    }

    /// Finds out who asks and whether they may; gives the time until which the answer must begin.
    async fn admit(
        &self,
        head: &Head<'_>,
        info: &RequestInfo<'_>,
        peer: &mut Peer,
        started_at: Instant,
    ) -> Result<(Instant, UnderWay), Status> {
        api::before_authentication(head, info)?;
        let time = info.timeout.unwrap_or(limits::REQUEST_TIME_MAX).min(self.app.request_time_max);
        let until = started_at + time;
        if peer.has_certificate() {
            self.first_lookup().await;
        }
        let policy = &self.app.policy;
        let trust = self.app.authentication.trust();
        let (mut check, mut step) = Check::start(&trust, policy, peer, head, info, clock::wall());
        let identity = loop {
            step = match step {
                Step::Ask(question) => match self.review(question, until).await {
                    Some(verdict) => check.resume(policy, info, verdict),
                    None => return Err(Status::timeout()),
                },
                Step::Allowed(identity) => break identity,
                Step::Refused(denial) => {
                    log::debug!("{} {}: {denial}", head.method, head.path);
                    return Err(status_of(&denial));
                }
            };
        };
        log::debug!("{} {}: by {}", head.method, head.path, identity.user);
        let exempt = identity.groups.iter().any(|group| group == "system:masters");
        let under_way = self.begin(exempt).ok_or_else(Status::too_many_requests)?;
        Ok((until, under_way))
    }

    /// Waits while nobody can be known by a certificate yet: a request that comes right after the start, as others do that waited
    /// through a restart, would be refused.
    async fn first_lookup(&self) {
        let end = clock::mono() + limits::FIRST_LOOKUP_TIME_MAX;
        while !self.app.authentication.was_looked_up() && clock::mono() < end {
            smol::Timer::after(limits::FIRST_LOOKUP_PAUSE).await;
        }
    }

    /// The API's answer; a list is prepared to its first piece, with turns for others in between.
    async fn ask_api(
        &self,
        head: &Head<'_>,
        info: &RequestInfo<'_>,
        until: Instant,
    ) -> Result<Answer, Status> {
        let mut answer = self.ask_store(head, info)?;
        while let Body::List(list) = &mut answer.body {
            if list.prepare(&lock(&self.app.store), &self.app.metrics) {
                break;
            }
            smol::future::yield_now().await;
            if clock::mono() >= until {
                return Err(Status::timeout());
            }
        }
        Ok(answer)
    }

    fn ask_store(&self, head: &Head<'_>, info: &RequestInfo<'_>) -> Result<Answer, Status> {
        let vitals = (self.app.vitals)(shows_process(&info.path));
        let store = lock(&self.app.store);
        let context = Context {
            settings: &self.app.settings,
            metrics: &self.app.metrics,
            vitals,
            now: clock::wall(),
            store: &store,
        };
        api::answer(&context, head, info)
    }

    /// The verdict on a question; `None` when it did not come in time.
    async fn review(&self, question: Question, until: Instant) -> Option<Verdict> {
        let (waiter, verdict) = smol::channel::bounded(1);
        let kind = match question.asked {
            Asked::Token(_) => "token",
            Asked::Access { .. } => "access",
        };
        let begun = self.reviews.borrow_mut().begin(question, waiter, clock::mono());
        match begun {
            Begin::Answer(verdict, _) => {
                self.app.metrics.review(kind, if verdict == Verdict::Busy { "refused" } else { "cached" });
                return Some(verdict);
            }
            Begin::Wait => self.app.metrics.review(kind, "joined"),
            Begin::Ask(ticket, question) => {
                let asked = self.ask(question, ticket);
                self.app.metrics.review(kind, if asked { "asked" } else { "refused" });
            }
        }
        let came = async { verdict.recv().await.ok() };
        let late = async {
            smol::Timer::at(until).await;
            None
        };
        came.or(late).await
    }

    /// Hands a question to the reviewer's thread; `false` when it cannot take it, which counts as a failed review.
    fn ask(&self, question: Question, ticket: Ticket) -> bool {
        let Some(ask) = &self.app.ask else {
            self.finish(ticket, Verdict::Failed("no cluster is configured to ask".to_string()));
            return false;
        };
        let back = self.verdicts.0.clone();
        let reply = Box::new(move |verdict| {
            // Unbounded, but never more than reviews under way; it fails only when the server is gone.
            let _ = back.try_send((ticket, verdict));
        });
        let taken = ask(question, reply);
        if !taken {
            self.finish(ticket, Verdict::Busy);
        }
        taken
    }

    /// Counts a request as under way; `None` when there are too many. `system:masters` always may, as with metrics-server.
    fn begin(&self, exempt: bool) -> Option<UnderWay> {
        let count = self.under_way.get();
        if self.app.requests_max > 0 && count >= self.app.requests_max && !exempt {
            return None;
        }
        self.under_way.set(count.saturating_add(1));
        Some(UnderWay(self.under_way.clone()))
    }
}

/// Whether an answer shows what the process itself uses.
fn shows_process(path: &str) -> bool {
    matches!(path, "/metrics" | "/status" | "/status.json")
}

/// What the client is told of a refusal by access.
fn status_of(denial: &Denial) -> Status {
    match denial {
        Denial::Unauthenticated(_) => Status::unauthorized(),
        Denial::Forbidden(it) => Status::forbidden(&it.group, &it.resource, &it.name, &it.to_string()),
        Denial::Impersonation => Status::forbidden("", "", "", &denial.to_string()),
        Denial::ReviewFailed(error) => Status::internal(format!("the review failed: {error}")),
        Denial::Busy => Status::too_many_requests(),
    }
}

/// Answers for tests of framing, set by the thread that serves.
#[cfg(test)]
pub(crate) type Canned = fn(&Head<'_>) -> Option<Answer>;

#[cfg(test)]
thread_local! {
    pub(crate) static CANNED: Cell<Option<Canned>> = const { Cell::new(None) };
}

#[cfg(test)]
fn canned(head: &Head<'_>) -> Option<Answer> {
    CANNED.get().and_then(|canned| canned(head))
}

#[cfg(test)]
mod tests;
