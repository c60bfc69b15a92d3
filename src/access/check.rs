//! One request on its way through authentication and authorization: a machine that asks for reviews.
//!
//! It never waits and never opens a socket: a review is handed out as a value ([`Step::Ask`]) and its verdict handed
//! back ([`Check::resume`]). A refusal is a value too ([`Denial`]).
//! Deviation: any `Impersonate-*` header is refused for every caller: kube-apiserver impersonates before it proxies.

use super::denial::{Denial, Forbidden};
use super::identity::{self, ANONYMOUS, Authentication};
use super::policy::{self, Decision};
use super::review::{Question, Verdict};
use super::trust::{Peer, Trust};
use super::{Identity, Mode, Policy};
use crate::units::UnixNanos;
use crate::wire::request::{Head, RequestInfo};

/// The user that every request on the local socket counts as.
const LOCAL_SOCKET: &str = "local socket";

/// The state of one request's authentication and authorization.
pub struct Check {
    stage: Stage,
}

/// What the verdict that is awaited is about.
enum Stage {
    /// A bearer token; the errors of earlier steps count if it fails.
    Token(Vec<String>),
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
    /// The request is refused.
    Refused(Denial),
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
        let mut check = Check { stage: Stage::Over };
        if head.headers.iter().any(|header| impersonates(header.name)) {
            return (check, Step::Refused(Denial::Impersonation));
        }
        if peer.is_local() {
            return (check, on_local_socket(info));
        }
        let verified = peer.verify(trust, now);
        let reviews = policy.mode == Mode::Delegated;
        let found = identity::authenticate(trust, verified, head, reviews);
        let step = check.authenticated(policy, info, found);
        (check, step)
    }

    /// Goes on with a verdict.
    pub fn resume(&mut self, policy: &Policy, info: &RequestInfo<'_>, verdict: Verdict) -> Step {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Token(errors) => self.authenticated(policy, info, identity::with_token(errors, verdict)),
            Stage::Request(identity) => authorized(info, identity, verdict),
            Stage::Over => failed("the check is over".to_owned()),
        }
    }

    fn authenticated(&mut self, policy: &Policy, info: &RequestInfo<'_>, found: Authentication) -> Step {
        let identity = match found {
            Authentication::Is(identity) => identity,
            Authentication::Refused(why) => return Step::Refused(Denial::Unauthenticated(why)),
            Authentication::Busy => return Step::Refused(Denial::Busy),
            Authentication::Ask(token, errors) => {
                self.stage = Stage::Token(errors);
                return Step::Ask(Question::token(token));
            }
        };
        match policy.decide(&identity, info) {
            Decision::Allow => Step::Allowed(identity),
            Decision::Deny if policy.mode == Mode::HostClientCertificate && identity.user == ANONYMOUS => {
                let why = "a certificate of the client CA is needed".to_owned();
                Step::Refused(Denial::Unauthenticated(why))
            }
            Decision::Deny => forbidden(info, &identity, String::new()),
            Decision::Ask(question) => {
                self.stage = Stage::Request(identity);
                Step::Ask(question)
            }
        }
    }
}

/// A request on the local socket. The mode of the socket's file has decided who may connect, so no header and no token of the
/// request says anything, and no review is asked.
fn on_local_socket(info: &RequestInfo<'_>) -> Step {
    let identity = Identity { user: LOCAL_SOCKET.to_owned(), ..Identity::default() };
    if policy::local_socket_serves(info) {
        return Step::Allowed(identity);
    }
    forbidden(info, &identity, "usage, readiness and status can be read there, and nothing else".to_owned())
}

/// Whether a header asks to act as somebody else.
fn impersonates(name: &str) -> bool {
    const PREFIX: &str = "Impersonate-";
    name.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

fn authorized(info: &RequestInfo<'_>, identity: Identity, verdict: Verdict) -> Step {
    match verdict {
        Verdict::Allowed => Step::Allowed(identity),
        Verdict::Denied(reason) => forbidden(info, &identity, reason),
        Verdict::Failed(error) => failed(error),
        Verdict::Busy => Step::Refused(Denial::Busy),
        Verdict::Known(_) | Verdict::Unknown(_) => failed("the verdict answers another question".to_owned()),
    }
}

fn forbidden(info: &RequestInfo<'_>, identity: &Identity, reason: String) -> Step {
    Step::Refused(Denial::Forbidden(Box::new(Forbidden::new(identity, info, reason))))
}

fn failed(error: String) -> Step {
    Step::Refused(Denial::ReviewFailed(error))
}

#[cfg(test)]
mod tests;
