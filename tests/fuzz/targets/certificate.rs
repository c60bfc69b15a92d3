//! Any bytes as a peer's certificate, and any bytes as a CA bundle: somebody, nobody, or an error that is said.
#![no_main]

use libfuzzer_sys::fuzz_target;
use toplet::access::{Check, FrontProxySettings, Mode, Peer, Policy, Step, Trust};
use toplet::api::request::{Head, RequestInfo};
use toplet::units::UnixNanos;

const CA: &[u8] = include_bytes!("../../golden/certificates/rsa-ca.pem");

fuzz_target!(|bytes: &[u8]| {
    let _ = Trust::new(&FrontProxySettings::default(), Some(bytes));
    let settings = FrontProxySettings {
        ca_pem: Some(CA.to_vec()),
        username_headers: vec!["X-Remote-User".into()],
        ..FrontProxySettings::default()
    };
    let trust = Trust::new(&settings, Some(CA)).unwrap();
    let policy = Policy { mode: Mode::Delegated, ..Policy::default() };
    let head = Head { method: "GET", path: "/apis", query: None, headers: &[] };
    let mut peer = Peer::new(vec![bytes.to_vec()]);
    let now = UnixNanos(1_795_500_000_000_000_000);
    let (_, step) = Check::start(&trust, &policy, &mut peer, &head, &RequestInfo::default(), now);
    assert!(!matches!(step, Step::Allowed(_)));
});
