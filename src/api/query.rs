//! List options: the query of a list, and everything that may be wrong with it.
//!
//! The order of checks is the reference's, since only the first mistake is told: numbers, label selector, field
//! selector (400), options that exclude each other (422), fields that are not known (400), then a watch (405, in
//! `route`). Paging, resource versions and `timeoutSeconds` are read for mistakes only: a list is always whole and of
//! now. Deviation: on pods the field `spec.nodeName` is known as well, which `kubectl top pod --field-selector` asks for.
//! Source: `handlers/get.go` of `k8s.io/apiserver`, `meta/internalversion` of `k8s.io/apimachinery`.

use super::answer::Answer;
use super::invalid_field::{InvalidField, Mistake};
use super::status::{bad_request, invalid_list_options};
use super::view::{Include, Resource};
use crate::wire::request::{Head, integer, is_true, parameter};
use crate::wire::selector::{FieldSelector, LabelSelector};
use crate::wire::text::quoted;

/// What a list's query asks for.
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    /// `labelSelector`.
    pub labels: LabelSelector,
    /// `fieldSelector`.
    pub fields: FieldSelector,
    /// `watch`, which nobody gets.
    pub watch: bool,
}

impl ListOptions {
    /// Reads the query of a list.
    /// # Errors
    /// 400 or 422, for the first mistake.
    pub fn read(head: &Head<'_>, resource: Resource) -> Result<ListOptions, Answer> {
        for name in ["timeoutSeconds", "limit"] {
            if let Some(text) = parameter(head.query, name) {
                integer(&text).map_err(|error| bad_request(head, format!("{name}: {error}")))?;
            }
        }
        let text = |name| parameter(head.query, name).unwrap_or_default();
        let labels = LabelSelector::parse(&text("labelSelector"))
            .map_err(|error| bad_request(head, format!("labelSelector: {error}")))?;
        let fields = FieldSelector::parse(&text("fieldSelector"))
            .map_err(|error| bad_request(head, format!("fieldSelector: {error}")))?;
        let watch = is_true(head.query, "watch");
        let mistakes = if watch { watch_mistakes(head.query) } else { list_mistakes(head.query) };
        if !mistakes.is_empty() {
            return Err(invalid_list_options(head, &mistakes));
        }
        if let Some((field, _, _)) = fields.terms().find(|(field, _, _)| !is_known(field, resource)) {
            let known = "is not a known field selector: only \"metadata.name\", \"metadata.namespace\"";
            return Err(bad_request(head, format!("{} {known}", quoted(field))));
        }
        Ok(ListOptions { labels, fields, watch })
    }
}

fn is_known(field: &str, resource: Resource) -> bool {
    matches!(field, "metadata.name" | "metadata.namespace")
        || (resource == Resource::Pods && field == "spec.nodeName")
}

/// `resourceVersionMatch` and its mistakes.
const MATCH: &str = "resourceVersionMatch";
const WITHOUT_VERSION: &str = "resourceVersionMatch is forbidden unless resourceVersion is provided";
const WITH_CONTINUE: &str = "resourceVersionMatch is forbidden when continue is provided";
const EXACT_ZERO: &str = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
const WATCH_WITHOUT_SEND: &str =
    "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
const SEND_WITHOUT_MATCH: &str = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";

fn forbidden(field: &str, detail: &str) -> InvalidField {
    let (field, detail) = (field.to_owned(), detail.to_owned());
    InvalidField { field, kind: Mistake::Forbidden, value: String::new(), detail }
}

fn not_supported(value: &str, supported: &str) -> InvalidField {
    InvalidField {
        field: MATCH.to_owned(),
        kind: Mistake::NotSupported,
        value: value.to_owned(),
        detail: format!("supported values: {supported}"),
    }
}

fn list_mistakes(query: Option<&str>) -> Vec<InvalidField> {
    let text = |name| parameter(query, name).unwrap_or_default();
    let version = text("resourceVersion");
    let mut mistakes = Vec::new();
    let chosen = text(MATCH);
    if !chosen.is_empty() {
        if version.is_empty() {
            mistakes.push(forbidden(MATCH, WITHOUT_VERSION));
        }
        if !text("continue").is_empty() {
            mistakes.push(forbidden(MATCH, WITH_CONTINUE));
        }
        if !matches!(&*chosen, "Exact" | "NotOlderThan") {
            mistakes.push(not_supported(&chosen, "\"Exact\", \"NotOlderThan\", \"\""));
        }
        if chosen == "Exact" && version == "0" {
            mistakes.push(forbidden(MATCH, EXACT_ZERO));
        }
    }
    if parameter(query, "sendInitialEvents").is_some() {
        mistakes.push(forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
    }
    mistakes
}

fn watch_mistakes(query: Option<&str>) -> Vec<InvalidField> {
    let text = |name| parameter(query, name).unwrap_or_default();
    let mut mistakes = Vec::new();
    let chosen = text(MATCH);
    let sends = parameter(query, "sendInitialEvents").is_some();
    if sends && chosen != "NotOlderThan" {
        mistakes.push(forbidden(MATCH, SEND_WITHOUT_MATCH));
    }
    if !chosen.is_empty() {
        if !sends {
            mistakes.push(forbidden(MATCH, WATCH_WITHOUT_SEND));
        }
        if chosen != "NotOlderThan" {
            mistakes.push(not_supported(&chosen, "\"NotOlderThan\""));
        }
        if !text("continue").is_empty() {
            mistakes.push(forbidden(MATCH, WITH_CONTINUE));
        }
    }
    mistakes
}

/// The option of a get: `export` is gone, and only a false one passes.
/// # Errors
/// 400.
pub fn check_get(head: &Head<'_>) -> Result<(), Answer> {
    if is_true(head.query, "export") {
        let message = "the export parameter, deprecated since v1.14, is no longer supported";
        return Err(bad_request(head, message.to_owned()));
    }
    Ok(())
}

/// What the rows of a table are to carry; read only when a table was negotiated.
/// # Errors
/// 400.
pub fn include_object(head: &Head<'_>) -> Result<Include, Answer> {
    match &*parameter(head.query, "includeObject").unwrap_or_default() {
        "" | "Metadata" => Ok(Include::Metadata),
        "Object" => Ok(Include::Object),
        "None" => Ok(Include::None),
        other => {
            let detail = "must be 'Metadata', 'Object', 'None', or empty".to_owned();
            let mistake = InvalidField {
                kind: Mistake::Invalid,
                ..InvalidField::invalid("includeObject".to_owned(), other, detail)
            };
            let text = InvalidField::joined(&[mistake]);
            Err(bad_request(head, format!("Unable to convert to Table as requested: {text}")))
        }
    }
}
