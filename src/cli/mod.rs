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
use std::net::IpAddr;

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
    /// Print the objects of a way to run toplet, with the node's address where one was given.
    Manifest(ManifestKind, Option<IpAddr>),
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

/// A way to run toplet, by the Kubernetes objects that it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManifestKind {
    /// In a pod, as metrics-server.
    Deployment,
    /// In a pod of one kubelet.
    StaticPod,
    /// As a service of a node.
    Host,
    /// The rights alone.
    Rbac,
    /// What `toplet doctor` reads beyond them.
    DoctorRbac,
}

impl ManifestKind {
    /// Every kind with its name on the command line.
    pub const ALL: [(&'static str, ManifestKind); 5] = [
        ("deployment", ManifestKind::Deployment),
        ("static-pod", ManifestKind::StaticPod),
        ("host", ManifestKind::Host),
        ("rbac", ManifestKind::Rbac),
        ("doctor-rbac", ManifestKind::DoctorRbac),
    ];
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
    let (command, argument, stray) = subcommand(&settled.words)?;
    if command == Some("manifest") {
        return manifest(&settled, argument);
    }
    let mut config = config::build(&mut settled, around)?;
    config.warnings.splice(0..0, stray);
    if settled.given("advertise-address") {
        config
            .warnings
            .push("--advertise-address has no effect on a server: nothing is advertised".to_owned());
    }
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

/// The subcommand, its argument, and a warning.
type Words = (Option<&'static str>, Option<String>, Option<String>);

/// The subcommand and its argument, and a warning about words that are neither: a container's `command` repeated among its
/// `args`, or the value of a switch that was written as a word of its own. metrics-server passes over them.
fn subcommand(words: &[String]) -> Result<Words, StartError> {
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
    let (command, rest) = match words.as_slice() {
        [] => (None, None),
        [word, rest @ ..] => {
            let known = SUBCOMMANDS.iter().find(|(name, _)| name == word);
            let (name, _) = known.ok_or_else(|| error(word, "unknown command"))?;
            (Some(*name), Some(rest))
        }
    };
    match (command, rest.unwrap_or_default()) {
        (_, []) => Ok((command, None, warning)),
        (Some("manifest"), [kind]) => Ok((command, Some((*kind).clone()), warning)),
        (Some("manifest"), [_, word, ..]) | (_, [word, ..]) => Err(error(word, "unexpected argument")),
    }
}

/// `toplet manifest KIND`.
fn manifest(settled: &Settled, argument: Option<String>) -> Result<Command, StartError> {
    let argument = argument.unwrap_or_default();
    let Some((_, kind)) = ManifestKind::ALL.into_iter().find(|(name, _)| *name == argument) else {
        let names = ManifestKind::ALL.map(|(name, _)| name).join(", ");
        let problem =
            if argument.is_empty() { "names no kind of manifest" } else { "unknown kind of manifest" };
        let subject = format!("manifest {argument}");
        return Err(StartError::new(
            subject.trim_end(),
            ValueOrigin::CommandLine,
            problem,
            format!("give one of {names}"),
        ));
    };
    let address = node_address(settled)?;
    if address.is_some() && kind != ManifestKind::Host {
        let problem = "is of toplet manifest host and toplet setup alone";
        return Err(settled.error("advertise-address", problem, "leave it out"));
    }
    Ok(Command::Manifest(kind, address))
}

/// The node's address, where one was given. EndpointSlices refuse loopback, and nothing reaches the others.
fn node_address(settled: &Settled) -> Result<Option<IpAddr>, StartError> {
    const NAME: &str = "advertise-address";
    if settled.text(NAME).is_empty() {
        return Ok(None);
    }
    let address = settled.read(NAME, value::ip)?;
    if address.is_loopback() || address.is_unspecified() || address.is_multicast() {
        let problem = format!("{address} is not an address of a node");
        return Err(settled.error(
            NAME,
            problem,
            "give the address at which the API server reaches this node",
        ));
    }
    Ok(Some(address))
}

#[cfg(test)]
mod tests;
