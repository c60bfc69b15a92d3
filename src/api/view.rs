//! What is served: nodes and pods with their usage, as every encoding sees them.
//!
//! Objects borrow the store and are made while it is locked. Source: `pkg/api` of metrics-server.
//! Deviation: usage carries `swap`, also in Tables as the last column, when the kubelet reports it; metrics-server never
//! serves swap.

use crate::counters::Counters;
use crate::store::{Labels, NodeView, PodUsage, PodView, Usage};
use crate::units::{UnixNanos, Window};
use crate::wire::text::Text;
use crate::wire::time;
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
    /// Rows of a table instead of objects.
    pub is_table: bool,
    /// What a table's rows carry.
    pub include: Include,
    /// The time of the request, which is every object's creation time.
    pub now: UnixNanos,
    /// The same as text.
    pub now_text: Text,
}

impl Form {
    /// Objects or rows of a table as of `now`.
    #[must_use]
    pub fn new(api_version: &'static str, is_table: bool, include: Include, now: UnixNanos) -> Form {
        Form { api_version, is_table, include, now, now_text: time::rfc3339_text(now) }
    }
}

/// One object with usage.
#[derive(Clone, Copy)]
pub struct MetricsObject<'a> {
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

impl<'a> MetricsObject<'a> {
    /// A node with usage.
    #[must_use]
    pub fn of_node(node: &NodeView<'a>) -> Option<MetricsObject<'a>> {
        let usage = node.usage?;
        Some(MetricsObject {
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
    pub fn of_pod(pod: &PodView<'a>) -> Option<MetricsObject<'a>> {
        let usage = pod.usage?;
        let (at, window) = usage.span();
        Some(MetricsObject {
            namespace: Some(pod.namespace()),
            name: pod.name(),
            labels: pod.labels,
            at,
            window,
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
