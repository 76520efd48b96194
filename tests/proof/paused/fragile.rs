//! A transport through which a run can die, and which outlives it: a request that has left goes on
//! to the server, whoever has died meanwhile.

use std::{
    cell::Cell,
    hash::{DefaultHasher, Hash, Hasher},
    path::PathBuf,
    rc::Rc,
};

use registrant_import::{
    graph::transport::{Request, Response, Transport, TransportError},
    simulator::Direct,
};

use crate::seeds;

/// When a run dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Death {
    /// Not at all.
    Never,
    /// At this poll: at any of its await points.
    Poll(u32),
    /// At this time, in milliseconds.
    Time(u64),
    /// When this request is about to leave.
    Before(u32),
    /// When this request has left and its answer is under way.
    During(u32),
    /// When the answer to this request is in and nobody has read it.
    After(u32),
}

/// The transport of one run.
pub(super) struct Fragile {
    pub(super) direct: Direct,
    pub(super) death: Death,
    pub(super) dead: Rc<Cell<bool>>,
    pub(super) sent: Cell<u32>,
    /// A digest of everything that was sent and answered, in its order.
    pub(super) transcript: Rc<Cell<u64>>,
    /// Somebody else keeps the token fresh, after each 401.
    pub(super) token: PathBuf,
}

impl Fragile {
    async fn die(&self) {
        self.dead.set(true);
        std::future::pending::<()>().await;
    }

    fn note(&self, what: impl Hash) {
        let mut hasher = DefaultHasher::new();
        (self.transcript.get(), self.direct.now().as_nanos()).hash(&mut hasher);
        what.hash(&mut hasher);
        self.transcript.set(hasher.finish());
    }
}

/// Puts a fresh token in the place of the old one.
pub(super) fn refresh(token: &PathBuf) {
    let old = std::fs::read_to_string(token).unwrap_or_default();
    let fresh = token.with_extension("fresh");
    // A longer one, so that nobody takes it for the old one.
    std::fs::write(&fresh, old + "x").expect("the token is written");
    std::fs::rename(fresh, token).expect("the token is renamed");
}

impl Transport for Fragile {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let number = self.sent.get();
        self.sent.set(number + 1);
        self.note((&request.target, request.method.as_str(), request.client_request_id));
        let words = format!(
            "{} {} {}",
            request.method,
            request.target,
            String::from_utf8_lossy(request.body.as_deref().unwrap_or_default())
        );
        seeds::story(|| format!("{:>9.3} > {words}", self.direct.now().as_secs_f64()));
        if self.death == Death::Before(number) {
            self.die().await;
        }
        let direct = self.direct.clone();
        let journey = tokio::spawn(async move { direct.send(request).await });
        if self.death == Death::During(number) {
            self.die().await;
        }
        let result = journey.await.expect("the simulator does not panic");
        if self.death == Death::After(number) {
            self.die().await;
        }
        seeds::story(|| {
            let what = match &result {
                Ok(answer) => {
                    format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body))
                }
                Err(error) => error.to_string(),
            };
            format!("{:>9.3} < {words}: {what}", self.direct.now().as_secs_f64())
        });
        match &result {
            Ok(response) => {
                self.note((response.status.as_u16(), &response.body));
                if response.status == 401 {
                    refresh(&self.token);
                }
            }
            Err(error) => self.note(error.to_string()),
        }
        result
    }
}
