use crate::cli::*;
use std::path::PathBuf;
use std::time::Duration;

fn pod() -> Surroundings {
    Surroundings {
        service_host: Some("10.96.0.1".to_owned()),
        service_port: Some("443".to_owned()),
        token: Presence::Readable,
        ..Surroundings::default()
    }
}

fn parse_in(around: &Surroundings, args: &[&str]) -> Result<Config, StartError> {
    let args = std::iter::once("toplet").chain(args.iter().copied()).map(std::ffi::OsString::from);
    match parse(args, around)? {
        Command::Run(config) => Ok(*config),
        other => panic!("not a run: {other:?}"),
    }
}

fn in_pod(args: &[&str]) -> Config {
    parse_in(&pod(), args).unwrap_or_else(|error| panic!("{error}"))
}

fn bare(args: &[&str]) -> Result<Config, StartError> {
    parse_in(&Surroundings::default(), args)
}

fn error(args: &[&str]) -> String {
    parse_in(&pod(), args).unwrap_err().to_string()
}

/// How many of the kubelet rules and resolution rules are broken.
fn broken_rules(args: &[&str]) -> usize {
    let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
    let settled = crate::cli::argv::settle(&args, &|_| unreachable!()).unwrap();
    let args = crate::cli::args::typed(&settled).unwrap();
    let rules = crate::cli::rules::Rules { args: &args, settled: &settled };
    rules.kubelet().len() + rules.resolution().len()
}

const CA: &str = "--kubelet-certificate-authority=a";
const CERTIFICATE: &str = "--kubelet-client-certificate=c";
const KEY: &str = "--kubelet-client-key=k";
const ANY: &str = "--kubelet-insecure-tls";
const PLAIN: &str = "--deprecated-kubelet-completely-insecure";

#[test]
fn h1_defaults() {
    let config = in_pod(&[]);
    let kubelet = &config.kubelet;
    assert_eq!((kubelet.port, kubelet.use_node_status_port), (10250, false));
    assert_eq!(kubelet.address_types, ["Hostname", "InternalDNS", "InternalIP", "ExternalDNS", "ExternalIP"]);
    assert_eq!(kubelet.trust, KubeletTrust::ApiServerCa);
    assert_eq!(kubelet.client_pair, None);
    assert_eq!(kubelet.request_timeout, Duration::from_secs(10));
    assert_eq!(config.resolution, Duration::from_secs(15));
    assert_eq!(config.listen.to_string(), "0.0.0.0:443");
    assert_eq!(config.authorization.always_allow_paths, ["/healthz", "/readyz", "/livez"]);
    assert_eq!(config.authentication.request_header.username_headers, ["x-remote-user"]);
    assert_eq!(config.authentication.request_header.uid_headers, [""; 0]);
    assert_eq!(
        config.serving.certificate,
        Certificate::Directory(PathBuf::from("apiserver.local.config/certificates"))
    );
    assert_eq!(config.warnings, [""; 0]);
}

#[test]
fn h2_insecure_tls_takes_any_certificate() {
    assert_eq!(in_pod(&[ANY]).kubelet.trust, KubeletTrust::AnyCertificate);
}

#[test]
fn h3_certificate_authority_replaces_the_api_servers() {
    assert_eq!(in_pod(&[CA]).kubelet.trust, KubeletTrust::CaFile(PathBuf::from("a")));
}

#[test]
fn h4_completely_insecure_is_plain_http() {
    assert_eq!(in_pod(&[PLAIN]).kubelet.trust, KubeletTrust::PlainHttp);
}

#[test]
fn h5_h6_client_certificate_and_key_replace_the_api_servers() {
    let pair = in_pod(&[CERTIFICATE, KEY]).kubelet.client_pair;
    assert_eq!(pair, Some((PathBuf::from("c"), PathBuf::from("k"))));
}

#[test]
fn h7_to_h18_count_of_broken_kubelet_rules() {
    for (args, count) in [
        (&[][..], 0),
        (&[CA, PLAIN], 1),
        (&[CA, ANY], 1),
        (&[CERTIFICATE, KEY], 0),
        (&[CERTIFICATE, PLAIN], 2),
        (&[KEY, PLAIN], 2),
        (&[ANY, PLAIN], 1),
        (&[CERTIFICATE], 1),
        (&[KEY], 1),
        (&["--kubelet-request-timeout=1s"], 0),
        (&["--kubelet-request-timeout=0s"], 1),
        (&["--kubelet-request-timeout=-10s"], 1),
    ] {
        assert_eq!(broken_rules(args), count, "{args:?}");
    }
}

#[test]
fn h19_nine_tenths_of_the_resolution_may_equal_the_timeout() {
    assert_eq!(broken_rules(&["--metric-resolution=10s", "--kubelet-request-timeout=9s"]), 0);
}

#[test]
fn h20_nine_tenths_of_the_resolution_may_not_be_less_than_the_timeout() {
    assert_eq!(broken_rules(&["--metric-resolution=10s", "--kubelet-request-timeout=10s"]), 1);
    assert_eq!(broken_rules(&["--metric-resolution=9.999s", "--kubelet-request-timeout=1s"]), 1);
    assert_eq!(
        error(&["--metric-resolution=5s"]),
        "--metric-resolution: must be at least 10s; 15s is what Kubernetes deploys"
    );
}

#[test]
fn the_first_broken_rule_in_upstreams_order_is_the_error() {
    assert_eq!(
        error(&[ANY, CA, KEY, "--metric-resolution=1s"]),
        "--kubelet-certificate-authority: cannot be used together with --kubelet-insecure-tls; leave one of them out"
    );
    assert!(error(&["--metric-resolution=1s", "--logging-format=xml"]).starts_with("--metric-resolution"));
    assert!(error(&["--logging-format=xml", "--request-timeout=0s"]).starts_with("--logging-format"));
}

#[test]
fn k48_the_argument_lists_that_are_deployed_start_unchanged() {
    let kustomize = [
        "--cert-dir=/tmp",
        "--secure-port=10250",
        "--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname",
        "--kubelet-use-node-status-port",
        "--metric-resolution=15s",
    ];
    let k3s_ciphers = "--tls-cipher-suites=TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,\
        TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,\
        TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305,TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305";
    let helm = [
        "--authorization-always-allow-paths=/metrics",
        "--tls-cert-file=/tmp/tls-certs/tls.crt",
        "--tls-private-key-file=/tmp/tls-certs/tls.key",
    ];
    let overlay = ["--kubelet-insecure-tls", "--v=4", "--node-selector=metrics-server-skip!=true"];
    for extra in [&[][..], &overlay, &helm, &[k3s_ciphers], &["--cert-dir", "/tmp"]] {
        let config = in_pod(&[&kustomize[..], extra].concat());
        assert_eq!(config.listen.to_string(), "0.0.0.0:10250");
        assert_eq!(config.resolution, Duration::from_secs(15));
        assert!(config.kubelet.use_node_status_port);
        assert_eq!(config.kubelet.address_types, ["InternalIP", "ExternalIP", "Hostname"]);
        assert_eq!(config.warnings, [""; 0], "{extra:?}");
    }
    assert_eq!(in_pod(&overlay).kubelet.node_selector, "metrics-server-skip!=true");
    assert_eq!(in_pod(&overlay).log, Log { verbosity: 4, json: false });
    assert_eq!(in_pod(&helm).authorization.always_allow_paths, ["/metrics"]);
    assert_eq!(in_pod(&[k3s_ciphers]).serving.tls.cipher_suites.len(), 6);
}

#[test]
fn flags_without_effect_are_named_in_one_warning() {
    let config = in_pod(&[
        "--audit-log-path=-",
        "--profiling=false",
        "--contention-profiling=false",
        "--goaway-chance=0",
    ]);
    assert_eq!(
        config.warnings,
        ["flags accepted without effect (toplet --help says why): --audit-log-path, --profiling"]
    );
    assert!(error(&["--audit-log-maxage=x"]).contains("`x` is not a whole number"));
}

#[test]
fn a_bare_toplet_listens_on_loopback_and_leaves_nothing_behind() {
    let config = bare(&[]).unwrap();
    assert_eq!(config.mode, Mode::HostOnly);
    assert_eq!(config.listen.to_string(), "127.0.0.1:4443");
    assert_eq!(config.serving.certificate, Certificate::Ephemeral);
    assert_eq!(config.authentication.kubeconfig, None);
}

#[test]
fn host_only_beyond_loopback_needs_a_client_ca() {
    for address in ["0.0.0.0", "::", "192.0.2.7"] {
        let flag = format!("--bind-address={address}");
        let error = bare(&[&flag]).unwrap_err().to_string();
        assert!(error.contains("is not a loopback address") && error.contains("--client-ca-file"), "{error}");
        assert_eq!(bare(&[&flag, "--client-ca-file=/ca"]).unwrap().listen.port(), 4443);
    }
    for address in ["127.0.0.2", "::1"] {
        assert!(bare(&[&format!("--bind-address={address}")]).is_ok());
    }
    assert_eq!(bare(&["--secure-port=8443"]).unwrap().listen.to_string(), "127.0.0.1:8443");
    assert_eq!(in_pod(&["--bind-address=::"]).listen.to_string(), "[::]:443");
}

#[test]
fn a_port_of_zero_is_an_error_with_a_reason() {
    assert_eq!(
        error(&["--secure-port=0"]),
        "--secure-port: 0 would serve nothing; give the port to serve on, or leave the flag out"
    );
    assert!(error(&["--kubelet-port=0"]).starts_with("--kubelet-port: 0 is no port"));
}

#[test]
fn one_kubeconfig_serves_all_three_clients_unless_others_are_given() {
    let config = bare(&["--kubeconfig=/k"]).unwrap();
    assert_eq!(config.listen.to_string(), "0.0.0.0:443");
    let expected = Some(PathBuf::from("/k"));
    assert_eq!(
        (config.authentication.kubeconfig, config.authorization.kubeconfig),
        (expected.clone(), expected)
    );
    let config =
        bare(&["--kubeconfig=/k", "--authentication-kubeconfig=/n", "--authorization-kubeconfig=/z"])
            .unwrap();
    assert_eq!(config.authentication.kubeconfig, Some(PathBuf::from("/n")));
    assert_eq!(config.authorization.kubeconfig, Some(PathBuf::from("/z")));
}

#[test]
fn certificates_come_from_files_then_directory_then_state() {
    let files = ["--tls-cert-file=/c", "--tls-private-key-file=/k", "--cert-dir=/d"];
    assert!(matches!(in_pod(&files).serving.certificate, Certificate::Files { .. }));
    assert!(error(&["--tls-cert-file=/c"]).contains("needs --tls-private-key-file"));
    assert!(error(&["--tls-private-key-file=/c"]).contains("needs --tls-cert-file"));
    let around = Surroundings { state_directory: Some("/var/lib/toplet:/x".to_owned()), ..pod() };
    let directory = |path: &str| Certificate::Directory(PathBuf::from(path));
    assert_eq!(parse_in(&around, &[]).unwrap().serving.certificate, directory("/var/lib/toplet"));
    assert_eq!(parse_in(&around, &["--cert-dir=/d"]).unwrap().serving.certificate, directory("/d"));
    assert_eq!(parse_in(&around, &["--state-dir=/s"]).unwrap().serving.certificate, directory("/s"));
    assert_eq!(bare(&["--cert-dir=/d"]).unwrap().serving.certificate, directory("/d"));
}

#[test]
fn a_scrape_longer_than_the_default_resolution_allows_takes_the_references_default() {
    assert_eq!(in_pod(&["--kubelet-request-timeout=30s"]).resolution, Duration::from_secs(60));
    assert_eq!(in_pod(&["--kubelet-request-timeout=13s"]).resolution, Duration::from_secs(15));
    assert!(error(&["--kubelet-request-timeout=55s"]).contains("nine tenths"));
    assert!(error(&["--kubelet-request-timeout=30s", "--metric-resolution=15s"]).contains("nine tenths"));
}

#[test]
fn certificates_by_server_name() {
    let config = in_pod(&["--tls-sni-cert-key=a.crt,a.key", "--tls-sni-cert-key=b.crt,b.key:*.b.com,b.com"]);
    assert_eq!(config.serving.sni.len(), 2);
    assert_eq!(config.serving.sni[1].names, ["*.b.com", "b.com"]);
    assert_eq!(config.serving.sni[0].key, PathBuf::from("a.key"));
    let settings = config.serving.certificates(vec!["n".to_owned()]);
    let pairs = ["a.crt,a.key", "b.crt,b.key:*.b.com,b.com"]
        .map(|value| crate::net::certificate::SniCertificate::parse(value).unwrap());
    assert_eq!(settings.sni, pairs);
    assert_eq!((settings.cert_file, settings.names), (PathBuf::new(), vec!["n".to_owned()]));
    assert!(
        error(&["--tls-sni-cert-key=a.crt"]).contains("is not a certificate file, a comma and a key file")
    );
}

#[test]
fn capacities_have_defaults_and_may_not_be_zero() {
    use crate::limits;
    let capacity = in_pod(&[]).capacity;
    assert_eq!(
        (capacity.nodes, capacity.pods, capacity.containers),
        (limits::NODES_DEFAULT, limits::PODS_DEFAULT, limits::CONTAINERS_DEFAULT)
    );
    assert_eq!(in_pod(&[]).max_connections as usize, limits::CONNECTIONS_MAX);
    assert_eq!(in_pod(&[]).max_requests as usize, limits::REQUESTS_MAX);
    assert!(error(&["--max-pods=0"]).starts_with("--max-pods: must be at least 1"));
}

#[test]
fn an_unknown_command_is_an_error() {
    assert!(error(&["chekc"]).starts_with("chekc: this is no command"));
    assert!(error(&["check", "now"]).contains("now"));
}

#[test]
fn selectors_and_tls_settings_are_judged_at_the_start() {
    assert!(error(&["--node-selector=a in ("]).starts_with("--node-selector: "));
    assert_eq!(in_pod(&["--node-selector= a=b "]).kubelet.node_selector, "a=b");
    assert!(error(&["--tls-min-version=VersionTLS99"]).starts_with("--tls-min-version: unknown version"));
    assert!(error(&["--tls-cipher-suites=NULL"]).starts_with("--tls-cipher-suites: unknown cipher suite"));
    let weak =
        in_pod(&["--tls-cipher-suites=TLS_RSA_WITH_AES_128_CBC_SHA", "--tls-min-version=VersionTLS13"]);
    assert_eq!(weak.serving.tls.min_version, crate::net::tls::MinVersion::Tls13);
}

#[test]
fn always_allowed_paths_end_with_their_star() {
    let text = error(&["--authorization-always-allow-paths=/healthz,/me*trics"]);
    assert!(
        text.starts_with("--authorization-always-allow-paths: only trailing * allowed in \"/me*trics\""),
        "{text}"
    );
    assert!(bare(&["--authorization-always-allow-paths=/metrics*"]).is_ok());
}
