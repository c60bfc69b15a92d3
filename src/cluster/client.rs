//! The API server: base URL, credentials, and what its refusals mean.
//!
//! Three kubeconfigs may name three of them (inventory, authentication, authorization); equal ones share one client.
//! Bodies are read by the callers, each under a limit of its own.

use super::kubeconfig::Access;
use crate::limits;
use crate::net::credentials::{Credentials, Material, Roots};
use crate::net::fetch::{Exchange, FetchError, Fetcher, Reason, RemoteHost, Request};
use crate::source::remedy::{KubeletTerms, KubeletVerification};
use crate::units::UnixNanos;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The form of small documents.
pub(super) const JSON: &str = "application/json";

/// One API server and our way to log in.
pub struct ApiServer {
    base: String,
    fetcher: Arc<Fetcher>,
    peer: RemoteHost,
}

impl ApiServer {
    /// A client for what a kubeconfig says.
    ///
    /// # Errors
    /// Which certificate, key or authority cannot be used, and why.
    pub fn new(access: Access) -> Result<ApiServer, String> {
        Ok(ApiServer {
            base: access.server,
            fetcher: Arc::new(Fetcher::new(access.credentials)?),
            peer: RemoteHost::default(),
        })
    }

    /// Base URL without a trailing slash.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// What sends its requests, for its node proxy.
    #[must_use]
    pub fn fetcher(&self) -> Arc<Fetcher> {
        self.fetcher.clone()
    }

    /// Asks for `path` (with query). Without `timeout` the body may take any time: for watches.
    ///
    /// # Errors
    /// There is no answer; any status is one.
    pub fn get(&self, path: &str, accept: &str, timeout: Option<Duration>) -> Result<Exchange, FetchError> {
        let url = format!("{}{path}", self.base);
        // A watch is bounded in time by its own query, not in bytes.
        let limit = if timeout.is_some() { limits::API_BODY_LEN_MAX } else { u64::MAX };
        self.fetcher.send(&self.peer, &Request { accept, ..Request::get(&url, timeout, limit) })
    }

    /// Asks for a small JSON document.
    ///
    /// # Errors
    /// There is no answer; any status is one.
    pub fn document(&self, path: &str, timeout: Duration) -> Result<Exchange, FetchError> {
        self.send("GET", path, JSON, None, timeout)
    }

    /// Posts a JSON document and asks for one.
    ///
    /// # Errors
    /// There is no answer; any status is one.
    pub fn post(&self, path: &str, document: &str, timeout: Duration) -> Result<Exchange, FetchError> {
        self.send("POST", path, JSON, Some((JSON, document.as_bytes())), timeout)
    }

    /// Sends a request with any method, for a small answer; a body comes with its content type.
    ///
    /// # Errors
    /// There is no answer; any status is one.
    pub fn send(
        &self,
        method: &'static str,
        path: &str,
        accept: &str,
        body: Option<(&str, &[u8])>,
        timeout: Duration,
    ) -> Result<Exchange, FetchError> {
        let url = format!("{}{path}", self.base);
        let request = Request::get(&url, Some(timeout), limits::REVIEW_LEN_MAX);
        self.fetcher.send(&self.peer, &Request { method, accept, body, ..request })
    }

    /// The end of our own certificate; `None` without one.
    #[must_use]
    pub fn certificate_end(&self) -> Option<UnixNanos> {
        self.fetcher.certificate_end()
    }

    /// Reads our credentials again before the next request.
    pub fn look_again(&self) {
        self.fetcher.look_again();
    }

    /// Ends every request under way: for the end of the process.
    pub fn stop(&self) {
        self.peer.stop();
    }
}

/// What an administrator can do about a request that failed; `right` names the permission a 403 asks for.
#[must_use]
pub fn hint(reason: Reason, right: &str) -> String {
    let hint = match reason {
        Reason::Forbidden => return format!("allow {right} (RBAC)"),
        Reason::Unauthorized => {
            "the token or client certificate is not accepted: has it expired, or is it another cluster's?"
        }
        Reason::Untrusted | Reason::KeyChanged => {
            "certificate-authority(-data) of the kubeconfig is not the one that signed its certificate"
        }
        Reason::NotForServers => {
            "issue the server's certificate again with extendedKeyUsage=serverAuth, or without that extension"
        }
        Reason::WrongName => {
            "the server's certificate does not name this address: use one it names, or tls-server-name"
        }
        Reason::Expired => "compare the clocks of both machines, and renew the server's certificate",
        Reason::Tls => "is the server's address an https port, and the client certificate valid?",
        Reason::Dns | Reason::Refused | Reason::Timeout => {
            "is the API server up, and its address reachable from here?"
        }
        Reason::Redirect | Reason::Body | Reason::Empty | Reason::NotFound => {
            "does the server's address point at a Kubernetes API server?"
        }
        Reason::Gone | Reason::Busy | Reason::ServerTimeout | Reason::Status | Reason::TooLarge => {
            "see the API server's log"
        }
        Reason::Disconnected | Reason::Io => "the API server may be restarting",
    };
    hint.to_owned()
}

/// The kubelet flags that change what kubelets are shown and asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KubeletFlags {
    /// `--kubelet-certificate-authority`.
    pub certificate_authority: Option<PathBuf>,
    /// `--kubelet-client-certificate` and `--kubelet-client-key`.
    pub pair: Option<(PathBuf, PathBuf)>,
    /// The file of `--kubelet-pin`, when that is given.
    pub pins: Option<PathBuf>,
    /// `--kubelet-insecure-tls`.
    pub insecure_tls: bool,
    /// `--deprecated-kubelet-completely-insecure`: plain `http`, nothing presented.
    pub completely_insecure: bool,
}

/// Credentials for kubelets: those for the API server, changed by flags. The kubeconfig's `tls-server-name` is the API
/// server's alone. Deviation: metrics-server hands it on to kubelets, whose certificates never carry it.
#[must_use]
pub fn kubelet_credentials(api_server: &Credentials, flags: &KubeletFlags) -> Credentials {
    if flags.completely_insecure {
        return Credentials::none();
    }
    let file = |path: &PathBuf| Material::File(path.clone());
    let roots = match &flags.certificate_authority {
        // With pins the key alone decides, after the handshake.
        _ if flags.insecure_tls || flags.pins.is_some() => Roots::Any,
        Some(path) => Roots::Pem(file(path)),
        None => api_server.roots.clone(),
    };
    let pair = match &flags.pair {
        Some((certificate, key)) => Some((file(certificate), file(key))),
        None => api_server.pair.clone(),
    };
    Credentials { roots, pair, token: api_server.token.clone(), server_name: None, token_in_clear: false }
}

/// What kubelets are shown and how they are verified, for remedies.
#[must_use]
pub fn kubelet_terms(credentials: &Credentials, flags: &KubeletFlags) -> KubeletTerms {
    let verification = match (&credentials.roots, &flags.certificate_authority) {
        _ if flags.completely_insecure => KubeletVerification::PlainHttp,
        _ if flags.pins.is_some() => KubeletVerification::Pinned,
        (Roots::Any, _) => KubeletVerification::Off,
        (_, Some(_)) => KubeletVerification::AuthorityFile,
        (_, None) => KubeletVerification::ClusterAuthority,
    };
    KubeletTerms { token: credentials.token.is_some(), certificate: credentials.pair.is_some(), verification }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api_server() -> Credentials {
        Credentials {
            roots: Roots::Pem(Material::inline("ca")),
            pair: Some((Material::inline("c"), Material::inline("k"))),
            token: Some(Material::inline("t")),
            server_name: Some("kubernetes".to_owned()),
            token_in_clear: true,
        }
    }

    #[test]
    fn kubelets_see_the_api_servers_credentials_but_never_in_clear() {
        let credentials = kubelet_credentials(&api_server(), &KubeletFlags::default());
        assert!(credentials.roots == api_server().roots && credentials.pair == api_server().pair);
        assert!(credentials.token == api_server().token);
        assert!(!credentials.token_in_clear && credentials.server_name.is_none());
    }

    #[test]
    fn flags_replace_authority_and_certificate() {
        let pair = Some(("/c".into(), "/k".into()));
        let flags =
            KubeletFlags { certificate_authority: Some("/ca".into()), pair, ..KubeletFlags::default() };
        let credentials = kubelet_credentials(&api_server(), &flags);
        assert!(credentials.roots == Roots::Pem(Material::File("/ca".into())));
        assert!(credentials.pair == Some((Material::File("/c".into()), Material::File("/k".into()))));
        let flags = KubeletFlags { insecure_tls: true, ..KubeletFlags::default() };
        assert!(kubelet_credentials(&api_server(), &flags).roots == Roots::Any);
    }

    #[test]
    fn completely_insecure_presents_nothing() {
        let flags = KubeletFlags { completely_insecure: true, ..KubeletFlags::default() };
        let credentials = kubelet_credentials(&api_server(), &flags);
        assert!(
            credentials.token.is_none() && credentials.pair.is_none() && credentials.roots == Roots::None
        );
    }
}
