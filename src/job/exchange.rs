//! One attempt at Graph and its answer.

use std::time::Duration;

use http::Method;
use uuid::Uuid;

use super::{clock::millis, refusal::words};
use crate::{
    graph::{
        transport::{Response, TransportError},
        wire::GraphError,
    },
    pacing::Verdict,
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
