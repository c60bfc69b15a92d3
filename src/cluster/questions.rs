//! What only a diagnosis asks the API server: our own rights, how the metrics API is registered, and what it answers.

use super::client::ApiServer;
use super::review::{access_verdict, message, read};
use crate::access::review::Verdict;
use crate::limits;
use crate::net::fetch::{FetchError, Reason};
use miniserde::{Deserialize, json};
use std::time::Duration;

const SELF_REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

/// One right: a verb on a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Right {
    /// For instance `list`.
    pub verb: &'static str,
    /// API group; empty for the core.
    pub group: &'static str,
    /// Resource, and after a slash its subresource.
    pub resource: &'static str,
    /// Namespace and name of the one object; empty for all.
    pub object: (&'static str, &'static str),
}

/// Whether we have a right, by a SelfSubjectAccessReview; a refusal comes with the authorizer's reason, often empty.
/// # Errors
/// The API server gave no verdict.
pub fn ask_right(
    api: &ApiServer,
    right: &Right,
    timeout: Duration,
) -> Result<Result<(), String>, FetchError> {
    let (resource, subresource) = right.resource.split_once('/').unwrap_or((right.resource, ""));
    let (namespace, name) = right.object;
    let document = format!(
        "{{\"kind\":\"SelfSubjectAccessReview\",\"apiVersion\":\"authorization.k8s.io/v1\",\"spec\":{{\
         \"resourceAttributes\":{{\"verb\":\"{}\",\"group\":\"{}\",\"resource\":\"{resource}\",\
         \"subresource\":\"{subresource}\",\"namespace\":\"{namespace}\",\"name\":\"{name}\"}}}}}}",
        right.verb, right.group
    );
    let mut answer = api.post(SELF_REVIEWS, &document, timeout)?;
    let refusal = answer.refusal();
    let body = read(&mut answer)?;
    match (refusal, access_verdict(&body)) {
        (Some(refusal), _) => Err(with_message(refusal, &body)),
        (None, Some(Verdict::Allowed)) => Ok(Ok(())),
        (None, Some(Verdict::Denied(reason))) => Ok(Err(reason)),
        (None, _) => Err(FetchError::new(Reason::Body, "the answer is not a SelfSubjectAccessReview")),
    }
}

/// Adds the API server's own words to a refusal.
pub(super) fn with_message(mut refusal: FetchError, body: &str) -> FetchError {
    if let Some(said) = message(body) {
        let said: String = said.chars().take(limits::LOGGED_LEN_MAX).collect();
        refusal.message.push_str(&format!(": {said}"));
    }
    refusal
}

/// A small JSON document.
fn document(api: &ApiServer, path: &str, timeout: Duration) -> Result<String, FetchError> {
    let mut answer = api.get(path, "application/json", Some(timeout))?;
    let refusal = answer.refusal();
    let body = read(&mut answer)?;
    refusal.map_or(Ok(body.clone()), |refusal| Err(with_message(refusal, &body)))
}

/// The API server's version, for instance `v1.34.1`; empty where it does not say.
/// # Errors
/// There is no answer, or a refusal.
pub fn version(api: &ApiServer, timeout: Duration) -> Result<String, FetchError> {
    #[derive(Deserialize)]
    struct Version {
        #[serde(rename = "gitVersion")]
        git_version: Option<String>,
    }
    let body = document(api, "/version", timeout)?;
    Ok(json::from_str::<Version>(&body).ok().and_then(|it| it.git_version).unwrap_or_default())
}

/// How an APIService is registered, and what the aggregator says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registration {
    /// The service it points to, `namespace/name:port`; empty for a local one.
    pub service: String,
    /// The condition `Available` has the status `True`.
    pub is_available: bool,
    /// Reason and message of the condition.
    pub reason: String,
    /// See `reason`.
    pub message: String,
}

#[derive(Deserialize)]
struct ApiServiceDocument {
    spec: Option<ApiServiceSpec>,
    status: Option<ApiServiceStatus>,
}

#[derive(Deserialize)]
struct ApiServiceSpec {
    service: Option<ServiceReference>,
}

#[derive(Deserialize)]
struct ServiceReference {
    namespace: Option<String>,
    name: Option<String>,
    port: Option<u32>,
}

#[derive(Deserialize)]
struct ApiServiceStatus {
    conditions: Option<Vec<Condition>>,
}

#[derive(Deserialize)]
struct Condition {
    r#type: String,
    status: String,
    reason: Option<String>,
    message: Option<String>,
}

/// The APIService of a version of `metrics.k8s.io`.
/// # Errors
/// There is no answer, or a refusal: 404 when it does not exist.
pub fn registration(api: &ApiServer, version: &str, timeout: Duration) -> Result<Registration, FetchError> {
    let path = format!("/apis/apiregistration.k8s.io/v1/apiservices/{version}.metrics.k8s.io");
    let body = document(api, &path, timeout)?;
    let document = json::from_str::<ApiServiceDocument>(&body)
        .map_err(|_| FetchError::new(Reason::Body, "the answer is not an APIService"))?;
    let service = document.spec.and_then(|spec| spec.service).map_or_else(String::new, |service| {
        let text = |it: Option<String>| it.unwrap_or_default();
        format!("{}/{}:{}", text(service.namespace), text(service.name), service.port.unwrap_or(443))
    });
    let conditions = document.status.and_then(|status| status.conditions).unwrap_or_default();
    let available = conditions.into_iter().find(|condition| condition.r#type == "Available");
    Ok(match available {
        None => Registration { service, ..Registration::default() },
        Some(condition) => Registration {
            service,
            is_available: condition.status == "True",
            reason: condition.reason.unwrap_or_default(),
            message: condition.message.unwrap_or_default(),
        },
    })
}

#[derive(Deserialize)]
struct MetricsList {
    items: Vec<MetricsItem>,
}

#[derive(Deserialize)]
struct MetricsItem {
    metadata: MetricsName,
}

#[derive(Deserialize)]
struct MetricsName {
    name: String,
}

/// Names of the nodes whose usage the metrics API serves through the API server, as kubectl asks for it.
/// # Errors
/// There is no answer, or a refusal: of the API server itself, or of what the APIService points to.
pub fn served_nodes(api: &ApiServer, timeout: Duration) -> Result<Vec<String>, FetchError> {
    let body = document(api, "/apis/metrics.k8s.io/v1beta1/nodes", timeout)?;
    let list = json::from_str::<MetricsList>(&body)
        .map_err(|_| FetchError::new(Reason::Body, "the answer is not a NodeMetricsList"))?;
    Ok(list.items.into_iter().map(|item| item.metadata.name).collect())
}
