//! When a certificate ends: the one thing of a certificate that no linked library tells.
//!
//! Walks the DER of an X.509 certificate as far as `notAfter` and no further. Any bytes give a time or `None`; nothing is
//! allocated. Source: RFC 5280, sections 4.1 and 4.1.2.5.

use crate::units::UnixNanos;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const EXPLICIT_0: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The end of a certificate's validity, in whole seconds.
#[must_use]
pub fn not_after(der: &[u8]) -> Option<UnixNanos> {
    let (certificate, _) = inside(der, SEQUENCE)?;
    let (mut rest, _) = inside(certificate, SEQUENCE)?;
    if let Some((_, after)) = inside(rest, EXPLICIT_0) {
        rest = after;
    }
    // Serial number, signature algorithm, issuer.
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        rest = inside(rest, tag)?.1;
    }
    let (validity, _) = inside(rest, SEQUENCE)?;
    let (_, _, after) = element(validity)?;
    let (tag, text, _) = element(after)?;
    time(tag, text)
}

/// The first element if it has this tag: its content, and what follows it.
fn inside(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    element(der).filter(|(found, _, _)| *found == tag).map(|(_, content, rest)| (content, rest))
}

/// The first element: tag, content, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (len, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        // Long form; three bytes of length are more than any certificate has.
        let count = usize::from(first & 0x7f);
        if count == 0 || count > 3 {
            return None;
        }
        let (digits, rest) = rest.split_at_checked(count)?;
        (digits.iter().fold(0, |len, &digit| (len << 8) | usize::from(digit)), rest)
    };
    let (content, rest) = rest.split_at_checked(len)?;
    Some((tag, content, rest))
}

/// `YYMMDDhhmmssZ` or `YYYYMMDDhhmmssZ`.
fn time(tag: u8, text: &[u8]) -> Option<UnixNanos> {
    let (year, rest) = match (tag, text.len()) {
        (UTC_TIME, 13) => {
            let (digits, rest) = text.split_at_checked(2)?;
            let short = number(digits)?;
            (if short < 50 { 2000 + short } else { 1900 + short }, rest)
        }
        (GENERALIZED_TIME, 15) => {
            let (digits, rest) = text.split_at_checked(4)?;
            (number(digits)?, rest)
        }
        _ => return None,
    };
    let mut fields = rest.strip_suffix(b"Z")?.chunks_exact(2).map(number);
    let mut next =
        |range: std::ops::RangeInclusive<i64>| fields.next().flatten().filter(|v| range.contains(v));
    let (month, day) = (next(1..=12)?, next(1..=31)?);
    let (hour, minute, second) = (next(0..=23)?, next(0..=59)?, next(0..=60)?);
    let seconds = days_since_epoch(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    Some(UnixNanos(seconds.saturating_mul(1_000_000_000)))
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |sum, d| d.is_ascii_digit().then(|| sum * 10 + i64::from(d - b'0')))
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar; years begin in March, so that leap days come last.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::self_signed;

    #[test]
    fn the_end_of_a_certificate_is_read_back() {
        let now = UnixNanos::from_millis(1_800_000_000_000);
        let authority = self_signed::Authority::generate(now).unwrap();
        let pair = authority.issue(&["localhost".to_string()], now).unwrap();
        let life = i64::try_from(crate::limits::CERTIFICATE_LIFE.as_secs()).unwrap();
        assert_eq!(not_after(&pair.der).unwrap().seconds(), now.seconds() + life);
        assert!(not_after(&authority.der).unwrap() > not_after(&pair.der).unwrap());
    }

    #[test]
    fn both_time_forms_are_read() {
        assert_eq!(time(UTC_TIME, b"700101000000Z"), Some(UnixNanos(0)));
        assert_eq!(time(UTC_TIME, b"491231235959Z").unwrap().seconds(), 2_524_607_999);
        assert_eq!(time(GENERALIZED_TIME, b"20500101000000Z").unwrap().seconds(), 2_524_608_000);
        assert_eq!(time(GENERALIZED_TIME, b"20240229120000Z").unwrap().seconds(), 1_709_208_000);
    }

    #[test]
    fn odd_times_are_none() {
        for (tag, text) in [
            (UTC_TIME, &b"7001010000Z"[..]),
            (UTC_TIME, b"700101000000+"),
            (UTC_TIME, b"701301000000Z"),
            (UTC_TIME, b"7001x1000000Z"),
            (GENERALIZED_TIME, b"700101000000Z"),
            (INTEGER, b"700101000000Z"),
        ] {
            assert_eq!(time(tag, text), None, "{text:?}");
        }
    }

    #[test]
    fn no_bytes_make_the_walk_panic() {
        let now = UnixNanos::from_millis(1_800_000_000_000);
        let der = self_signed::Authority::generate(now).unwrap().der;
        for end in 0..der.len() {
            let _ = not_after(&der[..end]);
        }
        for at in 0..der.len() {
            for value in [0, 0x7f, 0x80, 0x83, 0x84, 0xff] {
                let mut broken = der.clone();
                broken[at] = value;
                let _ = not_after(&broken);
            }
        }
    }
}
