//! RFC 3339 times and Go durations, as Kubernetes prints and reads them.
//!
//! Times are written in UTC in whole seconds, truncated; every instant of 64-bit nanoseconds has a four-digit year, so a time is
//! always 20 bytes. Durations are written as Go's `Duration.String` and read as its `ParseDuration`. Only an error's text
//! is allocated.

use super::text::{Text, append, quoted};
use crate::units::{UnixNanos, Window};

/// A time as `2026-08-04T09:26:35Z`.
#[must_use]
pub fn rfc3339_text(at: UnixNanos) -> Text {
    let seconds = at.seconds();
    let (year, month, day) = date_of(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400).unsigned_abs();
    let mut text = Text::new();
    text.push_front([b'Z']);
    text.push_pair_front(second % 60);
    text.push_front([b':']);
    text.push_pair_front(second / 60 % 60);
    text.push_front([b':']);
    text.push_pair_front(second / 3600);
    text.push_front([b'T']);
    text.push_pair_front(day);
    text.push_front([b'-']);
    text.push_pair_front(month);
    text.push_front([b'-']);
    text.push_pair_front(year % 100);
    text.push_pair_front(year / 100);
    text
}

/// Appends a time.
pub fn rfc3339(at: UnixNanos, out: &mut Vec<u8>) {
    append(out, rfc3339_text(at).as_bytes());
}

/// Year, month and day of a day counted from 1970-01-01, in the proleptic Gregorian calendar. Years are counted from
/// March, so that the leap day is a year's last, and in eras of 400 years, which all have the same length.
fn date_of(day: i64) -> (u64, u64, u64) {
    let from_year_0 = day + 719_468;
    let day_of_era = from_year_0.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + from_year_0.div_euclid(146_097) * 400 + i64::from(month <= 2);
    (year.unsigned_abs(), month.unsigned_abs(), day.unsigned_abs())
}

/// Seconds from 1970 to a year, month, day, hour, minute and second of UTC; `None` where one of them is out of range. Years
/// begin in March, so that a leap day is the last of its year.
#[must_use]
pub fn seconds_since_epoch([year, month, day, hour, minute, second]: [i64; 6]) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some((year * 365 + leap_days + day_of_year - 719_468) * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Reads a time such as `2026-08-04T09:26:35Z`, with or without a fraction, in any zone; `None` for anything else.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<UnixNanos> {
    let (head, zone) = text.split_at_checked(19)?;
    let (mut numbers, mut digits) = ([0_i64; 6], head.bytes());
    for (at, (width, end)) in
        [(4, b'-'), (2, b'-'), (2, b'T'), (2, b':'), (2, b':'), (2, 0)].into_iter().enumerate()
    {
        let number = numbers.get_mut(at)?;
        for _ in 0..width {
            *number = *number * 10 + i64::from(digits.next().filter(u8::is_ascii_digit)? - b'0');
        }
        if end != 0 && digits.next()? != end {
            return None;
        }
    }
    let (mut nanos, mut zone) = (0, zone);
    if let Some(fraction) = zone.strip_prefix('.') {
        let len = fraction.bytes().take_while(u8::is_ascii_digit).count();
        let (fraction, rest) = fraction.split_at_checked(len).filter(|_| (1..=9).contains(&len))?;
        nanos = fraction.parse::<i64>().ok()? * 10_i64.checked_pow(u32::try_from(9 - len).ok()?)?;
        zone = rest;
    }
    let seconds = seconds_since_epoch(numbers)?.checked_sub(zone_offset(zone)?)?;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanos).map(UnixNanos)
}

/// Seconds that `Z`, `+hh:mm` or `-hh:mm` is before UTC.
fn zone_offset(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let (sign, rest) = zone.split_at_checked(1)?;
    let sign = match sign {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let number = |text: &str, max: i64| {
        let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i64>().ok().filter(|number| is_number && *number <= max)
    };
    Some(sign * (number(hours, 23)? * 3600 + number(minutes, 59)? * 60))
}

/// A duration as Go prints it: `0s`, `500µs`, `15.05s`, `1m0.5s`, `1h0m0s`.
#[must_use]
pub fn duration_text(duration: Window) -> Text {
    let mut text = Text::new();
    let nanos = duration.0.unsigned_abs();
    if nanos == 0 {
        text.push_str_front("0s");
        return text;
    }
    match nanos {
        0..1_000 => push_units(&mut text, nanos, 1, "ns"),
        1_000..1_000_000 => push_units(&mut text, nanos, 1_000, "µs"),
        1_000_000..1_000_000_000 => push_units(&mut text, nanos, 1_000_000, "ms"),
        _ => push_clock(&mut text, nanos),
    }
    if duration.0 < 0 {
        text.push_front([b'-']);
    }
    text
}

/// Appends a duration.
pub fn duration(duration: Window, out: &mut Vec<u8>) {
    append(out, duration_text(duration).as_bytes());
}

/// A number of units with its fraction, trailing zeros left out.
fn push_units(text: &mut Text, nanos: u64, unit: u64, name: &str) {
    text.push_str_front(name);
    let mut fraction = nanos % unit;
    let mut width = unit.ilog10() as usize;
    if fraction > 0 {
        while fraction.is_multiple_of(10) {
            fraction /= 10;
            width -= 1;
        }
        text.push_number_front(fraction, width);
        text.push_front([b'.']);
    }
    text.push_number_front(nanos / unit, 1);
}

/// A second or more: hours and minutes only when there are any.
fn push_clock(text: &mut Text, nanos: u64) {
    const MINUTE: u64 = 60 * 1_000_000_000;
    push_units(text, nanos % MINUTE, 1_000_000_000, "s");
    let minutes = nanos / MINUTE;
    if minutes > 0 {
        text.push_front([b'm']);
        text.push_number_front(minutes % 60, 1);
    }
    if minutes >= 60 {
        text.push_front([b'h']);
        text.push_number_front(minutes / 60, 1);
    }
}

/// Reads a Go duration (`15s`, `1m0s`, `1.5h`, `-2ms`, `0`) as nanoseconds.
/// # Errors
/// One line that names the text and what was expected.
pub fn parse_duration(text: &str) -> Result<i64, String> {
    let error = |what: &str| format!("invalid duration {}: {what}", quoted(text));
    let invalid = || error("expected a number with a unit, such as 15s or 1m30s");
    let too_long = || error("longer than 292 years");
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return Ok(0);
    }
    // Below zero, where there is one number more.
    let mut sum = 0_i64;
    loop {
        let is_digit = |c: char| c.is_ascii_digit() || c == '.';
        let (number, after) = rest.split_at(rest.find(|c| !is_digit(c)).unwrap_or(rest.len()));
        let (name, after) = after.split_at(after.find(is_digit).unwrap_or(after.len()));
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return Err(invalid());
        }
        if name.is_empty() {
            return Err(error("unit missing; expected ns, us, ms, s, m or h"));
        }
        let unit = unit_nanos(name).ok_or_else(|| {
            error(&format!("unknown unit {}; expected ns, us, ms, s, m or h", quoted(name)))
        })?;
        sum =
            nanos_of(whole, fraction, unit).and_then(|nanos| sum.checked_sub(nanos)).ok_or_else(too_long)?;
        rest = after;
        if rest.is_empty() {
            return if text.starts_with('-') { Ok(sum) } else { sum.checked_neg().ok_or_else(too_long) };
        }
    }
}

/// A decimal number of units, its parts digits or empty; the fraction goes through a double, as in Go.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
fn nanos_of(whole: &str, fraction: &str, unit: i64) -> Option<i64> {
    let whole = if whole.is_empty() { 0 } else { whole.parse::<i64>().ok()? };
    let fraction: f64 = format!("0.{fraction}0").parse().ok()?;
    whole.checked_mul(unit)?.checked_add((fraction * unit as f64).round() as i64)
}

/// Nanoseconds of a unit; both micro signs are read.
fn unit_nanos(name: &str) -> Option<i64> {
    Some(match name {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::tests::Lcg;

    fn time_of(seconds: i64) -> String {
        rfc3339_text(UnixNanos(seconds * 1_000_000_000)).as_str().to_owned()
    }

    fn duration_of(nanos: i64) -> String {
        duration_text(Window(nanos)).as_str().to_owned()
    }

    #[test]
    fn times_are_whole_seconds_in_utc() {
        for (nanos, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_633_253_809_720_000_000, "2021-10-03T09:36:49Z"),
            (1_633_252_712_000_000_000, "2021-10-03T09:18:32Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (i64::MAX, "2262-04-11T23:47:16Z"),
            (i64::MIN, "1677-09-21T00:12:43Z"),
        ] {
            let text_of = rfc3339_text(UnixNanos(nanos));
            assert_eq!(text_of.as_str(), text);
            assert_eq!(text_of.as_bytes().len(), 20);
        }
    }

    #[test]
    fn times_agree_with_counting_days_one_by_one() {
        let (mut year, mut month, mut day) = (1970_u32, 1_u32, 1_u32);
        for count in 0..106_000_i64 {
            assert_eq!(time_of(count * 86_400 + 3_661), format!("{year:04}-{month:02}-{day:02}T01:01:01Z"));
            let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
            let month_len = match month {
                2 => 28 + u32::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > month_len {
                (day, month) = (1, month + 1);
            }
            if month > 12 {
                (month, year) = (1, year + 1);
            }
        }
    }

    #[test]
    fn times_are_read_back_and_nothing_else_is() {
        for seconds in [0, 1, 951_782_400, 1_795_514_230, -1, 4_102_444_799] {
            assert_eq!(parse_rfc3339(&time_of(seconds)), Some(UnixNanos(seconds * 1_000_000_000)));
        }
        let whole = parse_rfc3339("2026-11-24T10:37:10Z").unwrap();
        assert_eq!(parse_rfc3339("2026-11-24T10:37:10.25Z"), Some(UnixNanos(whole.0 + 250_000_000)));
        assert_eq!(parse_rfc3339("2026-11-24T12:07:10+01:30"), parse_rfc3339("2026-11-24T10:37:10Z"));
        assert_eq!(parse_rfc3339("2026-11-24T08:37:10-02:00"), parse_rfc3339("2026-11-24T10:37:10Z"));
        for text in [
            "",
            "null",
            "2026-11-24",
            "2026-11-24T10:37:10",
            "2026-11-24 10:37:10Z",
            "2026-13-24T10:37:10Z",
            "2026-00-24T10:37:10Z",
            "2026-11-32T10:37:10Z",
            "2026-11-24T24:37:10Z",
            "2026-11-24T10:60:10Z",
            "2026-11-24T10:37:10.Z",
            "2026-11-24T10:37:10.1234567890Z",
            "2026-11-24T10:37:10z",
            "2026-11-24T10:37:10+1:00",
            "2026-11-24T10:37:10Zx",
            "9999-11-24T10:37:10Z",
            "2026-11-24T10:37:1\u{e4}Z",
            "+026-11-24T10:37:10Z",
        ] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
    }

    #[test]
    fn k28_durations_are_printed_as_go_does() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (500_000, "500µs"),
            (1_100, "1.1µs"),
            (2_200_000, "2.2ms"),
            (10_000_000, "10ms"),
            (900_000_000, "900ms"),
            (3_300_000_000, "3.3s"),
            (15_000_000_000, "15s"),
            (15_050_000_000, "15.05s"),
            (15_034_000_000, "15.034s"),
            (60_000_000_000, "1m0s"),
            (60_500_000_000, "1m0.5s"),
            (75_500_000_000, "1m15.5s"),
            (3_600_000_000_000, "1h0m0s"),
            (245_000_000_000 + 1_000_000, "4m5.001s"),
            (18_367_001_000_000, "5h6m7.001s"),
            (i64::MAX, "2562047h47m16.854775807s"),
            (i64::MIN, "-2562047h47m16.854775808s"),
            (-1_000_000_000, "-1s"),
        ] {
            assert_eq!(duration_of(nanos), text);
        }
    }

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, nanos) in [
            ("0", 0),
            ("+0", 0),
            ("0s", 0),
            ("15s", 15_000_000_000),
            ("1m0s", 60_000_000_000),
            ("1.5h", 5_400_000_000_000),
            (".5s", 500_000_000),
            ("5.s", 5_000_000_000),
            ("-1.5h", -5_400_000_000_000),
            ("100.00100s", 100_001_000_000),
            ("12µs", 12_000),
            ("12μs", 12_000),
            ("10s3ms", 10_003_000_000),
            ("52763797000ns", 52_763_797_000),
            ("0.3333333333333333333h", 1_200_000_000_000),
            ("9007199254740993ns", 9_007_199_254_740_993),
            ("9223372036854775807ns", i64::MAX),
            ("-2562047h47m16.854775808s", i64::MIN),
            ("0.100000000000000000000h", 360_000_000_000),
        ] {
            assert_eq!(parse_duration(text), Ok(nanos), "{text}");
        }
    }

    #[test]
    fn errors_of_durations_say_what_was_expected() {
        for (text, error) in [
            ("", "invalid duration \"\": expected a number with a unit, such as 15s or 1m30s"),
            (".s", "invalid duration \".s\": expected a number with a unit, such as 15s or 1m30s"),
            ("10", "invalid duration \"10\": unit missing; expected ns, us, ms, s, m or h"),
            ("1d2h", "invalid duration \"1d2h\": unknown unit \"d\"; expected ns, us, ms, s, m or h"),
            ("1.5.s", "invalid duration \"1.5.s\": expected a number with a unit, such as 15s or 1m30s"),
            ("1s.", "invalid duration \"1s.\": expected a number with a unit, such as 15s or 1m30s"),
            (
                "2562047h47m16.854775808s",
                "invalid duration \"2562047h47m16.854775808s\": longer than 292 years",
            ),
            ("3000000h", "invalid duration \"3000000h\": longer than 292 years"),
            ("9223372036854775808ns", "invalid duration \"9223372036854775808ns\": longer than 292 years"),
            ("-2562047h48m", "invalid duration \"-2562047h48m\": longer than 292 years"),
        ] {
            assert_eq!(parse_duration(text), Err(error.to_owned()));
        }
        for text in ["abc", "-", ".", "1\"s", "1é", "99999999999999999999h"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_printed_reads_back() {
        let mut lcg = Lcg(3);
        for _ in 0..20_000 {
            let nanos = (lcg.next() >> (lcg.next() % 64)).cast_signed();
            // Go reads a fraction through a double; nine digits of it are exact.
            assert_eq!(parse_duration(&duration_of(nanos)), Ok(nanos), "{}", duration_of(nanos));
        }
    }
}
