//! Work on files, on a thread of its own, one at a time: it never ends while a network mount waits for a server that is gone.
//!
//! The thread lasts as long as the work, so that between two errands it costs no memory.

use super::threads;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

/// The errand under way, if there is one.
#[derive(Debug, Default)]
pub struct Errand(Option<(Receiver<()>, Instant)>);

impl Errand {
    /// Starts `work`. Where the system has no room for a thread it is left out.
    /// # Errors
    /// The last one has not ended: for how long it has been under way.
    pub fn start(&mut self, now: Instant, work: impl FnOnce() + Send + 'static) -> Result<(), Duration> {
        if !self.wait(Duration::ZERO) {
            return Err(self.0.as_ref().map_or(Duration::ZERO, |(_, since)| now.duration_since(*since)));
        }
        let (end, ended) = sync_channel(1);
        // Without a thread the sender is dropped, which is an end too.
        let _ = threads::spawn("files", move || {
            work();
            end.send(())
        });
        self.0 = Some((ended, now));
        Ok(())
    }

    /// Waits for the end, at most for `time`; whether it came.
    pub fn wait(&mut self, time: Duration) -> bool {
        let ended =
            self.0.as_ref().is_none_or(|(end, _)| end.recv_timeout(time) != Err(RecvTimeoutError::Timeout));
        if ended {
            self.0 = None;
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::clock;

    #[test]
    fn an_errand_that_hangs_is_waited_for_by_nobody_and_not_doubled() {
        let begin = clock::mono();
        let mut errand = Errand::default();
        assert!(errand.wait(Duration::ZERO), "nothing is under way");
        let (mount, unblocked) = sync_channel::<()>(0);
        let hung = move || assert!(unblocked.recv().is_err());
        assert_eq!(errand.start(begin, hung), Ok(()));
        let later = begin + Duration::from_secs(60);
        for _ in 0..3 {
            assert_eq!(
                errand.start(later, || unreachable!("one is under way")),
                Err(Duration::from_secs(60))
            );
        }
        assert!(!errand.wait(Duration::from_millis(1)));
        drop(mount);
        assert!(errand.wait(Duration::from_secs(60)));
        let (done, ended) = sync_channel(1);
        assert_eq!(
            errand.start(later, move || done.send(()).unwrap()),
            Ok(()),
            "the next one can be started"
        );
        ended.recv().unwrap();
    }
}
