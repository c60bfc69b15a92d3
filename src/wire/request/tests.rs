use super::*;

fn info<'a>(method: &'a str, target: &'a str) -> RequestInfo<'a> {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    RequestInfo::new(&Head { method, path, query, headers: &[] })
}

/// Verb, group/version, namespace, resource, name, subresource; or the verb alone.
fn text(method: &str, target: &str) -> String {
    let i = info(method, target);
    if i.is_resource {
        let RequestInfo { verb, group, version, namespace, resource, name, subresource, .. } = i;
        format!("{verb} {group}/{version} ns={namespace} {resource} name={name} sub={subresource}")
    } else {
        i.verb.into_owned()
    }
}

#[test]
fn paths_of_resources_are_read_as_kubernetes_does() {
    let g = "metrics.k8s.io/v1beta1";
    for (method, path, wanted) in [
        ("GET", "/nodes", "list {g} ns= nodes name= sub="),
        ("HEAD", "/nodes/a", "get {g} ns= nodes name=a sub="),
        ("GET", "/nodes/a/", "get {g} ns= nodes name=a sub="),
        ("GET", "/namespaces/x/pods", "list {g} ns=x pods name= sub="),
        ("GET", "/namespaces/x/pods/p", "get {g} ns=x pods name=p sub="),
        ("GET", "/namespaces/x/pods/p/status", "get {g} ns=x pods name=p sub=status"),
        ("GET", "/namespaces/x/pods/p/status/more", "get {g} ns=x pods name=p sub=status"),
        ("GET", "/namespaces//pods", "list {g} ns= pods name= sub="),
        ("GET", "/namespaces", "list {g} ns= namespaces name= sub="),
        ("GET", "/namespaces/x", "get {g} ns=x namespaces name=x sub="),
        ("GET", "/namespaces/x/status", "get {g} ns=x namespaces name=x sub=status"),
        ("GET", "/nodes//status", "list {g} ns= nodes name= sub=status"),
        ("GET", "/watch/nodes", "watch {g} ns= nodes name= sub="),
        ("GET", "/watch/namespaces/x/pods", "watch {g} ns=x pods name= sub="),
        ("GET", "/proxy/nodes/a/b", "proxy {g} ns= nodes name=a sub="),
        ("POST", "/nodes", "create {g} ns= nodes name= sub="),
        ("PUT", "/nodes/a", "update {g} ns= nodes name=a sub="),
        ("PATCH", "/nodes/a", "patch {g} ns= nodes name=a sub="),
        ("DELETE", "/nodes/a", "delete {g} ns= nodes name=a sub="),
        ("DELETE", "/nodes", "deletecollection {g} ns= nodes name= sub="),
        ("OPTIONS", "/nodes", " {g} ns= nodes name= sub="),
        ("get", "/nodes", " {g} ns= nodes name= sub="),
        ("GET", "/nodes?watch=true", "watch {g} ns= nodes name= sub="),
        ("GET", "/nodes?watch", "watch {g} ns= nodes name= sub="),
        ("GET", "/nodes?watch=FALSE", "list {g} ns= nodes name= sub="),
        ("GET", "/nodes?watch=0&watch=1", "list {g} ns= nodes name= sub="),
        ("GET", "/nodes/a?watch=true", "get {g} ns= nodes name=a sub="),
    ] {
        let target = format!("/apis/{g}{path}");
        assert_eq!(text(method, &target), wanted.replace("{g}", g), "{method} {path}");
    }
    assert_eq!(text("GET", "/api/v1/nodes"), "list /v1 ns= nodes name= sub=");
}

#[test]
fn other_paths_have_the_method_as_verb() {
    for (method, path, verb) in [
        ("GET", "/apis/metrics.k8s.io/v1beta1", "get"),
        ("GET", "/apis/metrics.k8s.io", "get"),
        ("GET", "/api/v1", "get"),
        ("OPTIONS", "/version", "options"),
        ("GET", "/", "get"),
        ("GET", "//", "get"),
        ("Foo", "/readyz", "foo"),
        ("GET", "/metrics/a/b/c/d", "get"),
    ] {
        assert_eq!(text(method, path), verb, "{path}");
    }
}

#[test]
fn a_list_is_pinned_by_its_field_selector() {
    let base = "/apis/metrics.k8s.io/v1beta1/nodes?";
    for (query, name) in [
        ("fieldSelector=metadata.name%3Da", "a"),
        ("fieldSelector=metadata.name=a", "a"),
        ("fieldSelector=metadata.name==b,metadata.name!=c", "b"),
        ("watch=1&fieldSelector=metadata.name=a", "a"),
        ("fieldSelector=metadata.name!=a", ""),
        ("fieldSelector=metadata.name=a/b", ""),
        ("fieldSelector=metadata.name=..", ""),
        ("fieldSelector=metadata.name=a&limit=x", "a"),
        ("fieldSelector=metadata.name", ""),
    ] {
        assert_eq!(info("GET", &format!("{base}{query}")).name, name, "{query}");
    }
}

#[test]
fn selectors_narrow_the_question_of_a_review() {
    let base = "/apis/metrics.k8s.io/v1beta1";
    let list = info(
        "GET",
        "/apis/metrics.k8s.io/v1beta1/pods?fieldSelector=a!%3Db,c%3Dd&labelSelector=z,!y,x>5&limit=x",
    );
    let fields: Vec<_> =
        list.field_requirements.iter().map(|r| (&*r.key, r.operator, r.values.join(","))).collect();
    assert_eq!(fields, [("a", "NotIn", "b".to_owned()), ("c", "In", "d".to_owned())]);
    let labels: Vec<_> = list.label_requirements.iter().map(|r| (&*r.key, r.operator)).collect();
    assert_eq!(labels, [("y", "DoesNotExist"), ("z", "Exists")]);
    for target in
        ["/pods?fieldSelector=a&labelSelector==", "/watch/pods?labelSelector=a", "/nodes/x?labelSelector=a"]
    {
        let target = format!("{base}{target}");
        let info = info("GET", &target);
        assert!(info.field_requirements.is_empty() && info.label_requirements.is_empty(), "{target}");
    }
}

#[test]
fn paths_are_decoded_once() {
    assert_eq!(info("GET", "/ready%7a").path, "/readyz");
    assert_eq!(info("GET", "/ready%257a").path, "/ready%7a");
    assert_eq!(info("GET", "/a+b").path, "/a+b");
    let split = info("GET", "/apis/metrics.k8s.io/v1beta1/nodes/a%2Fb");
    assert_eq!((&*split.name, &*split.subresource), ("a", "b"));
    assert_eq!(info("GET", "/apis/metrics.k8s.io/v1beta1/nodes/%2e%2e").name, "..");
    // A byte that is not UTF-8 becomes a character that no name contains.
    assert_eq!(info("GET", "/%ff").path, "/\u{fffd}");
}

#[test]
fn parameters_are_read_as_go_does() {
    let query = Some("a=1&b=%zz&b=2&c;=3&d=x+y%2B&&a=4&e&f=g=h&%67=1&h=;&h=2");
    for (name, value) in [
        ("a", Some("1")),
        ("b", Some("2")),
        ("c", None),
        ("d", Some("x y+")),
        ("e", Some("")),
        ("f", Some("g=h")),
        ("g", Some("1")),
        ("h", Some("2")),
        ("A", None),
    ] {
        assert_eq!(parameter(query, name).as_deref(), value, "{name}");
    }
    assert_eq!(parameter(None, "a"), None);
}

#[test]
fn integers_are_signed_and_of_64_bits() {
    assert_eq!((integer("-5"), integer("+5")), (Ok(-5), Ok(5)));
    for text in ["", "abc", "1_0", "-", "99999999999999999999"] {
        assert_eq!(integer(text), Err(format!("expected a whole number, found \"{text}\"")));
    }
}

#[test]
fn timeouts_are_at_most_a_minute_and_a_watch_has_none() {
    for (target, seconds) in [
        ("/a?timeout=5s", 5),
        ("/a?timeout=2m", 60),
        ("/a", 60),
        ("/a?timeout=0", 60),
        ("/a?timeout=-5s", 60),
        ("/a?timeout=x", 60),
        ("/a?timeout=7s&timeout=1s", 7),
    ] {
        assert_eq!(info("GET", target).timeout, Some(Duration::from_secs(seconds)), "{target}");
    }
    assert_eq!(info("GET", "/apis/g/v/nodes?watch=1&timeout=5s").timeout, None);
    assert_eq!(info("WATCH", "/a?timeout=5s").timeout, None);
}

#[test]
fn a_verb_without_a_resource_names_none() {
    let alone = info("GET", "/apis/metrics.k8s.io/v1beta1/watch");
    assert_eq!((&*alone.verb, &*alone.resource, alone.is_resource), ("watch", "", true));
    assert_eq!(info("GET", "/apis/metrics.k8s.io/v1beta1/watch/nodes").resource, "nodes");
}
