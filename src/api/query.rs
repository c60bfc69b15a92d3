//! Queries: what a request asks for beside its path, and everything that may be wrong with it.
//!
//! Only the first mistake of a list is told, in metrics-server's order: numbers, label selector, field selector (400),
//! options that exclude each other (422), fields that are not known (400), then a watch (405, in `route`). Paging,
//! resource versions and `timeoutSeconds` are read for mistakes only: a list is always whole and of now.
//! Deviation: on pods the field `spec.nodeName` is known as well, which `kubectl top pod --field-selector` asks for.

use super::status::{Cause, Status};
use super::view::{Include, Resource};
use crate::limits::REQUEST_TIME_MIN;
use crate::wire::request::{Head, RequestInfo, integer, is_true, parameter};
use crate::wire::selector::{FieldSelector, LabelSelector};
use crate::wire::text::quoted;
use crate::wire::time::parse_duration;

/// What is refused before authentication: a bad `timeout` parameter (400), or one so short that no answer can be ready in time
/// (504).
/// # Errors
/// The refusal.
pub fn before_authentication(head: &Head<'_>, info: &RequestInfo<'_>) -> Result<(), Status> {
    let Some(timeout) = info.timeout else { return Ok(()) };
    if let Some(text) = parameter(head.query, "timeout").filter(|text| !text.is_empty())
        && let Err(error) = parse_duration(&text)
    {
        return Err(Status::bad_request(format!("timeout: {error}")));
    }
    if timeout < REQUEST_TIME_MIN { Err(Status::timeout()) } else { Ok(()) }
}

/// What a list's query asks for.
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    /// `labelSelector`.
    pub labels: LabelSelector,
    /// `fieldSelector`.
    pub fields: FieldSelector,
    /// `watch`, which is always refused.
    pub watch: bool,
}

impl ListOptions {
    /// Reads the query of a list.
    /// # Errors
    /// 400 or 422, for the first mistake.
    pub fn read(query: Option<&str>, resource: Resource) -> Result<ListOptions, Status> {
        for name in ["timeoutSeconds", "limit"] {
            if let Some(text) = parameter(query, name) {
                integer(&text).map_err(|error| Status::bad_request(format!("{name}: {error}")))?;
            }
        }
        let text = |name| parameter(query, name).unwrap_or_default();
        let labels = LabelSelector::parse(&text("labelSelector"))
            .map_err(|error| Status::bad_request(format!("labelSelector: {}", error)))?;
        let fields = FieldSelector::parse(&text("fieldSelector"))
            .map_err(|error| Status::bad_request(format!("fieldSelector: {}", error)))?;
        let watch = is_true(query, "watch");
        let causes = if watch { watch_mistakes(query) } else { list_mistakes(query) };
        if !causes.is_empty() {
            return Err(Status::invalid_list_options(causes));
        }
        if let Some((field, _, _)) = fields.terms().find(|(field, _, _)| !is_known(field, resource)) {
            let known = match resource {
                Resource::Nodes => "metadata.name and metadata.namespace",
                Resource::Pods => "metadata.name, metadata.namespace and spec.nodeName",
            };
            let message = format!("fieldSelector: unknown field {}; known are {known}", quoted(field));
            return Err(Status::bad_request(message));
        }
        Ok(ListOptions { labels, fields, watch })
    }
}

fn is_known(field: &str, resource: Resource) -> bool {
    matches!(field, "metadata.name" | "metadata.namespace")
        || (resource == Resource::Pods && field == "spec.nodeName")
}

const MATCH: &str = "resourceVersionMatch";
const EVENTS: &str = "sendInitialEvents";

fn forbidden(field: &'static str, message: &str) -> Cause {
    Cause { reason: "FieldValueForbidden", message: message.to_owned(), field }
}

fn not_supported(value: &str, supported: &str) -> Cause {
    let message = format!("{} is not supported; known are {supported}", quoted(value));
    Cause { reason: "FieldValueNotSupported", message, field: MATCH }
}

fn list_mistakes(query: Option<&str>) -> Vec<Cause> {
    let text = |name| parameter(query, name).unwrap_or_default();
    let (version, chosen) = (text("resourceVersion"), text(MATCH));
    let mut mistakes = Vec::new();
    if !chosen.is_empty() {
        if version.is_empty() {
            mistakes.push(forbidden(MATCH, "needs resourceVersion"));
        }
        if !text("continue").is_empty() {
            mistakes.push(forbidden(MATCH, "cannot be combined with continue"));
        }
        if !matches!(&*chosen, "Exact" | "NotOlderThan") {
            mistakes.push(not_supported(&chosen, "Exact and NotOlderThan"));
        }
        if chosen == "Exact" && version == "0" {
            mistakes.push(forbidden(MATCH, "Exact cannot be combined with resourceVersion 0"));
        }
    }
    if parameter(query, EVENTS).is_some() {
        mistakes.push(forbidden(EVENTS, "cannot be combined with a list"));
    }
    mistakes
}

fn watch_mistakes(query: Option<&str>) -> Vec<Cause> {
    let chosen = parameter(query, MATCH).unwrap_or_default();
    let sends = parameter(query, EVENTS).is_some();
    let mut mistakes = Vec::new();
    if sends && chosen != "NotOlderThan" {
        mistakes.push(forbidden(MATCH, "must be NotOlderThan with sendInitialEvents"));
    }
    if !chosen.is_empty() {
        if !sends {
            mistakes.push(forbidden(MATCH, "needs sendInitialEvents in a watch"));
        }
        if chosen != "NotOlderThan" {
            mistakes.push(not_supported(&chosen, "NotOlderThan"));
        }
        if !parameter(query, "continue").unwrap_or_default().is_empty() {
            mistakes.push(forbidden(MATCH, "cannot be combined with continue"));
        }
    }
    mistakes
}

/// The option of a get: `export` is gone, and only a false one passes.
/// # Errors
/// 400.
pub fn check_get(query: Option<&str>) -> Result<(), Status> {
    match is_true(query, "export") {
        true => Err(Status::bad_request("export: this parameter is not supported any more")),
        false => Ok(()),
    }
}

/// What the rows of a table are to carry; read only when a table was negotiated.
/// # Errors
/// 400.
pub fn include_object(query: Option<&str>) -> Result<Include, Status> {
    match &*parameter(query, "includeObject").unwrap_or_default() {
        "" | "Metadata" => Ok(Include::Metadata),
        "Object" => Ok(Include::Object),
        "None" => Ok(Include::None),
        other => {
            let message = format!("includeObject: expected Metadata, Object or None, not {}", quoted(other));
            Err(Status::bad_request(message))
        }
    }
}
