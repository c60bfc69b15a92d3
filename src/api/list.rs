//! Lists, encoded from the store piece by piece.
//!
//! JSON (which is also YAML) needs no length and is chunked. Protobuf needs one before the first byte, which is why it has a file of
//! its own. A list keeps its selectors, two strings and, indented, its fixed texts; pieces are at most
//! `limits::CHUNK_LEN_MAX`, unless a single object is larger.

mod protobuf;

use super::answer::{Body, Pieces, Progress};
use super::encode_json;
use super::encode_table::{self, Columns};
use super::layout::JsonLayout;
use super::negotiate::{Choice, Media};
use super::selection::{Position, Selection, Walked};
use super::view::{Form, MetricsObject};
use super::{document, encode_protobuf};
use crate::counters::Counters;
use crate::invariant::assured;
use crate::limits::CHUNK_LEN_MAX;
use crate::store::Store;
use protobuf::ProtobufList;

/// Bytes kept free in a piece for the end of a list in JSON.
const TAIL_LEN: usize = 128;

/// The body of a list.
#[must_use]
pub fn body(selection: Selection, form: Form, choice: &Choice, store: &Store) -> Body {
    if choice.media == Media::Protobuf {
        return Body::List(Box::new(ProtobufList::new(selection, form, store)));
    }
    Body::List(Box::new(TextList::new(selection, form, JsonLayout::new(choice.pretty), store)))
}

/// One object in the form asked for, in any encoding.
#[must_use]
pub fn single(object: &MetricsObject<'_>, form: &Form, choice: &Choice) -> Vec<u8> {
    if choice.media == Media::Protobuf {
        return encode_protobuf::document(form.api_version, object.resource().kind(), |out| {
            encode_protobuf::object(out, object, form);
        });
    }
    let mut json = Vec::new();
    if form.is_table {
        let columns = Columns::of(object);
        json = encode_table::shell(columns);
        json.truncate(json.len().saturating_sub(2));
        encode_table::row(&mut json, &mut JsonLayout::Compact, object, columns, form);
        json.extend_from_slice(b"]}");
    } else {
        encode_json::object(&mut json, &mut JsonLayout::Compact, object, form, true);
    }
    document::encoded(choice.pretty, json)
}

/// A list in JSON.
struct TextList {
    selection: Selection,
    form: Form,
    layout: JsonLayout,
    position: Position,
    columns: Columns,
    /// How far a table has been looked through for its columns; `None` once they are known.
    learning: Option<Position>,
    /// The document up to its items is written.
    begun: bool,
    /// An item is written.
    any: bool,
    /// Everything is written.
    ended: bool,
    /// The first piece, encoded before the answer begins.
    ahead: Vec<u8>,
    /// `ahead` is complete, or was taken.
    prepared: bool,
}

impl TextList {
    fn new(selection: Selection, form: Form, layout: JsonLayout, store: &Store) -> TextList {
        let position = Position::begin(store);
        let learning = form.is_table.then(|| position.clone());
        TextList {
            selection,
            form,
            layout,
            position,
            columns: Columns::default(),
            learning,
            begun: false,
            any: false,
            ended: false,
            ahead: Vec::new(),
            prepared: false,
        }
    }

    /// Appends items until the piece is full or the work of one walk is done.
    fn encode(&mut self, store: &Store, metrics: &Counters, out: &mut Vec<u8>, start: usize) -> Walked {
        if let Some(ahead) = &mut self.learning {
            if self.columns.learn(&self.selection, store, ahead) == Walked::Paused {
                return Walked::Paused;
            }
            self.learning = None;
        }
        self.begin(out);
        let TextList { selection, form, layout, position, columns, any, .. } = self;
        // An object that is larger than a piece comes alone, and so fits no piece that has others.
        let mut fresh = out.len() == start || !*any;
        let walked = selection.walk(store, position, |object| {
            let (len, before) = (out.len(), layout.place());
            layout.part(out, if *any { b"," } else { b"[" });
            if form.is_table {
                encode_table::row(out, layout, object, *columns, form);
            } else {
                encode_json::object(out, layout, object, form, false);
            }
            if out.len() - start > CHUNK_LEN_MAX - TAIL_LEN && !fresh {
                out.truncate(len);
                layout.go_back(before);
                return false;
            }
            (*any, fresh) = (true, false);
            object.observe(form.now, metrics);
            true
        });
        if walked == Walked::End {
            self.end(out);
        }
        walked
    }

    /// Writes the document up to its items, once.
    fn begin(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let shell = match self.form.is_table {
            true => encode_table::shell(self.columns),
            false => encode_json::shell(self.selection.resource.list_kind(), self.form.api_version),
        };
        let head = shell.strip_suffix(b"[]}");
        self.layout.once(out, assured(head, "a shell ends in its empty list"));
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.ended = true;
        // metrics-server never fills the rows of a table when there is nothing to fill them with.
        let end: &[u8] = match (self.any, self.form.is_table) {
            (true, _) => b"]}",
            (false, false) => b"[]}",
            (false, true) => b"null}",
        };
        self.layout.once(out, end);
        if matches!(self.layout, JsonLayout::Compact) {
            out.push(b'\n');
        }
    }
}

impl Pieces for TextList {
    fn prepare(&mut self, store: &Store, metrics: &Counters) -> bool {
        if !self.prepared {
            let mut ahead = std::mem::take(&mut self.ahead);
            let walked = self.encode(store, metrics, &mut ahead, 0);
            self.ahead = ahead;
            self.prepared = walked != Walked::Paused;
        }
        self.prepared
    }

    fn len(&self) -> Option<usize> {
        self.ended.then_some(self.ahead.len())
    }

    fn next(&mut self, store: &Store, metrics: &Counters, out: &mut Vec<u8>) -> Progress {
        let start = out.len();
        out.append(&mut std::mem::take(&mut self.ahead));
        if !self.ended && out.len() == start {
            self.encode(store, metrics, out, start);
        }
        self.prepared = true;
        if self.ended { Progress::Done } else { Progress::More }
    }
}

#[cfg(test)]
mod tests;
