//! A walk over one X.509 certificate in DER: the few fields that decide about trust, and nothing else.
//!
//! webpki verifies chains; this reads what webpki does not show (validity, extended key usage, basic constraints, the
//! subject) or does not look at (key usage, the validity of an anchor). Every byte is read through one bounds-checked
//! reader: any byte string gives the fields or `None`, without a panic and without memory of its own (slices of the
//! input only). Indefinite lengths, long tags, padded lengths and trailing bytes are refused, as DER demands.

use crate::units::UnixNanos;

/// DER tags that occur in the parts of a certificate we read, under the names X.680 gives them.
#[allow(missing_docs)]
pub mod tag {
    pub const BOOLEAN: u8 = 0x01;
    pub const INTEGER: u8 = 0x02;
    pub const BIT_STRING: u8 = 0x03;
    pub const OCTET_STRING: u8 = 0x04;
    pub const OID: u8 = 0x06;
    pub const UTC_TIME: u8 = 0x17;
    pub const GENERALIZED_TIME: u8 = 0x18;
    pub const SEQUENCE: u8 = 0x30;
    pub const SET: u8 = 0x31;
    pub const VERSION: u8 = 0xa0;
    pub const EXTENSIONS: u8 = 0xa3;
}

/// Reads one element after the other.
#[derive(Clone, Copy)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// Nothing is left.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The tag of the next element.
    pub fn peek(self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next element: its tag, its value, and the whole of it.
    pub fn element(&mut self) -> Option<(u8, &'a [u8], &'a [u8])> {
        let input = self.0;
        let (&tag, rest) = input.split_first()?;
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (&first, mut rest) = rest.split_first()?;
        let len = if first < 0x80 {
            usize::from(first)
        } else {
            let (len_bytes, after) = rest.split_at_checked(usize::from(first & 0x7f))?;
            // One to four bytes, the first not zero, and not what the short form could say: the only DER encoding.
            if len_bytes.is_empty() || len_bytes.len() > 4 || len_bytes.first() == Some(&0) {
                return None;
            }
            rest = after;
            let len = len_bytes.iter().fold(0_usize, |len, &byte| len << 8 | usize::from(byte));
            if len < 0x80 {
                return None;
            }
            len
        };
        let (value, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        let whole = input.get(..input.len().checked_sub(rest.len())?)?;
        Some((tag, value, whole))
    }

    /// The value of the next element, which must have this tag.
    pub fn value(&mut self, tag: u8) -> Option<&'a [u8]> {
        match self.element()? {
            (found, value, _) if found == tag => Some(value),
            _ => None,
        }
    }

    /// The value of the next element if it has this tag; otherwise nothing is read.
    fn optional(&mut self, tag: u8) -> Option<Option<&'a [u8]>> {
        if self.peek() == Some(tag) { self.value(tag).map(Some) } else { Some(None) }
    }
}

/// What one certificate says of itself; nothing here is proven.
#[derive(Clone, Copy, Debug, Default)]
pub struct Certificate<'a> {
    /// Value of the signature's AlgorithmIdentifier (the outer one; the inner one is equal).
    pub algorithm: &'a [u8],
    /// Value of the subject's name.
    pub subject: &'a [u8],
    /// The certificate's own key (SubjectPublicKeyInfo), with tag and length: for the handshake, nothing here uses it.
    pub public_key: &'a [u8],
    /// First instant of validity.
    pub not_before: UnixNanos,
    /// Last instant of validity.
    pub not_after: UnixNanos,
    /// X.509 version 3; older versions have no extensions.
    pub is_v3: bool,
    /// `cA` of the basic constraints; `None` without the extension.
    pub is_ca: Option<bool>,
    /// `pathLenConstraint`.
    pub path_len: Option<usize>,
    /// The key usage allows signing certificates; `None` without the extension.
    pub signs_certificates: Option<bool>,
    /// The extended key usage allows servers, by name or as any usage; `None` without the extension.
    pub allows_servers: Option<bool>,
}

/// The key in a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey<'a> {
    /// SubjectPublicKeyInfo, with tag and length.
    pub der: &'a [u8],
    /// Value of its AlgorithmIdentifier.
    pub algorithm: &'a [u8],
    /// The key itself.
    pub bits: &'a [u8],
}

impl<'a> PublicKey<'a> {
    /// Reads the key of a certificate (DER) of any version, whatever its extensions say: by the same walk that later
    /// verifies the certificate, so that the key which is proven and the one which an authority signed are one.
    #[must_use]
    pub fn of(der: &'a [u8]) -> Option<PublicKey<'a>> {
        let der = Certificate::parse(der)?.public_key;
        let mut outer = Reader(der);
        let mut parts = Reader(outer.value(tag::SEQUENCE)?);
        let algorithm = parts.value(tag::SEQUENCE)?;
        let bits = bits(parts.value(tag::BIT_STRING)?)?;
        parts.is_empty().then_some(PublicKey { der, algorithm, bits })
    }
}

/// Value of the OID keyUsage.
pub const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
/// Value of the OID basicConstraints.
pub const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
/// Value of the OID extKeyUsage.
pub const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
/// Value of the OID serverAuth.
pub const SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
/// Value of the OID clientAuth.
pub const CLIENT_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];
/// Value of the OID anyExtendedKeyUsage.
pub const ANY_USAGE: &[u8] = &[0x55, 0x1d, 0x25, 0x00];

impl<'a> Certificate<'a> {
    /// Walks a certificate; `None` when it is none.
    pub fn parse(der: &'a [u8]) -> Option<Certificate<'a>> {
        let mut outer = Reader(der);
        let mut parts = Reader(outer.value(tag::SEQUENCE)?);
        let tbs = parts.value(tag::SEQUENCE)?;
        let algorithm = parts.value(tag::SEQUENCE)?;
        bits(parts.value(tag::BIT_STRING)?)?;
        if !outer.is_empty() || !parts.is_empty() {
            return None;
        }
        let mut tbs = Reader(tbs);
        let version = match tbs.optional(tag::VERSION)? {
            None => 0,
            Some(value) => small(Reader(value).value(tag::INTEGER)?)?,
        };
        tbs.value(tag::INTEGER)?;
        if tbs.value(tag::SEQUENCE)? != algorithm {
            return None;
        }
        // The issuer's name.
        tbs.value(tag::SEQUENCE)?;
        let mut validity = Reader(tbs.value(tag::SEQUENCE)?);
        let mut certificate = Certificate {
            algorithm,
            subject: tbs.value(tag::SEQUENCE)?,
            not_before: time(validity.element()?)?,
            not_after: time(validity.element()?)?,
            is_v3: version == 2,
            ..Certificate::default()
        };
        let (key_tag, _, key) = tbs.element()?;
        certificate.public_key = key;
        // issuerUniqueID and subjectUniqueID: never used, refused by webpki too.
        if let Some(extensions) = tbs.optional(tag::EXTENSIONS)? {
            certificate.read_extensions(extensions)?;
        }
        (version <= 2 && key_tag == tag::SEQUENCE && validity.is_empty() && tbs.is_empty())
            .then_some(certificate)
    }

    fn read_extensions(&mut self, value: &[u8]) -> Option<()> {
        let mut extensions = Reader(Reader(value).value(tag::SEQUENCE)?);
        while !extensions.is_empty() {
            let mut extension = Reader(extensions.value(tag::SEQUENCE)?);
            let oid = extension.value(tag::OID)?;
            extension.optional(tag::BOOLEAN)?;
            let value = extension.value(tag::OCTET_STRING)?;
            match oid {
                BASIC_CONSTRAINTS => self.read_basic_constraints(value)?,
                KEY_USAGE => {
                    // keyCertSign is bit 5, counted from the high end of the first byte.
                    let usage = Reader(value).value(tag::BIT_STRING)?.get(1..)?;
                    self.signs_certificates = Some(usage.first().is_some_and(|bits| bits & 0x04 != 0));
                }
                // What cannot be read allows nothing.
                EXTENDED_KEY_USAGE => self.allows_servers = Some(names_servers(value).unwrap_or(false)),
                // webpki checks all others, and refuses critical ones that it does not know.
                _ => {}
            }
        }
        Some(())
    }

    fn read_basic_constraints(&mut self, value: &[u8]) -> Option<()> {
        let mut constraints = Reader(Reader(value).value(tag::SEQUENCE)?);
        self.is_ca = Some(constraints.optional(tag::BOOLEAN)?.is_some_and(|value| value != [0]));
        if let Some(len) = constraints.optional(tag::INTEGER)? {
            self.path_len = Some(small(len)?);
        }
        Some(())
    }

    /// Whether this may have issued other certificates: a CA by its basic constraints (version 3; older versions
    /// cannot say) whose key usage, if there is one, includes signing certificates.
    pub fn may_issue(&self) -> bool {
        let is_ca = if self.is_v3 { self.is_ca == Some(true) } else { true };
        is_ca && self.signs_certificates.unwrap_or(true)
    }

    /// Whether this, and what it issued, may be a server's certificate as far as its extended key usage says.
    pub fn is_for_servers(&self) -> bool {
        self.allows_servers.unwrap_or(true)
    }
}

/// Whether one of the usages is that of a server, or any; `None` when it is no list of usages.
fn names_servers(value: &[u8]) -> Option<bool> {
    let mut usages = Reader(Reader(value).value(tag::SEQUENCE)?);
    let mut found = false;
    while !usages.is_empty() {
        found |= [SERVER_AUTH, ANY_USAGE].contains(&usages.value(tag::OID)?);
    }
    Some(found)
}

/// The first and the last instant at which a certificate (DER) is valid; `None` when it is none.
#[must_use]
pub fn validity(der: &[u8]) -> Option<(UnixNanos, UnixNanos)> {
    Certificate::parse(der).map(|certificate| (certificate.not_before, certificate.not_after))
}

/// The bytes of a BIT STRING without unused bits.
pub fn bits(value: &[u8]) -> Option<&[u8]> {
    value.split_first().and_then(|(&unused, bytes)| (unused == 0).then_some(bytes))
}

/// A small non-negative INTEGER.
pub fn small(value: &[u8]) -> Option<usize> {
    match value {
        [byte] if *byte < 0x80 => Some(usize::from(*byte)),
        _ => None,
    }
}

/// UTCTime or GeneralizedTime, in the one form certificates may use: to the second, in UTC.
pub fn time((tag, value, _): (u8, &[u8], &[u8])) -> Option<UnixNanos> {
    let text = value.strip_suffix(b"Z")?;
    if !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut pairs = text.chunks(2).map(|pair| pair.iter().fold(0_i64, |n, b| n * 10 + i64::from(b - b'0')));
    let mut next = || pairs.next();
    let year = match (tag, text.len()) {
        (tag::UTC_TIME, 12) => next().map(|year| if year < 50 { 2000 + year } else { 1900 + year })?,
        (tag::GENERALIZED_TIME, 14) => next()? * 100 + next()?,
        _ => return None,
    };
    let seconds = super::time::seconds_since_epoch([year, next()?, next()?, next()?, next()?, next()?])?;
    Some(UnixNanos(seconds.saturating_mul(1_000_000_000)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_that_der_forbids_are_refused() {
        for bad in [
            &b""[..],
            b"\x30",
            b"\x30\x80",
            b"\x30\x81\x01\x00",
            b"\x30\x82\x00\x80",
            b"\x3f\x01\x00",
            b"\x30\x05abc",
        ] {
            assert!(Reader(bad).element().is_none(), "{bad:x?}");
        }
        let huge = b"\x30\x85\x01\x01\x01\x01\x01a";
        assert!(Reader(huge).element().is_none());
        let long = [&[0x30, 0x81, 0x80][..], &[7; 128]].concat();
        assert_eq!(
            Reader(&long).element().map(|(_, value, whole)| (value.len(), whole.len())),
            Some((128, 131))
        );
    }

    #[test]
    fn times_are_read_as_certificates_write_them() {
        let at = |tag, text: &[u8]| time((tag, text, text)).map(UnixNanos::seconds);
        assert_eq!(at(tag::UTC_TIME, b"700101000000Z"), Some(0));
        assert_eq!(at(tag::UTC_TIME, b"261124095716Z"), Some(1_795_514_236));
        assert_eq!(at(tag::UTC_TIME, b"491231235959Z"), Some(2_524_607_999));
        assert_eq!(at(tag::UTC_TIME, b"500101000000Z"), Some(-631_152_000));
        assert_eq!(at(tag::GENERALIZED_TIME, b"20000229120000Z"), Some(951_825_600));
        assert_eq!(time((tag::GENERALIZED_TIME, b"99991231235959Z", b"")), Some(UnixNanos(i64::MAX)));
        for bad in [
            &b"261124095716"[..],
            b"2611240957Z",
            b"261324095716Z",
            b"26112409571aZ",
            b"261124095716+0100",
            b"",
        ] {
            assert_eq!(at(tag::UTC_TIME, bad), None, "{bad:?}");
        }
    }
}
