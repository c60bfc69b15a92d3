//! Which URL a node's kubelet is asked at: address by preferred type, port, path annotation.
//!
//! Exactly metrics-server's choice: for each type in order of preference the first address of that type; no second try
//! at another address. Pure; allocates one string for the URL.

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
}

/// The path of kubelets without the annotation.
const PATH: &str = "/metrics/resource";

/// The URL to scrape; `None` when no address has a preferred type.
#[must_use]
pub fn url(target: &Target, rules: &Rules) -> Option<String> {
    let address = address(target, rules)?;
    let port = match target.kubelet_port {
        0 => rules.port,
        port if rules.use_status_port => port,
        _ => rules.port,
    };
    let scheme = if rules.https { "https" } else { "http" };
    let (open, close) = if address.contains(':') { ("[", "]") } else { ("", "") };
    let mut url = format!("{scheme}://{open}{address}{close}:{port}");
    let path = if target.metrics_path.is_empty() { PATH } else { &target.metrics_path };
    if !path.starts_with('/') {
        url.push('/');
    }
    // As Go writes `url.URL{Path: path}`: `?` and `%` are escaped too.
    percent::push(&mut url, path, b"-_.~$&+,/:;=@");
    Some(url)
}

fn address<'a>(target: &'a Target, rules: &Rules) -> Option<&'a str> {
    let first = |wanted: &String| target.addresses.iter().find(|(kind, _)| kind == wanted);
    rules.preferred_types.iter().find_map(first).map(|(_, address)| address.as_str())
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
        }
    }

    #[test]
    fn the_first_address_of_the_most_preferred_type_wins() {
        let node = target(&[("Hostname", "edge-1"), ("InternalIP", "10.0.0.7"), ("InternalIP", "fd00::7")]);
        assert_eq!(url(&node, &rules()).unwrap(), "https://10.0.0.7:10250/metrics/resource");
        let preferred_types = vec!["Hostname".to_owned(), "InternalIP".to_owned()];
        let by_name = Rules { preferred_types, ..rules() };
        assert_eq!(url(&node, &by_name).unwrap(), "https://edge-1:10250/metrics/resource");
    }

    #[test]
    fn ipv6_is_bracketed() {
        let node = target(&[("InternalIP", "fd00::7")]);
        assert_eq!(url(&node, &rules()).unwrap(), "https://[fd00::7]:10250/metrics/resource");
    }

    #[test]
    fn without_a_preferred_type_there_is_no_address() {
        assert_eq!(url(&target(&[("InternalDNS", "edge-1.lan")]), &rules()), None);
        assert_eq!(url(&target(&[]), &rules()), None);
    }

    #[test]
    fn the_port_of_the_status_counts_only_when_asked_for_and_present() {
        let mut node = target(&[("InternalIP", "10.0.0.7")]);
        node.kubelet_port = 10_350;
        assert!(url(&node, &rules()).unwrap().contains(":10350/"));
        let fixed = Rules { use_status_port: false, ..rules() };
        assert!(url(&node, &fixed).unwrap().contains(":10250/"));
        node.kubelet_port = 0;
        assert!(url(&node, &rules()).unwrap().contains(":10250/"));
    }

    #[test]
    fn the_annotation_replaces_the_path_and_is_escaped_as_a_path() {
        let mut node = target(&[("InternalIP", "10.0.0.7")]);
        node.metrics_path = "/nodes/a b/metrics?x=1%20#é".to_owned();
        assert_eq!(
            url(&node, &rules()).unwrap(),
            "https://10.0.0.7:10250/nodes/a%20b/metrics%3Fx=1%2520%23%C3%A9"
        );
        node.metrics_path = "metrics".to_owned();
        assert_eq!(url(&node, &rules()).unwrap(), "https://10.0.0.7:10250/metrics");
    }

    #[test]
    fn completely_insecure_is_plain_http() {
        let plain = Rules { https: false, port: 10255, ..rules() };
        let node = target(&[("InternalIP", "10.0.0.7")]);
        assert_eq!(url(&node, &plain).unwrap(), "http://10.0.0.7:10255/metrics/resource");
    }
}
