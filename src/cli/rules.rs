//! The rules between flags, in metrics-server's words and order.
//!
//! Each rule is a function of the typed flags; an error names the flag, where it was said and the way out.

use super::args::Args;
use super::argv::Settled;
use super::config::{Certificate, Serving, path};
use super::error::{Origin, StartError};
use super::flags::Effect;
use super::mode::Mode;
use super::value::Nanos;
use crate::access::Policy;
use crate::net::certificate::SniCertificate;
use crate::net::tls::{self, TlsSettings};
use crate::store::Capacity;
use crate::wire::selector::LabelSelector;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// The rules between flags.
pub(super) struct Rules<'a> {
    pub(super) args: &'a Args,
    pub(super) settled: &'a Settled,
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
    pub(super) fn kubelet(&self) -> Vec<StartError> {
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

    /// Time between two scrapes. Where a list of arguments leaves it to the default and its scrapes may take longer than
    /// ours allows, the reference's default of a minute counts, so that the list still starts.
    pub(super) fn time_between_scrapes(&self) -> Nanos {
        let default = self.args.metric_resolution;
        if self.given("metric-resolution") || fits(self.args.kubelet_request_timeout, default) {
            return default;
        }
        Nanos(60_000_000_000)
    }

    /// Every broken rule of the resolution.
    pub(super) fn resolution(&self) -> Vec<StartError> {
        const NAME: &str = "metric-resolution";
        let resolution = self.time_between_scrapes();
        let timeout = self.args.kubelet_request_timeout;
        let mut errors = Vec::new();
        if resolution.0 < 10_000_000_000 {
            errors.push(self.error(NAME, "must be at least 10s", "15s is what Kubernetes deploys"));
        }
        if !fits(timeout, resolution) {
            let problem = "nine tenths of it must not be less than --kubelet-request-timeout";
            errors.push(self.error(
                NAME,
                problem,
                "raise --metric-resolution or lower --kubelet-request-timeout",
            ));
        }
        errors
    }

    pub(super) fn always_allow_paths(&self) -> Result<(), StartError> {
        Policy::check_paths(&self.args.authorization_always_allow_paths.0).map_err(|text| {
            self.error(
                "authorization-always-allow-paths",
                text,
                "write one path for each place, such as /metrics/*",
            )
        })
    }

    pub(super) fn node_selector(&self) -> Result<(), StartError> {
        LabelSelector::parse(self.args.node_selector.trim())
            .map(drop)
            .map_err(|text| self.error("node-selector", text, "write it as for kubectl get nodes -l"))
    }

    pub(super) fn logging(&self) -> Result<(), StartError> {
        match self.args.logging_format.as_str() {
            "text" | "json" => Ok(()),
            other => Err(self.error("logging-format", format!("`{other}` is no format"), "use text or json")),
        }
    }

    pub(super) fn durations(&self) -> Result<(), StartError> {
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
    pub(super) fn listen(&self, mode: &Mode) -> Result<SocketAddr, StartError> {
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

    pub(super) fn at_least_one(&self, name: &str, value: u32) -> Result<u32, StartError> {
        if value == 0 {
            return Err(self.error(name, "must be at least 1", "leave the flag out for the default"));
        }
        Ok(value)
    }

    pub(super) fn capacity(&self) -> Result<Capacity, StartError> {
        let nodes = self.at_least_one("max-nodes", self.args.max_nodes)?;
        let pods = self.at_least_one("max-pods", self.args.max_pods)?;
        let containers = self.at_least_one("max-containers", self.args.max_containers)?;
        Ok(Capacity { nodes, pods, containers, text_len: text_len(nodes, pods, containers) })
    }

    pub(super) fn serving(&self, mode: &Mode, state_dir: Option<&PathBuf>) -> Result<Serving, StartError> {
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
        SniCertificate::parse(value).ok_or_else(|| {
            let problem = format!("`{value}` is not a certificate file, a comma and a key file");
            self.error("tls-sni-cert-key", problem, "write crt,key or crt,key:name,name")
        })
    }

    /// One warning for all flags that were given a value of their own and have nothing to do.
    pub(super) fn ignored(&self) -> Option<String> {
        let names: Vec<String> = self
            .settled
            .settings
            .iter()
            .filter(|setting| setting.flag.effect == Effect::Ignored && setting.origin != Origin::Default)
            .filter(|setting| setting.text() != setting.flag.default)
            .map(|setting| format!("--{}", setting.flag.name))
            .collect();
        (!names.is_empty())
            .then(|| format!("flags accepted without effect (toplet --help says why): {}", names.join(", ")))
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

/// A scrape ends before nine tenths of the time to the next one are over.
fn fits(timeout: Nanos, resolution: Nanos) -> bool {
    i128::from(timeout.0) <= i128::from(resolution.0) * 9 / 10
}
