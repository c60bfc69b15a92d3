//! Paths to answers, all on one screen.
//!
//! Paths below the API group belong to a router that knows GET alone and answers the rest with a `Status`; a path's last
//! slashes do not count there. Everything else is compared exactly, takes any method, and is answered with the list of
//! paths when nothing is there. Nothing is cleaned: `//` and `..` are parts like any other.
//! Deviation: the debugging pages of Go and its libraries (`/debug/pprof`, `/debug/flags`, `/statusz`) are not served.
//! Source: the director of `k8s.io/apiserver`, go-restful's router, `handlers/get.go`.

use super::answer::{Answer, Body};
use super::negotiate::{self, Choice, Produces, Transform};
use super::query::{self, ListOptions};
use super::view::{Form, Include, Object, Resource, Selection};
use super::{Context, list, status};
use crate::wire::request::{Head, RequestInfo};
use crate::wire::selector::LabelSelector;

/// Answers an authorized request.
#[must_use]
pub fn answer(context: &Context<'_>, head: &Head<'_>, info: &RequestInfo<'_>) -> Answer {
    let path = &*info.path;
    if let Some(below) = below(path, "/apis/metrics.k8s.io") {
        return group(context, head, info, below);
    }
    if let Some(below) = below(path, "/version") {
        return if below.is_empty() { version(head) } else { status::unknown_resource(head) };
    }
    match path {
        "/apis" | "/apis/" => super::discovery::answer(context, head, info),
        "/metrics" => super::metrics_page::answer(context),
        "/" | "/index.html" => super::index::root(),
        _ if path.starts_with("/openapi/") => super::openapi::answer(head, info),
        _ => super::health::answer(context, head, info),
    }
}

/// The rest of a path below a root, slashes at its ends cut off; `None` when it lies elsewhere.
fn below<'p>(path: &'p str, root: &str) -> Option<&'p str> {
    let rest = path.strip_prefix(root)?;
    (rest.is_empty() || rest.starts_with('/')).then(|| {
        let rest = rest.trim_end_matches('/');
        rest.strip_prefix('/').unwrap_or(rest)
    })
}

/// The API group: discovery, and the two resources in both versions.
fn group(context: &Context<'_>, head: &Head<'_>, info: &RequestInfo<'_>, below: &str) -> Answer {
    let (version, resource) = below.split_once('/').unwrap_or((below, ""));
    let api_version = match version {
        "" if resource.is_empty() => return super::discovery::answer(context, head, info),
        "v1" => "metrics.k8s.io/v1",
        "v1beta1" => "metrics.k8s.io/v1beta1",
        _ => return status::unknown_resource(head),
    };
    if resource.is_empty() {
        return super::discovery::answer(context, head, info);
    }
    let mut parts = [""; 4];
    let mut count = 0;
    for part in resource.split('/') {
        match parts.get_mut(count) {
            Some(slot) => *slot = part,
            None => return status::unknown_resource(head),
        }
        count += 1;
    }
    let (resource, is_list) = match (parts, count) {
        (["nodes", ..], 1) => (Resource::Nodes, true),
        (["nodes", ..], 2) => (Resource::Nodes, false),
        (["pods", ..], 1) | (["namespaces", _, "pods", _], 3) => (Resource::Pods, true),
        (["namespaces", _, "pods", _], 4) => (Resource::Pods, false),
        _ => return status::unknown_resource(head),
    };
    if head.method != "GET" {
        return status::method_not_allowed(head);
    }
    let request = Request { context, head, info, api_version, resource };
    let answered = if is_list { request.list() } else { request.object() };
    answered.unwrap_or_else(|refusal| refusal)
}

fn version(head: &Head<'_>) -> Answer {
    if head.method != "GET" {
        return status::method_not_allowed(head);
    }
    match negotiate::consume(head, Produces::JsonOnly) {
        Ok(()) => super::version::answer(head),
        Err(refusal) => refusal,
    }
}

/// A GET of metrics.
struct Request<'r, 'a> {
    context: &'r Context<'r>,
    head: &'r Head<'a>,
    info: &'r RequestInfo<'a>,
    api_version: &'static str,
    resource: Resource,
}

impl<'a> Request<'_, 'a> {
    fn list(&self) -> Result<Answer, Answer> {
        negotiate::route(self.head, Produces::Lists)?;
        let (choice, transform) = negotiate::metrics(self.head)?;
        let options = ListOptions::read(self.head, self.resource)?;
        if options.watch {
            return Err(status::watch_not_supported(self.head, self.resource.name()));
        }
        let form = self.form(transform)?;
        if let Transform::Partial(_) = transform {
            let list = format!("is a list (*metrics.{})", self.resource.list_kind());
            return Err(self.wrong_form("PartialObjectMetadata", &list));
        }
        let selection = Selection {
            resource: self.resource,
            namespace: (!self.info.namespace.is_empty()).then(|| self.info.namespace.to_string()),
            labels: options.labels,
            node_labels: match self.resource {
                Resource::Nodes => self.context.settings.node_selector.clone(),
                Resource::Pods => LabelSelector::default(),
            },
            fields: options.fields,
        };
        let body = list::body(selection, form, &choice, self.context.store, self.context.metrics);
        Ok(ok(&choice, body))
    }

    fn object(&self) -> Result<Answer, Answer> {
        negotiate::route(self.head, Produces::Documents)?;
        let (choice, transform) = negotiate::metrics(self.head)?;
        query::check_get(self.head)?;
        let object = self.find()?;
        object.observe(self.context.now, self.context.metrics);
        let form = self.form(transform)?;
        if let Transform::PartialList(_) = transform {
            let not_a_list = format!("is not a list (*metrics.{})", self.resource.kind());
            return Err(self.wrong_form("PartialObjectMetadataList", &not_a_list));
        }
        Ok(ok(&choice, Body::Whole(list::single(&object, &form, &choice))))
    }

    /// The object by name; the node selector does not hide nodes from those who know their name.
    fn find(&self) -> Result<Object<'_>, Answer> {
        let (store, head) = (self.context.store, self.head);
        let (namespace, name) = (&*self.info.namespace, &*self.info.name);
        match self.resource {
            Resource::Nodes => {
                let node = store.node(name).ok_or_else(|| status::unknown_object(head, "node", name))?;
                Object::of_node(&node).ok_or_else(|| status::no_metrics(head, "nodemetrics", name))
            }
            Resource::Pods => {
                let pod =
                    store.pod(namespace, name).ok_or_else(|| status::unknown_object(head, "pods", name))?;
                Object::of_pod(&pod)
                    .ok_or_else(|| status::no_metrics(head, "podmetrics", &format!("{namespace}/{name}")))
            }
        }
    }

    fn form(&self, transform: Transform) -> Result<Form, Answer> {
        let include = match transform {
            Transform::Table(_) => query::include_object(self.head)?,
            _ => Include::default(),
        };
        Ok(Form { api_version: self.api_version, transform, include, now: self.context.now })
    }

    /// 406: metadata of a list was asked for and there is one object, or the other way round.
    fn wrong_form(&self, asked: &str, what: &str) -> Answer {
        let message = format!("you requested {asked}, but the requested object {what}");
        status::Status::failure(406, "NotAcceptable", message).answer(self.head)
    }
}

fn ok(choice: &Choice<'_>, body: Body) -> Answer {
    Answer { status: 200, headers: vec![("Content-Type", choice.media.content_type().into())], body }
}
