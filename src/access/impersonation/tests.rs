use super::super::review::{Question as Review, Verdict};
use super::super::testing::*;
use super::super::{Check, Policy, Step};
use super::*;
use crate::api::answer::Body;

/// A review in short: verb, group, resource, subresource, namespace, name; `-` for what is left out.
fn short(spec: &str) -> String {
    let value = |key: &str| {
        let start = format!("\"{key}\":\"");
        let about = spec.split("\"user\":").next().unwrap();
        let rest = about.split_once(&start).map(|(_, rest)| rest.split('"').next().unwrap());
        rest.unwrap_or("-").to_owned()
    };
    ["verb", "group", "resource", "subresource", "namespace", "name"].map(value).join(" ")
}

/// Sends `list nodes` as this user through the front proxy; reviews are allowed if they are in the list.
fn run(lines: &[(&str, &str)], allowed: &[&str]) -> (Vec<String>, Result<Identity, (u16, String)>) {
    let (policy, info, mut asked) = (Policy::default(), list_nodes(), Vec::new());
    let outcome = with_head(lines, |head| {
        let (mut check, mut step) = Check::start(&WORLD.trust, &policy, &mut proxy_peer(), head, &info, NOW);
        loop {
            match step {
                Step::Allowed(identity) => return Ok(identity),
                Step::Refused(answer, _) => {
                    let Body::Whole(body) = answer.body else { panic!() };
                    assert!(
                        answer
                            .headers
                            .iter()
                            .any(|(name, value)| *name == "X-Content-Type-Options" && value == "nosniff")
                    );
                    return Err((answer.status, String::from_utf8(body).unwrap()));
                }
                Step::Ask(Review::Access { spec, .. }) => {
                    let question = short(&spec);
                    let verdict = match allowed.contains(&&*question) {
                        true => Verdict::Allowed,
                        false if question.contains("uids") => Verdict::Failed("away".to_owned()),
                        false => Verdict::Denied(String::new()),
                    };
                    asked.push(question);
                    step = check.resume(&policy, head, &info, verdict);
                }
                Step::Ask(_) => panic!("asks about a token"),
            }
        }
    });
    (asked, outcome)
}

fn message(outcome: Result<Identity, (u16, String)>) -> (u16, String) {
    let (code, body) = outcome.expect_err("refused");
    let text = body.split_once("\"message\":\"").unwrap().1;
    (code, text.split_once("\",\"reason\"").unwrap().0.replace("\\\"", "\""))
}

const ON: &str = "impersonate-on:user-info:list metrics.k8s.io nodes - - -";
const LIST: &str = "list metrics.k8s.io nodes - - -";
const ALICE: (&str, &str) = ("X-Remote-User", "alice");

#[test]
fn impersonate_denied() {
    let (asked, outcome) = run(&[ALICE, ("Impersonate-User", "bob")], &[ON, LIST]);
    let users = "users - - bob";
    assert_eq!(
        asked,
        [
            ON.to_owned(),
            format!("impersonate:user-info authentication.k8s.io {users}"),
            format!("impersonate - {users}")
        ]
    );
    let text = "users.authentication.k8s.io \"bob\" is forbidden: User \"alice\" cannot impersonate:user-info resource \
        \"users\" in API group \"authentication.k8s.io\" at the cluster scope";
    assert_eq!(message(outcome), (403, text.to_owned()));
}

#[test]
fn an_impersonator_without_any_right_is_told_about_the_first_one() {
    let (_, outcome) = run(&[ALICE, ("Impersonate-User", "bob")], &[]);
    let text = "nodes.metrics.k8s.io is forbidden: User \"alice\" cannot impersonate-on:user-info:list resource \"nodes\" \
        in API group \"metrics.k8s.io\" at the cluster scope";
    assert_eq!(message(outcome), (403, text.to_owned()));
}

#[test]
fn other_headers_without_a_user_are_a_bad_request() {
    for (lines, printed) in [
        (
            &[("Impersonate-Group", "dev"), ("impersonate-group", "o\"ps")][..],
            r#"Name:"", UID:"", Groups:[]string{"dev", "o\"ps"}, Extra:map[string][]string(nil)"#,
        ),
        (
            &[("Impersonate-Uid", "u")],
            r#"Name:"", UID:"u", Groups:[]string(nil), Extra:map[string][]string(nil)"#,
        ),
        (
            &[
                ("Impersonate-User", ""),
                ("Impersonate-Extra-B%2fC", "1"),
                ("Impersonate-Extra-a", "2"),
                ("IMPERSONATE-EXTRA-A", ""),
            ],
            r#"Name:"", UID:"", Groups:[]string(nil), Extra:map[string][]string{"a":[]string{"2", ""}, "b/c":[]string{"1"}}"#,
        ),
    ] {
        let (asked, outcome) = run(&[&[ALICE], lines].concat(), &[]);
        let (code, body) = outcome.expect_err("refused");
        assert_eq!((code, asked.len()), (400, 0));
        let text = format!("requested &user.DefaultInfo{{{printed}}} without impersonating a user name");
        let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('&', "\\u0026");
        assert!(body.replace('&', "\\u0026").contains(&text), "{body}");
    }
}

#[test]
fn an_empty_user_is_no_impersonation() {
    let (asked, outcome) = run(&[ALICE, ("Impersonate-User", "")], &[LIST]);
    assert_eq!((asked.len(), outcome.unwrap().user.as_str()), (1, "alice"));
}

#[test]
fn the_legacy_right_is_tried_last_and_is_enough() {
    let lines = [
        ("X-Remote-User", "ivan"),
        ("Impersonate-User", "alice"),
        ("Impersonate-Group", "dev"),
        ("Impersonate-Group", "ops"),
    ];
    let (user, dev, ops) =
        ("impersonate - users - - alice", "impersonate - groups - - dev", "impersonate - groups - - ops");
    let (asked, outcome) = run(&lines, &[user, dev, ops, LIST]);
    assert_eq!(asked, [ON, user, dev, ops, LIST]);
    assert_eq!(outcome, Ok(identity("alice", &["dev", "ops", "system:authenticated"])));
    // What is denied then is told in the legacy words.
    let (_, outcome) = run(&lines, &[user, dev]);
    let text = "groups \"ops\" is forbidden: User \"ivan\" cannot impersonate resource \"groups\" in API group \"\" at the cluster scope";
    assert_eq!(message(outcome), (403, text.to_owned()));
    // A review that fails denies, with its error.
    let with_uid = [&lines[..2], &[("Impersonate-Uid", "u-1")]].concat();
    let (_, outcome) = run(&with_uid, &[user]);
    let text = "uids.authentication.k8s.io \"u-1\" is forbidden: User \"ivan\" cannot impersonate resource \"uids\" in API \
        group \"authentication.k8s.io\" at the cluster scope: away";
    assert_eq!(message(outcome), (403, text.to_owned()));
}

#[test]
fn a_service_account_takes_the_groups_of_its_namespace() {
    let name = "system:serviceaccount:kube-system:sa";
    let on = "impersonate-on:serviceaccount:list metrics.k8s.io nodes - - -";
    let user = "impersonate:serviceaccount authentication.k8s.io serviceaccounts - kube-system sa";
    let (asked, outcome) = run(&[ALICE, ("Impersonate-User", name)], &[on, user, LIST]);
    assert_eq!(asked, [on, user, LIST]);
    let groups = ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"];
    assert_eq!(outcome, Ok(identity(name, &groups)));
    // With groups of its own no constrained mode applies.
    let legacy = "impersonate - serviceaccounts - kube-system sa";
    let (asked, outcome) = run(
        &[ALICE, ("Impersonate-User", name), ("Impersonate-Group", "dev")],
        &[legacy, "impersonate - groups - - dev", LIST],
    );
    assert_eq!((asked.len(), outcome), (3, Ok(identity(name, &["dev", "system:authenticated"]))));
}

#[test]
fn a_node_is_taken_on_by_its_own_service_account_first() {
    let node = "system:node:edge-1";
    let own = [
        ("X-Remote-User", "system:serviceaccount:kube-system:agent"),
        ("X-Remote-Extra-Authentication.kubernetes.io%2fnode-Name", "edge-1"),
        ("X-Remote-Extra-Authentication.kubernetes.io%2fpod-Name", "agent-x"),
        ("Impersonate-User", node),
    ];
    let on_own = "impersonate-on:associated-node:list metrics.k8s.io nodes - - -";
    let own_node = "impersonate:associated-node authentication.k8s.io nodes - - *";
    let (asked, outcome) = run(&own, &[on_own, own_node, LIST]);
    assert_eq!(asked, [on_own, own_node, LIST]);
    assert_eq!(outcome, Ok(identity(node, &["system:nodes", "system:authenticated"])));
    let on_any = "impersonate-on:arbitrary-node:list metrics.k8s.io nodes - - -";
    let any_node = "impersonate:arbitrary-node authentication.k8s.io nodes - - edge-1";
    let legacy = "impersonate - users - - system:node:edge-1";
    let (asked, outcome) = run(&own, &[legacy, LIST]);
    assert_eq!(asked, [on_own, on_any, legacy, LIST]);
    assert_eq!(
        outcome,
        Ok(identity(node, &["system:authenticated"])),
        "no groups follow from the legacy verb"
    );
    // Another node's account, and somebody who is no service account, have the general right only.
    for requestor in [
        &[own[0], (own[1].0, "edge-2"), own[3]][..],
        &[ALICE, own[1], own[3]],
        &[own[0], own[1], own[1], own[3]],
    ] {
        let (asked, outcome) = run(requestor, &[on_own, own_node, on_any, any_node, LIST]);
        assert_eq!((asked[0].as_str(), outcome.unwrap().user.as_str()), (on_any, node));
    }
}

#[test]
fn the_own_node_is_asked_for_without_the_values_of_the_requestor() {
    let requestor = Identity {
        extra: vec![
            (NODE_NAME.to_owned(), vec!["edge-1".to_owned()]),
            ("z".to_owned(), vec!["secret".to_owned()]),
        ],
        ..identity("system:serviceaccount:a:b", &["g"])
    };
    let impersonation = Impersonation::new(requestor, identity("system:node:edge-1", &[]));
    let Next::Decide(user, _) = impersonation.next(&Attributes::default()) else { panic!() };
    assert_eq!(user.extra, [(NODE_KEYS.to_owned(), vec![NODE_NAME.to_owned(), "z".to_owned()])]);
    assert_eq!(user.groups, ["g"]);
}

#[test]
fn many_groups_are_first_asked_for_at_once() {
    let groups = ["a", "b", "c", "d"].map(|group| ("Impersonate-Group", group));
    let lines = [&[ALICE, ("Impersonate-User", "bob")][..], &groups].concat();
    let user = "impersonate:user-info authentication.k8s.io users - - bob";
    let all = "impersonate:user-info authentication.k8s.io groups - - *";
    let (asked, outcome) = run(&lines, &[ON, user, all, LIST]);
    assert_eq!(asked, [ON, user, all, LIST]);
    assert_eq!(outcome, Ok(identity("bob", &["a", "b", "c", "d", "system:authenticated"])));
    let single = ["a", "b", "c", "d"]
        .map(|group| format!("impersonate:user-info authentication.k8s.io groups - - {group}"));
    let allowed = [&[ON, user, LIST][..], &single.each_ref().map(String::as_str)].concat();
    let (asked, outcome) = run(&lines, &allowed);
    assert_eq!((asked.len(), outcome.is_ok()), (8, true), "{asked:?}");
}

#[test]
fn constrained_modes_refuse_masters_and_empty_groups() {
    let user = "impersonate:user-info authentication.k8s.io users - - bob";
    let refused = |group| {
        message(run(&[ALICE, ("Impersonate-User", "bob"), ("Impersonate-Group", group)], &[ON, user]).1).1
    };
    assert_eq!(
        refused("system:masters"),
        "groups.authentication.k8s.io \"system:masters\" is forbidden: User \"alice\" cannot impersonate:user-info resource \
         \"groups\" in API group \"authentication.k8s.io\" at the cluster scope: impersonating the system:masters group is not allowed"
    );
    assert!(refused("").ends_with("impersonating the empty string group is not allowed"));
    // The legacy verb may take on masters, and then nothing is reviewed any more.
    let lines = [ALICE, ("Impersonate-User", "bob"), ("Impersonate-Group", "system:masters")];
    let (asked, outcome) =
        run(&lines, &["impersonate - users - - bob", "impersonate - groups - - system:masters"]);
    assert_eq!(
        (asked.last().unwrap().as_str(), outcome.is_ok()),
        ("impersonate - groups - - system:masters", true)
    );
}

#[test]
fn extra_values_are_asked_for_one_by_one() {
    let lines = [
        ALICE,
        ("Impersonate-User", "bob"),
        ("Impersonate-Extra-Acme.io%2Fkey", "1"),
        ("Impersonate-Extra-Acme.io%2fkey", "2"),
    ];
    let user = "impersonate:user-info authentication.k8s.io users - - bob";
    let extra = ["1", "2"]
        .map(|value| format!("impersonate:user-info authentication.k8s.io userextras acme.io/key - {value}"));
    let (asked, outcome) = run(&lines, &[ON, user, &extra[0], &extra[1], LIST]);
    assert_eq!(asked, [ON, user, &extra[0], &extra[1], LIST]);
    assert_eq!(outcome.unwrap().extra, [("acme.io/key".to_owned(), vec!["1".to_owned(), "2".to_owned()])]);
    let (_, outcome) = run(&[ALICE, lines[1], ("Impersonate-Extra-Scopes", "x")], &[ON, user]);
    assert!(
        message(outcome)
            .1
            .contains("impersonating an invalid key in extra is not allowed: extra.key: Invalid value: ")
    );
    let many = ["1", "2", "3", "4"].map(|value| ("Impersonate-Extra-Acme.io%2Fkey", value));
    let all = "impersonate:user-info authentication.k8s.io userextras * - *";
    let (asked, outcome) = run(&[&lines[..2], &many].concat(), &[ON, user, all, LIST]);
    assert_eq!((asked.len(), outcome.is_ok()), (4, true), "{asked:?}");
}

#[test]
fn anonymous_stays_unauthenticated() {
    let user = "impersonate:user-info authentication.k8s.io users - - system:anonymous";
    let (_, outcome) = run(&[ALICE, ("Impersonate-User", "system:anonymous")], &[ON, user, LIST]);
    assert_eq!(outcome, Ok(identity("system:anonymous", &["system:unauthenticated"])));
    let (user, group) = ("impersonate - users - - bob", "impersonate - groups - - system:unauthenticated");
    let lines = [ALICE, ("Impersonate-User", "bob"), ("Impersonate-Group", "system:unauthenticated")];
    assert_eq!(run(&lines, &[user, group, LIST]).1, Ok(identity("bob", &["system:unauthenticated"])));
}

#[test]
fn masters_impersonate_without_reviews_and_lose_their_rights_by_it() {
    let lines =
        [("X-Remote-User", "root"), ("X-Remote-Group", "system:masters"), ("Impersonate-User", "bob")];
    let (asked, outcome) = run(&lines, &[]);
    assert_eq!(asked, [LIST]);
    assert_eq!(
        message(outcome).1,
        "nodes.metrics.k8s.io is forbidden: User \"bob\" cannot list resource \"nodes\" in API group \"metrics.k8s.io\" at the cluster scope"
    );
}
