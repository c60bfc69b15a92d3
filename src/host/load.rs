//! How hard this machine is pressed: the kernel's pressure stall information, and how full its file systems are.
//!
//! Read now and then by one thread, and shown by others. What the kernel does not have (pressure before 4.20, or switched off)
//! is left out. A file system may be on a server that is gone, and then never answers: file systems are asked by a thread of
//! their own, at most one at a time, and left out while that waits.

use super::threads;
use crate::api::context::{FileSystem, HostLoad};
use crate::limits;
use crate::log_once::LogOnce;
use crate::units::Bytes;
use crate::wire::pressure;
use rustix::fs::statvfs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};

/// Where usage is read, and where container images, logs and volumes are kept.
const PATHS: [&str; 2] = ["/", "/var/lib"];

type FileSystems = [Option<FileSystem>; 2];

/// Reads the load of this machine again and again.
#[derive(Default)]
pub struct LoadReader {
    /// What the file systems have not answered yet.
    pending: Option<Receiver<FileSystems>>,
    log: LogOnce,
}

impl LoadReader {
    /// What is known now; waits for file systems no longer than `limits::FILE_SYSTEM_WAIT`.
    pub fn read(&mut self) -> HostLoad {
        HostLoad {
            pressure: pressure::RESOURCES.map(|resource| {
                pressure::parse(&std::fs::read_to_string(format!("/proc/pressure/{resource}")).ok()?)
            }),
            file_systems: self.file_systems(file_systems),
        }
    }

    /// Asks with `ask`, unless the last answer is awaited still.
    fn file_systems(&mut self, ask: impl FnOnce() -> FileSystems + Send + 'static) -> FileSystems {
        let [root, lib] = PATHS;
        let answer = self.pending.take().unwrap_or_else(|| {
            let (sender, answer) = sync_channel(1);
            // Without a thread the sender is dropped, and there is no answer.
            let _ = threads::spawn("file systems", move || sender.send(ask()));
            answer
        });
        match answer.recv_timeout(limits::FILE_SYSTEM_WAIT) {
            Ok(found) => {
                self.log.recovered(root, format_args!("the file systems of {root} and {lib} answer again"));
                found
            }
            Err(RecvTimeoutError::Timeout) => {
                self.pending = Some(answer);
                self.log.problem(
                    log::Level::Warn,
                    root,
                    (),
                    format_args!(
                        "the file systems of {root} and {lib} do not answer: their use is not shown; look for a network \
                         mount whose server is gone (findmnt), and mount it again or unmount it (umount -l)"
                    ),
                );
                FileSystems::default()
            }
            Err(RecvTimeoutError::Disconnected) => FileSystems::default(),
        }
    }
}

/// Asks all file systems; blocks for as long as they do.
fn file_systems() -> FileSystems {
    let device = |path: &str| Path::new(path).metadata().map(|found| found.dev()).ok();
    let [root, lib] = PATHS.map(device);
    let [whole, below] = PATHS.map(file_system);
    // A folder of the same file system says nothing new.
    [whole, below.filter(|_| root != lib)]
}

fn file_system(path: &'static str) -> Option<FileSystem> {
    let found = statvfs(path).ok()?;
    let bytes = |blocks: u64| Bytes(blocks.saturating_mul(found.f_frsize));
    Some(FileSystem {
        path,
        size: bytes(found.f_blocks),
        used: bytes(found.f_blocks.saturating_sub(found.f_bfree)),
        available: bytes(found.f_bavail),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_there_and_its_figures_agree() {
        let [Some(root), _] = file_systems() else { panic!("no root") };
        assert_eq!(root.path, "/");
        assert!(root.size.0 > 0 && root.used.0 <= root.size.0);
        assert!(root.used.0 + root.available.0 <= root.size.0);
    }

    #[test]
    fn what_is_not_there_is_left_out() {
        assert_eq!(file_system("/nonexistent"), None);
    }

    #[test]
    fn a_file_system_that_does_not_answer_is_left_out_and_asked_once() {
        let root = file_system("/");
        let figures = move |size| [root.map(|it| FileSystem { size: Bytes(size), ..it }), None];
        let mut reader = LoadReader::default();
        assert_eq!(reader.file_systems(move || figures(1)), figures(1));
        let (mount, unblocked) = sync_channel::<()>(0);
        let hung = move || {
            let _ = unblocked.recv();
            figures(2)
        };
        assert_eq!(reader.file_systems(hung), [None, None]);
        assert_eq!(reader.file_systems(|| unreachable!("one waits already")), [None, None]);
        drop(mount);
        let mut again =
            std::iter::repeat_with(|| reader.file_systems(|| unreachable!("one waits already"))).take(100);
        assert_eq!(again.find(|answer| *answer != [None, None]), Some(figures(2)));
        assert_eq!(reader.file_systems(move || figures(3)), figures(3), "it is asked again");
    }
}
