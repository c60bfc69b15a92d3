//! What several threads share, and the poller that fills it.

use crate::cli::Config;
use crate::counters::Counters;
use crate::poller::{MakeSource, Poller};
use crate::store::Store;
use crate::units::Window;
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
}

impl SharedState {
    /// An empty store of the configured size.
    pub fn new(config: &Config) -> SharedState {
        let (resolution, grace) =
            (Window::from_duration(config.resolution), Window::from_duration(config.grace));
        let metrics = Counters::new(config.resolution);
        metrics.capacity(config.capacity);
        SharedState {
            store: Arc::new(Mutex::new(Store::new(config.capacity, resolution).with_grace(grace))),
            metrics: Arc::new(metrics),
            stopping: Arc::new(AtomicBool::new(false)),
            unauthorized: Arc::new(AtomicBool::new(false)),
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
