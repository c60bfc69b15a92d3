//! This machine as a source: one node, and the containers that its log links name.
//!
//! What is read becomes exposition lines and goes through the decoder that kubelet bodies go through: one truth about
//! completeness and zeros. Figures of the node:
//! - CPU: the finest cumulative counter there is: `cpu.stat` of the root cgroup (v2, microseconds), `cpuacct.usage` of the
//!   root cgroup (v1, nanoseconds), else busy time of /proc/stat (hundredths of a second). A cgroup is the root's only if
//!   the kernel says so: inside a container the mount may show the container's own.
//! - memory: MemTotal - MemFree - Inactive(file), which is the kubelet's working set of the root cgroup under v2.
//!
//! Chosen once, so that no rate mixes two counters. Refused: more than `limits::HOST_CONTAINERS_MAX` containers, files
//! beyond `limits::HOST_FILE_LEN_MAX` (their end is not read). Memory: the list of containers and two small buffers.

mod files;
mod links;

use super::{Reading, Source, SourceError};
use crate::host::clock;
use crate::limits;
use crate::lock::lock;
use crate::log_once::LogOnce;
use crate::store::batch::Batch;
use crate::store::{Inventory, NodeRecord, PodRecord, Refused, Store, Target};
use crate::units::UnixNanos;
use files::Files;
use links::Containers;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Where the kernel and the node's log links are; other places in tests.
#[derive(Clone, Debug)]
pub struct Roots {
    /// `/proc`.
    pub proc: PathBuf,
    /// `/sys/fs/cgroup`.
    pub cgroup: PathBuf,
    /// `/var/log/containers`.
    pub containers: PathBuf,
}

impl Default for Roots {
    fn default() -> Roots {
        Roots {
            proc: PathBuf::from("/proc"),
            cgroup: PathBuf::from("/sys/fs/cgroup"),
            containers: PathBuf::from("/var/log/containers"),
        }
    }
}

/// Which hierarchy counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hierarchy {
    /// One tree.
    Unified(PathBuf),
    /// A tree a controller.
    Split {
        /// Of `cpuacct`.
        cpu: PathBuf,
        /// Of `memory`.
        memory: PathBuf,
    },
}

/// The node's CPU counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NodeCpu {
    RootUnified,
    RootSplit,
    ProcStat,
}

/// Reads this machine.
pub struct HostSource {
    roots: Roots,
    name: String,
    hierarchy: Hierarchy,
    node_cpu: NodeCpu,
    containers: Containers,
    node_announced: bool,
    log: LogOnce,
    files: Files,
    lines: Vec<u8>,
}

/// Bytes of exposition text collected before they are decoded.
const PIECE_LEN: usize = 4 * 1024;

impl HostSource {
    /// Looks at the machine; reads nothing that changes.
    /// # Errors
    /// There is no /proc to read.
    pub fn open(roots: Roots) -> Result<HostSource, SourceError> {
        let mut files = Files::default();
        let name_path = roots.proc.join("sys/kernel/hostname");
        let name = files.text(&name_path).map_err(|error| unreadable(&name_path, &error))?;
        // As the kubelet names its node.
        let name = name.trim().to_ascii_lowercase();
        let hierarchy = hierarchy(&roots.cgroup);
        let node_cpu = match &hierarchy {
            Hierarchy::Unified(root)
                if !root.join("cgroup.type").exists() && root.join("cpu.stat").exists() =>
            {
                NodeCpu::RootUnified
            }
            Hierarchy::Split { cpu, .. } if cpu.join("release_agent").exists() => NodeCpu::RootSplit,
            _ => NodeCpu::ProcStat,
        };
        let lines = Vec::with_capacity(PIECE_LEN + limits::LOG_LINE_LEN_MAX);
        let containers = Containers::default();
        Ok(HostSource {
            roots,
            name,
            hierarchy,
            node_cpu,
            containers,
            node_announced: false,
            log: LogOnce::new(),
            files,
            lines,
        })
    }

    /// The node's name: the host name in lower case.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Brings the store's inventory up to date: this node once, then the pods whenever their containers change.
    ///
    /// Call it before every reading: without a change it costs one directory listing.
    pub fn refresh_inventory(&mut self, store: &Mutex<Store>) {
        let changed = self.containers.refresh(&self.roots, &self.hierarchy);
        if !self.node_announced {
            let mut store = lock(store);
            self.announce_node(&mut store);
            self.node_announced = true;
        }
        if changed {
            let mut store = lock(store);
            self.announce_pods(&mut store);
        }
    }

    fn announce_node(&self, store: &mut Store) {
        let name = self.name.as_str();
        let record = NodeRecord {
            name,
            labels: vec![
                ("kubernetes.io/arch", architecture()),
                ("kubernetes.io/hostname", name),
                ("kubernetes.io/os", "linux"),
            ],
            addresses: vec![("Hostname", name)],
            ready: true,
            ..NodeRecord::default()
        };
        store.begin_list(Inventory::Nodes);
        let refused = store.upsert_node(&record).err();
        store.end_list(Inventory::Nodes);
        self.log_refusal("this node", 1, refused);
    }

    fn announce_pods(&self, store: &mut Store) {
        store.begin_list(Inventory::Pods);
        let (mut refused, mut count) = (None, 0);
        let mut previous = ("", "");
        for container in self.containers.running() {
            let key = (container.namespace.as_str(), container.pod.as_str());
            if key == previous {
                continue;
            }
            previous = key;
            let record = PodRecord { namespace: key.0, name: key.1, labels: Vec::new() };
            if let Err(full) = store.upsert_pod(&record) {
                refused = Some(full);
                count += 1;
            }
        }
        store.end_list(Inventory::Pods);
        self.log_refusal("pods of this node", count, refused);
    }

    fn log_refusal(&self, what: &str, count: u32, refused: Option<Refused>) {
        match refused {
            None => {
                self.log.recovered(what, format_args!("{what}: all served again"));
            }
            Some(full) => {
                self.log.problem(
                    log::Level::Warn,
                    what,
                    full,
                    format_args!("{what}: {count} not served: {full}"),
                );
            }
        }
    }

    /// Writes the node's lines.
    fn node(&mut self, at: UnixNanos) -> Result<(), SourceError> {
        let cpu = self.node_cpu_nanos()?;
        let path = self.roots.proc.join("meminfo");
        let text = self.files.text(&path).map_err(|error| unreadable(&path, &error))?;
        let kib = |key| files::keyed(text, key).unwrap_or(0);
        let used = kib("MemTotal:").saturating_sub(kib("MemFree:"));
        let working_set = used.saturating_sub(kib("Inactive(file):")).saturating_mul(1024);
        let swap = kib("SwapTotal:").saturating_sub(kib("SwapFree:")).saturating_mul(1024);
        let at = millis(at);
        let (secs, nanos) = (cpu / 1_000_000_000, cpu % 1_000_000_000);
        // Writing to a Vec cannot fail.
        let _ = write!(
            self.lines,
            "node_cpu_usage_seconds_total {secs}.{nanos:09} {at}\n\
             node_memory_working_set_bytes {working_set} {at}\n\
             node_swap_usage_bytes {swap} {at}\n"
        );
        Ok(())
    }

    fn node_cpu_nanos(&mut self) -> Result<u64, SourceError> {
        let (path, read): (PathBuf, fn(&str) -> Option<u64>) = match (self.node_cpu, &self.hierarchy) {
            (NodeCpu::RootUnified, Hierarchy::Unified(root)) => (root.join("cpu.stat"), usage_nanos),
            (NodeCpu::RootSplit, Hierarchy::Split { cpu, .. }) => (cpu.join("cpuacct.usage"), files::number),
            _ => (self.roots.proc.join("stat"), busy_nanos),
        };
        let text = self.files.text(&path).map_err(|error| unreadable(&path, &error))?;
        read(text).ok_or_else(|| unreadable(&path, &std::io::Error::from(std::io::ErrorKind::InvalidData)))
    }

    /// Writes the lines of one container; none when it is gone.
    fn container(&mut self, index: usize, at: UnixNanos) -> Option<()> {
        let container = self.containers.running().get(index)?;
        let path = container.cgroup.as_path();
        let (cpu, memory, swap) = match &self.hierarchy {
            Hierarchy::Unified(root) => unified(&mut self.files, root, path)?,
            Hierarchy::Split { cpu, memory } => split(&mut self.files, cpu, memory, path)?,
        };
        let container = self.containers.running().get(index)?;
        let labels = Labels { container };
        let at = millis(at);
        let (secs, nanos) = (cpu / 1_000_000_000, cpu % 1_000_000_000);
        let start = container.started_at.0.max(0);
        let (start_secs, start_nanos) = (start / 1_000_000_000, start % 1_000_000_000);
        let lines = &mut self.lines;
        let _ = write!(
            lines,
            "container_cpu_usage_seconds_total{labels} {secs}.{nanos:09} {at}\n\
             container_memory_working_set_bytes{labels} {memory} {at}\n\
             container_start_time_seconds{labels} {start_secs}.{start_nanos:09}\n"
        );
        if let Some(swap) = swap {
            let _ = writeln!(lines, "container_swap_usage_bytes{labels} {swap} {at}");
        }
        Some(())
    }

    /// Hands the collected lines to the decoder.
    fn hand_over(&mut self, batch: &mut Batch, reading: &mut Reading) -> Result<(), SourceError> {
        reading.len += u64::try_from(self.lines.len()).unwrap_or(0);
        let fed = batch.feed(&self.lines);
        self.lines.clear();
        fed.map_err(|error| SourceError {
            reason: "too_large",
            message: format!("this machine has {error}"),
            hint: "run toplet in the cluster instead of host-only",
        })
    }
}

impl Source for HostSource {
    fn read(&mut self, _target: &Target, batch: &mut Batch) -> Result<Reading, SourceError> {
        let mut reading = Reading::default();
        self.lines.clear();
        let at = clock::wall();
        batch.begin(at);
        self.node(at)?;
        for index in 0..self.containers.running().len() {
            // Each container is as old as its own reading.
            if self.container(index, clock::wall()).is_none() {
                self.containers.note_gone();
            }
            if self.lines.len() >= PIECE_LEN {
                self.hand_over(batch, &mut reading)?;
            }
        }
        self.hand_over(batch, &mut reading)?;
        reading.dropped = batch.finish();
        Ok(reading)
    }
}

/// A container's label set; names in it hold no character that would need quoting.
struct Labels<'a> {
    container: &'a links::Container,
}

impl std::fmt::Display for Labels<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let links::Container { namespace, pod, name, .. } = self.container;
        write!(f, r#"{{container="{name}",namespace="{namespace}",pod="{pod}"}}"#)
    }
}

fn millis(at: UnixNanos) -> i64 {
    at.0.div_euclid(1_000_000)
}

fn hierarchy(root: &Path) -> Hierarchy {
    if root.join("cgroup.controllers").exists() {
        return Hierarchy::Unified(root.to_owned());
    }
    let cpu = ["cpuacct", "cpu,cpuacct", "cpuacct,cpu"].map(|name| root.join(name));
    let cpu = cpu.into_iter().find(|path| path.exists()).unwrap_or_else(|| root.join("cpuacct"));
    Hierarchy::Split { cpu, memory: root.join("memory") }
}

/// CPU, working set and swap of a cgroup of the one tree.
fn unified(files: &mut Files, root: &Path, path: &Path) -> Option<(u64, u64, Option<u64>)> {
    let cpu = usage_nanos(files.below(root, path, "cpu.stat").ok()?)?;
    let used = files::number(files.below(root, path, "memory.current").ok()?)?;
    let inactive = files::keyed(files.below(root, path, "memory.stat").ok()?, "inactive_file")?;
    let swap = files.below(root, path, "memory.swap.current").ok().and_then(files::number);
    Some((cpu, used.saturating_sub(inactive), swap))
}

/// The same of a cgroup in a tree a controller.
fn split(files: &mut Files, cpu: &Path, memory: &Path, path: &Path) -> Option<(u64, u64, Option<u64>)> {
    let cpu = files::number(files.below(cpu, path, "cpuacct.usage").ok()?)?;
    let used = files::number(files.below(memory, path, "memory.usage_in_bytes").ok()?)?;
    let stat = files.below(memory, path, "memory.stat").ok()?;
    let inactive = files::keyed(stat, "total_inactive_file")?;
    Some((cpu, used.saturating_sub(inactive), files::keyed(stat, "total_swap")))
}

/// `usage_usec` of a `cpu.stat`.
fn usage_nanos(text: &str) -> Option<u64> {
    files::keyed(text, "usage_usec")?.checked_mul(1_000)
}

/// Busy time of /proc/stat: user, nice, system, irq, softirq, steal. Guest time is part of user already.
fn busy_nanos(text: &str) -> Option<u64> {
    /// Nanoseconds of a USER_HZ tick: 100 a second on every architecture we run on.
    const TICK: u64 = 10_000_000;
    let mut fields = text.lines().next()?.strip_prefix("cpu ")?.split_ascii_whitespace();
    let mut busy = 0_u64;
    for name in ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"] {
        // Kernels before 2.6.11 have no steal time.
        let ticks = fields.next().map_or(Some(0), |field| field.parse::<u64>().ok())?;
        if !matches!(name, "idle" | "iowait") {
            busy = busy.checked_add(ticks)?;
        }
    }
    busy.checked_mul(TICK)
}

/// The machine's architecture as Kubernetes labels it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> SourceError {
    SourceError {
        reason: "io",
        message: format!("{} cannot be read: {error}", path.display()),
        hint: "toplet needs the machine's /proc and /sys/fs/cgroup",
    }
}

#[cfg(test)]
mod tests;
