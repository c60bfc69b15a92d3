//! Requests to answers: what the Metrics API, discovery, OpenAPI, health and self-metrics endpoints say.
//!
//! Pure: a request head, the store and the time go in, an [`answer::Answer`] comes out. Who may ask is decided in
//! `access`, between [`RequestInfo`] and [`answer()`].

pub mod answer;
pub mod discovery;
pub mod encode_json;
pub mod encode_protobuf;
pub mod encode_table;
pub mod encode_yaml;
pub mod health;
pub mod index;
pub mod invalid_field;
pub mod list;
pub mod metrics_page;
pub mod negotiate;
pub mod openapi;
pub mod query;
pub mod route;
pub mod status;
pub mod validators;
pub mod version;
pub mod view;

use crate::counters::Counters;
use crate::limits::REQUEST_TIME_MIN;
use crate::store::Store;
use crate::units::UnixNanos;
use crate::wire::request::{Head, RequestInfo};
use crate::wire::selector::LabelSelector;
use answer::Answer;
use std::time::Duration;

/// What the API needs to know of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `--node-selector`: limits node lists (not gets).
    pub node_selector: LabelSelector,
    /// `host:port` for `serverAddressByClientCIDRs` (the reference prints `:4443`).
    pub server_address: String,
    /// The resolution, for `metric-collection-timely` and the tick buckets.
    pub resolution: Duration,
}

/// The state of the process that health checks and self metrics report.
#[derive(Clone, Copy, Debug, Default)]
pub struct Vitals {
    /// Time since the current (or last) tick started; `None` before the first.
    pub tick_age: Option<Duration>,
    /// SIGTERM arrived.
    pub stopping: bool,
    /// Readiness does not wait for pods (host-only mode without pods).
    pub pods_optional: bool,
    /// Resident memory in bytes.
    pub rss: u64,
    /// CPU time used, in nanoseconds.
    pub cpu_nanos: u64,
    /// When the process started.
    pub started_at: UnixNanos,
}

/// Everything an answer may depend on.
pub struct Context<'a> {
    /// Configuration.
    pub settings: &'a Settings,
    /// Self metrics (atomics inside).
    pub metrics: &'a Counters,
    /// Process state.
    pub vitals: Vitals,
    /// Wall clock.
    pub now: UnixNanos,
    /// The sample table.
    pub store: &'a Store,
}

/// Answers that come before authentication: no request at all (500), a bad `timeout` parameter (400), or one so short
/// that no answer can be ready in time (504).
#[must_use]
pub fn before_authentication(head: &Head<'_>, info: &RequestInfo<'_>) -> Option<Answer> {
    if info.malformed {
        let target =
            head.query.map_or_else(|| head.path.to_owned(), |query| format!("{}?{query}", head.path));
        let error = format!(
            "failed to create RequestInfo: unable to determine kind and namespace from url, {target}"
        );
        let mut answer = status::filter_failed(head, &error);
        // This early, nothing has forbidden caching yet.
        answer.headers.push(("Cache-Control", "".into()));
        return Some(answer);
    }
    let timeout = info.timeout?;
    if let Some(text) = crate::wire::request::parameter(head.query, "timeout").filter(|text| !text.is_empty())
        && let Err(error) = crate::wire::time::parse_duration(&text)
    {
        let message = format!("invalid timeout specified in the request URL - {error}");
        return Some(status::bad_request(head, message));
    }
    (timeout < REQUEST_TIME_MIN).then(status::gateway_timeout)
}

/// Answers an authorized request. Lists come back as a body that is encoded piece by piece.
#[must_use]
pub fn answer(context: &Context<'_>, head: &Head<'_>, info: &RequestInfo<'_>) -> Answer {
    route::answer(context, head, info)
}

#[cfg(test)]
mod tests;
