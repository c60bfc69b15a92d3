//! The operating system: clock, log, signals, systemd, memory settings, and this machine as a source of samples.

pub mod allocator;
pub mod cgroup;
pub mod clock;
pub mod listen;
pub mod log;
pub mod memory;
pub mod refusals;
pub mod signals;
pub mod socket;
pub mod systemd;
pub mod threads;
