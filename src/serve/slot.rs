//! One open connection as the table of connections sees it: its peer, its phase, and until when that may last.

use crate::limits;
use crate::serve::socket::ClientSocket;
use std::cell::Cell;
use std::net::{IpAddr, Ipv6Addr};
use std::task::Waker;
use std::time::{Duration, Instant};

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// No byte has come.
    Silent,
    /// The first bytes have come, and wait for a place.
    Waiting,
    /// Handshake, or reading the first request: nothing was served yet.
    New,
    /// Between requests.
    Idle,
    /// Reading a further request.
    Reading,
    /// Answering, or lingering before the end.
    Busy,
}

impl Phase {
    /// Whether a connection in this phase takes one of the places.
    #[must_use]
    pub fn has_place(self) -> bool {
        !matches!(self, Phase::Silent | Phase::Waiting)
    }
}

/// One open connection.
pub struct Slot {
    socket: ClientSocket,
    peer: IpAddr,
    phase: Cell<Phase>,
    since: Cell<Instant>,
    deadline: Cell<Instant>,
    cut: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl Slot {
    /// A connection without a byte so far.
    #[must_use]
    pub fn new(socket: ClientSocket, peer: IpAddr, now: Instant) -> Slot {
        let slot = Slot {
            socket,
            peer: network(peer),
            phase: Cell::new(Phase::Silent),
            since: Cell::new(now),
            deadline: Cell::new(now),
            cut: Cell::new(false),
            waker: Cell::new(None),
        };
        slot.extend(now, limits::HANDSHAKE_TIME_MAX);
        slot
    }

    /// Begins to wait for a place; the deadline stays.
    pub fn wait(&self) {
        self.phase.set(Phase::Waiting);
    }

    /// Enters a phase that must end within `time`.
    pub fn enter(&self, phase: Phase, now: Instant, time: Duration) {
        self.phase.set(phase);
        self.since.set(now);
        self.extend(now, time);
    }

    /// Gives the phase `time` from now on.
    pub fn extend(&self, now: Instant, time: Duration) {
        self.deadline.set(now + time);
    }

    /// Whether the connection was cut from this side.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.cut.get()
    }

    /// What the connection is doing.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// The address that counts as one peer: of IPv6 the network of 64 bits, which one machine has to itself.
    #[must_use]
    pub fn peer(&self) -> IpAddr {
        self.peer
    }

    /// When the connection entered its phase.
    #[must_use]
    pub fn since(&self) -> Instant {
        self.since.get()
    }

    /// When the phase must have ended.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline.get()
    }

    /// Brings the end of the phase forward.
    pub fn end_by(&self, end: Instant) {
        self.deadline.set(self.deadline.get().min(end));
    }

    /// How long the connection has been in its phase.
    #[must_use]
    pub fn waited(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since.get())
    }

    /// Ends the connection, whatever its task waits for.
    pub fn cut(&self) {
        if !self.cut.replace(true) {
            self.socket.shutdown();
            self.wake();
        }
    }

    /// Notes whom to wake when the connection gets a place or is cut.
    pub fn wake_with(&self, waker: &Waker) {
        self.waker.set(Some(waker.clone()));
    }

    /// Wakes the task that waits for a place.
    pub fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// The address that counts as one peer.
fn network(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        IpAddr::V4(_) => peer,
    }
}
