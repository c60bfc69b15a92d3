//! `toplet check`: flags and files to the settings in force and the memory they reserve, or the first mistake.
//!
//! Every value is printed as it is in force, with where it came from. Named files are opened and parsed as they are at the
//! start, and what a kubeconfig names as well.

use super::argv::Settled;
use super::config::Config;
use super::error::{StartError, ValueOrigin};
use super::flags::Effect;
use super::mode::RunMode;
use crate::access::{FrontProxySettings, Trust};
use crate::cluster::kubeconfig;
use crate::net::certificate::CertificateOrigin;
use crate::net::pem::{self, UNIT_CREDENTIALS};
use std::fmt::Write;
use std::path::Path;

/// A configuration to report on.
#[derive(Debug)]
pub struct ConfigCheck {
    pub(super) config: Config,
    pub(super) settled: Settled,
}

/// A file, or a pair of files, that the configuration names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named<'a> {
    /// A kubeconfig.
    Kubeconfig(&'a Path),
    /// Certificates of authorities.
    Authority(&'a Path),
    /// A certificate chain and its key.
    Pair(&'a Path, &'a Path),
}

/// Opens and parses what is named, and what a kubeconfig names in turn.
/// # Errors
/// Which file cannot be used, and why.
pub fn validate_file(named: &Named<'_>) -> Result<(), String> {
    match named {
        Named::Kubeconfig(path) => kubeconfig::load(path)?.credentials.tls().map(drop),
        Named::Authority(path) => {
            let pem = pem::read(path)?;
            let trust = Trust::new(&FrontProxySettings::default(), Some(&pem));
            trust.map(drop).map_err(|error| format!("{}: {error}", path.display()))
        }
        Named::Pair(certificate, key) => pem::load_pair(certificate, key).map(drop),
    }
}

/// Validates a file: [`validate_file`], or what tests put in its place for files of another machine.
pub type Validate<'a> = &'a dyn Fn(&Named<'_>) -> Result<(), String>;

impl ConfigCheck {
    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The report: mode, address, settings, files, memory; one item a line.
    /// # Errors
    /// The first file that cannot be used, with the flag that names it.
    pub fn report(&self, validate: Validate<'_>) -> Result<String, StartError> {
        let mut out = String::new();
        self.summary(&mut out);
        self.settings(&mut out);
        for file in self.files(validate) {
            let _ = writeln!(out, "file: {}", file?);
        }
        super::memory::print(&mut out, &self.config);
        for warning in &self.config.warnings {
            let _ = writeln!(out, "warning: {warning}");
        }
        Ok(out)
    }

    /// The node whose pinned key is to be forgotten.
    #[must_use]
    pub fn forget_pin(&self) -> Option<String> {
        Some(self.settled.text("forget-pin")).filter(|node| !node.is_empty())
    }

    /// What is measured, and why.
    #[must_use]
    pub fn mode(&self) -> String {
        let mode = match &self.config.mode {
            RunMode::InCluster { server } => format!("API server {server}"),
            RunMode::Kubeconfig { path } => format!("kubeconfig {}", path.display()),
            RunMode::HostOnly => "this machine".to_owned(),
        };
        format!("{}, {mode} ({})", self.config.mode.name(), self.config.mode_reason)
    }

    fn summary(&self, out: &mut String) {
        let config = &self.config;
        let _ = writeln!(out, "mode: {}", self.mode());
        let _ = writeln!(out, "listen: {}", config.listen);
        let certificate = match &config.certificates.origin {
            CertificateOrigin::Files(certificate, _) => certificate.display().to_string(),
            CertificateOrigin::Directory(directory) => format!("apiserver.crt in {}", directory.display()),
            CertificateOrigin::Memory => "self-signed, in memory, new at every start".to_owned(),
        };
        let _ = writeln!(out, "certificate: {certificate}");
    }

    fn settings(&self, out: &mut String) {
        let _ = writeln!(out, "settings:");
        for setting in self.settled.settings.iter().filter(|setting| setting.flag.effect == Effect::Used) {
            let value = setting.text();
            if setting.origin != ValueOrigin::Default || !value.is_empty() {
                let _ = writeln!(out, "  --{}={value}   ({})", setting.flag.name, setting.origin);
            }
        }
    }

    /// What the configuration names, by flag; the first flag of a pair.
    fn named(&self) -> Vec<(&'static str, Named<'_>)> {
        let config = &self.config;
        let mut named = Vec::new();
        if let RunMode::Kubeconfig { path } = &config.mode {
            named.push(("kubeconfig", Named::Kubeconfig(path)));
        }
        if let Some((certificate, key)) = &config.kubelet_credentials.pair {
            named.push(("kubelet-client-certificate", Named::Pair(certificate, key)));
        }
        let certificates = &config.certificates;
        if let CertificateOrigin::Files(certificate, key) = &certificates.origin {
            named.push(("tls-cert-file", Named::Pair(certificate, key)));
        }
        for sni in &certificates.sni {
            named.push(("tls-sni-cert-key", Named::Pair(&sni.certificate, &sni.key)));
        }
        for (name, path) in [
            ("kubelet-certificate-authority", &config.kubelet_credentials.certificate_authority),
            ("client-ca-file", &config.trust.client_ca_file),
            ("requestheader-client-ca-file", &config.trust.front_proxy_ca_file),
        ] {
            named.extend(path.iter().map(|path| (name, Named::Authority(path))));
        }
        for (name, path) in [
            ("authentication-kubeconfig", &config.authentication_kubeconfig),
            ("authorization-kubeconfig", &config.authorization_kubeconfig),
        ] {
            named.extend(path.iter().map(|path| (name, Named::Kubeconfig(path))));
        }
        named
    }

    /// What was found of each file that the configuration names: a line, or why it cannot be used.
    pub fn files(&self, validate: Validate<'_>) -> Vec<Result<String, StartError>> {
        let (mut seen, mut found) = (Vec::new(), Vec::new());
        for (name, named) in self.named() {
            // --kubeconfig is the default of two other flags.
            if seen.contains(&named) {
                continue;
            }
            seen.push(named);
            let (Named::Kubeconfig(path) | Named::Authority(path) | Named::Pair(path, _)) = named;
            if path.starts_with(UNIT_CREDENTIALS) && !path.exists() {
                let why = "exists only while the unit runs (LoadCredential=), not checked";
                found.push(Ok(format!("{} of --{name} {why}", path.display())));
                continue;
            }
            let good = || format!("{} is good for --{name}", path.display());
            found.push(
                validate(&named).map(|()| good()).map_err(|problem| self.settled.error(name, problem, "")),
            );
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Command, Surroundings, parse};
    use crate::host::clock;
    use crate::net::self_signed::SigningAuthority;

    fn report(args: &[String]) -> Result<String, String> {
        let words = ["toplet", "check"].map(std::ffi::OsString::from).into_iter();
        let words = words.chain(args.iter().map(std::ffi::OsString::from));
        match parse(words, &Surroundings::default()) {
            Ok(Command::Check(check)) => check.report(&validate_file).map_err(|error| error.to_string()),
            other => panic!("not a check: {other:?}"),
        }
    }

    #[test]
    fn files_are_parsed_and_must_belong_together() {
        let folder = std::env::temp_dir().join(format!("toplet-check-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let at = |name: &str| folder.join(name).display().to_string();
        let now = clock::wall();
        let authority = SigningAuthority::generate(now).unwrap();
        for name in ["a", "b"] {
            let issued = authority.issue(&["localhost".to_owned()], now).unwrap();
            std::fs::write(at(&format!("{name}.crt")), issued.chain_pem.as_bytes()).unwrap();
            std::fs::write(at(&format!("{name}.key")), issued.key_pem.as_bytes()).unwrap();
        }
        std::fs::write(at("garbage"), "hello").unwrap();
        let pair = |crt: &str, key: &str| {
            report(&[format!("--tls-cert-file={}", at(crt)), format!("--tls-private-key-file={}", at(key))])
        };
        assert!(pair("a.crt", "a.key").unwrap().contains("a.crt is good for --tls-cert-file"));
        assert!(pair("a.crt", "b.key").unwrap_err().contains("do not belong together"));
        assert!(pair("a.crt", "garbage").unwrap_err().starts_with("--tls-cert-file: "));
        assert!(report(&[format!("--client-ca-file={}", at("a.crt"))]).is_ok());
        let garbage = report(&[format!("--client-ca-file={}", at("garbage"))]).unwrap_err();
        assert!(garbage.starts_with("--client-ca-file: ") && garbage.contains("garbage"), "{garbage}");
        let gone = report(&[format!("--kubeconfig={}", at("gone"))]).unwrap_err();
        assert!(gone.starts_with("--kubeconfig: ") && gone.contains("gone"), "{gone}");
        assert!(report(&[format!("--kubeconfig={}", at("garbage"))]).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
