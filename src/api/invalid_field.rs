//! Mistakes in the fields of list options, as causes of a 422.

use crate::wire::text::quoted;

/// The sort of a mistake in a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// The value is malformed.
    Invalid,
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
            Mistake::Invalid => "FieldValueInvalid",
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
            Mistake::Forbidden => format!("Forbidden: {}", self.detail),
            Mistake::NotSupported => format!("Unsupported value: {}: {}", quoted(&self.value), self.detail),
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
