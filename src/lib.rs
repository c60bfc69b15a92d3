#![doc = include_str!("ARCHITECTURE.md")]

pub mod limits;
pub mod lock;
pub mod log_once;
pub mod units;

pub mod wire;

pub mod store;

pub mod counters;

pub mod api;

pub mod access;

pub mod host;

pub mod net;

pub mod source;

pub mod poller;

pub mod cluster;

pub mod serve;

pub mod cli;

pub mod run;
