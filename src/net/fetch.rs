//! Outgoing HTTP requests: to kubelets and to the API server. The one file that names the HTTP library.
//!
//! The library is sans-IO: it writes heads and reads heads and bodies in buffers, over connections of our own (`dial`).
//! A connection belongs to the [`RemoteHost`] it leads to: found without a search, kept while that peer is asked, and its buffers
//! are lent for a request only. One pool for all peers would be searched for every request.
//! Never: redirects, proxies from the environment, tokens over plain `http` (unless the kubeconfig says so), bodies
//! without a limit, a request without a deadline (watches have two). An [`Exchange`] streams its body through a buffer of
//! the caller. Memory: `limits::FETCH_INPUT_LEN` and one record for each request that runs; a kept connection is a socket
//! and its TLS state. Failures are sorted into the few [`Reason`]s a user can act on.
//! Deviation: metrics-server follows a kubelet's redirects and sends its token along; here a redirect is a failed scrape.

mod answer;
mod kept;

use super::credentials::{Credentials, TokenReader};
use super::dial::{Buffers, Stream};
use super::dns;
use super::failure::sort_io;
pub use super::failure::{FetchError, Reason};
use super::pem::Stamp;
use super::pins::Pins;
use crate::host::clock;
use crate::limits;
use crate::lock::lock;
use crate::units::UnixNanos;
pub use answer::Exchange;
use answer::{Deadlines, OutgoingCall};
use kept::Idle;
pub use kept::RemoteHost;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use ureq_proto::http::{self, Uri, header};

/// One request.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// `GET`, `POST`, `PATCH` or `DELETE`.
    pub method: &'static str,
    /// Absolute URL; its host is the name that is verified, unless the request or the credentials name another.
    pub url: &'a str,
    /// The name that is verified; empty for the credentials' or the host.
    pub server_name: &'a str,
    /// The node whose key must be shown; only where keys are pinned.
    pub pinned_as: &'a str,
    /// `Accept`; empty for none.
    pub accept: &'a str,
    /// Asks for a body that is compressed with gzip; the caller inflates it.
    pub gzip: bool,
    /// Content type and body of a POST or PATCH.
    pub body: Option<(&'a str, &'a [u8])>,
    /// From the lookup to the last byte of the body. `None` only for watches: their head must come within
    /// `limits::WATCH_ANSWER_TIMEOUT`, their end within `limits::WATCH_LIFE_MAX`.
    pub timeout: Option<Duration>,
    /// Time for the lookup of the host's name.
    pub lookup_timeout: Duration,
    /// Bytes of body that may be read.
    pub limit: u64,
}

impl<'a> Request<'a> {
    /// A GET of `url` that asks for nothing in particular, over a connection without pins.
    #[must_use]
    pub fn get(url: &'a str, timeout: Option<Duration>, limit: u64) -> Request<'a> {
        Request {
            method: "GET",
            url,
            server_name: "",
            pinned_as: "",
            accept: "",
            gzip: false,
            body: None,
            timeout,
            lookup_timeout: limits::LOOKUP_TIMEOUT,
            limit,
        }
    }
}

/// Sends requests with one set of credentials. Shared by reference between threads.
pub struct Fetcher {
    credentials: Credentials,
    server_name: Option<ServerName<'static>>,
    pins: Option<Pins>,
    token: TokenReader,
    state: Mutex<FetcherState>,
}

struct FetcherState {
    tls: Arc<ClientConfig>,
    generation: u64,
    stamps: Vec<Option<Stamp>>,
    contents: u64,
    /// End of our own certificate.
    expires_at: Option<UnixNanos>,
    looked_at: Instant,
    /// Files are read before the next request, whether they look changed or not.
    overdue: bool,
}

impl Fetcher {
    /// A client for these credentials.
    ///
    /// # Errors
    /// Which certificate, key or authority cannot be used, and why.
    pub fn new(credentials: Credentials) -> Result<Fetcher, String> {
        let stamps = credentials.stamps();
        let name = |name: &String| {
            ServerName::try_from(name.clone()).map_err(|e| format!("tls-server-name {name:?}: {e}"))
        };
        let server_name = credentials.server_name.as_ref().map(name).transpose()?;
        let tls = credentials.tls()?;
        let (contents, expires_at) = (credentials.contents(), credentials.expires_at());
        credentials.warn_of_expiry(expires_at, clock::wall());
        let token = TokenReader::new(credentials.token.clone());
        let looked_at = clock::mono();
        let state = Mutex::new(FetcherState {
            tls,
            generation: 0,
            stamps,
            contents,
            expires_at,
            looked_at,
            overdue: false,
        });
        Ok(Fetcher { credentials, server_name, pins: None, token, state })
    }

    /// The same, with servers that must show the key that is pinned for their node.
    #[must_use]
    pub fn with_pins(self, pins: Pins) -> Fetcher {
        Fetcher { pins: Some(pins), ..self }
    }

    /// The pinned keys.
    #[must_use]
    pub fn pins(&self) -> Option<&Pins> {
        self.pins.as_ref()
    }

    /// The end of our own certificate; `None` without one.
    #[must_use]
    pub fn certificate_end(&self) -> Option<UnixNanos> {
        lock(&self.state).expires_at
    }

    /// Reads token, certificates and authorities again before the next request.
    pub fn look_again(&self) {
        self.token.look_again();
        lock(&self.state).overdue = true;
    }

    /// Sends a request; any status is an answer. A connection that broke before the answer is tried once more, since a
    /// kept one may just have been closed by the peer; so is a 401 when the token file holds another token by now.
    ///
    /// # Errors
    /// Why there is no answer.
    pub fn send(&self, peer: &RemoteHost, request: &Request<'_>) -> Result<Exchange, FetchError> {
        let deadlines = Deadlines::new(request.timeout);
        let first = self.once(peer, request, deadlines);
        match &first {
            Err(e) if e.reason == Reason::Disconnected && !peer.is_stopped() => {
                self.once(peer, request, deadlines)
            }
            Ok(answer) if answer.status == 401 && self.token.renewed() => self.once(peer, request, deadlines),
            _ => first,
        }
    }

    fn once(
        &self,
        peer: &RemoteHost,
        request: &Request<'_>,
        deadlines: Deadlines,
    ) -> Result<Exchange, FetchError> {
        let head = self.head(request)?;
        let (tls, generation) = self.tls();
        let target = UrlTarget::new(head.uri())?;
        let mut buffers = Buffers::new();
        let stream = match peer.take(&target.authority, request.server_name, generation) {
            Some(stream) => stream,
            None => {
                let tls = if target.https { Some((tls, self.name(request, &target)?)) } else { None };
                let lookup_end = deadlines.head.min(clock::mono() + request.lookup_timeout);
                let addresses = target.addresses(lookup_end)?;
                let deadline = Some(deadlines.head);
                let stream =
                    Stream::open(&addresses, tls, deadline, &mut buffers, |socket| peer.opened(socket))
                        .map_err(|e| FetchError { connected: false, ..sort_io(&e, deadlines.timeout) })?;
                if let Some(pins) = &self.pins {
                    pins.check(request.pinned_as, stream.certificate())?;
                }
                stream
            }
        };
        let (authority, server_name) = (target.authority, request.server_name.into());
        let idle = Idle { stream, authority, server_name, generation, since: clock::mono() };
        let (peer, limit) = (peer.clone(), request.limit);
        OutgoingCall { idle, buffers, deadlines, peer }.ask(head, request.body.map(|(_, body)| body), limit)
    }

    fn head(&self, request: &Request<'_>) -> Result<http::Request<()>, FetchError> {
        let broken = |e: http::Error| FetchError::new(Reason::Io, format!("cannot be asked: {e}"));
        let mut head = http::Request::builder()
            .method(request.method)
            .uri(request.url)
            .header(header::USER_AGENT, concat!("toplet/", env!("CARGO_PKG_VERSION")));
        if !request.accept.is_empty() {
            head = head.header(header::ACCEPT, request.accept);
        }
        if request.gzip {
            head = head.header(header::ACCEPT_ENCODING, "gzip");
        }
        if let Some((content_type, body)) = request.body {
            head = head.header(header::CONTENT_TYPE, content_type).header(header::CONTENT_LENGTH, body.len());
        }
        let clear = !request.url.starts_with("https://");
        if (!clear || self.credentials.token_in_clear)
            && let Some(token) = self.token.current(clock::mono())
        {
            let mut value = http::HeaderValue::from_str(&format!("Bearer {}", token.as_str()))
                .map_err(|_| FetchError::new(Reason::Io, "the token cannot be sent in a header"))?;
            value.set_sensitive(true);
            head = head.header(header::AUTHORIZATION, value);
        }
        head.body(()).map_err(broken)
    }

    /// The name that the server's certificate must hold.
    fn name(&self, request: &Request<'_>, target: &UrlTarget) -> Result<ServerName<'static>, FetchError> {
        if let Some(name) = self.server_name.as_ref().filter(|_| request.server_name.is_empty()) {
            return Ok(name.clone());
        }
        let name = if request.server_name.is_empty() { &target.host } else { request.server_name };
        ServerName::try_from(name.to_owned())
            .map_err(|_| FetchError::new(Reason::WrongName, format!("{name:?} is not a name to verify")))
    }

    /// The TLS configuration, made again when a certificate file changed. A set that cannot be used leaves the last one.
    fn tls(&self) -> (Arc<ClientConfig>, u64) {
        let mut state = lock(&self.state);
        let now = clock::mono();
        let overdue = std::mem::take(&mut state.overdue);
        if overdue || now.saturating_duration_since(state.looked_at) >= limits::CREDENTIAL_LOOK_INTERVAL {
            state.looked_at = now;
            let stamps = self.credentials.stamps();
            if overdue || stamps != state.stamps {
                self.reload(&mut state);
                state.stamps = stamps;
            }
            self.credentials.warn_of_expiry(state.expires_at, clock::wall());
        }
        (state.tls.clone(), state.generation)
    }

    /// Reads files that were written again; the same content as before changes nothing.
    fn reload(&self, state: &mut FetcherState) {
        let contents = self.credentials.contents();
        if contents == state.contents {
            return;
        }
        match self.credentials.tls() {
            Ok(tls) => {
                log::info!("reloaded client certificates and authorities: their content changed");
                state.tls = tls;
                state.generation += 1;
                state.expires_at = self.credentials.expires_at();
            }
            Err(e) => log::warn!("client certificates changed, the last ones stay in use: {e}"),
        }
        state.contents = contents;
    }
}

/// Where a URL leads.
struct UrlTarget {
    authority: Box<str>,
    host: String,
    port: u16,
    https: bool,
}

impl UrlTarget {
    fn new(uri: &Uri) -> Result<UrlTarget, FetchError> {
        let authority = uri.authority().map_or("", |authority| authority.as_str()).into();
        let (https, host) = match (uri.scheme_str(), uri.host()) {
            (Some("https"), Some(host)) => (true, host),
            (Some("http"), Some(host)) => (false, host),
            _ => {
                return Err(FetchError::new(
                    Reason::Io,
                    "cannot be asked: neither https://HOST nor http://HOST",
                ));
            }
        };
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        Ok(UrlTarget { authority, host: bare.to_owned(), port, https })
    }

    fn addresses(&self, deadline: Instant) -> Result<Vec<SocketAddr>, FetchError> {
        let found = dns::system().lookup(&self.host, Some(deadline)).map_err(|e| FetchError {
            connected: false,
            ..FetchError::new(Reason::Dns, format!("{:?} cannot be resolved: {e}", self.host))
        })?;
        Ok(found.into_iter().map(|address| SocketAddr::new(address, self.port)).collect())
    }
}

#[cfg(test)]
mod tests;
