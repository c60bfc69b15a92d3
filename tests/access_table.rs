//! The decision table over real TLS: every peer, with every set of headers and every token, asks the real binary, and
//! the identity that reaches the API server's review is compared with what the table says by hand.

use crate::support::certs::{Authority, Leaf};
use crate::support::client::{Answer, Client, Connection};
use crate::support::lab::{Lab, NODES};
use crate::support::{PATIENCE, eventually};
use rcgen::{CustomExtension, ExtendedKeyUsagePurpose, date_time_ymd};

/// What one pool makes of a peer.
#[derive(Clone, Copy, PartialEq)]
enum Says {
    Nothing,
    Error,
    /// The front proxy; as a client: somebody of this name, in the group `dev` unless there is none.
    Yes(&'static str, &'static [&'static str]),
}
use Says::{Error, Nothing, Yes};

type PeerRow = (&'static str, Option<Leaf>, Says, Says);

fn golden(name: &str) -> String {
    std::fs::read_to_string(format!("{}/tests/golden/certificates/{name}", env!("CARGO_MANIFEST_DIR")))
        .unwrap()
}

/// Peer, what it shows, what the front proxy's pool says, what the clients' pool says.
fn peers(proxies: &Authority, clients: &Authority) -> Vec<PeerRow> {
    let foreign = Authority::new("foreign");
    // The same name as the clients' authority, another key.
    let impostors = Authority::new("users");
    let sub = clients.below("sub-ca");
    let proxy = "front-proxy-client";
    let expired = |params: &mut rcgen::CertificateParams| params.not_after = date_time_ymd(2024, 1, 1);
    let future = |params: &mut rcgen::CertificateParams| params.not_before = date_time_ymd(2200, 1, 1);
    let server = |params: &mut rcgen::CertificateParams| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    };
    let none = |_: &mut rcgen::CertificateParams| {};
    let critical = |params: &mut rcgen::CertificateParams| {
        let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4, 5], vec![5, 0]);
        extension.set_criticality(true);
        params.custom_extensions.push(extension);
    };
    let odd = |name: &str| Leaf { cert_pem: golden(name), key_pem: golden("odd.key") };
    let bob = Yes("bob", &["dev"]);
    let nobody: Vec<PeerRow> = vec![
        ("front proxy, wrong name", Some(proxies.odd_client("other", none)), Error, Error),
        ("front proxy, no name", Some(proxies.odd_client("", none)), Error, Error),
        ("front proxy, expired", Some(proxies.odd_client(proxy, expired)), Error, Error),
        ("front proxy, not yet valid", Some(proxies.odd_client(proxy, future)), Error, Error),
        ("front proxy, for servers", Some(proxies.odd_client(proxy, server)), Error, Error),
        ("front proxy, critical extension", Some(proxies.odd_client(proxy, critical)), Error, Error),
        ("front proxy's CA as a leaf", Some(proxies.itself()), Error, Error),
        ("unknown issuer, with the front proxy's name", Some(foreign.odd_client(proxy, none)), Error, Error),
        ("unknown issuer", Some(foreign.odd_client("bob", none)), Error, Error),
        (
            "unknown issuer, CA of the client CA's name sent",
            Some(impostors.odd_client("bob", none).with(&impostors.pem)),
            Error,
            Error,
        ),
        ("client, expired", Some(clients.odd_client("bob", expired)), Error, Error),
        ("client, not yet valid", Some(clients.odd_client("bob", future)), Error, Error),
        ("client, for servers", Some(clients.odd_client("bob", server)), Error, Error),
        ("client, critical extension", Some(clients.odd_client("bob", critical)), Error, Error),
        ("client, critical extension, another issuer", Some(odd("odd-critical.pem")), Error, Error),
        ("client, intermediate not sent", Some(sub.odd_client("bob", none)), Error, Error),
        ("client, version 1", Some(odd("odd-v1.pem")), Error, Error),
        ("client CA as a leaf", Some(clients.itself()), Error, Error),
        ("CA issued by the client CA as a leaf", Some(sub.itself()), Error, Error),
    ];
    let known: Vec<PeerRow> = vec![
        ("none", None, Nothing, Nothing),
        ("client without a name", Some(clients.odd_client("", none)), Error, Nothing),
        ("front proxy", Some(proxies.odd_client(proxy, none)), Yes(proxy, &[]), Error),
        ("client", Some(clients.odd_client("bob", none)), Error, bob),
        (
            "client, no usage stated",
            Some(clients.odd_client("bob", |params| params.extended_key_usages.clear())),
            Error,
            bob,
        ),
        (
            "client with the front proxy's name",
            Some(clients.odd_client(proxy, none)),
            Error,
            Yes(proxy, &["dev"]),
        ),
        ("client, intermediate sent", Some(sub.odd_client("bob", none).with(&sub.pem)), Error, bob),
    ];
    nobody.into_iter().chain(known).collect()
}

/// Header lines, and who the front proxy says is asking: the end of a review's `spec`.
type HeaderRow = (&'static str, Vec<(&'static str, String)>, Option<Somebody>);

/// An identity as a review states it.
#[derive(Clone, Default)]
struct Somebody {
    user: String,
    groups: Vec<String>,
    extra: String,
    uid: String,
}

impl Somebody {
    fn new(user: &str, groups: &[&str]) -> Somebody {
        let groups = groups.iter().map(ToString::to_string).collect();
        Somebody { user: user.into(), groups, ..Somebody::default() }
    }

    /// The end of the `spec`.
    fn spec_end(&self) -> String {
        let quoted: Vec<String> = self.groups.iter().map(|group| format!("\"{group}\"")).collect();
        let extra = if self.extra.is_empty() { "{}" } else { &self.extra };
        format!(
            ",\"user\":\"{}\",\"groups\":[{}],\"extra\":{extra},\"uid\":\"{}\"}}}}",
            self.user,
            quoted.join(","),
            self.uid
        )
    }
}

const ALL: &str = "system:authenticated";

fn headers() -> Vec<HeaderRow> {
    let lines = |lines: &[(&'static str, &str)]| {
        lines.iter().map(|&(name, value)| (name, value.to_owned())).collect::<Vec<_>>()
    };
    let alice = |groups: &[&str]| Somebody::new("alice", &[groups, &[ALL]].concat());
    let many: Vec<String> = (0..300).map(|nth| format!("group-{nth}")).collect();
    let many_lines = many.iter().map(|group| ("X-Remote-Group", group.clone()));
    let many_names: Vec<&str> = many.iter().map(String::as_str).collect();
    let user = ("X-Remote-User", "alice");
    vec![
        ("none", lines(&[]), None),
        ("empty user", lines(&[("X-Remote-User", "")]), None),
        ("groups without a user", lines(&[("X-Remote-Group", "system:masters")]), None),
        ("user", lines(&[user]), Some(alice(&[]))),
        ("two users", lines(&[user, ("X-Remote-User", "root")]), Some(alice(&[]))),
        (
            "user and groups",
            lines(&[user, ("X-Remote-Group", "a"), ("X-Remote-Group", "b, c")]),
            Some(alice(&["a", "b, c"])),
        ),
        ("odd case", lines(&[("x-REMOTE-user", "alice"), ("X-remote-GROUP", "Dev")]), Some(alice(&["Dev"]))),
        ("another user", lines(&[("X-Remote-User", "zoe")]), Some(Somebody::new("zoe", &[ALL]))),
        (
            "masters",
            lines(&[("X-Remote-User", "root"), ("X-Remote-Group", "system:masters")]),
            Some(Somebody::new("root", &["system:masters", ALL])),
        ),
        (
            "extra",
            lines(&[
                user,
                ("X-Remote-Extra-Scopes", "b"),
                ("x-remote-extra-Acme.io%2fKey", "x"),
                ("X-Remote-Extra-scopes", "a"),
            ]),
            Some(Somebody {
                extra: "{\"acme.io/key\":[\"x\"],\"scopes\":[\"b\",\"a\"]}".into(),
                ..alice(&[])
            }),
        ),
        (
            "uid",
            lines(&[user, ("X-Remote-Uid", "u-1"), ("X-Remote-Uid", "u-2")]),
            Some(Somebody { uid: "u-1".into(), ..alice(&[]) }),
        ),
        (
            "hundreds of groups",
            lines(&[user]).into_iter().chain(many_lines).collect(),
            Some(alice(&many_names)),
        ),
    ]
}

/// What a token leads to.
#[derive(Clone, Copy, PartialEq)]
enum Bearer {
    Absent,
    Known,
    Unknown,
}

const TOKENS: [(&str, Option<&str>, Bearer); 7] = [
    ("none", None, Bearer::Absent),
    ("empty", Some("Bearer "), Bearer::Absent),
    ("basic", Some("Basic Z29vZDpnb29k"), Bearer::Absent),
    ("good", Some("Bearer s3same"), Bearer::Known),
    ("odd case", Some("bEARER s3same"), Bearer::Known),
    ("bad", Some("Bearer wr0ng"), Bearer::Unknown),
    ("review down", Some("Bearer cl0sed"), Bearer::Unknown),
];

/// Who is asking; `None` is 401.
fn expected(row: &PeerRow, stated: Option<&Somebody>, bearer: Bearer) -> Option<Somebody> {
    let (_, leaf, proxy, client) = row;
    if let (Yes(..), Some(somebody)) = (proxy, stated) {
        return Some(somebody.clone());
    }
    if let (Yes(user, groups), Some(leaf)) = (client, leaf) {
        let digest = ring::digest::digest(&ring::digest::SHA256, &leaf.chain()[0]);
        let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let extra = format!("{{\"authentication.kubernetes.io/credential-id\":[\"X509SHA256={hex}\"]}}");
        return Some(Somebody { extra, ..Somebody::new(user, &[groups, &[ALL][..]].concat()) });
    }
    match bearer {
        Bearer::Known => Some(Somebody::new("robot", &["robots", ALL])),
        Bearer::Unknown => None,
        Bearer::Absent if *proxy == Error || *client == Error => None,
        Bearer::Absent => Some(Somebody::new("system:anonymous", &["system:unauthenticated"])),
    }
}

/// One request on a kept connection.
fn ask(client: &Client, kept: &mut Option<Connection>, path: &str, lines: &[(&str, &str)]) -> Answer {
    let mut connection = kept.take().unwrap_or_else(|| client.connect().unwrap());
    connection.send(&client.head("GET", path, lines)).unwrap();
    let answer = connection.read_answer("GET").unwrap();
    *kept = Some(connection);
    answer
}

/// Compares one answer, and the review it took, with what was expected.
fn check_row(row: &str, namespace: &str, answer: &Answer, reviews: &[String], expected: Option<&Somebody>) {
    let asked: Vec<&String> =
        reviews.iter().filter(|body| body.contains("\"kind\":\"SubjectAccessReview\"")).collect();
    let text = answer.text();
    let Some(somebody) = expected else {
        assert_eq!(answer.status, 401, "{row}: {text}");
        assert!(text.contains("\"reason\":\"Unauthorized\""), "{row}: {text}");
        assert!(asked.is_empty(), "{row}: nobody is asked about: {asked:?}");
        return;
    };
    if somebody.groups.iter().any(|group| group == "system:masters") {
        assert_eq!((answer.status, asked.len()), (200, 0), "{row}: {text}");
        return;
    }
    assert_eq!(asked.len(), 1, "{row}: {text}");
    let attributes = format!(
        "{{\"kind\":\"SubjectAccessReview\",\"apiVersion\":\"authorization.k8s.io/v1\",\"spec\":{{\"resourceAttributes\":\
         {{\"namespace\":\"{namespace}\",\"verb\":\"list\",\"group\":\"metrics.k8s.io\",\"version\":\"v1beta1\",\
         \"resource\":\"pods\",\"subresource\":\"\",\"name\":\"\",\"fieldSelector\":null,\"labelSelector\":null}},\
         \"nonResourceAttributes\":null{}",
        somebody.spec_end()
    );
    assert_eq!(*asked[0], attributes, "{row}");
    if somebody.user == "alice" {
        assert_eq!(answer.status, 200, "{row}: {text}");
    } else {
        assert_eq!(answer.status, 403, "{row}: {text}");
        let wanted = format!(
            "User \\\"{}\\\" cannot list resource \\\"pods\\\" in API group \\\"metrics.k8s.io\\\" in the namespace \\\"{namespace}\\\"",
            somebody.user
        );
        assert!(text.contains(&wanted), "{row}: {text}");
    }
}

#[test]
fn every_peer_with_all_headers_and_tokens_is_decided_as_the_table_says() {
    let lab = Lab::new();
    {
        let mut world = lab.api.world();
        world.allowed = vec!["alice".into()];
        world.tokens = vec![("s3same".into(), "robot".into(), vec!["robots".into()])];
        world.failing_tokens = vec!["cl0sed".into()];
    }
    lab.trust(&(lab.users.pem.clone() + &golden("odd-ca.pem")), &lab.proxies.pem);
    let toplet = lab.start(&["--v=6"]);
    eventually("the ConfigMap is read", PATIENCE, || {
        (lab.admin(&toplet).get(NODES).ok()?.status == 200).then_some(())
    });
    let (headers, mut rows, mut refused) = (headers(), 0, 0);
    for peer in peers(&lab.proxies, &lab.users) {
        let client = match &peer.1 {
            Some(leaf) => Client::with_cert(toplet.port, leaf),
            None => toplet.client(),
        };
        let mut kept = None;
        for (header_name, lines, stated) in &headers {
            for (token_name, authorization, bearer) in TOKENS {
                let row = format!("{} / {header_name} / {token_name}", peer.0);
                let mut lines: Vec<(&str, &str)> =
                    lines.iter().map(|(name, value)| (*name, value.as_str())).collect();
                lines.extend(authorization.map(|value| ("Authorization", value)));
                // A namespace of its own, so that no verdict is remembered from another row.
                let namespace = format!("row-{rows}");
                let path = format!("/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods");
                lab.api.world().reviews.clear();
                let answer = ask(&client, &mut kept, &path, &lines);
                let expected = expected(&peer, stated.as_ref(), bearer);
                check_row(&row, &namespace, &answer, &lab.api.world().reviews, expected.as_ref());
                refused += usize::from(expected.is_none());
                rows += 1;
            }
        }
    }
    println!("decision table over TLS: {rows} rows, {refused} of them 401");
    assert!(rows >= 25 * 12 * 7 && refused > rows / 4);
    let log = toplet.log().join("\n");
    assert!(log.contains("common name \"other\" is not one of the allowed names"), "the log says why");
    for secret in ["s3same", "wr0ng", "cl0sed", "Bearer"] {
        assert!(!log.contains(secret), "the log shows {secret}");
    }
}
