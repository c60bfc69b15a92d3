//! What an answer may depend on: configuration, the state of the process, the time and the store.

use crate::counters::Counters;
use crate::store::Store;
use crate::units::{Bytes, UnixNanos, Uptime};
use crate::wire::pressure::{Pressure, RESOURCES};
use crate::wire::selector::LabelSelector;
use std::time::Duration;

/// What the API needs to know of the configuration.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `--node-selector`: limits node lists (not gets).
    pub node_selector: LabelSelector,
    /// `host:port` for `serverAddressByClientCIDRs` (metrics-server prints `:4443`).
    pub server_address: String,
    /// The resolution, for `metric-collection-timely` and the tick buckets.
    pub resolution: Duration,
    /// `--usage-metrics`: `/metrics/usage` is served.
    pub usage_metrics: bool,
    /// What is measured, in a word or two.
    pub mode: &'static str,
    /// Address space reserved for everything that `toplet check` adds up.
    pub reserved: Bytes,
}

/// How full a file system is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileSystem {
    /// A directory of it.
    pub path: &'static str,
    /// What it has in all.
    pub size: Bytes,
    /// What is in use.
    pub used: Bytes,
    /// What users other than root may still use.
    pub available: Bytes,
}

/// How hard the machine that toplet runs on is pressed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HostLoad {
    /// By resource, in the order of [`RESOURCES`]; `None` where the kernel does not say.
    pub pressure: [Option<Pressure>; 3],
    /// The root file system, and that of `/var/lib` where it is another one.
    pub file_systems: [Option<FileSystem>; 2],
}

impl HostLoad {
    /// The pressures that are known, by resource.
    pub fn pressures(&self) -> impl Iterator<Item = (&'static str, Pressure)> + Clone {
        RESOURCES.into_iter().zip(self.pressure).filter_map(|(name, pressure)| Some((name, pressure?)))
    }

    /// The file systems that are known.
    pub fn file_systems(&self) -> impl Iterator<Item = FileSystem> + Clone {
        self.file_systems.into_iter().flatten()
    }
}

/// The state of the process that health checks and self metrics report.
#[derive(Clone, Copy, Debug, Default)]
pub struct Vitals {
    /// Time since the current (or last) tick started; `None` before the first.
    pub tick_age: Option<Duration>,
    /// SIGTERM arrived.
    pub stopping: bool,
    /// The API server has refused our credentials for a while: the inventory is old.
    pub unauthorized: bool,
    /// Readiness does not wait for pods (host-only mode without pods).
    pub pods_optional: bool,
    /// Resident memory; `None` where /proc does not say, or nobody asked.
    pub rss: Option<Bytes>,
    /// CPU time used, in nanoseconds.
    pub cpu_nanos: u64,
    /// When the process started.
    pub started_at: UnixNanos,
    /// The monotonic clock.
    pub uptime: Uptime,
    /// End of the serving certificate's validity.
    pub certificate_ends_at: Option<UnixNanos>,
    /// The machine, where it is the one that is measured, or a node of the cluster that is.
    pub host: Option<HostLoad>,
}

/// Everything an answer may depend on.
pub struct Context<'a> {
    /// Configuration.
    pub settings: &'a Settings,
    /// Self metrics (atomics inside).
    pub metrics: &'a Counters,
    /// Process state.
    pub vitals: Vitals,
    /// Wall clock.
    pub now: UnixNanos,
    /// The sample table.
    pub store: &'a Store,
}
