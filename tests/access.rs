//! Who may ask, over real TLS: certificates, the front proxy, tokens, reviews and their caches.

use crate::support::certs::Authority;
use crate::support::client::Client;
use crate::support::lab::{Lab, NODES};
use crate::support::toplet::Toplet;
use crate::support::{PATIENCE, eventually};

const DISCOVERY: &str = "/apis/metrics.k8s.io/v1beta1";

/// A cluster without nodes, and toplet that has read whom to trust.
fn cluster() -> (Lab, Toplet) {
    let lab = Lab::new();
    lab.api.world().allowed = vec!["alice".into(), "system:kube-aggregator".into()];
    let toplet = lab.start(&[]);
    eventually("the ConfigMap is read", PATIENCE, || {
        (lab.admin(&toplet).get(NODES).ok()?.status == 200).then_some(())
    });
    lab.api.world().reviews.clear();
    (lab, toplet)
}

fn status(client: &Client, path: &str) -> u16 {
    client.get(path).unwrap().status
}

fn reviews(lab: &Lab, kind: &str) -> usize {
    lab.api.world().reviews.iter().filter(|body| body.contains(&format!("\"kind\":\"{kind}\""))).count()
}

#[test]
fn k35_health_needs_no_review_and_its_parts_do() {
    let (lab, toplet) = cluster();
    let nobody = toplet.client();
    for path in ["/livez", "/healthz", "/readyz"] {
        assert_ne!(status(&nobody, path), 403, "{path}");
    }
    assert_eq!(reviews(&lab, "SubjectAccessReview"), 0);
    assert_eq!(status(&nobody, "/metrics"), 403);
    assert_eq!(status(&nobody, "/livez/ping"), 403);
    assert_eq!(reviews(&lab, "SubjectAccessReview"), 2);
    assert!(lab.api.world().reviews[0].contains("\"system:anonymous\""), "{}", lab.api.world().reviews[0]);
}

#[test]
fn k36_the_same_token_and_the_same_question_are_asked_once() {
    let (lab, toplet) = cluster();
    lab.api.world().tokens.push(("good".into(), "bob".into(), vec!["dev".into()]));
    let bob = toplet.client().header("Authorization", "Bearer good");
    for _ in 0..20 {
        assert_eq!(status(&bob, NODES), 403);
    }
    assert_eq!((reviews(&lab, "TokenReview"), reviews(&lab, "SubjectAccessReview")), (1, 1));
    let body = bob.get(NODES).unwrap().text();
    assert!(body.contains("User \\\"bob\\\" cannot list resource \\\"nodes\\\""), "{body}");
}

#[test]
fn a_bad_token_is_unauthorized_and_a_good_one_gets_its_user() {
    let (lab, toplet) = cluster();
    lab.api.world().tokens.push(("good".into(), "alice".into(), Vec::new()));
    assert_eq!(status(&toplet.client().header("Authorization", "Bearer bad"), NODES), 401);
    assert_eq!(status(&toplet.client().header("Authorization", "Bearer good"), NODES), 200);
    assert_eq!(status(&toplet.client().header("Authorization", "Bearer bad"), "/readyz"), 401);
}

#[test]
fn the_front_proxy_names_the_user() {
    let (lab, toplet) = cluster();
    assert_eq!(status(&lab.proxy(&toplet, "alice"), NODES), 200);
    assert_eq!(status(&lab.proxy(&toplet, "bob"), NODES), 403);
    let masters = lab.proxy(&toplet, "root").header("X-Remote-Group", "system:masters");
    lab.api.world().reviews.clear();
    assert_eq!(status(&masters, NODES), 200);
    assert_eq!(reviews(&lab, "SubjectAccessReview"), 0);
}

#[test]
fn k29_the_aggregator_without_groups_is_somebody() {
    let (lab, toplet) = cluster();
    assert_eq!(status(&lab.proxy(&toplet, "system:kube-aggregator"), DISCOVERY), 200);
    let review = lab.api.world().reviews.last().unwrap().clone();
    assert!(review.contains("\"groups\":[\"system:authenticated\"]"), "{review}");
}

#[test]
fn k32_k33_a_foreign_proxy_and_a_wrong_name_are_unauthorized() {
    let (lab, toplet) = cluster();
    let foreign = Authority::new("foreign").client("front-proxy-client", &[]);
    let wrong = lab.proxies.client("somebody-else", &[]);
    let user = lab.users.client("front-proxy-client", &[]);
    for (leaf, expected) in [(&foreign, 401), (&wrong, 401), (&user, 403)] {
        let client = Client::with_cert(toplet.port, leaf).header("X-Remote-User", "alice");
        assert_eq!(status(&client, NODES), expected);
    }
}

#[test]
fn k34_identity_headers_without_the_certificate_are_ignored() {
    let (lab, toplet) = cluster();
    let forged = toplet.client().header("X-Remote-User", "alice").header("X-Remote-Group", "system:masters");
    assert_eq!(status(&forged, NODES), 403);
    let bob = Client::with_cert(toplet.port, &lab.users.client("bob", &[])).header("X-Remote-User", "alice");
    let body = bob.get(NODES).unwrap().text();
    assert!(body.contains("User \\\"bob\\\""), "{body}");
}

#[test]
fn a_user_of_the_proxies_authority_is_nobody_by_certificate() {
    let (lab, toplet) = cluster();
    let client =
        Client::with_cert(toplet.port, &lab.proxies.client("front-proxy-client", &["system:masters"]));
    assert_eq!(status(&client, NODES), 401, "the two pools must not mix");
}

#[test]
fn k42_an_authority_that_rotates_is_in_force_without_a_restart() {
    let (lab, toplet) = cluster();
    let next = Authority::new("proxies-2");
    let client = |authority: &Authority| {
        Client::with_cert(toplet.port, &authority.client("front-proxy-client", &[]))
            .header("X-Remote-User", "alice")
    };
    assert_eq!(status(&client(&next), NODES), 401);
    lab.trust(&lab.users.pem, &next.pem);
    eventually("the new authority is believed", PATIENCE * 3, || {
        (status(&client(&next), NODES) == 200).then_some(())
    });
    assert_eq!(status(&client(&lab.proxies), NODES), 401, "the old authority is not");
}

#[test]
fn an_unreachable_api_server_gives_an_error_and_no_access() {
    let (mut lab, toplet) = cluster();
    lab.api.front.cut();
    assert_eq!(status(&lab.proxy(&toplet, "zoe"), NODES), 500);
    assert_eq!(status(&lab.admin(&toplet), NODES), 200, "system:masters needs no review");
}

#[test]
fn impersonation_is_refused_for_every_caller() {
    let (lab, toplet) = cluster();
    lab.api.world().tokens.push(("good".into(), "alice".into(), Vec::new()));
    lab.api.world().reviews.clear();
    let masters = || lab.proxy(&toplet, "root").header("X-Remote-Group", "system:masters");
    for (caller, client) in [
        ("anonymous", toplet.client()),
        ("a token", toplet.client().header("Authorization", "Bearer good")),
        ("a reader", lab.proxy(&toplet, "alice")),
        ("masters through the front proxy", masters()),
        ("masters by certificate", lab.admin(&toplet)),
    ] {
        for header in ["Impersonate-User", "impersonate-user", "IMPERSONATE-GROUP", "Impersonate-Extra-x"] {
            for path in [NODES, "/readyz", "/metrics", DISCOVERY] {
                let client = client.clone().header(header, "zoe");
                let answer = client.get(path).unwrap();
                assert_eq!(answer.status, 403, "{caller}: {header}: {path}");
                let body = answer.text();
                assert!(body.contains("impersonation is not supported here"), "{body}");
            }
        }
    }
    assert_eq!(lab.api.world().reviews.len(), 0, "refused before any review");
    assert_eq!(status(&masters(), NODES), 200);
}

#[test]
fn no_token_or_key_is_logged_and_no_name_forges_a_line() {
    let lab = Lab::new();
    lab.api.world().tokens.push(("known-s3cret".into(), "alice".into(), Vec::new()));
    let kubeconfig = lab.api.kubeconfig(lab.folder.path(), "{token: own-s3cret}");
    let kubeconfig = format!("--kubeconfig={}", kubeconfig.display());
    let toplet = Toplet::start(&lab.folder, &[&kubeconfig, "-v=10"]);
    eventually("the ConfigMap is read", PATIENCE, || {
        (status(&lab.admin(&toplet), NODES) == 200).then_some(())
    });
    for (token, expected) in [("known-s3cret", 403), ("unknown-s3cret", 401)] {
        let client = toplet.client().header("Authorization", &format!("Bearer {token}"));
        assert_eq!(status(&client, "/x?token=asked-for"), expected);
    }
    let forged = "mallory\nI1127 00:00:00.000000 1 forged.rs:1] all is well\u{1b}[2J\u{9b}31m";
    let mallory = Client::with_cert(toplet.port, &lab.users.client(forged, &[]));
    assert_eq!(status(&mallory, "/x\u{9b}31m"), 403);
    eventually("the name is logged", PATIENCE, || (toplet.logged("forged.rs") > 0).then_some(()));
    let key = std::fs::read_to_string(lab.folder.path().join("cert/apiserver.key")).unwrap();
    let key = key.lines().nth(1).unwrap();
    for line in toplet.log() {
        assert!(!line.contains("s3cret") && !line.contains("asked-for") && !line.contains(key), "{line}");
        assert!(!line.contains(char::is_control), "{line:?}");
        assert!(!line.contains("forged.rs") || line.contains("mallory\\n"), "{line}");
    }
}
