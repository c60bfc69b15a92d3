//! What outgoing requests present and which servers they trust: token, client certificate, certificate authorities.
//!
//! Everything may live in a file that Kubernetes replaces while we run (a mounted service account, a rotated
//! certificate). Files are looked at by modification time, inode and length; a set that cannot be read or does not fit
//! together leaves the last good one in force. A client key that does not match its certificate is refused here. Tokens and keys are wiped when dropped and never printed.

use super::certificate::{expires_soon, expiry_text};
use super::pem::{self, Stamp};
use super::server_verifier::ServerVerifier;
use super::tls::provider;
use crate::host::clock;
use crate::limits;
use crate::lock::lock;
use crate::log_once::LogOnce;
use crate::units::UnixNanos;
use crate::wire::x509::validity;
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use rustls::sign::SingleCertAndKey;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;
use zeroize::Zeroizing;

/// Bytes kept in a file that may be replaced.
#[derive(Clone, PartialEq, Eq)]
pub enum Material {
    /// A file, read when first needed and again when it changes.
    File(PathBuf),
    /// A field of a document (a kubeconfig), read again when the document changes.
    Field(Field),
}

/// One field of a document.
#[derive(Clone)]
pub struct Field {
    /// The document.
    pub file: PathBuf,
    /// The field's name, for errors.
    pub name: String,
    /// The bytes when the document was read.
    pub value: Zeroizing<Vec<u8>>,
    /// The bytes as the document is now, or why there are none.
    pub read: Arc<dyn Fn() -> Result<Zeroizing<Vec<u8>>, String> + Send + Sync>,
}

impl PartialEq for Field {
    fn eq(&self, other: &Field) -> bool {
        (&self.file, &self.name) == (&other.file, &other.name)
    }
}

impl Eq for Field {}

/// Which servers to trust.
#[derive(Clone, PartialEq, Eq)]
pub enum Roots {
    /// Certificates that chain to one of these authorities (PEM bundle).
    Pem(Material),
    /// Any: `--kubelet-insecure-tls` or a kubeconfig's `insecure-skip-tls-verify`.
    Any,
    /// None: only plain `http` URLs can be asked.
    None,
}

/// Who we are.
#[derive(Clone)]
pub struct Credentials {
    /// Which servers to trust.
    pub roots: Roots,
    /// Client certificate chain and private key, both PEM.
    pub pair: Option<(Material, Material)>,
    /// Bearer token.
    pub token: Option<Material>,
    /// The name to verify instead of the URL's host (`tls-server-name`).
    pub server_name: Option<String>,
    /// The token may travel over plain `http`: only where the kubeconfig itself names an `http` server.
    pub token_in_clear: bool,
}

impl Credentials {
    /// Nothing to present, and no server to trust.
    #[must_use]
    pub const fn none() -> Credentials {
        Credentials { roots: Roots::None, pair: None, token: None, server_name: None, token_in_clear: false }
    }

    /// The state of the files behind the TLS settings; equal stamps mean nothing changed.
    pub(super) fn stamps(&self) -> Vec<Option<Stamp>> {
        self.materials().map(Material::stamp).collect()
    }

    fn materials(&self) -> impl Iterator<Item = &Material> {
        let roots = if let Roots::Pem(m) = &self.roots { Some(m) } else { None };
        let pair = self.pair.iter().flat_map(|(certificate, key)| [certificate, key]);
        roots.into_iter().chain(pair)
    }

    /// A hash of what the files behind the TLS settings hold; an unreadable one counts as empty.
    pub(super) fn contents(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for material in self.materials() {
            // What cannot be read has no content that could be used, and becomes a change once it can be read.
            material.read().unwrap_or_default().hash(&mut hasher);
        }
        hasher.finish()
    }

    /// The end of our own certificate.
    pub(super) fn expires_at(&self) -> Option<UnixNanos> {
        let (certificate, _) = self.pair.as_ref()?;
        let chain = certificates(certificate).ok()?;
        chain.first().and_then(|leaf| validity(leaf)).map(|(_, end)| end)
    }

    /// Warns once for each certificate that expires soon, and again once it has expired; `end` is that of
    /// [`Credentials::expires_at`].
    pub(super) fn warn_of_expiry(&self, end: Option<UnixNanos>, now: UnixNanos) -> bool {
        /// One for all clients: several may present the same certificate.
        static EXPIRY: LogOnce = LogOnce::new();
        let (Some(end), Some((certificate, _))) = (end, &self.pair) else { return false };
        let name = certificate.name();
        if !expires_soon(end, now) {
            EXPIRY.forget(&name);
            return false;
        }
        let message = format_args!(
            "client certificate {name} {}: renew it, a file that is replaced is read by itself",
            expiry_text(end, now)
        );
        EXPIRY.problem(log::Level::Warn, &name, (end.0, end < now), message)
    }

    /// Reads the token once, for the start.
    ///
    /// # Errors
    /// Where it should be, and what is wrong with it.
    pub fn validate_token(&self) -> Result<(), String> {
        self.token.as_ref().map_or(Ok(()), |token| token_text(token).map(drop))
    }

    /// The TLS side of a client, from the files as they are now.
    ///
    /// # Errors
    /// Which file cannot be used, and why.
    pub fn tls(&self) -> Result<Arc<ClientConfig>, String> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?;
        let verifier = match &self.roots {
            Roots::Any => ServerVerifier::any(),
            Roots::Pem(material) => ServerVerifier::new(certificates(material)?)
                .map_err(|error| format!("{}: {error}", material.name()))?,
            Roots::None => ServerVerifier::new(Vec::new())?,
        };
        let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &self.pair {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                // Handed to the server as it is, whatever its version and extensions: whether it counts is for the
                // server to say. Only the key must be the certificate's.
                let der = pem::private_key(&key.read()?).map_err(|e| format!("{}: {e}", key.name()))?;
                let pair = pem::pair(certificates(certificate)?, der).map_err(|e| {
                    format!("client certificate {} and key {}: {}", certificate.name(), key.name(), e.text())
                })?;
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(pair)))
            }
        };
        // Connections are kept; tickets would hold a second copy of every server's chain.
        config.resumption = Resumption::disabled();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

impl Material {
    #[cfg(test)]
    pub(crate) fn inline(bytes: impl Into<Vec<u8>>) -> Material {
        let value = Zeroizing::new(bytes.into());
        let read = value.clone();
        let (file, name) = (PathBuf::from("/nowhere"), String::from_utf8_lossy(&value).into_owned());
        Material::Field(Field { file, name, value, read: Arc::new(move || Ok(read.clone())) })
    }

    fn stamp(&self) -> Option<Stamp> {
        let (Material::File(path) | Material::Field(Field { file: path, .. })) = self;
        pem::stamp(path)
    }

    fn name(&self) -> String {
        match self {
            Material::File(path) => path.display().to_string(),
            Material::Field(field) => format!("{}: {}", field.file.display(), field.name),
        }
    }

    /// The bytes; at most `limits::CREDENTIAL_LEN_MAX`.
    ///
    /// # Errors
    /// The file, and why it cannot be read.
    pub fn read(&self) -> Result<Zeroizing<Vec<u8>>, String> {
        match self {
            Material::File(path) => pem::read(path),
            Material::Field(field) => (field.read)(),
        }
    }
}

fn certificates(material: &Material) -> Result<Vec<CertificateDer<'static>>, String> {
    pem::chain(&material.read()?).map_err(|e| format!("{}: {e}", material.name()))
}

/// The bearer token: read again at most each minute and after a 401; a file that cannot be read leaves the last one.
pub(super) struct TokenReader {
    source: Option<Material>,
    last: Mutex<Option<(Zeroizing<String>, Instant)>>,
    /// The file is read before the next request, however new the last token is.
    overdue: AtomicBool,
    log: LogOnce,
}

impl TokenReader {
    pub(super) fn new(source: Option<Material>) -> TokenReader {
        let overdue = AtomicBool::new(false);
        TokenReader { source, last: Mutex::new(None), overdue, log: LogOnce::new() }
    }

    /// The token to send now; `None` when there is none to send.
    pub(super) fn current(&self, now: Instant) -> Option<Zeroizing<String>> {
        let source = self.source.as_ref()?;
        let mut last = lock(&self.last);
        let overdue = self.overdue.swap(false, Ordering::Relaxed);
        if let Some((token, read_at)) = last.as_ref()
            && !overdue
            && now.saturating_duration_since(*read_at) < limits::TOKEN_AGE_MAX
        {
            return Some(token.clone());
        }
        match token_text(source) {
            Ok(token) => {
                self.log.recovered("token", format_args!("token can be read again: {}", source.name()));
                *last = Some((token, now));
            }
            // The next look is a minute away, not at every request.
            Err(e) => {
                let message = format_args!("token cannot be read, the last one stays in use: {e}");
                self.log.problem(log::Level::Warn, "token", &e, message);
                if let Some((_, read_at)) = last.as_mut() {
                    *read_at = now;
                }
            }
        }
        last.as_ref().map(|(token, _)| token.clone())
    }

    /// Reads the file before the next request.
    pub(super) fn look_again(&self) {
        self.overdue.store(true, Ordering::Relaxed);
    }

    /// Reads the file again after a refusal; `true` when it now holds another token.
    pub(super) fn renewed(&self) -> bool {
        let Some(Ok(token)) = self.source.as_ref().map(token_text) else { return false };
        let mut last = lock(&self.last);
        let changed = last.as_ref().is_none_or(|(old, _)| *old != token);
        *last = Some((token, clock::mono()));
        changed
    }
}

fn token_text(source: &Material) -> Result<Zeroizing<String>, String> {
    let bytes = source.read()?;
    let error = |problem: &str| Err(format!("{}: {problem}", source.name()));
    let Ok(token) = std::str::from_utf8(&bytes).map(str::trim) else { return error("the token is not text") };
    if token.is_empty() {
        return error("the token is empty");
    }
    if token.bytes().any(|b| !(0x21..=0x7e).contains(&b)) {
        return error("the token holds characters that no header may carry");
    }
    Ok(Zeroizing::new(token.to_owned()))
}

#[cfg(test)]
mod tests;
