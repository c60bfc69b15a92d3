//! Label sets as one text, so that the pods of one template share it: the keys, sorted, each with its value.
//!
//! Before a key or a value stands the character whose number is its length, so that a walk steps over them unread. Written
//! once when an object comes in, read back by walking it; a set has few labels, so a lookup walks too.

use super::Labels;
use super::names::{NameId, Names};
use crate::limits;

/// Interns a label set; of a repeated key the last one counts, and a label as long as no character's number is left out. `None` when there is no room.
pub(super) fn intern_labels(
    names: &mut Names,
    scratch: &mut String,
    labels: &[(&str, &str)],
) -> Option<NameId> {
    let mut sorted = labels.to_vec();
    sorted.sort_by_key(|(key, _)| *key);
    scratch.clear();
    let mut rest = sorted.iter().peekable();
    while let Some((key, value)) = rest.next() {
        let is_repeated = rest.peek().is_some_and(|(next, _)| next == key);
        let (Some(key_head), Some(value_head)) = (head(key), head(value)) else { continue };
        if !is_repeated {
            for (head, part) in [(key_head, key), (value_head, value)] {
                scratch.push(head);
                scratch.push_str(part);
            }
        }
    }
    let interned = names.intern(scratch);
    scratch.shrink_to(limits::LABELS_SCRATCH_LEN_KEPT);
    interned
}

/// The character whose number is the length of a text.
fn head(part: &str) -> Option<char> {
    char::from_u32(u32::try_from(part.len()).ok()?)
}

impl<'a> Labels<'a> {
    fn text(self) -> &'a str {
        self.names.text(self.id)
    }

    /// `(key, value)` pairs in key order.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let mut rest = self.text();
        let mut next = move || {
            let mut chars = rest.chars();
            let len = chars.next()? as usize;
            let (part, behind) = chars.as_str().split_at_checked(len)?;
            rest = behind;
            Some(part)
        };
        std::iter::from_fn(move || Some((next()?, next()?)))
    }

    /// Bytes of all keys and values, and of their lengths.
    #[must_use]
    pub fn text_len(self) -> usize {
        self.text().len()
    }

    /// A number that the same set of labels has, and no other one, for as long as the store is borrowed.
    #[must_use]
    pub fn identity(self) -> u32 {
        self.id.0
    }

    /// The value of one key.
    #[must_use]
    pub fn value(self, key: &str) -> Option<&'a str> {
        self.iter().find(|(known, _)| *known == key).map(|(_, value)| value)
    }
}
