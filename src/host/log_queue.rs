//! Log lines on their way to standard error: a bounded queue and one thread that writes.
//!
//! The reader of standard error may stop reading; then a write blocks, and must block neither the thread that serves nor the
//! one that reads signals. Lines beyond `limits::LOG_QUEUE_LEN` are dropped and counted, and the count is written when
//! there is room again. Memory: the queue, and as much again while it is written.

use super::threads;
use crate::limits;
use crate::lock::lock;
use std::io::{Result, Write};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// A queue of whole lines.
#[derive(Debug, Default)]
pub struct LogQueue {
    state: Mutex<QueueState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct QueueState {
    lines: Vec<u8>,
    dropped: u64,
    has_writer: bool,
    is_writing: bool,
}

impl QueueState {
    fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.dropped == 0
    }
}

impl LogQueue {
    /// Takes a line, its end included, or counts it as dropped.
    pub fn push(&self, line: &[u8]) {
        let mut state = lock(&self.state);
        // After a gap nothing may follow before the gap was told.
        if state.dropped > 0 || state.lines.len() + line.len() > limits::LOG_QUEUE_LEN {
            state.dropped = state.dropped.saturating_add(1);
        } else {
            state.lines.extend_from_slice(line);
        }
        self.changed.notify_all();
    }

    /// Starts the thread that writes to `out`; `gap` makes the line that tells how many were dropped.
    /// # Errors
    /// The operating system has no room for another thread.
    pub fn start(&'static self, out: impl Write + Send + 'static, gap: fn(u64) -> String) -> Result<()> {
        lock(&self.state).has_writer = true;
        threads::spawn("log", move || self.work(out, gap)).map(drop)
    }

    fn work(&self, mut out: impl Write, gap: fn(u64) -> String) {
        let mut lines = Vec::new();
        loop {
            let mut state = lock(&self.state);
            state.is_writing = false;
            self.changed.notify_all();
            while state.is_empty() {
                state = self.changed.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner);
            }
            std::mem::swap(&mut lines, &mut state.lines);
            let dropped = std::mem::take(&mut state.dropped);
            state.is_writing = true;
            drop(state);
            for line in lines.split_inclusive(|&byte| byte == b'\n') {
                // A closed standard error must not stop the service.
                let _ = out.write_all(line);
            }
            if dropped > 0 {
                let _ = out.write_all(gap(dropped).as_bytes());
            }
            lines.clear();
            lines.shrink_to(limits::LOG_LINE_LEN_MAX);
        }
    }

    /// Waits until everything is written, for `time` at most; whether it was.
    pub fn flush(&self, time: Duration) -> bool {
        let state = lock(&self.state);
        let pending = |state: &mut QueueState| state.is_writing || !state.is_empty();
        if !state.has_writer {
            return state.is_empty();
        }
        let waited = self.changed.wait_timeout_while(state, time, pending);
        !waited.unwrap_or_else(std::sync::PoisonError::into_inner).1.timed_out()
    }

    /// Takes what waits, unless a thread writes it.
    pub fn take_unwritten(&self) -> Vec<u8> {
        let mut state = lock(&self.state);
        if state.has_writer { Vec::new() } else { std::mem::take(&mut state.lines) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    /// Takes one line for each permission.
    struct Slow {
        permissions: Receiver<()>,
        written: SyncSender<Vec<u8>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> Result<usize> {
            self.permissions.recv().map_err(std::io::Error::other)?;
            self.written.send(bytes.to_vec()).map_err(std::io::Error::other)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_stops_costs_lines_and_blocks_nobody() {
        let queue: &LogQueue = Box::leak(Box::default());
        let (permit, permissions) = sync_channel(10_000);
        let (written, lines) = sync_channel(10_000);
        queue.start(Slow { permissions, written }, |count| format!("{count} dropped\n")).unwrap();
        let line = [&[b'a'; 1023][..], b"\n"].concat();
        queue.push(b"first\n");
        while !lock(&queue.state).is_writing {
            std::thread::yield_now();
        }
        let room = limits::LOG_QUEUE_LEN / line.len();
        (0..room + 7).for_each(|_| queue.push(&line));
        queue.push(b"small\n");
        assert!(!queue.flush(Duration::from_millis(1)), "the reader has stopped");
        assert!(lock(&queue.state).lines.capacity() <= limits::LOG_QUEUE_LEN * 2);
        (0..room + 2).for_each(|_| permit.send(()).unwrap());
        let lines: Vec<_> = lines.iter().take(room + 2).collect();
        assert_eq!(lines[0], b"first\n");
        assert!(lines[1..=room].iter().all(|written| *written == line));
        assert_eq!(lines[room + 1], b"8 dropped\n");
        permit.send(()).unwrap();
        queue.push(b"next\n");
        assert!(queue.flush(Duration::from_secs(20)));
    }

    #[test]
    fn without_a_writer_lines_are_kept_and_can_be_taken() {
        let queue = LogQueue::default();
        assert!(queue.flush(Duration::ZERO));
        queue.push(b"early\n");
        assert!(!queue.flush(Duration::ZERO));
        assert_eq!(queue.take_unwritten(), b"early\n");
    }
}
