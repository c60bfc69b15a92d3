//! What a label key and a label value may be, and how the reference words what is wrong with them.

use crate::wire::stray_byte;

/// A string in Go's double quotes (`%q`).
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        if let Some(byte) = stray_byte(c) {
            out.push_str(&format!("\\x{byte:02x}"));
            continue;
        }
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0b' => out.push_str("\\v"),
            '\x0c' => out.push_str("\\f"),
            c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if is_printable(c) => out.push(c),
            c if u32::from(c) < 0x1_0000 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    out.push('"');
    out
}

/// A string as the reference writes values of a type of its own: in JSON.
#[must_use]
pub fn json_quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            c if stray_byte(c).is_some() => out.push_str("\\ufffd"),
            '<' | '>' | '&' | '\0'..' ' | '\u{2028}' | '\u{2029}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Nearly Go's `strconv.IsPrint`: Rust's own idea of what it must escape, and no blank but the ASCII one.
fn is_printable(c: char) -> bool {
    c == ' ' || (!c.is_whitespace() && c.escape_debug().len() == 1) || c == '\''
}

/// The sort of a mistake in a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// The value is malformed.
    Invalid,
    /// The value is none of a set of words.
    InvalidWord,
    /// The field may not be set here.
    Forbidden,
    /// The value is none of the known ones.
    NotSupported,
}

impl Mistake {
    /// The machine-readable reason of a `Status` cause.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Mistake::Invalid | Mistake::InvalidWord => "FieldValueInvalid",
            Mistake::Forbidden => "FieldValueForbidden",
            Mistake::NotSupported => "FieldValueNotSupported",
        }
    }
}

/// A mistake in one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidField {
    /// The field's path.
    pub field: String,
    /// What sort of mistake.
    pub kind: Mistake,
    /// The value, unused for [`Mistake::Forbidden`].
    pub value: String,
    /// What would be right.
    pub detail: String,
}

impl InvalidField {
    /// A malformed value.
    #[must_use]
    pub fn invalid(field: String, value: &str, detail: String) -> InvalidField {
        InvalidField { field, kind: Mistake::Invalid, value: value.to_owned(), detail }
    }

    /// The words without the field's path.
    #[must_use]
    pub fn body(&self) -> String {
        match self.kind {
            Mistake::Invalid => format!("Invalid value: {}: {}", quoted(&self.value), self.detail),
            Mistake::InvalidWord => format!("Invalid value: {}: {}", json_quoted(&self.value), self.detail),
            Mistake::Forbidden => format!("Forbidden: {}", self.detail),
            Mistake::NotSupported => {
                format!("Unsupported value: {}: {}", json_quoted(&self.value), self.detail)
            }
        }
    }

    /// All mistakes in one text: alone as it is, several in brackets, repeated ones once.
    #[must_use]
    pub fn joined(errors: &[InvalidField]) -> String {
        let mut texts: Vec<String> = Vec::new();
        for text in errors.iter().map(|e| format!("{}: {}", e.field, e.body())) {
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        let all = texts.join(", ");
        if texts.len() > 1 { format!("[{all}]") } else { all }
    }
}

/// Longest name part of a key, and longest value.
const LABEL_LEN_MAX: usize = 63;
/// Longest prefix of a key.
const PREFIX_LEN_MAX: usize = 253;

/// What is wrong with a label key; empty when nothing is.
pub(super) fn key_mistakes(key: &str) -> Vec<String> {
    const NAME: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
         alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
         '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
    const PREFIX: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or \
         '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
         '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
    let mut mistakes = Vec::new();
    let name = match key.split_once('/') {
        None => key,
        Some((_, name)) if name.contains('/') => {
            return vec![format!(
                "a valid label key {NAME} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
        Some((prefix, name)) => {
            if prefix.is_empty() {
                mistakes.push("prefix part must be non-empty".to_owned());
            } else {
                if prefix.len() > PREFIX_LEN_MAX {
                    mistakes.push(format!("prefix part must be no more than {PREFIX_LEN_MAX} bytes"));
                }
                if !is_subdomain(prefix) {
                    mistakes.push(format!("prefix part {PREFIX}"));
                }
            }
            name
        }
    };
    if name.is_empty() {
        mistakes.push("name part must be non-empty".to_owned());
    } else if name.len() > LABEL_LEN_MAX {
        mistakes.push(format!("name part must be no more than {LABEL_LEN_MAX} bytes"));
    }
    if !is_name(name) {
        mistakes.push(format!("name part {NAME}"));
    }
    mistakes
}

/// What is wrong with a label value; empty when nothing is.
pub(super) fn value_mistakes(value: &str) -> Vec<String> {
    let mut mistakes = Vec::new();
    if value.len() > LABEL_LEN_MAX {
        mistakes.push(format!("must be no more than {LABEL_LEN_MAX} bytes"));
    }
    if !value.is_empty() && !is_name(value) {
        mistakes.push(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must \
             start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used \
             for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
                .to_owned(),
        );
    }
    mistakes
}

/// Letters, digits, `-`, `_` and `.`, the first and last a letter or digit.
fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// Labels of small letters, digits and `-`, joined by points.
fn is_subdomain(text: &str) -> bool {
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    text.split('.').all(|label| {
        edge(label.bytes().next())
            && edge(label.bytes().next_back())
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    })
}
