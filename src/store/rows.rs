//! The container rows: a reserved array, used through lists of the containers of each pod, sorted by name.
//!
//! Points stand in one array (64 bytes each), names, links and times of sight in another, so that walks over points
//! touch nothing else.

use super::history::{History, Recent};
use super::names::NameId;
use super::pool::{ItemPool, count_of};
use super::row::Row;
use crate::units::Uptime;

/// No row.
pub(super) const END: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Link {
    name: NameId,
    next: u32,
    /// When the last point was seen first.
    seen_at: Uptime,
}

impl Default for Link {
    fn default() -> Self {
        Link { name: NameId::EMPTY, next: END, seen_at: Uptime(0) }
    }
}

/// The rows.
pub(super) struct Rows {
    links: ItemPool<Link>,
    /// One for each place of `links`.
    rows: Vec<Row>,
    rated_count: u32,
    history: History,
}

impl Rows {
    /// Bytes reserved for a row, with its name and link.
    pub(super) const ROW_LEN: usize = size_of::<Row>() + ItemPool::<Link>::ITEM_LEN;

    /// Reserves `count` rows.
    pub(super) fn new(count: u32) -> Rows {
        let count = count as usize;
        Rows {
            links: ItemPool::new(count),
            rows: Vec::with_capacity(count),
            rated_count: 0,
            history: History::default(),
        }
    }

    /// Keeps so many samples of each row from now on.
    pub(super) fn keep_history(&mut self, samples: u32, step: u32) {
        self.history = History::new(self.rows.capacity(), samples, step);
    }

    /// What the rows were lately, by index.
    pub(super) fn history(&self) -> &History {
        &self.history
    }

    /// The rows of a list.
    pub(super) fn indices(&self, first: u32) -> impl Iterator<Item = u32> {
        std::iter::successors(Some(first).filter(|index| *index != END), |index| {
            self.links.at(*index).map(|link| link.next).filter(|next| *next != END)
        })
    }

    /// Rows in use.
    pub(super) fn count(&self) -> u32 {
        count_of(self.links.count())
    }

    /// Rows with two points.
    pub(super) fn rated_count(&self) -> u32 {
        self.rated_count
    }

    /// One row with its container's name and the next row; `None` at the end of a list.
    pub(super) fn at(&self, index: u32) -> Option<(NameId, &Row, u32)> {
        let (row, link) = (self.rows.get(index as usize)?, self.links.at(index)?);
        Some((link.name, row, link.next))
    }

    /// When the last point of a row was seen first.
    pub(super) fn seen_at(&self, index: u32) -> Uptime {
        self.links.at(index).map_or(Uptime(0), |link| link.seen_at)
    }

    /// Takes a row into use, linked to nothing; `None` when all are.
    pub(super) fn insert(&mut self, name: NameId) -> Option<u32> {
        let index = self.links.insert(Link { name, ..Link::default() })?;
        if index as usize == self.rows.len() {
            self.rows.push(Row::NONE);
        }
        Some(index)
    }

    /// Writes into the history of a row.
    pub(super) fn record(&mut self, index: u32, at: Uptime, seen: Recent) {
        self.history.write(index, at, seen);
    }

    /// Replaces the points of a row.
    pub(super) fn set(&mut self, index: u32, new: Row, seen_at: Uptime) {
        if let (Some(row), Some(link)) = (self.rows.get_mut(index as usize), self.links.at_mut(index)) {
            self.rated_count += u32::from(new.prev.is_some());
            self.rated_count -= u32::from(row.prev.is_some());
            *row = new;
            link.seen_at = seen_at;
        }
    }

    /// Links a row to the one after it.
    pub(super) fn link(&mut self, index: u32, next: u32) {
        if let Some(link) = self.links.at_mut(index) {
            link.next = next;
        }
    }

    /// Frees a row; its container's name and the row after it.
    pub(super) fn remove(&mut self, index: u32) -> Option<(NameId, u32)> {
        self.set(index, Row::NONE, Uptime(0));
        self.history.clear(index);
        let removed = self.links.remove(index)?;
        Some((removed.name, removed.next))
    }
}
