//! Bytes to values and back. Pure: no socket, file, clock or thread; no panic for any input.

pub mod exposition;
pub mod kube_objects;
pub mod protobuf;
pub mod quantity;
pub mod selector;
pub mod time;
