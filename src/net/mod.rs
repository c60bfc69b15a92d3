//! Sockets' two libraries, each named in one place: TLS (`tls`, `certificate`) and outgoing requests (`fetch`).

pub mod credentials;
mod dial;
pub mod fetch;
pub mod tls;

#[cfg(test)]
pub(crate) mod fake;
