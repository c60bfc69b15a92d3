//! One pool of certificate authorities, and the proof that a peer's chain leads to it.
//!
//! webpki finds and checks the path (signatures, validity, name constraints, path lengths, clientAuth at `now`). What
//! it leaves to its caller is done here as Go's `crypto/x509` does it, which metrics-server uses: an anchor must be
//! current and may issue only if it is a CA; a CA without the key usage for it issues nothing; an anchor's own path
//! length counts; `anyExtendedKeyUsage` is enough.
//! The pools of the front proxy and of clients are two values of this type: they cannot mix.
//!
//! Deviation: RSA keys below 2048 bits, P-521, ECDSA with SHA-512, X.509 version 1, and a certificate of the pool itself or
//! of another CA as a client's are refused; metrics-server accepts them. Gain: no weak keys, and no signature or path is
//! checked by code of our own.

use crate::limits::{CA_COUNT_MAX, INTERMEDIATE_COUNT_MAX};
use crate::units::UnixNanos;
use crate::wire::x509::{ANY_USAGE, CLIENT_AUTH, Certificate};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use std::time::Duration;
use webpki::{
    ALL_VERIFICATION_ALGS, EndEntityCert, Error, KeyPurposeId, KeyPurposeIdIter, KeyUsage,
    RequiredEkuNotFoundContext, VerifiedPath,
};

/// Certificate authorities for one kind of peer.
pub(super) struct Pool {
    authorities: Vec<Authority>,
}

/// One certificate of a bundle, read once.
struct Authority {
    der: CertificateDer<'static>,
    anchor: TrustAnchor<'static>,
    not_before: UnixNanos,
    not_after: UnixNanos,
    path_len: Option<usize>,
    may_issue: bool,
}

impl Authority {
    fn is_current(&self, now: UnixNanos) -> bool {
        self.not_before <= now && now <= self.not_after
    }
}

impl Pool {
    /// Reads a PEM bundle; sections that are no certificates are passed over, as Go does.
    /// # Errors
    /// What is wrong with the bundle.
    pub(super) fn parse(pem: &[u8]) -> Result<Pool, String> {
        let mut authorities: Vec<Authority> = Vec::new();
        for (index, section) in CertificateDer::pem_slice_iter(pem).enumerate() {
            let nth = index + 1;
            let der = section.map_err(|error| format!("certificate {nth} is not valid PEM: {error}"))?;
            if authorities.iter().any(|known| known.der == der) {
                continue;
            }
            let facts = Certificate::parse(&der)
                .ok_or_else(|| format!("certificate {nth} is not an X.509 certificate"))?;
            let anchor = webpki::anchor_from_trusted_cert(&der)
                .map_err(|error| format!("certificate {nth} cannot be an authority: {error}"))?;
            authorities.push(Authority {
                anchor: anchor.to_owned(),
                not_before: facts.not_before,
                not_after: facts.not_after,
                path_len: facts.path_len,
                may_issue: facts.may_issue(),
                der,
            });
            if authorities.len() > CA_COUNT_MAX {
                return Err(format!(
                    "more than {CA_COUNT_MAX} certificates: keep only the authorities in use"
                ));
            }
        }
        if authorities.is_empty() {
            return Err("no certificate (a \"-----BEGIN CERTIFICATE-----\" section) found".to_owned());
        }
        Ok(Pool { authorities })
    }

    /// Proves that the chain (DER, leaf first) leads to this pool at `now`, for a client.
    /// Returns until when the proof holds: the earliest end of validity on the path.
    /// # Errors
    /// Why no path leads there.
    pub(super) fn verify(&self, chain: &[Vec<u8>], now: UnixNanos) -> Result<UnixNanos, String> {
        let (leaf, sent) = chain.split_first().ok_or("no certificate")?;
        self.find_path(leaf, sent, now).map_err(|error| match error {
            Error::UnsupportedCertVersion => {
                "the certificate has X.509 version 1; issue one with an extension, such as extendedKeyUsage=clientAuth"
                    .to_owned()
            }
            error => error.to_string(),
        })
    }

    fn find_path(&self, leaf: &[u8], sent: &[Vec<u8>], now: UnixNanos) -> Result<UnixNanos, Error> {
        let usable = self.issuers(now).map(|authority| authority.anchor.clone()).collect::<Vec<_>>();
        let intermediates = sent
            .iter()
            .take(INTERMEDIATE_COUNT_MAX)
            .filter(|der| Certificate::parse(der).is_some_and(|facts| facts.may_issue()))
            .map(|der| CertificateDer::from(der.as_slice()))
            .collect::<Vec<_>>();
        let leaf = CertificateDer::from(leaf);
        let leaf = EndEntityCert::try_from(&leaf)?;
        // A clock before 1970 is not set yet.
        let time = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now.seconds()).unwrap_or(0)));
        let respects_anchor = |path: &VerifiedPath<'_>| {
            let count = path.intermediate_certificates().count();
            let is_short = |authority: &Authority| authority.path_len.is_none_or(|len| count <= len);
            if self.behind(path, now).any(is_short) { Ok(()) } else { Err(Error::PathLenConstraintViolated) }
        };
        let path = leaf.verify_for_usage(
            ALL_VERIFICATION_ALGS,
            &usable,
            &intermediates,
            time,
            ForClients,
            None,
            Some(&respects_anchor),
        )?;
        let until_anchor = self.behind(&path, now).map(|authority| authority.not_after).max();
        let until_path = path
            .intermediate_certificates()
            .map(|issuer| issuer.der())
            .chain([path.end_entity().der()])
            .map(|der: CertificateDer<'_>| Certificate::parse(&der).map(|facts| facts.not_after));
        // Everything on the path was read before, so `None` (no time at all) does not occur; it would end the proof at once.
        Ok(until_path.chain([until_anchor]).min().flatten().unwrap_or(now))
    }

    /// The authorities that may issue certificates at `now`.
    fn issuers(&self, now: UnixNanos) -> impl Iterator<Item = &Authority> {
        self.authorities.iter().filter(move |authority| authority.may_issue && authority.is_current(now))
    }

    /// The authorities with the name and key of a path's anchor.
    fn behind<'a>(
        &'a self,
        path: &'a VerifiedPath<'_>,
        now: UnixNanos,
    ) -> impl Iterator<Item = &'a Authority> {
        self.issuers(now).filter(move |authority| {
            authority.anchor.subject == path.anchor().subject
                && authority.anchor.subject_public_key_info == path.anchor().subject_public_key_info
        })
    }
}

/// Extended key usage as Go reads it: absent, or with clientAuth, or with anyExtendedKeyUsage.
struct ForClients;

impl webpki::ExtendedKeyUsageValidator for ForClients {
    fn validate(&self, usages: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        let mut present = Vec::new();
        for usage in usages {
            let usage = usage?;
            if usage == KeyPurposeId::new(CLIENT_AUTH) || usage == KeyPurposeId::new(ANY_USAGE) {
                return Ok(());
            }
            present.push(usage.to_decoded_oid());
        }
        if present.is_empty() {
            return Ok(());
        }
        let required = KeyUsage::client_auth();
        Err(Error::RequiredEkuNotFoundContext(RequiredEkuNotFoundContext { required, present }))
    }
}

#[cfg(test)]
mod tests;
