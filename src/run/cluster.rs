//! What a cluster needs: clients for the API server and the kubelets, and the threads that use them.
//!
//! In two steps: [`Clients::open`] reads every file that flags and kubeconfigs name and starts nothing, so that a mistake
//! in one of them ends the start before it has left a trace; [`Clients::start`] starts the threads.

use super::shared::{SharedState, poll};
use crate::access::review::Ask;
use crate::cli::{Config, RunMode};
use crate::cluster::authentication::TrustSource;
use crate::cluster::client::{self, ApiServer};
use crate::cluster::kubeconfig;
use crate::cluster::review::Reviewer;
use crate::cluster::watch;
use crate::net::fetch::Fetcher;
use crate::net::pins::Pins;
use crate::poller::{MakeSource, Poller};
use crate::source::kubelet::{KubeletAccess, KubeletSource};
use crate::source::own_node::{KubeletOrOwn, OwnNode};
use crate::store::Inventory;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Clients that have not asked anything yet.
pub struct Clients {
    /// For nodes and pods.
    pub inventory: Arc<ApiServer>,
    /// For TokenReviews and the authentication ConfigMap.
    pub tokens: Arc<ApiServer>,
    /// For SubjectAccessReviews.
    pub permissions: Arc<ApiServer>,
    /// For kubelets.
    pub kubelets: Arc<KubeletAccess>,
}

/// The threads that talk to the API server.
pub struct ClusterThreads {
    inventory: Arc<ApiServer>,
    /// Asks reviews, and refreshes the trust.
    reviewer: Reviewer,
    reload: Arc<dyn Fn() + Send + Sync>,
    stop: Arc<watch::Stop>,
}

impl Clients {
    /// Reads what the configuration names; `None` in host-only mode. `keeps_pins`: keys seen first are remembered.
    /// # Errors
    /// Which file cannot be used, and why.
    pub fn open(config: &Config, keeps_pins: bool) -> Result<Option<Clients>, String> {
        let access = match &config.mode {
            RunMode::HostOnly => return Ok(None),
            RunMode::Kubeconfig { path } => kubeconfig::load(path).map_err(of("--kubeconfig"))?,
            RunMode::InCluster { server } => {
                kubeconfig::in_cluster(server, Path::new(kubeconfig::SERVICE_ACCOUNT))?
            }
        };
        let inventory = Arc::new(ApiServer::new(access.clone()).map_err(of("--kubeconfig"))?);
        let reviews = |flag, path: &Option<PathBuf>| match (path, &config.mode) {
            (Some(path), RunMode::Kubeconfig { path: same }) if path == same => Ok(inventory.clone()),
            (None, _) => Ok(inventory.clone()),
            (Some(path), _) => {
                kubeconfig::load(path).and_then(ApiServer::new).map(Arc::new).map_err(of(flag))
            }
        };
        let flags = &config.kubelet_credentials;
        // What is not from a flag was good for the API server already.
        let flag = match (&flags.certificate_authority, &flags.pair) {
            (None, _) => "--kubelet-client-certificate",
            (Some(_), None) => "--kubelet-certificate-authority",
            (Some(_), Some(_)) => "--kubelet-certificate-authority or --kubelet-client-certificate",
        };
        let credentials = client::kubelet_credentials(&access.credentials, flags);
        let terms = client::kubelet_terms(&credentials, flags);
        let mut fetcher = Fetcher::new(credentials).map_err(of(flag))?;
        if let Some(pins) = open_pins(config, keeps_pins)? {
            fetcher = fetcher.with_pins(pins);
        }
        let (mut rules, timeout) = (config.kubelet_addresses.clone(), config.kubelet_timeout);
        rules.api_server.clone_from(&access.server);
        let proxy = inventory.fetcher();
        Ok(Some(Clients {
            tokens: reviews("--authentication-kubeconfig", &config.authentication_kubeconfig)?,
            permissions: reviews("--authorization-kubeconfig", &config.authorization_kubeconfig)?,
            inventory,
            kubelets: Arc::new(KubeletAccess {
                fetcher,
                proxy,
                rules,
                terms,
                gzip: config.kubelet_gzip,
                timeout,
            }),
        }))
    }

    /// Starts reviewer, poller and watchers.
    /// # Errors
    /// The operating system gives no thread.
    pub fn start(
        self,
        config: &Config,
        shared: &SharedState,
        authentication: Arc<TrustSource>,
    ) -> Result<(ClusterThreads, Poller), String> {
        let Clients { inventory, tokens, permissions, kubelets } = self;
        let thread = |e: std::io::Error| format!("no thread: {e}");
        let clients = [inventory.clone(), tokens.clone(), permissions.clone()];
        let access = kubelets.clone();
        let reviewer = Reviewer::start(tokens, permissions, authentication).map_err(thread)?;
        let kubelet = move || Box::new(KubeletSource::new(kubelets.clone()));
        // A pod may run anywhere, and sees another machine's files or none.
        let on_host = matches!(config.mode, RunMode::Kubeconfig { .. });
        let own = on_host.then(|| Arc::new(OwnNode::new(shared.store.clone())));
        let make: MakeSource = match own.clone() {
            Some(own) => Box::new(move |_| Box::new(KubeletOrOwn::new(kubelet(), own.clone()))),
            None => Box::new(move |_| kubelet()),
        };
        let poller = poll(config, shared, make)?;
        let stop = Arc::new(watch::Stop::default());
        for kind in [Inventory::Nodes, Inventory::Pods] {
            let (changed, scraping, reviewing) = (poller.clone(), poller.clone(), reviewer.clone());
            // One of the two watchers is enough, and a list of nodes is then never under way.
            let own = own.clone().filter(|_| kind == Inventory::Nodes);
            let assumed = poller.clone();
            let (refused, accepted) = (shared.unauthorized.clone(), shared.unauthorized.clone());
            let listeners = watch::WatchListeners {
                changed: Box::new(move || changed.inventory_changed()),
                // Kubelets refuse what they cannot have reviewed; neither they nor the ConfigMap wait for their back-off.
                unauthorized: Box::new(move || refused.store(true, Ordering::Relaxed)),
                reachable: Box::new(move || {
                    accepted.store(false, Ordering::Relaxed);
                    scraping.api_server_reachable();
                    reviewing.look_again();
                }),
                list_failed: Box::new(move || {
                    if own.as_ref().is_some_and(|own| own.assume_inventory()) {
                        assumed.inventory_changed();
                    }
                }),
            };
            watch::start(kind, inventory.clone(), shared.store.clone(), listeners, stop.clone())
                .map_err(thread)?;
        }
        let (reviews, waits) = (reviewer.clone(), stop.clone());
        let reload = Arc::new(move || {
            clients.iter().for_each(|client| client.look_again());
            access.fetcher.look_again();
            reviews.look_again();
            waits.wake();
        });
        Ok((ClusterThreads { inventory, reviewer, reload, stop }, poller))
    }
}

impl ClusterThreads {
    /// The way to ask reviews.
    pub fn ask(&self) -> Arc<Ask> {
        self.reviewer.ask().into()
    }

    /// What reads credentials and trust again, and tries again what waits because of them.
    pub fn reload(&self) -> Arc<dyn Fn() + Send + Sync> {
        self.reload.clone()
    }

    /// Ends what is under way, for the end of the process.
    pub fn stop(self) {
        self.stop.stop();
        self.reviewer.stop();
        self.inventory.stop();
    }
}

/// The pinned keys, where the configuration wants them.
/// # Errors
/// Their file cannot be used, and how to mend that.
pub fn open_pins(config: &Config, keeps: bool) -> Result<Option<Pins>, String> {
    let count_max = config.capacity.nodes as usize;
    let open = |path: &PathBuf| Pins::open(path.clone(), count_max, keeps).map_err(of("--kubelet-pin"));
    config.kubelet_credentials.pins.as_ref().map(open).transpose()
}

/// Puts the flag before an error.
fn of(flag: &'static str) -> impl Fn(String) -> String {
    move |error| format!("{flag}: {error}")
}
