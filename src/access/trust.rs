//! Whom to trust, and what a connection's certificates are worth under it.
//!
//! A [`Trust`] is immutable, shared and replaced whole on every change of configuration. A [`Peer`] remembers the
//! outcome of verifying its chain for one `Trust` (by a number no other `Trust` of the process has) and for at most
//! [`PEER_MEMO_SECS_MAX`], never beyond the validity of any certificate on the path: nothing of an identity survives a
//! rotation. Memory: the chain as the peer sent it, and one identity.

use super::chain::Pool;
use super::digest::{hex, sha256};
use super::subject::Subject;
use super::{FrontProxySettings, Identity};
use crate::limits::PEER_MEMO_SECS_MAX;
use crate::units::UnixNanos;
use crate::wire::x509::Certificate;
use std::sync::atomic::{AtomicU64, Ordering};

/// Whom to trust; built once for each change of configuration and shared.
pub struct Trust {
    generation: u64,
    front_proxy: Option<(Pool, FrontProxySettings)>,
    clients: Option<Pool>,
}

/// Every `Trust` of a process has a number of its own.
static GENERATIONS: AtomicU64 = AtomicU64::new(0);

impl Trust {
    /// Parses the bundles. Sections that are no certificates are passed over; an empty bundle counts as absent.
    /// # Errors
    /// Which bundle, and what is wrong with it.
    pub fn new(front_proxy: &FrontProxySettings, client_ca_pem: Option<&[u8]>) -> Result<Trust, String> {
        let pool = |pem: Option<&[u8]>, which: &str| match pem {
            Some(pem) if !pem.trim_ascii().is_empty() => {
                Pool::parse(pem).map(Some).map_err(|error| format!("{which} CA bundle: {error}"))
            }
            _ => Ok(None),
        };
        let settings = FrontProxySettings {
            ca_pem: None,
            allowed_names: front_proxy.allowed_names.clone(),
            username_headers: names(&front_proxy.username_headers),
            group_headers: names(&front_proxy.group_headers),
            extra_prefixes: names(&front_proxy.extra_prefixes),
            uid_headers: names(&front_proxy.uid_headers),
        };
        Ok(Trust {
            generation: GENERATIONS.fetch_add(1, Ordering::Relaxed),
            front_proxy: pool(front_proxy.ca_pem.as_deref(), "front proxy")?.map(|pool| (pool, settings)),
            clients: pool(client_ca_pem, "client")?,
        })
    }

    /// The front proxy's settings, when there is a front proxy.
    pub(super) fn front_proxy(&self) -> Option<&FrontProxySettings> {
        self.front_proxy.as_ref().map(|(_, settings)| settings)
    }
}

/// Header names without blanks; an empty one would match every header.
fn names(names: &[String]) -> Vec<String> {
    names.iter().map(|name| name.trim()).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// What one step of authentication says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Opinion<T> {
    /// Yes.
    Is(T),
    /// Nothing to say: no credentials of this kind, or not configured.
    None,
    /// Credentials that are wrong, and why.
    Error(String),
}

/// What a peer's certificates are worth.
#[derive(Debug)]
pub(super) struct Verified {
    /// The peer is the front proxy: it may say who asks.
    pub(super) front_proxy: Opinion<()>,
    /// The peer is a client with a certificate of its own.
    pub(super) client: Opinion<Identity>,
}

/// The peer of one connection: its certificate chain, and what was found out about it under one configuration.
///
/// Make one for each connection and hand it to every request on it: chains are then verified once for each connection
/// and each change of [`Trust`], and again after a minute. Nothing of an identity outlives its `Trust`.
pub struct Peer {
    chain: Vec<Vec<u8>>,
    memo: Option<Memo>,
    is_local: bool,
}

struct Memo {
    generation: u64,
    since: UnixNanos,
    until: UnixNanos,
    verified: Verified,
}

impl Peer {
    /// A peer with its certificates (DER, leaf first); empty when it sent none.
    #[must_use]
    pub fn new(chain: Vec<Vec<u8>>) -> Peer {
        Peer { chain, memo: None, is_local: false }
    }

    /// A peer on the local socket, whom the mode of its file has admitted.
    #[must_use]
    pub fn local() -> Peer {
        Peer { is_local: true, ..Peer::new(Vec::new()) }
    }

    /// Whether the peer is on the local socket.
    pub(super) fn is_local(&self) -> bool {
        self.is_local
    }

    /// Whether the peer sent a certificate.
    #[must_use]
    pub fn has_certificate(&self) -> bool {
        !self.chain.is_empty()
    }

    /// Verifies the chain against both pools, or remembers what came of it.
    pub(super) fn verify(&mut self, trust: &Trust, now: UnixNanos) -> &Verified {
        let is_fresh =
            |memo: &Memo| memo.generation == trust.generation && memo.since <= now && now <= memo.until;
        let memo = match self.memo.take() {
            Some(memo) if is_fresh(&memo) => memo,
            _ => verify_chain(&self.chain, trust, now),
        };
        &self.memo.insert(memo).verified
    }
}

fn verify_chain(chain: &[Vec<u8>], trust: &Trust, now: UnixNanos) -> Memo {
    let mut until = UnixNanos(now.0.saturating_add(PEER_MEMO_SECS_MAX * 1_000_000_000));
    let mut verified = Verified { front_proxy: Opinion::None, client: Opinion::None };
    if let Some(leaf) = chain.first() {
        let mut prove = |pool: &Pool| pool.verify(chain, now).map(|end| until = until.min(end));
        if let Some((pool, settings)) = &trust.front_proxy {
            let proven = prove(pool).and_then(|()| check_name(leaf, &settings.allowed_names));
            verified.front_proxy = proven.map_or_else(Opinion::Error, Opinion::Is);
        }
        if let Some(pool) = &trust.clients {
            verified.client = prove(pool).map_or_else(Opinion::Error, |()| identity_of(leaf));
        }
    }
    Memo { generation: trust.generation, since: now, until, verified }
}

fn subject_of(leaf: &[u8]) -> Result<Subject, String> {
    Certificate::parse(leaf)
        .and_then(|certificate| Subject::parse(certificate.subject))
        .ok_or_else(|| "the subject of the certificate is malformed".to_owned())
}

fn check_name(leaf: &[u8], allowed: &[String]) -> Result<(), String> {
    let name = subject_of(leaf)?.common_name;
    if allowed.is_empty() || allowed.contains(&name) {
        return Ok(());
    }
    Err(format!("common name {name:?} is not one of the allowed names"))
}

/// The identity a verified client certificate stands for.
fn identity_of(leaf: &[u8]) -> Opinion<Identity> {
    let mut subject = match subject_of(leaf) {
        Ok(subject) => subject,
        Err(error) => return Opinion::Error(error),
    };
    if subject.common_name.is_empty() {
        return Opinion::None;
    }
    let uid = match subject.uids.as_mut_slice() {
        [] => String::new(),
        [uid] if !uid.is_empty() => std::mem::take(uid),
        [_] => return Opinion::Error("the UID in the subject of the certificate is empty".to_owned()),
        _ => return Opinion::Error("the subject of the certificate has more than one UID".to_owned()),
    };
    let credential = format!("X509SHA256={}", hex(&sha256(leaf)));
    Opinion::Is(Identity {
        user: subject.common_name,
        uid,
        groups: subject.organizations,
        extra: vec![("authentication.kubernetes.io/credential-id".to_owned(), vec![credential])],
    })
}

#[cfg(test)]
mod tests;
