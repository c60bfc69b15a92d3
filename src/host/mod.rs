//! The operating system: clock, log, signals, systemd and memory settings.

pub mod allocator;
pub mod clock;
pub mod listen;
pub mod log;
pub mod memory;
pub mod signals;
pub mod socket;
pub mod systemd;
pub mod threads;
