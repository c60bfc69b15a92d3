//! Completion scripts for bash, zsh and fish, made from the flag tables: subcommands, their words and the flags that each takes.
//! After a flag with a value, words that are known are offered, and files else.

use super::commands::{self, ManifestKind};
use super::error::{StartError, ValueOrigin};
use super::flags::{Effect, Flag, SUBCOMMANDS, ValueKind};
use std::fmt::Write;

/// Shells that a script can be made for.
pub const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

/// `toplet completion SHELL`.
pub(super) fn parse(argument: Option<&str>) -> Result<String, StartError> {
    let shell = argument.unwrap_or_default();
    script(shell).ok_or_else(|| {
        let problem = if shell.is_empty() { "names no shell" } else { "unknown shell" };
        let subject = format!("completion {shell}");
        let remedy = format!("give one of {}", SHELLS.join(", "));
        StartError::new(subject.trim_end(), ValueOrigin::CommandLine, problem, remedy)
    })
}

/// The script of one of [`SHELLS`].
#[must_use]
pub fn script(shell: &str) -> Option<String> {
    match shell {
        "bash" => Some(bash()),
        "zsh" => Some(zsh()),
        "fish" => Some(fish()),
        _ => None,
    }
}

/// Words that may follow a subcommand.
fn words(command: &str) -> Vec<&'static str> {
    match command {
        "top" => vec!["node", "pod"],
        "completion" => SHELLS.to_vec(),
        "manifest" => ManifestKind::ALL.map(|(name, _)| name).to_vec(),
        _ => Vec::new(),
    }
}

/// Values of a flag, where they are few.
fn values(command: &str, flag: &Flag) -> &'static str {
    match (command, flag.name) {
        ("top", "output") => "table wide json yaml",
        (_, "output") => "text json",
        (_, "sort-by") => "cpu memory",
        (_, "logging-format") => "text json",
        (_, "tls-min-version") => "VersionTLS12 VersionTLS13",
        _ => "",
    }
}

/// Subcommands, and the server itself as the empty one.
fn all() -> impl Iterator<Item = &'static str> {
    SUBCOMMANDS.iter().map(|(name, _)| *name).chain([""])
}

/// Flags to offer.
fn flags(command: &str) -> impl Iterator<Item = &'static Flag> + use<> {
    let command = Some(command.to_owned()).filter(|name| !name.is_empty());
    commands::flags_of(command.as_deref()).into_iter().filter(|flag| flag.effect != Effect::Ignored)
}

fn bash() -> String {
    let mut out = String::from(
        "# bash completion of toplet: source it, or put it in /usr/share/bash-completion/completions/toplet.\n\
         _toplet() {\n\
         \x20 local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words files\n\
         \x20 COMPREPLY=()\n\
         \x20 case ${COMP_WORDS[1]} in\n",
    );
    for command in all() {
        let pattern = if command.is_empty() { "*" } else { command };
        let mut offered = words(command);
        if command.is_empty() {
            offered.extend(SUBCOMMANDS.iter().map(|(name, _)| *name));
        }
        let mut line = offered.join(" ");
        let mut valued = String::new();
        let mut known = String::new();
        for flag in flags(command) {
            let _ = write!(line, " --{}", flag.name);
            let short = flag.short.map(|letter| format!("|-{letter}")).unwrap_or_default();
            match values(command, flag) {
                _ if flag.kind == ValueKind::Switch => {}
                "" => _ = write!(valued, "|--{}{short}", flag.name),
                values => _ = write!(known, " --{}{short}) words='{values}' ;;", flag.name),
            }
        }
        // Writing to a String cannot fail.
        let _ = writeln!(out, "    {pattern})\n      words='{}'", line.trim_start());
        if !known.is_empty() || !valued.is_empty() {
            let files =
                valued.strip_prefix('|').map(|flags| format!(" {flags}) files=1 ;;")).unwrap_or_default();
            let _ = writeln!(out, "      case $prev in{known}{files} esac");
        }
        out.push_str("      ;;\n");
    }
    out.push_str(
        "  esac\n  [ -n \"$files\" ] || COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\n\
         complete -o default -F _toplet toplet\n",
    );
    out
}

fn zsh() -> String {
    let mut out = String::from(
        "#compdef toplet\n# zsh completion of toplet: put it as _toplet into a directory of $fpath.\n_toplet() {\n",
    );
    out.push_str("  if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then\n    local -a commands=(\n");
    for (name, help) in SUBCOMMANDS {
        let _ = writeln!(out, "      {}", quoted(&format!("{name}:{}", help.replace(':', "\\:"))));
    }
    out.push_str("    )\n    _describe command commands\n    return\n  fi\n  case $words[2] in\n");
    for command in all() {
        let pattern = if command.is_empty() { "*" } else { command };
        let _ = write!(out, "    {pattern}) _arguments -s");
        let words = words(command);
        let first = if words.is_empty() { String::new() } else { format!("({})", words.join(" ")) };
        if !command.is_empty() {
            let _ = write!(out, " '1:command:' {}", quoted(&format!("2::argument:{first}")));
        }
        for flag in flags(command) {
            let help: String = flag
                .help
                .chars()
                .map(|c| if matches!(c, '[' | ']' | ':' | '\\') { ' ' } else { c })
                .collect();
            let value = match (flag.kind, values(command, flag)) {
                (ValueKind::Switch, _) => String::new(),
                (_, "") => ":value:_files".to_owned(),
                (_, values) => format!(":value:({values})"),
            };
            let equals = if value.is_empty() { "" } else { "=" };
            let _ = write!(out, " \\\n      {}", quoted(&format!("--{}{equals}[{help}]{value}", flag.name)));
            if let Some(letter) = flag.short {
                let _ = write!(out, " {}", quoted(&format!("-{letter}[{help}]{value}")));
            }
        }
        out.push_str(" ;;\n");
    }
    out.push_str("  esac\n}\n_toplet \"$@\"\n");
    out
}

fn fish() -> String {
    let mut out =
        String::from("# fish completion of toplet: put it into ~/.config/fish/completions/toplet.fish.\n");
    for (name, help) in SUBCOMMANDS {
        let _ = writeln!(out, "complete -c toplet -f -n __fish_use_subcommand -a {name} -d {}", quoted(help));
    }
    for command in all() {
        let condition = match command {
            "" => "__fish_use_subcommand".to_owned(),
            command => quoted(&format!("__fish_seen_subcommand_from {command}")),
        };
        let words = words(command);
        if !words.is_empty() {
            let _ = writeln!(out, "complete -c toplet -f -n {condition} -a {}", quoted(&words.join(" ")));
        }
        for flag in flags(command) {
            let _ = write!(out, "complete -c toplet -n {condition} -l {}", flag.name);
            if let Some(letter) = flag.short {
                let _ = write!(out, " -s {letter}");
            }
            match (flag.kind, values(command, flag)) {
                (ValueKind::Switch, _) => {}
                (_, "") => out.push_str(" -r"),
                (_, values) => _ = write!(out, " -x -a {}", quoted(values)),
            }
            let _ = writeln!(out, " -d {}", quoted(flag.help));
        }
    }
    out
}

/// A text in single quotes that every one of these shells reads as it is.
fn quoted(text: &str) -> String {
    // An apostrophe is written in three ways by three shells; the typographic one needs none.
    format!("'{}'", text.replace('\'', "\u{2019}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::flags::FLAGS;

    #[test]
    fn each_subcommand_is_offered_its_own_flags_alone() {
        let names = |command| flags(command).map(|flag| flag.name).collect::<Vec<_>>();
        assert!(names("top").contains(&"sum") && !names("top").contains(&"max-pods"));
        assert!(names("").contains(&"max-pods") && !names("").contains(&"forget-pin"));
        assert!(names("doctor").contains(&"forget-pin") && names("setup").contains(&"undo"));
        assert_eq!(names("setup").iter().filter(|name| **name == "max-pods").count(), 0);
        let ignored = FLAGS.iter().find(|flag| flag.effect == Effect::Ignored).unwrap();
        assert!(!names("").contains(&ignored.name));
        for shell in SHELLS {
            let script = script(shell).unwrap();
            assert!(script.contains("sort-by") && script.contains("cpu memory"), "{shell}");
            assert!(!script.contains(ignored.name), "{shell}");
        }
        assert!(parse(Some("tcsh")).unwrap_err().to_string().starts_with("completion tcsh: unknown shell"));
        assert!(parse(None).is_err());
    }
}
