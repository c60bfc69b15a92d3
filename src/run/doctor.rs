//! `toplet doctor`: the whole path from kubelets to clients, step by step, with the configuration of the server.
//!
//! A step is a function that returns findings. One that needs an earlier step which failed says that it was skipped.
//! Requests go through the server's own code: the same credentials, addresses and decoder. Nothing is changed anywhere.
//! Bounds: `limits::DOCTOR_STEP_TIME_MAX` for each request, `limits::DOCTOR_NODES_TIME_MAX` for all nodes together.

mod aggregation;
mod api_server;
mod certificates;
mod finding;
mod machine;
mod nodes;
mod pins;
mod running;

use super::cluster::Clients;
use crate::cli::{self, ConfigCheck, RunMode};
use crate::host::clock;
pub use aggregation::availability_remedy;
use finding::{DoctorStep, Finding};
pub use finding::{render, serves};

/// Checks everything that the configuration asks for.
pub fn examine(check: &ConfigCheck) -> Vec<Finding> {
    let config = check.config();
    if let Some(node) = check.forget_pin() {
        return vec![pins::forget(config, &node)];
    }
    let (mut findings, opened) = configuration(check);
    let running = running::look(config, &mut findings);
    match opened {
        _ if config.mode == RunMode::HostOnly => findings.extend(machine::readable()),
        None => findings.extend(
            DoctorStep::OF_CLUSTER
                .map(|step| Finding::skipped(step, "", "the configuration must be mended first")),
        ),
        Some(clients) => findings.extend(cluster(check, &clients)),
    }
    findings.extend(certificates::own(config, running.as_ref(), clock::wall()));
    findings
}

/// Flags and files; the clients, where there is a cluster and every file can be used.
fn configuration(check: &ConfigCheck) -> (Vec<Finding>, Option<Clients>) {
    let config = check.config();
    let mut findings: Vec<Finding> = config
        .warnings
        .iter()
        .map(|warning| Finding::warning(DoctorStep::Configuration, "", warning, "see configs/FLAGS.md"))
        .collect();
    for error in check.files(&cli::validate_file).into_iter().filter_map(Result::err) {
        let remedy = match error.remedy.as_str() {
            "" => "name a file that can be used, or mend it",
            remedy => remedy,
        };
        findings.push(Finding::failed(DoctorStep::Configuration, &error.subject, &error.problem, remedy));
    }
    let clients = match Clients::open(config, false) {
        Ok(clients) => clients,
        Err(problem) if findings.iter().all(|finding| !finding.is_failed()) => {
            let remedy = "name a file that can be used, or mend it";
            findings.push(Finding::failed(DoctorStep::Configuration, "", problem, remedy));
            None
        }
        Err(_) => None,
    };
    if findings.iter().all(|finding| !finding.is_failed()) {
        findings.insert(0, Finding::ok(DoctorStep::Configuration, "", check.mode()));
    }
    (findings, clients)
}

/// Everything that talks to the API server and to kubelets.
fn cluster(check: &ConfigCheck, clients: &Clients) -> Vec<Finding> {
    let config = check.config();
    let mut findings = Vec::new();
    if api_server::reachable(clients, &mut findings) {
        findings.extend(api_server::rights(config, clients));
        let names = nodes::examine(config, clients, &mut findings);
        findings.extend(aggregation::registered(clients));
        findings.push(aggregation::way_back(clients, &names));
    } else {
        let steps = [DoctorStep::Rights, DoctorStep::Nodes, DoctorStep::ApiService, DoctorStep::Aggregation];
        findings.extend(steps.map(|step| Finding::skipped(step, "", "it needs the API server")));
    }
    findings.extend(clients.kubelets.fetcher.pins().iter().flat_map(|known| pins::shown(known)));
    findings.extend(certificates::presented(clients, clock::wall()));
    findings
}
