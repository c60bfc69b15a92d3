//! The local socket of the real binary: what it refuses first, then what it serves and who may connect.

use crate::support::kubelet::{Behaviour, Kubelet, container};
use crate::support::lab::{Lab, NODES, PODS};
use crate::support::toplet::{Folder, Toplet, free_port, run};
use crate::support::{PATIENCE, eventually};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Sends these bytes and reads until the server closes.
fn exchange(path: &Path, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// One request: status, and the whole answer.
fn ask(path: &Path, method: &str, target: &str, headers: &str) -> (u16, String) {
    let request =
        format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
    let answer = exchange(path, request.as_bytes());
    (answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0), answer)
}

fn flag(path: &Path) -> String {
    format!("--local-socket={}", path.display())
}

/// A cluster of one node and one pod, and toplet with a local socket in it.
fn cluster() -> (Lab, Kubelet, Toplet, PathBuf) {
    let lab = Lab::new();
    let kubelet = Kubelet::start(Behaviour::Steady(vec![container("default", "web", "main", 20, 30)]));
    lab.node("one", &kubelet, &[("default", "web")]);
    let path = lab.folder.path().join("toplet.sock");
    let toplet = lab.start(&[&flag(&path)]);
    (lab, kubelet, toplet, path)
}

#[test]
fn nothing_but_reading_usage_is_possible_and_no_review_is_asked() {
    let (lab, _kubelet, _toplet, path) = cluster();
    lab.api.world().tokens = vec![("word".into(), "alice".into(), vec!["system:masters".into()])];
    let claims = "X-Remote-User: admin\r\nX-Remote-Group: system:masters\r\nAuthorization: Bearer word\r\n";
    for (method, target, status) in [
        ("POST", NODES, 403),
        ("DELETE", PODS, 403),
        ("GET", "/metrics", 403),
        ("GET", "/metrics/usage", 403),
        ("GET", "/status", 200),
        ("GET", "/status.json", 200),
        ("POST", "/status", 403),
        ("GET", "/statusz", 403),
        ("GET", "/openapi/v2", 403),
        ("GET", "/", 403),
        ("GET", "/api/v1/secrets", 403),
        ("GET", "/apis/metrics.k8s.io/v1beta1/nodes?watch=1", 403),
        ("GET", "/apis/metrics.k8s.io/v1beta1/secrets", 403),
        ("GET", "/apis/metrics.k8s.io/v2/nodes", 404),
        ("HEAD", NODES, 405),
        ("POST", "/readyz", 403),
    ] {
        let (found, answer) = ask(&path, method, target, claims);
        assert_eq!(found, status, "{method} {target}: {answer}");
    }
    let (status, answer) = ask(&path, "GET", NODES, "Impersonate-User: admin\r\n");
    assert_eq!(status, 403, "{answer}");
    assert_eq!(ask(&path, "GET", NODES, claims).0, 200);
    assert_eq!(lab.api.world().reviews.len(), 0, "the local socket needs no review");
    // TLS on it is refused by the parser of requests, and HTTP on the TLS port as before.
    assert!(
        exchange(&path, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n").starts_with("HTTP/1.1 400")
    );
}

#[test]
fn another_file_or_a_served_socket_is_refused_with_1() {
    let folder = Folder::new();
    let path = folder.path().join("toplet.sock");
    let port = format!("--secure-port={}", free_port());
    let refused = |reason: &str| {
        let (code, _, said) = run(&["--bind-address=127.0.0.1", &port, &flag(&path)]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("--local-socket=") && said.contains(reason), "{said}");
    };
    std::fs::write(&path, "precious").unwrap();
    refused("not a socket");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    std::fs::remove_file(&path).unwrap();
    let listener = UnixListener::bind(&path).unwrap();
    refused("another process serves it");
    assert!(path.exists());
    drop(listener);
    let _toplet = Toplet::start(&folder, &[&flag(&path)]);
    refused("another process serves it");
    assert_eq!(ask(&path, "GET", "/livez", "").0, 200, "the one that serves it is not disturbed");
}

#[test]
fn usage_is_served_without_a_name_and_the_file_goes_with_the_process() {
    let (_lab, _kubelet, mut toplet, path) = cluster();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o660);
    let pods = eventually("the pod is measured", PATIENCE, || {
        let (status, answer) = ask(&path, "GET", PODS, "");
        (status == 200 && answer.contains("\"name\":\"web\"")).then_some(answer)
    });
    assert!(pods.contains("\"containers\""), "{pods}");
    for target in ["/readyz", "/livez", "/healthz", "/version", "/apis", "/apis/metrics.k8s.io/v1"] {
        assert_eq!(ask(&path, "GET", target, "").0, 200, "{target}");
    }
    let (_, figures) = ask(&path, "GET", "/allocatable", "");
    assert!(figures.contains(r#"{"items":[{"name":"one","cpu":"4","memory":"1Gi"}]}"#), "{figures}");
    // Requests follow one another on a kept connection.
    let twice =
        "GET /livez HTTP/1.1\r\nHost: a\r\n\r\nGET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert_eq!(exchange(&path, twice.as_bytes()).matches("HTTP/1.1 200").count(), 2);
    toplet.signal("TERM");
    assert!(toplet.wait().success());
    assert!(!path.exists());
}

#[test]
fn a_socket_that_a_killed_process_left_is_replaced() {
    let folder = Folder::new();
    let path = folder.path().join("toplet.sock");
    let mut killed = Toplet::start(&folder, &[&flag(&path)]);
    killed.signal("KILL");
    killed.wait();
    assert!(path.exists());
    let _toplet = Toplet::start(&folder, &[&flag(&path)]);
    assert_eq!(ask(&path, "GET", "/livez", "").0, 200);
}

#[test]
fn the_runtime_directory_is_the_default_and_an_empty_path_means_none() {
    let folder = Folder::new();
    let check = |args: &[&str]| {
        let output = crate::support::toplet::command()
            .env("RUNTIME_DIRECTORY", folder.path())
            .arg("check")
            .args(args)
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(check(&[]).contains(&format!("--local-socket={}/toplet.sock", folder.path().display())));
    assert!(check(&["--local-socket=/x/y"]).contains("--local-socket=/x/y"));
    assert!(!check(&["--local-socket="]).contains("toplet.sock"));
}

#[test]
fn many_silent_clients_leave_room_for_others() {
    let folder = Folder::new();
    let path = folder.path().join("toplet.sock");
    let toplet = Toplet::start(&folder, &[&flag(&path), "--max-connections=8"]);
    let crowd: Vec<UnixStream> = (0..40)
        .map(|_| {
            let mut stream = UnixStream::connect(&path).unwrap();
            stream.write_all(b"GET /livez HT").unwrap();
            stream
        })
        .collect();
    assert_eq!(toplet.client().get("/livez").unwrap().status, 200);
    assert_eq!(ask(&path, "GET", "/livez", "").0, 200);
    drop(crowd);
}
