//! Requests to answers: what the Metrics API, discovery, OpenAPI, health and self-metrics endpoints say.
//!
//! Pure: a request head, the store and the time go in, an [`answer::Answer`] or a [`status::Status`] comes out. Who may
//! ask is decided in `access`, between [`before_authentication`] and [`route::answer`]; `serve` renders the status.

mod allocatable;
pub mod answer;
pub mod context;
pub mod discovery;
pub mod document;
pub mod encode_json;
pub mod encode_protobuf;
pub mod encode_status;
pub mod encode_table;
pub mod health;
pub mod index;
pub mod layout;
pub mod list;
pub mod metrics_page;
pub mod negotiate;
pub mod openapi;
mod page_text;
pub mod query;
pub mod route;
pub mod selection;
pub mod status;
pub mod status_page;
pub mod usage_page;
pub mod validators;
pub mod version;
pub mod view;

pub use context::{Context, Settings, Vitals};
pub use query::before_authentication;
pub use route::answer;

#[cfg(test)]
mod tests;
