//! Outgoing HTTP requests: to kubelets and to the API server. The one file that names the HTTP library.
//!
//! Never: redirects, proxies from the environment, tokens over plain `http` (unless the kubeconfig says so), bodies
//! without a limit, a request without a deadline (watches have two). An [`Exchange`] streams its body through a buffer of the caller.
//! Memory: `limits::FETCH_INPUT_LEN` + `FETCH_OUTPUT_LEN` and the TLS state for each connection, at most
//! `limits::IDLE_CONNECTIONS_MAX` of them kept. Failures are sorted into the few [`Reason`]s a user can act on.
//! Deviation: the reference follows a kubelet's redirects and sends its token along; here a redirect is a failed scrape.

use super::credentials::{Credentials, TokenReader};
use super::dial::Stream;
use super::dns;
use super::failure::{Dns, late, sort_io, sort_tls};
pub use super::failure::{FetchError, Reason};
use super::pem::Stamp;
use crate::host::clock;
use crate::limits;
use crate::lock::lock;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};
use ureq::config::Config;
use ureq::http::{self, Uri, header};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, ShutdownHandle, Transport, time,
};
use ureq::{Agent, BodyReader};

/// One request. A body makes it a POST.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Absolute URL; its host is the name that is verified, unless the credentials name another.
    pub url: &'a str,
    /// `Accept`; empty for none.
    pub accept: &'a str,
    /// Content type and body of a POST.
    pub body: Option<(&'a str, &'a [u8])>,
    /// From the lookup to the last byte of the body. `None` only for watches: their head must come within
    /// `limits::WATCH_ANSWER_TIMEOUT`, their end within `limits::WATCH_LIFE_MAX`.
    pub timeout: Option<Duration>,
    /// Bytes of body that may be read.
    pub limit: u64,
}

/// Sends requests with one set of credentials over kept connections. Shared by reference between threads.
pub struct Fetcher {
    credentials: Credentials,
    token: TokenReader,
    state: Mutex<State>,
}

struct State {
    agent: Agent,
    stamps: Vec<Option<Stamp>>,
    looked_at: Instant,
    stopped: bool,
}

impl Fetcher {
    /// A client for these credentials.
    ///
    /// # Errors
    /// Which certificate, key or authority cannot be used, and why.
    pub fn new(credentials: Credentials) -> Result<Fetcher, String> {
        let stamps = credentials.stamps();
        let agent = agent(credentials.tls()?, &credentials)?;
        let token = TokenReader::new(credentials.token.clone());
        let state = Mutex::new(State { agent, stamps, looked_at: clock::mono(), stopped: false });
        Ok(Fetcher { credentials, token, state })
    }

    /// Sends a request; any status is an answer. A connection that broke before the answer is tried once more, since a
    /// kept one may just have been closed by the peer; so is a 401 when the token file holds another token by now.
    ///
    /// # Errors
    /// Why there is no answer.
    pub fn send(&self, request: &Request<'_>) -> Result<Exchange, FetchError> {
        let first = self.once(request);
        match &first {
            Err(e) if e.reason == Reason::Disconnected && !self.is_stopped() => self.once(request),
            Ok(answer) if answer.status == 401 && self.token.renewed() => self.once(request),
            _ => first,
        }
    }

    fn once(&self, request: &Request<'_>) -> Result<Exchange, FetchError> {
        let agent = self.agent();
        let mut head = http::Request::builder()
            .method(if request.body.is_some() { "POST" } else { "GET" })
            .uri(request.url);
        if !request.accept.is_empty() {
            head = head.header(header::ACCEPT, request.accept);
        }
        if let Some((content_type, _)) = request.body {
            head = head.header(header::CONTENT_TYPE, content_type);
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
        let broken = |e: http::Error| FetchError::new(Reason::Io, format!("cannot be asked: {e}"));
        let sent = match request.body {
            None => {
                let head = head.body(()).map_err(broken)?;
                match request.timeout {
                    Some(_) => {
                        agent.run(agent.configure_request(head).timeout_global(request.timeout).build())
                    }
                    None => agent.run(
                        agent
                            .configure_request(head)
                            .timeout_connect(Some(limits::WATCH_ANSWER_TIMEOUT))
                            .timeout_send_request(Some(limits::WATCH_ANSWER_TIMEOUT))
                            .timeout_recv_response(Some(limits::WATCH_ANSWER_TIMEOUT))
                            .timeout_recv_body(Some(limits::WATCH_LIFE_MAX))
                            .build(),
                    ),
                }
            }
            Some((_, body)) => {
                let head = head.body(body).map_err(broken)?;
                agent.run(agent.configure_request(head).timeout_global(request.timeout).build())
            }
        };
        let answer = sent.map_err(|e| sort(e, request.timeout))?;
        Ok(Exchange::new(answer, request))
    }

    /// Ends every request under way and refuses new ones: for the end of the process.
    pub fn stop(&self) {
        let mut state = lock(&self.state);
        state.stopped = true;
        state.agent.clone().shutdown();
    }

    fn is_stopped(&self) -> bool {
        lock(&self.state).stopped
    }

    /// The library's client, rebuilt when a certificate file changed. A set that cannot be used leaves the last one.
    fn agent(&self) -> Agent {
        let mut state = lock(&self.state);
        let now = clock::mono();
        if !state.stopped
            && now.saturating_duration_since(state.looked_at) >= limits::CREDENTIAL_LOOK_INTERVAL
        {
            state.looked_at = now;
            let stamps = self.credentials.stamps();
            if stamps != state.stamps {
                match self.credentials.tls().and_then(|tls| agent(tls, &self.credentials)) {
                    Ok(agent) => {
                        log::info!("outgoing certificates changed: the new ones are used from now on");
                        state.agent = agent;
                    }
                    Err(e) => log::warn!("outgoing certificates changed, the old ones stay in use: {e}"),
                }
                state.stamps = stamps;
            }
        }
        state.agent.clone()
    }
}

fn agent(tls: Arc<ClientConfig>, credentials: &Credentials) -> Result<Agent, String> {
    let name = |name: &String| {
        ServerName::try_from(name.clone()).map_err(|e| format!("tls-server-name {name:?}: {e}"))
    };
    let server_name = credentials.server_name.as_ref().map(name).transpose()?;
    let config = Config::builder()
        .proxy(None)
        .max_redirects(0)
        .http_status_as_error(false)
        .user_agent(concat!("toplet/", env!("CARGO_PKG_VERSION")))
        .accept_encoding("")
        .input_buffer_size(limits::FETCH_INPUT_LEN)
        .output_buffer_size(limits::FETCH_OUTPUT_LEN)
        .max_response_header_size(limits::FETCH_INPUT_LEN)
        .max_idle_connections(limits::IDLE_CONNECTIONS_MAX)
        .max_idle_connections_per_host(1)
        .max_idle_age(limits::IDLE_CONNECTION_AGE_MAX)
        .build();
    Ok(Agent::with_parts(config, Dialer { tls, server_name }, Lookup))
}

/// An answer whose body is still to be read.
pub struct Exchange {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`; empty when absent.
    pub content_type: String,
    /// `Retry-After` in seconds, bounded by `limits::RETRY_AFTER_MAX`.
    pub retry_after: Option<Duration>,
    location: String,
    timeout: Option<Duration>,
    body: BodyReader<'static>,
}

impl Exchange {
    fn new(answer: http::Response<ureq::Body>, request: &Request<'_>) -> Exchange {
        let text =
            |name| answer.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        let retry_after = text(header::RETRY_AFTER).parse().ok().map(Duration::from_secs);
        Exchange {
            status: answer.status().as_u16(),
            content_type: text(header::CONTENT_TYPE),
            retry_after: retry_after.map(|d| d.min(limits::RETRY_AFTER_MAX)),
            location: text(header::LOCATION),
            timeout: request.timeout,
            body: answer.into_body().into_with_config().limit(request.limit).reader(),
        }
    }

    /// Reads what is there, at least a byte; 0 at the end of the body.
    ///
    /// # Errors
    /// The connection broke, the time is up, or the body exceeds its limit.
    pub fn read(&mut self, buf: &mut [u8]) -> Result<usize, FetchError> {
        io::Read::read(&mut self.body, buf).map_err(|e| sort(e.into(), self.timeout))
    }

    /// Reads the rest of the body.
    ///
    /// # Errors
    /// As [`Exchange::read`].
    pub fn read_all(&mut self) -> Result<Vec<u8>, FetchError> {
        let mut all = Vec::new();
        io::Read::read_to_end(&mut self.body, &mut all).map_err(|e| sort(e.into(), self.timeout))?;
        Ok(all)
    }

    /// What a status other than 2xx means; `None` for 2xx.
    #[must_use]
    pub fn refusal(&self) -> Option<FetchError> {
        let reason = match self.status {
            200..=299 => return None,
            300..=399 => Reason::Redirect,
            401 => Reason::Unauthorized,
            403 => Reason::Forbidden,
            404 => Reason::NotFound,
            410 => Reason::Gone,
            429 | 503 => Reason::Busy,
            504 => Reason::ServerTimeout,
            _ => Reason::Status,
        };
        let name =
            http::StatusCode::from_u16(self.status).ok().and_then(|s| s.canonical_reason()).unwrap_or("");
        let mut message =
            format!("request failed, status: \"{}\"", format!("{} {name}", self.status).trim_end());
        if reason == Reason::Redirect {
            let shown: String = self.location.chars().take(limits::LOGGED_LEN_MAX).collect();
            message.push_str(&format!(", it redirects to {shown:?}"));
        }
        Some(FetchError { reason, message, retry_after: self.retry_after })
    }
}

/// Sorts the library's errors into ours.
fn sort(error: ureq::Error, timeout: Option<Duration>) -> FetchError {
    use ureq::Error as E;
    match error {
        E::Timeout(_) => late(timeout),
        E::HostNotFound => FetchError::new(Reason::Dns, "the name cannot be resolved"),
        E::BodyExceedsLimit(limit) => {
            FetchError::new(Reason::TooLarge, format!("the body is larger than {limit} bytes"))
        }
        E::LargeResponseHeader(..) => FetchError::new(Reason::Body, "the answer's header is too large"),
        E::Protocol(e) => FetchError::new(Reason::Body, format!("the answer is not HTTP/1.1: {e}")),
        E::BodyStalled => FetchError::new(Reason::Body, "the body makes no progress"),
        E::Rustls(e) => sort_tls(&e),
        E::Io(e) => sort_io(&e, timeout),
        other => FetchError::new(Reason::Io, other.to_string()),
    }
}

/// Finds the addresses of a URL's host.
#[derive(Debug)]
struct Lookup;

impl Resolver for Lookup {
    fn resolve(
        &self,
        uri: &Uri,
        _: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = bare(uri.host().unwrap_or_default());
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 });
        let found = dns::system()
            .lookup(host, deadline(timeout))
            .map_err(|e| io::Error::other(Dns(format!("{host:?} cannot be resolved: {e}"))))?;
        let mut addresses = self.empty();
        for address in found.into_iter().take(limits::ADDRESSES_MAX) {
            addresses.push(SocketAddr::new(address, port));
        }
        if addresses.is_empty() { Err(ureq::Error::HostNotFound) } else { Ok(addresses) }
    }
}

/// Opens connections.
#[derive(Debug)]
struct Dialer {
    tls: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
}

impl Connector<()> for Dialer {
    type Out = Wire;

    fn connect(&self, details: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<Wire>, ureq::Error> {
        let tls = if details.needs_tls() {
            let host = bare(details.uri.host().unwrap_or_default());
            let name = match &self.server_name {
                Some(name) => name.clone(),
                None => ServerName::try_from(host.to_owned())
                    .map_err(|_| ureq::Error::Tls("not a server name"))?,
            };
            Some((self.tls.clone(), name))
        } else {
            None
        };
        let register = |tcp: &Arc<TcpStream>| {
            let handle: Weak<TcpStream> = Arc::downgrade(tcp);
            (details.register_shutdown)(handle as Weak<dyn ShutdownHandle>).map_err(ureq::Error::into_io)
        };
        let stream = Stream::open(&details.addrs, tls, deadline(details.timeout), register)?;
        let buffers = LazyBuffers::new(limits::FETCH_INPUT_LEN, limits::FETCH_OUTPUT_LEN);
        Ok(Some(Wire { stream, buffers }))
    }
}

fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host)
}

fn deadline(timeout: NextTimeout) -> Option<Instant> {
    match timeout.after {
        time::Duration::NotHappening => None,
        time::Duration::Exact(after) => clock::mono().checked_add(after),
    }
}

/// A connection as the HTTP library drives it.
struct Wire {
    stream: Stream,
    buffers: LazyBuffers,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}

impl Transport for Wire {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        Ok(self.stream.write_all(output, deadline(timeout))?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let len = self.stream.read(self.buffers.input_append_buf(), deadline(timeout))?;
        self.buffers.input_appended(len);
        Ok(len > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.is_idle()
    }

    fn is_tls(&self) -> bool {
        self.stream.is_tls()
    }
}

#[cfg(test)]
mod tests;
