//! What several threads share, the poller that fills it, and what `setup` shares with the server.

use crate::api::context::HostLoad;
use crate::cli::Config;
use crate::counters::Counters;
use crate::net::certificate::subject_names;
use crate::poller::{MakeSource, Poller};
use crate::store::Store;
use crate::units::Window;
use std::net::IpAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

/// What several threads share.
#[derive(Clone)]
pub struct SharedState {
    /// Sample table and inventory.
    pub store: Arc<Mutex<Store>>,
    /// What is counted.
    pub metrics: Arc<Counters>,
    /// The process ends.
    pub stopping: Arc<AtomicBool>,
    /// The API server has refused our credentials for a while.
    pub unauthorized: Arc<AtomicBool>,
    /// How hard this machine is pressed, where it belongs to what is measured.
    pub host: Arc<Mutex<Option<HostLoad>>>,
}

impl SharedState {
    /// An empty store of the configured size.
    pub fn new(config: &Config) -> SharedState {
        let (resolution, grace) =
            (Window::from_duration(config.resolution), Window::from_duration(config.grace));
        let metrics = Counters::new(config.resolution);
        metrics.capacity(config.capacity);
        let store = Store::new(config.capacity, resolution).with_grace(grace);
        SharedState {
            store: Arc::new(Mutex::new(store.with_history(config.history_samples))),
            metrics: Arc::new(metrics),
            stopping: Arc::new(AtomicBool::new(false)),
            unauthorized: Arc::new(AtomicBool::new(false)),
            host: Arc::default(),
        }
    }
}

/// Starts the poller over the sources of its threads.
/// # Errors
/// The operating system gives no thread.
pub fn poll(config: &Config, shared: &SharedState, make_source: MakeSource) -> Result<Poller, String> {
    let selector = config.node_selector.clone();
    Poller::start(config.resolution, selector, shared.store.clone(), shared.metrics.clone(), make_source)
        .map_err(|e| format!("no thread for scraping: {e}"))
}

/// The names of a serving certificate made here, for a server that listens on `bind`.
pub fn certificate_names(bind: IpAddr) -> Vec<String> {
    // Without the host's name the certificate has those of the Service and of the address.
    let host_name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    subject_names("metrics-server", "kube-system", Some(host_name.trim()), Some(bind))
}
