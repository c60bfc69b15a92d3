//! Discovery: which groups, versions and resources are served here.
//!
//! `/apis` (plain, or aggregated with a tag), `/apis/metrics.k8s.io` and one list of resources a version. Constants, so
//! that these answer from the first second, with or without data: the aggregator takes them for the sign of life.
//! Indented JSON and YAML are made from the compact form. Deviation: `v1` is served beside `v1beta1`, first and
//! preferred; it is what Kubernetes 1.37 asks for, and clients that know only `v1beta1` find that as well.

use super::answer::{Answer, Body};
use super::encode_protobuf::{self, list_meta, message};
use super::negotiate::{self, Choice, Media, Rendition};
use super::status::Status;
use super::validators::Digest;
use super::{document, encode_json};
use crate::wire::protobuf::{put_bytes, put_varint_field};
use crate::wire::request::Head;
use std::borrow::Cow;
use std::sync::OnceLock;

/// The versions in order; the first is preferred.
const VERSIONS: [&str; 2] = ["v1", "v1beta1"];
/// The resources: name, kind, namespaced.
const RESOURCES: [(&str, &str, bool); 2] = [("nodes", "NodeMetrics", false), ("pods", "PodMetrics", true)];

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
    match api_version {
        "metrics.k8s.io/v1" => resources(head, RESOURCES_V1, api_version),
        "metrics.k8s.io/v1beta1" => resources(head, RESOURCES_V1BETA1, api_version),
        _ => {
            plain(head, GROUP.into(), || encode_protobuf::document("v1", "APIGroup", |out| group(out, None)))
        }
    }
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
    let mut address = Vec::new();
    encode_json::string(&mut address, server_address);
    json.push_str(&String::from_utf8_lossy(&address));
    json.push_str("}]}]}\n");
    let content_type = choice.media.content_type();
    Ok(document::answer(&choice, content_type, json.into(), || {
        // metrics-server leaves the apiVersion of this list empty.
        encode_protobuf::document("", "APIGroupList", |out| {
            message(out, 1, |out| group(out, Some(server_address)));
        })
    }))
}

fn resources(head: &Head<'_>, json: &'static str, group_version: &str) -> Result<Answer, Status> {
    plain(head, json.into(), || {
        encode_protobuf::document("v1", "APIResourceList", |out| {
            put_bytes(out, 1, group_version.as_bytes());
            for (name, kind, namespaced) in RESOURCES {
                message(out, 2, |out| {
                    put_bytes(out, 1, name.as_bytes());
                    put_varint_field(out, 2, namespaced.into());
                    put_bytes(out, 3, kind.as_bytes());
                    message(out, 4, verbs(1));
                    // Singular name, group, version, hash of the stored version.
                    [6, 8, 9, 10].iter().for_each(|number| put_bytes(out, *number, b""));
                });
            }
        })
    })
}

/// The aggregated document, or 304 for a client that has it: the tag is compared to the letter, lists and `*` never match.
fn aggregated(head: &Head<'_>, choice: &Choice) -> Answer {
    static TAG: OnceLock<String> = OnceLock::new();
    let tag = TAG.get_or_init(|| {
        let mut digest = Digest::new();
        digest.feed(AGGREGATED.as_bytes());
        format!("\"{}\"", digest.hex())
    });
    let mut headers =
        vec![("Cache-Control", "public".into()), ("ETag", tag.as_str().into()), ("Vary", "Accept".into())];
    if head.first("If-None-Match") == Some(tag.as_bytes()) {
        return Answer { status: 304, headers, body: Body::Static(b"") };
    }
    let mut answer = document::answer(choice, aggregated_type(choice.media), AGGREGATED.into(), || {
        encode_protobuf::document("apidiscovery.k8s.io/v2", "APIGroupDiscoveryList", |out| {
            list_meta(out, 1);
            message(out, 2, |out| {
                message(out, 1, |out| put_bytes(out, 1, b"metrics.k8s.io"));
                VERSIONS.iter().for_each(|version| message(out, 2, |out| version_discovery(out, version)));
            });
        })
    });
    headers.append(&mut answer.headers);
    Answer { headers, ..answer }
}

const fn aggregated_type(media: Media) -> &'static str {
    match media {
        Media::Json => "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        Media::Yaml => "application/yaml;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        Media::Protobuf => {
            "application/vnd.kubernetes.protobuf;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        }
    }
}

fn version_discovery(out: &mut Vec<u8>, version: &str) {
    put_bytes(out, 1, version.as_bytes());
    for (name, kind, namespaced) in RESOURCES {
        message(out, 2, |out| {
            put_bytes(out, 1, name.as_bytes());
            message(out, 2, |out| {
                put_bytes(out, 1, b"");
                put_bytes(out, 2, b"");
                put_bytes(out, 3, kind.as_bytes());
            });
            put_bytes(out, 3, if namespaced { b"Namespaced" } else { b"Cluster" });
            put_bytes(out, 4, b"");
            verbs(5)(out);
        });
    }
    put_bytes(out, 3, b"Current");
}

/// The group with its versions; inside a list also the server's address.
fn group(out: &mut Vec<u8>, server_address: Option<&str>) {
    put_bytes(out, 1, b"metrics.k8s.io");
    for (index, version) in VERSIONS.iter().chain(VERSIONS.first()).enumerate() {
        message(out, if index < VERSIONS.len() { 2 } else { 3 }, |out| {
            put_bytes(out, 1, format!("metrics.k8s.io/{version}").as_bytes());
            put_bytes(out, 2, version.as_bytes());
        });
    }
    if let Some(address) = server_address {
        message(out, 4, |out| {
            put_bytes(out, 1, b"0.0.0.0/0");
            put_bytes(out, 2, address.as_bytes());
        });
    }
}

/// Writes the verbs of every resource as repeated field `number`.
fn verbs(number: u32) -> impl Fn(&mut Vec<u8>) {
    move |out| ["get", "list"].iter().for_each(|verb| put_bytes(out, number, verb.as_bytes()))
}

/// A document in the encoding negotiated; `json` is compact, with its line end.
fn plain(
    head: &Head<'_>,
    json: Cow<'static, str>,
    protobuf: impl FnOnce() -> Vec<u8>,
) -> Result<Answer, Status> {
    let choice = negotiate::document(head)?;
    Ok(document::answer(&choice, choice.media.content_type(), json, protobuf))
}

#[cfg(test)]
mod tests;
