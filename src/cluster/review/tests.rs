use super::*;
use crate::access::review::Secret;
use crate::cluster::authentication::TrustSettings;
use crate::cluster::kubeconfig::Access;
use crate::net::credentials::Credentials;
use crate::net::fake::{Fake, Reply as Bytes, answer};
use std::sync::mpsc;

fn api(fake: &Fake) -> Arc<ApiServer> {
    let server = fake.url("http", "");
    Arc::new(ApiServer::new(Access { server, credentials: Credentials::none() }).unwrap())
}

fn token(text: &str) -> Question {
    Question::token(Secret(Zeroizing::new(text.to_owned())))
}

fn access(spec: &str) -> Question {
    let asked = Asked::Access { spec: spec.to_owned(), cacheable: true };
    Question { asked, is_unauthenticated: false }
}

fn reviewer(api: &Arc<ApiServer>) -> Reviewer {
    let authentication = TrustSource::new(TrustSettings::default(), None).unwrap();
    Reviewer::start(api.clone(), api.clone(), Arc::new(authentication)).unwrap()
}

/// The verdict on one question, from a server that answers like this.
fn verdict(question: Question, status: &'static str, body: &'static str) -> (Verdict, Vec<String>) {
    let fake = Fake::start(move |_, _| Bytes::Keep(answer(status, body)));
    let (send, receive) = mpsc::channel();
    let reviewer = reviewer(&api(&fake));
    assert!(reviewer.ask()(question, Box::new(move |v| send.send(v).unwrap())));
    let verdict = receive.recv().unwrap();
    reviewer.stop();
    (verdict, fake.heads())
}

#[test]
fn a_good_token_belongs_to_somebody() {
    let sample = include_str!("../../../tests/golden/kube-api/tokenreview-good.json");
    let (verdict, heads) = verdict(token("a\"b"), "201 Created", sample);
    let Verdict::Known(identity) = verdict else { panic!("{verdict:?}") };
    assert_eq!(identity.user, "system:serviceaccount:kube-system:metrics-server");
    assert_eq!(identity.uid, "42ba29f0-402b-4d52-af5d-874c792bc9a6");
    assert_eq!(identity.groups.len(), 3);
    let id = "JTI=f4227372-fc4a-4c92-98be-60bac4092e3f".to_owned();
    assert_eq!(identity.extra, [("authentication.kubernetes.io/credential-id".to_owned(), vec![id])]);
    assert!(
        heads[0].starts_with("POST /apis/authentication.k8s.io/v1/tokenreviews HTTP/1.1\r\n"),
        "{}",
        heads[0]
    );
    let body = r#"{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","spec":{"token":"a\"b"}}"#;
    assert!(heads[0].ends_with(&format!("\r\n\r\n{body}")), "{}", heads[0]);
}

#[test]
fn a_bad_token_is_nobodys() {
    let sample = include_str!("../../../tests/golden/kube-api/tokenreview-bad.json");
    assert_eq!(
        verdict(token("x"), "201 Created", sample).0,
        Verdict::Unknown("invalid bearer token".to_owned())
    );
    let absent = r#"{"status":{"authenticated":false,"user":{"username":"root"}}}"#;
    assert_eq!(verdict(token("x"), "201 Created", absent).0, Verdict::Unknown(String::new()));
    for nameless in [
        r#"{"status":{"authenticated":true,"user":{}}}"#,
        r#"{"status":{"authenticated":true,"user":{"username":null}}}"#,
        r#"{"status":{"authenticated":true,"user":{"username":"","groups":["system:masters"]}}}"#,
    ] {
        assert!(matches!(verdict(token("x"), "201 Created", nameless).0, Verdict::Failed(_)), "{nameless}");
    }
}

#[test]
fn access_is_allowed_only_by_a_plain_yes() {
    let allowed = include_str!("../../../tests/golden/kube-api/subjectaccessreview-allowed.json");
    let (yes, heads) = verdict(access(r#"{"user":"bob"}"#), "201 Created", allowed);
    assert_eq!(yes, Verdict::Allowed);
    let target = "POST /apis/authorization.k8s.io/v1/subjectaccessreviews?timeout=10s HTTP/1.1\r\n";
    assert!(heads[0].starts_with(target), "{}", heads[0]);
    let body =
        r#"{"kind":"SubjectAccessReview","apiVersion":"authorization.k8s.io/v1","spec":{"user":"bob"}}"#;
    assert!(heads[0].ends_with(&format!("\r\n\r\n{body}")), "{}", heads[0]);
    let denied = include_str!("../../../tests/golden/kube-api/subjectaccessreview-denied.json");
    assert_eq!(verdict(access("{}"), "201 Created", denied).0, Verdict::Denied(String::new()));
    let reason = r#"{"status":{"allowed":false,"denied":true,"reason":"no"}}"#;
    assert_eq!(verdict(access("{}"), "201 Created", reason).0, Verdict::Denied("no".to_owned()));
    let both = r#"{"status":{"allowed":true,"denied":true}}"#;
    assert!(matches!(verdict(access("{}"), "201 Created", both).0, Verdict::Failed(_)));
    for odd in ["", "{}", "<html>", r#"{"status":{"allowed":"true"}}"#] {
        assert!(matches!(verdict(access("{}"), "201 Created", odd).0, Verdict::Failed(_)), "{odd}");
    }
}

#[test]
fn a_rejected_review_fails_with_the_api_servers_words_and_once() {
    let status =
        r#"{"kind":"Status","message":".authorization.k8s.io \"\" is invalid: spec: Required","code":422}"#;
    let (failed, heads) = verdict(access("{}"), "422 Unprocessable Entity", status);
    assert_eq!(failed, Verdict::Failed(".authorization.k8s.io \"\" is invalid: spec: Required".to_owned()));
    assert_eq!(heads.len(), 1);
}

#[test]
fn nobody_there_fails_at_once_and_names_the_address() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let access_to = Access { server: format!("http://{address}"), credentials: Credentials::none() };
    let api = ApiServer::new(access_to).unwrap();
    let deadline = clock::mono() + limits::REVIEW_TIMEOUT;
    let failed = ask_until(&api, TOKENS, "{}", deadline, token_verdict);
    let text = format!("Post \"http://{address}{TOKENS}\": connection refused");
    assert_eq!(failed, Verdict::Failed(text));
}

#[test]
fn a_server_error_is_asked_again() {
    let fake = Fake::start(|n, _| {
        let ok = r#"{"status":{"allowed":true}}"#;
        Bytes::Keep(if n == 0 { answer("500 Internal Server Error", "") } else { answer("201 Created", ok) })
    });
    let deadline = clock::mono() + limits::REVIEW_TIMEOUT;
    assert_eq!(ask_until(&api(&fake), ACCESS, "{}", deadline, access_verdict), Verdict::Allowed);
    assert_eq!(fake.heads().len(), 2);
}

#[test]
fn a_silent_server_ends_at_the_deadline() {
    let fake = Fake::start(|_, _| Bytes::Silence);
    let deadline = clock::mono() + Duration::from_millis(50);
    assert!(matches!(ask_until(&api(&fake), ACCESS, "{}", deadline, access_verdict), Verdict::Failed(_)));
    assert!(clock::mono() >= deadline);
}

#[test]
fn slow_reviews_do_not_hold_up_others_and_a_full_queue_refuses() {
    // A server of one thread: the first question stays silent until the reviewer's connection ends.
    let (slow, quick) = (Fake::start(|_, _| Bytes::Silence), {
        Fake::start(|_, _| Bytes::Keep(answer("201 Created", r#"{"status":{"allowed":true}}"#)))
    });
    let authentication = Arc::new(TrustSource::new(TrustSettings::default(), None).unwrap());
    let tokens = api(&slow);
    let reviewer = Reviewer::start(tokens.clone(), api(&quick), authentication).unwrap();
    let ask = reviewer.ask();
    let (send, receive) = mpsc::channel();
    for _ in 0..limits::REVIEWERS_MAX - 1 {
        let send = send.clone();
        assert!(ask(token("slow"), Box::new(move |v| send.send(v).unwrap())));
    }
    let also = send.clone();
    assert!(ask(access("{}"), Box::new(move |v| also.send(v).unwrap())));
    assert_eq!(receive.recv().unwrap(), Verdict::Allowed, "the quick one comes first");
    let mut asked = 0;
    while ask(token("slow"), Box::new(|_| ())) {
        asked += 1;
        assert!(asked <= limits::REVIEW_QUEUE_COUNT + limits::REVIEWERS_MAX, "the queue has an end");
    }
    // The first questions may still stand in the queue.
    assert!(asked + limits::REVIEWERS_MAX > limits::REVIEW_QUEUE_COUNT, "{asked}");
    reviewer.stop();
    tokens.stop();
    for _ in 0..limits::REVIEWERS_MAX - 1 {
        assert!(matches!(receive.recv().unwrap(), Verdict::Failed(_)), "every question gets a verdict");
    }
    assert!(!ask(token("late"), Box::new(|_| ())));
}
