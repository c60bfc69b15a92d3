//! The flag table: one row a flag, the only place that knows its name, kind, default and help.
//!
//! The row drives the rewriting of the command line, `--help`, `configs/FLAGS.md`, `toplet check` and the nearest name in
//! the error for an unknown flag. Names, defaults and meaning are metrics-server's (0.9.0); a flag of its that has nothing
//! to do here is accepted, so that an existing argument list starts unchanged, and is named in one warning.
//! Deviation: `--metric-resolution` is 15s by default, the value of every shipped manifest; metrics-server's own default is 60s.

use crate::invariant::assured;
use crate::limits;
use std::borrow::Cow;

/// How a flag's value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// `--flag`, `--flag=true`, `--flag=false`; never takes the next argument.
    Switch,
    /// A whole number, not negative.
    Int,
    /// A TCP port, 0 to 65535.
    Port,
    /// A decimal fraction.
    Float,
    /// Go's duration syntax: `15s`, `1m0s`, `1.5h`, `300ms`.
    Duration,
    /// An IP address.
    Ip,
    /// Anything.
    Text,
    /// Comma separated; the first occurrence replaces the default, later ones append.
    List,
    /// One element an occurrence, commas are part of it; the first occurrence replaces the default.
    Repeated,
}

/// The heading a flag stands under in the help text, in the order of printing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// Flags that metrics-server does not have.
    Toplet,
    /// Its own flags.
    Metrics,
    /// The generic API server's.
    Generic,
    /// How kubelets are asked.
    Kubelet,
    /// The listener.
    Serving,
    /// Who is asking.
    Authentication,
    /// Whether they may.
    Authorization,
    /// Audit.
    Audit,
    /// Features.
    Features,
    /// Logging.
    Logging,
}

impl Section {
    /// The heading.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Section::Toplet => "Toplet",
            Section::Metrics => "Metrics server",
            Section::Generic => "Generic",
            Section::Kubelet => "Kubelet client",
            Section::Serving => "Apiserver secure serving",
            Section::Authentication => "Apiserver authentication",
            Section::Authorization => "Apiserver authorization",
            Section::Audit => "Apiserver audit log",
            Section::Features => "Features",
            Section::Logging => "Logging",
        }
    }
}

/// Whether a flag does anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It means what it means to metrics-server.
    Used,
    /// Accepted; a value other than the default is named in the warning at the start.
    Ignored,
    /// Acts while the command line is read: `--config`, `--help`, `--version`.
    Immediate,
}

/// A flag's value when it is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Default {
    /// Text in the syntax of a value; empty for none.
    Text(&'static str),
    /// A number of `limits`.
    Count(u64),
}

/// One flag.
#[derive(Debug)]
pub struct Flag {
    /// Name without the dashes.
    pub name: &'static str,
    /// One-letter form.
    pub short: Option<char>,
    /// Syntax of its value.
    pub kind: ValueKind,
    /// Its value when it is not given.
    pub default: Default,
    /// Heading in the help text.
    pub section: Section,
    /// Whether it does anything.
    pub effect: Effect,
    /// One sentence; for an ignored flag, why it has nothing to do.
    pub help: &'static str,
}

impl Flag {
    /// The default in the syntax of a value; empty for none.
    #[must_use]
    pub fn default_text(&self) -> Cow<'static, str> {
        match self.default {
            Default::Text(text) => Cow::Borrowed(text),
            Default::Count(count) => Cow::Owned(count.to_string()),
        }
    }
}

pub(super) const fn used(
    name: &'static str,
    kind: ValueKind,
    default: &'static str,
    section: Section,
    help: &'static str,
) -> Flag {
    Flag { name, short: None, kind, default: Default::Text(default), section, effect: Effect::Used, help }
}

/// A number whose default is one of `limits`.
const fn count(name: &'static str, default: u64, section: Section, help: &'static str) -> Flag {
    let default = Default::Count(default);
    Flag { name, short: None, kind: ValueKind::Int, default, section, effect: Effect::Used, help }
}

const fn ignored(
    name: &'static str,
    kind: ValueKind,
    default: &'static str,
    section: Section,
    help: &'static str,
) -> Flag {
    Flag { name, short: None, kind, default: Default::Text(default), section, effect: Effect::Ignored, help }
}

pub(super) const fn immediate(
    name: &'static str,
    kind: ValueKind,
    section: Section,
    help: &'static str,
) -> Flag {
    let default = Default::Text("");
    Flag { name, short: None, kind, default, section, effect: Effect::Immediate, help }
}

pub(super) const fn short(letter: char, flag: Flag) -> Flag {
    Flag { short: Some(letter), ..flag }
}

use Section::{
    Audit, Authentication, Authorization, Features, Generic, Kubelet, Logging, Metrics, Serving, Toplet,
};
use ValueKind::{Duration, Float, Int, Ip, List, Port, Repeated, Switch, Text};

const NO_HTTP2: &str = "HTTP/2 is never served.";
const NO_WATCH: &str = "There are no watches.";
const NO_AUDIT: &str = "Nothing is audited, as by metrics-server without a policy.";
const NO_FEATURES: &str = "There are no feature gates and no versions to emulate.";
const NO_PROFILING: &str = "There are no profiling endpoints.";
const NO_BUFFER: &str = "Each line is written at once, to stderr.";
const OLD_KLOG: &str = "An old logging flag; logs go to stderr.";

/// Every subcommand and what it does.
pub const SUBCOMMANDS: [(&str, &str); 6] = [
    ("check", "Print the settings in force and the memory they reserve, or the first mistake."),
    (
        "doctor",
        "Check the whole path with these flags: API server, rights, kubelets, APIService, certificates, clocks.",
    ),
    (
        "manifest",
        "Print the Kubernetes objects of a way to run toplet: deployment, static-pod, host, rbac or doctor-rbac.",
    ),
    (
        "setup",
        "Install toplet as a service of this k3s or kubeadm server node, and register it with the cluster.",
    ),
    (
        "top",
        "Print the usage of nodes and pods, as kubectl top does, asked of the toplet of this machine: toplet top --help.",
    ),
    ("completion", "Print the completion script of a shell: bash, zsh or fish."),
];

/// The flags of the server and of the subcommands that take its own, or those of `toplet top`.
pub type FlagTable = &'static [Flag];

/// Every flag but those of `toplet top`, by section.
#[rustfmt::skip]
pub static FLAGS: FlagTable = &[
    immediate("config", Text, Toplet, "File of flags, one a line; lines that start with `#` are comments. The command line wins."),
    used("host-only", Switch, "false", Toplet, "Serve this machine alone, whatever cluster is configured."),
    count("max-nodes", limits::NODES_DEFAULT as u64, Toplet, "Nodes that room is reserved for; nodes beyond are refused and named in the log."),
    count("max-pods", limits::PODS_DEFAULT as u64, Toplet, "Pods that room is reserved for."),
    count("max-containers", limits::CONTAINERS_DEFAULT as u64, Toplet, "Containers that room is reserved for; a pod beyond is refused."),
    count("max-connections", limits::CONNECTIONS_MAX as u64, Toplet, "Connections served at a time; one more is closed at once."),
    used("grace-period", Duration, "1m0s", Toplet, "Time for which the last figures of a node that cannot be scraped stay, with their own time (twice --metric-resolution and 30s unless given); 0s drops them at once."),
    used("local-socket", Text, "", Toplet, "Socket on which clients of this machine read usage without TLS and without rights in the cluster: its file (mode 0660, group toplet) says who may (default: toplet.sock in $RUNTIME_DIRECTORY or /run/toplet, where that exists; empty: none)."),
    used("history", Duration, "15m0s", Toplet, "Time for which CPU and memory of each node and container are kept for the status page, in 16 MiB at most for containers; 0s keeps none."),
    used("usage-metrics", Switch, "false", Toplet, "Serve the usage of nodes and containers at /metrics/usage, for Prometheus."),
    used("state-dir", Text, "", Toplet, "Directory for files kept between runs (default: $STATE_DIRECTORY, else none)."),
    used("dry-run", Switch, "false", Toplet, "With toplet setup: change nothing, and print what would be made."),
    used("undo", Switch, "false", Toplet, "With toplet setup: remove what it made, and nothing else."),
    used("replace", Switch, "false", Toplet, "With toplet setup: delete objects and replace files in its way that it did not make, such as metrics-server's."),
    used("no-start", Switch, "false", Toplet, "With toplet setup: leave the service to be started later."),
    used("replicas", Int, "1", Toplet, "With toplet manifest deployment: its pods; 0 beside a static pod, from 2 on one a node with a PodDisruptionBudget."),
    used("root", Text, "/", Toplet, "With toplet setup: directory to find and write files below, for images; nothing is started."),
    used("forget-pin", Text, "", Toplet, "With toplet doctor: forget the pinned key of this node (--kubelet-pin) instead of checking."),
    short('o', used("output", Text, "", Toplet, "Form of the report of toplet doctor: text or json (default: text).")),
    short('h', immediate("help", Switch, Toplet, "Print this text.")),

    used("kubeconfig", Text, "", Metrics, "Path to the kubeconfig for the API server and the kubelets (default: in-cluster, then k3s's, then host-only)."),
    used("metric-resolution", Duration, "15s", Metrics, "Time between two scrapes of a node, at least 10s (1m0s if --kubelet-request-timeout alone asks for more)."),
    immediate("version", Switch, Metrics, "Print the version."),

    used("advertise-address", Ip, "", Generic, "With toplet setup and toplet manifest host: the address of this node that the API server reaches."),
    ignored("cors-allowed-origins", List, "", Generic, "No browser asks this API."),
    ignored("emulated-version", List, "", Generic, NO_FEATURES),
    ignored("emulation-forward-compatible", Switch, "false", Generic, NO_FEATURES),
    ignored("external-hostname", Text, "", Generic, "Responses contain no URL."),
    ignored("feature-gates", List, "", Generic, NO_FEATURES),
    ignored("goaway-chance", Float, "0", Generic, NO_HTTP2),
    ignored("livez-grace-period", Duration, "0s", Generic, "Live from the first second."),
    ignored("max-mutating-requests-inflight", Int, "200", Generic, "Nothing can be changed through this API."),
    count("max-requests-inflight", limits::REQUESTS_MAX as u64, Generic, "Requests answered at a time; further ones get 429."),
    ignored("min-compatibility-version", List, "", Generic, NO_FEATURES),
    ignored("min-request-timeout", Int, "1800", Generic, NO_WATCH),
    used("request-timeout", Duration, "1m0s", Generic, "Longest time an answer may take; more than 1m0s counts as that."),
    ignored("runtime-config-emulation-forward-compatible", Switch, "false", Generic, NO_FEATURES),
    used("shutdown-delay-duration", Duration, "0s", Generic, "Time to go on serving, not ready, after the signal to stop (in a pod: 2s)."),
    ignored("shutdown-send-retry-after", Switch, "false", Generic, "Requests in flight are answered, new ones refused."),
    ignored("shutdown-watch-termination-grace-period", Duration, "0s", Generic, NO_WATCH),
    ignored("storage-initialization-timeout", Duration, "1m0s", Generic, "There is no storage to wait for."),
    ignored("strict-transport-security-directives", List, "", Generic, "No browser asks this API."),

    used("deprecated-kubelet-completely-insecure", Switch, "false", Kubelet, "DEPRECATED: ask kubelets over plain HTTP, without credentials."),
    used("kubelet-certificate-authority", Text, "", Kubelet, "CA file that signs kubelet serving certificates (default: the API server's)."),
    used("kubelet-client-certificate", Text, "", Kubelet, "Client certificate file for kubelets."),
    used("kubelet-client-key", Text, "", Kubelet, "Its key file."),
    used("kubelet-gzip", Switch, "false", Kubelet, "Ask kubelets for compressed answers: a tenth of the bytes, for CPU time of both machines. For slow links."),
    used("kubelet-insecure-tls", Switch, "false", Kubelet, "Do not verify kubelet certificates. For tests only."),
    used("kubelet-pin", Switch, "false", Kubelet, "Trust the key that each kubelet shows first, remember it in --state-dir, and refuse another one; certificates are not verified."),
    used("kubelet-port", Port, "10250", Kubelet, "Port of the kubelets."),
    used("kubelet-preferred-address-types", List, "Hostname,InternalDNS,InternalIP,ExternalDNS,ExternalIP", Kubelet, "Order in which the addresses of a node are considered."),
    used("kubelet-request-timeout", Duration, "10s", Kubelet, "Longest time one scrape may take."),
    used("kubelet-use-node-status-port", Switch, "false", Kubelet, "Use the port of the node's status; --kubelet-port where it has none."),
    used("kubelet-via-apiserver", Switch, "false", Kubelet, "Ask kubelets through the API server's node proxy, where only the API server reaches them; needs get on nodes/proxy."),
    short('l', used("node-selector", Text, "", Kubelet, "Label selector: only nodes that match are scraped and served.")),

    used("bind-address", Ip, "0.0.0.0", Serving, "Address to listen on; 0.0.0.0 and :: mean every address of both families (host-only default: 127.0.0.1)."),
    used("cert-dir", Text, "apiserver.local.config/certificates", Serving, "Directory of apiserver.crt and apiserver.key: used if both can be read, else made there."),
    ignored("disable-http2-serving", Switch, "false", Serving, NO_HTTP2),
    ignored("http2-max-streams-per-connection", Int, "0", Serving, NO_HTTP2),
    ignored("permit-address-sharing", Switch, "false", Serving, "SO_REUSEADDR is always set."),
    used("permit-port-sharing", Switch, "false", Serving, "Set SO_REUSEPORT: several processes may listen on one port."),
    used("secure-port", Port, "443", Serving, "Port to listen on (host-only default: 4443)."),
    used("tls-cert-file", Text, "", Serving, "Certificate file, CA certificates after it; replaces --cert-dir."),
    used("tls-cipher-suites", List, "", Serving, "TLS 1.2 cipher suites by their Go names (default: all that are served)."),
    ignored("tls-curve-preferences", List, "", Serving, "X25519, P-256 and P-384 are served, in the client's order."),
    used("tls-min-version", Text, "", Serving, "VersionTLS12 or VersionTLS13; older versions are not served."),
    used("tls-private-key-file", Text, "", Serving, "Key file of --tls-cert-file."),
    used("tls-sni-cert-key", Repeated, "", Serving, "`crt,key[:domain,...]`: another certificate for these names; repeatable."),

    used("authentication-kubeconfig", Text, "", Authentication, "kubeconfig for TokenReviews and the authentication ConfigMap (default: --kubeconfig)."),
    used("authentication-skip-lookup", Switch, "false", Authentication, "Do not read the authentication ConfigMap."),
    used("authentication-token-webhook-cache-ttl", Duration, "10s", Authentication, "Time a TokenReview's answer is kept."),
    used("authentication-tolerate-lookup-failure", Switch, "false", Authentication, "Serve although the authentication ConfigMap cannot be read."),
    used("client-ca-file", Text, "", Authentication, "CA file of client certificates that identify a user (default: from the ConfigMap)."),
    used("requestheader-allowed-names", List, "", Authentication, "Common names a front proxy may have; empty: any."),
    used("requestheader-client-ca-file", Text, "", Authentication, "CA file of front proxies (default: from the ConfigMap)."),
    used("requestheader-extra-headers-prefix", List, "x-remote-extra-", Authentication, "Prefixes of the front proxy's extra headers."),
    used("requestheader-group-headers", List, "x-remote-group", Authentication, "The front proxy's group headers."),
    used("requestheader-uid-headers", List, "", Authentication, "The front proxy's UID headers."),
    used("requestheader-username-headers", List, "x-remote-user", Authentication, "The front proxy's user headers."),

    used("authorization-always-allow-paths", List, "/healthz,/readyz,/livez", Authorization, "Paths open to anyone, with any method; a trailing `*` matches any end."),
    used("authorization-kubeconfig", Text, "", Authorization, "kubeconfig for SubjectAccessReviews (default: --kubeconfig)."),
    used("authorization-webhook-cache-authorized-ttl", Duration, "10s", Authorization, "Time a granting review is kept."),
    used("authorization-webhook-cache-unauthorized-ttl", Duration, "10s", Authorization, "Time a refusing review is kept."),

    ignored("audit-log-batch-buffer-size", Int, "10000", Audit, NO_AUDIT),
    ignored("audit-log-batch-max-size", Int, "1", Audit, NO_AUDIT),
    ignored("audit-log-batch-max-wait", Duration, "0s", Audit, NO_AUDIT),
    ignored("audit-log-batch-throttle-burst", Int, "0", Audit, NO_AUDIT),
    ignored("audit-log-batch-throttle-enable", Switch, "false", Audit, NO_AUDIT),
    ignored("audit-log-batch-throttle-qps", Float, "0", Audit, NO_AUDIT),
    ignored("audit-log-compress", Switch, "false", Audit, NO_AUDIT),
    ignored("audit-log-format", Text, "json", Audit, NO_AUDIT),
    ignored("audit-log-maxage", Int, "366", Audit, NO_AUDIT),
    ignored("audit-log-maxbackup", Int, "100", Audit, NO_AUDIT),
    ignored("audit-log-maxsize", Int, "100", Audit, NO_AUDIT),
    ignored("audit-log-mode", Text, "blocking", Audit, NO_AUDIT),
    ignored("audit-log-path", Text, "", Audit, NO_AUDIT),
    ignored("audit-log-truncate-enabled", Switch, "false", Audit, NO_AUDIT),
    ignored("audit-log-truncate-max-batch-size", Int, "10485760", Audit, NO_AUDIT),
    ignored("audit-log-truncate-max-event-size", Int, "102400", Audit, NO_AUDIT),
    ignored("audit-log-version", Text, "audit.k8s.io/v1", Audit, NO_AUDIT),
    ignored("audit-policy-file", Text, "", Audit, NO_AUDIT),
    ignored("audit-webhook-batch-buffer-size", Int, "10000", Audit, NO_AUDIT),
    ignored("audit-webhook-batch-max-size", Int, "400", Audit, NO_AUDIT),
    ignored("audit-webhook-batch-max-wait", Duration, "30s", Audit, NO_AUDIT),
    ignored("audit-webhook-batch-throttle-burst", Int, "15", Audit, NO_AUDIT),
    ignored("audit-webhook-batch-throttle-enable", Switch, "true", Audit, NO_AUDIT),
    ignored("audit-webhook-batch-throttle-qps", Float, "10", Audit, NO_AUDIT),
    ignored("audit-webhook-config-file", Text, "", Audit, NO_AUDIT),
    ignored("audit-webhook-initial-backoff", Duration, "10s", Audit, NO_AUDIT),
    ignored("audit-webhook-mode", Text, "batch", Audit, NO_AUDIT),
    ignored("audit-webhook-truncate-enabled", Switch, "false", Audit, NO_AUDIT),
    ignored("audit-webhook-truncate-max-batch-size", Int, "10485760", Audit, NO_AUDIT),
    ignored("audit-webhook-truncate-max-event-size", Int, "102400", Audit, NO_AUDIT),
    ignored("audit-webhook-version", Text, "audit.k8s.io/v1", Audit, NO_AUDIT),

    ignored("contention-profiling", Switch, "false", Features, NO_PROFILING),
    ignored("debug-socket-path", Text, "", Features, NO_PROFILING),
    ignored("enable-priority-and-fairness", Switch, "true", Features, "Parsed and never applied by metrics-server either."),
    ignored("profiling", Switch, "true", Features, NO_PROFILING),

    ignored("log-flush-frequency", Duration, "5s", Logging, NO_BUFFER),
    ignored("log-json-info-buffer-size", Text, "0", Logging, NO_BUFFER),
    ignored("log-json-split-stream", Switch, "false", Logging, NO_BUFFER),
    ignored("log-text-info-buffer-size", Text, "0", Logging, NO_BUFFER),
    ignored("log-text-split-stream", Switch, "false", Logging, NO_BUFFER),
    used("logging-format", Text, "text", Logging, "`text` or `json`."),
    short('v', used("v", Int, "0", Logging, "Verbosity: 0 what changes, 2 what is done, 6 everything.")),
    ignored("vmodule", Text, "", Logging, "Verbosity is one for all files."),
    ignored("add-dir-header", Switch, "false", Logging, OLD_KLOG),
    ignored("alsologtostderr", Switch, "false", Logging, OLD_KLOG),
    ignored("log-backtrace-at", Text, ":0", Logging, OLD_KLOG),
    ignored("log-dir", Text, "", Logging, OLD_KLOG),
    ignored("log-file", Text, "", Logging, OLD_KLOG),
    ignored("log-file-max-size", Int, "1800", Logging, OLD_KLOG),
    ignored("logtostderr", Switch, "true", Logging, OLD_KLOG),
    ignored("one-output", Switch, "false", Logging, OLD_KLOG),
    ignored("skip-headers", Switch, "false", Logging, OLD_KLOG),
    ignored("skip-log-headers", Switch, "false", Logging, OLD_KLOG),
    ignored("stderrthreshold", Text, "2", Logging, OLD_KLOG),
];

/// The flag of a name as written, without the dashes; `_` counts as `-`, as in every Kubernetes component.
#[must_use]
pub fn find(table: FlagTable, name: &str) -> Option<&'static Flag> {
    table.iter().find(|flag| {
        flag.name.len() == name.len()
            && flag
                .name
                .bytes()
                .zip(name.bytes())
                .all(|(ours, given)| ours == given || (ours == b'-' && given == b'_'))
    })
}

/// The flag of a one-letter form.
#[must_use]
pub fn find_short(table: FlagTable, letter: char) -> Option<&'static Flag> {
    table.iter().find(|flag| flag.short == Some(letter))
}

/// The name nearest to a mistyped one, if any is near: at most a third of its letters differ.
#[must_use]
pub fn nearest(table: FlagTable, name: &str) -> Option<&'static str> {
    let distances = table.iter().map(|flag| (distance(name, flag.name), flag.name));
    distances.min().filter(|&(steps, _)| steps * 3 <= name.len().max(3)).map(|(_, nearest)| nearest)
}

/// Letters to insert, remove or change to get from one word to the other.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, letter) in from.bytes().enumerate() {
        let mut diagonal = index;
        let mut left = index + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, other) in row.iter_mut().skip(1).zip(to.bytes()) {
            let changed = diagonal + usize::from(letter != other);
            diagonal = *cell;
            left = changed.min(left + 1).min(*cell + 1);
            *cell = left;
        }
    }
    *assured(row.last(), "a row has a cell more than letters")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_letters_are_unique() {
        for (index, flag) in FLAGS.iter().enumerate() {
            assert_eq!(FLAGS.iter().position(|other| other.name == flag.name), Some(index), "{}", flag.name);
        }
        assert_eq!(find_short(FLAGS, 'l').map(|flag| flag.name), Some("node-selector"));
        assert_eq!(find_short(FLAGS, 'v').map(|flag| flag.name), Some("v"));
    }

    #[test]
    fn underscores_count_as_dashes() {
        assert_eq!(find(FLAGS, "kubelet_port").map(|flag| flag.name), Some("kubelet-port"));
        assert!(find(FLAGS, "kubelet.port").is_none());
    }

    #[test]
    fn a_typing_error_finds_its_flag_and_nonsense_does_not() {
        assert_eq!(nearest(FLAGS, "metric-resolutoin"), Some("metric-resolution"));
        assert_eq!(nearest(FLAGS, "kubelet-insecure"), Some("kubelet-insecure-tls"));
        assert_eq!(nearest(FLAGS, "cert_dirs"), Some("cert-dir"));
        assert_eq!(nearest(FLAGS, "qqqqqqqqqqqqqqq"), None);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }
}
