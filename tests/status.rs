//! The status page on the program: who may see it, what it says of nodes that answer and nodes that do not, and that it runs
//! and loads nothing.

use crate::support::kubelet::{Behaviour, Kubelet, container};
use crate::support::lab::Lab;
use crate::support::toplet::{Toplet, free_port};

const PATHS: [&str; 2] = ["/status", "/status.json"];

/// A node that answers, and one that does not.
fn served(more: &[&str]) -> (Lab, Kubelet, Toplet) {
    let lab = Lab::new();
    let kubelet = Kubelet::start(Behaviour::Steady(vec![
        container("default", "web-1", "main", 150, 20),
        container("default", "web-1", "sidecar", 50, 10),
        container("other", "db-0", "main", 700, 300),
    ]));
    lab.node("n1", &kubelet, &[("default", "web-1"), ("other", "db-0")]);
    lab.api.add_node(crate::support::protobuf::Node::new("dead", "127.0.0.1", free_port()));
    lab.api.world().tokens.push(("alice's".into(), "alice".into(), Vec::new()));
    lab.api.world().tokens.push(("bob's".into(), "bob".into(), Vec::new()));
    lab.api.world().allowed = vec!["alice".into()];
    let toplet = lab.start(more);
    let admin = lab.admin(&toplet);
    toplet.until(&admin, "/status.json", |body| {
        body.contains("\"name\":\"db-0\"") && body.contains("\"reason\":\"refused\"")
    });
    (lab, kubelet, toplet)
}

#[test]
fn nobody_sees_the_page_without_the_right_to() {
    let (lab, _kubelet, toplet) = served(&[]);
    for path in PATHS {
        let status = |token: &str| {
            let client = toplet.client().header("Authorization", &format!("Bearer {token}"));
            client.get(path).unwrap().status
        };
        assert_eq!(toplet.client().get(path).unwrap().status, 403, "unauthenticated, {path}");
        assert_eq!(status("nobody's"), 401, "an invalid token, {path}");
        lab.api.world().reviews.clear();
        assert_eq!(status("bob's"), 403, "without the right, {path}");
        let reviews = lab.api.world().reviews.join("\n");
        let asked = format!("\"nonResourceAttributes\":{{\"path\":\"{path}\",\"verb\":\"get\"}}");
        assert!(reviews.contains(&asked), "{reviews}");
        assert_eq!(status("alice's"), 200, "{path}");
        let admin = lab.admin(&toplet);
        for (method, expected) in [("POST", 405), ("DELETE", 405), ("HEAD", 200)] {
            assert_eq!(admin.request(method, path, &[]).unwrap().status, expected, "{method} {path}");
        }
        for other in ["/", "/x", "?x"] {
            let found = admin.get(&format!("{path}{other}")).unwrap().status;
            assert_eq!(found, if other == "?x" { 200 } else { 404 }, "{path}{other}");
        }
    }
}

#[test]
fn what_a_client_puts_into_the_query_is_shown_as_text() {
    let (lab, _kubelet, toplet) = served(&[]);
    let admin = lab.admin(&toplet);
    for query in [
        "namespace=%3Cscript%3Ealert(1)%3C/script%3E",
        "node=%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E",
        "refresh=0;url=//example.org",
        "refresh=%22%3E%3Cscript%3E",
        "namespace=%00%0a%ff",
    ] {
        let answer = admin.get(&format!("/status?{query}")).unwrap();
        let text = answer.text();
        assert_eq!(answer.status, 200, "{query}");
        for markup in ["<script", "<img", "//example.org\"", ";url="] {
            assert!(!text.contains(markup), "{query}: {markup} in {text}");
        }
    }
}

#[test]
fn the_browser_is_told_to_load_nothing_but_the_style_of_the_page() {
    let (lab, _kubelet, toplet) = served(&[]);
    let answer = lab.admin(&toplet).get("/status").unwrap();
    let text = answer.text();
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{policy}");
    let style = text.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
    let digest = ring::digest::digest(&ring::digest::SHA256, style.as_bytes());
    let digest = base64(digest.as_ref());
    assert!(policy.contains(&format!("'sha256-{digest}'")), "the style's digest is {digest}: {policy}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bytes
        .chunks(3)
        .map(|chunk| {
            let word = chunk
                .iter()
                .chain([0, 0].iter())
                .take(3)
                .fold(0, |word, byte| word << 8 | usize::from(*byte));
            let digit = |place: usize| match place <= chunk.len() {
                true => char::from(DIGITS[word >> (18 - 6 * place) & 63]),
                false => '=',
            };
            (0..4).map(digit).collect::<String>()
        })
        .collect()
}

#[test]
fn each_node_says_where_it_is_read_from_or_why_it_is_not() {
    let (lab, _kubelet, toplet) = served(&[]);
    let admin = lab.admin(&toplet);
    let page = admin.get("/status").unwrap().text();
    for fact in [
        "toplet: 1 of 2 nodes measured",
        "host service",
        "kubelet<small>127.0.0.1</small>",
        "refused: GET http://127.0.0.1:",
        "Pods: 2; together 90",
        "and 330Mi",
        "The serving certificate is valid for 364 d",
    ] {
        assert!(page.contains(fact), "{fact}: {page}");
    }
    let json = admin.get("/status.json").unwrap().text();
    for fact in [
        "\"nodes\":{\"count\":2,\"measured\":1,\"failing\":1,\"items\":[{\"name\":\"dead\"",
        "\"name\":\"n1\",\"source\":\"kubelet\",\"address\":\"127.0.0.1\",\"latencySeconds\":0.",
        "\"pods\":{\"count\":2,",
        "\"historySeconds\":900",
    ] {
        assert!(json.contains(fact), "{fact}: {json}");
    }
    let one = admin.get("/status.json?namespace=other").unwrap().text();
    assert!(
        one.contains("\"pods\":{\"count\":1,") && one.contains("db-0") && !one.contains("web-1"),
        "{one}"
    );
}

#[test]
fn history_is_kept_sample_by_sample_and_can_be_switched_off() {
    let (lab, _kubelet, toplet) = served(&["--history=30s"]);
    let admin = lab.admin(&toplet);
    // Three places, filled from the end; the first rate comes with the second scrape.
    let json = toplet.until(&admin, "/status.json?namespace=other", |body| {
        let pod = body.split_once("\"name\":\"db-0\"").unwrap().1;
        !pod.contains("\"cpuNanocores\":[null,null,null]") && !pod.contains(",null]")
    });
    assert!(json.contains("\"historySeconds\":30"), "{json}");
    let (lab, _kubelet, toplet) = served(&["--history=0s"]);
    let page = lab.admin(&toplet).get("/status").unwrap().text();
    assert!(!page.contains("<svg") && !page.contains("CPU, last"), "{page}");
}

#[test]
fn usage_for_prometheus_is_served_where_the_flag_says_so_to_who_may_get_it() {
    const USAGE: &str = "/metrics/usage";
    let (lab, _kubelet, toplet) = served(&[]);
    assert_eq!(lab.admin(&toplet).get(USAGE).unwrap().status, 404, "off by default");
    let (lab, _kubelet, toplet) = served(&["--usage-metrics"]);
    let status = |token: &str| {
        let client = toplet.client().header("Authorization", &format!("Bearer {token}"));
        client.get(USAGE).unwrap().status
    };
    assert_eq!(toplet.client().get(USAGE).unwrap().status, 403);
    assert_eq!((status("nobody's"), status("bob's"), status("alice's")), (401, 403, 200));
    let reviews = lab.api.world().reviews.join("\n");
    assert!(
        reviews.contains("\"nonResourceAttributes\":{\"path\":\"/metrics/usage\",\"verb\":\"get\"}"),
        "{reviews}"
    );
    let answer = lab.admin(&toplet).get(USAGE).unwrap();
    let text = answer.text();
    assert!(answer.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    for line in [
        "container_cpu_usage_seconds_total{container=\"main\",namespace=\"other\",node=\"n1\",pod=\"db-0\"} ",
        "container_memory_working_set_bytes{container=\"main\",namespace=\"other\",node=\"n1\",pod=\"db-0\"} 314572800 ",
        "node_cpu_usage_seconds_total{node=\"n1\"} ",
        "toplet_scrape_success{node=\"dead\"} 0",
        "toplet_scrape_success{node=\"n1\"} 1",
    ] {
        assert!(text.lines().any(|found| found.starts_with(line)), "{line}: {text}");
    }
    promtool(&text);
}

/// `promtool check metrics` finds nothing wrong, where it is installed.
fn promtool(text: &str) {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else { return };
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn the_machine_itself_is_on_the_page_and_in_the_metrics() {
    let (lab, _kubelet, toplet) = served(&[]);
    let admin = lab.admin(&toplet);
    let json = toplet.until(&admin, "/status.json", |body| body.contains("\"host\":"));
    assert!(json.contains("\"fileSystems\":[{\"path\":\"/\",\"sizeBytes\":"), "{json}");
    let metrics = admin.get("/metrics").unwrap().text();
    let size = "toplet_host_filesystem_size_bytes{mountpoint=\"/\"} ";
    assert!(metrics.lines().any(|line| line.starts_with(size)), "{metrics}");
    let has_pressure = std::fs::read_to_string("/proc/pressure/cpu").is_ok();
    let waiting = "toplet_host_pressure_waiting_seconds_total{resource=\"cpu\"} ";
    assert_eq!(metrics.contains(waiting), has_pressure, "{metrics}");
    // Never in the Metrics API.
    assert!(!admin.get(crate::support::lab::NODES).unwrap().text().contains("pressure"));
}
