//! YAML made from compact JSON, as the reference makes it: keys sorted, sequences not indented, lines folded after 80
//! columns, and strings quoted exactly when a YAML 1.1 reader would take them for something else.
//!
//! The input is our own compact JSON; anything else gives a poor document, not a panic. Off the hot path: an object's
//! keys are sorted in a list of their positions. Source: `go.yaml.in/yaml/v2` (encoder, resolver, emitter).

mod scalar;

use std::borrow::Cow;
use std::cmp::Ordering;

/// Appends a document, or a part of one that starts a line at `indent`.
pub fn value(out: &mut Vec<u8>, json: &[u8], indent: usize) {
    node(out, json, indent, Place::Line);
    if out.last() != Some(&b'\n') {
        out.push(b'\n');
    }
}

/// Appends one item of a sequence that starts at `indent`.
pub fn item(out: &mut Vec<u8>, json: &[u8], indent: usize) {
    blanks(out, indent);
    out.push(b'-');
    node(out, json, indent, Place::Item);
}

/// Where a node is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At the start of a line.
    Line,
    /// After `key:`.
    Value,
    /// After the `-` of an item.
    Item,
}

/// Appends one node. `indent` is its parent's; every node but an inner container ends its line.
fn node(out: &mut Vec<u8>, json: &[u8], indent: usize, place: Place) {
    match json.first() {
        Some(b'{') if json != b"{}" => mapping(out, json, indent, place),
        Some(b'[') if json != b"[]" => {
            // Sequences stand as deep as their key, and within another one behind its dash.
            let own = if place == Place::Item { indent + 2 } else { indent };
            for (index, part) in parts(json).enumerate() {
                match (place, index) {
                    (Place::Item, 0) => out.extend_from_slice(b" -"),
                    (Place::Value, 0) => {
                        out.push(b'\n');
                        blanks(out, own);
                        out.push(b'-');
                    }
                    _ => {
                        blanks(out, own);
                        out.push(b'-');
                    }
                }
                node(out, part, own, Place::Item);
            }
        }
        Some(b'"') => {
            if place != Place::Line {
                out.push(b' ');
            }
            scalar::string(out, &unescaped(json), indent + 2, false);
            out.push(b'\n');
        }
        _ => {
            if place != Place::Line {
                out.push(b' ');
            }
            out.extend_from_slice(json);
            out.push(b'\n');
        }
    }
}

fn mapping(out: &mut Vec<u8>, json: &[u8], indent: usize, place: Place) {
    let mut members: Vec<(Cow<'_, str>, &[u8])> = parts(json).filter_map(member).collect();
    members.sort_by(|a, b| natural(&a.0, &b.0));
    let own = if place == Place::Line { indent } else { indent + 2 };
    if place == Place::Value {
        out.push(b'\n');
    }
    for (index, (key, value)) in members.iter().enumerate() {
        if place == Place::Item && index == 0 {
            out.push(b' ');
        } else {
            blanks(out, own);
        }
        if key.len() > scalar::SIMPLE_KEY_LEN_MAX {
            out.extend_from_slice(b"? ");
            scalar::string(out, key, own, true);
            out.push(b'\n');
            blanks(out, own);
        } else {
            scalar::string(out, key, own, true);
        }
        out.push(b':');
        node(out, value, own, Place::Value);
    }
}

fn blanks(out: &mut Vec<u8>, count: usize) {
    out.resize(out.len() + count, b' ');
}

/// The parts between the commas of an object or an array.
fn parts(json: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = json.get(1..json.len().saturating_sub(1)).unwrap_or(b"");
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = end_of(rest, b',');
        let part = rest.get(..end).unwrap_or(b"");
        rest = rest.get(end + 1..).unwrap_or(b"");
        Some(part)
    })
}

/// The position of the first `stop` outside of strings and brackets, else the end.
fn end_of(json: &[u8], stop: u8) -> usize {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (at, byte) in json.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ if depth == 0 && *byte == stop => return at,
            _ => {}
        }
    }
    json.len()
}

/// Key and value of one member.
fn member(part: &[u8]) -> Option<(Cow<'_, str>, &[u8])> {
    let (key, value) = part.split_at_checked(end_of(part, b':'))?;
    Some((unescaped(key), value.get(1..)?))
}

/// A JSON string without its quotes and escapes.
fn unescaped(json: &[u8]) -> Cow<'_, str> {
    let inner = json.get(1..json.len().saturating_sub(1)).unwrap_or(b"");
    let text = std::str::from_utf8(inner).unwrap_or("");
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, escape)) = rest.split_once('\\') {
        out.push_str(plain);
        let mut chars = escape.chars();
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('b') => out.push('\x08'),
            Some('f') => out.push('\x0c'),
            Some('u') => {
                let code = escape.get(1..5).and_then(|hex| u32::from_str_radix(hex, 16).ok());
                out.extend(code.and_then(char::from_u32));
                chars = escape.get(5..).unwrap_or("").chars();
            }
            other => out.extend(other),
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The reference's order of keys: runs of digits count as numbers, letters come after everything else.
fn natural(a: &str, b: &str) -> Ordering {
    let Some(((at, x), y)) = a.char_indices().zip(b.chars()).find(|((_, x), y)| x != y) else {
        return a.chars().count().cmp(&b.chars().count());
    };
    match (x.is_alphabetic(), y.is_alphabetic()) {
        (true, true) => return x.cmp(&y),
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    let same = a.get(..at).unwrap_or("");
    // Within a number that has begun, a zero is a digit like any other.
    let begun = (x == '0' || y == '0')
        && same.chars().rev().take_while(char::is_ascii_digit).any(|digit| digit != '0');
    let number = |text: &str| {
        let digits = text.get(at..).unwrap_or("").bytes().take_while(u8::is_ascii_digit);
        digits.fold((i64::from(begun), 0_usize), |(value, len), digit| {
            (value.wrapping_mul(10).wrapping_add(i64::from(digit - b'0')), len + 1)
        })
    };
    number(a).cmp(&number(b)).then(x.cmp(&y))
}

#[cfg(test)]
mod tests;
