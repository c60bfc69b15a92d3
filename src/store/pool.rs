//! A reserved array of items with a list of free places: the one that all tables of the store are built on.
//!
//! An item keeps its index as long as it is used. Freed places are used again first, so the touched part of the array is
//! never longer than the most items there ever were. Nothing grows beyond what was reserved.

use crate::invariant::assured;

/// Items by index.
pub(super) struct ItemPool<T> {
    items: Vec<T>,
    free: Vec<u32>,
    count_max: usize,
}

impl<T: Default> ItemPool<T> {
    /// Bytes reserved for an item, with its place in the list of free ones.
    pub(super) const ITEM_LEN: usize = size_of::<T>() + size_of::<u32>();

    /// Reserves `count_max` items.
    pub(super) fn new(count_max: usize) -> ItemPool<T> {
        // Index u32::MAX stands for "none" everywhere.
        assert!(count_max < u32::MAX as usize, "indices have 32 bits");
        ItemPool { items: Vec::with_capacity(count_max), free: Vec::with_capacity(count_max), count_max }
    }

    /// Items in use.
    pub(super) fn count(&self) -> usize {
        self.items.len() - self.free.len()
    }

    /// Places that were ever in use: every index is below this.
    pub(super) fn index_end(&self) -> usize {
        self.items.len()
    }

    /// How many more items fit.
    pub(super) fn room(&self) -> usize {
        self.count_max - self.count()
    }

    /// An item; a freed place holds the default.
    pub(super) fn at(&self, index: u32) -> Option<&T> {
        self.items.get(index as usize)
    }

    /// An item, to change it.
    pub(super) fn at_mut(&mut self, index: u32) -> Option<&mut T> {
        self.items.get_mut(index as usize)
    }

    /// Takes a place into use; `None` when all are.
    pub(super) fn insert(&mut self, item: T) -> Option<u32> {
        if let Some(index) = self.free.pop() {
            *self.items.get_mut(index as usize)? = item;
            return Some(index);
        }
        let index = u32::try_from(self.items.len()).ok().filter(|_| self.items.len() < self.count_max)?;
        self.items.push(item);
        Some(index)
    }

    /// Frees a place that is in use; what was in it.
    pub(super) fn remove(&mut self, index: u32) -> Option<T> {
        let removed = std::mem::take(self.items.get_mut(index as usize)?);
        debug_assert!(self.free.len() > 64 || !self.free.contains(&index), "place {index} is freed twice");
        assert!(self.free.len() < self.items.len(), "more places are freed than were in use");
        self.free.push(index);
        Some(removed)
    }
}

/// A number of items, which have indices of 32 bits.
pub(super) fn count_of(len: usize) -> u32 {
    assured(u32::try_from(len).ok(), "tables have less than 2^32 items")
}
