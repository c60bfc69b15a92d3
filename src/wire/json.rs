//! JSON as its bytes arrive in pieces of any size: a strict tokenizer that keeps no document.
//!
//! Memory: one text of at most `limits::JSON_TEXT_LEN_MAX` bytes and one bit for each level. A longer text or number is
//! handed out as an empty one, since nothing in use is empty or that long. Refused, with the line: what is not JSON or not
//! UTF-8, nesting beyond `limits::JSON_DEPTH_MAX`, anything behind the document, and a document that ends too early.
//! Source: RFC 8259.

use crate::limits;
use memchr::memchr2;

/// One step through a document. Texts are unescaped; a lone surrogate is U+FFFD, as in Go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonEvent<'a> {
    /// `{`.
    Object,
    /// `[`.
    Array,
    /// The end of the innermost object or array.
    End,
    /// The name of the value that follows.
    Name(&'a str),
    /// A string.
    Text(&'a str),
    /// A number as it is written, of any size.
    Number(&'a str),
    /// `true` or `false`.
    Bool,
    /// `null`.
    Null,
}

/// Where a document is not JSON, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// From 1.
    pub line: u32,
    /// What is wrong there.
    pub reason: &'static str,
}

/// What may stand next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Next {
    /// The document itself.
    #[default]
    Document,
    Value,
    ValueOrEnd,
    Name,
    NameOrEnd,
    Colon,
    CommaOrEnd,
    /// Blanks only.
    Nothing,
}

/// What the bytes belong to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Inside {
    /// No token.
    #[default]
    Nothing,
    /// A name or a string.
    Text,
    /// A backslash was read.
    Escape,
    /// So many hexadecimal digits after `\u` were read, and their value.
    Hex(u8, u16),
    /// A number, `true`, `false` or `null`.
    Word,
}

/// Reads one document.
#[derive(Default)]
pub struct JsonReader {
    next: Next,
    inside: Inside,
    /// One bit for each open level, the innermost lowest: set for an object.
    levels: u64,
    depth: u32,
    text: Vec<u8>,
    is_overlong: bool,
    /// The first half of a character that takes two escapes.
    high: Option<u16>,
    line: u32,
}

type JsonStep = Result<(), &'static str>;

impl JsonReader {
    /// Forgets the previous document; scratch is kept.
    pub fn begin(&mut self) {
        let text = std::mem::take(&mut self.text);
        *self = JsonReader { text, ..JsonReader::default() };
    }

    /// Whether nothing was fed since [`JsonReader::begin`].
    #[must_use]
    pub const fn is_untouched(&self) -> bool {
        self.line == 0
    }

    /// Takes one piece and hands out what ends in it, with its line, from 1.
    /// # Errors
    /// Not JSON: reading on is useless.
    pub fn feed(&mut self, piece: &[u8], each: &mut impl FnMut(JsonEvent<'_>, u32)) -> Result<(), JsonError> {
        self.line = self.line.max(1);
        let mut rest = piece;
        while let Some((byte, after)) = rest.split_first() {
            let step = match self.inside {
                Inside::Text => {
                    let plain = memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
                    let (text, after) = rest.split_at_checked(plain).unwrap_or((rest, &[]));
                    rest = after.get(1..).unwrap_or_default();
                    self.text(text, after.first().copied(), each)
                }
                Inside::Word if is_word_byte(*byte) => {
                    rest = after;
                    self.push(&[*byte]);
                    Ok(())
                }
                // The byte after a word is a token of its own.
                Inside::Word => self.end_word(each),
                _ => {
                    rest = after;
                    self.byte(*byte, each)
                }
            };
            step.map_err(|reason| JsonError { line: self.line, reason })?;
        }
        Ok(())
    }

    /// Ends the document.
    /// # Errors
    /// It ended too early.
    pub fn finish(&self) -> Result<(), JsonError> {
        if self.next == Next::Nothing {
            return Ok(());
        }
        Err(JsonError { line: self.line, reason: "the document ends too early" })
    }

    /// One byte outside of plain text and words.
    fn byte(&mut self, byte: u8, each: &mut impl FnMut(JsonEvent<'_>, u32)) -> JsonStep {
        match (self.inside, byte) {
            (Inside::Escape, _) => self.escape(byte),
            (Inside::Hex(count, value), _) => self.hex(count, value, byte),
            (_, b'\n') => {
                self.line = self.line.saturating_add(1);
                Ok(())
            }
            (_, b' ' | b'\t' | b'\r') => Ok(()),
            _ => self.token(byte, each),
        }
    }

    /// The first byte of a token.
    fn token(&mut self, byte: u8, each: &mut impl FnMut(JsonEvent<'_>, u32)) -> JsonStep {
        let is_value = matches!(self.next, Next::Value | Next::ValueOrEnd);
        match (byte, self.next) {
            (b'{' | b'[', _) if is_value || self.next == Next::Document => self.open(byte == b'{', each),
            (b'"', Next::Name | Next::NameOrEnd) => self.start(Inside::Text),
            (b'"', _) if is_value => self.start(Inside::Text),
            (_, _) if is_value && is_word_byte(byte) => {
                self.start(Inside::Word)?;
                self.push(&[byte]);
                Ok(())
            }
            (b'}', Next::NameOrEnd | Next::CommaOrEnd) if self.in_object() => self.close(each),
            (b']', Next::ValueOrEnd | Next::CommaOrEnd) if !self.in_object() => self.close(each),
            (b',', Next::CommaOrEnd) => {
                self.next = if self.in_object() { Next::Name } else { Next::Value };
                Ok(())
            }
            (b':', Next::Colon) => {
                self.next = Next::Value;
                Ok(())
            }
            (_, Next::Document) => Err("not a JSON object or array"),
            (_, Next::Nothing) => Err("something follows the document"),
            _ => Err("not JSON: another character is expected here"),
        }
    }

    const fn in_object(&self) -> bool {
        self.levels & 1 == 1
    }

    fn open(&mut self, is_object: bool, each: &mut impl FnMut(JsonEvent<'_>, u32)) -> JsonStep {
        if self.depth >= limits::JSON_DEPTH_MAX {
            return Err("nested too deeply");
        }
        self.depth += 1;
        self.levels = self.levels << 1 | u64::from(is_object);
        self.next = if is_object { Next::NameOrEnd } else { Next::ValueOrEnd };
        each(if is_object { JsonEvent::Object } else { JsonEvent::Array }, self.line);
        Ok(())
    }

    fn close(&mut self, each: &mut impl FnMut(JsonEvent<'_>, u32)) -> JsonStep {
        self.depth = self.depth.saturating_sub(1);
        self.levels >>= 1;
        self.end_value();
        each(JsonEvent::End, self.line);
        Ok(())
    }

    fn end_value(&mut self) {
        self.next = if self.depth == 0 { Next::Nothing } else { Next::CommaOrEnd };
    }

    fn start(&mut self, inside: Inside) -> JsonStep {
        self.inside = inside;
        self.text.clear();
        self.is_overlong = false;
        Ok(())
    }

    fn push(&mut self, bytes: &[u8]) {
        if self.text.len() + bytes.len() > limits::JSON_TEXT_LEN_MAX {
            self.is_overlong = true;
        }
        if self.is_overlong {
            self.text.clear();
        } else {
            self.text.extend_from_slice(bytes);
        }
    }

    /// Plain text, and the quote or backslash behind it; neither when the piece ends first.
    fn text(&mut self, text: &[u8], end: Option<u8>, each: &mut impl FnMut(JsonEvent<'_>, u32)) -> JsonStep {
        if text.iter().any(|byte| *byte < b' ') {
            return Err("a control character in a text");
        }
        if !text.is_empty() || end == Some(b'"') {
            self.end_surrogate();
        }
        self.push(text);
        match end {
            None => return Ok(()),
            Some(b'\\') => {
                self.inside = Inside::Escape;
                return Ok(());
            }
            Some(_) => {}
        }
        self.inside = Inside::Nothing;
        let text = std::str::from_utf8(&self.text).map_err(|_| "a text is not UTF-8")?;
        if matches!(self.next, Next::Name | Next::NameOrEnd) {
            self.next = Next::Colon;
            each(JsonEvent::Name(text), self.line);
        } else {
            each(JsonEvent::Text(text), self.line);
            self.end_value();
        }
        Ok(())
    }

    /// The byte after a backslash.
    fn escape(&mut self, byte: u8) -> JsonStep {
        self.inside = Inside::Text;
        let plain = match byte {
            b'"' | b'\\' | b'/' => byte,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                self.inside = Inside::Hex(0, 0);
                return Ok(());
            }
            _ => return Err("an unknown escape in a text"),
        };
        self.end_surrogate();
        self.push(&[plain]);
        Ok(())
    }

    /// A digit after `\u`.
    fn hex(&mut self, count: u8, value: u16, byte: u8) -> JsonStep {
        let digit = char::from(byte).to_digit(16).and_then(|digit| u16::try_from(digit).ok());
        let value = value << 4 | digit.ok_or("an escape in a text is not hexadecimal")?;
        if count < 3 {
            self.inside = Inside::Hex(count + 1, value);
            return Ok(());
        }
        self.inside = Inside::Text;
        match (self.high.take(), value) {
            (Some(high), 0xdc00..=0xdfff) => {
                let whole = 0x10000 + (u32::from(high - 0xd800) << 10) + u32::from(value - 0xdc00);
                self.push_char(char::from_u32(whole));
            }
            (high, 0xd800..=0xdbff) => {
                self.high = high;
                self.end_surrogate();
                self.high = Some(value);
            }
            (high, _) => {
                self.high = high;
                self.end_surrogate();
                self.push_char(char::from_u32(value.into()));
            }
        }
        Ok(())
    }

    /// The second half of a character did not come.
    fn end_surrogate(&mut self) {
        if self.high.take().is_some() {
            self.push_char(None);
        }
    }

    fn push_char(&mut self, character: Option<char>) {
        let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
        self.push(character.encode_utf8(&mut [0; 4]).as_bytes());
    }

    fn end_word(&mut self, each: &mut impl FnMut(JsonEvent<'_>, u32)) -> JsonStep {
        self.inside = Inside::Nothing;
        let event = match self.text.as_slice() {
            b"true" | b"false" => JsonEvent::Bool,
            b"null" => JsonEvent::Null,
            [] if self.is_overlong => JsonEvent::Number(""),
            word => match std::str::from_utf8(word) {
                Ok(number) if is_number(number) => JsonEvent::Number(number),
                _ => return Err("not a number, a text, true, false or null"),
            },
        };
        each(event, self.line);
        self.end_value();
        Ok(())
    }
}

/// A byte that numbers, `true`, `false` and `null` are made of.
const fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.')
}

/// Whether a word is a number by JSON's grammar.
fn is_number(word: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = word.strip_prefix('-').unwrap_or(word);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let is_plain = digits(whole) && (whole.len() == 1 || !whole.starts_with('0'));
    is_plain && fraction.is_none_or(digits) && exponent.is_none_or(digits)
}

#[cfg(test)]
mod tests;
