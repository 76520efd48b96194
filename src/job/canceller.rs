//! Cancels registrations: meeting by DELETE, webinar by its `cancel`.
//!
//! The intent is on disk before the first byte, the result before the next person counts. To cancel
//! twice does no harm, so what asked to wait or was lost is asked for again; but a lost answer or a
//! refusal is held against the registration itself first, for it may be over. The first one goes alone: a
//! missing permission meets one person, and the enrolments stand.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};

use super::{
    client::{Exchange, GraphClient, Refusal},
    conduct::Conduct,
    row::{is_removed, record},
    stop::{self, Stop, systemic},
};
use crate::{
    graph::{
        event::VirtualEvent,
        target::Target,
        transport::{GraphRequest, Response, Transport},
        verdict::{Call, Systemic, Verdict},
    },
    ledger::{
        CancelEnd, CancelIntent, CancelOutcome, CancelReason, LedgerError, LedgerWriter,
        SendPermit, Seq,
    },
    registrant::RegistrantId,
};

/// After a lost answer the registration is read no sooner: the server may still be at work.
const BREATH: Duration = Duration::from_secs(1);

/// Whose registration is to be cancelled.
#[derive(Clone, Debug)]
pub struct ToCancel {
    pub seq: Seq,
    pub id: RegistrantId,
    /// The server's own id of the registration.
    pub registrant_id: Option<String>,
    pub reason: CancelReason,
    pub approved: bool,
}

/// How many cancellations ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CancelTally {
    pub cancelled: u64,
    /// Refused by the server, or impossible to ask for.
    pub refused: u64,
    /// In doubt.
    pub unknown: u64,
    /// Not begun, for the run was stopped.
    pub left: u64,
}

/// What cancels.
pub struct Canceller<'a, T> {
    pub client: &'a GraphClient<T>,
    pub target: &'a Target,
    pub writer: &'a LedgerWriter,
    pub conduct: &'a Conduct,
}

/// What is known once an attempt was judged.
enum Step {
    Ended(CancelOutcome),
    /// The answer was lost.
    Lost,
    /// Asked to wait.
    Again,
}

impl<T: Transport> Canceller<'_, T> {
    /// Cancels them all, unless the run is stopped; `tell` hears of each.
    pub async fn run(
        &self,
        work: Vec<ToCancel>,
        mut tell: impl FnMut(&CancelTally),
    ) -> CancelTally {
        let mut tally = CancelTally::default();
        let mut work = work.into_iter();
        // A missing permission meets one person.
        let first = stream::iter(work.next()).map(|person| self.cancel(person));
        let rest = stream::iter(work).map(|person| self.cancel(person));
        let mut ends = first.buffered(1).chain(rest.buffer_unordered(self.conduct.in_hand()));
        while let Some(end) = ends.next().await {
            *match end {
                Ok(Some(CancelOutcome::Cancelled)) => &mut tally.cancelled,
                Ok(Some(CancelOutcome::Refused)) => &mut tally.refused,
                Ok(Some(CancelOutcome::Withdrawn)) => &mut tally.left,
                Ok(None) => &mut tally.unknown,
                Err(error) => {
                    self.client.stop.raise(Stop::Ledger(error.to_string()));
                    &mut tally.unknown
                }
            } += 1;
            tell(&tally);
        }
        tally
    }

    /// Cancels one; `None` where the result is not known.
    async fn cancel(&self, person: ToCancel) -> Result<Option<CancelOutcome>, LedgerError> {
        let ToCancel { seq, id, registrant_id, reason, approved } = person;
        let Some(draft) = self.target.cancel(&id, registrant_id.as_deref()) else {
            tracing::warn!("a registration that the target cannot name is not cancelled");
            return Ok(Some(CancelOutcome::Refused));
        };
        let (mut lost, mut signed_in_again) = (0, false);
        loop {
            if self.client.stop.is_raised() {
                return if lost > 0 { Ok(None) } else { self.withdraw(seq).await };
            }
            let at = self.client.clock.stamp(self.client.clock.now());
            let intent = CancelIntent { seq, reason, approved, at };
            if let SendPermit::Held(state) = self.writer.intend_to_cancel(intent).await? {
                tracing::debug!(state = state.name(), "the ledger holds this cancellation");
                return Ok(Some(CancelOutcome::Withdrawn));
            }
            let request = self.client.fresh_id();
            let Ok(exchange) = self.client.send(None, Call::Remove, &draft, request).await else {
                continue;
            };
            let step = self.judge(&exchange, &mut signed_in_again);
            let outcome = match step {
                Step::Ended(CancelOutcome::Refused)
                    if self.is_over(registrant_id.as_deref()).await =>
                {
                    Some(CancelOutcome::Cancelled)
                }
                Step::Ended(outcome) => Some(outcome),
                Step::Lost | Step::Again => None,
            };
            let at = self.client.clock.stamp(exchange.answered);
            let attempt = Some(record(self.client.clock, Call::Remove, &exchange));
            self.writer.end_cancellation(CancelEnd { seq, attempt, outcome, at }).await?;
            match step {
                Step::Ended(_) => return Ok(outcome),
                Step::Again => {
                    if let Some(wait) = exchange.rest() {
                        self.client.rest(wait).await;
                    }
                }
                Step::Lost => {
                    lost += 1;
                    self.client.rest(BREATH).await;
                    if self.is_over(registrant_id.as_deref()).await {
                        return self.end(seq, CancelOutcome::Cancelled).await;
                    }
                    if lost >= self.conduct.max_attempts {
                        return Ok(None);
                    }
                }
            }
        }
    }

    fn judge(&self, exchange: &Exchange, signed_in_again: &mut bool) -> Step {
        match exchange.verdict {
            Verdict::Done if is_removed(exchange) => Step::Ended(CancelOutcome::Cancelled),
            Verdict::Throttled => Step::Again,
            Verdict::Again if exchange.rest().is_some() => Step::Again,
            Verdict::SignIn if !*signed_in_again => {
                *signed_in_again = true;
                Step::Again
            }
            Verdict::Done | Verdict::Again | Verdict::Unknown => Step::Lost,
            Verdict::Exists | Verdict::Refused => Step::Ended(CancelOutcome::Refused),
            verdict @ (Verdict::Systemic(_) | Verdict::SignIn) => {
                let (status, api) = (exchange.status().unwrap_or(0), self.target.api());
                self.client.stop.raise(match systemic(status, exchange.error(), verdict, api) {
                    Stop::Forbidden { code, message, .. }
                        if matches!(self.target, Target::Event(_)) =>
                    {
                        Stop::Forbidden { code, message, advice: stop::CANCEL_ACCESS.to_owned() }
                    }
                    other => other,
                });
                Step::Ended(CancelOutcome::Withdrawn)
            }
        }
    }

    /// Whether the registration itself says that it is over. A meeting's tells by its DELETE alone.
    async fn is_over(&self, registrant_id: Option<&str>) -> bool {
        let (Target::Event(event), Some(id)) = (self.target, registrant_id) else {
            return false;
        };
        matches!(read_standing(self.client, &event.registration(id)).await, Ok(over) if over)
    }

    /// Takes an intent back that was never sent.
    async fn withdraw(&self, seq: Seq) -> Result<Option<CancelOutcome>, LedgerError> {
        self.end(seq, CancelOutcome::Withdrawn).await
    }

    async fn end(
        &self,
        seq: Seq,
        outcome: CancelOutcome,
    ) -> Result<Option<CancelOutcome>, LedgerError> {
        let at = self.client.clock.stamp(self.client.clock.now());
        let end = CancelEnd { seq, attempt: None, outcome: Some(outcome), at };
        self.writer.end_cancellation(end).await?;
        Ok(Some(outcome))
    }
}

/// Whether a registration is over: cancelled, rejected, or not there any more.
///
/// # Errors
/// [`Refusal`] where it cannot be read.
pub(super) async fn read_standing<T: Transport>(
    client: &GraphClient<T>,
    draft: &GraphRequest,
) -> Result<bool, Refusal> {
    let read =
        |response: &Response| VirtualEvent::read_registration(response).map(|it| it.standing);
    match client.fetch(draft, read).await {
        Ok(standing) => Ok(standing.is_over()),
        Err(Refusal::Answered { verdict: Verdict::Systemic(Systemic::TargetGone), .. }) => Ok(true),
        Err(refusal) => Err(refusal),
    }
}
