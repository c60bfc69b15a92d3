//! The effective configuration: typed, complete, and free of contradictions.
//!
//! Rules are checked in metrics-server's order (kubelet options, resolution, logging, serving) and the first mistake is
//! the start-up error. Nothing here reads a file: that a named file is there is `check`'s business and that of who opens it.

use super::args::Args;
use super::argv::Settled;
use super::error::{Origin, StartError};
use super::flags::Effect;
use super::mode::{self, Mode, Surroundings};
use crate::net::tls::{self, TlsSettings};
use crate::store::Capacity;
use crate::wire::selector::LabelSelector;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
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
    /// Compress large answers for clients that ask.
    pub gzip: bool,
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

/// A certificate for some server names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SniCertificate {
    /// Certificate chain.
    pub certificate: PathBuf,
    /// Private key.
    pub key: PathBuf,
    /// Server names, possibly with a leading `*.`; empty: those of the certificate.
    pub names: Vec<String>,
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
        gzip: args.gzip,
        resolution: args.metric_resolution.duration(),
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

fn path(text: &str) -> Option<PathBuf> {
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

/// The rules between flags.
struct Rules<'a> {
    args: &'a Args,
    settled: &'a Settled,
}

impl Rules<'_> {
    /// Where a flag's value came from.
    fn origin(&self, name: &str) -> Origin {
        let setting = self.settled.settings.iter().find(|setting| setting.flag.name == name);
        setting.map_or(Origin::Default, |setting| setting.origin.clone())
    }

    fn given(&self, name: &str) -> bool {
        self.origin(name) != Origin::Default
    }

    fn error(&self, name: &str, problem: impl Into<String>, remedy: &str) -> StartError {
        StartError::new(format!("--{name}"), self.origin(name), problem, remedy)
    }

    /// Every broken rule of the kubelet flags, in metrics-server's order.
    fn kubelet(&self) -> Vec<StartError> {
        const CA: &str = "kubelet-certificate-authority";
        const CERTIFICATE: &str = "kubelet-client-certificate";
        const KEY: &str = "kubelet-client-key";
        const ANY: &str = "kubelet-insecure-tls";
        const PLAIN: &str = "deprecated-kubelet-completely-insecure";
        let args = self.args;
        let ca = !args.kubelet_certificate_authority.is_empty();
        let certificate = !args.kubelet_client_certificate.is_empty();
        let key = !args.kubelet_client_key.is_empty();
        let (any, plain) = (args.kubelet_insecure_tls, args.deprecated_kubelet_completely_insecure);
        let exclude = |both: bool, one: &str, other: &str| {
            let problem = || format!("cannot be used together with --{other}");
            both.then(|| self.error(one, problem(), "leave one of them out"))
        };
        let needs = |one: &str, other: &str| {
            self.error(one, format!("needs --{other} as well"), "give both files, or none")
        };
        let half_pair = match (certificate, key) {
            (true, false) => Some(needs(CERTIFICATE, KEY)),
            (false, true) => Some(needs(KEY, CERTIFICATE)),
            _ => None,
        };
        let no_time = (args.kubelet_request_timeout.0 <= 0).then(|| {
            self.error("kubelet-request-timeout", "must be more than zero", "give a time such as 10s")
        });
        let rules = [
            exclude(ca && any, CA, ANY),
            half_pair,
            exclude(key && plain, KEY, PLAIN),
            exclude(certificate && plain, CERTIFICATE, PLAIN),
            exclude(any && plain, ANY, PLAIN),
            exclude(ca && plain, CA, PLAIN),
            no_time,
        ];
        rules.into_iter().flatten().collect()
    }

    /// Every broken rule of the resolution.
    fn resolution(&self) -> Vec<StartError> {
        const NAME: &str = "metric-resolution";
        let resolution = self.args.metric_resolution.0;
        let timeout = self.args.kubelet_request_timeout.0;
        let mut errors = Vec::new();
        if resolution < 10_000_000_000 {
            errors.push(self.error(NAME, "must be at least 10s", "15s is what Kubernetes deploys"));
        }
        if i128::from(resolution) * 9 / 10 < i128::from(timeout) {
            let problem = "nine tenths of it must not be less than --kubelet-request-timeout";
            errors.push(self.error(
                NAME,
                problem,
                "raise --metric-resolution or lower --kubelet-request-timeout",
            ));
        }
        errors
    }

    fn node_selector(&self) -> Result<(), StartError> {
        LabelSelector::parse(self.args.node_selector.trim())
            .map(drop)
            .map_err(|text| self.error("node-selector", text, "write it as for kubectl get nodes -l"))
    }

    fn logging(&self) -> Result<(), StartError> {
        match self.args.logging_format.as_str() {
            "text" | "json" => Ok(()),
            other => Err(self.error("logging-format", format!("`{other}` is no format"), "use text or json")),
        }
    }

    fn durations(&self) -> Result<(), StartError> {
        let args = self.args;
        if args.request_timeout.0 <= 0 {
            return Err(self.error("request-timeout", "must be more than zero", "give a time such as 1m0s"));
        }
        for (name, value) in [
            ("shutdown-delay-duration", args.shutdown_delay_duration),
            ("authentication-token-webhook-cache-ttl", args.authentication_token_webhook_cache_ttl),
            ("authorization-webhook-cache-authorized-ttl", args.authorization_webhook_cache_authorized_ttl),
            (
                "authorization-webhook-cache-unauthorized-ttl",
                args.authorization_webhook_cache_unauthorized_ttl,
            ),
        ] {
            if value.0 < 0 {
                return Err(self.error(name, "must not be negative", "0s switches it off"));
            }
        }
        if args.kubelet_port == 0 {
            return Err(self.error("kubelet-port", "0 is no port", "kubelets listen on 10250"));
        }
        Ok(())
    }

    /// The listening address: metrics-server's defaults in a cluster, loopback for one machine.
    fn listen(&self, mode: &Mode) -> Result<SocketAddr, StartError> {
        let host_only = *mode == Mode::HostOnly;
        let address = if host_only && !self.given("bind-address") {
            IpAddr::V4(Ipv4Addr::LOCALHOST)
        } else {
            self.args.bind_address
        };
        let port =
            if host_only && !self.given("secure-port") { HOST_ONLY_PORT } else { self.args.secure_port };
        if port == 0 {
            let remedy = "give the port to serve on, or leave the flag out";
            return Err(self.error("secure-port", "0 would serve nothing", remedy));
        }
        if host_only && !address.is_loopback() && self.args.client_ca_file.is_empty() {
            let problem =
                format!("{address} is not a loopback address, and without a cluster nobody says who may ask");
            let remedy =
                "give --client-ca-file to admit holders of its certificates, or leave --bind-address out";
            return Err(self.error("bind-address", problem, remedy));
        }
        Ok(SocketAddr::new(address, port))
    }

    fn at_least_one(&self, name: &str, value: u32) -> Result<u32, StartError> {
        if value == 0 {
            return Err(self.error(name, "must be at least 1", "leave the flag out for the default"));
        }
        Ok(value)
    }

    fn capacity(&self) -> Result<Capacity, StartError> {
        let nodes = self.at_least_one("max-nodes", self.args.max_nodes)?;
        let pods = self.at_least_one("max-pods", self.args.max_pods)?;
        let containers = self.at_least_one("max-containers", self.args.max_containers)?;
        Ok(Capacity { nodes, pods, containers, text_len: text_len(nodes, pods, containers) })
    }

    fn serving(&self, mode: &Mode, state_dir: Option<&PathBuf>) -> Result<Serving, StartError> {
        let args = self.args;
        let certificate = match (path(&args.tls_cert_file), path(&args.tls_private_key_file)) {
            (Some(certificate), Some(key)) => Certificate::Files { certificate, key },
            (Some(_), None) => {
                return Err(self.error(
                    "tls-cert-file",
                    "needs --tls-private-key-file as well",
                    "give both files",
                ));
            }
            (None, Some(_)) => {
                return Err(self.error(
                    "tls-private-key-file",
                    "needs --tls-cert-file as well",
                    "give both files",
                ));
            }
            (None, None) if self.given("cert-dir") && args.cert_dir.is_empty() => Certificate::Ephemeral,
            (None, None) if self.given("cert-dir") => Certificate::Directory(PathBuf::from(&args.cert_dir)),
            (None, None) => match state_dir {
                Some(state_dir) => Certificate::Directory(state_dir.clone()),
                // A bare `toplet` leaves nothing behind.
                None if *mode == Mode::HostOnly => Certificate::Ephemeral,
                None => Certificate::Directory(PathBuf::from(&args.cert_dir)),
            },
        };
        let sni = args.tls_sni_cert_key.iter().filter(|value| !value.is_empty()).map(|value| self.sni(value));
        Ok(Serving { certificate, sni: sni.collect::<Result<_, _>>()?, tls: self.tls()? })
    }

    fn tls(&self) -> Result<TlsSettings, StartError> {
        // These texts name the flag and the way out themselves.
        let wrong = |name: &str| {
            let origin = self.origin(name);
            move |text: String| StartError::new("", origin, text, "")
        };
        let cipher_suites = self.args.tls_cipher_suites.0.clone();
        tls::known_suites(&cipher_suites).map_err(wrong("tls-cipher-suites"))?;
        let min_version = tls::min_version(&self.args.tls_min_version).map_err(wrong("tls-min-version"))?;
        Ok(TlsSettings { min_version, cipher_suites })
    }

    /// `crt,key[:domain,...]`.
    fn sni(&self, value: &str) -> Result<SniCertificate, StartError> {
        let (files, names) = value.split_once(':').unwrap_or((value, ""));
        match files.split_once(',') {
            Some((certificate, key)) if !certificate.is_empty() && !key.is_empty() && !key.contains(',') => {
                Ok(SniCertificate {
                    certificate: PathBuf::from(certificate),
                    key: PathBuf::from(key),
                    names: names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
                })
            }
            _ => {
                let problem = format!("`{value}` is not a certificate file, a comma and a key file");
                Err(self.error("tls-sni-cert-key", problem, "write crt,key or crt,key:name,name"))
            }
        }
    }

    /// One warning for all flags that were given a value of their own and have nothing to do.
    fn ignored(&self) -> Option<String> {
        let names: Vec<String> = self
            .settled
            .settings
            .iter()
            .filter(|setting| setting.flag.effect == Effect::Ignored && setting.origin != Origin::Default)
            .filter(|setting| setting.text() != setting.flag.default)
            .map(|setting| format!("--{}", setting.flag.name))
            .collect();
        (!names.is_empty())
            .then(|| format!("Flags accepted without effect (toplet --help says why): {}", names.join(", ")))
    }
}

/// Port of one machine's own service: 443 needs root.
const HOST_ONLY_PORT: u16 = 4443;

/// Bytes of names and labels that go with so many objects.
fn text_len(nodes: u32, pods: u32, containers: u32) -> u32 {
    use crate::limits::{CONTAINER_TEXT_LEN, NODE_TEXT_LEN, POD_TEXT_LEN};
    let sum = u64::from(nodes) * NODE_TEXT_LEN
        + u64::from(pods) * POD_TEXT_LEN
        + u64::from(containers) * CONTAINER_TEXT_LEN;
    u32::try_from(sum).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
