use super::*;
use crate::limits;
use crate::units::UnixNanos;

/// Everything is well, at a resolution of 60 s.
fn good() -> State {
    State {
        ready: Readiness { nodes: true, pods: true, nodes_synced: true, pods_synced: true },
        vitals: Vitals { started_at: UnixNanos(0), ..Vitals::default() },
        resolution: Duration::from_secs(60),
    }
}

fn endpoint(name: &str) -> &'static Endpoint {
    ENDPOINTS.iter().find(|endpoint| endpoint.name == name).unwrap()
}

fn body(answer: &Answer) -> &str {
    match &answer.body {
        Body::Static(bytes) => std::str::from_utf8(bytes).unwrap(),
        Body::Whole(bytes) => std::str::from_utf8(bytes).unwrap(),
        Body::List(_) => panic!("a health answer is no list"),
    }
}

fn ask(state: &State, name: &str, query: &str) -> (u16, String) {
    let (answer, _) = state.whole(endpoint(name), Some(query).filter(|query| !query.is_empty()));
    (answer.status, body(&answer).to_owned())
}

fn timely(tick_age: Option<u64>) -> u16 {
    let vitals = Vitals { tick_age: tick_age.map(Duration::from_secs), ..Vitals::default() };
    State { vitals, ..good() }.single(TIMELY).status
}

#[test]
fn g1_to_g4_a_tick_may_last_one_and_a_half_resolutions() {
    assert_eq!(timely(None), 200);
    assert_eq!(timely(Some(0)), 200);
    assert_eq!(timely(Some(60)), 200);
    assert_eq!(timely(Some(90)), 200);
    assert_eq!(timely(Some(91)), 500);
    assert_eq!(timely(Some(120)), 500);
}

#[test]
fn g5_g6_storage_is_ready_with_a_node_and_a_pod() {
    let storage = |nodes, pods, pods_optional| {
        let vitals = Vitals { pods_optional, ..Vitals::default() };
        State { ready: Readiness { nodes, pods, ..good().ready }, vitals, ..good() }.single(STORAGE).status
    };
    assert_eq!(storage(true, true, false), 200);
    assert_eq!(storage(true, false, false), 500);
    assert_eq!(storage(false, true, false), 500);
    assert_eq!(storage(false, false, false), 500);
    assert_eq!(storage(true, false, true), 200);
    assert_eq!(storage(false, true, true), 500);
}

#[test]
fn i8_readiness_verbose() {
    let golden = include_str!("../../../tests/golden/api/readyz-verbose.txt");
    assert_eq!(ask(&good(), "readyz", "verbose&"), (200, golden.to_owned()));
}

#[test]
fn i9_liveness_verbose() {
    let golden = "[+]ping ok\n[+]log ok\n[+]poststarthook/max-in-flight-filter ok\n\
        [+]poststarthook/storage-object-count-tracker-hook ok\n[+]metric-collection-timely ok\n\
        [+]metadata-informer-sync ok\nlivez check passed\n";
    assert_eq!(ask(&good(), "livez", "verbose=false"), (200, golden.to_owned()));
}

#[test]
fn plain_answers_are_ok_and_any_text_type_is_named() {
    for name in ["healthz", "livez", "readyz"] {
        assert_eq!(ask(&good(), name, ""), (200, "ok".to_owned()));
    }
    let (answer, failing) = good().whole(endpoint("livez"), None);
    assert_eq!(failing, Some((0, String::new())));
    let headers: Vec<_> = answer.headers.iter().map(|(name, value)| (*name, &**value)).collect();
    assert_eq!(
        headers,
        [("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff")]
    );
}

#[test]
fn failures_withhold_their_reason_but_not_from_the_log() {
    let state = State { ready: Readiness { pods: false, ..good().ready }, ..good() };
    let (status, text) = ask(&state, "readyz", "");
    assert_eq!(status, 500);
    assert_eq!(
        text,
        "[+]ping ok\n[+]log ok\n[+]poststarthook/max-in-flight-filter ok\n\
         [+]poststarthook/storage-object-count-tracker-hook ok\n\
         [-]metric-storage-ready failed: reason withheld\n[+]metric-informer-sync ok\n\
         [+]metadata-informer-sync ok\n[+]shutdown ok\nreadyz check failed\n"
    );
    let (_, failing) = state.whole(endpoint("readyz"), None);
    let (mask, reasons) = failing.unwrap();
    assert_eq!(mask, 1 << 4);
    assert!(reasons.starts_with("metric-storage-ready: no pod has two points yet"), "{reasons}");
    assert_eq!(ask(&state, "livez", "").0, 200);
}

#[test]
fn stopping_fails_readiness_alone() {
    let state = State { vitals: Vitals { stopping: true, ..Vitals::default() }, ..good() };
    let (status, text) = ask(&state, "readyz", "");
    assert!(status == 500 && text.contains("[-]shutdown failed: reason withheld\n"), "{text}");
    assert_eq!(ask(&state, "livez", "").0, 200);
    assert_eq!(ask(&state, "healthz", "").0, 200);
}

#[test]
fn refused_credentials_fail_readiness_alone() {
    let state = State { vitals: Vitals { unauthorized: true, ..Vitals::default() }, ..good() };
    let (status, text) = ask(&state, "readyz", "");
    assert!(status == 500 && text.contains("[-]metric-informer-sync failed"), "{text}");
    let (_, reasons) = state.whole(endpoint("readyz"), None).1.unwrap();
    assert!(reasons.contains("refuses our credentials (401)"), "{reasons}");
    assert_eq!(ask(&state, "livez", "").0, 200);
}

#[test]
fn exclude_repeats_and_a_comma_joins_nothing() {
    let state = State { ready: Readiness { nodes: false, ..good().ready }, ..good() };
    let (status, text) = ask(&state, "readyz", "exclude=ping&exclude=metric-storage-ready&verbose");
    assert_eq!(status, 200);
    assert!(text.starts_with("[+]ping excluded: ok\n[+]log ok\n"), "{text}");
    assert!(text.contains("[+]metric-storage-ready excluded: ok\n"), "{text}");
    let (_, text) = ask(&good(), "readyz", "exclude=ping,log&exclude=a&verbose");
    assert!(
        text.ends_with(
            "[+]shutdown ok\nwarn: some health checks cannot be excluded: no matches for \"a, ping,log\"\n\
             readyz check passed\n"
        ),
        "{text}"
    );
    assert_eq!(good().whole(endpoint("readyz"), Some("exclude=ping")).1, None);
}

#[test]
fn single_checks_say_why() {
    let state = State { ready: Readiness::default(), ..good() };
    let storage = state.single(STORAGE);
    assert_eq!(storage.status, 500);
    assert_eq!(body(&storage), "internal server error: no metrics to serve\n");
    assert_eq!(
        body(&state.single(INFORMERS)),
        "internal server error: 2 informers not started yet: [nodes pods]\n"
    );
    let ping = state.single("ping");
    assert_eq!((ping.status, body(&ping)), (200, "ok"));
    assert_eq!(ping.headers.len(), 1, "a passing check has no nosniff");
}

#[test]
fn a_host_without_pods_does_not_wait_for_them() {
    let ready = Readiness { nodes: true, pods: false, nodes_synced: true, pods_synced: false };
    let vitals = Vitals { pods_optional: true, ..Vitals::default() };
    assert_eq!(ask(&State { ready, vitals, ..good() }, "readyz", ""), (200, "ok".to_owned()));
}

#[test]
fn failing_nodes_are_explained_within_bounds() {
    let counters = Counters::new(Duration::from_secs(15));
    let fail = |node: &str, reason| {
        counters.scrape(node, Duration::ZERO, UnixNanos(0), Some(reason));
        counters.explain(node, Some((reason, format!("a\nb{}", "x".repeat(5_000)))));
    };
    let page = || body(&failing_nodes(&counters)).to_owned();
    counters.scrape("good", Duration::ZERO, UnixNanos(0), None);
    counters.explain("good", None);
    assert_eq!(page(), "1 of 1 nodes scraped\n");
    for at in 0..100 {
        fail(&format!("n{at:03}"), if at % 2 == 0 { "refused" } else { "timeout" });
    }
    let text = page();
    assert!(text.contains("[-]n000 failed: refused: a bxxx"), "{text}");
    assert_eq!(text.matches(" failed: ").count(), limits::EXPLAINED_NODES_MAX + 2, "{text}");
    assert!(text.contains("[-]34 more nodes failed: refused\n[-]34 more nodes failed: timeout\n"), "{text}");
    assert!(text.ends_with("1 of 101 nodes scraped\n") && text.len() < 2 * limits::CHUNK_LEN_MAX);
    // The same node again takes no second place, and one that is scraped again gives its place back.
    fail("n000", "timeout");
    assert!(page().contains("[-]n000 failed: timeout: a b"));
    counters.explain("n000", None);
    fail("n099", "timeout");
    let text = page();
    assert!(!text.contains("n000") && text.contains("[-]n099 failed: timeout: a b"), "{text}");
}
