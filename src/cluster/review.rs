//! TokenReviews and SubjectAccessReviews, asked off the serving thread.
//!
//! A bounded queue and one thread; up to three more while questions wait behind a slow one. Each question has one
//! deadline from the moment it is asked, waiting and retries included, and always gets a verdict. The first thread also
//! refreshes the trust ([`TrustSource`]), which needs no thread of its own then. Tokens are never in a log. Source: `k8s.io/apiserver` `pkg/util/webhook`, `plugin/pkg/authenticator/token/webhook`.

use super::authentication::TrustSource;
use super::backoff;
use super::client::ApiServer;
use crate::access::Identity;
use crate::access::review::{Ask, Asked, Question, Reply, Verdict};
use crate::host::{clock, threads};
use crate::limits;
use crate::lock::lock;
use crate::net::fetch::{Exchange, FetchError, Reason};
use miniserde::{Deserialize, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

const TOKENS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";
const ACCESS: &str = "/apis/authorization.k8s.io/v1/subjectaccessreviews?timeout=10s";

/// Asks reviews. Cloning shares the queue and the threads.
#[derive(Clone)]
pub struct Reviewer(Arc<ReviewQueue>);

struct ReviewQueue {
    /// For tokens (`--authentication-kubeconfig`), and for access (`--authorization-kubeconfig`).
    tokens: Arc<ApiServer>,
    access: Arc<ApiServer>,
    authentication: Arc<TrustSource>,
    queue: Mutex<Queue>,
    wake: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    threads: usize,
    idle: usize,
    /// The trust has to be refreshed now.
    look_again: bool,
    stopped: bool,
}

impl Queue {
    /// First in, first out, but unauthenticated callers after all others: a flood of unknown tokens must not make
    /// authenticated callers wait for longer than the reviews under way.
    fn push(&mut self, waiting: Waiting) {
        let behind = if waiting.question.is_unauthenticated {
            0
        } else {
            self.waiting.iter().rev().take_while(|one| one.question.is_unauthenticated).count()
        };
        self.waiting.insert(self.waiting.len() - behind, waiting);
    }
}

struct Waiting {
    question: Question,
    reply: Reply,
    deadline: Instant,
}

impl Reviewer {
    /// Starts the first thread, which at once refreshes `authentication`.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub fn start(
        tokens: Arc<ApiServer>,
        access: Arc<ApiServer>,
        authentication: Arc<TrustSource>,
    ) -> std::io::Result<Reviewer> {
        let queue = Mutex::new(Queue { threads: 1, ..Queue::default() });
        let shared = Arc::new(ReviewQueue { tokens, access, authentication, queue, wake: Condvar::new() });
        let first = shared.clone();
        threads::spawn("reviewer", move || first.work(true))?;
        Ok(Reviewer(shared))
    }

    /// The way to ask: `false`, without a reply, when the queue is full.
    #[must_use]
    pub fn ask(&self) -> Box<Ask> {
        let shared = self.0.clone();
        Box::new(move |question, reply| shared.ask(question, reply))
    }

    /// Refreshes the trust now instead of at the next interval.
    pub fn look_again(&self) {
        self.0.lock().look_again = true;
        // To all: only the first thread refreshes.
        self.0.wake.notify_all();
    }

    /// Ends the threads after the review under way; questions that wait get a failed verdict.
    pub fn stop(&self) {
        let waiting = {
            let mut queue = self.0.lock();
            queue.stopped = true;
            std::mem::take(&mut queue.waiting)
        };
        self.0.wake.notify_all();
        for one in waiting {
            (one.reply)(Verdict::Failed("the server is stopping".to_owned()));
        }
    }
}

impl ReviewQueue {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        lock(&self.queue)
    }

    fn ask(self: &Arc<ReviewQueue>, question: Question, reply: Reply) -> bool {
        let deadline = clock::mono() + limits::REVIEW_TIMEOUT;
        let mut queue = self.lock();
        if queue.stopped || queue.waiting.len() >= limits::REVIEW_QUEUE_COUNT {
            return false;
        }
        queue.push(Waiting { question, reply, deadline });
        let help = queue.waiting.len() > queue.idle && queue.threads < limits::REVIEWERS_MAX;
        queue.threads += usize::from(help);
        drop(queue);
        self.wake.notify_one();
        if help {
            let helper = self.clone();
            if threads::spawn("reviewer", move || helper.work(false)).is_err() {
                self.lock().threads -= 1;
            }
        }
        true
    }

    /// The life of one thread; all but the first end when nothing waits.
    fn work(&self, first: bool) {
        let mut refresh_at = clock::mono();
        loop {
            let now = clock::mono();
            if first && (std::mem::take(&mut self.lock().look_again) || now >= refresh_at) {
                refresh_at = now + self.authentication.refresh();
            }
            let mut queue = self.lock();
            if queue.stopped {
                return;
            }
            if let Some(one) = queue.waiting.pop_front() {
                drop(queue);
                let verdict = self.review(&one.question, one.deadline);
                (one.reply)(verdict);
            } else if first {
                if queue.look_again {
                    continue;
                }
                queue.idle += 1;
                let left = refresh_at.saturating_duration_since(clock::mono());
                threads::give_back_stack();
                let (mut queue, _) =
                    self.wake.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner);
                queue.idle -= 1;
            } else {
                queue.threads -= 1;
                return;
            }
        }
    }

    fn review(&self, question: &Question, deadline: Instant) -> Verdict {
        match &question.asked {
            Asked::Token(secret) => {
                // Quoted by the JSON library: a token may hold any letter a header may.
                let token = Zeroizing::new(json::to_string(secret.0.as_str()));
                let document = Zeroizing::new(format!(
                    "{{\"kind\":\"TokenReview\",\"apiVersion\":\"authentication.k8s.io/v1\",\"spec\":{{\"token\":{}}}}}",
                    token.as_str()
                ));
                ask_until(&self.tokens, TOKENS, &document, deadline, token_verdict)
            }
            Asked::Access { spec, .. } => {
                let document = format!(
                    "{{\"kind\":\"SubjectAccessReview\",\"apiVersion\":\"authorization.k8s.io/v1\",\"spec\":{spec}}}"
                );
                ask_until(&self.access, ACCESS, &document, deadline, access_verdict)
            }
        }
    }
}

/// Asks until there is a verdict, the tries are used up, or the time is.
fn ask_until(
    api: &ApiServer,
    path: &str,
    document: &str,
    deadline: Instant,
    verdict: fn(&str) -> Option<Verdict>,
) -> Verdict {
    let failed = |e: String| Verdict::Failed(format!("Post \"{}{path}\": {e}", api.base()));
    let mut tries = 1;
    loop {
        let left = deadline.saturating_duration_since(clock::mono());
        if left.is_zero() {
            // Only at the first try: later ones are not begun without time for them. It waited in the queue so long.
            return Verdict::Busy;
        }
        let (error, again) = match api.post(path, document, left) {
            Ok(mut answer) => match read(&mut answer) {
                Ok(body) if answer.refusal().is_none() => {
                    let unreadable = || failed("the answer is not a review".to_owned());
                    return verdict(&body).unwrap_or_else(unreadable);
                }
                Ok(body) => {
                    let again = matches!(answer.status, 500 | 504 | 429) || answer.retry_after.is_some();
                    // The API server's own message needs no prefix.
                    let said = message(&body)
                        .map_or_else(|| failed(format!("status {}", answer.status)), Verdict::Failed);
                    (said, again.then_some(answer.retry_after.unwrap_or_default()))
                }
                Err(e) => (failed(e.to_string()), None),
            },
            Err(e) => {
                let again = e.reason == Reason::Disconnected;
                (failed(e.to_string()), again.then_some(Duration::ZERO))
            }
        };
        let Some(asked) = again.filter(|_| tries < limits::REVIEW_TRIES_MAX) else { return error };
        let jitter = 0.2 * backoff::chance();
        let wait =
            backoff::wait(tries, limits::REVIEW_RETRY_FIRST, 1.5, limits::REVIEW_TIMEOUT, jitter).max(asked);
        if clock::mono() + wait >= deadline {
            return error;
        }
        std::thread::sleep(wait);
        tries += 1;
    }
}

pub(super) fn read(answer: &mut Exchange) -> Result<String, FetchError> {
    String::from_utf8(answer.read_all()?)
        .map_err(|_| FetchError::new(Reason::Body, "the answer is not UTF-8"))
}

#[derive(Deserialize)]
struct TokenReview {
    status: Option<TokenStatus>,
}

#[derive(Deserialize)]
struct TokenStatus {
    authenticated: Option<bool>,
    user: Option<ReviewedUser>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct ReviewedUser {
    username: Option<String>,
    uid: Option<String>,
    groups: Option<Vec<String>>,
    extra: Option<BTreeMap<String, Vec<String>>>,
}

/// What the answer to a TokenReview says; `None` when it is none.
#[must_use]
pub fn token_verdict(body: &str) -> Option<Verdict> {
    let status = json::from_str::<TokenReview>(body).ok()?.status?;
    let error = status.error.unwrap_or_default();
    match status.user {
        Some(user) if status.authenticated == Some(true) => Some(Verdict::Known(Identity {
            // Somebody without a name would be authenticated as nobody in particular.
            user: user.username.filter(|name| !name.is_empty())?,
            uid: user.uid.unwrap_or_default(),
            groups: user.groups.unwrap_or_default(),
            extra: user.extra.unwrap_or_default().into_iter().collect(),
        })),
        _ => Some(Verdict::Unknown(error)),
    }
}

#[derive(Deserialize)]
struct AccessReview {
    status: Option<AccessStatus>,
}

#[derive(Deserialize)]
struct AccessStatus {
    allowed: Option<bool>,
    denied: Option<bool>,
    reason: Option<String>,
}

/// What the answer to a SubjectAccessReview says; `None` when it is none.
#[must_use]
pub fn access_verdict(body: &str) -> Option<Verdict> {
    let status = json::from_str::<AccessReview>(body).ok()?.status?;
    let denied = status.denied.unwrap_or_default();
    match status.allowed {
        Some(true) if denied => {
            Some(Verdict::Failed("the API server answered both allowed and denied".to_owned()))
        }
        Some(true) => Some(Verdict::Allowed),
        _ => Some(Verdict::Denied(status.reason.unwrap_or_default())),
    }
}

#[derive(Deserialize)]
struct ApiStatus {
    message: Option<String>,
}

/// The message of a `Status`.
pub(super) fn message(body: &str) -> Option<String> {
    json::from_str::<ApiStatus>(body).ok()?.message.filter(|m| !m.is_empty())
}

#[cfg(test)]
mod tests;
