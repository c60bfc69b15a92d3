//! The API server: kubeconfig, client, list and watch into the inventory, reviews.

pub mod backoff;
pub mod client;
pub mod kubeconfig;
pub mod watch;
