//! Protobuf of the API server, written field by field: an oracle beside the program's own decoder, not a user of it.

/// A node as the API server knows it.
#[derive(Clone, Debug)]
pub struct Node {
    pub name: String,
    pub labels: Vec<(String, String)>,
    pub annotations: Vec<(String, String)>,
    /// Address types and addresses, in order.
    pub addresses: Vec<(String, String)>,
    /// `status.daemonEndpoints.kubeletEndpoint.Port`.
    pub kubelet_port: u16,
}

/// A running pod, as far as its metadata goes.
#[derive(Clone, Debug)]
pub struct Pod {
    pub namespace: String,
    pub name: String,
    pub labels: Vec<(String, String)>,
}

impl Node {
    pub fn new(name: &str, address: &str, kubelet_port: u16) -> Node {
        Node {
            name: name.to_string(),
            labels: vec![("kubernetes.io/hostname".into(), name.into())],
            annotations: Vec::new(),
            addresses: vec![("InternalIP".into(), address.into()), ("Hostname".into(), name.into())],
            kubelet_port,
        }
    }
}

impl Pod {
    pub fn new(namespace: &str, name: &str) -> Pod {
        Pod { namespace: namespace.into(), name: name.into(), labels: vec![("app".into(), name.into())] }
    }
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// One length-delimited field.
pub fn field(number: u64, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint(&mut out, number << 3 | 2);
    varint(&mut out, bytes.len() as u64);
    out.extend_from_slice(bytes);
    out
}

fn number(number: u64, value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    varint(&mut out, number << 3);
    varint(&mut out, value);
    out
}

fn map(tag: u64, entries: &[(String, String)]) -> Vec<u8> {
    entries
        .iter()
        .flat_map(|(k, v)| field(tag, &[field(1, k.as_bytes()), field(2, v.as_bytes())].concat()))
        .collect()
}

/// ObjectMeta, with the bulk that real objects carry and a reader must skip.
fn object_meta(
    name: &str,
    namespace: &str,
    version: u64,
    labels: &[(String, String)],
    annotations: &[(String, String)],
) -> Vec<u8> {
    [
        field(1, name.as_bytes()),
        field(3, namespace.as_bytes()),
        field(5, b"4c5cfcf7-55fd-43e3-8601-8833874f7493"),
        field(6, version.to_string().as_bytes()),
        field(8, &number(1, 1_795_509_000)),
        map(11, labels),
        map(12, annotations),
        field(
            17,
            &[field(1, b"kubectl"), field(2, b"Update"), field(7, &field(1, &vec![b'x'; 600]))].concat(),
        ),
    ]
    .concat()
}

pub fn node(node: &Node, version: u64) -> Vec<u8> {
    let addresses: Vec<u8> = node
        .addresses
        .iter()
        .flat_map(|(kind, address)| {
            field(5, &[field(1, kind.as_bytes()), field(2, address.as_bytes())].concat())
        })
        .collect();
    let ready = field(4, &[field(1, b"Ready"), field(2, b"True")].concat());
    let endpoint = field(6, &field(1, &number(1, u64::from(node.kubelet_port))));
    let image = field(8, &[field(1, b"registry.example/app:v1"), number(2, 123_456)].concat());
    let quantity = |name: &str, text: &str| {
        field(2, &[field(1, name.as_bytes()), field(2, &field(1, text.as_bytes()))].concat())
    };
    let allocatable = [quantity("cpu", "4"), quantity("memory", "1Gi"), quantity("pods", "110")].concat();
    let status = [allocatable, ready, addresses, endpoint, image].concat();
    let meta = object_meta(&node.name, "", version, &node.labels, &node.annotations);
    [field(1, &meta), field(2, &field(1, b"10.42.0.0/24")), field(3, &status)].concat()
}

/// PartialObjectMetadata of a pod.
pub fn pod(pod: &Pod, version: u64) -> Vec<u8> {
    let noise = [("kubectl.kubernetes.io/last-applied-configuration".to_string(), "{}".repeat(200))];
    field(1, &object_meta(&pod.name, &pod.namespace, version, &pod.labels, &noise))
}

/// The envelope every stored object travels in: `k8s\0`, the type, the object.
pub fn envelope(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let meta = [field(1, api_version.as_bytes()), field(2, kind.as_bytes())].concat();
    [b"k8s\0".to_vec(), field(1, &meta), field(2, raw), field(3, b""), field(4, b"")].concat()
}

pub fn list(version: u64, items: &[Vec<u8>]) -> Vec<u8> {
    let mut out =
        field(1, &[field(1, b""), field(2, version.to_string().as_bytes()), field(3, b"")].concat());
    for item in items {
        out.extend(field(2, item));
    }
    out
}

/// An object that carries nothing but a resource version: what a bookmark holds.
pub fn bookmark(version: u64) -> Vec<u8> {
    field(1, &field(6, version.to_string().as_bytes()))
}

/// A Status failure, as an ERROR event or a body holds it.
pub fn status(code: u64, reason: &str, message: &str) -> Vec<u8> {
    [
        field(1, b""),
        field(2, b"Failure"),
        field(3, message.as_bytes()),
        field(4, reason.as_bytes()),
        number(6, code),
    ]
    .concat()
}

/// One frame of a watch: a length and a WatchEvent without magic, whose object is an envelope.
pub fn watch_frame(kind: &str, object: &[u8]) -> Vec<u8> {
    let event = [field(1, kind.as_bytes()), field(2, &field(1, object))].concat();
    [(event.len() as u32).to_be_bytes().to_vec(), event].concat()
}
