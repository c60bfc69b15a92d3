//! One request and its answer over an open connection, by the library's rules for HTTP/1.1.
//!
//! Refused: heads and chunk frames beyond `limits::ANSWER_HEAD_LEN_MAX`, bodies beyond the request's limit. The connection
//! is kept for the next request when the body was read to its end and nothing came behind it.

use super::kept::{Idle, RemoteHost};
use crate::host::clock;
use crate::invariant::assured;
use crate::limits;
use crate::net::dial::Buffers;
use crate::net::failure::{FetchError, Reason, sort_io};
use crate::units::UnixNanos;
use crate::wire::http_date::parse_http_date;
use std::io;
use std::time::{Duration, Instant};
use ureq_proto::BodyMode;
use ureq_proto::client::state::{Cleanup, RecvBody};
use ureq_proto::client::{Call, RecvBodyResult, RecvResponseResult, SendRequestResult};
use ureq_proto::http::{self, HeaderMap, header};

/// When a request must have its head, and when its end.
#[derive(Clone, Copy)]
pub(super) struct Deadlines {
    pub(super) head: Instant,
    body: Instant,
    pub(super) timeout: Option<Duration>,
}

impl Deadlines {
    pub(super) fn new(timeout: Option<Duration>) -> Deadlines {
        let now = clock::mono();
        let head = now + timeout.unwrap_or(limits::WATCH_ANSWER_TIMEOUT);
        Deadlines { head, body: now + timeout.unwrap_or(limits::WATCH_LIFE_MAX), timeout }
    }
}

/// A connection with a request under way.
pub(super) struct OutgoingCall {
    pub(super) idle: Idle,
    pub(super) buffers: Buffers,
    pub(super) deadlines: Deadlines,
    pub(super) peer: RemoteHost,
}

impl OutgoingCall {
    /// Sends a request and reads the head of the answer.
    pub(super) fn ask(
        mut self,
        head: http::Request<()>,
        body: Option<&[u8]>,
        limit: u64,
    ) -> Result<Exchange, FetchError> {
        let timeout = self.deadlines.timeout;
        let mut call = Call::new(head).map_err(malformed)?.proceed();
        let mut bytes = vec![0; limits::FETCH_OUTPUT_LEN + body.map_or(0, <[u8]>::len)];
        let mut len = call.write(&mut bytes).map_err(malformed)?;
        let mut call = match call.proceed().map_err(malformed)? {
            Some(SendRequestResult::RecvResponse(call)) => call,
            Some(SendRequestResult::SendBody(mut call)) => {
                let body = assured(body, "only a request with a body has one to send");
                len += call.write(body, &mut bytes[len..]).map_err(malformed)?.1;
                call.proceed().ok_or_else(|| FetchError::new(Reason::Io, "the request is too large"))?
            }
            _ => return Err(FetchError::new(Reason::Io, "the request is too large")),
        };
        self.idle
            .stream
            .send(&bytes[..len], &mut self.buffers, Some(self.deadlines.head))
            .map_err(|e| sort_io(&e, timeout))?;
        // The answer may take its time.
        drop(bytes);
        let answer = loop {
            let (used, answer) = call.try_response(self.buffers.plain(), false).map_err(malformed)?;
            self.buffers.consume(used);
            match answer {
                Some(answer) => break answer,
                // An interim answer.
                None if used > 0 => {}
                None if self.buffers.plain().len() >= limits::ANSWER_HEAD_LEN_MAX => {
                    return Err(FetchError::new(Reason::Body, "the answer's header is too large"));
                }
                None => self.receive(self.deadlines.head)?,
            }
        };
        let call = match call.proceed() {
            Some(RecvResponseResult::RecvBody(call)) => Box::new(call),
            Some(RecvResponseResult::Cleanup(call)) => {
                self.release(&call);
                return Ok(Exchange::new(&answer, None));
            }
            _ => return Ok(Exchange::new(&answer, None)),
        };
        Ok(Exchange::new(&answer, Some(AnswerBody { call, connection: self, left: limit, limit })))
    }

    /// Receives more; the end of the connection is an error.
    fn receive(&mut self, deadline: Instant) -> Result<(), FetchError> {
        match self.idle.stream.receive(&mut self.buffers, Some(deadline)) {
            Ok(0) => Err(sort_io(&io::ErrorKind::UnexpectedEof.into(), self.deadlines.timeout)),
            Ok(_) => Ok(()),
            Err(e) => Err(sort_io(&e, self.deadlines.timeout)),
        }
    }

    /// Keeps the connection for the next request to the same peer, if it may be used again.
    fn release(self, call: &Call<Cleanup>) {
        if !call.must_close_connection() && self.buffers.is_empty() {
            self.peer.keep(Idle { since: clock::mono(), ..self.idle });
        }
    }
}

/// An answer whose body is still to be read.
pub struct Exchange {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`; empty when absent.
    pub content_type: String,
    /// `Content-Encoding`; empty when absent.
    pub content_encoding: String,
    /// `Retry-After` in seconds, bounded by `limits::RETRY_AFTER_MAX`.
    pub retry_after: Option<Duration>,
    /// `Date`, the server's clock.
    pub date: Option<UnixNanos>,
    location: String,
    /// What is left of the body; `None` after its end.
    body: Option<AnswerBody>,
}

struct AnswerBody {
    call: Box<Call<RecvBody>>,
    connection: OutgoingCall,
    left: u64,
    limit: u64,
}

impl Exchange {
    fn new(answer: &http::Response<()>, body: Option<AnswerBody>) -> Exchange {
        let headers: &HeaderMap = answer.headers();
        let text = |name| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        let retry_after = text(header::RETRY_AFTER).parse().ok().map(Duration::from_secs);
        Exchange {
            status: answer.status().as_u16(),
            content_type: text(header::CONTENT_TYPE),
            content_encoding: text(header::CONTENT_ENCODING),
            retry_after: retry_after.map(|d| d.min(limits::RETRY_AFTER_MAX)),
            date: headers.get(header::DATE).and_then(|v| parse_http_date(v.to_str().ok()?)),
            location: text(header::LOCATION),
            body,
        }
    }

    /// Ends the body by `at`, whatever the request's timeout said.
    pub fn end_by(&mut self, at: Instant) {
        if let Some(body) = &mut self.body {
            body.connection.deadlines.body = at;
        }
    }

    /// The server's certificate (DER), while the body was not read to its end; `None` over plain HTTP or without a body.
    #[must_use]
    pub fn certificate(&self) -> Option<&[u8]> {
        self.body.as_ref()?.connection.idle.stream.certificate()
    }

    /// Reads what is there, at least a byte; 0 at the end of the body.
    ///
    /// # Errors
    /// The connection broke, the time is up, or the body exceeds its limit.
    pub fn read(&mut self, buf: &mut [u8]) -> Result<usize, FetchError> {
        let Some(body) = &mut self.body else { return Ok(0) };
        if let Some(len) = body.read(buf)? {
            return Ok(len);
        }
        if let Some(AnswerBody { call, connection, .. }) = self.body.take()
            && let Some(RecvBodyResult::Cleanup(call)) = call.proceed()
        {
            connection.release(&call);
        }
        Ok(0)
    }

    /// Reads the rest of the body.
    ///
    /// # Errors
    /// As [`Exchange::read`].
    pub fn read_all(&mut self) -> Result<Vec<u8>, FetchError> {
        let (mut all, mut piece) = (Vec::new(), [0; limits::READ_ALL_PIECE_LEN]);
        loop {
            match self.read(&mut piece)? {
                0 => return Ok(all),
                len => all.extend_from_slice(&piece[..len]),
            }
        }
    }

    /// What a status other than 2xx means; `None` for 2xx.
    #[must_use]
    pub fn refusal(&self) -> Option<FetchError> {
        let reason = match self.status {
            200..=299 => return None,
            300..=399 => Reason::Redirect,
            401 => Reason::Unauthorized,
            403 => Reason::Forbidden,
            404 => Reason::NotFound,
            410 => Reason::Gone,
            429 | 503 => Reason::Busy,
            504 => Reason::ServerTimeout,
            _ => Reason::Status,
        };
        let name =
            http::StatusCode::from_u16(self.status).ok().and_then(|s| s.canonical_reason()).unwrap_or("");
        let mut message =
            format!("request failed, status: \"{}\"", format!("{} {name}", self.status).trim_end());
        if reason == Reason::Redirect {
            let shown: String = self.location.chars().take(limits::LOGGED_LEN_MAX).collect();
            message.push_str(&format!(", it redirects to {shown:?}"));
        }
        Some(FetchError { retry_after: self.retry_after, ..FetchError::new(reason, message) })
    }
}

impl AnswerBody {
    /// Reads at least a byte; `None` at the end of the body.
    fn read(&mut self, buf: &mut [u8]) -> Result<Option<usize>, FetchError> {
        let AnswerBody { call, connection, left, limit } = self;
        loop {
            let (used, len) = call.read(connection.buffers.plain(), buf).map_err(malformed)?;
            connection.buffers.consume(used);
            if len > 0 {
                *left = left.checked_sub(len as u64).ok_or_else(|| {
                    FetchError::new(Reason::TooLarge, format!("the body is larger than {limit} bytes"))
                })?;
                return Ok(Some(len));
            }
            let until_close = call.body_mode() == BodyMode::CloseDelimited;
            if call.can_proceed() && !until_close {
                return Ok(None);
            }
            if used > 0 {
                continue;
            }
            if connection.buffers.plain().len() >= limits::ANSWER_HEAD_LEN_MAX {
                // A chunk's length, or a trailer, without an end.
                return Err(FetchError::new(Reason::Body, "the body makes no progress"));
            }
            let deadline = Some(connection.deadlines.body);
            match connection.idle.stream.receive(&mut connection.buffers, deadline) {
                Ok(0) if until_close => return Ok(None),
                Ok(0) => {
                    return Err(sort_io(&io::ErrorKind::UnexpectedEof.into(), connection.deadlines.timeout));
                }
                Ok(_) => {}
                Err(e) => return Err(sort_io(&e, connection.deadlines.timeout)),
            }
        }
    }
}

fn malformed(error: ureq_proto::Error) -> FetchError {
    FetchError::new(Reason::Body, format!("the answer is not HTTP/1.1: {error}"))
}
