//! Whom to trust: the ConfigMap `kube-system/extension-apiserver-authentication`, overridden by flags, followed while
//! running.
//!
//! Looked at every `limits::TRUST_INTERVAL`, and on SIGHUP; a plain GET, since a watch would hold a connection for a
//! document that changes once a year. What cannot be read or parsed leaves the last good state; a key that is missing means nobody is
//! trusted that way. Trust that was never read is no trust: the answers are then 401, 403 or a review's. Deviation: the
//! reference ends when the first lookup fails; this one tries again. Source: `k8s.io/apiserver`
//! `pkg/server/options/authentication.go`.

use super::backoff;
use super::client::{ApiServer, hint};
use crate::access::{FrontProxySettings, Trust};
use crate::limits;
use crate::lock::lock;
use crate::log_once::LogOnce;
use crate::net::credentials::Material;
use crate::net::fetch::{FetchError, Reason};
use miniserde::{Deserialize, json};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PATH: &str = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication";

/// What the flags say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustSettings {
    /// `--authentication-skip-lookup`: flags alone count.
    pub skip_lookup: bool,
    /// `--authentication-tolerate-lookup-failure`: a failed lookup is no warning.
    pub tolerate_lookup_failure: bool,
    /// `--client-ca-file`, instead of the ConfigMap's bundle.
    pub client_ca_file: Option<PathBuf>,
    /// `--requestheader-client-ca-file`, instead of everything the ConfigMap says of the front proxy.
    pub front_proxy_ca_file: Option<PathBuf>,
    /// The other `--requestheader-*` flags; they count only with the CA file. `ca_pem` is not used.
    pub front_proxy: FrontProxySettings,
}

/// Front proxy and client CA bundle, as they were last read.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// The front proxy; its `ca_pem` is `None` when there is none.
    pub front_proxy: FrontProxySettings,
    /// The bundle that clients are held against.
    pub client_ca: Option<Vec<u8>>,
}

/// The trust in force. Shared: the serving thread reads it, one other thread refreshes it.
pub struct TrustSource {
    settings: TrustSettings,
    api: Option<Arc<ApiServer>>,
    trust: Mutex<Arc<Trust>>,
    /// The first lookup has ended, or there is none to make.
    looked_up: AtomicBool,
    progress: Mutex<LookupProgress>,
}

#[derive(Default)]
struct LookupProgress {
    /// What the ConfigMap said last, and what the trust in force was made of.
    looked_up: Known,
    in_force: Known,
    failures: u32,
    /// Problems of the lookup and of the bundles.
    log: LogOnce,
}

impl TrustSource {
    /// Trust from the files of the flags; the ConfigMap is read by [`TrustSource::refresh`]. Without an API server
    /// (host-only mode) flags alone count.
    ///
    /// # Errors
    /// Which file cannot be used, and why.
    pub fn new(settings: TrustSettings, api: Option<Arc<ApiServer>>) -> Result<TrustSource, String> {
        let api = api.filter(|_| !settings.skip_lookup);
        let in_force = combined(&settings, Known::default())?;
        // Nothing was looked up yet: what cannot be used is from a flag.
        let trust = Trust::new(&in_force.front_proxy, in_force.client_ca.as_deref()).map_err(|e| {
            let flag = match (&settings.client_ca_file, &settings.front_proxy_ca_file) {
                (Some(_), None) => "--client-ca-file",
                (None, _) => "--requestheader-client-ca-file",
                (Some(_), Some(_)) => "--client-ca-file or --requestheader-client-ca-file",
            };
            format!("{flag}: {e}")
        })?;
        let progress = LookupProgress { in_force, ..LookupProgress::default() };
        Ok(TrustSource {
            looked_up: AtomicBool::new(api.is_none()),
            settings,
            api,
            trust: Mutex::new(Arc::new(trust)),
            progress: Mutex::new(progress),
        })
    }

    /// The trust in force; read it again for every request.
    pub fn trust(&self) -> Arc<Trust> {
        lock(&self.trust).clone()
    }

    /// Whether the first lookup has ended, well or not: until then nobody can be known by a certificate.
    pub fn was_looked_up(&self) -> bool {
        self.looked_up.load(Ordering::Acquire)
    }

    /// Looks at files and ConfigMap, and puts what changed in force. Returns when to look again.
    pub fn refresh(&self) -> Duration {
        let mut progress = lock(&self.progress);
        let again = match self.api.as_deref().map(lookup) {
            None => limits::TRUST_INTERVAL,
            Some(Ok(map)) => {
                progress.failures = 0;
                let (known, complaint) = known(&map, &progress.looked_up);
                progress.looked_up = known;
                match complaint {
                    None => {
                        progress.log.recovered("lookup", format_args!("{PATH}: can be read again"));
                    }
                    Some(c) => {
                        let message = format_args!("{PATH}: {c}; its last good state stays in force");
                        progress.log.problem(log::Level::Warn, "lookup", &c, message);
                    }
                }
                limits::TRUST_INTERVAL
            }
            Some(Err(e)) => {
                progress.failures = backoff::after_failure(progress.failures, e.reason);
                let level = match e.reason {
                    // A cluster without it authenticates by token alone.
                    Reason::NotFound => log::Level::Info,
                    _ if self.settings.tolerate_lookup_failure => log::Level::Info,
                    _ => log::Level::Warn,
                };
                let hint = hint(
                    e.reason,
                    "\"get\" on that ConfigMap (RoleBinding to extension-apiserver-authentication-reader)",
                );
                let message =
                    format_args!("{PATH}: {e}, retrying; its last good state stays in force; {hint}");
                progress.log.problem(level, "lookup", &e.message, message);
                let first = Duration::from_secs(1);
                backoff::wait(progress.failures, first, 2.0, limits::TRUST_INTERVAL, 0.0)
            }
        };
        self.put_in_force(&mut progress);
        self.looked_up.store(true, Ordering::Release);
        again
    }

    fn put_in_force(&self, progress: &mut LookupProgress) {
        let made = combined(&self.settings, progress.looked_up.clone()).and_then(|wanted| {
            if wanted == progress.in_force {
                return Ok(None);
            }
            Trust::new(&wanted.front_proxy, wanted.client_ca.as_deref()).map(|trust| Some((trust, wanted)))
        });
        match made {
            Ok(changed) => {
                progress
                    .log
                    .recovered("bundles", "authentication: certificate authorities can be used again");
                if let Some((trust, wanted)) = changed {
                    *lock(&self.trust) = Arc::new(trust);
                    progress.in_force = wanted;
                    log::info!("authentication: certificate authorities and front proxy settings reloaded");
                }
            }
            Err(e) => {
                let message = format_args!("authentication: {e}; the last good state stays in force");
                progress.log.problem(log::Level::Warn, "bundles", &e, message);
            }
        }
    }
}

/// The flags laid over what was looked up.
fn combined(settings: &TrustSettings, looked_up: Known) -> Result<Known, String> {
    let read = |flag: &str, path: &PathBuf| {
        let bytes = Material::File(path.clone()).read().map_err(|e| format!("{flag}: {e}"))?;
        Ok::<_, String>(bytes.to_vec())
    };
    let Known { mut front_proxy, mut client_ca } = looked_up;
    if let Some(path) = &settings.client_ca_file {
        client_ca = Some(read("--client-ca-file", path)?);
    }
    if let Some(path) = &settings.front_proxy_ca_file {
        let ca_pem = Some(read("--requestheader-client-ca-file", path)?);
        front_proxy = FrontProxySettings { ca_pem, ..settings.front_proxy.clone() };
    }
    Ok(Known { front_proxy, client_ca })
}

#[derive(Deserialize)]
struct ConfigMap {
    data: Option<Values>,
}

/// The keys of the ConfigMap; lists are JSON within JSON.
#[derive(Default, Deserialize)]
struct Values {
    #[serde(rename = "client-ca-file")]
    client_ca: Option<String>,
    #[serde(rename = "requestheader-client-ca-file")]
    front_proxy_ca: Option<String>,
    #[serde(rename = "requestheader-allowed-names")]
    allowed_names: Option<String>,
    #[serde(rename = "requestheader-username-headers")]
    username_headers: Option<String>,
    #[serde(rename = "requestheader-group-headers")]
    group_headers: Option<String>,
    #[serde(rename = "requestheader-extra-headers-prefix")]
    extra_prefixes: Option<String>,
    #[serde(rename = "requestheader-uid-headers")]
    uid_headers: Option<String>,
}

fn lookup(api: &ApiServer) -> Result<String, FetchError> {
    let mut answer = api.document(PATH, limits::REVIEW_TIMEOUT)?;
    if let Some(refusal) = answer.refusal() {
        return Err(refusal);
    }
    let body = answer.read_all()?;
    String::from_utf8(body).map_err(|_| FetchError::new(Reason::Body, "the answer is not UTF-8"))
}

/// What the document says, and what is wrong with it. What cannot be read stays as it was last.
#[must_use]
pub fn known(document: &str, last: &Known) -> (Known, Option<String>) {
    let Ok(map) = json::from_str::<ConfigMap>(document) else {
        return (last.clone(), Some("not a ConfigMap in JSON".to_owned()));
    };
    let values = map.data.unwrap_or_default();
    let bundle = |pem: &Option<String>| pem.clone().filter(|p| !p.trim().is_empty()).map(String::into_bytes);
    let client_ca = bundle(&values.client_ca);
    match front_proxy(&values, bundle(&values.front_proxy_ca)) {
        Ok(front_proxy) => (Known { front_proxy, client_ca }, None),
        // One bad list must not unlock the others: the front proxy stays whole as it was.
        Err(key) => {
            let front_proxy = last.front_proxy.clone();
            (Known { front_proxy, client_ca }, Some(format!("{key} is not a JSON list of names")))
        }
    }
}

/// The front proxy's settings; an error names the key that is not a list.
fn front_proxy(values: &Values, ca_pem: Option<Vec<u8>>) -> Result<FrontProxySettings, &'static str> {
    if ca_pem.is_none() {
        return Ok(FrontProxySettings::default());
    }
    let list = |key, text: &Option<String>| names(text.as_deref().unwrap_or_default()).ok_or(key);
    Ok(FrontProxySettings {
        ca_pem,
        allowed_names: list("requestheader-allowed-names", &values.allowed_names)?,
        username_headers: list("requestheader-username-headers", &values.username_headers)?,
        group_headers: list("requestheader-group-headers", &values.group_headers)?,
        extra_prefixes: list("requestheader-extra-headers-prefix", &values.extra_prefixes)?,
        uid_headers: list("requestheader-uid-headers", &values.uid_headers)?,
    })
}

/// A list of names; empty for an empty text.
fn names(text: &str) -> Option<Vec<String>> {
    if text.trim().is_empty() { Some(Vec::new()) } else { json::from_str(text).ok() }
}

#[cfg(test)]
mod tests;
