//! Who may do what: members of `system:masters` everything, everybody the always-allowed paths, and for the rest a
//! SubjectAccessReview asks the cluster - or, without a cluster, reading is allowed and nothing else.
//!
//! The review's `spec` is written here as Go encodes its structs: same members, same order, empty ones left out. It is
//! also the key of the verdict cache, so two requests share a verdict only if the cluster would see no difference.

use super::identity::ANONYMOUS;
use super::review::{Asked, Question};
use super::{Identity, Mode, Policy};
use crate::limits::CACHEABLE_LEN_MAX;
use crate::wire::request::{RequestInfo, Requirement};

/// The group that may do everything.
const MASTERS: &str = "system:masters";

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

/// The SubjectAccessReview.
fn question(user: &Identity, wanted: &RequestInfo<'_>) -> Question {
    let mut spec = Json(String::with_capacity(512));
    if wanted.is_resource {
        spec.open("resourceAttributes");
        spec.member("namespace", &wanted.namespace);
        spec.member("verb", &wanted.verb);
        spec.member("group", &wanted.group);
        spec.member("version", &wanted.version);
        spec.member("resource", &wanted.resource);
        spec.member("subresource", &wanted.subresource);
        spec.member("name", &wanted.name);
        spec.requirements("fieldSelector", &wanted.field_requirements);
        spec.requirements("labelSelector", &wanted.label_requirements);
    } else {
        spec.open("nonResourceAttributes");
        spec.member("path", &wanted.path);
        spec.member("verb", &wanted.verb);
    }
    spec.0.push('}');
    let own_len = spec.0.len();
    spec.member("user", &user.user);
    spec.list("groups", &user.groups);
    if !user.extra.is_empty() {
        spec.open("extra");
        for (key, values) in &user.extra {
            spec.key(key);
            spec.array(values);
        }
        spec.0.push('}');
    }
    spec.member("uid", &user.uid);
    spec.0.push('}');
    Question {
        asked: Asked::Access { spec: spec.0, cacheable: own_len < CACHEABLE_LEN_MAX },
        is_unauthenticated: user.user == ANONYMOUS,
    }
}

/// JSON under construction; members add their own commas.
struct Json(String);

impl Json {
    /// Opens an object: the document's on the first call, a member's later.
    fn open(&mut self, key: &str) {
        if self.0.is_empty() {
            self.0.push('{');
        }
        self.key(key);
        self.0.push('{');
    }

    fn key(&mut self, key: &str) {
        if !self.0.ends_with(['{', '[']) {
            self.0.push(',');
        }
        self.string(key);
        self.0.push(':');
    }

    /// A text member; an empty one is left out.
    fn member(&mut self, key: &str, value: &str) {
        if !value.is_empty() {
            self.key(key);
            self.string(value);
        }
    }

    /// A list member; an empty one is left out.
    fn list(&mut self, key: &str, values: &[String]) {
        if !values.is_empty() {
            self.key(key);
            self.array(values);
        }
    }

    fn array(&mut self, values: &[String]) {
        self.0.push('[');
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                self.0.push(',');
            }
            self.string(value);
        }
        self.0.push(']');
    }

    fn requirements(&mut self, key: &str, requirements: &[Requirement]) {
        if requirements.is_empty() {
            return;
        }
        self.open(key);
        self.key("requirements");
        self.0.push('[');
        for (index, requirement) in requirements.iter().enumerate() {
            self.0.push_str(if index > 0 { ",{" } else { "{" });
            self.key("key");
            self.string(&requirement.key);
            self.key("operator");
            self.string(requirement.operator);
            self.list("values", &requirement.values);
            self.0.push('}');
        }
        self.0.push_str("]}");
    }

    fn string(&mut self, text: &str) {
        self.0.push('"');
        if !text.bytes().any(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
            self.0.push_str(text);
            self.0.push('"');
            return;
        }
        for c in text.chars() {
            match c {
                '"' => self.0.push_str("\\\""),
                '\\' => self.0.push_str("\\\\"),
                '\u{0}'..='\u{1f}' => {
                    let code = u32::from(c);
                    self.0.push_str("\\u00");
                    self.0.extend(
                        [code >> 4, code & 15].map(|digit| char::from_digit(digit, 16).unwrap_or('0')),
                    );
                }
                _ => self.0.push(c),
            }
        }
        self.0.push('"');
    }
}

#[cfg(test)]
mod tests;
