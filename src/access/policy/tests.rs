use super::super::testing::*;
use super::*;
use std::borrow::Cow;

fn policy(paths: &[&str], mode: Mode) -> Policy {
    Policy { always_allow_paths: paths.iter().map(|&path| path.to_owned()).collect(), mode }
}

fn spec(user: &Identity, info: &RequestInfo<'_>) -> (String, bool) {
    match Policy::default().decide(user, info) {
        Decision::Ask(Question { asked: Asked::Access { spec, cacheable }, .. }) => (spec, cacheable),
        other => panic!("{other:?}"),
    }
}

fn path_is_allowed(allowed: &[&str], path: &str) -> bool {
    let decision = policy(allowed, Mode::Delegated).decide(&identity("bob", &[]), &get_path(path));
    decision == Decision::Allow
}

#[test]
fn paths_beside_the_allowed_ones_are_reviewed() {
    let health = ["/healthz", "/readyz", "/livez"];
    for path in [
        "/readyz/",
        "//readyz",
        "/READYZ",
        "/readyz/ping",
        "/healthzz",
        "/",
        "/metrics",
        "readyz2",
        "/livez?x",
    ] {
        assert!(!path_is_allowed(&health, path), "{path}");
    }
    assert!(!path_is_allowed(&["/metrics/*"], "/metrics"));
    assert!(!path_is_allowed(&["/"], "/x") && !path_is_allowed(&[], "/readyz"));
    // A resource is never allowed by its path.
    let everything = policy(&["*"], Mode::Delegated);
    assert!(matches!(everything.decide(&identity("bob", &[]), &list_nodes()), Decision::Ask(_)));
}

#[test]
fn allowed_paths_are_exact_or_prefixes() {
    let health = ["/healthz", "readyz", "/livez"];
    assert!(["/healthz", "/readyz", "/livez"].iter().all(|path| path_is_allowed(&health, path)));
    assert!(path_is_allowed(&["/metrics*"], "/metrics") && path_is_allowed(&["/metrics*"], "/metrics/slis"));
    assert!(path_is_allowed(&["*"], "/anything") && path_is_allowed(&["/"], "/"));
    assert!(Policy::check_paths(&["/a*".to_owned(), "/b".to_owned()]).is_ok());
    assert!(
        Policy::check_paths(&["/a*b".to_owned()])
            .is_err_and(|error| error.contains("only trailing * allowed"))
    );
    assert!(Policy::check_paths(&["/a**".to_owned()]).is_err());
}

#[test]
fn only_the_very_group_of_masters_is_above_reviews() {
    let decide = |groups: &[&str]| Policy::default().decide(&identity("bob", groups), &list_nodes());
    for groups in
        [&[][..], &["system:master"], &["System:masters"], &["system:masters "], &["a,system:masters"]]
    {
        assert!(matches!(decide(groups), Decision::Ask(_)), "{groups:?}");
    }
    assert_eq!(decide(&["dev", "system:masters"]), Decision::Allow);
}

#[test]
fn without_a_cluster_reading_is_allowed_and_nothing_else() {
    let verbs = |info: &RequestInfo<'static>, verb: &'static str| RequestInfo {
        verb: Cow::Borrowed(verb),
        ..info.clone()
    };
    let (nodes, path) = (list_nodes(), get_path("/metrics"));
    let anonymous = identity(ANONYMOUS, &["system:unauthenticated"]);
    let bob = identity("bob", &["system:authenticated"]);
    let decide =
        |mode, user: &Identity, info: &RequestInfo<'_>| policy(&["/readyz"], mode).decide(user, info);
    for verb in
        ["create", "update", "patch", "delete", "deletecollection", "", "impersonate", "head", "options"]
    {
        assert_eq!(decide(Mode::HostAnonymous, &anonymous, &verbs(&nodes, verb)), Decision::Deny, "{verb}");
        assert_eq!(decide(Mode::HostClientCertificate, &bob, &verbs(&nodes, verb)), Decision::Deny, "{verb}");
    }
    for verb in ["post", "put", "options", "list", ""] {
        assert_eq!(decide(Mode::HostAnonymous, &anonymous, &verbs(&path, verb)), Decision::Deny, "{verb}");
    }
    for info in [&nodes, &verbs(&nodes, "get"), &verbs(&nodes, "watch"), &path, &verbs(&path, "head")] {
        assert_eq!(decide(Mode::HostClientCertificate, &anonymous, info), Decision::Deny);
        assert_eq!(decide(Mode::HostClientCertificate, &bob, info), Decision::Allow);
        assert_eq!(decide(Mode::HostAnonymous, &anonymous, info), Decision::Allow);
    }
    assert_eq!(decide(Mode::HostClientCertificate, &anonymous, &get_path("/readyz")), Decision::Allow);
}

#[test]
fn a_review_asks_about_a_resource() {
    let bob = identity("bob", &["dev", "system:authenticated"]);
    let requirement = |key: &str, operator, values: &[&str]| Requirement {
        key: key.to_owned(),
        operator,
        values: values.iter().map(|&value| value.to_owned()).collect(),
    };
    let pod = RequestInfo {
        verb: Cow::Borrowed("get"),
        namespace: Cow::Borrowed("default"),
        resource: Cow::Borrowed("pods"),
        subresource: Cow::Borrowed("status"),
        name: Cow::Borrowed("web-1"),
        ..list_nodes()
    };
    assert_eq!(
        spec(&bob, &pod).0,
        r#"{"resourceAttributes":{"namespace":"default","verb":"get","group":"metrics.k8s.io","version":"v1beta1","resource":"pods","subresource":"status","name":"web-1","fieldSelector":null,"labelSelector":null},"nonResourceAttributes":null,"user":"bob","groups":["dev","system:authenticated"],"extra":{},"uid":""}"#
    );
    let list = RequestInfo {
        field_requirements: vec![
            requirement("metadata.name", "In", &["node1"]),
            requirement("a", "NotIn", &["b"]),
        ],
        label_requirements: vec![requirement("z", "DoesNotExist", &[]), requirement("y", "In", &["1", "2"])],
        ..list_nodes()
    };
    let somebody = Identity {
        uid: "u-1".to_owned(),
        extra: vec![
            ("a".to_owned(), vec!["x".to_owned()]),
            ("scopes".to_owned(), vec!["a".to_owned(), "b".to_owned()]),
        ],
        ..identity("", &[])
    };
    assert_eq!(
        spec(&somebody, &list).0,
        r#"{"resourceAttributes":{"namespace":"","verb":"list","group":"metrics.k8s.io","version":"v1beta1","resource":"nodes","subresource":"","name":"","fieldSelector":{"requirements":[{"key":"metadata.name","operator":"In","values":["node1"]},{"key":"a","operator":"NotIn","values":["b"]}]},"labelSelector":{"requirements":[{"key":"z","operator":"DoesNotExist","values":[]},{"key":"y","operator":"In","values":["1","2"]}]}},"nonResourceAttributes":null,"user":"","groups":[],"extra":{"a":["x"],"scopes":["a","b"]},"uid":"u-1"}"#
    );
}

#[test]
fn a_review_asks_about_a_path() {
    let info = get_path("/metrics");
    assert_eq!(
        spec(&identity("bob", &[]), &info),
        (
            r#"{"resourceAttributes":null,"nonResourceAttributes":{"path":"/metrics","verb":"get"},"user":"bob","groups":[],"extra":{},"uid":""}"#
                .to_owned(),
            true
        )
    );
}

#[test]
fn no_name_can_break_out_of_its_string() {
    let evil = identity("\",\"groups\":[\"system:masters\"],\"x\":\"", &["\\\"\u{1}\n\u{1f}é<"]);
    let (spec, _) = spec(&evil, &get_path("/"));
    assert_eq!(
        spec,
        r#"{"resourceAttributes":null,"nonResourceAttributes":{"path":"/","verb":"get"},"user":"\",\"groups\":[\"system:masters\"],\"x\":\"","groups":["\\\"\u0001\n\u001fé<"],"extra":{},"uid":""}"#
    );
}

#[test]
fn long_requests_are_not_remembered_and_long_users_are() {
    let long = "x".repeat(CACHEABLE_LEN_MAX);
    assert!(!spec(&identity("bob", &[]), &get_path(&long)).1);
    assert!(spec(&identity(&long, &[&long]), &get_path("/")).1);
}
