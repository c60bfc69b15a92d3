//! Label and field selectors: grammar, errors and matching.

/// A parsed label selector; matches everything when empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector {}

impl LabelSelector {
    /// Parses the full grammar.
    /// # Errors
    /// The reference's text.
    pub fn parse(_text: &str) -> Result<LabelSelector, String> {
        todo!()
    }
    /// Whether an object with these labels is selected; `value` looks a key up.
    pub fn matches<'a>(&self, _value: impl Fn(&str) -> Option<&'a str>) -> bool {
        todo!()
    }
}
