//! The schemas of the OpenAPI documents, as a table: names, fields, types, and a sentence on each.
//!
//! Names, types, formats and references are those that clients know from the reference; the sentences are our own. The
//! table says nothing of the form: `document.rs` writes it as OpenAPI 2.0 (`definitions`) and 3.0 (`components`).
//! It costs no memory but the program's own pages.

/// What a `$ref` points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Model {
    /// A type of Kubernetes' common metadata, `io.k8s.apimachinery.pkg.apis.meta.v1`.
    Meta(&'static str),
    /// A type of the Metrics API, in each of its versions.
    Metrics(&'static str),
    /// A quantity.
    Quantity,
    /// What `/version` answers.
    Version,
}

/// The type of a field.
#[derive(Clone, Copy, Debug)]
pub(super) enum Type {
    /// A string.
    Text,
    /// True or false.
    Flag,
    /// A 64-bit integer.
    Int64,
    /// A list of strings.
    Texts,
    /// A map of strings to strings.
    TextMap,
    /// An object that is always there; its default is as given, in JSON.
    Object(Model, &'static str),
    /// An object that may be absent.
    Optional(Model),
    /// A list of objects.
    Objects(Model),
    /// A map of strings to objects.
    ObjectMap(Model),
}

/// One field of a schema.
pub(super) struct Field {
    pub name: &'static str,
    pub what: Type,
    pub required: bool,
    pub note: &'static str,
    /// Further members in JSON, each with a comma before it.
    pub more: &'static str,
}

/// What a schema is.
pub(super) enum Shape {
    /// A string, with a format unless that is empty.
    Text(&'static str),
    /// A number or a string with a unit.
    Quantity,
    /// Any object.
    Any,
    /// An object with these fields.
    Fields(&'static [Field]),
}

/// One schema.
pub(super) struct Schema {
    pub name: Model,
    pub note: &'static str,
    pub shape: Shape,
    /// An object of its own at some path, with kind and apiVersion.
    pub is_kind: bool,
    /// Further members in JSON, each with a comma before it.
    pub more: &'static str,
    /// Only in the 2.0 document, which covers discovery and `/version` as well.
    pub only_v2: bool,
}

const fn field(name: &'static str, what: Type, note: &'static str) -> Field {
    Field { name, what, required: false, note, more: "" }
}

const fn required(name: &'static str, what: Type, note: &'static str) -> Field {
    Field { name, what, required: true, note, more: "" }
}

/// A list that is replaced as a whole.
const fn atomic(list: Field) -> Field {
    Field { more: r#","x-kubernetes-list-type":"atomic""#, ..list }
}

const fn schema(name: Model, note: &'static str, shape: Shape) -> Schema {
    Schema { name, note, shape, is_kind: false, more: "", only_v2: false }
}

const fn kind(name: Model, note: &'static str, fields: &'static [Field]) -> Schema {
    Schema { name, note, shape: Shape::Fields(fields), is_kind: true, more: "", only_v2: false }
}

const KIND: Field = field("kind", Type::Text, "Name of the type of this object, in CamelCase.");
const API_VERSION: Field =
    field("apiVersion", Type::Text, "Group and version of the form in which this object is written.");
const LIST_META: Field =
    field("metadata", Type::Object(Model::Meta("ListMeta"), "{}"), "Metadata of the list.");
const OBJECT_META: Field = field(
    "metadata",
    Type::Object(Model::Meta("ObjectMeta"), "{}"),
    "Name and labels of the measured object; creationTimestamp is the time of the answer.",
);
const TIMESTAMP: Field = required(
    "timestamp",
    Type::Object(Model::Meta("Time"), "{}"),
    "End of the time in which usage was measured, which is [timestamp-window, timestamp].",
);
const WINDOW: Field = required(
    "window",
    Type::Object(Model::Meta("Duration"), "0"),
    "Length of the time in which usage was measured.",
);
const USAGE: Type = Type::ObjectMap(Model::Quantity);

/// Every schema, by full name.
pub(super) const SCHEMAS: &[Schema] = &[
    schema(
        Model::Quantity,
        "An exact number with a unit: digits, and a suffix that is binary (Ki, Mi, Gi, Ti, Pi, Ei), decimal \
         (n, u, m, none, k, M, G, T, P, E) or an exponent. Written with the largest suffix that leaves an integer: \
         1.5 is 1500m, 1.5Gi is 1536Mi.",
        Shape::Quantity,
    ),
    Schema {
        only_v2: true,
        ..kind(Model::Meta("APIGroup"), "An API group: its name and versions.", API_GROUP)
    },
    Schema {
        only_v2: true,
        ..kind(Model::Meta("APIGroupList"), "The API groups of a server.", API_GROUP_LIST)
    },
    schema(
        Model::Meta("APIResource"),
        "A resource, and whether it is namespaced.",
        Shape::Fields(API_RESOURCE),
    ),
    kind(Model::Meta("APIResourceList"), "The resources of one version of a group.", API_RESOURCE_LIST),
    schema(Model::Meta("Duration"), "A duration as text: 15s, 1m0.5s.", Shape::Text("")),
    schema(Model::Meta("FieldsV1"), "A set of fields, as a tree in JSON.", Shape::Any),
    Schema {
        only_v2: true,
        ..schema(
            Model::Meta("GroupVersionForDiscovery"),
            "One version of an API group.",
            Shape::Fields(GROUP_VERSION),
        )
    },
    schema(Model::Meta("ListMeta"), "Metadata of a list.", Shape::Fields(LIST_META_FIELDS)),
    schema(
        Model::Meta("ManagedFieldsEntry"),
        "Which fields one writer of an object manages.",
        Shape::Fields(MANAGED_FIELDS),
    ),
    schema(Model::Meta("ObjectMeta"), "Metadata that every object has.", Shape::Fields(OBJECT_META_FIELDS)),
    Schema {
        more: r#","x-kubernetes-map-type":"atomic""#,
        ..schema(Model::Meta("OwnerReference"), "The owner of an object.", Shape::Fields(OWNER_REFERENCE))
    },
    Schema {
        only_v2: true,
        ..schema(
            Model::Meta("ServerAddressByClientCIDR"),
            "The address of the server for clients of a network.",
            Shape::Fields(SERVER_ADDRESS),
        )
    },
    schema(
        Model::Meta("Time"),
        "A time as RFC 3339 text, in UTC and whole seconds.",
        Shape::Text("date-time"),
    ),
    Schema { only_v2: true, ..schema(Model::Version, "The version of a server.", Shape::Fields(VERSION)) },
    schema(Model::Metrics("ContainerMetrics"), "Usage of one container.", Shape::Fields(CONTAINER_METRICS)),
    kind(Model::Metrics("NodeMetrics"), "Usage of one node.", NODE_METRICS),
    kind(Model::Metrics("NodeMetricsList"), "Usage of nodes, by name.", NODE_METRICS_LIST),
    kind(Model::Metrics("PodMetrics"), "Usage of one pod, by container.", POD_METRICS),
    kind(Model::Metrics("PodMetricsList"), "Usage of pods, by namespace and name.", POD_METRICS_LIST),
];

const CONTAINER_METRICS: &[Field] = &[
    required("name", Type::Text, "Name of the container, as in the pod's spec."),
    required("usage", USAGE, "cpu in cores, memory (working set) in bytes."),
];

const NODE_METRICS: &[Field] = &[
    API_VERSION,
    KIND,
    OBJECT_META,
    TIMESTAMP,
    required("usage", USAGE, "cpu in cores, memory (working set) in bytes, of the whole node."),
    WINDOW,
];

const NODE_METRICS_LIST: &[Field] = &[
    API_VERSION,
    required("items", Type::Objects(Model::Metrics("NodeMetrics")), "The nodes with two points at least."),
    KIND,
    LIST_META,
];

const POD_METRICS: &[Field] = &[
    API_VERSION,
    atomic(required(
        "containers",
        Type::Objects(Model::Metrics("ContainerMetrics")),
        "The running containers, all measured in the same window.",
    )),
    KIND,
    OBJECT_META,
    TIMESTAMP,
    WINDOW,
];

const POD_METRICS_LIST: &[Field] = &[
    API_VERSION,
    required(
        "items",
        Type::Objects(Model::Metrics("PodMetrics")),
        "The running pods with two points at least.",
    ),
    KIND,
    LIST_META,
];

const API_GROUP: &[Field] = &[
    API_VERSION,
    KIND,
    required("name", Type::Text, "Name of the group."),
    field(
        "preferredVersion",
        Type::Object(Model::Meta("GroupVersionForDiscovery"), "{}"),
        "The version to use by preference.",
    ),
    atomic(field(
        "serverAddressByClientCIDRs",
        Type::Objects(Model::Meta("ServerAddressByClientCIDR")),
        "Addresses of the server by network of the client.",
    )),
    atomic(required(
        "versions",
        Type::Objects(Model::Meta("GroupVersionForDiscovery")),
        "The versions of the group.",
    )),
];

const API_GROUP_LIST: &[Field] =
    &[API_VERSION, atomic(required("groups", Type::Objects(Model::Meta("APIGroup")), "The groups.")), KIND];

const API_RESOURCE: &[Field] = &[
    atomic(field("categories", Type::Texts, "Groups of resources it belongs to, such as all.")),
    field("group", Type::Text, "Its group, when another than the list's."),
    required("kind", Type::Text, "Kind of its objects."),
    required("name", Type::Text, "Name in the plural, as in paths."),
    required("namespaced", Type::Flag, "Whether its objects live in namespaces."),
    atomic(field("shortNames", Type::Texts, "Short names for the command line.")),
    required("singularName", Type::Text, "Name in the singular."),
    field("storageVersionHash", Type::Text, "Opaque hash of the version it is stored in."),
    required("verbs", Type::Texts, "What can be done with it: get, list and others."),
    field("version", Type::Text, "Its version, when another than the list's."),
];

const API_RESOURCE_LIST: &[Field] = &[
    API_VERSION,
    required("groupVersion", Type::Text, "Group and version of the list."),
    KIND,
    atomic(required("resources", Type::Objects(Model::Meta("APIResource")), "The resources.")),
];

const GROUP_VERSION: &[Field] = &[
    required("groupVersion", Type::Text, "Group and version as one text."),
    required("version", Type::Text, "The version alone."),
];

const SERVER_ADDRESS: &[Field] = &[
    required("clientCIDR", Type::Text, "Network of the client."),
    required("serverAddress", Type::Text, "Host and port for it."),
];

const LIST_META_FIELDS: &[Field] = &[
    field("continue", Type::Text, "Where the next page begins; not used here, every list is whole."),
    field("remainingItemCount", Type::Int64, "How many items are to come; not used here."),
    field("resourceVersion", Type::Text, "Opaque version of the list; not used here."),
    field("selfLink", Type::Text, "Not used any more."),
];

const MANAGED_FIELDS: &[Field] = &[
    field("apiVersion", Type::Text, "Group and version that the fields are named in."),
    field("fieldsType", Type::Text, "Form of the set of fields; always FieldsV1."),
    field("fieldsV1", Type::Optional(Model::Meta("FieldsV1")), "The fields."),
    field("manager", Type::Text, "Who manages them."),
    field("operation", Type::Text, "Apply or Update."),
    field("subresource", Type::Text, "The subresource that was written; empty for the object itself."),
    field("time", Type::Optional(Model::Meta("Time")), "When the set changed last."),
];

const OBJECT_META_FIELDS: &[Field] = &[
    field("annotations", Type::TextMap, "Free text by key, for tools."),
    field("creationTimestamp", Type::Object(Model::Meta("Time"), "{}"), "When the object was made."),
    field("deletionGracePeriodSeconds", Type::Int64, "Seconds it may take to end."),
    field("deletionTimestamp", Type::Optional(Model::Meta("Time")), "When the object will be deleted."),
    Field {
        more: r#","x-kubernetes-list-type":"set","x-kubernetes-patch-strategy":"merge""#,
        ..field("finalizers", Type::Texts, "Who must agree before the object goes.")
    },
    field("generateName", Type::Text, "Prefix of a name that the server chose."),
    field("generation", Type::Int64, "Counts changes of the desired state."),
    field("labels", Type::TextMap, "Labels of the object, for selectors."),
    atomic(field(
        "managedFields",
        Type::Objects(Model::Meta("ManagedFieldsEntry")),
        "Who manages which fields.",
    )),
    field("name", Type::Text, "Name, unique in its namespace."),
    field("namespace", Type::Text, "Namespace; empty for objects of the cluster."),
    Field {
        more: concat!(
            r#","x-kubernetes-list-map-keys":["uid"],"x-kubernetes-list-type":"map","#,
            r#""x-kubernetes-patch-merge-key":"uid","x-kubernetes-patch-strategy":"merge""#
        ),
        ..field("ownerReferences", Type::Objects(Model::Meta("OwnerReference")), "Owners of the object.")
    },
    field("resourceVersion", Type::Text, "Opaque version of the object."),
    field("selfLink", Type::Text, "Not used any more."),
    field("uid", Type::Text, "Unique in time and space."),
];

const OWNER_REFERENCE: &[Field] = &[
    required("apiVersion", Type::Text, "Group and version of the owner."),
    field("blockOwnerDeletion", Type::Flag, "The owner stays until this object is gone."),
    field("controller", Type::Flag, "The owner is the controller of this object."),
    required("kind", Type::Text, "Kind of the owner."),
    required("name", Type::Text, "Name of the owner."),
    required("uid", Type::Text, "UID of the owner."),
];

const VERSION: &[Field] = &[
    required("buildDate", Type::Text, "When the program was built."),
    required("compiler", Type::Text, "What compiled it."),
    field("emulationMajor", Type::Text, "Major part of the version it behaves as."),
    field("emulationMinor", Type::Text, "Minor part of the version it behaves as."),
    required("gitCommit", Type::Text, "Commit it was built from."),
    required("gitTreeState", Type::Text, "Whether the tree was clean."),
    required("gitVersion", Type::Text, "Version of the program."),
    required("goVersion", Type::Text, "Version of the compiler; the field's name is historical."),
    required("major", Type::Text, "Major part of the version."),
    field("minCompatibilityMajor", Type::Text, "Major part of the oldest version it works with."),
    field("minCompatibilityMinor", Type::Text, "Minor part of the oldest version it works with."),
    required("minor", Type::Text, "Minor part of the version."),
    required("platform", Type::Text, "Operating system and processor."),
];
