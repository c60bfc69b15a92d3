//! The OpenAPI documents: what `kubectl explain` and kube-apiserver's own document are made of.
//!
//! `/openapi/v2` holds everything, `/openapi/v3` lists a document for each version of the group, and nothing else: its
//! keys are merged into the cluster's, where `apis` or `version` belong to kube-apiserver. Documents are written from
//! tables while they are sent and never held. JSON alone is offered: both kube-apiserver and kubectl ask for it.
//! Any method gets the document, as in the reference. Deviations: a wrong `?hash=` gets the document (the reference
//! redirects, which the aggregator turns into an error), and neither ranges nor the protobuf form are served.

mod document;
mod form;
mod paths;
mod schemas;

pub use document::{Document, VERSIONS, Version};

use super::answer::{Answer, Body};
use super::validators::{Digest, http_date, none_match_lists};
use super::{Context, index};
use crate::units::UnixNanos;
use crate::wire::request::{Head, RequestInfo};
use std::borrow::Cow;

type Headers = Vec<(&'static str, Cow<'static, str>)>;

/// One year, the life of a document asked for by its hash.
const YEAR_NANOS: i64 = 365 * 24 * 3600 * 1_000_000_000;

/// Answers everything below `/openapi/`.
#[must_use]
pub fn answer(context: &Context<'_>, head: &Head<'_>, info: &RequestInfo<'_>) -> Answer {
    match &*info.path {
        "/openapi/v2" => whole(context, head),
        "/openapi/v3" => list(context, head),
        path => match path.strip_prefix("/openapi/v3/") {
            Some(key) => one(context, head, key),
            None => index::not_found(),
        },
    }
}

fn whole(context: &Context<'_>, head: &Head<'_>) -> Answer {
    let headers = vec![("Vary", "Accept-Encoding".into()), ("Vary", "Accept".into())];
    if !accepts_json(head) {
        return Answer { status: 406, headers, body: Body::Static(b"") };
    }
    document(context, head, Document::V2, headers)
}

/// The list of documents, by version. `Accept` is not looked at.
fn list(context: &Context<'_>, head: &Head<'_>) -> Answer {
    let mut text = String::from("{\"paths\":{");
    for (index, version) in VERSIONS.into_iter().enumerate() {
        let (name, comma) = (version.name(), if index == 0 { "" } else { "," });
        let hash = Document::V3(version).summary().hash();
        text.push_str(&format!(
            r#"{comma}"apis/metrics.k8s.io/{name}":{{"serverRelativeURL":"/openapi/v3/apis/metrics.k8s.io/{name}?hash={hash}"}}"#
        ));
    }
    text.push_str("}}");
    let mut digest = Digest::new();
    digest.feed(text.as_bytes());
    let tag = format!("\"{}\"", digest.hex());
    conditional(context, head, &tag, Vec::new(), || Body::Whole(text.into_bytes()))
}

/// The document of one version. An unknown key gets an empty answer, as in the reference.
fn one(context: &Context<'_>, head: &Head<'_>, key: &str) -> Answer {
    let Some(version) =
        VERSIONS.into_iter().find(|v| key.strip_prefix("apis/metrics.k8s.io/") == Some(v.name()))
    else {
        return Answer { status: 200, headers: Vec::new(), body: Body::Static(b"") };
    };
    let mut headers: Headers = vec![("Vary", "Accept".into())];
    if !accepts_json(head) {
        return Answer { status: 406, headers, body: Body::Static(b"") };
    }
    let hash = head.query.unwrap_or("").split('&').find_map(|pair| pair.strip_prefix("hash="));
    if hash == Some(Document::V3(version).summary().hash()) {
        let expires_at = UnixNanos(context.now.0.saturating_add(YEAR_NANOS));
        headers.push(("Cache-Control", "public, immutable".into()));
        headers.push(("Expires", http_date(expires_at).into()));
    }
    document(context, head, Document::V3(version), headers)
}

fn document(context: &Context<'_>, head: &Head<'_>, document: Document, headers: Headers) -> Answer {
    conditional(context, head, &document.summary().tag, headers, || Body::List(document.pieces()))
}

/// 200, or 304 when the client has it: by tag, or without a tag by the date we gave it.
fn conditional(
    context: &Context<'_>,
    head: &Head<'_>,
    tag: &str,
    mut headers: Headers,
    body: impl FnOnce() -> Body,
) -> Answer {
    let modified = http_date(context.vitals.started_at);
    let known = match head.first("If-None-Match") {
        Some(_) => none_match_lists(head, tag),
        None => head.first("If-Modified-Since") == Some(modified.as_bytes()),
    };
    headers.push(("ETag", tag.to_owned().into()));
    if known {
        return Answer { status: 304, headers, body: Body::Static(b"") };
    }
    headers.push(("Content-Type", "application/json".into()));
    headers.push(("Accept-Ranges", "none".into()));
    headers.push(("Last-Modified", modified.into()));
    Answer { status: 200, headers, body: body() }
}

/// Whether any clause of `Accept` takes JSON; wildcards count here, in contrast to the API itself.
fn accepts_json(head: &Head<'_>) -> bool {
    let accept = head.first("Accept").unwrap_or(b"");
    accept.is_empty()
        || accept.split(|byte| *byte == b',').any(|clause| {
            let media = clause.split(|byte| *byte == b';').next().unwrap_or(clause).trim_ascii();
            let mut parts = media.splitn(2, |byte| *byte == b'/').map(<[u8]>::trim_ascii);
            matches!(
                (parts.next(), parts.next()),
                (Some(b"application" | b"*"), Some(b"json" | b"*")) | (Some(b"*"), None)
            )
        })
}

#[cfg(test)]
mod tests;
