//! Sockets' two libraries, each named in one file: TLS configurations (`tls`) and outgoing requests (`fetch`).

pub mod credentials;
mod dial;
pub mod fetch;
pub mod tls;

#[cfg(test)]
pub(crate) mod fake;
