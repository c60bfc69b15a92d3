//! A short text on the stack, and text from a client as it may stand in a message.
//!
//! [`Text`] holds quantities and times, whose length must be known before they are written. It is written from its end,
//! as digits come out of a division. At most 32 bytes, which is more than the longest value of any kind written here.

use crate::invariant::assured;
use crate::limits;

/// The first bytes of a text, at most `len_max`, whole characters.
#[must_use]
pub fn cut(text: &str, len_max: usize) -> &str {
    text.split_at(text.floor_char_boundary(len_max)).0
}

/// Text of a client in double quotes: cut at `limits::QUOTED_LEN_MAX` bytes, and what is not printable is escaped.
#[must_use]
pub fn quoted(text: &str) -> String {
    let shown = cut(text, limits::QUOTED_LEN_MAX);
    let mut out = String::with_capacity(shown.len() + 2);
    out.push('"');
    for c in shown.chars() {
        match c {
            '\'' => out.push(c),
            c => out.extend(c.escape_debug()),
        }
    }
    out.push_str(if shown.len() == text.len() { "\"" } else { "\"..." });
    out
}

/// Appends bytes that are few as a rule, by moves of fixed lengths into room that is made at once: a call of the C library's
/// copy costs more than the bytes of a name, above all musl's.
pub fn append(out: &mut Vec<u8>, bytes: &[u8]) {
    let end = out.len() + bytes.len();
    if bytes.len() > APPENDED_IN_MOVES_MAX {
        out.extend_from_slice(bytes);
        return;
    }
    out.extend_from_slice(&[0; APPENDED_IN_MOVES_MAX]);
    if let Some(room) = out.last_chunk_mut() {
        match bytes.len() {
            16.. => put_ends::<16>(room, bytes),
            8.. => put_ends::<8>(room, bytes),
            4.. => put_ends::<4>(room, bytes),
            _ => room.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from),
        }
    }
    out.truncate(end);
}

const APPENDED_IN_MOVES_MAX: usize = 32;

/// Puts N to 2 N bytes at the begin: the first N, and over what these have of the end the last N.
#[inline]
fn put_ends<const N: usize>(room: &mut [u8; APPENDED_IN_MOVES_MAX], bytes: &[u8]) {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<N>(), bytes.last_chunk::<N>()) {
        if let Some(place) = room.first_chunk_mut() {
            *place = *first;
        }
        if let Some(place) = room.get_mut(bytes.len() - N..).and_then(|rest| rest.first_chunk_mut()) {
            *place = *last;
        }
    }
}

/// Longest text; the longest in use is a negative Go duration of 25 bytes.
const LEN_MAX: usize = 32;

/// A short ASCII text.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    bytes: [u8; LEN_MAX],
    start: usize,
}

impl Text {
    pub(super) const fn new() -> Text {
        Text { bytes: [0; LEN_MAX], start: LEN_MAX }
    }

    /// Puts a few bytes in front.
    #[inline]
    pub(super) fn push_front<const N: usize>(&mut self, bytes: [u8; N]) {
        // A number without its first digits would be a wrong number: ending is better.
        self.start = assured(self.start.checked_sub(N), "the longest quantity or time has 25 bytes");
        if let Some(place) = self.bytes.get_mut(self.start..).and_then(|rest| rest.first_chunk_mut::<N>()) {
            *place = bytes;
        }
    }

    /// Puts a text in front.
    pub(super) fn push_str_front(&mut self, text: &str) {
        let start = assured(self.start.checked_sub(text.len()), "the longest quantity or time has 25 bytes");
        let end = std::mem::replace(&mut self.start, start);
        if let Some(place) = self.bytes.get_mut(self.start..end) {
            place.copy_from_slice(text.as_bytes());
        }
    }

    /// Puts a number below a hundred in front, in two digits.
    #[inline]
    #[allow(clippy::cast_possible_truncation)]
    pub(super) fn push_pair_front(&mut self, number: u64) {
        let pair = DIGIT_PAIRS.as_chunks::<2>().0.get(number as usize);
        self.push_front(*assured(pair, "a pair is below a hundred"));
    }

    /// Puts a number in front, with at least `width` digits.
    pub(super) fn push_number_front(&mut self, mut number: u64, width: usize) {
        let end = self.start;
        // Two digits a division: it is what a number costs.
        while number >= 10 {
            self.push_pair_front(number % 100);
            number /= 100;
        }
        if number > 0 {
            self.push_front([digit(number)]);
        }
        while end - self.start < width {
            self.push_front([b'0']);
        }
    }

    /// The text as bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        assured(self.bytes.get(self.start..), "the text begins within its bytes")
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        assured(std::str::from_utf8(self.as_bytes()).ok(), "only whole characters are pushed")
    }
}

/// The numbers below a hundred, as ASCII.
const DIGIT_PAIRS: &[u8; 200] =
    b"0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849\
    5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

/// The last decimal digit of a number, as ASCII.
#[allow(clippy::cast_possible_truncation)]
pub(super) fn digit(number: u64) -> u8 {
    b'0' + (number % 10) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_appended_whole_whatever_their_length() {
        let bytes: Vec<u8> = (0..200).collect();
        for len in 0..bytes.len() {
            let mut out = b"before".to_vec();
            append(&mut out, &bytes[..len]);
            assert_eq!(out, [b"before", &bytes[..len]].concat());
        }
    }

    #[test]
    fn quoted_text_is_printable_and_short() {
        assert_eq!(quoted("web"), "\"web\"");
        assert_eq!(quoted("it's \"a\"\n\u{7f}\u{200b}é\\"), r#""it's \"a\"\n\u{7f}\u{200b}é\\""#);
        let long = quoted(&"é".repeat(1_000));
        assert_eq!((long.len(), long.ends_with("é\"...")), (limits::QUOTED_LEN_MAX + 5, true));
    }
}
