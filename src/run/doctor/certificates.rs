//! When certificates end, and how far clocks are apart.

use super::finding::{DoctorStep, Finding};
use crate::cli::Config;
use crate::host::clock;
use crate::limits;
use crate::net::certificate::{CertificateOrigin, expires_soon, expiry_text};
use crate::net::pem;
use crate::net::probe::ServerFacts;
use crate::run::cluster::Clients;
use crate::units::UnixNanos;

/// A certificate by the end of its life: failed after it, a warning in its last 30 days.
pub fn dated(whose: &str, end: UnixNanos, renew: &str) -> Finding {
    at(whose, end, clock::wall(), renew)
}

fn at(whose: &str, end: UnixNanos, now: UnixNanos, renew: &str) -> Finding {
    let text = expiry_text(end, now);
    if end < now {
        return Finding::failed(DoctorStep::Certificates, whose, text, renew);
    }
    if expires_soon(end, now) {
        return Finding::warning(DoctorStep::Certificates, whose, text, renew);
    }
    Finding::ok(DoctorStep::Certificates, whose, text)
}

/// Another clock by the seconds that it is ahead of ours.
pub fn clock(whose: &str, ahead: i64) -> Finding {
    let apart = ahead.unsigned_abs();
    let how = if ahead < 0 { "behind" } else { "ahead of" };
    if apart <= limits::CLOCK_SKEW_SECS_MAX {
        return Finding::ok(DoctorStep::Clock, whose, format!("at most {} s apart from ours", apart.max(1)));
    }
    let message = format!("{apart} s {how} ours");
    let remedy =
        "synchronise the clocks of both machines (NTP): certificates, tokens and timestamps depend on them";
    Finding::warning(DoctorStep::Clock, whose, message, remedy)
}

/// What we present to the API server and to kubelets.
pub fn presented(clients: &Clients, now: UnixNanos) -> Vec<Finding> {
    let to_api = clients.inventory.certificate_end();
    let to_kubelets = clients.kubelets.fetcher.certificate_end();
    let renew = "renew the client certificate; a file that is replaced is read by itself";
    let mut findings: Vec<Finding> =
        to_api.map(|end| at("of our client certificate", end, now, renew)).into_iter().collect();
    if to_kubelets != to_api {
        findings.extend(to_kubelets.map(|end| at("of our client certificate for kubelets", end, now, renew)));
    }
    findings
}

/// What we serve with: as the toplet that runs shows it, else as it stands in its file.
pub fn own(config: &Config, running: Option<&ServerFacts>, now: UnixNanos) -> Vec<Finding> {
    let whose = "that we serve with";
    let shown = running.and_then(|facts| facts.certificate_end);
    let (file, is_made_here) = match &config.certificates.origin {
        CertificateOrigin::Files(certificate, _) => (Some(certificate.clone()), false),
        CertificateOrigin::Directory(directory) => (Some(directory.join("apiserver.crt")), true),
        CertificateOrigin::Memory => (None, true),
    };
    let renew = if is_made_here {
        "toplet renews a certificate that it made: see its log; another one must be renewed by who made it"
    } else {
        "renew the files of --tls-cert-file and --tls-private-key-file; they are read again by themselves"
    };
    let end = match (shown, file) {
        (Some(end), _) => end,
        (None, None) => {
            let message = "in memory, made at every start";
            return vec![Finding::skipped(DoctorStep::Certificates, whose, message)];
        }
        (None, Some(file)) if is_made_here && !file.exists() => {
            let message = format!("{} is made at the start", file.display());
            return vec![Finding::skipped(DoctorStep::Certificates, whose, message)];
        }
        (None, Some(file)) => match pem::certificate_end(&file) {
            Ok(end) => end,
            Err(problem) => {
                let remedy = "make the file readable to this user, or replace it";
                return vec![Finding::warning(DoctorStep::Certificates, whose, problem, remedy)];
            }
        },
    };
    vec![at(whose, end, now, renew)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::doctor::finding::render;

    #[test]
    fn a_month_before_its_end_a_certificate_is_a_warning() {
        let day = 86_400 * 1_000_000_000;
        let now = UnixNanos(1_000 * day);
        let status = |days: i64| {
            let finding = at("x", UnixNanos(now.0 + days * day), now, "renew it");
            render(&[finding], crate::cli::ReportForm::Text).split(' ').next().unwrap_or("").to_owned()
        };
        assert_eq!([31, 30, 29, 0, -1].map(status), ["ok", "ok", "warning", "warning", "failed"]);
    }
}
