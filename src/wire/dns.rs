//! DNS messages of a stub resolver: one question for the addresses of a name, and what the answer says.
//!
//! Only what a stub needs: a query without EDNS, and the A and AAAA records of the answer section. Owner names are skipped
//! and not followed: a recursive name server puts the whole CNAME chain and the addresses at its end into that section.
//! Refused: answers to another question, records that leave the message. Memory: `limits::ADDRESSES_MAX` addresses.
//! Source: RFC 1035 section 4; RFC 3596.

use crate::limits;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const HEADER_LEN: usize = 12;
/// Bytes of a name in text form, without the final dot.
const NAME_LEN_MAX: usize = 253;
const LABEL_LEN_MAX: usize = 63;
const CLASS_IN: u16 = 1;
const RECURSION_DESIRED: u8 = 0x01;
const RESPONSE: u8 = 0x80;
const OPCODE: u8 = 0x78;
const TRUNCATED: u8 = 0x02;

/// Which addresses a question asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressFamily {
    /// A records.
    V4,
    /// AAAA records.
    V6,
}

impl AddressFamily {
    const fn record_type(self) -> u16 {
        match self {
            AddressFamily::V4 => 1,
            AddressFamily::V6 => 28,
        }
    }
}

/// What a name server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsAnswer {
    /// Addresses (none: the name has none of this family), and the seconds for which they may be remembered.
    Addresses(Vec<IpAddr>, u32),
    /// NXDOMAIN.
    UnknownName,
    /// The answer did not fit into a datagram: ask again over TCP.
    Truncated,
    /// Any other response code: SERVFAIL (2), REFUSED (5) and so on.
    Failed(u8),
}

/// The query for the addresses of an absolute `name`; `None` when it is not a host name.
#[must_use]
pub fn query(name: &str, id: u16, family: AddressFamily) -> Option<Vec<u8>> {
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() || name.len() > NAME_LEN_MAX {
        return None;
    }
    let mut query = Vec::with_capacity(HEADER_LEN + name.len() + 6);
    query.extend_from_slice(&id.to_be_bytes());
    query.extend_from_slice(&[RECURSION_DESIRED, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        let allowed = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        let len = u8::try_from(label.len()).ok()?;
        if label.is_empty() || label.len() > LABEL_LEN_MAX || !allowed {
            return None;
        }
        query.push(len);
        query.extend_from_slice(label.as_bytes());
    }
    query.push(0);
    query.extend_from_slice(&family.record_type().to_be_bytes());
    query.extend_from_slice(&CLASS_IN.to_be_bytes());
    Some(query)
}

/// Reads `reply` as the answer to `query`; `None` when it is none, or malformed: keep waiting for the right one.
#[must_use]
pub fn answer(query: &[u8], reply: &[u8]) -> Option<DnsAnswer> {
    let (head, rest) = reply.split_at_checked(HEADER_LEN)?;
    let (asked_head, asked) = query.split_at_checked(HEADER_LEN)?;
    let [_, _, flags, code, questions @ ..] = head else { return None };
    let answers = u16::from_be_bytes([*questions.get(2)?, *questions.get(3)?]);
    let (question, records) = rest.split_at_checked(asked.len())?;
    let is_ours = head.get(..2) == asked_head.get(..2)
        && flags & (RESPONSE | OPCODE) == RESPONSE
        && questions.get(..2) == Some(&[0, 1])
        && question.eq_ignore_ascii_case(asked);
    if !is_ours {
        return None;
    }
    if flags & TRUNCATED != 0 {
        return Some(DnsAnswer::Truncated);
    }
    match code & 0x0f {
        0 => {}
        3 => return Some(DnsAnswer::UnknownName),
        code => return Some(DnsAnswer::Failed(code)),
    }
    let kind = asked.get(asked.len().checked_sub(4)?..)?;
    addresses(records, answers, [*kind.first()?, *kind.get(1)?])
}

fn addresses(mut rest: &[u8], count: u16, wanted: [u8; 2]) -> Option<DnsAnswer> {
    let (mut found, mut ttl_min) = (Vec::new(), u32::MAX);
    for _ in 0..count {
        rest = skip_name(rest)?;
        let (fixed, data) = rest.split_at_checked(10)?;
        let &[t0, t1, c0, c1, a, b, c, d, l0, l1] = fixed else { return None };
        let (record, after) = data.split_at_checked(usize::from(u16::from_be_bytes([l0, l1])))?;
        rest = after;
        ttl_min = ttl_min.min(u32::from_be_bytes([a, b, c, d]));
        let address = match (<[u8; 4]>::try_from(record), <[u8; 16]>::try_from(record)) {
            (Ok(v4), _) => IpAddr::from(Ipv4Addr::from(v4)),
            (_, Ok(v6)) => IpAddr::from(Ipv6Addr::from(v6)),
            _ => continue,
        };
        let is_wanted = [t0, t1] == wanted
            && [c0, c1] == CLASS_IN.to_be_bytes()
            && address.is_ipv4() == (wanted == AddressFamily::V4.record_type().to_be_bytes());
        if is_wanted && found.len() < limits::ADDRESSES_MAX && !found.contains(&address) {
            found.push(address);
        }
    }
    // RFC 2181: a set high bit means a time of 0.
    let ttl = if ttl_min > i32::MAX.cast_unsigned() { 0 } else { ttl_min };
    Some(DnsAnswer::Addresses(found, ttl))
}

/// What follows a name, which ends at a zero length or a pointer.
fn skip_name(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        let (len, after) = rest.split_first()?;
        match len {
            0 => return Some(after),
            1..=63 => rest = after.get(usize::from(*len)..)?,
            192..=255 => return after.get(1..),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod reply;

#[cfg(test)]
mod tests {
    use super::reply::reply;
    use super::*;

    fn v4() -> Vec<u8> {
        query("node-7.lan", 0x1234, AddressFamily::V4).unwrap()
    }

    #[test]
    fn a_query_is_that_of_rfc_1035() {
        let wanted = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x06node-7\x03lan\x00\x00\x01\x00\x01";
        assert_eq!(v4(), wanted);
        assert_eq!(query("node-7.lan.", 0x1234, AddressFamily::V4).unwrap(), wanted);
        let long = format!("{}.x", "a".repeat(64));
        for name in ["", ".", "a..b", ".a", "a b", "é", "a\0", &long, &"a.".repeat(127).repeat(2)] {
            assert_eq!(query(name, 1, AddressFamily::V6), None, "{name:?}");
        }
    }

    #[test]
    fn addresses_of_the_asked_family_are_found_behind_a_chain_of_names() {
        let cname = b"\x01x\xc0\x0c";
        let records: [(u16, u32, &[u8]); 4] =
            [(5, 300, cname), (1, 60, &[10, 0, 0, 7]), (1, 90, &[10, 0, 0, 7]), (28, 1, &[1; 16])];
        let found = answer(&v4(), &reply(&v4(), 0, &records)).unwrap();
        assert_eq!(found, DnsAnswer::Addresses(vec!["10.0.0.7".parse().unwrap()], 1));
        let v6 = query("n", 1, AddressFamily::V6).unwrap();
        let found = answer(&v6, &reply(&v6, 0, &[(28, u32::MAX, &[0xfd; 16])])).unwrap();
        assert_eq!(found, DnsAnswer::Addresses(vec![Ipv6Addr::from([0xfd; 16]).into()], 0));
        let empty = answer(&v4(), &reply(&v4(), 0, &[])).unwrap();
        assert_eq!(empty, DnsAnswer::Addresses(vec![], 0));
    }

    #[test]
    fn response_codes_are_told_apart() {
        assert_eq!(answer(&v4(), &reply(&v4(), 3, &[])), Some(DnsAnswer::UnknownName));
        assert_eq!(answer(&v4(), &reply(&v4(), 2, &[])), Some(DnsAnswer::Failed(2)));
        let mut cut = reply(&v4(), 0, &[]);
        cut[2] |= TRUNCATED;
        assert_eq!(answer(&v4(), &cut), Some(DnsAnswer::Truncated));
    }

    #[test]
    fn an_answer_to_another_question_or_a_malformed_one_is_none() {
        let good = reply(&v4(), 0, &[(1, 60, &[10, 0, 0, 7])]);
        let change = |at: usize, to: u8| {
            let mut bytes = good.clone();
            bytes[at] = to;
            bytes
        };
        for (what, bytes) in [
            ("id", change(0, 0)),
            ("a query", change(2, 1)),
            ("opcode", change(2, 0x90)),
            ("two questions", change(5, 2)),
            ("name", change(13, b'x')),
            ("family", change(25, 28)),
            ("record count", change(7, 2)),
            ("record length", change(39, 5)),
            ("label type", change(28, 0x80)),
        ] {
            assert_eq!(answer(&v4(), &bytes), None, "{what}");
        }
        for len in 0..good.len() {
            assert_eq!(answer(&v4(), &good[..len]), None, "cut to {len} bytes");
        }
        assert!(answer(&v4(), &change(13, b'N')).is_some(), "letter case does not matter");
    }
}
