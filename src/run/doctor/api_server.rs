//! The API server: whether it answers and accepts us, its clock and certificate, and the rights of our user.

use super::certificates;
use super::finding::{DoctorStep, Finding};
use crate::cli::Config;
use crate::cluster::client::{ApiServer, hint};
use crate::cluster::questions::{self, Right};
use crate::limits;
use crate::net::fetch::Reason;
use crate::net::probe;
use crate::run::cluster::Clients;

const TIME: std::time::Duration = limits::DOCTOR_STEP_TIME_MAX;

/// Whether the API server answers our credentials; what it shows of certificate and clock is found as well.
pub fn reachable(clients: &Clients, findings: &mut Vec<Finding>) -> bool {
    let api = &clients.inventory;
    let base = api.base();
    let answer = questions::version(api, TIME);
    let connected = match &answer {
        // A cluster without the role system:public-info-viewer hides its version; it knows us all the same.
        Err(error) if error.reason == Reason::Forbidden => {
            findings.push(Finding::ok(DoctorStep::ApiServer, base, "answers, and does not show its version"));
            true
        }
        Ok(version) => {
            let version = if version.is_empty() { "an unknown version" } else { version };
            findings.push(Finding::ok(DoctorStep::ApiServer, base, format!("answers ({version})")));
            true
        }
        Err(error) => {
            let remedy = hint(error.reason, "\"get\" on \"/version\" to our user");
            findings.push(Finding::failed(DoctorStep::ApiServer, base, error, remedy));
            error.connected
        }
    };
    let reachable = findings.last().is_some_and(|finding| !finding.is_failed());
    let unverified = answer.is_err_and(|e| {
        matches!(e.reason, Reason::Expired | Reason::Untrusted | Reason::NotForServers | Reason::WrongName)
    });
    if (connected || unverified)
        && let Ok((_, facts)) = probe::ask(&format!("{base}/version"), TIME)
    {
        let whose = "of the API server";
        let renew = "renew the API server's serving certificate";
        findings.extend(facts.certificate_end.map(|end| certificates::dated(whose, end, renew)));
        findings.extend(facts.clock_ahead.map(|ahead| certificates::clock(whose, ahead)));
    }
    reachable
}

/// A right, whom it is asked for, and what fails without it; `None` where something else decides.
struct Need<'a> {
    api: &'a ApiServer,
    right: Right,
    without: Option<&'static str>,
}

fn needs<'a>(config: &Config, clients: &'a Clients) -> Vec<Need<'a>> {
    let Clients { inventory, tokens, permissions, .. } = clients;
    let need = |api, verb, group, resource, without| Need {
        api,
        right: Right { verb, group, resource, object: ("", "") },
        without,
    };
    let (nodes, pods) = ("no node is known", "no pod is served");
    let mut needs = vec![
        need(inventory, "list", "", "nodes", Some(nodes)),
        need(inventory, "watch", "", "nodes", Some(nodes)),
        need(inventory, "list", "", "pods", Some(pods)),
        need(inventory, "watch", "", "pods", Some(pods)),
    ];
    if config.kubelet_addresses.via_apiserver {
        needs.push(need(inventory, "get", "", "nodes/proxy", Some("no kubelet can be asked")));
    } else if config.kubelet_credentials.pair.is_none() && !config.kubelet_credentials.completely_insecure {
        // What a kubelet answers decides: it may allow more than the API server would.
        needs.push(need(inventory, "get", "", "nodes/metrics", None));
    }
    let (token_group, access_group) = ("authentication.k8s.io", "authorization.k8s.io");
    let denied = "requests that the API server forwards are refused";
    needs.push(need(tokens, "create", token_group, "tokenreviews", Some("callers with a token are refused")));
    needs.push(need(permissions, "create", access_group, "subjectaccessreviews", Some(denied)));
    if !config.trust.skip_lookup {
        let from_flag = config.trust.front_proxy_ca_file.is_some();
        let map = need(tokens, "get", "", "configmaps", Some(denied).filter(|_| !from_flag));
        let object = ("kube-system", "extension-apiserver-authentication");
        needs.push(Need { right: Right { object, ..map.right }, ..map });
    }
    needs
}

/// Every right that the shipped roles grant.
pub fn rights(config: &Config, clients: &Clients) -> Vec<Finding> {
    let needs = needs(config, clients);
    let mut findings = Vec::new();
    for Need { api, right, without } in &needs {
        let Right { verb, resource, object: (namespace, name), .. } = right;
        let what = match *name {
            "" => format!("{verb} {resource}"),
            name => format!("{verb} {resource} {namespace}/{name}"),
        };
        match questions::ask_right(api, right, TIME) {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => {
                let reason = if reason.is_empty() { reason } else { format!(" ({reason})") };
                let remedy = allow(right);
                findings.push(match without {
                    Some(without) => {
                        let message = format!("not allowed to our user{reason}: {without}");
                        Finding::failed(DoctorStep::Rights, what, message, remedy)
                    }
                    None => {
                        let message = format!("not allowed to our user{reason}");
                        Finding::warning(DoctorStep::Rights, what, message, remedy)
                    }
                });
            }
            Err(error) => {
                let remedy = hint(error.reason, "\"create\" on \"selfsubjectaccessreviews\" to our user");
                findings.push(Finding::skipped(DoctorStep::Rights, what, error).with_remedy(remedy));
            }
        }
    }
    if findings.is_empty() {
        let message = format!("all {} that are needed are granted", needs.len());
        findings.push(Finding::ok(DoctorStep::Rights, "", message));
    }
    findings
}

fn allow(right: &Right) -> String {
    let Right { verb, group, resource, object: (namespace, name) } = right;
    let group = if group.is_empty() { String::new() } else { format!(" of {group}") };
    let object = if name.is_empty() { String::new() } else { format!(" {namespace}/{name}") };
    format!(
        "allow \"{verb}\" on \"{resource}\"{object}{group} to our user (RBAC), as configs/deployment.yaml does"
    )
}
