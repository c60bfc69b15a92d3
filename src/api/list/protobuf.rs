//! A list in protobuf.
//!
//! The envelope says how long the list is before it comes. Items are encoded until the first piece is full; a list that
//! ends before is exact. Of a longer one the most that the rest may take is added up, by cheap arithmetic, and a little more
//! is announced ([`SLACK_DIVISOR`], [`SLACK_LEN`]), since labels and digits may change while it is sent; what is left is
//! filled up with metadata that decodes to nothing: `selfLink` fields, the last of which is empty and wins. Objects that
//! became servable after the list began are left out. Should the announced length not hold all the same, the list is broken
//! off rather than ended wrongly.

use super::super::answer::{Pieces, Progress};
use super::super::encode_protobuf;
use super::super::selection::{Position, Selection, Walked};
use super::super::view::Form;
use crate::counters::Counters;
use crate::invariant::assured;
use crate::limits::CHUNK_LEN_MAX;
use crate::store::Store;
use crate::wire::protobuf::{put_bytes, put_len_head, varint_len};

/// An announced length is larger than the measured one by this part of it ...
const SLACK_DIVISOR: usize = 64;
/// ... and by this many bytes.
const SLACK_LEN: usize = 256;
/// Bytes that must be left for the end of a list: a filler and the empty `selfLink` behind it.
const FILL_LEN_MIN: usize = 8;
/// Bytes of one filler. Any length of that size can be filled exactly, and it fits a piece many times.
const FILLER_LEN: usize = 1024;
/// Bytes kept free in the first piece for the envelope around the list.
const ENVELOPE_LEN_MAX: usize = 128;
/// The fields of a list's metadata and of its items.
const META_NUMBER: u32 = 1;
const ITEM_NUMBER: u32 = 2;
/// Bytes of the metadata that a list begins with.
const META_LEN: usize = 8;

/// What a list is doing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ListPhase {
    /// Encoding items of the first piece.
    Filling,
    /// Measuring the items behind it.
    Measuring,
    /// Sending the first piece, then encoding further ones.
    Sending,
}

/// A list in protobuf.
pub(super) struct ProtobufList {
    selection: Selection,
    form: Form,
    phase: ListPhase,
    /// Behind the items that were encoded.
    position: Position,
    /// Behind the items that were measured.
    measured: Position,
    /// The first piece; empty once it is written.
    first: Vec<u8>,
    /// Bytes of the whole body.
    len: usize,
    /// Bytes of the list; while sending, those that are still to come.
    left: usize,
    /// All items are written.
    ended: bool,
}

impl ProtobufList {
    pub(super) fn new(selection: Selection, form: Form, store: &Store) -> ProtobufList {
        let mut first = Vec::new();
        encode_protobuf::list_meta(&mut first, META_NUMBER);
        debug_assert_eq!(first.len(), META_LEN);
        let position = Position::begin(store);
        let measured = position.clone();
        ProtobufList {
            selection,
            form,
            phase: ListPhase::Filling,
            position,
            measured,
            first,
            len: 0,
            left: 0,
            ended: false,
        }
    }

    fn fill_first(&mut self, store: &Store, metrics: &Counters) {
        let ProtobufList { selection, form, position, first, .. } = self;
        let mut any = first.len() > META_LEN;
        let walked = selection.walk(store, position, |object| {
            let len = first.len();
            encode_protobuf::item(first, ITEM_NUMBER, object, form);
            if first.len() > CHUNK_LEN_MAX - ENVELOPE_LEN_MAX && any {
                first.truncate(len);
                return false;
            }
            any = true;
            object.observe(form.now, metrics);
            true
        });
        self.left = self.first.len();
        match walked {
            Walked::Paused => {}
            Walked::Full => {
                self.phase = ListPhase::Measuring;
                self.measured.clone_from(&self.position);
            }
            Walked::End => {
                self.ended = true;
                self.announce();
                self.first.extend_from_slice(&encode_protobuf::ENVELOPE_END);
            }
        }
    }

    fn measure(&mut self, store: &Store) {
        let ProtobufList { selection, form, measured, left, .. } = self;
        let mut len = 0;
        let walked = selection.walk(store, measured, |object| {
            len += encode_protobuf::item_len_max(object, form);
            true
        });
        *left += len;
        if walked == Walked::End {
            self.left += self.left / SLACK_DIVISOR + SLACK_LEN;
            self.announce();
        }
    }

    /// Puts the envelope, with the length that is known now, before the first piece.
    fn announce(&mut self) {
        let mut head = Vec::with_capacity(ENVELOPE_LEN_MAX);
        let kind = self.selection.resource.list_kind();
        encode_protobuf::envelope(&mut head, self.form.api_version, kind, self.left);
        self.len = head.len() + self.left + encode_protobuf::ENVELOPE_END.len();
        self.left -= self.first.len();
        self.first.splice(..0, head);
        self.phase = ListPhase::Sending;
    }

    /// Appends items as far as they fit the piece.
    fn items(&mut self, store: &Store, metrics: &Counters, out: &mut Vec<u8>) -> Progress {
        let start = out.len();
        let ProtobufList { selection, form, position, left, .. } = self;
        let (mut any, mut broken) = (false, false);
        let walked = selection.walk(store, position, |object| {
            let len = out.len();
            encode_protobuf::item(out, ITEM_NUMBER, object, form);
            let item_len = out.len() - len;
            broken = item_len + FILL_LEN_MIN > *left;
            if broken || (out.len() - start > CHUNK_LEN_MAX && any) {
                out.truncate(len);
                return false;
            }
            any = true;
            *left -= item_len;
            object.observe(form.now, metrics);
            true
        });
        if broken {
            return Progress::Broken;
        }
        if walked != Walked::End {
            return Progress::More;
        }
        self.ended = true;
        self.fill(start, out)
    }

    /// Fills up what was announced and not needed, and closes the envelope.
    fn fill(&mut self, start: usize, out: &mut Vec<u8>) -> Progress {
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
            self.left = self.left.saturating_sub(filler(out, META_NUMBER, filler_len));
        }
        out.extend_from_slice(&encode_protobuf::ENVELOPE_END);
        Progress::Done
    }
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
    put_bytes(out, 1, assured(BLANKS.get(..text_len), "a filler has at most FILLER_LEN bytes of text"));
    out.len() - before
}

impl Pieces for ProtobufList {
    fn prepare(&mut self, store: &Store, metrics: &Counters) -> bool {
        match self.phase {
            ListPhase::Filling => self.fill_first(store, metrics),
            ListPhase::Measuring => self.measure(store),
            ListPhase::Sending => {}
        }
        self.phase == ListPhase::Sending
    }

    fn len(&self) -> Option<usize> {
        Some(self.len)
    }

    fn next(&mut self, store: &Store, metrics: &Counters, out: &mut Vec<u8>) -> Progress {
        if !self.prepare(store, metrics) {
            return Progress::More;
        }
        if !self.first.is_empty() {
            out.append(&mut std::mem::take(&mut self.first));
            return if self.ended { Progress::Done } else { Progress::More };
        }
        if self.ended { self.fill(out.len(), out) } else { self.items(store, metrics, out) }
    }
}
