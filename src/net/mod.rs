//! Sockets' two libraries, each named in one file: TLS configurations (`tls`) and outgoing requests (`fetch`).
