use super::*;
use crate::access;
use crate::cluster::client::KubeletFlags;
use crate::net::certificate::CertificateOrigin;
use crate::net::tls::MinVersion;
use crate::wire::selector::LabelSelector;
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

fn certificate_directory(config: &Config) -> Option<&str> {
    match &config.certificates.origin {
        CertificateOrigin::Directory(directory) => directory.to_str(),
        CertificateOrigin::Files(..) | CertificateOrigin::Memory => None,
    }
}

/// How many of the kubelet rules and resolution rules are broken.
fn broken_rules(args: &[&str]) -> usize {
    let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
    let mut settled = argv::settle(&args, flags::FLAGS, &|_| unreachable!()).unwrap();
    effective::resolution(&mut settled).unwrap();
    rules::kubelet(&settled).unwrap().len() + rules::resolution(&settled).unwrap().len()
}

const CA: &str = "--kubelet-certificate-authority=a";
const CERTIFICATE: &str = "--kubelet-client-certificate=c";
const KEY: &str = "--kubelet-client-key=k";
const ANY: &str = "--kubelet-insecure-tls";
const PLAIN: &str = "--deprecated-kubelet-completely-insecure";

#[test]
fn h1_defaults() {
    let config = in_pod(&[]);
    let addresses = &config.kubelet_addresses;
    assert_eq!((addresses.https, addresses.port, addresses.use_status_port), (true, 10250, false));
    let types = ["Hostname", "InternalDNS", "InternalIP", "ExternalDNS", "ExternalIP"];
    assert_eq!(addresses.preferred_types, types);
    assert_eq!(config.kubelet_credentials, KubeletFlags::default());
    assert_eq!(config.kubelet_timeout, Duration::from_secs(10));
    assert!(!config.kubelet_gzip);
    assert_eq!(config.resolution, Duration::from_secs(15));
    assert_eq!(config.listen.to_string(), "0.0.0.0:443");
    assert_eq!(config.policy.always_allow_paths, ["/healthz", "/readyz", "/livez"]);
    assert_eq!(config.trust.front_proxy.username_headers, ["x-remote-user"]);
    assert_eq!(config.trust.front_proxy.uid_headers, [""; 0]);
    assert_eq!(certificate_directory(&config), Some("apiserver.local.config/certificates"));
    assert_eq!(config.warnings, [""; 0]);
}

#[test]
fn h2_insecure_tls_takes_any_certificate() {
    assert!(in_pod(&[ANY]).kubelet_credentials.insecure_tls);
}

#[test]
fn h3_certificate_authority_replaces_the_api_servers() {
    assert_eq!(in_pod(&[CA]).kubelet_credentials.certificate_authority, Some(PathBuf::from("a")));
}

#[test]
fn h4_completely_insecure_is_plain_http() {
    let config = in_pod(&[PLAIN]);
    assert!(config.kubelet_credentials.completely_insecure && !config.kubelet_addresses.https);
}

#[test]
fn h5_h6_client_certificate_and_key_replace_the_api_servers() {
    let pair = in_pod(&[CERTIFICATE, KEY]).kubelet_credentials.pair;
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
fn the_first_broken_rule_in_metrics_servers_order_is_the_error() {
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
        assert!(config.kubelet_addresses.use_status_port);
        assert_eq!(config.kubelet_addresses.preferred_types, ["InternalIP", "ExternalIP", "Hostname"]);
        assert_eq!(config.warnings, [""; 0], "{extra:?}");
    }
    assert_eq!(in_pod(&overlay).node_selector, LabelSelector::parse("metrics-server-skip!=true").unwrap());
    assert_eq!((in_pod(&overlay).log_verbosity, in_pod(&overlay).log_json), (4, false));
    assert_eq!(in_pod(&helm).policy.always_allow_paths, ["/metrics"]);
    assert_eq!(in_pod(&[k3s_ciphers]).tls.cipher_suites.len(), 6);
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
    assert_eq!(config.mode, RunMode::HostOnly);
    assert_eq!(config.listen.to_string(), "127.0.0.1:4443");
    assert_eq!(certificate_directory(&config), None);
    assert_eq!(config.policy.mode, access::Mode::HostAnonymous);
    assert_eq!(config.authentication_kubeconfig, None);
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
        "--secure-port: invalid port 0; give the port to serve on, or leave the flag out"
    );
    assert!(error(&["--kubelet-port=0"]).starts_with("--kubelet-port: invalid port 0"));
}

#[test]
fn one_kubeconfig_serves_all_three_clients_unless_others_are_given() {
    let config = bare(&["--kubeconfig=/k"]).unwrap();
    assert_eq!(config.listen.to_string(), "0.0.0.0:443");
    let expected = Some(PathBuf::from("/k"));
    assert_eq!(
        (config.authentication_kubeconfig, config.authorization_kubeconfig),
        (expected.clone(), expected)
    );
    let config =
        bare(&["--kubeconfig=/k", "--authentication-kubeconfig=/n", "--authorization-kubeconfig=/z"])
            .unwrap();
    assert_eq!(config.authentication_kubeconfig, Some(PathBuf::from("/n")));
    assert_eq!(config.authorization_kubeconfig, Some(PathBuf::from("/z")));
}

#[test]
fn certificates_come_from_files_then_directory_then_state() {
    let files = ["--tls-cert-file=/c", "--tls-private-key-file=/k", "--cert-dir=/d"];
    let config = in_pod(&files);
    assert_eq!(config.certificates.origin, CertificateOrigin::Files("/c".into(), "/k".into()));
    assert_eq!(certificate_directory(&config), None);
    assert!(error(&["--tls-cert-file=/c"]).contains("needs --tls-private-key-file"));
    assert!(error(&["--tls-private-key-file=/c"]).contains("needs --tls-cert-file"));
    let around = Surroundings { state_directory: Some("/var/lib/toplet:/x".to_owned()), ..pod() };
    for (args, directory) in [
        (&[][..], Some("/var/lib/toplet")),
        (&["--cert-dir=/d"], Some("/d")),
        (&["--cert-dir="], None),
        (&["--state-dir=/s"], Some("/s")),
    ] {
        assert_eq!(certificate_directory(&parse_in(&around, args).unwrap()), directory, "{args:?}");
    }
    assert_eq!(certificate_directory(&bare(&["--cert-dir=/d"]).unwrap()), Some("/d"));
}

#[test]
fn a_scrape_longer_than_the_default_resolution_allows_takes_metrics_servers_default() {
    assert_eq!(in_pod(&["--kubelet-request-timeout=30s"]).resolution, Duration::from_secs(60));
    assert_eq!(in_pod(&["--kubelet-request-timeout=13s"]).resolution, Duration::from_secs(15));
    assert!(error(&["--kubelet-request-timeout=55s"]).contains("must be at most 90 %"));
    assert!(
        error(&["--kubelet-request-timeout=30s", "--metric-resolution=15s"]).contains("must be at most 90 %")
    );
}

#[test]
fn certificates_by_server_name() {
    let config = in_pod(&["--tls-sni-cert-key=a.crt,a.key", "--tls-sni-cert-key=b.crt,b.key:*.b.com,b.com"]);
    assert_eq!(config.certificates.sni.len(), 2);
    assert_eq!(config.certificates.sni[1].names, ["*.b.com", "b.com"]);
    assert_eq!(config.certificates.sni[0].key, PathBuf::from("a.key"));
    assert!(
        error(&["--tls-sni-cert-key=a.crt"]).contains("is not a certificate file, a comma and a key file")
    );
}

#[test]
fn capacities_may_not_be_zero_or_absurd() {
    for name in ["max-nodes", "max-pods", "max-containers", "max-connections"] {
        assert!(error(&[&format!("--{name}=0")]).starts_with(&format!("--{name}: must be at least 1")));
    }
    assert!(error(&["--max-nodes=1000000000"]).starts_with("--max-nodes: 1000000000 is more than"));
}

#[test]
fn a_stopping_pod_serves_until_its_service_leads_elsewhere() {
    assert_eq!(in_pod(&[]).shutdown_delay, Duration::from_secs(2));
    assert_eq!(in_pod(&["--shutdown-delay-duration=0s"]).shutdown_delay, Duration::ZERO);
    assert_eq!(bare(&[]).unwrap().shutdown_delay, Duration::ZERO);
}

#[test]
fn a_history_is_counted_in_samples() {
    assert_eq!(in_pod(&[]).history_samples, 60);
    assert_eq!(in_pod(&["--history=0s"]).history_samples, 0);
    assert_eq!(in_pod(&["--history=1m", "--metric-resolution=25s"]).history_samples, 3);
    for flag in ["--history", "--grace-period", "--shutdown-delay-duration"] {
        let said = error(&[&format!("{flag}=-1s")]);
        assert!(said.starts_with(&format!("{flag}: must not be negative")), "{said}");
    }
    let long = error(&["--history=24h"]);
    assert!(long.starts_with("--history: 5760 samples of each container, 1440 are the most"), "{long}");
}

#[test]
fn an_unknown_command_is_an_error() {
    assert!(error(&["chekc"]).starts_with("chekc: unknown command"));
    assert!(error(&["check", "now"]).contains("now"));
}

#[test]
fn a_manifest_has_a_kind_and_the_hosts_an_address_of_a_node() {
    let manifest = |args: &[&str]| {
        let args = ["toplet", "manifest"].iter().chain(args).map(OsString::from);
        match parse(args, &Surroundings::default()) {
            Ok(Command::Manifest(options)) => Ok(options),
            Ok(other) => panic!("not a manifest: {other:?}"),
            Err(error) => Err(error.to_string()),
        }
    };
    let kinds = "give one of deployment, static-pod, host, rbac, doctor-rbac";
    assert_eq!(manifest(&[]), Err(format!("manifest: names no kind of manifest; {kinds}")));
    assert_eq!(manifest(&["pod"]), Err(format!("manifest pod: unknown kind of manifest; {kinds}")));
    assert_eq!(
        manifest(&["host", "rbac"]),
        Err("rbac: unexpected argument; the commands are: toplet check, toplet doctor, toplet manifest, toplet setup, toplet top, toplet completion"
            .into())
    );
    let rbac = ManifestOptions { kind: ManifestKind::Rbac, address: None, replicas: 1 };
    assert_eq!(manifest(&["rbac"]), Ok(rbac));
    let host = ManifestOptions { kind: ManifestKind::Host, address: "10.0.0.5".parse().ok(), replicas: 1 };
    assert_eq!(manifest(&["host", "--advertise-address=10.0.0.5"]), Ok(host));
    let pair = ManifestOptions { kind: ManifestKind::Deployment, replicas: 2, ..rbac };
    assert_eq!(manifest(&["deployment", "--replicas=2"]), Ok(pair));
    for (args, problem) in [
        (["deployment", "--replicas=11"], "give 0 to 10"),
        (["deployment", "--replicas=-1"], "--replicas"),
        (["host", "--replicas=2"], "of toplet manifest deployment alone"),
    ] {
        let error = manifest(&args).unwrap_err();
        assert!(error.contains(problem), "{error}");
    }
    assert!(error(&["--replicas=2"]).contains("of toplet manifest alone"));
    for bad in ["127.0.0.1", "0.0.0.0", "::1", "::", "224.0.0.1"] {
        let error = manifest(&["host", &format!("--advertise-address={bad}")]).unwrap_err();
        assert!(
            error.starts_with("--advertise-address: ") && error.contains("not an address of a node"),
            "{error}"
        );
    }
    assert!(manifest(&["deployment", "--advertise-address=10.0.0.5"]).unwrap_err().contains("alone"));
    assert!(in_pod(&["--advertise-address=10.0.0.5"]).warnings[0].contains("no effect on a server"));
}

#[test]
fn setup_takes_its_own_flags_and_leaves_the_servers_to_the_file() {
    let setup = |args: &[&str]| {
        let args = ["toplet", "setup"].iter().chain(args).map(OsString::from);
        match parse(args, &Surroundings::default()) {
            Ok(Command::Setup(options)) => Ok(options),
            Ok(other) => panic!("not a setup: {other:?}"),
            Err(error) => Err(error.to_string()),
        }
    };
    for flag in ["--secure-port=1", "--config=/dev/null", "--host-only"] {
        let error = setup(&[flag]).unwrap_err();
        assert!(error.contains("is a flag of the server; write it into /etc/toplet/toplet.conf"), "{error}");
    }
    assert!(setup(&["--undo", "--replace"]).unwrap_err().starts_with("--undo: cannot be used together"));
    assert!(setup(&["--advertise-address=127.0.0.1"]).is_err());
    let options = setup(&[]).unwrap();
    assert!(options.start && !options.replace && !options.undo && !options.dry_run);
    assert_eq!((options.root, options.kubeconfig), (PathBuf::from("/"), None));
    assert!(!setup(&["--no-start"]).unwrap().start);
    for flag in ["--undo", "--replace", "--dry-run", "--no-start", "--root=/x"] {
        assert!(error(&[flag]).ends_with(": is of toplet setup alone; leave it out"), "{flag}");
        assert!(error(&["doctor", flag]).contains("is of toplet setup alone"), "{flag}");
    }
}

#[test]
fn selectors_and_tls_settings_are_validated_at_the_start() {
    assert!(error(&["--node-selector=a in ("]).starts_with("--node-selector: "));
    assert_eq!(in_pod(&["--node-selector= a=b "]).node_selector, LabelSelector::parse("a=b").unwrap());
    assert!(error(&["--tls-min-version=VersionTLS99"]).starts_with("--tls-min-version: unknown version"));
    assert!(error(&["--tls-cipher-suites=NULL"]).starts_with("--tls-cipher-suites: unknown cipher suite"));
    let weak =
        in_pod(&["--tls-cipher-suites=TLS_RSA_WITH_AES_128_CBC_SHA", "--tls-min-version=VersionTLS13"]);
    assert_eq!(weak.tls.min_version, MinVersion::Tls13);
    assert_eq!(weak.warnings.len(), 1, "{:?}", weak.warnings);
    assert!(weak.warnings[0].contains("TLS_RSA_WITH_AES_128_CBC_SHA is insecure and not offered"));
    let old = in_pod(&["--tls-min-version=VersionTLS11"]);
    assert!(old.warnings[0].starts_with("--tls-min-version=VersionTLS11: the oldest version that is served"));
    assert_eq!(in_pod(&["--tls-min-version=VersionTLS12"]).warnings, Vec::<String>::new());
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

#[test]
fn stray_words_are_warned_about_and_start() {
    for (args, stray) in [
        (&["/metrics-server", "--v=1"][..], "`/metrics-server`"),
        (&["--kubelet-insecure-tls", "true"], "`true`"),
        (&["metrics-server", "--kubelet-insecure-tls", "false"], "`metrics-server`, `false`"),
    ] {
        let config = in_pod(args);
        assert_eq!(config.warnings.len(), 1, "{args:?}");
        assert!(config.warnings[0].starts_with(&format!("arguments without effect: {stray};")), "{args:?}");
    }
    assert!(error(&["chekc", "true"]).starts_with("chekc: unknown command"));
}

#[test]
fn front_proxy_flags_without_their_ca_are_warned_about() {
    let config = in_pod(&["--requestheader-allowed-names=a", "--requestheader-group-headers=g"]);
    assert_eq!(config.warnings.len(), 1);
    assert!(config.warnings[0].ends_with("--requestheader-allowed-names, --requestheader-group-headers"));
    assert_eq!(
        in_pod(&["--requestheader-allowed-names=a", "--requestheader-client-ca-file=/c"]).warnings,
        [""; 0]
    );
}

/// The lines of `toplet check` about settings.
fn checked(around: &Surroundings, args: &[&str]) -> String {
    let args = ["toplet", "check"].iter().chain(args).map(OsString::from);
    let Ok(Command::Check(check)) = parse(args, around) else { panic!("not a check") };
    check.report(&|_| Ok(())).unwrap()
}

#[test]
fn check_prints_what_is_in_force() {
    let k3s = Surroundings { k3s: Presence::Readable, ..Surroundings::default() };
    let state = Surroundings { state_directory: Some("/var/lib/toplet".to_owned()), ..pod() };
    for (around, args, line) in [
        (&Surroundings::default(), &[][..], "--secure-port=4443   (host-only default)"),
        (&Surroundings::default(), &[], "--bind-address=127.0.0.1   (host-only default)"),
        (&Surroundings::default(), &[], "--host-only=true   (no cluster is configured)"),
        (&pod(), &["--kubelet-request-timeout=30s"], "--metric-resolution=1m0s   (--kubelet-request-timeout"),
        (&pod(), &["--request-timeout=2m"], "--request-timeout=1m0s   (the most that is served)"),
        (&k3s, &[], "--kubeconfig=/etc/rancher/k3s/k3s.yaml   (k3s is installed)"),
        (&k3s, &[], "--authorization-kubeconfig=/etc/rancher/k3s/k3s.yaml   (as --kubeconfig)"),
        (&state, &[], "--cert-dir=/var/lib/toplet   (as --state-dir)"),
        (&pod(), &["--secure-port=4443"], "--secure-port=4443   (command line)"),
        (&pod(), &[], "--secure-port=443   (default)"),
    ] {
        let report = checked(around, args);
        assert!(report.contains(&format!("  {line}")), "{line} is not in {report}");
    }
}

#[test]
fn a_credential_of_a_unit_that_does_not_run_is_explained() {
    let report =
        checked(&Surroundings::default(), &["--kubeconfig=/run/credentials/toplet-none.service/kubeconfig"]);
    assert!(report.contains("exists only while the unit runs (LoadCredential=), not checked"), "{report}");
}
