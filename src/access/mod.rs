//! Who may ask: identities, policy, reviews and their caches. Pure: reviews are asked for as values and answered later.

pub mod cache;
pub mod review;

use crate::api::answer::Answer;
use crate::api::request::{Head, RequestInfo};
use crate::units::UnixNanos;
use review::{Question, Verdict};

/// Somebody, as authentication found them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// User name.
    pub user: String,
    /// UID; empty when unknown.
    pub uid: String,
    /// Groups, in order.
    pub groups: Vec<String>,
    /// Extra attributes, sorted by key.
    pub extra: Vec<(String, Vec<String>)>,
}

/// Header names and allowed proxy names, from flags or the ConfigMap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrontProxySettings {
    /// PEM bundle of the front proxy's CA; `None` turns the front proxy off.
    pub ca_pem: Option<Vec<u8>>,
    /// Allowed common names; empty allows any.
    pub allowed_names: Vec<String>,
    /// Headers with the user name, first non-empty wins.
    pub username_headers: Vec<String>,
    /// Headers with groups.
    pub group_headers: Vec<String>,
    /// Prefixes of extra headers.
    pub extra_prefixes: Vec<String>,
    /// Headers with the UID.
    pub uid_headers: Vec<String>,
}

/// Whom to trust; built once for each change of configuration and shared.
pub struct Trust {}

impl Trust {
    /// Parses the bundles. Entries that are no certificates are an error; an empty bundle counts as absent.
    /// # Errors
    /// Which bundle, and what is wrong with it.
    pub fn new(_front_proxy: &FrontProxySettings, _client_ca_pem: Option<&[u8]>) -> Result<Trust, String> {
        todo!()
    }
}

/// Policy from flags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// `--authorization-always-allow-paths`: exact, or a prefix with a trailing `*`.
    pub always_allow_paths: Vec<String>,
    /// Delegated (reviews), or host-only (anonymous reads on loopback, client certificates elsewhere).
    pub mode: Mode,
}

/// Where authorization comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// TokenReview and SubjectAccessReview of a cluster.
    #[default]
    Delegated,
    /// No cluster: a loopback peer may read anonymously.
    HostAnonymous,
    /// No cluster: a certificate of `--client-ca-file` may read.
    HostClientCertificate,
}

/// The peer of one connection: its certificate chain, and what was found out about it under one configuration.
///
/// Make one for each connection and hand it to every request on it: chains are then verified once for each connection
/// and each change of [`Trust`], and again after a minute. Nothing of an identity outlives its `Trust`.
pub struct Peer {
    chain: Vec<Vec<u8>>,
}

impl Peer {
    /// A peer with its certificates (DER, leaf first); empty when it sent none.
    #[must_use]
    pub fn new(chain: Vec<Vec<u8>>) -> Peer {
        Peer { chain }
    }
}

/// The state of one request's authentication, impersonation and authorization: a machine that asks for reviews.
pub struct Check {}

/// What a check needs next.
pub enum Step {
    /// Ask this review (cached, single flight) and call [`Check::resume`] with its verdict.
    Ask(Question),
    /// The request may proceed.
    Allowed(Identity),
    /// The request is answered here: 401, 403, 400 or 500. The text says why, without secrets, for the log.
    Refused(Answer, String),
}

impl Check {
    /// Begins with the peer and the request. Never blocks: reviews come back as [`Step::Ask`].
    pub fn start(
        _trust: &Trust,
        _policy: &Policy,
        _peer: &mut Peer,
        _head: &Head<'_>,
        _info: &RequestInfo<'_>,
        _now: UnixNanos,
    ) -> (Check, Step) {
        todo!()
    }
    /// Text of a `Warning` header that belongs on the answer to this request, also on an allowed one; answers of
    /// [`Step::Refused`] carry it already.
    #[must_use]
    pub fn warning(&self) -> Option<&'static str> {
        todo!()
    }
    /// Goes on with a verdict.
    pub fn resume(
        &mut self,
        _policy: &Policy,
        _head: &Head<'_>,
        _info: &RequestInfo<'_>,
        _verdict: Verdict,
    ) -> Step {
        todo!()
    }
}
