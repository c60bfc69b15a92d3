//! The certificate that the real binary shows: from swapped links, from its own directory, by server name, and over which
//! versions and suites.

use crate::support::api_server::ApiServer;
use crate::support::certs::{Authority, Leaf};
use crate::support::client::Client;
use crate::support::toplet::{Folder, Toplet};
use crate::support::{PATIENCE, eventually};
use rustls::CipherSuite;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

const SERVICE: &str = "metrics-server.kube-system.svc";

fn start(folder: &Folder, arguments: &[String]) -> Toplet {
    Toplet::start(folder, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

fn pair(folder: &Path, name: &str) -> [String; 2] {
    let file = |end: &str| folder.join(format!("{name}.{end}")).display().to_string();
    [format!("--tls-cert-file={}", file("crt")), format!("--tls-private-key-file={}", file("key"))]
}

fn shown(toplet: &Toplet) -> Option<Vec<u8>> {
    toplet.client().connect().ok().map(|connection| connection.server_certificate())
}

#[test]
fn a_mounted_secret_that_is_swapped_is_served_without_a_restart() {
    let (folder, authority) = (Folder::new(), Authority::new("servers"));
    let (first, second) = (authority.server(), authority.server());
    // As a kubelet mounts a Secret: the files are links into `..data`, and that is a link to a dated directory.
    for (version, leaf) in [("..2026_1", &first), ("..2026_2", &second)] {
        std::fs::create_dir(folder.path().join(version)).unwrap();
        leaf.write(&folder.path().join(version), "tls");
    }
    symlink("..2026_1", folder.path().join("..data")).unwrap();
    for file in ["tls.crt", "tls.key"] {
        symlink(Path::new("..data").join(file), folder.path().join(file)).unwrap();
    }
    let toplet = start(&folder, &pair(folder.path(), "tls"));
    assert_eq!(shown(&toplet).unwrap(), first.chain()[0].to_vec());
    symlink("..2026_2", folder.path().join("..data_tmp")).unwrap();
    std::fs::rename(folder.path().join("..data_tmp"), folder.path().join("..data")).unwrap();
    std::fs::remove_dir_all(folder.path().join("..2026_1")).unwrap();
    eventually("the second pair is shown", PATIENCE, || {
        (shown(&toplet)? == second.chain()[0].to_vec()).then_some(())
    });
}

#[test]
fn a_ca_bundle_of_the_own_authority_verifies_the_service_before_and_after_a_renewal() {
    let folder = Folder::new();
    let directory = folder.path().join("cert");
    let toplet = Toplet::start(&folder, &[]);
    let bundle = std::fs::read_to_string(directory.join("ca.crt")).unwrap();
    let verified = |toplet: &Toplet, name: &str| {
        Client::believing(toplet.port, &bundle).connect_as(name).map(|shown| shown.server_certificate())
    };
    let first = verified(&toplet, SERVICE).unwrap();
    assert!(verified(&toplet, "localhost").is_ok() && verified(&toplet, "127.0.0.1").is_ok());
    assert!(verified(&toplet, "other.kube-system.svc").is_err());
    // The directory's pair becomes one that ends soon: it is taken, found too old, and renewed.
    let ending = || {
        let age = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        let leaf = Authority::new("old").odd_client("old", |params| {
            params.not_after = rcgen::date_time_ymd(1970, 1, 1) + age + Duration::from_secs(20 * 86_400);
        });
        leaf.write(&directory, "apiserver");
        leaf
    };
    let old: Leaf = ending();
    let renewed = eventually("the pair is renewed", PATIENCE, || {
        verified(&toplet, SERVICE).ok().filter(|leaf| *leaf != first)
    });
    assert_ne!(renewed, old.chain()[0].to_vec());
    assert_eq!(std::fs::read_to_string(directory.join("ca.crt")).unwrap(), bundle, "the authority stays");
    drop(toplet);
    // The same at a start.
    ending();
    let toplet = Toplet::start(&folder, &[]);
    let again = verified(&toplet, SERVICE).unwrap();
    assert!(again != first && again != renewed);
}

#[test]
fn pairs_by_server_name_serve_their_names_only() {
    let (folder, authority) = (Folder::new(), Authority::new("servers"));
    let [default, one, many] = ["default", "one", "many"].map(|name| {
        let leaf = authority.server();
        leaf.write(folder.path(), name);
        leaf
    });
    let mut arguments = pair(folder.path(), "default").to_vec();
    let files = |name: &str| {
        let path = folder.path().join(name).display().to_string();
        format!("{path}.crt,{path}.key")
    };
    arguments.push(format!("--tls-sni-cert-key={}:one.example", files("one")));
    arguments.push(format!("--tls-sni-cert-key={}:*.many.example,many.example", files("many")));
    let toplet = start(&folder, &arguments);
    for (name, expected) in [
        ("one.example", &one),
        ("ONE.example", &one),
        ("a.many.example", &many),
        ("many.example", &many),
        ("a.b.many.example", &default),
        ("two.example", &default),
        ("127.0.0.1", &default),
    ] {
        let shown = toplet.client().connect_as(name).unwrap().server_certificate();
        assert_eq!(shown, expected.chain()[0].to_vec(), "{name}");
    }
}

#[test]
fn versions_and_suites_are_those_of_the_flags() {
    let folder = Folder::new();
    let toplet = start(&folder, &["--tls-min-version=VersionTLS13".into()]);
    assert!(Client::with_tls12(toplet.port, None).get("/livez").is_err());
    assert_eq!(toplet.client().get("/livez").unwrap().status, 200);
    let wanted = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";
    let toplet = start(&folder, &[format!("--tls-cipher-suites={wanted}")]);
    let (session, _) = Client::with_tls12(toplet.port, None).connect().unwrap().into_parts();
    assert_eq!(
        session.negotiated_cipher_suite().unwrap().suite(),
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
    );
    let (session, _) = toplet.client().connect().unwrap().into_parts();
    assert_eq!(
        session.protocol_version(),
        Some(rustls::ProtocolVersion::TLSv1_3),
        "the list is about TLS 1.2"
    );
}

#[test]
fn certificates_that_end_within_30_days_are_warned_about_once_in_the_log() {
    let authority = Authority::new("cluster");
    let api = ApiServer::start_tls(&authority);
    let start_with = |folder: &Folder, days: i64| {
        authority.client_for_days("toplet", days).write(folder.path(), "client");
        authority.server_for_days(days).write(folder.path(), "tls");
        let user = "{client-certificate: client.crt, client-key: client.key}";
        let mut arguments = pair(folder.path(), "tls").to_vec();
        arguments.push(format!("--kubeconfig={}", api.kubeconfig(folder.path(), user).display()));
        start(folder, &arguments)
    };
    let (late, early) = (Folder::new(), Folder::new());
    let (quiet, warned) = (start_with(&late, 30), start_with(&early, 29));
    let file = |name: &str| early.path().join(name).display().to_string();
    let lines = [
        format!("client certificate {} expires in 29 days: renew it", file("client.crt")),
        format!("serving certificate {} expires in 29 days: replace the file", file("tls.crt")),
    ];
    eventually("both are warned about", PATIENCE, || {
        lines.iter().all(|line| warned.logged(line) > 0).then_some(())
    });
    // The other one started before, and has looked at its certificates as well.
    assert_eq!(quiet.logged("expires in"), 0, "{:?}", quiet.log());
    for line in &lines {
        assert_eq!(warned.logged(line), 1, "{:?}", warned.log());
    }
}
