//! What outgoing requests present and whom they believe: token, client certificate, certificate authorities.
//!
//! Everything may live in a file that Kubernetes replaces while we run (a mounted service account, a rotated
//! certificate). Files are looked at by modification time, inode and length; a set that cannot be read or does not fit
//! together leaves the last good one in force. A client key that does not match its certificate is refused here, since
//! the HTTP library would panic on it. Tokens and keys are wiped when dropped and never printed.

use super::pem::{self, Stamp};
use super::tls::provider;
use crate::host::clock;
use crate::limits;
use crate::lock::lock;
use crate::log_once::LogOnce;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use zeroize::Zeroizing;

/// Bytes that are given as such, or kept in a file that may be replaced.
#[derive(Clone, PartialEq, Eq)]
pub enum Material {
    /// The bytes themselves.
    Inline(Zeroizing<Vec<u8>>),
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

/// Whom to believe when a server shows its certificate.
#[derive(Clone, PartialEq, Eq)]
pub enum Roots {
    /// Certificates that chain to one of these authorities (PEM bundle).
    Pem(Material),
    /// Anybody: `--kubelet-insecure-tls` or a kubeconfig's `insecure-skip-tls-verify`.
    Anybody,
    /// Nobody: only plain `http` URLs can be asked.
    Nobody,
}

/// Who we are.
#[derive(Clone)]
pub struct Credentials {
    /// Whom to believe.
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
    /// Nothing to present, and nobody to believe.
    #[must_use]
    pub const fn none() -> Credentials {
        Credentials {
            roots: Roots::Nobody,
            pair: None,
            token: None,
            server_name: None,
            token_in_clear: false,
        }
    }

    /// The state of the files behind the TLS settings; equal stamps mean nothing changed.
    pub(super) fn stamps(&self) -> Vec<Option<Stamp>> {
        let roots = if let Roots::Pem(m) = &self.roots { Some(m) } else { None };
        let pair = self.pair.iter().flat_map(|(certificate, key)| [certificate, key]);
        roots.into_iter().chain(pair).map(Material::stamp).collect()
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
        let provider = provider();
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?;
        let builder = match &self.roots {
            Roots::Anybody => {
                builder.dangerous().with_custom_certificate_verifier(Arc::new(BelieveAnybody(provider)))
            }
            Roots::Pem(material) => builder.with_root_certificates(roots(material)?),
            Roots::Nobody => builder.with_root_certificates(RootCertStore::empty()),
        };
        let mut config = match &self.pair {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates(certificate)?;
                let der = pem::private_key(&key.read()?).map_err(|e| format!("{}: {e}", key.name()))?;
                builder.with_client_auth_cert(chain, der).map_err(|e| {
                    format!("client certificate {} and key {}: {e}", certificate.name(), key.name())
                })?
            }
        };
        // Connections are kept; tickets would hold a second copy of every server's chain.
        config.resumption = Resumption::disabled();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

impl Material {
    /// From bytes.
    #[must_use]
    pub fn inline(bytes: impl Into<Vec<u8>>) -> Material {
        Material::Inline(Zeroizing::new(bytes.into()))
    }

    fn stamp(&self) -> Option<Stamp> {
        match self {
            Material::Inline(_) => None,
            Material::File(path) | Material::Field(Field { file: path, .. }) => pem::stamp(path),
        }
    }

    fn name(&self) -> String {
        match self {
            Material::Inline(_) => "(inline)".to_owned(),
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
            Material::Inline(bytes) => Ok(bytes.clone()),
            Material::File(path) => pem::read(path),
            Material::Field(field) => (field.read)(),
        }
    }
}

fn certificates(material: &Material) -> Result<Vec<CertificateDer<'static>>, String> {
    pem::chain(&material.read()?).map_err(|e| format!("{}: {e}", material.name()))
}

fn roots(material: &Material) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    let (added, _) = store.add_parsable_certificates(certificates(material)?);
    if added == 0 { Err(format!("{}: no usable certificate authority", material.name())) } else { Ok(store) }
}

/// The bearer token: read again at most each minute and after a 401; a file that cannot be read leaves the last one.
pub(super) struct TokenReader {
    source: Option<Material>,
    last: Mutex<Option<(Zeroizing<String>, Instant)>>,
    log: LogOnce,
}

impl TokenReader {
    pub(super) fn new(source: Option<Material>) -> TokenReader {
        TokenReader { source, last: Mutex::new(None), log: LogOnce::new() }
    }

    /// The token to send now; `None` when there is none to send.
    pub(super) fn current(&self, now: Instant) -> Option<Zeroizing<String>> {
        let source = self.source.as_ref()?;
        let mut last = lock(&self.last);
        if let Some((token, read_at)) = last.as_ref()
            && (matches!(source, Material::Inline(_))
                || now.saturating_duration_since(*read_at) < limits::TOKEN_AGE_MAX)
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

    /// Reads the file again after a refusal; `true` when it now holds another token.
    pub(super) fn renewed(&self) -> bool {
        let source = self.source.as_ref().filter(|source| !matches!(source, Material::Inline(_)));
        let Some(Ok(token)) = source.map(token_text) else { return false };
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

/// Checks that the server holds the key of the certificate it shows, and nothing else.
#[derive(Debug)]
pub(crate) struct BelieveAnybody(pub(crate) Arc<CryptoProvider>);

impl ServerCertVerifier for BelieveAnybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
