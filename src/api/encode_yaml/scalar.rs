//! One string in YAML: which quotes it needs, and where its lines break.

/// Column after which a blank becomes a line break.
const WIDTH: usize = 80;
/// Longest key, in bytes, that stands before its colon; a longer one is introduced by `? `.
pub(super) const SIMPLE_KEY_LEN_MAX: usize = 128;

/// Appends a string. `indent` is where its further lines begin; a key has none.
pub(super) fn string(out: &mut Vec<u8>, text: &str, indent: usize, is_key: bool) {
    let shape = Shape::of(text);
    // A block cannot end in one of the rarer line breaks: the line feed that follows would belong to it.
    let is_block = text.contains('\n') && !is_key && !text.ends_with(['\u{2028}', '\u{2029}']);
    if is_block && !shape.space_break && !shape.special && !shape.trailing_space {
        return literal(out, text, indent);
    }
    if text.contains('\n') || (is_other_type(text) && !text.is_empty()) || shape.break_space || shape.special
    {
        return double_quoted(out, text, indent, is_key);
    }
    if text.is_empty() {
        // The empty plain scalar is null.
        out.extend_from_slice(b"\"\"");
    } else if shape.needs_quotes {
        folded(out, &text.replace('\'', "''"), indent, is_key, b"'");
    } else {
        folded(out, text, indent, is_key, b"");
    }
}

/// What keeps a string from being written plainly.
#[derive(Default)]
struct Shape {
    needs_quotes: bool,
    special: bool,
    trailing_space: bool,
    break_space: bool,
    space_break: bool,
}

impl Shape {
    fn of(text: &str) -> Shape {
        let mut shape =
            Shape { needs_quotes: text.starts_with("---") || text.starts_with("..."), ..Shape::default() };
        let mut previous = ' ';
        let mut chars = text.chars().enumerate().peekable();
        while let Some((at, c)) = chars.next() {
            let next = chars.peek().map(|(_, next)| *next);
            let before_blank = next.is_none_or(|next| matches!(next, ' ' | '\t'));
            shape.needs_quotes |= match c {
                '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@'
                | '`'
                    if at == 0 =>
                {
                    true
                }
                '?' | '-' if at == 0 => before_blank,
                ':' => before_blank,
                '#' => matches!(previous, ' ' | '\t' | '\n'),
                ' ' => at == 0 || next.is_none(),
                c => is_break(c),
            };
            shape.special |= !is_printable(c);
            shape.trailing_space |= c == ' ' && next.is_none();
            shape.break_space |= c == ' ' && is_break(previous);
            shape.space_break |= is_break(c) && previous == ' ' && at > 0;
            previous = c;
        }
        shape
    }
}

/// What ends a line for a YAML 1.1 reader, of what is written without an escape.
const fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\u{2028}' | '\u{2029}')
}

/// What the reference's emitter writes without an escape.
const fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
}

/// Whether a YAML 1.1 reader would take the plain text for something else than a string.
fn is_other_type(text: &str) -> bool {
    const WORDS: [&str; 12] =
        ["y", "yes", "true", "on", "n", "no", "false", "off", "null", ".nan", ".inf", "~"];
    let title = |word: &str| {
        let mut chars = word.chars();
        chars.next().map(|c| c.to_ascii_uppercase()).into_iter().chain(chars).collect::<String>()
    };
    let word =
        |text: &str| WORDS.iter().any(|w| text == *w || text == w.to_ascii_uppercase() || text == title(w));
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    text.is_empty()
        || word(text)
        || matches!(text, ".NaN" | ".Inf")
        || matches!(unsigned, ".inf" | ".Inf" | ".INF")
        || is_timestamp(text)
        || is_number(&text.replace('_', ""), text)
        || is_base_60(unsigned)
}

/// Integers in Go's syntax with base prefix, and floats of digits.
fn is_number(plain: &str, original: &str) -> bool {
    let unsigned = plain.strip_prefix(['+', '-']).unwrap_or(plain);
    if original.starts_with('.') {
        // A leading point lets Go's own parser decide.
        return original.len() > 1 && original.parse::<f64>().is_ok();
    }
    if !original.starts_with(['+', '-']) && !original.starts_with(|c: char| c.is_ascii_digit()) {
        return false;
    }
    let based = |digits: &str, base: u32| {
        !digits.starts_with(['+', '-'])
            && (u64::from_str_radix(digits, base).is_ok()
                || i64::from_str_radix(&format!("-{digits}"), base).is_ok())
    };
    let integer = match unsigned.as_bytes() {
        [b'0', b'x' | b'X', ..] => based(unsigned.get(2..).unwrap_or(""), 16),
        [b'0', b'o' | b'O', ..] => based(unsigned.get(2..).unwrap_or(""), 8),
        [b'0', b'b' | b'B', ..] => based(unsigned.get(2..).unwrap_or(""), 2),
        [b'0', _, ..] => based(unsigned, 8),
        _ => based(unsigned, 10),
    };
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (unsigned.get(..at).unwrap_or(""), unsigned.get(at + 1..)),
        None => (unsigned, None),
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent = exponent.map(|text| text.strip_prefix(['+', '-']).unwrap_or(text));
    let float = digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|text| !text.is_empty() && digits(text))
        && plain.parse::<f64>().is_ok_and(f64::is_finite);
    integer || float
}

/// `190:20:30`: no longer a number, and still quoted for older readers.
fn is_base_60(unsigned: &str) -> bool {
    let whole = unsigned.split_once('.').map_or(unsigned, |(whole, fraction)| {
        if fraction.bytes().all(|b| b.is_ascii_digit() || b == b'_') { whole } else { "" }
    });
    let mut parts = whole.split(':');
    let first = parts.next().unwrap_or("");
    let sixties = |text: &str| matches!(text.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9']);
    first.starts_with(|c: char| c.is_ascii_digit())
        && first.bytes().all(|b| b.is_ascii_digit() || b == b'_')
        && whole.contains(':')
        && parts.all(sixties)
}

/// `2026-11-24`, or a date with a time.
fn is_timestamp(text: &str) -> bool {
    let (date, time) = match text.find(['T', 't', ' ']) {
        Some(at) => (text.get(..at).unwrap_or(""), text.get(at..)),
        None => (text, None),
    };
    let mut parts = date.split('-');
    let field = |part: Option<&str>, len: std::ops::RangeInclusive<usize>, max: u32| {
        part.is_some_and(|part| {
            len.contains(&part.len())
                && part.bytes().all(|b| b.is_ascii_digit())
                && part.parse().is_ok_and(|number: u32| (1..=max).contains(&number))
        })
    };
    let year = parts.next().is_some_and(|part| part.len() == 4 && part.bytes().all(|b| b.is_ascii_digit()));
    let is_date =
        year && field(parts.next(), 1..=2, 12) && field(parts.next(), 1..=2, 31) && parts.next().is_none();
    is_date && time.is_none_or(|time| is_time(time.get(1..).unwrap_or(""), time.starts_with(' ')))
}

/// A time of day; behind a blank without a zone, else with one.
fn is_time(text: &str, bare: bool) -> bool {
    let clock = if bare {
        text
    } else if let Some(clock) = text.strip_suffix('Z') {
        clock
    } else {
        let Some((clock, zone)) = text.rfind(['+', '-']).and_then(|at| text.split_at_checked(at)) else {
            return false;
        };
        if !matches!(zone.as_bytes(), [_, b'0'..=b'2', b'0'..=b'9', b':', b'0'..=b'5', b'0'..=b'9']) {
            return false;
        }
        clock
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut parts = clock.split(':');
    let mut below = |max: u32| {
        parts.next().is_some_and(|part| {
            matches!(part.len(), 1..=2)
                && part.bytes().all(|b| b.is_ascii_digit())
                && part.parse().is_ok_and(|number: u32| number < max)
        })
    };
    below(24)
        && below(60)
        && below(60)
        && parts.next().is_none()
        && fraction.bytes().all(|b| b.is_ascii_digit())
}

/// Plain or single-quoted; a lone blank behind the width becomes a line break.
fn folded(out: &mut Vec<u8>, text: &str, indent: usize, is_key: bool, quote: &[u8]) {
    out.extend_from_slice(quote);
    let mut column = column_of(out);
    let mut previous = ' ';
    let mut chars = text.chars().enumerate().peekable();
    while let Some((at, c)) = chars.next() {
        let next = chars.peek().map(|(_, next)| *next);
        let inside = quote.is_empty() || (at > 0 && next.is_some());
        if is_break(previous) && !is_break(c) {
            out.resize(out.len() + indent, b' ');
            column = indent;
        }
        if c == ' ' && !is_key && previous != ' ' && column > WIDTH && inside && next != Some(' ') {
            break_line(out, indent);
            column = indent;
        } else {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            column += 1;
        }
        previous = c;
    }
    out.extend_from_slice(quote);
}

fn double_quoted(out: &mut Vec<u8>, text: &str, indent: usize, is_key: bool) {
    out.push(b'"');
    let mut column = column_of(out);
    let mut previous = 'x';
    let mut chars = text.chars().enumerate().peekable();
    while let Some((at, c)) = chars.next() {
        let before = out.len();
        let next = chars.peek().map(|(_, next)| *next);
        if c == ' ' && !is_key && previous != ' ' && column > WIDTH && at > 0 && next.is_some() {
            break_line(out, indent);
            if next == Some(' ') {
                out.push(b'\\');
            }
            column = indent;
        } else {
            escaped(out, c);
            column += if c.is_ascii() || !is_printable(c) { out.len() - before } else { 1 };
        }
        previous = c;
    }
    out.push(b'"');
}

/// One character between double quotes.
fn escaped(out: &mut Vec<u8>, c: char) {
    let code = u32::from(c);
    let text = match c {
        '\0' => "\\0",
        '\x07' => "\\a",
        '\x08' => "\\b",
        '\t' => "\\t",
        '\n' => "\\n",
        '\x0b' => "\\v",
        '\x0c' => "\\f",
        '\r' => "\\r",
        '\x1b' => "\\e",
        '"' => "\\\"",
        '\\' => "\\\\",
        '\u{85}' => "\\N",
        '\u{2028}' => "\\L",
        '\u{2029}' => "\\P",
        c if is_printable(c) => return out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        _ if code <= 0xff => return out.extend_from_slice(format!("\\x{code:02X}").as_bytes()),
        _ if code <= 0xffff => return out.extend_from_slice(format!("\\u{code:04X}").as_bytes()),
        _ => return out.extend_from_slice(format!("\\U{code:08X}").as_bytes()),
    };
    out.extend_from_slice(text.as_bytes());
}

/// Lines as they are, below a `|`.
fn literal(out: &mut Vec<u8>, text: &str, indent: usize) {
    out.push(b'|');
    if text.starts_with([' ', '\n', '\u{2028}', '\u{2029}']) {
        out.push(b'2');
    }
    let trimmed = text.trim_end_matches('\n');
    match text.len() - trimmed.len() {
        0 => out.push(b'-'),
        1 if !trimmed.is_empty() => {}
        _ => out.push(b'+'),
    }
    out.push(b'\n');
    let mut previous = '\n';
    for c in text.strip_suffix('\n').unwrap_or(text).chars() {
        if is_break(previous) && !is_break(c) {
            out.resize(out.len() + indent, b' ');
        }
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        previous = c;
    }
}

fn break_line(out: &mut Vec<u8>, indent: usize) {
    out.push(b'\n');
    out.resize(out.len() + indent, b' ');
}

/// Characters since the last line break.
fn column_of(out: &[u8]) -> usize {
    let line = out.rsplit(|b| *b == b'\n').next().unwrap_or(b"");
    line.iter().filter(|b| **b & 0xc0 != 0x80).count()
}
