//! What a machine has: which kind of cluster runs here, an administrator's kubeconfig, and the files of the service.

use super::files::{FileRecord, FileState, SetupFile};
use crate::cli::{self, Command, ConfigCheck, RunMode, SetupOptions, Surroundings};
use crate::cluster::kubeconfig::{Access, K3S};
use crate::net::credentials::Roots;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::path::PathBuf;

const KUBEADM: &str = "/etc/kubernetes/admin.conf";
const KUBEADM_AUTHORITY: &str = "/etc/kubernetes/pki/ca.crt";
const PROGRAM: &str = "/usr/local/bin/toplet";
pub const FLAG_FILE: &str = "/etc/toplet/toplet.conf";
pub const KUBECONFIG: &str = "/etc/toplet/kubeconfig";
/// What systemd gives the service as its state directory.
pub const STATE: &str = "/var/lib/toplet";
/// Where k3s keeps the objects of its own metrics-server; they come back at its start unless it is disabled.
const K3S_PACKAGED: &str = "/var/lib/rancher/k3s/server/manifests/metrics-server";
/// Where the service finds systemd's copy of its kubeconfig.
const COPY: &str = "/run/credentials/toplet.service/kubeconfig";
const UNITS: [(&str, &str); 5] = [
    ("/etc/systemd/system/toplet.service", include_str!("../../../systemd/toplet.service")),
    ("/etc/systemd/system/toplet.socket", include_str!("../../../systemd/toplet.socket")),
    ("/etc/systemd/system/toplet.path", include_str!("../../../systemd/toplet.path")),
    ("/etc/systemd/system/toplet-restart.service", include_str!("../../../systemd/toplet-restart.service")),
    (
        "/etc/systemd/system/toplet.service.d/setup.conf",
        include_str!("../../../systemd/toplet.service.d/setup.conf"),
    ),
];
const PACKAGED_UNITS: [&str; 2] =
    ["/usr/lib/systemd/system/toplet.service", "/lib/systemd/system/toplet.service"];

/// The machine.
pub struct Layout {
    /// An administrator's kubeconfig.
    pub kubeconfig: PathBuf,
    /// Flags of the service.
    flags: &'static str,
    /// Its units and its program come from a package.
    is_packaged: bool,
    /// k3s brings metrics-server back.
    pub has_packaged_metrics_server: bool,
}

impl Layout {
    /// Looks below the root of the options.
    /// # Errors
    /// There is no cluster.
    pub fn find(options: &SetupOptions, record: &FileRecord) -> Result<Layout, String> {
        let at = |path: &str| record.at(path);
        let kubeconfig = match &options.kubeconfig {
            Some(path) => path.clone(),
            None => [K3S, KUBEADM].map(at).into_iter().find(|path| path.exists()).ok_or_else(|| {
                format!(
                    "no cluster found: neither {} (k3s) nor {} (kubeadm) is here; run it as root on a server node, or \
                     give an administrator's --kubeconfig",
                    at(K3S).display(),
                    at(KUBEADM).display()
                )
            })?,
        };
        let is_kubeadm = !at(K3S).exists() && at(KUBEADM_AUTHORITY).exists();
        Ok(Layout {
            kubeconfig,
            flags: if is_kubeadm {
                include_str!("../../../configs/kubeadm.conf")
            } else {
                include_str!("../../../configs/k3s-server.conf")
            },
            is_packaged: PACKAGED_UNITS.iter().any(|path| at(path).exists()),
            has_packaged_metrics_server: at(K3S_PACKAGED).exists(),
        })
    }

    /// The configuration that the service will have: of an edited file, or of the one that is written.
    /// # Errors
    /// A mistake in the file, or what setup cannot work with.
    pub fn config(&self, record: &FileRecord, replace: bool) -> Result<Box<ConfigCheck>, String> {
        let is_edited = record.state(FLAG_FILE, self.flags.as_bytes())? == FileState::Foreign && !replace;
        let path = record.at(FLAG_FILE);
        let mut words = vec!["check".to_owned()];
        if is_edited {
            words.push(format!("--config={}", path.display()));
        } else {
            words.extend(self.flags.lines().filter(|line| line.starts_with("--")).map(str::to_owned));
        }
        let around = Surroundings { state_directory: Some(STATE.to_owned()), ..Surroundings::default() };
        let check = match cli::parse_words(&words, &around).map_err(|error| error.to_string())? {
            Command::Check(check) => check,
            _ => return Err(format!("{}: holds a word that is no flag", path.display())),
        };
        let copy = PathBuf::from(COPY);
        if check.config().mode != (RunMode::Kubeconfig { path: copy }) {
            return Err(format!(
                "{}: was edited, and does not use the kubeconfig that setup makes; write --kubeconfig={COPY} into it, or \
                 give --replace (the old file is kept beside it)",
                path.display()
            ));
        }
        Ok(check)
    }

    /// The files of the service, but for the kubeconfig.
    /// # Errors
    /// This program cannot be read.
    pub fn files(&self, record: &FileRecord, port: u16) -> Result<Vec<SetupFile>, String> {
        let text = |path, text: &str| SetupFile {
            path,
            mode: 0o644,
            bytes: text.as_bytes().to_vec(),
            is_configuration: path == FLAG_FILE,
        };
        let mut files = vec![text(FLAG_FILE, self.flags)];
        for (path, unit) in UNITS {
            let moved = path.ends_with(".socket") && port != SHIPPED_PORT;
            if !self.is_packaged || moved || path.ends_with("setup.conf") {
                let port = format!("ListenStream={port}");
                files.push(text(path, &unit.replace(&format!("ListenStream={SHIPPED_PORT}"), &port)));
            }
        }
        let running =
            std::env::current_exe().map_err(|error| format!("this program is not found: {error}"))?;
        if !self.is_packaged && running != record.at(PROGRAM) {
            let bytes = std::fs::read(&running).map_err(|error| format!("{}: {error}", running.display()))?;
            files.push(SetupFile { path: PROGRAM, mode: 0o755, bytes, is_configuration: false });
        }
        Ok(files)
    }
}

/// The port of `toplet.socket` and of the flag files.
const SHIPPED_PORT: u16 = 4443;

/// Stands for the token.
pub const TOKEN: &str = "$TOKEN";

/// The kubeconfig of the service: the API server as the administrator's file has it, and [`TOKEN`] in place of a token.
/// # Errors
/// The administrator's file verifies nothing, or names an authority that cannot be read.
pub fn kubeconfig(access: &Access) -> Result<String, String> {
    let authority = match &access.credentials.roots {
        Roots::Pem(pem) => format!(", certificate-authority-data: {}", STANDARD.encode(&*pem.read()?)),
        Roots::None => String::new(),
        Roots::Any => {
            return Err(
                "the administrator's kubeconfig does not verify the API server: name its certificate-authority instead of \
                 insecure-skip-tls-verify"
                    .to_owned(),
            );
        }
    };
    let name = access.credentials.server_name.iter().map(|name| format!(", tls-server-name: {name:?}"));
    let name: String = name.collect();
    Ok(format!(
        "# Written by toplet setup: service account kube-system/metrics-server, whose token is valid until the Secret\n\
         # kube-system/metrics-server-host is deleted.\n\
         apiVersion: v1\n\
         kind: Config\n\
         clusters: [{{name: cluster, cluster: {{server: {:?}{authority}{name}}}}}]\n\
         users: [{{name: toplet, user: {{token: {TOKEN:?}}}}}]\n\
         contexts: [{{name: toplet, context: {{cluster: cluster, user: toplet}}}}]\n\
         current-context: toplet\n",
        access.server
    ))
}
