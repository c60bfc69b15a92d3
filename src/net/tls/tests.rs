//! Flag values, limits, and handshakes in memory: both ends' bytes are carried over by hand.

use super::*;
use crate::net::pem;
use crate::net::self_signed::SigningAuthority;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, ServerConnection};

#[derive(Debug)]
struct NoPair;
impl ResolvesServerCert for NoPair {
    fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<rustls::sign::CertifiedKey>> {
        None
    }
}

fn config(names: &[&str], min_version: MinVersion) -> Result<Arc<ServerConfig>, String> {
    let cipher_suites = names.iter().map(ToString::to_string).collect();
    server_config(&TlsSettings { min_version, cipher_suites }, Arc::new(NoPair))
}

#[test]
fn both_spellings_of_chacha_are_known() {
    let both = ["TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"];
    for name in both {
        let config = config(&[name], MinVersion::Tls12).unwrap();
        let tls12: Vec<_> =
            config.crypto_provider().cipher_suites.iter().filter(|s| s.tls13().is_none()).collect();
        assert_eq!(tls12.len(), 1, "{name}");
        assert_eq!(tls12[0].suite(), CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256);
    }
}

#[test]
fn tls13_suites_stay_whatever_the_list_says() {
    let config = config(&["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"], MinVersion::Tls12).unwrap();
    assert_eq!(config.crypto_provider().cipher_suites.iter().filter(|s| s.tls13().is_some()).count(), 3);
}

#[test]
fn an_unknown_suite_is_an_error_that_lists_the_valid_ones() {
    let error = config(&["TLS_FANCY"], MinVersion::Tls12).unwrap_err();
    assert!(error.contains("\"TLS_FANCY\"") && error.contains("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"));
}

#[test]
fn weak_suites_alone_leave_tls13() {
    assert!(config(&["TLS_RSA_WITH_RC4_128_SHA"], MinVersion::Tls12).is_ok());
}

#[test]
fn min_versions_are_kubernetes_names() {
    assert_eq!(min_version(""), Ok(MinVersion::Tls12));
    assert_eq!(min_version("VersionTLS10"), Ok(MinVersion::Tls12));
    assert_eq!(min_version("VersionTLS13"), Ok(MinVersion::Tls13));
    assert!(min_version("1.3").unwrap_err().contains("VersionTLS13"));
}

#[test]
fn large_sessions_are_not_kept() {
    let sessions = Sessions(ServerSessionMemoryCache::new(8));
    assert!(sessions.put(vec![1], vec![0; limits::TLS_SESSION_LEN_MAX]));
    assert!(!sessions.put(vec![2], vec![0; limits::TLS_SESSION_LEN_MAX + 1]));
    assert!(sessions.get(&[1]).is_some());
    assert!(sessions.get(&[2]).is_none());
}

#[test]
fn a_chain_beyond_the_limit_fails_the_handshake() {
    let verifier = AnyClient;
    let now = UnixTime::since_unix_epoch(std::time::Duration::ZERO);
    let cert = |len: usize| CertificateDer::from(vec![0u8; len]);
    assert!(verifier.verify_client_cert(&cert(limits::CLIENT_CHAIN_LEN_MAX), &[], now).is_ok());
    assert!(verifier.verify_client_cert(&cert(limits::CLIENT_CHAIN_LEN_MAX), &[cert(1)], now).is_err());
}

#[derive(Debug)]
struct Always(Arc<rustls::sign::CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<rustls::sign::CertifiedKey>> {
        Some(self.0.clone())
    }
}

/// Carries bytes between both ends until neither has any.
fn converse(client: &mut ClientConnection, server: &mut ServerConnection) -> Result<(), Error> {
    loop {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        let sent = bytes.len();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            server.process_new_packets()?;
        }
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets()?;
        }
        if sent == 0 && bytes.is_empty() {
            return Ok(());
        }
    }
}

#[test]
fn a_resumed_session_still_shows_the_client_s_chain() {
    let now = crate::host::clock::wall();
    let authority = SigningAuthority::generate(now).unwrap();
    let issue = |name: &str| authority.issue(&[name.to_string()], now).unwrap();
    let serving = issue("localhost");
    let pair = pem::parse_pair(serving.chain_pem.as_bytes(), serving.key_pem.as_bytes()).unwrap();
    let server_config = server_config(&TlsSettings::default(), Arc::new(Always(Arc::new(pair)))).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
    let somebody = issue("somebody");
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let client_config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots.clone())
            .with_client_auth_cert(
                CertificateDer::pem_slice_iter(somebody.chain_pem.as_bytes())
                    .collect::<Result<_, _>>()
                    .unwrap(),
                PrivateKeyDer::from_pem_slice(somebody.key_pem.as_bytes()).unwrap(),
            )
            .unwrap();
        let client_config = Arc::new(client_config);
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let name = ServerName::try_from("localhost").unwrap();
            let mut client = ClientConnection::new(client_config.clone(), name).unwrap();
            let mut server = ServerConnection::new(server_config.clone()).unwrap();
            converse(&mut client, &mut server).unwrap();
            assert_eq!(server.handshake_kind(), Some(kind), "{version:?}");
            let chain = server.peer_certificates().unwrap();
            let shown = CertificateDer::from_pem_slice(somebody.chain_pem.as_bytes()).unwrap();
            assert_eq!(chain[0], shown, "{version:?} {kind:?}");
            assert_eq!(chain.len(), 2);
        }
    }
}

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/golden/certificates/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// What comes of a handshake with a client that shows this certificate and signs with this key, which need not fit.
fn handshake(cert: &[u8], key: &[u8], version: &'static SupportedProtocolVersion) -> Result<(), Error> {
    let now = crate::host::clock::wall();
    let serving = SigningAuthority::generate(now).unwrap().issue(&["localhost".to_string()], now).unwrap();
    let pair = pem::parse_pair(serving.chain_pem.as_bytes(), serving.key_pem.as_bytes()).unwrap();
    let trusted = CertificateDer::pem_slice_iter(serving.chain_pem.as_bytes()).last().unwrap().unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(trusted).unwrap();
    let key = provider().key_provider.load_private_key(PrivateKeyDer::from_pem_slice(key).unwrap()).unwrap();
    let shown = rustls::sign::CertifiedKey::new(vec![CertificateDer::from_pem_slice(cert).unwrap()], key);
    let client_config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(shown)));
    let server_config = server_config(&TlsSettings::default(), Arc::new(Always(Arc::new(pair)))).unwrap();
    let mut client =
        ClientConnection::new(Arc::new(client_config), ServerName::try_from("localhost").unwrap()).unwrap();
    let mut server = ServerConnection::new(server_config).unwrap();
    converse(&mut client, &mut server)?;
    assert_eq!(server.peer_certificates().unwrap().len(), 1);
    Ok(())
}

#[test]
fn odd_certificates_pass_the_handshake_with_their_own_key_only() {
    let now = crate::host::clock::wall();
    let other = SigningAuthority::generate(now).unwrap().issue(&["other".to_string()], now).unwrap();
    let usual = other.chain_pem.as_bytes();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for name in ["odd-v1.pem", "odd-critical.pem"] {
            handshake(&golden(name), &golden("odd.key"), version).unwrap();
            assert!(
                handshake(&golden(name), other.key_pem.as_bytes(), version).is_err(),
                "{name} {version:?}"
            );
        }
        handshake(usual, other.key_pem.as_bytes(), version).unwrap();
        assert!(handshake(usual, &golden("odd.key"), version).is_err(), "{version:?}");
        assert!(handshake(&golden("rsa-client.pem"), &golden("odd.key"), version).is_err(), "{version:?}");
    }
}
