//! Why an outgoing request failed, sorted into the few reasons a user can act on.
//!
//! Errors of the operating system and of TLS are sorted here, those of the HTTP library in `fetch`. Texts never hold the
//! URL, tokens or keys; who asked adds the URL.

use std::fmt;
use std::io;
use std::time::Duration;

/// Why a request has no usable answer, sorted by what one can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The name cannot be resolved.
    Dns,
    /// Nobody listens there.
    Refused,
    /// No answer in time.
    Timeout,
    /// The TLS handshake failed, or our own certificates cannot be used.
    Tls,
    /// The server's certificate does not chain to an authority we believe.
    Untrusted,
    /// The server's certificate is for other names or addresses.
    WrongName,
    /// The server's certificate has expired, or our clock is wrong.
    Expired,
    /// 401.
    Unauthorized,
    /// 403.
    Forbidden,
    /// 404.
    NotFound,
    /// 410: the resource version is too old.
    Gone,
    /// 429 or 503: asked to come back later.
    Busy,
    /// 504: the server itself ran out of time, or knows no resource version as new as ours.
    ServerTimeout,
    /// Any other status than 2xx.
    Status,
    /// 3xx: redirects are not followed.
    Redirect,
    /// The body is larger than the limit.
    TooLarge,
    /// What came is not HTTP, or not a body we can use.
    Body,
    /// The connection broke.
    Disconnected,
    /// Anything else the operating system says.
    Io,
}

impl Reason {
    /// The counter label of this reason.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Reason::Dns => "dns",
            Reason::Refused => "refused",
            Reason::Timeout => "timeout",
            Reason::Tls | Reason::Untrusted | Reason::WrongName | Reason::Expired => "tls",
            Reason::Unauthorized => "unauthorized",
            Reason::Forbidden => "forbidden",
            Reason::NotFound => "not_found",
            Reason::Gone | Reason::Busy | Reason::ServerTimeout | Reason::Status => "status",
            Reason::Redirect => "redirect",
            Reason::TooLarge => "too_large",
            Reason::Body => "body",
            Reason::Disconnected | Reason::Io => "io",
        }
    }
}

/// A request without a usable answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchError {
    /// The kind of failure.
    pub reason: Reason,
    /// What happened, without the URL, tokens or keys.
    pub message: String,
    /// `Retry-After` of a refusal.
    pub retry_after: Option<Duration>,
    /// Whether there was a connection to send the request over; without one another address may be tried.
    pub connected: bool,
}

impl FetchError {
    /// A failure without `Retry-After`, of a request that was sent.
    #[must_use]
    pub fn new(reason: Reason, message: impl Into<String>) -> FetchError {
        FetchError { reason, message: message.into(), retry_after: None, connected: true }
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

pub(super) fn late(timeout: Option<Duration>) -> FetchError {
    let within = timeout.map_or_else(String::new, |t| format!(" within {} s", t.as_secs_f64()));
    FetchError::new(Reason::Timeout, format!("no complete answer{within}"))
}

pub(super) fn sort_io(error: &io::Error, timeout: Option<Duration>) -> FetchError {
    if let Some(tls) = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) {
        return sort_tls(tls);
    }
    use io::ErrorKind as K;
    match error.kind() {
        K::TimedOut => late(timeout),
        K::ConnectionRefused => FetchError::new(Reason::Refused, "connection refused"),
        K::UnexpectedEof | K::ConnectionReset | K::ConnectionAborted | K::BrokenPipe => {
            FetchError::new(Reason::Disconnected, "the connection was closed before the answer was complete")
        }
        _ => FetchError::new(Reason::Io, error.to_string()),
    }
}

pub(super) fn sort_tls(error: &rustls::Error) -> FetchError {
    use rustls::CertificateError as C;
    let reason = match error {
        rustls::Error::InvalidCertificate(C::NotValidForName | C::NotValidForNameContext { .. }) => {
            Reason::WrongName
        }
        rustls::Error::InvalidCertificate(
            C::Expired | C::ExpiredContext { .. } | C::NotValidYet | C::NotValidYetContext { .. },
        ) => Reason::Expired,
        rustls::Error::InvalidCertificate(_) => Reason::Untrusted,
        _ => Reason::Tls,
    };
    FetchError::new(reason, format!("TLS: {error}"))
}
