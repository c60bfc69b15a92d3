//! The fakes themselves: what the other test programs rest on.

use crate::support::api_server::ApiServer;
use crate::support::kubelet::{self, Behaviour, Kubelet};
use crate::support::protobuf::{Node, Pod};
use crate::support::{PATIENCE, eventually};
use std::io::{Read, Write};

/// A plain request; the whole answer until the server closes or `enough` is seen.
fn ask(address: std::net::SocketAddr, request: &str, enough: &str) -> String {
    let mut socket = std::net::TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(request.as_bytes()).unwrap();
    let (mut seen, mut piece) = (Vec::new(), [0; 4096]);
    while !String::from_utf8_lossy(&seen).contains(enough) {
        match socket.read(&mut piece) {
            Ok(0) | Err(_) => break,
            Ok(n) => seen.extend_from_slice(&piece[..n]),
        }
    }
    String::from_utf8_lossy(&seen).into_owned()
}

#[test]
fn a_watch_follows_what_changes() {
    let api = ApiServer::start();
    api.add_node(Node::new("n1", "127.0.0.1", 10250));
    let list = ask(api.front.address, "GET /api/v1/nodes HTTP/1.1\r\nHost: x\r\n\r\n", "InternalIP");
    assert!(list.contains("NodeList"), "{list}");
    let address = api.front.address;
    let watch = std::thread::spawn(move || {
        ask(address, "GET /api/v1/pods?watch=true&resourceVersion=101 HTTP/1.1\r\nHost: x\r\n\r\n", "DELETED")
    });
    eventually("the watch is open", PATIENCE, || (api.count("watch=true") > 0).then_some(()));
    api.add_pod(Pod::new("default", "web-1"));
    api.remove_pod("default", "web-1");
    let frames = watch.join().unwrap();
    assert!(frames.contains("ADDED") && frames.contains("web-1"), "{frames}");
}

#[test]
fn a_cut_front_refuses_and_comes_back_on_its_port() {
    let mut kubelet =
        Kubelet::start(Behaviour::Steady(vec![kubelet::container("default", "web-1", "main", 150, 20)]));
    let request = "GET /metrics/resource HTTP/1.1\r\nHost: x\r\n\r\n";
    assert!(ask(kubelet.address(), request, "resource_scrape_error").contains("pod=\"web-1\"} 1"));
    kubelet.front.cut();
    assert!(std::net::TcpStream::connect(kubelet.address()).is_err());
    kubelet.front.resume();
    assert!(
        ask(kubelet.address(), request, "resource_scrape_error").contains("node_cpu_usage_seconds_total")
    );
    assert_eq!(kubelet.scrapes(), 2);
}
