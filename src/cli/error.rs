//! Why the flags cannot be used: what is wrong, where it stands, how to mend it. One line, exit code 2.

use std::fmt;
use std::rc::Rc;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueOrigin {
    /// The flag table.
    Default,
    /// The command line.
    CommandLine,
    /// A line, counted from 1, of a file named by `--config`.
    File(Rc<str>, u32),
    /// Decided by the program, for the reason given.
    Chosen(&'static str),
}

impl fmt::Display for ValueOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ValueOrigin::Default => f.write_str("default"),
            ValueOrigin::CommandLine => f.write_str("command line"),
            ValueOrigin::File(path, line) => write!(f, "{path}:{line}"),
            ValueOrigin::Chosen(reason) => f.write_str(reason),
        }
    }
}

/// A mistake that keeps the program from starting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartError {
    /// The flag or file it is about, for instance `--secure-port`; empty when it is about all.
    pub subject: String,
    /// Where that was said.
    pub origin: ValueOrigin,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub remedy: String,
}

impl StartError {
    /// A mistake in `subject`, said at `origin`.
    #[must_use]
    pub fn new(
        subject: impl Into<String>,
        origin: ValueOrigin,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> StartError {
        StartError { subject: subject.into(), origin, problem: problem.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let ValueOrigin::File(path, line) = &self.origin {
            one_line(f, path)?;
            write!(f, ":{line}: ")?;
        }
        if !self.subject.is_empty() {
            one_line(f, &self.subject)?;
            f.write_str(": ")?;
        }
        one_line(f, &self.problem)?;
        if !self.remedy.is_empty() {
            f.write_str("; ")?;
            one_line(f, &self.remedy)?;
        }
        Ok(())
    }
}

/// Writes a text on one line, and without orders to a terminal, whatever a path, a name or a value holds.
fn one_line(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    text.chars()
        .try_for_each(|c| if c.is_control() { write!(f, "{}", c.escape_default()) } else { write!(f, "{c}") })
}

impl std::error::Error for StartError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_whatever_was_written() {
        let origin = ValueOrigin::File("/etc/a\nb".into(), 7);
        let error = StartError::new("--no\u{1b}[2Jport", origin, "`a\nb` is no port", "write\u{f}it");
        assert_eq!(error.to_string(), "/etc/a\\nb:7: --no\\u{1b}[2Jport: `a\\nb` is no port; write\\u{f}it");
    }
}
