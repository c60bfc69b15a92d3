//! Verification of the servers that are called: the API server and kubelets.
//!
//! A certificate chains to an authority of the pool (webpki) that is itself valid now and, as far as it says, for servers,
//! both of which webpki leaves to us; or it stands in the pool itself, as openssl's self-signed ones with `CA:TRUE` do: then
//! it is trusted as a server for the names it carries while it is valid. With verification off, any certificate is taken.
//! In each case the server must hold the certificate's key: the handshake's signature is verified with the key as it
//! stands in the certificate, so a version-1 certificate can be used where it need not be verified.
//! Every refusal is a sentence of our own; the library would print the names of its types.

use super::tls::{self, provider};
use crate::host::clock;
use crate::wire::x509::{Certificate, PublicKey, validity};
use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, OtherError, RootCertStore};
use std::fmt;
use std::sync::Arc;

/// Verifies servers' certificates.
#[derive(Debug)]
pub(crate) struct ServerVerifier {
    /// `None`: any certificate.
    pool: Option<TrustedPool>,
}

/// Authorities, and certificates that are trusted themselves.
#[derive(Debug)]
struct TrustedPool {
    webpki: Option<Arc<WebPkiServerVerifier>>,
    certificates: Vec<CertificateDer<'static>>,
}

impl ServerVerifier {
    /// Any certificate whose key the server holds.
    pub(crate) fn any() -> ServerVerifier {
        ServerVerifier { pool: None }
    }

    /// Only what the certificates of a bundle vouch for; none trusts nothing.
    /// # Errors
    /// None of them can be used.
    pub(crate) fn new(certificates: Vec<CertificateDer<'static>>) -> Result<ServerVerifier, String> {
        let usable = certificates.iter().any(|der| Certificate::parse(der).is_some());
        if !usable && !certificates.is_empty() {
            return Err("no usable certificate".to_owned());
        }
        // A server's own certificate is trusted itself and signs no other: the library would let every certificate of the
        // pool issue some, and one node of a bundle could pass for all of them.
        let webpki = chains_to(certificates.iter().filter(|der| may_issue(der, true)))?;
        Ok(ServerVerifier { pool: Some(TrustedPool { webpki, certificates }) })
    }
}

/// Whether this may have signed certificates: those of servers, or of all but servers.
fn may_issue(der: &[u8], for_servers: bool) -> bool {
    Certificate::parse(der)
        .is_some_and(|certificate| certificate.may_issue() && certificate.is_for_servers() == for_servers)
}

fn is_current(der: &[u8]) -> bool {
    let now = clock::wall();
    validity(der).is_some_and(|(start, end)| start <= now && now <= end)
}

/// The library's verifier for these authorities; `None` without one.
fn chains_to<'a>(
    authorities: impl Iterator<Item = &'a CertificateDer<'static>>,
) -> Result<Option<Arc<WebPkiServerVerifier>>, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(authorities.cloned());
    if roots.is_empty() {
        return Ok(None);
    }
    let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider());
    builder.build().map(Some).map_err(|error| error.to_string())
}

impl TrustedPool {
    fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        sent: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.certificates.contains(leaf) {
            return verify_itself(leaf, name);
        }
        let verify =
            |webpki: &Arc<WebPkiServerVerifier>| webpki.verify_server_cert(leaf, sent, name, ocsp, now);
        let unknown = || Err(CertificateError::UnknownIssuer.into());
        let verified = self.webpki.as_ref().map_or_else(unknown, verify).map_err(|error| match error {
            Error::InvalidCertificate(
                CertificateError::Other(_)
                | CertificateError::UnsupportedSignatureAlgorithmContext { .. }
                | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. },
            ) => refusal(std::iter::once(leaf).chain(sent)),
            Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
                let others = chains_to(self.certificates.iter().filter(|der| may_issue(der, false)));
                match others.ok().flatten().is_some_and(|webpki| verify(&webpki).is_ok()) {
                    true => CertificateError::InvalidPurpose.into(),
                    false => error,
                }
            }
            error => error,
        })?;
        let authorities = || self.certificates.iter().filter(|der| may_issue(der, true));
        if authorities().all(|der| is_current(der)) {
            return Ok(verified);
        }
        // Seldom: an authority was replaced and its certificate stays in the bundle.
        let current = chains_to(authorities().filter(|der| is_current(der))).map_err(Error::General)?;
        current
            .and_then(|webpki| verify(&webpki).ok())
            .ok_or_else(|| flawed("the authority that signed the certificate is not valid now"))
    }
}

/// A certificate of the pool: trusted for its names and as long as it says, if it is one for servers (as in Go).
fn verify_itself(leaf: &CertificateDer<'_>, name: &ServerName<'_>) -> Result<ServerCertVerified, Error> {
    let now = clock::wall();
    let certificate = Certificate::parse(leaf).ok_or(CertificateError::BadEncoding)?;
    if !certificate.is_for_servers() {
        return Err(CertificateError::InvalidPurpose.into());
    }
    if now < certificate.not_before {
        return Err(CertificateError::NotValidYet.into());
    }
    if now > certificate.not_after {
        return Err(CertificateError::Expired.into());
    }
    let parsed = ParsedCertificate::try_from(leaf).map_err(|_| refusal(std::iter::once(leaf)))?;
    verify_server_name(&parsed, name)?;
    Ok(ServerCertVerified::assertion())
}

/// What is wrong with the first certificate of a chain that cannot be verified.
fn refusal<'a>(mut chain: impl Iterator<Item = &'a CertificateDer<'a>>) -> Error {
    let what = chain.find_map(|der| flaw(der)).unwrap_or("the certificate cannot be verified");
    flawed(what)
}

fn flawed(what: &'static str) -> Error {
    CertificateError::Other(OtherError(Arc::new(CertificateFlaw(what)))).into()
}

/// Why a certificate cannot be verified here, whichever authority signed it.
fn flaw(der: &[u8]) -> Option<&'static str> {
    /// secp521r1, 1.3.132.0.35
    const P521: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23];
    /// ecdsa-with-SHA512, 1.2.840.10045.4.3.4
    const ECDSA_SHA512: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04];
    /// sha1WithRSAEncryption, 1.2.840.113549.1.1.5
    const RSA_SHA1: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05];
    let Some(certificate) = Certificate::parse(der) else { return Some("the certificate cannot be decoded") };
    if PublicKey::of(der).is_some_and(|key| key.algorithm.ends_with(P521)) {
        return Some(
            "the certificate's key is on P-521, which is not supported; use P-256, P-384, Ed25519 or RSA",
        );
    }
    if certificate.algorithm.starts_with(ECDSA_SHA512) {
        return Some(
            "the certificate is signed with ECDSA and SHA-512, which is not supported; use SHA-256 or SHA-384",
        );
    }
    if certificate.algorithm.starts_with(RSA_SHA1) {
        return Some("the certificate is signed with SHA-1, which is not supported; use SHA-256");
    }
    if !certificate.is_v3 {
        return Some(
            "the certificate has X.509 version 1, which holds no name to verify; issue one with a subjectAltName",
        );
    }
    if certificate.is_ca == Some(true) {
        return Some("the certificate is one of an authority and not itself among the trusted ones");
    }
    None
}

/// A refusal in words.
#[derive(Debug)]
struct CertificateFlaw(&'static str);

impl fmt::Display for CertificateFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for CertificateFlaw {}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        sent: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.pool {
            Some(pool) => pool.verify(leaf, sent, name, ocsp, now),
            None => Ok(ServerCertVerified::assertion()),
        }
    }

    tls::verify_signatures!();
}

#[cfg(test)]
mod tests;
