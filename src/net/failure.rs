//! Why an outgoing request failed, sorted into the few reasons a user can act on.
//!
//! Errors of the operating system and of TLS are sorted here, those of the HTTP library in `fetch`. Texts never hold the
//! URL, tokens or keys; who asked adds the URL.

use crate::limits;
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
    /// The extended key usage of the server's certificate, or of its authority's, leaves servers out.
    NotForServers,
    /// The server's certificate is for other names or addresses.
    WrongName,
    /// The server's certificate has expired, or our clock is wrong.
    Expired,
    /// The key is not the one that is pinned.
    KeyChanged,
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
    /// The body holds nothing.
    Empty,
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
            Reason::Tls
            | Reason::Untrusted
            | Reason::NotForServers
            | Reason::WrongName
            | Reason::Expired
            | Reason::KeyChanged => "tls",
            Reason::Unauthorized => "unauthorized",
            Reason::Forbidden => "forbidden",
            Reason::NotFound => "not_found",
            Reason::Gone | Reason::Busy | Reason::ServerTimeout | Reason::Status => "status",
            Reason::Redirect => "redirect",
            Reason::TooLarge => "too_large",
            Reason::Body => "body",
            Reason::Empty => "empty",
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
    use rustls::Error as E;
    let reason = match error {
        E::InvalidCertificate(C::NotValidForName | C::NotValidForNameContext { .. }) => Reason::WrongName,
        E::InvalidCertificate(
            C::Expired | C::ExpiredContext { .. } | C::NotValidYet | C::NotValidYetContext { .. },
        ) => Reason::Expired,
        E::InvalidCertificate(C::InvalidPurpose | C::InvalidPurposeContext { .. }) => Reason::NotForServers,
        E::InvalidCertificate(_) => Reason::Untrusted,
        _ => Reason::Tls,
    };
    FetchError::new(reason, format!("TLS: {}", tls_text(error)))
}

/// What a TLS error means, in a sentence; the library prints most of its own as the names of its types.
fn tls_text(error: &rustls::Error) -> String {
    use rustls::CertificateError as C;
    use rustls::{AlertDescription as A, Error as E, PeerIncompatible as P};
    let text = match error {
        E::InvalidCertificate(C::NotValidForNameContext { expected, presented }) => {
            let name = expected.to_str();
            if presented.is_empty() {
                return format!("the certificate is not valid for {name}: it names nothing");
            }
            let shown: String = presented.join(", ").chars().take(limits::LOGGED_LEN_MAX).collect();
            return format!("the certificate is not valid for {name}, only for {shown}");
        }
        E::InvalidCertificate(C::NotValidForName) => "the certificate is not valid for this name",
        E::InvalidCertificate(C::Expired | C::ExpiredContext { .. }) => "the certificate has expired",
        E::InvalidCertificate(C::NotValidYet | C::NotValidYetContext { .. }) => {
            "the certificate is not valid yet"
        }
        E::InvalidCertificate(C::UnknownIssuer) => "the certificate is signed by an unknown authority",
        E::InvalidCertificate(C::BadSignature) => "the certificate's signature is wrong",
        E::InvalidCertificate(C::BadEncoding) => "the certificate cannot be decoded",
        E::InvalidCertificate(C::Revoked) => "the certificate is revoked",
        E::InvalidCertificate(C::InvalidPurpose | C::InvalidPurposeContext { .. }) => {
            "the certificate, or the authority that signed it, is not one for servers: its extended key usage leaves out serverAuth"
        }
        E::InvalidCertificate(C::UnhandledCriticalExtension) => {
            "the certificate has a critical extension that is not known"
        }
        E::InvalidCertificate(C::Other(other)) => return other.to_string(),
        E::InvalidCertificate(_) => {
            "the certificate's key or signature algorithm is not supported (P-256, P-384, Ed25519 and RSA from 2048 bits are)"
        }
        E::AlertReceived(A::HandshakeFailure) | E::PeerIncompatible(P::NoCipherSuitesInCommon) => {
            "the server supports no cipher, key exchange or certificate algorithm that we do (a P-521 certificate, for example)"
        }
        E::AlertReceived(
            A::BadCertificate | A::UnknownCA | A::CertificateUnknown | A::CertificateExpired,
        ) => "the server refused our client certificate",
        E::AlertReceived(A::CertificateRequired) => "the server requires a client certificate",
        E::AlertReceived(A::ProtocolVersion) => "the server supports neither TLS 1.2 nor 1.3",
        E::AlertReceived(_) => "the server refused the handshake",
        E::PeerIncompatible(_) => "the server offers nothing that we support",
        E::InvalidMessage(_) => "what came is not TLS",
        E::PeerMisbehaved(_) | E::InappropriateMessage { .. } | E::InappropriateHandshakeMessage { .. } => {
            "the server broke the protocol"
        }
        E::DecryptError => "a message could not be decrypted",
        E::General(text) => text,
        _ => "the handshake failed",
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::{AlertDescription, CertificateError, Error};

    #[test]
    fn tls_errors_are_sentences() {
        for error in [
            Error::AlertReceived(AlertDescription::HandshakeFailure),
            Error::AlertReceived(AlertDescription::InternalError),
            Error::InvalidCertificate(CertificateError::UnknownIssuer),
            Error::InvalidCertificate(CertificateError::BadEncoding),
            Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType),
            Error::PeerMisbehaved(rustls::PeerMisbehaved::UnexpectedCleartextExtension),
        ] {
            let text = sort_tls(&error).message;
            // No type name of the library: a capital letter within a word.
            let names = text.split(' ').any(|word| {
                word.chars()
                    .skip(1)
                    .zip(word.chars())
                    .any(|(c, before)| c.is_uppercase() && before.is_lowercase())
            });
            assert!(!names, "{text}");
        }
        let expected = rustls::pki_types::ServerName::try_from("10.0.0.7").unwrap();
        let presented = vec!["DnsName(\"edge-1\")".to_owned()];
        let error = CertificateError::NotValidForNameContext { expected, presented };
        let wrong = sort_tls(&Error::InvalidCertificate(error));
        assert_eq!(wrong.reason, Reason::WrongName);
        assert!(wrong.message.contains("not valid for 10.0.0.7, only for "), "{}", wrong.message);
    }
}
