//! A request as the API sees it: method, path, query, headers; and what authorization asks about it.

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
    /// The first line of a header; only the first counts where the reference reads one value.
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
    /// How long the request may take: `?timeout=`, at most (and by default) 60 s.
    pub timeout: Option<Duration>,
}

/// One selector requirement as a review carries it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requirement {
    /// Label or field key.
    pub key: String,
    /// `In`, `NotIn`, `Exists`, `DoesNotExist`.
    pub operator: &'static str,
    /// Values, sorted.
    pub values: Vec<String>,
}
