use super::document::Document;
use super::*;
use crate::limits;
use miniserde::json::{self, Value};
use std::collections::BTreeMap;

fn text(document: Document) -> String {
    let mut out = Vec::new();
    let mut index = 0;
    loop {
        let start = out.len();
        if !document.write_part(index, &mut out) {
            return String::from_utf8(out).unwrap();
        }
        assert!(out.len() - start <= limits::PART_LEN_MAX, "part {index} has {} bytes", out.len() - start);
        index += 1;
    }
}

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
fn the_3_0_document_of_v1beta1_is_that_of_the_reference() {
    let mut ours = lines(&text(Document::V3(Version::V1beta1)));
    let mut theirs = lines(include_str!("../../../tests/golden/openapi/v3-v1beta1.json"));
    ours.retain(|path, _| !is_title(path));
    theirs.retain(|path, _| !is_title(path));
    assert!(theirs.len() > 300, "{} lines", theirs.len());
    assert_eq!(difference(&ours, &theirs), Vec::<String>::new());
}

#[test]
fn the_3_0_document_of_v1_differs_by_its_name_alone() {
    let v1 = text(Document::V3(Version::V1));
    let v1beta1 = text(Document::V3(Version::V1beta1));
    assert!(v1.contains("\"/apis/metrics.k8s.io/v1/nodes\"") && !v1.contains("v1beta1"));
    assert!(v1.contains("\"io.k8s.metrics.pkg.apis.metrics.v1.PodMetrics\""));
    assert_eq!(v1beta1.replace("v1beta1", "v1").replace("V1beta1", "V1"), v1);
}

#[test]
fn the_2_0_document_holds_that_of_the_reference_and_v1() {
    let ours = text(Document::V2);
    let mut ours = lines(&ours);
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
fn the_2_0_parameters_are_those_of_the_reference_by_name() {
    let golden: Value = json::from_str(include_str!("../../../tests/golden/openapi/v2.json")).unwrap();
    let ours: Value = json::from_str(&text(Document::V2)).unwrap();
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
    for document in [Document::V2, Document::V3(Version::V1), Document::V3(Version::V1beta1)] {
        let text = text(document);
        let prefix = if document == Document::V2 { "#/definitions/" } else { "#/components/schemas/" };
        let references: Vec<_> =
            text.split(prefix).skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(references.len() > 40);
        for name in references {
            assert!(text.contains(&format!("\"{name}\":{{\"description\"")), "{name} in {document:?}");
        }
    }
}

#[test]
fn the_summary_tells_the_length_and_pieces_make_the_document() {
    for document in [Document::V2, Document::V3(Version::V1), Document::V3(Version::V1beta1)] {
        let summary = document.summary();
        assert_eq!(summary.len, text(document).len());
        assert_eq!(summary.tag, format!("\"{}\"", summary.hash()));
        assert_eq!(document.pieces().len(), Some(summary.len));
    }
    assert_ne!(Document::V3(Version::V1).summary().tag, Document::V3(Version::V1beta1).summary().tag);
}
