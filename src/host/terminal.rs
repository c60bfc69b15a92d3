//! The terminal of a live screen: keys one by one, its size, and everything as it was when it is dropped.
//!
//! While it is held, SIGTERM, SIGINT, SIGHUP and SIGWINCH are events; Ctrl-C stays SIGINT, and the keys that would suspend the
//! program or dump its core do nothing, since they would leave the terminal as it is. The screen of before comes back at the end.
//! Source: termios(3), console_codes(4).

#![allow(unsafe_code)]

use super::signals;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::File;
use std::io::{Error, ErrorKind, Result, Write};
use std::os::fd::AsFd;
use std::time::Duration;

/// The other screen, without a cursor.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l";
/// Attributes, cursor and screen as they were.
const LEAVE: &[u8] = b"\x1b[0m\x1b[?25h\x1b[?1049l";

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TerminalEvent {
    /// This key.
    Key(u8),
    /// The terminal has another size.
    Resize,
    /// A signal to stop, or the terminal is gone.
    Stop,
    /// Something can be read where the caller waits as well.
    Other,
    /// The time is over.
    Late,
}

/// A terminal in our hands.
#[derive(Debug)]
pub struct LiveTerminal {
    before: libc::termios,
    signals: File,
}

/// Whether standard output is a terminal, and keys come from one.
#[must_use]
pub fn is_there() -> bool {
    // SAFETY: two descriptors that every process has, or an error.
    unsafe { libc::isatty(libc::STDIN_FILENO) == 1 && libc::isatty(libc::STDOUT_FILENO) == 1 }
}

impl LiveTerminal {
    /// Takes the terminal over. Call it before any thread is started.
    /// # Errors
    /// Standard input is no terminal.
    pub fn take() -> Result<LiveTerminal> {
        // SAFETY: a zeroed termios is a valid place for tcgetattr, which fills it.
        let mut before: libc::termios = unsafe { std::mem::zeroed() };
        // SAFETY: `before` is live.
        check(unsafe { libc::tcgetattr(libc::STDIN_FILENO, &raw mut before) })?;
        let signals = signals::watch(&[libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGWINCH])?;
        let mut live = before;
        live.c_lflag &= !(libc::ICANON | libc::ECHO | libc::IEXTEN);
        live.c_iflag &= !(libc::IXON | libc::ICRNL);
        for key in [libc::VSUSP, libc::VQUIT] {
            if let Some(place) = live.c_cc.get_mut(key) {
                *place = libc::_POSIX_VDISABLE;
            }
        }
        // SAFETY: `live` is a whole termios.
        check(unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSAFLUSH, &raw const live) })?;
        let terminal = LiveTerminal { before, signals };
        terminal.write(ENTER)?;
        Ok(terminal)
    }

    /// Writes to the screen.
    /// # Errors
    /// The terminal is gone.
    pub fn write(&self, bytes: &[u8]) -> Result<()> {
        let mut out = std::io::stdout();
        out.write_all(bytes)?;
        out.flush()
    }

    /// Columns and lines; 80 and 24 where it does not say.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        // SAFETY: a zeroed winsize is valid, and the kernel fills the live one.
        let size = unsafe {
            let mut size: libc::winsize = std::mem::zeroed();
            libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &raw mut size);
            size
        };
        let known = |cells: u16, usual: usize| if cells == 0 { usual } else { usize::from(cells) };
        (known(size.ws_col, 80), known(size.ws_row, 24))
    }

    /// Waits for an event, at most for `time`, or until `other` can be read.
    #[must_use]
    pub fn wait(&self, other: &impl AsFd, time: Duration) -> TerminalEvent {
        let stdin = std::io::stdin();
        let mut ready = [self.signals.as_fd(), stdin.as_fd(), other.as_fd()]
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
        match poll(&mut ready, Timespec::try_from(time).ok().as_ref()) {
            Ok(0) => return TerminalEvent::Late,
            // Interrupted: looked at again with the next wait.
            Err(_) => return TerminalEvent::Other,
            Ok(_) => {}
        }
        let [signal, key, _] = ready.map(|fd| !fd.revents().is_empty());
        if signal {
            return match signals::read(&self.signals) {
                Ok(Some(libc::SIGWINCH)) => TerminalEvent::Resize,
                Ok(Some(_)) | Err(_) => TerminalEvent::Stop,
                Ok(None) => TerminalEvent::Other,
            };
        }
        if key {
            return read_key();
        }
        TerminalEvent::Other
    }
}

/// One byte from the terminal, past the buffer of the standard library.
fn read_key() -> TerminalEvent {
    let mut key = 0_u8;
    // SAFETY: one byte of a live variable.
    match unsafe { libc::read(libc::STDIN_FILENO, (&raw mut key).cast(), 1) } {
        1 => TerminalEvent::Key(key),
        0 => TerminalEvent::Stop,
        _ if Error::last_os_error().kind() == ErrorKind::Interrupted => TerminalEvent::Other,
        _ => TerminalEvent::Stop,
    }
}

fn check(code: libc::c_int) -> Result<()> {
    if code == 0 { Ok(()) } else { Err(Error::last_os_error()) }
}

impl Drop for LiveTerminal {
    fn drop(&mut self) {
        let _ = self.write(LEAVE);
        // SAFETY: what tcgetattr gave.
        let _ = unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSAFLUSH, &raw const self.before) };
    }
}
