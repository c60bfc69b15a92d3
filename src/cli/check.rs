//! `toplet check`: flags and files to effective values and the memory they reserve, or the first mistake.
//!
//! Every value that differs from metrics-server's default is printed with where it came from. Files are opened, not
//! followed: a certificate that does not fit its key is found when it is loaded.

use super::argv::Settled;
use super::config::{Certificate, Config, KubeletTrust};
use super::error::{Origin, StartError};
use super::flags::Effect;
use super::mode::Mode;
use std::fmt::Write;
use std::path::Path;

/// A configuration to report on.
#[derive(Debug)]
pub struct Check {
    pub(super) config: Config,
    pub(super) settled: Settled,
}

/// Reads a named file; tests of shipped configurations put their own in place of paths of another machine.
pub type Files<'a> = &'a dyn Fn(&Path) -> std::io::Result<Vec<u8>>;

impl Check {
    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The report: mode, address, settings, files, memory; one item a line.
    /// # Errors
    /// The first file that cannot be read, with the flag that names it.
    pub fn report(&self, files: Files<'_>) -> Result<String, StartError> {
        let mut out = String::new();
        self.summary(&mut out);
        self.settings(&mut out);
        self.files(&mut out, files)?;
        super::memory::print(&mut out, &self.config);
        for warning in &self.config.warnings {
            let _ = writeln!(out, "warning: {warning}");
        }
        Ok(out)
    }

    fn summary(&self, out: &mut String) {
        let config = &self.config;
        let mode = match &config.mode {
            Mode::InCluster { server } => format!("in-cluster, API server {server}"),
            Mode::Kubeconfig { path } => format!("host service, kubeconfig {}", path.display()),
            Mode::HostOnly => "host-only, this machine".to_owned(),
        };
        let _ = writeln!(out, "mode: {mode} ({})", config.mode_reason);
        let _ = writeln!(out, "listen: {}", config.listen);
        let certificate = match &config.serving.certificate {
            Certificate::Files { certificate, .. } => certificate.display().to_string(),
            Certificate::Directory(directory) => format!("apiserver.crt in {}", directory.display()),
            Certificate::Ephemeral => "self-signed, made at every start".to_owned(),
        };
        let _ = writeln!(out, "certificate: {certificate}");
    }

    fn settings(&self, out: &mut String) {
        let _ = writeln!(out, "settings:");
        for setting in self.settled.settings.iter().filter(|setting| setting.flag.effect == Effect::Used) {
            let value = setting.text();
            if setting.origin != Origin::Default || !value.is_empty() {
                let _ = writeln!(out, "  --{}={value}   ({})", setting.flag.name, setting.origin);
            }
        }
    }

    /// Every file that a flag names, with whether it must be there.
    fn named(&self) -> Vec<(&'static str, &Path)> {
        let config = &self.config;
        let mut named = Vec::new();
        if let Mode::Kubeconfig { path } = &config.mode {
            named.push(("kubeconfig", path.as_path()));
        }
        let authentication = &config.authentication;
        if let KubeletTrust::CaFile(path) = &config.kubelet.trust {
            named.push(("kubelet-certificate-authority", path));
        }
        if let Some((certificate, key)) = &config.kubelet.client_pair {
            named.push(("kubelet-client-certificate", certificate));
            named.push(("kubelet-client-key", key));
        }
        if let Certificate::Files { certificate, key } = &config.serving.certificate {
            named.push(("tls-cert-file", certificate));
            named.push(("tls-private-key-file", key));
        }
        for sni in &config.serving.sni {
            named.push(("tls-sni-cert-key", &sni.certificate));
            named.push(("tls-sni-cert-key", &sni.key));
        }
        for (name, path) in [
            ("authentication-kubeconfig", &authentication.kubeconfig),
            ("client-ca-file", &authentication.client_ca),
            ("requestheader-client-ca-file", &authentication.request_header.ca),
            ("authorization-kubeconfig", &config.authorization.kubeconfig),
        ] {
            if let Some(path) = path {
                named.push((name, path));
            }
        }
        named
    }

    fn files(&self, out: &mut String, files: Files<'_>) -> Result<(), StartError> {
        let named = self.named();
        if !named.is_empty() {
            let _ = writeln!(out, "files:");
        }
        let mut seen: Vec<&Path> = Vec::new();
        for (name, path) in named {
            let setting = self.settled.settings.iter().find(|setting| setting.flag.name == name);
            let origin = setting.map_or(Origin::Default, |setting| setting.origin.clone());
            let wrong = |problem: String, remedy: &str| {
                let subject = format!("--{name}={}", path.display());
                StartError::new(subject, origin.clone(), problem, remedy)
            };
            if seen.contains(&path) {
                continue;
            }
            seen.push(path);
            let bytes = files(path).map_err(|error| {
                wrong(format!("the file cannot be read: {error}"), "name a file this user may read")
            })?;
            judge(name, &bytes).map_err(|(problem, remedy)| wrong(problem, remedy))?;
            let _ = writeln!(out, "  {} ({} bytes, --{name})", path.display(), bytes.len());
        }
        Ok(())
    }
}

/// Whether a file can be what its flag says.
fn judge(name: &str, bytes: &[u8]) -> Result<(), (String, &'static str)> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| ("the file is not text".to_owned(), "name a PEM or YAML file"))?;
    let (wanted, remedy) = match name {
        "kubelet-client-key" | "tls-private-key-file" => {
            ("PRIVATE KEY-----", "name a PEM file with a private key")
        }
        "tls-sni-cert-key" => ("-----BEGIN ", "name PEM files: certificate, then key"),
        name if name.ends_with("kubeconfig") => ("clusters:", "name a kubeconfig"),
        _ => ("-----BEGIN CERTIFICATE-----", "name a PEM file with a certificate"),
    };
    if text.contains(wanted) { Ok(()) } else { Err((format!("the file holds no `{wanted}`"), remedy)) }
}
