//! What caches need: entity tags of documents, whether a request already has them, and HTTP dates.
//!
//! A tag has the form of metrics-server's, 128 upper-case hexadecimal digits in quotes, so that what stores or compares
//! it sees nothing new. It need not resist an attacker, who could only deceive itself: it is made of eight
//! 64-bit sums of the bytes. Tags are made once a process and compared as bytes.

use crate::units::UnixNanos;
use crate::wire::request::Head;
use crate::wire::time::rfc3339_text;

/// Digests bytes fed in any pieces.
pub struct Digest {
    sum: u64,
}

impl Digest {
    /// Nothing fed yet.
    #[must_use]
    pub const fn new() -> Digest {
        Digest { sum: 0xcbf2_9ce4_8422_2325 }
    }

    /// Takes in the next bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        // FNV-1a; the fold of the upper half lets every input bit reach every digit.
        for byte in bytes {
            self.sum = (self.sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
            self.sum ^= self.sum >> 32;
        }
    }

    /// 128 upper-case hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> String {
        use std::fmt::Write;
        let mut out = String::with_capacity(128);
        let mut state = self.sum;
        for _ in 0..8 {
            // SplitMix64: a bijection a step, so two sums that differ differ in every word.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let word = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            // Writing to a String cannot fail.
            let _ = write!(out, "{:016X}", word ^ (word >> 31));
        }
        out
    }
}

impl Default for Digest {
    fn default() -> Self {
        Self::new()
    }
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

/// An instant as HTTP prints it, for example `Tue, 24 Nov 2026 09:57:17 GMT`; whole seconds.
#[must_use]
pub fn http_date(at: UnixNanos) -> String {
    // 1970-01-01 was a Thursday.
    let day = match at.seconds().div_euclid(86_400).rem_euclid(7) {
        0 => "Thu",
        1 => "Fri",
        2 => "Sat",
        3 => "Sun",
        4 => "Mon",
        5 => "Tue",
        _ => "Wed",
    };
    let text = rfc3339_text(at);
    let mut parts = text.as_str().split(['-', 'T', 'Z']);
    let mut part = || parts.next().unwrap_or_default();
    let (year, month, date, clock) = (part(), part(), part(), part());
    debug_assert_eq!(clock.len(), 8, "an RFC 3339 time has four parts: {}", text.as_str());
    let month = match month {
        "01" => "Jan",
        "02" => "Feb",
        "03" => "Mar",
        "04" => "Apr",
        "05" => "May",
        "06" => "Jun",
        "07" => "Jul",
        "08" => "Aug",
        "09" => "Sep",
        "10" => "Oct",
        "11" => "Nov",
        _ => "Dec",
    };
    format!("{day}, {date} {month} {year} {clock} GMT")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::request::Header;

    #[test]
    fn digests_have_128_digits_and_follow_every_byte() {
        let hex = |text: &str| {
            let mut digest = Digest::new();
            text.split_inclusive(' ').for_each(|piece| digest.feed(piece.as_bytes()));
            digest.hex()
        };
        assert_eq!(hex("a b c"), hex("a b c"));
        assert_ne!(hex("a b c"), hex("a b d"));
        assert_ne!(hex(""), hex("\0"));
        assert_eq!(hex("x").len(), 128);
        assert!(hex("x").bytes().all(|byte| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte)));
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

    #[test]
    fn dates_are_written_as_http_writes_them() {
        for (seconds, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT"),
            (4_102_444_800, "Fri, 01 Jan 2100 00:00:00 GMT"),
        ] {
            assert_eq!(http_date(UnixNanos::from_millis(seconds * 1_000)), text);
        }
        assert_eq!(http_date(UnixNanos(1_795_514_237_999_999_999)), "Tue, 24 Nov 2026 09:57:17 GMT");
    }
}
