//! The value and the timestamp of one line of an exposition, in one pass over its bytes.

/// The largest value that is taken: quantities of Kubernetes have 63 bits.
pub(in crate::wire) const VALUE_MAX: f64 = 9_223_372_036_854_775_807.0;

const NOT_A_NUMBER: &str = "value is not a number";

/// A value and an optional timestamp.
pub(super) fn value_and_time(text: &[u8]) -> Result<(f64, Option<i64>), &'static str> {
    let text = skip_blanks(text);
    let (value, rest) = match plain_number(text) {
        Some(found) => found,
        None => any_number(text)?,
    };
    let time = skip_blanks(rest);
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

fn skip_blanks(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = text {
        text = rest;
    }
    text
}

/// The first word, and what follows it.
fn first_word(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(text.len()))
}

/// Appends the decimal digits that `text` begins with to `number`, wrapping from the twentieth on; what follows them.
#[inline]
fn digits(mut number: u64, mut text: &[u8]) -> (u64, &[u8]) {
    while let Some((word, rest)) = text.split_first_chunk()
        && let Some(eight) = eight_digits(u64::from_le_bytes(*word))
    {
        (number, text) = (number.wrapping_mul(100_000_000).wrapping_add(eight), rest);
    }
    while let [byte @ b'0'..=b'9', rest @ ..] = text {
        (number, text) = (number.wrapping_mul(10).wrapping_add(u64::from(byte - b'0')), rest);
    }
    (number, text)
}

/// The number that eight bytes are the digits of: they are joined to pairs, those to fours, and those to one.
fn eight_digits(word: u64) -> Option<u64> {
    let ones = word ^ 0x3030_3030_3030_3030;
    if (ones | ones.wrapping_add(0x0606_0606_0606_0606)) & 0xf0f0_f0f0_f0f0_f0f0 != 0 {
        return None;
    }
    let pairs = (ones * 10 + (ones >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some((fours * 10_000 + (fours >> 32)) & 0xffff_ffff)
}

/// Powers of ten that a double holds exactly.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];
/// Whole numbers up to this are exact as a double.
const EXACT_MAX: u64 = 1 << 53;

/// A number as kubelets print nearly all, and what follows it: digits and a power of ten which a double holds both exactly, so
/// that their product or quotient is the nearest double (Clinger's fast path). `None` for all others.
#[allow(clippy::cast_precision_loss)]
#[inline]
pub(super) fn plain_number(text: &[u8]) -> Option<(f64, &[u8])> {
    let (mut number, mut rest) = digits(0, text);
    let (mut digit_count, mut divided_by, mut power) = (text.len() - rest.len(), 0, 0);
    if let [b'.', fraction @ ..] = rest {
        (number, rest) = digits(number, fraction);
        divided_by = fraction.len() - rest.len();
        digit_count += divided_by;
    }
    if let [b'e' | b'E', exponent_text @ ..] = rest {
        (power, rest) = exponent(exponent_text)?;
    }
    // Nineteen digits do not wrap.
    if !matches!(rest, [] | [b' ' | b'\t', ..]) || !(1..=19).contains(&digit_count) || number > EXACT_MAX {
        return None;
    }
    let power = power - i32::try_from(divided_by).ok()?;
    let exact = *EXACT_POWERS.get(power.unsigned_abs() as usize)?;
    Some((if power < 0 { number as f64 / exact } else { number as f64 * exact }, rest))
}

/// A sign, if any, and two digits, as kubelets print exponents; what follows them.
fn exponent(text: &[u8]) -> Option<(i32, &[u8])> {
    let (sign, text) = match text {
        [b'-', rest @ ..] => (-1, rest),
        [b'+', rest @ ..] | rest => (1, rest),
    };
    let [tens @ b'0'..=b'9', ones @ b'0'..=b'9', rest @ ..] = text else { return None };
    Some((sign * (10 * i32::from(tens - b'0') + i32::from(ones - b'0')), rest))
}

/// Any number that the standard library knows, and what follows it.
#[cold]
fn any_number(text: &[u8]) -> Result<(f64, &[u8]), &'static str> {
    let (word, rest) = first_word(text);
    let value = str::from_utf8(word).ok().and_then(|word| word.parse().ok());
    Ok((value.ok_or(NOT_A_NUMBER)?, rest))
}

/// Milliseconds since the epoch, above zero: the last word of a line.
#[inline]
fn timestamp(text: &[u8]) -> Result<i64, &'static str> {
    let (millis, rest) = digits(0, text);
    let is_all = rest.is_empty() || skip_blanks(rest).is_empty();
    match i64::try_from(millis) {
        // Nineteen digits do not wrap.
        Ok(millis @ 1..) if is_all && text.len() - rest.len() <= 19 => Ok(millis),
        _ => any_timestamp(text),
    }
}

/// The same for zero, for what is beyond 63 bits, which saturates, and for what is not valid.
#[cold]
fn any_timestamp(text: &[u8]) -> Result<i64, &'static str> {
    let (word, rest) = first_word(text);
    if !skip_blanks(rest).is_empty() {
        return Err("something follows the timestamp");
    }
    if word.starts_with(b"-") {
        return Err("timestamp is negative");
    }
    let millis = word.iter().try_fold(0_i64, |millis, byte| {
        byte.is_ascii_digit().then(|| millis.saturating_mul(10).saturating_add(i64::from(byte - b'0')))
    });
    match millis.ok_or("timestamp is not a whole number")? {
        0 => Err("timestamp is zero"),
        millis => Ok(millis),
    }
}
