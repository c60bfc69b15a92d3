//! A reserved array of slots with a list of free ones, and an order over the slots in use.
//!
//! Slots keep their number as long as they are used; the order is a sorted array of slot numbers, for walks and binary
//! search. Neither grows beyond what was reserved.

/// No slot.
pub(super) const NONE: u32 = u32::MAX;

/// Slots and their order.
pub(super) struct Slab<T> {
    slots: Vec<T>,
    free: Vec<u32>,
    order: Vec<u32>,
    count_max: usize,
}

impl<T: Default> Slab<T> {
    /// Bytes reserved for a slot, with its places in the order and in the list of free ones.
    pub(super) const SLOT_LEN: usize = size_of::<T>() + 2 * size_of::<u32>();

    /// Reserves `count` slots.
    pub(super) fn new(count: u32) -> Slab<T> {
        let count_max = count as usize;
        Slab {
            slots: Vec::with_capacity(count_max),
            free: Vec::with_capacity(count_max),
            order: Vec::with_capacity(count_max),
            count_max,
        }
    }

    /// Slots in use.
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.order.len()).unwrap_or(u32::MAX)
    }

    /// Whether no slot is left.
    pub(super) fn is_full(&self) -> bool {
        self.order.len() >= self.count_max
    }

    /// The slots in use, in order.
    pub(super) fn order(&self) -> &[u32] {
        &self.order
    }

    /// A slot.
    pub(super) fn at(&self, slot: u32) -> Option<&T> {
        self.slots.get(slot as usize)
    }

    /// A slot, to change it.
    pub(super) fn at_mut(&mut self, slot: u32) -> Option<&mut T> {
        self.slots.get_mut(slot as usize)
    }

    /// Takes a slot into use at a position of the order; `None` when all are, or there is no such position.
    pub(super) fn insert(&mut self, position: usize, value: T) -> Option<u32> {
        if self.is_full() || position > self.order.len() {
            return None;
        }
        let slot = match self.free.pop() {
            Some(slot) => {
                *self.slots.get_mut(slot as usize)? = value;
                slot
            }
            None => {
                self.slots.push(value);
                u32::try_from(self.slots.len() - 1).ok()?
            }
        };
        self.order.insert(position, slot);
        Some(slot)
    }

    /// Frees the slot at a position of the order; what was in it.
    pub(super) fn remove(&mut self, position: usize) -> Option<T> {
        self.order.get(position)?;
        let slot = self.order.remove(position);
        let removed = std::mem::take(self.slots.get_mut(slot as usize)?);
        self.free.push(slot);
        Some(removed)
    }
}
