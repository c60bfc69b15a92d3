//! Where a node's kubelet may be reached: its addresses by preferred type, port, path annotation.
//!
//! All addresses of the most preferred type come first, in the order of the node's status, then those of the next type.
//! Pure. Deviation: metrics-server tries the first address of the first preferred type alone; here every address of the
//! preferred types is a candidate, so that a node with two networks is reached over either.

use crate::limits;
use crate::store::Target;
use crate::wire::percent;

/// Where kubelets listen, from flags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// `http` only with `--deprecated-kubelet-completely-insecure`.
    pub https: bool,
    /// `--kubelet-port`.
    pub port: u16,
    /// `--kubelet-use-node-status-port`: the port of the node's status, when it has one.
    pub use_status_port: bool,
    /// `--kubelet-preferred-address-types`, in order.
    pub preferred_types: Vec<String>,
    /// Base URL of the API server, when kubelets are asked through its node proxy (`--kubelet-via-apiserver`).
    pub proxy: Option<String>,
}

/// Which of a kubelet's answers is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KubeletPath {
    /// The exposition of its resource metrics.
    Resource,
    /// The Summary API of kubelets without resource metrics.
    Summary,
}

/// The path of kubelets without the annotation.
const PATH: &str = "/metrics/resource";
/// The path and query of the Summary API.
const SUMMARY_PATH: &str = "/stats/summary?only_cpu_and_memory=true";

/// The addresses to try, in order; none when no address has a preferred type. Behind the node proxy the API server's base URL
/// is the only one, as the API server knows where the kubelet is.
#[must_use]
pub fn candidates<'a>(target: &'a Target, rules: &'a Rules) -> Vec<&'a str> {
    if let Some(base) = &rules.proxy {
        return vec![base];
    }
    let mut found: Vec<&str> = Vec::new();
    for wanted in &rules.preferred_types {
        let of_type = target.addresses.iter().filter(|(kind, _)| kind == wanted);
        for (_, address) in of_type {
            if !address.is_empty() && !found.contains(&address.as_str()) {
                found.push(address);
            }
        }
    }
    found.truncate(limits::ADDRESSES_MAX);
    found
}

/// The URL of the kubelet's `path` at one of its addresses.
#[must_use]
pub fn url(address: &str, path: &str, target: &Target, rules: &Rules) -> String {
    if rules.proxy.is_some() {
        return proxied(address, path, &target.name);
    }
    let port = match target.kubelet_port {
        0 => rules.port,
        port if rules.use_status_port => port,
        _ => rules.port,
    };
    let scheme = if rules.https { "https" } else { "http" };
    let (open, close) = if address.contains(':') { ("[", "]") } else { ("", "") };
    format!("{scheme}://{open}{address}{close}:{port}{path}")
}

/// The URL of a kubelet's path at the API server. The path may be an annotation of the node: without its dot segments it
/// cannot leave the proxy of this node for another part of the API.
fn proxied(base: &str, path: &str, node: &str) -> String {
    let mut url = format!("{base}/api/v1/nodes/");
    percent::push(&mut url, node, b"-.");
    url.push_str("/proxy");
    for segment in path.split('/').filter(|segment| !["", ".", ".."].contains(segment)) {
        url.push('/');
        url.push_str(segment);
    }
    url
}

/// The path of what is read of a node's kubelet.
#[must_use]
pub fn path(target: &Target, endpoint: KubeletPath) -> String {
    if endpoint == KubeletPath::Summary {
        return SUMMARY_PATH.to_owned();
    }
    let path = if target.metrics_path.is_empty() { PATH } else { &target.metrics_path };
    let mut escaped = String::with_capacity(path.len() + 1);
    if !path.starts_with('/') {
        escaped.push('/');
    }
    // As Go writes `url.URL{Path: path}`: `?` and `%` are escaped too.
    percent::push(&mut escaped, path, b"-_.~$&+,/:;=@");
    escaped
}

/// Two nodes whose kubelets have one internal address and port, and that address: the first such pair by address. Both would
/// show the figures of the one kubelet that listens there.
#[must_use]
pub fn shared(targets: &[Target]) -> Option<(&str, &str, &str)> {
    let mut places: Vec<(&str, u16, &str)> = Vec::with_capacity(targets.len());
    for target in targets {
        let internal = target.addresses.iter().filter(|(kind, _)| kind == "InternalIP");
        places.extend(internal.map(|(_, address)| (&**address, target.kubelet_port, &*target.name)));
    }
    places.sort_unstable();
    // A node that lists an address twice is no pair.
    places.dedup();
    places
        .array_windows()
        .find_map(|[one, other]| ((one.0, one.1) == (other.0, other.1)).then_some((one.2, other.2, one.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(addresses: &[(&str, &str)]) -> Target {
        Target {
            name: "edge-1".to_owned(),
            addresses: addresses.iter().map(|(k, a)| ((*k).to_owned(), (*a).to_owned())).collect(),
            kubelet_port: 0,
            metrics_path: String::new(),
            ready: true,
        }
    }

    fn rules() -> Rules {
        Rules {
            https: true,
            port: 10250,
            use_status_port: true,
            preferred_types: ["InternalIP", "ExternalIP", "Hostname"].map(str::to_owned).to_vec(),
            proxy: None,
        }
    }

    /// The URL of the first candidate.
    fn first_url(node: &Target, rules: &Rules) -> Option<String> {
        candidates(node, rules)
            .first()
            .map(|address| url(address, &path(node, KubeletPath::Resource), node, rules))
    }

    #[test]
    fn all_addresses_of_a_type_are_candidates_before_the_next_type() {
        let node = target(&[
            ("Hostname", "edge-1"),
            ("InternalIP", "10.0.0.7"),
            ("InternalIP", "fd00::7"),
            ("InternalIP", "10.0.0.7"),
            ("ExternalDNS", "never"),
        ]);
        assert_eq!(candidates(&node, &rules()), ["10.0.0.7", "fd00::7", "edge-1"]);
        let preferred_types = vec!["Hostname".to_owned(), "InternalIP".to_owned()];
        let by_name = Rules { preferred_types, ..rules() };
        assert_eq!(first_url(&node, &by_name).unwrap(), "https://edge-1:10250/metrics/resource");
    }

    #[test]
    fn ipv6_is_bracketed() {
        let node = target(&[("InternalIP", "fd00::7")]);
        assert_eq!(first_url(&node, &rules()).unwrap(), "https://[fd00::7]:10250/metrics/resource");
    }

    #[test]
    fn without_a_preferred_type_there_is_no_address() {
        assert_eq!(first_url(&target(&[("InternalDNS", "edge-1.lan")]), &rules()), None);
        assert_eq!(first_url(&target(&[]), &rules()), None);
    }

    #[test]
    fn the_port_of_the_status_counts_only_when_asked_for_and_present() {
        let mut node = target(&[("InternalIP", "10.0.0.7")]);
        node.kubelet_port = 10_350;
        assert!(first_url(&node, &rules()).unwrap().contains(":10350/"));
        let fixed = Rules { use_status_port: false, ..rules() };
        assert!(first_url(&node, &fixed).unwrap().contains(":10250/"));
        node.kubelet_port = 0;
        assert!(first_url(&node, &rules()).unwrap().contains(":10250/"));
    }

    #[test]
    fn the_annotation_replaces_the_path_and_is_escaped_as_a_path() {
        let mut node = target(&[("InternalIP", "10.0.0.7")]);
        node.metrics_path = "/nodes/a b/metrics?x=1%20#é".to_owned();
        assert_eq!(
            first_url(&node, &rules()).unwrap(),
            "https://10.0.0.7:10250/nodes/a%20b/metrics%3Fx=1%2520%23%C3%A9"
        );
        node.metrics_path = "metrics".to_owned();
        assert_eq!(first_url(&node, &rules()).unwrap(), "https://10.0.0.7:10250/metrics");
    }

    #[test]
    fn completely_insecure_is_plain_http() {
        let plain = Rules { https: false, port: 10255, ..rules() };
        let node = target(&[("InternalIP", "10.0.0.7")]);
        assert_eq!(first_url(&node, &plain).unwrap(), "http://10.0.0.7:10255/metrics/resource");
    }

    #[test]
    fn nodes_that_share_an_internal_address_and_port_are_found() {
        let named =
            |name: &str, addresses: &[(&str, &str)]| Target { name: name.to_owned(), ..target(addresses) };
        let a = named("a", &[("InternalIP", "10.0.0.7"), ("InternalIP", "10.0.0.7"), ("Hostname", "one")]);
        let b = named("b", &[("InternalIP", "10.0.0.8"), ("InternalIP", "fd00::7"), ("Hostname", "one")]);
        let mut c = named("c", &[("InternalIP", "10.0.0.9"), ("InternalIP", "fd00::7")]);
        assert_eq!(shared(&[]), None);
        assert_eq!(shared(&[a.clone(), b.clone()]), None);
        assert_eq!(shared(&[a.clone(), c.clone(), b.clone()]), Some(("b", "c", "fd00::7")));
        c.kubelet_port = 10_251;
        assert_eq!(shared(&[a, b, c]), None);
    }

    #[test]
    fn the_node_proxy_stands_for_every_address_and_is_never_left() {
        let proxy = Rules { proxy: Some("https://k8s:6443/base".to_owned()), ..rules() };
        let mut node = target(&[]);
        let wanted = "https://k8s:6443/base/api/v1/nodes/edge-1/proxy/metrics/resource";
        assert_eq!(first_url(&node, &proxy).unwrap(), wanted);
        let summary = url("https://k8s:6443", &path(&node, KubeletPath::Summary), &node, &proxy);
        assert_eq!(
            summary,
            "https://k8s:6443/api/v1/nodes/edge-1/proxy/stats/summary?only_cpu_and_memory=true"
        );
        for (annotation, end) in [
            ("/../../../../v1/namespaces/kube-system/secrets", "/v1/namespaces/kube-system/secrets"),
            ("..", ""),
            ("/a/./b//../c?x#y", "/a/b/c%3Fx%23y"),
            ("/%2e%2e/x", "/%252e%252e/x"),
        ] {
            annotation.clone_into(&mut node.metrics_path);
            let url = first_url(&node, &proxy).unwrap();
            assert_eq!(url, format!("https://k8s:6443/base/api/v1/nodes/edge-1/proxy{end}"), "{annotation}");
        }
        node.name = "a/../b?c".to_owned();
        node.metrics_path.clear();
        assert!(first_url(&node, &proxy).unwrap().ends_with("/nodes/a%2F..%2Fb%3Fc/proxy/metrics/resource"));
    }
}
