//! A pool of items with an order over them: a sorted array of indices, for walks and binary search.

use super::pool::{ItemPool, count_of};
use crate::invariant::assured;

/// No item.
pub(super) const NONE: u32 = u32::MAX;

/// Items and their order.
pub(super) struct Slab<T> {
    pool: ItemPool<T>,
    order: Vec<u32>,
}

impl<T: Default> Slab<T> {
    /// Bytes reserved for an item, with its place in the order.
    pub(super) const SLOT_LEN: usize = ItemPool::<T>::ITEM_LEN + size_of::<u32>();

    /// Reserves `count` items.
    pub(super) fn new(count: u32) -> Slab<T> {
        Slab { pool: ItemPool::new(count as usize), order: Vec::with_capacity(count as usize) }
    }

    /// Items in use.
    pub(super) fn count(&self) -> u32 {
        count_of(self.order.len())
    }

    /// How many more items fit.
    pub(super) fn room(&self) -> usize {
        self.pool.room()
    }

    /// How many items fit in all.
    pub(super) fn capacity(&self) -> usize {
        self.pool.room() + self.order.len()
    }

    /// Every slot is below this.
    pub(super) fn slot_end(&self) -> u32 {
        count_of(self.pool.index_end())
    }

    /// The slot at a position of the order, which a search found.
    pub(super) fn slot_at(&self, position: usize) -> u32 {
        *assured(self.order.get(position), "a position comes from a search of the order")
    }

    /// The slots in use from a position of the order on.
    pub(super) fn order_from(&self, position: usize) -> &[u32] {
        assured(self.order.get(position..), "a position comes from a search of the order")
    }

    /// The slots in use, in order.
    pub(super) fn order(&self) -> &[u32] {
        &self.order
    }

    /// An item.
    pub(super) fn at(&self, slot: u32) -> Option<&T> {
        self.pool.at(slot)
    }

    /// An item, to change it.
    pub(super) fn at_mut(&mut self, slot: u32) -> Option<&mut T> {
        self.pool.at_mut(slot)
    }

    /// Takes a slot into use at a position of the order; `None` when all are in use.
    pub(super) fn insert(&mut self, position: usize, value: T) -> Option<u32> {
        assert!(position <= self.order.len(), "a position comes from a search of the order");
        let slot = self.pool.insert(value)?;
        self.order.insert(position, slot);
        Some(slot)
    }

    /// Frees the slot at a position of the order; what was in it.
    pub(super) fn remove(&mut self, position: usize) -> Option<T> {
        self.order.get(position)?;
        let slot = self.order.remove(position);
        self.pool.remove(slot)
    }

    /// Frees every slot that `keep` does not want, in one pass; `removed` gets what was in it.
    pub(super) fn sweep(&mut self, keep: impl Fn(&T) -> bool, mut removed: impl FnMut(T)) {
        let Slab { pool, order } = self;
        order.retain(|slot| {
            let kept = pool.at(*slot).is_some_and(&keep);
            if !kept && let Some(value) = pool.remove(*slot) {
                removed(value);
            }
            kept
        });
    }
}
