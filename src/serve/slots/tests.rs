//! Who gets a place, who makes room, who is cut; with sockets on loopback and time of the tests' own.

use super::*;
use crate::host::clock;
use std::io::Read;
use std::net::{TcpListener, TcpStream};

struct Table {
    slots: Slots,
    listener: TcpListener,
    now: Instant,
    clients: RefCell<Vec<TcpStream>>,
}

impl Table {
    fn new(places: usize) -> Table {
        Table::with_silent(places, 1_000)
    }
    fn with_silent(places: usize, silent: usize) -> Table {
        let metrics = Arc::new(Counters::new(Duration::from_secs(15)));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let slots = Slots::new(SlotLimits { places, silent }, metrics);
        Table { slots, listener, now: clock::mono(), clients: RefCell::default() }
    }
    /// A connection that has not sent a byte.
    fn silent(&self, peer: u8, after: u64) -> Rc<Slot> {
        let client = TcpStream::connect(self.listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = self.listener.accept().unwrap();
        self.clients.borrow_mut().push(client);
        self.slots.open(
            ClientSocket::from(smol::Async::new(accepted).unwrap()),
            IpAddr::from([10, 0, 0, peer]),
            self.at(after),
        )
    }
    /// A connection whose first byte came; it may wait.
    fn open(&self, peer: u8, after: u64) -> Rc<Slot> {
        let slot = self.silent(peer, after);
        slot.wait();
        self.slots.grant(self.at(after));
        slot
    }
    fn busy(&self, peer: u8, after: u64) -> Rc<Slot> {
        self.served(peer, after, Phase::Busy)
    }
    fn idle(&self, peer: u8, after: u64) -> Rc<Slot> {
        self.served(peer, after, Phase::Idle)
    }
    fn served(&self, peer: u8, after: u64, phase: Phase) -> Rc<Slot> {
        let slot = self.open(peer, after);
        assert_eq!(slot.phase(), Phase::New);
        slot.enter(phase, self.at(after), limits::ANSWER_TIME_MAX);
        slot
    }
    fn at(&self, millis: u64) -> Instant {
        self.now + Duration::from_millis(millis)
    }
}

fn got_place(slot: &Slot) -> bool {
    !slot.is_cut() && slot.phase().has_place()
}

fn waits(slot: &Slot) -> bool {
    !slot.is_cut() && slot.phase() == Phase::Waiting
}

#[test]
fn a_peer_with_more_than_half_loses_its_longest_connection_whatever_it_does() {
    let table = Table::new(8);
    let crowd: Vec<_> = (0..6).map(|i| table.busy(1, i)).collect();
    let others: Vec<_> = (0..2).map(|i| table.busy(2 + i, 10)).collect();
    assert!(got_place(&table.open(9, 20)));
    assert!(crowd[0].is_cut(), "an answer under way, in its first second");
    assert!(crowd[1..].iter().chain(&others).all(|slot| !slot.is_cut()));
    assert!(got_place(&table.open(9, 21)) && crowd[1].is_cut());
    assert!(waits(&table.open(9, 22)), "with half of the places it does not crowd");
}

#[test]
fn one_peer_never_has_all_places() {
    let table = Table::new(8);
    let own: Vec<_> = (0..8).map(|i| table.open(1, i)).collect();
    assert_eq!(own.iter().filter(|slot| got_place(slot)).count(), 6);
    assert!(got_place(&table.open(2, 10)), "a free place, at once");
    assert!(own[..6].iter().all(|slot| got_place(slot)));
}

#[test]
fn silent_connections_take_no_place() {
    let table = Table::with_silent(2, 4);
    let silent: Vec<_> = (0..4).map(|i| table.silent(1, i)).collect();
    let idle = table.idle(2, 10);
    assert!(got_place(&table.open(3, 11)));
    assert!(!idle.is_cut());
    // Beyond their own number the longest waiting one of the peer with the most goes.
    assert!(silent[0].is_cut() && !silent[1].is_cut());
    table.silent(2, 20);
    table.silent(2, 21);
    assert!(silent[1].is_cut() && !silent[2].is_cut());
}

#[test]
fn a_served_connection_never_makes_room_while_an_unserved_one_exists() {
    let table = Table::new(3);
    let idle = [table.idle(1, 0), table.idle(2, 0)];
    let fresh = table.open(3, 5_000);
    let newcomer = table.open(4, 5_500);
    assert!(waits(&newcomer), "the unserved one has a second for itself");
    table.slots.sweep(table.at(6_000));
    assert!(got_place(&newcomer) && fresh.is_cut());
    assert!(idle.iter().all(|slot| !slot.is_cut()));
}

#[test]
fn idle_connections_make_room_when_all_were_served_the_longest_of_the_busiest_first() {
    let table = Table::new(4);
    let quiet = table.idle(1, 0);
    let busiest = [table.idle(2, 10), table.idle(2, 11)];
    let busy = table.busy(3, 0);
    assert!(got_place(&table.open(4, 20)));
    assert!(busiest[0].is_cut() && !busiest[1].is_cut() && !quiet.is_cut() && !busy.is_cut());
}

#[test]
fn slow_heads_and_long_answers_make_room_last() {
    let table = Table::new(2);
    let busy = table.busy(1, 0);
    let reading = table.served(2, 0, Phase::Reading);
    let first = table.open(3, 999);
    assert!(waits(&first));
    table.slots.sweep(table.at(1_000));
    assert!(got_place(&first) && reading.is_cut() && !busy.is_cut());
    first.enter(Phase::Busy, table.at(1_000), limits::ANSWER_TIME_MAX);
    let second = table.open(4, 1_999);
    assert!(waits(&second));
    table.slots.sweep(table.at(2_000));
    assert!(got_place(&second) && busy.is_cut() && !first.is_cut());
}

#[test]
fn a_place_that_becomes_free_goes_to_the_peer_with_the_fewest() {
    let table = Table::new(4);
    let own: Vec<_> = (0..3).map(|i| table.busy(1, i)).collect();
    let other = table.busy(2, 3);
    let waiting = [table.open(1, 4), table.open(2, 5), table.open(3, 6)];
    assert!(got_place(&waiting[1]), "the first peer has more than half");
    assert!(own[0].is_cut() && waits(&waiting[0]) && waits(&waiting[2]));
    table.slots.close(&other, table.at(7));
    assert!(got_place(&waiting[2]) && waits(&waiting[0]));
}

#[test]
fn a_waiting_task_is_woken_by_its_place_and_by_the_cut() {
    let table = Table::new(1);
    let busy = table.busy(1, 0);
    let (first, second) = (table.silent(2, 1), table.silent(3, 2));
    smol::block_on(async {
        let places = smol::future::zip(
            table.slots.place(&first, table.at(3)),
            table.slots.place(&second, table.at(3)),
        );
        let events = async {
            smol::future::yield_now().await;
            table.slots.close(&busy, table.at(4));
            smol::future::yield_now().await;
            second.cut();
        };
        let (places, ()) = smol::future::zip(places, events).await;
        assert_eq!(places, (true, false));
    });
}

#[test]
fn ipv6_peers_are_networks() {
    let table = Table::new(4);
    let at = |text: &str| {
        let client = TcpStream::connect(table.listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = table.listener.accept().unwrap();
        table.clients.borrow_mut().push(client);
        table
            .slots
            .open(ClientSocket::from(smol::Async::new(accepted).unwrap()), text.parse().unwrap(), table.now)
            .peer()
    };
    assert_eq!(at("2001:db8::1"), at("2001:db8::ffff:1"));
    assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
}

#[test]
fn a_cut_connection_ends_for_its_peer() {
    let table = Table::new(8);
    let slot = table.silent(1, 0);
    assert_eq!(table.slots.sweep(table.at(9_999)), Some(limits::SWEEP_PERIOD));
    assert!(!slot.is_cut());
    table.slots.sweep(table.at(10_000));
    assert!(slot.is_cut());
    assert_eq!(table.clients.borrow_mut()[0].read(&mut [0; 8]).unwrap(), 0);
    table.slots.close(&slot, table.at(10_000));
    assert!(table.slots.is_empty());
    assert_eq!(table.slots.sweep(table.at(10_000)), None);
}

#[test]
fn a_table_of_idle_connections_is_swept_seldom() {
    let table = Table::new(8);
    table.idle(1, 0);
    assert_eq!(table.slots.sweep(table.at(1)), Some(limits::SWEEP_PERIOD_QUIET));
}

#[test]
fn a_stop_spares_requests_under_way() {
    let table = Table::new(8);
    let quiet = [table.silent(1, 0), table.open(1, 0), table.idle(1, 0)];
    let under_way = [table.busy(1, 0), table.served(1, 0, Phase::Reading)];
    table.slots.hasten(table.at(0), limits::DRAIN_QUIET_TIME);
    table.slots.sweep(table.at(0));
    assert!(quiet.iter().all(|slot| !slot.is_cut()), "a request may be on its way");
    table.slots.sweep(table.at(500));
    assert!(quiet.iter().all(|slot| slot.is_cut()));
    assert!(under_way.iter().all(|slot| !slot.is_cut()));
    table.slots.cut_all();
    assert!(under_way.iter().all(|slot| slot.is_cut()));
}
