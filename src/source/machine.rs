//! This machine as a source: one node, and the containers that its log links name.
//!
//! What is read becomes exposition lines and goes through the decoder that kubelet bodies go through: one truth about
//! completeness and zeros. Figures of the node, each from the first of these places that is the whole machine's:
//! - CPU: `cpu.stat` of the root cgroup (version 2, microseconds), `cpuacct.usage` of it (version 1, nanoseconds), else
//!   busy time of /proc/stat (hundredths of a second);
//! - memory: in use without inactive file pages, of the root memory cgroup (version 1), else of /proc/meminfo; both as the
//!   kubelet computes the node's working set.
//!
//! Chosen once, so that no rate mixes two counters. A container that is there and cannot be read makes its pod incomplete.
//! Refused: more than `limits::HOST_CONTAINERS_MAX` containers. Memory: the list of containers and two small buffers.

mod cgroup;
mod containers;
mod files;
mod inventory;
mod links;
mod pressure;
#[cfg(test)]
pub(super) mod testing;

use super::{Reading, Source, SourceError};
use crate::host::clock;
use crate::limits;
use crate::log_once::LogOnce;
use crate::store::Target;
use crate::store::batch::{Batch, BatchSource};
use crate::units::UnixNanos;
use cgroup::Hierarchy;
use containers::{Containers, Places};
use files::Files;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Where the kernel and the node's log links are; other places in tests.
#[derive(Clone, Debug)]
pub struct MachineRoots {
    /// `/proc`.
    pub proc: PathBuf,
    /// `/sys/fs/cgroup`.
    pub cgroup: PathBuf,
    /// `/var/log/containers`.
    pub containers: PathBuf,
}

impl Default for MachineRoots {
    fn default() -> MachineRoots {
        MachineRoots {
            proc: PathBuf::from("/proc"),
            cgroup: PathBuf::from("/sys/fs/cgroup"),
            containers: PathBuf::from("/var/log/containers"),
        }
    }
}

/// Reads this machine.
pub struct HostSource {
    roots: MachineRoots,
    name: String,
    hierarchy: Hierarchy,
    /// The node's CPU counter is that of the root cgroup, else that of /proc/stat.
    cpu_of_cgroup: bool,
    /// The same for memory and /proc/meminfo.
    memory_of_cgroup: bool,
    accounts_memory: bool,
    containers: Containers,
    node_announced: bool,
    /// Namespace and name of the pods assumed last, in order.
    assumed_pods: Vec<(String, String)>,
    log: LogOnce,
    files: Files,
    lines: Vec<u8>,
}

/// Bytes of exposition text collected before they are decoded.
const PIECE_LEN: usize = 4 * 1024;

impl HostSource {
    /// Looks at the machine; reads nothing that changes.
    /// # Errors
    /// /proc cannot be read.
    pub fn open(roots: MachineRoots) -> Result<HostSource, SourceError> {
        let mut files = Files::default();
        let name = host_name(&roots)?;
        let hierarchy = Hierarchy::find(&roots.cgroup);
        Ok(HostSource {
            name,
            cpu_of_cgroup: hierarchy.machine_cpu(&mut files).is_some_and(|figure| figure.is_ok()),
            memory_of_cgroup: hierarchy.machine_memory(&mut files).is_some_and(|figure| figure.is_ok()),
            accounts_memory: hierarchy.accounts_memory(&mut files),
            roots,
            hierarchy,
            containers: Containers::default(),
            node_announced: false,
            assumed_pods: Vec::new(),
            log: LogOnce::new(),
            files,
            lines: Vec::with_capacity(PIECE_LEN + limits::LOG_LINE_LEN_MAX),
        })
    }

    /// The node's name: the host name in lower case.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether there are log links: with none this is no machine of a kubelet, or a container that does not see them.
    /// # Errors
    /// They cannot be listed.
    pub fn has_links(&self) -> Result<(), SourceError> {
        links::list(&self.roots.containers).map(drop).map_err(|error| self.no_links(&error))
    }

    fn no_links(&self, error: &std::io::Error) -> SourceError {
        SourceError {
            reason: "io",
            message: format!("{} cannot be listed: {error}", self.roots.containers.display()),
            hint: "run toplet on the node itself, as a user who may read it; in a container mount the node's /var/log \
                   and /sys/fs/cgroup"
                .into(),
        }
    }

    /// Looks which containers run, and reads them and the node; no inventory is told of them.
    pub(super) fn read_containers(
        &mut self,
        target: &Target,
        batch: &mut Batch,
    ) -> Result<Reading, SourceError> {
        self.refresh();
        self.read(target, batch)
    }

    /// Looks which containers run; whether others than before. Without a change it costs one directory listing.
    fn refresh(&mut self) -> bool {
        let places =
            Places { proc: &self.roots.proc, links: &self.roots.containers, hierarchy: &self.hierarchy };
        let (changed, error) = self.containers.refresh(places, &mut self.files, clock::wall());
        self.log_limits(error.as_ref());
        changed
    }

    /// One line for each thing that keeps containers from being measured, when that changes.
    fn log_limits(&self, error: Option<&std::io::Error>) {
        let log = |subject: &str, state: usize, message: &dyn std::fmt::Display| match state {
            0 => {
                _ = self
                    .log
                    .recovered(subject, format_args!("this machine: {subject}: all are measured again"))
            }
            _ => {
                _ = self.log.problem(
                    log::Level::Warn,
                    subject,
                    state,
                    format_args!("this machine: {message}"),
                )
            }
        };
        // A machine without a kubelet has no links, and no problem.
        let hidden = error.filter(|error| error.kind() != std::io::ErrorKind::NotFound);
        let text = hidden.map(|error| self.no_links(error));
        let text = text.map_or_else(String::new, |e| format!("{}; {}", e.message, e.hint));
        log("log links", usize::from(hidden.is_some()), &format_args!("no container is measured: {text}"));
        let listing = self.containers.listing();
        log(
            "container links beyond the limit",
            listing.beyond,
            &format_args!(
                "{} containers are not measured: there are more than {} links in {}; remove those of ended containers",
                listing.beyond,
                limits::HOST_CONTAINERS_MAX,
                self.roots.containers.display()
            ),
        );
        log(
            "pods with long names",
            listing.cut_pods,
            &format_args!(
                "{} pods are not measured: the kubelet cut the name of a container's log link; shorten the names of \
                 pod, namespace or container",
                listing.cut_pods
            ),
        );
        let off = !self.accounts_memory && !listing.links.is_empty();
        log(
            "memory cgroup",
            usize::from(off),
            &"no container is measured: the kernel's memory cgroup is off; add \"cgroup_enable=memory \
              cgroup_memory=1\" to the kernel's command line (on a Raspberry Pi /boot/firmware/cmdline.txt) and restart \
              the machine",
        );
        log(
            "cgroups of containers",
            usize::from(self.containers.none_found()),
            &format_args!(
                "no container is measured: {} links name containers, and none has a cgroup below {}; in a container \
                 mount the node's /sys/fs/cgroup",
                listing.links.len(),
                self.hierarchy.tree().display()
            ),
        );
    }

    /// Writes the node's lines.
    fn node(&mut self, at: UnixNanos) -> Result<(), SourceError> {
        let cpu = self.node_cpu_nanos()?;
        let path = self.roots.proc.join("meminfo");
        let text = self.files.text(&path).map_err(|error| unreadable(&path, &error))?;
        let missing = || unreadable(&path, &std::io::Error::from(std::io::ErrorKind::InvalidData));
        let bytes =
            |key| files::keyed(text, key).and_then(|kib: u64| kib.checked_mul(1024)).ok_or_else(missing);
        let used = bytes("MemTotal:")?.saturating_sub(bytes("MemFree:")?);
        let mut working_set = used.saturating_sub(bytes("Inactive(file):")?);
        let swap = bytes("SwapTotal:")?.saturating_sub(bytes("SwapFree:")?);
        if self.memory_of_cgroup
            && let Some(figure) = self.hierarchy.machine_memory(&mut self.files)
        {
            working_set = figure.map_err(|error| unreadable(self.hierarchy.tree(), &error))?;
        }
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
        if self.cpu_of_cgroup
            && let Some(figure) = self.hierarchy.machine_cpu(&mut self.files)
        {
            return figure.map_err(|error| unreadable(self.hierarchy.tree(), &error));
        }
        let path = self.roots.proc.join("stat");
        let text = self.files.text(&path).map_err(|error| unreadable(&path, &error))?;
        busy_nanos(text)
            .ok_or_else(|| unreadable(&path, &std::io::Error::from(std::io::ErrorKind::InvalidData)))
    }

    /// Writes the lines of one container; none when it has ended.
    fn container(&mut self, index: usize, at: UnixNanos) {
        let Some(container) = self.containers.running().get(index) else { return };
        let labels = ContainerLabels(&container.link);
        let lines = &mut self.lines;
        let usage = match self.hierarchy.usage(&mut self.files, &container.cgroup) {
            Ok(usage) => usage,
            Err(_) if !self.hierarchy.exists(&container.cgroup) => return self.containers.note_gone(),
            Err(error) => {
                let message = format_args!("this machine: container {labels} is not measured: {error}");
                self.log.problem(log::Level::Warn, ("container", &container.link.id), error.kind(), message);
                // Zero is how a source says that it does not know: the pod is left out whole.
                let _ = writeln!(lines, "container_cpu_usage_seconds_total{labels} 0");
                return;
            }
        };
        self.log.forget(("container", &container.link.id));
        let at = millis(at);
        let (secs, nanos) = (usage.cpu / 1_000_000_000, usage.cpu % 1_000_000_000);
        let working_set = usage.working_set;
        let _ = write!(
            lines,
            "container_cpu_usage_seconds_total{labels} {secs}.{nanos:09} {at}\n\
             container_memory_working_set_bytes{labels} {working_set} {at}\n"
        );
        if let Ok(start) = u64::try_from(container.started_at.0) {
            let (secs, nanos) = (start / 1_000_000_000, start % 1_000_000_000);
            let _ = writeln!(lines, "container_start_time_seconds{labels} {secs}.{nanos:09}");
        }
        if let Some(swap) = usage.swap {
            let _ = writeln!(lines, "container_swap_usage_bytes{labels} {swap} {at}");
        }
    }

    /// Hands the collected lines to the decoder.
    fn hand_over(&mut self, batch: &mut Batch, reading: &mut Reading) -> Result<(), SourceError> {
        reading.len = reading.len.saturating_add(self.lines.len() as u64);
        let fed = batch.feed(&self.lines);
        self.lines.clear();
        fed.map_err(|error| SourceError {
            reason: "too_large",
            message: format!("this machine has {error}"),
            hint: "run fewer pods on one node".into(),
        })
    }
}

impl Source for HostSource {
    fn read(&mut self, _target: &Target, batch: &mut Batch) -> Result<Reading, SourceError> {
        let mut reading = Reading::default();
        self.lines.clear();
        let at = clock::wall();
        batch.begin(at);
        batch.set_source(BatchSource::Machine);
        self.node(at)?;
        let count = if self.accounts_memory { self.containers.running().len() } else { 0 };
        for index in 0..count {
            // Each container is as old as its own reading.
            self.container(index, clock::wall());
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
struct ContainerLabels<'a>(&'a links::LogLink);

impl std::fmt::Display for ContainerLabels<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let links::LogLink { namespace, pod, container, .. } = self.0;
        write!(f, r#"{{container="{container}",namespace="{namespace}",pod="{pod}"}}"#)
    }
}

/// The host name as the kubelet names its node.
/// # Errors
/// /proc cannot be read.
pub fn host_name(roots: &MachineRoots) -> Result<String, SourceError> {
    let path = roots.proc.join("sys/kernel/hostname");
    let mut files = Files::default();
    let name = files.text(&path).map_err(|error| unreadable(&path, &error))?;
    Ok(name.trim().to_ascii_lowercase())
}

fn millis(at: UnixNanos) -> i64 {
    at.0.div_euclid(1_000_000)
}

/// Busy time of /proc/stat: user, nice, system, irq, softirq, steal. Guest time is part of user already.
fn busy_nanos(text: &str) -> Option<u64> {
    let mut fields = text.lines().next()?.strip_prefix("cpu ")?.split_ascii_whitespace();
    let mut busy = 0_u64;
    for name in ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"] {
        // Kernels before 2.6.11 have no steal time.
        let ticks = fields.next().map_or(Some(0), |field| field.parse::<u64>().ok())?;
        if !matches!(name, "idle" | "iowait") {
            busy = busy.checked_add(ticks)?;
        }
    }
    files::ticks_nanos(busy)
}

fn unreadable(path: &Path, error: &std::io::Error) -> SourceError {
    SourceError {
        reason: "io",
        message: format!("{} cannot be read: {error}", path.display()),
        hint: "toplet needs the machine's /proc and /sys/fs/cgroup".into(),
    }
}

#[cfg(test)]
mod tests;
