//! A [`Status`] as an answer: JSON, YAML or protobuf, whichever clause of `Accept` fits an error document.
//!
//! When none does, it is indented JSON whatever was asked for. A refusal allocates; it is off the hot path.

use super::answer::{Answer, Body};
use super::encode_json::string;
use super::encode_protobuf::{list_meta, message};
use super::negotiate::{self, Media};
use super::status::{Details, Status};
use super::{document, encode_protobuf};
use crate::wire::protobuf::{put_bytes, put_varint_field};
use crate::wire::request::Head;

/// The refusal as an answer to `head`.
#[must_use]
pub fn answer(status: &Status, head: &Head<'_>) -> Answer {
    let choice = negotiate::error(head);
    let body = match choice.media {
        Media::Protobuf => protobuf(status),
        Media::Json | Media::Yaml => document::encoded(choice.pretty, json(status)),
    };
    let mut headers = vec![("Content-Type", choice.media.content_type().into())];
    if let Some(seconds) = status.details.as_ref().map(|d| d.retry_after).filter(|seconds| *seconds > 0) {
        headers.insert(0, ("Retry-After", seconds.to_string().into()));
    }
    Answer { status: status.code, headers, body: Body::Whole(body) }
}

/// Compact JSON, without the newline at the end.
fn json(status: &Status) -> Vec<u8> {
    let mut out = br#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure""#.to_vec();
    member(&mut out, "message", &status.message);
    member(&mut out, "reason", status.reason);
    if let Some(details) = &status.details {
        out.extend_from_slice(b",\"details\":");
        details_json(&mut out, details);
    }
    out.extend_from_slice(format!(",\"code\":{}}}", status.code).as_bytes());
    out
}

fn details_json(out: &mut Vec<u8>, details: &Details) {
    let start = out.len();
    member(out, "name", &details.name);
    member(out, "group", &details.group);
    member(out, "kind", &details.kind);
    for (index, cause) in details.causes.iter().enumerate() {
        out.extend_from_slice(if index == 0 { b",\"causes\":[" } else { b"," });
        let start = out.len();
        member(out, "reason", cause.reason);
        member(out, "message", &cause.message);
        member(out, "field", cause.field);
        enclose(out, start);
    }
    if !details.causes.is_empty() {
        out.push(b']');
    }
    if details.retry_after > 0 {
        out.extend_from_slice(format!(",\"retryAfterSeconds\":{}", details.retry_after).as_bytes());
    }
    enclose(out, start);
}

/// Appends `,"name":"value"`, unless the value is empty.
fn member(out: &mut Vec<u8>, name: &str, value: &str) {
    if !value.is_empty() {
        out.extend_from_slice(b",\"");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        string(out, value);
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

fn protobuf(status: &Status) -> Vec<u8> {
    encode_protobuf::document("v1", "Status", |out| {
        list_meta(out, 1);
        put_bytes(out, 2, b"Failure");
        put_bytes(out, 3, status.message.as_bytes());
        put_bytes(out, 4, status.reason.as_bytes());
        if let Some(details) = &status.details {
            message(out, 5, |out| details_protobuf(out, details));
        }
        put_varint_field(out, 6, u64::from(status.code));
    })
}

fn details_protobuf(out: &mut Vec<u8>, details: &Details) {
    put_bytes(out, 1, details.name.as_bytes());
    put_bytes(out, 2, details.group.as_bytes());
    put_bytes(out, 3, details.kind.as_bytes());
    for cause in &details.causes {
        message(out, 4, |out| {
            put_bytes(out, 1, cause.reason.as_bytes());
            put_bytes(out, 2, cause.message.as_bytes());
            put_bytes(out, 3, cause.field.as_bytes());
        });
    }
    put_varint_field(out, 5, u64::from(details.retry_after));
    put_bytes(out, 6, b"");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::request::Header;

    fn rendered(status: &Status, accept: &str) -> (String, Vec<u8>) {
        let headers = [Header { name: "Accept", value: accept.as_bytes() }];
        let answer = answer(status, &Head { method: "GET", path: "/", query: None, headers: &headers });
        assert_eq!(answer.status, status.code);
        let kind = answer.headers.iter().find(|(name, _)| *name == "Content-Type").unwrap().1.to_string();
        let Body::Whole(body) = answer.body else { panic!("a whole body") };
        (kind, body)
    }

    #[test]
    fn an_error_that_fits_no_clause_is_indented_json() {
        let status = Status::unknown_resource();
        for (accept, content_type, indented) in [
            ("application/json", "application/json", false),
            ("application/*", "application/json", false),
            ("application/yaml", "application/yaml", true),
            ("application/vnd.kubernetes.protobuf", "application/vnd.kubernetes.protobuf", false),
            ("application/xml", "application/json", true),
            ("application/json;as=Table;v=v1;g=meta.k8s.io", "application/json", true),
        ] {
            let (kind, body) = rendered(&status, accept);
            assert_eq!(kind, content_type, "{accept}");
            assert_eq!(body.starts_with(b"{\n  \"kind\": \"Status\""), indented, "{accept}");
        }
    }

    #[test]
    fn a_status_has_every_field_that_clients_read() {
        let (_, body) = rendered(&Status::no_metrics("podmetrics", "default/web"), "application/json");
        assert_eq!(
            String::from_utf8(body).unwrap(),
            "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\
             \"message\":\"podmetrics.metrics.k8s.io \\\"default/web\\\" not found\",\"reason\":\"NotFound\",\
             \"details\":{\"name\":\"default/web\",\"group\":\"metrics.k8s.io\",\"kind\":\"podmetrics\"},\"code\":404}\n"
        );
        let (_, body) = rendered(&Status::too_many_requests(), "application/json");
        assert!(String::from_utf8(body).unwrap().contains("\"details\":{\"retryAfterSeconds\":1}"));
    }

    #[test]
    fn a_refusal_is_small_whatever_was_sent() {
        let long = "\u{1}<".repeat(100_000);
        for accept in ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"] {
            let (_, body) = rendered(&Status::unknown_object("pods", &long), accept);
            assert!(body.len() < 16 * 1024, "{accept}: {}", body.len());
        }
    }
}
