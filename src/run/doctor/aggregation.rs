//! How the metrics API is registered, and the way that kubectl takes: through the API server to what runs as toplet.

use super::finding::{DoctorStep, Finding};
use crate::cluster::client::hint;
use crate::cluster::questions::{self, Registration};
use crate::limits;
use crate::net::fetch::{FetchError, Reason};
use crate::run::cluster::Clients;

/// The APIServices of both versions. `v1` is optional: what exists today asks for `v1beta1`.
pub fn registered(clients: &Clients) -> Vec<Finding> {
    [("v1beta1", true), ("v1", false)].map(|(version, is_needed)| examine(clients, version, is_needed)).into()
}

fn examine(clients: &Clients, version: &str, is_needed: bool) -> Finding {
    let name = format!("{version}.metrics.k8s.io");
    match questions::registration(&clients.inventory, version, limits::DOCTOR_STEP_TIME_MAX) {
        Ok(Registration { service, is_available: true, .. }) => {
            Finding::ok(DoctorStep::ApiService, name, format!("is available, and points to {service}"))
        }
        Ok(Registration { service, reason, message, .. }) => {
            let text = format!("points to {service} and is not available: {reason}: {message}");
            Finding::failed(DoctorStep::ApiService, name, text, availability_remedy(&reason, &message))
        }
        Err(error) if error.reason == Reason::NotFound && is_needed => {
            let remedy = "apply configs/deployment.yaml, or for toplet on a host run toplet setup";
            let message = "is missing: the API server forwards no request of kubectl top to toplet";
            Finding::failed(DoctorStep::ApiService, name, message, remedy)
        }
        Err(error) if error.reason == Reason::NotFound => {
            Finding::skipped(DoctorStep::ApiService, name, "is not registered, which is optional")
        }
        Err(error) => {
            let remedy =
                hint(error.reason, "\"get\" on \"apiservices\" of apiregistration.k8s.io to our user");
            Finding::skipped(DoctorStep::ApiService, name, error).with_remedy(remedy)
        }
    }
}

const NO_ENDPOINTS: &str = "no ready toplet is behind the Service: see that its pod runs and is ready, or that the Endpoints of \
                            a host service name this machine's address and port";

/// What to do about the aggregator's reason. Source: `k8s.io/kube-aggregator`
/// `pkg/controllers/status/remote/remote_available_controller.go`.
pub fn availability_remedy(reason: &str, message: &str) -> &'static str {
    match reason {
        "ServiceNotFound" => {
            "create the Service that the APIService names: apply configs/deployment.yaml, or for toplet on a host run toplet setup"
        }
        "ServicePortError" => "give the Service the port that the APIService names",
        "EndpointsNotFound" | "MissingEndpoints" => NO_ENDPOINTS,
        "FailedDiscoveryCheck" => unreachable_service(message),
        _ => "see the log of kube-apiserver (or k3s) about this APIService",
    }
}

/// Why kube-apiserver cannot reach what it points to, by its own words.
fn unreachable_service(message: &str) -> &'static str {
    let has = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if has(&["x509", "certificate"]) {
        "the API server does not trust our serving certificate: put its authority into the APIService's caBundle (ca.crt in \
         --cert-dir), or set insecureSkipTLSVerify"
    } else if has(&["no endpoints", "no addresses"]) {
        NO_ENDPOINTS
    } else if has(&["refused"]) {
        "nothing listens there: see that toplet runs, and that the port of Service and Endpoints is --secure-port"
    } else if has(&["timeout", "deadline", "Timeout", "no route"]) {
        "the API server's machine cannot reach toplet: check firewall, network policy and routes between them, or run toplet \
         with hostNetwork"
    } else {
        "see the log of kube-apiserver (or k3s), and whether toplet runs where the Service points to"
    }
}

/// Asks for the nodes' usage as kubectl does.
pub fn way_back(clients: &Clients, nodes: &[String]) -> Finding {
    let path = "/apis/metrics.k8s.io/v1beta1/nodes";
    match questions::served_nodes(&clients.inventory, limits::DOCTOR_STEP_TIME_MAX) {
        Err(error) => refused(path, &error),
        Ok(served) => {
            let absent: Vec<&str> =
                nodes.iter().filter(|name| !served.contains(name)).map(String::as_str).collect();
            let Some(first) = absent.first() else {
                let message =
                    format!("the API server forwards it and gets the usage of {} nodes", served.len());
                return Finding::ok(DoctorStep::Aggregation, path, message);
            };
            let message =
                format!("{} of {} nodes are not served, {first} among them", absent.len(), nodes.len());
            let remedy = "see what is said of these nodes, or wait for their second sample";
            Finding::warning(DoctorStep::Aggregation, path, message, remedy)
        }
    }
}

fn refused(path: &str, error: &FetchError) -> Finding {
    let remedy = match error.reason {
        Reason::Forbidden => {
            let right = "\"get\" and \"list\" on \"nodes\" of metrics.k8s.io to our user, as the ClusterRole \
                         system:aggregated-metrics-reader does";
            return Finding::skipped(DoctorStep::Aggregation, path, error)
                .with_remedy(hint(error.reason, right));
        }
        Reason::NotFound => "register the metrics API: see what is said of apiservice",
        Reason::Unauthorized => {
            "toplet does not recognise the API server's front proxy: it must be able to read the ConfigMap \
             kube-system/extension-apiserver-authentication, or be given --requestheader-client-ca-file"
        }
        Reason::Busy => unreachable_service(&error.message),
        Reason::Body => {
            "something else than the metrics API is registered: see where the APIService points to"
        }
        _ => "see the logs of toplet and of kube-apiserver (or k3s)",
    };
    Finding::failed(DoctorStep::Aggregation, path, error, remedy)
}
