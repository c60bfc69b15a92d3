//! A list in protobuf.
//!
//! The envelope says how long the list is before it comes, so a first walk measures it, under one lock. A list that fits
//! one piece is encoded at once, exactly. A longer one announces a little more ([`SLACK_DIVISOR`], [`SLACK_LEN`]), since
//! labels and digits may change while it is sent, and fills up what is left with metadata that decodes to nothing:
//! `selfLink` fields, the last of which is empty and wins. Objects that became servable after the measuring are left
//! out. Should the announced length not hold all the same, the list is broken off rather than ended wrongly.

use super::super::answer::{Body, Pieces, Progress};
use super::super::encode_protobuf;
use super::super::negotiate::{MetaVersion, Transform};
use super::super::view::{Form, Object, Position, Selection};
use crate::counters::Counters;
use crate::limits::CHUNK_LEN_MAX;
use crate::store::Store;
use crate::wire::protobuf::{put_bytes, put_len_head, varint_len};

/// An announced length is larger than the measured one by this part of it ...
const SLACK_DIVISOR: usize = 32;
/// ... and by this many bytes.
const SLACK_LEN: usize = 256;
/// Bytes that must be left for the end of a list: a filler and the empty `selfLink` behind it.
const FILL_LEN_MIN: usize = 8;
/// Bytes of one filler. Any length of that size can be filled exactly, and it fits a piece many times.
const FILLER_LEN: usize = 1024;
/// A list in protobuf that is longer than a piece.
pub(super) struct ProtobufList {
    selection: Selection,
    form: Form,
    position: Position,
    /// Bytes of the whole body.
    len: usize,
    /// The envelope; empty once it is written.
    head: Vec<u8>,
    /// Bytes of the object that are still to come.
    left: usize,
    /// All items are written.
    ended: bool,
}

impl ProtobufList {
    pub(super) fn body(selection: Selection, form: Form, store: &Store, metrics: &Counters) -> Body {
        let (meta_number, item_number) = field_numbers(&form);
        let (kind, api_version) = match form.transform {
            Transform::None => (selection.resource.list_kind(), form.api_version),
            Transform::Partial(v) | Transform::PartialList(v) | Transform::Table(v) => {
                ("PartialObjectMetadataList", v.api_version())
            }
        };
        let mut raw = Vec::new();
        encode_protobuf::list_meta(&mut raw, meta_number);
        let meta_len = raw.len();
        let position = Position::begin(store);
        // Measured exactly; the bytes are kept as long as they may turn out to be the answer.
        let mut raw_len = meta_len;
        let mut item = Vec::new();
        selection.walk(store, &mut position.clone(), |object| {
            item.clear();
            item_field(&mut item, item_number, object, &form);
            raw_len += item.len();
            if raw_len <= CHUNK_LEN_MAX {
                raw.extend_from_slice(&item);
            }
            true
        });
        let mut head = Vec::new();
        let fits = raw_len <= CHUNK_LEN_MAX;
        if !fits {
            raw.truncate(meta_len);
            raw_len += raw_len / SLACK_DIVISOR + SLACK_LEN;
        }
        encode_protobuf::envelope(&mut head, api_version, kind, raw_len);
        if fits {
            selection.walk(store, &mut position.clone(), |object| {
                object.observe(form.now, metrics);
                true
            });
            if meta_number > item_number {
                raw.rotate_left(meta_len);
            }
            head.append(&mut raw);
            head.extend_from_slice(&encode_protobuf::ENVELOPE_END);
            return Body::Whole(head);
        }
        let len = head.len() + raw_len + encode_protobuf::ENVELOPE_END.len();
        let left = raw_len - raw.len();
        head.append(&mut raw);
        Body::List(Box::new(ProtobufList { selection, form, position, len, head, left, ended: false }))
    }

    /// Appends items as far as they fit the piece.
    fn items(&mut self, store: &Store, metrics: &Counters, start: usize, out: &mut Vec<u8>) -> Progress {
        let (_, item_number) = field_numbers(&self.form);
        let ProtobufList { selection, form, position, left, ended, .. } = self;
        let (mut fresh, mut broken) = (true, false);
        *ended = selection.walk(store, position, |object| {
            let len = out.len();
            item_field(out, item_number, object, form);
            let item_len = out.len() - len;
            broken = item_len + FILL_LEN_MIN > *left;
            if broken || (out.len() - start > CHUNK_LEN_MAX && !fresh) {
                out.truncate(len);
                return false;
            }
            fresh = false;
            *left -= item_len;
            object.observe(form.now, metrics);
            true
        });
        if broken { Progress::Broken } else { Progress::More }
    }

    /// Fills up what was announced and not needed, and closes the envelope.
    fn fill(&mut self, start: usize, out: &mut Vec<u8>) -> Progress {
        let (meta_number, _) = field_numbers(&self.form);
        while self.left > 0 {
            let room = CHUNK_LEN_MAX.saturating_sub(out.len() - start);
            if room < 2 * FILLER_LEN {
                return Progress::More;
            }
            // The last filler has no text: it takes back that of all before it.
            let filler_len = match self.left {
                ..FILL_LEN_MIN => FILL_LEN_MIN / 2,
                FILL_LEN_MIN..=FILLER_LEN => self.left - FILL_LEN_MIN / 2,
                _ => (self.left - FILL_LEN_MIN).min(FILLER_LEN),
            };
            self.left = self.left.saturating_sub(filler(out, meta_number, filler_len));
        }
        out.extend_from_slice(&encode_protobuf::ENVELOPE_END);
        Progress::Done
    }
}

/// The fields of a list's metadata and of its items. The two versions of one list number them differently.
const fn field_numbers(form: &Form) -> (u32, u32) {
    match form.transform {
        Transform::PartialList(MetaVersion::V1beta1) => (2, 1),
        _ => (1, 2),
    }
}

fn item_field(out: &mut Vec<u8>, number: u32, object: &Object<'_>, form: &Form) {
    encode_protobuf::message(out, number, |out| match form.transform {
        Transform::None => encode_protobuf::object(out, object, form),
        _ => encode_protobuf::partial(out, object, form),
    });
}

/// Appends `ListMeta` with a `selfLink` that makes the field `len` bytes long. A length that no field has (a byte more of
/// text would need a byte more of length) is halved. Returns the bytes written; the shortest field has 4, and no text.
fn filler(out: &mut Vec<u8>, number: u32, len: usize) -> usize {
    const BLANKS: [u8; FILLER_LEN] = [b' '; FILLER_LEN];
    let inner_len = |text_len: usize| 1 + varint_len(text_len as u64) + text_len;
    let field_len = |text_len: usize| 1 + varint_len(inner_len(text_len) as u64) + inner_len(text_len);
    let longest = len.saturating_sub(4).min(FILLER_LEN);
    let reached = (longest.saturating_sub(3)..=longest).find(|text_len| field_len(*text_len) == len);
    let text_len = reached.unwrap_or(longest / 2);
    let before = out.len();
    put_len_head(out, number, inner_len(text_len));
    put_bytes(out, 1, BLANKS.get(..text_len).unwrap_or(b""));
    out.len() - before
}

impl Pieces for ProtobufList {
    fn len(&self) -> Option<usize> {
        Some(self.len)
    }

    fn next(&mut self, store: &Store, metrics: &Counters, out: &mut Vec<u8>) -> Progress {
        let start = out.len();
        out.append(&mut std::mem::take(&mut self.head));
        if !self.ended {
            let progress = self.items(store, metrics, start, out);
            if progress == Progress::Broken || !self.ended {
                return progress;
            }
        }
        self.fill(start, out)
    }
}
