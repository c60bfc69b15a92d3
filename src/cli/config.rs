//! The effective configuration: typed, complete, and free of contradictions.
//!
//! The rules between flags (`rules`) are checked in metrics-server's order (kubelet options, resolution, logging,
//! serving) and the first mistake is the start-up error. Nothing here reads a file: that a named file is there is `check`'s business and that of who opens it.

use super::args::Args;
use super::argv::Settled;
use super::error::StartError;
use super::mode::{self, Mode, Surroundings};
use super::rules::Rules;
use crate::net::certificate::{CertificateSettings, SniCertificate};
use crate::net::tls::TlsSettings;
use crate::store::Capacity;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Everything the program needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What is measured.
    pub mode: Mode,
    /// Why, for `check`.
    pub mode_reason: &'static str,
    /// Where to listen; an unspecified address means every address of both families.
    pub listen: SocketAddr,
    /// Set SO_REUSEPORT on the listener.
    pub reuse_port: bool,
    /// Connections served at a time.
    pub max_connections: u32,
    /// Requests answered at a time; zero lifts the limit, as upstream.
    pub max_requests: u32,
    /// Time between two scrapes of a node; at least 10 s.
    pub resolution: Duration,
    /// Longest time an answer may take.
    pub request_timeout: Duration,
    /// Time to go on serving after the signal to stop.
    pub shutdown_delay: Duration,
    /// How much the store may hold.
    pub capacity: Capacity,
    /// Directory for files kept between runs.
    pub state_dir: Option<PathBuf>,
    /// How kubelets are asked.
    pub kubelet: Kubelet,
    /// TLS of the listener.
    pub serving: Serving,
    /// Who is asking.
    pub authentication: Authentication,
    /// Whether they may.
    pub authorization: Authorization,
    /// What is logged, and how.
    pub log: Log,
    /// Lines to log as warnings at the start.
    pub warnings: Vec<String>,
}

/// How kubelets are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kubelet {
    /// Port, where the node's status is not used or names none.
    pub port: u16,
    /// Prefer the port of the node's status.
    pub use_node_status_port: bool,
    /// Address types in order of preference; never validated, as upstream.
    pub address_types: Vec<String>,
    /// Whether and how the kubelet's certificate is verified.
    pub trust: KubeletTrust,
    /// Client certificate and key files that replace those of the API server's client.
    pub client_pair: Option<(PathBuf, PathBuf)>,
    /// Longest time of one scrape.
    pub request_timeout: Duration,
    /// Label selector of the nodes as text, trimmed, for the API server; empty selects all.
    pub node_selector: String,
}

/// How far a kubelet is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KubeletTrust {
    /// Its certificate chains to the CA of the API server's client.
    ApiServerCa,
    /// Its certificate chains to a CA of this file.
    CaFile(PathBuf),
    /// Any certificate will do; no CA is used.
    AnyCertificate,
    /// Plain HTTP, and no credentials of any kind are sent.
    PlainHttp,
}

/// TLS of the listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serving {
    /// The certificate for names that no other covers.
    pub certificate: Certificate,
    /// More certificates by server name.
    pub sni: Vec<SniCertificate>,
    /// Protocol versions and cipher suites.
    pub tls: TlsSettings,
}

impl Serving {
    /// The settings of the certificates in force; `names` are those of a certificate made here.
    #[must_use]
    pub fn certificates(&self, names: Vec<String>) -> CertificateSettings {
        let sni = self.sni.clone();
        let mut settings = CertificateSettings { sni, names, ..CertificateSettings::default() };
        match &self.certificate {
            Certificate::Files { certificate, key } => {
                settings.cert_file.clone_from(certificate);
                settings.key_file.clone_from(key);
            }
            Certificate::Directory(directory) => settings.cert_dir = Some(directory.clone()),
            Certificate::Ephemeral => {}
        }
        settings
    }
}

/// Where the serving certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// Files, watched for change.
    Files {
        /// Certificate chain.
        certificate: PathBuf,
        /// Private key.
        key: PathBuf,
    },
    /// `apiserver.crt` and `apiserver.key` of this directory, made there when they are missing.
    Directory(PathBuf),
    /// Self-signed, made at every start, never written.
    Ephemeral,
}

/// Who is asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authentication {
    /// kubeconfig of the TokenReview client; `None`: the in-cluster client, or nobody is asked (host-only).
    pub kubeconfig: Option<PathBuf>,
    /// Do not read the authentication ConfigMap.
    pub skip_lookup: bool,
    /// Serve although the ConfigMap cannot be read.
    pub tolerate_lookup_failure: bool,
    /// Time a TokenReview's answer is kept.
    pub token_ttl: Duration,
    /// CA file of client certificates that identify a user.
    pub client_ca: Option<PathBuf>,
    /// The front proxy.
    pub request_header: RequestHeader,
}

/// The front proxy by flags; without `ca` it comes from the ConfigMap, and the rest of this struct is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// CA file.
    pub ca: Option<PathBuf>,
    /// Allowed common names; empty: any.
    pub allowed_names: Vec<String>,
    /// User headers.
    pub username_headers: Vec<String>,
    /// Group headers.
    pub group_headers: Vec<String>,
    /// UID headers.
    pub uid_headers: Vec<String>,
    /// Prefixes of extra headers.
    pub extra_prefixes: Vec<String>,
}

/// Whether they may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    /// kubeconfig of the SubjectAccessReview client; `None`: the in-cluster client, or nobody is asked (host-only).
    pub kubeconfig: Option<PathBuf>,
    /// Paths anyone may ask for; a trailing `*` matches any end.
    pub always_allow_paths: Vec<String>,
    /// Time a granting review is kept.
    pub authorized_ttl: Duration,
    /// Time a refusing review is kept.
    pub unauthorized_ttl: Duration,
}

/// What is logged, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// `-v`.
    pub verbosity: u32,
    /// JSON lines in place of text.
    pub json: bool,
}

/// Builds the configuration.
/// # Errors
/// The first rule that is broken.
pub fn build(args: &Args, settled: &Settled, around: &Surroundings) -> Result<Config, StartError> {
    let rules = Rules { args, settled };
    if let Some(error) = rules.kubelet().into_iter().chain(rules.resolution()).next() {
        return Err(error);
    }
    rules.logging()?;
    rules.durations()?;
    rules.node_selector()?;
    rules.always_allow_paths()?;
    let decision = mode::decide(args.host_only, &args.kubeconfig, around)?;
    let listen = rules.listen(&decision.mode)?;
    let state_dir =
        path(&args.state_dir).or_else(|| around.state_directory.as_deref().and_then(state_directory));
    let mut warnings: Vec<String> = decision.warning.into_iter().collect();
    warnings.extend(rules.ignored());
    let kubeconfig = match &decision.mode {
        Mode::Kubeconfig { path } => Some(path.clone()),
        Mode::InCluster { .. } | Mode::HostOnly => None,
    };
    Ok(Config {
        listen,
        reuse_port: args.permit_port_sharing,
        max_connections: rules.at_least_one("max-connections", args.max_connections)?,
        max_requests: args.max_requests_inflight,
        resolution: rules.time_between_scrapes().duration(),
        request_timeout: args.request_timeout.duration(),
        shutdown_delay: args.shutdown_delay_duration.duration(),
        capacity: rules.capacity()?,
        kubelet: kubelet(args),
        serving: rules.serving(&decision.mode, state_dir.as_ref())?,
        authentication: authentication(args, kubeconfig.clone()),
        authorization: Authorization {
            kubeconfig: path(&args.authorization_kubeconfig).or(kubeconfig),
            always_allow_paths: args.authorization_always_allow_paths.0.clone(),
            authorized_ttl: args.authorization_webhook_cache_authorized_ttl.duration(),
            unauthorized_ttl: args.authorization_webhook_cache_unauthorized_ttl.duration(),
        },
        log: Log { verbosity: args.v, json: args.logging_format == "json" },
        mode: decision.mode,
        mode_reason: decision.reason,
        state_dir,
        warnings,
    })
}

/// A path, unless it is empty.
pub(super) fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| PathBuf::from(text))
}

/// systemd separates several directories by colons; the first is ours.
fn state_directory(variable: &str) -> Option<PathBuf> {
    path(variable.split(':').next().unwrap_or_default())
}

/// The kubelet client's settings; the flags do not contradict each other any more.
fn kubelet(args: &Args) -> Kubelet {
    let trust = if args.deprecated_kubelet_completely_insecure {
        KubeletTrust::PlainHttp
    } else if args.kubelet_insecure_tls {
        KubeletTrust::AnyCertificate
    } else {
        path(&args.kubelet_certificate_authority).map_or(KubeletTrust::ApiServerCa, KubeletTrust::CaFile)
    };
    Kubelet {
        port: args.kubelet_port,
        use_node_status_port: args.kubelet_use_node_status_port,
        address_types: args.kubelet_preferred_address_types.0.clone(),
        trust,
        client_pair: path(&args.kubelet_client_certificate).zip(path(&args.kubelet_client_key)),
        request_timeout: args.kubelet_request_timeout.duration(),
        node_selector: args.node_selector.trim().to_owned(),
    }
}

fn authentication(args: &Args, kubeconfig: Option<PathBuf>) -> Authentication {
    Authentication {
        kubeconfig: path(&args.authentication_kubeconfig).or(kubeconfig),
        skip_lookup: args.authentication_skip_lookup,
        tolerate_lookup_failure: args.authentication_tolerate_lookup_failure,
        token_ttl: args.authentication_token_webhook_cache_ttl.duration(),
        client_ca: path(&args.client_ca_file),
        request_header: RequestHeader {
            ca: path(&args.requestheader_client_ca_file),
            allowed_names: args.requestheader_allowed_names.0.clone(),
            username_headers: args.requestheader_username_headers.0.clone(),
            group_headers: args.requestheader_group_headers.0.clone(),
            uid_headers: args.requestheader_uid_headers.0.clone(),
            extra_prefixes: args.requestheader_extra_headers_prefix.0.clone(),
        },
    }
}

#[cfg(test)]
mod tests;
