//! Which connection makes room for a new connection.
//!
//! Pure. The order: a peer with more than half of the places loses its longest connection to any other peer, whatever that
//! connection does. Otherwise a connection that was never served, then the longest idle one, then one that sends its request
//! slowly, then one whose answer has taken long. A connection that was served never makes room while one exists that was
//! not; such a one has a second for itself, for which the new one waits. A peer at its own limit makes room by itself.

use crate::limits;
use crate::serve::slot::{Phase, Slot};
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Connections of each peer.
pub struct Counts {
    peers: HashMap<IpAddr, usize>,
    all: usize,
}

impl Counts {
    /// Counts them.
    pub fn of<'a>(slots: impl Iterator<Item = &'a Rc<Slot>>) -> Counts {
        let mut counts = Counts { peers: HashMap::new(), all: 0 };
        for slot in slots {
            let count = counts.peers.entry(slot.peer()).or_insert(0);
            *count = count.saturating_add(1);
            counts.all = counts.all.saturating_add(1);
        }
        counts
    }

    /// Those of one peer; none when it has none.
    #[must_use]
    pub fn of_peer(&self, peer: IpAddr) -> usize {
        self.peers.get(&peer).copied().unwrap_or(0)
    }
}

/// Whether there is room for a new connection.
pub enum Room {
    /// A place is free.
    Free,
    /// This connection makes room.
    Cut(Rc<Slot>),
    /// Not now, and not for another connection of this peer either.
    NoneForPeer,
    /// Not now for any peer.
    None,
}

/// Looks for room among the connections with a place, of which there may be `places`.
pub fn for_new_connection<'a>(
    placed: impl Iterator<Item = &'a Rc<Slot>>,
    counts: &Counts,
    new_peer: IpAddr,
    places: usize,
    now: Instant,
) -> Room {
    let at_its_limit = counts.of_peer(new_peer) >= peer_places(places);
    if !at_its_limit && counts.all < places {
        return Room::Free;
    }
    let crowds = |slot: &Slot| slot.peer() != new_peer && counts.of_peer(slot.peer()) > (places / 2).max(1);
    let mut placed: Vec<&Rc<Slot>> = placed.collect();
    if at_its_limit {
        placed.retain(|slot| slot.peer() == new_peer);
    } else if placed.iter().any(|slot| crowds(slot)) {
        placed.retain(|slot| crowds(slot));
        let longest = placed.into_iter().max_by_key(|slot| (class(slot), slot.waited(now)));
        return longest.map_or(Room::None, |slot| Room::Cut(slot.clone()));
    }
    // Where one exists that was never served, only such a one can make room.
    let Some(best) = placed.iter().map(|slot| class(slot)).max() else { return Room::None };
    let ready = placed.iter().filter(|slot| {
        let class = class(slot);
        slot.waited(now) >= patience(class) && (best != RoomClass::Unserved || class == RoomClass::Unserved)
    });
    let longest = ready.max_by_key(|slot| (class(slot), counts.of_peer(slot.peer()), slot.waited(now)));
    match longest {
        Some(slot) => Room::Cut((*slot).clone()),
        None if at_its_limit => Room::NoneForPeer,
        None => Room::None,
    }
}

/// Places that one peer may have: three quarters, so that some are left for others even at once.
#[must_use]
pub fn peer_places(places: usize) -> usize {
    places.saturating_sub(places / 4)
}

/// Connections in the order in which they make room; the last goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum RoomClass {
    Answering,
    Reading,
    Idle,
    Unserved,
}

fn class(slot: &Slot) -> RoomClass {
    match slot.phase() {
        Phase::Silent | Phase::Waiting | Phase::New => RoomClass::Unserved,
        Phase::Idle => RoomClass::Idle,
        Phase::Reading => RoomClass::Reading,
        Phase::Busy => RoomClass::Answering,
    }
}

/// Time that a connection has for itself before it makes room.
fn patience(class: RoomClass) -> Duration {
    match class {
        RoomClass::Unserved | RoomClass::Reading => limits::WAITING_TIME_MIN,
        RoomClass::Idle => Duration::ZERO,
        RoomClass::Answering => limits::ANSWERING_TIME_MIN,
    }
}
