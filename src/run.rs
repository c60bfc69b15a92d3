//! Wiring only: builds everything, starts the threads, waits, drains.

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the program with its argument list; the exit code is 0 after a clean stop and 2 after a start-up error.
pub fn main(_args: impl Iterator<Item = OsString>) -> ExitCode {
    ExitCode::from(2)
}
