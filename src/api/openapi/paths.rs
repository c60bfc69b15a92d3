//! The paths of the OpenAPI documents and their parameters, as a table.
//!
//! Operation names are those of the reference: generated clients are named after them.

/// What a path answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// The resources of a version.
    Resources,
    /// A list of objects of this kind.
    List(&'static str),
    /// One object of this kind.
    Read(&'static str),
}

/// One path below a version of the group.
pub(super) struct Path {
    pub suffix: &'static str,
    pub operation: Operation,
    /// `operationId` is the verb, `MetricsV1` and this.
    pub id: &'static str,
}

/// Every path of a version, by name.
pub(super) const PATHS: &[Path] = &[
    Path { suffix: "/", operation: Operation::Resources, id: "APIResources" },
    Path {
        suffix: "/namespaces/{namespace}/pods",
        operation: Operation::List("PodMetrics"),
        id: "NamespacedPodMetrics",
    },
    Path {
        suffix: "/namespaces/{namespace}/pods/{name}",
        operation: Operation::Read("PodMetrics"),
        id: "NamespacedPodMetrics",
    },
    Path { suffix: "/nodes", operation: Operation::List("NodeMetrics"), id: "NodeMetrics" },
    Path { suffix: "/nodes/{name}", operation: Operation::Read("NodeMetrics"), id: "NodeMetrics" },
    Path { suffix: "/pods", operation: Operation::List("PodMetrics"), id: "PodMetricsForAllNamespaces" },
];

/// A parameter of an operation.
pub(super) struct Parameter {
    pub name: &'static str,
    /// JSON type.
    pub what: &'static str,
    pub note: &'static str,
    /// Which operations take it.
    pub of: Takes,
}

/// Which operations take a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// Lists, in the query.
    Lists,
    /// All, in the query.
    All,
    /// Those with it in their path.
    InPath,
}

impl Parameter {
    pub(super) fn is_of(&self, path: &Path) -> bool {
        match self.of {
            Takes::Lists => matches!(path.operation, Operation::List(_)),
            Takes::All => path.operation != Operation::Resources,
            Takes::InPath => {
                let braced =
                    |part: &str| part.strip_prefix('{')?.strip_suffix('}').map(|name| name == self.name);
                path.suffix.split('/').filter_map(braced).any(|same| same)
            }
        }
    }
}

const fn list(name: &'static str, what: &'static str, note: &'static str) -> Parameter {
    Parameter { name, what, note, of: Takes::Lists }
}

/// Every parameter, by name.
pub(super) const PARAMETERS: &[Parameter] = &[
    list("allowWatchBookmarks", "boolean", "Accepted and without effect: there are no watches."),
    list("continue", "string", "Accepted and without effect: every list is whole."),
    list("fieldSelector", "string", "Limits the list to objects by metadata.name and metadata.namespace."),
    list("labelSelector", "string", "Limits the list to objects with matching labels."),
    list("limit", "integer", "Accepted and without effect: every list is whole."),
    Parameter { name: "name", what: "string", note: "Name of the object.", of: Takes::InPath },
    Parameter { name: "namespace", what: "string", note: "Namespace of the objects.", of: Takes::InPath },
    Parameter {
        name: "pretty",
        what: "string",
        note: "If true, the answer is indented; the default for curl, Wget and browsers.",
        of: Takes::All,
    },
    list("resourceVersion", "string", "Accepted and without effect: usage has no versions."),
    list("resourceVersionMatch", "string", "Accepted with resourceVersion, and without effect."),
    list("sendInitialEvents", "boolean", "Refused: there are no watches."),
    list("timeoutSeconds", "integer", "Accepted and without effect."),
    list("watch", "boolean", "Refused when true: there are no watches."),
];
