//! What a label key and a label value may be, and one sentence on what is wrong with them.

/// Longest name part of a key, and longest value.
const LABEL_LEN_MAX: usize = 63;
/// Longest prefix of a key.
const PREFIX_LEN_MAX: usize = 253;

/// What is wrong with a label key.
pub(super) fn key_fault(key: &str) -> Option<&'static str> {
    let name = match key.split_once('/') {
        None => key,
        Some((prefix, name)) => {
            if prefix.len() > PREFIX_LEN_MAX || !is_subdomain(prefix) {
                return Some(
                    "must have a DNS subdomain before '/': at most 253 lower-case letters, digits, '-' and '.'",
                );
            }
            name
        }
    };
    (name.len() > LABEL_LEN_MAX || !is_name(name)).then_some(
        "must have a name of 1 to 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit",
    )
}

/// What is wrong with a label value.
pub(super) fn value_fault(value: &str) -> Option<&'static str> {
    (value.len() > LABEL_LEN_MAX || !(value.is_empty() || is_name(value))).then_some(
        "must have at most 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit",
    )
}

/// Letters, digits, `-`, `_` and `.`, the first and last a letter or digit.
fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// Labels of lower-case letters, digits and `-`, joined by points.
fn is_subdomain(text: &str) -> bool {
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    text.split('.').all(|label| {
        edge(label.bytes().next())
            && edge(label.bytes().next_back())
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    })
}
