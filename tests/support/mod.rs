//! Fakes and a client for the tests that run the real binary.
//!
//! `World` is a fake API server with its inventory and reviews, `Kubelet` a fake kubelet; both speak through a `Front`,
//! which owns the sockets, ends TLS where a test wants it and can cut every connection, as a restart does. `Toplet` is
//! the program itself as a child process, `Client` asks it over TLS. Everything listens on loopback, on ports the system
//! picks, and ends with the value that owns it.

#![allow(dead_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]
#![allow(missing_docs)]

pub mod api_server;
pub mod certs;
pub mod client;
pub mod front;
pub mod kubelet;
pub mod lab;
pub mod objects;
pub mod protobuf;
pub mod toplet;

use std::time::{Duration, Instant};

/// Asks again and again until `probe` gives a value; fails the test with `what` after `limit`.
pub fn eventually<T>(what: &str, limit: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(begin.elapsed() < limit, "{what}: not within {limit:?}");
        pause(begin);
    }
}

/// Waits before something is asked again: longer the longer that is going on, since each time costs a handshake.
pub fn pause(begin: Instant) {
    std::thread::sleep((begin.elapsed() / 20).clamp(Duration::from_millis(20), Duration::from_millis(250)));
}

/// The first timestamp of an answer in JSON; empty without one.
pub fn timestamp(body: &str) -> String {
    body.split_once("\"timestamp\":\"").map(|(_, rest)| rest[..20].to_string()).unwrap_or_default()
}

/// Long enough for a loaded machine, short enough for a test that hangs.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A `Date` header of a clock that is so many seconds ahead.
pub fn date_header(ahead: i64) -> tiny_http::Header {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let nanos = (now as i64 + ahead) * 1_000_000_000;
    let date = ::toplet::wire::http_date::http_date(::toplet::units::UnixNanos(nanos));
    tiny_http::Header::from_bytes("Date", date).unwrap()
}
