//! `toplet doctor` on a healthy cluster and on broken ones: the step that fails, the cause it names, and what it says to do.

use crate::support::api_server::ApiServer;
use crate::support::certs::{Authority, Leaf, server_config};
use crate::support::kubelet::{Behaviour, Kubelet, container};
use crate::support::protobuf::Node;
use crate::support::toplet::{Folder, command, command_in, free_port};
use std::sync::atomic::Ordering;

/// A cluster over TLS: API server and one kubelet, both under one authority.
struct Ward {
    folder: Folder,
    authority: Authority,
    api: ApiServer,
    kubelet: Kubelet,
    port: u16,
}

/// What a run of the doctor said.
struct Report {
    code: Option<i32>,
    text: String,
}

const API_SERVICE: &str = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io";
const THROUGH: &str = "/apis/metrics.k8s.io/v1beta1/nodes";

fn steady() -> Behaviour {
    Behaviour::Steady(vec![container("default", "web-1", "main", 150, 20)])
}

fn registration(status: &str, reason: &str, message: &str) -> String {
    format!(
        r#"{{"kind":"APIService","spec":{{"service":{{"namespace":"kube-system","name":"metrics-server","port":443}}}},
        "status":{{"conditions":[{{"type":"Available","status":"{status}","reason":"{reason}","message":"{message}"}}]}}}}"#
    )
}

impl Ward {
    fn new() -> Ward {
        let authority = Authority::new("cluster");
        let (api, kubelet) = (authority.server(), authority.server());
        Ward::with(authority, &api, &kubelet)
    }

    fn with(authority: Authority, api: &Leaf, kubelet: &Leaf) -> Ward {
        let api = ApiServer::start_with(&authority, api);
        let kubelet = Kubelet::start_tls(steady(), server_config(kubelet));
        api.add_node(Node::new("n1", "127.0.0.1", kubelet.port()));
        api.world().credential = "abc".into();
        let ward = Ward { folder: Folder::new(), authority, api, kubelet, port: free_port() };
        ward.document(API_SERVICE, 200, &registration("True", "Passed", "all checks passed"));
        let served = r#"{"kind":"NodeMetricsList","items":[{"metadata":{"name":"n1"},"timestamp":"2026-01-01T00:00:00Z","window":"15s","usage":{}}]}"#;
        ward.document(THROUGH, 200, served);
        ward
    }

    fn document(&self, path: &str, code: u16, json: &str) {
        let mut world = self.api.world();
        world.documents.retain(|(known, ..)| known != path);
        world.documents.push((path.into(), code, json.into()));
    }

    fn arguments(&self) -> Vec<String> {
        let kubeconfig = self.api.kubeconfig(self.folder.path(), "{token: abc}");
        vec![
            format!("--kubeconfig={}", kubeconfig.display()),
            "--kubelet-use-node-status-port".into(),
            "--kubelet-preferred-address-types=InternalIP".into(),
            "--kubelet-request-timeout=2s".into(),
            "--bind-address=127.0.0.1".into(),
            format!("--secure-port={}", self.port),
            format!("--cert-dir={}", self.folder.path().join("cert").display()),
        ]
    }

    fn examine(&self, more: &[&str]) -> Report {
        self.run(&self.arguments(), more)
    }

    fn run(&self, arguments: &[String], more: &[&str]) -> Report {
        let mut program = command_in(&self.folder);
        program.arg("doctor").args(arguments).args(more);
        let output = program.output().unwrap();
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        Report { code: output.status.code(), text: text.concat() }
    }
}

impl Report {
    /// A line begins so and contains all of these words, and the line below it says to do this.
    #[track_caller]
    fn says(&self, begin: &str, words: &[&str], remedy: &str) {
        let lines: Vec<&str> = self.text.lines().collect();
        let squeezed = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let found = lines.iter().position(|line| {
            squeezed(line).starts_with(begin) && words.iter().all(|word| line.contains(word))
        });
        let Some(at) = found else { panic!("no line {begin:?} with {words:?} in\n{}", self.text) };
        let below = lines.get(at + 1).copied().unwrap_or_default();
        if remedy.is_empty() {
            assert!(!below.contains("->"), "a remedy for what needs none:\n{}", self.text);
        } else {
            assert!(
                below.contains("->") && below.contains(remedy),
                "no {remedy:?} below it in\n{}",
                self.text
            );
        }
    }

    #[track_caller]
    fn ends(&self, code: i32) {
        assert_eq!(self.code, Some(code), "{}", self.text);
    }
}

#[test]
fn a_healthy_cluster_has_nothing_to_mend() {
    let ward = Ward::new();
    let report = ward.examine(&[]);
    report.ends(0);
    report.says("ok configuration", &["host service, kubeconfig"], "");
    report.says("ok api-server https://127.0.0.1", &["v1.34.1"], "");
    report.says("ok rights", &["all 8 that are needed are granted"], "");
    report.says("ok nodes", &["1 of 1 kubelets answer, with 1 pods"], "");
    report.says(
        "ok apiservice v1beta1.metrics.k8s.io",
        &["is available", "kube-system/metrics-server:443"],
        "",
    );
    report.says("skipped apiservice v1.metrics.k8s.io", &["optional"], "");
    report.says("ok aggregation", &["usage of 1 nodes"], "");
    report.says("ok certificates of the API server", &["expires in"], "");
    report.says("ok certificates of the kubelet of n1", &["expires in"], "");
    report.says("ok clock of the API server", &[], "");
    report.says("ok clock of n1", &[], "");
    report.says("skipped freshness", &["no toplet answers here"], "");
    assert!(!report.text.contains("failed  "), "{}", report.text);
}

#[test]
fn json_has_stable_names_and_the_same_verdict() {
    let ward = Ward::new();
    let report = ward.examine(&["-o", "json"]);
    report.ends(0);
    assert!(report.text.starts_with("{\"serves\":true,\"findings\":[\n{\"step\":\"configuration\",\"status\":\"ok\",\"subject\":\"\",\"message\":\"host service"), "{}", report.text);
    ward.api.world().denied = vec!["list pods".into()];
    let report = ward.examine(&["--output=json"]);
    report.ends(1);
    let wanted = "{\"step\":\"rights\",\"status\":\"failed\",\"subject\":\"list pods\",\"message\":\"not allowed to our user: no pod is served\",\"remedy\":\"allow \\\"list\\\"";
    assert!(report.text.starts_with("{\"serves\":false,") && report.text.contains(wanted), "{}", report.text);
}

#[test]
fn an_api_server_that_is_down_is_named_and_the_rest_is_skipped() {
    let mut ward = Ward::new();
    ward.api.front.cut();
    let report = ward.examine(&[]);
    report.ends(1);
    report.says("failed api-server https://127.0.0.1", &["connection refused"], "is the API server up");
    report.says("skipped nodes", &["needs the API server"], "");
    report.says("skipped aggregation", &["needs the API server"], "");
}

#[test]
fn an_authority_of_another_cluster_is_named() {
    let ward = Ward::new();
    let arguments = ward.arguments();
    std::fs::write(ward.folder.path().join("ca.crt"), Authority::new("other").pem).unwrap();
    let report = ward.run(&arguments, &[]);
    report.ends(1);
    report.says(
        "failed api-server",
        &["unknown authority"],
        "certificate-authority(-data) of the kubeconfig",
    );
    report.says("ok certificates of the API server", &["expires in"], "");
}

#[test]
fn a_refused_token_is_named() {
    let ward = Ward::new();
    ward.api.world().credential = "another".into();
    let report = ward.examine(&[]);
    report.ends(1);
    report.says("failed api-server", &["401 Unauthorized"], "has it expired");
}

#[test]
fn every_missing_right_is_named_with_what_fails_without_it() {
    let ward = Ward::new();
    let denied = ["watch nodes", "get nodes/metrics", "create subjectaccessreviews", "get configmaps"];
    ward.api.world().denied = denied.map(String::from).to_vec();
    let report = ward.examine(&[]);
    report.ends(1);
    report.says(
        "failed rights watch nodes",
        &["no node is known"],
        "allow \"watch\" on \"nodes\" to our user (RBAC)",
    );
    report.says("warning rights get nodes/metrics", &["not allowed"], "allow \"get\" on \"nodes/metrics\"");
    let group = "\"subjectaccessreviews\" of authorization.k8s.io";
    report.says("failed rights create subjectaccessreviews", &["forwards are refused"], group);
    let map = "kube-system/extension-apiserver-authentication";
    report.says("failed rights get configmaps", &[map], map);
    assert!(!report.text.contains("rights list"), "{}", report.text);
}

#[test]
fn a_kubelet_that_is_down_is_named_and_others_are_counted() {
    let mut ward = Ward::new();
    let second = Kubelet::start_tls(steady(), server_config(&ward.authority.server()));
    ward.api.add_node(Node::new("n2", "127.0.0.1", second.port()));
    ward.kubelet.front.cut();
    let report = ward.examine(&[]);
    report.ends(1);
    report.says(
        "failed nodes n1",
        &["connection refused", "/metrics/resource"],
        "check that the kubelet runs",
    );
    report.says("ok nodes", &["1 of 2 kubelets answer"], "");
}

#[test]
fn a_kubelet_with_a_foreign_certificate_is_named_with_the_flag_to_set() {
    let authority = Authority::new("cluster");
    let (api, foreign) = (authority.server(), Authority::new("node").server());
    let ward = Ward::with(authority, &api, &foreign);
    let report = ward.examine(&[]);
    report.ends(1);
    report.says("failed nodes n1", &["unknown authority"], "--kubelet-certificate-authority");
    report.says("ok certificates of the kubelet of n1", &["expires in"], "");
    let report = ward.examine(&["--kubelet-insecure-tls"]);
    report.ends(0);
    report.says("ok nodes", &["1 of 1 kubelets answer"], "");
}

#[test]
fn a_kubelet_that_refuses_us_is_named_with_what_was_presented() {
    let ward = Ward::new();
    ward.kubelet.set(Behaviour::Status(401));
    let report = ward.examine(&[]);
    report.ends(1);
    report.says("failed nodes n1", &["401 Unauthorized"], "a token was presented");
    ward.kubelet.set(Behaviour::Status(403));
    let report = ward.examine(&[]);
    report.ends(1);
    report.says("failed nodes n1", &["403 Forbidden"], "allow \"get\" on \"nodes/metrics\"");
    // A refusal shows certificate and clock all the same.
    report.says("ok clock of n1", &[], "");
}

#[test]
fn a_node_that_asks_for_the_api_servers_way_is_asked_there_and_the_missing_right_is_named() {
    let ward = Ward::new();
    let mut far = Node::new("n2", "127.0.0.1", free_port());
    far.annotations = vec![("toplet.io/kubelet-via".into(), "apiserver".into())];
    ward.api.add_node(far);
    let report = ward.examine(&[]);
    report.ends(1);
    report.says(
        "failed nodes n2",
        &["403 Forbidden", "/api/v1/nodes/n2/proxy/"],
        "\"get\" on \"nodes/proxy\"",
    );
    ward.api.world().proxied = vec![("n2".into(), vec![container("default", "web-2", "main", 150, 20)])];
    ward.document(THROUGH, 200, r#"{"kind":"NodeMetricsList","items":[]}"#);
    // Whatever kubelets' certificates are worth, the API server's is verified.
    let report = ward.examine(&["--kubelet-insecure-tls"]);
    report.ends(0);
    report.says("ok nodes", &["2 of 2 kubelets answer"], "");
    std::fs::write(ward.folder.path().join("kubelet-ca.crt"), Authority::new("others").pem).unwrap();
    let report = ward.examine(&["--kubelet-certificate-authority=kubelet-ca.crt"]);
    report.says("failed nodes n1", &["unknown authority"], "--kubelet-certificate-authority");
    report.says("ok nodes", &["1 of 2 kubelets answer"], "");
}

#[test]
fn an_empty_body_and_one_that_is_no_exposition_are_named() {
    let ward = Ward::new();
    ward.kubelet.set(Behaviour::Body(Vec::new()));
    let report = ward.examine(&[]);
    report.ends(1);
    report.says("failed nodes n1", &["the answer is empty"], "the kubelet has no samples");
    ward.kubelet.set(Behaviour::Body(b"<html>".to_vec()));
    let report = ward.examine(&[]);
    report.ends(1);
    report.says("failed nodes n1", &["no sample of a node", "<html>"], "point at its kubelet");
}

#[test]
fn a_missing_registration_is_named() {
    let ward = Ward::new();
    let not_found = r#"{"kind":"Status","message":"not found","code":404}"#;
    ward.document(API_SERVICE, 404, not_found);
    ward.document(THROUGH, 404, "404 page not found");
    let report = ward.examine(&[]);
    report.ends(1);
    report.says("failed apiservice v1beta1", &["is missing"], "apply configs/deployment.yaml");
    report.says("failed aggregation", &["404 Not Found"], "register the metrics API");
}

#[test]
fn an_unavailable_registration_is_explained_by_its_own_message() {
    let ward = Ward::new();
    let endpoints = "endpoints for service/metrics-server have no addresses";
    for (reason, message, remedy) in [
        ("MissingEndpoints", endpoints, "no ready toplet is behind the Service"),
        ("FailedDiscoveryCheck", "tls: failed to verify certificate: x509: unknown authority", "caBundle"),
        ("FailedDiscoveryCheck", "dial tcp 10.0.0.9:443: connect: connection refused", "--secure-port"),
        ("FailedDiscoveryCheck", "context deadline exceeded", "firewall"),
    ] {
        ward.document(API_SERVICE, 200, &registration("False", reason, message));
        let status =
            format!(r#"{{"kind":"Status","message":"error trying to reach service: {message}","code":503}}"#);
        ward.document(THROUGH, 503, &status);
        let report = ward.examine(&[]);
        report.ends(1);
        let where_to = "points to kube-system/metrics-server:443";
        report.says("failed apiservice v1beta1", &[where_to, reason, message], remedy);
        report.says("failed aggregation", &["503", message], remedy);
    }
}

#[test]
fn what_may_not_be_looked_at_is_skipped_with_the_right_to_grant() {
    let ward = Ward::new();
    let forbidden = r#"{"kind":"Status","message":"nodes is forbidden","code":403}"#;
    ward.document(API_SERVICE, 403, forbidden);
    ward.document(THROUGH, 403, forbidden);
    let report = ward.examine(&[]);
    report.ends(0);
    report.says("skipped apiservice v1beta1", &["403"], "\"get\" on \"apiservices\"");
    report.says("skipped aggregation", &["nodes is forbidden"], "system:aggregated-metrics-reader");
}

#[test]
fn nodes_that_are_not_served_are_named() {
    let ward = Ward::new();
    ward.document(THROUGH, 200, r#"{"kind":"NodeMetricsList","items":[]}"#);
    let report = ward.examine(&[]);
    report.ends(0);
    report.says("warning aggregation", &["1 of 1 nodes are not served, n1"], "wait for their second sample");
}

#[test]
fn clocks_that_are_an_hour_off_are_named() {
    let ward = Ward::new();
    ward.api.world().clock_ahead = 3_600;
    ward.kubelet.clock_ahead.store(-3_600, Ordering::SeqCst);
    let report = ward.examine(&[]);
    report.ends(0);
    let seconds = |line: &str| line.split(' ').find_map(|word| word.parse::<i64>().ok()).unwrap();
    for (whose, how) in [("of the API server", "ahead of ours"), ("of n1", "behind ours")] {
        report.says(&format!("warning clock {whose}"), &[how], "NTP");
        let line = report.text.lines().find(|line| line.contains(&format!("clock {whose}"))).unwrap();
        assert!((3_590..=3_610).contains(&seconds(line)), "{line}");
    }
}

#[test]
fn certificates_that_end_soon_or_have_ended_are_named() {
    let authority = Authority::new("cluster");
    let (soon, over) = (authority.server_for_days(20), authority.server_for_days(-2));
    let ward = Ward::with(authority, &soon, &over);
    let (ours, _) = ward.authority.server_for_days(5).write(ward.folder.path(), "ours");
    let key = ours.with_extension("key");
    let pair =
        [format!("--tls-cert-file={}", ours.display()), format!("--tls-private-key-file={}", key.display())];
    let report = ward.examine(&[&pair[0], &pair[1]]);
    report.ends(1);
    report.says("warning certificates of the API server", &["expires in"], "renew the API server's");
    report.says("failed certificates of the kubelet of n1", &["has expired"], "renew the kubelet's");
    report.says(
        "warning certificates that we serve with",
        &["expires in"],
        "renew the files of --tls-cert-file",
    );
    report.says(
        "failed nodes n1",
        &["the certificate has expired"],
        "renew the kubelet's serving certificate",
    );
}

#[test]
fn our_own_client_certificate_is_dated_from_the_kubeconfig() {
    let ward = Ward::new();
    let with_days = |days: i64| {
        ward.authority.client_for_days("toplet", days).write(ward.folder.path(), "client");
        let user = "{token: abc, client-certificate: client.crt, client-key: client.key}";
        let arguments = ward.arguments();
        ward.api.kubeconfig(ward.folder.path(), user);
        ward.run(&arguments, &[])
    };
    let report = with_days(30);
    report.ends(0);
    report.says("ok certificates of our client certificate", &["expires in 30 days"], "");
    let report = with_days(29);
    report.ends(0);
    let whose = "warning certificates of our client certificate";
    report.says(whose, &["expires in 29 days"], "renew the client certificate");
    with_days(-1).says(
        "failed certificates of our client certificate",
        &["has expired"],
        "renew the client certificate",
    );
}

#[test]
fn a_file_that_cannot_be_used_is_the_configuration_step() {
    let ward = Ward::new();
    let report = ward.examine(&["--kubelet-certificate-authority=/nowhere/ca.crt"]);
    report.ends(1);
    report.says("failed configuration --kubelet-certificate-authority", &["/nowhere/ca.crt"], "name a file");
    report.says("skipped nodes", &["the configuration must be mended first"], "");
}

#[test]
fn flags_that_cannot_be_used_end_with_two() {
    let ward = Ward::new();
    let report = ward.examine(&["--metric-resolutoin=15s"]);
    report.ends(2);
    assert!(report.text.contains("did you mean --metric-resolution?"), "{}", report.text);
    ward.examine(&["-o", "yaml"]).ends(2);
    let output = command().args(["check", "-o", "json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn many_broken_nodes_are_listed_up_to_a_bound() {
    let ward = Ward::new();
    for at in 0..30 {
        ward.api.add_node(Node::new(&format!("dead-{at}"), "127.0.0.1", free_port()));
    }
    let report = ward.examine(&[]);
    report.ends(1);
    let listed = report.text.matches("failed   nodes dead-").count();
    assert_eq!(listed, 20, "{}", report.text);
    report.says("failed nodes", &["10 more nodes have such problems"], "mend the ones above");
    report.says("ok nodes", &["1 of 31 kubelets answer"], "");
}

#[test]
fn one_machine_is_read_and_the_toplet_that_runs_there_is_asked() {
    let folder = Folder::new();
    let toplet = crate::support::toplet::Toplet::start(&folder, &["--host-only"]);
    toplet.body("/readyz");
    let port = format!("--secure-port={}", toplet.port);
    let output = command().args(["doctor", "--host-only", &port]).output().unwrap();
    let report = Report { code: output.status.code(), text: String::from_utf8(output.stdout).unwrap() };
    report.ends(0);
    report.says("ok configuration", &["host-only, this machine"], "");
    report.says("ok machine", &["CPU and memory of the machine can be read"], "");
    report.says("ok freshness 127.0.0.1", &["is ready"], "");
    report.says("ok certificates that we serve with", &["expires in"], "");
}
