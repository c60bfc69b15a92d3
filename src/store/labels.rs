//! Label sets as one text, so that the pods of one template share it: `key\0value\0` for each label, sorted by key.
//!
//! Written once when an object comes in, read back by walking it; a set has few labels, so a lookup walks too.

use super::Labels;
use super::names::{NameId, Names};
use crate::limits;

/// Between the parts of an interned list. Kubernetes allows it in none of them; a part that has it is left out.
pub(super) const SEPARATOR: char = '\0';

/// Interns a label set; of a repeated key the last one counts. `None` when there is no room.
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
        if is_repeated || key.contains(SEPARATOR) || value.contains(SEPARATOR) {
            continue;
        }
        for part in [key, value] {
            scratch.push_str(part);
            scratch.push(SEPARATOR);
        }
    }
    let interned = names.intern(scratch);
    scratch.shrink_to(limits::LABELS_SCRATCH_LEN_KEPT);
    interned
}

impl<'a> Labels<'a> {
    /// `(key, value)` pairs in key order.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let mut rest = self.text;
        let mut next = move || {
            let len = memchr::memchr(SEPARATOR as u8, rest.as_bytes())?;
            let (part, behind) = rest.split_at_checked(len)?;
            rest = behind.get(1..)?;
            Some(part)
        };
        std::iter::from_fn(move || Some((next()?, next()?)))
    }

    /// Bytes of all keys and values, and a separator behind each.
    #[must_use]
    pub fn text_len(self) -> usize {
        self.text.len()
    }

    /// How many labels there are.
    #[must_use]
    pub fn count(self) -> usize {
        self.text.bytes().filter(|byte| *byte == SEPARATOR as u8).count() / 2
    }

    /// Where the text lies: the same for the same set of labels, for as long as the store is borrowed.
    #[must_use]
    pub fn identity(self) -> (usize, usize) {
        (self.text.as_ptr().addr(), self.text.len())
    }

    /// The value of one key.
    #[must_use]
    pub fn value(self, key: &str) -> Option<&'a str> {
        self.iter().find(|(known, _)| *known == key).map(|(_, value)| value)
    }
}
