//! Lists, encoded from the store piece by piece.
//!
//! JSON and YAML need no length and are chunked. Protobuf needs one before the first byte, which is why it has a file of
//! its own.
//! A list keeps its selectors, two strings and, indented or as YAML, one object; pieces are at most
//! `limits::CHUNK_LEN_MAX`, unless a single object is larger.

mod protobuf;

use super::answer::{Body, Pieces, Progress};
use super::encode_json::{self, Indenter};
use super::encode_table::{self, Columns};
use super::negotiate::{Choice, Media, Transform};
use super::view::{Form, Object, Position, Selection};
use super::{encode_protobuf, encode_yaml};
use crate::counters::Counters;
use crate::limits::CHUNK_LEN_MAX;
use crate::store::Store;
use protobuf::ProtobufList;

/// Bytes kept free in a piece for the end of a list in JSON or YAML.
const TAIL_LEN: usize = 128;

/// The body of a list: whole when it fits one piece, else in pieces.
#[must_use]
pub fn body(
    selection: Selection,
    form: Form,
    choice: &Choice<'_>,
    store: &Store,
    metrics: &Counters,
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
    fn encode(&mut self, store: &Store, metrics: Option<&Counters>, out: &mut Vec<u8>) -> Progress {
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

    fn next(&mut self, store: &Store, metrics: &Counters, out: &mut Vec<u8>) -> Progress {
        if self.ahead.is_empty() {
            return self.encode(store, Some(metrics), out);
        }
        out.append(&mut std::mem::take(&mut self.ahead));
        Progress::More
    }
}

#[cfg(test)]
mod tests;
