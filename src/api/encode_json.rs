//! JSON as metrics-server writes it: compact with a newline at the end, or indented without one.
//!
//! Objects are written compact, straight into the output; indented JSON and YAML are made from compact JSON, object by
//! object, so that there is one place that knows what an object looks like. Escapes are Go's: `<`, `>`, `&`, U+2028 and
//! U+2029 beside what JSON demands. Keeps no memory.

use super::view::{Form, Measured, MetricsObject};
use crate::invariant::assured;
use crate::store::Usage;
use crate::wire::text::append;
use crate::wire::{quantity, time};

/// Appends a string in quotes. Escaped is what JSON demands, what HTML could take for markup, and what YAML does not allow
/// as it is, since the documents are YAML too.
pub fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    // Nearly every name and label is plain; that is found out without a branch for each byte.
    if !bytes.iter().fold(false, |any, byte| any | MAY_NEED_ESCAPE[usize::from(*byte)]) {
        append(out, bytes);
        out.push(b'"');
        return;
    }
    let mut plain_from = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let (code, len) = match byte {
            b'"' | b'\\' | b'<' | b'>' | b'&' | 0..0x20 | 0x7f => (u16::from(*byte), 1),
            0xc2 => match bytes.get(at + 1) {
                Some(second @ 0x80..0xa0) => (u16::from(*second), 2),
                _ => continue,
            },
            0xe2 => match bytes.get(at + 1..at + 3) {
                Some([0x80, 0xa8]) => (0x2028, 3),
                Some([0x80, 0xa9]) => (0x2029, 3),
                _ => continue,
            },
            0xef => match bytes.get(at + 1..at + 3) {
                Some([0xbb, 0xbf]) => (0xfeff, 3),
                Some([0xbf, 0xbe]) => (0xfffe, 3),
                Some([0xbf, 0xbf]) => (0xffff, 3),
                _ => continue,
            },
            _ => continue,
        };
        flush(out, bytes, plain_from, at);
        plain_from = at + len;
        escape(out, code);
    }
    flush(out, bytes, plain_from, bytes.len());
    out.push(b'"');
}

/// Whether a byte changes the layout, or may begin, end or escape in a string.
static IS_LAYOUT: [bool; 256] = {
    let mut table = [false; 256];
    let mut bytes: &[u8] = b"\"\\,:{}[]";
    while let [byte, rest @ ..] = bytes {
        table[*byte as usize] = true;
        bytes = rest;
    }
    table
};

/// Whether a byte is escaped, or belongs to a character that may be.
static MAY_NEED_ESCAPE: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = byte < 0x20 || byte >= 0x7f || matches!(byte as u8, b'"' | b'\\' | b'<' | b'>' | b'&');
        byte += 1;
    }
    table
};

/// Appends the escape of one character, the short one where there is one.
fn escape(out: &mut Vec<u8>, code: u16) {
    let short = match code {
        0x22 => b'"',
        0x5c => b'\\',
        0x0a => b'n',
        0x0d => b'r',
        0x09 => b't',
        0x08 => b'b',
        0x0c => b'f',
        _ => {
            let [high, low] = code.to_be_bytes();
            out.extend_from_slice(b"\\u");
            out.extend([high >> 4, high & 15, low >> 4, low & 15].map(hex));
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

fn flush(out: &mut Vec<u8>, bytes: &[u8], from: usize, to: usize) {
    append(out, assured(bytes.get(from..to), "what is copied lies within the text"));
}

const fn hex(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
}

/// Turns compact JSON into indented JSON, piece by piece; pieces may end anywhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct Indenter {
    depth: usize,
    in_string: bool,
    /// The next byte matters, whatever it is: in a string it is escaped, else the first behind an opened bracket.
    pending: bool,
}

impl Indenter {
    /// Appends a piece, two blanks a level. What lies between two changes of the layout is copied as a whole.
    pub fn feed(&mut self, compact: &[u8], out: &mut Vec<u8>) {
        let mut copied = 0;
        for (at, byte) in compact.iter().enumerate() {
            if !self.pending && !IS_LAYOUT[usize::from(*byte)] {
                continue;
            }
            let was_pending = std::mem::take(&mut self.pending);
            if self.in_string {
                self.in_string = was_pending || *byte != b'"';
                self.pending = !was_pending && *byte == b'\\';
                continue;
            }
            let closes = matches!(byte, b'}' | b']');
            if was_pending != closes {
                flush(out, compact, copied, at);
                copied = at;
                self.depth = if closes { self.depth.saturating_sub(1) } else { self.depth + 1 };
                self.new_line(out);
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.pending = true,
                b',' | b':' => {
                    flush(out, compact, copied, at + 1);
                    copied = at + 1;
                    if *byte == b':' { out.push(b' ') } else { self.new_line(out) }
                }
                _ => {}
            }
        }
        flush(out, compact, copied, compact.len());
    }

    /// Levels beyond those of the longest line begin where the last of these does.
    fn new_line(&self, out: &mut Vec<u8>) {
        const LINE: &[u8] = b"\n                                ";
        append(out, LINE.get(..1 + 2 * self.depth).unwrap_or(LINE));
    }
}

/// Appends one object; `typed` adds kind and apiVersion, which items of lists lack.
pub fn object(out: &mut Vec<u8>, object: &MetricsObject<'_>, form: &Form, typed: bool) {
    out.push(b'{');
    if typed {
        type_meta(out, object.resource().kind(), form.api_version);
    }
    metadata(out, object, form);
    out.extend_from_slice(b",\"timestamp\":");
    match object.at {
        Some(at) => in_quotes(out, |out| time::rfc3339(at, out)),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"window\":");
    in_quotes(out, |out| time::duration(object.window, out));
    match &object.measured {
        Measured::Node(node) => {
            out.push(b',');
            usage(out, node);
        }
        Measured::Pod(pod) => {
            out.extend_from_slice(b",\"containers\":[");
            for (index, (name, container)) in pod.containers().enumerate() {
                out.extend_from_slice(if index == 0 { b"{\"name\":" } else { b",{\"name\":" });
                string(out, name);
                out.push(b',');
                usage(out, &container);
                out.push(b'}');
            }
            out.push(b']');
        }
    }
    out.push(b'}');
}

/// Appends an object's metadata as an object of its own.
pub fn partial(out: &mut Vec<u8>, object: &MetricsObject<'_>, form: &Form) {
    out.push(b'{');
    type_meta(out, "PartialObjectMetadata", "meta.k8s.io/v1");
    metadata(out, object, form);
    out.push(b'}');
}

/// A list without its items, as compact JSON that ends in `"items":[]}`.
#[must_use]
pub fn shell(kind: &str, api_version: &str) -> Vec<u8> {
    let mut out = b"{".to_vec();
    type_meta(&mut out, kind, api_version);
    out.extend_from_slice(b"\"metadata\":{},\"items\":[]}");
    out
}

fn type_meta(out: &mut Vec<u8>, kind: &str, api_version: &str) {
    out.extend_from_slice(b"\"kind\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\",\"apiVersion\":\"");
    out.extend_from_slice(api_version.as_bytes());
    out.extend_from_slice(b"\",");
}

fn metadata(out: &mut Vec<u8>, object: &MetricsObject<'_>, form: &Form) {
    out.extend_from_slice(b"\"metadata\":{\"name\":");
    string(out, object.name);
    if let Some(namespace) = object.namespace {
        out.extend_from_slice(b",\"namespace\":");
        string(out, namespace);
    }
    out.extend_from_slice(b",\"creationTimestamp\":");
    in_quotes(out, |out| out.extend_from_slice(form.now_text.as_bytes()));
    let mut any = false;
    for (key, value) in object.labels.iter() {
        out.extend_from_slice(if any { b"," } else { b",\"labels\":{" });
        any = true;
        string(out, key);
        out.push(b':');
        string(out, value);
    }
    out.extend_from_slice(if any { b"}}" } else { b"}" });
}

fn usage(out: &mut Vec<u8>, usage: &Usage) {
    out.extend_from_slice(b"\"usage\":{\"cpu\":\"");
    quantity::cpu(usage.cpu, out);
    out.extend_from_slice(b"\",\"memory\":\"");
    quantity::bytes(usage.working_set, out);
    if let Some(swap) = usage.swap {
        out.extend_from_slice(b"\",\"swap\":\"");
        quantity::bytes(swap, out);
    }
    out.extend_from_slice(b"\"}");
}

fn in_quotes(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'"');
    write(out);
    out.push(b'"');
}

#[cfg(test)]
mod tests;
