//! The words of a refused request: who cannot do what.
//!
//! The answers themselves (bodies, encodings) are `api::status`'s; here is what it cannot know: an impersonation is
//! denied about other things than the request. Names are in Go's quotes, and nothing in the text looks like HTML.

use super::Identity;
use super::policy::Attributes;
use crate::api::answer::Answer;
use crate::api::status;
use crate::wire::request::Head;
use crate::wire::selector::quoted;
use std::borrow::Cow;

/// What a 403 says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Denial {
    /// API group of what was denied.
    group: String,
    /// Resource that was denied; empty for a path.
    resource: String,
    /// Its name.
    name: String,
    /// Who cannot do what, and the reason of the review if it gave one.
    pub(super) because: String,
}

impl Denial {
    /// Words a denial; the reason may be empty.
    pub(super) fn new(user: &Identity, wanted: &Attributes<'_>, reason: &str) -> Denial {
        let (user, verb) = (quoted(&user.user), &wanted.verb);
        let what = if wanted.is_resource {
            let resource = match wanted.subresource {
                "" => Cow::Borrowed(wanted.resource),
                subresource => Cow::Owned(format!("{}/{subresource}", wanted.resource)),
            };
            let scope = match wanted.namespace {
                "" => "at the cluster scope".to_owned(),
                namespace => format!("in the namespace {}", quoted(namespace)),
            };
            let (resource, group) = (quoted(&resource), quoted(wanted.group));
            format!("User {user} cannot {verb} resource {resource} in API group {group} {scope}")
        } else {
            format!("User {user} cannot {verb} path {}", quoted(wanted.path))
        };
        let what = status::html_escaped(&what);
        Denial {
            group: wanted.group.to_owned(),
            resource: wanted.resource.to_owned(),
            name: wanted.name.to_owned(),
            because: if reason.is_empty() { what } else { format!("{what}: {reason}") },
        }
    }

    /// The 403.
    pub(super) fn answer(&self, head: &Head<'_>) -> Answer {
        status::forbidden_for(head, &self.group, &self.resource, &self.name, &self.because)
    }
}

/// The 400 of a wish that contradicts itself.
pub(super) fn bad_request(head: &Head<'_>, message: String) -> Answer {
    let mut answer = status::bad_request(head, message);
    answer.headers.push(("X-Content-Type-Options", Cow::Borrowed("nosniff")));
    answer
}
