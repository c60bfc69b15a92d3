//! Certificates and requests for the tests of access control.

use super::trust::{Peer, Trust};
use super::{FrontProxySettings, Identity};
use crate::units::UnixNanos;
use crate::wire::request::{Head, Header, RequestInfo};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use std::borrow::Cow;
use std::sync::LazyLock;

/// The moment of all tests: 2026-12-01 12:00 UTC.
pub(super) const NOW: UnixNanos = UnixNanos(1_796_126_400_000_000_000);

/// An authority with its key.
pub(super) struct Authority {
    pub(super) pem: String,
    pub(super) der: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

/// What a certificate is to be; the default is a client's, valid from 2020 to 2090.
pub(super) struct Wish<'a> {
    pub(super) name: &'a str,
    pub(super) organizations: &'a [&'a str],
    pub(super) uids: &'a [&'a str],
    pub(super) years: (i32, i32),
    pub(super) usages: &'a [ExtendedKeyUsagePurpose],
    pub(super) ca: Option<Option<u8>>,
    pub(super) key_usages: &'a [KeyUsagePurpose],
    pub(super) algorithm: &'static rcgen::SignatureAlgorithm,
}

impl Default for Wish<'_> {
    fn default() -> Self {
        Wish {
            name: "",
            organizations: &[],
            uids: &[],
            years: (2020, 2090),
            usages: &[ExtendedKeyUsagePurpose::ClientAuth],
            ca: None,
            key_usages: &[],
            algorithm: &rcgen::PKCS_ECDSA_P256_SHA256,
        }
    }
}

/// A wish for an authority.
pub(super) fn ca(name: &str) -> Wish<'_> {
    Wish { name, usages: &[], ca: Some(None), ..Wish::default() }
}

fn params(wish: &Wish<'_>) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    // rcgen keeps one value a type: a repeated attribute needs another spelling of the same OID.
    let twice = |known: &DnType, oid: &[u64], at: usize| match at {
        0 => known.clone(),
        _ => DnType::CustomDnType(oid.to_vec()),
    };
    for (at, organization) in wish.organizations.iter().enumerate() {
        params.distinguished_name.push(twice(&DnType::OrganizationName, &[2, 5, 4, 10], at), *organization);
    }
    if !wish.name.is_empty() {
        params.distinguished_name.push(DnType::CommonName, wish.name);
    }
    for uid in wish.uids {
        params.distinguished_name.push(DnType::CustomDnType(vec![1, 3, 6, 1, 4, 1, 57_683, 2]), *uid);
    }
    params.not_before = date_time_ymd(wish.years.0, 1, 1);
    params.not_after = date_time_ymd(wish.years.1, 1, 1);
    params.extended_key_usages = wish.usages.to_vec();
    params.key_usages = wish.key_usages.to_vec();
    params.is_ca = match wish.ca {
        None => IsCa::NoCa,
        Some(None) => IsCa::Ca(BasicConstraints::Unconstrained),
        Some(Some(len)) => IsCa::Ca(BasicConstraints::Constrained(len)),
    };
    params
}

/// A self-signed authority.
pub(super) fn root(wish: &Wish<'_>) -> Authority {
    let key = KeyPair::generate_for(wish.algorithm).unwrap();
    let params = params(wish);
    let certificate = params.self_signed(&key).unwrap();
    Authority { pem: certificate.pem(), der: certificate.der().to_vec(), issuer: Issuer::new(params, key) }
}

impl Authority {
    /// Issues a certificate (DER).
    pub(super) fn issue(&self, wish: &Wish<'_>) -> Vec<u8> {
        self.issue_authority(wish).der
    }

    /// Issues an authority's certificate.
    pub(super) fn issue_authority(&self, wish: &Wish<'_>) -> Authority {
        let key = KeyPair::generate_for(wish.algorithm).unwrap();
        let params = params(wish);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Authority {
            pem: certificate.pem(),
            der: certificate.der().to_vec(),
            issuer: Issuer::new(params, key),
        }
    }
}

/// The authorities every test may use.
pub(super) struct World {
    pub(super) proxies: Authority,
    pub(super) clients: Authority,
    pub(super) foreign: Authority,
    pub(super) intermediate: Authority,
    pub(super) trust: Trust,
}

pub(super) static WORLD: LazyLock<World> = LazyLock::new(|| {
    let (proxies, clients, foreign) =
        (root(&ca("front-proxy-ca")), root(&ca("client-ca")), root(&ca("foreign-ca")));
    let intermediate = clients.issue_authority(&ca("sub-ca"));
    let trust = Trust::new(&proxy_settings(&proxies.pem), Some(clients.pem.as_bytes())).unwrap();
    World { proxies, clients, foreign, intermediate, trust }
});

/// The settings of a usual cluster.
pub(super) fn proxy_settings(pem: &str) -> FrontProxySettings {
    let list = |name: &str| vec![name.to_owned()];
    FrontProxySettings {
        ca_pem: Some(pem.as_bytes().to_vec()),
        allowed_names: list("front-proxy-client"),
        username_headers: list("X-Remote-User"),
        group_headers: list("X-Remote-Group"),
        extra_prefixes: list("X-Remote-Extra-"),
        uid_headers: list("X-Remote-Uid"),
    }
}

/// A peer that is the front proxy.
pub(super) fn proxy_peer() -> Peer {
    Peer::new(vec![WORLD.proxies.issue(&Wish { name: "front-proxy-client", ..Wish::default() })])
}

/// Runs `test` with a head of these header lines.
pub(super) fn with_head<R>(lines: &[(&str, &str)], test: impl FnOnce(&Head<'_>) -> R) -> R {
    let headers =
        lines.iter().map(|(name, value)| Header { name, value: value.as_bytes() }).collect::<Vec<_>>();
    test(&Head { method: "GET", path: "/apis/metrics.k8s.io/v1beta1/nodes", query: None, headers: &headers })
}

/// `list nodes`.
pub(super) fn list_nodes() -> RequestInfo<'static> {
    RequestInfo {
        path: Cow::Borrowed("/apis/metrics.k8s.io/v1beta1/nodes"),
        verb: Cow::Borrowed("list"),
        is_resource: true,
        group: Cow::Borrowed("metrics.k8s.io"),
        version: Cow::Borrowed("v1beta1"),
        resource: Cow::Borrowed("nodes"),
        ..RequestInfo::default()
    }
}

/// A path that is no resource.
pub(super) fn get_path(path: &str) -> RequestInfo<'_> {
    RequestInfo { path: Cow::Borrowed(path), verb: Cow::Borrowed("get"), ..RequestInfo::default() }
}

/// An identity in short.
pub(super) fn identity(user: &str, groups: &[&str]) -> Identity {
    Identity {
        user: user.to_owned(),
        groups: groups.iter().map(|&group| group.to_owned()).collect(),
        ..Identity::default()
    }
}
