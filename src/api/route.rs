//! Paths to answers, all on one screen.
//!
//! Paths below the API group belong to a router that knows GET alone and answers the rest with a `Status`; a path's last
//! slashes do not count there. Everything else is compared exactly, takes any method, and is answered with the list of
//! paths when nothing is there. Nothing is cleaned: `//` and `..` are parts like any other.
//! Deviation: the debugging pages of Go and its libraries (`/debug/pprof`, `/debug/flags`, `/statusz`) are not served.

use super::answer::{Answer, Body};
use super::context::Context;
use super::negotiate::{self, Rendition};
use super::query::{self, ListOptions};
use super::selection::Selection;
use super::status::Status;
use super::status_page::{self, Notation};
use super::view::{Form, Include, MetricsObject, Resource};
use super::{discovery, list, usage_page};
use crate::wire::request::{Head, RequestInfo};
use crate::wire::selector::LabelSelector;

/// Answers an authorized request. Lists come back as a body that is encoded piece by piece.
/// # Errors
/// The refusal, if the API has one.
pub fn answer(context: &Context<'_>, head: &Head<'_>, info: &RequestInfo<'_>) -> Result<Answer, Status> {
    let path = &*info.path;
    if let Some(below) = below(path, "/apis/metrics.k8s.io") {
        return group(context, head, info, below);
    }
    if let Some(below) = below(path, "/version") {
        return match (below, head.method) {
            ("", "GET") => super::version::answer(head),
            ("", _) => Err(Status::method_not_allowed()),
            _ => Err(Status::unknown_resource()),
        };
    }
    match path {
        "/apis" | "/apis/" if head.method != "GET" => Err(Status::method_not_allowed()),
        "/apis" | "/apis/" => discovery::groups(&context.settings.server_address, head),
        "/allocatable" if head.method == "GET" => Ok(super::allocatable::answer()),
        "/metrics/usage" if context.settings.usage_metrics => Ok(usage_page::answer()),
        "/metrics" => Ok(super::metrics_page::answer(context)),
        "/status" | "/status.json" if !matches!(head.method, "GET" | "HEAD") => {
            Err(Status::method_not_allowed())
        }
        "/status" => Ok(status_page::answer(context, head, Notation::Html)),
        "/status.json" => Ok(status_page::answer(context, head, Notation::Json)),
        "/" | "/index.html" => Ok(super::index::root()),
        _ if path.starts_with("/openapi/") => Ok(super::openapi::answer(head, info)),
        _ => Ok(super::health::answer(context, head, info).unwrap_or_else(super::index::not_found)),
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
fn group(
    context: &Context<'_>,
    head: &Head<'_>,
    info: &RequestInfo<'_>,
    below: &str,
) -> Result<Answer, Status> {
    let (version, resource) = below.split_once('/').unwrap_or((below, ""));
    let api_version = match version {
        "" if resource.is_empty() => "",
        "v1" => "metrics.k8s.io/v1",
        "v1beta1" => "metrics.k8s.io/v1beta1",
        _ => return Err(Status::unknown_resource()),
    };
    let mut parts = resource.split('/');
    let wanted = match [parts.next(), parts.next(), parts.next(), parts.next(), parts.next()] {
        [Some(""), None, ..] => None,
        [Some("nodes"), None, ..] => Some((Resource::Nodes, true)),
        [Some("nodes"), Some(_), None, ..] => Some((Resource::Nodes, false)),
        [Some("pods"), None, ..] | [Some("namespaces"), Some(_), Some("pods"), None, ..] => {
            Some((Resource::Pods, true))
        }
        [Some("namespaces"), Some(_), Some("pods"), Some(_), None] => Some((Resource::Pods, false)),
        _ => return Err(Status::unknown_resource()),
    };
    if head.method != "GET" {
        return Err(Status::method_not_allowed());
    }
    let Some((resource, is_list)) = wanted else { return discovery::group_or_version(api_version, head) };
    let request = MetricsRequest { context, head, info, api_version, resource };
    if is_list { request.list() } else { request.object() }
}

/// A GET of metrics.
struct MetricsRequest<'r, 'a> {
    context: &'r Context<'r>,
    head: &'r Head<'a>,
    info: &'r RequestInfo<'a>,
    api_version: &'static str,
    resource: Resource,
}

impl MetricsRequest<'_, '_> {
    fn list(&self) -> Result<Answer, Status> {
        let choice = negotiate::metrics(self.head)?;
        let options = ListOptions::read(self.head.query, self.resource)?;
        if options.watch {
            return Err(Status::watch_not_supported(self.resource.name()));
        }
        let form = self.form(choice.rendition)?;
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
        let body = list::body(selection, form, &choice, self.context.store);
        Ok(Answer::ok(choice.media.content_type(), body))
    }

    fn object(&self) -> Result<Answer, Status> {
        let choice = negotiate::metrics(self.head)?;
        query::check_get(self.head.query)?;
        let object = self.find()?;
        let form = self.form(choice.rendition)?;
        object.observe(self.context.now, self.context.metrics);
        Ok(Answer::ok(choice.media.content_type(), Body::Whole(list::single(&object, &form, &choice))))
    }

    /// The object by name; the node selector does not hide nodes from those who know their name.
    fn find(&self) -> Result<MetricsObject<'_>, Status> {
        let store = self.context.store;
        let (namespace, name) = (&*self.info.namespace, &*self.info.name);
        match self.resource {
            Resource::Nodes => {
                let node = store.node(name).ok_or_else(|| Status::unknown_object("node", name))?;
                MetricsObject::of_node(&node).ok_or_else(|| Status::no_metrics("nodemetrics", name))
            }
            Resource::Pods => {
                let pod = store.pod(namespace, name).ok_or_else(|| Status::unknown_object("pods", name))?;
                MetricsObject::of_pod(&pod)
                    .ok_or_else(|| Status::no_metrics("podmetrics", &format!("{namespace}/{name}")))
            }
        }
    }

    fn form(&self, rendition: Rendition) -> Result<Form, Status> {
        let is_table = rendition == Rendition::Table;
        let include = if is_table { query::include_object(self.head.query)? } else { Include::default() };
        Ok(Form::new(self.api_version, is_table, include, self.context.now))
    }
}
