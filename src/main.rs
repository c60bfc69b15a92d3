//! Parse, run, exit code. Everything else is in the library, so that tests can reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    toplet::run::main(std::env::args_os())
}
