//! What a refusal, an ERROR event or bytes that cannot be decoded mean.

use crate::limits;
use crate::net::fetch::{Exchange, FetchError, Reason};
use crate::wire::kube_objects::{ObjectError, StatusObject};
use std::time::Duration;

/// The answer, if it is one; a refusal with the API server's own words.
pub(super) fn accepted(mut answer: Exchange) -> Result<Exchange, FetchError> {
    let Some(mut refusal) = answer.refusal() else { return Ok(answer) };
    let mut body = vec![0; limits::REFUSAL_LEN_MAX];
    let mut len = 0;
    while let Some(rest) = body.get_mut(len..).filter(|rest| !rest.is_empty()) {
        match answer.read(rest) {
            Ok(read) if read > 0 => len += read,
            _ => break,
        }
    }
    if let Ok(status) = StatusObject::decode(&body[..len]) {
        let said: String = status.message.chars().take(limits::LOGGED_LEN_MAX).collect();
        refusal.message.push_str(&format!(": {said}"));
    }
    Err(refusal)
}

/// An ERROR event, as the refusal it would have been.
pub(super) fn stream_error(status: &StatusObject<'_>) -> FetchError {
    let reason = match status.code {
        410 => Reason::Gone,
        429 | 503 => Reason::Busy,
        504 => Reason::ServerTimeout,
        _ if matches!(status.reason, "Expired" | "Gone") => Reason::Gone,
        _ => Reason::Status,
    };
    let retry_after = Some(Duration::from_secs(status.retry_after_secs.into())).filter(|d| !d.is_zero());
    let said: String = status.message.chars().take(limits::LOGGED_LEN_MAX).collect();
    let retry_after = retry_after.map(|d| d.min(limits::RETRY_AFTER_MAX));
    let message = format!("the watch ended with code {}: {said}", status.code);
    FetchError { retry_after, ..FetchError::new(reason, message) }
}

pub(super) fn garbage(error: ObjectError) -> FetchError {
    let reason = if error == ObjectError::Truncated { Reason::Disconnected } else { Reason::Body };
    FetchError::new(reason, error.to_string())
}
