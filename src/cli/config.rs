//! The effective configuration: typed, complete, and free of contradictions.
//!
//! It consists of the option structs of those who act on it; a flag's value is read here once. The rules between flags
//! (`rules`) are checked in metrics-server's order (kubelet options, resolution, logging, serving) and the first mistake is
//! the error. Nothing here reads a file: the code that opens a named file reports what is wrong with it.

use super::argv::Settled;
use super::error::StartError;
use super::mode::{self, RunMode, Surroundings};
use super::{effective, rules, value};
use crate::access::cache::Lifetimes;
use crate::access::{self, FrontProxySettings, Policy};
use crate::cluster::authentication::TrustSettings;
use crate::cluster::client::KubeletFlags;
use crate::net::certificate::{CertificateOrigin, CertificateSettings, SniCertificate};
use crate::net::pem::UNIT_CREDENTIALS;
use crate::net::tls::TlsSettings;
use crate::source::address;
use crate::store::Capacity;
use crate::wire::selector::LabelSelector;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Everything the program needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// What is measured.
    pub mode: RunMode,
    /// Why, for `check` and the log.
    pub mode_reason: &'static str,
    /// Where to listen; an unspecified address means every address of both families.
    pub listen: SocketAddr,
    /// Where clients of this machine connect without TLS.
    pub local_socket: Option<PathBuf>,
    /// It was given, so serving without it is an error.
    pub local_socket_is_chosen: bool,
    /// Set SO_REUSEPORT on the listener.
    pub reuse_port: bool,
    /// Connections served at a time.
    pub max_connections: u32,
    /// Requests answered at a time; zero lifts the limit, as for metrics-server.
    pub max_requests: u32,
    /// Time between two scrapes of a node; at least 10 s.
    pub resolution: Duration,
    /// Longest time an answer may take.
    pub request_timeout: Duration,
    /// Time to go on serving after the signal to stop.
    pub shutdown_delay: Duration,
    /// How much the store may hold.
    pub capacity: Capacity,
    /// Time for which points of a node that cannot be scraped are kept.
    pub grace: Duration,
    /// Samples kept of each node and container; 0: none.
    pub history_samples: u32,
    /// Serve `/metrics/usage`.
    pub usage_metrics: bool,
    /// Directory for files kept between runs.
    pub state_dir: Option<PathBuf>,
    /// Nodes to scrape and serve; matches all when empty.
    pub node_selector: LabelSelector,
    /// Where kubelets are asked.
    pub kubelet_addresses: address::Rules,
    /// What kubelets are shown, and how they are verified.
    pub kubelet_credentials: KubeletFlags,
    /// `--kubelet-gzip`.
    pub kubelet_gzip: bool,
    /// Longest time of one scrape.
    pub kubelet_timeout: Duration,
    /// Certificates of the listener; the names of one made here are filled in at the start.
    pub certificates: CertificateSettings,
    /// Protocol versions and cipher suites of the listener.
    pub tls: TlsSettings,
    /// kubeconfig of the TokenReview client; `None`: the in-cluster client, or no reviews (host-only).
    pub authentication_kubeconfig: Option<PathBuf>,
    /// kubeconfig of the SubjectAccessReview client; `None`: the in-cluster client, or no reviews (host-only).
    pub authorization_kubeconfig: Option<PathBuf>,
    /// Certificate authorities of clients and of the front proxy.
    pub trust: TrustSettings,
    /// Who may ask.
    pub policy: Policy,
    /// How long reviews are kept.
    pub lifetimes: Lifetimes,
    /// `-v`.
    pub log_verbosity: u32,
    /// JSON lines in place of text.
    pub log_json: bool,
    /// Lines to log as warnings at the start.
    pub warnings: Vec<String>,
}

impl Config {
    /// The kubeconfig, where it is systemd's copy: only a restart renews it.
    #[must_use]
    pub fn credential_copy(&self) -> Option<PathBuf> {
        match &self.mode {
            RunMode::Kubeconfig { path } => Some(path.clone()).filter(|p| p.starts_with(UNIT_CREDENTIALS)),
            RunMode::InCluster { .. } | RunMode::HostOnly => None,
        }
    }
}

/// Builds the configuration, and writes what was decided on the way back into `flags`.
/// # Errors
/// The first rule that is broken.
pub fn build(flags: &mut Settled, around: &Surroundings) -> Result<Config, StartError> {
    effective::resolution(flags)?;
    if let Some(error) = rules::kubelet(flags)?.into_iter().chain(rules::resolution(flags)?).next() {
        return Err(error);
    }
    rules::logging(flags)?;
    rules::durations(flags)?;
    let node_selector = node_selector(flags)?;
    let always_allow_paths = always_allow_paths(flags)?;
    let host_only = flags.read("host-only", value::switch)?;
    let decision = mode::decide(host_only, &flags.text("kubeconfig"), around)?;
    let mut warnings: Vec<String> = decision.warning.iter().cloned().collect();
    warnings.extend(rules::warnings(flags));
    effective::apply(flags, &decision, around);
    let flags = &*flags;
    let time = |name| flags.read(name, value::duration).map(value::Nanos::duration);
    let mode = decision.mode;
    Ok(Config {
        listen: rules::listen(flags, &mode)?,
        local_socket: flags.path("local-socket"),
        local_socket_is_chosen: flags.given("local-socket"),
        reuse_port: flags.read("permit-port-sharing", value::switch)?,
        max_connections: rules::count(flags, "max-connections", u32::MAX)?,
        max_requests: flags.read("max-requests-inflight", value::int)?,
        resolution: time("metric-resolution")?,
        request_timeout: time("request-timeout")?,
        shutdown_delay: time("shutdown-delay-duration")?,
        capacity: rules::capacity(flags)?,
        grace: time("grace-period")?,
        history_samples: rules::history_samples(flags)?,
        usage_metrics: flags.read("usage-metrics", value::switch)?,
        state_dir: flags.path("state-dir"),
        node_selector,
        kubelet_addresses: kubelet_addresses(flags)?,
        kubelet_credentials: kubelet_credentials(flags)?,
        kubelet_gzip: flags.read("kubelet-gzip", value::switch)?,
        kubelet_timeout: time("kubelet-request-timeout")?,
        certificates: certificates(flags)?,
        tls: rules::tls(flags)?,
        authentication_kubeconfig: flags.path("authentication-kubeconfig"),
        authorization_kubeconfig: flags.path("authorization-kubeconfig"),
        trust: trust(flags)?,
        policy: Policy { always_allow_paths, mode: access_mode(flags, &mode) },
        lifetimes: Lifetimes {
            token: time("authentication-token-webhook-cache-ttl")?,
            allowed: time("authorization-webhook-cache-authorized-ttl")?,
            denied: time("authorization-webhook-cache-unauthorized-ttl")?,
        },
        log_verbosity: flags.read("v", value::int)?,
        log_json: flags.text("logging-format") == "json",
        mode,
        mode_reason: decision.reason,
        warnings,
    })
}

fn node_selector(flags: &Settled) -> Result<LabelSelector, StartError> {
    LabelSelector::parse(flags.text("node-selector").trim())
        .map_err(|text| flags.error("node-selector", text, "write it as for kubectl get nodes -l"))
}

fn always_allow_paths(flags: &Settled) -> Result<Vec<String>, StartError> {
    const NAME: &str = "authorization-always-allow-paths";
    let paths = flags.read(NAME, value::list)?;
    Policy::check_paths(&paths)
        .map_err(|text| flags.error(NAME, text, "write one path for each place, such as /metrics/*"))?;
    Ok(paths)
}

fn access_mode(flags: &Settled, mode: &RunMode) -> access::Mode {
    match mode {
        RunMode::HostOnly if flags.text("client-ca-file").is_empty() => access::Mode::HostAnonymous,
        RunMode::HostOnly => access::Mode::HostClientCertificate,
        RunMode::InCluster { .. } | RunMode::Kubeconfig { .. } => access::Mode::Delegated,
    }
}

fn kubelet_addresses(flags: &Settled) -> Result<address::Rules, StartError> {
    Ok(address::Rules {
        https: !flags.read("deprecated-kubelet-completely-insecure", value::switch)?,
        port: flags.read("kubelet-port", value::port)?,
        use_status_port: flags.read("kubelet-use-node-status-port", value::switch)?,
        preferred_types: flags.read("kubelet-preferred-address-types", value::list)?,
        api_server: String::new(),
        via_apiserver: flags.read("kubelet-via-apiserver", value::switch)?,
    })
}

fn kubelet_credentials(flags: &Settled) -> Result<KubeletFlags, StartError> {
    let pins = match (flags.read("kubelet-pin", value::switch)?, flags.path("state-dir")) {
        (false, _) => None,
        (true, Some(directory)) => Some(directory.join("kubelet-pins")),
        (true, None) => {
            let problem = "needs a directory in which keys are remembered";
            return Err(flags.error("kubelet-pin", problem, "give --state-dir as well"));
        }
    };
    Ok(KubeletFlags {
        pins,
        certificate_authority: flags.path("kubelet-certificate-authority"),
        pair: flags.path("kubelet-client-certificate").zip(flags.path("kubelet-client-key")),
        insecure_tls: flags.read("kubelet-insecure-tls", value::switch)?,
        completely_insecure: flags.read("deprecated-kubelet-completely-insecure", value::switch)?,
    })
}

fn certificates(flags: &Settled) -> Result<CertificateSettings, StartError> {
    const SNI: &str = "tls-sni-cert-key";
    if let Some(error) = rules::half_pair(flags, "tls-cert-file", "tls-private-key-file") {
        return Err(error);
    }
    let origin =
        match (flags.path("tls-cert-file"), flags.path("tls-private-key-file"), flags.path("cert-dir")) {
            (Some(certificate), Some(key), _) => CertificateOrigin::Files(certificate, key),
            (_, _, Some(directory)) => CertificateOrigin::Directory(directory),
            (_, _, None) => CertificateOrigin::Memory,
        };
    let sni = |value: &String| {
        SniCertificate::parse(value).ok_or_else(|| {
            let problem = format!("`{value}` is not a certificate file, a comma and a key file");
            flags.error(SNI, problem, "write crt,key or crt,key:name,name")
        })
    };
    Ok(CertificateSettings {
        origin,
        sni: flags.repeated(SNI).iter().map(sni).collect::<Result<_, _>>()?,
        names: Vec::new(),
    })
}

fn trust(flags: &Settled) -> Result<TrustSettings, StartError> {
    let list = |name| flags.read(name, value::list);
    Ok(TrustSettings {
        skip_lookup: flags.read("authentication-skip-lookup", value::switch)?,
        tolerate_lookup_failure: flags.read("authentication-tolerate-lookup-failure", value::switch)?,
        client_ca_file: flags.path("client-ca-file"),
        front_proxy_ca_file: flags.path("requestheader-client-ca-file"),
        front_proxy: FrontProxySettings {
            ca_pem: None,
            allowed_names: list("requestheader-allowed-names")?,
            username_headers: list("requestheader-username-headers")?,
            group_headers: list("requestheader-group-headers")?,
            extra_prefixes: list("requestheader-extra-headers-prefix")?,
            uid_headers: list("requestheader-uid-headers")?,
        },
    })
}
