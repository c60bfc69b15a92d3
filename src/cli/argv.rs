//! From GNU/pflag form and flag files to one settled value a flag.
//!
//! Understood: `--a=b`, `--a b`, `--switch`, `--switch=false`, `-v4`, `-v 4`, `-v=4`, `--` and `_` for `-` in names. A
//! repeated flag keeps its last value; of a list the first occurrence replaces the default and later ones append. A file
//! named by `--config` is one flag a line and counts as given before the command line. Every value is validated where it
//! stands, so that an error names its line. The result holds every flag of the table, with where its value came from.

use super::error::{StartError, ValueOrigin};
use super::flags::{self, Effect, Flag, FlagTable, ValueKind};
use super::value;
use crate::limits;
use std::path::PathBuf;
use std::rc::Rc;

/// One flag's value, settled.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The flag.
    pub flag: &'static Flag,
    /// Its values: one, or the elements of a list as they were written.
    pub values: Vec<String>,
    /// Where the last of them came from.
    pub origin: ValueOrigin,
}

impl Setting {
    /// The value in the syntax of the command line; an empty piece of a list (`--a=`) adds nothing.
    #[must_use]
    pub fn text(&self) -> String {
        let pieces: Vec<&str> =
            self.values.iter().map(String::as_str).filter(|piece| !piece.is_empty()).collect();
        pieces.join(",")
    }
}

/// What the arguments ask for.
#[derive(Debug, Default)]
pub struct Settled {
    /// One setting a flag of the table, in its order.
    pub settings: Vec<Setting>,
    /// Words that are not flags: a subcommand, or a mistake.
    pub words: Vec<String>,
    /// `--help` was given.
    pub help: bool,
    /// `--version` was given.
    pub version: bool,
}

impl Settled {
    /// The setting of a flag. Every name asked for stands in the table: a test builds the whole configuration, and a missing
    /// one must not pass for an empty value.
    fn setting(&self, name: &str) -> &Setting {
        let Some(setting) = self.settings.iter().find(|setting| setting.flag.name == name) else {
            unreachable!("--{name} is not in the table")
        };
        setting
    }

    /// Where a flag's value came from.
    #[must_use]
    pub fn origin(&self, name: &str) -> ValueOrigin {
        self.setting(name).origin.clone()
    }

    /// Whether the flag was given.
    #[must_use]
    pub fn given(&self, name: &str) -> bool {
        matches!(self.origin(name), ValueOrigin::CommandLine | ValueOrigin::File(..))
    }

    /// Whether the flag was given a value that is not its default.
    pub fn changed(&self, name: &str) -> bool {
        let setting = self.setting(name);
        self.given(name) && setting.values.last().is_some_and(|value| *value != setting.flag.default_text())
    }

    /// Replaces what is in force, for the reason given, which completes `--name=value (reason)`.
    pub fn choose(&mut self, name: &str, value: &str, reason: &'static str) {
        if let Some(setting) = self.settings.iter_mut().find(|setting| setting.flag.name == name) {
            setting.values = vec![value.to_owned()];
            setting.origin = ValueOrigin::Chosen(reason);
        }
    }

    /// A mistake of a flag, placed where it was given.
    pub fn error(&self, name: &str, problem: impl Into<String>, remedy: &str) -> StartError {
        StartError::new(format!("--{name}"), self.origin(name), problem, remedy)
    }

    /// The value in force as text.
    #[must_use]
    pub fn text(&self, name: &str) -> String {
        self.setting(name).text()
    }

    /// A path, unless it is empty.
    #[must_use]
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        Some(self.text(name)).filter(|text| !text.is_empty()).map(PathBuf::from)
    }

    /// The elements of a repeated flag.
    #[must_use]
    pub fn repeated(&self, name: &str) -> Vec<String> {
        self.setting(name).values.iter().filter(|value| !value.is_empty()).cloned().collect()
    }

    /// The value in force, read as its type.
    /// # Errors
    /// What it is not; the values given were validated before, so this is a mistake in the table.
    pub fn read<T>(&self, name: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<T, StartError> {
        let text = self.text(name);
        read(&text).map_err(|not| self.error(name, format!("`{text}` is not {not}"), ""))
    }
}

/// One flag as it was given.
struct Given {
    flag: &'static Flag,
    value: String,
    origin: ValueOrigin,
}

/// Settles the arguments (without the program's name) by a table of flags. `read` returns the text of a flag file.
/// # Errors
/// The first mistake, of the files before the command line.
pub fn settle(
    args: &[String],
    table: FlagTable,
    read: &dyn Fn(&str) -> std::io::Result<String>,
) -> Result<Settled, StartError> {
    let mut settled = Settled::default();
    let mut words = Vec::new();
    let given = split(args, table, &mut words, &ValueOrigin::CommandLine)?;
    let mut all = Vec::new();
    for file in given.iter().filter(|given| given.flag.name == "config") {
        read_file(&file.value, table, read, &mut all)?;
    }
    all.extend(given);
    for given in &all {
        value::validate(given.flag.kind, &given.value)
            .map_err(|not| invalid(given.flag, &given.origin, &given.value, &not))?;
    }
    let wanted = |name| {
        let last = all.iter().rev().find(|given| given.flag.name == name);
        last.is_some_and(|given| value::switch(&given.value) == Ok(true))
    };
    settled.help = wanted("help");
    settled.version = wanted("version");
    settled.words = words;
    settled.settings = table.iter().map(|flag| merge(flag, &all)).collect();
    Ok(settled)
}

/// The value of one flag after everything that was given.
fn merge(flag: &'static Flag, all: &[Given]) -> Setting {
    let mut setting = Setting { flag, values: Vec::new(), origin: ValueOrigin::Default };
    for given in all.iter().filter(|given| given.flag.name == flag.name) {
        if !matches!(flag.kind, ValueKind::List | ValueKind::Repeated) {
            setting.values.clear();
        }
        setting.values.push(given.value.clone());
        setting.origin = given.origin.clone();
    }
    let default = flag.default_text();
    if setting.origin == ValueOrigin::Default && !default.is_empty() {
        setting.values.push(default.into_owned());
    }
    setting
}

fn invalid(flag: &Flag, origin: &ValueOrigin, value: &str, not: &str) -> StartError {
    StartError::new(format!("--{}", flag.name), origin.clone(), format!("`{value}` is not {not}"), "")
}

/// Splits a command line into flags and words.
fn split(
    args: &[String],
    table: FlagTable,
    words: &mut Vec<String>,
    origin: &ValueOrigin,
) -> Result<Vec<Given>, StartError> {
    let mut given = Vec::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if arg == "--" {
            words.extend(args.cloned());
            break;
        }
        let (flag, text) = if let Some(long) = arg.strip_prefix("--") {
            long_flag(long, table, origin)?
        } else if let Some(short) = arg.strip_prefix('-').filter(|short| !short.is_empty()) {
            short_flag(short, table, origin)?
        } else {
            words.push(arg.clone());
            continue;
        };
        let value = match text {
            Some(value) => value.to_owned(),
            None if flag.kind == ValueKind::Switch => "true".to_owned(),
            None => args.next().cloned().ok_or_else(|| no_value(flag, origin))?,
        };
        given.push(Given { flag, value, origin: origin.clone() });
    }
    Ok(given)
}

/// `name` or `name=value`, without the dashes.
fn long_flag<'a>(
    text: &'a str,
    table: FlagTable,
    origin: &ValueOrigin,
) -> Result<(&'static Flag, Option<&'a str>), StartError> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    let flag = flags::find(table, name).ok_or_else(|| unknown(name, table, origin))?;
    Ok((flag, value))
}

/// `v4`, `v=4` or `v`, without the dash.
fn short_flag<'a>(
    text: &'a str,
    table: FlagTable,
    origin: &ValueOrigin,
) -> Result<(&'static Flag, Option<&'a str>), StartError> {
    let mut rest = text.chars();
    // A lone dash is a word, and stands for no flag.
    let letter = rest.next().unwrap_or('-');
    let Some(flag) = flags::find_short(table, letter) else {
        // A long name after one dash is a common slip: Go's own flag package takes it.
        let name = text.split_once('=').map_or(text, |(name, _)| name);
        let remedy = match flags::find(table, name) {
            Some(flag) => format!("write --{}", flag.name),
            None => "see toplet --help".to_owned(),
        };
        return Err(StartError::new(format!("-{text}"), origin.clone(), "unknown flag", remedy));
    };
    let value = rest.as_str();
    let value = value.strip_prefix('=').unwrap_or(value);
    Ok((flag, (text.len() > letter.len_utf8()).then_some(value)))
}

fn unknown(name: &str, table: FlagTable, origin: &ValueOrigin) -> StartError {
    let remedy = match flags::nearest(table, name) {
        Some(near) => format!("did you mean --{near}?"),
        None => "see toplet --help".to_owned(),
    };
    StartError::new(format!("--{name}"), origin.clone(), "unknown flag", remedy)
}

fn no_value(flag: &Flag, origin: &ValueOrigin) -> StartError {
    let remedy = format!("write --{}=VALUE", flag.name);
    StartError::new(format!("--{}", flag.name), origin.clone(), "its value is missing", remedy)
}

/// Reads one flag file: `--name=value`, `--name value` or the same without dashes; blank lines and `#` comments.
fn read_file(
    path: &str,
    table: FlagTable,
    read: &dyn Fn(&str) -> std::io::Result<String>,
    all: &mut Vec<Given>,
) -> Result<(), StartError> {
    let name: Rc<str> = Rc::from(path);
    let text = read(path).map_err(|error| {
        StartError::new(
            format!("--config={path}"),
            ValueOrigin::CommandLine,
            format!("the file cannot be read: {error}"),
            "name a readable file of flags, one a line",
        )
    })?;
    if text.len() > limits::FLAG_FILE_LEN_MAX {
        return Err(StartError::new(
            format!("--config={path}"),
            ValueOrigin::CommandLine,
            format!("the file is {} bytes long, at most {} are read", text.len(), limits::FLAG_FILE_LEN_MAX),
            "one flag a line",
        ));
    }
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let origin = ValueOrigin::File(name.clone(), number);
        all.push(file_line(line, table, &origin)?);
    }
    Ok(())
}

fn file_line(line: &str, table: FlagTable, origin: &ValueOrigin) -> Result<Given, StartError> {
    let dashes = if line.starts_with('-') { "" } else { "--" };
    let (name, rest) =
        line.split_at(line.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(line.len()));
    let rest = rest.trim_start();
    let value = rest.strip_prefix('=').map(str::trim_start).or(Some(rest).filter(|rest| !rest.is_empty()));
    let arg = value.map_or(format!("{dashes}{name}"), |value| format!("{dashes}{name}={value}"));
    let given =
        split(&[arg], table, &mut Vec::new(), origin)?.pop().ok_or_else(|| unknown("", table, origin))?;
    if given.flag.effect == Effect::Immediate {
        return Err(StartError::new(
            format!("--{}", given.flag.name),
            origin.clone(),
            "this flag has no place in a file",
            "give it on the command line",
        ));
    }
    Ok(given)
}

#[cfg(test)]
mod tests {
    use super::super::flags::FLAGS;
    use super::*;

    fn none(path: &str) -> std::io::Result<String> {
        panic!("no file should be read: {path}")
    }

    fn settle_words(args: &[&str]) -> Result<Settled, StartError> {
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        settle(&args, FLAGS, &none)
    }

    fn value_of(args: &[&str], name: &str) -> String {
        let settled = settle_words(args).unwrap();
        settled.settings.iter().find(|setting| setting.flag.name == name).unwrap().text()
    }

    fn error_of(args: &[&str]) -> String {
        settle_words(args).unwrap_err().to_string()
    }

    fn file(text: &'static str, args: &[&str]) -> Result<Settled, StartError> {
        let mut all = vec!["--config=/etc/toplet.conf".to_owned()];
        all.extend(args.iter().map(|&arg| arg.to_owned()));
        settle(&all, FLAGS, &|_| Ok(text.to_owned()))
    }

    #[test]
    fn every_way_to_write_a_value() {
        for args in [
            &["--cert-dir=/tmp"][..],
            &["--cert-dir", "/tmp"],
            &["--cert_dir=/tmp"],
            &["--cert-dir=/a", "--cert-dir=/tmp"],
        ] {
            assert_eq!(value_of(args, "cert-dir"), "/tmp", "{args:?}");
        }
        for args in [&["-v4"][..], &["-v", "4"], &["-v=4"], &["--v=4"], &["--v", "4"]] {
            assert_eq!(value_of(args, "v"), "4", "{args:?}");
        }
        for args in [&["-l", "a=b"][..], &["-la=b"], &["-l=a=b"], &["--node-selector", "a=b"]] {
            assert_eq!(value_of(args, "node-selector"), "a=b", "{args:?}");
        }
        assert_eq!(value_of(&["--cert-dir="], "cert-dir"), "");
        assert_eq!(value_of(&[], "cert-dir"), "apiserver.local.config/certificates");
    }

    #[test]
    fn a_switch_never_takes_the_next_argument() {
        let settled = settle_words(&["--kubelet-insecure-tls", "check"]).unwrap();
        assert_eq!(settled.words, ["check"]);
        assert_eq!(value_of(&["--kubelet-insecure-tls"], "kubelet-insecure-tls"), "true");
        assert_eq!(value_of(&["--host-only=false"], "host-only"), "false");
    }

    #[test]
    fn the_first_list_replaces_the_default_and_later_ones_append() {
        let name = "authorization-always-allow-paths";
        assert_eq!(value_of(&[], name), "/healthz,/readyz,/livez");
        let args = ["--authorization-always-allow-paths=/metrics"];
        assert_eq!(value_of(&args, name), "/metrics");
        let args = ["--authorization-always-allow-paths=/a,/b", "--authorization-always-allow-paths=/c"];
        assert_eq!(value_of(&args, name), "/a,/b,/c");
    }

    #[test]
    fn two_dashes_alone_end_the_flags() {
        let settled = settle_words(&["--host-only", "--", "--nonsense", "check"]).unwrap();
        assert_eq!(settled.words, ["--nonsense", "check"]);
    }

    #[test]
    fn help_and_version_are_switches() {
        assert!(settle_words(&["--help"]).unwrap().help);
        assert!(settle_words(&["--version"]).unwrap().version);
        assert!(!settle_words(&["--version=false"]).unwrap().version);
        assert!(settle_words(&["-h"]).unwrap().help);
    }

    #[test]
    fn mistakes_name_the_flag_and_the_way_out() {
        assert_eq!(
            error_of(&["--metric-resolutoin=15s"]),
            "--metric-resolutoin: unknown flag; did you mean --metric-resolution?"
        );
        assert_eq!(error_of(&["--cert-dir"]), "--cert-dir: its value is missing; write --cert-dir=VALUE");
        assert_eq!(
            error_of(&["--metric-resolution=15"]),
            "--metric-resolution: `15` is not a duration such as 15s, 1m30s or 500ms"
        );
        assert_eq!(error_of(&["--host-only=maybe"]), "--host-only: `maybe` is not true or false");
        assert_eq!(error_of(&["-kubeconfig=x"]), "-kubeconfig=x: unknown flag; write --kubeconfig");
        assert_eq!(error_of(&["-x"]), "-x: unknown flag; see toplet --help");
    }

    #[test]
    fn a_file_counts_before_the_command_line() {
        let text = "# kubelets\n\n--kubelet-port=1\n  secure-port 10251  \nkubelet-insecure-tls\n-v=2\n";
        let settled = file(text, &["--kubelet-port=2"]).unwrap();
        let find = |name: &str| settled.settings.iter().find(|s| s.flag.name == name).unwrap().clone();
        assert_eq!(find("kubelet-port").text(), "2");
        assert_eq!(find("kubelet-port").origin, ValueOrigin::CommandLine);
        assert_eq!(find("secure-port").text(), "10251");
        assert_eq!(find("secure-port").origin.to_string(), "/etc/toplet.conf:4");
        assert_eq!(find("kubelet-insecure-tls").text(), "true");
        assert_eq!(find("v").text(), "2");
    }

    #[test]
    fn a_mistake_in_a_file_names_its_line() {
        let message = |text| file(text, &[]).unwrap_err().to_string();
        assert_eq!(
            message("\n--kubelet-prot=1"),
            "/etc/toplet.conf:2: --kubelet-prot: unknown flag; did you mean --kubelet-port?"
        );
        assert_eq!(
            message("#\n#\nkubelet-port=x"),
            "/etc/toplet.conf:3: --kubelet-port: `x` is not a port from 1 to 65535"
        );
        assert_eq!(
            message("----cert-dir=x"),
            "/etc/toplet.conf:1: ----cert-dir: unknown flag; did you mean --cert-dir?"
        );
        assert_eq!(
            message("cert-dir"),
            "/etc/toplet.conf:1: --cert-dir: its value is missing; write --cert-dir=VALUE"
        );
        assert_eq!(
            message("config=other"),
            "/etc/toplet.conf:1: --config: this flag has no place in a file; give it on the command line"
        );
        let args = ["--config=/nowhere".to_owned()];
        let gone =
            settle(&args, FLAGS, &|_| Err(std::io::Error::from(std::io::ErrorKind::NotFound))).unwrap_err();
        assert!(gone.to_string().starts_with("--config=/nowhere: the file cannot be read: "));
    }

    #[test]
    fn k49_every_flag_is_accepted_with_its_default() {
        for flag in FLAGS.iter().filter(|flag| flag.name != "config") {
            let args = [format!("--{}={}", flag.name, flag.default_text())];
            if !flag.default_text().is_empty() || !matches!(flag.kind, ValueKind::Int | ValueKind::Switch) {
                settle(&args, FLAGS, &none).unwrap_or_else(|error| panic!("{error}"));
            }
        }
    }
}
