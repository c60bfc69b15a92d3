//! Any command line and any flag file: a setting of every flag, or a mistake that is said.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (file, line) = text.split_once('\0').unwrap_or(("", text));
    let args: Vec<String> = line.split('\n').map(str::to_string).collect();
    if let Err(error) = toplet::cli::argv::settle(&args, &|_| Ok(file.to_string())) {
        assert!(!error.to_string().is_empty());
    }
});
