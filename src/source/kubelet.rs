//! One kubelet's `/metrics/resource`, streamed into a batch, or its Summary API where it has no resource metrics.
//!
//! The body is never held: it passes through one piece buffer into the decoder and is cut at
//! `limits::KUBELET_BODY_LEN_MAX`. Only 200 is accepted; redirects are refused, so that no token goes where the node's
//! address does not point. A node with several addresses is asked at the one that worked last, then at the others, within
//! one scrape; a certificate must name the address, else the node. Every failure says which URL was asked and what to do.
//! A kubelet that answers 404 is asked for its Summary within the same scrape. That is remembered, and the resource metrics
//! are asked for again after `limits::RESOURCE_RETRY_AFTER`, and when the connection was lost, as by an upgrade.
//! Deviation: a 404 is a failed scrape for metrics-server; here kubelets older than 1.18 and virtual ones are served.

use super::address::{self, KubeletPath, Rules};
use super::body;
use super::remedy::{KubeletTerms, KubeletVerification, remedy};
use super::{Reading, Source, SourceError};
use crate::host::clock;
use crate::limits;
use crate::net::fetch::{FetchError, Fetcher, Reason, RemoteHost, Request};
use crate::store::Target;
use crate::store::batch::{Batch, BatchSource};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What all kubelet sources share.
pub struct KubeletAccess {
    /// Sends requests with the credentials for kubelets.
    pub fetcher: Fetcher,
    /// Sends requests with the credentials for the API server, to the node proxy.
    pub proxy: Arc<Fetcher>,
    /// Where kubelets listen.
    pub rules: Rules,
    /// What is presented and verified, for remedies.
    pub terms: KubeletTerms,
    /// `--kubelet-gzip`.
    pub gzip: bool,
    /// `--kubelet-request-timeout`, for a whole scrape.
    pub timeout: Duration,
}

/// Reads one kubelet over a connection that is kept.
pub struct KubeletSource {
    access: Arc<KubeletAccess>,
    peer: RemoteHost,
    /// The node was asked through the API server last.
    is_proxied: bool,
    /// The address that worked last, and whether its certificate names the node instead of the address.
    good: Option<(String, bool)>,
    /// While the Summary API is read in place of resource metrics.
    fallback: Option<Fallback>,
}

/// When to ask for resource metrics again.
struct Fallback {
    /// When that was last answered 404.
    refused_at: Instant,
    /// The connection was lost since.
    reconnected: bool,
}

/// An address that did not work, and why.
struct Attempt {
    endpoint: KubeletPath,
    url: String,
    error: FetchError,
}

impl KubeletSource {
    /// The source of one node.
    #[must_use]
    pub fn new(access: Arc<KubeletAccess>) -> KubeletSource {
        KubeletSource { access, peer: RemoteHost::default(), is_proxied: false, good: None, fallback: None }
    }

    /// Asks the addresses in turn, beginning with the one that worked last, until one gives an answer.
    fn ask(
        &mut self,
        target: &Target,
        endpoint: KubeletPath,
        deadline: Instant,
        batch: &mut Batch,
    ) -> Result<Reading, Vec<Attempt>> {
        let access = self.access.clone();
        let mut addresses = address::candidates(target, &access.rules);
        let good = self.good.take();
        if let Some(at) = good.as_ref().and_then(|(good, _)| addresses.iter().position(|a| a == good)) {
            addresses.swap(0, at);
        }
        let path = address::path(target, endpoint);
        let mut attempts = Vec::new();
        for (at, address) in addresses.iter().copied().enumerate() {
            let url = address::url(address, &path, target, &access.rules);
            let node_first = good.as_ref().is_some_and(|(good, by_node)| good == address && *by_node);
            for (nth, name) in
                address::server_names(target, &access.rules, node_first).into_iter().enumerate()
            {
                let by_node = name == target.name;
                let left = deadline.saturating_duration_since(clock::mono());
                let request = Request {
                    server_name: name,
                    pinned_as: &target.name,
                    gzip: self.access.gzip,
                    lookup_timeout: lookup_timeout(&addresses[at + 1..]),
                    ..Request::get(&url, Some(left), limits::KUBELET_BODY_LEN_MAX)
                };
                match self.stream(&request, endpoint, batch) {
                    Ok(reading) => {
                        self.good = Some((address.to_owned(), by_node));
                        return Ok(reading);
                    }
                    Err(error) => {
                        let (connected, reason) = (error.connected, error.reason);
                        // The other name is tried only where this one was the trouble, and said only once.
                        if nth == 0 || reason != Reason::WrongName {
                            attempts.push(Attempt { endpoint, url: url.clone(), error });
                        }
                        if connected || reason == Reason::Timeout && clock::mono() >= deadline {
                            // There is a kubelet, and this is its answer.
                            self.good = connected.then(|| (address.to_owned(), by_node));
                            return Err(attempts);
                        }
                        if reason != Reason::WrongName {
                            break;
                        }
                    }
                }
            }
        }
        Err(attempts)
    }

    /// What to ask for, in order; the second after a 404 to the first. A path of the node's own has no second.
    fn endpoints(&self, target: &Target) -> &'static [KubeletPath] {
        const RESOURCE_FIRST: &[KubeletPath] = &[KubeletPath::Resource, KubeletPath::Summary];
        if !target.metrics_path.is_empty() {
            return &RESOURCE_FIRST[..1];
        }
        let Some(fallback) = &self.fallback else { return RESOURCE_FIRST };
        let wait = if fallback.reconnected {
            limits::RESOURCE_RETRY_AFTER_RECONNECT
        } else {
            limits::RESOURCE_RETRY_AFTER
        };
        if clock::mono().saturating_duration_since(fallback.refused_at) < wait {
            return &[KubeletPath::Summary, KubeletPath::Resource];
        }
        RESOURCE_FIRST
    }

    /// Remembers which endpoint answered, and says so when it is another one.
    fn answered(&mut self, target: &Target, endpoint: KubeletPath, was_refused: bool, reconnected: bool) {
        let name = &target.name;
        match (endpoint, &mut self.fallback) {
            (KubeletPath::Resource, None) => {}
            (KubeletPath::Resource, fallback) => {
                *fallback = None;
                log::info!(
                    "node {name}: it has resource metrics now, which are read instead of its Summary API"
                );
            }
            (KubeletPath::Summary, Some(fallback)) if !was_refused => fallback.reconnected |= reconnected,
            (KubeletPath::Summary, fallback) => {
                if fallback.is_none() {
                    log::warn!(
                        "node {name}: its kubelet answers 404 to /metrics/resource: its Summary API is read instead, whose \
                         times are whole seconds; update the kubelet (1.18 or newer), it is noticed within an hour"
                    );
                }
                *fallback = Some(Fallback { refused_at: clock::mono(), reconnected });
            }
        }
    }

    fn stream(
        &mut self,
        request: &Request<'_>,
        endpoint: KubeletPath,
        batch: &mut Batch,
    ) -> Result<Reading, FetchError> {
        let requested_at = clock::wall();
        let fetcher = if self.is_proxied { &*self.access.proxy } else { &self.access.fetcher };
        let mut answer = fetcher.send(&self.peer, request)?;
        if let Some(mut refusal) = answer.refusal() {
            let line = body::first_line(&mut answer);
            if !line.is_empty() && refusal.reason != Reason::Redirect {
                refusal.message.push_str(&format!(": {line}"));
            }
            return Err(refusal);
        }
        if answer.status != 200 {
            return Err(FetchError::new(
                Reason::Status,
                format!("request failed, status: \"{}\"", answer.status),
            ));
        }
        batch.begin(requested_at);
        if endpoint == KubeletPath::Summary {
            batch.set_source(BatchSource::Summary);
        }
        body::read(&mut answer, batch)
    }
}

/// How long the name of an address is looked up before `others` are tried.
fn lookup_timeout(others: &[&str]) -> Duration {
    match others.iter().any(|other| other.parse::<IpAddr>().is_ok()) {
        true => limits::LOOKUP_TIMEOUT_WITH_OTHERS,
        false => limits::LOOKUP_TIMEOUT,
    }
}

impl Source for KubeletSource {
    fn address(&self) -> Option<&str> {
        self.good.as_ref().map(|(address, _)| address.as_str())
    }

    fn read(&mut self, target: &Target, batch: &mut Batch) -> Result<Reading, SourceError> {
        let deadline = clock::mono() + self.access.timeout;
        let is_proxied = address::is_proxied(target, &self.access.rules);
        if is_proxied != self.is_proxied {
            // No connection is used with the credentials of another peer.
            (self.peer, self.is_proxied) = (RemoteHost::default(), is_proxied);
        }
        let mut attempts = Vec::new();
        for (asked, endpoint) in self.endpoints(target).iter().copied().enumerate() {
            let opened = self.peer.opened_count();
            match self.ask(target, endpoint, deadline, batch) {
                Ok(reading) => {
                    let reconnected = self.peer.opened_count() != opened;
                    self.answered(target, endpoint, asked > 0, reconnected);
                    return Ok(reading);
                }
                Err(failed) => attempts.extend(failed),
            }
            let is_absent = |last: &Attempt| last.error.connected && last.error.reason == Reason::NotFound;
            if !attempts.last().is_some_and(is_absent) {
                break;
            }
        }
        if let Some(fallback) = &mut self.fallback {
            fallback.reconnected = true;
        }
        // The last one is the answer of a kubelet, if there was any; else the first address counts.
        let decisive = attempts.iter().rev().find(|attempt| attempt.error.connected).or(attempts.first());
        let Some(Attempt { endpoint, url, error }) = decisive else {
            let types = self.access.rules.preferred_types.join(" ");
            return Err(SourceError {
                reason: "no_address",
                message: format!("no address matched types [{types}]"),
                hint: "wait for the cloud controller to set the node's addresses, or name one of its address types in \
                       --kubelet-preferred-address-types"
                    .into(),
            });
        };
        let message = if error.reason == Reason::Timeout {
            // The time that was left says little: the whole scrape took its timeout, or a connection its own.
            format!("GET {url}: no complete answer within {} s", self.access.timeout.as_secs_f64())
        } else {
            format!("GET {url}: {error}")
        };
        let others = attempts.iter().filter(|attempt| attempt.url != *url);
        let message =
            others.fold(message, |text, other| format!("{text}; GET {}: {}", other.url, other.error));
        let verification =
            if is_proxied { KubeletVerification::Proxied } else { self.access.terms.verification };
        let hint = remedy(error.reason, *endpoint, KubeletTerms { verification, ..self.access.terms });
        Err(SourceError { reason: error.reason.label(), message, hint })
    }
}

#[cfg(test)]
mod tests;
