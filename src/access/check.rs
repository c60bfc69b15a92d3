//! One request on its way through authentication, impersonation and authorization: a machine that asks for reviews.
//!
//! It never waits and never opens a socket: a review is handed out as a value ([`Step::Ask`]) and its verdict handed
//! back ([`Check::resume`]). Refusals are whole answers; the text beside them says why, for the log, without secrets.

use super::identity::{self, ANONYMOUS, Authentication};
use super::impersonation::{self, Impersonation, Next};
use super::policy::{Attributes, Decision};
use super::refusal::{Denial, bad_request};
use super::review::{Question, Verdict};
use super::trust::{Peer, Trust};
use super::{Identity, Mode, Policy};
use crate::api::answer::Answer;
use crate::api::status;
use crate::units::UnixNanos;
use crate::wire::request::{Head, RequestInfo};
use std::borrow::Cow;

/// The state of one request's authentication, impersonation and authorization: a machine that asks for reviews.
pub struct Check {
    stage: Stage,
    warning: Option<&'static str>,
}

/// What the verdict that is awaited is about.
enum Stage {
    /// A bearer token; the errors of earlier steps count if it fails.
    Token(Vec<String>),
    /// A question of an impersonation.
    Impersonation(Box<Impersonation>),
    /// The request itself.
    Request(Identity),
    /// Nothing is awaited any more.
    Over,
}

/// What a check needs next.
pub enum Step {
    /// Ask this review (cached, single flight) and call [`Check::resume`] with its verdict.
    Ask(Question),
    /// The request may proceed.
    Allowed(Identity),
    /// The request is answered here: 401, 403, 400 or 500. The text says why, without secrets, for the log.
    Refused(Answer, String),
}

/// What does not change while one request is checked.
#[derive(Clone, Copy)]
struct Request<'a> {
    policy: &'a Policy,
    head: &'a Head<'a>,
    info: &'a RequestInfo<'a>,
}

impl Check {
    /// Begins with the peer and the request. Never blocks: reviews come back as [`Step::Ask`].
    pub fn start(
        trust: &Trust,
        policy: &Policy,
        peer: &mut Peer,
        head: &Head<'_>,
        info: &RequestInfo<'_>,
        now: UnixNanos,
    ) -> (Check, Step) {
        let judged = peer.judge(trust, now);
        let (found, warning) = identity::authenticate(trust, judged, head, policy.mode == Mode::Delegated);
        let mut check = Check { stage: Stage::Over, warning };
        let step = check.authenticated(Request { policy, head, info }, found);
        let step = check.with_warning(step);
        (check, step)
    }

    /// Text of a `Warning` header that belongs on the answer to this request, also on an allowed one; answers of
    /// [`Step::Refused`] carry it already.
    #[must_use]
    pub fn warning(&self) -> Option<&'static str> {
        self.warning
    }

    /// Goes on with a verdict.
    pub fn resume(
        &mut self,
        policy: &Policy,
        head: &Head<'_>,
        info: &RequestInfo<'_>,
        verdict: Verdict,
    ) -> Step {
        let request = Request { policy, head, info };
        let step = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Token(errors) => self.authenticated(request, identity::with_token(errors, verdict)),
            Stage::Impersonation(impersonation) => self.impersonate(request, impersonation, Some(verdict)),
            Stage::Request(identity) => authorized(request, identity, verdict),
            Stage::Over => failed(request, "the check is over"),
        };
        self.with_warning(step)
    }

    fn with_warning(&self, mut step: Step) -> Step {
        if let (Step::Refused(answer, _), Some(warning)) = (&mut step, self.warning) {
            answer.headers.push(("Warning", Cow::Borrowed(warning)));
        }
        step
    }

    fn authenticated(&mut self, request: Request<'_>, found: Authentication) -> Step {
        let identity = match found {
            Authentication::Is(identity) => identity,
            Authentication::Refused(why) => return unauthorized(request, why),
            Authentication::Ask(token, errors) => {
                self.stage = Stage::Token(errors);
                return Step::Ask(Question::Token(token));
            }
        };
        match impersonation::wanted(request.head) {
            Ok(None) => self.authorize(request, identity),
            Ok(Some(wanted)) => {
                self.impersonate(request, Box::new(Impersonation::new(identity, wanted)), None)
            }
            Err(text) => {
                let why = format!("user {:?}: {text}", identity.user);
                Step::Refused(bad_request(request.head, text), why)
            }
        }
    }

    /// Asks what an impersonation wants to know until it is through, or a review is needed.
    fn impersonate(
        &mut self,
        request: Request<'_>,
        mut impersonation: Box<Impersonation>,
        mut verdict: Option<Verdict>,
    ) -> Step {
        let wanted = Attributes::of(request.info);
        loop {
            let denial = match impersonation.next(&wanted) {
                Next::Acts(identity) => return self.authorize(request, identity),
                Next::Refused(denial) => {
                    let answer = denial.answer(request.head);
                    return Step::Refused(answer, denial.because);
                }
                Next::Deny(user, attributes, reason) => Some(Denial::new(user, &attributes, &reason)),
                Next::Decide(user, attributes) => match verdict.take() {
                    Some(verdict) => denial_of(verdict).map(|reason| Denial::new(user, &attributes, &reason)),
                    None => match request.policy.decide(user, &attributes) {
                        Decision::Allow => None,
                        Decision::Deny => Some(Denial::new(user, &attributes, "")),
                        Decision::Ask(question) => {
                            self.stage = Stage::Impersonation(impersonation);
                            return Step::Ask(question);
                        }
                    },
                },
            };
            match denial {
                None => impersonation.allowed(),
                Some(denial) => impersonation.denied(denial),
            }
        }
    }

    fn authorize(&mut self, request: Request<'_>, identity: Identity) -> Step {
        match request.policy.decide(&identity, &Attributes::of(request.info)) {
            Decision::Allow => Step::Allowed(identity),
            Decision::Deny
                if request.policy.mode == Mode::HostClientCertificate && identity.user == ANONYMOUS =>
            {
                unauthorized(request, "a certificate of the client CA is needed".to_owned())
            }
            Decision::Deny => forbidden(request, &identity, ""),
            Decision::Ask(question) => {
                self.stage = Stage::Request(identity);
                Step::Ask(question)
            }
        }
    }
}

/// Why a verdict is no yes. A review that failed is a no here, as in the reference.
fn denial_of(verdict: Verdict) -> Option<String> {
    match verdict {
        Verdict::Allowed => None,
        Verdict::Denied(reason) | Verdict::Failed(reason) => Some(reason),
        Verdict::Known(_) | Verdict::Unknown(_) => Some("the verdict answers another question".to_owned()),
    }
}

fn authorized(request: Request<'_>, identity: Identity, verdict: Verdict) -> Step {
    match verdict {
        Verdict::Allowed => Step::Allowed(identity),
        Verdict::Denied(reason) => forbidden(request, &identity, &reason),
        Verdict::Failed(error) => failed(request, &error),
        Verdict::Known(_) | Verdict::Unknown(_) => failed(request, "the verdict answers another question"),
    }
}

fn unauthorized(request: Request<'_>, why: String) -> Step {
    Step::Refused(status::unauthorized(request.head), why)
}

fn forbidden(request: Request<'_>, identity: &Identity, reason: &str) -> Step {
    let denial = Denial::new(identity, &Attributes::of(request.info), reason);
    Step::Refused(denial.answer(request.head), denial.because)
}

fn failed(request: Request<'_>, error: &str) -> Step {
    Step::Refused(status::filter_failed(request.head, error), format!("the review failed: {error}"))
}

#[cfg(test)]
mod tests;
