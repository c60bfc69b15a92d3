//! What systemd is told and what it hands over; without systemd every call does nothing.
//!
//! Source: sd_notify(3), sd_listen_fds(3), systemd.service(5).

#![allow(unsafe_code)]

use sd_notify::NotifyState;
use std::os::fd::{FromRawFd, OwnedFd};
use std::time::Duration;

/// The service is up: clients are answered from now on.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// One line for `systemctl status`, such as `3/3 nodes and 40 containers measured`.
pub fn status(status: &str) {
    tell(&[NotifyState::Status(status)]);
}

/// Draining has begun.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Still alive; due once an interval of [`watchdog_interval`].
pub fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// How often [`alive`] is due: half of the unit's `WatchdogSec=`; `None` without one.
#[must_use]
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

/// The sockets of the unit's `.socket`; none without one. Call it once.
#[must_use]
pub fn sockets() -> Vec<OwnedFd> {
    let passed = sd_notify::listen_fds().into_iter().flatten();
    // SAFETY: systemd passes descriptors from 3 on to this process alone (LISTEN_PID is checked), and this is called once.
    passed.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }).collect()
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        log::debug!("systemd was not told: {error}");
    }
}
