//! The command line: argv rewriting, the flag table, configuration files, `check`.
//!
//! Flags have metrics-server's names, defaults and meaning; an argument list that starts metrics-server starts this
//! program. The flow is `argv` (words to one settled value a flag) -> `effective` (what mode and surroundings decide) ->
//! `config` (rules, and the option structs of those who act on them). Everything before `main` acts on the result is a
//! pure function of arguments, files and [`Surroundings`].

mod argv;
mod check;
mod config;
mod effective;
mod error;
pub mod flags;
pub mod help;
mod memory;
mod mode;
mod rules;
pub mod value;

pub use check::{ConfigCheck, Named, Validate, validate_file};
pub use config::Config;
pub use error::{StartError, ValueOrigin};
pub use mode::{Presence, RunMode, Surroundings};

use argv::Settled;
use flags::SUBCOMMANDS;
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
    /// Print this text on standard output and end well (`--help`, `--version`).
    Say(String),
}

/// Form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportForm {
    /// A line for each finding, and one below it for what to do.
    Text,
    /// One JSON document.
    Json,
}

/// Reads the command line, the program's name first.
/// # Errors
/// The first mistake.
pub fn parse(args: impl Iterator<Item = OsString>, around: &Surroundings) -> Result<Command, StartError> {
    let args = args.skip(1).map(OsString::into_string).collect::<Result<Vec<String>, OsString>>();
    let args = args.map_err(|arg| {
        StartError::new(arg.to_string_lossy(), ValueOrigin::CommandLine, "not UTF-8", "write it in UTF-8")
    })?;
    let mut settled = argv::settle(&args, &|path| std::fs::read_to_string(path))?;
    if settled.help || settled.words.first().is_some_and(|word| word == "help") {
        return Ok(Command::Say(help::text()));
    }
    if settled.version {
        return Ok(Command::Say(help::version()));
    }
    let (command, stray) = subcommand(&settled.words)?;
    let mut config = config::build(&mut settled, around)?;
    config.warnings.splice(0..0, stray);
    let form = report_form(&settled, command)?;
    Ok(match command {
        None => Command::Run(Box::new(config)),
        Some("doctor") => Command::Doctor(Box::new(ConfigCheck { config, settled }), form),
        Some(_) => Command::Check(Box::new(ConfigCheck { config, settled })),
    })
}

fn report_form(settled: &Settled, command: Option<&str>) -> Result<ReportForm, StartError> {
    let text = settled.text("output");
    for name in ["output", "forget-pin"] {
        if !settled.text(name).is_empty() && command != Some("doctor") {
            return Err(settled.error(name, "is of toplet doctor alone", "leave it out"));
        }
    }
    if !settled.text("forget-pin").is_empty() && !settled.read("kubelet-pin", value::switch)? {
        return Err(settled.error(
            "forget-pin",
            "needs --kubelet-pin",
            "give the flags of the server as well",
        ));
    }
    match text.as_str() {
        "" | "text" => Ok(ReportForm::Text),
        "json" => Ok(ReportForm::Json),
        other => Err(settled.error("output", format!("`{other}` is neither text nor json"), "write -o json")),
    }
}

/// The subcommand, and a warning about words that are none: a container's `command` repeated among its `args`, or the
/// value of a switch that was written as a word of its own. metrics-server passes over them.
fn subcommand(words: &[String]) -> Result<(Option<&'static str>, Option<String>), StartError> {
    let is_stray = |word: &&String| {
        let program =
            word.rsplit('/').next().is_some_and(|name| ["metrics-server", "toplet"].contains(&name));
        program || word.contains('/') || value::switch(word).is_ok()
    };
    let (stray, words): (Vec<&String>, Vec<&String>) = words.iter().partition(is_stray);
    let names: Vec<String> = stray.iter().map(|word| format!("`{word}`")).collect();
    let warning = (!names.is_empty()).then(|| {
        let names = names.join(", ");
        format!("arguments without effect: {names}; the value of a switch is written --switch=false")
    });
    let error = |word: &String, problem| {
        let known: Vec<String> = SUBCOMMANDS.iter().map(|(name, _)| format!("toplet {name}")).collect();
        let remedy = format!("the commands are: {}", known.join(", "));
        StartError::new(word.clone(), ValueOrigin::CommandLine, problem, remedy)
    };
    match words.as_slice() {
        [] => Ok((None, warning)),
        [word, rest @ ..] => {
            let known = SUBCOMMANDS.iter().find(|(name, _)| name == word);
            let (name, _) = known.ok_or_else(|| error(word, "unknown command"))?;
            match rest.first() {
                None => Ok((Some(name), warning)),
                Some(word) => Err(error(word, "unexpected argument")),
            }
        }
    }
}

#[cfg(test)]
mod tests;
