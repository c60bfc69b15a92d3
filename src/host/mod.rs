//! The operating system: clock, log, signals, systemd and memory settings.

pub mod clock;
pub mod errand;
pub mod files;
pub mod listen;
pub mod load;
pub mod local_socket;
pub mod log;
mod log_queue;
pub mod memory;
pub mod process;
pub mod signals;
pub mod socket;
pub mod systemd;
pub mod terminal;
pub mod threads;
