//! The serving certificate: where it comes from, and how it stays valid while the program runs.
//!
//! From `--tls-cert-file` and `--tls-private-key-file`; or kept in `--cert-dir` (made there with an own authority, and
//! renewed 30 days before it expires, or when it is not valid yet because it was made under a clock that was ahead); or
//! made in memory. `--tls-sni-cert-key` adds pairs for names. Files are looked at again by [`Certificates::check_reload`],
//! off the serving thread: a pair is served once both files fit, until then the old one, and a pair that never fits is one
//! log line. Kubernetes' symlink swaps show in the time, inode and size of the file behind the path.

use crate::limits;
use crate::lock::lock;
use crate::log_once::LogOnce;
use crate::net::pem;
use crate::net::self_signed::SigningAuthority;
use crate::units::UnixNanos;
use crate::wire::x509::validity;
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Where the serving certificates come from; flags, checked by [`Certificates::load`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateSettings {
    /// `--tls-cert-file` with `--tls-private-key-file`, or `--cert-dir` (or the state directory), or memory.
    pub origin: CertificateOrigin,
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

/// The pairs in force; shared by all handshakes and the thread that calls [`Certificates::check_reload`].
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
    origin: CertificateOrigin,
    /// The files when they were last loaded.
    loaded: Option<PairStamp>,
    /// The files when they were last found unfit.
    unfit: Option<Option<PairStamp>>,
    log: LogOnce,
}

/// Where a pair comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CertificateOrigin {
    /// Certificate chain and private key, read again when they change.
    Files(PathBuf, PathBuf),
    /// Kept in this directory, and made there when it has none.
    Directory(PathBuf),
    /// Made at the start, and kept in memory.
    #[default]
    Memory,
}

/// The state of both files.
type PairStamp = [pem::Stamp; 2];

impl Certificates {
    /// Loads or makes every pair.
    /// # Errors
    /// Which flag or file, and what is wrong with it.
    pub fn load(settings: &CertificateSettings, now: UnixNanos) -> Result<Arc<Certificates>, String> {
        let mut pairs = Vec::new();
        let mut watches = Vec::new();
        let default = settings.origin.clone();
        let origins = std::iter::once((default, Vec::new())).chain(
            settings
                .sni
                .iter()
                .map(|s| (CertificateOrigin::Files(s.certificate.clone(), s.key.clone()), s.names.clone())),
        );
        for (origin, domains) in origins {
            let loaded = stamp(&origin);
            let flag = if pairs.is_empty() { "--tls-cert-file" } else { "--tls-sni-cert-key" };
            let key = open(&origin, &settings.names, now).map_err(|error| match origin {
                CertificateOrigin::Files(..) => format!("{flag}: {error}"),
                CertificateOrigin::Directory(_) | CertificateOrigin::Memory => error,
            })?;
            let key = Arc::new(key);
            // A directory's files may have been made just now.
            let loaded =
                if matches!(origin, CertificateOrigin::Directory(_)) { stamp(&origin) } else { loaded };
            let watch = Watch { origin, loaded, unfit: None, log: LogOnce::new() };
            watch.warn_of_expiry(&key, now);
            pairs.push(Pair { key, domains });
            watches.push(watch);
        }
        Ok(Arc::new(Certificates {
            names: settings.names.clone(),
            pairs: Mutex::new(pairs),
            watches: Mutex::new(watches),
        }))
    }

    /// Looks at the files again, renews certificates made here that expire soon, and warns about others that do. Cheap when
    /// nothing changed: two `stat` calls a pair. Call it every `limits::CREDENTIAL_LOOK_INTERVAL`.
    pub fn check_reload(&self, now: UnixNanos) {
        let mut watches = lock(&self.watches);
        for (index, watch) in watches.iter_mut().enumerate() {
            let Some(serving) = self.key(index) else { continue };
            let reloaded = watch.reload(&serving);
            let current = reloaded.as_ref().unwrap_or(&serving);
            let new = if must_renew(current, now) {
                self.renew(watch, now).or(reloaded.clone())
            } else {
                reloaded.clone()
            };
            watch.warn_of_expiry(new.as_deref().unwrap_or(&serving), now);
            if let (Some(new), Some(pair)) = (new, lock(&self.pairs).get_mut(index)) {
                pair.key = new;
            }
        }
    }

    /// Makes a new pair for one that was made here and is not valid for long enough.
    fn renew(&self, watch: &mut Watch, now: UnixNanos) -> Option<Arc<CertifiedKey>> {
        let made = match &watch.origin {
            CertificateOrigin::Files(..) => return None,
            CertificateOrigin::Directory(directory) => {
                make_in(directory, &self.names, now).or_else(|error| match watch.loaded {
                    // The pair in use could not be kept there either.
                    None => make(&self.names, now),
                    Some(_) => Err(error),
                })
            }
            CertificateOrigin::Memory => make(&self.names, now),
        };
        match made {
            Ok(key) => {
                log::info!("serving certificate renewed before expiry");
                watch.loaded = stamp(&watch.origin);
                watch.log.forget("renewal");
                Some(Arc::new(key))
            }
            Err(error) => {
                let message = format_args!(
                    "serving certificate expires soon or is not valid yet, and cannot be renewed: {error}"
                );
                watch.log.problem(log::Level::Error, "renewal", &error, message);
                None
            }
        }
    }

    /// When the certificate that is served without a name expires.
    #[must_use]
    pub fn ends_at(&self) -> Option<UnixNanos> {
        let serving = self.key(0)?;
        serving.cert.first().and_then(|leaf| validity(leaf)).map(|(_, end)| end)
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
    /// Warns once about a pair from files that expires soon; one made here is renewed instead.
    fn warn_of_expiry(&self, serving: &CertifiedKey, now: UnixNanos) {
        let CertificateOrigin::Files(certificate, _) = &self.origin else { return };
        let Some((_, end)) = serving.cert.first().and_then(|leaf| validity(leaf)) else { return };
        if !expires_soon(end, now) {
            self.log.forget("expiry");
            return;
        }
        let message = format_args!(
            "serving certificate {} {}: replace the file, it is reloaded by itself",
            certificate.display(),
            expiry_text(end, now)
        );
        let has_expired = seconds_left(end, now) < 0;
        self.log.problem(log::Level::Warn, "expiry", has_expired, message);
    }

    /// Loads files that changed since they were loaded. Unusable ones are logged at the second look: the writer may be
    /// between the two files at the first.
    fn reload(&mut self, serving: &CertifiedKey) -> Option<Arc<CertifiedKey>> {
        let found = stamp(&self.origin);
        if found == self.loaded {
            self.unfit = None;
            self.log.recovered("reload", "serving certificate files are those in use again");
            return None;
        }
        let (certificate, key) = paths(&self.origin)?;
        match pem::load_pair(&certificate, &key) {
            Ok(pair) => {
                self.loaded = found;
                self.unfit = None;
                self.log.forget("reload");
                // The same chain has the same key: the files were written again, or a link was swapped.
                if pair.cert == serving.cert {
                    return None;
                }
                log::info!("reloaded the serving certificate {}", certificate.display());
                Some(Arc::new(pair))
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

fn paths(origin: &CertificateOrigin) -> Option<(PathBuf, PathBuf)> {
    match origin {
        CertificateOrigin::Files(certificate, key) => Some((certificate.clone(), key.clone())),
        CertificateOrigin::Directory(directory) => {
            Some((directory.join("apiserver.crt"), directory.join("apiserver.key")))
        }
        CertificateOrigin::Memory => None,
    }
}

/// `None` while a file is missing.
fn stamp(origin: &CertificateOrigin) -> Option<PairStamp> {
    let (certificate, key) = paths(origin)?;
    Some([pem::stamp(&certificate)?, pem::stamp(&key)?])
}

fn open(origin: &CertificateOrigin, names: &[String], now: UnixNanos) -> Result<CertifiedKey, String> {
    match origin {
        CertificateOrigin::Files(certificate, key) => pem::load_pair(certificate, key),
        CertificateOrigin::Memory => make(names, now),
        CertificateOrigin::Directory(directory) => match load_from(directory) {
            Ok(pair) if !must_renew(&pair, now) => Ok(pair),
            Ok(pair) => make_in(directory, names, now).or_else(|error| {
                log::error!(
                    "serving certificate expires soon or is not valid yet, and cannot be renewed: {error}"
                );
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

/// Whether a pair expires soon, or is not valid yet: made under a clock that was ahead, it could be so for years.
fn must_renew(pair: &CertifiedKey, now: UnixNanos) -> bool {
    let validity = pair.cert.first().and_then(|leaf| validity(leaf));
    validity.is_none_or(|(start, end)| now < start || expires_soon(end, now))
}

/// Whether less than [`limits::CERTIFICATE_RENEW_BEFORE`] is left.
pub fn expires_soon(end: UnixNanos, now: UnixNanos) -> bool {
    seconds_left(end, now) < limits::CERTIFICATE_RENEW_BEFORE.as_secs().cast_signed()
}

/// Seconds until `end`; negative after it.
pub(super) fn seconds_left(end: UnixNanos, now: UnixNanos) -> i64 {
    end.seconds().saturating_sub(now.seconds())
}

/// "expires in 12 days" or "has expired".
pub fn expiry_text(end: UnixNanos, now: UnixNanos) -> String {
    match seconds_left(end, now) {
        left if left < 0 => "has expired".to_owned(),
        left => format!("expires in {} days", left / 86_400),
    }
}

fn make(names: &[String], now: UnixNanos) -> Result<CertifiedKey, String> {
    let issued = SigningAuthority::generate(now)?.issue(names, now)?;
    pem::parse_pair(issued.chain_pem.as_bytes(), issued.key_pem.as_bytes())
}

/// Makes a pair in a directory, and before it the authority when there is none that is valid for long enough.
fn make_in(directory: &Path, names: &[String], now: UnixNanos) -> Result<CertifiedKey, String> {
    fs::create_dir_all(directory).map_err(|e| format!("--cert-dir {}: {e}", directory.display()))?;
    let authority = match authority_in(directory, now) {
        Some(authority) => authority,
        None => {
            let authority = SigningAuthority::generate(now)?;
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

/// The directory's authority, if its files are whole and belong together, and it is valid and outlives a new certificate.
fn authority_in(directory: &Path, now: UnixNanos) -> Option<SigningAuthority> {
    let (certificate, key) = (directory.join("ca.crt"), directory.join("ca.key"));
    let pair = pem::load_pair(&certificate, &key).ok()?;
    let (start, end) = validity(pair.cert.first()?)?;
    if now < start || seconds_left(end, now) <= limits::CERTIFICATE_LIFE.as_secs().cast_signed() {
        return None;
    }
    let pem = String::from_utf8(pem::read(&certificate).ok()?.to_vec()).ok()?;
    let key = pem::read(&key).ok()?;
    SigningAuthority::from_parts(pem, std::str::from_utf8(&key).ok()?).ok()
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), String> {
    let fault = |error: std::io::Error| format!("--cert-dir: writing {}: {error}", path.display());
    pem::replace(path, bytes, mode).map_err(fault)
}

#[cfg(test)]
mod tests;
