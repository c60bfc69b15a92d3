use super::*;
use crate::wire::request::Header;
use miniserde::json::{self, Value};
use std::collections::BTreeMap;

/// A document as sorted lines `path = value`, without descriptions.
fn lines(text: &str) -> BTreeMap<String, String> {
    fn walk(value: &Value, path: &str, lines: &mut BTreeMap<String, String>) {
        match value {
            Value::Object(members) if !members.is_empty() => {
                for (name, value) in members {
                    if name != "description" || !matches!(value, Value::String(_)) {
                        walk(value, &format!("{path} > {name}"), lines);
                    }
                }
            }
            // Lists of words (required fields, media types) are sets.
            Value::Array(values) if values.iter().all(|value| matches!(value, Value::String(_))) => {
                let mut words: Vec<_> = values.iter().map(json::to_string).collect();
                words.sort();
                lines.insert(path.to_owned(), words.join(" "));
            }
            Value::Array(values) => {
                for (index, value) in values.iter().enumerate() {
                    walk(value, &format!("{path} > {index}"), lines);
                }
            }
            value => {
                lines.insert(path.to_owned(), json::to_string(value));
            }
        }
    }
    let mut all = BTreeMap::new();
    walk(&json::from_str(text).unwrap(), "", &mut all);
    all
}

/// What of two documents differs, as text.
fn difference(ours: &BTreeMap<String, String>, theirs: &BTreeMap<String, String>) -> Vec<String> {
    let missing = theirs.iter().filter(|(path, value)| ours.get(*path) != Some(value));
    let surplus = ours.iter().filter(|(path, _)| !theirs.contains_key(*path));
    missing.map(|(p, v)| format!("- {p} = {v}")).chain(surplus.map(|(p, v)| format!("+ {p} = {v}"))).collect()
}

fn is_title(path: &str) -> bool {
    path.starts_with(" > info > ")
}

#[test]
fn the_3_0_document_of_v1beta1_is_that_of_metrics_server() {
    let mut ours = lines(&document("v1beta1"));
    let mut theirs = lines(include_str!("../../../tests/golden/openapi/v3-v1beta1.json"));
    ours.retain(|path, _| !is_title(path));
    theirs.retain(|path, _| !is_title(path));
    assert!(theirs.len() > 300, "{} lines", theirs.len());
    assert_eq!(difference(&ours, &theirs), Vec::<String>::new());
}

#[test]
fn the_3_0_document_of_v1_differs_by_its_name_alone() {
    let v1 = document("v1");
    let v1beta1 = document("v1beta1");
    assert!(v1.contains("\"/apis/metrics.k8s.io/v1/nodes\"") && !v1.contains("v1beta1"));
    assert!(v1.contains("\"io.k8s.metrics.pkg.apis.metrics.v1.PodMetrics\""));
    assert_eq!(v1beta1.replace("v1beta1", "v1").replace("V1beta1", "V1"), v1);
}

#[test]
fn the_2_0_document_holds_that_of_metrics_server_and_v1() {
    let mut ours = lines(V2);
    let golden = include_str!("../../../tests/golden/openapi/v2.json");
    let mut theirs = lines(golden);
    // Parameters stand in their paths here: shared ones would collide with other servers' in the merged document.
    let is_about_parameters = |path: &str| path.contains(" > parameters");
    for document in [&mut ours, &mut theirs] {
        document.retain(|path, _| !is_title(path) && !is_about_parameters(path));
    }
    let (v1, v1beta1): (BTreeMap<_, _>, BTreeMap<_, _>) = ours
        .into_iter()
        .partition(|(path, _)| path.contains("metrics.k8s.io/v1/") || path.contains("metrics.v1."));
    assert!(theirs.len() > 200, "{} lines", theirs.len());
    assert_eq!(difference(&v1beta1, &theirs), Vec::<String>::new());
    let count = |part: &str| v1beta1.keys().filter(|path| path.contains(part)).count();
    assert_eq!(v1.len(), count("metrics.k8s.io/v1beta1/") + count("metrics.v1beta1."));
}

#[test]
fn the_2_0_parameters_are_those_of_metrics_server_by_name() {
    let golden: Value = json::from_str(include_str!("../../../tests/golden/openapi/v2.json")).unwrap();
    let ours: Value = json::from_str(V2).unwrap();
    let member = |value: &Value, name: &str| match value {
        Value::Object(members) => members.get(name).cloned(),
        _ => None,
    };
    let names = |document: &Value, path: &str| -> Vec<String> {
        let paths = member(document, "paths").unwrap();
        let Some(Value::Array(parameters)) = member(&member(&paths, path).unwrap(), "parameters") else {
            return Vec::new();
        };
        let name_of = |parameter: &Value| match (member(parameter, "name"), member(parameter, "$ref")) {
            (Some(Value::String(name)), _) => name,
            (_, Some(Value::String(target))) => {
                let name = target.trim_start_matches("#/parameters/");
                name.split('-').next().unwrap().to_owned()
            }
            _ => panic!("a parameter without a name"),
        };
        parameters.iter().map(name_of).collect()
    };
    for path in [
        "nodes",
        "nodes/{name}",
        "namespaces/{namespace}/pods",
        "namespaces/{namespace}/pods/{name}",
        "pods",
        "",
    ] {
        let path = format!("/apis/metrics.k8s.io/v1beta1/{path}");
        assert_eq!(names(&ours, &path), names(&golden, &path), "{path}");
    }
}

#[test]
fn every_reference_has_its_schema() {
    for (text, prefix) in [
        (Cow::Borrowed(V2), "#/definitions/"),
        (document("v1"), "#/components/schemas/"),
        (document("v1beta1"), "#/components/schemas/"),
    ] {
        let references: Vec<_> =
            text.split(prefix).skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(references.len() > 40);
        for name in references {
            assert!(text.contains(&format!("\n\"{name}\":{{\"description\"")), "{prefix}{name}");
        }
    }
}

/// Status, headers and body of an answer.
fn ask(target: &str, headers: &[(&str, &str)]) -> (u16, Vec<(&'static str, String)>, String) {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let headers: Vec<_> =
        headers.iter().map(|(name, value)| Header { name, value: value.as_bytes() }).collect();
    let head = Head { method: "GET", path, query, headers: &headers };
    let info = RequestInfo { path: path.into(), ..RequestInfo::default() };
    let answer = answer(&head, &info);
    let body = match answer.body {
        Body::Static(bytes) => bytes.to_vec(),
        Body::Whole(bytes) => bytes,
        Body::List(_) => panic!("a document is no list"),
    };
    let headers = answer.headers.into_iter().map(|(name, value)| (name, value.into_owned())).collect();
    (answer.status, headers, String::from_utf8(body).unwrap())
}

fn header<'a>(headers: &'a [(&'static str, String)], name: &str) -> Vec<&'a str> {
    headers.iter().filter(|(known, _)| *known == name).map(|(_, value)| value.as_str()).collect()
}

#[test]
fn v2_is_negotiated_and_remembered() {
    let (status, headers, body) = ask("/openapi/v2", &[("Accept", "application/json")]);
    assert_eq!(status, 200);
    assert_eq!(header(&headers, "Content-Type"), ["application/json"]);
    assert_eq!(header(&headers, "Vary"), ["Accept-Encoding", "Accept"]);
    assert_eq!(body, V2);

    let tag = header(&headers, "ETag")[0];
    let (status, again, body) = ask("/openapi/v2", &[("If-None-Match", tag)]);
    assert_eq!((status, body.as_str()), (304, ""));
    assert_eq!((header(&again, "ETag"), header(&again, "Content-Type")), (vec![tag], vec![]));
    assert_eq!(ask("/openapi/v2", &[("If-None-Match", "\"x\"")]).0, 200);
}

#[test]
fn v2_refuses_other_types_with_nothing_in_the_body() {
    for accept in ["application/yaml", "text/*", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"]
    {
        let (status, headers, body) = ask("/openapi/v2", &[("Accept", accept)]);
        assert_eq!((status, body.as_str(), header(&headers, "Content-Type")), (406, "", vec![]), "{accept}");
    }
    for accept in
        ["", "*/*", "application/*", "text/html, application/json;q=0.1", "text/html, application / json"]
    {
        assert_eq!(ask("/openapi/v2", &[("Accept", accept)]).0, 200, "{accept}");
    }
}

#[test]
fn v3_lists_our_versions_alone_and_each_by_its_hash() {
    let (status, headers, body) = ask("/openapi/v3", &[("Accept", "text/html")]);
    assert_eq!((status, header(&headers, "ETag").len()), (200, 1));
    let paths = lines(&body);
    assert_eq!(paths.len(), 2, "{body}");
    for version in VERSIONS {
        let document = document(version);
        let key = format!(" > paths > apis/metrics.k8s.io/{version} > serverRelativeURL");
        let target = paths.get(&key).unwrap().trim_matches('"').to_owned();
        let (status, headers, body) = ask(&target, &[("Accept", "application/json")]);
        assert_eq!((status, body), (200, document.to_string()));
        assert_eq!(header(&headers, "Cache-Control"), ["public, immutable"]);
        let (status, headers, body) = ask(&target.replace("hash=", "hash=0"), &[]);
        assert_eq!((status, body), (200, document.to_string()));
        assert_eq!(header(&headers, "Cache-Control"), Vec::<&str>::new());
    }
}

#[test]
fn unknown_documents_are_empty_and_other_paths_are_not_found() {
    for path in
        ["/openapi/v3/", "/openapi/v3/apis", "/openapi/v3/version", "/openapi/v3/apis/metrics.k8s.io/v1/"]
    {
        let (status, headers, body) = ask(path, &[]);
        assert_eq!((status, body.as_str(), headers.len()), (200, "", 0), "{path}");
    }
    assert_eq!(ask("/openapi/v2/", &[]).0, 404);
}
