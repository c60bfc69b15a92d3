//! Who may do what: members of `system:masters` everything, everybody the always-allowed paths, and for the rest a
//! SubjectAccessReview asks the cluster - or, without a cluster, reading is allowed and nothing else.
//!
//! The review's `spec` is made here. It is also the key of the verdict cache, so two requests share a verdict only if the
//! cluster would see no difference.

use super::identity::ANONYMOUS;
use super::review::{Asked, Question};
use super::{Identity, Mode, Policy};
use crate::limits::CACHEABLE_LEN_MAX;
use crate::wire::request::{RequestInfo, Requirement};
use miniserde::{Serialize, json};
use std::collections::BTreeMap;

/// The group that may do everything.
const MASTERS: &str = "system:masters";

/// Roots of the paths that are served on the local socket beside the resources themselves.
const LOCAL_PATHS: [&str; 9] = [
    "/allocatable",
    "/apis/metrics.k8s.io",
    "/apis",
    "/healthz",
    "/livez",
    "/readyz",
    "/version",
    "/status",
    "/status.json",
];

/// Whether the local socket serves a request: reading usage, its discovery, readiness and status.
pub(super) fn local_socket_serves(wanted: &RequestInfo<'_>) -> bool {
    if wanted.is_resource {
        return matches!(&*wanted.verb, "get" | "list")
            && wanted.group == "metrics.k8s.io"
            && matches!(&*wanted.resource, "nodes" | "pods")
            && wanted.subresource.is_empty();
    }
    let is_at_or_below = |root: &str| {
        let rest = wanted.path.strip_prefix(root);
        rest.is_some_and(|rest| rest.is_empty() || rest == "/" || (root != "/apis" && rest.starts_with('/')))
    };
    wanted.verb == "get" && LOCAL_PATHS.iter().any(|root| is_at_or_below(root))
}

/// What policy says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Allow,
    Deny,
    Ask(Question),
}

impl Policy {
    /// Checks `--authorization-always-allow-paths`.
    /// # Errors
    /// The path that has a `*` elsewhere than at its end.
    pub fn check_paths(paths: &[String]) -> Result<(), String> {
        match paths.iter().find(|path| path.strip_suffix('*').unwrap_or(path).contains('*')) {
            Some(path) => Err(format!("only trailing * allowed in {path:?}")),
            None => Ok(()),
        }
    }

    /// Decides what can be decided here.
    pub(super) fn decide(&self, user: &Identity, wanted: &RequestInfo<'_>) -> Decision {
        if user.groups.iter().any(|group| group == MASTERS) || self.always_allows(wanted) {
            return Decision::Allow;
        }
        let is_reading = matches!(
            (&*wanted.verb, wanted.is_resource),
            ("get", _) | ("list" | "watch", true) | ("head", false)
        );
        match self.mode {
            Mode::Delegated => Decision::Ask(question(user, wanted)),
            Mode::HostAnonymous if is_reading => Decision::Allow,
            Mode::HostClientCertificate if is_reading && user.user != ANONYMOUS => Decision::Allow,
            Mode::HostAnonymous | Mode::HostClientCertificate => Decision::Deny,
        }
    }

    fn always_allows(&self, wanted: &RequestInfo<'_>) -> bool {
        fn trimmed(path: &str) -> &str {
            path.strip_prefix('/').unwrap_or(path)
        }
        let path = trimmed(&wanted.path);
        let is_match = |allowed: &String| match allowed.strip_suffix('*') {
            Some(prefix) => path.starts_with(trimmed(prefix)),
            None => path == trimmed(allowed),
        };
        !wanted.is_resource && self.always_allow_paths.iter().any(is_match)
    }
}

/// `spec` of a SubjectAccessReview; an empty member is as good as none.
#[derive(Serialize)]
struct AccessSpec<'a> {
    #[serde(rename = "resourceAttributes")]
    resource: Option<ResourceAttributes<'a>>,
    #[serde(rename = "nonResourceAttributes")]
    path: Option<PathAttributes<'a>>,
    user: &'a str,
    groups: &'a Vec<String>,
    extra: BTreeMap<&'a str, &'a Vec<String>>,
    uid: &'a str,
}

#[derive(Serialize)]
struct ResourceAttributes<'a> {
    namespace: &'a str,
    verb: &'a str,
    group: &'a str,
    version: &'a str,
    resource: &'a str,
    subresource: &'a str,
    name: &'a str,
    #[serde(rename = "fieldSelector")]
    fields: Option<ReviewedSelector<'a>>,
    #[serde(rename = "labelSelector")]
    labels: Option<ReviewedSelector<'a>>,
}

#[derive(Serialize)]
struct PathAttributes<'a> {
    path: &'a str,
    verb: &'a str,
}

#[derive(Serialize)]
struct ReviewedSelector<'a> {
    requirements: &'a Vec<Requirement>,
}

/// The SubjectAccessReview.
fn question(user: &Identity, wanted: &RequestInfo<'_>) -> Question {
    let RequestInfo { path, verb, group, version, namespace, resource, subresource, name, .. } = wanted;
    let selector =
        |requirements| Some(ReviewedSelector { requirements }).filter(|it| !it.requirements.is_empty());
    let spec = AccessSpec {
        resource: wanted.is_resource.then(|| ResourceAttributes {
            namespace,
            verb,
            group,
            version,
            resource,
            subresource,
            name,
            fields: selector(&wanted.field_requirements),
            labels: selector(&wanted.label_requirements),
        }),
        path: (!wanted.is_resource).then_some(PathAttributes { path, verb }),
        user: &user.user,
        groups: &user.groups,
        extra: user.extra.iter().map(|(key, values)| (&**key, values)).collect(),
        uid: &user.uid,
    };
    // What the client chose, as Kubernetes counts it.
    let own_len: usize = [path, verb, group, version, namespace, resource, subresource, name]
        .iter()
        .map(|text| text.len())
        .sum();
    Question {
        asked: Asked::Access { spec: json::to_string(&spec), cacheable: own_len < CACHEABLE_LEN_MAX },
        is_unauthenticated: user.user == ANONYMOUS,
    }
}

#[cfg(test)]
mod tests;
