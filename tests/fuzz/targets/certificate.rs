//! Any bytes as a peer's chain, and any bytes as a bundle of authorities. Nobody is anybody but who the authorities say:
//! the one name a chain may prove is that of a certificate in the golden files.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use toplet::access::review::{Asked, Question};
use toplet::access::{Check, Denial, FrontProxySettings, Mode, Peer, Policy, Step, Trust};
use toplet::wire::request::{Head, Header, RequestInfo};
use toplet::units::UnixNanos;

const AUTHORITIES: &[u8] = concat!(
    include_str!("../../golden/certificates/rsa-ca.pem"),
    include_str!("../../golden/certificates/v1-ca.pem")
)
.as_bytes();
/// Those authorities, who may speak for themselves, and certificates that they signed.
const SIGNED: [&str; 7] = [
    include_str!("../../golden/certificates/rsa-ca.pem"),
    include_str!("../../golden/certificates/v1-ca.pem"),
    include_str!("../../golden/certificates/rsa-client.pem"),
    include_str!("../../golden/certificates/v1-ca-client.pem"),
    include_str!("../../golden/certificates/v1-client.pem"),
    include_str!("../../golden/certificates/any-usage-client.pem"),
    include_str!("../../golden/certificates/critical-client.pem"),
];
const NOW: UnixNanos = UnixNanos(1_795_600_000_000_000_000);

static TRUST: LazyLock<Trust> = LazyLock::new(|| {
    let settings = FrontProxySettings {
        ca_pem: Some(AUTHORITIES.to_vec()),
        allowed_names: vec!["nobody has this name".to_owned()],
        username_headers: vec!["X-Remote-User".to_owned()],
        ..FrontProxySettings::default()
    };
    Trust::new(&settings, Some(AUTHORITIES)).unwrap()
});

/// What a chain proves: the question about its user, with what is different for every certificate left out.
fn proven(chain: Vec<Vec<u8>>) -> Option<String> {
    let policy = Policy { mode: Mode::Delegated, ..Policy::default() };
    let headers = [Header { name: "X-Remote-User", value: b"root" }];
    let head = Head { method: "GET", path: "/apis", query: None, headers: &headers };
    let (_, step) =
        Check::start(&TRUST, &policy, &mut Peer::new(chain), &head, &RequestInfo::new(&head), NOW);
    match step {
        Step::Ask(Question { asked: Asked::Access { spec, .. }, .. }) => Some(spec.split("\"extra\"").next().unwrap().to_owned()),
        Step::Refused(Denial::Unauthenticated(why)) => {
            assert!(!why.is_empty());
            None
        }
        _ => panic!("a certificate alone allows nothing"),
    }
}

fn der(pem: &str) -> Vec<u8> {
    let body: Vec<u8> = pem.lines().filter(|line| !line.starts_with('-')).flat_map(str::bytes).collect();
    let (mut out, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for byte in body.into_iter().filter(|b| *b != b'=') {
        let six = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        bits = bits << 6 | six.iter().position(|b| *b == byte).unwrap() as u32;
        count += 1;
        if count % 4 != 1 {
            out.push((bits >> (2 * (3 - (count + 3) % 4))) as u8);
        }
    }
    out
}

static KNOWN: LazyLock<Vec<String>> = LazyLock::new(|| {
    let known: Vec<String> = SIGNED.iter().filter_map(|pem| proven(vec![der(pem)])).collect();
    assert!(!known.is_empty(), "no golden certificate is good");
    known
});

/// Cuts concatenated certificates apart by their outermost lengths; what is left over is one more.
fn chain(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut chain = Vec::new();
    while let [0x30, 0x82, high, low, ..] = bytes {
        let len = usize::from(u16::from_be_bytes([*high, *low])) + 4;
        let (one, rest) = bytes.split_at(len.min(bytes.len()));
        chain.push(one.to_vec());
        bytes = rest;
    }
    if !bytes.is_empty() {
        chain.push(bytes.to_vec());
    }
    chain
}

fuzz_target!(|input: &[u8]| {
    if input.is_empty() {
        return;
    }
    if input.starts_with(b"-----BEGIN") {
        if let Err(error) = Trust::new(&FrontProxySettings::default(), Some(input)) {
            assert!(error.contains("CA bundle"), "{error}");
        }
        return;
    }
    if let Some(spec) = proven(chain(input)) {
        let is_anonymous = spec.contains("\"user\":\"system:anonymous\"");
        assert!(is_anonymous || KNOWN.contains(&spec), "{spec} is nobody's");
    }
});
