//! One kubelet's `/metrics/resource`, streamed into a batch.
//!
//! The body is never held: it passes through one piece buffer into the decoder and is cut at
//! `limits::KUBELET_BODY_LEN_MAX`. Only 200 is accepted; redirects are refused, so that no token goes where the node's
//! address does not point. Every failure says which URL was asked and what to do.

use super::address::{self, Rules};
use super::{Reading, Source, SourceError};
use crate::host::clock;
use crate::limits;
use crate::net::fetch::{FetchError, Fetcher, Reason, RemoteHost, Request};
use crate::store::Target;
use crate::store::batch::{Batch, BatchError};
use std::sync::Arc;
use std::time::Duration;

/// Reads one kubelet over a connection that is kept.
pub struct KubeletSource {
    fetcher: Arc<Fetcher>,
    rules: Arc<Rules>,
    timeout: Duration,
    peer: RemoteHost,
}

impl KubeletSource {
    /// A source that asks through `fetcher`; `timeout` is `--kubelet-request-timeout`, for a whole scrape.
    #[must_use]
    pub fn new(fetcher: Arc<Fetcher>, rules: Arc<Rules>, timeout: Duration) -> KubeletSource {
        KubeletSource { fetcher, rules, timeout, peer: RemoteHost::default() }
    }

    fn stream(&mut self, url: &str, batch: &mut Batch) -> Result<Reading, FetchError> {
        let requested_at = clock::wall();
        let timeout = Some(self.timeout);
        let limit = limits::KUBELET_BODY_LEN_MAX;
        let request = Request { url, server_name: "", accept: "", body: None, timeout, limit };
        let mut answer = self.fetcher.send(&self.peer, &request)?;
        if let Some(refusal) = answer.refusal() {
            return Err(refusal);
        }
        if answer.status != 200 {
            return Err(FetchError::new(
                Reason::Status,
                format!("request failed, status: \"{}\"", answer.status),
            ));
        }
        batch.begin(requested_at);
        let mut piece = vec![0; limits::KUBELET_PIECE_LEN];
        let mut len = 0_u64;
        loop {
            let read = answer.read(&mut piece)?;
            if read == 0 {
                break;
            }
            len = len.saturating_add(read as u64);
            batch.feed(piece.get(..read).unwrap_or_default()).map_err(too_much)?;
        }
        Ok(Reading { len, dropped: batch.finish() })
    }
}

fn too_much(error: BatchError) -> FetchError {
    FetchError::new(Reason::TooLarge, format!("the answer holds {error}"))
}

impl Source for KubeletSource {
    fn read(&mut self, target: &Target, batch: &mut Batch) -> Result<Reading, SourceError> {
        let Some(url) = address::url(target, &self.rules) else {
            return Err(SourceError {
                reason: "no_address",
                message: format!("no address matched types [{}]", self.rules.preferred_types.join(" ")),
                hint: "wait for the cloud controller to set the node's addresses, or name one of its address types in \
                       --kubelet-preferred-address-types",
            });
        };
        self.stream(&url, batch).map_err(|e| SourceError {
            reason: e.reason.label(),
            message: format!("GET {url}: {e}"),
            hint: hint(e.reason),
        })
    }
}

/// What a cluster's keeper can do about a failed scrape.
const fn hint(reason: Reason) -> &'static str {
    match reason {
        Reason::Dns => {
            "prefer addresses over names: --kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname"
        }
        Reason::Refused => {
            "is the kubelet running, and is this its port (--kubelet-use-node-status-port, --kubelet-port)?"
        }
        Reason::Timeout => {
            "is the node up, and is its kubelet port open to this machine (firewall, network policy)?"
        }
        Reason::Untrusted => {
            "give the authority that signed the kubelets' certificates with --kubelet-certificate-authority, let \
             kubelets ask for signed ones (serverTLSBootstrap: true), or, for a test, --kubelet-insecure-tls"
        }
        Reason::WrongName => {
            "the kubelet's certificate does not name this address: let kubelets ask for signed ones \
             (serverTLSBootstrap: true), prefer an address it names (--kubelet-preferred-address-types), or, for a \
             test, --kubelet-insecure-tls"
        }
        Reason::Expired => "renew the kubelet's serving certificate, and compare the clocks of both machines",
        Reason::Tls => "is this the kubelet's https port (--kubelet-port)?",
        Reason::Unauthorized => {
            "the kubelet does not accept our token: is token webhook authentication on (authentication.webhook.enabled), \
             or is --kubelet-client-certificate needed?"
        }
        Reason::Forbidden => "allow \"get\" on \"nodes/metrics\" to our service account (ClusterRole)",
        Reason::NotFound => {
            "this kubelet has no /metrics/resource: set the annotation metrics.k8s.io/resource-metrics-path, or leave \
             the node out with --node-selector"
        }
        Reason::Redirect => "redirects are not followed: does the node's address point at its kubelet?",
        Reason::TooLarge | Reason::Body => "does the node's address and port point at its kubelet?",
        Reason::Gone | Reason::Busy | Reason::ServerTimeout | Reason::Status => "see the kubelet's own log",
        Reason::Disconnected | Reason::Io => {
            "see the kubelet's own log, and the network between it and this machine"
        }
    }
}

#[cfg(test)]
mod tests;
