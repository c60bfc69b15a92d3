//! A short text on the stack: quantities and times whose length must be known before they are written.
//!
//! Written from its end, as digits come out of a division. At most 32 bytes, which is more than the longest value of
//! any kind written here; what would not fit is left out rather than written elsewhere.

/// Longest text; the longest in use is a negative Go duration of 25 bytes.
const LEN_MAX: usize = 32;

/// A short ASCII text.
#[derive(Clone, Copy)]
pub struct Text {
    bytes: [u8; LEN_MAX],
    start: usize,
}

impl Text {
    pub(super) const fn new() -> Text {
        Text { bytes: [0; LEN_MAX], start: LEN_MAX }
    }

    /// Puts one byte in front.
    pub(super) fn push_front(&mut self, byte: u8) {
        let Some(start) = self.start.checked_sub(1) else { return };
        if let Some(slot) = self.bytes.get_mut(start) {
            *slot = byte;
            self.start = start;
        }
    }

    /// Puts a text in front.
    pub(super) fn push_str_front(&mut self, text: &str) {
        for byte in text.bytes().rev() {
            self.push_front(byte);
        }
    }

    /// Puts a number in front, with at least `width` digits.
    pub(super) fn push_number_front(&mut self, mut number: u64, width: usize) {
        let mut count = 0;
        while number > 0 || count < width {
            self.push_front(digit(number));
            number /= 10;
            count += 1;
        }
    }

    /// The text as bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or(&[])
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or("")
    }

    /// Its length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        LEN_MAX - self.start
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start == LEN_MAX
    }
}

/// The last decimal digit of a number, as ASCII.
#[allow(clippy::cast_possible_truncation)]
pub(super) fn digit(number: u64) -> u8 {
    b'0' + (number % 10) as u8
}
