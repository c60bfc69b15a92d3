//! Bytes to values and back. Pure: no socket, file, clock or thread; no panic for any input.
//!
//! So bytes from the network are cut with `get` and `split_at_checked` also where a position was just found in them, with
//! all or nothing behind `unwrap_or`: such a fallback is never taken, and no answer would be made of it.

#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

pub mod allocatable;
pub mod dns;
pub mod exposition;
pub mod http_date;
pub mod kube_objects;
pub mod kube_stream;
pub mod percent;
pub mod pressure;
pub mod protobuf;
pub mod quantity;
pub mod request;
pub mod selector;
pub mod summary;
pub mod text;
pub mod time;
pub mod x509;

#[cfg(test)]
pub(crate) mod tests {
    /// A small generator of arbitrary numbers: the same ones in every run.
    pub(crate) struct Lcg(pub u64);

    impl Lcg {
        pub(crate) fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let mixed = (self.0 ^ (self.0 >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed ^ (mixed >> 32)
        }

        /// A number below `end`.
        pub(crate) fn below(&mut self, end: usize) -> usize {
            (self.next() % (end.max(1) as u64)) as usize
        }
    }
}
