//! From bytes to rows to answers: everything that runs for each sample, and nothing that knows the operating system.

pub mod allocator;
pub mod invariant;
pub mod limits;
pub mod lock;
pub mod log_once;
pub mod units;

pub mod wire;

pub mod store;

pub mod counters;

pub mod api;
