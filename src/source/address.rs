//! Where a node's kubelet may be reached: its addresses by preferred type, port, and the node's annotations.
//!
//! All addresses of the most preferred type come first, in the order of the node's status, then those of the next type.
//! Pure. Deviation: metrics-server tries the first address of the first preferred type alone; here every address of the
//! preferred types is a candidate, so that a node with two networks is reached over either.

use crate::limits;
use crate::store::Target;
use crate::wire::kube_objects::{
    ADDRESS_ANNOTATION, PORT_ANNOTATION, SERVER_NAME_ANNOTATION, VIA_ANNOTATION,
};
use crate::wire::percent;
use std::net::IpAddr;

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
    /// Base URL of the API server, whose node proxy some kubelets are asked through.
    pub api_server: String,
    /// `--kubelet-via-apiserver`: all of them are.
    pub via_apiserver: bool,
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

/// Whether a node's kubelet is asked through the API server: by the flag, or by the node's annotation. An annotation takes no
/// node out again: where the flag keeps our token from nodes, a node must not ask for it.
#[must_use]
pub fn is_proxied(target: &Target, rules: &Rules) -> bool {
    rules.via_apiserver || valid(target, VIA_ANNOTATION).is_some()
}

/// The addresses to try, in order; none when no address has a preferred type. What is no address or host name is left out: the
/// API server takes any text from a kubelet, and a path or query in it would be asked for with our credentials. Behind the node proxy the API server's base URL
/// is the only one, as the API server knows where the kubelet is.
#[must_use]
pub fn candidates<'a>(target: &'a Target, rules: &'a Rules) -> Vec<&'a str> {
    if is_proxied(target, rules) {
        return vec![&rules.api_server];
    }
    let mut found: Vec<&str> = Vec::new();
    found.extend(valid(target, ADDRESS_ANNOTATION).into_iter().flat_map(|all| all.split(',').map(str::trim)));
    let by_status = if found.is_empty() { &*rules.preferred_types } else { &[] };
    for wanted in by_status {
        let of_type = target.addresses.iter().filter(|(kind, _)| kind == wanted);
        for (_, address) in of_type {
            if is_host(address) && !found.contains(&address.as_str()) {
                found.push(address);
            }
        }
    }
    found.truncate(limits::ADDRESSES_MAX);
    found
}

/// The names that the certificate may have, in the order to try them, empty for the address: the annotated one alone, else
/// the address and the node. An API server is verified by its own alone: a kubelet's certificate must not stand for it.
#[must_use]
pub fn server_names<'a>(target: &'a Target, rules: &Rules, node_first: bool) -> Vec<&'a str> {
    match valid(target, SERVER_NAME_ANNOTATION) {
        _ if is_proxied(target, rules) => vec![""],
        Some(annotated) => vec![annotated],
        None if node_first => vec![&target.name, ""],
        None => vec!["", &target.name],
    }
}

/// The first annotation of a node that cannot be used, and what is wrong with it; the node's status counts instead.
#[must_use]
pub fn invalid(target: &Target) -> Option<(&str, String)> {
    [ADDRESS_ANNOTATION, PORT_ANNOTATION, SERVER_NAME_ANNOTATION, VIA_ANNOTATION].into_iter().find_map(
        |key| {
            let (_, value) = target.addresses.iter().find(|(kind, _)| kind == key)?;
            let wanted = problem(key, value)?;
            let shown: String = value.chars().take(limits::LOGGED_LEN_MAX).collect();
            Some((key, format!("{shown:?} is not {wanted}")))
        },
    )
}

/// The value of an annotation, where it can be used.
fn valid<'a>(target: &'a Target, key: &str) -> Option<&'a str> {
    let (_, value) = target.addresses.iter().find(|(kind, _)| kind == key)?;
    problem(key, value).is_none().then_some(value)
}

/// What the value of an annotation should have been; `None` when it is that.
fn problem(key: &str, value: &str) -> Option<&'static str> {
    let (is_valid, wanted) = match key {
        PORT_ANNOTATION => (value.parse::<u16>().is_ok_and(|port| port > 0), "a port from 1 to 65535"),
        ADDRESS_ANNOTATION => (
            value.split(',').all(|address| is_host(address.trim())),
            "IP addresses or host names separated by commas",
        ),
        VIA_ANNOTATION => (value == "apiserver", "apiserver, the only other way to a kubelet"),
        _ => (is_host(value), "a host name or an IP address"),
    };
    (!is_valid).then_some(wanted)
}

/// Whether a text is an IP address or a host name, and nothing of a URL besides.
fn is_host(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let name = text.strip_suffix('.').unwrap_or(text);
    let is_name = name.len() <= limits::NODE_NAME_LEN_MAX && name.split('.').all(is_label);
    is_name || text.parse::<IpAddr>().is_ok()
}

/// The kubelet's port in an annotation.
fn annotated_port(target: &Target) -> Option<u16> {
    valid(target, PORT_ANNOTATION)?.parse().ok()
}

/// The URL of the kubelet's `path` at one of its addresses.
#[must_use]
pub fn url(address: &str, path: &str, target: &Target, rules: &Rules) -> String {
    if is_proxied(target, rules) {
        return proxied(address, path, &target.name);
    }
    let port = match (annotated_port(target), target.kubelet_port) {
        (Some(port), _) => port,
        (None, port) if rules.use_status_port && port > 0 => port,
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

/// Two nodes whose kubelets have one address (annotated or internal) and port, and that address: the first such pair by address. Both would
/// show the figures of the one kubelet that listens there.
#[must_use]
pub fn shared(targets: &[Target]) -> Option<(&str, &str, &str)> {
    let mut places: Vec<(&str, u16, &str)> = Vec::with_capacity(targets.len());
    for target in targets {
        let kind =
            if valid(target, ADDRESS_ANNOTATION).is_some() { ADDRESS_ANNOTATION } else { "InternalIP" };
        let port = annotated_port(target).unwrap_or(target.kubelet_port);
        let own = target.addresses.iter().filter(|(of, _)| of == kind);
        places.extend(own.map(|(_, address)| (&**address, port, &*target.name)));
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
            api_server: "https://k8s:6443/base".to_owned(),
            via_apiserver: false,
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
    fn a_status_that_holds_more_than_an_address_leads_nowhere() {
        for address in
            ["10.0.0.9/api?x=", "a?b", "user@10.0.0.9", "10.0.0.9:6443/x#", "a b", "[fd00::9]", "", "a\r\nb"]
        {
            let node = target(&[("InternalIP", address), ("Hostname", "edge-1.lan.")]);
            assert_eq!(candidates(&node, &rules()), ["edge-1.lan."], "{address:?}");
        }
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
        let proxy = Rules { via_apiserver: true, ..rules() };
        let mut node = target(&[]);
        let wanted = "https://k8s:6443/base/api/v1/nodes/edge-1/proxy/metrics/resource";
        assert_eq!(first_url(&node, &proxy).unwrap(), wanted);
        let summary = url(&proxy.api_server, &path(&node, KubeletPath::Summary), &node, &proxy);
        assert_eq!(
            summary,
            "https://k8s:6443/base/api/v1/nodes/edge-1/proxy/stats/summary?only_cpu_and_memory=true"
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
        node.addresses.push((SERVER_NAME_ANNOTATION.to_owned(), "edge-1".to_owned()));
        assert_eq!(server_names(&node, &proxy, true), [""]);
        node.name = "a/../b?c".to_owned();
        node.metrics_path.clear();
        assert!(first_url(&node, &proxy).unwrap().ends_with("/nodes/a%2F..%2Fb%3Fc/proxy/metrics/resource"));
    }

    #[test]
    fn a_node_may_ask_for_the_node_proxy_and_never_to_be_taken_out_of_it() {
        let mut node = target(&[("InternalIP", "10.0.0.7"), (VIA_ANNOTATION, "apiserver")]);
        node.addresses.push((ADDRESS_ANNOTATION.to_owned(), "10.0.0.66".to_owned()));
        node.addresses.push((SERVER_NAME_ANNOTATION.to_owned(), "edge-1".to_owned()));
        let wanted = "https://k8s:6443/base/api/v1/nodes/edge-1/proxy/metrics/resource";
        assert_eq!(first_url(&node, &rules()).unwrap(), wanted);
        assert_eq!(server_names(&node, &rules(), false), [""], "the API server is verified by its own name");
        let all = Rules { via_apiserver: true, ..rules() };
        for value in ["direct", "", "APISERVER", "https://10.0.0.66"] {
            let node = target(&[("InternalIP", "10.0.0.7"), (VIA_ANNOTATION, value)]);
            assert_eq!(first_url(&node, &all).unwrap(), wanted, "{value:?}");
            assert_eq!(
                first_url(&node, &rules()).unwrap(),
                "https://10.0.0.7:10250/metrics/resource",
                "{value:?}"
            );
            assert!(invalid(&node).is_some_and(|(key, _)| key == VIA_ANNOTATION), "{value:?}");
        }
    }

    #[test]
    fn annotations_override_addresses_port_and_name_alone() {
        let mut node = target(&[
            ("InternalIP", "10.0.0.7"),
            (ADDRESS_ANNOTATION, "edge-1.vpn.example, fd00::9"),
            (PORT_ANNOTATION, "20250"),
            (SERVER_NAME_ANNOTATION, "edge-1"),
        ]);
        node.kubelet_port = 10_350;
        assert_eq!(candidates(&node, &rules()), ["edge-1.vpn.example", "fd00::9"]);
        assert_eq!(first_url(&node, &rules()).unwrap(), "https://edge-1.vpn.example:20250/metrics/resource");
        assert_eq!(invalid(&node), None);
        for node_first in [false, true] {
            assert_eq!(server_names(&node, &rules(), node_first), ["edge-1"]);
        }
    }

    #[test]
    fn annotations_that_are_no_address_port_or_name_are_left_out_and_named() {
        for (key, value) in [
            (ADDRESS_ANNOTATION, "10.0.0.9/x"),
            (ADDRESS_ANNOTATION, "user@10.0.0.9"),
            (ADDRESS_ANNOTATION, "10.0.0.9:80"),
            (ADDRESS_ANNOTATION, "10.0.0.9,"),
            (ADDRESS_ANNOTATION, "a b"),
            (ADDRESS_ANNOTATION, "a?b#c"),
            (ADDRESS_ANNOTATION, "[fd00::9]"),
            (PORT_ANNOTATION, "0"),
            (PORT_ANNOTATION, "65536"),
            (PORT_ANNOTATION, "1x"),
            (SERVER_NAME_ANNOTATION, "*.example"),
            (SERVER_NAME_ANNOTATION, ""),
        ] {
            let node = target(&[("InternalIP", "10.0.0.7"), (key, value)]);
            let url = first_url(&node, &rules()).unwrap();
            assert_eq!(url, "https://10.0.0.7:10250/metrics/resource", "{key}={value}");
            assert_eq!(server_names(&node, &rules(), false), ["", "edge-1"]);
            assert_eq!(server_names(&node, &rules(), true), ["edge-1", ""]);
            let (named, problem) = invalid(&node).unwrap();
            assert!(named == key && problem.contains(" is not "), "{problem}");
        }
    }
}
