use super::*;
use crate::api::answer::Body;
use crate::api::encode_status;
use crate::wire::request::Header;

const AGGREGATED_ACCEPT: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

fn ask(path: &str, query: Option<&str>, headers: &[(&str, &str)]) -> Answer {
    let headers: Vec<_> =
        headers.iter().map(|(name, value)| Header { name, value: value.as_bytes() }).collect();
    let head = Head { method: "GET", path, query, headers: &headers };
    let answered = match path.strip_suffix('/').unwrap_or(path) {
        "/apis" => groups(":4443", &head),
        path => group_or_version(path.strip_prefix("/apis/").unwrap(), &head),
    };
    answered.unwrap_or_else(|status| encode_status::answer(&status, &head))
}

fn header(answer: &Answer, name: &str) -> Option<String> {
    answer
        .headers
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.to_string())
}

fn body(answer: Answer) -> Vec<u8> {
    match answer.body {
        Body::Static(bytes) => bytes.to_vec(),
        Body::Whole(bytes) => bytes,
        Body::List(_) => panic!("discovery is no list"),
    }
}

fn text(answer: Answer) -> String {
    String::from_utf8(body(answer)).unwrap()
}

#[test]
fn resources_of_a_version_are_those_of_metrics_server() {
    let golden = include_str!("../../../tests/golden/api/discovery-v1beta1.json");
    let answer = ask("/apis/metrics.k8s.io/v1beta1/", None, &[("Accept", "application/json, */*")]);
    assert_eq!(header(&answer, "content-type").as_deref(), Some("application/json"));
    assert!(matches!(answer.body, Body::Static(_)), "probes must not allocate a body");
    assert_eq!(text(answer), golden);
    assert_eq!(text(ask("/apis/metrics.k8s.io/v1", None, &[])), golden.replace("v1beta1", "v1"));
}

#[test]
fn documents_have_no_protobuf_form_and_who_prefers_it_gets_json() {
    let pb = "application/vnd.kubernetes.protobuf";
    let aggregated = format!("{pb};g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
    for path in ["/apis", "/apis/metrics.k8s.io", "/apis/metrics.k8s.io/v1", "/apis/metrics.k8s.io/v1beta1"] {
        for accept in [pb, &aggregated] {
            assert_eq!(ask(path, None, &[("Accept", accept)]).status, 406, "{path} {accept}");
            for other in ["application/json", "*/*"] {
                let answer = ask(path, None, &[("Accept", &format!("{accept},{other}"))]);
                assert_eq!(
                    header(&answer, "content-type").as_deref(),
                    Some("application/json"),
                    "{path} {accept}"
                );
            }
        }
    }
}

#[test]
fn the_group_prefers_v1_and_has_v1beta1() {
    assert_eq!(
        text(ask("/apis/metrics.k8s.io", None, &[])),
        "{\"kind\":\"APIGroup\",\"apiVersion\":\"v1\",\"name\":\"metrics.k8s.io\",\"versions\":[\
         {\"groupVersion\":\"metrics.k8s.io/v1\",\"version\":\"v1\"},\
         {\"groupVersion\":\"metrics.k8s.io/v1beta1\",\"version\":\"v1beta1\"}],\
         \"preferredVersion\":{\"groupVersion\":\"metrics.k8s.io/v1\",\"version\":\"v1\"}}\n"
    );
}

#[test]
fn the_list_of_groups_names_the_address_and_no_api_version() {
    let list = text(ask("/apis", None, &[("Accept", "application/json")]));
    assert!(
        list.starts_with("{\"kind\":\"APIGroupList\",\"groups\":[{\"name\":\"metrics.k8s.io\""),
        "{list}"
    );
    assert!(
        list.ends_with(
            ",\"serverAddressByClientCIDRs\":[{\"clientCIDR\":\"0.0.0.0/0\",\"serverAddress\":\":4443\"}]}]}\n"
        ),
        "{list}"
    );
}

#[test]
fn k31_the_aggregated_document_and_its_tag() {
    let answer = ask("/apis", None, &[("Accept", AGGREGATED_ACCEPT)]);
    assert_eq!(header(&answer, "content-type").as_deref(), Some(AGGREGATED_ACCEPT));
    assert_eq!(header(&answer, "cache-control").as_deref(), Some("public"));
    assert_eq!(header(&answer, "vary").as_deref(), Some("Accept"));
    let tag = header(&answer, "etag").unwrap();
    assert_eq!((answer.status, tag.len()), (200, 18));
    let golden = include_str!("../../../tests/golden/api/discovery-aggregated.json");
    let (before, version) = golden.split_at(golden.find("{\"version\":").unwrap());
    let version = version.strip_suffix("]}]}\n").unwrap();
    assert_eq!(text(answer), format!("{before}{},{version}]}}]}}\n", version.replace("v1beta1", "v1")));

    let again = ask("/apis", None, &[("Accept", AGGREGATED_ACCEPT), ("If-None-Match", &tag)]);
    assert_eq!((again.status, header(&again, "content-type")), (304, None));
    assert_eq!(header(&again, "etag").as_deref(), Some(tag.as_str()));
    for other in
        [format!("W/{tag}"), format!("{tag}, \"x\""), "*".to_owned(), tag.trim_matches('"').to_owned()]
    {
        let again = ask("/apis", None, &[("Accept", AGGREGATED_ACCEPT), ("If-None-Match", &other)]);
        assert_eq!(again.status, 200, "{other}");
    }
}

#[test]
fn v2beta1_is_skipped_whatever_the_order() {
    let old = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";
    assert_eq!(ask("/apis", None, &[("Accept", old)]).status, 406);
    for accept in [format!("{AGGREGATED_ACCEPT},{old}"), format!("{old},{AGGREGATED_ACCEPT}")] {
        let answer = ask("/apis", None, &[("Accept", &accept)]);
        assert_eq!(header(&answer, "content-type").as_deref(), Some(AGGREGATED_ACCEPT), "{accept}");
    }
    let plain = ask("/apis", None, &[("Accept", &format!("{old},application/json"))]);
    assert!(text(plain).starts_with("{\"kind\":\"APIGroupList\""));
}

#[test]
fn the_aggregated_document_in_yaml_has_the_same_tag() {
    let yaml = "application/yaml;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let json = ask("/apis", None, &[("Accept", AGGREGATED_ACCEPT)]);
    let answer = ask("/apis", None, &[("Accept", yaml)]);
    assert_eq!(header(&answer, "content-type").as_deref(), Some(yaml));
    assert_eq!(header(&answer, "etag"), header(&json, "etag"));
    assert!(text(answer).starts_with("{\n  \"kind\": \"APIGroupDiscoveryList\",\n"));
}

#[test]
fn layouts_and_refusals() {
    let pretty = text(ask("/apis", Some("pretty=true"), &[("Accept", AGGREGATED_ACCEPT)]));
    assert!(
        pretty.starts_with("{\n  \"kind\": \"APIGroupDiscoveryList\",\n") && pretty.ends_with("\n}"),
        "{pretty}"
    );
    let yaml = text(ask("/apis/metrics.k8s.io/v1", None, &[("Accept", "application/yaml")]));
    assert!(yaml.starts_with("{\n  \"kind\": \"APIResourceList\",\n"), "{yaml}");
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
    assert_eq!(ask("/apis/metrics.k8s.io/v1", None, &[("Accept", table)]).status, 406);
    assert_eq!(ask("/apis", None, &[("Accept", "application/xml")]).status, 406);
}
