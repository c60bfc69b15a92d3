//! What to serve: the nodes of a cluster, or this machine. A pure decision over flags and what is around the process.

use super::error::{StartError, ValueOrigin};
use crate::cluster::kubeconfig::{K3S, SERVICE_ACCOUNT};
use std::path::{Path, PathBuf};

/// What is measured, and who authorizes requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunMode {
    /// Every node of the cluster this pod runs in.
    InCluster {
        /// URL of the API server, `https://HOST:PORT`.
        server: String,
    },
    /// Every node of the cluster that a kubeconfig names.
    Kubeconfig {
        /// The kubeconfig.
        path: PathBuf,
    },
    /// This machine.
    HostOnly,
}

impl RunMode {
    /// Whether the machine that toplet runs on belongs to what is measured: a pod sees only its own part of it.
    #[must_use]
    pub fn is_on_host(&self) -> bool {
        !matches!(self, RunMode::InCluster { .. })
    }

    /// The mode in a word or two.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            RunMode::InCluster { .. } => "in-cluster",
            RunMode::Kubeconfig { .. } => "host service",
            RunMode::HostOnly => "host-only",
        }
    }
}

/// Whether a file is there for us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Presence {
    /// It is not there.
    #[default]
    Absent,
    /// It is there and cannot be opened.
    Unreadable,
    /// It can be opened.
    Readable,
}

impl Presence {
    /// Tries to open `path`.
    #[must_use]
    pub fn of(path: &Path) -> Presence {
        match std::fs::File::open(path) {
            Ok(_) => Presence::Readable,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Presence::Absent,
            Err(_) => Presence::Unreadable,
        }
    }
}

/// Directory of the local socket.
const RUNTIME_DIRECTORY: &str = "/run/toplet";

/// What is around the process, as far as the defaults depend on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// `KUBERNETES_SERVICE_HOST`.
    pub service_host: Option<String>,
    /// `KUBERNETES_SERVICE_PORT`.
    pub service_port: Option<String>,
    /// The service-account token.
    pub token: Presence,
    /// k3s's kubeconfig.
    pub k3s: Presence,
    /// `STATE_DIRECTORY`, as systemd sets it for `StateDirectory=`.
    pub state_directory: Option<String>,
    /// `RUNTIME_DIRECTORY`, as systemd sets it for `RuntimeDirectory=`; else [`RUNTIME_DIRECTORY`] where it exists.
    pub runtime_directory: Option<String>,
}

impl Surroundings {
    /// Looks around.
    #[must_use]
    pub fn look() -> Surroundings {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Surroundings {
            service_host: variable("KUBERNETES_SERVICE_HOST"),
            service_port: variable("KUBERNETES_SERVICE_PORT"),
            token: Presence::of(&Path::new(SERVICE_ACCOUNT).join("token")),
            k3s: Presence::of(Path::new(K3S)),
            state_directory: variable("STATE_DIRECTORY"),
            runtime_directory: variable("RUNTIME_DIRECTORY")
                .or_else(|| Path::new(RUNTIME_DIRECTORY).is_dir().then(|| RUNTIME_DIRECTORY.to_owned())),
        }
    }
}

/// A mode with the reason for it, and what the administrator should know about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModeDecision {
    /// The mode.
    pub mode: RunMode,
    /// Why this one.
    pub reason: &'static str,
    /// A line for the log: a cluster was found and cannot be used.
    pub warning: Option<String>,
}

/// Decides. A kubeconfig that is given wins, then the pod's own cluster, then k3s on this machine.
/// # Errors
/// The pod has no token; `--host-only` together with a kubeconfig.
pub fn decide(host_only: bool, kubeconfig: &str, around: &Surroundings) -> Result<ModeDecision, StartError> {
    let decision = |mode, reason| Ok(ModeDecision { mode, reason, warning: None });
    if host_only && !kubeconfig.is_empty() {
        let problem = "cannot be used together with --kubeconfig";
        return Err(StartError::new(
            "--host-only",
            ValueOrigin::CommandLine,
            problem,
            "leave one of them out",
        ));
    }
    if host_only {
        return decision(RunMode::HostOnly, "--host-only");
    }
    if !kubeconfig.is_empty() {
        return decision(RunMode::Kubeconfig { path: PathBuf::from(kubeconfig) }, "--kubeconfig");
    }
    if let Some(host) = &around.service_host {
        if around.token != Presence::Readable {
            return Err(StartError::new(
                "",
                ValueOrigin::Chosen("environment"),
                format!("KUBERNETES_SERVICE_HOST is set but {SERVICE_ACCOUNT}/token cannot be read"),
                "give the pod a service account token, or use --kubeconfig or --host-only",
            ));
        }
        let port = around.service_port.as_deref().unwrap_or("443");
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        return decision(
            RunMode::InCluster { server: format!("https://{host}:{port}") },
            "KUBERNETES_SERVICE_HOST is set",
        );
    }
    match around.k3s {
        Presence::Readable => decision(RunMode::Kubeconfig { path: PathBuf::from(K3S) }, "k3s is installed"),
        Presence::Absent => decision(RunMode::HostOnly, "no cluster is configured"),
        Presence::Unreadable => Ok(ModeDecision {
            mode: RunMode::HostOnly,
            reason: "no cluster can be reached",
            warning: Some(format!(
                "{K3S} cannot be read: serving this machine alone; run as root or give --kubeconfig, \
                 or say --host-only"
            )),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod() -> Surroundings {
        Surroundings {
            service_host: Some("10.96.0.1".to_owned()),
            service_port: Some("443".to_owned()),
            token: Presence::Readable,
            ..Surroundings::default()
        }
    }

    #[test]
    fn a_bare_machine_serves_itself() {
        let decision = decide(false, "", &Surroundings::default()).unwrap();
        assert_eq!((decision.mode, decision.warning), (RunMode::HostOnly, None));
    }

    #[test]
    fn a_pod_serves_its_cluster() {
        let server = "https://10.96.0.1:443".to_owned();
        assert_eq!(decide(false, "", &pod()).unwrap().mode, RunMode::InCluster { server });
        let six = Surroundings { service_host: Some("fd00::1".to_owned()), service_port: None, ..pod() };
        let server = "https://[fd00::1]:443".to_owned();
        assert_eq!(decide(false, "", &six).unwrap().mode, RunMode::InCluster { server });
    }

    #[test]
    fn a_pod_without_a_token_does_not_quietly_serve_one_machine() {
        let tokenless = Surroundings { token: Presence::Absent, ..pod() };
        let error = decide(false, "", &tokenless).unwrap_err().to_string();
        assert!(error.contains("KUBERNETES_SERVICE_HOST is set but"), "{error}");
        assert_eq!(decide(true, "", &tokenless).unwrap().mode, RunMode::HostOnly);
    }

    #[test]
    fn a_given_kubeconfig_wins_over_everything_around() {
        let path = PathBuf::from("/k");
        let around = Surroundings { k3s: Presence::Readable, ..pod() };
        assert_eq!(decide(false, "/k", &around).unwrap().mode, RunMode::Kubeconfig { path });
        assert!(decide(true, "/k", &around).is_err());
    }

    #[test]
    fn k3s_is_found_where_it_can_be_read() {
        let found = Surroundings { k3s: Presence::Readable, ..Surroundings::default() };
        let path = PathBuf::from(K3S);
        assert_eq!(decide(false, "", &found).unwrap().mode, RunMode::Kubeconfig { path });
        let closed = Surroundings { k3s: Presence::Unreadable, ..Surroundings::default() };
        let decision = decide(false, "", &closed).unwrap();
        assert_eq!(decision.mode, RunMode::HostOnly);
        assert!(decision.warning.unwrap().contains("run as root"));
    }
}
