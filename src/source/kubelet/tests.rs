use super::*;
use crate::net::credentials::{Credentials, Material, Roots};
use crate::net::fake::{Authority, Fake, Reply, answer};
use crate::source::remedy::KubeletVerification;

const SAMPLE: &str = include_str!("../../../tests/golden/kubelet/metrics-resource.txt");

/// A node whose kubelet is `fake`.
fn target(fake: &Fake) -> Target {
    Target {
        name: "edge-1".to_owned(),
        addresses: vec![("InternalIP".to_owned(), fake.address.ip().to_string())],
        kubelet_port: fake.address.port(),
        metrics_path: String::new(),
        ready: true,
    }
}

fn source(https: bool, credentials: Credentials, timeout_ms: u64) -> KubeletSource {
    let preferred_types = vec!["InternalIP".to_owned(), "Hostname".to_owned()];
    let (api_server, via_apiserver) = (String::new(), false);
    let rules =
        Rules { https, port: 10250, use_status_port: true, preferred_types, api_server, via_apiserver };
    let verification = KubeletVerification::ClusterAuthority;
    let terms = KubeletTerms { token: true, certificate: false, verification };
    let timeout = Duration::from_millis(timeout_ms);
    let fetcher = Fetcher::new(credentials).unwrap();
    let proxy = Arc::new(Fetcher::new(Credentials::none()).unwrap());
    KubeletSource::new(Arc::new(KubeletAccess { fetcher, proxy, rules, terms, gzip: false, timeout }))
}

fn read(script: impl FnMut(usize, &str) -> Reply + Send + 'static) -> Result<(Reading, usize), SourceError> {
    let fake = Fake::start(script);
    let mut batch = Batch::new();
    let reading = source(false, Credentials::none(), 5_000).read(&target(&fake), &mut batch)?;
    Ok((reading, batch.pods().count()))
}

#[test]
fn a_real_kubelets_answer_fills_the_batch() {
    let (reading, pods) = read(|_, _| Reply::Keep(answer("200 OK", SAMPLE))).unwrap();
    assert_eq!(reading.len, SAMPLE.len() as u64);
    assert_eq!(reading.dropped.bad_lines, 0);
    assert!(pods > 3, "{pods}");
}

#[test]
fn any_chunks_give_the_same_batch_over_one_connection() {
    let fake = Fake::start(|n, _| {
        let mut body = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for piece in SAMPLE.as_bytes().chunks(1 + n * 37) {
            body.extend(
                format!("{:x}\r\n", piece.len()).bytes().chain(piece.iter().copied()).chain(*b"\r\n"),
            );
        }
        body.extend(b"0\r\n\r\n");
        Reply::Keep(body)
    });
    let mut source = source(false, Credentials::none(), 5_000);
    let mut counts = Vec::new();
    for _ in 0..4 {
        let mut batch = Batch::new();
        assert_eq!(source.read(&target(&fake), &mut batch).unwrap().len, SAMPLE.len() as u64);
        counts.push((batch.pods().count(), batch.node()));
    }
    assert!(counts.windows(2).all(|w| w[0] == w[1]), "{counts:?}");
    assert_eq!(*fake.connections.lock().unwrap(), 1);
}

const SUMMARY: &str = include_str!("../../../tests/golden/kubelet/summary.json");

/// A kubelet without resource metrics until `is_new` is set; the paths that it is asked for.
fn old_kubelet(is_new: &Arc<std::sync::atomic::AtomicBool>, close: bool) -> Fake {
    let is_new = is_new.clone();
    Fake::start(move |_, head| {
        let is_new = is_new.load(std::sync::atomic::Ordering::SeqCst);
        let (status, body) = match head.split(' ').nth(1).unwrap_or_default() {
            "/metrics/resource" if is_new => ("200 OK", SAMPLE),
            "/stats/summary?only_cpu_and_memory=true" if !is_new => ("200 OK", SUMMARY),
            _ => ("404 Not Found", "404 page not found\n"),
        };
        let bytes = answer(status, body);
        if close { Reply::Close(bytes) } else { Reply::Keep(bytes) }
    })
}

fn paths(fake: &Fake) -> Vec<String> {
    let short = |head: &String| head.split([' ', '?']).nth(1).unwrap_or_default().to_owned();
    fake.heads().iter().map(short).collect()
}

#[test]
fn a_404_falls_back_to_the_summary_which_is_remembered() {
    let fake = old_kubelet(&Arc::default(), false);
    let (mut source, mut batch) = (source(false, Credentials::none(), 5_000), Batch::new());
    for _ in 0..3 {
        let reading = source.read(&target(&fake), &mut batch).unwrap();
        assert_eq!((reading.len, reading.dropped.bad_lines), (SUMMARY.len() as u64, 0));
        assert_eq!((batch.source(), batch.pods().count()), (BatchSource::Summary, 2));
        assert!(batch.node().is_some());
    }
    assert_eq!(paths(&fake), ["/metrics/resource", "/stats/summary", "/stats/summary", "/stats/summary"]);
    assert_eq!(*fake.connections.lock().unwrap(), 1, "the connection is kept over the 404");
}

#[test]
fn resource_metrics_are_tried_again_after_a_time_and_after_a_reconnect() {
    let is_new = Arc::default();
    let fake = old_kubelet(&is_new, true);
    let (mut source, mut batch) = (source(false, Credentials::none(), 5_000), Batch::new());
    let mut read = |source: &mut KubeletSource| {
        let before = paths(&fake).len();
        source.read(&target(&fake), &mut batch).unwrap();
        (paths(&fake).len() - before, batch.source())
    };
    assert_eq!(read(&mut source), (2, BatchSource::Summary));
    let earlier =
        |source: &mut KubeletSource, by: Duration| source.fallback.as_mut().unwrap().refused_at -= by;
    // Every answer comes over a connection of its own here: still not more than a try a minute.
    assert_eq!(read(&mut source), (1, BatchSource::Summary));
    earlier(&mut source, limits::RESOURCE_RETRY_AFTER_RECONNECT);
    assert_eq!(read(&mut source), (2, BatchSource::Summary));
    assert_eq!(read(&mut source), (1, BatchSource::Summary));
    source.fallback.as_mut().unwrap().reconnected = false;
    earlier(&mut source, limits::RESOURCE_RETRY_AFTER);
    assert_eq!(read(&mut source), (2, BatchSource::Summary));
    // An upgrade that drops the Summary is noticed within the same scrape.
    is_new.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(read(&mut source), (2, BatchSource::Kubelet));
    assert_eq!(read(&mut source), (1, BatchSource::Kubelet));
    assert!(source.fallback.is_none());
}

#[test]
fn a_path_of_the_nodes_own_has_no_fallback() {
    let fake = old_kubelet(&Arc::default(), false);
    let node = Target { metrics_path: "/own".to_owned(), ..target(&fake) };
    let error = source(false, Credentials::none(), 5_000).read(&node, &mut Batch::new()).unwrap_err();
    assert_eq!((error.reason, paths(&fake)), ("not_found", vec!["/own".to_owned()]));
}

#[test]
fn a_summary_that_is_refused_or_broken_says_so() {
    let summary = |status: &'static str, body: String| {
        read(move |n, _| {
            let bytes = if n == 0 { answer("404 Not Found", "no") } else { answer(status, &body) };
            Reply::Keep(bytes)
        })
        .map(|_| ())
    };
    let forbidden = summary("403 Forbidden", String::new()).unwrap_err();
    assert!(forbidden.hint.contains("nodes/stats"), "{}", forbidden.hint);
    for url in [
        "/stats/summary?only_cpu_and_memory=true: request failed, status: \"403",
        "/metrics/resource: request",
    ] {
        assert!(forbidden.message.contains(url), "{}", forbidden.message);
    }
    let cut = summary("200 OK", SUMMARY[..SUMMARY.len() / 2].to_owned()).unwrap_err();
    assert_eq!(cut.reason, "body");
    assert!(cut.message.contains("not a valid Summary: line "), "{}", cut.message);
    assert!(cut.message.contains("the document ends too early"), "{}", cut.message);
    let page = summary("200 OK", "<html>".to_owned()).unwrap_err();
    assert!(page.message.contains("line 1: not a JSON object"), "{}", page.message);
    let empty = summary("200 OK", "{\"node\":{},\"pods\":[]}".to_owned()).unwrap_err();
    assert!(empty.message.contains("no sample of a node or container"), "{}", empty.message);
    let huge = format!("{{\"x\":\"{}\"}}", "x".repeat(9_000_000));
    assert_eq!(summary("200 OK", huge).unwrap_err().reason, "too_large");
}

/// The message of a scrape whose answer is this body with these header lines.
fn refused(headers: &'static str, body: &[u8]) -> SourceError {
    let head = format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    let answer = [head.as_bytes(), body].concat();
    read(move |_, _| Reply::Keep(answer.clone())).unwrap_err()
}

#[test]
fn a_200_without_a_sample_is_a_failure_that_shows_what_came() {
    let empty = refused("", b"");
    assert_eq!((empty.reason, empty.message.ends_with(": the answer is empty")), ("empty", true));
    let page = refused("Content-Type: text/html\r\n", b"<!DOCTYPE html>\n<title>Sign in</title>");
    assert_eq!(page.reason, "body");
    assert!(
        page.message.contains("(Content-Type text/html, begins with \"<!DOCTYPE html> <title>"),
        "{}",
        page.message
    );
    let json = refused("Content-Type: application/json\r\n", b"{\"node\":{}}");
    assert!(
        json.message.contains("application/json") && json.message.contains("{\\\"node"),
        "{}",
        json.message
    );
    let other = refused("", b"# HELP up up\nup 1\n");
    assert!(
        other.message.contains("no sample of a node or container (Content-Type none"),
        "{}",
        other.message
    );
    let binary = refused("", &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
    assert!(!binary.message.contains('\u{8}'), "{}", binary.message);
}

/// `body` as gzip, in one stored block.
fn gzip(body: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut out, body).unwrap();
    out.finish().unwrap()
}

fn gzip_answer(body: &[u8]) -> Vec<u8> {
    let len = body.len();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

#[test]
fn a_gzip_body_that_was_not_asked_for_is_inflated_within_the_limit() {
    let (reading, pods) = read(|_, head| {
        assert!(!head.to_lowercase().contains("accept-encoding"), "{head}");
        Reply::Keep(gzip_answer(&gzip(SAMPLE.as_bytes())))
    })
    .unwrap();
    assert_eq!(reading.len, SAMPLE.len() as u64);
    assert!(pods > 3, "{pods}");
    let bomb = gzip(&b"# filler\n".repeat(2_000_000));
    assert!(bomb.len() < 1_000_000);
    let error = read(move |_, _| Reply::Keep(gzip_answer(&bomb))).unwrap_err();
    assert_eq!((error.reason, error.message.ends_with("larger than 8388608 bytes")), ("too_large", true));
    let mut cut = gzip(SAMPLE.as_bytes());
    cut.truncate(cut.len() / 2);
    let error = read(move |_, _| Reply::Keep(gzip_answer(&cut))).unwrap_err();
    assert!(error.message.contains("the gzip body cannot be inflated"), "{}", error.message);
    let other = refused("Content-Encoding: br\r\n", b"xyz");
    assert!(other.message.contains("encoded as \"br\", which was not asked for"), "{}", other.message);
}

#[test]
fn gzip_is_asked_for_by_the_flag_alone_and_what_comes_is_inflated() {
    let fake = Fake::start(|n, head| {
        assert!(head.to_lowercase().contains("\r\naccept-encoding: gzip\r\n"), "{head}");
        // A kubelet may answer without compression all the same, and a body may be cut.
        match n {
            0 => Reply::Keep(gzip_answer(&gzip(SAMPLE.as_bytes()))),
            1 => Reply::Keep(answer("200 OK", SAMPLE)),
            _ => Reply::Keep(gzip_answer(&gzip(SAMPLE.as_bytes())[..500])),
        }
    });
    let mut source = source(false, Credentials::none(), 5_000);
    Arc::get_mut(&mut source.access).unwrap().gzip = true;
    for _ in 0..2 {
        assert_eq!(source.read(&target(&fake), &mut Batch::new()).unwrap().len, SAMPLE.len() as u64);
    }
    let error = source.read(&target(&fake), &mut Batch::new()).unwrap_err();
    assert!(error.message.contains("cannot be inflated"), "{}", error.message);
}

#[test]
fn a_refusals_first_line_is_shown_cut_and_cleaned() {
    let body = format!("\r\n runtime is \u{1b}[31mdown\t{}\nsecond", "x".repeat(9_000));
    let error = read(move |_, _| Reply::Close(answer("500 Internal Server Error", &body))).unwrap_err();
    assert!(
        error.message.contains("500 Internal Server Error\": runtime is  [31mdown xxx"),
        "{}",
        error.message
    );
    assert!(error.message.len() < 400 && !error.message.contains("second"));
}

/// A node with these addresses, all on the port of `fake`.
fn node(fake: &Fake, addresses: &[&str]) -> Target {
    let addresses = addresses.iter().map(|a| ("InternalIP".to_owned(), (*a).to_owned())).collect();
    Target { addresses, ..target(fake) }
}

#[test]
fn the_next_address_is_asked_within_a_scrape_and_remembered() {
    let fake = Fake::start(|_, _| Reply::Keep(answer("200 OK", SAMPLE)));
    let mut source = source(false, Credentials::none(), 5_000);
    // Nobody listens on the other loopback addresses.
    let node = node(&fake, &["127.0.0.9", "127.0.0.1", "127.0.0.8"]);
    for _ in 0..2 {
        source.read(&node, &mut Batch::new()).unwrap();
    }
    assert_eq!(source.good.as_ref().unwrap().0, "127.0.0.1");
    assert_eq!(*fake.connections.lock().unwrap(), 1, "the second scrape goes over the same connection");
}

#[test]
fn every_address_that_was_tried_is_named() {
    let fake = Fake::start(|_, _| Reply::Silence);
    let mut source = source(false, Credentials::none(), 5_000);
    let error = source.read(&node(&fake, &["127.0.0.9", "127.0.0.8"]), &mut Batch::new()).unwrap_err();
    assert_eq!(error.reason, "refused");
    for address in ["GET http://127.0.0.9:", "; GET http://127.0.0.8:"] {
        assert!(error.message.contains(address), "{}", error.message);
    }
    // Who answers decides, also with a refusal.
    let fake = Fake::start(|_, _| Reply::Keep(answer("403 Forbidden", "no")));
    let error = source.read(&node(&fake, &["127.0.0.9", "127.0.0.1"]), &mut Batch::new()).unwrap_err();
    assert_eq!(error.reason, "forbidden");
    assert!(error.message.starts_with("GET http://127.0.0.1:"), "{}", error.message);
}

#[test]
fn a_certificate_names_the_address_or_the_node() {
    let authority = Authority::new();
    let trusted =
        || Credentials { roots: Roots::Pem(Material::inline(authority.pem.clone())), ..Credentials::none() };
    let config = authority.server(&["edge-1"], None);
    let fake = Fake::tls(config, |_, _| Reply::Keep(answer("200 OK", SAMPLE)));
    let mut by_name = source(true, trusted(), 5_000);
    for _ in 0..2 {
        by_name.read(&target(&fake), &mut Batch::new()).unwrap();
    }
    assert_eq!(by_name.good, Some(("127.0.0.1".to_owned(), true)));
    assert_eq!(*fake.connections.lock().unwrap(), 2, "the address is tried once, the node's name then kept");
    let fake =
        Fake::tls(authority.server(&["edge-2"], None), |_, _| panic!("asked a kubelet of another name"));
    let error = source(true, trusted(), 5_000).read(&target(&fake), &mut Batch::new()).unwrap_err();
    assert!(error.message.contains("not valid for 127.0.0.1, only for"), "{}", error.message);
    assert!(!error.hint.contains("--kubelet-insecure-tls"), "{}", error.hint);
}

#[test]
fn k14_other_statuses_fail_with_the_references_text_and_a_hint() {
    for (status, reason, hint) in [
        ("401 Unauthorized", "unauthorized", "a token was presented"),
        ("403 Forbidden", "forbidden", "nodes/metrics"),
        ("404 Not Found", "not_found", "resource-metrics-path"),
        ("503 Service Unavailable", "status", "log"),
        ("204 No Content", "status", "log"),
    ] {
        let error = read(move |_, _| Reply::Close(answer(status, ""))).unwrap_err();
        assert_eq!(error.reason, reason, "{status}");
        assert!(error.message.starts_with("GET http://127.0.0.1:"), "{}", error.message);
        let code = status.split(' ').next().unwrap();
        assert!(error.message.contains(&format!("request failed, status: \"{code}")), "{}", error.message);
        assert!(error.hint.contains(hint), "{}", error.hint);
    }
}

#[test]
fn k14_a_redirect_is_refused_and_says_where_it_led() {
    let found = "HTTP/1.1 302 Found\r\nLocation: https://evil.example/\r\nContent-Length: 0\r\n\r\n";
    let error = read(move |_, _| Reply::Keep(found.as_bytes().to_vec())).unwrap_err();
    assert_eq!(error.reason, "redirect");
    assert!(error.message.contains("evil.example"), "{}", error.message);
}

#[test]
fn k13_a_hundred_megabytes_are_cut_at_the_limit() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n".to_vec();
    let error = read(move |_, _| Reply::Endless(head.clone(), b"# filler\n".repeat(1000))).unwrap_err();
    assert_eq!(error.reason, "too_large");
    assert!(error.message.ends_with("the body is larger than 8388608 bytes"), "{}", error.message);
}

#[test]
fn more_containers_than_a_node_may_have_end_the_scrape() {
    let mut n = 0_u64;
    let head = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    let mut lines = String::new();
    while lines.len() < 6_000_000 {
        n += 1;
        lines.push_str(&format!(
            "container_memory_working_set_bytes{{container=\"c\",namespace=\"n\",pod=\"p{n}\"}} 1\n"
        ));
    }
    let error = read(move |_, _| Reply::Endless(head.clone(), lines.clone().into_bytes())).unwrap_err();
    assert_eq!(error.reason, "too_large");
}

#[test]
fn a_silent_kubelet_costs_its_timeout() {
    let fake = Fake::start(|_, _| Reply::Silence);
    let mut batch = Batch::new();
    let error = source(false, Credentials::none(), 80).read(&target(&fake), &mut batch).unwrap_err();
    assert_eq!(error.reason, "timeout");
    assert!(error.message.ends_with("no complete answer within 0.08 s"), "{}", error.message);
}

#[test]
fn an_unknown_authority_names_the_three_ways_out() {
    let fake = Fake::tls(Authority::new().server(&["127.0.0.1"], None), |_, _| Reply::Silence);
    let roots = Roots::Pem(Material::inline(Authority::new().pem));
    let mut source = source(true, Credentials { roots, ..Credentials::none() }, 5_000);
    let error = source.read(&target(&fake), &mut Batch::new()).unwrap_err();
    assert_eq!(error.reason, "tls");
    for way in ["--kubelet-certificate-authority", "serverTLSBootstrap", "--kubelet-insecure-tls"] {
        assert!(error.hint.contains(way), "{}", error.hint);
    }
}

#[test]
fn a_node_without_a_preferred_address_says_so() {
    let fake = Fake::start(|_, _| panic!("asked without an address"));
    let mut node = target(&fake);
    node.addresses = vec![("ExternalDNS".to_owned(), "x".to_owned())];
    let error = source(false, Credentials::none(), 80).read(&node, &mut Batch::new()).unwrap_err();
    assert_eq!(
        (error.reason, error.message.as_str()),
        ("no_address", "no address matched types [InternalIP Hostname]")
    );
}

#[test]
fn a_name_is_waited_for_longer_only_where_no_other_address_does_without_a_lookup() {
    let long = limits::LOOKUP_TIMEOUT;
    let cases: [(&[&str], Duration); 4] = [
        (&[], long),
        (&["edge-1.lan"], long),
        (&["edge-1.lan", "10.0.0.1"], limits::LOOKUP_TIMEOUT_WITH_OTHERS),
        (&["fd00::1"], limits::LOOKUP_TIMEOUT_WITH_OTHERS),
    ];
    cases.iter().for_each(|(others, expected)| assert_eq!(lookup_timeout(others), *expected, "{others:?}"));
}
