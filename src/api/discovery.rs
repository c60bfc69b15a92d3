//! Discovery: which groups, versions and resources are served here.
//!
//! `/apis` (plain, or aggregated with a tag), `/apis/metrics.k8s.io` and one list of resources a version. Constants, so
//! that these answer from the first second, with or without data: the aggregator takes them for the sign of life.
//! Indented JSON and YAML are made from the compact form. Deviation: `v1` is served beside `v1beta1`, first and
//! preferred; it is what Kubernetes 1.37 asks for, and clients that know only `v1beta1` find that as well. There is no
//! protobuf form: kube-apiserver asks for JSON, and other clients that prefer protobuf accept it too.

use super::answer::{Answer, Body};
use super::document;
use super::negotiate::{self, Choice, Media, Rendition};
use super::status::Status;
use super::validators::digest;
use crate::wire::request::Head;
use std::sync::OnceLock;

/// Name, versions and preferred version of the group, in JSON.
macro_rules! group {
    () => {
        concat!(
            r#""name":"metrics.k8s.io","versions":["#,
            r#"{"groupVersion":"metrics.k8s.io/v1","version":"v1"},"#,
            r#"{"groupVersion":"metrics.k8s.io/v1beta1","version":"v1beta1"}],"#,
            r#""preferredVersion":{"groupVersion":"metrics.k8s.io/v1","version":"v1"}"#
        )
    };
}
macro_rules! resource_list {
    ($version:literal) => {
        concat!(
            r#"{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"metrics.k8s.io/"#,
            $version,
            r#"","resources":["#,
            r#"{"name":"nodes","singularName":"","namespaced":false,"kind":"NodeMetrics","verbs":["get","list"]},"#,
            r#"{"name":"pods","singularName":"","namespaced":true,"kind":"PodMetrics","verbs":["get","list"]}]}"#,
            "\n"
        )
    };
}
macro_rules! aggregated_version {
    ($version:literal) => {
        concat!(
            r#"{"version":""#,
            $version,
            r#"","resources":["#,
            r#"{"resource":"nodes","responseKind":{"group":"","version":"","kind":"NodeMetrics"},"#,
            r#""scope":"Cluster","singularResource":"","verbs":["get","list"]},"#,
            r#"{"resource":"pods","responseKind":{"group":"","version":"","kind":"PodMetrics"},"#,
            r#""scope":"Namespaced","singularResource":"","verbs":["get","list"]}],"freshness":"Current"}"#
        )
    };
}

const GROUP: &str = concat!(r#"{"kind":"APIGroup","apiVersion":"v1","#, group!(), "}\n");
const RESOURCES_V1: &str = resource_list!("v1");
const RESOURCES_V1BETA1: &str = resource_list!("v1beta1");
const AGGREGATED: &str = concat!(
    r#"{"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","metadata":{},"#,
    r#""items":[{"metadata":{"name":"metrics.k8s.io"},"versions":["#,
    aggregated_version!("v1"),
    ",",
    aggregated_version!("v1beta1"),
    "]}]}\n"
);

/// Answers `/apis/metrics.k8s.io` (an empty `api_version`) and its versions.
/// # Errors
/// 406.
pub fn group_or_version(api_version: &str, head: &Head<'_>) -> Result<Answer, Status> {
    let choice = negotiate::document(head)?;
    let json = match api_version {
        "metrics.k8s.io/v1" => RESOURCES_V1,
        "metrics.k8s.io/v1beta1" => RESOURCES_V1BETA1,
        _ => GROUP,
    };
    Ok(document::answer(&choice, choice.media.content_type(), json.into()))
}

/// `/apis`: the aggregated document for those who ask for it, else the plain list of groups.
/// # Errors
/// 406.
pub fn groups(server_address: &str, head: &Head<'_>) -> Result<Answer, Status> {
    let choice = negotiate::groups(head)?;
    if choice.rendition == Rendition::Aggregated {
        return Ok(aggregated(head, &choice));
    }
    let mut json = String::from(concat!(r#"{"kind":"APIGroupList","groups":[{"#, group!()));
    json.push_str(r#","serverAddressByClientCIDRs":[{"clientCIDR":"0.0.0.0/0","serverAddress":"#);
    json.push_str(&format!("\"{server_address}\"}}]}}]}}\n"));
    Ok(document::answer(&choice, choice.media.content_type(), json.into()))
}

/// The aggregated document, or 304 for a client that has it: the tag is compared to the letter, lists and `*` never match.
fn aggregated(head: &Head<'_>, choice: &Choice) -> Answer {
    static TAG: OnceLock<String> = OnceLock::new();
    let tag = TAG.get_or_init(|| format!("\"{}\"", digest(AGGREGATED)));
    let mut headers =
        vec![("Cache-Control", "public".into()), ("ETag", tag.as_str().into()), ("Vary", "Accept".into())];
    if head.first("If-None-Match") == Some(tag.as_bytes()) {
        return Answer { status: 304, headers, body: Body::Static(b"") };
    }
    let content_type = match choice.media {
        Media::Yaml => "application/yaml;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        _ => "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
    };
    let mut answer = document::answer(choice, content_type, AGGREGATED.into());
    headers.append(&mut answer.headers);
    Answer { headers, ..answer }
}

#[cfg(test)]
mod tests;
