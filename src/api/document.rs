//! A whole document from its compact JSON, in the layout asked for.

use super::answer::{Answer, Body};
use super::layout::Indenter;
use super::negotiate::Choice;
use std::borrow::Cow;

/// Compact JSON with a line end, or indented JSON without one.
#[must_use]
pub fn encoded(pretty: bool, mut compact: Vec<u8>) -> Vec<u8> {
    if pretty {
        let mut out = Vec::with_capacity(compact.len() * 2);
        Indenter::default().feed(&compact, &mut out);
        return out;
    }
    compact.push(b'\n');
    compact
}

/// A 200 with a document of which `json` is the compact form with its line end.
#[must_use]
pub fn answer(choice: &Choice, content_type: &'static str, json: Cow<'static, str>) -> Answer {
    let body = match (choice.pretty, json) {
        (false, Cow::Borrowed(json)) => Body::Static(json.as_bytes()),
        (pretty, json) => Body::Whole(encoded(pretty, json.trim_end().as_bytes().to_vec())),
    };
    Answer::ok(content_type, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_end_as_their_layout_does() {
        assert_eq!(encoded(false, b"{}".to_vec()), b"{}\n");
        assert_eq!(encoded(true, br#"{"a":1}"#.to_vec()), b"{\n  \"a\": 1\n}");
    }
}
