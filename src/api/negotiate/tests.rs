use super::*;
use crate::wire::request::Header;

fn with_head<T>(query: Option<&str>, headers: &[(&str, &str)], ask: impl FnOnce(&Head<'_>) -> T) -> T {
    let headers: Vec<Header<'_>> =
        headers.iter().map(|(name, value)| Header { name, value: value.as_bytes() }).collect();
    ask(&Head { method: "GET", path: "/", query, headers: &headers })
}

/// `json`, `yaml`, `json Table`, ... of a metrics endpoint; `-` for a 406.
fn chosen(accept: &str) -> String {
    with_head(None, &[("Accept", accept)], |head| match metrics(head) {
        Ok(Choice { media, rendition, .. }) => {
            let media = media.content_type().trim_start_matches("application/");
            let form = if rendition == Rendition::Plain { String::new() } else { format!(" {rendition:?}") };
            format!("{media}{form}")
        }
        Err(status) => {
            assert_eq!((status.code, status.reason), (406, "NotAcceptable"));
            "-".to_owned()
        }
    })
}

#[test]
fn clauses_are_taken_by_quality_then_precision_then_order() {
    for (accept, wanted) in [
        ("", "json"),
        ("*/*", "json"),
        ("application/yaml", "yaml"),
        ("application/json;q=0.1, application/yaml;q=0.9", "yaml"),
        ("application/yaml;q=0.5,application/json;q=0.5", "yaml"),
        ("application/yaml;q=0,application/xml", "-"),
        ("application/yaml;q=x,application/json;q=0.1", "json"),
        ("application/vnd.kubernetes.protobuf, */*", "vnd.kubernetes.protobuf"),
        ("*/*, application/yaml", "yaml"),
        ("*/*;q=1,application/yaml;q=0.1", "json"),
        ("*/*;q=0.1, application/xml", "json"),
        ("*", "json"),
        ("application/*", "json"),
        ("application", "-"),
        ("Application/JSON", "json"),
        ("text/*", "-"),
        ("application/json/x", "-"),
        ("application/json;charset=utf-8", "json"),
        ("application/json; q = 0.3 , application/yaml ; q=0.2", "json"),
        ("application/cbor, application/json", "json"),
        (",,", "-"),
    ] {
        assert_eq!(chosen(accept), wanted, "{accept}");
    }
}

#[test]
fn a_form_needs_group_and_version_and_an_encoding() {
    for (accept, wanted) in [
        ("application/json;as=Table;v=v1;g=meta.k8s.io", "json Table"),
        ("application/yaml;as=Table;v=v1;g=meta.k8s.io", "yaml Table"),
        ("*/*;as=Table;v=v1;g=meta.k8s.io", "json Table"),
        ("application/json;g=meta.k8s.io;v=v1beta1;as=Table", "-"),
        ("application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io", "-"),
        ("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", "-"),
        ("application/json;as=Table;v=v1", "-"),
        ("application/json;as=Foo;v=v1;g=meta.k8s.io", "-"),
        ("application/json;v=v1;g=meta.k8s.io", "-"),
        ("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", "-"),
    ] {
        assert_eq!(chosen(accept), wanted, "{accept}");
    }
}

#[test]
fn real_clients_get_the_form_they_ask_for_first() {
    // kubectl get, the metadata client, the typed client of the horizontal pod autoscaler.
    for (accept, wanted) in [
        (
            "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,\
             application/json",
            "json Table",
        ),
        (
            "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,\
             application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json",
            "json",
        ),
        ("application/vnd.kubernetes.protobuf,application/json", "vnd.kubernetes.protobuf"),
        ("application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,application/json", "json"),
    ] {
        assert_eq!(chosen(accept), wanted, "{accept}");
    }
}

#[test]
fn only_the_first_accept_line_counts() {
    with_head(None, &[("accept", "application/yaml"), ("Accept", "application/json")], |head| {
        assert_eq!(metrics(head).map(|choice| choice.media), Ok(Media::Yaml));
    });
}

#[test]
fn where_json_alone_is_served_it_must_be_acceptable() {
    for (accept, served) in [
        ("", true),
        ("*/*", true),
        ("application/*", true),
        ("application/yaml", false),
        ("text/html", false),
    ] {
        with_head(None, &[("Accept", accept)], |head| {
            assert_eq!(json_only(head).is_ok(), served, "{accept}");
        });
    }
}

#[test]
fn the_query_or_the_agent_asks_for_indented_json() {
    for (query, agent, pretty) in [
        (None, "", false),
        (None, "curl/8.0", true),
        (None, "Wget/1", true),
        (None, "Mozilla/5.0 (X11)", true),
        (None, "CURL", false),
        (None, "kubectl", false),
        (Some("pretty=true"), "", true),
        (Some("pretty=True"), "", true),
        (Some("pretty=1"), "", true),
        (Some("pretty=false"), "curl", false),
        (Some("pretty=yes"), "curl", false),
        (Some("pretty"), "", false),
        (Some("pretty"), "curl", true),
    ] {
        with_head(query, &[("User-Agent", agent)], |head| {
            assert_eq!(metrics(head).map(|choice| choice.pretty), Ok(pretty), "{query:?} {agent}");
        });
    }
    for (accept, pretty) in [("application/yaml", true), ("application/vnd.kubernetes.protobuf", false)] {
        with_head(Some("pretty=1"), &[("Accept", accept)], |head| {
            assert_eq!(metrics(head).map(|choice| choice.pretty), Ok(pretty), "{accept}");
        });
    }
}

#[test]
fn an_error_fits_a_clause_or_is_indented_json() {
    for (accept, media, pretty) in [
        ("application/json", Media::Json, false),
        ("application/yaml", Media::Yaml, true),
        ("application/xml", Media::Json, true),
        ("application/json;as=Table;v=v1;g=meta.k8s.io", Media::Json, true),
    ] {
        with_head(None, &[("Accept", accept)], |head| {
            assert_eq!(error(head), Choice { media, pretty, rendition: Rendition::Plain }, "{accept}");
        });
    }
}
