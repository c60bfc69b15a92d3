//! What the store refused, said once: a full store refuses at every list and scrape.

use crate::store::Refused;
use std::sync::atomic::{AtomicBool, Ordering};

/// Says once for each capacity that it is used up, and how to raise it.
#[derive(Default)]
pub struct Refusals([AtomicBool; 4]);

impl Refusals {
    /// Says so, unless it was said before.
    pub fn say(&self, refused: Option<Refused>) {
        let Some(refused) = refused else { return };
        let (index, what, flag) = match refused {
            Refused::Nodes => (0, "nodes", "--max-nodes"),
            Refused::Pods => (1, "pods", "--max-pods"),
            Refused::Containers => (2, "containers", "--max-containers"),
            Refused::Text => (3, "text (names and labels)", "--max-pods"),
        };
        if self.0.get(index).is_some_and(|said| !said.swap(true, Ordering::Relaxed)) {
            log::warn!("the store is full of {what}: some objects are not served; raise {flag}");
        }
    }
}
