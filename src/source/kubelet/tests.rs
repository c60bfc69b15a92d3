use super::*;
use crate::net::credentials::{Credentials, Material, Roots};
use crate::net::fake::{Authority, Fake, Reply, answer};

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
    let rules = Rules { https, port: 10250, use_status_port: true, preferred_types };
    let fetcher = Arc::new(Fetcher::new(credentials).unwrap());
    KubeletSource::new(fetcher, Arc::new(rules), Duration::from_millis(timeout_ms))
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

#[test]
fn an_empty_answer_is_success_with_nothing() {
    let (reading, pods) = read(|_, _| Reply::Keep(answer("200 OK", ""))).unwrap();
    assert_eq!((reading.len, pods), (0, 0));
}

#[test]
fn k14_other_statuses_fail_with_the_references_text_and_a_hint() {
    for (status, reason, hint) in [
        ("401 Unauthorized", "unauthorized", "webhook"),
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
