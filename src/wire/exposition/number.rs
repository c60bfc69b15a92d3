//! The value and the timestamp of one line of an exposition.

/// The largest value that is taken: quantities of Kubernetes have 63 bits.
pub(in crate::wire) const VALUE_MAX: f64 = 9_223_372_036_854_775_807.0;

pub(super) fn skip_blanks(text: &str) -> &str {
    text.trim_start_matches(is_blank)
}

fn is_blank(character: char) -> bool {
    character == ' ' || character == '\t'
}

/// A value and an optional timestamp.
pub(super) fn value_and_time(text: &str) -> Result<(f64, Option<i64>), &'static str> {
    let (value, rest) = first_word(text);
    let value = match plain_number(value) {
        Some(value) => value,
        None => value.parse().map_err(|_| "value is not a number")?,
    };
    let (time, rest) = first_word(rest);
    if !first_word(rest).0.is_empty() {
        return Err("something follows the timestamp");
    }
    let at_millis = if time.is_empty() { None } else { Some(timestamp(time)?) };
    if !value.is_finite() {
        return Err("value is infinite or not a number");
    }
    if value < 0.0 {
        return Err("value is negative");
    }
    if value >= VALUE_MAX {
        return Err("value is too large");
    }
    Ok((value, at_millis))
}

/// Powers of ten that a double holds exactly.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];
/// Whole numbers up to this are exact as a double.
const EXACT_MAX: u64 = 1 << 53;

/// A number as kubelets print nearly all: digits and a power of ten which a double holds both exactly, so that their product
/// or quotient is the nearest double (Clinger's fast path). `None` for all others, which the standard library parses.
#[allow(clippy::cast_precision_loss)]
pub(super) fn plain_number(text: &str) -> Option<f64> {
    let (mut digits, mut digit_count, mut power) = (0_u64, 0, 0_i32);
    let (mut in_fraction, mut rest) = (false, text.as_bytes());
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'0'..=b'9' => {
                digits = digits.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
                digit_count += 1;
                power -= i32::from(in_fraction);
            }
            b'.' if !in_fraction => in_fraction = true,
            b'e' | b'E' => {
                power += exponent(rest)?;
                break;
            }
            _ => return None,
        }
    }
    // Nineteen digits do not wrap.
    if !(1..=19).contains(&digit_count) || digits > EXACT_MAX {
        return None;
    }
    let exact = *EXACT_POWERS.get(power.unsigned_abs() as usize)?;
    Some(if power < 0 { digits as f64 / exact } else { digits as f64 * exact })
}

/// A sign, if any, and one or two digits.
fn exponent(text: &[u8]) -> Option<i32> {
    let (sign, digits) = match text {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] | digits => (1, digits),
    };
    let value = digits.iter().try_fold(0, |value: i32, byte| {
        byte.is_ascii_digit().then(|| value.wrapping_mul(10).wrapping_add(i32::from(byte - b'0')))
    });
    value.filter(|_| (1..=2).contains(&digits.len())).map(|value| sign * value)
}

/// Milliseconds since the epoch, above zero.
fn timestamp(time: &str) -> Result<i64, &'static str> {
    if time.starts_with('-') {
        return Err("timestamp is negative");
    }
    let mut millis = 0_i64;
    for byte in time.bytes() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return Err("timestamp is not a whole number");
        }
        millis = millis.saturating_mul(10).saturating_add(i64::from(digit));
    }
    if millis == 0 { Err("timestamp is zero") } else { Ok(millis) }
}

/// The first word, and what follows it; leading blanks are passed over.
#[inline]
fn first_word(text: &str) -> (&str, &str) {
    let rest = skip_blanks(text);
    let end = rest.bytes().position(|byte| byte == b' ' || byte == b'\t').unwrap_or(rest.len());
    rest.split_at(end)
}
