//! Certificates made here: a small authority, and the serving pairs it signs. The one file that names rcgen.
//!
//! The authority lives longer than the pairs, so a `caBundle` taken from its `ca.crt` stays valid when a pair is made
//! again. Its subject is always the same, and its key alone decides which pairs it can sign. Keys are P-256.

use crate::limits;
use crate::units::UnixNanos;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use std::time::Duration;

/// An authority: its certificate, and the key that signs.
pub struct SigningAuthority {
    /// Certificate as PEM.
    pub pem: String,
    key: KeyPair,
}

/// A certificate signed by an [`SigningAuthority`], and its key.
pub struct Issued {
    /// Certificate, then the authority's, as PEM.
    pub chain_pem: String,
    /// Private key as PEM (PKCS8).
    pub key_pem: zeroize::Zeroizing<String>,
}

impl SigningAuthority {
    /// A new authority, valid for `limits::AUTHORITY_LIFE`.
    /// # Errors
    /// The operating system gives no random bytes.
    pub fn generate(now: UnixNanos) -> Result<SigningAuthority, String> {
        let key = KeyPair::generate().map_err(describe)?;
        let certificate = authority_params(now).self_signed(&key).map_err(describe)?;
        Ok(SigningAuthority { pem: certificate.pem(), key })
    }

    /// An authority from what [`SigningAuthority::generate`] made earlier. That both belong together is the caller's to check.
    /// # Errors
    /// The key is no PKCS8 key in PEM.
    pub fn from_parts(pem: String, key_pem: &str) -> Result<SigningAuthority, String> {
        Ok(SigningAuthority { pem, key: KeyPair::from_pem(key_pem).map_err(describe)? })
    }

    /// The private key as PEM.
    #[must_use]
    pub fn key_pem(&self) -> zeroize::Zeroizing<String> {
        zeroize::Zeroizing::new(self.key.serialize_pem())
    }

    /// Signs a new serving pair for DNS names and IP addresses, valid for `limits::CERTIFICATE_LIFE`.
    /// # Errors
    /// A name that no certificate can hold.
    pub fn issue(&self, names: &[String], now: UnixNanos) -> Result<Issued, String> {
        let mut params = CertificateParams::new(names).map_err(describe)?;
        let subject = names.first().map_or("toplet", String::as_str);
        params.distinguished_name = common_name(subject);
        set_life(&mut params, now, limits::CERTIFICATE_LIFE);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().map_err(describe)?;
        let authority = authority_params(now);
        let issuer = Issuer::from_params(&authority, &self.key);
        let certificate = params.signed_by(&key, &issuer).map_err(describe)?;
        Ok(Issued {
            chain_pem: certificate.pem() + &self.pem,
            key_pem: zeroize::Zeroizing::new(key.serialize_pem()),
        })
    }
}

fn authority_params(now: UnixNanos) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name("toplet-ca");
    set_life(&mut params, now, limits::AUTHORITY_LIFE);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// From an hour ago, since clocks of a cluster differ, for `len`. A clock before 1970 counts as 1970.
fn set_life(params: &mut CertificateParams, now: UnixNanos, len: Duration) {
    // A clock before 1970 is not set yet.
    let now = Duration::from_secs(u64::try_from(now.seconds()).unwrap_or(0).min(YEAR_9000));
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + now.saturating_sub(Duration::from_secs(3_600));
    params.not_after = epoch + now.saturating_add(len);
}

/// Seconds from 1970 to about the year 9000: the time type behind rcgen ends with the year 9999.
const YEAR_9000: u64 = 221_800_000_000;

fn common_name(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    // The field ends at 64 characters (RFC 5280, ub-common-name); names are matched by the SAN alone anyhow.
    let end = name.char_indices().nth(64).map_or(name.len(), |(at, _)| at);
    subject.push(DnType::CommonName, name.split_at(end).0);
    subject
}

#[allow(clippy::needless_pass_by_value)]
fn describe(error: rcgen::Error) -> String {
    format!("making a certificate: {error}")
}
