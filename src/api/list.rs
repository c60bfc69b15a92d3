//! Lists, encoded from the store piece by piece.
//!
//! JSON and YAML need no length and are chunked. Protobuf does: the envelope says how long the list is before it comes.
//! So a first walk measures it, under one lock. A list that fits one piece is encoded at once, exactly. A longer one
//! announces a little more ([`SLACK_DIVISOR`], [`SLACK_LEN`]), since labels and digits may change while it is sent, and
//! fills up what is left with metadata that decodes to nothing: `selfLink` fields, the last of which is empty and wins.
//! Should the rest not even hold that, the list is broken off rather than ended wrongly.
//! A list keeps its selectors, two strings and, indented or as YAML, one object; pieces are at most
//! `limits::CHUNK_LEN_MAX`, unless a single object is larger.

use super::answer::{Body, Pieces, Progress};
use super::encode_json::{self, Indenter};
use super::encode_table::{self, Columns};
use super::negotiate::{Choice, Media, MetaVersion, Transform};
use super::self_metrics::SelfMetrics;
use super::view::{Form, Object, Position, Selection};
use super::{encode_protobuf, encode_yaml};
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
/// Bytes kept free in a piece for the end of a list in JSON or YAML.
const TAIL_LEN: usize = 128;

/// The body of a list: whole when it fits one piece, else in pieces.
#[must_use]
pub fn body(
    selection: Selection,
    form: Form,
    choice: &Choice<'_>,
    store: &Store,
    metrics: &SelfMetrics,
) -> Body {
    if choice.media == Media::Protobuf {
        return ProtobufList::body(selection, form, store, metrics);
    }
    let layout = match (choice.media, choice.pretty) {
        (Media::Yaml, _) => Layout::Yaml,
        (_, true) => Layout::Indented(Indenter::default()),
        (_, false) => Layout::Compact,
    };
    let mut list = TextList::new(selection, form, layout, store);
    let mut piece = Vec::new();
    match list.encode(store, Some(metrics), &mut piece) {
        Progress::Done => Body::Whole(piece),
        _ => {
            list.ahead = piece;
            Body::List(Box::new(list))
        }
    }
}

/// One object in the form asked for, in any encoding.
#[must_use]
pub fn single(object: &Object<'_>, form: &Form, choice: &Choice<'_>) -> Vec<u8> {
    if choice.media == Media::Protobuf {
        return match form.transform {
            Transform::None => encode_protobuf::document(form.api_version, object.resource().kind(), |out| {
                encode_protobuf::object(out, object, form);
            }),
            Transform::Partial(v) | Transform::PartialList(v) | Transform::Table(v) => {
                encode_protobuf::document(v.api_version(), "PartialObjectMetadata", |out| {
                    encode_protobuf::partial(out, object, form);
                })
            }
        };
    }
    let mut json = Vec::new();
    match form.transform {
        Transform::None => encode_json::object(&mut json, object, form, true),
        Transform::Partial(v) | Transform::PartialList(v) => encode_json::partial(&mut json, object, v, form),
        Transform::Table(version) => {
            let columns = Columns::of(object);
            json = encode_table::shell(version, columns);
            json.truncate(json.len().saturating_sub(2));
            encode_table::row(&mut json, object, columns, version, form);
            json.extend_from_slice(b"]}");
        }
    }
    encode_json::document(choice.media, choice.pretty, &json)
}

/// How JSON is laid out, or that it becomes YAML.
#[derive(Clone, Copy)]
enum Layout {
    Compact,
    Indented(Indenter),
    Yaml,
}

/// A list in JSON or YAML.
#[derive(Clone)]
struct TextList {
    selection: Selection,
    form: Form,
    layout: Layout,
    position: Position,
    columns: Columns,
    /// What comes before the items, and after them; the former is empty once it is written.
    head: Vec<u8>,
    tail: Vec<u8>,
    any: bool,
    /// One object as compact JSON, on its way to another layout.
    scratch: Vec<u8>,
    /// The first piece, encoded when the list began.
    ahead: Vec<u8>,
}

impl TextList {
    fn new(selection: Selection, form: Form, layout: Layout, store: &Store) -> TextList {
        let position = Position::begin(store);
        let mut columns = Columns::default();
        let shell = match form.transform {
            Transform::Table(version) => {
                columns = Columns::of_list(&selection, store, &position);
                encode_table::shell(version, columns)
            }
            Transform::PartialList(version) | Transform::Partial(version) => {
                encode_json::shell("PartialObjectMetadataList", version.api_version())
            }
            Transform::None => encode_json::shell(selection.resource.list_kind(), form.api_version),
        };
        let (head, tail) = split_shell(&shell, layout);
        let (scratch, ahead) = (Vec::new(), Vec::new());
        TextList { selection, form, layout, position, columns, head, tail, any: false, scratch, ahead }
    }

    /// Appends one piece; without `metrics` it only finds out how long the list is.
    fn encode(&mut self, store: &Store, metrics: Option<&SelfMetrics>, out: &mut Vec<u8>) -> Progress {
        let start = out.len();
        put(&mut self.layout, &std::mem::take(&mut self.head), out);
        let TextList { selection, form, layout, position, columns, any, scratch, .. } = self;
        let mut fresh = true;
        let finished = selection.walk(store, position, |object| {
            let (len, layout_before) = (out.len(), *layout);
            if let Layout::Compact = layout {
                out.push(if *any { b',' } else { b'[' });
                write(out, object, *columns, form);
            } else {
                scratch.clear();
                write(scratch, object, *columns, form);
                put_item(layout, *any, scratch, out);
            }
            if out.len() - start > CHUNK_LEN_MAX - TAIL_LEN && !fresh {
                out.truncate(len);
                *layout = layout_before;
                return false;
            }
            (*any, fresh) = (true, false);
            if let Some(metrics) = metrics {
                object.observe(form.now, metrics);
            }
            true
        });
        if !finished {
            return Progress::More;
        }
        self.end(out);
        Progress::Done
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        // The reference never fills these two lists when there is nothing to fill them with.
        let empty: &[u8] = if self.form.transform == Transform::None { b"[]" } else { b"null" };
        match (self.any, self.layout) {
            (true, Layout::Yaml) => {}
            (true, _) => put(&mut self.layout, b"]", out),
            (false, Layout::Yaml) => {
                out.push(b' ');
                out.extend_from_slice(empty);
                out.push(b'\n');
            }
            (false, _) => put(&mut self.layout, empty, out),
        }
        put(&mut self.layout, &self.tail, out);
        if let Layout::Compact = self.layout {
            out.push(b'\n');
        }
    }
}

/// Cuts the shell of a list where its items go.
fn split_shell(shell: &[u8], layout: Layout) -> (Vec<u8>, Vec<u8>) {
    let Layout::Yaml = layout else {
        return (shell.get(..shell.len().saturating_sub(3)).unwrap_or(b"").to_vec(), b"}".to_vec());
    };
    let mut yaml = Vec::new();
    encode_yaml::value(&mut yaml, shell, 0);
    let text = String::from_utf8(yaml).unwrap_or_default();
    let (head, tail) = text.split_once(" []\n").unwrap_or((&text, ""));
    (head.as_bytes().to_vec(), tail.as_bytes().to_vec())
}

/// Appends a part of the document, in its layout.
fn put(layout: &mut Layout, part: &[u8], out: &mut Vec<u8>) {
    match layout {
        Layout::Indented(indenter) => indenter.feed(part, out),
        Layout::Compact | Layout::Yaml => out.extend_from_slice(part),
    }
}

/// Appends one item that is compact JSON, in another layout.
fn put_item(layout: &mut Layout, any: bool, item: &[u8], out: &mut Vec<u8>) {
    if let Layout::Yaml = layout {
        if !any {
            out.push(b'\n');
        }
        encode_yaml::item(out, item, 0);
    } else {
        put(layout, if any { b"," } else { b"[" }, out);
        put(layout, item, out);
    }
}

/// Appends one object as compact JSON, in its form.
fn write(out: &mut Vec<u8>, object: &Object<'_>, columns: Columns, form: &Form) {
    match form.transform {
        Transform::None => encode_json::object(out, object, form, false),
        Transform::Partial(v) | Transform::PartialList(v) => encode_json::partial(out, object, v, form),
        Transform::Table(version) => encode_table::row(out, object, columns, version, form),
    }
}

impl Pieces for TextList {
    fn len(&self) -> Option<usize> {
        None
    }

    fn exceeds(&self, store: &Store, len: usize) -> bool {
        let mut total = self.ahead.len();
        let mut rest = self.clone();
        let mut piece = Vec::new();
        while total <= len {
            piece.clear();
            let progress = rest.encode(store, None, &mut piece);
            total += piece.len();
            if progress != Progress::More {
                break;
            }
        }
        total > len
    }

    fn next(&mut self, store: &Store, metrics: &SelfMetrics, out: &mut Vec<u8>) -> Progress {
        if self.ahead.is_empty() {
            return self.encode(store, Some(metrics), out);
        }
        out.append(&mut std::mem::take(&mut self.ahead));
        Progress::More
    }
}

/// A list in protobuf that is longer than a piece.
struct ProtobufList {
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
    fn body(selection: Selection, form: Form, store: &Store, metrics: &SelfMetrics) -> Body {
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
    fn items(&mut self, store: &Store, metrics: &SelfMetrics, start: usize, out: &mut Vec<u8>) -> Progress {
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

    fn exceeds(&self, _store: &Store, len: usize) -> bool {
        self.len > len
    }

    fn next(&mut self, store: &Store, metrics: &SelfMetrics, out: &mut Vec<u8>) -> Progress {
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
