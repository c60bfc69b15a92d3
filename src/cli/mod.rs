//! The command line: argv rewriting, the flag table, configuration files, `check`.
//!
//! Flags have metrics-server's names, defaults and meaning; an argument list that starts metrics-server starts this
//! program. The flow is `argv` (words to one settled value a flag) -> `args` (typed, argh) -> `config` (rules, mode,
//! defaults). Everything before `main` acts on the result is a pure function of arguments, files and [`Surroundings`].

mod args;
mod argv;
mod check;
mod config;
mod error;
pub mod flags;
pub mod help;
mod memory;
mod mode;
mod rules;
pub mod value;

pub use check::{Check, Judge, Named, judge_file};
pub use config::{
    Authentication, Authorization, Certificate, Config, Kubelet, KubeletTrust, Log, RequestHeader, Serving,
};
pub use error::{Origin, START_ERROR_CODE, StartError};
pub use mode::{Mode, Presence, Surroundings, TOKEN_PATH};

use std::ffi::OsString;

/// What the command line asks for.
#[derive(Debug)]
pub enum Command {
    /// Serve.
    Run(Box<Config>),
    /// Print what would be served and from what: [`Check::report`].
    Check(Box<Check>),
    /// Print this text on standard output and end well (`--help`, `--version`).
    Say(String),
}

/// Reads the command line, the program's name first.
/// # Errors
/// The first mistake.
pub fn parse(args: impl Iterator<Item = OsString>, around: &Surroundings) -> Result<Command, StartError> {
    let args = args.skip(1).map(OsString::into_string).collect::<Result<Vec<String>, OsString>>();
    let args = args.map_err(|arg| {
        StartError::new(arg.to_string_lossy(), Origin::CommandLine, "this is not UTF-8", "write it in UTF-8")
    })?;
    let settled = argv::settle(&args, &|path| std::fs::read_to_string(path))?;
    if settled.help || settled.words.first().is_some_and(|word| word == "help") {
        return Ok(Command::Say(help::text()));
    }
    if settled.version {
        return Ok(Command::Say(help::version()));
    }
    let args = args::typed(&settled)?;
    let config = config::build(&args, &settled, around)?;
    Ok(match args.command {
        None => Command::Run(Box::new(config)),
        Some(args::Subcommand::Check(args::CheckArgs {})) => {
            Command::Check(Box::new(Check { config, settled }))
        }
    })
}
