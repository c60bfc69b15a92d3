//! Certificates as people met them, against the verifier and over whole handshakes.

use super::*;
use crate::net::credentials::{Credentials, Material, Roots};
use crate::net::fake::{Fake, Reply, answer};
use crate::net::fetch::{Fetcher, Reason, RemoteHost, Request};
use crate::net::pem;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::sign::SingleCertAndKey;
use std::time::Duration;

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/golden/certificates/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn der(pem: &[u8]) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem).unwrap()
}

/// What `openssl req -x509` makes: signed by itself, with `CA:TRUE`, for these names.
fn self_signed(names: &[&str], years: (i32, i32)) -> (Vec<u8>, Vec<u8>) {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
    params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (certificate.pem().into_bytes(), key.serialize_pem().into_bytes())
}

/// A server with this pair that counts every client certificate as good, and what a client with these credentials gets.
fn ask(pair: (&[u8], &[u8]), credentials: Credentials) -> Result<u16, (Reason, String)> {
    let pair = pem::parse_pair(pair.0, pair.1).unwrap();
    let resolver = Arc::new(SingleCertAndKey::from(pair));
    let server = tls::server_config(&tls::TlsSettings::default(), resolver).unwrap();
    let fake = Fake::tls(ServerConfig::clone(&server), |_, _| Reply::Close(answer("200 OK", "ok")));
    let url = format!("https://localhost:{}/", fake.address.port());
    let request = Request::get(&url, Some(Duration::from_secs(10)), 1000);
    let sent = Fetcher::new(credentials).unwrap().send(&RemoteHost::default(), &request);
    sent.map(|answer| answer.status).map_err(|e| (e.reason, e.message))
}

fn trusting(pem: &[u8]) -> Credentials {
    Credentials { roots: Roots::Pem(Material::inline(pem)), ..Credentials::none() }
}

#[test]
fn a_certificate_in_the_pool_itself_is_trusted_for_its_names_and_its_time() {
    let (leaf, key) = self_signed(&["localhost"], (2020, 2090));
    assert_eq!(ask((&leaf, &key), trusting(&leaf)), Ok(200));
    let (other, other_key) = self_signed(&["other.example"], (2020, 2090));
    let wrong = ask((&other, &other_key), trusting(&other)).unwrap_err();
    assert_eq!(wrong.0, Reason::WrongName, "{wrong:?}");
    for years in [(2020, 2021), (2085, 2090)] {
        let (leaf, key) = self_signed(&["localhost"], years);
        let wrong = ask((&leaf, &key), trusting(&leaf)).unwrap_err();
        assert_eq!(wrong.0, Reason::Expired, "{wrong:?}");
    }
    let (same_name, same_key) = self_signed(&["localhost"], (2020, 2090));
    let wrong = ask((&same_name, &same_key), trusting(&leaf)).unwrap_err();
    assert_eq!(wrong.0, Reason::Untrusted, "another certificate of the same name: {wrong:?}");
    assert!(ask((&leaf, &key), Credentials::none()).is_err(), "an empty pool");
}

#[test]
fn an_authority_that_is_not_valid_now_vouches_for_nobody() {
    let authority = |years: (i32, i32)| {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
        params.distinguished_name.push(rcgen::DnType::CommonName, format!("{years:?}"));
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        (pem, rcgen::Issuer::new(params, key))
    };
    let [old, current, next] = [(2020, 2021), (2020, 2090), (2085, 2090)].map(authority);
    let bundle = [&*old.0, &*current.0, &*next.0].concat();
    for (issuer, is_valid) in [(&old.1, false), (&current.1, true), (&next.1, false)] {
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, issuer).unwrap().pem();
        let key = key.serialize_pem();
        match ask((leaf.as_bytes(), key.as_bytes()), trusting(bundle.as_bytes())) {
            Ok(status) => assert!(is_valid && status == 200),
            Err((reason, text)) => {
                assert!(!is_valid && reason == Reason::Untrusted && text.contains("authority"), "{text}");
            }
        }
    }
}

#[test]
fn a_client_s_certificate_or_a_common_name_makes_no_server() {
    let key = KeyPair::generate().unwrap();
    let mut top = CertificateParams::new(Vec::new()).unwrap();
    top.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = top.self_signed(&key).unwrap().pem();
    let issuer = rcgen::Issuer::new(top, key);
    let mut client = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    client.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let mut nameless = CertificateParams::new(Vec::new()).unwrap();
    nameless.distinguished_name.push(rcgen::DnType::CommonName, "localhost");
    let named = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    for (leaf, is_server) in [(client, false), (nameless, false), (named, true)] {
        let key = KeyPair::generate().unwrap();
        let leaf = leaf.signed_by(&key, &issuer).unwrap().pem();
        let asked = ask((leaf.as_bytes(), key.serialize_pem().as_bytes()), trusting(pem.as_bytes()));
        assert_eq!(asked.is_ok(), is_server, "{asked:?}");
    }
}

/// As in Go, with which metrics-server verifies: an extended key usage that leaves servers out counts for a certificate
/// of the pool itself too.
#[test]
fn a_certificate_in_the_pool_that_is_not_one_for_servers_is_refused() {
    use rcgen::ExtendedKeyUsagePurpose as Usage;
    for (usages, is_server) in [
        (vec![], true),
        (vec![Usage::ServerAuth], true),
        (vec![Usage::ClientAuth, Usage::ServerAuth], true),
        (vec![Usage::Any], true),
        (vec![Usage::ClientAuth], false),
        (vec![Usage::CodeSigning, Usage::OcspSigning], false),
    ] {
        for is_ca in [IsCa::Ca(BasicConstraints::Unconstrained), IsCa::ExplicitNoCa, IsCa::NoCa] {
            let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            (params.is_ca, params.extended_key_usages) = (is_ca, usages.clone());
            let key = KeyPair::generate().unwrap();
            let leaf = params.self_signed(&key).unwrap().pem();
            let asked = ask((leaf.as_bytes(), key.serialize_pem().as_bytes()), trusting(leaf.as_bytes()));
            is_for_servers(asked, is_server, &usages);
        }
    }
}

#[test]
fn an_authority_that_is_not_one_for_servers_vouches_for_none() {
    use rcgen::ExtendedKeyUsagePurpose as Usage;
    for (usages, is_server) in [
        (vec![], true),
        (vec![Usage::ServerAuth], true),
        (vec![Usage::Any], true),
        (vec![Usage::ClientAuth], false),
    ] {
        let mut top = CertificateParams::new(Vec::new()).unwrap();
        (top.is_ca, top.extended_key_usages) = (IsCa::Ca(BasicConstraints::Unconstrained), usages.clone());
        let key = KeyPair::generate().unwrap();
        let pem = top.self_signed(&key).unwrap().pem();
        let issuer = rcgen::Issuer::new(top, key);
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &issuer).unwrap().pem();
        let asked = ask((leaf.as_bytes(), key.serialize_pem().as_bytes()), trusting(pem.as_bytes()));
        is_for_servers(asked, is_server, &usages);
    }
}

#[track_caller]
fn is_for_servers(
    asked: Result<u16, (Reason, String)>,
    expected: bool,
    usages: &[rcgen::ExtendedKeyUsagePurpose],
) {
    match asked {
        Ok(status) => assert!(expected && status == 200, "{usages:?} is taken"),
        Err((reason, text)) => {
            assert!(!expected && reason == Reason::NotForServers, "{usages:?}: {reason:?} {text}");
            assert!(text.contains("serverAuth"), "{text}");
        }
    }
}

#[test]
fn without_verification_a_version_1_certificate_is_taken_and_its_key_still_proven() {
    let any = || Credentials { roots: Roots::Any, ..Credentials::none() };
    let (certificate, key) = (golden("odd-v1.pem"), golden("odd.key"));
    assert_eq!(ask((&certificate, &key), any()), Ok(200));
    let wrong = ask((&certificate, &key), trusting(&golden("odd-ca.pem"))).unwrap_err();
    assert!(wrong.1.contains("version 1"), "{wrong:?}");
    let itself = ask((&certificate, &key), trusting(&[golden("odd-v1.pem"), golden("odd-ca.pem")].concat()));
    assert!(itself.is_err_and(|(_, text)| text.contains("version 1")), "it holds no name to verify");
    // A signature that was not made with the certificate's key.
    let (_, other_key) = self_signed(&["localhost"], (2020, 2090));
    let signing = provider().key_provider.load_private_key(pem::private_key(&other_key).unwrap()).unwrap();
    let pair = rustls::sign::CertifiedKey::new(vec![der(&certificate)], signing);
    let server = tls::server_config(&tls::TlsSettings::default(), Arc::new(SingleCertAndKey::from(pair)));
    let fake = Fake::tls(ServerConfig::clone(&server.unwrap()), |_, _| Reply::Close(answer("200 OK", "ok")));
    let url = format!("https://localhost:{}/", fake.address.port());
    let request = Request::get(&url, Some(Duration::from_secs(10)), 1000);
    assert!(Fetcher::new(any()).unwrap().send(&RemoteHost::default(), &request).is_err());
}

#[test]
fn our_own_version_1_certificate_is_handed_on_as_it_is() {
    let (leaf, key) = self_signed(&["localhost"], (2020, 2090));
    let material = |name| Material::inline(golden(name));
    let pair = Some((material("odd-v1.pem"), material("odd.key")));
    assert_eq!(ask((&leaf, &key), Credentials { pair, ..trusting(&leaf) }), Ok(200));
    let pair = Some((material("odd-v1.pem"), Material::inline(key)));
    let error = Credentials { pair, ..trusting(&leaf) }.tls().unwrap_err();
    assert!(error.contains("do not belong together"), "{error}");
}

#[test]
fn a_certificate_in_the_pool_that_is_no_authority_s_signs_no_other() {
    let node = KeyPair::generate().unwrap();
    let other = KeyPair::generate().unwrap();
    let named = |name: &str| CertificateParams::new(vec![name.to_owned()]).unwrap();
    let own = named("node-a").self_signed(&node).unwrap();
    let issuer = rcgen::Issuer::new(named("node-a"), node);
    let forged = named("localhost").signed_by(&other, &issuer).unwrap();
    let chain = format!("{}{}", forged.pem(), own.pem());
    let key = other.serialize_pem();
    let refused = ask((chain.as_bytes(), key.as_bytes()), trusting(own.pem().as_bytes())).unwrap_err();
    assert_eq!(refused.0, Reason::Untrusted, "{refused:?}");
}

#[test]
fn algorithms_that_cannot_be_verified_are_named() {
    let name = ServerName::try_from("localhost").unwrap();
    for (certificate, authority, what) in [
        ("sha512.pem", "sha512-ca.pem", "ECDSA and SHA-512"),
        ("p521.pem", "sha512-ca.pem", "P-521"),
        ("v1-client.pem", "rsa-ca.pem", "version 1"),
        ("odd-ca.pem", "sha512-ca.pem", "one of an authority"),
    ] {
        assert_eq!(
            flaw(&der(&golden(certificate))).map(|text| text.contains(what)),
            Some(true),
            "{certificate}"
        );
        let verifier = ServerVerifier::new(vec![der(&golden(authority))]).unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000));
        let error =
            verifier.verify_server_cert(&der(&golden(certificate)), &[], &name, &[], now).unwrap_err();
        let Error::InvalidCertificate(error) = error else { panic!("{error}") };
        let text = match &error {
            CertificateError::Other(other) => other.to_string(),
            other => other.to_string(),
        };
        assert!(!text.contains(['{', '(', '[']), "no type names: {text}");
        if certificate == "sha512.pem" {
            assert!(text.contains(what), "{text}");
        }
    }
}
