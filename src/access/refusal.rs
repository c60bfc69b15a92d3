//! The answers of a refused request, in the reference's words: 400, 401, 403 and 500.

use super::Identity;
use super::impersonation::Denial;
use super::policy::Attributes;
use crate::api::answer::{Answer, Body};
use crate::api::request::Head;
use std::borrow::Cow;

/// Nobody asks: 401.
pub(super) fn unauthorized(head: &Head<'_>) -> Answer {
    status(head, 401, "Unauthorized", "Unauthorized", None)
}

/// A wish that contradicts itself: 400.
pub(super) fn bad_request(head: &Head<'_>, message: &str) -> Answer {
    nosniff(status(head, 400, "BadRequest", message, None))
}

/// Somebody may not do this: 403.
pub(super) fn denied(head: &Head<'_>, denial: &Denial) -> Answer {
    nosniff(status(head, 403, "Forbidden", &message(denial), Some(denial)))
}

/// Nobody can say whether somebody may do this: 500, in plain text.
pub(super) fn failed(head: &Head<'_>, error: &str) -> Answer {
    let uri = head.query.map_or_else(|| head.path.to_owned(), |query| format!("{}?{query}", head.path));
    let body = html_escaped(&format!("Internal Server Error: {}: {error}", quote(&uri))) + "\n";
    nosniff(Answer {
        status: 500,
        headers: vec![("Content-Type", Cow::Borrowed("text/plain; charset=utf-8"))],
        body: Body::Whole(body.into_bytes()),
    })
}

fn nosniff(mut answer: Answer) -> Answer {
    answer.headers.push(("X-Content-Type-Options", Cow::Borrowed("nosniff")));
    answer
}

/// Words a denial as the reference does: who cannot do what, and the reason of the review if it gave one.
pub(super) fn denial(user: &Identity, wanted: &Attributes<'_>, reason: &str) -> Denial {
    let (user, verb) = (quote(&user.user), &wanted.verb);
    let what = if wanted.is_resource {
        let resource = match wanted.subresource {
            "" => Cow::Borrowed(wanted.resource),
            subresource => Cow::Owned(format!("{}/{subresource}", wanted.resource)),
        };
        let scope = match wanted.namespace {
            "" => "at the cluster scope".to_owned(),
            namespace => format!("in the namespace {}", quote(namespace)),
        };
        format!(
            "User {user} cannot {verb} resource {} in API group {} {scope}",
            quote(&resource),
            quote(wanted.group)
        )
    } else {
        format!("User {user} cannot {verb} path {}", quote(wanted.path))
    };
    let what = html_escaped(&what);
    Denial {
        group: wanted.group.to_owned(),
        resource: wanted.resource.to_owned(),
        name: wanted.name.to_owned(),
        because: if reason.is_empty() { what } else { format!("{what}: {reason}") },
    }
}

fn message(denial: &Denial) -> String {
    let subject = match (denial.resource.as_str(), denial.group.as_str()) {
        ("", "") => String::new(),
        (resource, "") => resource.to_owned(),
        (resource, group) => format!("{resource}.{group}"),
    };
    let because = &denial.because;
    match (subject.as_str(), denial.name.as_str()) {
        ("", _) => format!("forbidden: {because}"),
        (subject, "") => format!("{subject} is forbidden: {because}"),
        (subject, name) => format!("{subject} {} is forbidden: {because}", quote(name)),
    }
}

/// Error texts never look like HTML.
fn html_escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A string in Go's quotes (`%q`).
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{b}' => quoted.push_str("\\v"),
            c if c < ' ' || c == '\u{7f}' => quoted.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn status(_head: &Head<'_>, code: u16, reason: &str, message: &str, details: Option<&Denial>) -> Answer {
    let mut body = format!(
        "{{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{{}},\"status\":\"Failure\",\"message\":{},\"reason\":\"{reason}\"",
        quote(message)
    );
    if let Some(denial) = details {
        body.push_str(",\"details\":{");
        let members = [("name", &denial.name), ("group", &denial.group), ("kind", &denial.resource)];
        let members = members.iter().filter(|(_, value)| !value.is_empty());
        let members = members.map(|(key, value)| format!("\"{key}\":{}", quote(value))).collect::<Vec<_>>();
        body.push_str(&members.join(","));
        body.push('}');
    }
    body.push_str(&format!(",\"code\":{code}}}\n"));
    Answer {
        status: code,
        headers: vec![("Content-Type", Cow::Borrowed("application/json"))],
        body: Body::Whole(body.into_bytes()),
    }
}
