//! Wiring only: builds everything, starts the threads, serves, drains.
//!
//! The order matters: signals are taken before any thread exists, the listener is bound before anything can be slow, and
//! the serving thread answers discovery while the first list and scrape are still under way.

mod keeper;

use crate::access::{FrontProxySettings, Mode as AccessMode, Policy, cache::Lifetimes, review::Ask};
use crate::api::self_metrics::SelfMetrics;
use crate::api::{self, Vitals};
use crate::cli::{self, Command, Config, KubeletTrust, Mode, START_ERROR_CODE, Surroundings};
use crate::cluster::authentication::{self, Authentication};
use crate::cluster::client::{self, ApiServer, KubeletFlags};
use crate::cluster::kubeconfig::{self, Access};
use crate::cluster::review::Reviewer;
use crate::cluster::watch;
use crate::host::cgroup::{HostSource, Roots};
use crate::host::signals::Signals;
use crate::host::{clock, listen, log as logger, memory, systemd, threads};
use crate::limits;
use crate::lock::lock;
use crate::net::certificate::{Certificates, subject_names};
use crate::net::fetch::Fetcher;
use crate::net::tls;
use crate::poller::{Poller, address::Rules, scrape::KubeletSource};
use crate::serve::{self, App, Options};
use crate::store::batch::Batch;
use crate::store::source::{Reading, Source, SourceError};
use crate::store::{Kind, Store, Target};
use crate::units::Window;
use crate::wire::selector::LabelSelector;
use keeper::Keeper;
use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Runs the program with its argument list; the exit code is 0 after a clean stop and 2 after a start-up error.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let command = match cli::parse(args, &Surroundings::look()) {
        Ok(command) => command,
        Err(error) => return refuse(&error.to_string()),
    };
    match command {
        Command::Say(text) => say(&text),
        Command::Check(check) => match check.report(&cli::judge_file) {
            Ok(report) => say(&report),
            Err(error) => refuse(&error.to_string()),
        },
        Command::Run(config) => match Program::start(*config) {
            Ok(program) => program.serve(),
            Err(error) => refuse(&error),
        },
    }
}

fn say(text: &str) -> ExitCode {
    // Nobody reads on when standard output is closed, and nothing is lost then.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn refuse(error: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "toplet: {error}");
    ExitCode::from(START_ERROR_CODE)
}

/// Everything that lives as long as the process.
struct Program {
    config: Config,
    shared: Shared,
    options: Options,
    signals: Signals,
    cluster: Option<Cluster>,
    authentication: Arc<Authentication>,
    poller: Poller,
}

/// What several threads share.
#[derive(Clone)]
struct Shared {
    store: Arc<Mutex<Store>>,
    metrics: Arc<SelfMetrics>,
    stopping: Arc<AtomicBool>,
}

/// The threads that talk to the API server.
struct Cluster {
    inventory: Arc<ApiServer>,
    reviewer: Reviewer,
    stop: Arc<watch::Stop>,
}

impl Program {
    fn start(config: Config) -> Result<Program, String> {
        memory::limit_allocator();
        logger::start(config.log.verbosity, config.log.json);
        for warning in &config.warnings {
            log::warn!("{warning}");
        }
        let signals = Signals::take().map_err(|e| format!("signals cannot be handled: {e}"))?;
        // What files say first: a mistake there must not leave a certificate behind or hold the port.
        let access = access(&config)?;
        let options = options(&config)?;
        let resolution = Window(i64::try_from(config.resolution.as_nanos()).unwrap_or(i64::MAX));
        let shared = Shared {
            store: Arc::new(Mutex::new(Store::new(config.capacity, resolution))),
            metrics: Arc::new(SelfMetrics::new(config.resolution)),
            stopping: Arc::new(AtomicBool::new(false)),
        };
        shared.metrics.capacity(config.capacity);
        let (cluster, authentication, poller) = match access {
            None => {
                let authentication = Authentication::new(trust_settings(&config), None)?;
                (None, Arc::new(authentication), poll_host(&config, &shared)?)
            }
            Some(access) => {
                let (cluster, authentication, poller) = join(&config, &shared, access)?;
                (Some(cluster), authentication, poller)
            }
        };
        Ok(Program { config, shared, options, signals, cluster, authentication, poller })
    }

    fn serve(self) -> ExitCode {
        let Program { config, shared, options, signals, cluster, authentication, poller } = self;
        announce(&config);
        let (stopper, stop_signal) = serve::stop_signal();
        let ask = cluster.as_ref().map(|c| Arc::<Ask>::from(c.reviewer.ask()));
        let app = app(&config, &shared, &authentication, &poller, ask);
        let keeper = Keeper {
            signals,
            stopper,
            stopping: shared.stopping,
            authentication: cluster.is_none().then_some(authentication),
            reviewer: cluster.as_ref().map(|cluster| cluster.reviewer.clone()),
            poller: poller.clone(),
            store: shared.store,
            resolution: config.resolution,
        };
        if let Err(error) = threads::spawn("keeper", move || keeper.work()) {
            return refuse(&format!("no thread for signals: {error}"));
        }
        systemd::ready(&format!("serving on {}", config.listen));
        let served = serve::run(options, app, stop_signal);
        systemd::stopping();
        poller.stop();
        if let Some(cluster) = cluster {
            cluster.stop.stop();
            cluster.reviewer.stop();
            cluster.inventory.stop();
        }
        match served {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => refuse(&format!("cannot serve on {}: {error}", config.listen)),
        }
    }
}

/// Says where it serves; in host-only mode also one line to try.
fn announce(config: &Config) {
    log::info!("serving the Metrics API on https://{} ({})", config.listen, config.mode_reason);
    if config.mode == Mode::HostOnly {
        let mut out = std::io::stdout();
        let _ = writeln!(
            out,
            "Serving this machine's usage on https://{0}. Try:\n  curl -sk https://{0}/apis/metrics.k8s.io/v1beta1/nodes",
            config.listen
        );
    }
}

/// How to reach the API server; `None` in host-only mode.
fn access(config: &Config) -> Result<Option<Access>, String> {
    match &config.mode {
        Mode::HostOnly => Ok(None),
        Mode::Kubeconfig { path } => kubeconfig::load(path).map(Some),
        Mode::InCluster { server } => {
            kubeconfig::in_cluster(server, Path::new(kubeconfig::SERVICE_ACCOUNT)).map(Some)
        }
    }
}

/// Clients, watchers, reviewer and poller of a cluster.
fn join(
    config: &Config,
    shared: &Shared,
    access: Access,
) -> Result<(Cluster, Arc<Authentication>, Poller), String> {
    let inventory = Arc::new(ApiServer::new(access.clone())?);
    let reviews = |path: &Option<PathBuf>| match (path, &config.mode) {
        (Some(path), Mode::Kubeconfig { path: same }) if path == same => Ok(inventory.clone()),
        (None, _) => Ok(inventory.clone()),
        (Some(path), _) => kubeconfig::load(path).and_then(ApiServer::new).map(Arc::new),
    };
    let tokens = reviews(&config.authentication.kubeconfig)?;
    let permissions = reviews(&config.authorization.kubeconfig)?;
    let authentication = Arc::new(Authentication::new(trust_settings(config), Some(tokens.clone()))?);
    let thread = |e: std::io::Error| format!("no thread: {e}");
    let reviewer = Reviewer::start(tokens, permissions, authentication.clone()).map_err(thread)?;
    let poller = poll_kubelets(config, shared, &access)?;
    let stop = Arc::new(watch::Stop::default());
    for kind in [Kind::Nodes, Kind::Pods] {
        let poller = poller.clone();
        let changed: watch::Changed = Box::new(move || poller.inventory_changed());
        watch::start(kind, inventory.clone(), shared.store.clone(), changed, stop.clone()).map_err(thread)?;
    }
    Ok((Cluster { inventory, reviewer, stop }, authentication, poller))
}

fn poll_kubelets(config: &Config, shared: &Shared, access: &Access) -> Result<Poller, String> {
    let kubelet = &config.kubelet;
    let flags = KubeletFlags {
        certificate_authority: match &kubelet.trust {
            KubeletTrust::CaFile(path) => Some(path.clone()),
            _ => None,
        },
        pair: kubelet.client_pair.clone(),
        insecure_tls: kubelet.trust == KubeletTrust::AnyCertificate,
        completely_insecure: kubelet.trust == KubeletTrust::PlainHttp,
    };
    let fetcher = Arc::new(Fetcher::new(client::kubelet_credentials(&access.credentials, &flags))?);
    let rules = Arc::new(Rules {
        https: !flags.completely_insecure,
        port: kubelet.port,
        use_status_port: kubelet.use_node_status_port,
        preferred_types: kubelet.address_types.clone(),
    });
    let timeout = kubelet.request_timeout;
    poll(
        config,
        shared,
        Box::new(move || Box::new(KubeletSource::new(fetcher.clone(), rules.clone(), timeout))),
    )
}

fn poll_host(config: &Config, shared: &Shared) -> Result<Poller, String> {
    let mut machine = HostSource::open(Roots::default()).map_err(|e| format!("{}; {}", e.message, e.hint))?;
    machine.refresh_inventory(&shared.store);
    let machine = Arc::new(Mutex::new(machine));
    let store = shared.store.clone();
    poll(
        config,
        shared,
        Box::new(move || Box::new(ThisMachine { machine: machine.clone(), store: store.clone() })),
    )
}

fn poll(config: &Config, shared: &Shared, sources: crate::poller::Sources) -> Result<Poller, String> {
    let selector = LabelSelector::parse(&config.kubelet.node_selector)?;
    Poller::start(config.resolution, selector, shared.store.clone(), shared.metrics.clone(), sources)
        .map_err(|e| format!("no thread for scraping: {e}"))
}

/// The host source with its inventory kept up to date: pods come and go between two readings.
struct ThisMachine {
    machine: Arc<Mutex<HostSource>>,
    store: Arc<Mutex<Store>>,
}

impl Source for ThisMachine {
    fn read(&mut self, target: &Target, batch: &mut Batch) -> Result<Reading, SourceError> {
        let mut machine = lock(&self.machine);
        machine.refresh_inventory(&self.store);
        machine.read(target, batch)
    }
}

/// Certificates, TLS and listeners.
fn options(config: &Config) -> Result<Options, String> {
    let host_name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let names =
        subject_names("metrics-server", "kube-system", Some(host_name.trim()), Some(config.listen.ip()));
    let certificates = Certificates::load(&config.serving.certificates(names), clock::wall())?;
    Ok(Options {
        listeners: vec![listener(config)?],
        tls: tls::server_config(&config.serving.tls, certificates.clone())?,
        certificates,
        shutdown_delay: config.shutdown_delay,
        connections_max: usize::try_from(config.max_connections).unwrap_or(usize::MAX),
    })
}

fn app(
    config: &Config,
    shared: &Shared,
    authentication: &Arc<Authentication>,
    poller: &Poller,
    ask: Option<Arc<Ask>>,
) -> App {
    let (poller, stopping) = (poller.clone(), shared.stopping.clone());
    let (host_only, started_at) = (config.mode == Mode::HostOnly, clock::wall());
    let vitals = move |with_process: bool| Vitals {
        tick_age: poller.tick_age(clock::mono()),
        stopping: stopping.load(Ordering::Relaxed),
        pods_optional: host_only,
        rss: if with_process { memory::resident().unwrap_or_default().0 } else { 0 },
        cpu_nanos: if with_process { u64::try_from(memory::cpu_time().as_nanos()).unwrap_or(0) } else { 0 },
        started_at,
    };
    App {
        store: shared.store.clone(),
        metrics: shared.metrics.clone(),
        settings: api::Settings {
            node_selector: LabelSelector::parse(&config.kubelet.node_selector).unwrap_or_default(),
            server_address: format!(":{}", config.listen.port()),
            gzip: config.gzip,
            resolution: config.resolution,
        },
        authentication: authentication.clone(),
        policy: Policy {
            always_allow_paths: config.authorization.always_allow_paths.clone(),
            mode: access_mode(config),
        },
        lifetimes: Lifetimes {
            token: config.authentication.token_ttl,
            allowed: config.authorization.authorized_ttl,
            denied: config.authorization.unauthorized_ttl,
        },
        ask,
        vitals: Box::new(vitals),
        requests_max: usize::try_from(config.max_requests).unwrap_or(usize::MAX),
        request_time_max: config.request_timeout.min(limits::REQUEST_TIME_MAX),
    }
}

fn access_mode(config: &Config) -> AccessMode {
    match (&config.mode, &config.authentication.client_ca) {
        (Mode::HostOnly, Some(_)) => AccessMode::HostClientCertificate,
        (Mode::HostOnly, None) => AccessMode::HostAnonymous,
        _ => AccessMode::Delegated,
    }
}

fn trust_settings(config: &Config) -> authentication::Settings {
    let flags = &config.authentication;
    let header = &flags.request_header;
    authentication::Settings {
        skip_lookup: flags.skip_lookup,
        tolerate_lookup_failure: flags.tolerate_lookup_failure,
        client_ca_file: flags.client_ca.clone(),
        front_proxy_ca_file: header.ca.clone(),
        front_proxy: FrontProxySettings {
            ca_pem: None,
            allowed_names: header.allowed_names.clone(),
            username_headers: header.username_headers.clone(),
            group_headers: header.group_headers.clone(),
            extra_prefixes: header.extra_prefixes.clone(),
            uid_headers: header.uid_headers.clone(),
        },
    }
}

/// systemd's socket, or a bound one.
fn listener(config: &Config) -> Result<TcpListener, String> {
    if let Some(listener) = systemd::listener() {
        return Ok(listener);
    }
    let (address, port) = (config.listen.ip(), config.listen.port());
    listen::listen(config.listen, config.reuse_port).map_err(|e| match e.kind() {
        ErrorKind::AddrInUse => format!(
            "--secure-port={port}: the port is in use on {address}; stop its holder (on a host network 10250 is the \
             kubelet's), or choose another"
        ),
        ErrorKind::PermissionDenied => {
            format!("--secure-port={port}: {e}; choose a port from 1024 on, or grant CAP_NET_BIND_SERVICE")
        }
        _ => format!("--bind-address={address} --secure-port={port}: {e}"),
    })
}
