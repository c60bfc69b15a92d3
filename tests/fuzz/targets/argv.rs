//! Any command line and any flag file: a configuration, or a mistake reported in one line.
//! Input: arguments, one a line; after a NUL, the flag file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::LazyLock;
use toplet::cli::{self, Command, StartError, Surroundings};

/// A file in memory for flags; `--config` names no other.
static FILE: LazyLock<PathBuf> = LazyLock::new(|| toplet_fuzz::memory_file("flags"));

fn parse(args: &[&str]) -> Result<Command, StartError> {
    let args = std::iter::once("toplet").chain(args.iter().copied()).map(OsString::from);
    cli::parse(args, &Surroundings::default())
}

/// What was understood; where it was said does not count.
fn understood(parsed: &Result<Command, StartError>) -> Option<String> {
    match parsed {
        Ok(Command::Run(config)) => Some(format!("{config:?}")),
        Ok(Command::Check(check) | Command::Doctor(check, _)) => Some(format!("{:?}", check.config())),
        Ok(Command::Say(text)) => Some(text.clone()),
        Ok(Command::Manifest(options)) => Some(format!("{options:?}")),
        Ok(Command::Setup(options)) => Some(format!("{options:?}")),
        Ok(Command::Top(options)) => Some(format!("{options:?}")),
        Err(_) => None,
    }
}

fn check(parsed: &Result<Command, StartError>) {
    match parsed {
        Err(error) => {
            let text = error.to_string();
            assert!(!error.problem.is_empty() && !text.contains(char::is_control), "{error:?}");
        }
        Ok(Command::Check(check) | Command::Doctor(check, _)) => {
            let report = check.report(&|_| Ok(())).unwrap();
            assert!(report.contains("mode: "), "{report}");
            // Either nothing is named, or what is named is reported as wrong.
            assert!(check.report(&|_| Err("no".to_owned())).map_or(true, |same| same == report));
        }
        Ok(Command::Run(config)) => assert!(!config.resolution.is_zero() && config.max_connections > 0),
        Ok(Command::Say(text)) => assert!(!text.is_empty()),
        Ok(Command::Manifest(..) | Command::Setup(_) | Command::Top(_)) => {}
    }
}

fuzz_target!(|input: &str| {
    let (line, file) = input.split_once('\0').unwrap_or((input, ""));
    if line.contains("-config") || line.contains("_config") || file.contains("config") {
        return;
    }
    let args: Vec<&str> = line.split('\n').collect();
    let parsed = parse(&args);
    check(&parsed);
    let config = format!("--config={}", FILE.display());
    std::fs::write(&*FILE, file).unwrap();
    let mut with_file = vec![config.as_str()];
    with_file.extend(&args);
    check(&parse(&with_file));
    // A file of flags says what the command line says.
    let plain = |arg: &&str| {
        let is_flag = arg.starts_with("--") && arg.contains('=') && !arg.contains(char::is_whitespace);
        // These have no place in a file, whatever their value.
        is_flag && !arg.starts_with("--help=") && !arg.starts_with("--version=")
    };
    if args.iter().all(plain) {
        std::fs::write(&*FILE, line).unwrap();
        assert_eq!(understood(&parse(&[&config])), understood(&parsed), "{args:?}");
    }
});
