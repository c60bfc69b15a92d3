//! Every open connection: how many there are, what each waits for, until when, and who goes when there are too many.
//!
//! A connection is cut by shutting its socket down, which wakes whatever waits on it; so one sweep of this table is all
//! the timing there is, and a deadline costs a store to a cell. Fairness: when the table is full, room is made by the
//! peer address with the most connections, so a flood from one place closes its own connections first.
//! Memory: one small entry a connection, at most the configured number.

use crate::counters::{ConnectionChange, Counters};
use crate::limits;
use crate::serve::socket::ClientSocket;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Handshake, or reading the first request: nothing was served yet.
    New,
    /// Between requests.
    Idle,
    /// Reading a further request.
    Reading,
    /// Answering, or taking leave.
    Busy,
}

/// One open connection.
pub struct Slot {
    socket: ClientSocket,
    peer: IpAddr,
    phase: Cell<Phase>,
    since: Cell<Instant>,
    deadline: Cell<Instant>,
    cut: Cell<bool>,
}

impl Slot {
    /// Enters a phase that must end within `time`.
    pub fn enter(&self, phase: Phase, now: Instant, time: Duration) {
        self.phase.set(phase);
        self.since.set(now);
        self.extend(now, time);
    }

    /// Gives the phase `time` from now on.
    pub fn extend(&self, now: Instant, time: Duration) {
        self.deadline.set(now.checked_add(time).unwrap_or(now));
    }

    /// Whether the connection was cut from this side.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.cut.get()
    }

    fn cut(&self) {
        if !self.cut.replace(true) {
            self.socket.shutdown();
        }
    }
}

/// The table of open connections.
pub struct Slots {
    slots: RefCell<Vec<Rc<Slot>>>,
    capacity: usize,
    metrics: Arc<Counters>,
}

impl Slots {
    /// An empty table.
    #[must_use]
    pub fn new(capacity: usize, metrics: Arc<Counters>) -> Slots {
        Slots { slots: RefCell::new(Vec::new()), capacity: capacity.max(1), metrics }
    }

    /// Enters a new connection, cutting another one for it if the table is full. `None`: nobody can make room.
    pub fn open(&self, socket: ClientSocket, peer: IpAddr, now: Instant) -> Option<Rc<Slot>> {
        if self.live() >= self.capacity {
            self.metrics.connection(ConnectionChange::Refused);
            self.victim(peer, now)?.cut();
        }
        let slot = Rc::new(Slot {
            socket,
            peer,
            phase: Cell::new(Phase::New),
            since: Cell::new(now),
            deadline: Cell::new(now.checked_add(limits::HANDSHAKE_TIME_MAX).unwrap_or(now)),
            cut: Cell::new(false),
        });
        self.slots.borrow_mut().push(slot.clone());
        self.metrics.connection(ConnectionChange::Opened);
        Some(slot)
    }

    /// Takes a connection out of the table.
    pub fn close(&self, slot: &Rc<Slot>) {
        let mut slots = self.slots.borrow_mut();
        if let Some(index) = slots.iter().position(|other| Rc::ptr_eq(other, slot)) {
            slots.swap_remove(index);
            self.metrics.connection(ConnectionChange::Closed);
        }
        if slots.is_empty() {
            slots.shrink_to(8);
        }
    }

    /// Connections that were not cut.
    fn live(&self) -> usize {
        self.slots.borrow().iter().filter(|slot| !slot.is_cut()).count()
    }

    /// Whether no connection is left, cut or not.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.borrow().is_empty()
    }

    /// Who makes room for a newcomer: of those that wait, one of the peer with the most connections, and of these the one
    /// that has not been served yet or else waits longest. A peer with more than half of the table makes room for others
    /// at once, so that a flood never keeps them out.
    fn victim(&self, newcomer: IpAddr, now: Instant) -> Option<Rc<Slot>> {
        let slots = self.slots.borrow();
        let mut counts: HashMap<IpAddr, usize> = HashMap::new();
        for slot in slots.iter().filter(|slot| !slot.is_cut()) {
            let count = counts.entry(slot.peer).or_default();
            *count = count.saturating_add(1);
        }
        let of_peer = |slot: &Slot| counts.get(&slot.peer).copied().unwrap_or_default();
        let crowds = |slot: &Slot| slot.peer != newcomer && of_peer(slot) > self.capacity / 2;
        let rank = |slot: &Slot| {
            let waited = now.saturating_duration_since(slot.since.get());
            (of_peer(slot), slot.phase.get() == Phase::New, waited)
        };
        slots.iter().filter(|slot| slot.makes_room(now, crowds(slot))).max_by_key(|slot| rank(slot)).cloned()
    }

    /// Cuts connections that are over their deadline. Says when to come again; `None` when the table is empty.
    pub fn sweep(&self, now: Instant) -> Option<Duration> {
        let slots = self.slots.borrow();
        let mut quiet = true;
        for slot in slots.iter() {
            quiet &= slot.phase.get() == Phase::Idle;
            if slot.deadline.get() <= now && !slot.is_cut() {
                self.metrics.connection(ConnectionChange::TimedOut);
                slot.cut();
            }
        }
        let period = if quiet { limits::SWEEP_PERIOD_QUIET } else { limits::SWEEP_PERIOD };
        (!slots.is_empty()).then_some(period)
    }

    /// Cuts connections that have no request under way; the others end with their answer.
    pub fn cut_idle(&self) {
        let idle = |slot: &&Rc<Slot>| matches!(slot.phase.get(), Phase::New | Phase::Idle);
        self.slots.borrow().iter().filter(idle).for_each(|slot| slot.cut());
    }

    /// Cuts everybody.
    pub fn cut_all(&self) {
        self.slots.borrow().iter().for_each(|slot| slot.cut());
    }
}

impl Slot {
    /// Whether this connection may be cut for another; at once if its peer crowds others out.
    fn makes_room(&self, now: Instant, crowds: bool) -> bool {
        let waited = now.saturating_duration_since(self.since.get());
        !self.is_cut()
            && match self.phase.get() {
                Phase::New | Phase::Reading => crowds || waited >= limits::WAITING_TIME_MIN,
                Phase::Idle => true,
                Phase::Busy => false,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::clock;
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};

    struct Table {
        slots: Slots,
        listener: TcpListener,
        now: Instant,
    }

    impl Table {
        fn new(capacity: usize) -> Table {
            let metrics = Arc::new(Counters::new(Duration::from_secs(15)));
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            Table { slots: Slots::new(capacity, metrics), listener, now: clock::mono() }
        }
        fn open(&self, peer: u8, after: u64) -> (Option<Rc<Slot>>, TcpStream) {
            let client = TcpStream::connect(self.listener.local_addr().unwrap()).unwrap();
            let (accepted, _) = self.listener.accept().unwrap();
            let at = self.now + Duration::from_millis(after);
            (
                self.slots.open(ClientSocket::new(accepted).unwrap(), IpAddr::from([10, 0, 0, peer]), at),
                client,
            )
        }
        fn at(&self, millis: u64) -> Instant {
            self.now + Duration::from_millis(millis)
        }
    }

    #[test]
    fn a_flood_closes_its_own_connections_first() {
        let table = Table::new(4);
        let (aggregator, _a) = table.open(1, 0);
        let aggregator = aggregator.unwrap();
        aggregator.enter(Phase::Idle, table.at(0), limits::IDLE_TIME_MAX);
        let flood: Vec<_> = (0..3).map(|i| table.open(2, 10 + i)).collect();
        assert!(table.open(2, 5_000).0.is_some());
        assert!(!aggregator.is_cut(), "the quiet peer keeps its idle connection");
        assert!(flood[0].0.as_ref().unwrap().is_cut(), "the oldest of the flood goes");
        assert!(!flood[1].0.as_ref().unwrap().is_cut());
    }

    #[test]
    fn a_fresh_flood_makes_room_for_others_at_once_but_not_for_itself() {
        let table = Table::new(4);
        let _flood: Vec<_> = (0..4).map(|i| table.open(2, i)).collect();
        assert!(table.open(2, 10).0.is_none(), "its own newcomers wait");
        assert!(table.open(1, 10).0.is_some());
        assert!(table.open(3, 11).0.is_some());
        assert!(table.open(4, 12).0.is_none(), "with half of the table it no longer crowds");
    }

    #[test]
    fn nobody_makes_room_while_all_are_busy_or_fresh() {
        let table = Table::new(2);
        let (busy, _a) = table.open(1, 0);
        busy.as_ref().unwrap().enter(Phase::Busy, table.at(0), limits::PIECE_TIME_MAX);
        let (fresh, _b) = table.open(1, 100);
        assert!(table.open(1, 200).0.is_none());
        assert!(table.open(1, 100 + 1_000).0.is_some(), "a handshake of a second makes room");
        assert!(fresh.unwrap().is_cut() && !busy.unwrap().is_cut());
    }

    #[test]
    fn a_slow_head_makes_room_even_after_a_first_request() {
        let table = Table::new(1);
        let (slow, _a) = table.open(1, 0);
        slow.as_ref().unwrap().enter(Phase::Reading, table.at(0), limits::HEAD_TIME_MAX);
        assert!(table.open(1, 999).0.is_none());
        assert!(table.open(1, 1_000).0.is_some());
        assert!(slow.unwrap().is_cut());
    }

    #[test]
    fn a_cut_connection_ends_for_its_peer() {
        let table = Table::new(8);
        let (slot, mut client) = table.open(1, 0);
        assert_eq!(table.slots.sweep(table.at(9_999)), Some(limits::SWEEP_PERIOD));
        assert!(!slot.as_ref().unwrap().is_cut());
        table.slots.sweep(table.at(10_000));
        assert!(slot.as_ref().unwrap().is_cut());
        assert_eq!(client.read(&mut [0; 8]).unwrap(), 0);
        table.slots.close(slot.as_ref().unwrap());
        assert!(table.slots.is_empty());
        assert_eq!(table.slots.sweep(table.at(10_000)), None);
    }

    #[test]
    fn a_table_of_idle_connections_is_swept_seldom() {
        let table = Table::new(8);
        let (slot, _client) = table.open(1, 0);
        slot.unwrap().enter(Phase::Idle, table.at(0), limits::IDLE_TIME_MAX);
        assert_eq!(table.slots.sweep(table.at(1)), Some(limits::SWEEP_PERIOD_QUIET));
    }

    #[test]
    fn a_stop_spares_answers_under_way() {
        let table = Table::new(8);
        let (idle, _a) = table.open(1, 0);
        let (busy, _b) = table.open(1, 0);
        busy.as_ref().unwrap().enter(Phase::Busy, table.at(0), limits::PIECE_TIME_MAX);
        table.slots.cut_idle();
        assert!(idle.unwrap().is_cut() && !busy.as_ref().unwrap().is_cut());
        table.slots.cut_all();
        assert!(busy.unwrap().is_cut());
    }
}
