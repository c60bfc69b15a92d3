use super::*;
use crate::cluster::kubeconfig::Access;
use crate::net::credentials::Credentials;
use crate::net::fake::{Authority, Fake, Reply, answer};

const SAMPLE: &str = include_str!("../../../tests/golden/kube-api/configmap-authentication.json");

fn api(fake: &Fake) -> Option<Arc<ApiServer>> {
    let server = fake.url("http", "");
    Some(Arc::new(ApiServer::new(Access { server, credentials: Credentials::none() }).unwrap()))
}

/// A ConfigMap of these values.
fn map(values: &[(&str, &str)]) -> String {
    let members: Vec<String> =
        values.iter().map(|(k, v)| format!("{}:{}", json::to_string(*k), json::to_string(*v))).collect();
    format!("{{\"kind\":\"ConfigMap\",\"data\":{{{}}}}}", members.join(","))
}

fn in_force(authentication: &TrustSource) -> Known {
    authentication.progress.lock().unwrap().in_force.clone()
}

#[test]
fn the_config_map_of_a_real_cluster_is_read() {
    let (known, complaint) = known(SAMPLE, &Known::default());
    assert_eq!(complaint, None);
    assert!(known.client_ca.unwrap().starts_with(b"-----BEGIN CERTIFICATE-----\n"));
    let proxy = known.front_proxy;
    assert!(proxy.ca_pem.unwrap().starts_with(b"-----BEGIN CERTIFICATE-----\n"));
    assert_eq!(proxy.allowed_names, ["front-proxy-client"]);
    assert_eq!(proxy.username_headers, ["X-Remote-User"]);
    assert_eq!(proxy.group_headers, ["X-Remote-Group"]);
    assert_eq!(proxy.extra_prefixes, ["X-Remote-Extra-"]);
    assert_eq!(proxy.uid_headers, ["X-Remote-Uid"]);
}

#[test]
fn missing_keys_and_empty_lists_are_tolerated() {
    let (nothing, complaint) = known("{\"kind\":\"ConfigMap\"}", &Known::default());
    assert!(nothing == Known::default() && complaint.is_none());
    let document = map(&[("requestheader-client-ca-file", "pem"), ("requestheader-allowed-names", "")]);
    let (known, complaint) = known(&document, &Known::default());
    assert_eq!(complaint, None);
    assert!(known.front_proxy.ca_pem.is_some() && known.front_proxy.username_headers.is_empty());
}

#[test]
fn a_key_that_vanishes_takes_the_trust_away() {
    let (before, _) = known(SAMPLE, &Known::default());
    let (after, complaint) = known(&map(&[("client-ca-file", " ")]), &before);
    assert!(after == Known::default() && complaint.is_none());
}

#[test]
fn bad_json_keeps_the_last_good_front_proxy() {
    let (before, _) = known(SAMPLE, &Known::default());
    for bad in ["front-proxy-client", "[\"a\"", "{\"a\":1}", "[1]", "null"] {
        let document =
            map(&[("requestheader-client-ca-file", "other"), ("requestheader-allowed-names", bad)]);
        let (after, complaint) = known(&document, &before);
        assert!(after.front_proxy == before.front_proxy, "{bad}");
        assert_eq!(complaint.unwrap(), "requestheader-allowed-names is not a JSON list of names", "{bad}");
    }
    let (after, complaint) = known("<html>", &before);
    assert!(after == before && complaint.is_some());
}

#[test]
fn a_rotated_authority_counts_after_the_next_refresh_and_a_broken_one_never() {
    let (one, two) = (Authority::new().pem, Authority::new().pem);
    let documents = [
        answer("200 OK", &map(&[("client-ca-file", &one)])),
        answer("200 OK", &map(&[("client-ca-file", &one)])),
        answer("200 OK", &map(&[("client-ca-file", &two)])),
        answer(
            "200 OK",
            &map(&[("client-ca-file", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")]),
        ),
        answer("503 Service Unavailable", ""),
        answer("404 Not Found", ""),
    ];
    let fake = Fake::start(move |n, _| Reply::Keep(documents[n].clone()));
    let authentication = TrustSource::new(TrustSettings::default(), api(&fake)).unwrap();
    let before = authentication.trust();
    assert!(in_force(&authentication) == Known::default());
    assert_eq!(authentication.refresh(), limits::TRUST_INTERVAL);
    let first = authentication.trust();
    assert!(!Arc::ptr_eq(&before, &first));
    assert_eq!(in_force(&authentication).client_ca.as_deref(), Some(one.as_bytes()));
    authentication.refresh();
    assert!(Arc::ptr_eq(&first, &authentication.trust()), "unchanged trust is not built again");
    authentication.refresh();
    let second = authentication.trust();
    assert_eq!(in_force(&authentication).client_ca.as_deref(), Some(two.as_bytes()));
    for _ in 0..3 {
        assert!(authentication.refresh() <= limits::TRUST_INTERVAL);
        assert!(Arc::ptr_eq(&second, &authentication.trust()), "the last good trust counts");
    }
    assert!(fake.heads().iter().all(|h| h.starts_with(&format!("GET {PATH} HTTP/1.1\r\n"))));
}

#[test]
fn a_failed_lookup_is_tried_again_soon_and_then_less_often() {
    let fake = Fake::start(|_, _| Reply::Keep(answer("403 Forbidden", "")));
    let authentication = TrustSource::new(TrustSettings::default(), api(&fake)).unwrap();
    let waits: Vec<u64> = (0..7).map(|_| authentication.refresh().as_secs()).collect();
    assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
    assert!(in_force(&authentication) == Known::default(), "an absent trust is no trust");
}

#[test]
fn flags_override_the_config_map() {
    let path = std::env::temp_dir().join(format!("toplet-client-ca-{}", std::process::id()));
    let pem = Authority::new().pem;
    std::fs::write(&path, &pem).unwrap();
    let fake = Fake::start(|_, _| Reply::Keep(answer("200 OK", SAMPLE)));
    let front_proxy =
        FrontProxySettings { username_headers: vec!["x-user".to_owned()], ..Default::default() };
    let settings = TrustSettings {
        client_ca_file: Some(path.clone()),
        front_proxy_ca_file: Some(path.clone()),
        front_proxy,
        ..TrustSettings::default()
    };
    let authentication = TrustSource::new(settings.clone(), api(&fake)).unwrap();
    authentication.refresh();
    let known = in_force(&authentication);
    assert_eq!(known.client_ca.as_deref(), Some(pem.as_bytes()));
    assert_eq!(known.front_proxy.username_headers, ["x-user"]);
    assert!(known.front_proxy.allowed_names.is_empty(), "nothing of the ConfigMap is mixed in");
    let skipping =
        TrustSource::new(TrustSettings { skip_lookup: true, ..settings.clone() }, api(&fake)).unwrap();
    skipping.refresh();
    assert_eq!(fake.heads().len(), 1, "skip-lookup asks nothing");
    // A file that vanishes leaves the last good state; at the start it is an error.
    std::fs::remove_file(&path).unwrap();
    skipping.refresh();
    assert!(in_force(&skipping).client_ca.is_some());
    let error = TrustSource::new(settings, None).err().unwrap();
    assert!(error.starts_with("--client-ca-file: "), "{error}");
}
