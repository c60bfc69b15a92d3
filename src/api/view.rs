//! What is served: objects of the store that a request selects, in key order, resumable by key.
//!
//! One walk feeds every encoding. It stops before an object that does not fit the piece being written and goes on behind
//! the last key it delivered, so that a slow reader holds neither the lock nor a copy of the table. Objects that became
//! servable after the list began are left out: their place in the order may have passed already. A walk keeps two
//! strings and allocates nothing else. Source: `pkg/api` of metrics-server.
//! Deviation: usage carries `swap`, also in Tables, when the kubelet reports it; the reference never serves swap.

use super::negotiate::Transform;
use crate::counters::Counters;
use crate::store::{Labels, NodeView, PodUsage, PodView, Store, Usage};
use crate::units::{UnixNanos, Window};
use crate::wire::selector::{FieldSelector, LabelSelector};
use std::time::Duration;

/// The two resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// `nodes`, at cluster scope.
    Nodes,
    /// `pods`, in namespaces.
    Pods,
}

impl Resource {
    /// The name in paths.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Resource::Nodes => "nodes",
            Resource::Pods => "pods",
        }
    }

    /// The kind of one object.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Resource::Nodes => "NodeMetrics",
            Resource::Pods => "PodMetrics",
        }
    }

    /// The kind of a list.
    #[must_use]
    pub const fn list_kind(self) -> &'static str {
        match self {
            Resource::Nodes => "NodeMetricsList",
            Resource::Pods => "PodMetricsList",
        }
    }
}

/// What a table's rows carry beside their cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Include {
    /// The object's metadata.
    #[default]
    Metadata,
    /// The whole object.
    Object,
    /// Nothing.
    None,
}

/// How objects are to look, apart from the encoding.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// Group and version asked for; both versions have the same objects.
    pub api_version: &'static str,
    /// As they are, as metadata, or as a table.
    pub transform: Transform,
    /// What a table's rows carry.
    pub include: Include,
    /// The time of the request, which is every object's creation time.
    pub now: UnixNanos,
}

/// One object with usage.
#[derive(Clone, Copy)]
pub struct Object<'a> {
    /// Namespace; `None` for nodes.
    pub namespace: Option<&'a str>,
    /// Name.
    pub name: &'a str,
    /// Labels, sorted by key.
    pub labels: Labels<'a>,
    /// Time of the measurement; `None` for a pod without containers.
    pub at: Option<UnixNanos>,
    /// Time the rates are taken over.
    pub window: Window,
    /// What was measured.
    pub measured: Measured<'a>,
}

/// What was measured of an object.
#[derive(Clone, Copy)]
pub enum Measured<'a> {
    /// A node as a whole.
    Node(Usage),
    /// The containers of a pod.
    Pod(PodUsage<'a>),
}

impl<'a> Object<'a> {
    /// A node with usage.
    #[must_use]
    pub fn of_node(node: &NodeView<'a>) -> Option<Object<'a>> {
        let usage = node.usage?;
        Some(Object {
            namespace: None,
            name: node.name,
            labels: node.labels,
            at: Some(usage.at),
            window: usage.window,
            measured: Measured::Node(usage),
        })
    }

    /// A pod with usage.
    #[must_use]
    pub fn of_pod(pod: &PodView<'a>) -> Option<Object<'a>> {
        let usage = pod.usage?;
        Some(Object {
            namespace: Some(pod.namespace),
            name: pod.name,
            labels: pod.labels,
            at: usage.at,
            window: usage.window,
            measured: Measured::Pod(usage),
        })
    }

    /// The object's resource.
    #[must_use]
    pub const fn resource(&self) -> Resource {
        match self.measured {
            Measured::Node(_) => Resource::Nodes,
            Measured::Pod(_) => Resource::Pods,
        }
    }

    /// Counts the age of what is served.
    pub fn observe(&self, now: UnixNanos, metrics: &Counters) {
        if let Some(at) = self.at {
            metrics.freshness(Duration::from_nanos(now.since(at).0.unsigned_abs()));
        }
    }
}

/// Which objects a list asks for.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Nodes or pods.
    pub resource: Resource,
    /// The only namespace; `None` for all.
    pub namespace: Option<String>,
    /// By labels.
    pub labels: LabelSelector,
    /// By labels once more: the program's own limit on nodes.
    pub node_labels: LabelSelector,
    /// By fields.
    pub fields: FieldSelector,
}

/// How far a list has come: the key delivered last, in strings that are used again.
#[derive(Clone, Debug)]
pub struct Position {
    namespace: String,
    name: String,
    generation: u32,
}

impl Position {
    /// The begin of a list, as of now.
    #[must_use]
    pub fn begin(store: &Store) -> Position {
        Position { namespace: String::new(), name: String::new(), generation: store.generation() }
    }

    /// No object has an empty name: an empty one is the begin.
    fn after(&self) -> Option<(&str, &str)> {
        (!self.name.is_empty()).then_some((&*self.namespace, &*self.name))
    }

    fn advance(&mut self, last: Option<(&str, &str)>) {
        if let Some((namespace, name)) = last {
            self.namespace.clear();
            self.namespace.push_str(namespace);
            self.name.clear();
            self.name.push_str(name);
        }
    }
}

impl Selection {
    /// Delivers the selected objects behind `position` until `visit` refuses one by `false`; that one is delivered
    /// again by the next walk. Returns whether the end was reached.
    pub fn walk<'a>(
        &'a self,
        store: &'a Store,
        position: &mut Position,
        mut visit: impl FnMut(&Object<'a>) -> bool,
    ) -> bool {
        let mut last = None;
        let generation = position.generation;
        let mut take = |object: &Object<'a>| {
            let taken = visit(object);
            if taken {
                last = Some((object.namespace.unwrap_or(""), object.name));
            }
            taken
        };
        let finished = match self.resource {
            Resource::Nodes => store
                .nodes_after(position.after().map(|(_, name)| name))
                .filter(|node| node.served_since <= generation && self.has_node(node))
                .filter_map(|node| Object::of_node(&node))
                .all(|object| take(&object)),
            Resource::Pods => store
                .pods_after(self.namespace.as_deref(), position.after())
                .filter(|pod| pod.served_since <= generation && self.has_pod(pod))
                .filter_map(|pod| Object::of_pod(&pod))
                .all(|object| take(&object)),
        };
        position.advance(last);
        finished
    }

    fn has_node(&self, node: &NodeView<'_>) -> bool {
        let label = |key: &str| node.labels.value(key);
        node.usage.is_some()
            && self.labels.matches(label)
            && self.node_labels.matches(label)
            && self.fields.matches(|field| if field == "metadata.name" { node.name } else { "" })
    }

    fn has_pod(&self, pod: &PodView<'_>) -> bool {
        pod.usage.is_some()
            && self.labels.matches(|key| pod.labels.value(key))
            && self.fields.matches(|field| match field {
                "metadata.name" => pod.name,
                "metadata.namespace" => pod.namespace,
                "spec.nodeName" => pod.node.unwrap_or(""),
                _ => "",
            })
    }
}
