//! Any text as a Go duration: an error of one line, or nanoseconds that are printed and read back; any number of
//! nanoseconds the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use toplet::units::Window;
use toplet::wire::time::{duration_text, parse_duration};

fn reads_back(nanos: i64) {
    let text = duration_text(Window(nanos));
    assert_eq!(parse_duration(text.as_str()), Ok(nanos), "{}", text.as_str());
}

fuzz_target!(|input: &[u8]| {
    if let Some(bytes) = input.first_chunk() {
        // The one number that has no positive counterpart is refused.
        reads_back(i64::from_le_bytes(*bytes).max(-i64::MAX));
    }
    let Ok(text) = std::str::from_utf8(input) else { return };
    match parse_duration(text) {
        Ok(nanos) => {
            reads_back(nanos);
            if !text.starts_with(['-', '+']) {
                assert_eq!(parse_duration(&format!("-{text}")), Ok(-nanos));
                assert_eq!(parse_duration(&format!("+{text}")), Ok(nanos));
            }
        }
        Err(error) => assert!(error.starts_with("invalid duration ") && error.lines().count() == 1, "{error}"),
    }
});
