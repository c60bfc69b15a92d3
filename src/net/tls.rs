//! TLS of the server side: one configuration for the life of the process, and the crypto provider both sides share.
//!
//! A client certificate is asked for, never required, and any is let through the handshake, as long as the peer proves
//! that it holds the key: the user is evaluated for every request in `access`, so a change of trust, an expired
//! certificate or a resumed session never leaves an old identity behind. The serving pair is looked up for every
//! handshake (`certificate`), so a reload needs no new configuration either. Refused: TLS below 1.2, an ALPN offer
//! without `http/1.1`, certificate chains beyond `limits::CLIENT_CHAIN_LEN_MAX`. Memory: at most
//! `limits::TLS_SESSIONS_MAX` sessions of `limits::TLS_SESSION_LEN_MAX` bytes.
//! Deviation: HTTP/2 is not spoken; clients that offer both (the aggregator, kubectl) settle on `http/1.1`, and one that
//! offers `h2` alone is refused. Gain: no second protocol, and a fraction of the memory for a connection.
//! Flag values and their meaning are those of Kubernetes' `k8s.io/component-base/cli/flag` (Go's names).

use crate::limits;
use crate::wire::x509::PublicKey;
use rustls::DigitallySignedStruct;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ResolvesServerCert, ServerSessionMemoryCache, StoresServerSessions};
use rustls::{CertificateError, CipherSuite, DistinguishedName, Error, SupportedProtocolVersion};
use std::sync::{Arc, OnceLock};

pub use rustls::ServerConfig;

/// The cryptography both sides use: ring, small and at home on every architecture.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(rustls::crypto::ring::default_provider())).clone()
}

/// Whether the operating system gives random bytes: asked at the start, since nothing can be served without.
/// # Errors
/// It does not.
pub fn check_random() -> Result<(), String> {
    provider()
        .secure_random
        .fill(&mut [0; 8])
        .map_err(|_| "the operating system gives no random bytes (getrandom)".to_owned())
}

/// Fills `out` with random bytes of the operating system.
/// # Panics
/// It gives none, although it did at the start ([`check_random`]): Linux never does that, and a key of zeros would be worse.
pub fn random(out: &mut [u8]) {
    assert!(provider().secure_random.fill(out).is_ok(), "the operating system stopped giving random bytes");
}

/// Lowest protocol version, `--tls-min-version`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MinVersion {
    /// TLS 1.2, and whatever lower version was asked for: older ones are not spoken.
    #[default]
    Tls12,
    /// TLS 1.3 only.
    Tls13,
}

/// What flags say about the protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// `--tls-min-version`.
    pub min_version: MinVersion,
    /// `--tls-cipher-suites`: Go names, in any order; empty means all. Bears on TLS 1.2 only, as in Go.
    pub cipher_suites: Vec<String>,
}

/// Reads `--tls-min-version`.
/// # Errors
/// The value is none of Kubernetes' names.
pub fn min_version(text: &str) -> Result<MinVersion, String> {
    match text {
        "" | "VersionTLS10" | "VersionTLS11" | "VersionTLS12" => Ok(MinVersion::Tls12),
        "VersionTLS13" => Ok(MinVersion::Tls13),
        _ => Err(format!(
            "--tls-min-version: unknown version {text:?}; use VersionTLS12 or VersionTLS13 (10 and 11 mean 12)"
        )),
    }
}

/// One row of Go's list of cipher suites.
struct GoSuite(&'static str, SuiteKind);

#[derive(Clone, Copy, PartialEq, Eq)]
enum SuiteKind {
    /// TLS 1.2, ours.
    Spoken(CipherSuite),
    /// TLS 1.3: always on, named for completeness.
    Tls13,
    /// Known to Go, too weak for us.
    Weak,
}

const fn spoken(name: &'static str, suite: CipherSuite) -> GoSuite {
    GoSuite(name, SuiteKind::Spoken(suite))
}

use CipherSuite as S;
#[rustfmt::skip]
static GO_SUITES: [GoSuite; 27] = [
    spoken("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", S::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
    spoken("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", S::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
    spoken("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", S::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
    spoken("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", S::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
    spoken("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305", S::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
    spoken("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", S::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
    spoken("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305", S::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256),
    spoken("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", S::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256),
    GoSuite("TLS_AES_128_GCM_SHA256", SuiteKind::Tls13),
    GoSuite("TLS_AES_256_GCM_SHA384", SuiteKind::Tls13),
    GoSuite("TLS_CHACHA20_POLY1305_SHA256", SuiteKind::Tls13),
    GoSuite("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", SuiteKind::Weak),
    GoSuite("TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", SuiteKind::Weak),
    GoSuite("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", SuiteKind::Weak),
    GoSuite("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", SuiteKind::Weak),
    GoSuite("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", SuiteKind::Weak),
    GoSuite("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256", SuiteKind::Weak),
    GoSuite("TLS_ECDHE_ECDSA_WITH_RC4_128_SHA", SuiteKind::Weak),
    GoSuite("TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA", SuiteKind::Weak),
    GoSuite("TLS_ECDHE_RSA_WITH_RC4_128_SHA", SuiteKind::Weak),
    GoSuite("TLS_RSA_WITH_3DES_EDE_CBC_SHA", SuiteKind::Weak),
    GoSuite("TLS_RSA_WITH_AES_128_CBC_SHA", SuiteKind::Weak),
    GoSuite("TLS_RSA_WITH_AES_128_CBC_SHA256", SuiteKind::Weak),
    GoSuite("TLS_RSA_WITH_AES_128_GCM_SHA256", SuiteKind::Weak),
    GoSuite("TLS_RSA_WITH_AES_256_CBC_SHA", SuiteKind::Weak),
    GoSuite("TLS_RSA_WITH_AES_256_GCM_SHA384", SuiteKind::Weak),
    GoSuite("TLS_RSA_WITH_RC4_128_SHA", SuiteKind::Weak),
];

/// What the flags ask for and is not served: weak cipher suites, and protocol versions before TLS 1.2.
#[must_use]
pub fn unserved(names: &[String], min_version: &str) -> Vec<String> {
    let is_weak = |name: &&String| GO_SUITES.iter().any(|s| s.0 == *name && s.1 == SuiteKind::Weak);
    let suites = names.iter().filter(is_weak).map(|name| {
        format!(
            "--tls-cipher-suites: {name} is insecure and not offered; leave it out of the list to silence this"
        )
    });
    let old = ["VersionTLS10", "VersionTLS11"].contains(&min_version).then(|| {
        format!(
            "--tls-min-version={min_version}: the oldest version that is served is TLS 1.2; write VersionTLS12"
        )
    });
    suites.chain(old).collect()
}

/// The TLS 1.2 suites that `names` allow; weak ones are left out.
fn allowed_suites(names: &[String]) -> Result<Vec<CipherSuite>, String> {
    let mut allowed = Vec::new();
    for name in names {
        match GO_SUITES.iter().find(|suite| suite.0 == name).map(|suite| suite.1) {
            Some(SuiteKind::Spoken(suite)) => allowed.push(suite),
            Some(SuiteKind::Tls13 | SuiteKind::Weak) => {}
            None => return Err(unknown_suite(name)),
        }
    }
    Ok(allowed)
}

/// Whether every name of `--tls-cipher-suites` is one of Go's.
/// # Errors
/// The first that is not, with those that are.
pub fn known_suites(names: &[String]) -> Result<(), String> {
    let known = |name: &String| GO_SUITES.iter().any(|suite| suite.0 == name);
    names.iter().find(|name| !known(name)).map_or(Ok(()), |name| Err(unknown_suite(name)))
}

fn unknown_suite(name: &str) -> String {
    let valid: Vec<&str> = GO_SUITES.iter().filter(|s| s.1 != SuiteKind::Weak).map(|s| s.0).collect();
    format!("--tls-cipher-suites: unknown cipher suite {name:?}; valid names: {}", valid.join(", "))
}

/// The server's configuration; `certificates` is asked for a pair at every handshake.
/// # Errors
/// An unknown cipher suite, or a list that leaves TLS 1.2 with none although it is allowed.
pub fn server_config(
    settings: &TlsSettings,
    certificates: Arc<dyn ResolvesServerCert>,
) -> Result<Arc<ServerConfig>, String> {
    static TLS12_AND_13: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS13, &rustls::version::TLS12];
    static TLS13: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS13];
    let allowed = allowed_suites(&settings.cipher_suites)?;
    let mut provider = CryptoProvider::clone(&provider());
    if !settings.cipher_suites.is_empty() {
        provider.cipher_suites.retain(|s| s.tls13().is_some() || allowed.contains(&s.suite()));
    }
    let tls12_left = provider.cipher_suites.iter().any(|suite| suite.tls13().is_none());
    let versions: &[_] = match settings.min_version {
        MinVersion::Tls12 if tls12_left => &TLS12_AND_13,
        // A list of TLS 1.3 or weak suites only leaves nothing to speak TLS 1.2 with: Go would fail such handshakes too.
        MinVersion::Tls12 | MinVersion::Tls13 => &TLS13,
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .map_err(|error| format!("TLS configuration: {error}"))?
        .with_client_cert_verifier(Arc::new(AnyClient))
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.session_storage = Arc::new(Sessions(ServerSessionMemoryCache::new(limits::TLS_SESSIONS_MAX)));
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}

/// What the verifiers of both sides have in common: signatures are verified with the key as it stands in the certificate.
macro_rules! verify_signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            leaf: &rustls::pki_types::CertificateDer<'_>,
            signature: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            crate::net::tls::verify_tls12(message, leaf, signature)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            leaf: &rustls::pki_types::CertificateDer<'_>,
            signature: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            crate::net::tls::verify_tls13(message, leaf, signature)
        }

        fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
            crate::net::tls::provider().signature_verification_algorithms.supported_schemes()
        }
    };
}
pub(super) use verify_signatures;

/// Lets any client certificate through whose key the peer holds.
#[derive(Debug)]
struct AnyClient;

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    // Empty, as a Go server without ClientCAs sends it: clients then send whichever certificate they have.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let len = intermediates.iter().fold(leaf.len(), |sum, next| sum.saturating_add(next.len()));
        if len > limits::CLIENT_CHAIN_LEN_MAX {
            return Err(Error::General("the client certificate chain is too large".into()));
        }
        Ok(ClientCertVerified::assertion())
    }

    verify_signatures!();
}

/// Verifies the signature of a TLS 1.2 handshake with the key of a certificate of any version.
pub(super) fn verify_tls12(
    message: &[u8],
    leaf: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let key = public_key(leaf)?;
    let fits = |algorithm: &&dyn SignatureVerificationAlgorithm| {
        algorithm.public_key_alg_id().as_ref() == key.algorithm
            && algorithm.verify_signature(key.bits, message, signature.signature()).is_ok()
    };
    // In TLS 1.2 a scheme of ECDSA names the hash alone: any of its curves may be the key's.
    let mapping = provider().signature_verification_algorithms.mapping;
    let mut of_scheme = mapping.iter().filter(|(scheme, _)| *scheme == signature.scheme);
    if of_scheme.any(|(_, algorithms)| algorithms.iter().any(fits)) {
        return Ok(HandshakeSignatureValid::assertion());
    }
    Err(CertificateError::BadSignature.into())
}

/// Verifies the signature of a TLS 1.3 handshake with the key of a certificate of any version.
pub(super) fn verify_tls13(
    message: &[u8],
    leaf: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let key = SubjectPublicKeyInfoDer::from(public_key(leaf)?.der);
    let algorithms = provider().signature_verification_algorithms;
    rustls::crypto::verify_tls13_signature_with_raw_key(message, &key, signature, &algorithms)
}

/// The key whose possession a peer proves. Read here, and not by the TLS library from the whole certificate: that refuses
/// old versions and unknown critical extensions, which are evaluated for each request.
fn public_key<'a>(leaf: &'a CertificateDer<'_>) -> Result<PublicKey<'a>, Error> {
    PublicKey::of(leaf).ok_or_else(|| CertificateError::BadEncoding.into())
}

/// Sessions to resume. Each holds its client's chain, so large ones are not kept: a flood of them costs no memory.
#[derive(Debug)]
struct Sessions(Arc<ServerSessionMemoryCache>);

impl StoresServerSessions for Sessions {
    fn put(&self, key: Vec<u8>, mut value: Vec<u8>) -> bool {
        value.shrink_to_fit();
        value.len() <= limits::TLS_SESSION_LEN_MAX && self.0.put(key, value)
    }
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.get(key)
    }
    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.take(key)
    }
    fn can_cache(&self) -> bool {
        self.0.can_cache()
    }
}

#[cfg(test)]
mod tests;
