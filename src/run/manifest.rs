//! The Kubernetes objects of each way to run toplet, as YAML: what `toplet manifest` prints, what `toplet setup` applies, and
//! what stands in `configs/`.
//!
//! Each object is written once, in a file beside this one. A text names only fields that are set, in one order, so that
//! applying it again changes nothing. Names, labels and rights are metrics-server's, since other programs find it by them.

use crate::cli::ManifestKind;
use crate::invariant::assured;
use std::net::{IpAddr, Ipv4Addr};

/// What only one cluster and one host know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFacts {
    /// The host's address, as the API server reaches it; not loopback, which EndpointSlices refuse.
    pub address: IpAddr,
    /// The port that toplet listens on.
    pub port: u16,
    /// The authority of its serving certificate: PEM in base64. `None`: the API server does not verify it.
    pub ca_bundle: Option<String>,
}

impl HostFacts {
    /// An address of documentation, for people to replace.
    pub const EXAMPLE: HostFacts =
        HostFacts { address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)), port: 4443, ca_bundle: None };
}

/// One object of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestObject {
    /// Its path in the API.
    pub path: String,
    /// Kind and name, for people.
    pub title: String,
    /// Itself, as YAML.
    pub yaml: String,
}

const RBAC: &str = include_str!("manifest/rbac.yaml");
const DOCTOR: &str = include_str!("manifest/doctor-rbac.yaml");
const HOST: &str = include_str!("manifest/host.yaml");

/// A Deployment of so many pods; from two on, one a node, and a drained node leaves another.
#[must_use]
pub fn deployment(replicas: u32) -> String {
    let text = text(ManifestKind::Deployment, &HostFacts::EXAMPLE);
    if replicas == 1 {
        return text;
    }
    let text = text.replace("spec:\n  selector:\n", &format!("spec:\n  replicas: {replicas}\n  selector:\n"));
    if replicas == 0 {
        return text;
    }
    // No node may be left for a pod beside the old ones.
    text.replace("maxUnavailable: 0", "maxUnavailable: 1")
        .replace(
            "      tolerations:\n",
            &(include_str!("manifest/spread.yaml").to_owned() + "      tolerations:\n"),
        )
        .replacen(
            "---\napiVersion: apps/v1\n",
            concat!("---\n", include_str!("manifest/disruption.yaml"), "---\napiVersion: apps/v1\n"),
            1,
        )
}

/// The whole text of a manifest.
#[must_use]
pub fn text(kind: ManifestKind, facts: &HostFacts) -> String {
    let (head, parts) = match kind {
        ManifestKind::Deployment => (
            "# toplet in place of metrics-server: the same names, labels, rights and arguments, so that what patches or selects\n\
             # metrics-server finds toplet. kubectl apply -f deployment.yaml\n",
            vec![
                RBAC.to_owned(),
                versioned(include_str!("manifest/deployment.yaml")),
                api_services(&HostFacts::EXAMPLE),
            ],
        ),
        ManifestKind::StaticPod => (
            "# toplet as a static pod, which the kubelet runs whether or not the API server answers. Into the kubelet's directory of\n\
             # static pods: /etc/kubernetes/manifests (kubeadm), /var/lib/rancher/k3s/agent/pod-manifests (k3s).\n\
             #\n\
             # A static pod has no service account: /etc/toplet/kubeconfig must name a user with the rights of rbac.yaml and be\n\
             # readable by user 65534 (chown 65534, mode 0400). Account, Service and APIServices are those of a Deployment without pods:\n\
             # toplet manifest deployment --replicas=0 | kubectl apply -f -\n",
            vec![versioned(include_str!("manifest/static-pod.yaml"))],
        ),
        ManifestKind::Host => (
            "# What registers a toplet that runs as a service of a node (toplet.service) instead of in a pod: `toplet setup` applies it\n\
             # with the node's address and the authority of the serving certificate. By hand: put the node's address, as the API\n\
             # server reaches it, in place of 192.0.2.7; loopback addresses are refused. kubectl apply -f host-service.yaml\n",
            vec![RBAC.to_owned(), DOCTOR.to_owned(), host_parts(facts), api_services(facts)],
        ),
        ManifestKind::Rbac => (
            "# The rights that toplet needs, those of metrics-server, for its service account. kubectl apply -f rbac.yaml\n",
            vec![RBAC.to_owned()],
        ),
        ManifestKind::DoctorRbac => (
            "# Optional: what `toplet doctor` reads beyond the rights of rbac.yaml, for the user that toplet runs as. Without it the\n\
             # steps `apiservice` and `aggregation` are skipped. kubectl apply -f doctor-rbac.yaml\n",
            vec![DOCTOR.to_owned()],
        ),
    };
    format!("{head}{}", parts.join("---\n"))
}

fn versioned(text: &str) -> String {
    text.replace("$VERSION", env!("CARGO_PKG_VERSION"))
}

fn host_parts(facts: &HostFacts) -> String {
    let family = if facts.address.is_ipv4() { "IPv4" } else { "IPv6" };
    HOST.replace("$ADDRESS", &format!("\"{}\"", facts.address))
        .replace("$FAMILY", family)
        .replace("$PORT", &facts.port.to_string())
}

/// Both versions; v1 is preferred where both are known.
fn api_services(facts: &HostFacts) -> String {
    let trust = match &facts.ca_bundle {
        Some(bundle) => format!("caBundle: {bundle}"),
        None => "insecureSkipTLSVerify: true".to_owned(),
    };
    let one = |version: &str, priority: &str| {
        include_str!("manifest/apiservice.yaml")
            .replace("$API", version)
            .replace("$PRIORITY", priority)
            .replace("$TRUST", &trust)
    };
    [one("v1beta1", "100"), one("v1", "200")].join("---\n")
}

/// The objects of a manifest, in the order in which they are applied.
#[must_use]
pub fn objects(text: &str) -> Vec<ManifestObject> {
    text.split("---\n").map(object).collect()
}

fn object(yaml: &str) -> ManifestObject {
    let field = |name: &str| yaml.lines().find_map(|line| line.strip_prefix(name));
    let required = |name| assured(field(name), "objects of our own have an apiVersion, a kind and a name");
    let (version, kind, name) = (required("apiVersion: "), required("kind: "), required("  name: "));
    // Objects of the whole cluster have none.
    let namespace = field("  namespace: ").unwrap_or_default();
    let api = if version.contains('/') { "apis" } else { "api" };
    let namespaces = if namespace.is_empty() { String::new() } else { format!("/namespaces/{namespace}") };
    ManifestObject {
        // The plural of each of these kinds is regular.
        path: format!("/{api}/{version}{namespaces}/{}s/{name}", kind.to_ascii_lowercase()),
        title: format!("{kind} {name}"),
        yaml: yaml.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_object_of_the_host_has_its_path_in_the_order_of_need() {
        let facts = HostFacts { ca_bundle: Some("QUJD".to_owned()), port: 9443, ..HostFacts::EXAMPLE };
        let all = objects(&text(ManifestKind::Host, &facts));
        let paths: Vec<&str> = all.iter().map(|object| object.path.as_str()).collect();
        const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
        assert_eq!(
            paths,
            [
                "/api/v1/namespaces/kube-system/serviceaccounts/metrics-server",
                &format!("{RBAC}/clusterroles/system:aggregated-metrics-reader"),
                &format!("{RBAC}/clusterroles/system:metrics-server"),
                &format!("{RBAC}/namespaces/kube-system/rolebindings/metrics-server-auth-reader"),
                &format!("{RBAC}/clusterrolebindings/metrics-server:system:auth-delegator"),
                &format!("{RBAC}/clusterrolebindings/system:metrics-server"),
                &format!("{RBAC}/clusterroles/system:metrics-server:doctor"),
                &format!("{RBAC}/clusterrolebindings/system:metrics-server:doctor"),
                "/api/v1/namespaces/kube-system/secrets/metrics-server-host",
                "/api/v1/namespaces/kube-system/services/metrics-server",
                "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices/metrics-server-host",
                "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io",
                "/apis/apiregistration.k8s.io/v1/apiservices/v1.metrics.k8s.io",
            ]
        );
        let last = &all[12].yaml;
        assert!(last.contains("  caBundle: QUJD\n") && !last.contains("insecureSkipTLSVerify"), "{last}");
        let slice = &all[10].yaml;
        assert!(slice.contains("port: 9443") && slice.contains("\"192.0.2.7\""), "{slice}");
    }

    #[test]
    fn the_ports_of_service_and_slice_have_one_name() {
        let all = objects(&text(ManifestKind::Host, &HostFacts::EXAMPLE));
        for object in &all[9..11] {
            assert!(object.yaml.contains("- {name: https, port: "), "{}", object.yaml);
        }
        let six = HostFacts { address: "fd00::7".parse().unwrap(), ..HostFacts::EXAMPLE };
        let all = text(ManifestKind::Host, &six);
        assert!(all.contains("addressType: IPv6\n") && all.contains("addresses: [\"fd00::7\"]"));
    }

    #[test]
    fn more_pods_are_spread_over_nodes_and_keep_one_through_a_drain() {
        let read = |replicas| -> Vec<serde_norway::Value> {
            let all = objects(&deployment(replicas));
            all.iter().map(|object| serde_norway::from_str(&object.yaml).unwrap()).collect()
        };
        let one = |replicas, kind: &str| read(replicas).into_iter().find(|object| object["kind"] == kind);
        assert_eq!(deployment(1), text(ManifestKind::Deployment, &HostFacts::EXAMPLE));
        let none = one(0, "Deployment").unwrap();
        assert_eq!(none["spec"]["replicas"], 0);
        assert!(one(0, "PodDisruptionBudget").is_none() && one(1, "PodDisruptionBudget").is_none());
        let (pair, budget) = (one(2, "Deployment").unwrap(), one(2, "PodDisruptionBudget").unwrap());
        let spec = &pair["spec"];
        assert_eq!(spec["replicas"], 2);
        assert_eq!(spec["strategy"]["rollingUpdate"]["maxUnavailable"], 1);
        let term = &spec["template"]["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
            [0];
        assert_eq!(term["topologyKey"], "kubernetes.io/hostname");
        assert_eq!(term["labelSelector"], spec["selector"]);
        assert_eq!(budget["spec"]["selector"], spec["selector"]);
        assert_eq!(budget["spec"]["minAvailable"], 1);
        assert_eq!(spec["template"]["metadata"]["labels"], spec["selector"]["matchLabels"]);
    }

    #[test]
    fn a_manifest_is_whole_yaml_without_null() {
        for (_, kind) in ManifestKind::ALL {
            let text = text(kind, &HostFacts::EXAMPLE);
            assert!(!text.contains('$') && !text.contains("null") && text.ends_with('\n'), "{text}");
            for object in objects(&text) {
                let read: serde_norway::Value = serde_norway::from_str(&object.yaml).unwrap();
                assert_eq!(
                    format!(
                        "{} {}",
                        read["kind"].as_str().unwrap(),
                        read["metadata"]["name"].as_str().unwrap()
                    ),
                    object.title
                );
            }
        }
    }
}
