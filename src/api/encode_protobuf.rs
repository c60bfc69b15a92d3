//! Kubernetes' protobuf: the magic, an envelope with apiVersion and kind, and the object.
//!
//! Fields are written as metrics-server writes them, empty strings and zeros included. A message is written behind room
//! for its length, which is right for nearly all; else the message is moved. The length of an object is also known
//! without writing it. Source: `generated.proto` of `k8s.io/apimachinery` (`runtime`, `meta/v1`) and `k8s.io/metrics`.

use super::view::{Form, Measured, MetricsObject};
use crate::invariant::assured;
use crate::store::Usage;
use crate::units::UnixNanos;
use crate::wire::protobuf::{MAGIC, put_bytes, put_len_head, put_varint_field, varint_len};
use crate::wire::quantity;

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

/// Bytes that [`item`] appends for a field number below 16.
#[must_use]
pub fn item_len(object: &MetricsObject<'_>, form: &Form) -> usize {
    field_len(object_len(object, form))
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
                put_len_head(out, 4, field_len(name.len()) + usage_len(&container));
                put_bytes(out, 1, name.as_bytes());
                usage(out, 2, &container);
            }
        }
    }
}

fn object_len(object: &MetricsObject<'_>, form: &Form) -> usize {
    let at_len = object.at.map_or(0, time_len);
    let window_len = 1 + varint_len(object.window.0.cast_unsigned());
    let measured_len: usize = match &object.measured {
        Measured::Node(node) => usage_len(node),
        Measured::Pod(pod) => pod
            .containers()
            .map(|(name, container)| field_len(field_len(name.len()) + usage_len(&container)))
            .sum(),
    };
    field_len(metadata_len(object, form)) + field_len(at_len) + field_len(window_len) + measured_len
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
        put_len_head(out, 11, field_len(key.len()) + field_len(value.len()));
        put_bytes(out, 1, key.as_bytes());
        put_bytes(out, 2, value.as_bytes());
    }
}

fn metadata_len(object: &MetricsObject<'_>, form: &Form) -> usize {
    let labels = object.labels.iter();
    let labels_len: usize =
        labels.map(|(key, value)| field_len(field_len(key.len()) + field_len(value.len()))).sum();
    // Four empty texts and a zero between the name and the time.
    field_len(object.name.len())
        + field_len(object.namespace.unwrap_or("").len())
        + 5 * 2
        + field_len(time_len(form.now))
        + labels_len
}

fn time(out: &mut Vec<u8>, number: u32, at: UnixNanos) {
    put_len_head(out, number, time_len(at));
    put_varint_field(out, 1, at.seconds().cast_unsigned());
    put_varint_field(out, 2, 0);
}

fn time_len(at: UnixNanos) -> usize {
    1 + varint_len(at.seconds().cast_unsigned()) + 2
}

fn usage(out: &mut Vec<u8>, number: u32, usage: &Usage) {
    entry(out, number, "cpu", quantity::cpu_text(usage.cpu).as_bytes());
    entry(out, number, "memory", quantity::bytes_text(usage.working_set).as_bytes());
    if let Some(swap) = usage.swap {
        entry(out, number, "swap", quantity::bytes_text(swap).as_bytes());
    }
}

fn usage_len(usage: &Usage) -> usize {
    entry_len("cpu", quantity::cpu_len(usage.cpu))
        + entry_len("memory", quantity::bytes_len(usage.working_set))
        + usage.swap.map_or(0, |swap| entry_len("swap", quantity::bytes_len(swap)))
}

/// Bytes of one resource of a usage: a map entry of a name and a `Quantity`, which has its text as field 1.
fn entry_len(name: &str, quantity_len: usize) -> usize {
    field_len(field_len(name.len()) + field_len(field_len(quantity_len)))
}

#[allow(clippy::cast_possible_truncation)]
fn entry(out: &mut Vec<u8>, number: u32, name: &str, quantity: &[u8]) {
    let (name_len, quantity_len) = (name.len() as u8, quantity.len() as u8);
    // A resource's name has at most 6 bytes and a quantity 32, so that every head has two.
    debug_assert!(number < 16 && name.len() <= 6 && quantity.len() <= 32, "{name}");
    out.extend_from_slice(&[(number << 3 | 2) as u8, name_len + quantity_len + 6, 0x0a, name_len]);
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(&[0x12, quantity_len + 2, 0x0a, quantity_len]);
    out.extend_from_slice(quantity);
}
