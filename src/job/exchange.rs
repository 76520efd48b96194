//! One attempt at Graph and its answer.

use std::time::Duration;

use http::{HeaderValue, Method};
use uuid::Uuid;

use super::{clock::millis, refusal::words};
use crate::{
    graph::{
        draft::Draft,
        transport::{Reach, Request, Response, TransportError},
        wire::GraphError,
    },
    pacing::{Heard, RetryAfter, Verdict},
};

/// One attempt that was sent, and what came of it.
pub struct Exchange {
    /// Sent as `client-request-id`.
    pub client_request_id: Uuid,
    /// When it was sent, since the start.
    pub sent: Duration,
    /// When its answer was complete, or given up.
    pub answered: Duration,
    /// How long it had waited for its turn.
    pub waited: Duration,
    /// The answer.
    pub result: Result<Response, TransportError>,
    /// What follows.
    pub verdict: Verdict,
}

impl Exchange {
    /// The HTTP status, where there was an answer.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.result.as_ref().ok().map(|response| response.status.as_u16())
    }

    /// What an error answer says; empty for a lost one.
    #[must_use]
    pub fn error(&self) -> GraphError {
        self.result.as_ref().map(|r| GraphError::read(&r.body)).unwrap_or_default()
    }

    /// How long this request alone is to rest before it is sent again: what a 5xx says. A 429 (509)
    /// closes the gate for all instead.
    pub fn rest(&self) -> Option<Duration> {
        let response = self.result.as_ref().ok()?;
        let failed = response.status.is_server_error() && response.status.as_u16() != 509;
        failed.then(|| RetryAfter::from_headers(&response.headers).0.duration())?
    }

    /// The failure in words without personal data: status and Graph's code, or the transport's.
    #[must_use]
    pub fn words(&self) -> String {
        match &self.result {
            Ok(response) => words(response.status.as_u16(), &self.error().code),
            Err(error) => error.to_string(),
        }
    }
}

impl Exchange {
    /// One line a request, so that a support case can be told from the log.
    pub(super) fn log(&self, method: &Method) {
        if !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        tracing::debug!(
            %method,
            client_request_id = %self.client_request_id,
            request_id = self.result.as_ref().ok().and_then(Response::request_id),
            status = self.status(),
            verdict = self.verdict.word(),
            waited_ms = millis(self.waited),
            took_ms = millis(self.answered.saturating_sub(self.sent)),
            outcome = self.words(),
            "attempt"
        );
    }
}

/// What is sent of a draft.
pub(super) fn request(draft: &Draft, authorization: Option<HeaderValue>, id: Uuid) -> Request {
    debug_assert!(draft.method != Method::HEAD, "an answer needs a body to be read");
    Request {
        method: draft.method.clone(),
        target: draft.target.clone(),
        authorization,
        body: draft.body.clone(),
        client_request_id: id,
    }
}

/// An answer, or what became of it, as pacing judges it.
pub(super) fn heard(result: &Result<Response, TransportError>) -> Heard {
    match result {
        Ok(response) => Heard::Answer {
            status: response.status.as_u16(),
            retry_after: response.headers.contains_key(http::header::RETRY_AFTER),
        },
        Err(error) if error.reach == Reach::NotSent => Heard::NotSent,
        Err(_) => Heard::Lost,
    }
}

/// The wait that an answer asks for.
pub(super) fn retry_after(result: &Result<Response, TransportError>) -> RetryAfter {
    let Ok(response) = result else { return RetryAfter::Absent };
    let (retry_after, oddity) = RetryAfter::from_headers(&response.headers);
    if let Some(oddity) = oddity {
        tracing::warn!("{oddity}");
    }
    retry_after
}
