//! One attempt at Graph and its answer.

use std::time::Duration;

use http::{HeaderValue, Method};
use uuid::Uuid;

use super::{clock::millis, refusal::words};
use crate::{
    graph::{
        transport::{GraphRequest, Reach, Request, Response, TransportError},
        wire::GraphError,
    },
    pacing::{Heard, RetryAfter, Verdict},
};

/// The share of its limit in use, where Graph tells it (documented for identity and access).
const LIMIT_SHARE: &str = "x-ms-throttle-limit-percentage";

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
pub(super) fn request(
    draft: &GraphRequest,
    authorization: Option<HeaderValue>,
    id: Uuid,
) -> Request {
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

/// How much of its limit the caller uses, where Graph tells.
pub(super) fn limit_share(result: &Result<Response, TransportError>) -> Option<f64> {
    let share: f64 = result.as_ref().ok()?.header(LIMIT_SHARE)?.trim().parse().ok()?;
    share.is_finite().then_some(share)
}
