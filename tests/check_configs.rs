//! Every configuration that ships is one that starts: `toplet check` accepts it, and what it sets is what it says.
//!
//! Files of another machine are not here, so the test says which ones it expects to be named.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use toplet::cli::{Command, Config, ConfigCheck, Named, Presence, RunMode, StartError, Surroundings, parse};

fn shipped(directory: &str, extension: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|found| found == extension));
    paths.sort();
    assert!(!paths.is_empty());
    paths
}

fn check(args: &[String], around: &Surroundings) -> Result<ConfigCheck, StartError> {
    let words = ["toplet", "check"].map(OsString::from).into_iter().chain(args.iter().map(OsString::from));
    match parse(words, around)? {
        Command::Check(check) => Ok(*check),
        other => panic!("not a check: {other:?}"),
    }
}

/// Knows the paths that the shipped files name; nothing else is good.
fn stand_in(named: &Named<'_>) -> Result<(), String> {
    let good = match named {
        Named::Kubeconfig(path) => *path == Path::new("/etc/toplet/kubeconfig"),
        Named::Authority(path) => *path == Path::new("/etc/kubernetes/pki/ca.crt"),
        Named::Pair(..) => false,
    };
    if good { Ok(()) } else { Err(format!("{named:?} is not expected")) }
}

fn config_file(name: &str) -> (Config, String) {
    let path = shipped("configs", "conf").into_iter().find(|path| path.ends_with(name)).unwrap();
    let check = check(&[format!("--config={}", path.display())], &Surroundings::default()).unwrap();
    let report = check.report(&stand_in).unwrap_or_else(|error| panic!("{error}"));
    (check.config().clone(), report)
}

/// The arguments of the manifest's container.
fn manifest_args(name: &str) -> Vec<String> {
    let path = shipped("configs", "yaml").into_iter().find(|path| path.ends_with(name)).unwrap();
    let text = std::fs::read_to_string(path).unwrap();
    let args: Vec<String> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- "))
        .filter(|arg| arg.starts_with("--"))
        .map(str::to_owned)
        .collect();
    assert!(!args.is_empty());
    args
}

fn pod() -> Surroundings {
    Surroundings {
        service_host: Some("10.96.0.1".to_owned()),
        token: Presence::Readable,
        ..Surroundings::default()
    }
}

#[test]
fn every_shipped_flag_file_passes_and_warns_of_nothing() {
    for path in shipped("configs", "conf") {
        let (config, report) = config_file(path.file_name().unwrap().to_str().unwrap());
        assert_eq!(config.warnings, Vec::<String>::new(), "{}", path.display());
        assert!(report.contains(&format!("({}:", path.display())), "{report}");
        assert!(report.contains("in all"), "{report}");
    }
}

/// On a machine without k3s and kubeadm, which the tests run on as a rule.
#[test]
fn a_file_of_another_machine_is_explained_with_what_to_do() {
    for path in shipped("configs", "conf") {
        let check = check(&[format!("--config={}", path.display())], &Surroundings::default()).unwrap();
        for found in check.files(&toplet::cli::validate_file) {
            let said = found.unwrap_or_else(|error| error.to_string());
            let is_explained = ["is good for", "LoadCredential=", "run this on one, or name a copy of it"]
                .iter()
                .any(|words| said.contains(words));
            assert!(is_explained, "{}: {said}", path.display());
        }
    }
}

#[test]
fn the_k3s_and_kubeadm_files_serve_a_cluster_beside_the_kubelet() {
    for name in ["k3s-server.conf", "kubeadm.conf"] {
        let (config, _) = config_file(name);
        assert!(matches!(config.mode, RunMode::Kubeconfig { .. }), "{name}");
        assert_ne!(config.listen.port(), 10250, "{name}");
        assert!(config.kubelet_addresses.use_status_port && config.kubelet_addresses.https);
        assert!(!config.kubelet_credentials.insecure_tls, "{name}");
    }
}

#[test]
fn the_host_only_file_serves_loopback_even_where_k3s_is_installed() {
    let path = shipped("configs", "conf").into_iter().find(|path| path.ends_with("host-only.conf")).unwrap();
    let around = Surroundings { k3s: Presence::Readable, ..Surroundings::default() };
    let check = check(&[format!("--config={}", path.display())], &around).unwrap();
    assert_eq!(check.config().mode, RunMode::HostOnly);
    assert!(check.config().listen.ip().is_loopback());
}

#[test]
fn the_deployments_arguments_are_those_of_metrics_server() {
    let args = manifest_args("deployment.yaml");
    assert_eq!(
        args,
        [
            "--cert-dir=/tmp",
            "--secure-port=10250",
            "--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname",
            "--kubelet-use-node-status-port",
            "--metric-resolution=15s",
        ]
    );
    let check = check(&args, &pod()).unwrap();
    assert!(matches!(check.config().mode, RunMode::InCluster { .. }));
    check.report(&stand_in).unwrap();
}

#[test]
fn the_static_pods_arguments_need_no_service_account() {
    let args = manifest_args("static-pod.yaml");
    let tokenless = Surroundings { token: Presence::Absent, ..pod() };
    let check = check(&args, &tokenless).unwrap();
    assert!(matches!(check.config().mode, RunMode::Kubeconfig { .. }));
    assert_ne!(check.config().listen.port(), 10250);
    check.report(&stand_in).unwrap();
}

#[test]
fn the_images_tag_is_the_version() {
    let tag = concat!("toplet:v", env!("CARGO_PKG_VERSION"));
    let runs =
        |path: &PathBuf| ["deployment.yaml", "static-pod.yaml"].iter().any(|name| path.ends_with(name));
    for path in shipped("configs", "yaml").into_iter().filter(runs) {
        assert!(
            std::fs::read_to_string(&path).unwrap().contains(&format!("image: {tag}\n")),
            "{}",
            path.display()
        );
    }
}

fn text(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The values of one setting in a unit file.
fn unit_values(unit: &str, setting: &str) -> Vec<String> {
    let lines = unit.lines().filter_map(|line| line.strip_prefix(setting)?.strip_prefix('='));
    lines.map(str::to_owned).collect()
}

/// `48M` or `48Mi` in KiB.
fn kib(amount: &str) -> u64 {
    amount.trim_end_matches('i').strip_suffix('M').unwrap().parse::<u64>().unwrap() * 1024
}

/// What a report of `toplet check` adds up to, in KiB.
fn sum(report: &str) -> u64 {
    let line = report.lines().find(|line| line.ends_with("in all")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn limits_of_memory_are_above_what_check_adds_up() {
    let unit = text("systemd/toplet.service");
    let limits: Vec<u64> = ["MemoryHigh", "MemoryMax"]
        .iter()
        .flat_map(|name| unit_values(&unit, name))
        .map(|v| kib(&v))
        .collect();
    assert_eq!(limits.len(), 2);
    for path in shipped("configs", "conf") {
        let used = sum(&config_file(path.file_name().unwrap().to_str().unwrap()).1);
        assert!(
            limits.iter().all(|limit| used < *limit),
            "{}: {used} KiB, limits {limits:?}",
            path.display()
        );
    }
    let tokenless = Surroundings { token: Presence::Absent, ..pod() };
    for (name, around) in [("deployment.yaml", pod()), ("static-pod.yaml", tokenless)] {
        let manifest = text(&format!("configs/{name}"));
        let limit = kib(manifest.split_once("limits: {memory: ").unwrap().1.split('}').next().unwrap());
        let used = sum(&check(&manifest_args(name), &around).unwrap().report(&stand_in).unwrap());
        assert!(used < limit, "{name}: {used} KiB, limit {limit} KiB");
    }
}

#[test]
fn units_restart_what_a_restart_heals_and_watch_what_they_copy() {
    let service = text("systemd/toplet.service");
    assert_eq!(unit_values(&service, "StartLimitIntervalSec"), ["0"]);
    assert_eq!(unit_values(&service, "Restart"), ["always"]);
    assert_eq!(unit_values(&service, "RestartPreventExitStatus"), ["2"]);
    for name in ["k3s", "kubeadm"] {
        let copied = unit_values(&text(&format!("systemd/toplet.service.d/{name}.conf")), "LoadCredential");
        let watched = unit_values(&text(&format!("systemd/toplet.path.d/{name}.conf")), "PathChanged");
        assert_eq!(copied, watched.iter().map(|path| format!("kubeconfig:{path}")).collect::<Vec<_>>());
    }
    let copied = unit_values(&text("systemd/toplet.service.d/setup.conf"), "LoadCredential");
    let watched = unit_values(&text("systemd/toplet.path"), "PathChanged");
    assert_eq!(copied, watched.iter().map(|path| format!("kubeconfig:{path}")).collect::<Vec<_>>());
    let restart = text("systemd/toplet-restart.service");
    assert_eq!(unit_values(&text("systemd/toplet.path"), "Unit"), ["toplet-restart.service"]);
    assert_eq!(unit_values(&restart, "ExecStart"), ["systemctl try-restart toplet.service"]);
    let port = unit_values(&text("systemd/toplet.socket"), "ListenStream");
    for name in ["k3s-server.conf", "kubeadm.conf"] {
        assert_eq!(port, [config_file(name).0.listen.port().to_string()], "{name}");
    }
}
