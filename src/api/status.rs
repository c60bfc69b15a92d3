//! Refusals as values: what Kubernetes' `Status` object says. Rendering is `encode_status`'s.
//!
//! Code, reason and details are metrics-server's, which clients read; the words are ours. Whatever repeats the request is
//! cut: text a client sent at [`QUOTED_LEN_MAX`] bytes, and every message as a whole at [`STATUS_MESSAGE_LEN_MAX`], so that
//! a refusal is small however large the request is.
//! Deviation: the messages of errors, and of the failing filters before routing, which are a `Status` too, are our own.

use crate::limits::{QUOTED_LEN_MAX, STATUS_MESSAGE_LEN_MAX};
use crate::wire::text::{cut, quoted};

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
    pub details: Option<Box<Details>>,
}

/// What a refusal is about; empty fields are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
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
    pub field: &'static str,
}

impl Status {
    /// A refusal without details.
    #[must_use]
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Status {
        let mut message = message.into();
        message.truncate(cut(&message, STATUS_MESSAGE_LEN_MAX).len());
        Status { code, reason, message, details: None }
    }

    /// The same refusal about an object, a resource, or nothing in particular.
    #[must_use]
    pub fn about(self, name: &str, group: &str, kind: &str) -> Status {
        let [name, group, kind] = [name, group, kind].map(|text| cut(text, QUOTED_LEN_MAX).to_owned());
        Status { details: Some(Box::new(Details { name, group, kind, ..Details::default() })), ..self }
    }

    /// 400: the request cannot be understood.
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Status {
        Status::new(400, "BadRequest", message)
    }

    /// 401: credentials were shown and are not valid, or some are needed.
    #[must_use]
    pub fn unauthorized() -> Status {
        Status::new(401, "Unauthorized", "Unauthorized")
    }

    /// 403: who cannot do what, and why; an empty group and resource make it about a path.
    #[must_use]
    pub fn forbidden(group: &str, resource: &str, name: &str, because: &str) -> Status {
        let about = group_resource(group, resource);
        let message = match (about.as_str(), name) {
            ("", _) => format!("forbidden: {because}"),
            (about, "") => format!("{about} is forbidden: {because}"),
            (about, name) => format!("{about} {} is forbidden: {because}", quoted(name)),
        };
        Status::new(403, "Forbidden", message).about(name, group, resource)
    }

    /// 404: no such path below the API group.
    #[must_use]
    pub fn unknown_resource() -> Status {
        Status::new(404, "NotFound", "the server could not find the requested resource").about("", "", "")
    }

    /// 404: the cluster has no such object. `kind` is `node` or `pods`.
    #[must_use]
    pub fn unknown_object(kind: &str, name: &str) -> Status {
        Status::new(404, "NotFound", format!("{kind} {} not found", quoted(name))).about(name, "", kind)
    }

    /// 404: the object exists and has no usage yet. `kind` is `nodemetrics` or `podmetrics`.
    #[must_use]
    pub fn no_metrics(kind: &str, name: &str) -> Status {
        Status::new(404, "NotFound", format!("{kind}.{GROUP} {} not found", quoted(name)))
            .about(name, GROUP, kind)
    }

    /// 405: only GET is served here.
    #[must_use]
    pub fn method_not_allowed() -> Status {
        let message = "the server does not allow this method on the requested resource";
        Status::new(405, "MethodNotAllowed", message).about("", "", "")
    }

    /// 405: lists cannot be watched.
    #[must_use]
    pub fn watch_not_supported(resource: &str) -> Status {
        let message =
            format!("watch is not supported on resources of kind \"{}\"", group_resource(GROUP, resource));
        Status::new(405, "MethodNotAllowed", message).about("", GROUP, resource)
    }

    /// 406: no clause of `Accept` can be served.
    #[must_use]
    pub fn not_acceptable(served: &str) -> Status {
        Status::new(406, "NotAcceptable", format!("Accept names none of the served media types: {served}"))
    }

    /// 422: list options that exclude each other.
    #[must_use]
    pub fn invalid_list_options(causes: Vec<Cause>) -> Status {
        let each: Vec<_> = causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
        let mut status =
            Status::new(422, "Invalid", format!("ListOptions.meta.k8s.io is invalid: {}", each.join("; ")))
                .about("", "meta.k8s.io", "ListOptions");
        if let Some(details) = &mut status.details {
            details.causes = causes;
        }
        status
    }

    /// 429: too many requests are being answered.
    #[must_use]
    pub fn too_many_requests() -> Status {
        let mut status = Status::new(429, "TooManyRequests", "too many requests, please try again later")
            .about("", "", "");
        if let Some(details) = &mut status.details {
            details.retry_after = 1;
        }
        status
    }

    /// 500: something that the answer depends on failed, for example the review that decides about access.
    #[must_use]
    pub fn internal(message: impl Into<String>) -> Status {
        Status::new(500, "InternalError", message)
    }

    /// 504: the request's time is over.
    #[must_use]
    pub fn timeout() -> Status {
        let message = "Timeout: request did not complete within the allotted timeout";
        Status::new(504, "Timeout", message).about("", "", "")
    }
}

/// `resource.group`, or whichever of the two there is.
fn group_resource(group: &str, resource: &str) -> String {
    let [group, resource] = [group, resource].map(|text| cut(text, QUOTED_LEN_MAX));
    match (resource, group) {
        (resource, "") => resource.to_owned(),
        (resource, group) => format!("{resource}.{group}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_repeats_the_request_is_cut() {
        let long = "é".repeat(500_000);
        for status in [
            Status::bad_request(long.clone()),
            Status::forbidden(&long, &long, &long, &long),
            Status::unknown_object("pods", &long),
            Status::no_metrics("podmetrics", &long),
            Status::internal(long.clone()),
        ] {
            assert!(status.message.len() <= STATUS_MESSAGE_LEN_MAX, "{}", status.code);
            let details = status.details.unwrap_or_default();
            for text in [details.name, details.group, details.kind] {
                assert!(text.len() <= QUOTED_LEN_MAX);
            }
        }
    }
}
