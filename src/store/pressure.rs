//! What the work of pods waits for, where their cgroups are read on this machine: one reading, replaced by the next.

use super::{PodView, Store};
use crate::wire::pressure::Stall;

/// One pod.
#[derive(Clone, Debug, PartialEq)]
pub struct PodPressure {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Time in which some of its work waited, in the order of `wire::pressure::RESOURCES`; `None` where the kernel does not say.
    pub waits: [Option<Stall>; 3],
}

impl Store {
    /// Replaces what is known of all pods; `found` is in order of namespace, then name.
    pub fn set_pressures(&mut self, found: Vec<PodPressure>) {
        self.pressures = found;
    }

    /// Whether anything is known.
    #[must_use]
    pub fn has_pressures(&self) -> bool {
        !self.pressures.is_empty()
    }
}

impl PodView<'_> {
    /// What the pod's work waits for; `None` where that is not known.
    #[must_use]
    pub fn waits(&self) -> Option<[Option<Stall>; 3]> {
        let all = &self.store.pressures;
        let key = (self.namespace(), self.name());
        let found = all.binary_search_by(|one| (one.namespace.as_str(), one.name.as_str()).cmp(&key)).ok()?;
        all.get(found).map(|one| one.waits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Capacity, PodRecord};
    use crate::units::Window;

    #[test]
    fn a_pod_has_its_own_figures_until_the_next_reading() {
        let mut store = Store::new(Capacity::of(1, 4, 4), Window::from_secs(15));
        for (namespace, name) in [("a", "x"), ("a", "y"), ("b", "x")] {
            store.upsert_pod(&PodRecord { namespace, name, ..PodRecord::default() }).unwrap();
        }
        let stall = |total_micros| [Some(Stall { total_micros, ..Stall::default() }), None, None];
        let one = |namespace: &str, name: &str, waits| PodPressure {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            waits,
        };
        store.set_pressures(vec![one("a", "x", stall(1)), one("b", "x", stall(2))]);
        assert_eq!(store.pod("a", "x").unwrap().waits(), Some(stall(1)));
        assert_eq!(store.pod("b", "x").unwrap().waits(), Some(stall(2)));
        assert_eq!(store.pod("a", "y").unwrap().waits(), None);
        store.set_pressures(Vec::new());
        assert!(!store.has_pressures() && store.pod("a", "x").unwrap().waits().is_none());
    }
}
