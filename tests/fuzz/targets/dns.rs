//! Any datagram as the answer to a question for addresses: no panic, few addresses, all of the family asked for.
//! Input: the reply; its first byte also picks the family, and the query's id is the reply's.
#![no_main]

use libfuzzer_sys::fuzz_target;
use toplet::limits::ADDRESSES_MAX;
use toplet::wire::dns::{self, AddressFamily, DnsAnswer};

fuzz_target!(|input: &[u8]| {
    let Some((id, _)) = input.split_first_chunk::<2>() else { return };
    let family = if id[0] & 1 == 0 { AddressFamily::V4 } else { AddressFamily::V6 };
    let query = dns::query("node-7.lan", u16::from_be_bytes(*id), family).unwrap();
    if let Some(DnsAnswer::Addresses(found, _)) = dns::answer(&query, input) {
        assert!(found.len() <= ADDRESSES_MAX);
        assert!(found.iter().all(|address| address.is_ipv4() == (family == AddressFamily::V4)));
    }
    // As a name it is a query of at most 255 + 16 bytes, or none.
    if let Some(query) = std::str::from_utf8(input).ok().and_then(|name| dns::query(name, 1, family)) {
        assert!(query.len() <= 271);
    }
    let _ = dns::answer(input, input);
});
