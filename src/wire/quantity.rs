//! Kubernetes quantities in canonical form.
//!
//! CPU is decimal with scale 10^-9: the largest of `n u m - k M G` that leaves an integer. Memory is binary, `Ki` to
//! `Ei`, and decimal below 1024. Nothing is rounded, with one exception taken from metrics-server: a value above
//! `i64::MAX` loses its last decimal digit. Source: `k8s.io/apimachinery` `resource.Quantity` and metrics-server's use.
//! Read are all forms that Kubernetes writes: decimal and binary suffixes, fractions, and decimal exponents.
//! No allocation: [`Text`] is on the stack, so that lengths are known before anything is written.

use super::text::{Text, append};
use crate::invariant::assured;
use crate::units::{Bytes, Nanocores};

/// Powers of 1000 from nanocores on; 2^64 nanocores are 18 G cores.
const DECIMAL_NANO: [&str; 7] = ["n", "u", "m", "", "k", "M", "G"];
/// Powers of 1000 of bytes, needed below 1024 only.
const DECIMAL: [&str; 2] = ["", "k"];
/// Powers of 1024; 2^64 bytes are 16 Ei.
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// Thousandths of a core, rounded up as kubectl does.
#[must_use]
pub fn millicores(cpu: Nanocores) -> u64 {
    cpu.0.div_ceil(1_000_000)
}

/// CPU as `kubectl top` prints it.
#[must_use]
pub fn cores(cpu: Nanocores) -> String {
    format!("{}m", millicores(cpu))
}

/// Memory as `kubectl top` prints it, cut to whole mebibytes.
#[must_use]
pub fn mebibytes(memory: Bytes) -> String {
    format!("{}Mi", memory.0 >> 20)
}

/// A CPU rate in canonical form.
#[must_use]
pub fn cpu_text(cpu: Nanocores) -> Text {
    text_of(parts::<1000>(cpu.0, &DECIMAL_NANO))
}

/// An amount of memory in canonical form.
#[must_use]
pub fn bytes_text(bytes: Bytes) -> Text {
    text_of(bytes_parts(bytes))
}

/// Bytes of [`cpu_text`] at most, without a division; a round number has less.
#[must_use]
pub fn cpu_len_max(cpu: Nanocores) -> usize {
    digits_max(cpu.0) + 1
}

/// Bytes of [`bytes_text`] at most, likewise.
#[must_use]
pub fn bytes_len_max(bytes: Bytes) -> usize {
    let power = (bytes.0.trailing_zeros() / 10).min(6);
    digits_max(bytes.0 >> (10 * power)) + 2
}

/// Digits of a number, or one more: a digit has a little more than three bits.
fn digits_max(number: u64) -> usize {
    (64 - number.leading_zeros() as usize) * 10 / 33 + 1
}

/// Appends a CPU rate.
pub fn cpu(cpu: Nanocores, out: &mut Vec<u8>) {
    append(out, cpu_text(cpu).as_bytes());
}

/// Appends an amount of memory.
pub fn bytes(bytes: Bytes, out: &mut Vec<u8>) {
    append(out, bytes_text(bytes).as_bytes());
}

fn bytes_parts(bytes: Bytes) -> (u64, &'static str) {
    if bytes.0 < 1024 { parts::<1000>(bytes.0, &DECIMAL) } else { parts::<1024>(bytes.0, &BINARY) }
}

/// The largest suffix that leaves an integer, and that integer.
fn parts<const BASE: u64>(value: u64, suffixes: &[&'static str]) -> (u64, &'static str) {
    if value == 0 {
        return (0, "");
    }
    // metrics-server keeps quantities in an int64 and, beyond it, a tenth with the scale of ten.
    let mut left = if i64::try_from(value).is_ok() { value } else { value / 10 * 10 };
    let mut power = 0;
    while left.is_multiple_of(BASE) && power + 1 < suffixes.len() {
        left /= BASE;
        power += 1;
    }
    (left, *assured(suffixes.get(power), "a number with another suffix is another number"))
}

/// A CPU quantity, rounded up to nanocores; `None` for what is no quantity, negative or out of range.
#[must_use]
pub fn parse_cpu(text: &str) -> Option<Nanocores> {
    parse(text, 9).map(Nanocores)
}

/// An amount of memory, rounded up to bytes; `None` as for [`parse_cpu`].
#[must_use]
pub fn parse_bytes(text: &str) -> Option<Bytes> {
    parse(text, 0).map(Bytes)
}

/// A quantity in units of ten to the power of minus `scale`, rounded up.
fn parse(text: &str, scale: i32) -> Option<u64> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at_checked(end)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + fraction.len() == 0 || fraction.contains('.') {
        return None;
    }
    let digits = whole.bytes().chain(fraction.bytes());
    let mantissa = digits.into_iter().try_fold(0_u128, |number, digit| {
        number.checked_mul(10)?.checked_add(u128::from(digit.checked_sub(b'0')?))
    })?;
    let (exponent, factor) = suffix_of(suffix)?;
    let exponent = exponent.checked_add(scale)?.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let mantissa = mantissa.checked_mul(factor)?;
    let power = 10_u128.checked_pow(exponent.unsigned_abs());
    let value = match (exponent < 0, power) {
        (false, Some(power)) => mantissa.checked_mul(power)?,
        (true, Some(power)) => mantissa.div_ceil(power),
        (false, None) => return (mantissa == 0).then_some(0),
        (true, None) => u128::from(mantissa > 0),
    };
    u64::try_from(value).ok()
}

/// Power of ten, and factor, of a suffix.
fn suffix_of(suffix: &str) -> Option<(i32, u128)> {
    const DECIMALS: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
    if let Some(nth) = DECIMALS.iter().position(|known| *known == suffix) {
        return Some((i32::try_from(nth).ok()?.checked_mul(3)?.checked_sub(9)?, 1));
    }
    if let Some(nth) = BINARY.iter().position(|known| *known == suffix) {
        return Some((0, 1024_u128.checked_pow(u32::try_from(nth).ok()?)?));
    }
    let exponent = suffix.strip_prefix(['e', 'E'])?;
    Some((exponent.parse().ok().filter(|power: &i32| power.abs() <= 64)?, 1))
}

fn text_of((number, suffix): (u64, &str)) -> Text {
    let mut text = Text::new();
    text.push_str_front(suffix);
    text.push_number_front(number, 1);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpu_of(nanocores: u64) -> String {
        let text = cpu_text(Nanocores(nanocores)).as_str().to_owned();
        let len_max = cpu_len_max(Nanocores(nanocores));
        assert!((text.len()..=22).contains(&len_max), "{text}: {len_max}");
        text
    }

    fn bytes_of(bytes: u64) -> String {
        let text = bytes_text(Bytes(bytes)).as_str().to_owned();
        let len_max = bytes_len_max(Bytes(bytes));
        assert!((text.len()..=22).contains(&len_max), "{text}: {len_max}");
        text
    }

    #[test]
    fn cpu_takes_the_largest_suffix_that_leaves_an_integer() {
        for (nanocores, text) in [
            (0, "0"),
            (1, "1n"),
            (106_743_251, "106743251n"),
            (499_973_557, "499973557n"),
            (20_000, "20u"),
            (1_200_000, "1200u"),
            (1_500_000, "1500u"),
            (100_000_000, "100m"),
            (500_000_000, "500m"),
            (2_500_000_000, "2500m"),
            (1_000_000_000, "1"),
            (2_000_000_000, "2"),
            (10_000_000_000, "10"),
            (1_000_000_000_000, "1k"),
            (1_000_000_000_000_000, "1M"),
            (9_000_000_000_000_000_000, "9G"),
        ] {
            assert_eq!(cpu_of(nanocores), text);
        }
    }

    #[test]
    fn k27_memory_is_decimal_below_1024_and_binary_above() {
        for (bytes, text) in [
            (0, "0"),
            (600, "600"),
            (1000, "1k"),
            (1023, "1023"),
            (1024, "1Ki"),
            (1500, "1500"),
            (2000, "2000"),
            (12_533_760, "12240Ki"),
            (1_616_273_408, "1578392Ki"),
            (1_073_745_920, "1048580Ki"),
            (5 << 20, "5Mi"),
            (20_971_521, "20971521"),
            (1 << 30, "1Gi"),
            (1 << 31, "2Gi"),
            (1 << 60, "1Ei"),
            (7 << 60, "7Ei"),
        ] {
            assert_eq!(bytes_of(bytes), text);
        }
    }

    const MAX: u64 = i64::MAX as u64;

    #[test]
    fn e26_a_value_ten_above_i64_is_a_tenth_scaled_by_ten() {
        assert_eq!(bytes_of(MAX + 10), "9223372036854775810");
        assert_eq!(cpu_of(MAX + 10), "9223372036854775810n");
    }

    #[test]
    fn e27_a_value_twenty_above_i64_is_a_tenth_scaled_by_ten() {
        assert_eq!(bytes_of(MAX + 20), "9223372036854775820");
    }

    #[test]
    fn e28_a_value_below_i64_max_is_exact() {
        assert_eq!(bytes_of(MAX - 10), "9223372036854775797");
        assert_eq!(cpu_of(MAX - 100), "9223372036854775707n");
        assert_eq!(cpu_of(MAX), "9223372036854775807n");
    }

    #[test]
    fn k26_nanocores_keep_every_digit() {
        assert_eq!(cpu_of(106_743_251), "106743251n");
    }

    #[test]
    fn quantities_are_appended() {
        let mut out = b"x".to_vec();
        cpu(Nanocores(1_200_000), &mut out);
        bytes(Bytes(5 << 20), &mut out);
        assert_eq!(out, b"x1200u5Mi");
    }

    /// Reads a canonical text back by its definition: digits times the suffix's power.
    fn value_of(text: &str, scale: u128, decimal: bool) -> u128 {
        let digits_len = text.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, suffix) = text.split_at(digits_len);
        let unit: u128 = match (suffix, decimal) {
            ("n", true) => 1,
            ("u", true) => 1_000,
            ("m", true) => 1_000_000,
            ("", _) => scale,
            ("k", _) => 1000 * scale,
            ("M", true) => 1_000_000 * scale,
            ("G", true) => 1_000_000_000 * scale,
            ("Ki", false) => 1 << 10,
            ("Mi", false) => 1 << 20,
            ("Gi", false) => 1 << 30,
            ("Ti", false) => 1 << 40,
            ("Pi", false) => 1 << 50,
            ("Ei", false) => 1 << 60,
            other => panic!("suffix {other:?}"),
        };
        digits.parse::<u128>().unwrap() * unit
    }

    #[test]
    fn every_value_reads_back_and_has_the_shortest_digits() {
        let mut lcg = crate::wire::tests::Lcg(7);
        for _ in 0..20_000 {
            let value = lcg.next() >> (lcg.next() % 64);
            let value = if lcg.next().is_multiple_of(3) { value / 1000 * 1000 } else { value } >> 1;
            let text = cpu_of(value);
            assert_eq!(value_of(&text, 1_000_000_000, true), u128::from(value), "{text}");
            assert!(value == 0 || !text.trim_end_matches(char::is_alphabetic).ends_with("000"), "{text}");
            assert_eq!(value_of(&bytes_of(value), 1, false), u128::from(value));
        }
    }

    #[test]
    fn every_form_of_a_quantity_is_read_and_rounded_up() {
        for (text, nanocores) in [
            ("4", 4_000_000_000),
            ("3920m", 3_920_000_000),
            ("0.5", 500_000_000),
            (".5", 500_000_000),
            ("1.", 1_000_000_000),
            ("106743251n", 106_743_251),
            ("20u", 20_000),
            ("1k", 1_000_000_000_000),
            ("2e3", 2_000_000_000_000),
            ("1E-9", 1),
            ("0.1n", 1),
            ("1e-40", 1),
            ("0e64", 0),
            ("+1", 1_000_000_000),
            ("1Ki", 1_024_000_000_000),
        ] {
            assert_eq!(parse_cpu(text), Some(Nanocores(nanocores)), "{text}");
        }
        for (text, bytes) in [
            ("8000000Ki", 8_192_000_000),
            ("1.5Gi", 1_610_612_736),
            ("12M", 12_000_000),
            ("123456789", 123_456_789),
            ("1m", 1),
            ("1E", 1_000_000_000_000_000_000),
            ("1e3", 1000),
            ("15Ei", 15 << 60),
        ] {
            assert_eq!(parse_bytes(text), Some(Bytes(bytes)), "{text}");
        }
        for text in [
            "", ".", "-1", "1.2.3", "1 ", "1Kb", "Ki", "x", "1e", "1e65", "16Ei", "1ee3", "\u{663}", "99999E",
        ] {
            assert_eq!(parse_bytes(text), None, "{text}");
        }
        let long = "9".repeat(60);
        assert_eq!(parse_cpu(&long), None);
        for bytes in [0, 1, 999, 1024, 5 << 20, u64::MAX / 2] {
            assert_eq!(parse_bytes(bytes_text(Bytes(bytes)).as_str()), Some(Bytes(bytes)));
            assert_eq!(parse_cpu(cpu_text(Nanocores(bytes)).as_str()), Some(Nanocores(bytes)));
        }
    }
}
