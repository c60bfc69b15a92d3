//! Log lines on standard error: klog's text, JSON, or the journal's form.
//!
//! A message begins in lower case and says what happened where, then, after a semicolon, what to do about it; it is said
//! when that changes. One line is one `write`, by a thread of its own (see `log_queue`), at most `limits::LOG_LINE_LEN_MAX` bytes, and never holds a control
//! character, so a name from a kubelet cannot forge a line. The buffer is reused. Lines of borrowed crates are not
//! written: they may quote headers.
//! Under systemd (`JOURNAL_STREAM` names our standard error) a line starts with `<N>`, its syslog priority, and has no
//! time of its own. Format: <https://kubernetes.io/docs/concepts/cluster-administration/system-logs/>.

use super::clock;
use super::log_queue::LogQueue;
use crate::limits;
use crate::lock::lock;
use crate::units::UnixNanos;
use crate::wire::time;
use log::{Level, LevelFilter, Metadata, Record};
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::{Mutex, OnceLock};

/// How a line is dressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogForm {
    /// `I1124 12:34:56.123456       1 file.rs:12] message`.
    Text,
    /// One JSON object.
    Json,
    /// `<6>message`.
    Journal,
}

struct Logger {
    form: LogForm,
    line: Mutex<String>,
    queue: LogQueue,
}

static LOGGER: OnceLock<Logger> = OnceLock::new();

/// Starts logging, into memory until [`start_writing`]; later calls change nothing. `verbosity` is `-v`: 0 what changes, 2 what is done, 6 everything.
pub fn start(verbosity: u32, json: bool) {
    let form = match (json, under_journal()) {
        (true, _) => LogForm::Json,
        (false, true) => LogForm::Journal,
        (false, false) => LogForm::Text,
    };
    let logger = LOGGER.get_or_init(|| Logger { form, line: Mutex::default(), queue: LogQueue::default() });
    if log::set_logger(logger).is_ok() {
        log::set_max_level(level(verbosity));
    }
}

/// Starts the thread that writes. Call it once signals are blocked, which each thread inherits.
/// # Errors
/// The operating system has no room for another thread.
pub fn start_writing() -> std::io::Result<()> {
    LOGGER.get().map_or(Ok(()), |logger| logger.queue.start(std::io::stderr(), gap))
}

/// Waits until all lines are written, for a short time at most; whether they were. Call it before the process ends.
#[must_use]
pub fn flush() -> bool {
    let Some(logger) = LOGGER.get() else { return true };
    let early = logger.queue.take_unwritten();
    // There are some only before the thread that writes was started. That thread may hold standard error for as long as it
    // is not read, so nothing is written here beside it.
    if !early.is_empty() {
        let _ = std::io::stderr().write_all(&early);
    }
    logger.queue.flush(limits::LOG_FLUSH_TIME_MAX)
}

/// The line that tells how many others were dropped.
fn gap(count: u64) -> String {
    let mut line = String::new();
    let Some(logger) = LOGGER.get() else { return line };
    write_line(
        &mut line,
        logger.form,
        clock::wall(),
        &Record::builder()
            .level(Level::Warn)
            .file(Some(file!()))
            .line(Some(line!()))
            .args(format_args!(
                "{count} log lines were dropped, since standard error was not read fast enough"
            ))
            .build(),
    );
    line
}

/// The most detailed level that a verbosity lets through.
fn level(verbosity: u32) -> LevelFilter {
    match verbosity {
        0..=1 => LevelFilter::Info,
        2..=5 => LevelFilter::Debug,
        _ => LevelFilter::Trace,
    }
}

/// Whether standard error is the journal's socket, as `JOURNAL_STREAM=DEVICE:INODE` says.
fn under_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    let owned = std::io::stderr().as_fd().try_clone_to_owned();
    let metadata = owned.and_then(|fd| std::fs::File::from(fd).metadata());
    metadata.is_ok_and(|metadata| stream == format!("{}:{}", metadata.dev(), metadata.ino()))
}

/// Whether a line comes from a crate of this program rather than from a borrowed one.
fn is_ours(target: &str) -> bool {
    let of = |path: &'static str| path.split("::").next();
    [of(module_path!()), of(crate::log_once::MODULE)].contains(&target.split("::").next())
}

impl log::Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        is_ours(metadata.target())
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let mut line = lock(&self.line);
        line.clear();
        write_line(&mut line, self.form, clock::wall(), record);
        self.queue.push(line.as_bytes());
    }

    fn flush(&self) {}
}

/// Writes one whole line into `line`.
fn write_line(line: &mut String, form: LogForm, at: UnixNanos, record: &Record<'_>) {
    // Writing to a bounded string fails when it is full: the line is cut there.
    let mut out = Bounded { line, form };
    let caller = record.file().and_then(|path| path.rsplit('/').next()).unwrap_or("?");
    let line_number = record.line().unwrap_or(0);
    match form {
        LogForm::Text => {
            let stamp = time::rfc3339_text(at);
            let stamp = stamp.as_str();
            debug_assert_eq!(stamp.len(), 20, "{stamp} is an RFC 3339 time");
            // A line without its time is still worth more than the process.
            let part = |range| stamp.get(range).unwrap_or_default();
            let (month, day, clock) = (part(5..7), part(8..10), part(11..19));
            let micros = at.0.rem_euclid(1_000_000_000) / 1_000;
            let letter = letter(record.level());
            let process = std::process::id();
            let _ = write!(
                out.line,
                "{letter}{month}{day} {clock}.{micros:06} {process:>7} {caller}:{line_number}] "
            );
            let _ = out.write_fmt(*record.args());
        }
        LogForm::Journal => {
            let _ = write!(out.line, "<{}>", priority(record.level()));
            let _ = out.write_fmt(*record.args());
        }
        LogForm::Json => {
            let (millis, micros) = (at.0.div_euclid(1_000_000), at.0.rem_euclid(1_000_000) / 1_000);
            let _ =
                write!(out.line, r#"{{"ts":{millis}.{micros:03},"caller":"{caller}:{line_number}","msg":""#);
            let _ = out.write_fmt(*record.args());
            let _ = match verbosity(record.level()) {
                Some(verbosity) => write!(out.line, r#"","v":{verbosity}}}"#),
                None => write!(out.line, r#"","level":"{}"}}"#, record.level().as_str().to_ascii_lowercase()),
            };
        }
    }
    line.push('\n');
}

fn letter(level: Level) -> char {
    match level {
        Level::Error => 'E',
        Level::Warn => 'W',
        Level::Info | Level::Debug | Level::Trace => 'I',
    }
}

/// The syslog priority.
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

/// The verbosity an informational line belongs to.
fn verbosity(level: Level) -> Option<u8> {
    match level {
        Level::Error | Level::Warn => None,
        Level::Info => Some(0),
        Level::Debug => Some(2),
        Level::Trace => Some(6),
    }
}

/// Takes a message: bounded in length, without control characters, quoted where the form asks for it.
struct Bounded<'a> {
    line: &'a mut String,
    form: LogForm,
}

impl std::fmt::Write for Bounded<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for c in text.chars() {
            if self.line.len() >= limits::LOG_LINE_LEN_MAX {
                return Err(std::fmt::Error);
            }
            match c {
                '"' | '\\' if self.form == LogForm::Json => {
                    self.line.push('\\');
                    self.line.push(c);
                }
                c if c.is_control() && self.form == LogForm::Json => {
                    write!(self.line, "\\u{:04x}", u32::from(c))?
                }
                c if c.is_control() => write!(self.line, "{}", c.escape_default())?,
                c => self.line.push(c),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(form: LogForm, level: Level, message: &str) -> String {
        let mut line = String::new();
        // 2026-11-24T12:34:56.123456789Z
        let at = UnixNanos(1_795_523_696_123_456_789);
        write_line(
            &mut line,
            form,
            at,
            &Record::builder()
                .level(level)
                .target("toplet")
                .file(Some("src/poller/scrape.rs"))
                .line(Some(12))
                .args(format_args!("{message}"))
                .build(),
        );
        line
    }

    #[test]
    fn text_is_klogs() {
        let process = std::process::id();
        assert_eq!(
            line(LogForm::Text, Level::Warn, "node edge-1: refused"),
            format!("W1124 12:34:56.123456 {process:>7} scrape.rs:12] node edge-1: refused\n")
        );
        assert!(line(LogForm::Text, Level::Debug, "x").starts_with("I1124 "));
    }

    #[test]
    fn the_journal_gets_a_priority_and_no_time() {
        assert_eq!(line(LogForm::Journal, Level::Error, "a"), "<3>a\n");
        assert_eq!(line(LogForm::Journal, Level::Info, "a"), "<6>a\n");
        assert_eq!(line(LogForm::Journal, Level::Trace, "a"), "<7>a\n");
    }

    #[test]
    fn json_is_one_object_a_line() {
        assert_eq!(
            line(LogForm::Json, Level::Info, "a \"b\"\n"),
            "{\"ts\":1795523696123.456,\"caller\":\"scrape.rs:12\",\"msg\":\"a \\\"b\\\"\\u000a\",\"v\":0}\n"
        );
        assert!(line(LogForm::Json, Level::Error, "a").ends_with("\"msg\":\"a\",\"level\":\"error\"}\n"));
    }

    #[test]
    fn a_message_cannot_forge_a_line_or_grow_without_end() {
        let forged = line(LogForm::Journal, Level::Info, "pod\n<0>panic\u{1b}[2J");
        assert_eq!(forged, "<6>pod\\n<0>panic\\u{1b}[2J\n");
        let long = line(LogForm::Text, Level::Info, &"x".repeat(1_000_000));
        assert!(long.len() <= limits::LOG_LINE_LEN_MAX + 1 && long.ends_with("x\n"));
        assert_eq!(line(LogForm::Json, Level::Info, &"x".repeat(1_000_000)).matches('}').count(), 1);
    }

    #[test]
    fn verbosity_opens_levels() {
        assert_eq!([0, 1, 2, 5, 6, 10].map(level), {
            use LevelFilter::{Debug, Info, Trace};
            [Info, Info, Debug, Debug, Trace, Trace]
        });
    }

    #[test]
    fn lines_of_borrowed_crates_are_not_written() {
        let logger = Logger { form: LogForm::Text, line: Mutex::default(), queue: LogQueue::default() };
        let enabled = |target| log::Log::enabled(&logger, &Metadata::builder().target(target).build());
        assert!(enabled("toplet::poller::scrape") && enabled("toplet"));
        assert!(enabled(crate::log_once::MODULE), "all that is said once for each change");
        assert!(!enabled("ureq::run") && !enabled("toplets"));
    }
}
