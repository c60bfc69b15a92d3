//! Pressure stall information of the Linux kernel: how much time work waited for a resource.
//!
//! A file has a line for work of which some waited and, but for some kernels' CPU, one for times in which all of it did:
//! `some avg10=0.12 avg60=0.05 avg300=0.01 total=123456`. Source: Documentation/accounting/psi.rst.

/// What work waits for; files are named after it.
pub const RESOURCES: [&str; 3] = ["cpu", "memory", "io"];

/// One line: shares of the last 10, 60 and 300 seconds in percent, and the time in all.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stall {
    /// Percent of the last 10 s, minute and five minutes; 0 to 100.
    pub averages: [f32; 3],
    /// Microseconds since the machine started.
    pub total_micros: u64,
}

/// One file.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pressure {
    /// Some work waited.
    pub some: Stall,
    /// All work waited.
    pub full: Option<Stall>,
}

/// Reads a file; `None` where it has no usable `some`.
#[must_use]
pub fn parse(text: &str) -> Option<Pressure> {
    let line = |kind: &str| {
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(kind)?.strip_prefix(' '));
        stall(lines.next()?)
    };
    Some(Pressure { some: line("some")?, full: line("full") })
}

fn stall(line: &str) -> Option<Stall> {
    let value = |name: &str| {
        line.split_ascii_whitespace().find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
    };
    let percent = |name: &str| value(name)?.parse().ok().filter(|share: &f32| (0.0..=100.0).contains(share));
    Some(Stall {
        averages: [percent("avg10")?, percent("avg60")?, percent("avg300")?],
        total_micros: value("total")?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_lines_are_read_and_one_alone() {
        let some = "some avg10=25.49 avg60=47.97 avg300=100.00 total=17756832162\n";
        let stall = Stall { averages: [25.49, 47.97, 100.0], total_micros: 17_756_832_162 };
        assert_eq!(parse(some), Some(Pressure { some: stall, full: None }));
        let both = format!("{some}full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n");
        assert_eq!(parse(&both), Some(Pressure { some: stall, full: Some(Stall::default()) }));
    }

    #[test]
    fn what_is_not_complete_or_not_a_share_is_nothing() {
        for text in [
            "",
            "full avg10=0.00 avg60=0.00 avg300=0.00 total=0",
            "some avg10=0.00 avg60=0.00 total=0",
            "some avg10=nan avg60=0.00 avg300=0.00 total=0",
            "some avg10=101 avg60=0.00 avg300=0.00 total=0",
            "some avg10=-1 avg60=0.00 avg300=0.00 total=0",
            "some avg10=0.00 avg60=0.00 avg300=0.00 total=-1",
            "somewhat avg10=0.00 avg60=0.00 avg300=0.00 total=0",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
