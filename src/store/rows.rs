//! The container rows: a reserved array, used through lists of the containers of each pod, sorted by name.
//!
//! Points stand in one array (64 bytes each), names and links in another, so that walks over points touch nothing else.
//! Freed rows are used again first: the array's touched part is never longer than the most there ever were.

use super::names::NameId;
use super::row::Row;

/// No row.
pub(super) const END: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Link {
    name: NameId,
    next: u32,
}

/// The rows.
pub(super) struct Rows {
    rows: Vec<Row>,
    links: Vec<Link>,
    count_max: usize,
    free: u32,
    count: u32,
    rated_count: u32,
}

impl Rows {
    /// Bytes reserved for a row, with its name and link.
    pub(super) const ROW_LEN: usize = size_of::<Row>() + size_of::<Link>();

    /// Reserves `count` rows.
    pub(super) fn new(count: u32) -> Rows {
        let count_max = count as usize;
        Rows {
            rows: Vec::with_capacity(count_max),
            links: Vec::with_capacity(count_max),
            count_max,
            free: END,
            count: 0,
            rated_count: 0,
        }
    }

    /// Rows in use.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Rows with two points.
    pub(super) fn rated_count(&self) -> u32 {
        self.rated_count
    }

    /// One row with its container's name and the next row; `None` at the end of a list.
    pub(super) fn at(&self, index: u32) -> Option<(NameId, &Row, u32)> {
        let (row, link) = (self.rows.get(index as usize)?, self.links.get(index as usize)?);
        Some((link.name, row, link.next))
    }

    /// Takes a row into use, linked to nothing; `None` when all are.
    pub(super) fn insert(&mut self, name: NameId) -> Option<u32> {
        let (row, link) = (Row::NONE, Link { name, next: END });
        let index = match self.links.get_mut(self.free as usize) {
            Some(free) => {
                let index = std::mem::replace(&mut self.free, free.next);
                *free = link;
                index
            }
            None if self.rows.len() < self.count_max => {
                self.rows.push(row);
                self.links.push(link);
                u32::try_from(self.rows.len() - 1).ok()?
            }
            None => return None,
        };
        self.count += 1;
        Some(index)
    }

    /// Replaces the points of a row.
    pub(super) fn set(&mut self, index: u32, new: Row) {
        if let Some(row) = self.rows.get_mut(index as usize) {
            self.rated_count += u32::from(new.prev.is_some());
            self.rated_count -= u32::from(row.prev.is_some());
            *row = new;
        }
    }

    /// Links a row to the one after it.
    pub(super) fn link(&mut self, index: u32, next: u32) {
        if let Some(link) = self.links.get_mut(index as usize) {
            link.next = next;
        }
    }

    /// Frees a row; its container's name and the row after it.
    pub(super) fn remove(&mut self, index: u32) -> Option<(NameId, u32)> {
        self.set(index, Row::NONE);
        let link = self.links.get_mut(index as usize)?;
        let removed = *link;
        *link = Link { name: NameId::EMPTY, next: self.free };
        self.free = index;
        self.count -= 1;
        Some((removed.name, removed.next))
    }
}
