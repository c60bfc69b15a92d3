//! Whom the real binary trusts: the ConfigMap of the cluster while it changes, flags beside it, and what is left of an
//! identity after a rotation.

use crate::support::certs::{Authority, Leaf};
use crate::support::client::{Client, Connection};
use crate::support::lab::{Lab, NODES};
use crate::support::toplet::Toplet;
use crate::support::{PATIENCE, eventually};
use std::time::Duration;

const MASTERS: &[&str] = &["system:masters"];
const CONFIGMAP: &str = "/configmaps/extension-apiserver-authentication";

/// A cluster where alice may do everything, and toplet.
fn cluster(more: &[&str]) -> (Lab, Toplet) {
    let lab = Lab::new();
    lab.api.world().allowed = vec!["alice".into()];
    let toplet = lab.start(more);
    (lab, toplet)
}

fn proxy(toplet: &Toplet, authority: &Authority, name: &str) -> Client {
    Client::with_cert(toplet.port, &authority.client(name, &[])).header("X-Remote-User", "alice")
}

fn master(toplet: &Toplet, authority: &Authority) -> Client {
    Client::with_cert(toplet.port, &authority.client("root", MASTERS))
}

fn status(client: &Client) -> u16 {
    client.get(NODES).unwrap().status
}

fn ask(client: &Client, connection: &mut Connection) -> u16 {
    connection.send(&client.head("GET", NODES, &[])).unwrap();
    connection.read_answer("GET").unwrap().status
}

/// Waits until this client is answered so.
fn becomes(client: &Client, wanted: u16) {
    eventually(&format!("status {wanted}"), PATIENCE, || (status(client) == wanted).then_some(()));
}

/// Has the ConfigMap looked at twice, so that whatever it says now was considered.
fn look(lab: &Lab, toplet: &Toplet) {
    for _ in 0..2 {
        let before = lab.api.count(CONFIGMAP);
        toplet.signal("HUP");
        eventually("the ConfigMap is read", PATIENCE, || (lab.api.count(CONFIGMAP) > before).then_some(()));
    }
}

#[test]
fn who_comes_before_the_first_lookup_waits_for_it_and_no_longer() {
    for (delay, wanted) in [(1, 200), (30, 403)] {
        let lab = Lab::new();
        lab.api.world().configmap_delay = Duration::from_secs(delay);
        let toplet = lab.start(&[]);
        assert_eq!(status(&master(&toplet, &lab.users)), wanted, "the ConfigMap comes after {delay} s");
    }
}

#[test]
fn nothing_of_an_identity_survives_a_rotation_not_even_in_resumed_sessions() {
    let (lab, toplet) = cluster(&[]);
    let (next_users, next_proxies) = (Authority::new("users"), Authority::new("proxies"));
    let root: Leaf = lab.users.client("root", MASTERS);
    let clients = [
        ("TLS 1.3", Client::with_cert(toplet.port, &root)),
        ("TLS 1.2", Client::with_tls12(toplet.port, Some(&root))),
        ("front proxy", proxy(&toplet, &lab.proxies, "front-proxy-client")),
    ];
    becomes(&clients[0].1, 200);
    let mut kept: Vec<Connection> = clients
        .iter()
        .map(|(name, client)| {
            assert_eq!(status(client), 200, "{name}");
            let mut connection = client.connect().unwrap();
            assert!(connection.resumed(), "{name}: the session can be resumed");
            assert_eq!(ask(client, &mut connection), 200, "{name}: resumed, and as good as new");
            connection
        })
        .collect();
    lab.trust(&next_users.pem, &next_proxies.pem);
    toplet.signal("HUP");
    becomes(&master(&toplet, &next_users), 200);
    assert_eq!(status(&proxy(&toplet, &next_proxies, "front-proxy-client")), 200);
    for ((name, client), connection) in clients.iter().zip(&mut kept) {
        assert_eq!(ask(client, connection), 401, "{name}: on a connection from before");
        let mut resumed = client.connect().unwrap();
        assert!(resumed.resumed(), "{name}");
        assert_eq!(ask(client, &mut resumed), 401, "{name}: in a session from before");
        assert_eq!(ask(client, &mut client.connect().unwrap()), 401, "{name}: on a new connection");
    }
}

#[test]
fn keys_that_vanish_take_their_trust_away_and_empty_lists_allow_any_name() {
    let (lab, toplet) = cluster(&[]);
    let (other, root) = (proxy(&toplet, &lab.proxies, "other"), master(&toplet, &lab.users));
    becomes(&root, 200);
    assert_eq!(status(&other), 401, "a name that is not allowed");
    for names in ["[]", ""] {
        lab.trust(&lab.users.pem, &lab.proxies.pem);
        look(&lab, &toplet);
        assert_eq!(status(&other), 401);
        lab.api.set_configmap(&[
            ("client-ca-file", &lab.users.pem),
            ("requestheader-client-ca-file", &lab.proxies.pem),
            ("requestheader-allowed-names", names),
            ("requestheader-username-headers", "[\"X-Remote-User\"]"),
        ]);
        look(&lab, &toplet);
        assert_eq!(status(&other), 200, "{names:?} allows every name");
    }
    lab.api.set_configmap(&[("client-ca-file", &lab.users.pem)]);
    look(&lab, &toplet);
    assert_eq!((status(&other), status(&root)), (401, 200), "no front proxy any more");
    lab.api.set_configmap(&[]);
    look(&lab, &toplet);
    assert_eq!((status(&other), status(&root)), (403, 403), "without authorities everybody is anonymous");
}

#[test]
fn what_cannot_be_read_leaves_the_last_good_state_and_is_said_once() {
    let (lab, toplet) = cluster(&[]);
    let (good, next) = (proxy(&toplet, &lab.proxies, "front-proxy-client"), Authority::new("next"));
    becomes(&good, 200);
    lab.api.set_configmap(&[
        ("client-ca-file", &lab.users.pem),
        ("requestheader-client-ca-file", &next.pem),
        ("requestheader-allowed-names", "[\"front-proxy-client\""),
        ("requestheader-username-headers", "[\"X-Remote-User\"]"),
    ]);
    look(&lab, &toplet);
    look(&lab, &toplet);
    assert_eq!(status(&good), 200);
    assert_eq!(status(&proxy(&toplet, &next, "front-proxy-client")), 401);
    assert_eq!(toplet.logged("requestheader-allowed-names is not a JSON list of names"), 1);
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    lab.trust(broken, &lab.proxies.pem);
    look(&lab, &toplet);
    assert_eq!((status(&good), status(&master(&toplet, &lab.users))), (200, 200));
    assert_eq!(toplet.logged("client CA bundle"), 1, "{:?}", toplet.log());
    for code in [403, 404, 500] {
        lab.api.world().failure = Some(code);
        look(&lab, &toplet);
        assert_eq!(status(&good), 200, "{code}");
    }
}

#[test]
fn a_lookup_that_fails_at_the_start_is_tried_again_and_nobody_is_believed_meanwhile() {
    for (code, flags, warns) in [
        (403, &[][..], true),
        (403, &["--authentication-tolerate-lookup-failure"][..], false),
        (404, &[][..], false),
    ] {
        let lab = Lab::new();
        lab.api.world().failure = Some(code);
        let toplet = lab.start(flags);
        let root = master(&toplet, &lab.users);
        eventually("the lookup failed", PATIENCE, || (toplet.logged(CONFIGMAP) > 0).then_some(()));
        assert_eq!(status(&root), 403, "anonymous");
        assert_eq!(toplet.client().get("/livez").unwrap().status, 200);
        let line = toplet.log().into_iter().find(|line| line.contains(CONFIGMAP)).unwrap();
        assert_eq!(line.starts_with('W'), warns, "{code} {flags:?}: {line}");
        assert_eq!(line.contains("extension-apiserver-authentication-reader"), code == 403, "{line}");
        lab.api.world().failure = None;
        becomes(&root, 200);
    }
}

#[test]
fn flags_override_the_config_map_and_skip_lookup_never_reads_it() {
    let (users, proxies) = (Authority::new("own users"), Authority::new("own proxies"));
    for skip in [false, true] {
        let lab = Lab::new();
        lab.api.world().allowed = vec!["alice".into()];
        let write = |name: &str, pem: &str| {
            let path = lab.folder.path().join(name);
            std::fs::write(&path, pem).unwrap();
            path.display().to_string()
        };
        let (users_file, proxies_file) = (write("users", &users.pem), write("proxies", &proxies.pem));
        let skip_flag = format!("--authentication-skip-lookup={skip}");
        let toplet = lab.start(&[
            &skip_flag,
            &format!("--client-ca-file={users_file}"),
            &format!("--requestheader-client-ca-file={proxies_file}"),
            "--requestheader-allowed-names=proxy",
            "--requestheader-username-headers=X-Who",
        ]);
        let proxied = Client::with_cert(toplet.port, &proxies.client("proxy", &[])).header("X-Who", "alice");
        becomes(&proxied, 200);
        if !skip {
            look(&lab, &toplet);
        }
        assert_eq!(lab.api.count(CONFIGMAP) == 0, skip);
        assert_eq!(status(&proxied), 200);
        assert_eq!(status(&master(&toplet, &users)), 200);
        assert_eq!(status(&proxy(&toplet, &proxies, "front-proxy-client")), 401);
        assert_eq!(status(&proxy(&toplet, &lab.proxies, "front-proxy-client")), 401);
        assert_eq!(status(&master(&toplet, &lab.users)), 401);
        // A file that changes is read again, too.
        let next = Authority::new("next");
        write("users", &next.pem);
        toplet.signal("HUP");
        becomes(&master(&toplet, &next), 200);
        assert_eq!(status(&master(&toplet, &users)), 401);
    }
}
