//! Signals as a readable descriptor, on which one thread waits.
//!
//! SIGTERM, SIGINT and SIGHUP are blocked in the thread that calls [`Signals::take`] and in all it starts later, and are
//! read from a signalfd. Once the first stop signal is read, the next one ends the process with code 1 from a signal
//! handler, so it works even when the thread that should drain hangs.

#![allow(unsafe_code)]

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result};
use std::os::fd::{FromRawFd, OwnedFd};
use std::time::Duration;

/// What was asked of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM or SIGINT: drain and end well.
    Stop,
    /// SIGHUP: read files again.
    Reload,
}

/// The pending signals.
#[derive(Debug)]
pub struct Signals {
    file: File,
}

impl Signals {
    /// Takes the three signals over. Call it before any thread is started.
    /// # Errors
    /// The operating system's refusal.
    pub fn take() -> Result<Signals> {
        Ok(Signals { file: watch(&[libc::SIGTERM, libc::SIGINT, libc::SIGHUP])? })
    }

    /// The next pending signal; `None` when there is none.
    /// # Errors
    /// The operating system's refusal.
    pub fn next(&self) -> Result<Option<Signal>> {
        match read(&self.file)? {
            None => Ok(None),
            Some(libc::SIGHUP) => Ok(Some(Signal::Reload)),
            Some(_) => {
                exit_on_next_stop()?;
                Ok(Some(Signal::Stop))
            }
        }
    }

    /// Waits until a signal comes, at most for `time`; `None` then.
    /// # Errors
    /// The operating system's refusal.
    pub fn wait(&self, time: Duration) -> Result<Option<Signal>> {
        // Without a time it waits for a signal; an interrupted wait is as good as one that timed out.
        let _ = poll(&mut [PollFd::new(&self.file, PollFlags::IN)], Timespec::try_from(time).ok().as_ref());
        self.next()
    }
}

/// Blocks signals in the calling thread and those it starts later; a file that their numbers are read from.
pub(super) fn watch(signals: &[libc::c_int]) -> Result<File> {
    let set = signal_set(signals);
    mask(libc::SIG_BLOCK, &set)?;
    // SAFETY: `set` is initialised; the flags are the documented ones.
    let fd = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC) };
    if fd < 0 {
        return Err(Error::last_os_error());
    }
    // SAFETY: the descriptor was just made and belongs to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) }.into())
}

/// The next pending signal of such a file; `None` when there is none.
pub(super) fn read(mut file: &File) -> Result<Option<libc::c_int>> {
    const RECORD_LEN: usize = size_of::<libc::signalfd_siginfo>();
    let mut record = [0_u8; RECORD_LEN];
    match file.read(&mut record) {
        Ok(RECORD_LEN) => {}
        Ok(_) => return Ok(None),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    }
    // The signal's number is the record's first field.
    let [a, b, c, d, ..] = record;
    Ok(i32::try_from(u32::from_ne_bytes([a, b, c, d])).ok())
}

extern "C" fn exit_now(_: libc::c_int) {
    // SAFETY: _exit may be called from a signal handler.
    unsafe { libc::_exit(1) }
}

fn exit_on_next_stop() -> Result<()> {
    let stop = [libc::SIGTERM, libc::SIGINT];
    for signal in stop {
        let handler: extern "C" fn(libc::c_int) = exit_now;
        // SAFETY: the handler does nothing but _exit, which is allowed there.
        if unsafe { libc::signal(signal, handler as libc::sighandler_t) } == libc::SIG_ERR {
            return Err(Error::last_os_error());
        }
    }
    mask(libc::SIG_UNBLOCK, &signal_set(&stop))
}

fn signal_set(signals: &[libc::c_int]) -> libc::sigset_t {
    // SAFETY: a zeroed set is a valid place for sigemptyset, which initialises it; the numbers are valid signals.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for &signal in signals {
            libc::sigaddset(&raw mut set, signal);
        }
        set
    }
}

fn mask(how: libc::c_int, set: &libc::sigset_t) -> Result<()> {
    // SAFETY: `set` is initialised; the old set is not asked for.
    match unsafe { libc::pthread_sigmask(how, set, std::ptr::null_mut()) } {
        0 => Ok(()),
        code => Err(Error::from_raw_os_error(code)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends to the calling thread alone: other tests of this process do not notice.
    fn raise(signal: libc::c_int) {
        // SAFETY: a valid signal to the calling thread.
        assert_eq!(unsafe { libc::pthread_kill(libc::pthread_self(), signal) }, 0);
    }

    #[test]
    fn pending_signals_are_read_in_order_of_kind_and_none_is_no_error() {
        let signals = Signals::take().unwrap();
        assert_eq!(signals.next().unwrap(), None);
        raise(libc::SIGHUP);
        assert_eq!(signals.wait(Duration::from_secs(10)).unwrap(), Some(Signal::Reload));
        assert_eq!(signals.next().unwrap(), None);
    }

    #[test]
    fn the_first_stop_is_read_and_the_second_ends_the_process_with_code_one() {
        // SAFETY: the child calls only functions that are allowed after fork: no allocation, no locks.
        let child = unsafe { libc::fork() };
        assert!(child >= 0);
        if child == 0 {
            let outcome = Signals::take().and_then(|signals| {
                raise(libc::SIGTERM);
                let first = signals.wait(Duration::from_secs(10))?;
                if first == Some(Signal::Stop) {
                    raise(libc::SIGINT);
                }
                Ok(first)
            });
            drop(outcome);
            // SAFETY: ends the child without running the parent's exit handlers.
            unsafe { libc::_exit(7) };
        }
        let mut status = 0;
        // SAFETY: our own child; `status` is live.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert!(libc::WIFEXITED(status));
        assert_eq!(libc::WEXITSTATUS(status), 1);
    }
}
