//! How the value of each kind of flag is read: Go's syntaxes, as in every Kubernetes component.
//!
//! The same functions validate a value where it stands (so that an error can name the line of a file) and turn it into
//! its type for the configuration. Each error completes the sentence "VALUE is not ...".

use super::flags::ValueKind;
use crate::wire::time;
use std::net::{IpAddr, Ipv4Addr};

/// A signed duration in nanoseconds, as Go's `time.Duration`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nanos(pub i64);

impl Nanos {
    /// As a standard duration; zero when negative, which the rules exclude.
    #[must_use]
    pub fn duration(self) -> std::time::Duration {
        std::time::Duration::from_nanos(u64::try_from(self.0).unwrap_or(0))
    }
}

/// Whether a value can be read as its kind.
/// # Errors
/// What it is not, with an example.
pub fn validate(kind: ValueKind, value: &str) -> Result<(), String> {
    match kind {
        ValueKind::Switch => switch(value).map(drop),
        ValueKind::Int => int(value).map(drop),
        ValueKind::Port => port(value).map(drop),
        ValueKind::Float => float(value),
        ValueKind::Duration => duration(value).map(drop),
        ValueKind::Ip => ip(value).map(drop),
        ValueKind::List => list(value).map(drop),
        ValueKind::Text | ValueKind::Repeated => Ok(()),
    }
}

/// Go's booleans.
/// # Errors
/// Anything else.
pub fn switch(value: &str) -> Result<bool, String> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("true or false".to_owned()),
    }
}

/// A whole number from 0 to 2^32 - 1.
/// # Errors
/// Anything else.
pub fn int(value: &str) -> Result<u32, String> {
    value.parse().map_err(|_| "a whole number, not negative".to_owned())
}

/// A TCP port; 0 is readable here and refused where it makes no sense.
/// # Errors
/// Anything else.
pub fn port(value: &str) -> Result<u16, String> {
    value.parse().map_err(|_| "a port from 1 to 65535".to_owned())
}

fn float(value: &str) -> Result<(), String> {
    value.parse::<f64>().map(drop).map_err(|_| "a number".to_owned())
}

/// An address; empty means every address, as for metrics-server.
/// # Errors
/// Anything else.
pub fn ip(value: &str) -> Result<IpAddr, String> {
    if value.is_empty() {
        return Ok(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    }
    value.parse().map_err(|_| "an IP address".to_owned())
}

/// A comma-separated list; an element in double quotes may hold commas, and `""` in it is one quote.
/// # Errors
/// A quote that is not closed, or text around a quoted element.
pub fn list(value: &str) -> Result<Vec<String>, String> {
    let mut elements = Vec::new();
    if value.is_empty() {
        return Ok(elements);
    }
    let mut rest = value;
    loop {
        let (element, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_element(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let (element, after) = rest.split_at(end);
                (element.to_owned(), after)
            }
        };
        elements.push(element);
        match after.strip_prefix(',') {
            Some(more) => rest = more,
            None if after.is_empty() => return Ok(elements),
            None => return Err("a list: a quoted element ends before a comma".to_owned()),
        }
    }
}

/// The element after an opening quote, and what follows its closing one.
fn quoted_element(text: &str) -> Result<(String, &str), String> {
    let mut element = String::new();
    let mut rest = text;
    loop {
        let (before, after) =
            rest.split_once('"').ok_or_else(|| "a list: a quote is not closed".to_owned())?;
        element.push_str(before);
        match after.strip_prefix('"') {
            Some(more) => {
                element.push('"');
                rest = more;
            }
            None => return Ok((element, after)),
        }
    }
}

/// Go's duration, such as `15s`, `1m0s`, `1.5h` or `0`.
/// # Errors
/// Anything else, and what does not fit into 292 years.
pub fn duration(value: &str) -> Result<Nanos, String> {
    time::parse_duration(value).map(Nanos).map_err(|_| "a duration such as 15s, 1m30s or 500ms".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, nanos) in [
            ("15s", 15_000_000_000),
            ("1m0s", 60_000_000_000),
            ("1.5h", 5_400_000_000_000),
            ("300ms", 300_000_000),
            ("1h2m3.5s", 3_723_500_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("-10s", -10_000_000_000),
            ("0", 0),
            ("7us", 7_000),
            ("7µs", 7_000),
            ("1.0000000001s", 1_000_000_000),
        ] {
            assert_eq!(duration(text), Ok(Nanos(nanos)), "{text}");
        }
        for text in ["", "15", "s", "1x", "1.2.3s", ".s", "-", "9999999999h", "1 s", "--1s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn lists_split_at_commas_outside_quotes() {
        assert_eq!(list("a,b"), Ok(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(list(""), Ok(vec![]));
        assert_eq!(list("a,"), Ok(vec!["a".to_owned(), String::new()]));
        assert_eq!(list(r#""a,b",c"#), Ok(vec!["a,b".to_owned(), "c".to_owned()]));
        assert_eq!(list(r#""a""b""#), Ok(vec![r#"a"b"#.to_owned()]));
        assert!(list(r#""a"#).is_err());
        assert!(list(r#""a"b"#).is_err());
    }

    #[test]
    fn each_kind_refuses_what_it_is_not() {
        for (kind, value) in [
            (ValueKind::Switch, "yes"),
            (ValueKind::Int, "-1"),
            (ValueKind::Int, "1.5"),
            (ValueKind::Port, "65536"),
            (ValueKind::Float, "x"),
            (ValueKind::Duration, "10"),
            (ValueKind::Ip, "localhost"),
            (ValueKind::List, "\"a"),
        ] {
            assert!(validate(kind, value).is_err(), "{kind:?} {value}");
        }
        assert_eq!(ip(""), Ok(IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
        assert_eq!(switch("T"), Ok(true));
    }
}
