//! What caches need: entity tags of documents, and whether a request already has them.
//!
//! A tag need not resist an attacker, who could only deceive itself. Tags are made once a process and compared as bytes.

use crate::wire::request::Head;

/// 16 hexadecimal digits that follow from every byte of a document.
#[must_use]
pub fn digest(document: &str) -> String {
    // FNV-1a; the fold of the upper half lets every input bit reach every digit.
    let sum = document.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        let sum = (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        sum ^ sum >> 32
    });
    format!("{sum:016X}")
}

/// Whether `If-None-Match` names the tag (in quotes), as HTTP has it: a list, weak tags and `*` match as well.
#[must_use]
pub fn none_match_lists(head: &Head<'_>, tag: &str) -> bool {
    head.first("If-None-Match").is_some_and(|value| {
        value
            .split(|byte| *byte == b',')
            .map(<[u8]>::trim_ascii)
            .any(|one| one == b"*" || one.strip_prefix(b"W/").unwrap_or(one) == tag.as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::request::Header;

    #[test]
    fn digests_follow_every_byte() {
        for (one, other) in [("a b c", "a b d"), ("", "\0"), ("ab", "ba")] {
            assert_ne!(digest(one), digest(other));
        }
        assert_eq!((digest("x"), digest("x").len()), (digest("x"), 16));
    }

    #[test]
    fn if_none_match_takes_lists_weak_tags_and_a_star() {
        let matches = |value: &str| {
            let headers = [Header { name: "if-none-match", value: value.as_bytes() }];
            let head = Head { method: "GET", path: "/", query: None, headers: &headers };
            none_match_lists(&head, "\"AB\"")
        };
        for value in ["\"AB\"", "W/\"AB\"", "*", "\"x\", \"AB\""] {
            assert!(matches(value), "{value}");
        }
        for value in ["", "AB", "\"A\"", "\"ab\""] {
            assert!(!matches(value), "{value}");
        }
    }
}
