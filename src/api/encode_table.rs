//! Tables: what `kubectl get nodemetrics` and `podmetrics` print.
//!
//! Columns are the name, the quantities of the first row in order, and the window; a pod's quantities are the exact sums
//! over its containers. The first row decides for all: a quantity it lacks has no column, one that a later row lacks is
//! `0`. Rows of pods without containers before it have no quantities at all, as in the reference. Tables have no
//! protobuf form. Source: `pkg/api/table.go` of metrics-server, `handlers/response.go` of `k8s.io/apiserver`.

use super::encode_json;
use super::negotiate::MetaVersion;
use super::view::{Form, Include, Measured, Object, Position, Selection};
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
    /// The columns of a list: those of its first row that has quantities.
    #[must_use]
    pub fn of_list(selection: &Selection, store: &Store, position: &Position) -> Columns {
        let mut columns = Columns::default();
        selection.walk(store, &mut position.clone(), |object| {
            columns = Columns::of(object);
            !columns.usage
        });
        columns
    }

    /// The columns of one object's table.
    #[must_use]
    pub fn of(object: &Object<'_>) -> Columns {
        let sum = Sum::of(object);
        Columns { any: true, usage: sum.any, swap: sum.swap.is_some() }
    }
}

/// A table without its rows, as compact JSON that ends in `"rows":[]}`.
#[must_use]
pub fn shell(version: MetaVersion, columns: Columns) -> Vec<u8> {
    let mut out = format!(
        r#"{{"kind":"Table","apiVersion":"{}","metadata":{{}},"columnDefinitions":"#,
        version.api_version()
    )
    .into_bytes();
    if columns.any {
        column(&mut out, b'[', "Name", "name", "Name of the resource");
        let quantities = [("cpu", columns.usage), ("memory", columns.usage), ("swap", columns.swap)];
        for (name, _) in quantities.iter().filter(|(_, shown)| *shown) {
            column(&mut out, b',', name, "quantity", "");
        }
        column(&mut out, b',', "Window", "duration", "");
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
pub fn row(out: &mut Vec<u8>, object: &Object<'_>, columns: Columns, version: MetaVersion, form: &Form) {
    out.extend_from_slice(b"{\"cells\":[");
    encode_json::string(out, object.name);
    let sum = Sum::of(object);
    if columns.usage {
        cell(out, |out| quantity::cpu(sum.cpu, out));
        cell(out, |out| quantity::bytes(sum.memory, out));
    }
    if columns.swap {
        cell(out, |out| quantity::bytes(sum.swap.unwrap_or_default(), out));
    }
    cell(out, |out| time::duration(object.window, out));
    out.extend_from_slice(b"],\"object\":");
    match form.include {
        Include::Metadata => encode_json::partial(out, object, version, form),
        Include::Object => encode_json::object(out, object, form, true),
        Include::None => out.extend_from_slice(b"null"),
    }
    out.push(b'}');
}

fn cell(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(b",\"");
    write(out);
    out.push(b'"');
}

/// Usage of an object as a whole.
#[derive(Default)]
struct Sum {
    any: bool,
    cpu: Nanocores,
    memory: Bytes,
    swap: Option<Bytes>,
}

impl Sum {
    fn of(object: &Object<'_>) -> Sum {
        let mut sum = Sum::default();
        match &object.measured {
            Measured::Node(usage) => sum.add(usage),
            Measured::Pod(pod) => pod.containers().for_each(|(_, usage)| sum.add(&usage)),
        }
        sum
    }

    fn add(&mut self, usage: &Usage) {
        self.any = true;
        self.cpu.0 = self.cpu.0.saturating_add(usage.cpu.0);
        self.memory.0 = self.memory.0.saturating_add(usage.working_set.0);
        if let Some(swap) = usage.swap {
            let so_far = self.swap.unwrap_or_default();
            self.swap = Some(Bytes(so_far.0.saturating_add(swap.0)));
        }
    }
}
