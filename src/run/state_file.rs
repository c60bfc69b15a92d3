//! The file of points in the state directory: read at the start, written every minute and at the end.
//!
//! It is replaced as a whole, so that a crash leaves the old one or the new one. Nothing depends on it: a file that cannot
//! be used, or written, costs one line and a slower start.

use crate::host::clock;
use crate::limits;
use crate::lock::lock;
use crate::log_once::LogOnce;
use crate::store::Store;
use crate::store::snapshot::Snapshot;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Mutex;

const NAME: &str = "points";

/// Where points are kept between runs.
pub struct StateFile {
    directory: PathBuf,
    boot_id: String,
    log: LogOnce,
}

impl StateFile {
    /// The file in `directory`, which is made if it can be; `None` on a system that gives no boot an id, where times would
    /// mean nothing.
    #[must_use]
    pub fn new(directory: PathBuf) -> Option<StateFile> {
        // Where it cannot be made, writing says why.
        let _ = fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory);
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(StateFile { directory, boot_id, log: LogOnce::new() })
    }

    /// Hands the points of an earlier run to the store.
    pub fn load(&self, store: &Mutex<Store>) {
        let path = self.directory.join(NAME);
        let mut bytes = Vec::new();
        let read =
            File::open(&path).and_then(|file| file.take(limits::SNAPSHOT_LEN_MAX).read_to_end(&mut bytes));
        let reason = match read {
            Ok(_) => match Snapshot::read(bytes, &self.boot_id, clock::uptime()) {
                Ok(snapshot) => return lock(store).restore(snapshot),
                Err(error) => error.to_string(),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => return,
            Err(error) => error.to_string(),
        };
        log::info!("points of an earlier run are not used: {}: {reason}", path.display());
    }

    /// Writes what the store knows; the store is locked for one node at a time.
    pub fn save(&self, store: &Mutex<Store>) {
        let mut out = Snapshot::begin(&self.boot_id, clock::uptime());
        let mut after = None;
        loop {
            let written = lock(store).write_points(after.as_deref(), &mut out);
            match written {
                Some(name) => after = Some(name),
                None => break,
            }
        }
        Snapshot::seal(&mut out);
        let path = self.directory.join(NAME);
        match self.replace(&out) {
            Ok(()) => {
                self.log.recovered("points", format_args!("{}: written again", path.display()));
            }
            Err(error) => {
                let message = format_args!(
                    "{}: {error}; after a restart the first figures come with the second scrape",
                    path.display()
                );
                self.log.problem(log::Level::Warn, "points", error.kind(), message);
            }
        }
    }

    fn replace(&self, bytes: &[u8]) -> std::io::Result<()> {
        let new = self.directory.join(format!("{NAME}.new"));
        // One that a crash left behind. Made new and readable by its owner alone: it tells what runs where.
        let _ = fs::remove_file(&new);
        let mut options = File::options();
        let written = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)
            .and_then(|mut file| file.write_all(bytes))
            .and_then(|()| fs::rename(&new, self.directory.join(NAME)));
        if written.is_err() {
            // On a full disk a part of it would take the last room.
            let _ = fs::remove_file(&new);
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::batch::Batch;
    use crate::store::{Capacity, NodeRecord};
    use crate::units::{UnixNanos, Uptime, Window};

    const CAPACITY: Capacity = Capacity { nodes: 8, pods: 64, containers: 128, text_len: 1 << 16 };

    fn store() -> Mutex<Store> {
        let mut store = Store::new(CAPACITY, Window::from_secs(15));
        store.upsert_node(&NodeRecord { name: "n", ready: true, ..NodeRecord::default() }).unwrap();
        Mutex::new(store)
    }

    fn scrape(store: &Mutex<Store>, at: Uptime, second: u32) -> bool {
        let mut batch = Batch::new();
        batch.begin(UnixNanos(0));
        let time = 1_795_735_658_000_u64 + 1_000 * u64::from(second);
        let body = format!(
            "node_cpu_usage_seconds_total {}.5 {time}\nnode_memory_working_set_bytes 5 {time}\n",
            100 + second
        );
        batch.feed(body.as_bytes()).unwrap();
        batch.finish();
        let mut store = lock(store);
        store.commit("n", &batch, at);
        store.node("n").unwrap().usage.is_some()
    }

    #[test]
    fn the_file_is_its_owners_alone_and_no_link_is_followed() {
        use std::os::unix::fs::PermissionsExt;
        let directory = std::env::temp_dir().join(format!("toplet-private-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let other = directory.join("other");
        fs::write(&other, "other").unwrap();
        std::os::unix::fs::symlink(&other, directory.join(format!("{NAME}.new"))).unwrap();
        StateFile::new(directory.clone()).unwrap().save(&store());
        let written = fs::symlink_metadata(directory.join(NAME)).unwrap();
        assert!(written.is_file());
        assert_eq!(written.permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read(&other).unwrap(), b"other");
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn points_are_there_after_a_restart_and_what_cannot_be_used_costs_nothing() {
        let directory = std::env::temp_dir().join(format!("toplet-points-{}", std::process::id()));
        let file = StateFile::new(directory.clone()).unwrap();
        let now = clock::uptime();
        let (old, new) = (store(), store());
        file.load(&new);
        assert!(!scrape(&old, now, 0));
        file.save(&old);
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1, "the new file took the old one's place");
        file.load(&new);
        assert!(scrape(&new, Uptime(now.0 + 10), 1), "rates with the first scrape");
        // A damaged file, and another boot's, are as none.
        let mut bytes = fs::read(directory.join(NAME)).unwrap();
        bytes[30] ^= 1;
        fs::write(directory.join(NAME), &bytes).unwrap();
        let new = store();
        file.load(&new);
        assert!(!scrape(&new, Uptime(now.0 + 10), 1));
        // The next writing replaces it.
        file.save(&old);
        let new = store();
        file.load(&new);
        assert!(scrape(&new, Uptime(now.0 + 10), 1));
        fs::remove_dir_all(&directory).unwrap();
        // Nowhere to write: a line, and nothing else.
        file.save(&old);
        file.load(&store());
    }
}
