//! Field selectors: conjunctions of `=` and `!=` terms.

use super::{check_len, error_at, too_many_terms};
use crate::limits::SELECTOR_TERMS_MAX;
use crate::wire::text::quoted;

/// One term of a field selector.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FieldTerm {
    field: String,
    equal: bool,
    value: String,
}

/// A parsed field selector; matches everything when empty. Which fields exist is the caller's business.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector {
    /// Sorted by field, then operator and value.
    terms: Vec<FieldTerm>,
}

impl FieldSelector {
    /// Parses `field=value`, `field==value` and `field!=value`, joined by commas; `\` escapes `\`, `,` and `=` in
    /// values. Empty terms are left out, blanks belong to fields and values.
    /// # Errors
    /// One line with the position (in bytes, from 1) and what was expected there.
    pub fn parse(text: &str) -> Result<FieldSelector, String> {
        check_len(text)?;
        let mut terms = Vec::new();
        for (at, part) in split_terms(text).filter(|(_, part)| !part.is_empty()) {
            if terms.len() >= SELECTOR_TERMS_MAX {
                return Err(too_many_terms());
            }
            let (field, operator) = split_operator(part).ok_or_else(|| {
                error_at(
                    at,
                    &format!("expected FIELD=VALUE, FIELD==VALUE or FIELD!=VALUE, found {}", quoted(part)),
                )
            })?;
            let start = field.len() + operator.len();
            let (_, value) = part.split_at(start);
            let value = unescaped(value, at + start)?;
            // A term about nothing at all (`=`) says nothing.
            if !(field.is_empty() && value.is_empty()) {
                terms.push(FieldTerm { field: field.to_owned(), equal: operator != "!=", value });
            }
        }
        terms.sort_unstable_by(|a, b| (&a.field, a.equal, &a.value).cmp(&(&b.field, b.equal, &b.value)));
        Ok(FieldSelector { terms })
    }

    /// Field, whether it must equal, and value of each term.
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

/// The terms between commas that no backslash escapes, with their positions.
fn split_terms(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_escaped = false;
    let parts = text.split(move |c| {
        let splits = c == ',' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        splits
    });
    parts.scan(0, |next, part| {
        let at = *next;
        *next += part.len() + 1;
        Some((at, part))
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

/// A value without its escapes; `start` is its position in the selector.
fn unescaped(value: &str, start: usize) -> Result<String, String> {
    const ESCAPES: &str = r"expected '\\', '\,' or '\=' for a backslash, comma or equals sign in a value";
    let mut out = String::with_capacity(value.len());
    let mut chars = value.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some((_, c @ ('\\' | ',' | '='))) => out.push(c),
                _ => return Err(error_at(start + at, ESCAPES)),
            },
            ',' | '=' => return Err(error_at(start + at, ESCAPES)),
            c => out.push(c),
        }
    }
    Ok(out)
}
