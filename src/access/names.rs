//! What names mean to impersonation: nodes, service accounts, and which extra keys are legal.
//!
//! Shapes and texts are those of Kubernetes' validation; everything is read in one pass over the name.

use crate::wire::selector::quoted;

/// What constrained modes hold against an extra key or its values.
pub(super) fn fault_of(key: &str, values: &[String]) -> Option<String> {
    let refused = |what: &str| Some(format!("impersonating {what} in extra is not allowed"));
    if key.is_empty() {
        return refused("the empty string key");
    }
    if let Some(fault) = path_fault(key) {
        return Some(format!("impersonating an invalid key in extra is not allowed: {fault}"));
    }
    if key.chars().any(char::is_uppercase) {
        return Some(format!("impersonating a non-lowercase key in extra is not allowed: {}", quoted(key)));
    }
    if values.iter().any(String::is_empty) {
        return refused("the empty string value");
    }
    None
}

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
    and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const PATH: &str = "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')";

/// Why a key is no domain-prefixed path, in the words of Kubernetes' validation.
fn path_fault(key: &str) -> Option<String> {
    let fault = |value: &str, what: &str| format!("extra.key: Invalid value: {}: {what}", quoted(value));
    let Some((host, path)) = key.split_once('/').filter(|(host, path)| !host.is_empty() && !path.is_empty())
    else {
        return Some(fault(key, "must be a domain-prefixed path (such as \"acme.io/foo\")"));
    };
    let mut faults = Vec::new();
    if host.len() > 253 {
        faults.push(fault(host, "must be no more than 253 bytes"));
    }
    if !is_subdomain_shaped(host) {
        faults.push(fault(host, SUBDOMAIN));
    }
    if !path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&byte)) {
        faults.push(fault(path, PATH));
    }
    match faults.as_slice() {
        [] => None,
        [fault] => Some(fault.clone()),
        faults => Some(format!("[{}]", faults.join(", "))),
    }
}

/// Labels of lower-case letters, digits and inner dashes, joined by dots.
fn is_subdomain_shaped(name: &str) -> bool {
    name.split('.').all(|label| {
        label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
    })
}

/// The node a user name stands for.
pub(super) fn node_name(user: &str) -> Option<&str> {
    user.strip_prefix("system:node:").filter(|name| name.len() <= 253 && is_subdomain_shaped(name))
}

/// Namespace and name of the service account a user name stands for.
pub(super) fn account_name(user: &str) -> Option<(&str, &str)> {
    let (namespace, name) = user.strip_prefix("system:serviceaccount:")?.split_once(':')?;
    let is_namespace = namespace.len() <= 63 && !namespace.contains('.') && is_subdomain_shaped(namespace);
    (is_namespace && name.len() <= 253 && is_subdomain_shaped(name)).then_some((namespace, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_almost_nodes_or_accounts_are_neither() {
        let long = format!("system:node:{}", "a".repeat(254));
        for user in [
            "system:node:",
            "system:node:-a",
            "system:node:A",
            "system:node:a..b",
            "system:nodes:a",
            "node:a",
            &long,
        ] {
            assert_eq!(node_name(user), None, "{user}");
        }
        let long = format!("system:serviceaccount:{}:a", "n".repeat(64));
        for user in [
            "system:serviceaccount:a",
            "system:serviceaccount:a:b:c",
            "system:serviceaccount::b",
            "system:serviceaccount:a:",
            "system:serviceaccount:a.b:c",
            "system:serviceaccount:a:B",
            &long,
        ] {
            assert_eq!(account_name(user), None, "{user}");
        }
        assert_eq!(node_name("system:node:edge-1.lan"), Some("edge-1.lan"));
        assert_eq!(account_name("system:serviceaccount:kube-system:a.b"), Some(("kube-system", "a.b")));
    }

    #[test]
    fn extra_keys_and_values_that_constrained_modes_refuse_are_named() {
        let fault = |key: &str, value: &str| fault_of(key, &[value.to_owned()]);
        assert_eq!(fault("acme.io/key", "x"), None);
        assert_eq!(
            fault("", "x").as_deref(),
            Some("impersonating the empty string key in extra is not allowed")
        );
        assert_eq!(
            fault("acme.io/k", "").as_deref(),
            Some("impersonating the empty string value in extra is not allowed")
        );
        assert_eq!(
            fault("acme.io/Key", "x").as_deref(),
            Some("impersonating a non-lowercase key in extra is not allowed: \"acme.io/Key\"")
        );
        assert_eq!(
            fault("scopes", "x").as_deref(),
            Some(
                "impersonating an invalid key in extra is not allowed: extra.key: Invalid value: \"scopes\": must be a \
                 domain-prefixed path (such as \"acme.io/foo\")"
            )
        );
        assert!(
            fault("-/a b", "x")
                .is_some_and(|text| text.contains("[extra.key: Invalid value: \"-\": a lowercase"))
        );
    }
}
