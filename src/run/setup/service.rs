//! The service of systemd, and the way from its port to kubectl.

use super::step::say;
use crate::cluster::client::ApiServer;
use crate::cluster::questions;
use crate::host::{clock, process};
use crate::limits;
use crate::net::probe;
use crate::run::doctor;
use std::net::SocketAddr;
use std::time::Duration;

const UNITS: [&str; 3] = ["toplet.socket", "toplet.path", "toplet.service"];

/// Runs systemctl; its own words go to standard error.
fn systemctl(words: &[&str]) -> Result<(), String> {
    let remedy = "see systemctl status toplet and journalctl -u toplet";
    match process::run(&[&["systemctl"], words].concat()) {
        Ok(0) => Ok(()),
        Ok(code) => Err(format!("systemctl {}: exit code {code}; {remedy}", words.join(" "))),
        Err(error) => Err(format!("systemctl {}: {error}; is systemd installed?", words.join(" "))),
    }
}

/// Enables and starts the service; restarts one that runs with what was there before.
/// # Errors
/// systemd's refusal.
pub fn start(has_changed: bool) -> Result<(), String> {
    let runs = systemctl(&["is-active", "--quiet", "toplet.service"]).is_ok();
    if runs && !has_changed {
        say("unchanged", &"toplet.service runs");
        return Ok(());
    }
    systemctl(&["daemon-reload"])?;
    systemctl(&[&["enable", "--now", "--quiet"], &UNITS[..]].concat())?;
    if runs {
        systemctl(&["restart", "toplet.service"])?;
    }
    say("started", &"toplet.service, enabled with its socket and its path unit");
    Ok(())
}

/// Stops and disables the service.
/// # Errors
/// systemd's refusal.
pub fn stop() -> Result<(), String> {
    // A setup that broke off before it wrote the units has nothing to stop.
    let is_any = |verb| UNITS.iter().any(|unit| systemctl(&[verb, "--quiet", unit]).is_ok());
    if !is_any("is-enabled") && !is_any("is-active") {
        return Ok(());
    }
    systemctl(&[&["disable", "--now", "--quiet"], &UNITS[..]].concat())?;
    say("stopped", &"toplet.service");
    Ok(())
}

/// Lets systemd forget units that are gone.
/// # Errors
/// systemd's refusal.
pub fn forget() -> Result<(), String> {
    systemctl(&["daemon-reload"])
}

/// Looks again and again, until it is so or the time is over; then the last reason why not.
/// # Errors
/// See there.
pub fn until(limit: Duration, look: &mut dyn FnMut() -> Result<(), String>) -> Result<(), String> {
    let end = clock::mono() + limit;
    loop {
        match look() {
            Ok(()) => return Ok(()),
            Err(reason) if clock::mono() >= end => {
                return Err(format!("after {} s: {reason}", limit.as_secs()));
            }
            Err(_) => std::thread::sleep(limits::SETUP_LOOK_INTERVAL),
        }
    }
}

/// Waits until the program answers where the API server will look for it.
/// # Errors
/// Why it does not.
pub fn answers(at: SocketAddr) -> Result<(), String> {
    until(limits::SETUP_START_TIME_MAX, &mut || match probe::ask(
        &format!("https://{at}/livez"),
        limits::SETUP_REQUEST_TIME_MAX,
    ) {
        Ok((answer, _)) if answer.status == 200 => Ok(()),
        Ok((answer, _)) => Err(format!("/livez answers {}", answer.status)),
        Err(error) => Err(error.to_string()),
    })
    .map_err(|reason| format!("toplet at {at}: {reason}; see journalctl -u toplet -n 20"))?;
    say("ready", &format_args!("toplet answers at {at}"));
    Ok(())
}

/// Waits until kubectl top node would print this node: the API server calls both versions available, and gives its usage.
/// # Errors
/// What is in the way, as the API server says it, and what to do.
pub fn is_served(api: &ApiServer, node: Option<&str>) -> Result<(), String> {
    for version in ["v1beta1", "v1"] {
        let name = format!("APIService {version}.metrics.k8s.io");
        until(limits::SETUP_SERVED_TIME_MAX, &mut || match questions::registration(
            api,
            version,
            limits::SETUP_REQUEST_TIME_MAX,
        ) {
            Ok(found) if found.is_available => Ok(()),
            Ok(found) => {
                let remedy = doctor::availability_remedy(&found.reason, &found.message);
                Err(format!("{}: {}; {remedy}", found.reason, found.message))
            }
            Err(error) => Err(error.to_string()),
        })
        .map_err(|reason| format!("{name} is not available {reason}"))?;
        say("ready", &format_args!("{name} is available"));
    }
    let mut count = 0;
    until(limits::SETUP_SERVED_TIME_MAX, &mut || {
        let served = questions::served_nodes(api, limits::SETUP_REQUEST_TIME_MAX).map_err(|e| e.to_string())?;
        match node.map_or(!served.is_empty(), |node| served.iter().any(|name| name == node)) {
            true => {
                count = served.len();
                Ok(())
            }
            false => Err("its kubelet has not been read twice".to_owned()),
        }
    })
    .map_err(|reason| {
        let node = node.unwrap_or("any node");
        format!(
            "no usage of {node} {reason}; see journalctl -u toplet, or toplet doctor --config /etc/toplet/toplet.conf \
             (kubeadm: its kubelets sign their own certificates, see the comment on them in that file)"
        )
    })?;
    say("ready", &format_args!("kubectl top node answers: the usage of {count} nodes is served"));
    Ok(())
}
