//! Every combination of peer, headers and token, against a table written by hand.

use super::super::review::{Asked, Secret};
use super::super::testing::*;
use super::*;
use rcgen::ExtendedKeyUsagePurpose;
use std::borrow::Cow;

/// What a pool makes of a peer, by hand.
#[derive(Clone, Copy, PartialEq)]
enum Says {
    /// Nothing.
    Nothing,
    /// The front proxy; or, as a client, this user with these groups.
    Yes(&'static str, &'static [&'static str]),
    /// It refuses.
    Error,
}
use Says::{Error, Nothing, Yes};

const PROXY: Says = Yes("front proxy", &[]);

/// Peer, chain, what the front proxy's pool says, what the clients' pool says. Refused ones first.
fn peers() -> Vec<(&'static str, Vec<Vec<u8>>, Says, Says)> {
    let World { proxies, clients, foreign, intermediate, .. } = &*WORLD;
    let proxy = || Wish { name: "front-proxy-client", ..Wish::default() };
    let bob = || Wish { name: "bob", organizations: &["dev", "ops"], ..Wish::default() };
    let (expired, future) = ((2020, 2025), (2027, 2090));
    let server = &[ExtendedKeyUsagePurpose::ServerAuth][..];
    let below = intermediate.issue(&bob());
    let foreign_ca = foreign.issue_authority(&ca("client-ca"));
    let self_made = root(&ca("client-ca"));
    vec![
        ("front proxy, wrong name", vec![proxies.issue(&Wish { name: "other", ..proxy() })], Error, Error),
        ("front proxy, no name", vec![proxies.issue(&Wish { name: "", ..proxy() })], Error, Error),
        ("front proxy, expired", vec![proxies.issue(&Wish { years: expired, ..proxy() })], Error, Error),
        ("front proxy, not yet valid", vec![proxies.issue(&Wish { years: future, ..proxy() })], Error, Error),
        ("front proxy, for servers", vec![proxies.issue(&Wish { usages: server, ..proxy() })], Error, Error),
        ("front proxy's CA itself: its name is not allowed", vec![proxies.der.clone()], Error, Error),
        ("unknown issuer, with the front proxy's name", vec![foreign.issue(&proxy())], Error, Error),
        ("unknown issuer, with a client's name", vec![foreign.issue(&bob())], Error, Error),
        (
            "foreign CA with the client CA's name",
            vec![foreign_ca.issue(&bob()), foreign_ca.der.clone()],
            Error,
            Error,
        ),
        (
            "self-made CA of the client CA's name",
            vec![self_made.issue(&bob()), self_made.der.clone()],
            Error,
            Error,
        ),
        ("client, expired", vec![clients.issue(&Wish { years: expired, ..bob() })], Error, Error),
        ("client, not yet valid", vec![clients.issue(&Wish { years: future, ..bob() })], Error, Error),
        ("client, for servers", vec![clients.issue(&Wish { usages: server, ..bob() })], Error, Error),
        ("intermediate not sent", vec![below.clone()], Error, Error),
        ("intermediate first", vec![intermediate.der.clone(), below.clone()], Error, Error),
        ("garbage", vec![b"\x30\x82garbage".to_vec()], Error, Error),
        ("empty certificate", vec![Vec::new()], Error, Error),
        ("client with an empty UID", vec![clients.issue(&Wish { uids: &[""], ..bob() })], Error, Error),
        ("none", vec![], Nothing, Nothing),
        ("client without a name", vec![clients.issue(&Wish { name: "", ..bob() })], Error, Nothing),
        (
            "client with the front proxy's name",
            vec![clients.issue(&proxy())],
            Error,
            Yes("front-proxy-client", &[]),
        ),
        ("client", vec![clients.issue(&bob())], Error, Yes("bob", &["dev", "ops"])),
        (
            "client, no usage stated",
            vec![clients.issue(&Wish { usages: &[], ..bob() })],
            Error,
            Yes("bob", &["dev", "ops"]),
        ),
        (
            "client, intermediate sent",
            vec![below.clone(), intermediate.der.clone()],
            Error,
            Yes("bob", &["dev", "ops"]),
        ),
        (
            "client, intermediate among others",
            vec![below, foreign.der.clone(), vec![0; 9], intermediate.der.clone(), clients.der.clone()],
            Error,
            Yes("bob", &["dev", "ops"]),
        ),
        ("client CA itself", vec![clients.der.clone()], Error, Error),
        ("CA as a client", vec![clients.issue(&ca("site-ca"))], Error, Error),
        ("front proxy", vec![proxies.issue(&proxy())], PROXY, Error),
    ]
}

/// Headers, and the identity a front proxy states with them.
type HeaderRow = (&'static str, Vec<(&'static str, String)>, Option<Identity>);

#[allow(clippy::too_many_lines)] // a table
fn headers() -> Vec<HeaderRow> {
    let lines = |lines: &[(&'static str, &str)]| {
        lines.iter().map(|&(name, value)| (name, value.to_owned())).collect::<Vec<_>>()
    };
    let alice = |groups: &[&str]| Some(identity("alice", &[groups, &["system:authenticated"]].concat()));
    let many = (0..300).map(|nth| format!("group-{nth}")).collect::<Vec<_>>();
    let many_lines = many.iter().map(|group| ("X-Remote-Group", group.clone()));
    let with = |extra: &[(&str, &[&str])], uid: &str| {
        alice(&[]).map(|alice| Identity {
            uid: uid.to_owned(),
            extra: extra
                .iter()
                .map(|(k, v)| ((*k).to_owned(), v.iter().map(|&v| v.to_owned()).collect()))
                .collect(),
            ..alice
        })
    };
    vec![
        ("none", lines(&[]), None),
        ("empty user", lines(&[("X-Remote-User", "")]), None),
        ("empty first user", lines(&[("X-Remote-User", ""), ("X-Remote-User", "alice")]), None),
        ("groups without a user", lines(&[("X-Remote-Group", "system:masters")]), None),
        ("another header", lines(&[("X-Remote-Username", "alice"), ("Remote-User", "alice")]), None),
        ("user", lines(&[("X-Remote-User", "alice")]), alice(&[])),
        ("two users", lines(&[("X-Remote-User", "alice"), ("X-Remote-User", "root")]), alice(&[])),
        (
            "groups",
            lines(&[
                ("X-Remote-User", "alice"),
                ("X-Remote-Group", "a, b"),
                ("X-Remote-Group", ""),
                ("X-Remote-Group", "c"),
            ]),
            alice(&["a, b", "c"]),
        ),
        ("odd case", lines(&[("x-REMOTE-user", "alice"), ("X-remote-GROUP", "Dev")]), alice(&["Dev"])),
        (
            "hundreds of groups",
            lines(&[("X-Remote-User", "alice")]).into_iter().chain(many_lines).collect(),
            alice(&many.iter().map(String::as_str).collect::<Vec<_>>()),
        ),
        (
            "extra",
            lines(&[
                ("X-Remote-User", "alice"),
                ("X-Remote-Extra-Scopes", "b"),
                ("x-remote-extra-Acme.io%2fKey", "x"),
                ("X-Remote-Extra-scopes", ""),
                ("X-Remote-Extra-%zz", "odd"),
            ]),
            with(&[("%zz", &["odd"]), ("acme.io/key", &["x"]), ("scopes", &["b", ""])], ""),
        ),
        (
            "uid",
            lines(&[("X-Remote-User", "alice"), ("X-Remote-Uid", "u-1"), ("X-Remote-Uid", "u-2")]),
            with(&[], "u-1"),
        ),
        (
            "already authenticated",
            lines(&[("X-Remote-User", "alice"), ("X-Remote-Group", "system:authenticated")]),
            alice(&[]),
        ),
        (
            "anonymous",
            lines(&[("X-Remote-User", "system:anonymous"), ("X-Remote-Group", "system:unauthenticated")]),
            Some(identity("system:anonymous", &["system:unauthenticated"])),
        ),
        (
            "anonymous without a group",
            lines(&[("X-Remote-User", "system:anonymous")]),
            Some(identity("system:anonymous", &[])),
        ),
    ]
}

/// What an Authorization header leads to.
#[derive(Clone, Copy)]
enum Bearer {
    /// No token.
    Absent,
    /// This token is reviewed, with this verdict.
    Reviewed(&'static str, fn() -> Verdict),
}

fn tokens() -> Vec<(&'static str, Vec<&'static str>, Bearer)> {
    let known = || Verdict::Known(identity("sa", &["system:serviceaccounts"]));
    let unknown = || Verdict::Unknown("[invalid bearer token]".to_owned());
    vec![
        ("bad", vec!["Bearer bad"], Bearer::Reviewed("bad", unknown)),
        (
            "review down",
            vec!["Bearer good"],
            Bearer::Reviewed("good", || Verdict::Failed("no route".to_owned())),
        ),
        ("odd verdict", vec!["Bearer good"], Bearer::Reviewed("good", || Verdict::Allowed)),
        ("none", vec![], Bearer::Absent),
        ("empty", vec!["Bearer "], Bearer::Absent),
        ("bare scheme", vec!["Bearer"], Bearer::Absent),
        ("basic", vec!["Basic Ym9iOmJvYg=="], Bearer::Absent),
        ("basic before bearer", vec!["Basic Ym9iOmJvYg==", "Bearer good"], Bearer::Absent),
        ("tab", vec!["Bearer\tgood"], Bearer::Absent),
        ("two blanks", vec!["Bearer  good"], Bearer::Absent),
        ("good", vec!["Bearer good"], Bearer::Reviewed("good", known)),
        ("odd case", vec!["bEARER good"], Bearer::Reviewed("good", known)),
        ("two words", vec!["Bearer good bad"], Bearer::Reviewed("good", known)),
        ("two lines", vec!["Bearer good", "Bearer bad"], Bearer::Reviewed("good", known)),
    ]
}

/// The answer by hand: `None` is 401; the flag says that the token was reviewed.
fn expected(proxy: Says, client: Says, stated: Option<&Identity>, token: Bearer) -> (Option<Identity>, bool) {
    if let (Yes(..), Some(identity)) = (proxy, stated) {
        return (Some(identity.clone()), false);
    }
    if let Yes(user, groups) = client {
        return (Some(identity(user, &[groups, &["system:authenticated"]].concat())), false);
    }
    match token {
        Bearer::Reviewed(_, verdict) if matches!(verdict(), Verdict::Known(_)) => {
            (Some(identity("sa", &["system:serviceaccounts", "system:authenticated"])), true)
        }
        Bearer::Reviewed(..) => (None, true),
        _ if proxy == Error || client == Error => (None, false),
        _ => (Some(identity("system:anonymous", &["system:unauthenticated"])), false),
    }
}

#[test]
fn every_combination_of_peer_headers_and_token_is_decided_as_the_table_says() {
    let (info, policy) = (list_nodes(), Policy::default());
    let (headers, tokens) = (headers(), tokens());
    let (mut rows, mut refused) = (0, 0);
    for (peer_name, chain, proxy, client) in peers() {
        let mut peer = Peer::new(chain);
        for (header_name, lines, stated) in &headers {
            for (token_name, authorization, bearer) in &tokens {
                let row = format!("{peer_name} / {header_name} / {token_name}");
                let lines = lines.iter().map(|(name, value)| (*name, value.as_str()));
                let lines = lines
                    .chain(authorization.iter().map(|value| ("Authorization", *value)))
                    .collect::<Vec<_>>();
                let (expected, is_reviewed) = expected(proxy, client, stated.as_ref(), *bearer);
                let found = with_head(&lines, |head| {
                    let (mut check, mut step) =
                        Check::start(&WORLD.trust, &policy, &mut peer, head, &info, NOW);
                    if let Step::Ask(Question { asked: Asked::Token(Secret(asked)), .. }) = &step {
                        let Bearer::Reviewed(token, verdict) = bearer else {
                            panic!("{row}: asked about a token")
                        };
                        assert!(
                            is_reviewed && asked.as_str() == *token,
                            "{row}: asked about {}",
                            asked.as_str()
                        );
                        step = check.resume(&policy, &info, verdict());
                    } else {
                        assert!(!is_reviewed, "{row}: the token was not asked about");
                    }
                    if let Step::Ask(Question { asked: Asked::Access { .. }, .. }) = step {
                        step = check.resume(&policy, &info, Verdict::Allowed);
                    }
                    step
                });
                match (found, expected) {
                    (Step::Allowed(mut found), Some(expected)) => {
                        if let Yes(..) = client {
                            assert!(
                                found.extra.pop().is_some_and(|(key, _)| key.ends_with("/credential-id")),
                                "{row}"
                            );
                        }
                        assert_eq!(found, expected, "{row}");
                    }
                    (Step::Refused(Denial::Unauthenticated(why)), None) => {
                        assert!(!why.contains("good"), "{row}: {why}");
                        refused += 1;
                    }
                    (Step::Allowed(found), None) => panic!("{row}: let in as {found:?}"),
                    (Step::Refused(denial), _) => panic!("{row}: refused: {denial}"),
                    (Step::Ask(_), _) => panic!("{row}: still asks"),
                }
                rows += 1;
            }
        }
    }
    println!("{rows} rows, {refused} of them refused");
    assert!(rows >= 25 * 13 * 13 && refused > rows / 4);
}

/// Runs one request to its end; reviews get these verdicts in turn.
fn outcome(
    policy: &Policy,
    peer: &mut Peer,
    lines: &[(&str, &str)],
    info: &RequestInfo<'_>,
    verdicts: &[Verdict],
) -> Result<Identity, Denial> {
    with_head(lines, |head| {
        let (mut check, mut step) = Check::start(&WORLD.trust, policy, peer, head, info, NOW);
        let mut verdicts = verdicts.iter();
        loop {
            step = match step {
                Step::Ask(_) => check.resume(policy, info, verdicts.next().expect("one more review").clone()),
                Step::Allowed(identity) => return Ok(identity),
                Step::Refused(denial) => return Err(denial),
            };
        }
    })
}

/// What the outcome is as an HTTP status.
fn status(outcome: Result<Identity, Denial>) -> u16 {
    match outcome {
        Ok(_) => 200,
        Err(Denial::Unauthenticated(_)) => 401,
        Err(Denial::Forbidden(_) | Denial::Impersonation) => 403,
        Err(Denial::ReviewFailed(_)) => 500,
        Err(Denial::Busy) => 429,
    }
}

fn nobody() -> Peer {
    Peer::new(Vec::new())
}

fn denied() -> Verdict {
    Verdict::Denied(String::new())
}

#[test]
fn a_review_that_fails_or_answers_something_else_allows_nothing() {
    let ask =
        |verdict| outcome(&Policy::default(), &mut nobody(), &[], &list_nodes(), &[verdict]).unwrap_err();
    assert_eq!(
        ask(Verdict::Failed("unreachable".to_owned())),
        Denial::ReviewFailed("unreachable".to_owned())
    );
    for verdict in [Verdict::Known(identity("root", &["system:masters"])), Verdict::Unknown(String::new())] {
        assert!(matches!(ask(verdict), Denial::ReviewFailed(_)));
    }
    with_head(&[], |head| {
        let (policy, info) = (Policy::default(), list_nodes());
        let (mut check, _) = Check::start(&WORLD.trust, &policy, &mut nobody(), head, &info, NOW);
        assert!(matches!(check.resume(&policy, &info, denied()), Step::Refused(_)));
        assert!(
            matches!(check.resume(&policy, &info, Verdict::Allowed), Step::Refused(_)),
            "one verdict too many"
        );
    });
}

type Lines<'a> = &'a [(&'a str, &'a str)];

#[test]
fn a_review_that_has_to_wait_is_neither_a_no_nor_a_yes() {
    let policy = Policy::default();
    let ask = |lines, verdicts: &[Verdict]| outcome(&policy, &mut nobody(), lines, &list_nodes(), verdicts);
    assert_eq!(ask(&[("Authorization", "Bearer good")], &[Verdict::Busy]), Err(Denial::Busy));
    assert_eq!(ask(&[], &[Verdict::Busy]), Err(Denial::Busy));
    let known = Verdict::Known(identity("sa", &[]));
    assert_eq!(ask(&[("Authorization", "Bearer good")], &[known, Verdict::Busy]), Err(Denial::Busy));
}

#[test]
fn only_an_anonymous_caller_s_question_is_unauthenticated() {
    // Names that look like a member of the review.
    for user in ["x\",\"user\":\"system:anonymous", "system:anonymous2", "system:Anonymous"] {
        with_head(&[("X-Remote-User", user)], |head| {
            let (_, step) =
                Check::start(&WORLD.trust, &Policy::default(), &mut proxy_peer(), head, &list_nodes(), NOW);
            assert!(matches!(step, Step::Ask(Question { is_unauthenticated: false, .. })), "{user}");
        });
    }
    with_head(&[], |head| {
        let (_, step) =
            Check::start(&WORLD.trust, &Policy::default(), &mut nobody(), head, &list_nodes(), NOW);
        assert!(matches!(step, Step::Ask(Question { is_unauthenticated: true, .. })));
    });
}

#[test]
fn impersonation_is_refused_before_any_review_for_every_caller() {
    let policy = Policy { always_allow_paths: vec!["/readyz".to_owned()], mode: Mode::Delegated };
    let masters = [("X-Remote-User", "root"), ("X-Remote-Group", "system:masters")];
    let admin = Peer::new(vec![WORLD.clients.issue(&Wish {
        name: "root",
        organizations: &["system:masters"],
        ..Wish::default()
    })]);
    let unknown = Peer::new(vec![WORLD.foreign.issue(&Wish { name: "bob", ..Wish::default() })]);
    let callers: [(&str, Peer, Lines<'_>); 6] = [
        ("anonymous", nobody(), &[]),
        ("a token", nobody(), &[("Authorization", "Bearer good")]),
        ("a reader", proxy_peer(), &[("X-Remote-User", "alice")]),
        ("masters through the front proxy", proxy_peer(), &masters),
        ("masters by certificate", admin, &[]),
        ("an invalid certificate", unknown, &[]),
    ];
    let headers = [
        "Impersonate-User",
        "impersonate-user",
        "IMPERSONATE-UID",
        "Impersonate-Group",
        "Impersonate-Extra-Scopes",
        "Impersonate-",
        "Impersonate-Whatever",
    ];
    for (caller, mut peer, lines) in callers {
        for header in headers {
            for value in ["root", "", "system:anonymous"] {
                for info in [list_nodes(), get_path("/readyz"), get_path("/metrics")] {
                    for lines in [[lines, &[(header, value)]].concat(), [&[(header, value)], lines].concat()]
                    {
                        let denial = outcome(&policy, &mut peer, &lines, &info, &[]);
                        assert_eq!(denial, Err(Denial::Impersonation), "{caller}: {header}: {value}");
                    }
                }
            }
        }
    }
    // Headers that only look like it are no concern of ours.
    for header in ["X-Impersonate-User", "Impersonate", "Impersonate_User", "Impersonated-User"] {
        let lines = [&masters[..], &[(header, "bob")]].concat();
        assert!(outcome(&policy, &mut proxy_peer(), &lines, &list_nodes(), &[]).is_ok(), "{header}");
    }
}

#[test]
fn health_paths_need_no_review_and_good_credentials_or_none() {
    let policy = Policy { always_allow_paths: vec!["/readyz".to_owned()], mode: Mode::Delegated };
    let readyz = get_path("/readyz");
    let mut unknown = Peer::new(vec![WORLD.foreign.issue(&Wish { name: "bob", ..Wish::default() })]);
    assert_eq!(status(outcome(&policy, &mut unknown, &[], &readyz, &[])), 401);
    assert_eq!(status(outcome(&policy, &mut proxy_peer(), &[], &readyz, &[])), 401);
    let bad = outcome(
        &policy,
        &mut nobody(),
        &[("Authorization", "Bearer bad")],
        &readyz,
        &[Verdict::Unknown(String::new())],
    );
    assert_eq!(status(bad), 401);
    assert!(outcome(&policy, &mut nobody(), &[], &readyz, &[]).is_ok());
    assert!(
        outcome(
            &policy,
            &mut unknown,
            &[("Authorization", "Bearer good")],
            &readyz,
            &[Verdict::Known(identity("sa", &[]))]
        )
        .is_ok()
    );
}

#[test]
fn without_a_cluster_nothing_is_reviewed() {
    let mode = |mode| Policy { always_allow_paths: vec!["/readyz".to_owned()], mode };
    let (loopback, certificates) = (mode(Mode::HostAnonymous), mode(Mode::HostClientCertificate));
    let token = [("Authorization", "Bearer good")];
    let post = RequestInfo { verb: Cow::Borrowed("create"), ..list_nodes() };
    let mut client = Peer::new(vec![WORLD.clients.issue(&Wish { name: "bob", ..Wish::default() })]);
    let mut unknown = Peer::new(vec![WORLD.foreign.issue(&Wish { name: "bob", ..Wish::default() })]);
    for policy in [&loopback, &certificates] {
        assert_eq!(status(outcome(policy, &mut unknown, &token, &list_nodes(), &[])), 401);
        assert_eq!(status(outcome(policy, &mut client, &[], &post, &[])), 403);
        assert_eq!(
            status(outcome(policy, &mut client, &[("Impersonate-User", "root")], &list_nodes(), &[])),
            403
        );
        assert_eq!(status(outcome(policy, &mut client, &[], &list_nodes(), &[])), 200);
        assert_eq!(status(outcome(policy, &mut nobody(), &[], &get_path("/readyz"), &[])), 200);
    }
    assert_eq!(status(outcome(&certificates, &mut nobody(), &token, &list_nodes(), &[])), 401);
    assert_eq!(status(outcome(&certificates, &mut nobody(), &[], &get_path("/metrics"), &[])), 401);
    assert_eq!(status(outcome(&loopback, &mut nobody(), &[], &post, &[])), 403);
    assert_eq!(status(outcome(&loopback, &mut nobody(), &token, &list_nodes(), &[])), 200);
}

/// A request on the local socket, as it comes: method, path, headers.
fn on_the_local_socket(method: &str, path: &str, lines: &[(&str, &str)], mode: Mode) -> Step {
    let headers: Vec<_> = lines
        .iter()
        .map(|(name, value)| crate::wire::request::Header { name, value: value.as_bytes() })
        .collect();
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let head = Head { method, path, query, headers: &headers };
    let policy = Policy { mode, always_allow_paths: Vec::new() };
    Check::start(&WORLD.trust, &policy, &mut Peer::local(), &head, &RequestInfo::new(&head), NOW).1
}

const EVERY_MODE: [Mode; 3] = [Mode::Delegated, Mode::HostAnonymous, Mode::HostClientCertificate];

#[test]
fn the_local_socket_refuses_all_but_reading_usage() {
    const NODES: &str = "/apis/metrics.k8s.io/v1beta1/nodes";
    let refused = [
        ("POST", NODES),
        ("PUT", NODES),
        ("DELETE", NODES),
        ("PATCH", "/apis/metrics.k8s.io/v1/nodes/a"),
        ("OPTIONS", NODES),
        ("HEAD", "/readyz"),
        ("GET", "/apis/metrics.k8s.io/v1beta1/nodes?watch=true"),
        ("GET", "/apis/metrics.k8s.io/v1beta1/nodes/a/proxy"),
        ("GET", "/apis/metrics.k8s.io/v1beta1/namespaces/x/pods/y/log"),
        ("GET", "/apis/metrics.k8s.io/v1beta1/secrets"),
        ("GET", "/apis/apps/v1/deployments"),
        ("GET", "/apis/metrics.k8s.io.example/v1/nodes"),
        ("GET", "/api/v1/nodes"),
        ("GET", "/api/v1/namespaces/x/secrets"),
        ("GET", "/"),
        ("GET", "/metrics"),
        ("GET", "/metrics/usage"),
        ("GET", "/openapi/v2"),
        ("GET", "/readyzz"),
        ("GET", "/statusz"),
        ("GET", "//readyz"),
        ("POST", "/readyz"),
        ("POST", "/status"),
        ("DELETE", "/version"),
    ];
    for (method, path) in refused {
        for mode in EVERY_MODE {
            let step = on_the_local_socket(method, path, &[], mode);
            let Step::Refused(Denial::Forbidden(denial)) = step else {
                panic!("{method} {path} is not refused")
            };
            assert_eq!(denial.user, "local socket", "{method} {path}");
        }
    }
}

#[test]
fn headers_and_tokens_say_nothing_on_the_local_socket() {
    let claims = [
        ("X-Remote-User", "root"),
        ("X-Remote-Group", "system:masters"),
        ("Authorization", "Bearer secret"),
        ("X-Remote-Extra-Scopes", "all"),
    ];
    for mode in EVERY_MODE {
        assert!(matches!(
            on_the_local_socket("GET", "/metrics", &claims, mode),
            Step::Refused(Denial::Forbidden(_))
        ));
        let path = "/apis/metrics.k8s.io/v1beta1/pods";
        let Step::Allowed(identity) = on_the_local_socket("GET", path, &claims, mode) else {
            panic!("a token was reviewed or refused")
        };
        assert_eq!(identity, super::super::testing::identity("local socket", &[]));
        assert!(matches!(
            on_the_local_socket("GET", path, &[("Impersonate-User", "root")], mode),
            Step::Refused(Denial::Impersonation)
        ));
    }
}

#[test]
fn usage_is_read_on_the_local_socket() {
    for path in [
        "/allocatable",
        "/apis",
        "/apis/metrics.k8s.io",
        "/apis/metrics.k8s.io/v1",
        "/apis/metrics.k8s.io/v1beta1/",
        "/apis/metrics.k8s.io/v1beta1/nodes",
        "/apis/metrics.k8s.io/v1/nodes/a",
        "/apis/metrics.k8s.io/v1beta1/pods?labelSelector=a%3Db",
        "/apis/metrics.k8s.io/v1beta1/namespaces/x/pods",
        "/apis/metrics.k8s.io/v1/namespaces/x/pods/y",
        "/readyz",
        "/readyz/nodes",
        "/readyz?verbose",
        "/livez",
        "/healthz",
        "/version",
        "/status",
        "/status.json",
    ] {
        for mode in EVERY_MODE {
            assert!(matches!(on_the_local_socket("GET", path, &[], mode), Step::Allowed(_)), "{path}");
        }
    }
}
