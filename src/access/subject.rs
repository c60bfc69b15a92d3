//! The subject of a certificate: common name, organizations and UID, as strings.
//!
//! The last common name counts, every organization does, in order; the UID is the attribute 1.3.6.1.4.1.57683.2. A
//! string that breaks the rules of its ASN.1 type makes the whole subject unreadable, so that nobody is taken for
//! somebody else. Reads slices of the input; only the strings it returns are allocated. Source: Go's `crypto/x509`,
//! which reads names for kube-apiserver, and Kubernetes' conversion of certificates to users.

use crate::wire::x509::{Reader, tag};

/// Who a certificate says it belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Subject {
    /// The last common name; empty without one.
    pub(super) common_name: String,
    /// Organizations, in order.
    pub(super) organizations: Vec<String>,
    /// UIDs, in order; more than one is an error of the certificate.
    pub(super) uids: Vec<String>,
}

const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];
/// 1.3.6.1.4.1.57683.2
const UID: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xc2, 0x53, 0x02];

impl Subject {
    /// Reads the value of a name; `None` when it is malformed.
    pub(super) fn parse(name: &[u8]) -> Option<Subject> {
        let mut subject = Subject::default();
        let mut sets = Reader(name);
        while !sets.is_empty() {
            let mut set = Reader(sets.value(tag::SET)?);
            while !set.is_empty() {
                let mut attribute = Reader(set.value(tag::SEQUENCE)?);
                let oid = attribute.value(tag::OID)?;
                let (kind, value, _) = attribute.element()?;
                let text = string(kind, value)?;
                match oid {
                    COMMON_NAME => subject.common_name = text,
                    ORGANIZATION => subject.organizations.push(text),
                    UID => subject.uids.push(text),
                    _ => {}
                }
            }
        }
        Some(subject)
    }
}

/// One ASN.1 string; `None` for other types and for characters its type does not have.
fn string(kind: u8, value: &[u8]) -> Option<String> {
    const UTF8: u8 = 0x0c;
    const NUMERIC: u8 = 0x12;
    const PRINTABLE: u8 = 0x13;
    const T61: u8 = 0x14;
    const IA5: u8 = 0x16;
    const BMP: u8 = 0x1e;
    let legal = |is_legal: fn(u8) -> bool| value.iter().all(|&byte| is_legal(byte));
    match kind {
        UTF8 => str::from_utf8(value).ok().map(str::to_owned),
        // T.61 is read as Latin-1: the first 256 code points of Unicode.
        T61 => Some(value.iter().map(|&byte| char::from(byte)).collect()),
        BMP => bmp(value),
        PRINTABLE if legal(|byte| byte.is_ascii_alphanumeric() || b" '()+,-./:=?*&".contains(&byte)) => {
            ascii(value)
        }
        IA5 if legal(|byte| byte.is_ascii()) => ascii(value),
        NUMERIC if legal(|byte| byte.is_ascii_digit() || byte == b' ') => ascii(value),
        _ => None,
    }
}

fn ascii(value: &[u8]) -> Option<String> {
    str::from_utf8(value).ok().map(str::to_owned)
}

/// UCS-2 in big-endian order, with an optional terminator; surrogates and non-characters are refused.
fn bmp(value: &[u8]) -> Option<String> {
    let value = value.strip_suffix(&[0, 0]).unwrap_or(value);
    let (units, rest) = value.as_chunks::<2>();
    let points = units.iter().map(|&unit| u16::from_be_bytes(unit));
    let text = points.map(|unit| match unit {
        0xfffe | 0xffff | 0xfdd0..=0xfdef => None,
        unit => char::from_u32(u32::from(unit)),
    });
    rest.is_empty().then(|| text.collect())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(tag: u8, value: &[u8]) -> Vec<u8> {
        [&[tag, u8::try_from(value.len()).unwrap()][..], value].concat()
    }

    fn attribute(oid: &[u8], kind: u8, text: &[u8]) -> Vec<u8> {
        element(tag::SEQUENCE, &[element(tag::OID, oid), element(kind, text)].concat())
    }

    fn name(attributes: &[Vec<u8>]) -> Vec<u8> {
        attributes.iter().flat_map(|attribute| element(tag::SET, attribute)).collect()
    }

    #[test]
    fn strings_with_characters_their_type_lacks_are_refused() {
        for (kind, text) in [
            (0x0c, &b"\xff"[..]),
            (0x13, b"a@b"),
            (0x13, b"a\x00b"),
            (0x16, b"\x80"),
            (0x12, b"1a"),
            (0x1e, b"\x00"),
            (0x1e, b"\xd8\x00"),
            (0x1e, b"\xff\xff"),
            (0x04, b"octets"),
            (0x1c, b"\x00\x00\x00a"),
        ] {
            assert_eq!(string(kind, text), None, "{kind:#x} {text:x?}");
            assert_eq!(Subject::parse(&name(&[attribute(COMMON_NAME, kind, text)])), None);
        }
    }

    #[test]
    fn strings_of_every_type_are_read() {
        for (kind, text, expected) in [
            (0x0c, "grün".as_bytes(), "grün"),
            (0x13, b"system:masters", "system:masters"),
            (0x14, b"gr\xfcn", "grün"),
            (0x16, b"a@b", "a@b"),
            (0x12, b"12 3", "12 3"),
            (0x1e, b"\x00g\x00r\x00\xfc\x00n", "grün"),
            (0x1e, b"\x00a\x00\x00", "a"),
        ] {
            assert_eq!(string(kind, text).as_deref(), Some(expected), "{kind:#x}");
        }
    }

    #[test]
    fn the_last_common_name_and_every_organization_count() {
        let name = name(&[
            attribute(ORGANIZATION, 0x0c, b"dev"),
            attribute(COMMON_NAME, 0x0c, b"first"),
            [attribute(ORGANIZATION, 0x13, b"ops"), attribute(COMMON_NAME, 0x13, b"last")].concat(),
            attribute(UID, 0x0c, b"u-1"),
        ]);
        let subject = Subject::parse(&name).unwrap();
        assert_eq!(subject.common_name, "last");
        assert_eq!(subject.organizations, ["dev", "ops"]);
        assert_eq!(subject.uids, ["u-1"]);
        assert_eq!(Subject::parse(b""), Some(Subject::default()));
    }

    #[test]
    fn the_uid_has_the_oid_of_kubernetes() {
        // 57683 in base 128 is 3, 66, 83.
        assert_eq!(3 * 128 * 128 + 66 * 128 + 83, 57_683);
        assert_eq!(UID[5..8], [0x83, 0xc2, 0x53]);
    }
}
