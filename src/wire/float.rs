//! Doubles from decimal text, correctly rounded, fast for the numbers kubelets print.
//!
//! Reads what Go's `ParseFloat` reads of the exposition format, infinities and NaN included; nothing else.

/// Powers of ten that a double holds exactly.
const POWERS_OF_TEN: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// Reads a double. Correctly rounded: a mantissa below 2^53 and a power of ten up to 22 are both exact, so one
/// multiplication or division rounds once; everything else goes through the standard library.
pub(super) fn float(text: &[u8]) -> Option<f64> {
    exact_float(text).or_else(|| std::str::from_utf8(text).ok()?.parse().ok())
}

#[allow(clippy::cast_precision_loss)]
fn exact_float(text: &[u8]) -> Option<f64> {
    let (mut mantissa, mut exponent) = (0_u64, 0_i32);
    let mut digit_count = 0_u32;
    let mut bytes = text.iter();
    let mut is_fraction = false;
    loop {
        match bytes.next() {
            Some(byte @ b'0'..=b'9') => {
                mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
                digit_count += 1;
                exponent -= i32::from(is_fraction);
            }
            Some(b'.') if !is_fraction => is_fraction = true,
            Some(b'e' | b'E') => {
                exponent += small_exponent(bytes.as_slice())?;
                break;
            }
            None => break,
            _ => return None,
        }
    }
    // 19 digits fit 64 bits; leading zeros count too, which only costs speed.
    if digit_count == 0 || digit_count > 19 || mantissa > 1 << 53 {
        return None;
    }
    let power = *POWERS_OF_TEN.get(exponent.unsigned_abs() as usize)?;
    Some(if exponent < 0 { mantissa as f64 / power } else { mantissa as f64 * power })
}

/// A signed exponent of one to three digits.
fn small_exponent(text: &[u8]) -> Option<i32> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > 3 {
        return None;
    }
    let mut exponent = 0;
    for byte in digits {
        if !byte.is_ascii_digit() {
            return None;
        }
        exponent = exponent * 10 + i32::from(byte - b'0');
    }
    Some(if negative { -exponent } else { exponent })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::tests::Lcg;

    #[test]
    fn numbers_are_rounded_as_the_standard_library_does() {
        for text in [
            "0",
            "-0",
            "1",
            "-1",
            "1.",
            ".5",
            "+1",
            "5.74291968e+08",
            "1.6509742024191372e+09",
            "65.849826",
            "4282.004268",
            "9007199254740992",
            "9007199254740993",
            "9007199254740994",
            "1e22",
            "1e23",
            "1e-22",
            "123456789012345678901",
            "1e308",
            "1e309",
            "1e-400",
            "NaN",
            "+Inf",
            "-Inf",
            "1e+0",
            "1E5",
            "0.000000000000000000000001",
            "1.8e308",
            "00000000000000000000001",
            "3.0000000000000000000000001",
            "1e0000000000000001",
        ] {
            assert_eq!(
                float(text.as_bytes()).map(f64::to_bits),
                text.parse::<f64>().ok().map(f64::to_bits),
                "{text}"
            );
        }
        for text in ["", ".", "e5", "1e", "1e+", "1..2", "1.2.3", "--1", "1e5.0", "0x1p3", "1 "] {
            assert_eq!(float(text.as_bytes()), None, "{text}");
        }
        let mut lcg = Lcg(9);
        for _ in 0..20_000 {
            let mantissa = lcg.next() >> (lcg.next() % 64);
            let text = match lcg.next() % 3 {
                0 => format!("{mantissa}.{}", lcg.next() >> (lcg.next() % 64)),
                1 => format!("{mantissa}e{}", (lcg.next() % 60).cast_signed() - 30),
                _ => format!("{:e}", f64::from_bits(lcg.next())),
            };
            assert_eq!(
                float(text.as_bytes()).map(f64::to_bits),
                text.parse::<f64>().ok().map(f64::to_bits),
                "{text}"
            );
        }
    }
}
