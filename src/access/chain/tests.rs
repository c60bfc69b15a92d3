use super::super::testing::{self, NOW, WORLD, Wish, ca, root};
use super::*;
use rcgen::{ExtendedKeyUsagePurpose, KeyUsagePurpose};

fn pool(authority: &testing::Authority) -> Pool {
    Pool::parse(authority.pem.as_bytes()).unwrap()
}

fn bob() -> Wish<'static> {
    Wish { name: "bob", ..Wish::default() }
}

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/golden/certificates/{name}.pem", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn golden_der(name: &str) -> Vec<u8> {
    CertificateDer::from_pem_slice(&golden(name)).unwrap().to_vec()
}

#[test]
fn a_bundle_without_certificates_is_an_error() {
    let good = &WORLD.clients.pem;
    let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    for (bundle, what) in [
        (String::new(), "no certificate"),
        ("nothing here".to_owned(), "no certificate"),
        (key.to_owned(), "no certificate"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned(), "certificate 1 is not"),
        (
            "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n".to_owned(),
            "certificate 1 is not valid PEM",
        ),
        (good.replace("-----END", "-----FIN"), "not valid PEM"),
        (
            format!("{good}-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"),
            "certificate 2 is not",
        ),
    ] {
        let error = Pool::parse(bundle.as_bytes()).err().unwrap_or_default();
        assert!(error.contains(what), "{bundle:?}: {error}");
    }
    let mixed = format!("# comment\n{key}{good}{good}\ntext");
    assert_eq!(
        Pool::parse(mixed.as_bytes()).unwrap().authorities.len(),
        1,
        "keys and repetitions are passed over"
    );
    let many = (0..=CA_COUNT_MAX).map(|nth| root(&ca(&nth.to_string())).pem).collect::<String>();
    assert!(Pool::parse(many.as_bytes()).err().is_some_and(|error| error.contains("more than 64")));
}

#[test]
fn an_authority_that_may_not_issue_now_vouches_for_nobody() {
    let expired = root(&Wish { years: (2020, 2025), ..ca("a") });
    let future = root(&Wish { years: (2027, 2090), ..ca("a") });
    let leaf_as_root = root(&Wish { name: "a", ..Wish::default() });
    let no_signing = root(&Wish { key_usages: &[KeyUsagePurpose::CrlSign], ..ca("a") });
    for (authority, what) in [
        (&expired, "expired"),
        (&future, "not yet valid"),
        (&leaf_as_root, "no CA"),
        (&no_signing, "key usage without signing"),
    ] {
        assert!(pool(authority).verify(&[authority.issue(&bob())], NOW).is_err(), "{what}");
    }
    let signing = root(&Wish { key_usages: &[KeyUsagePurpose::KeyCertSign], ..ca("a") });
    assert!(pool(&signing).verify(&[signing.issue(&bob())], NOW).is_ok());
}

#[test]
fn an_intermediate_that_may_not_issue_vouches_for_nobody() {
    let top = root(&ca("top"));
    let no_ca = top.issue_authority(&Wish { name: "sub", ..Wish::default() });
    let no_signing = top.issue_authority(&Wish { key_usages: &[KeyUsagePurpose::CrlSign], ..ca("sub") });
    let expired = top.issue_authority(&Wish { years: (2020, 2025), ..ca("sub") });
    let for_servers =
        top.issue_authority(&Wish { usages: &[ExtendedKeyUsagePurpose::ServerAuth], ..ca("sub") });
    for (sub, what) in [
        (&no_ca, "no CA"),
        (&no_signing, "key usage without signing"),
        (&expired, "expired"),
        (&for_servers, "for servers only"),
    ] {
        assert!(pool(&top).verify(&[sub.issue(&bob()), sub.der.clone()], NOW).is_err(), "{what}");
    }
}

#[test]
fn path_lengths_count_those_of_anchors_too() {
    let top = root(&Wish { ca: Some(Some(0)), ..ca("top") });
    let sub = top.issue_authority(&ca("sub"));
    assert!(pool(&top).verify(&[top.issue(&bob())], NOW).is_ok());
    assert!(pool(&top).verify(&[sub.issue(&bob()), sub.der.clone()], NOW).is_err());
    let top = root(&ca("top"));
    let sub = top.issue_authority(&Wish { ca: Some(Some(0)), ..ca("sub") });
    let subsub = sub.issue_authority(&ca("subsub"));
    assert!(pool(&top).verify(&[sub.issue(&bob()), sub.der.clone()], NOW).is_ok());
    assert!(pool(&top).verify(&[subsub.issue(&bob()), subsub.der.clone(), sub.der.clone()], NOW).is_err());
}

#[test]
fn a_certificate_that_only_looks_issued_is_refused() {
    let real = root(&ca("top"));
    let fake = root(&ca("top"));
    let leaf = fake.issue(&bob());
    assert!(pool(&real).verify(std::slice::from_ref(&leaf), NOW).is_err());
    assert!(pool(&real).verify(&[fake.issue(&ca("bob"))], NOW).is_err(), "a CA as a client's certificate");
    // A broken signature.
    let rsa = Pool::parse(&golden("rsa-ca")).unwrap();
    for (pool, mut leaf) in [(pool(&real), real.issue(&bob())), (rsa, golden_der("any-usage-client"))] {
        assert!(pool.verify(std::slice::from_ref(&leaf), NOW).is_ok());
        let last = leaf.len() - 1;
        leaf[last] ^= 1;
        assert!(pool.verify(&[leaf], NOW).is_err());
    }
}

#[test]
fn a_certificate_in_the_pool_is_no_client_s() {
    for name in ["proxy", "top"] {
        let wish = if name == "top" { ca(name) } else { Wish { name, ..Wish::default() } };
        let pinned = root(&wish);
        assert!(pool(&pinned).verify(std::slice::from_ref(&pinned.der), NOW).is_err(), "{name}");
    }
}

#[test]
fn the_proof_ends_with_the_first_certificate_of_the_path() {
    let top = root(&Wish { years: (2020, 2080), ..ca("top") });
    let sub = top.issue_authority(&Wish { years: (2020, 2060), ..ca("sub") });
    let until = |chain: &[Vec<u8>]| pool(&top).verify(chain, NOW).unwrap().seconds();
    let year = |years: i64| (years * 146_097 / 400 + 1) * 86_400;
    let near =
        |found: i64, expected: i64| assert!((found - expected).abs() < 3 * 86_400, "{found} {expected}");
    near(until(&[top.issue(&bob())]), year(2080 - 1970));
    near(until(&[sub.issue(&bob()), sub.der.clone()]), year(2060 - 1970));
    near(until(&[sub.issue(&Wish { years: (2020, 2030), ..bob() }), sub.der.clone()]), year(2030 - 1970));
    near(until(&[top.issue(&Wish { years: (2020, 2085), ..bob() })]), year(2080 - 1970));
}

#[test]
fn keys_of_the_usual_kinds_are_verified() {
    for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519] {
        let top = root(&Wish { algorithm, ..ca("top") });
        assert!(pool(&top).verify(&[top.issue(&Wish { algorithm, ..bob() })], NOW).is_ok(), "{algorithm:?}");
    }
    let rsa = Pool::parse(&golden("rsa-ca")).unwrap();
    assert!(rsa.verify(&[golden_der("rsa-client")], NOW).is_ok());
    assert!(rsa.verify(&[golden_der("v1-ca-client")], NOW).is_err());
    let sha512 = Pool::parse(&golden("sha512-ca")).unwrap();
    let refused = sha512.verify(&[golden_der("sha512")], UnixNanos(2_000_000_000_000_000_000)).unwrap_err();
    assert!(refused.contains("UnsupportedSignatureAlgorithm"), "ECDSA with SHA-512: {refused}");
}

#[test]
fn a_ca_certificate_is_no_client_s() {
    let top = root(&ca("top"));
    let sub = top.issue_authority(&ca("sub"));
    assert!(pool(&top).verify(&[top.issue(&ca("bob"))], NOW).is_err());
    assert!(pool(&top).verify(&[sub.issue(&ca("bob")), sub.der], NOW).is_err());
}

#[test]
fn any_usage_counts_as_in_go_and_version_1_only_for_authorities() {
    let rsa = Pool::parse(&golden("rsa-ca")).unwrap();
    assert!(rsa.verify(&[golden_der("critical-client")], NOW).is_err(), "an unknown critical extension");
    let refused = rsa.verify(&[golden_der("v1-client")], NOW);
    assert!(refused.is_err_and(|error| error.contains("version 1; issue one with")));
    assert!(rsa.verify(&[golden_der("any-usage-client")], NOW).is_ok());
    let old = Pool::parse(&golden("v1-ca")).unwrap();
    assert!(old.verify(&[golden_der("v1-ca-client")], NOW).is_ok());
}

#[test]
fn no_bytes_make_the_verification_panic() {
    let chain = [WORLD.intermediate.issue(&bob()), WORLD.intermediate.der.clone()];
    let pools = [pool(&WORLD.clients), Pool::parse(&golden("rsa-ca")).unwrap()];
    let mut seeds = vec![chain[0].clone(), golden_der("v1-client"), golden_der("critical-client")];
    seeds.push(WORLD.clients.issue(&Wish { uids: &["u"], organizations: &["a", "b"], ..ca("bob") }));
    let mut random = 1_u64;
    let mut next = |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(random >> 33).unwrap() % below
    };
    let mut accepted = 0;
    for round in 0..6_000 {
        let mut der = seeds[round % seeds.len()].clone();
        match next(4) {
            0 => der.truncate(next(der.len())),
            1 => der.extend((0..next(9)).map(|byte| u8::try_from(byte).unwrap_or_default())),
            _ => {}
        }
        for _ in 0..next(4) {
            if !der.is_empty() {
                let at = next(der.len());
                der[at] = u8::try_from(next(256)).unwrap_or_default();
            }
        }
        let is_intact = seeds.contains(&der);
        let facts = Certificate::parse(&der);
        let _ = facts.map(|facts| super::super::subject::Subject::parse(facts.subject));
        for pool in &pools {
            let result = pool.verify(&[der.clone(), chain[1].clone(), der.clone()], NOW);
            assert!(is_intact || result.is_err(), "a changed certificate was accepted");
            accepted += usize::from(result.is_ok());
        }
        let mut peer = super::super::Peer::new(vec![der]);
        peer.verify(&WORLD.trust, NOW);
    }
    assert!(accepted > 0, "intact certificates were among them");
}
