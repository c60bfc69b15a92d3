//! Control groups of both versions: which hierarchy counts, and the figures of one cgroup.
//!
//! Version 2 has one tree; version 1 has a tree for each controller, and a hybrid machine is version 1 with an empty tree
//! of version 2 beside it. A container's working set is its memory in use without inactive file pages, as cAdvisor
//! computes it. Every file is read whole or not at all; a figure that is missing is an error, never a zero.

use super::files::{self, Files};
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

/// Which hierarchy counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hierarchy {
    /// Version 2: one tree.
    Unified(PathBuf),
    /// Version 1: a tree for each controller.
    Split {
        /// Of `cpuacct`.
        cpu: PathBuf,
        /// Of `memory`.
        memory: PathBuf,
    },
}

/// What a cgroup and those below it use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CgroupUsage {
    /// Nanoseconds.
    pub(super) cpu: u64,
    /// Bytes.
    pub(super) working_set: u64,
    /// Bytes; `None` where swap is not accounted.
    pub(super) swap: Option<u64>,
}

impl Hierarchy {
    /// Looks at what is mounted below `root`.
    pub(super) fn find(root: &Path) -> Hierarchy {
        if root.join("cgroup.controllers").exists() {
            return Hierarchy::Unified(root.to_owned());
        }
        // Without any of them the path is only what errors name.
        let cpu = ["cpuacct", "cpu,cpuacct", "cpuacct,cpu"].map(|name| root.join(name));
        let cpu = cpu.into_iter().find(|path| path.exists()).unwrap_or_else(|| root.join("cpuacct"));
        Hierarchy::Split { cpu, memory: root.join("memory") }
    }

    /// The tree to search for containers.
    pub(super) fn tree(&self) -> &Path {
        match self {
            Hierarchy::Unified(root) | Hierarchy::Split { cpu: root, .. } => root,
        }
    }

    /// Whether the kernel accounts memory by cgroup; many boards start without.
    pub(super) fn accounts_memory(&self, files: &mut Files) -> bool {
        match self {
            Hierarchy::Unified(root) => files
                .text(&root.join("cgroup.controllers"))
                .is_ok_and(|text| text.split_ascii_whitespace().any(|controller| controller == "memory")),
            Hierarchy::Split { memory, .. } => memory.exists(),
        }
    }

    /// Whether a cgroup is there still.
    pub(super) fn exists(&self, cgroup: &Path) -> bool {
        self.tree().join(cgroup).is_dir()
    }

    /// What a cgroup uses.
    /// # Errors
    /// The file that is missing or holds no such figure.
    pub(super) fn usage(&self, files: &mut Files, cgroup: &Path) -> Result<CgroupUsage, Error> {
        match self {
            Hierarchy::Unified(root) => {
                let root = root.join(cgroup);
                let cpu = files.figure(&root.join("cpu.stat"), usage_nanos)?;
                let used = files.figure(&root.join("memory.current"), files::number)?;
                let inactive =
                    files.figure(&root.join("memory.stat"), |text| files::keyed(text, "inactive_file"))?;
                let swap = files.figure(&root.join("memory.swap.current"), files::number).ok();
                Ok(CgroupUsage { cpu, working_set: used.saturating_sub(inactive), swap })
            }
            Hierarchy::Split { cpu, memory } => {
                let cpu = files.figure(&cpu.join(cgroup).join("cpuacct.usage"), files::number)?;
                let (working_set, swap) = split_memory(files, &memory.join(cgroup))?;
                Ok(CgroupUsage { cpu, working_set, swap })
            }
        }
    }

    /// CPU time of the whole machine in nanoseconds, if the tree's top is the machine's: inside a container it may be
    /// the container's own.
    pub(super) fn machine_cpu(&self, files: &mut Files) -> Option<Result<u64, Error>> {
        match self {
            Hierarchy::Unified(root) => {
                let path = root.join("cpu.stat");
                // Every cgroup but the machine's root has a type.
                let is_top = !root.join("cgroup.type").exists() && path.exists();
                is_top.then(|| files.figure(&path, usage_nanos))
            }
            Hierarchy::Split { cpu, .. } => {
                is_top(cpu).then(|| files.figure(&cpu.join("cpuacct.usage"), files::number))
            }
        }
    }

    /// Working set of the whole machine, as [`Hierarchy::machine_cpu`]; the top of a version 2 tree has none.
    pub(super) fn machine_memory(&self, files: &mut Files) -> Option<Result<u64, Error>> {
        match self {
            Hierarchy::Split { memory, .. } if is_top(memory) => {
                Some(split_memory(files, memory).map(|(working_set, _)| working_set))
            }
            _ => None,
        }
    }
}

/// Only the top of a version 1 tree has a release agent.
fn is_top(tree: &Path) -> bool {
    tree.join("release_agent").exists()
}

/// Working set and swap of a cgroup of version 1.
fn split_memory(files: &mut Files, cgroup: &Path) -> Result<(u64, Option<u64>), Error> {
    let used = files.figure(&cgroup.join("memory.usage_in_bytes"), files::number)?;
    let (inactive, swap) = files.figure(&cgroup.join("memory.stat"), |text| {
        Some((files::keyed(text, "total_inactive_file")?, files::keyed(text, "total_swap")))
    })?;
    Ok((used.saturating_sub(inactive), swap))
}

/// `usage_usec` of a `cpu.stat`.
fn usage_nanos(text: &str) -> Option<u64> {
    files::keyed(text, "usage_usec")?.checked_mul(1_000)
}

/// The start of the oldest process of a cgroup or of those below it, in clock ticks since the machine started.
///
/// `None` without processes: the container has ended. The times of a cgroup's own files are of no use for this: the
/// kernel makes them when somebody first looks, and again after it forgot them.
pub(super) fn started_ticks(files: &mut Files, proc: &Path, cgroup: &Path, depth: u8) -> Option<u64> {
    /// Processes looked at: the first one of a container is its oldest as a rule.
    const PROCESSES: usize = 8;
    let pids: Vec<u32> = files
        .text(&cgroup.join("cgroup.procs"))
        .map(|text| text.lines().filter_map(|line| line.parse().ok()).take(PROCESSES).collect())
        .unwrap_or_default();
    let own = pids.iter().filter_map(|pid| {
        let path = proc.join(pid.to_string()).join("stat");
        files.figure(&path, start_of).ok()
    });
    if let Some(ticks) = own.min() {
        return Some(ticks);
    }
    let below = std::fs::read_dir(cgroup).ok().filter(|_| depth > 0)?;
    let directories = below.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    directories.filter_map(|entry| started_ticks(files, proc, &entry.path(), depth - 1)).min()
}

/// Field 22 of a process's `stat`; its name, in brackets, may hold spaces and brackets.
fn start_of(stat: &str) -> Option<u64> {
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
}

impl Files {
    /// A figure out of a file.
    fn figure<T>(&mut self, path: &Path, read: impl FnOnce(&str) -> Option<T>) -> Result<T, Error> {
        let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        match self.text(path) {
            Ok(text) => read(text)
                .ok_or_else(|| Error::new(ErrorKind::InvalidData, named(&"the expected figure is missing"))),
            Err(error) => Err(Error::new(error.kind(), named(&error))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_of_a_process_follows_its_name_whatever_that_holds() {
        let rest = "S 1 2 2 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 526932 1000 1";
        assert_eq!(start_of(&format!("77 (work) {rest}")), Some(526_932));
        assert_eq!(start_of(&format!("77 (a) b (c) {rest}")), Some(526_932));
        assert_eq!(start_of("77 (work) S 1 2"), None);
        assert_eq!(start_of(""), None);
    }
}
