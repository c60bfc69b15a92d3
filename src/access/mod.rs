//! Who may ask: identities, policy, reviews and their caches. Pure: reviews are asked for as values and answered later.
//!
//! A request goes certificate chain (`trust`, `chain`) -> identity (`identity`) -> policy (`policy`) -> review
//! ([`review`], remembered in [`cache`]); `check` drives it, and a refusal is a value ([`denial`]). A wrong step here is
//! a privilege escalation: whatever is malformed, unknown or out of time is refused. Source of the rules: Kubernetes'
//! delegated authentication and authorization (`k8s.io/apiserver` 0.36), as in metrics-server.

pub mod cache;
mod chain;
mod check;
pub mod denial;
pub mod digest;
mod identity;
mod policy;
pub mod review;
mod subject;
#[cfg(test)]
mod testing;
mod trust;

pub use check::{Check, Step};
pub use denial::Denial;
pub use trust::{Peer, Trust};

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
    /// No cluster: a certificate of `--client-ca-file` may read; the always-allowed paths stay open.
    HostClientCertificate,
}
