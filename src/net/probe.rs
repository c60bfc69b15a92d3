//! What a server shows to anybody: its certificate, verified or not, and its clock.
//!
//! Nothing of ours is presented, so any server may be asked; a refusal is an answer. For diagnosis alone.

use super::credentials::{Credentials, Roots};
use super::fetch::{Exchange, FetchError, Fetcher, Reason, RemoteHost, Request};
use crate::host::clock;
use crate::limits;
use crate::units::UnixNanos;
use crate::wire::x509::validity;
use std::time::Duration;

/// What a server shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerFacts {
    /// End of its certificate; `None` over plain HTTP.
    pub certificate_end: Option<UnixNanos>,
    /// Seconds by which its clock is ahead of ours, negative when behind; `None` without a `Date`. Exact to a second and
    /// the time the request took.
    pub clock_ahead: Option<i64>,
}

/// Asks for `url` without credentials: the answer, of which a few KiB may be read, and what the server shows.
/// # Errors
/// There is no answer; any status is one.
pub fn ask(url: &str, timeout: Duration) -> Result<(Exchange, ServerFacts), FetchError> {
    let credentials = Credentials { roots: Roots::Any, ..Credentials::none() };
    let fetcher = Fetcher::new(credentials).map_err(|error| FetchError::new(Reason::Io, error))?;
    let request = Request::get(url, Some(timeout), limits::REVIEW_LEN_MAX);
    let answer = fetcher.send(&RemoteHost::default(), &request)?;
    let end = answer.certificate().and_then(validity).map(|(_, end)| end);
    let clock_ahead = answer.date.map(|date| date.seconds().saturating_sub(clock::wall().seconds()));
    Ok((answer, ServerFacts { certificate_end: end, clock_ahead }))
}
