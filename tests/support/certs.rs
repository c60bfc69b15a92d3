//! Certificates for the tests: small authorities and what they sign, made for each run.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};

/// A certificate authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    key_pem: String,
    /// Its certificate as PEM.
    pub pem: String,
}

/// A certificate with its key, both as PEM.
#[derive(Clone)]
pub struct Leaf {
    pub cert_pem: String,
    pub key_pem: String,
}

impl Authority {
    pub fn new(name: &str) -> Authority {
        let (key, params) = (KeyPair::generate().unwrap(), authority_params(name));
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { key_pem: key.serialize_pem(), issuer: Issuer::new(params, key), pem }
    }

    /// An authority below this one.
    pub fn below(&self, name: &str) -> Authority {
        let (key, params) = (KeyPair::generate().unwrap(), authority_params(name));
        let pem = params.signed_by(&key, &self.issuer).unwrap().pem();
        Authority { key_pem: key.serialize_pem(), issuer: Issuer::new(params, key), pem }
    }

    /// The authority itself, as if it were somebody.
    pub fn itself(&self) -> Leaf {
        Leaf { cert_pem: self.pem.clone(), key_pem: self.key_pem.clone() }
    }

    /// A client's certificate with something odd about it.
    pub fn odd_client(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Leaf {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "dev");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if !name.is_empty() {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        change(&mut params);
        self.sign(params)
    }

    /// A client's certificate: user `name`, groups in `organizations`.
    pub fn client(&self, name: &str, organizations: &[&str]) -> Leaf {
        self.sign(client_params(name, organizations))
    }

    /// The same for so many days from now.
    pub fn client_for_days(&self, name: &str, days: i64) -> Leaf {
        self.sign(for_days(client_params(name, &[]), days))
    }

    /// A server's certificate for loopback and `localhost`.
    pub fn server(&self) -> Leaf {
        self.sign(server_params())
    }

    /// The same for so many days from now; a negative number is the past.
    pub fn server_for_days(&self, days: i64) -> Leaf {
        self.sign(for_days(server_params(), days))
    }

    fn sign(&self, params: CertificateParams) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        Leaf { cert_pem: cert.pem(), key_pem: key.serialize_pem() }
    }
}

fn client_params(name: &str, organizations: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    for organization in organizations {
        params.distinguished_name.push(DnType::OrganizationName, *organization);
    }
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn server_params() -> CertificateParams {
    let mut params = CertificateParams::new(vec!["localhost".to_string(), "127.0.0.1".to_string()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "localhost");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

fn for_days(mut params: CertificateParams, days: i64) -> CertificateParams {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let day = std::time::Duration::from_secs(86_400);
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + (now - day * 60);
    // An hour more, so that whole days are counted the same for as long as a test takes.
    let end = now.as_secs() as i64 + days * 86_400 + 3_600;
    params.not_after = epoch + std::time::Duration::from_secs(end as u64);
    params
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

impl Leaf {
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_slice_iter(self.cert_pem.as_bytes()).map(Result::unwrap).collect()
    }
    /// The same with more certificates sent after it.
    pub fn with(mut self, more_pem: &str) -> Leaf {
        self.cert_pem += more_pem;
        self
    }
    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).unwrap()
    }
    /// Writes `NAME.crt` and `NAME.key` into a folder.
    pub fn write(&self, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let (cert, key) = (folder.join(format!("{name}.crt")), folder.join(format!("{name}.key")));
        std::fs::write(&cert, &self.cert_pem).unwrap();
        std::fs::write(&key, &self.key_pem).unwrap();
        (cert, key)
    }
}

/// A TLS configuration of a fake server.
pub fn server_config(leaf: &Leaf) -> rustls::ServerConfig {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(leaf.chain(), leaf.key())
        .unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}
