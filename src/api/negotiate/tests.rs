use super::*;
use crate::api::answer::Body;
use crate::wire::request::Header;

fn with_head<T>(query: Option<&str>, headers: &[(&str, &str)], ask: impl FnOnce(&Head<'_>) -> T) -> T {
    let headers: Vec<Header<'_>> =
        headers.iter().map(|(name, value)| Header { name, value: value.as_bytes() }).collect();
    ask(&Head { method: "GET", path: "/", query, headers: &headers })
}

/// `json`, `json pretty`, `yaml`, ... of a metrics endpoint; `-` for a 406.
fn chosen(accept: &str) -> String {
    with_head(None, &[("Accept", accept)], |head| match metrics(head) {
        Ok((choice, transform)) => {
            let media = choice.media.content_type().trim_start_matches("application/");
            let pretty = if choice.pretty { " pretty" } else { "" };
            let form = if transform == Transform::None { String::new() } else { format!(" {transform:?}") };
            format!("{media}{pretty}{form}")
        }
        Err(_) => "-".to_owned(),
    })
}

#[test]
fn clauses_are_taken_by_quality_then_order() {
    for (accept, wanted) in [
        ("", "json"),
        ("*/*", "json"),
        ("application/yaml", "yaml"),
        ("application/json;q=0.1, application/yaml;q=0.9", "yaml"),
        ("application/yaml;q=0.5,application/json;q=0.5", "yaml"),
        ("application/yaml;q=0,application/xml", "yaml"),
        ("application/json,application/yaml;q=2", "yaml"),
        ("application/yaml;q=x,application/json;q=0.1", "json"),
        ("application/json,application/yaml;q=1_0", "yaml"),
        ("application/yaml;q=_1,application/json;q=0.1", "json"),
        ("application/vnd.kubernetes.protobuf, */*", "vnd.kubernetes.protobuf"),
        // A concrete type goes before a wildcard of better quality.
        ("*/*;q=1,application/yaml;q=0.1", "yaml"),
        ("*/*;q=0.1, application/xml", "json"),
        ("*", "json"),
        ("application/*", "json"),
        ("application", "-"),
        ("APPLICATION/JSON", "-"),
        ("text/*", "-"),
        ("application/json/x", "-"),
        ("application/json;pretty=1", "json pretty"),
        ("application/json;pretty=true", "json"),
        ("application/yaml;pretty=1", "yaml"),
        ("application/json;stream=watch", "json"),
        ("application/json;stream=other", "-"),
        ("application/yaml;stream=watch", "-"),
        ("application/json;sv=v1", "json"),
        ("application/json;sv=v2", "-"),
        ("application/json;charset=utf-8", "json"),
        ("application/cbor, application/json", "json"),
    ] {
        assert_eq!(chosen(accept), wanted, "{accept}");
    }
}

#[test]
fn transformations_need_group_version_and_an_encoding() {
    for (accept, wanted) in [
        ("application/json;as=Table;v=v1;g=meta.k8s.io", "json Table(V1)"),
        ("application/json;g=meta.k8s.io;v=v1beta1;as=Table", "json Table(V1beta1)"),
        ("application/yaml;as=Table;v=v1;g=meta.k8s.io", "yaml Table(V1)"),
        ("*/*;as=Table;v=v1;g=meta.k8s.io", "json Table(V1)"),
        ("application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io", "-"),
        ("application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,application/json", "json"),
        (
            "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
            "vnd.kubernetes.protobuf PartialList(V1)",
        ),
        ("application/json;as=PartialObjectMetadata;v=v1beta1;g=meta.k8s.io", "json Partial(V1beta1)"),
        ("application/json;as=Table;v=v1", "-"),
        ("application/json;as=Table;v=v2;g=meta.k8s.io", "-"),
        ("application/json;as=Foo;v=v1;g=meta.k8s.io", "-"),
        ("application/json;v=v1;g=meta.k8s.io", "-"),
    ] {
        assert_eq!(chosen(accept), wanted, "{accept}");
    }
}

#[test]
fn the_router_lets_exact_types_and_one_wildcard_through() {
    for (accept, lists, version) in [
        ("", true, true),
        ("*/*", true, true),
        ("a/b, */*;q=0.1", true, true),
        ("application/json;as=Foo", true, true),
        ("application/yaml", true, false),
        ("application/*", false, false),
        ("*", false, false),
        ("application/json;stream=watch", true, true),
        ("APPLICATION/JSON", false, false),
        (",", false, false),
    ] {
        with_head(None, &[("Accept", accept)], |head| {
            assert_eq!(route(head, Produces::Lists).is_ok(), lists, "{accept}");
            assert_eq!(route(head, Produces::JsonOnly).is_ok(), version, "{accept}");
        });
    }
}

#[test]
fn only_the_first_accept_line_counts() {
    with_head(None, &[("accept", "application/yaml"), ("Accept", "application/json")], |head| {
        assert_eq!(metrics(head).ok().unwrap().0.media, Media::Yaml);
    });
}

#[test]
fn documents_mind_the_type_of_a_body() {
    for (sent, accepted) in
        [("", true), ("application/json; charset=utf-8", true), ("text/plain", false), ("*/*", false)]
    {
        with_head(None, &[("Content-Type", sent)], |head| {
            assert_eq!(consume(head, Produces::Documents).is_ok(), accepted, "{sent}");
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
            assert_eq!(error(head).unwrap().pretty, pretty, "{query:?} {agent}");
        });
    }
}

#[test]
fn an_error_that_fits_no_clause_is_indented_json() {
    for (accept, content_type, indented) in [
        ("application/json", "application/json", false),
        ("application/*", "application/json", false),
        ("application/yaml", "application/yaml", false),
        ("application/vnd.kubernetes.protobuf", "application/vnd.kubernetes.protobuf", false),
        ("application/xml", "application/json", true),
        ("application/json;as=Table;v=v1;g=meta.k8s.io", "application/json", true),
        ("application/json;sv=v1", "application/json", true),
        ("application/yaml;stream=watch", "application/json", true),
    ] {
        with_head(None, &[("Accept", accept)], |head| {
            let answer = Status::failure(404, "NotFound", "x".to_owned()).answer(head);
            assert_eq!(answer.headers, [("Content-Type", content_type.into())], "{accept}");
            let Body::Whole(body) = answer.body else { panic!("a whole body") };
            assert_eq!(body.starts_with(b"{\n  \"kind\": \"Status\""), indented, "{accept}");
        });
    }
}

#[test]
fn a_header_of_many_clauses_is_read_in_part() {
    let many = "application/yaml,".repeat(ACCEPT_CLAUSES_MAX) + "application/json";
    assert_eq!(clauses(many.as_bytes()).len(), ACCEPT_CLAUSES_MAX);
    assert_eq!(chosen(&many), "yaml");
}
