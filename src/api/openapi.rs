//! The OpenAPI documents: what `kubectl explain` and kube-apiserver's own document are made of.
//!
//! `/openapi/v2` holds everything, `/openapi/v3` lists a document for each version of the group, and nothing else: its
//! keys are merged into the cluster's, where `apis` or `version` belong to kube-apiserver. The documents are files; both
//! versions have the same schemas, so one file serves both with the version replaced. JSON alone is offered: both
//! kube-apiserver and kubectl ask for it. Any method gets the document, as with metrics-server.
//! Deviations: a wrong `?hash=` gets the document (metrics-server redirects, which the aggregator turns into an error),
//! documents are remembered by entity tag alone, and neither ranges nor the protobuf form are served.

use super::answer::{Answer, Body};
use super::validators::{digest, none_match_lists};
use super::{index, negotiate};
use crate::wire::request::{Head, RequestInfo};
use std::borrow::Cow;
use std::sync::OnceLock;

const V2: &str = include_str!("openapi/v2.json");
/// The document of `v1beta1`; that of `v1` is the same with the version replaced.
const V3: &str = include_str!("openapi/v3.json");
/// The versions in the order of discovery.
const VERSIONS: [&str; 2] = ["v1", "v1beta1"];

type Headers = Vec<(&'static str, Cow<'static, str>)>;

/// Answers everything below `/openapi/`.
#[must_use]
pub fn answer(head: &Head<'_>, info: &RequestInfo<'_>) -> Answer {
    match &*info.path {
        "/openapi/v2" => whole(head),
        "/openapi/v3" => list(head),
        path => match path.strip_prefix("/openapi/v3/") {
            Some(key) => one(head, key),
            None => index::not_found(),
        },
    }
}

fn whole(head: &Head<'_>) -> Answer {
    static TAG: OnceLock<String> = OnceLock::new();
    let headers = vec![("Vary", "Accept-Encoding".into()), ("Vary", "Accept".into())];
    if negotiate::json_only(head).is_err() {
        return Answer { status: 406, headers, body: Body::Static(b"") };
    }
    conditional(head, TAG.get_or_init(|| digest(V2)), headers, || Body::Static(V2.as_bytes()))
}

/// The list of documents, by version. `Accept` is not looked at.
fn list(head: &Head<'_>) -> Answer {
    let entries = VERSIONS.map(|version| {
        let path = format!("apis/metrics.k8s.io/{version}");
        format!(r#""{path}":{{"serverRelativeURL":"/openapi/v3/{path}?hash={}"}}"#, hash_of_version(version))
    });
    let text = format!("{{\"paths\":{{{}}}}}", entries.join(","));
    conditional(head, &digest(&text), Vec::new(), || Body::Whole(text.clone().into_bytes()))
}

/// The document of one version. An unknown key gets an empty answer, as with metrics-server.
fn one(head: &Head<'_>, key: &str) -> Answer {
    let named = |version: &&str| key.strip_prefix("apis/metrics.k8s.io/") == Some(*version);
    let Some(version) = VERSIONS.into_iter().find(named) else {
        return Answer { status: 200, headers: Vec::new(), body: Body::Static(b"") };
    };
    let mut headers: Headers = vec![("Vary", "Accept".into())];
    if negotiate::json_only(head).is_err() {
        return Answer { status: 406, headers, body: Body::Static(b"") };
    }
    let asked = head.query.unwrap_or("").split('&').find_map(|pair| pair.strip_prefix("hash="));
    if asked == Some(hash_of_version(version)) {
        headers.push(("Cache-Control", "public, immutable".into()));
    }
    conditional(head, hash_of_version(version), headers, || match document(version) {
        Cow::Borrowed(text) => Body::Static(text.as_bytes()),
        Cow::Owned(text) => Body::Whole(text.into_bytes()),
    })
}

fn document(version: &str) -> Cow<'static, str> {
    match version {
        "v1beta1" => V3.into(),
        _ => V3.replace("v1beta1", "v1").replace("V1beta1", "V1").into(),
    }
}

fn hash_of_version(version: &str) -> &'static str {
    static HASHES: OnceLock<[String; 2]> = OnceLock::new();
    let [v1, v1beta1] = HASHES.get_or_init(|| VERSIONS.map(|version| digest(&document(version))));
    if version == "v1" { v1 } else { v1beta1 }
}

/// 200, or 304 when the client has the document already.
fn conditional(head: &Head<'_>, hash: &str, mut headers: Headers, body: impl FnOnce() -> Body) -> Answer {
    let tag = format!("\"{hash}\"");
    let known = none_match_lists(head, &tag);
    headers.push(("ETag", tag.into()));
    if known {
        return Answer { status: 304, headers, body: Body::Static(b"") };
    }
    headers.push(("Content-Type", "application/json".into()));
    headers.push(("Accept-Ranges", "none".into()));
    Answer { status: 200, headers, body: body() }
}

#[cfg(test)]
mod tests;
