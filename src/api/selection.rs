//! Which objects a list delivers: the walk over the store in key order, and the matching of selectors.
//!
//! One walk feeds every encoding. It stops before an object that does not fit the piece being written, or when it has
//! done the work of one piece, and goes on behind the last key it looked at, so that a slow reader holds neither the lock
//! nor a copy of the table. Objects that became servable after the list began are left out: their place in the order may
//! have passed already. Label sets are interned, so that the pods of one template have the same text: what the selectors
//! say of a set is remembered for as long as the store is locked, and evaluated once for each distinct set. Every object
//! and every term that is evaluated counts as work. Keeps two strings, and during a walk a table on the stack.

use super::view::{MetricsObject, Resource};
use crate::limits::LIST_WORK_MAX;
use crate::store::{Labels, NodeView, PodView, Store};
use crate::wire::selector::{FieldSelector, LabelSelector};
use std::cell::Cell;

/// Label sets remembered at a time.
const SETS: usize = 256;

/// Which objects a list asks for.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Nodes or pods.
    pub resource: Resource,
    /// The only namespace; `None` for all.
    pub namespace: Option<String>,
    /// By labels.
    pub labels: LabelSelector,
    /// By labels once more: the program's own limit on nodes.
    pub node_labels: LabelSelector,
    /// By fields.
    pub fields: FieldSelector,
}

/// How a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walked {
    /// No object is left.
    End,
    /// An object was refused; the next walk delivers it again.
    Full,
    /// The work of one walk is done; the next one goes on behind the objects that were looked at.
    Paused,
}

/// How far a list has come: the key looked at last, in strings that are used again.
#[derive(Clone, Debug)]
pub struct Position {
    namespace: String,
    name: String,
    generation: u64,
}

impl Position {
    /// The begin of a list, as of now.
    #[must_use]
    pub fn begin(store: &Store) -> Position {
        Position { namespace: String::new(), name: String::new(), generation: store.generation() }
    }

    /// No object has an empty name: an empty one is the begin.
    fn after(&self) -> Option<(&str, &str)> {
        (!self.name.is_empty()).then_some((&*self.namespace, &*self.name))
    }

    fn advance(&mut self, last: Option<(&str, &str)>) {
        if let Some((namespace, name)) = last {
            self.namespace.clear();
            self.namespace.push_str(namespace);
            self.name.clear();
            self.name.push_str(name);
        }
    }
}

impl Selection {
    /// Delivers the selected objects behind `position` until `visit` refuses one by `false`, or until
    /// `limits::LIST_WORK_MAX` objects and terms of selectors have been looked at.
    pub fn walk<'a>(
        &'a self,
        store: &'a Store,
        position: &mut Position,
        mut visit: impl FnMut(&MetricsObject<'a>) -> bool,
    ) -> Walked {
        let mut matcher = Matcher::new(self);
        let generation = position.generation;
        let mut end = Walked::End;
        match self.resource {
            Resource::Nodes => {
                let mut last = None;
                for node in store.nodes_after(position.after().map(|(_, name)| name)) {
                    if matcher.is_spent() {
                        end = Walked::Paused;
                        break;
                    }
                    let served = node.served_since <= generation && matcher.has_node(&node);
                    if served
                        && let Some(object) = MetricsObject::of_node(&node)
                        && !visit(&object)
                    {
                        end = Walked::Full;
                        break;
                    }
                    last = Some(("", node.name));
                }
                position.advance(last);
            }
            Resource::Pods => {
                let mut last = None;
                for pod in store.pods_after(self.namespace.as_deref(), position.after()) {
                    if matcher.is_spent() {
                        end = Walked::Paused;
                        break;
                    }
                    let served = pod.served_since <= generation && matcher.has_pod(&pod);
                    if served
                        && let Some(object) = MetricsObject::of_pod(&pod)
                        && !visit(&object)
                    {
                        end = Walked::Full;
                        break;
                    }
                    last = Some(pod);
                }
                position.advance(last.map(|pod| (pod.namespace(), pod.name())));
            }
        }
        end
    }
}

/// Matches the objects of one walk.
struct Matcher<'s> {
    selection: &'s Selection,
    /// No labels are asked for: every set is selected.
    any_labels: bool,
    /// Label sets, each at the place of its number, and whether they are selected.
    sets: [Option<(u32, bool)>; SETS],
    /// Objects and terms that may still be looked at.
    left: Cell<u32>,
}

impl<'s> Matcher<'s> {
    fn new(selection: &'s Selection) -> Matcher<'s> {
        let any_labels = selection.labels.is_empty() && selection.node_labels.is_empty();
        Matcher { selection, any_labels, sets: [None; SETS], left: Cell::new(LIST_WORK_MAX) }
    }

    /// Whether the work of this walk is done.
    fn is_spent(&self) -> bool {
        self.left.get() == 0
    }

    fn spend(&self) {
        self.left.set(self.left.get().saturating_sub(1));
    }

    fn has_node(&mut self, node: &NodeView<'_>) -> bool {
        self.spend();
        self.has_fields(|field| if field == "metadata.name" { node.name } else { "" })
            && self.has_labels(node.labels)
    }

    fn has_pod(&mut self, pod: &PodView<'_>) -> bool {
        self.spend();
        self.has_fields(|field| match field {
            "metadata.name" => pod.name(),
            "metadata.namespace" => pod.namespace(),
            "spec.nodeName" => pod.node().unwrap_or(""),
            _ => "",
        }) && self.has_labels(pod.labels)
    }

    fn has_fields<'v>(&self, value: impl Fn(&str) -> &'v str) -> bool {
        self.selection.fields.matches(|field| {
            self.spend();
            value(field)
        })
    }

    fn has_labels(&mut self, labels: Labels<'_>) -> bool {
        if self.any_labels {
            return true;
        }
        let set = labels.identity();
        let place = set as usize % SETS;
        if let Some(Some((known, selected))) = self.sets.get(place)
            && *known == set
        {
            return *selected;
        }
        let value = |key: &str| {
            self.spend();
            labels.value(key)
        };
        let selected = self.selection.labels.matches(value) && self.selection.node_labels.matches(value);
        if let Some(slot) = self.sets.get_mut(place) {
            *slot = Some((set, selected));
        }
        selected
    }
}
