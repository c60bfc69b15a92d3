//! The rules between flags, in metrics-server's words and order.
//!
//! Each rule is a function of the settled flags; an error names the flag, where it was given and the remedy.

use super::argv::Settled;
use super::error::StartError;
use super::flags::Effect;
use super::mode::RunMode;
use super::value::{self, Nanos};
use crate::limits;
use crate::net::tls;
use crate::store::Capacity;
use std::net::SocketAddr;

/// What a rule says.
type Rule = Result<(), StartError>;

/// Every broken rule of the kubelet flags, in metrics-server's order.
pub(super) fn kubelet(flags: &Settled) -> Result<Vec<StartError>, StartError> {
    const CA: &str = "kubelet-certificate-authority";
    const CERTIFICATE: &str = "kubelet-client-certificate";
    const KEY: &str = "kubelet-client-key";
    const ANY: &str = "kubelet-insecure-tls";
    const PIN: &str = "kubelet-pin";
    const VIA: &str = "kubelet-via-apiserver";
    const PLAIN: &str = "deprecated-kubelet-completely-insecure";
    let [ca, certificate, key] = [CA, CERTIFICATE, KEY].map(|name| !flags.text(name).is_empty());
    let (any, plain) = (flags.read(ANY, value::switch)?, flags.read(PLAIN, value::switch)?);
    let (pin, via) = (flags.read(PIN, value::switch)?, flags.read(VIA, value::switch)?);
    let exclude = |both: bool, one: &str, other: &str| {
        let problem = || format!("cannot be used together with --{other}");
        both.then(|| flags.error(one, problem(), "leave one of them out"))
    };
    let no_time = (flags.read("kubelet-request-timeout", value::duration)?.0 <= 0)
        .then(|| flags.error("kubelet-request-timeout", "must be more than zero", "give a time such as 10s"));
    let rules = [
        exclude(ca && any, CA, ANY),
        half_pair(flags, CERTIFICATE, KEY),
        exclude(key && plain, KEY, PLAIN),
        exclude(certificate && plain, CERTIFICATE, PLAIN),
        exclude(any && plain, ANY, PLAIN),
        exclude(ca && plain, CA, PLAIN),
        exclude(pin && any, PIN, ANY),
        exclude(pin && plain, PIN, PLAIN),
        exclude(pin && ca, PIN, CA),
        // What is presented to kubelets and verified of them is then the API server's to decide.
        exclude(via && any, VIA, ANY),
        exclude(via && plain, VIA, PLAIN),
        exclude(via && ca, VIA, CA),
        exclude(via && certificate, VIA, CERTIFICATE),
        exclude(via && pin, VIA, PIN),
        no_time,
    ];
    Ok(rules.into_iter().flatten().collect())
}

/// Every broken rule of the resolution.
pub(super) fn resolution(flags: &Settled) -> Result<Vec<StartError>, StartError> {
    const NAME: &str = "metric-resolution";
    let resolution = flags.read(NAME, value::duration)?;
    let timeout = flags.read("kubelet-request-timeout", value::duration)?;
    let mut errors = Vec::new();
    if resolution.0 < 10_000_000_000 {
        errors.push(flags.error(NAME, "must be at least 10s", "15s is what Kubernetes deploys"));
    }
    if !fits(timeout, resolution) {
        let problem = "--kubelet-request-timeout must be at most 90 % of it";
        let remedy = "raise --metric-resolution or lower --kubelet-request-timeout";
        errors.push(flags.error(NAME, problem, remedy));
    }
    Ok(errors)
}

/// A scrape ends before 90 % of the time to the next one are over.
pub(super) fn fits(timeout: Nanos, resolution: Nanos) -> bool {
    i128::from(timeout.0) <= i128::from(resolution.0) * 9 / 10
}

pub(super) fn logging(flags: &Settled) -> Rule {
    match flags.text("logging-format").as_str() {
        "text" | "json" => Ok(()),
        other => Err(flags.error("logging-format", format!("unknown format `{other}`"), "use text or json")),
    }
}

pub(super) fn durations(flags: &Settled) -> Rule {
    if flags.read("request-timeout", value::duration)?.0 <= 0 {
        return Err(flags.error("request-timeout", "must be more than zero", "give a time such as 1m0s"));
    }
    for name in [
        "grace-period",
        "shutdown-delay-duration",
        "authentication-token-webhook-cache-ttl",
        "authorization-webhook-cache-authorized-ttl",
        "authorization-webhook-cache-unauthorized-ttl",
    ] {
        if flags.read(name, value::duration)?.0 < 0 {
            return Err(flags.error(name, "must not be negative", "0s switches it off"));
        }
    }
    if flags.read("kubelet-port", value::port)? == 0 {
        return Err(flags.error("kubelet-port", "invalid port 0", "kubelets listen on 10250"));
    }
    Ok(())
}

/// The listening address. Without a cluster only loopback may be open to everybody.
pub(super) fn listen(flags: &Settled, mode: &RunMode) -> Result<SocketAddr, StartError> {
    let address = flags.read("bind-address", value::ip)?;
    let port = flags.read("secure-port", value::port)?;
    if port == 0 {
        let remedy = "give the port to serve on, or leave the flag out";
        return Err(flags.error("secure-port", "invalid port 0", remedy));
    }
    if *mode == RunMode::HostOnly && !address.is_loopback() && flags.text("client-ca-file").is_empty() {
        let problem = format!("{address} is not a loopback address, and host-only mode has no authorizer");
        let remedy =
            "give --client-ca-file to admit holders of its certificates, or leave --bind-address out";
        return Err(flags.error("bind-address", problem, remedy));
    }
    Ok(SocketAddr::new(address, port))
}

/// A count from 1 to `max`.
pub(super) fn count(flags: &Settled, name: &str, max: u32) -> Result<u32, StartError> {
    match flags.read(name, value::int)? {
        0 => Err(flags.error(name, "must be at least 1", "leave the flag out for the default")),
        value if value > max => {
            let problem = format!("{value} is more than the {max} that room can be reserved for");
            Err(flags.error(name, problem, "leave the flag out for the default"))
        }
        value => Ok(value),
    }
}

pub(super) fn capacity(flags: &Settled) -> Result<Capacity, StartError> {
    let nodes = count(flags, "max-nodes", limits::NODES_MAX)?;
    let pods = count(flags, "max-pods", limits::PODS_MAX)?;
    let containers = count(flags, "max-containers", limits::CONTAINERS_MAX)?;
    Ok(Capacity::of(nodes, pods, containers))
}

/// Samples of each ring of `--history`: one for each resolution, the last one begun included.
pub(super) fn history_samples(flags: &Settled) -> Result<u32, StartError> {
    const NAME: &str = "history";
    let (history, resolution) =
        (flags.read(NAME, value::duration)?, flags.read("metric-resolution", value::duration)?);
    if history.0 < 0 {
        return Err(flags.error(NAME, "must not be negative", "0s switches it off"));
    }
    let samples = history.duration().as_nanos().div_ceil(resolution.duration().as_nanos().max(1));
    u32::try_from(samples).ok().filter(|samples| *samples <= limits::HISTORY_SAMPLES_MAX).ok_or_else(|| {
        let max = limits::HISTORY_SAMPLES_MAX;
        let problem = format!("{samples} samples of each container, {max} are the most that are kept");
        flags.error(NAME, problem, "give a shorter time; Prometheus keeps more, from /metrics/usage")
    })
}

/// A certificate and its key come together: the error where only one of the two flags is given.
pub(super) fn half_pair(flags: &Settled, certificate: &str, key: &str) -> Option<StartError> {
    let (lone, missing) = match [certificate, key].map(|name| !flags.text(name).is_empty()) {
        [true, false] => (certificate, key),
        [false, true] => (key, certificate),
        _ => return None,
    };
    Some(flags.error(lone, format!("needs --{missing} as well"), "give both files, or none"))
}

pub(super) fn tls(flags: &Settled) -> Result<tls::TlsSettings, StartError> {
    // These texts name the flag and the remedy themselves.
    let wrong = |name: &str| {
        let origin = flags.origin(name);
        move |text: String| StartError::new("", origin, text, "")
    };
    let cipher_suites = flags.read("tls-cipher-suites", value::list)?;
    tls::known_suites(&cipher_suites).map_err(wrong("tls-cipher-suites"))?;
    let min_version = tls::min_version(&flags.text("tls-min-version")).map_err(wrong("tls-min-version"))?;
    Ok(tls::TlsSettings { min_version, cipher_suites })
}

/// Warnings about flags that were given and have nothing to do, and about values that are not served.
pub(super) fn warnings(flags: &Settled) -> Vec<String> {
    let given = || flags.settings.iter().filter(|setting| flags.given(setting.flag.name));
    let listed = |names: Vec<String>| names.join(", ");
    let ignored: Vec<String> = given()
        .filter(|setting| setting.flag.effect == Effect::Ignored)
        .filter(|setting| setting.text() != setting.flag.default_text())
        .map(|setting| format!("--{}", setting.flag.name))
        .collect();
    let mut warnings = Vec::new();
    if !ignored.is_empty() {
        let names = listed(ignored);
        warnings.push(format!("flags accepted without effect (toplet --help says why): {names}"));
    }
    const PROXY_CA: &str = "requestheader-client-ca-file";
    if flags.text(PROXY_CA).is_empty() {
        let unused: Vec<String> = given()
            .filter(|setting| setting.flag.name.starts_with("requestheader-"))
            .map(|setting| format!("--{}", setting.flag.name))
            .collect();
        if !unused.is_empty() {
            let names = listed(unused);
            warnings.push(format!(
                "without --{PROXY_CA} the authentication ConfigMap decides; no effect: {names}"
            ));
        }
    }
    // A list that cannot be read is an error elsewhere.
    let suites = flags.read("tls-cipher-suites", value::list).unwrap_or_default();
    warnings.extend(tls::unserved(&suites, &flags.text("tls-min-version")));
    warnings
}
