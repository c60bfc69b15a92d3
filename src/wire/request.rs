//! A request as the API sees it: method, path, query, headers; and what authorization asks about it.
//!
//! Deviation: a verb in the path without a resource (`/apis/GROUP/VERSION/watch`) is an unknown resource, not a 500.

use super::percent;
use super::selector::{FieldSelector, LabelSelector};
use super::text::quoted;
use super::time::parse_duration;
use crate::limits::REQUEST_TIME_MAX;
use miniserde::Serialize;
use std::borrow::Cow;
use std::time::Duration;

/// One header line; names compare without case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Name as sent.
    pub name: &'a str,
    /// Value, trimmed of blanks at both ends.
    pub value: &'a [u8],
}

/// A request head, after `serve` checked its framing.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// Method as sent.
    pub method: &'a str,
    /// Path as sent, not decoded, without the query; always starts with `/` (absolute-form is reduced to it).
    pub path: &'a str,
    /// Query as sent, without `?`; `None` when there was no `?`.
    pub query: Option<&'a str>,
    /// Header lines in order.
    pub headers: &'a [Header<'a>],
}

impl<'a> Head<'a> {
    /// The first line of a header; only the first counts where metrics-server reads one value.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&'a [u8]> {
        self.headers.iter().find(|h| h.name.eq_ignore_ascii_case(name)).map(|h| h.value)
    }
    /// Every line of a header, in order.
    pub fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'a [u8]> + 's {
        self.headers.iter().filter(move |h| h.name.eq_ignore_ascii_case(name)).map(|h| h.value)
    }
}

/// What a request asks for, in the words of authorization (Kubernetes' `RequestInfo`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestInfo<'a> {
    /// Percent-decoded path (once).
    pub path: Cow<'a, str>,
    /// `get`, `list`, `watch`, `create`, ... for resources, empty for odd methods; lower-case method otherwise.
    pub verb: Cow<'a, str>,
    /// A path of at least four parts below `/apis` (or three below `/api`).
    pub is_resource: bool,
    /// API group.
    pub group: Cow<'a, str>,
    /// API version.
    pub version: Cow<'a, str>,
    /// Namespace; empty at cluster scope.
    pub namespace: Cow<'a, str>,
    /// Resource, for example `nodes`.
    pub resource: Cow<'a, str>,
    /// Subresource; empty as a rule.
    pub subresource: Cow<'a, str>,
    /// Object name; also set by `fieldSelector=metadata.name=x` on a list.
    pub name: Cow<'a, str>,
    /// Field selector requirements for the review: key, operator (`In`, `NotIn`), value.
    pub field_requirements: Vec<Requirement>,
    /// Label selector requirements for the review.
    pub label_requirements: Vec<Requirement>,
    /// How long the request may take: `?timeout=`, at most (and by default) 60 s. `None` for a watch.
    pub timeout: Option<Duration>,
}

/// One selector requirement as a review carries it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Requirement {
    /// Label or field key.
    pub key: String,
    /// `In`, `NotIn`, `Exists`, `DoesNotExist`.
    pub operator: &'static str,
    /// Values, sorted.
    pub values: Vec<String>,
}

impl<'a> RequestInfo<'a> {
    /// Reads a request as Kubernetes does; never fails, what makes no sense is a path without a resource.
    #[must_use]
    pub fn new(head: &Head<'a>) -> RequestInfo<'a> {
        let path = percent_decoded(head.path, false);
        let mut info = RequestInfo { verb: lower(head.method), ..RequestInfo::default() };
        match &path {
            Cow::Borrowed(path) => info.read_path(head, path, Cow::Borrowed),
            Cow::Owned(path) => info.read_path(head, path, |part| Cow::Owned(part.to_owned())),
        }
        info.path = path;
        if !info.watches() {
            info.timeout = Some(timeout(head.query));
        }
        info
    }

    /// A watch has no deadline and its `timeout` is not read: it ends by itself, here with a 405.
    fn watches(&self) -> bool {
        self.verb == "watch"
    }

    fn read_path<'p>(&mut self, head: &Head<'a>, path: &'p str, own: impl Fn(&'p str) -> Cow<'a, str>) {
        let mut parts = path.trim_matches('/').split('/').peekable();
        let group = match parts.next() {
            Some("apis") => parts.next(),
            Some("api") => Some(""),
            _ => None,
        };
        let (Some(group), Some(version), Some(_)) = (group, parts.next(), parts.peek()) else { return };
        (self.is_resource, self.group, self.version) = (true, own(group), own(version));
        let by_path = parts.next_if(|part| matches!(*part, "watch" | "proxy"));
        self.verb = by_path.map_or(Cow::Borrowed(verb_of(head.method)), &own);
        self.read_resource(parts, own);
        if self.name.is_empty() && self.verb == "get" {
            self.read_options(head.query);
        }
        if self.name.is_empty() && self.verb == "delete" {
            self.verb = Cow::Borrowed("deletecollection");
        }
        if by_path.is_none() && matches!(&*self.verb, "list" | "watch" | "deletecollection") {
            self.read_selectors(head.query);
        }
    }

    /// Reads what follows the version: `[namespaces/NAMESPACE/]RESOURCE[/NAME[/SUBRESOURCE]]`.
    fn read_resource<'p>(
        &mut self,
        mut parts: std::iter::Peekable<impl Iterator<Item = &'p str>>,
        own: impl Fn(&'p str) -> Cow<'a, str>,
    ) {
        let Some(first) = parts.next() else { return };
        let mut rest = parts;
        let (mut resource, mut name) = (first, rest.next());
        if first == "namespaces"
            && let Some(namespace) = name
        {
            self.namespace = own(namespace);
            // A namespace's own subresources are not resources within it.
            if let Some(within) = rest.next_if(|part| !matches!(*part, "status" | "finalize")) {
                (resource, name) = (within, rest.next());
            }
        }
        self.resource = own(resource);
        if let Some(name) = name {
            self.name = own(name);
        }
        // The verb "proxy" takes the rest of the path for itself.
        if let Some(subresource) = rest.next()
            && self.verb != "proxy"
        {
            self.subresource = own(subresource);
        }
    }

    /// A get without a name is a list or a watch, and a list may be pinned to one name.
    fn read_options(&mut self, query: Option<&str>) {
        self.verb = Cow::Borrowed(if is_true(query, "watch") { "watch" } else { "list" });
        let fields = FieldSelector::parse(&parameter(query, "fieldSelector").unwrap_or_default());
        if let Some(name) = fields.as_ref().ok().and_then(|fields| fields.exact("metadata.name"))
            && !matches!(name, "." | "..")
            && !name.contains(['/', '%'])
        {
            self.name = Cow::Owned(name.to_owned());
        }
    }

    /// What a review may narrow its question by; a selector that cannot be read narrows nothing.
    fn read_selectors(&mut self, query: Option<&str>) {
        if let Some(Ok(fields)) = parameter(query, "fieldSelector").map(|text| FieldSelector::parse(&text)) {
            self.field_requirements = fields
                .terms()
                .map(|(key, equal, value)| Requirement {
                    key: key.to_owned(),
                    operator: if equal { "In" } else { "NotIn" },
                    values: vec![value.to_owned()],
                })
                .collect();
        }
        if let Some(Ok(labels)) = parameter(query, "labelSelector").map(|text| LabelSelector::parse(&text)) {
            self.label_requirements = labels
                .requirements()
                .map(|(key, operator, values)| Requirement {
                    key: key.to_owned(),
                    operator,
                    values: values.to_vec(),
                })
                .collect();
        }
    }
}

/// The verb of a method on a resource; empty for methods that Kubernetes does not know.
fn verb_of(method: &str) -> &'static str {
    match method {
        "POST" => "create",
        "GET" | "HEAD" => "get",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" => "delete",
        _ => "",
    }
}

fn lower(method: &str) -> Cow<'_, str> {
    match method {
        "GET" => Cow::Borrowed("get"),
        method if method.bytes().any(|b| b.is_ascii_uppercase()) => Cow::Owned(method.to_ascii_lowercase()),
        method => Cow::Borrowed(method),
    }
}

/// How long a request may take; values that cannot be read, are not positive or are too long give the maximum.
fn timeout(query: Option<&str>) -> Duration {
    let asked = parameter(query, "timeout").and_then(|text| parse_duration(&text).ok());
    let nanos = asked.and_then(|nanos| u64::try_from(nanos).ok()).filter(|nanos| *nanos > 0);
    nanos.map_or(REQUEST_TIME_MAX, |nanos| Duration::from_nanos(nanos).min(REQUEST_TIME_MAX))
}

/// The first value of a query parameter, decoded.
#[must_use]
pub fn parameter<'q>(query: Option<&'q str>, name: &str) -> Option<Cow<'q, str>> {
    parameters(query, name).next()
}

/// Every value of a query parameter, decoded. Pairs with a bad escape or a `;` do not count, as in Go.
pub fn parameters<'q, 'n>(
    query: Option<&'q str>,
    name: &'n str,
) -> impl Iterator<Item = Cow<'q, str>> + use<'q, 'n> {
    let pairs = query.unwrap_or("").split('&').filter(|pair| !pair.is_empty() && !pair.contains(';'));
    pairs.filter_map(move |pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        // Only a pair that can be decoded as a whole counts.
        (percent::is_well_formed(key) && percent::is_well_formed(value) && percent_decoded(key, true) == name)
            .then(|| percent_decoded(value, true))
    })
}

/// Whether a switch among the parameters is on: present, and neither `0` nor `false`.
#[must_use]
pub fn is_true(query: Option<&str>, name: &str) -> bool {
    parameter(query, name).is_some_and(|value| &*value != "0" && !value.eq_ignore_ascii_case("false"))
}

/// A whole number of 64 bits.
/// # Errors
/// One line that names the text.
pub fn integer(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| format!("expected a whole number, found {}", quoted(text)))
}

/// Decodes `%XX`, and `+` as a blank when asked to; a bad escape stays as it is. Bytes that are not UTF-8 become U+FFFD,
/// which no name contains, so that they match nothing.
fn percent_decoded(text: &str, plus_is_blank: bool) -> Cow<'_, str> {
    match percent::decoded(text, plus_is_blank) {
        Cow::Borrowed(_) => Cow::Borrowed(text),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

#[cfg(test)]
mod tests;
