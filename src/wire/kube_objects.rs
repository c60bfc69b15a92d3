//! Kubernetes objects as protobuf: nodes, pod metadata and Status, decoded from one whole object.
//!
//! Only the fields the program uses are read; everything else (managed fields, images, specs) is passed over without a
//! copy. Records borrow the bytes they were decoded from. What is not UTF-8 or not a message is refused as a whole.
//! `kube_stream` cuts lists and watches into objects. Source: `generated.proto` of `k8s.io/api/core/v1`,
//! `k8s.io/apimachinery/pkg/{runtime,apis/meta/v1}`.

use super::allocatable::Allocatable;
use super::protobuf::{Fields, MAGIC, Malformed, Value};
use std::fmt;

/// Annotation of a node that replaces the path of its kubelet's metrics.
const PATH_ANNOTATION: &str = "metrics.k8s.io/resource-metrics-path";
/// Annotation of a node: the addresses of its kubelet, separated by commas, instead of those of its status.
pub const ADDRESS_ANNOTATION: &str = "toplet.io/kubelet-address";
/// Annotation of a node: the port of its kubelet.
pub const PORT_ANNOTATION: &str = "toplet.io/kubelet-port";
/// Annotation of a node: the name that its kubelet's certificate must have.
pub const SERVER_NAME_ANNOTATION: &str = "toplet.io/kubelet-server-name";
/// Annotation of a node: `apiserver` when its kubelet is to be asked through the API server's node proxy.
pub const VIA_ANNOTATION: &str = "toplet.io/kubelet-via";
const OVERRIDES: [&str; 4] = [ADDRESS_ANNOTATION, PORT_ANNOTATION, SERVER_NAME_ANNOTATION, VIA_ANNOTATION];
/// Annotation of the bookmark that ends the initial events of a streamed list.
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// A node as the API server (or the host source) describes it. Borrowed: the store interns what it keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeObject<'a> {
    /// `metadata.name`.
    pub name: &'a str,
    /// `metadata.labels`, any order.
    pub labels: Vec<(&'a str, &'a str)>,
    /// `status.addresses` in order: type and address; after them the annotations that override them, under their own names.
    pub addresses: Vec<(&'a str, &'a str)>,
    /// `status.daemonEndpoints.kubeletEndpoint.Port`; 0 when absent.
    pub kubelet_port: u16,
    /// Annotation `metrics.k8s.io/resource-metrics-path`; empty when absent.
    pub metrics_path: &'a str,
    /// Condition `Ready` is `True`.
    pub ready: bool,
    /// `status.allocatable`, and the machine's swap.
    pub allocatable: Allocatable,
}

/// A running pod's metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodObject<'a> {
    /// `metadata.namespace`.
    pub namespace: &'a str,
    /// `metadata.name`.
    pub name: &'a str,
    /// `metadata.labels`, any order.
    pub labels: Vec<(&'a str, &'a str)>,
    /// `spec.nodeName`; empty when absent, as in metadata alone.
    pub node_name: &'a str,
}

/// One object of a list or an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object<'a> {
    /// A node.
    Node(NodeObject<'a>),
    /// A pod, of which metadata and node were read.
    Pod(PodObject<'a>),
}

/// An object with its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned<'a> {
    /// The object.
    pub object: Object<'a>,
    /// `metadata.resourceVersion`, opaque.
    pub resource_version: &'a str,
}

/// Why the API server refused something: the fields of a `Status` the program acts on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatusObject<'a> {
    /// HTTP code; 0 when absent.
    pub code: u16,
    /// Machine-readable reason, such as `Expired`.
    pub reason: &'a str,
    /// For people.
    pub message: &'a str,
    /// `details.retryAfterSeconds`; 0 when absent.
    pub retry_after_secs: u32,
}

/// One event of a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEvent<'a> {
    /// The object came into the selection.
    Added(Versioned<'a>),
    /// The object changed.
    Modified(Versioned<'a>),
    /// The object is gone or left the selection; this is its last state.
    Deleted(Versioned<'a>),
    /// Nothing changed up to this version.
    Bookmark {
        /// Where a later watch may resume.
        resource_version: &'a str,
        /// This bookmark ends the initial events of a streamed list.
        initial_events_end: bool,
    },
    /// The watch is over, and why.
    Error(StatusObject<'a>),
}

/// Why a body of the API server could not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectError {
    /// The body does not start with the magic bytes: not Kubernetes' protobuf (JSON, or a proxy's page).
    NotProtobuf,
    /// Not a valid message.
    Malformed,
    /// Valid, but a list, object or event of a kind nobody asked for.
    UnexpectedKind,
    /// An event of a watch is longer than `limits::OBJECT_LEN_MAX`.
    TooLarge,
    /// The body ended within an object.
    Truncated,
}

impl fmt::Display for ObjectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ObjectError::NotProtobuf => {
                "the body is not Kubernetes protobuf (does a proxy answer for the API server?)"
            }
            ObjectError::Malformed => "the body is not a valid protobuf message",
            ObjectError::UnexpectedKind => "the body holds another kind of object than was asked for",
            ObjectError::TooLarge => "one event of the watch is larger than any Kubernetes object",
            ObjectError::Truncated => "the body ended within an object",
        })
    }
}

impl std::error::Error for ObjectError {}

impl From<Malformed> for ObjectError {
    fn from(_: Malformed) -> Self {
        ObjectError::Malformed
    }
}

/// Which objects a list or an envelope holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Node,
    Pod,
    Status,
}

impl Kind {
    /// The kind of a `TypeMeta` message, of an object or of a list of them.
    pub(super) fn of_type_meta(message: &[u8]) -> Result<Kind, ObjectError> {
        match last(message, 2)?.map_or(Ok(""), Value::text)? {
            "Node" | "NodeList" => Ok(Kind::Node),
            // Full pods have their metadata in the same field.
            "PartialObjectMetadata" | "PartialObjectMetadataList" | "Pod" | "PodList" => Ok(Kind::Pod),
            "Status" => Ok(Kind::Status),
            _ => Err(ObjectError::UnexpectedKind),
        }
    }

    /// Decodes one object of this kind.
    pub(super) fn decode(self, message: &[u8]) -> Result<Versioned<'_>, ObjectError> {
        match self {
            Kind::Node => Ok(node(message)?),
            Kind::Pod => Ok(pod(message)?),
            Kind::Status => Err(ObjectError::UnexpectedKind),
        }
    }
}

/// Opens an envelope: magic, `runtime.Unknown{typeMeta, raw}`.
fn envelope(body: &[u8]) -> Result<(Kind, &[u8]), ObjectError> {
    let message = body.strip_prefix(&MAGIC).ok_or(ObjectError::NotProtobuf)?;
    let (mut kind, mut raw) = (None, &[][..]);
    for field in Fields::new(message) {
        match field? {
            (1, value) => kind = Some(Kind::of_type_meta(value.bytes()?)?),
            (2, value) => raw = value.bytes()?,
            _ => {}
        }
    }
    Ok((kind.ok_or(ObjectError::UnexpectedKind)?, raw))
}

impl<'a> StatusObject<'a> {
    /// Decodes the body of a refusal.
    /// # Errors
    /// The body is not a `Status` in Kubernetes' protobuf.
    pub fn decode(body: &'a [u8]) -> Result<StatusObject<'a>, ObjectError> {
        match envelope(body)? {
            (Kind::Status, raw) => Ok(status(raw)?),
            _ => Err(ObjectError::UnexpectedKind),
        }
    }
}

/// Decodes one event: `WatchEvent{1 type, 2 RawExtension{1 raw}}`.
pub(super) fn watch_event(message: &[u8]) -> Result<WatchEvent<'_>, ObjectError> {
    let (mut event_type, mut extension) = ("", &[][..]);
    for field in Fields::new(message) {
        match field? {
            (1, value) => event_type = value.text()?,
            (2, value) => extension = value.bytes()?,
            _ => {}
        }
    }
    let (kind, raw) = envelope(last(extension, 1)?.map_or(Ok(&[][..]), Value::bytes)?)?;
    Ok(match event_type {
        "ADDED" => WatchEvent::Added(kind.decode(raw)?),
        "MODIFIED" => WatchEvent::Modified(kind.decode(raw)?),
        "DELETED" => WatchEvent::Deleted(kind.decode(raw)?),
        "BOOKMARK" => {
            let meta = metadata_of(raw)?;
            WatchEvent::Bookmark {
                resource_version: meta.resource_version,
                initial_events_end: meta.initial_events_end,
            }
        }
        "ERROR" if kind == Kind::Status => WatchEvent::Error(status(raw)?),
        _ => return Err(ObjectError::UnexpectedKind),
    })
}

/// `ObjectMeta`, what is used of it.
#[derive(Default)]
struct Metadata<'a> {
    name: &'a str,
    namespace: &'a str,
    resource_version: &'a str,
    labels: Vec<(&'a str, &'a str)>,
    metrics_path: &'a str,
    /// Of each annotation in `OVERRIDES` the first, with its name.
    overrides: Vec<(&'a str, &'a str)>,
    initial_events_end: bool,
}

impl<'a> Metadata<'a> {
    fn read(message: &'a [u8]) -> Result<Metadata<'a>, Malformed> {
        let mut meta = Metadata::default();
        for field in Fields::new(message) {
            match field? {
                (1, value) => meta.name = value.text()?,
                (3, value) => meta.namespace = value.text()?,
                (6, value) => meta.resource_version = value.text()?,
                (11, value) => meta.labels.push(pair(value)?),
                (12, value) => match pair(value)? {
                    (PATH_ANNOTATION, path) => meta.metrics_path = path,
                    (name, value)
                        if OVERRIDES.contains(&name)
                            && !value.is_empty()
                            && meta.overrides.iter().all(|(known, _)| *known != name) =>
                    {
                        meta.overrides.push((name, value));
                    }
                    (INITIAL_EVENTS_END, end) => meta.initial_events_end = end == "true",
                    _ => {}
                },
                _ => {}
            }
        }
        Ok(meta)
    }
}

/// The metadata of any object: always field 1.
fn metadata_of(message: &[u8]) -> Result<Metadata<'_>, Malformed> {
    last(message, 1)?.map_or(Ok(Metadata::default()), |value| Metadata::read(value.bytes()?))
}

fn pod(message: &[u8]) -> Result<Versioned<'_>, Malformed> {
    let Metadata { name, namespace, resource_version, labels, .. } = metadata_of(message)?;
    let spec = last(message, 2)?.map_or(Ok(&[][..]), Value::bytes)?;
    let node_name = last(spec, 10)?.map_or(Ok(""), Value::text)?;
    Ok(Versioned { object: Object::Pod(PodObject { namespace, name, labels, node_name }), resource_version })
}

fn node(message: &[u8]) -> Result<Versioned<'_>, Malformed> {
    let Metadata { name, resource_version, labels, metrics_path, overrides, .. } = metadata_of(message)?;
    let mut node = NodeObject { name, labels, metrics_path, ..NodeObject::default() };
    if let Some(status) = last(message, 3)? {
        node_status(status.bytes()?, &mut node)?;
    }
    node.addresses.extend(overrides);
    Ok(Versioned { object: Object::Node(node), resource_version })
}

/// `NodeStatus`: what pods may use, conditions, addresses and the kubelet's port.
fn node_status<'a>(message: &'a [u8], node: &mut NodeObject<'a>) -> Result<(), Malformed> {
    for field in Fields::new(message) {
        match field? {
            (2, value) => node.allocatable.read_entry(value)?,
            (4, value) => {
                if let ("Ready", status) = pair(value)? {
                    node.ready = status == "True";
                }
            }
            (5, value) => node.addresses.push(pair(value)?),
            (6, value) => {
                let endpoint = last(value.bytes()?, 1)?.map_or(Ok(&[][..]), Value::bytes)?;
                let port = last(endpoint, 1)?.map_or(Ok(0), Value::varint)?;
                // What is no port counts as none: --kubelet-port is then the kubelet's.
                node.kubelet_port = u16::try_from(port).unwrap_or(0);
            }
            (7, value) => node.allocatable.read_node_info(value)?,
            _ => {}
        }
    }
    Ok(())
}

fn status(message: &[u8]) -> Result<StatusObject<'_>, Malformed> {
    let mut status = StatusObject::default();
    for field in Fields::new(message) {
        match field? {
            (3, value) => status.message = value.text()?,
            (4, value) => status.reason = value.text()?,
            (5, value) => {
                let seconds = last(value.bytes()?, 5)?.map_or(Ok(0), Value::varint)?;
                status.retry_after_secs = u32::try_from(seconds).unwrap_or(0);
            }
            (6, value) => status.code = u16::try_from(value.varint()?).unwrap_or(0),
            _ => {}
        }
    }
    Ok(status)
}

/// Two texts in fields 1 and 2: a map entry, an address, a condition's type and status.
fn pair<'a>(value: Value<'a>) -> Result<(&'a str, &'a str), Malformed> {
    let (mut first, mut second) = ("", "");
    for field in Fields::new(value.bytes()?) {
        match field? {
            (1, value) => first = value.text()?,
            (2, value) => second = value.text()?,
            _ => {}
        }
    }
    Ok((first, second))
}

/// The last value of a field: in protobuf it is the one that counts.
fn last(message: &[u8], number: u32) -> Result<Option<Value<'_>>, Malformed> {
    let mut last = None;
    for field in Fields::new(message) {
        let (found, value) = field?;
        if found == number {
            last = Some(value);
        }
    }
    Ok(last)
}
