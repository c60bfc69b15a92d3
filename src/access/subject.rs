//! The subject of a certificate: common name, organizations and UID, as strings.
//!
//! The last common name counts, every organization does, in order; the UID is the attribute 1.3.6.1.4.1.57683.2. One that
//! breaks the rules of its ASN.1 type, or is of a type without a place in certificates (RFC 5280, 4.1.2.4), makes the whole
//! subject unreadable, so that nobody is taken for somebody else. Reads slices of the input; only the strings it returns
//! are allocated. Source: Go's `crypto/x509`, and Kubernetes' conversion of certificates to users.
//! Deviation: names in T.61, UCS-2 or digits are refused; metrics-server reads them.

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
                match oid {
                    COMMON_NAME => subject.common_name = string(kind, value)?,
                    ORGANIZATION => subject.organizations.push(string(kind, value)?),
                    UID => subject.uids.push(string(kind, value)?),
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
    const PRINTABLE: u8 = 0x13;
    const IA5: u8 = 0x16;
    let is_legal = match kind {
        UTF8 => true,
        PRINTABLE => {
            value.iter().all(|byte| byte.is_ascii_alphanumeric() || b" '()+,-./:=?*&".contains(byte))
        }
        IA5 => value.is_ascii(),
        _ => false,
    };
    str::from_utf8(value).ok().filter(|_| is_legal).map(str::to_owned)
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
            (0x12, b"12"),
            (0x14, b"a"),
            (0x1e, b"\x00a"),
            (0x04, b"octets"),
            (0x1c, b"\x00\x00\x00a"),
        ] {
            assert_eq!(string(kind, text), None, "{kind:#x} {text:x?}");
            assert_eq!(Subject::parse(&name(&[attribute(COMMON_NAME, kind, text)])), None);
            assert_eq!(Subject::parse(&name(&[attribute(ORGANIZATION, kind, text)])), None);
            // An attribute that makes nobody anybody is passed over.
            assert_eq!(
                Subject::parse(&name(&[attribute(&[0x55, 0x04, 0x07], kind, text)])),
                Some(Subject::default())
            );
        }
    }

    #[test]
    fn strings_of_every_type_are_read() {
        for (kind, text, expected) in [
            (0x0c, "grün".as_bytes(), "grün"),
            (0x13, b"system:masters", "system:masters"),
            (0x16, b"a@b", "a@b"),
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
