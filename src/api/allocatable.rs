//! What each node has for pods, at `/allocatable`: the figures that `kubectl top node` takes its percentages of, and the names of
//! nodes without usage. The Metrics API has no field for either, and a client of the local socket no rights in the cluster.
//!
//! One JSON document, `{"items":[{"name","cpu","memory","swap"}]}` in the order of names, written piece by piece; quantities as the
//! API server writes them, and absent where a node's status does not say.

use super::answer::{Answer, Body, Pieces, Progress};
use super::encode_json;
use crate::counters::Counters;
use crate::limits;
use crate::store::{NodeView, Store};
use crate::wire::quantity;

/// Answers `/allocatable`.
#[must_use]
pub fn answer() -> Answer {
    Answer::ok("application/json", Body::List(Box::new(NodeFigures { after: None })))
}

/// How far the document has come.
struct NodeFigures {
    /// The last node written; `None` before the first piece.
    after: Option<Box<str>>,
}

impl Pieces for NodeFigures {
    fn prepare(&mut self, _store: &Store, _metrics: &Counters) -> bool {
        true
    }

    fn len(&self) -> Option<usize> {
        None
    }

    fn next(&mut self, store: &Store, _metrics: &Counters, out: &mut Vec<u8>) -> Progress {
        let end = out.len() + limits::CHUNK_LEN_MAX - limits::PART_LEN_MAX;
        if self.after.is_none() {
            out.extend_from_slice(b"{\"items\":[");
        }
        let mut any = self.after.is_some();
        for node in store.nodes_after(self.after.as_deref()) {
            if std::mem::replace(&mut any, true) {
                out.push(b',');
            }
            item(out, &node);
            if out.len() > end {
                self.after = Some(node.name.into());
                return Progress::More;
            }
        }
        out.extend_from_slice(b"]}\n");
        Progress::Done
    }
}

/// One node, far below `limits::PART_LEN_MAX`.
fn item(out: &mut Vec<u8>, node: &NodeView<'_>) {
    let figures = node.allocatable;
    out.extend_from_slice(b"{\"name\":");
    encode_json::string(out, node.name);
    if figures.cpu.0 > 0 {
        out.extend_from_slice(b",\"cpu\":\"");
        quantity::cpu(figures.cpu, out);
        out.push(b'"');
    }
    let memory = Some(figures.memory).filter(|memory| memory.0 > 0);
    for (name, bytes) in [("memory", memory), ("swap", figures.swap)] {
        if let Some(bytes) = bytes {
            out.extend([b",\"", name.as_bytes(), b"\":\""].concat());
            quantity::bytes(bytes, out);
            out.push(b'"');
        }
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Capacity, NodeRecord};
    use crate::units::{Bytes, Nanocores, Window};
    use crate::wire::allocatable::Allocatable;
    use std::time::Duration;

    #[test]
    fn nodes_come_in_pieces_with_what_their_status_says() {
        let mut store = Store::new(Capacity::of(2_000, 1, 1), Window::from_secs(15));
        let full =
            Allocatable { cpu: Nanocores(3_920_000_000), memory: Bytes(8 << 30), swap: Some(Bytes(0)) };
        for nth in 0..2_000 {
            let allocatable = if nth == 0 { full } else { Allocatable::default() };
            let name = format!("node-{nth:04}-\"<");
            store.upsert_node(&NodeRecord { name: &name, allocatable, ..NodeRecord::default() }).unwrap();
        }
        let metrics = Counters::new(Duration::from_secs(15));
        let Body::List(mut pieces) = answer().body else { panic!("not in pieces") };
        let (mut body, mut count) = (Vec::new(), 0);
        loop {
            let mut piece = Vec::new();
            let progress = pieces.next(&store, &metrics, &mut piece);
            assert!(piece.len() <= limits::CHUNK_LEN_MAX);
            body.append(&mut piece);
            count += 1;
            if progress == Progress::Done {
                break;
            }
        }
        let text = String::from_utf8(body).unwrap();
        assert!(count > 2, "{count} pieces");
        let first =
            r#"{"items":[{"name":"node-0000-\"\u003c","cpu":"3920m","memory":"8Gi","swap":"0"},{"name":"#;
        assert!(text.starts_with(first), "{text:.200}");
        assert_eq!(text.matches("{\"name\":").count(), 2_000);
        assert!(text.ends_with("\"}]}\n") && !text.contains(",,"));
    }
}
