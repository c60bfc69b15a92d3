//! Protocol buffers: a borrowing field reader, and writers.
//!
//! [`Fields`] walks one message without copying and gives each field's number and value; a message cut short, an
//! over-long varint, field number 0 or a group ends it with [`Malformed`]. Writers append to a `Vec<u8>`.
//! Nothing here allocates but that.
//! Source: the protocol buffers encoding reference.

use super::text::append;

/// What a body of an API server in protobuf starts with, before `runtime.Unknown`.
pub const MAGIC: [u8; 4] = *b"k8s\0";

/// Bytes that are not a protobuf message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// One field's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// `int32` (sign-extended), `int64`, `bool`, `enum`.
    Varint(u64),
    /// `fixed64`, `double`.
    Fixed64(u64),
    /// `fixed32`, `float`.
    Fixed32(u32),
    /// `string`, `bytes`, a message, a map entry.
    Len(&'a [u8]),
}

impl<'a> Value<'a> {
    /// The bytes of a length-delimited field.
    /// # Errors
    /// The field has another type.
    pub const fn bytes(self) -> Result<&'a [u8], Malformed> {
        match self {
            Value::Len(bytes) => Ok(bytes),
            _ => Err(Malformed),
        }
    }

    /// The text of a string field.
    /// # Errors
    /// The field has another type, or is not UTF-8.
    pub fn text(self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed)
    }

    /// The value of a varint field.
    /// # Errors
    /// The field has another type.
    pub const fn varint(self) -> Result<u64, Malformed> {
        match self {
            Value::Varint(number) => Ok(number),
            _ => Err(Malformed),
        }
    }
}

/// The start of one field: everything before its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldHead {
    /// Field number, 1 and up.
    pub number: u32,
    /// How the payload is to be read.
    pub kind: WireKind,
    /// Bytes of the head, including a varint's value.
    pub len: usize,
    /// Bytes that follow the head.
    pub payload_len: u64,
    /// A varint field's value, else 0.
    pub varint: u64,
}

/// The wire types in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireKind {
    /// Type 0; the value is part of the head.
    Varint,
    /// Type 1.
    Fixed64,
    /// Type 2.
    Len,
    /// Type 5.
    Fixed32,
}

/// Reads one field's head; `None` when the bytes end within it.
/// # Errors
/// The bytes cannot be a field.
pub fn head(bytes: &[u8]) -> Result<Option<FieldHead>, Malformed> {
    let Some((tag, tag_len)) = varint(bytes)? else { return Ok(None) };
    let number = u32::try_from(tag >> 3).map_err(|_| Malformed)?;
    if number == 0 {
        return Err(Malformed);
    }
    let mut head = FieldHead { number, kind: WireKind::Len, len: tag_len, payload_len: 0, varint: 0 };
    match tag & 7 {
        1 => (head.kind, head.payload_len) = (WireKind::Fixed64, 8),
        5 => (head.kind, head.payload_len) = (WireKind::Fixed32, 4),
        kind @ (0 | 2) => {
            let Some((value, len)) = varint(bytes.get(tag_len..).ok_or(Malformed)?)? else { return Ok(None) };
            head.len += len;
            if kind == 0 {
                (head.kind, head.varint) = (WireKind::Varint, value);
            } else {
                head.payload_len = value;
            }
        }
        _ => return Err(Malformed),
    }
    Ok(Some(head))
}

/// Reads one varint and its length; `None` when the bytes end within it.
fn varint(bytes: &[u8]) -> Result<Option<(u64, usize)>, Malformed> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().take(10).enumerate() {
        if index == 9 && *byte > 1 {
            return Err(Malformed);
        }
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((value, index + 1)));
        }
    }
    if bytes.len() >= 10 { Err(Malformed) } else { Ok(None) }
}

/// The fields of one message, in order.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Walks `message`.
    #[must_use]
    pub const fn new(message: &'a [u8]) -> Fields<'a> {
        Fields { rest: message }
    }

    fn read(&mut self) -> Result<(u32, Value<'a>), Malformed> {
        let head = head(self.rest)?.ok_or(Malformed)?;
        let payload_len = usize::try_from(head.payload_len).map_err(|_| Malformed)?;
        let after = self.rest.get(head.len..).ok_or(Malformed)?;
        let (payload, rest) = after.split_at_checked(payload_len).ok_or(Malformed)?;
        self.rest = rest;
        let value = match head.kind {
            WireKind::Varint => Value::Varint(head.varint),
            WireKind::Len => Value::Len(payload),
            WireKind::Fixed64 => {
                Value::Fixed64(u64::from_le_bytes(payload.try_into().map_err(|_| Malformed)?))
            }
            WireKind::Fixed32 => {
                Value::Fixed32(u32::from_le_bytes(payload.try_into().map_err(|_| Malformed)?))
            }
        };
        Ok((head.number, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    /// Field number and value; an error is the last item.
    type Item = Result<(u32, Value<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.read();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

/// Bytes of a varint, 1 to 10.
#[inline]
#[must_use]
pub const fn varint_len(value: u64) -> usize {
    if value < 0x80 { 1 } else { (70 - value.leading_zeros() as usize) / 7 }
}

/// Appends a varint.
#[allow(clippy::cast_possible_truncation)]
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends the head of a length-delimited field; `len` bytes must follow.
#[inline]
#[allow(clippy::cast_possible_truncation)]
pub fn put_len_head(out: &mut Vec<u8>, number: u32, len: usize) {
    if number < 16 && len < 0x80 {
        // Nearly every field: one write instead of two.
        out.extend_from_slice(&[(number << 3 | 2) as u8, len as u8]);
    } else {
        put_long_head(out, number, len);
    }
}

#[cold]
fn put_long_head(out: &mut Vec<u8>, number: u32, len: usize) {
    put_varint(out, u64::from(number) << 3 | 2);
    put_varint(out, len as u64);
}

/// Appends a whole string or bytes field.
pub fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_len_head(out, number, bytes.len());
    append(out, bytes);
}

/// Appends a varint field. A negative `int64` or `int32` is passed sign-extended (`as u64`).
pub fn put_varint_field(out: &mut Vec<u8>, number: u32, value: u64) {
    put_varint(out, u64::from(number) << 3);
    put_varint(out, value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::tests::Lcg;

    #[test]
    fn varints_have_the_length_they_say_and_read_back() {
        let mut lcg = Lcg(1);
        for shift in 0..64 {
            for value in [1 << shift, (1 << shift) - 1, u64::MAX >> shift, lcg.next() >> shift] {
                let mut out = Vec::new();
                put_varint(&mut out, value);
                assert_eq!(out.len(), varint_len(value), "{value}");
                assert_eq!(varint(&out), Ok(Some((value, out.len()))));
                assert_eq!(varint(&out[..out.len() - 1]), Ok(None));
            }
        }
    }

    #[test]
    fn fields_read_back_as_they_were_written() {
        let mut out = Vec::new();
        put_bytes(&mut out, 1, b"name");
        put_varint_field(&mut out, 2, (-5_i64).cast_unsigned());
        put_bytes(&mut out, 3000, b"");
        out.extend_from_slice(&[4 << 3 | 5, 1, 0, 0, 0, 5 << 3 | 1, 2, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(out.len(), 6 + 11 + 4 + 5 + 9);
        let fields: Vec<_> = Fields::new(&out).map(Result::unwrap).collect();
        assert_eq!(
            fields,
            [
                (1, Value::Len(b"name")),
                (2, Value::Varint(u64::MAX - 4)),
                (3000, Value::Len(b"")),
                (4, Value::Fixed32(1)),
                (5, Value::Fixed64(2)),
            ]
        );
    }

    #[test]
    fn broken_messages_end_with_an_error() {
        for broken in [
            &[0x0a][..],
            &[0x0a, 5, 1, 2],
            &[0x08],
            &[0x08, 0x80],
            &[0x00, 1],
            &[0x0b, 0x0c],
            &[0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2],
            &[0x0a, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1],
            &[0x09, 1, 2, 3],
            &[0x0d, 1, 2, 3],
        ] {
            let fields: Vec<_> = Fields::new(broken).collect();
            assert_eq!(fields, [Err(Malformed)], "{broken:?}");
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_always_end() {
        let mut lcg = Lcg(2);
        for _ in 0..20_000 {
            let bytes: Vec<u8> = (0..lcg.next() % 40).map(|_| (lcg.next() >> 56) as u8).collect();
            assert!(Fields::new(&bytes).count() <= bytes.len());
        }
    }
}
