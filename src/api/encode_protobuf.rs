//! Kubernetes' protobuf: the magic, an envelope with apiVersion and kind, and the object.
//!
//! Fields are written as the reference writes them, empty strings and zeros included. A message is written first and its
//! length put before it afterwards, so that nothing is computed twice; the moved bytes are one small message.
//! Source: `generated.proto` of `k8s.io/apimachinery` (`runtime`, `meta/v1`) and `k8s.io/metrics`.

use super::status::{Detail, Status};
use super::view::{Form, Measured, Object};
use crate::store::Usage;
use crate::units::UnixNanos;
use crate::wire::protobuf::{MAGIC, put_bytes, put_len_head, put_varint_field, varint_len};
use crate::wire::quantity;

/// Appends a message field whose content `write` appends.
pub fn message(out: &mut Vec<u8>, number: u32, write: impl FnOnce(&mut Vec<u8>)) {
    put_len_head(out, number, 0);
    let start = out.len();
    write(out);
    let len = out.len() - start;
    // The head was written for a length of one byte; a longer one makes room for itself.
    let extra = varint_len(len as u64) - 1;
    if extra > 0 {
        out.resize(out.len() + extra, 0);
        out.copy_within(start..start + len, start + extra);
    }
    let mut left = len;
    for slot in out.get_mut(start - 1..start + extra).unwrap_or(&mut []) {
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

/// A `Status` document.
#[must_use]
pub fn status(status: &Status) -> Vec<u8> {
    document("v1", "Status", |out| {
        list_meta(out, 1);
        put_bytes(out, 2, b"Failure");
        put_bytes(out, 3, status.message.as_bytes());
        put_bytes(out, 4, status.reason.as_bytes());
        if let Some(details) = &status.details {
            message(out, 5, |out| detail(out, details));
        }
        put_varint_field(out, 6, u64::from(status.code));
    })
}

fn detail(out: &mut Vec<u8>, details: &Detail) {
    put_bytes(out, 1, details.name.as_bytes());
    put_bytes(out, 2, details.group.as_bytes());
    put_bytes(out, 3, details.kind.as_bytes());
    for cause in &details.causes {
        message(out, 4, |out| {
            put_bytes(out, 1, cause.reason.as_bytes());
            put_bytes(out, 2, cause.message.as_bytes());
            put_bytes(out, 3, cause.field.as_bytes());
        });
    }
    put_varint_field(out, 5, u64::from(details.retry_after));
    put_bytes(out, 6, b"");
}

/// Appends the fields of one object.
pub fn object(out: &mut Vec<u8>, object: &Object<'_>, form: &Form) {
    partial(out, object, form);
    message(out, 2, |out| {
        if let Some(at) = object.at {
            time(out, at);
        }
    });
    message(out, 3, |out| put_varint_field(out, 1, object.window.0.cast_unsigned()));
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

/// Appends an object's metadata, which is also all of a `PartialObjectMetadata`.
pub fn partial(out: &mut Vec<u8>, object: &Object<'_>, form: &Form) {
    message(out, 1, |out| {
        put_bytes(out, 1, object.name.as_bytes());
        put_bytes(out, 2, b"");
        put_bytes(out, 3, object.namespace.unwrap_or("").as_bytes());
        put_bytes(out, 4, b"");
        put_bytes(out, 5, b"");
        put_bytes(out, 6, b"");
        put_varint_field(out, 7, 0);
        message(out, 8, |out| time(out, form.now));
        for (key, value) in object.labels.iter() {
            message(out, 11, |out| {
                put_bytes(out, 1, key.as_bytes());
                put_bytes(out, 2, value.as_bytes());
            });
        }
    });
}

fn time(out: &mut Vec<u8>, at: UnixNanos) {
    put_varint_field(out, 1, at.seconds().cast_unsigned());
    put_varint_field(out, 2, 0);
}

fn usage(out: &mut Vec<u8>, number: u32, usage: &Usage) {
    entry(out, number, "cpu", quantity::cpu_text(usage.cpu).as_bytes());
    entry(out, number, "memory", quantity::bytes_text(usage.working_set).as_bytes());
    if let Some(swap) = usage.swap {
        entry(out, number, "swap", quantity::bytes_text(swap).as_bytes());
    }
}

fn entry(out: &mut Vec<u8>, number: u32, name: &str, quantity: &[u8]) {
    message(out, number, |out| {
        put_bytes(out, 1, name.as_bytes());
        message(out, 2, |out| put_bytes(out, 1, quantity));
    });
}
