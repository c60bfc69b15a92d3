//! Start, stop and change while running.

use crate::support::certs::Authority;
use crate::support::lab::{Lab, NODES};
use crate::support::toplet::{Folder, Toplet};
use crate::support::{PATIENCE, eventually};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Runs the program with a passed socket to its end: exit code and what it said.
fn refused_socket(socket: &impl std::os::fd::AsFd, args: &[&str]) -> (Option<i32>, String) {
    let folder = Folder::new();
    let output = crate::support::toplet::with_passed(socket, &folder, args).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_passed_socket_that_is_open_to_the_network_needs_a_client_ca_in_host_only_mode() {
    let socket = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let (code, said) = refused_socket(&socket, &[]);
    assert!(matches!(code, Some(1 | 2)), "{said}");
    assert!(
        said.contains("0.0.0.0") && said.contains("--client-ca-file") && said.contains("ListenStream"),
        "{said}"
    );
    let folder = Folder::new();
    std::fs::write(folder.path().join("users.crt"), Authority::new("users").pem).unwrap();
    let toplet = Toplet::with_socket(&folder, &["--client-ca-file=users.crt"], &socket);
    assert_eq!(toplet.client().get(NODES).unwrap().status, 401, "nobody is let in without a certificate");
}

#[test]
fn a_passed_socket_that_is_not_a_tcp_listener_is_refused() {
    let (unix, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let connected = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    for (said, problem) in [
        (refused_socket(&unix, &[]), "is not a TCP socket"),
        (refused_socket(&udp, &[]), "is not a TCP socket"),
        (refused_socket(&connected, &[]), "does not listen"),
    ] {
        assert!(matches!(said.0, Some(1 | 2)) && said.1.contains(problem), "{said:?}");
    }
}

#[test]
fn a_passed_socket_on_loopback_is_served_at_its_own_address() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let toplet = Toplet::with_socket(&Folder::new(), &[], &socket);
    toplet.until(&toplet.client(), NODES, |body| body.contains("\"items\""));
    // Where it serves, and the two lines to try once there is usage to show.
    let address = format!("https://127.0.0.1:{}", toplet.port);
    eventually("it says where and how", PATIENCE, || (toplet.logged(&address) == 3).then_some(()));
}

#[test]
fn a_restart_behind_a_passed_socket_refuses_and_loses_no_request() {
    const CLIENTS: usize = 4;
    const RESTARTS: usize = 3;
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = Folder::new();
    let mut toplet = Toplet::with_socket(&folder, &[], &socket);
    let (client, done) = (toplet.client(), Arc::new(AtomicBool::new(false)));
    let counts: Vec<Arc<AtomicUsize>> = (0..CLIENTS).map(|_| Arc::default()).collect();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|nth| {
            let (client, done, count) = (client.clone(), done.clone(), counts[nth].clone());
            // Half of them keep their connection for as long as the server does, as the aggregator.
            std::thread::spawn(move || ask_until(&done, &client, nth % 2 == 0, &count))
        })
        .collect();
    let count_now = || counts.iter().map(|count| count.load(Ordering::Relaxed)).collect::<Vec<_>>();
    let all_go_on = || {
        let before = count_now();
        eventually("every client is answered ten times more", PATIENCE, || {
            before.iter().zip(count_now()).all(|(before, now)| now > before + 10).then_some(())
        });
    };
    for _ in 0..RESTARTS {
        all_go_on();
        toplet.signal("TERM");
        assert_eq!(toplet.wait().code(), Some(0), "{:?}", toplet.log());
        toplet = Toplet::with_socket(&folder, &[], &socket);
    }
    all_go_on();
    done.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|thread| thread.join().unwrap());
    println!("requests answered by client, none refused or lost over {RESTARTS} restarts: {:?}", count_now());
}

/// Asks again and again; every request must be answered 200.
fn ask_until(done: &AtomicBool, client: &crate::support::client::Client, keeps: bool, count: &AtomicUsize) {
    let mut kept = None;
    while !done.load(Ordering::Relaxed) {
        let mut connection =
            kept.take().unwrap_or_else(|| client.connect().expect("a connection is accepted"));
        connection.send(&client.head("GET", "/livez", &[])).expect("a request is taken");
        let answer = connection.read_answer("GET").expect("a request is answered");
        assert_eq!(answer.status, 200);
        let goes_on = answer.header("Connection") != Some("close");
        kept = (keeps && goes_on).then_some(connection);
        count.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

/// The program with a standard error that nobody reads, after more log lines than fit into the pipe and the queue.
fn with_unread_log() -> (std::process::Child, crate::support::client::Client, Folder) {
    let (folder, port) = (Folder::new(), crate::support::toplet::free_port());
    let child = crate::support::toplet::command_in(&folder)
        .args(["-v=2", &format!("--secure-port={port}"), &format!("--cert-dir={}", folder.path().display())])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let client = crate::support::client::Client::new(port);
    eventually("it serves", PATIENCE, || (client.get("/livez").ok()?.status == 200).then_some(()));
    let mut connection = client.connect().unwrap();
    for nth in 0..1_000 {
        // A line of some 300 bytes each: three times what pipe and queue hold.
        let path = format!("/apis/metrics.k8s.io/v1beta1/{}", "a".repeat(250));
        connection.send(&client.head("GET", &path, &[])).unwrap();
        assert_eq!(connection.read_answer("GET").unwrap().status, 404, "request {nth}");
    }
    (child, client, folder)
}

#[test]
fn a_full_stderr_pipe_stops_neither_requests_nor_sigterm() {
    let (mut child, client, _folder) = with_unread_log();
    assert_eq!(client.get("/livez").unwrap().status, 200);
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let status = eventually("the program ends", PATIENCE, || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
}

#[test]
fn dropped_log_lines_are_counted_in_the_log() {
    let (mut child, client, _folder) = with_unread_log();
    let lines: Arc<std::sync::Mutex<Vec<String>>> = Arc::default();
    crate::support::toplet::collect(child.stderr.take().unwrap(), lines.clone());
    let said = eventually("the gap is told", PATIENCE, || {
        let lines = lines.lock().unwrap();
        lines.iter().find(|line| line.contains("log lines were dropped")).cloned()
    });
    let count: usize = said.split("] ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    println!("{said}");
    assert!((100..3_000).contains(&count), "{said}");
    let before = lines.lock().unwrap().len();
    client.get("/apis/metrics.k8s.io/v1beta1/more").unwrap();
    eventually("lines are written again", PATIENCE, || (lines.lock().unwrap().len() > before).then_some(()));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn too_low_a_limit_of_open_files_is_said_and_fewer_connections_are_served() {
    let folder = Folder::new();
    let script = "ulimit -n 200; exec \"$0\" \"$@\"";
    let cert = format!("--cert-dir={}", folder.path().display());
    let port = crate::support::toplet::free_port();
    let mut child = std::process::Command::new("/bin/sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_toplet"), "--max-connections=500", &cert])
        .arg(format!("--secure-port={port}"))
        .env_clear()
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let client = crate::support::client::Client::new(port);
    eventually("it serves", PATIENCE, || (client.get("/livez").ok()?.status == 200).then_some(()));
    child.kill().unwrap();
    let said = String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap();
    assert!(said.contains("the limit of open files is 200") && said.contains("500 connections"), "{said}");
    assert!(said.contains("LimitNOFILE"), "{said}");
}

#[test]
fn a_terminated_program_ends_with_zero() {
    let folder = Folder::new();
    let mut toplet = Toplet::start(&folder, &[]);
    toplet.body("/livez");
    toplet.signal("TERM");
    assert_eq!(toplet.wait().code(), Some(0), "{:?}", toplet.log());
}

#[test]
fn an_interrupted_program_ends_with_zero() {
    let folder = Folder::new();
    let mut toplet = Toplet::start(&folder, &[]);
    toplet.body("/livez");
    toplet.signal("INT");
    assert_eq!(toplet.wait().code(), Some(0), "{:?}", toplet.log());
}

#[test]
fn k47_a_request_in_flight_is_answered_before_the_end() {
    let lab = Lab::new();
    lab.api.world().allowed.push("alice".into());
    let mut toplet = lab.start(&[]);
    let alice = lab.proxy(&toplet, "alice");
    eventually("alice is known", PATIENCE, || (alice.get("/version").ok()?.status == 200).then_some(()));
    lab.api.world().review_delay = std::time::Duration::from_secs(2);
    let mut connection = alice.connect().unwrap();
    connection.send(&alice.head("GET", NODES, &[])).unwrap();
    eventually("the review is under way", PATIENCE, || {
        lab.api.world().reviews.iter().any(|review| review.contains("\"nodes\"")).then_some(())
    });
    toplet.signal("TERM");
    assert_eq!(connection.read_answer("GET").unwrap().status, 200);
    assert_eq!(toplet.wait().code(), Some(0), "{:?}", toplet.log());
}

#[test]
fn k47_readiness_fails_while_draining_and_a_second_signal_ends_at_once() {
    let folder = Folder::new();
    let mut toplet = Toplet::start(&folder, &["--shutdown-delay-duration=30s"]);
    toplet.until(&toplet.client(), "/readyz", |body| body == "ok");
    toplet.signal("TERM");
    let body = toplet.until(&toplet.client(), "/readyz", |body| body != "ok");
    assert!(body.contains("[-]shutdown failed"), "{body}");
    assert_eq!(toplet.client().get(NODES).unwrap().status, 200, "requests are still answered");
    toplet.signal("TERM");
    assert_eq!(toplet.wait().code(), Some(1), "{:?}", toplet.log());
}

#[test]
fn k43_a_serving_pair_is_taken_when_both_halves_match() {
    let (folder, authority) = (Folder::new(), Authority::new("servers"));
    let (first, second) = (authority.server(), authority.server());
    let (cert, key) = first.write(folder.path(), "tls");
    let arguments =
        [format!("--tls-cert-file={}", cert.display()), format!("--tls-private-key-file={}", key.display())];
    let toplet = Toplet::start(&folder, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let shown = || toplet.client().connect().map(|connection| connection.server_certificate());
    assert_eq!(shown().unwrap(), first.chain()[0].to_vec());
    std::fs::write(&cert, &second.cert_pem).unwrap();
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(shown().unwrap(), first.chain()[0].to_vec(), "half a pair is not taken");
    std::fs::write(&key, &second.key_pem).unwrap();
    eventually("the new pair is shown", PATIENCE * 3, || {
        (shown().ok()? == second.chain()[0].to_vec()).then_some(())
    });
}

#[test]
fn a_certificate_folder_is_kept_over_restarts() {
    let folder = Folder::new();
    let first = Toplet::start(&folder, &[]).client().connect().unwrap().server_certificate();
    let second = Toplet::start(&folder, &[]).client().connect().unwrap().server_certificate();
    assert_eq!(first, second);
}

#[test]
fn what_is_written_stays_in_its_folders_and_secrets_with_their_owner() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let state = folder.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let mut toplet = Toplet::start(&folder, &[&format!("--state-dir={}", state.display())]);
    toplet.signal("TERM");
    assert_eq!(toplet.wait().code(), Some(0));
    let mut written = Vec::new();
    let mut folders = vec![folder.path().to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap().map(Result::unwrap) {
            if entry.path().is_dir() {
                folders.push(entry.path());
                continue;
            }
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            let path = entry.path().strip_prefix(folder.path()).unwrap().display().to_string();
            written.push(format!("{path} {mode:o}"));
        }
    }
    written.sort();
    let wanted = [
        "cert/apiserver.crt 644",
        "cert/apiserver.key 600",
        "cert/ca.crt 644",
        "cert/ca.key 600",
        "state/points 600",
    ];
    assert_eq!(written, wanted);
}

#[test]
fn a_port_in_use_is_a_start_up_error_that_names_the_flag() {
    let folder = Folder::new();
    let toplet = Toplet::start(&folder, &[]);
    let port = format!("--secure-port={}", toplet.port);
    let (code, _, said) = crate::support::toplet::run(&[
        "--bind-address=127.0.0.1",
        &port,
        "--cert-dir",
        folder.path().to_str().unwrap(),
    ]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("--secure-port"), "{said}");
}

#[test]
fn discovery_answers_before_the_cluster_does() {
    let mut lab = Lab::new();
    lab.api.front.cut();
    let ca = lab.folder.path().join("users.crt");
    std::fs::write(&ca, &lab.users.pem).unwrap();
    let toplet = lab.start(&[&format!("--client-ca-file={}", ca.display())]);
    let answer = lab.admin(&toplet).get("/apis/metrics.k8s.io/v1beta1").unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn a_start_that_is_refused_leaves_no_certificate_behind() {
    let folder = Folder::new();
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("--secure-port={}", holder.local_addr().unwrap().port());
    let lab = Lab::new();
    let kubeconfig = format!("--kubeconfig={}", lab.api.kubeconfig(folder.path(), "toplet").display());
    let certificates = folder.path().join("certificates");
    let cert_dir = format!("--cert-dir={}", certificates.display());
    for mistake in [
        &[taken.as_str()][..],
        &["--client-ca-file=/nowhere"],
        &["--kubeconfig=/nowhere"],
        &[&kubeconfig, "--kubelet-certificate-authority=/nowhere"],
        &[&kubeconfig, "--authorization-kubeconfig=/nowhere"],
        &[&kubeconfig, taken.as_str()],
    ] {
        let mut arguments = vec!["--bind-address=127.0.0.1", &cert_dir];
        arguments.extend(mistake);
        let (code, _, said) = crate::support::toplet::run(&arguments);
        assert!(matches!(code, Some(1 | 2)), "{mistake:?}: {said}");
        assert!(!certificates.exists(), "{mistake:?}");
    }
}
