//! The time in a `Date` header: `Sun, 06 Nov 1994 08:49:37 GMT`, the one form that servers may send (RFC 9110, 5.6.7).

use super::time::{parse_rfc3339, rfc3339_text};
use crate::invariant::assured;
use crate::units::UnixNanos;

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// An instant as HTTP prints it; whole seconds.
#[must_use]
pub fn http_date(at: UnixNanos) -> String {
    let text = rfc3339_text(at);
    let text = text.as_str();
    let part = |range| assured(text.get(range), "a time of RFC 3339 has 20 bytes");
    // 1970-01-01 was a Thursday.
    let days = usize::try_from(at.seconds().div_euclid(86_400).rem_euclid(7));
    let day = assured(days.ok().and_then(|days| DAYS.get(days)), "a week has 7 days");
    let month = part(5..7).parse().ok().and_then(|month: usize| MONTHS.get(month.checked_sub(1)?));
    let month = assured(month, "a year has 12 months");
    format!("{day}, {} {month} {} {} GMT", part(8..10), part(0..4), part(11..19))
}

/// Reads a `Date` header; `None` for any other form. The name of the day is not compared with the date.
#[must_use]
pub fn parse_http_date(text: &str) -> Option<UnixNanos> {
    let (_, rest) = text.trim().split_once(", ")?;
    let words: Vec<&str> = rest.split(' ').collect();
    let [day, month, year, time, "GMT"] = words.as_slice() else { return None };
    let month = MONTHS.iter().position(|name| name == month)? + 1;
    parse_rfc3339(&format!("{year}-{month:02}-{day}T{time}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_and_nothing_else() {
        let at = |text| parse_http_date(text).map(UnixNanos::seconds);
        assert_eq!(at("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(at("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        for bad in [
            "",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, +6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT GMT",
        ] {
            assert_eq!(at(bad), None, "{bad}");
        }
    }

    #[test]
    fn dates_are_written_as_http_writes_them() {
        for (seconds, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT"),
            (4_102_444_800, "Fri, 01 Jan 2100 00:00:00 GMT"),
        ] {
            assert_eq!(http_date(UnixNanos::from_millis(seconds * 1_000)), text);
        }
        assert_eq!(http_date(UnixNanos(1_795_514_237_999_999_999)), "Tue, 24 Nov 2026 09:57:17 GMT");
    }
}
