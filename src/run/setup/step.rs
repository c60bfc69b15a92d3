//! What `toplet setup` says: a line for each step, what was done before what it was done to.

use std::fmt::Display;
use std::io::Write;

/// Prints one line.
pub fn say(what: &str, about: &dyn Display) {
    // Without a reader nothing is lost.
    let _ = writeln!(std::io::stdout(), "{what:<10} {about}");
}
