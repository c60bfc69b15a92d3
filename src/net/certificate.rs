//! The serving certificate: where it comes from, and how it stays valid while the program runs.
//!
//! From `--tls-cert-file` and `--tls-private-key-file`; or kept in `--cert-dir` (made there with an own authority, and
//! made anew 30 days before it ends); or made in memory. `--tls-sni-cert-key` adds pairs for names. Files are looked at
//! again by [`Certificates::check_reload`]: a pair counts once both files fit, until then the old one serves, and a pair
//! that never fits is one log line. Kubernetes' symlink swaps show in the time, inode and size of the file behind the path.

use crate::access::not_after;
use crate::limits;
use crate::lock::lock;
use crate::log_once::LogOnce;
use crate::net::pem;
use crate::net::self_signed::Authority;
use crate::units::UnixNanos;
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Where the serving certificates come from; flags, checked by [`Certificates::load`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateSettings {
    /// `--tls-cert-file` and `--tls-private-key-file`; empty when not given. One without the other is an error.
    pub cert_file: PathBuf,
    /// See `cert_file`.
    pub key_file: PathBuf,
    /// `--cert-dir` (or the state directory); `None` or empty: in memory.
    pub cert_dir: Option<PathBuf>,
    /// More pairs, by server name.
    pub sni: Vec<SniCertificate>,
    /// DNS names and addresses of certificates made here, see [`subject_names`].
    pub names: Vec<String>,
}

/// A pair for some server names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SniCertificate {
    /// Certificate chain.
    pub certificate: PathBuf,
    /// Private key.
    pub key: PathBuf,
    /// Server names in lower case, possibly with a leading `*.`; empty: those of the certificate.
    pub names: Vec<String>,
}

impl SniCertificate {
    /// Reads a value of `--tls-sni-cert-key`, `crt,key[:name,...]`; `None` when it has another form.
    #[must_use]
    pub fn parse(value: &str) -> Option<SniCertificate> {
        let (files, names) = value.split_once(':').unwrap_or((value, ""));
        let (certificate, key) = files.split_once(',')?;
        if certificate.is_empty() || key.is_empty() || key.contains(',') || names.contains(':') {
            return None;
        }
        let names = names.split(',').filter(|name| !name.is_empty()).map(str::to_ascii_lowercase).collect();
        Some(SniCertificate { certificate: certificate.into(), key: key.into(), names })
    }
}

/// The names of a certificate made here: the service as the aggregator verifies it, this machine, and `bind` if it is
/// one address.
#[must_use]
pub fn subject_names(
    service: &str,
    namespace: &str,
    host_name: Option<&str>,
    bind: Option<IpAddr>,
) -> Vec<String> {
    let mut names = vec![
        format!("{service}.{namespace}.svc"),
        format!("{service}.{namespace}.svc.cluster.local"),
        "localhost".to_string(),
        "127.0.0.1".to_string(),
        "::1".to_string(),
    ];
    let bind = bind.filter(|address| !address.is_unspecified()).map(|address| address.to_string());
    let host_name = host_name.filter(|name| !name.is_empty() && name.is_ascii()).map(str::to_string);
    for name in bind.into_iter().chain(host_name) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The pairs in force; shared by all handshakes and whoever calls [`Certificates::check_reload`].
#[derive(Debug)]
pub struct Certificates {
    names: Vec<String>,
    /// The default pair, then those of `--tls-sni-cert-key`.
    pairs: Mutex<Vec<Pair>>,
    watches: Mutex<Vec<Watch>>,
}

#[derive(Clone, Debug)]
struct Pair {
    key: Arc<CertifiedKey>,
    /// Lower-case names, exact or `*.name`; empty: the certificate's own.
    domains: Vec<String>,
}

/// What to look at again for one pair.
#[derive(Debug)]
struct Watch {
    origin: Origin,
    /// The files when they were last loaded.
    loaded: Option<Stamp>,
    /// The files when they were last found unfit.
    unfit: Option<Option<Stamp>>,
    log: LogOnce,
}

#[derive(Debug)]
enum Origin {
    Files(PathBuf, PathBuf),
    Directory(PathBuf),
    Memory,
}

/// The state of both files.
type Stamp = [pem::Stamp; 2];

impl Certificates {
    /// Loads or makes every pair.
    /// # Errors
    /// Which flag or file, and what is wrong with it.
    pub fn load(settings: &CertificateSettings, now: UnixNanos) -> Result<Arc<Certificates>, String> {
        let mut pairs = Vec::new();
        let mut watches = Vec::new();
        let default = default_origin(settings)?;
        let origins = std::iter::once((default, Vec::new())).chain(
            settings
                .sni
                .iter()
                .map(|s| (Origin::Files(s.certificate.clone(), s.key.clone()), s.names.clone())),
        );
        for (origin, domains) in origins {
            let loaded = stamp(&origin);
            let flag = if pairs.is_empty() { "--tls-cert-file" } else { "--tls-sni-cert-key" };
            let key = open(&origin, &settings.names, now).map_err(|error| match origin {
                Origin::Files(..) => format!("{flag}: {error}"),
                Origin::Directory(_) | Origin::Memory => error,
            })?;
            let key = Arc::new(key);
            // A directory's files may have been made just now.
            let loaded = if matches!(origin, Origin::Directory(_)) { stamp(&origin) } else { loaded };
            pairs.push(Pair { key, domains });
            watches.push(Watch { origin, loaded, unfit: None, log: LogOnce::new() });
        }
        Ok(Arc::new(Certificates {
            names: settings.names.clone(),
            pairs: Mutex::new(pairs),
            watches: Mutex::new(watches),
        }))
    }

    /// Looks at the files again, and makes certificates that end soon anew. Cheap when nothing changed: two `stat` calls
    /// a pair. Call it every `limits::CREDENTIAL_LOOK_INTERVAL`.
    pub fn check_reload(&self, now: UnixNanos) {
        let mut watches = lock(&self.watches);
        for (index, watch) in watches.iter_mut().enumerate() {
            if let Some(key) = watch.reload().or_else(|| self.renew(index, watch, now)) {
                let mut pairs = lock(&self.pairs);
                if let Some(pair) = pairs.get_mut(index) {
                    pair.key = Arc::new(key);
                }
            }
        }
    }

    /// Renews a pair that was made here and expires soon.
    fn renew(&self, index: usize, watch: &mut Watch, now: UnixNanos) -> Option<CertifiedKey> {
        let serving = self.key(index)?;
        let made = match &watch.origin {
            Origin::Files(..) => return None,
            _ if !ends_soon(&serving, now) => return None,
            Origin::Directory(directory) => {
                make_in(directory, &self.names, now).or_else(|error| match watch.loaded {
                    // The pair in use could not be kept there either.
                    None => make(&self.names, now),
                    Some(_) => Err(error),
                })
            }
            Origin::Memory => make(&self.names, now),
        };
        match made {
            Ok(key) => {
                log::info!("serving certificate renewed before expiry");
                watch.loaded = stamp(&watch.origin);
                watch.log.forget("renewal");
                Some(key)
            }
            Err(error) => {
                let message = format_args!("serving certificate expires soon and cannot be renewed: {error}");
                watch.log.problem(log::Level::Error, "renewal", &error, message);
                None
            }
        }
    }

    fn key(&self, index: usize) -> Option<Arc<CertifiedKey>> {
        lock(&self.pairs).get(index).map(|pair| pair.key.clone())
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let pairs = lock(&self.pairs);
        let (default, named) = pairs.split_first()?;
        let chosen = hello.server_name().and_then(|name| named.iter().find(|pair| pair.is_for(name)));
        Some(chosen.unwrap_or(default).key.clone())
    }
}

impl Pair {
    fn is_for(&self, name: &str) -> bool {
        if self.domains.is_empty() {
            let certificate = self.key.end_entity_cert().and_then(ParsedCertificate::try_from);
            let name = rustls::pki_types::ServerName::try_from(name);
            return matches!((certificate, name), (Ok(certificate), Ok(name))
                if rustls::client::verify_server_name(&certificate, &name).is_ok());
        }
        let name = name.to_ascii_lowercase();
        self.domains.iter().any(|domain| match domain.strip_prefix('*') {
            // One label, as in certificates.
            Some(suffix) => {
                name.strip_suffix(suffix).is_some_and(|label| !label.is_empty() && !label.contains('.'))
            }
            None => *domain == name,
        })
    }
}

impl Watch {
    /// Loads files that changed since they were loaded. Unusable ones are logged at the second look: the writer may be
    /// between the two files at the first.
    fn reload(&mut self) -> Option<CertifiedKey> {
        let found = stamp(&self.origin);
        if found == self.loaded {
            self.unfit = None;
            self.log.recovered("reload", "serving certificate files are those in use again");
            return None;
        }
        let (certificate, key) = paths(&self.origin)?;
        match pem::load_pair(&certificate, &key) {
            Ok(pair) => {
                log::info!("reloaded the serving certificate {}", certificate.display());
                self.loaded = found;
                self.unfit = None;
                self.log.forget("reload");
                Some(pair)
            }
            Err(error) => {
                if self.unfit.replace(found) == Some(found) {
                    let message = format_args!(
                        "serving certificate changed but cannot be used, the old one stays in use: {error}"
                    );
                    self.log.problem(log::Level::Error, "reload", &error, message);
                }
                None
            }
        }
    }
}

fn default_origin(settings: &CertificateSettings) -> Result<Origin, String> {
    let (cert, key) = (&settings.cert_file, &settings.key_file);
    match (cert.as_os_str().is_empty(), key.as_os_str().is_empty()) {
        (false, false) => Ok(Origin::Files(cert.clone(), key.clone())),
        (false, true) => Err("--tls-cert-file needs --tls-private-key-file beside it".to_string()),
        (true, false) => Err("--tls-private-key-file needs --tls-cert-file beside it".to_string()),
        (true, true) => Ok(match &settings.cert_dir {
            Some(directory) if !directory.as_os_str().is_empty() => Origin::Directory(directory.clone()),
            _ => Origin::Memory,
        }),
    }
}

fn paths(origin: &Origin) -> Option<(PathBuf, PathBuf)> {
    match origin {
        Origin::Files(certificate, key) => Some((certificate.clone(), key.clone())),
        Origin::Directory(directory) => {
            Some((directory.join("apiserver.crt"), directory.join("apiserver.key")))
        }
        Origin::Memory => None,
    }
}

/// `None` while a file is missing.
fn stamp(origin: &Origin) -> Option<Stamp> {
    let (certificate, key) = paths(origin)?;
    Some([pem::stamp(&certificate)?, pem::stamp(&key)?])
}

fn open(origin: &Origin, names: &[String], now: UnixNanos) -> Result<CertifiedKey, String> {
    match origin {
        Origin::Files(certificate, key) => pem::load_pair(certificate, key),
        Origin::Memory => make(names, now),
        Origin::Directory(directory) => match load_from(directory) {
            Ok(pair) if !ends_soon(&pair, now) => Ok(pair),
            Ok(pair) => make_in(directory, names, now).or_else(|error| {
                log::error!("serving certificate expires soon and cannot be renewed: {error}");
                Ok(pair)
            }),
            Err(_) => make_in(directory, names, now).or_else(|error| {
                log::warn!("certificate in memory, new at every start, since it cannot be kept: {error}");
                make(names, now)
            }),
        },
    }
}

fn load_from(directory: &Path) -> Result<CertifiedKey, String> {
    pem::load_pair(&directory.join("apiserver.crt"), &directory.join("apiserver.key"))
}

fn ends_soon(pair: &CertifiedKey, now: UnixNanos) -> bool {
    let rest = i64::try_from(limits::CERTIFICATE_RENEW_BEFORE.as_secs()).unwrap_or(i64::MAX);
    let end = pair.cert.first().and_then(|leaf| not_after(leaf));
    end.is_none_or(|end| end.seconds().saturating_sub(now.seconds()) < rest)
}

fn make(names: &[String], now: UnixNanos) -> Result<CertifiedKey, String> {
    let issued = Authority::generate(now)?.issue(names, now)?;
    pem::parse_pair(issued.chain_pem.as_bytes(), issued.key_pem.as_bytes())
}

/// Makes a pair in a directory, and before it the authority when there is none that lives long enough.
fn make_in(directory: &Path, names: &[String], now: UnixNanos) -> Result<CertifiedKey, String> {
    fs::create_dir_all(directory).map_err(|e| format!("--cert-dir {}: {e}", directory.display()))?;
    let authority = match authority_in(directory, now) {
        Some(authority) => authority,
        None => {
            let authority = Authority::generate(now)?;
            write(&directory.join("ca.key"), authority.key_pem().as_bytes(), 0o600)?;
            write(&directory.join("ca.crt"), authority.pem.as_bytes(), 0o644)?;
            authority
        }
    };
    let issued = authority.issue(names, now)?;
    write(&directory.join("apiserver.key"), issued.key_pem.as_bytes(), 0o600)?;
    write(&directory.join("apiserver.crt"), issued.chain_pem.as_bytes(), 0o644)?;
    load_from(directory)
}

/// The directory's authority, if its files are whole, belong together and outlive a new certificate.
fn authority_in(directory: &Path, now: UnixNanos) -> Option<Authority> {
    let (certificate, key) = (directory.join("ca.crt"), directory.join("ca.key"));
    let pair = pem::load_pair(&certificate, &key).ok()?;
    let der = pair.cert.first()?.to_vec();
    let life = i64::try_from(limits::CERTIFICATE_LIFE.as_secs()).ok()?;
    if not_after(&der)?.seconds().saturating_sub(now.seconds()) <= life {
        return None;
    }
    let pem = String::from_utf8(pem::read(&certificate).ok()?.to_vec()).ok()?;
    let key = pem::read(&key).ok()?;
    Authority::from_parts(der, pem, std::str::from_utf8(&key).ok()?).ok()
}

/// Writes beside the file and renames, so that nobody reads half a file.
fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), String> {
    let fault = |error: std::io::Error| format!("--cert-dir: writing {}: {error}", path.display());
    let new = path.with_extension(format!("new-{}", std::process::id()));
    let _ = fs::remove_file(&new);
    let written =
        fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&new).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        });
    let renamed = written.and_then(|()| fs::rename(&new, path));
    if renamed.is_err() {
        let _ = fs::remove_file(&new);
    }
    renamed.map_err(fault)
}

#[cfg(test)]
mod tests;
