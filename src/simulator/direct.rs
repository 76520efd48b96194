//! The simulator called directly: no socket, and no time but tokio's, which a test can pause.

use std::time::Duration;

use tokio::time;

use crate::graph::transport::{
    Reach, Request, Response, Transport, TransportError, TransportFailure,
};

use super::{
    answer::{Delivery, HttpAnswer},
    core::{Simulator, SimulatorClock},
    request::HttpCall,
};

/// A [`Transport`] to a simulator in the same process.
#[derive(Clone, Debug)]
pub struct Direct {
    simulator: Simulator,
    clock: SimulatorClock,
    time_limit: Duration,
}

impl Direct {
    /// A transport whose time goes on where the simulator last was; so a test can end a client
    /// and begin another on the same simulator. Must be called inside a tokio runtime.
    pub fn new(simulator: &Simulator) -> Self {
        let clock = SimulatorClock::new(simulator);
        Self { simulator: simulator.clone(), clock, time_limit: Duration::from_secs(30) }
    }

    /// Sets how long an answer is waited for (30 s).
    pub fn with_time_limit(self, time_limit: Duration) -> Self {
        Self { time_limit, ..self }
    }

    /// The time since the simulator's start.
    pub fn now(&self) -> Duration {
        self.clock.now()
    }

    /// Carries any call, such as one of the token endpoint; `base` is overridden by Graph's own.
    ///
    /// # Errors
    /// [`TransportError`] when no complete answer came back.
    pub async fn exchange(&self, call: HttpCall<'_>) -> Result<HttpAnswer, TransportError> {
        let call = HttpCall { base: "https://graph.microsoft.com", ..call };
        let late = |_| failed(TransportFailure::TimedOut, "no answer within the time limit");
        time::timeout(self.time_limit, self.deliver(&call)).await.map_err(late)?
    }

    async fn deliver(&self, call: &HttpCall<'_>) -> Result<HttpAnswer, TransportError> {
        let progress = self.simulator.begin();
        wait(progress.travel()).await;
        let reply = progress.handle(self.clock.now(), call);
        wait(reply.delay).await;
        let broken = |detail| Err(failed(TransportFailure::Broken, detail));
        match reply.delivery {
            Delivery::Answer(answer) => Ok(answer),
            Delivery::NoConnection => Err(TransportError {
                reach: Reach::NotSent,
                ..failed(TransportFailure::Connect, "connection refused")
            }),
            Delivery::Reset => broken("connection reset by peer"),
            Delivery::CutBody(_) => broken("connection closed before the body was complete"),
            Delivery::SlowBody(answer) => {
                let seconds = u64::try_from(answer.body.len()).unwrap_or(u64::MAX);
                wait(Duration::from_secs(seconds)).await;
                Ok(answer)
            }
            Delivery::Silence(_) | Delivery::Stall => std::future::pending().await,
            Delivery::Flood(_) => {
                Err(failed(TransportFailure::TooLarge, "the answer is too large"))
            }
        }
    }
}

/// Sleeps, but does not even yield for nothing.
async fn wait(time: Duration) {
    if !time.is_zero() {
        time::sleep(time).await;
    }
}

fn failed(kind: TransportFailure, detail: &str) -> TransportError {
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
