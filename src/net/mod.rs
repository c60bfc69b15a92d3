//! Sockets' two libraries, each named in one place: TLS (`tls`, `certificate`) and outgoing requests (`fetch`).

pub mod tls;
