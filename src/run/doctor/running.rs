//! The toplet that runs here, if one does: whether it calls itself ready, and the certificate that it serves.

use super::finding::{DoctorStep, Finding};
use crate::cli::Config;
use crate::limits;
use crate::net::fetch::FetchError;
use crate::net::probe::{self, ServerFacts};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// A check that only this program's `/readyz` names.
const OUR_CHECK: &str = "metric-storage-ready";

/// Asks the server on our port whether it is ready; what it shows, when it is a toplet.
pub fn look(config: &Config, findings: &mut Vec<Finding>) -> Option<ServerFacts> {
    let address = match config.listen.ip() {
        ip if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        ip => ip,
    };
    let at = SocketAddr::new(address, config.listen.port());
    let url = format!("https://{at}/readyz?verbose");
    let (status, body, facts) = match ask(&url) {
        Ok(answer) => answer,
        Err(error) => {
            let message = format!("no toplet answers here: {error}");
            findings.push(Finding::skipped(DoctorStep::Freshness, at, message));
            return None;
        }
    };
    findings.push(match status {
        401 | 403 => {
            let message = format!("/readyz is not open to us (status {status})");
            Finding::skipped(DoctorStep::Freshness, at, message)
        }
        _ if !body.contains(OUR_CHECK) => {
            let remedy = "choose another port with --secure-port, or end the other server";
            Finding::warning(DoctorStep::Freshness, at, "another server than toplet answers here", remedy)
        }
        200 => Finding::ok(
            DoctorStep::Freshness,
            at,
            "the toplet that runs here is ready: it serves fresh figures",
        ),
        _ => {
            let failing: Vec<&str> =
                body.lines().filter_map(|line| line.strip_prefix("[-]")?.split(' ').next()).collect();
            let message = format!("the toplet that runs here is not ready: {}", failing.join(", "));
            Finding::failed(DoctorStep::Freshness, at, message, remedy(&failing))
        }
    });
    body.contains(OUR_CHECK).then_some(facts)
}

/// What to look at for the first check that fails.
fn remedy(failing: &[&str]) -> &'static str {
    match failing.first().copied() {
        Some("metric-collection-timely") => {
            "rounds over the nodes take too long: see which nodes are slow below, or raise --metric-resolution"
        }
        Some(OUR_CHECK) => {
            "it has no two samples of any node yet: wait for two rounds, then see the nodes below and its log"
        }
        Some("metric-informer-sync") => {
            "it could not list nodes and pods: see api-server and rights below, and its log"
        }
        Some("shutdown") => "it is stopping: wait for its next start",
        _ => "see its log",
    }
}

fn ask(url: &str) -> Result<(u16, String, ServerFacts), FetchError> {
    let (mut answer, facts) = probe::ask(url, limits::DOCTOR_STEP_TIME_MAX)?;
    Ok((answer.status, String::from_utf8_lossy(&answer.read_all()?).into_owned(), facts))
}
