//! Requests through access and the API, with a reviewer of the tests' own on another thread.

use super::*;
use crate::access::denial::Forbidden;
use crate::access::{Identity, Mode};
use crate::serve::tests::app;
use crate::store::{Capacity, PodRecord};
use crate::units::Window;
use crate::wire::request::Header;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A reviewer that gives the same verdict on every question of a kind, and counts what it is asked.
fn reviewing(token: Verdict, access: Verdict) -> (RequestHandler, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let asked = count.clone();
    let ask: Arc<Ask> = Arc::new(move |question: Question, reply: crate::access::review::Reply| {
        asked.fetch_add(1, Ordering::Relaxed);
        let verdict = match question.asked {
            Asked::Token(_) => token.clone(),
            Asked::Access { .. } => access.clone(),
        };
        std::thread::spawn(move || reply(verdict));
        true
    });
    let ttl = Duration::from_secs(10);
    let lifetimes = Lifetimes { token: ttl, allowed: ttl, denied: ttl };
    (RequestHandler::new(App { ask: Some(ask), lifetimes, ..app() }), count)
}

const GROUP: &str = "/apis/metrics.k8s.io";

fn head<'a>(query: Option<&'a str>, headers: &'a [Header<'a>]) -> Head<'a> {
    Head { method: "GET", path: GROUP, query, headers }
}

fn status(exchange: &RequestHandler, head: &Head<'_>) -> u16 {
    let mut peer = Peer::new(Vec::new());
    smol::block_on(async {
        let answer = async { Some(exchange.answer(head, &mut peer).await) };
        let deliver = async {
            exchange.deliver().await;
            None
        };
        answer.or(deliver).await.unwrap().0.status
    })
}

fn denied() -> Verdict {
    Verdict::Denied(String::new())
}

#[test]
fn an_anonymous_request_is_reviewed_once_and_remembered() {
    let (exchange, count) = reviewing(denied(), denied());
    assert_eq!(status(&exchange, &head(None, &[])), 403);
    assert_eq!(status(&exchange, &head(None, &[])), 403);
    assert_eq!(count.load(Ordering::Relaxed), 1);
}

#[test]
fn a_token_is_reviewed_and_then_its_user() {
    let alice = Identity { user: "alice".into(), ..Identity::default() };
    let bearer = [Header { name: "Authorization", value: b"Bearer good" }];
    let (exchange, count) = reviewing(Verdict::Known(alice), Verdict::Allowed);
    assert_eq!(status(&exchange, &head(None, &bearer)), 200);
    assert_eq!(count.load(Ordering::Relaxed), 2);
    let (exchange, count) = reviewing(Verdict::Unknown("no".into()), Verdict::Allowed);
    assert_eq!(status(&exchange, &head(None, &bearer)), 401);
    assert_eq!(count.load(Ordering::Relaxed), 1, "nobody is authorized who is not known");
}

#[test]
fn requests_at_the_same_time_share_a_review() {
    let (exchange, count) = reviewing(denied(), denied());
    let (mut one, mut two) = (Peer::new(Vec::new()), Peer::new(Vec::new()));
    let (first, second) = (head(None, &[]), head(None, &[]));
    let statuses = smol::block_on(async {
        let both = async {
            let (a, b) =
                smol::future::zip(exchange.answer(&first, &mut one), exchange.answer(&second, &mut two))
                    .await;
            Some((a.0.status, b.0.status))
        };
        let deliver = async {
            exchange.deliver().await;
            None
        };
        both.or(deliver).await
    });
    assert_eq!(statuses, Some((403, 403)));
    assert_eq!(count.load(Ordering::Relaxed), 1);
}

#[test]
fn a_review_that_never_comes_is_a_504_in_the_request_s_time() {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keeper = kept.clone();
    let ask: Arc<Ask> = Arc::new(move |_, reply| {
        keeper.lock().unwrap().push(reply);
        true
    });
    let exchange = RequestHandler::new(App { ask: Some(ask), ..app() });
    assert_eq!(status(&exchange, &head(Some("timeout=30ms"), &[])), 504);
    assert_eq!(kept.lock().unwrap().len(), 1);
}

#[test]
fn a_review_that_has_to_wait_is_a_429_and_one_without_a_cluster_a_500() {
    let full = RequestHandler::new(App { ask: Some(Arc::new(|_, _| false)), ..app() });
    assert_eq!(status(&full, &head(None, &[])), 429);
    let bearer = [Header { name: "Authorization", value: b"Bearer good" }];
    assert_eq!(status(&full, &head(None, &bearer)), 429, "a token that may be valid is not refused");
    assert_eq!(status_of(&Denial::Busy).details.map(|details| details.retry_after), Some(1));
    assert_eq!(status(&full, &head(Some("timeout=abc"), &[])), 400);
    let alone = RequestHandler::new(App { ask: None, ..app() });
    assert_eq!(status(&alone, &head(None, &[])), 500);
}

#[test]
fn too_many_requests_are_turned_away_but_masters() {
    let exchange = RequestHandler::new(App { requests_max: 2, ..app() });
    let first = exchange.begin(false);
    let second = exchange.begin(false);
    assert!(first.is_some() && second.is_some());
    assert!(exchange.begin(false).is_none());
    assert!(exchange.begin(true).is_some());
    drop(first);
    assert!(exchange.begin(false).is_some());
    let unlimited = RequestHandler::new(App { requests_max: 0, ..app() });
    let all: Vec<_> = (0..1_000).map(|_| unlimited.begin(false)).collect();
    assert!(all.iter().all(Option::is_some));
}

#[test]
fn a_request_is_under_way_until_its_answer_is_written() {
    let policy = Policy { mode: Mode::HostAnonymous, ..Policy::default() };
    let exchange = RequestHandler::new(App { requests_max: 1, policy, ..app() });
    let (mut slow, mut other) = (Peer::new(Vec::new()), Peer::new(Vec::new()));
    let livez = Head { method: "GET", path: "/livez", query: None, headers: &[] };
    smol::block_on(async {
        let (answer, under_way) = exchange.answer(&livez, &mut slow).await;
        assert_eq!((answer.status, under_way.is_some()), (200, true));
        let (refused, none) = exchange.answer(&livez, &mut other).await;
        assert_eq!((refused.status, none.is_none()), (429, true));
        assert_eq!(refused.headers.first(), Some(&("Retry-After", "1".into())));
        drop(under_way);
        assert_eq!(exchange.answer(&livez, &mut other).await.0.status, 200);
    });
}

#[test]
fn a_list_that_finds_nothing_ends_with_its_time() {
    let capacity = Capacity { nodes: 1, pods: 8192, containers: 1, text_len: 1 << 20 };
    let mut store = Store::new(capacity, Window::from_secs(15));
    for n in 0..8000 {
        let (name, value) = (format!("pod-{n}"), n.to_string());
        let labels = vec![("only", &*value)];
        store.upsert_pod(&PodRecord { namespace: "a", name: &name, labels, ..PodRecord::default() }).unwrap();
    }
    let list = Head {
        method: "GET",
        path: "/apis/metrics.k8s.io/v1/pods",
        query: Some("labelSelector=!x"),
        headers: &[],
    };
    let shared = Arc::new(Mutex::new(store));
    for (request_time_max, wanted) in [(Duration::ZERO, 504), (Duration::from_secs(60), 200)] {
        let policy = Policy { mode: Mode::HostAnonymous, ..Policy::default() };
        let exchange = RequestHandler::new(App { store: shared.clone(), policy, request_time_max, ..app() });
        assert_eq!(status(&exchange, &list), wanted);
    }
}

/// The answer to a refused request, and the text of its body.
fn refusal(path: &str, denial: &Denial) -> (Answer, String) {
    let head = Head { method: "GET", path, query: None, headers: &[] };
    let answer = encode_status::answer(&status_of(denial), &head);
    let Body::Whole(body) = &answer.body else { panic!("not a whole body") };
    let text = String::from_utf8(body.clone()).unwrap();
    (answer, text)
}

#[test]
fn denials_read_like_those_of_metrics_server() {
    let forbidden = |user: &str, forbidden: Forbidden| {
        let verb = if forbidden.name.is_empty() { "list" } else { "get" };
        Denial::Forbidden(Box::new(Forbidden {
            user: user.into(),
            verb: if forbidden.path.is_empty() { verb } else { "get" }.into(),
            ..forbidden
        }))
    };
    let resource = |resource: &str| Forbidden {
        group: "metrics.k8s.io".into(),
        resource: resource.into(),
        ..Forbidden::default()
    };
    let named = Forbidden { namespace: "kube-public".into(), name: "idle".into(), ..resource("pods") };
    let path = Forbidden { path: "/metrics".into(), ..Forbidden::default() };
    for (case, denial) in [
        ("authn-none", forbidden("system:anonymous", resource("nodes"))),
        ("authn-token-bad", Denial::Unauthenticated("bearer token: unknown".into())),
        ("authn-proxy-no-rights", forbidden("stray", resource("nodes"))),
        ("authz-nonresource", forbidden("system:anonymous", path)),
        ("authz-named", forbidden("dave", named)),
    ] {
        let golden = format!("{}/tests/golden/refusals/{case}.http", env!("CARGO_MANIFEST_DIR"));
        let golden = std::fs::read_to_string(golden).unwrap();
        let (head, text) = golden.split_once("\n\n").unwrap();
        let (answer, body) = refusal("/", &denial);
        assert_eq!(head.split(' ').nth(1), Some(&*answer.status.to_string()), "{case}");
        assert_eq!(body, text, "{case}");
    }
}

#[test]
fn impersonation_is_a_403_and_a_failed_review_a_500() {
    let (answer, body) = refusal("/readyz", &Denial::Impersonation);
    assert_eq!(answer.status, 403);
    assert!(body.contains("\"reason\":\"Forbidden\"") && body.contains("Impersonate-"), "{body}");
    let (answer, body) = refusal("/x", &Denial::ReviewFailed("unreachable".into()));
    assert_eq!((answer.status, body.contains("unreachable")), (500, true), "{body}");
}
