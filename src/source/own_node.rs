//! This machine's own cgroups in place of its kubelet, while that cannot be scraped.
//!
//! For one node alone, the one that runs here: an `InternalIP` of it is an address of this machine, or it has none and its
//! name is the host name; and only where the kubelet's log links are. After a failed scrape this machine is read twice,
//! and once the kubelet has answered twice with samples that advance, it is served again. So the source that takes over brings
//! two batches of its own: no rate has one point of each, the store sees to that by the batch's source, and until both
//! are there the other's points stay with their own time. A kubelet that hangs is tried for a tenth of the time.
//! Deviation: metrics-server has no figures of a node whose kubelet cannot be scraped; `--kubeconfig` on the node itself
//! serves that node from its cgroups meanwhile.

use super::machine::{self, HostSource, MachineRoots};
use super::{Reading, Source, SourceError};
use crate::host::clock;
use crate::limits;
use crate::lock::lock;
use crate::log_once::LogOnce;
use crate::store::batch::Batch;
use crate::store::{Commit, Store, Target};
use crate::units::Uptime;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What the sources of all nodes share: whether a node is this machine, and the inventory while there is no other.
pub struct OwnNode {
    roots: MachineRoots,
    store: Arc<Mutex<Store>>,
    /// Between the two readings of a take-over.
    pause: Duration,
    is_local: fn(IpAddr) -> bool,
    /// Reads names only, while the API server was never listed.
    assumed: Mutex<Option<HostSource>>,
    log: LogOnce,
}

impl OwnNode {
    /// For the machine that this process runs on.
    #[must_use]
    pub fn new(store: Arc<Mutex<Store>>) -> OwnNode {
        OwnNode {
            roots: MachineRoots::default(),
            store,
            pause: limits::SECOND_SCRAPE_AFTER,
            is_local,
            assumed: Mutex::new(None),
            log: LogOnce::new(),
        }
    }

    /// The API server could not be listed. While it never was, this node and its pods are served by the names that this
    /// machine knows; whether they are.
    pub fn assume_inventory(&self) -> bool {
        let mut assumed = lock(&self.assumed);
        if lock(&self.store).readiness().nodes_synced {
            *assumed = None;
            return false;
        }
        let opened = match assumed.take() {
            Some(machine) => Ok(machine),
            None => HostSource::open(self.roots.clone()),
        };
        let machine = opened.and_then(|machine| machine.has_links().map(|()| machine));
        match machine {
            Ok(mut machine) => {
                machine.assume_inventory(&self.store);
                let name = machine.name();
                let message = format_args!(
                    "API server not reached since the start: only this node is served, as {name} (the host name), with \
                     the pods that its log links name"
                );
                self.log.problem(log::Level::Warn, "inventory", "assumed", message);
                *assumed = Some(machine);
                true
            }
            Err(error) => {
                let message = format_args!(
                    "API server not reached since the start: nothing is served until it is; {}",
                    error.message
                );
                self.log.problem(log::Level::Warn, "inventory", "none", message);
                false
            }
        }
    }

    /// The node of the inventory that runs here: its name, and the address by which it was recognised, or its first.
    #[must_use]
    pub fn find(&self) -> Option<(String, Option<IpAddr>)> {
        let targets = lock(&self.store).targets();
        let here = targets.into_iter().find(|target| self.is_here(target))?;
        let local = internal_addresses(&here).find(|address| (self.is_local)(*address));
        let address = local.or_else(|| internal_addresses(&here).next());
        Some((here.name, address))
    }

    /// Whether `target` is the node that runs here.
    fn is_here(&self, target: &Target) -> bool {
        let is_named = || machine::host_name(&self.roots).is_ok_and(|name| name == target.name);
        let mut internal = internal_addresses(target).peekable();
        if internal.peek().is_none() {
            return is_named();
        }
        let Some(local) = internal.find(|address| (self.is_local)(*address)) else { return false };
        let all = lock(&self.store).targets();
        let claim = |other: &&Target| internal_addresses(other).any(|address| address == local);
        if all.iter().filter(claim).count() <= 1 || is_named() {
            return true;
        }
        let message = format_args!(
            "node {}: several nodes have the address {local} of this machine, and this one has not its name: its own \
             cgroups are not read",
            target.name
        );
        self.log.problem(log::Level::Warn, ("own cgroups", &target.name), "address", message);
        false
    }
}

fn internal_addresses(target: &Target) -> impl Iterator<Item = IpAddr> {
    let internal = target.addresses.iter().filter(|(kind, _)| kind == "InternalIP");
    internal.filter_map(|(_, address)| address.parse().ok())
}

/// Whether an address is one of this machine's: the kernel then chooses it as the source of what is sent there. Nothing
/// is sent. Binding to it would prove nothing where `ip_nonlocal_bind` is set.
fn is_local(address: IpAddr) -> bool {
    if address.is_loopback() || address.is_unspecified() || address.is_multicast() {
        return false;
    }
    let any: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    /// Any port will do.
    const DISCARD: u16 = 9;
    let chosen = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((address, DISCARD))?;
        socket.local_addr()
    });
    chosen.is_ok_and(|chosen| chosen.ip() == address)
}

/// Reads one node's kubelet, or this machine.
pub struct KubeletOrOwn {
    kubelet: Box<dyn Source>,
    own: Arc<OwnNode>,
    /// While this machine is served.
    stand_in: Option<StandIn>,
    /// What is committed before the batch just read: the first of the source that took over.
    earlier: Option<(Batch, Uptime)>,
}

struct StandIn {
    machine: HostSource,
    error: SourceError,
    try_kubelet_at: Instant,
    /// The kubelet's first batch since it answers again, and how many came.
    kubelet: Option<(Batch, Uptime)>,
    answers: u32,
}

impl KubeletOrOwn {
    /// The source of a node whose kubelet `kubelet` reads.
    #[must_use]
    pub fn new(kubelet: Box<dyn Source>, own: Arc<OwnNode>) -> KubeletOrOwn {
        KubeletOrOwn { kubelet, own, stand_in: None, earlier: None }
    }

    /// Reads this machine for the first time, twice; the kubelet's error where it cannot stand in.
    fn take_over(
        &mut self,
        target: &Target,
        batch: &mut Batch,
        error: SourceError,
        try_kubelet_at: Instant,
    ) -> Result<Reading, SourceError> {
        if !self.own.is_here(target) {
            return Err(error);
        }
        let (name, subject) = (&target.name, ("own cgroups", &target.name));
        let mut both = || {
            let mut machine = HostSource::open(self.own.roots.clone())?;
            machine.has_links()?;
            let mut first = Batch::new();
            machine.read_containers(target, &mut first)?;
            let first = (first, clock::uptime());
            std::thread::sleep(self.own.pause);
            let reading = machine.read_containers(target, batch)?;
            Ok((machine, first, reading))
        };
        match both() {
            Ok((machine, first, reading)) => {
                let message = format_args!(
                    "node {name}: its own cgroups are read in place of its kubelet until that can be scraped again"
                );
                self.own.log.problem(log::Level::Warn, subject, "read", message);
                self.earlier = Some(first);
                let instead_of = Some(error.clone());
                self.stand_in = Some(StandIn { machine, error, try_kubelet_at, kubelet: None, answers: 0 });
                Ok(Reading { instead_of, ..reading })
            }
            Err(why) => {
                self.own.log_unreadable(name, &why);
                Err(error)
            }
        }
    }

    /// Tries the kubelet, then reads this machine; the kubelet's reading as soon as it can be served again.
    fn stand_in(&mut self, target: &Target, batch: &mut Batch) -> Result<Reading, SourceError> {
        let Some(mut stand_in) = self.stand_in.take() else { return self.kubelet.read(target, batch) };
        let started = clock::mono();
        let mut instead_of = Some(stand_in.error.clone());
        if stand_in.try_kubelet_at <= started {
            match self.kubelet.read(target, batch) {
                Ok(reading) => {
                    if stand_in.kubelet_advances(batch) {
                        self.earlier = stand_in.kubelet.take();
                        let subject = ("own cgroups", &target.name);
                        let message = format_args!("node {}: its kubelet is read again", target.name);
                        self.own.log.recovered(subject, message);
                        return Ok(reading);
                    }
                    instead_of = None;
                }
                Err(error) => stand_in.failed(error.clone(), started, &mut instead_of),
            }
        }
        match stand_in.machine.read_containers(target, batch) {
            Ok(reading) => {
                self.stand_in = Some(stand_in);
                Ok(Reading { instead_of, ..reading })
            }
            Err(why) => {
                self.own.log_unreadable(&target.name, &why);
                Err(stand_in.error)
            }
        }
    }
}

impl StandIn {
    /// The kubelet failed again, after so long.
    fn failed(&mut self, error: SourceError, started: Instant, instead_of: &mut Option<SourceError>) {
        *instead_of = Some(error.clone());
        self.error = error;
        self.try_kubelet_at = next_try(started);
        (self.kubelet, self.answers) = (None, 0);
    }

    /// Whether the kubelet's batch and an earlier one make rates; keeps the first one.
    fn kubelet_advances(&mut self, batch: &mut Batch) -> bool {
        /// Answers after which the node's own sample is not waited for any longer.
        const ANSWERS_MAX: u32 = 4;
        self.answers += 1;
        let Some((first, _)) = &self.kubelet else {
            self.kubelet = Some((std::mem::take(batch), clock::uptime()));
            return false;
        };
        let time = |batch: &Batch| batch.node().map(|point| point.taken_at);
        time(batch) > time(first) || self.answers >= ANSWERS_MAX
    }
}

/// When to try a kubelet again that failed now: one that hangs may take a tenth of the time.
fn next_try(started: Instant) -> Instant {
    const SHARE: u32 = 10;
    let now = clock::mono();
    now + now.saturating_duration_since(started).saturating_mul(SHARE)
}

impl OwnNode {
    fn log_unreadable(&self, node: &str, why: &SourceError) {
        let message =
            format_args!("node {node}: its own cgroups cannot be read either: {}; {}", why.message, why.hint);
        self.log.problem(log::Level::Warn, ("own cgroups", node), "unreadable", message);
    }
}

impl Source for KubeletOrOwn {
    fn read(&mut self, target: &Target, batch: &mut Batch) -> Result<Reading, SourceError> {
        self.earlier = None;
        if self.stand_in.is_some() {
            return self.stand_in(target, batch);
        }
        let started = clock::mono();
        match self.kubelet.read(target, batch) {
            Ok(reading) => {
                self.own.log.forget(("own cgroups", &target.name));
                Ok(reading)
            }
            Err(error) => self.take_over(target, batch, error, next_try(started)),
        }
    }

    fn address(&self) -> Option<&str> {
        if self.stand_in.is_some() { None } else { self.kubelet.address() }
    }

    fn commit(&mut self, store: &mut Store, node: &str, batch: &Batch, at: Uptime) -> Commit {
        if let Some((earlier, read_at)) = self.earlier.take() {
            store.commit(node, &earlier, read_at);
        }
        store.commit(node, batch, at)
    }
}

#[cfg(test)]
mod tests;
