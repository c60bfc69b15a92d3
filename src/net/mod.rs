//! Sockets' two libraries, each named in one place: TLS (`tls`, `certificate`) and outgoing requests (`fetch`).

pub mod certificate;
pub mod credentials;
mod dial;
mod dns;
mod failure;
pub mod fetch;
pub mod local;
pub mod pem;
pub mod pins;
pub mod probe;
pub mod self_signed;
pub(crate) mod server_verifier;
pub mod tls;

#[cfg(test)]
pub(crate) mod fake;
