//! The two forms of an OpenAPI document, 2.0 and 3.0, written from the tables.
//!
//! What differs: where schemas stand, how a field refers to one, whether defaults are told, where media types stand, and
//! how parameters carry their type. Texts in the tables hold nothing that JSON would escape, so nothing is escaped here (a
//! test reads every document back). Parameters are written into each path: shared ones would collide with those of other
//! servers in the document that kube-apiserver merges.

use super::document::{Document, VERSIONS, Version};
use super::paths::{Operation, PARAMETERS, PATHS, Parameter, Path, Takes};
use super::schemas::{Field, Model, Schema, Shape, Type};

const JSON: &str = "application/json";
const YAML: &str = "application/yaml";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const JSON_WATCH: &str = "application/json;stream=watch";
const PROTOBUF_WATCH: &str = "application/vnd.kubernetes.protobuf;stream=watch";

/// Paths outside the versions, in the 2.0 document: path, operation, tag, description, schema.
pub(super) const OTHER_PATHS: [[&str; 4]; 3] = [
    ["/apis/", "getAPIVersions", "apis", "get available API versions"],
    ["/apis/metrics.k8s.io/", "getMetricsAPIGroup", "metrics", "get information of a group"],
    ["/version/", "getCodeVersion", "version", "get the version information for this server"],
];
const OTHER_MODELS: [Model; 3] = [Model::Meta("APIGroupList"), Model::Meta("APIGroup"), Model::Version];

/// Writes parts of a document.
pub(super) struct Json<'a> {
    pub out: &'a mut Vec<u8>,
    pub document: Document,
}

impl Json<'_> {
    pub(super) fn push(&mut self, parts: &[&str]) {
        parts.iter().for_each(|part| self.out.extend_from_slice(part.as_bytes()));
    }

    pub(super) fn head(&mut self) {
        let form = match self.document {
            Document::V2 => r#""swagger":"2.0""#,
            Document::V3(_) => r#""openapi":"3.0.0""#,
        };
        let version = env!("CARGO_PKG_VERSION");
        self.push(&["{", form, r#","info":{"title":"toplet","version":"v"#, version, r#""},"paths":{"#]);
    }

    pub(super) fn path(&mut self, index: usize) {
        let version = match self.document {
            Document::V3(version) => Some(version),
            Document::V2 => VERSIONS.get(index / PATHS.len()).copied(),
        };
        let path = PATHS.get(index % PATHS.len());
        if let (Some(version), Some(path)) = (version, path) {
            self.push(&[r#""/apis/metrics.k8s.io/"#, version.name(), path.suffix, r#"":{"#]);
            self.operation(path, version);
            if path.operation != Operation::Resources {
                self.parameters(path);
            }
            return self.push(&["}"]);
        }
        let other = index - PATHS.len() * VERSIONS.len();
        if let (Some([path, id, tag, note]), Some(model)) = (OTHER_PATHS.get(other), OTHER_MODELS.get(other))
        {
            self.push(&["\"", path, r#"":{"get":{"description":""#, note, "\","]);
            let types = if *model == Model::Version { &[JSON][..] } else { &[JSON, YAML, PROTOBUF] };
            self.types("consumes", types);
            self.types("produces", types);
            self.push(&[r#""schemes":["https"],"tags":[""#, tag, r#""],"operationId":""#, id, "\","]);
            self.response(*model, Version::V1, &[]);
            self.push(&["}}"]);
        }
    }

    fn operation(&mut self, path: &Path, version: Version) {
        const LISTS: &[&str] = &[JSON, JSON_WATCH, PROTOBUF, PROTOBUF_WATCH, YAML];
        let (verb, action, note, kind, types) = match path.operation {
            Operation::Resources => ("get", "", "get available resources", "", &[JSON, PROTOBUF, YAML][..]),
            Operation::List(kind) => ("list", "list", "list objects of kind ", kind, LISTS),
            Operation::Read(kind) => {
                ("read", "get", "read the specified ", kind, &[JSON, PROTOBUF, YAML][..])
            }
        };
        self.push(&[r#""get":{"description":""#, note, kind, "\","]);
        if self.document == Document::V2 {
            match path.operation {
                Operation::Resources => self.types("consumes", types),
                _ => self.types("consumes", &["*/*"]),
            }
            self.types("produces", types);
            self.push(&[r#""schemes":["https"],"#]);
        }
        self.push(&[r#""tags":["metrics_"#, version.name(), r#""],"operationId":""#, verb]);
        self.push(&["Metrics", version.title(), path.id, "\","]);
        let model = match path.operation {
            Operation::Resources => Model::Meta("APIResourceList"),
            Operation::List("NodeMetrics") => Model::Metrics("NodeMetricsList"),
            Operation::List(_) => Model::Metrics("PodMetricsList"),
            Operation::Read(kind) => Model::Metrics(kind),
        };
        self.response(model, version, types);
        if path.operation != Operation::Resources {
            self.push(&[r#","x-kubernetes-action":""#, action]);
            self.push(&[r#"","x-kubernetes-group-version-kind":{"group":"metrics.k8s.io","version":""#]);
            self.push(&[version.name(), r#"","kind":""#, kind, "\"}"]);
        }
        self.push(&["}"]);
    }

    /// `"NAME":["type","type"],`
    fn types(&mut self, name: &str, types: &[&str]) {
        self.push(&["\"", name, "\":["]);
        for (index, one) in types.iter().enumerate() {
            self.push(&[if index == 0 { "\"" } else { ",\"" }, one, "\""]);
        }
        self.push(&["],"]);
    }

    /// The only response described: 200. `types` matter for 3.0 only.
    fn response(&mut self, model: Model, version: Version, types: &[&str]) {
        self.push(&[r#""responses":{"200":{"description":"OK","#]);
        if self.document == Document::V2 {
            self.push(&[r#""schema":{"#]);
            self.reference(model, version);
            return self.push(&["}}}"]);
        }
        self.push(&[r#""content":{"#]);
        for (index, one) in types.iter().enumerate() {
            self.push(&[if index == 0 { "\"" } else { ",\"" }, one, r#"":{"schema":{"#]);
            self.reference(model, version);
            self.push(&["}}"]);
        }
        self.push(&["}}}"]);
    }

    fn parameters(&mut self, path: &Path) {
        self.push(&[r#","parameters":["#]);
        for (index, parameter) in PARAMETERS.iter().filter(|parameter| parameter.is_of(path)).enumerate() {
            let Parameter { name, what, note, of } = parameter;
            let place = if *of == Takes::InPath { r#""path","required":true"# } else { "\"query\"" };
            self.push(&[if index == 0 { "" } else { "," }, r#"{"name":""#, name, r#"","in":"#, place]);
            self.push(&[r#","description":""#, note, "\","]);
            self.push(&match self.document {
                Document::V2 => [r#""type":""#, what, r#"","uniqueItems":true}"#],
                Document::V3(_) => [r#""schema":{"type":""#, what, r#"","uniqueItems":true}}"#],
            });
        }
        self.push(&["]"]);
    }

    pub(super) fn schema(&mut self, schema: &Schema, version: Version) {
        self.push(&["\""]);
        self.name(schema.name, version);
        self.push(&[r#"":{"description":""#, schema.note, "\""]);
        match schema.shape {
            Shape::Text("") => self.push(&[r#","type":"string""#]),
            Shape::Text(format) => self.push(&[r#","type":"string","format":""#, format, "\""]),
            Shape::Quantity if self.document == Document::V2 => self.push(&[r#","type":"string""#]),
            Shape::Quantity => self.push(&[r#","oneOf":[{"type":"string"},{"type":"number"}]"#]),
            Shape::Any => self.push(&[r#","type":"object""#]),
            Shape::Fields(fields) => self.fields(fields, version),
        }
        if schema.is_kind {
            let (group, kind, version) = match schema.name {
                Model::Metrics(kind) => ("metrics.k8s.io", kind, version.name()),
                Model::Meta(kind) => ("", kind, "v1"),
                Model::Quantity | Model::Version => ("", "", ""),
            };
            self.push(&[r#","x-kubernetes-group-version-kind":[{"group":""#, group, r#"","kind":""#, kind]);
            self.push(&[r#"","version":""#, version, "\"}]"]);
        }
        self.push(&[schema.more, "}"]);
    }

    fn fields(&mut self, fields: &[Field], version: Version) {
        self.push(&[r#","type":"object""#]);
        for (index, field) in fields.iter().filter(|field| field.required).enumerate() {
            self.push(&[if index == 0 { r#","required":[""# } else { ",\"" }, field.name, "\""]);
        }
        if fields.iter().any(|field| field.required) {
            self.push(&["]"]);
        }
        self.push(&[r#","properties":{"#]);
        for (index, field) in fields.iter().enumerate() {
            self.push(&[if index == 0 { "\"" } else { ",\"" }, field.name, r#"":{"description":""#]);
            self.push(&[field.note, "\","]);
            self.field_type(field, version);
            self.push(&[field.more, "}"]);
        }
        self.push(&["}"]);
    }

    fn field_type(&mut self, field: &Field, version: Version) {
        let with_default = self.document != Document::V2;
        let text = if with_default { r#"{"type":"string","default":""}"# } else { r#"{"type":"string"}"# };
        let default = |text: &'static str| if with_default && field.required { text } else { "" };
        match field.what {
            Type::Text => self.push(&[r#""type":"string""#, default(r#","default":"""#)]),
            Type::Flag => self.push(&[r#""type":"boolean""#, default(r#","default":false"#)]),
            Type::Int64 => self.push(&[r#""type":"integer","format":"int64""#]),
            Type::Texts => self.push(&[r#""type":"array","items":"#, text]),
            Type::TextMap => self.push(&[r#""type":"object","additionalProperties":"#, text]),
            Type::Object(model, default) => self.object(model, version, default),
            Type::Optional(model) => self.object(model, version, ""),
            Type::Objects(model) => {
                self.push(&[r#""type":"array","items":{"#]);
                self.object(model, version, "{}");
                self.push(&["}"]);
            }
            Type::ObjectMap(model) => {
                self.push(&[r#""type":"object","additionalProperties":{"#]);
                self.object(model, version, "{}");
                self.push(&["}"]);
            }
        }
    }

    /// The inside of an object that is defined elsewhere; 3.0 wraps the reference, so that a default may stand beside it.
    fn object(&mut self, model: Model, version: Version, default: &str) {
        if self.document == Document::V2 {
            return self.reference(model, version);
        }
        if !default.is_empty() {
            self.push(&[r#""default":"#, default, ","]);
        }
        self.push(&[r#""allOf":[{"#]);
        self.reference(model, version);
        self.push(&["}]"]);
    }

    fn reference(&mut self, model: Model, version: Version) {
        self.push(&[match self.document {
            Document::V2 => r##""$ref":"#/definitions/"##,
            Document::V3(_) => r##""$ref":"#/components/schemas/"##,
        }]);
        self.name(model, version);
        self.push(&["\""]);
    }

    fn name(&mut self, model: Model, version: Version) {
        match model {
            Model::Meta(name) => self.push(&["io.k8s.apimachinery.pkg.apis.meta.v1.", name]),
            Model::Metrics(name) => {
                self.push(&["io.k8s.metrics.pkg.apis.metrics.", version.name(), ".", name]);
            }
            Model::Quantity => self.push(&["io.k8s.apimachinery.pkg.api.resource.Quantity"]),
            Model::Version => self.push(&["io.k8s.apimachinery.pkg.version.Info"]),
        }
    }
}
