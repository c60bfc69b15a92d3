//! Refusals: Kubernetes' `Status` object in the negotiated encoding, and the few errors that are plain text.
//!
//! A `Status` is JSON, YAML or protobuf, whichever clause of `Accept` fits an error document; when none does, it is
//! indented JSON whatever was asked for. Messages are the reference's, since clients print them and some match on them.
//! A refusal allocates; it is off the hot path. Source: `k8s.io/apiserver` `responsewriters`, `apimachinery` `errors`.

use super::answer::{Answer, Body};
use super::invalid_field::InvalidField;
use super::negotiate::{self, Choice, Media};
use super::{encode_json, encode_protobuf};
use crate::wire::request::Head;
use crate::wire::text::quoted;
use std::borrow::Cow;

/// `Content-Type` of plain text.
const TEXT: &str = "text/plain; charset=utf-8";
/// The API group of everything served here.
pub const GROUP: &str = "metrics.k8s.io";

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// HTTP status.
    pub code: u16,
    /// The machine-readable reason; empty when there is none.
    pub reason: &'static str,
    /// The words for people.
    pub message: String,
    /// What it is about; an empty object is written as `{}`.
    pub details: Option<Detail>,
}

/// What a refusal is about; empty fields are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    /// Object name.
    pub name: String,
    /// API group.
    pub group: String,
    /// Resource (not the kind, in spite of the field's name).
    pub kind: String,
    /// Single causes.
    pub causes: Vec<Cause>,
    /// Seconds to wait; 0 when unknown.
    pub retry_after: u32,
}

/// One of several causes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cause {
    /// Machine-readable reason.
    pub reason: &'static str,
    /// The words for people.
    pub message: String,
    /// The field it is about.
    pub field: String,
}

impl Status {
    /// A refusal without details.
    #[must_use]
    pub fn failure(code: u16, reason: &'static str, message: String) -> Status {
        Status { code, reason, message, details: None }
    }

    /// The same refusal with details.
    #[must_use]
    pub fn with(self, details: Detail) -> Status {
        Status { details: Some(details), ..self }
    }

    /// The refusal as an answer to `head`, in the encoding negotiated for errors.
    #[must_use]
    pub fn answer(&self, head: &Head<'_>) -> Answer {
        let choice = negotiate::error(head);
        let (media, pretty) =
            choice.map_or((Media::Json, true), |Choice { media, pretty, .. }| (media, pretty));
        let body = match media {
            Media::Protobuf => encode_protobuf::status(self),
            Media::Json | Media::Yaml => encode_json::document(media, pretty, &self.json()),
        };
        let mut headers = vec![("Content-Type", Cow::Borrowed(media.content_type()))];
        if let Some(seconds) = self.details.as_ref().map(|d| d.retry_after).filter(|seconds| *seconds > 0) {
            headers.insert(0, ("Retry-After", Cow::Owned(seconds.to_string())));
        }
        Answer { status: self.code, headers, body: Body::Whole(body) }
    }

    /// Compact JSON, without the newline at the end.
    #[must_use]
    pub fn json(&self) -> Vec<u8> {
        let mut out = br#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure""#.to_vec();
        member(&mut out, "message", &self.message);
        member(&mut out, "reason", self.reason);
        if let Some(details) = &self.details {
            out.extend_from_slice(b",\"details\":");
            details.json(&mut out);
        }
        out.extend_from_slice(format!(",\"code\":{}}}", self.code).as_bytes());
        out
    }
}

impl Detail {
    fn json(&self, out: &mut Vec<u8>) {
        let start = out.len();
        member(out, "name", &self.name);
        member(out, "group", &self.group);
        member(out, "kind", &self.kind);
        for (index, cause) in self.causes.iter().enumerate() {
            out.extend_from_slice(if index == 0 { b",\"causes\":[" } else { b"," });
            let start = out.len();
            member(out, "reason", cause.reason);
            member(out, "message", &cause.message);
            member(out, "field", &cause.field);
            enclose(out, start);
        }
        if !self.causes.is_empty() {
            out.push(b']');
        }
        if self.retry_after > 0 {
            out.extend_from_slice(format!(",\"retryAfterSeconds\":{}", self.retry_after).as_bytes());
        }
        enclose(out, start);
    }
}

/// Appends `,"name":"value"`, unless the value is empty.
fn member(out: &mut Vec<u8>, name: &str, value: &str) {
    if !value.is_empty() {
        out.extend_from_slice(b",\"");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        encode_json::string(out, value);
    }
}

/// Makes an object of the members written since `start`.
fn enclose(out: &mut Vec<u8>, start: usize) {
    match out.get_mut(start) {
        Some(comma) => *comma = b'{',
        None => out.push(b'{'),
    }
    out.push(b'}');
}

/// A plain-text error, as Go's `http.Error` writes it.
fn text(code: u16, line: &str) -> Answer {
    let headers =
        vec![("Content-Type", Cow::Borrowed(TEXT)), ("X-Content-Type-Options", Cow::Borrowed("nosniff"))];
    Answer { status: code, headers, body: Body::Whole(format!("{line}\n").into_bytes()) }
}

/// Text that cannot be taken for HTML; quotes stay.
fn html_escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// 400 with the given words.
#[must_use]
pub fn bad_request(head: &Head<'_>, message: String) -> Answer {
    Status::failure(400, "BadRequest", message).answer(head)
}

/// 401: credentials were shown and are not valid.
#[must_use]
pub fn unauthorized(head: &Head<'_>) -> Answer {
    Status::failure(401, "Unauthorized", "Unauthorized".to_owned()).answer(head)
}

/// 403: somebody may not do this, in the given words; an empty group and resource make it about a path.
#[must_use]
pub fn forbidden_for(head: &Head<'_>, group: &str, resource: &str, name: &str, because: &str) -> Answer {
    let about = group_resource(group, resource);
    let message = match (about.as_str(), name) {
        ("", _) => format!("forbidden: {because}"),
        (about, "") => format!("{about} is forbidden: {because}"),
        (about, name) => format!("{about} {} is forbidden: {because}", quoted(name)),
    };
    let details = Detail {
        name: name.to_owned(),
        group: group.to_owned(),
        kind: resource.to_owned(),
        ..Detail::default()
    };
    let mut answer = Status::failure(403, "Forbidden", message).with(details).answer(head);
    answer.headers.push(("X-Content-Type-Options", Cow::Borrowed("nosniff")));
    answer
}

/// `resource.group`, or whichever of the two there is.
fn group_resource(group: &str, resource: &str) -> String {
    match (resource, group) {
        (resource, "") => resource.to_owned(),
        (resource, group) => format!("{resource}.{group}"),
    }
}

/// 500 in plain text: a filter before routing failed, for example the review that decides about access.
#[must_use]
pub fn filter_failed(head: &Head<'_>, error: &str) -> Answer {
    let target = match head.query {
        Some(query) => format!("{}?{query}", head.path),
        None => head.path.to_owned(),
    };
    text(500, &html_escaped(&format!("Internal Server Error: {}: {error}", quoted(&target))))
}

/// 404: no such path below the API group.
#[must_use]
pub fn unknown_resource(head: &Head<'_>) -> Answer {
    let message = "the server could not find the requested resource".to_owned();
    Status::failure(404, "NotFound", message).with(Detail::default()).answer(head)
}

/// 404: the cluster has no such object. `kind` is `node` or `pods`.
#[must_use]
pub fn unknown_object(head: &Head<'_>, kind: &str, name: &str) -> Answer {
    let details = Detail { name: name.to_owned(), kind: kind.to_owned(), ..Detail::default() };
    Status::failure(404, "NotFound", format!("{kind} {} not found", quoted(name))).with(details).answer(head)
}

/// 404: the object exists and has no usage yet. `kind` is `nodemetrics` or `podmetrics`.
#[must_use]
pub fn no_metrics(head: &Head<'_>, kind: &str, name: &str) -> Answer {
    let details =
        Detail { name: name.to_owned(), group: GROUP.to_owned(), kind: kind.to_owned(), ..Detail::default() };
    let message = format!("{kind}.{GROUP} {} not found", quoted(name));
    Status::failure(404, "NotFound", message).with(details).answer(head)
}

/// 405: only GET is served here.
#[must_use]
pub fn method_not_allowed(head: &Head<'_>) -> Answer {
    let message = "the server does not allow this method on the requested resource".to_owned();
    Status::failure(405, "MethodNotAllowed", message).with(Detail::default()).answer(head)
}

/// 405: lists cannot be watched.
#[must_use]
pub fn watch_not_supported(head: &Head<'_>, resource: &str) -> Answer {
    let details = Detail { group: GROUP.to_owned(), kind: resource.to_owned(), ..Detail::default() };
    let kind = quoted(&group_resource(GROUP, resource));
    let message = format!("watch is not supported on resources of kind {kind}");
    Status::failure(405, "MethodNotAllowed", message).with(details).answer(head)
}

/// 422: list options that exclude each other.
#[must_use]
pub fn invalid_list_options(head: &Head<'_>, errors: &[InvalidField]) -> Answer {
    let causes = errors
        .iter()
        .map(|e| Cause { reason: e.kind.reason(), message: e.body(), field: e.field.clone() })
        .collect();
    let details = Detail {
        group: "meta.k8s.io".to_owned(),
        kind: "ListOptions".to_owned(),
        causes,
        ..Detail::default()
    };
    let message = format!("ListOptions.meta.k8s.io \"\" is invalid: {}", InvalidField::joined(errors));
    Status::failure(422, "Invalid", message).with(details).answer(head)
}

/// 504: the request's time is over. The reference leaves out kind and apiVersion and calls it text.
#[must_use]
pub fn gateway_timeout() -> Answer {
    let body: &[u8] =
        b"{\"metadata\":{},\"status\":\"Failure\",\"message\":\"Timeout: request did not complete \
        within the allotted timeout\",\"reason\":\"Timeout\",\"details\":{},\"code\":504}\n";
    Answer { status: 504, headers: vec![("Content-Type", Cow::Borrowed(TEXT))], body: Body::Static(body) }
}
