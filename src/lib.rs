#![doc = include_str!("ARCHITECTURE.md")]

pub use toplet_table::{allocator, api, counters, invariant, limits, lock, log_once, store, units, wire};

pub mod access;

pub mod host;

pub mod net;

pub mod source;

pub mod poller;

pub mod cluster;

pub mod serve;

pub mod cli;

pub mod run;
