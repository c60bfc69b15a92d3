//! Kubernetes' protobuf: the magic, an envelope with apiVersion and kind, and the object.
//!
//! Fields are written as metrics-server writes them, empty strings and zeros included. A message is written behind room
//! for its length, which is right for nearly all; else the message is moved. The most that an object takes is also known
//! without writing it. Source: `generated.proto` of `k8s.io/apimachinery` (`runtime`, `meta/v1`) and `k8s.io/metrics`.

use super::view::{Form, Measured, MetricsObject};
use crate::invariant::assured;
use crate::store::Usage;
use crate::units::UnixNanos;
use crate::wire::protobuf::{MAGIC, put_bytes, put_len_head, put_varint_field, varint_len};
use crate::wire::quantity;
use crate::wire::text::append;

/// Appends a message field whose content `write` appends; most have less than 128 bytes.
pub fn message(out: &mut Vec<u8>, number: u32, write: impl FnOnce(&mut Vec<u8>)) {
    wide_message(out, number, 1, write);
}

/// Appends a message field whose length most likely takes `width` bytes.
fn wide_message(out: &mut Vec<u8>, number: u32, width: usize, write: impl FnOnce(&mut Vec<u8>)) {
    put_len_head(out, number, 0);
    let begin = out.len() - 1;
    let start = begin + width;
    out.resize(start, 0);
    write(out);
    let len = out.len() - start;
    let needed = varint_len(len as u64);
    if needed != width {
        out.resize(begin + needed.max(width) + len, 0);
        out.copy_within(start..start + len, begin + needed);
        out.truncate(begin + needed + len);
    }
    let mut left = len;
    for slot in assured(out.get_mut(begin..begin + needed), "the head was made longer for it") {
        *slot = low_seven_bits(left);
        left >>= 7;
        if left > 0 {
            *slot |= 0x80;
        }
    }
}

#[allow(clippy::cast_possible_truncation)]
const fn low_seven_bits(value: usize) -> u8 {
    (value & 0x7f) as u8
}

/// Appends everything before the object: magic, apiVersion and kind, and the head of an object of `raw_len` bytes.
pub fn envelope(out: &mut Vec<u8>, api_version: &str, kind: &str, raw_len: usize) {
    out.extend_from_slice(&MAGIC);
    message(out, 1, |out| {
        put_bytes(out, 1, api_version.as_bytes());
        put_bytes(out, 2, kind.as_bytes());
    });
    put_len_head(out, 2, raw_len);
}

/// What follows the object: no content encoding and no content type.
pub const ENVELOPE_END: [u8; 4] = [0x1a, 0, 0x22, 0];

/// A whole document: magic, envelope and the object that `write` appends.
#[must_use]
pub fn document(api_version: &str, kind: &str, write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut raw = Vec::new();
    write(&mut raw);
    let mut out = Vec::with_capacity(raw.len() + 80);
    envelope(&mut out, api_version, kind, raw.len());
    out.extend_from_slice(&raw);
    out.extend_from_slice(&ENVELOPE_END);
    out
}

/// `ListMeta` of a list that is complete, as field `number`.
pub fn list_meta(out: &mut Vec<u8>, number: u32) {
    message(out, number, |out| {
        put_bytes(out, 1, b"");
        put_bytes(out, 2, b"");
        put_bytes(out, 3, b"");
    });
}

/// Appends one object as a field of a list.
pub fn item(out: &mut Vec<u8>, number: u32, object: &MetricsObject<'_>, form: &Form) {
    wide_message(out, number, 2, |out| self::object(out, object, form));
}

/// Bytes that [`item`] appends at most for a field number below 16; what it appends is a few bytes less.
#[must_use]
pub fn item_len_max(object: &MetricsObject<'_>, form: &Form) -> usize {
    // Heads of the item and its metadata, with the four empty texts and the zero in that, and the time and window.
    const FRAME_LEN: usize = 4 + 4 + 5 * 2 + 4;
    let names_len = 6 + object.name.len() + object.namespace.map_or(0, str::len);
    let at_len = object.at.map_or(0, time_len);
    let window_len = 1 + varint_len(object.window.0.cast_unsigned());
    let measured_len: usize = match &object.measured {
        Measured::Node(node) => usage_len_max(node),
        // The heads of a container and of its name.
        Measured::Pod(pod) => {
            pod.containers().map(|(name, container)| 5 + name.len() + usage_len_max(&container)).sum()
        }
    };
    FRAME_LEN
        + names_len
        + object.labels.iter().map(|(key, value)| field_len(label_len(key, value))).sum::<usize>()
        + 2
        + time_len(form.now)
        + at_len
        + window_len
        + measured_len
}

/// Bytes of a label as a map entry.
fn label_len(key: &str, value: &str) -> usize {
    field_len(key.len()) + field_len(value.len())
}

/// Appends the fields of one object.
pub fn object(out: &mut Vec<u8>, object: &MetricsObject<'_>, form: &Form) {
    // Labels have at most eight bytes of framing for a key and value of some length.
    let metadata_len =
        32 + object.name.len() + object.namespace.map_or(0, str::len) + object.labels.text_len();
    wide_message(out, 1, if metadata_len < 128 { 1 } else { 2 }, |out| metadata(out, object, form));
    match object.at {
        Some(at) => time(out, 2, at),
        None => put_len_head(out, 2, 0),
    }
    let window = object.window.0.cast_unsigned();
    put_len_head(out, 3, 1 + varint_len(window));
    put_varint_field(out, 1, window);
    match &object.measured {
        Measured::Node(node) => usage(out, 4, node),
        Measured::Pod(pod) => {
            for (name, container) in pod.containers() {
                message(out, 4, |out| {
                    put_bytes(out, 1, name.as_bytes());
                    usage(out, 2, &container);
                });
            }
        }
    }
}

/// Bytes of a length-delimited field with a number below 16.
fn field_len(content_len: usize) -> usize {
    1 + varint_len(content_len as u64) + content_len
}

fn metadata(out: &mut Vec<u8>, object: &MetricsObject<'_>, form: &Form) {
    put_bytes(out, 1, object.name.as_bytes());
    put_bytes(out, 2, b"");
    put_bytes(out, 3, object.namespace.unwrap_or("").as_bytes());
    // Empty `selfLink`, `uid` and `resourceVersion`, and generation 0.
    out.extend_from_slice(&[0x22, 0, 0x2a, 0, 0x32, 0, 0x38, 0]);
    time(out, 8, form.now);
    for (key, value) in object.labels.iter() {
        put_len_head(out, 11, label_len(key, value));
        put_bytes(out, 1, key.as_bytes());
        put_bytes(out, 2, value.as_bytes());
    }
}

#[allow(clippy::cast_possible_truncation)]
fn time(out: &mut Vec<u8>, number: u32, at: UnixNanos) {
    let seconds = at.seconds().cast_unsigned();
    debug_assert!(number < 16, "the head of a time has two bytes");
    if (1 << 28..1 << 35).contains(&seconds) {
        // From 1978 to 3058: five bytes of seconds.
        let head = (number << 3 | 2) as u8;
        let part = |shift: u32| (seconds >> shift) as u8 | 0x80;
        let last = (seconds >> 28) as u8;
        out.extend_from_slice(&[head, 8, 0x08, part(0), part(7), part(14), part(21), last, 0x10, 0]);
        return;
    }
    put_len_head(out, number, time_len(at));
    put_varint_field(out, 1, seconds);
    put_varint_field(out, 2, 0);
}

fn time_len(at: UnixNanos) -> usize {
    1 + varint_len(at.seconds().cast_unsigned()) + 2
}

fn usage(out: &mut Vec<u8>, number: u32, usage: &Usage) {
    entry(out, number, b"\x0a\x03cpu\x12", quantity::cpu_text(usage.cpu).as_bytes());
    entry(out, number, b"\x0a\x06memory\x12", quantity::bytes_text(usage.working_set).as_bytes());
    if let Some(swap) = usage.swap {
        entry(out, number, b"\x0a\x04swap\x12", quantity::bytes_text(swap).as_bytes());
    }
}

fn usage_len_max(usage: &Usage) -> usize {
    let memory_len = |bytes| ENTRY_LEN + quantity::bytes_len_max(bytes);
    let (cpu, memory) = (quantity::cpu_len_max(usage.cpu), memory_len(usage.working_set));
    let swap = usage.swap.map_or(0, |swap| "swap".len() + memory_len(swap));
    ENTRY_LEN + "cpu".len() + cpu + "memory".len() + memory + swap
}

/// Bytes of the four heads of [`entry`].
const ENTRY_LEN: usize = 8;

/// Appends one resource of a usage: a map entry of its name, which is given as the field it is with the begin of the next
/// one, and of a `Quantity`, which has its text as field 1. A quantity has at most 32 bytes, so that every head has two.
#[inline]
#[allow(clippy::cast_possible_truncation)]
fn entry<const N: usize>(out: &mut Vec<u8>, number: u32, name: &[u8; N], quantity: &[u8]) {
    let quantity_len = quantity.len() as u8;
    debug_assert!(number < 16 && N + quantity.len() < 100);
    out.extend_from_slice(&[(number << 3 | 2) as u8, N as u8 + quantity_len + 3]);
    out.extend_from_slice(name);
    out.extend_from_slice(&[quantity_len + 2, 0x0a, quantity_len]);
    append(out, quantity);
}
