use super::super::testing::*;
use super::*;

const MINUTE: i64 = 60 * 1_000_000_000;

fn later(nanos: i64) -> UnixNanos {
    UnixNanos(NOW.0 + nanos)
}

fn client() -> Vec<u8> {
    WORLD.clients.issue(&Wish { name: "bob", ..Wish::default() })
}

fn is_client(peer: &mut Peer, trust: &Trust, now: UnixNanos) -> bool {
    matches!(peer.verify(trust, now).client, Opinion::Is(_))
}

fn is_proxy(peer: &mut Peer, trust: &Trust, now: UnixNanos) -> bool {
    peer.verify(trust, now).front_proxy == Opinion::Is(())
}

#[test]
fn nothing_of_an_identity_survives_a_rotation() {
    let old = Trust::new(&FrontProxySettings::default(), Some(WORLD.clients.pem.as_bytes())).unwrap();
    let new = Trust::new(&FrontProxySettings::default(), Some(WORLD.foreign.pem.as_bytes())).unwrap();
    let none = Trust::new(&FrontProxySettings::default(), None).unwrap();
    let mut peer = Peer::new(vec![client()]);
    assert!(is_client(&mut peer, &old, NOW));
    assert!(!is_client(&mut peer, &new, NOW));
    assert!(is_client(&mut peer, &old, NOW), "and back");
    assert_eq!(peer.verify(&none, NOW).client, Opinion::None);
    // The same bundle again is another trust: nothing is compared, everything is verified again.
    let again = Trust::new(&FrontProxySettings::default(), Some(WORLD.clients.pem.as_bytes())).unwrap();
    peer.chain = vec![b"no certificate".to_vec()];
    assert!(!is_client(&mut peer, &again, NOW));
}

#[test]
fn a_rotated_front_proxy_ca_and_its_names_are_in_force_at_once() {
    let mut peer = proxy_peer();
    assert!(is_proxy(&mut peer, &WORLD.trust, NOW));
    let rotated = Trust::new(&proxy_settings(&WORLD.foreign.pem), None).unwrap();
    assert!(!is_proxy(&mut peer, &rotated, NOW));
    let both = format!("{}{}", WORLD.foreign.pem, WORLD.proxies.pem);
    assert!(is_proxy(&mut peer, &Trust::new(&proxy_settings(&both), None).unwrap(), NOW));
    let renamed =
        FrontProxySettings { allowed_names: vec!["other".to_owned()], ..proxy_settings(&WORLD.proxies.pem) };
    assert!(!is_proxy(&mut peer, &Trust::new(&renamed, None).unwrap(), NOW));
    let open = FrontProxySettings { allowed_names: vec![], ..renamed };
    assert!(is_proxy(&mut peer, &Trust::new(&open, None).unwrap(), NOW));
}

#[test]
fn the_two_pools_never_mix() {
    let (mut proxy, mut client) = (proxy_peer(), Peer::new(vec![client()]));
    assert!(is_proxy(&mut proxy, &WORLD.trust, NOW) && !is_client(&mut proxy, &WORLD.trust, NOW));
    assert!(!is_proxy(&mut client, &WORLD.trust, NOW) && is_client(&mut client, &WORLD.trust, NOW));
    let crossed =
        Trust::new(&proxy_settings(&WORLD.clients.pem), Some(WORLD.proxies.pem.as_bytes())).unwrap();
    assert!(!is_proxy(&mut proxy, &crossed, NOW) && is_client(&mut proxy, &crossed, NOW));
    // With the intermediate of one pool sent along, the other pool is as closed as before.
    let leaf = WORLD.intermediate.issue(&Wish { name: "front-proxy-client", ..Wish::default() });
    let mut sent = Peer::new(vec![
        leaf,
        WORLD.intermediate.der.clone(),
        WORLD.clients.der.clone(),
        WORLD.proxies.der.clone(),
    ]);
    assert!(!is_proxy(&mut sent, &WORLD.trust, NOW) && is_client(&mut sent, &WORLD.trust, NOW));
}

#[test]
fn a_chain_is_verified_once_and_again_after_a_minute() {
    let mut peer = Peer::new(vec![client()]);
    assert!(is_client(&mut peer, &WORLD.trust, NOW));
    // Without its chain, only the memory can still say yes.
    let chain = std::mem::take(&mut peer.chain);
    assert!(is_client(&mut peer, &WORLD.trust, later(MINUTE)));
    assert!(!is_client(&mut peer, &WORLD.trust, later(MINUTE + 1)));
    peer.chain = chain;
    assert!(!is_client(&mut peer, &WORLD.trust, later(MINUTE + 2)), "a no is remembered as well");
    assert!(is_client(&mut peer, &WORLD.trust, NOW), "a clock that jumped back ends the memory");
}

#[test]
fn no_memory_outlives_the_certificate() {
    let end = 1_798_761_600; // 2027-01-01
    let short = WORLD.clients.issue(&Wish { name: "bob", years: (2020, 2027), ..Wish::default() });
    let mut peer = Peer::new(vec![short]);
    assert!(is_client(&mut peer, &WORLD.trust, UnixNanos((end - 5) * 1_000_000_000)));
    assert!(is_client(&mut peer, &WORLD.trust, UnixNanos(end * 1_000_000_000)));
    assert!(!is_client(&mut peer, &WORLD.trust, UnixNanos((end + 1) * 1_000_000_000)));
}

#[test]
fn an_empty_bundle_is_none_and_a_broken_one_an_error() {
    let trust =
        Trust::new(&FrontProxySettings { ca_pem: Some(b" \n".to_vec()), ..proxy_settings("") }, Some(b""))
            .unwrap();
    assert!(trust.front_proxy.is_none() && trust.clients.is_none());
    let error =
        |settings: &FrontProxySettings, clients| Trust::new(settings, clients).err().unwrap_or_default();
    assert!(error(&proxy_settings("junk"), None).starts_with("front proxy CA bundle: "));
    assert!(error(&FrontProxySettings::default(), Some(&b"junk"[..])).starts_with("client CA bundle: "));
}

#[test]
fn an_empty_prefix_does_not_make_every_header_an_attribute() {
    let list = || vec![String::new(), " ".to_owned(), " X-A ".to_owned()];
    let settings = FrontProxySettings {
        extra_prefixes: list(),
        username_headers: list(),
        ..proxy_settings(&WORLD.proxies.pem)
    };
    let trust = Trust::new(&settings, None).unwrap();
    let settings = trust.front_proxy().unwrap();
    assert_eq!(
        (&*settings.extra_prefixes, &*settings.username_headers),
        (&["X-A".to_owned()][..], &["X-A".to_owned()][..])
    );
}

#[test]
fn a_client_certificate_carries_uid_and_credential() {
    let der = WORLD.clients.issue(&Wish {
        name: "bob",
        uids: &["u-1"],
        organizations: &["dev", "ops"],
        ..Wish::default()
    });
    let Opinion::Is(identity) = identity_of(&der) else { panic!() };
    assert_eq!(
        (identity.user.as_str(), identity.uid.as_str(), identity.groups.as_slice()),
        ("bob", "u-1", &["dev".to_owned(), "ops".to_owned()][..])
    );
    let [(key, values)] = identity.extra.as_slice() else { panic!() };
    assert_eq!(key, "authentication.kubernetes.io/credential-id");
    let hex = values[0].strip_prefix("X509SHA256=").unwrap();
    assert!(
        hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    );
    assert_eq!(&hex[..2], format!("{:02x}", sha256(&der)[0]));
    assert!(matches!(identity_of(b"junk"), Opinion::Error(_)));
}
