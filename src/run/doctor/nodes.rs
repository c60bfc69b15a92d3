//! Every node's kubelet: one real scrape through the code of the poller, its certificate and its clock.
//!
//! A few nodes at a time; what is not reached within `limits::DOCTOR_NODES_TIME_MAX` is said to be skipped. Problems are
//! listed one by one up to a bound, what is well is summed up.

use super::certificates;
use super::finding::{DoctorStep, Finding};
use crate::cli::Config;
use crate::cluster::client::hint;
use crate::cluster::watch::once;
use crate::host::clock;
use crate::limits;
use crate::lock::lock;
use crate::net::probe::{self, ServerFacts};
use crate::poller::report;
use crate::run::cluster::Clients;
use crate::source::address;
use crate::source::kubelet::{KubeletAccess, KubeletSource};
use crate::source::{Source, SourceError};
use crate::store::batch::Batch;
use crate::store::{Store, Target};
use crate::units::Window;
use std::sync::Mutex;
use std::time::Duration;

/// Reasons without a server that could show a certificate or a clock.
const UNREACHABLE: [&str; 5] = ["dns", "refused", "timeout", "no_address", "io"];

/// What one node said.
struct Visit {
    name: String,
    is_ready: bool,
    /// Complete pods, or why there is no answer.
    scraped: Result<usize, SourceError>,
    facts: ServerFacts,
}

/// Lists the nodes and scrapes each; the names of those that should be served.
pub fn examine(config: &Config, clients: &Clients, findings: &mut Vec<Finding>) -> Vec<String> {
    let mut targets = match list(config, clients) {
        Ok(targets) => targets,
        Err(finding) => {
            findings.push(finding);
            return Vec::new();
        }
    };
    targets.sort_unstable_by(Target::by_name);
    if targets.is_empty() {
        let remedy = "without a node nothing is served: see --node-selector, and kubectl get nodes";
        findings.push(Finding::warning(DoctorStep::Nodes, "", "no node is selected", remedy));
    }
    let names = targets.iter().map(|target| target.name.clone()).collect();
    let count = targets.len();
    let visits = visit_all(&clients.kubelets, targets);
    report_scrapes(&visits, count, findings);
    let renew = "renew the kubelet's serving certificate (rotateCertificates and serverTLSBootstrap do it by themselves)";
    let certificates = visits.iter().filter_map(|visit| {
        let end = visit.facts.certificate_end?;
        Some(certificates::dated(&format!("of the kubelet of {}", visit.name), end, renew))
    });
    listed(certificates.collect(), DoctorStep::Certificates, findings);
    let clocks = visits.iter().filter_map(|visit| {
        Some(certificates::clock(&format!("of {}", visit.name), visit.facts.clock_ahead?))
    });
    listed(clocks.collect(), DoctorStep::Clock, findings);
    names
}

/// The selected nodes.
fn list(config: &Config, clients: &Clients) -> Result<Vec<Target>, Finding> {
    let mut store = Store::new(config.capacity, Window::from_duration(config.resolution));
    let refused =
        once::list_nodes(&clients.inventory, &mut store, limits::LIST_TIMEOUT).map_err(|error| {
            let remedy = hint(error.reason, "\"list\" on \"nodes\" to our user");
            Finding::failed(DoctorStep::Nodes, "", format!("cannot be listed: {error}"), remedy)
        })?;
    if refused > 0 {
        let message = format!("{refused} nodes find no room");
        return Err(Finding::failed(DoctorStep::Nodes, "", message, "raise --max-nodes"));
    }
    let is_selected = |target: &Target| {
        store
            .node(&target.name)
            .is_some_and(|node| config.node_selector.matches(|key| node.labels.value(key)))
    };
    Ok(store.targets().into_iter().filter(is_selected).collect())
}

/// Visits nodes until none is left or the time is over, in their order.
fn visit_all(access: &std::sync::Arc<KubeletAccess>, targets: Vec<Target>) -> Vec<Visit> {
    let threads = targets.len().min(limits::DOCTOR_THREADS_MAX);
    let (waiting, visits) = (Mutex::new(targets.into_iter()), Mutex::new(Vec::new()));
    let deadline = clock::mono() + limits::DOCTOR_NODES_TIME_MAX;
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while clock::mono() < deadline {
                    let Some(target) = lock(&waiting).next() else { break };
                    let visit = visit(access, target);
                    lock(&visits).push(visit);
                }
            });
        }
    });
    let mut visits = visits.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    visits.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    visits
}

fn visit(access: &std::sync::Arc<KubeletAccess>, target: Target) -> Visit {
    let mut batch = Batch::new();
    let read = KubeletSource::new(access.clone()).read(&target, &mut batch);
    let scraped = read.and_then(|_| report::check(&batch)).map(|()| batch.pods().count());
    let facts = match &scraped {
        Err(error) if UNREACHABLE.contains(&error.reason) => ServerFacts::default(),
        // The certificate and the clock there are the API server's.
        _ if address::is_proxied(&target, &access.rules) => ServerFacts::default(),
        _ => facts(access, &target),
    };
    let scraped = match scraped {
        Ok(_) if batch.node().is_none() => Err(SourceError {
            reason: "body",
            message: "the kubelet answers, but not with CPU and memory of the node".to_owned(),
            hint: "see the kubelet's log about cgroups and its statistics".into(),
        }),
        other => other,
    };
    Visit { name: target.name, is_ready: target.ready, scraped, facts }
}

/// What the first of the node's addresses that answers shows.
fn facts(access: &KubeletAccess, target: &Target) -> ServerFacts {
    let timeout: Duration = limits::DOCTOR_STEP_TIME_MAX.min(access.timeout);
    let path = address::path(target, address::KubeletPath::Resource);
    let mut candidates = address::candidates(target, &access.rules).into_iter();
    candidates
        .find_map(|address| probe::ask(&address::url(address, &path, target, &access.rules), timeout).ok())
        .map_or_else(ServerFacts::default, |(_, facts)| facts)
}

fn report_scrapes(visits: &[Visit], count: usize, findings: &mut Vec<Finding>) {
    let mut problems = Vec::new();
    let (mut answered, mut pods) = (0, 0);
    for Visit { name, is_ready, scraped, .. } in visits {
        match scraped {
            Ok(found) => {
                answered += 1;
                pods += found;
            }
            Err(error) => {
                let state = if *is_ready { "" } else { "the node is not Ready; " };
                let message = format!("{state}{}", error.message);
                problems.push(Finding::failed(DoctorStep::Nodes, name, message, &error.hint));
            }
        }
    }
    if answered > 0 {
        let message = format!("{answered} of {count} kubelets answer, with {pods} pods");
        findings.push(Finding::ok(DoctorStep::Nodes, "", message));
    }
    listed(problems, DoctorStep::Nodes, findings);
    if visits.len() < count {
        let message = format!("{} of {count} were not asked within the time", count - visits.len());
        findings.push(Finding::skipped(DoctorStep::Nodes, "", message));
    }
}

/// Problems one by one, as many as a reader can use; what is well as one line, or the only finding as it is.
fn listed(all: Vec<Finding>, step: DoctorStep, findings: &mut Vec<Finding>) {
    if all.len() == 1 {
        findings.extend(all);
        return;
    }
    let (well, problems): (Vec<Finding>, Vec<Finding>) = all.into_iter().partition(Finding::is_ok);
    if !well.is_empty() {
        findings.push(Finding::ok(step, "", format!("{} of the kubelets are as they should be", well.len())));
    }
    // What failed stands before warnings; the rest is counted, as failed if one of them is.
    let (mut problems, warnings): (Vec<_>, Vec<_>) = problems.into_iter().partition(Finding::is_failed);
    problems.extend(warnings);
    let rest = problems.split_off(problems.len().min(limits::DOCTOR_PROBLEMS_MAX));
    findings.extend(problems);
    if !rest.is_empty() {
        let message = format!("{} more nodes have such problems", rest.len());
        let remedy = "mend the ones above first, then run this again";
        findings.push(match rest.iter().any(Finding::is_failed) {
            true => Finding::failed(step, "", message, remedy),
            false => Finding::warning(step, "", message, remedy),
        });
    }
}
