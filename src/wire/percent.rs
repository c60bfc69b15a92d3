//! Percent-encoding in URLs: `%XX` for a byte.
//!
//! Which bytes stand for themselves differs from place to place in a URL, and so does what a malformed escape means;
//! both are the caller's. Decoding gives bytes, since what was escaped need not be text.

use std::borrow::Cow;
use std::fmt::Write;

/// Appends `text`; bytes that are neither letters and digits nor in `plain` are escaped.
pub fn push(out: &mut String, text: &str, plain: &[u8]) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || plain.contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// Whether every `%` begins an escape.
#[must_use]
pub fn is_well_formed(text: &str) -> bool {
    text.split('%').skip(1).all(|part| escaped(part.as_bytes()).is_some())
}

/// Decodes every escape, and `+` as a blank when asked to; a malformed escape stays as it is.
#[must_use]
pub fn decoded(text: &str, plus_is_blank: bool) -> Cow<'_, [u8]> {
    if !text.bytes().any(|b| b == b'%' || (plus_is_blank && b == b'+')) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'%' => match escaped(after) {
                Some((value, after)) => {
                    decoded.push(value);
                    rest = after;
                }
                None => decoded.push(byte),
            },
            b'+' if plus_is_blank => decoded.push(b' '),
            _ => decoded.push(byte),
        }
    }
    Cow::Owned(decoded)
}

/// The byte that the two digits after a `%` stand for, and what follows them.
fn escaped(after: &[u8]) -> Option<(u8, &[u8])> {
    let [high, low, rest @ ..] = after else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some((digit(*high)? << 4 | digit(*low)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_escaped_comes_back() {
        let text: String = (0..=0xff_u8).map(char::from).collect();
        let mut out = String::new();
        push(&mut out, &text, b"-_.~");
        assert!(out.starts_with("%00%01") && out.contains("-.") && out.contains("%20"));
        assert!(is_well_formed(&out));
        assert_eq!(&*decoded(&out, true), text.as_bytes());
    }

    #[test]
    fn malformed_escapes_are_told_and_stay() {
        for text in ["%", "a%2", "%zz", "%2%20", "%é"] {
            assert!(!is_well_formed(text), "{text}");
        }
        assert!(is_well_formed("") && is_well_formed("/a%20b%2e%2E"));
        assert_eq!(&*decoded("%zz%41%4", false), b"%zzA%4");
        assert_eq!(&*decoded("a+b%2B", true), b"a b+");
        assert_eq!(&*decoded("a+b", false), b"a+b");
        assert_eq!(&*decoded("%ff", false), b"\xff");
    }
}
