//! The command line: argv rewriting, the flag table, configuration files, `check`.
//!
//! Flags have metrics-server's names, defaults and meaning; an argument list that starts metrics-server starts this
//! program. The flow is `argv` (words to one settled value a flag) -> `effective` (what mode and surroundings decide) ->
//! `config` (rules, and the option structs of those who act on them). Everything before `main` acts on the result is a
//! pure function of arguments, files and [`Surroundings`].

mod argv;
mod check;
mod commands;
pub mod completion;
mod config;
mod effective;
mod error;
pub mod flags;
pub mod help;
pub mod manual;
mod memory;
mod mode;
mod rules;
mod top;
pub mod value;

pub use check::{ConfigCheck, Named, Validate, validate_file};
pub use commands::{ManifestKind, ManifestOptions, ReportForm, SetupOptions};
pub use config::Config;
pub use error::{StartError, ValueOrigin};
pub use memory::holders;
pub use mode::{Presence, RunMode, Surroundings};
pub use top::{SortBy, TopForm, TopOptions, TopOrigin, TopSubject};

use std::ffi::OsString;

/// Exit code when the flags cannot be used: a restart cannot help.
pub const FLAGS_ERROR_CODE: u8 = 2;
/// Exit code when something else is in the way, such as a port in use or a file that is missing: a restart may help.
pub const ENVIRONMENT_ERROR_CODE: u8 = 1;

/// What the command line asks for.
#[derive(Debug)]
pub enum Command {
    /// Serve.
    Run(Box<Config>),
    /// Print what would be served and from what: [`ConfigCheck::report`].
    Check(Box<ConfigCheck>),
    /// Check the whole path from kubelets to clients with this configuration, and print what was found.
    Doctor(Box<ConfigCheck>, ReportForm),
    /// Print the objects of a way to run toplet.
    Manifest(ManifestOptions),
    /// Install as a service of this node and register it with the cluster, or undo that.
    Setup(SetupOptions),
    /// Print usage, asked of a toplet or of an API server.
    Top(Box<TopOptions>),
    /// Print this text on standard output and end well (`--help`, `--version`).
    Say(String),
}

/// Reads the command line, the program's name first.
/// # Errors
/// The first mistake.
pub fn parse(args: impl Iterator<Item = OsString>, around: &Surroundings) -> Result<Command, StartError> {
    let args = args.skip(1).map(OsString::into_string).collect::<Result<Vec<String>, OsString>>();
    let args = args.map_err(|arg| {
        StartError::new(arg.to_string_lossy(), ValueOrigin::CommandLine, "not UTF-8", "write it in UTF-8")
    })?;
    parse_words(&args, around)
}

/// Reads the words after the program's name.
/// # Errors
/// The first mistake.
pub fn parse_words(args: &[String], around: &Surroundings) -> Result<Command, StartError> {
    if let Some(("top", rest)) = args.split_first().map(|(word, rest)| (word.as_str(), rest)) {
        let options = top::parse(rest)?;
        return Ok(
            options.map_or_else(|| Command::Say(help::top()), |options| Command::Top(Box::new(options)))
        );
    }
    let mut settled = argv::settle(args, flags::FLAGS, &|path| std::fs::read_to_string(path))?;
    if settled.help || settled.words.first().is_some_and(|word| word == "help") {
        return Ok(Command::Say(help::text()));
    }
    if settled.version {
        return Ok(Command::Say(help::version()));
    }
    let (command, argument, stray) = commands::subcommand(&settled.words)?;
    commands::refuse_flags_of_others(&settled, command)?;
    match command {
        Some("manifest") => {
            return commands::manifest(&settled, argument.as_deref()).map(Command::Manifest);
        }
        Some("top") => return Err(top::misplaced()),
        Some("completion") => return completion::parse(argument.as_deref()).map(Command::Say),
        Some("setup") => return commands::setup(&settled).map(Command::Setup),
        _ => {}
    }
    let mut config = config::build(&mut settled, around)?;
    config.warnings.splice(0..0, stray);
    if settled.given("advertise-address") {
        config
            .warnings
            .push("--advertise-address has no effect on a server: nothing is advertised".to_owned());
    }
    let form = commands::report_form(&settled)?;
    Ok(match command {
        None => Command::Run(Box::new(config)),
        Some("doctor") => Command::Doctor(Box::new(ConfigCheck { config, settled }), form),
        Some(_) => Command::Check(Box::new(ConfigCheck { config, settled })),
    })
}

#[cfg(test)]
mod tests;
