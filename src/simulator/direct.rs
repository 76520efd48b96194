//! The simulator called directly: no socket, and no time but tokio's, which a test can pause.

use std::time::Duration;

use tokio::time;

use crate::graph::transport::{Failure, Reach, Request, Response, Transport, TransportError};

use super::{
    Simulator,
    answer::{Delivery, HttpAnswer},
    core::SimulatorClock,
    request::HttpCall,
};

/// A [`Transport`] to a simulator in the same process.
#[derive(Clone, Debug)]
pub struct Direct {
    simulator: Simulator,
    clock: SimulatorClock,
    base: String,
    patience: Duration,
}

/// How long a caller waits for an answer, unless told otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

impl Direct {
    /// A transport whose time goes on where the simulator last was; so a test can end a client
    /// and begin another on the same simulator. Must be called inside a tokio runtime.
    #[must_use]
    pub fn new(simulator: &Simulator) -> Self {
        Self {
            simulator: simulator.clone(),
            clock: SimulatorClock::new(simulator),
            base: "https://graph.microsoft.com".to_owned(),
            patience: PATIENCE,
        }
    }

    /// Sets the scheme and host that the simulator believes to be called by.
    #[must_use]
    pub fn with_base(self, base: impl Into<String>) -> Self {
        Self { base: base.into(), ..self }
    }

    /// Sets how long an answer is waited for, and how long each further byte of it (30 s).
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The time since the simulator's start.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.clock.now()
    }

    /// Carries any call, such as one of the token endpoint; `base` is overridden by the
    /// transport's own.
    ///
    /// # Errors
    /// [`TransportError`] when no complete answer came back.
    pub async fn exchange(&self, call: HttpCall<'_>) -> Result<HttpAnswer, TransportError> {
        let call = HttpCall { base: &self.base, ..call };
        let visit = self.simulator.visit();
        match time::timeout(self.patience, self.journey(&visit, &call)).await {
            Ok(result) => result,
            Err(_) => Err(failed(Failure::TimedOut, "no answer within the time limit")),
        }
    }

    async fn journey(
        &self,
        visit: &super::CallInProgress,
        call: &HttpCall<'_>,
    ) -> Result<HttpAnswer, TransportError> {
        rest(visit.travel()).await;
        let reply = visit.handle(self.clock.now(), call);
        rest(reply.delay).await;
        match reply.fate {
            Delivery::Answer(answer) => Ok(answer),
            Delivery::NoConnection => Err(TransportError {
                reach: Reach::NotSent,
                kind: Failure::Connect,
                detail: "connection refused".to_owned(),
            }),
            Delivery::Reset { .. } => Err(failed(Failure::Broken, "connection reset by peer")),
            Delivery::CutBody { .. } => {
                Err(failed(Failure::Broken, "connection closed before the body was complete"))
            }
            Delivery::SlowBody(answer) => {
                let seconds = u64::try_from(answer.body.len()).unwrap_or(u64::MAX);
                rest(Duration::from_secs(seconds)).await;
                Ok(answer)
            }
            Delivery::Silence(_) | Delivery::Stall => std::future::pending().await,
            Delivery::Flood { .. } => Err(failed(Failure::TooLarge, "the answer is too large")),
        }
    }
}

/// Sleeps, but does not even yield for nothing.
async fn rest(time: Duration) {
    if !time.is_zero() {
        time::sleep(time).await;
    }
}

fn failed(kind: Failure, detail: &str) -> TransportError {
    TransportError { reach: Reach::MaybeSent, kind, detail: detail.to_owned() }
}

impl Transport for Direct {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let client_request_id = request.client_request_id.to_string();
        let answer = self
            .exchange(HttpCall {
                method: &request.method,
                target: &request.target,
                base: "",
                authorization: request.authorization.as_ref().and_then(|a| a.to_str().ok()),
                client_request_id: Some(&client_request_id),
                content_type: request.body.as_ref().map(|_| "application/json"),
                body: request.body.as_deref().unwrap_or_default(),
            })
            .await?;
        Ok(Response { status: answer.status, headers: answer.headers, body: answer.body })
    }
}
