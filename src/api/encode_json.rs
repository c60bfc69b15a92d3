//! JSON as metrics-server writes it: compact with a newline at the end, or indented without one.
//!
//! Objects are written straight into the output; what lies between the values is laid out by [`JsonLayout`], so that there is one
//! place that knows what an object looks like. Escapes are Go's: `<`, `>`, `&`, U+2028 and U+2029 beside what JSON demands.
//! Keeps no memory.

use super::layout::JsonLayout;
use super::view::{Form, Measured, MetricsObject};
use crate::invariant::assured;
use crate::store::Usage;
use crate::wire::text::append;
use crate::wire::{quantity, time};

/// Appends a string in quotes.
pub fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    escaped(out, text);
    out.push(b'"');
}

/// Appends what stands in quotes. Escaped is what JSON demands, what HTML could take for markup, and what YAML does not allow
/// as it is, since the documents are YAML too.
pub fn escaped(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    // Nearly every name and label is plain; that is found out without a branch for each byte.
    if !bytes.iter().fold(false, |any, byte| any | MAY_NEED_ESCAPE[usize::from(*byte)]) {
        append(out, bytes);
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
}

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
    append(out, assured(bytes.get(from..to), "an escape lies within its text"));
}

const fn hex(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
}

/// Appends one object; `typed` adds kind and apiVersion, which items of lists lack.
pub fn object(
    out: &mut Vec<u8>,
    layout: &mut JsonLayout,
    object: &MetricsObject<'_>,
    form: &Form,
    typed: bool,
) {
    layout.part(out, b"{");
    if typed {
        type_meta(out, layout, object.resource().kind(), form.api_version);
    }
    metadata(out, layout, object, form);
    match object.at {
        Some(at) => {
            layout.part(out, b",\"timestamp\":\"");
            time::rfc3339(at, out);
            layout.part(out, b"\",\"window\":\"");
        }
        None => layout.part(out, b",\"timestamp\":null,\"window\":\""),
    }
    time::duration(object.window, out);
    match &object.measured {
        Measured::Node(node) => {
            layout.part(out, b"\",");
            usage(out, layout, node);
            layout.part(out, b"}");
        }
        Measured::Pod(pod) => {
            layout.part(out, b"\",\"containers\":[");
            for (index, (name, container)) in pod.containers().enumerate() {
                layout.part(out, if index == 0 { b"{\"name\":\"" } else { b",{\"name\":\"" });
                escaped(out, name);
                layout.part(out, b"\",");
                usage(out, layout, &container);
                layout.part(out, b"}");
            }
            layout.part(out, b"]}");
        }
    }
}

/// Appends an object's metadata as an object of its own.
pub fn partial(out: &mut Vec<u8>, layout: &mut JsonLayout, object: &MetricsObject<'_>, form: &Form) {
    layout.part(out, b"{");
    type_meta(out, layout, "PartialObjectMetadata", "meta.k8s.io/v1");
    metadata(out, layout, object, form);
    layout.part(out, b"}");
}

/// A list without its items, as compact JSON that ends in `"items":[]}`.
#[must_use]
pub fn shell(kind: &str, api_version: &str) -> Vec<u8> {
    let mut out = b"{".to_vec();
    type_meta(&mut out, &mut JsonLayout::Compact, kind, api_version);
    out.extend_from_slice(b"\"metadata\":{},\"items\":[]}");
    out
}

fn type_meta(out: &mut Vec<u8>, layout: &mut JsonLayout, kind: &str, api_version: &str) {
    layout.part(out, b"\"kind\":\"");
    append(out, kind.as_bytes());
    layout.part(out, b"\",\"apiVersion\":\"");
    append(out, api_version.as_bytes());
    layout.part(out, b"\",");
}

fn metadata(out: &mut Vec<u8>, layout: &mut JsonLayout, object: &MetricsObject<'_>, form: &Form) {
    layout.part(out, b"\"metadata\":{\"name\":\"");
    escaped(out, object.name);
    if let Some(namespace) = object.namespace {
        layout.part(out, b"\",\"namespace\":\"");
        escaped(out, namespace);
    }
    layout.part(out, b"\",\"creationTimestamp\":\"");
    append(out, form.now_text.as_bytes());
    let mut any = false;
    for (key, value) in object.labels.iter() {
        layout.part(out, if any { b"\",\"" } else { b"\",\"labels\":{\"" });
        any = true;
        escaped(out, key);
        layout.part(out, b"\":\"");
        escaped(out, value);
    }
    layout.part(out, if any { b"\"}}" } else { b"\"}" });
}

fn usage(out: &mut Vec<u8>, layout: &mut JsonLayout, usage: &Usage) {
    layout.part(out, b"\"usage\":{\"cpu\":\"");
    quantity::cpu(usage.cpu, out);
    layout.part(out, b"\",\"memory\":\"");
    quantity::bytes(usage.working_set, out);
    if let Some(swap) = usage.swap {
        layout.part(out, b"\",\"swap\":\"");
        quantity::bytes(swap, out);
    }
    layout.part(out, b"\"}");
}

#[cfg(test)]
mod tests;
