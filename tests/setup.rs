//! `toplet setup` below a scratch root with the files of k3s, against a fake API server: what it refuses comes first.

use crate::support::api_server::ApiServer;
use crate::support::certs::Authority;
use crate::support::objects::Objects;
use crate::support::toplet::{Folder, command};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

const SYSTEM: &str = "/api/v1/namespaces/kube-system";
const API_SERVICE: &str = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io";
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/kube-system/deployments/metrics-server";

/// A k3s server node without systemd, whose toplet comes from a package.
struct Board {
    folder: Folder,
    api: ApiServer,
}

impl Board {
    fn new() -> Board {
        let board = Board { folder: Folder::new(), api: ApiServer::start_tls(&Authority::new("cluster")) };
        board.api.world().objects = Some(Objects::default());
        let kubeconfig = board.api.kubeconfig(board.folder.path(), "{token: abc}");
        let text = std::fs::read_to_string(kubeconfig).unwrap();
        board.write("/etc/rancher/k3s/k3s.yaml", &text);
        board.write("/usr/lib/systemd/system/toplet.service", "[Unit]\n");
        board
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join("root").join(path.trim_start_matches('/'))
    }

    fn write(&self, path: &str, text: &str) {
        std::fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        std::fs::write(self.at(path), text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.at(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Ends with this code; what was printed, the error last.
    #[track_caller]
    fn setup(&self, code: i32, more: &[&str]) -> String {
        let mut program = command();
        program.arg("setup").arg(format!("--root={}", self.at("/").display())).args(more);
        let output = program.arg("--advertise-address=10.0.0.5").output().unwrap();
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        assert_eq!(output.status.code(), Some(code), "{text}");
        text
    }

    fn with_objects<T>(&self, act: impl FnOnce(&mut Objects) -> T) -> T {
        act(self.api.world().objects.as_mut().unwrap())
    }

    fn paths(&self) -> Vec<String> {
        self.with_objects(|objects| objects.paths())
    }

    /// Nothing was changed, here or there.
    #[track_caller]
    fn is_untouched(&self) {
        assert_eq!(self.with_objects(|objects| std::mem::take(&mut objects.changes)), [""; 0]);
        assert!(!self.at("/etc/toplet/setup.record").exists() && !self.at("/var/lib/toplet").exists());
    }
}

#[test]
fn without_a_cluster_it_says_what_it_looked_for() {
    let board = Board::new();
    std::fs::remove_dir_all(board.at("/etc/rancher")).unwrap();
    let error = board.setup(1, &[]);
    assert!(error.contains("no cluster found: neither ") && error.contains("--kubeconfig"), "{error}");
    let error = board.setup(1, &["--undo"]);
    assert!(error.contains("no cluster found"), "{error}");
    board.is_untouched();
}

#[test]
fn a_foreign_object_is_never_touched_without_being_told_to() {
    for (path, title) in [
        (API_SERVICE, "APIService v1beta1.metrics.k8s.io (to other/adapter:443)"),
        (DEPLOYMENT, "Deployment metrics-server"),
        (&format!("{SYSTEM}/services/metrics-server"), "Service metrics-server"),
        (&format!("{SYSTEM}/serviceaccounts/metrics-server"), "ServiceAccount metrics-server"),
    ] {
        let board = Board::new();
        board.with_objects(|objects| objects.add_foreign(path));
        let error = board.setup(1, &[]);
        assert!(error.contains(&format!("not made by toplet setup: {title}; --replace deletes")), "{error}");
        let printed = board.setup(0, &["--dry-run"]);
        assert!(printed.contains(&format!("foreign    {title}\n")), "{printed}");
        board.is_untouched();
        assert_eq!(board.paths(), [path]);
        let printed = board.setup(0, &["--undo"]);
        assert!(path == DEPLOYMENT || printed.contains("kept "), "{printed}");
        board.is_untouched();
    }
}

#[test]
fn replacing_deletes_what_others_made_and_makes_it_again() {
    let board = Board::new();
    let others = ["services", "serviceaccounts"].map(|kind| format!("{SYSTEM}/{kind}/metrics-server"));
    board.with_objects(|objects| others.iter().for_each(|path| objects.add_foreign(path)));
    let before = board.with_objects(|objects| objects.kept[&others[1]].uid);
    let printed = board.setup(0, &["--replace"]);
    for object in ["Service", "ServiceAccount"] {
        for done in ["deleted   ", "created   "] {
            assert!(printed.contains(&format!("{done} {object} metrics-server\n")), "{printed}");
        }
    }
    board.with_objects(|objects| {
        let account = objects.kept[&others[1]].uid;
        let secret = &objects.kept[&format!("{SYSTEM}/secrets/metrics-server-host")].text;
        assert_ne!(account, before);
        assert!(
            secret.contains(&format!("kubernetes.io/service-account.uid: \"uid-{account}\"")),
            "{secret}"
        );
    });
}

#[test]
fn the_token_is_one_of_the_account_that_is_there_now() {
    let board = Board::new();
    let [account, secret] = ["serviceaccounts/metrics-server", "secrets/metrics-server-host"]
        .map(|name| format!("{SYSTEM}/{name}"));
    let bound_to = |changes: &[&str]| {
        board.setup(0, &[]);
        board.with_objects(|objects| {
            let uid = objects.kept[&account].uid;
            let annotation = format!("kubernetes.io/service-account.uid: \"uid-{uid}\"");
            assert!(objects.kept[&secret].text.contains(&annotation), "{}", objects.kept[&secret].text);
            let of_secret = objects.changes.drain(..).filter(|change| change.ends_with(&secret));
            let wanted = changes.iter().map(|method| format!("{method} {secret}"));
            assert_eq!(of_secret.collect::<Vec<_>>(), wanted.collect::<Vec<_>>());
            uid
        })
    };
    let first = bound_to(&["PATCH"]);
    assert_eq!(bound_to(&["PATCH"]), first);
    board.with_objects(|objects| objects.kept.remove(&account).unwrap());
    assert_ne!(bound_to(&["DELETE", "PATCH"]), first, "the token of the account before is not used");
}

#[test]
fn the_metrics_server_of_k3s_is_named_with_the_way_to_switch_it_off() {
    let board = Board::new();
    board.write("/var/lib/rancher/k3s/server/manifests/metrics-server/rbac.yaml", "");
    board.with_objects(|objects| objects.add_foreign(DEPLOYMENT));
    assert!(
        board.setup(1, &[]).contains("write `disable: [metrics-server]` into /etc/rancher/k3s/config.yaml")
    );
}

#[test]
fn a_foreign_file_is_not_overwritten() {
    for path in ["/etc/toplet/kubeconfig", "/etc/systemd/system/toplet.service.d/setup.conf"] {
        let board = Board::new();
        board.write(path, "mine");
        let error = board.setup(1, &[]);
        assert!(error.contains(&format!("{path}: not written by toplet setup")), "{error}");
        board.is_untouched();
        board.setup(0, &["--replace"]);
        assert_ne!(board.read(path), "mine");
        let printed = board.setup(0, &["--undo"]);
        assert!(printed.contains(&format!("restored   {path}")), "{printed}");
        assert_eq!(board.read(path), "mine");
    }
}

#[test]
fn an_edited_flag_file_stays_and_must_use_the_kubeconfig_that_is_made() {
    let board = Board::new();
    board.write("/etc/toplet/toplet.conf", "--host-only\n");
    let error = board.setup(1, &[]);
    assert!(error.contains("does not use the kubeconfig that setup makes"), "{error}");
    board.write("/etc/toplet/toplet.conf", "--secure-prot=1\n");
    assert!(board.setup(1, &[]).contains("toplet.conf:1: --secure-prot: unknown flag"));
    let own = "--kubeconfig=/run/credentials/toplet.service/kubeconfig\n--secure-port=9443\n";
    board.write("/etc/toplet/toplet.conf", &format!("{own}--tls-cert-file=/a\n--tls-private-key-file=/b\n"));
    assert!(board.setup(1, &[]).contains("leave out --tls-cert-file"));
    board.is_untouched();
    board.write("/etc/toplet/toplet.conf", own);
    let printed = board.setup(0, &[]);
    assert!(printed.contains("kept ") && printed.contains("toplet.conf: was edited"), "{printed}");
    assert_eq!(board.read("/etc/toplet/toplet.conf"), own);
    assert!(board.read("/etc/systemd/system/toplet.socket").contains("\nListenStream=9443\n"));
    let slice = board.with_objects(|objects| {
        let path = "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices/metrics-server-host";
        objects.kept[path].text.clone()
    });
    assert!(slice.contains("[\"10.0.0.5\"]") && slice.contains("port: 9443"), "{slice}");
}

#[test]
fn an_api_server_that_is_not_verified_is_not_copied() {
    let board = Board::new();
    let text = board.read("/etc/rancher/k3s/k3s.yaml");
    let (before, after) = text.split_once("certificate-authority: ").unwrap();
    let (_, after) = after.split_once('}').unwrap();
    board.write("/etc/rancher/k3s/k3s.yaml", &format!("{before}insecure-skip-tls-verify: true}}{after}"));
    assert!(board.setup(1, &[]).contains("does not verify the API server"));
    board.is_untouched();
}

#[test]
fn a_refusal_names_the_object_and_the_next_run_goes_on() {
    let board = Board::new();
    let path = format!("{SYSTEM}/services/metrics-server");
    for (code, remedy) in [(403, "must be an administrator"), (409, "--replace takes them over")] {
        board.with_objects(|objects| objects.refused = vec![(path.clone(), code)]);
        let error = board.setup(1, &[]);
        assert!(error.contains("Service metrics-server: ") && error.contains(remedy), "{error}");
        assert!(!board.paths().contains(&API_SERVICE.to_owned()), "registered although nothing serves");
    }
    board.with_objects(|objects| objects.refused.clear());
    let printed = board.setup(0, &[]);
    assert!(printed.contains("unchanged  ServiceAccount metrics-server"), "{printed}");
    assert!(printed.contains("created    Service metrics-server"), "{printed}");
}

#[test]
fn a_node_that_is_not_here_is_not_guessed() {
    let board = Board::new();
    board.api.add_node(crate::support::protobuf::Node::new("n1", "192.0.2.1", 10250));
    let mut program = command();
    let output = program.args(["setup", &format!("--root={}", board.at("/").display())]).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("no node of the cluster has an address of this machine"), "{error}");
    assert!(error.contains("--advertise-address"), "{error}");
    board.is_untouched();
}

#[test]
fn everything_is_made_once_and_undone_whole() {
    let board = Board::new();
    board.setup(0, &["--dry-run"]);
    board.is_untouched();
    let printed = board.setup(0, &[]);
    assert!(printed.contains("left out   starting it: systemctl enable --now"), "{printed}");
    let order = board.with_objects(|objects| std::mem::take(&mut objects.changes));
    assert_eq!(order.len(), 13, "{order:?}");
    assert!(order[11..].iter().all(|change| change.contains("/apiservices/")), "{order:?}");
    let queries = board.with_objects(|objects| std::mem::take(&mut objects.queries));
    assert!(queries.iter().all(|query| query == "fieldManager=toplet&force=false"), "{queries:?}");

    let kubeconfig = board.read("/etc/toplet/kubeconfig");
    assert!(kubeconfig.contains("token: \"token\"") && kubeconfig.contains("certificate-authority-data: "));
    let mode = |path: &str| std::fs::metadata(board.at(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("/etc/toplet/kubeconfig"), 0o600);
    assert_eq!(mode("/var/lib/toplet"), 0o700);
    let bundle = board.with_objects(|objects| objects.kept[API_SERVICE].text.clone());
    let bundle = bundle.split_once("caBundle: ").unwrap().1.lines().next().unwrap().to_owned();
    let decoded = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, bundle).unwrap();
    assert_eq!(String::from_utf8(decoded).unwrap(), board.read("/var/lib/toplet/ca.crt"));

    let stamp = |path: &str| std::fs::metadata(board.at(path)).map(|m| (m.ino(), m.mtime_nsec())).unwrap();
    let files = [
        "/etc/toplet/kubeconfig",
        "/etc/toplet/toplet.conf",
        "/etc/toplet/setup.record",
        "/var/lib/toplet/apiserver.crt",
    ];
    let stamps = files.map(stamp);
    let again = board.setup(0, &[]);
    assert_eq!(again.lines().filter(|line| line.starts_with("unchanged ")).count(), 16, "{again}");
    let is_change = |line: &str| ["created", "changed", "replaced"].iter().any(|word| line.starts_with(word));
    assert!(!again.lines().any(is_change), "{again}");
    assert_eq!(files.map(stamp), stamps);
    assert!(board.with_objects(|objects| objects.kept.values().all(|object| object.version == 1)));

    board.with_objects(|objects| objects.add_foreign(DEPLOYMENT));
    board.write("/etc/systemd/system/toplet.service.d/setup.conf", "edited");
    let undone = board.setup(0, &["--undo"]);
    assert!(undone.contains("removed    APIService v1.metrics.k8s.io"), "{undone}");
    assert!(undone.contains("setup.conf: changed since setup wrote it"), "{undone}");
    assert_eq!(board.paths(), [DEPLOYMENT], "what others made stays");
    assert!(!board.at("/etc/toplet").exists() && !board.at("/var/lib/toplet").exists());
    assert_eq!(board.read("/etc/systemd/system/toplet.service.d/setup.conf"), "edited");
}

#[test]
fn a_setup_of_another_node_is_neither_taken_over_nor_undone() {
    let board = Board::new();
    board.setup(0, &[]);
    board.setup(0, &["--undo"]);
    assert!(board.paths().is_empty());
    board.setup(0, &["--undo"]);
    board.setup(0, &[]);
    // What another machine sees: the same objects, and no files.
    std::fs::remove_dir_all(board.at("/etc/toplet")).unwrap();
    std::fs::remove_dir_all(board.at("/var/lib/toplet")).unwrap();
    std::fs::remove_dir_all(board.at("/etc/systemd/system/toplet.service.d")).unwrap();
    board.with_objects(|objects| objects.changes.clear());
    for (flags, remedy) in
        [(&[][..], "--replace moves the registration"), (&["--undo"], "undo it there, or: toplet manifest")]
    {
        let error = board.setup(1, flags);
        assert!(error.contains("ran on another node of this cluster") && error.contains(remedy), "{error}");
        board.is_untouched();
    }
    board.setup(0, &["--replace"]);
    board.setup(0, &["--undo"]);
    assert!(board.paths().is_empty());
}

#[test]
fn replacing_leaves_nothing_of_the_old_service() {
    let board = Board::new();
    let slice = "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices/metrics-server-x7k2p";
    let service = format!("{SYSTEM}/services/metrics-server");
    board.with_objects(|objects| {
        for path in [DEPLOYMENT, slice, &service, &format!("{SYSTEM}/endpoints/metrics-server")] {
            objects.add_foreign(path);
        }
    });
    let printed = board.setup(0, &["--replace"]);
    assert!(printed.contains("deleted    Deployment metrics-server"), "{printed}");
    assert!(printed.contains("created    Service metrics-server"), "{printed}");
    let paths = board.paths();
    assert_eq!(paths.len(), 13, "{paths:?}");
    assert!(board.with_objects(|objects| objects.kept.values().all(|object| object.manager == "toplet")));
}

#[test]
fn a_kubeadm_node_gets_its_own_flags() {
    let board = Board::new();
    let kubeconfig = board.read("/etc/rancher/k3s/k3s.yaml");
    std::fs::remove_dir_all(board.at("/etc/rancher")).unwrap();
    board.write("/etc/kubernetes/admin.conf", &kubeconfig);
    board.write("/etc/kubernetes/pki/ca.crt", "");
    let printed = board.setup(0, &[]);
    assert!(printed.contains("/etc/kubernetes/admin.conf"), "{printed}");
    let flags = board.read("/etc/toplet/toplet.conf");
    assert!(flags.contains("\n--kubelet-certificate-authority=/etc/kubernetes/pki/ca.crt\n"), "{flags}");
}

#[test]
fn the_packages_own_flag_file_is_replaced_and_comes_back() {
    let board = Board::new();
    let shipped =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/configs/host-only.conf")).unwrap();
    board.write("/etc/toplet/toplet.conf", &shipped);
    let printed = board.setup(0, &[]);
    assert!(
        printed.contains("replaced ") && !board.read("/etc/toplet/toplet.conf").contains("\n--host-only")
    );
    board.setup(0, &["--undo"]);
    assert_eq!(board.read("/etc/toplet/toplet.conf"), shipped);
}

#[test]
fn without_a_package_program_and_units_are_installed() {
    let board = Board::new();
    std::fs::remove_file(board.at("/usr/lib/systemd/system/toplet.service")).unwrap();
    board.setup(0, &[]);
    for path in ["toplet.service", "toplet.socket", "toplet.path", "toplet-restart.service"] {
        let shipped = std::fs::read_to_string(format!("{}/systemd/{path}", env!("CARGO_MANIFEST_DIR")));
        assert_eq!(board.read(&format!("/etc/systemd/system/{path}")), shipped.unwrap());
    }
    let installed = std::fs::metadata(board.at("/usr/local/bin/toplet")).unwrap();
    assert_eq!(installed.permissions().mode() & 0o777, 0o755);
    assert_eq!(installed.len(), std::fs::metadata(env!("CARGO_BIN_EXE_toplet")).unwrap().len());
    board.setup(0, &["--undo"]);
    let left = ["/usr/local/bin/toplet", "/etc/systemd/system/toplet.service", "/etc/toplet"];
    assert!(left.iter().all(|path| !board.at(path).exists()));
}
