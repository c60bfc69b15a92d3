//! Field selectors: conjunctions of `=` and `!=` terms, sorted before they are read.

use super::bounded;
use crate::limits::SELECTOR_TERMS_MAX;

/// One term of a field selector.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    field: String,
    equal: bool,
    value: String,
}

/// A parsed field selector; matches everything when empty. Which fields there are is not its business.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector {
    terms: Vec<Term>,
}

impl FieldSelector {
    /// Parses `field=value`, `field==value` and `field!=value`, joined by commas; `\` escapes `\`, `,` and `=` in
    /// values. Empty terms are left out, blanks belong to fields and values.
    /// # Errors
    /// The reference's text; text of our own beyond `limits::SELECTOR_LEN_MAX` and `SELECTOR_TERMS_MAX`.
    pub fn parse(text: &str) -> Result<FieldSelector, String> {
        bounded(text)?;
        let mut parts: Vec<&str> = split_terms(text).filter(|part| !part.is_empty()).collect();
        if parts.len() > SELECTOR_TERMS_MAX {
            return Err(format!("the selector has more than {SELECTOR_TERMS_MAX} terms"));
        }
        parts.sort_unstable();
        let mut terms = Vec::with_capacity(parts.len());
        for part in parts {
            let (field, operator) = part
                .find(['!', '='])
                .and_then(|_| split_operator(part))
                .ok_or_else(|| format!("invalid selector: '{text}'; can't understand '{part}'"))?;
            let value = part.get(field.len() + operator.len()..).unwrap_or("");
            let value = unescaped(value)?;
            // A term about nothing at all (`=`) says nothing.
            if !(field.is_empty() && value.is_empty()) {
                terms.push(Term { field: field.to_owned(), equal: operator != "!=", value });
            }
        }
        Ok(FieldSelector { terms })
    }

    /// Field, whether it must equal, and value of each term, in the order in which they are checked.
    pub fn terms(&self) -> impl Iterator<Item = (&str, bool, &str)> {
        self.terms.iter().map(|t| (&*t.field, t.equal, &*t.value))
    }

    /// The value that the selector demands of a field, by its first `=` term.
    #[must_use]
    pub fn exact(&self, field: &str) -> Option<&str> {
        self.terms.iter().find(|t| t.equal && t.field == field).map(|t| &*t.value)
    }

    /// Whether an object is selected; `value` looks a field up, and unknown ones are empty.
    pub fn matches<'a>(&self, value: impl Fn(&str) -> &'a str) -> bool {
        self.terms.iter().all(|t| (value(&t.field) == t.value) == t.equal)
    }
}

/// The terms between commas that no backslash escapes.
fn split_terms(text: &str) -> impl Iterator<Item = &str> {
    let mut escaped = false;
    text.split(move |c| {
        let splits = c == ',' && !escaped;
        escaped = c == '\\' && !escaped;
        splits
    })
}

/// A term's field and its operator: the first one in it.
fn split_operator(term: &str) -> Option<(&str, &str)> {
    term.char_indices().find_map(|(at, _)| {
        let (field, rest) = term.split_at_checked(at)?;
        let operator = ["!=", "==", "="].into_iter().find(|operator| rest.starts_with(operator))?;
        Some((field, operator))
    })
}

/// A value without its escapes.
fn unescaped(value: &str) -> Result<String, String> {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c @ ('\\' | ',' | '=')) => out.push(c),
                Some(c) => return Err(format!("invalid field selector: invalid escape sequence: \\{c}")),
                None => return Err("invalid field selector: invalid escape sequence: \\".to_owned()),
            },
            ',' | '=' => {
                return Err(format!(
                    "invalid field selector: unescaped character in value: {}",
                    u32::from(c)
                ));
            }
            c => out.push(c),
        }
    }
    Ok(out)
}
