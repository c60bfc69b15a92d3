//! Any command line: a configuration, a text to print, or a mistake that is said.
#![no_main]

use libfuzzer_sys::fuzz_target;
use toplet::cli::{Presence, Surroundings, parse};

fuzz_target!(|text: &str| {
    // Files are not opened here: what they hold is another target's.
    if text.contains("config") || text.contains("file") || text.contains("cert") || text.contains("key") {
        return;
    }
    let around = Surroundings {
        service_host: None,
        service_port: None,
        token: Presence::Absent,
        k3s: Presence::Absent,
        state_directory: None,
    };
    let args = std::iter::once("toplet").chain(text.split('\n')).map(Into::into);
    if let Err(error) = parse(args, &around) {
        assert!(!error.to_string().is_empty());
    }
});
