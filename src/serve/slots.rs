//! Every open connection: how many there are, what each waits for, until when, and which one makes room for another.
//!
//! A connection that has not sent a byte is a socket and an entry here; those are counted apart, so that silent ones take no
//! place from others. With its first byte a connection asks for a place, and waits for one if it must. A connection is cut by
//! shutting its socket down, which wakes its task; so one sweep of this table is all the timing there is. Who makes room
//! is decided in `room`. Memory: one small entry a connection, at most the two configured numbers.

use crate::counters::{ConnectionChange, Counters};
use crate::limits;
use crate::serve::room::{self, Room};
use crate::serve::slot::{Phase, Slot};
use crate::serve::socket::ClientSocket;
use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

/// How many connections there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotLimits {
    /// Connections with a place: `--max-connections`.
    pub places: usize,
    /// Connections without one: silent or waiting.
    pub silent: usize,
}

/// The table of open connections.
pub struct Slots {
    slots: RefCell<Vec<Rc<Slot>>>,
    limits: SlotLimits,
    metrics: Arc<Counters>,
}

impl Slots {
    /// An empty table.
    #[must_use]
    pub fn new(limits: SlotLimits, metrics: Arc<Counters>) -> Slots {
        let limits = SlotLimits { places: limits.places.max(1), silent: limits.silent.max(1) };
        Slots { slots: RefCell::new(Vec::new()), limits, metrics }
    }

    /// Enters a new connection. If too many are without a place, the longest waiting one of the peer with the most of
    /// these is cut.
    pub fn open(&self, socket: ClientSocket, peer: IpAddr, now: Instant) -> Rc<Slot> {
        let without = |slot: &&Rc<Slot>| !slot.is_cut() && !slot.phase().has_place();
        if self.slots.borrow().iter().filter(without).count() >= self.limits.silent {
            let slots = self.slots.borrow();
            let counts = room::Counts::of(slots.iter().filter(without));
            let rank = |slot: &&Rc<Slot>| (counts.of_peer(slot.peer()), slot.waited(now));
            if let Some(slot) = slots.iter().filter(without).max_by_key(rank) {
                self.metrics.connection(ConnectionChange::Refused);
                slot.cut();
            }
        }
        let slot = Rc::new(Slot::new(socket, peer, now));
        self.slots.borrow_mut().push(slot.clone());
        self.metrics.connection(ConnectionChange::Opened);
        slot
    }

    /// Waits for a place; `false` when the connection was cut before it got one.
    pub async fn place(&self, slot: &Rc<Slot>, now: Instant) -> bool {
        slot.wait();
        self.grant(now);
        std::future::poll_fn(|context| {
            if slot.is_cut() || slot.phase().has_place() {
                return Poll::Ready(!slot.is_cut());
            }
            slot.wake_with(context.waker());
            Poll::Pending
        })
        .await
    }

    /// Gives places to those that wait, the peer with the fewest first, as far as there is room or can be made.
    fn grant(&self, now: Instant) {
        let slots = self.slots.borrow();
        let live = || slots.iter().filter(|slot| !slot.is_cut());
        let mut passed_over = Vec::new();
        while live().any(|slot| slot.phase() == Phase::Waiting) {
            let counts = room::Counts::of(live().filter(|slot| slot.phase().has_place()));
            let rank = |slot: &&Rc<Slot>| (counts.of_peer(slot.peer()), slot.since());
            let waiting =
                live().filter(|slot| slot.phase() == Phase::Waiting && !passed_over.contains(&slot.peer()));
            let Some(first) = waiting.min_by_key(rank) else { return };
            let placed = live().filter(|slot| slot.phase().has_place());
            match room::for_new_connection(placed, &counts, first.peer(), self.limits.places, now) {
                Room::Free => {}
                Room::Cut(slot) => {
                    self.metrics.connection(ConnectionChange::Refused);
                    slot.cut();
                }
                Room::NoneForPeer => {
                    passed_over.push(first.peer());
                    continue;
                }
                Room::None => return,
            }
            first.enter(Phase::New, now, limits::HANDSHAKE_TIME_MAX);
            first.wake();
        }
    }

    /// Takes a connection out of the table; its place goes to the next one.
    pub fn close(&self, slot: &Rc<Slot>, now: Instant) {
        let mut slots = self.slots.borrow_mut();
        if let Some(index) = slots.iter().position(|other| Rc::ptr_eq(other, slot)) {
            slots.swap_remove(index);
            self.metrics.connection(ConnectionChange::Closed);
        }
        if slots.is_empty() {
            slots.shrink_to(8);
        }
        drop(slots);
        self.grant(now);
    }

    /// Whether no connection is left, cut or not.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.borrow().is_empty()
    }

    /// Cuts connections that are over their deadline. Says when to come again; `None` when the table is empty.
    pub fn sweep(&self, now: Instant) -> Option<Duration> {
        let mut quiet = true;
        for slot in self.slots.borrow().iter() {
            quiet &= slot.phase() == Phase::Idle;
            if slot.deadline() <= now && !slot.is_cut() {
                self.metrics.connection(ConnectionChange::TimedOut);
                slot.cut();
            }
        }
        self.grant(now);
        let period = if quiet { limits::SWEEP_PERIOD_QUIET } else { limits::SWEEP_PERIOD };
        (!self.is_empty()).then_some(period)
    }

    /// Gives connections without a request under way `time` at most; the others end with their answer.
    pub fn hasten(&self, now: Instant, time: Duration) {
        let end = now + time;
        let under_way = |slot: &&Rc<Slot>| !matches!(slot.phase(), Phase::Busy | Phase::Reading);
        for slot in self.slots.borrow().iter().filter(under_way) {
            slot.end_by(end);
        }
    }

    /// Cuts all connections.
    pub fn cut_all(&self) {
        self.slots.borrow().iter().for_each(|slot| slot.cut());
    }
}

#[cfg(test)]
mod tests;
