//! Defaults that depend on other flags, on the mode and on what is around the process, written back into the settings: what
//! `toplet check` prints is then what the configuration is built from.

use super::argv::Settled;
use super::error::StartError;
use super::mode::{ModeDecision, RunMode, Surroundings};
use super::{rules, value};
use crate::limits;
use crate::units::Window;
use crate::wire::time::duration_text;

/// Port of one machine's own service: 443 needs root.
const HOST_ONLY_PORT: &str = "4443";

/// Time for which a stopping pod goes on serving: so long the proxies of the nodes may still lead its Service here. A request that
/// finds nobody listening is an error for its HorizontalPodAutoscaler.
const POD_SHUTDOWN_DELAY: &str = "2s";

/// Name of the local socket's file in its default directory.
const LOCAL_SOCKET_NAME: &str = "toplet.sock";

/// Time between two scrapes. Where a list of arguments leaves it to the default and its scrapes may take longer than ours
/// allows, metrics-server's default of a minute is in force, so that the list still starts.
pub(super) fn resolution(flags: &mut Settled) -> Result<(), StartError> {
    let resolution = flags.read("metric-resolution", value::duration)?;
    let timeout = flags.read("kubelet-request-timeout", value::duration)?;
    if !flags.given("metric-resolution") && !rules::fits(timeout, resolution) {
        flags.choose("metric-resolution", "1m0s", "--kubelet-request-timeout needs more than the default");
    }
    if !flags.given("grace-period") {
        let resolution = flags.read("metric-resolution", value::duration)?.duration();
        let grace = Window::from_duration(resolution.saturating_mul(2) + limits::GRACE_BEYOND_ROUNDS);
        let text = duration_text(grace);
        if text.as_str() != flags.text("grace-period") {
            flags.choose("grace-period", text.as_str(), "two resolutions and 30s");
        }
    }
    if flags.read("request-timeout", value::duration)?.duration() > limits::REQUEST_TIME_MAX {
        flags.choose("request-timeout", "1m0s", "the most that is served");
    }
    Ok(())
}

/// What follows from the mode and the surroundings.
pub(super) fn apply(flags: &mut Settled, decision: &ModeDecision, around: &Surroundings) {
    let mut fill = |name: &str, value: &str, reason: &'static str| {
        if !flags.given(name) {
            flags.choose(name, value, reason);
        }
    };
    match &decision.mode {
        RunMode::HostOnly => {
            fill("host-only", "true", decision.reason);
            fill("bind-address", "127.0.0.1", "host-only default");
            fill("secure-port", HOST_ONLY_PORT, "host-only default");
        }
        RunMode::Kubeconfig { path } => {
            let path = path.display().to_string();
            fill("kubeconfig", &path, decision.reason);
            fill("authentication-kubeconfig", &path, "as --kubeconfig");
            fill("authorization-kubeconfig", &path, "as --kubeconfig");
        }
        RunMode::InCluster { .. } => {
            fill("shutdown-delay-duration", POD_SHUTDOWN_DELAY, "until the Service leads elsewhere");
        }
    }
    // systemd separates several directories by colons; the first is ours.
    let state = around.state_directory.as_deref().and_then(|variable| variable.split(':').next());
    if let Some(directory) = state.filter(|directory| !directory.is_empty()) {
        fill("state-dir", directory, "$STATE_DIRECTORY");
    }
    let runtime = around.runtime_directory.as_deref().and_then(|variable| variable.split(':').next());
    if let Some(directory) = runtime.filter(|directory| !directory.is_empty()) {
        fill("local-socket", &format!("{directory}/{LOCAL_SOCKET_NAME}"), "its directory exists");
    }
    let state_dir = flags.text("state-dir");
    if !flags.text("tls-cert-file").is_empty() {
        flags.choose("cert-dir", "", "--tls-cert-file replaces it");
    } else if flags.given("cert-dir") {
        // As it is; empty keeps the certificate in memory.
    } else if !state_dir.is_empty() {
        flags.choose("cert-dir", &state_dir, "as --state-dir");
    } else if decision.mode == RunMode::HostOnly {
        flags.choose("cert-dir", "", "a self-signed certificate in memory, new at every start");
    }
}
