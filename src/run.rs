//! Wiring only: builds everything, starts the threads, serves, drains.
//!
//! The order matters: signals are taken before any thread exists, the listener is bound before anything can be slow, and
//! the serving thread answers discovery while the first list and scrape are still under way.

mod cluster;
mod doctor;
mod file_duties;
mod housekeeping;
mod listeners;
mod manifest;
mod setup;
mod shared;
mod state_file;
mod top;

use crate::access::review::Ask;
use crate::allocator;
use crate::api::{self, Vitals};
use crate::cli::{self, Command, Config, ManifestKind, RunMode, Surroundings};
use crate::cluster::authentication::TrustSource;
use crate::host::errand::Errand;
use crate::host::local_socket::LocalSocketFile;
use crate::host::signals::Signals;
use crate::host::{clock, log as logger, memory, systemd, threads};
use crate::limits;
use crate::lock::lock;
use crate::net::certificate::{CertificateSettings, Certificates};
use crate::net::tls;
use crate::poller::Poller;
use crate::serve::{self, App, Options};
use crate::source::machine::{HostSource, MachineRoots};
use crate::source::{Reading, Source, SourceError};
use crate::store::batch::Batch;
use crate::store::{Store, Target};
use crate::units::Bytes;
use cluster::{Clients, ClusterThreads};
use file_duties::FileDuties;
use housekeeping::Housekeeping;
use listeners::{ListenSockets, connection_limits};
use manifest::HostFacts;
use shared::{SharedState, certificate_names, poll};
use state_file::StateFile;
use std::ffi::OsString;
use std::io::Write;
use std::os::unix::net::UnixListener;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

/// Runs the program with its argument list. The exit code is 0 after a clean stop, 2 when the flags cannot be used, and 1
/// when something else is in the way that a restart may find gone.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let command = match cli::parse(args, &Surroundings::look()) {
        Ok(command) => command,
        Err(error) => return fail(&error.to_string(), cli::FLAGS_ERROR_CODE),
    };
    match command {
        Command::Say(text) => print(&text),
        Command::Setup(options) => match setup::run(&options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error, cli::ENVIRONMENT_ERROR_CODE),
        },
        Command::Manifest(options) => {
            let example = manifest::HostFacts::EXAMPLE;
            let facts = HostFacts { address: options.address.unwrap_or(example.address), ..example };
            print(&match options.kind {
                ManifestKind::Deployment => manifest::deployment(options.replicas),
                kind => manifest::text(kind, &facts),
            })
        }
        Command::Check(check) => match check.report(&cli::validate_file) {
            Ok(report) => print(&report),
            Err(error) => fail(&error.to_string(), cli::FLAGS_ERROR_CODE),
        },
        Command::Doctor(check, form) => {
            let findings = doctor::examine(&check);
            let _ = print(&doctor::render(&findings, form));
            ExitCode::from(if doctor::serves(&findings) { 0 } else { cli::ENVIRONMENT_ERROR_CODE })
        }
        Command::Top(options) => match top::run(&options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error, cli::ENVIRONMENT_ERROR_CODE),
        },
        Command::Run(config) => match Program::start(*config) {
            Ok(program) => program.serve(),
            Err(error) => fail(&error, cli::ENVIRONMENT_ERROR_CODE),
        },
    }
}

fn print(text: &str) -> ExitCode {
    // A closed standard output has no reader, so nothing is lost.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn fail(error: &str, code: u8) -> ExitCode {
    // Where nobody reads standard error, the process must end all the same.
    if logger::flush() {
        let _ = writeln!(std::io::stderr(), "toplet: {error}");
    }
    ExitCode::from(code)
}

/// Everything that lives as long as the process.
struct Program {
    config: Config,
    shared: SharedState,
    options: Options,
    certificates: Arc<Certificates>,
    signals: Signals,
    cluster: Option<ClusterThreads>,
    authentication: Arc<TrustSource>,
    poller: Poller,
    state_file: Option<Arc<StateFile>>,
    socket_file: Option<LocalSocketFile>,
}

impl Program {
    fn start(mut config: Config) -> Result<Program, String> {
        allocator::limit();
        logger::start(config.log_verbosity, config.log_json);
        for warning in &config.warnings {
            log::warn!("{warning}");
        }
        tls::check_random()?;
        let signals = Signals::take().map_err(|e| format!("signals cannot be handled: {e}"))?;
        logger::start_writing().map_err(|e| format!("no thread for the log: {e}"))?;
        check_memory(&config)?;
        // Files first, then the port: a mistake in one of them must not leave a certificate behind.
        let clients = Clients::open(&config, true)?;
        let tokens = clients.as_ref().map(|clients| clients.tokens.clone());
        let authentication = Arc::new(TrustSource::new(config.trust.clone(), tokens)?);
        let mut listeners = ListenSockets::open(&config)?;
        config.listen = listeners.address;
        let (local, socket_file) = listeners.local.take().unzip();
        let (options, certificates) = options(&config, listeners, local)?;
        let shared = SharedState::new(&config);
        let state_file = config.state_dir.clone().and_then(StateFile::new).map(Arc::new);
        if let Some(file) = &state_file {
            file.load(&shared.store);
        }
        let (cluster, poller) = match clients {
            None => (None, poll_host(&config, &shared)?),
            Some(clients) => {
                let (cluster, poller) = clients.start(&config, &shared, authentication.clone())?;
                (Some(cluster), poller)
            }
        };
        Ok(Program {
            config,
            shared,
            options,
            certificates,
            signals,
            cluster,
            authentication,
            poller,
            state_file,
            socket_file,
        })
    }

    fn serve(self) -> ExitCode {
        let Program { config, shared, options, certificates, signals, cluster, authentication, .. } = self;
        let (poller, state_file, _socket_file) = (self.poller, self.state_file, self.socket_file);
        announce(&config, &shared);
        let (stopper, stop_signal) = serve::stop_signal();
        let ask = cluster.as_ref().map(ClusterThreads::ask);
        let app = app(&config, &shared, &authentication, &poller, &certificates, ask);
        let unauthorized = shared.unauthorized.clone();
        let credential_copy = config.credential_copy();
        let housekeeping = Housekeeping {
            signals,
            stopper,
            stopping: shared.stopping,
            reload: cluster.as_ref().map(ClusterThreads::reload),
            poller: poller.clone(),
            unauthorized: shared.unauthorized,
            credential_copy: credential_copy.clone(),
            store: shared.store.clone(),
            resolution: config.resolution,
        };
        let files = FileDuties {
            authentication: cluster.is_none().then_some(authentication),
            certificates,
            state_file: state_file.clone(),
            store: shared.store.clone(),
            host: Some(shared.host).filter(|_| config.mode.is_on_host()),
        };
        if let Err(error) = threads::spawn("housekeeping", move || housekeeping.work(files)) {
            return fail(&format!("no thread for signals: {error}"), cli::ENVIRONMENT_ERROR_CODE);
        }
        systemd::ready(&format!("serving on {}", config.listen));
        let served = serve::run(options, app, stop_signal);
        systemd::stopping();
        poller.stop();
        if let Some(file) = state_file {
            let mut last = Errand::default();
            let _ = last.start(clock::mono(), move || file.save(&shared.store));
            // Where its file system does not answer, the next start is a slower one.
            let _ = last.wait(limits::FILE_WAIT_MAX);
        }
        if let Some(cluster) = cluster {
            cluster.stop();
        }
        match served {
            Ok(()) if credential_copy.is_some() && unauthorized.load(Ordering::Relaxed) => {
                let _ = logger::flush();
                ExitCode::from(cli::ENVIRONMENT_ERROR_CODE)
            }
            Ok(()) => {
                let _ = logger::flush();
                ExitCode::SUCCESS
            }
            Err(error) => {
                fail(&format!("cannot serve on {}: {error}", config.listen), cli::ENVIRONMENT_ERROR_CODE)
            }
        }
    }
}

/// Whether there is address space for everything that `toplet check` adds up: later its lack would end the process.
fn check_memory(config: &Config) -> Result<(), String> {
    let holders = cli::holders(config);
    memory::check_room(holders.iter().map(|(_, len)| Bytes(*len))).map_err(|e| {
        let sum = holders.iter().fold(0_u64, |sum, (_, len)| sum.saturating_add(*len));
        format!(
            "the {} KiB that these flags may need cannot be had: {e}; lower --max-containers, --max-pods, --max-nodes, \
             --max-connections or --history (`toplet check` prints what each needs), or raise the limit of address space (LimitAS=, \
             ulimit -v)",
            sum.div_ceil(1024)
        )
    })
}

/// Says where it serves; in host-only mode also one line to try, once that has something to show.
fn announce(config: &Config, shared: &SharedState) {
    let listen = config.listen;
    log::info!("serving the Metrics API on https://{listen} ({})", config.mode_reason);
    if config.mode != RunMode::HostOnly {
        return;
    }
    let (store, stopping) = (shared.store.clone(), shared.stopping.clone());
    let first_usage = move || {
        while !lock(&store).readiness().nodes {
            if stopping.load(Ordering::Relaxed) {
                return;
            }
            std::thread::sleep(limits::FIRST_USAGE_LOOK_INTERVAL);
        }
        let _ = writeln!(
            std::io::stdout(),
            "Serving this machine's usage on https://{listen}. Try:\n  curl -sk https://{listen}/apis/metrics.k8s.io/v1beta1/nodes",
        );
    };
    if let Err(error) = threads::spawn("announce", first_usage) {
        log::warn!("no thread to tell when there is usage: {error}");
    }
}

fn poll_host(config: &Config, shared: &SharedState) -> Result<Poller, String> {
    let mut machine =
        HostSource::open(MachineRoots::default()).map_err(|e| format!("{}; {}", e.message, e.hint))?;
    machine.refresh_inventory(&shared.store);
    let machine = Arc::new(Mutex::new(machine));
    let store = shared.store.clone();
    poll(
        config,
        shared,
        Box::new(move |_| Box::new(ThisMachine { machine: machine.clone(), store: store.clone() })),
    )
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
        let reading = machine.read(target, batch);
        let pressures = if reading.is_ok() { machine.pod_pressures() } else { Vec::new() };
        lock(&self.store).set_pressures(pressures);
        reading
    }
}

/// Certificates and TLS; the port comes before them, since they may be made and written.
fn options(
    config: &Config,
    listeners: ListenSockets,
    local: Option<UnixListener>,
) -> Result<(Options, Arc<Certificates>), String> {
    let names = certificate_names(config.listen.ip());
    let settings = CertificateSettings { names, ..config.certificates.clone() };
    let certificates = Certificates::load(&settings, clock::wall())?;
    let options = Options {
        listeners: listeners.sockets,
        listeners_are_shared: listeners.are_shared,
        local,
        tls: tls::server_config(&config.tls, certificates.clone())?,
        shutdown_delay: config.shutdown_delay,
        connections: connection_limits(config),
    };
    Ok((options, certificates))
}

fn app(
    config: &Config,
    shared: &SharedState,
    authentication: &Arc<TrustSource>,
    poller: &Poller,
    certificates: &Arc<Certificates>,
    ask: Option<Arc<Ask>>,
) -> App {
    let (poller, stopping) = (poller.clone(), shared.stopping.clone());
    let (certificates, host) = (certificates.clone(), shared.host.clone());
    let unauthorized = shared.unauthorized.clone();
    let (host_only, started_at) = (config.mode == RunMode::HostOnly, clock::wall());
    let vitals = move |with_process: bool| Vitals {
        tick_age: poller.tick_age(clock::mono()),
        stopping: stopping.load(Ordering::Relaxed),
        unauthorized: unauthorized.load(Ordering::Relaxed),
        pods_optional: host_only,
        rss: if with_process { memory::resident() } else { None },
        cpu_nanos: if with_process { memory::cpu_time().as_nanos() as u64 } else { 0 },
        started_at,
        uptime: clock::uptime(),
        host: if with_process { *lock(&host) } else { None },
        certificate_ends_at: if with_process { certificates.ends_at() } else { None },
    };
    App {
        store: shared.store.clone(),
        metrics: shared.metrics.clone(),
        settings: api::Settings {
            node_selector: config.node_selector.clone(),
            server_address: format!(":{}", config.listen.port()),
            resolution: config.resolution,
            usage_metrics: config.usage_metrics,
            mode: config.mode.name(),
            reserved: Bytes(cli::holders(config).iter().map(|(_, len)| len).sum()),
        },
        authentication: authentication.clone(),
        policy: config.policy.clone(),
        lifetimes: config.lifetimes,
        ask,
        vitals: Box::new(vitals),
        requests_max: config.max_requests as usize,
        request_time_max: config.request_timeout.min(limits::REQUEST_TIME_MAX),
    }
}
