//! `toplet top --watch`: asks again at the pace of the samples, and draws whenever there is something new.
//!
//! A thread of its own asks, so that keys and signals are obeyed while a server is slow. Without a terminal the table is printed
//! again and again instead, until nobody reads it.

use super::ask::UsageServer;
use super::keys::{KeyReader, LiveKey};
use super::screen::{self, Scene, ScreenStyle, Traces};
use super::seen::Seen;
use crate::cli::TopOptions;
use crate::host::terminal::{self, LiveTerminal, TerminalEvent};
use crate::host::{clock, threads};
use crate::limits;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

/// What came of one refresh.
type Refreshed = Result<Seen, String>;

/// Shows usage until it is stopped.
/// # Errors
/// What is in the way, and what to do.
pub(super) fn run(server: UsageServer, options: &TopOptions) -> Result<(), String> {
    // What cannot be asked at all is said before the screen changes.
    let first = Seen::ask(&server, options)?;
    if !terminal::is_there() {
        return print_on(&server, options, first);
    }
    let terminal = LiveTerminal::take().map_err(|e| format!("the terminal cannot be used: {e}"))?;
    let (answers, woken) =
        refresh(server, options.clone(), pace(&first)).map_err(|e| format!("no thread to ask: {e}"))?;
    show(&terminal, options, first, &answers, &woken);
    Ok(())
}

/// Prints tables until nobody reads them.
fn print_on(server: &UsageServer, options: &TopOptions, first: Seen) -> Result<(), String> {
    let mut seen = Ok(first);
    loop {
        let (text, pause) = match seen {
            Ok(seen) => {
                let pause = pace(&seen);
                (seen.tables(options) + "\n", pause)
            }
            Err(error) => (format!("toplet: {error}\n\n"), limits::TOP_REFRESH_MAX),
        };
        let mut out = std::io::stdout();
        if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
            return Ok(());
        }
        std::thread::sleep(pause);
        seen = Seen::ask(server, options);
    }
}

/// Time to the next refresh: that between two samples, as far as they tell.
fn pace(seen: &Seen) -> Duration {
    let windows = seen.nodes.iter().filter_map(|node| u64::try_from(node.window?).ok());
    let window = windows.min().map_or(limits::TOP_REFRESH_MIN * 2, Duration::from_nanos);
    window.clamp(limits::TOP_REFRESH_MIN, limits::TOP_REFRESH_MAX)
}

/// Asks again and again on a thread of its own; a byte can be read where an answer waits.
fn refresh(
    server: UsageServer,
    options: TopOptions,
    mut pause: Duration,
) -> std::io::Result<(Receiver<Refreshed>, UnixStream)> {
    let (answers, received) = sync_channel(1);
    let (woken, mut wake) = UnixStream::pair()?;
    woken.set_nonblocking(true)?;
    threads::spawn("ask", move || {
        loop {
            std::thread::sleep(pause);
            let seen = Seen::ask(&server, &options);
            if let Ok(seen) = &seen {
                pause = pace(seen);
            }
            // The screen is gone: the process ends.
            if answers.send(seen).is_err() || wake.write_all(b".").is_err() {
                return;
            }
        }
    })?;
    Ok((received, woken))
}

/// Draws, and obeys keys, until the end.
fn show(
    terminal: &LiveTerminal,
    options: &TopOptions,
    first: Seen,
    answers: &Receiver<Refreshed>,
    mut woken: &UnixStream,
) {
    let style = style();
    let (mut traces, mut by) = (Traces::default(), options.sort);
    let mut rows = screen::rows(&first, options);
    traces.note(&rows);
    let (mut first, mut keys) = (0, KeyReader::default());
    let mut problem: Option<String> = None;
    loop {
        screen::sort(&mut rows, by);
        let (size, now) = (terminal.size(), clock::wall());
        let mut scene =
            Scene { rows: &rows, traces: &traces, sort: by, first, problem: problem.as_deref(), now };
        let extent = scene.extent(size.1);
        first = first.min(extent.first_max());
        scene.first = first;
        if terminal.write(scene.frame(size, style).as_bytes()).is_err() {
            return;
        }
        match terminal.wait(woken, limits::TOP_REFRESH_MIN) {
            TerminalEvent::Stop => return,
            TerminalEvent::Key(byte) => match keys.take(byte) {
                Some(LiveKey::Quit) => return,
                Some(LiveKey::Sort(wanted)) => (by, first) = (wanted, 0),
                Some(LiveKey::Lines(count)) => first = first.saturating_add_signed(count),
                Some(LiveKey::Screens(count)) => {
                    let lines = isize::try_from(extent.lines).unwrap_or(isize::MAX);
                    first = first.saturating_add_signed(lines.saturating_mul(count));
                }
                Some(LiveKey::First) => first = 0,
                Some(LiveKey::Last) => first = usize::MAX,
                None => {}
            },
            TerminalEvent::Resize | TerminalEvent::Late => {}
            TerminalEvent::Other => _ = woken.read(&mut [0; 16]),
        }
        for answer in answers.try_iter() {
            match answer {
                Ok(seen) => {
                    rows = screen::rows(&seen, options);
                    traces.note(&rows);
                    problem = None;
                }
                Err(error) => problem = Some(error),
            }
        }
    }
}

/// Colours unless `NO_COLOR` says none (no-color.org) or the terminal has none; blocks where text is UTF-8.
fn style() -> ScreenStyle {
    let variable = |name| std::env::var(name).unwrap_or_default();
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].map(variable).into_iter().find(|text| !text.is_empty());
    let locale = locale.unwrap_or_default().to_ascii_lowercase();
    ScreenStyle {
        colour: variable("NO_COLOR").is_empty() && variable("TERM") != "dumb",
        blocks: locale.ends_with("utf-8") || locale.ends_with("utf8"),
    }
}
