//! Bytes that are no UTF-8, kept inside a `String`.
//!
//! A path or a parameter may hold any byte, escaped, and the reference names such a byte in its errors (`\xff`). Each
//! stands as the last characters of Unicode's last private plane, which no name uses; whoever writes text for a client
//! asks [`stray_byte`] for them. Nothing that is selected or looked up contains one, so they match nothing.

/// The stand-in of byte 0; only bytes above 0x7f have one.
const STRAY: u32 = 0x10_ff00;

/// Bytes as text, with stand-ins for those that are no UTF-8.
#[must_use]
pub fn text_of(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| {
        let mut text = String::new();
        for chunk in error.as_bytes().utf8_chunks() {
            text.push_str(chunk.valid());
            text.extend(chunk.invalid().iter().filter_map(|byte| char::from_u32(STRAY + u32::from(*byte))));
        }
        text
    })
}

/// The byte that a character stands for, if it is a stand-in.
#[must_use]
pub fn stray_byte(c: char) -> Option<u8> {
    u32::from(c).checked_sub(STRAY).and_then(|byte| u8::try_from(byte).ok()).filter(|byte| *byte >= 0x80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bytes_that_are_no_text_have_stand_ins() {
        let text = text_of(b"a\xff\xc3\xa9\xed\xa0\x80".to_vec());
        let bytes: Vec<Option<u8>> = text.chars().map(stray_byte).collect();
        assert_eq!(bytes, [None, Some(0xff), None, Some(0xed), Some(0xa0), Some(0x80)]);
        assert_eq!(text_of("\u{fffd}é".into()), "\u{fffd}é");
    }
}
