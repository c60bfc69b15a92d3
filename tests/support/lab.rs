//! One small cluster: a fake API server, the certificates to ask with, and the arguments that join toplet to them.

use super::api_server::ApiServer;
use super::certs::{Authority, Leaf};
use super::client::Client;
use super::kubelet::Kubelet;
use super::protobuf::{Node, Pod};
use super::toplet::{Folder, Toplet};

/// The parts; each test changes what it is about.
pub struct Lab {
    pub folder: Folder,
    pub api: ApiServer,
    /// Signs users.
    pub users: Authority,
    /// Signs front proxies.
    pub proxies: Authority,
    admin: Leaf,
}

impl Lab {
    /// An empty cluster whose API server speaks plain HTTP.
    pub fn new() -> Lab {
        let (users, proxies) = (Authority::new("users"), Authority::new("proxies"));
        let admin = users.client("admin", &["system:masters"]);
        let lab = Lab { folder: Folder::new(), api: ApiServer::start(), users, proxies, admin };
        lab.trust(&lab.users.pem.clone(), &lab.proxies.pem.clone());
        lab
    }

    /// The ConfigMap of a cluster made by kubeadm.
    pub fn trust(&self, users: &str, proxies: &str) {
        self.api.set_configmap(&[
            ("client-ca-file", users),
            ("requestheader-client-ca-file", proxies),
            ("requestheader-allowed-names", "[\"front-proxy-client\"]"),
            ("requestheader-username-headers", "[\"X-Remote-User\"]"),
            ("requestheader-group-headers", "[\"X-Remote-Group\"]"),
            ("requestheader-extra-headers-prefix", "[\"X-Remote-Extra-\"]"),
            ("requestheader-uid-headers", "[\"X-Remote-Uid\"]"),
        ]);
    }

    /// A node whose kubelet is this one, and its pods.
    pub fn node(&self, name: &str, kubelet: &Kubelet, pods: &[(&str, &str)]) {
        self.api.add_node(Node::new(name, "127.0.0.1", kubelet.port()));
        for (namespace, pod) in pods {
            self.api.add_pod(Pod::new(namespace, pod));
        }
    }

    /// Arguments for kubelets that speak plain HTTP on their nodes' ports.
    pub fn arguments(&self) -> Vec<String> {
        let kubeconfig = self.api.kubeconfig(self.folder.path(), "{token: abc}");
        vec![
            format!("--kubeconfig={}", kubeconfig.display()),
            "--deprecated-kubelet-completely-insecure".into(),
            "--kubelet-use-node-status-port".into(),
            "--kubelet-preferred-address-types=InternalIP".into(),
            "--metric-resolution=10s".into(),
            "--kubelet-request-timeout=2s".into(),
        ]
    }

    /// Starts toplet with those arguments and some more.
    pub fn start(&self, more: &[&str]) -> Toplet {
        let arguments = self.arguments();
        let all: Vec<&str> = arguments.iter().map(String::as_str).chain(more.iter().copied()).collect();
        Toplet::start(&self.folder, &all)
    }

    /// Somebody who may do everything, without a review.
    pub fn admin(&self, toplet: &Toplet) -> Client {
        Client::with_cert(toplet.port, &self.admin)
    }

    /// The aggregator, asking for this user.
    pub fn proxy(&self, toplet: &Toplet, user: &str) -> Client {
        Client::with_cert(toplet.port, &self.proxies.client("front-proxy-client", &[]))
            .header("X-Remote-User", user)
    }
}

/// The collections of the API.
pub const NODES: &str = "/apis/metrics.k8s.io/v1beta1/nodes";
pub const PODS: &str = "/apis/metrics.k8s.io/v1beta1/pods";
