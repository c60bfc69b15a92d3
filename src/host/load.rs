//! How hard this machine is pressed: the kernel's pressure stall information, and how full its file systems are.
//!
//! Read now and then by one thread, and shown by others. What the kernel does not have (pressure before 4.20, or switched off)
//! is left out.

use crate::api::context::{FileSystem, HostLoad};
use crate::units::Bytes;
use crate::wire::pressure::{self, Pressure};
use rustix::fs::statvfs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Where usage is read, and where container images, logs and volumes are kept.
const PATHS: [&str; 2] = ["/", "/var/lib"];

/// Reads everything; blocks for as long as the file systems do.
#[must_use]
pub fn read() -> HostLoad {
    let device = |path: &str| Path::new(path).metadata().map(|found| found.dev()).ok();
    let [root, lib] = PATHS.map(device);
    let [whole, below] = PATHS.map(file_system);
    // A folder of the same file system says nothing new.
    HostLoad { pressure: pressures(), file_systems: [whole, below.filter(|_| root != lib)] }
}

/// Reads what the kernel itself knows, which never blocks.
#[must_use]
pub fn pressures() -> [Option<Pressure>; 3] {
    pressure::RESOURCES
        .map(|resource| pressure::parse(&std::fs::read_to_string(format!("/proc/pressure/{resource}")).ok()?))
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
        let HostLoad { file_systems: [Some(root), _], .. } = read() else { panic!("no root") };
        assert_eq!(root.path, "/");
        assert!(root.size.0 > 0 && root.used.0 <= root.size.0);
        assert!(root.used.0 + root.available.0 <= root.size.0);
    }

    #[test]
    fn what_is_not_there_is_left_out() {
        assert_eq!(file_system("/nonexistent"), None);
    }
}
