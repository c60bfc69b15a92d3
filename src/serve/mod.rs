//! The serving thread: listener, TLS, HTTP/1.1, and the way of a request through access and api.

pub mod gzip;
