//! Any text as a label selector: a selector that can be asked, or an error that is said.
#![no_main]

use libfuzzer_sys::fuzz_target;
use toplet::wire::selector::LabelSelector;

fuzz_target!(|text: &str| match LabelSelector::parse(text) {
    Ok(selector) => {
        let (present, absent) = (selector.matches(|_| Some("5")), selector.matches(|_| None));
        assert!(text.trim_matches([' ', '\t']).is_empty() <= (present && absent));
    }
    Err(error) => assert!(!error.is_empty()),
});
