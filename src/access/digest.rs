//! The two digests of access control: SHA-256 of a certificate, and a keyed 128-bit name for a question.
//!
//! The key is random for each process, so nobody outside can find two questions of the same name, and a dump of the
//! cache names no token. This is the one file that names ring, which rustls compiles in anyway.

use std::fmt::Write;

/// SHA-256.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut sum = [0; 32];
    for (to, from) in sum.iter_mut().zip(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref()) {
        *to = *from;
    }
    sum
}

/// Lower-case hexadecimal digits, two for each byte.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Names byte strings by HMAC-SHA256, cut to 128 bits.
pub(super) struct KeyedHash(ring::hmac::Key);

impl KeyedHash {
    /// With the key of this process.
    pub(super) fn new(key: &[u8; 32]) -> KeyedHash {
        KeyedHash(ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key))
    }

    /// The name of `bytes` within a domain: equal bytes in different domains have different names.
    pub(super) fn name(&self, domain: u8, bytes: &[u8]) -> u128 {
        let mut context = ring::hmac::Context::with_key(&self.0);
        context.update(&[domain]);
        context.update(bytes);
        context.sign().as_ref().iter().take(16).fold(0, |name, &byte| name << 8 | u128::from(byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_depend_on_key_domain_and_bytes() {
        let hash = KeyedHash::new(&[1; 32]);
        assert_eq!(hash.name(0, b"a"), hash.name(0, b"a"));
        assert_ne!(hash.name(0, b"a"), hash.name(1, b"a"));
        assert_ne!(hash.name(0, b"a"), hash.name(0, b"b"));
        assert_ne!(hash.name(0, b"a"), KeyedHash::new(&[2; 32]).name(0, b"a"));
    }

    #[test]
    fn sha256_is_the_one_of_the_standard() {
        assert_eq!(sha256(b"abc")[..4], [0xba, 0x78, 0x16, 0xbf]);
        assert_eq!(hex(&[0x00, 0x0f, 0xba]), "000fba");
    }
}
