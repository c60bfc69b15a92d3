//! Why a request is refused, as a value; `serve` turns it into a status and a body.
//!
//! The text of a denial ([`std::fmt::Display`]) holds no secret. Whatever the client chose is cut at
//! [`QUOTED_LEN_MAX`] bytes, so that a refusal is small however large the request is.

use super::Identity;
use crate::limits::QUOTED_LEN_MAX;
use crate::wire::request::RequestInfo;
use crate::wire::text;
use std::fmt;

/// Why a request may not proceed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denial {
    /// 401: credentials were presented and none is valid, or some are required. The text is for the log alone.
    Unauthenticated(String),
    /// 403: known (or anonymous), and not permitted.
    Forbidden(Box<Forbidden>),
    /// 403: the request carries an `Impersonate-*` header.
    Impersonation,
    /// 500: the review that decides could not be done; the text says why.
    ReviewFailed(String),
    /// 429: too many reviews are under way; the client should try again.
    Busy,
}

/// Who cannot do what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forbidden {
    /// User name.
    pub user: String,
    /// Verb in lower case.
    pub verb: String,
    /// Path of a request that is about no resource; empty otherwise.
    pub path: String,
    /// API group.
    pub group: String,
    /// Resource; empty for a path.
    pub resource: String,
    /// Subresource; may be empty.
    pub subresource: String,
    /// Namespace; may be empty.
    pub namespace: String,
    /// Object name; may be empty.
    pub name: String,
    /// What the authorizer said; may be empty.
    pub reason: String,
}

impl Forbidden {
    /// What `user` asked for and may not do.
    pub(super) fn new(user: &Identity, info: &RequestInfo<'_>, reason: String) -> Forbidden {
        Forbidden {
            user: cut(&user.user),
            verb: cut(&info.verb),
            path: if info.is_resource { String::new() } else { cut(&info.path) },
            group: cut(&info.group),
            resource: cut(&info.resource),
            subresource: cut(&info.subresource),
            namespace: cut(&info.namespace),
            name: cut(&info.name),
            reason,
        }
    }
}

/// At most [`QUOTED_LEN_MAX`] bytes of a text.
fn cut(text: &str) -> String {
    text::cut(text, QUOTED_LEN_MAX).to_owned()
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Forbidden { user, verb, path, group, resource, subresource, namespace, .. } = self;
        write!(f, "User {user:?} cannot {verb} ")?;
        if !path.is_empty() {
            write!(f, "path {path:?}")?;
        } else {
            let slash = if subresource.is_empty() { "" } else { "/" };
            write!(f, "resource \"{resource}{slash}{subresource}\" in API group {group:?} ")?;
            if namespace.is_empty() {
                f.write_str("at the cluster scope")?;
            } else {
                write!(f, "in the namespace {namespace:?}")?;
            }
        }
        if self.reason.is_empty() { Ok(()) } else { write!(f, ": {}", self.reason) }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Denial::Unauthenticated(why) => f.write_str(why),
            Denial::Forbidden(forbidden) => forbidden.fmt(f),
            Denial::Impersonation => f.write_str(
                "impersonation is not supported here: remove the Impersonate-* headers (kube-apiserver impersonates \
                 before it proxies)",
            ),
            Denial::ReviewFailed(error) => write!(f, "the review failed: {error}"),
            Denial::Busy => f.write_str("too many reviews are under way, please try again later"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{get_path, identity, list_nodes};
    use super::*;

    #[test]
    fn what_the_client_chose_is_cut() {
        let path = format!("/{}", "ü".repeat(500_000));
        let denial = Forbidden::new(&identity(&path, &[]), &get_path(&path), String::new());
        assert!(denial.path.len() <= QUOTED_LEN_MAX && denial.path.len() > QUOTED_LEN_MAX - 2);
        assert!(denial.to_string().len() <= 3 * QUOTED_LEN_MAX);
    }

    #[test]
    fn a_denial_says_who_cannot_do_what() {
        let mut info = RequestInfo {
            resource: "pods".into(),
            subresource: "log".into(),
            namespace: "default".into(),
            ..list_nodes()
        };
        let denial = |info: &RequestInfo<'_>| {
            Forbidden::new(&identity("a\"b", &[]), info, "RBAC: no".to_owned()).to_string()
        };
        assert_eq!(
            denial(&info),
            "User \"a\\\"b\" cannot list resource \"pods/log\" in API group \"metrics.k8s.io\" in the namespace \
             \"default\": RBAC: no"
        );
        info.namespace = "".into();
        assert!(denial(&info).ends_with(" at the cluster scope: RBAC: no"));
        assert_eq!(denial(&get_path("/metrics")), "User \"a\\\"b\" cannot get path \"/metrics\": RBAC: no");
    }
}
