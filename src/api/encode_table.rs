//! Tables: what `kubectl get nodemetrics` and `podmetrics` print.
//!
//! Columns are the name, CPU and memory of the first row, the window, and swap; a pod's quantities are the exact sums
//! over its containers. The first row decides for all: a quantity it lacks has no column, one that a later row lacks is
//! `0`. Rows of pods without containers before it have no quantities at all, as with metrics-server. Tables have no
//! protobuf form. Source: `pkg/api/table.go` of metrics-server, `handlers/response.go` of `k8s.io/apiserver`.

use super::encode_json;
use super::layout::JsonLayout;
use super::selection::{Position, Selection, Walked};
use super::view::{Form, Include, Measured, MetricsObject};
use crate::store::{Store, Usage};
use crate::units::{Bytes, Nanocores};
use crate::wire::{quantity, time};

/// The quantities that have a column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    /// There is a row at all, and with it columns.
    any: bool,
    /// `cpu` and `memory`, which always come together.
    usage: bool,
    /// `swap`.
    swap: bool,
}

impl Columns {
    /// Learns the columns of a list, those of its first row that has quantities, as far as one walk goes.
    pub fn learn(&mut self, selection: &Selection, store: &Store, position: &mut Position) -> Walked {
        selection.walk(store, position, |object| {
            *self = Columns::of(object);
            !self.usage
        })
    }

    /// The columns of one object's table.
    #[must_use]
    pub fn of(object: &MetricsObject<'_>) -> Columns {
        let sum = Sum::of(object);
        Columns { any: true, usage: sum.any, swap: sum.swap.is_some() }
    }
}

/// A table without its rows, as compact JSON that ends in `"rows":[]}`.
#[must_use]
pub fn shell(columns: Columns) -> Vec<u8> {
    let mut out =
        br#"{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{},"columnDefinitions":"#.to_vec();
    if columns.any {
        column(&mut out, b'[', "Name", "name", "Name of the resource");
        if columns.usage {
            column(&mut out, b',', "cpu", "quantity", "");
            column(&mut out, b',', "memory", "quantity", "");
        }
        column(&mut out, b',', "Window", "duration", "");
        // Last, so that scripts find the others where they always were.
        if columns.swap {
            column(&mut out, b',', "swap", "quantity", "");
        }
        out.push(b']');
    } else {
        out.extend_from_slice(b"null");
    }
    out.extend_from_slice(b",\"rows\":[]}");
    out
}

fn column(out: &mut Vec<u8>, before: u8, name: &str, format: &str, description: &str) {
    out.push(before);
    let text = format!(
        r#"{{"name":"{name}","type":"string","format":"{format}","description":"{description}","priority":0}}"#
    );
    out.extend_from_slice(text.as_bytes());
}

/// Appends one row. `columns` are the table's; they are learned from the rows before they are used.
pub fn row(
    out: &mut Vec<u8>,
    layout: &mut JsonLayout,
    object: &MetricsObject<'_>,
    columns: Columns,
    form: &Form,
) {
    layout.part(out, b"{\"cells\":[\"");
    encode_json::escaped(out, object.name);
    let sum = Sum::of(object);
    if columns.usage {
        layout.part(out, NEXT_CELL);
        quantity::cpu(sum.cpu, out);
        layout.part(out, NEXT_CELL);
        quantity::bytes(sum.memory, out);
    }
    layout.part(out, NEXT_CELL);
    time::duration(object.window, out);
    if columns.swap {
        // A cell is a quantity; metrics-server writes zero as well where an object lacks a resource that others have.
        layout.part(out, NEXT_CELL);
        quantity::bytes(sum.swap.unwrap_or_default(), out);
    }
    layout.part(out, b"\"],\"object\":");
    match form.include {
        Include::Metadata => encode_json::partial(out, layout, object, form),
        Include::Object => encode_json::object(out, layout, object, form, true),
        Include::None => layout.part(out, b"null"),
    }
    layout.part(out, b"}");
}

/// Between two cells.
const NEXT_CELL: &[u8] = b"\",\"";

/// Usage of an object as a whole.
#[derive(Default)]
struct Sum {
    any: bool,
    cpu: Nanocores,
    memory: Bytes,
    swap: Option<Bytes>,
}

impl Sum {
    fn of(object: &MetricsObject<'_>) -> Sum {
        let mut sum = Sum::default();
        match &object.measured {
            Measured::Node(usage) => sum.add(usage),
            Measured::Pod(pod) => pod.containers().for_each(|(_, usage)| sum.add(&usage)),
        }
        sum
    }

    fn add(&mut self, usage: &Usage) {
        self.any = true;
        self.cpu = self.cpu.saturating_add(usage.cpu);
        self.memory = self.memory.saturating_add(usage.working_set);
        if let Some(swap) = usage.swap {
            let so_far = self.swap.unwrap_or_default();
            self.swap = Some(so_far.saturating_add(swap));
        }
    }
}
