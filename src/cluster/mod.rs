//! The API server: kubeconfig, client, list and watch into the inventory, trust, reviews.

pub mod authentication;
pub mod backoff;
pub mod client;
pub mod kubeconfig;
pub mod objects;
pub mod questions;
pub mod review;
pub mod watch;
