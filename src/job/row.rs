//! The life of one row at Graph: intent, turn, attempt, verdict, outcome, as often as it takes.
//!
//! The order is what "never twice, never lost" rests on: the intent is on disk before the first
//! byte is sent, the outcome is on disk before the row counts as done, and a POST that may have
//! been processed is never followed by another one here.

use std::cell::Cell;

use tracing::Instrument as _;
use uuid::Uuid;

use super::{
    clock::millis,
    exchange::Exchange,
    line::{Line, Prepared},
    refusal::systemic,
    sightings::Sight,
    stop::Stop,
    work::{RowEnd, Work},
};
use crate::{
    graph::{
        draft::Draft,
        meeting::{Enrolled, Meeting},
        target::Target,
        transport::{Failure, Transport},
        webinar::{Accepted, Webinar},
    },
    ledger::{Attempt, Becomes, Granted, Intent, LedgerError, Purpose, Scribe, Seq, Settlement},
    pacing::{Bucket, Call, Verdict},
    registrant::BadLink,
};

/// So many rows in a row that get the same bad answer, without a success between them, are no longer
/// the rows' fault (contract, section 7).
pub(super) const SAME_ANSWER: u32 = 20;

/// Where rows are enrolled.
pub struct Desk<'a, T> {
    /// The line to Graph.
    pub line: &'a Line<T>,
    /// The target.
    pub target: &'a Target,
    /// The ledger.
    pub scribe: &'a Scribe,
    /// Answers of success without a link, since the last one with a link.
    pub linkless: Cell<u32>,
}

/// What an attempt came to.
enum Outcome {
    /// Send again: not processed, or a fresh token is there.
    Again,
    /// The row's life goes on with its POST.
    Removed,
    /// It ends.
    End(RowEnd),
}

impl<T: Transport> Desk<'_, T> {
    /// Leads one row to its end, and gives it back with it. `alone`: no row of this run has had an
    /// answer yet, so this one's tells whether the target works at all.
    pub async fn serve(
        &self,
        mut work: Work,
        alone: bool,
        prepared: Prepared<'_>,
    ) -> (Work, RowEnd) {
        let span = span(&work);
        let end = self.lead(&mut work, alone, prepared).instrument(span).await;
        (work, end)
    }

    async fn lead(&self, work: &mut Work, alone: bool, prepared: Prepared<'_>) -> RowEnd {
        let mut signed_in_again = false;
        let mut prepared = Some(prepared);
        loop {
            let ready = prepared.take().unwrap_or_else(|| self.line.prepare());
            let Some((call, draft)) = self.draft(work) else {
                work.lost = u32::MAX;
                return RowEnd::InDoubt;
            };
            let request = self.line.fresh_id();
            let purpose = if call == Call::Remove { Purpose::Remove } else { Purpose::Post };
            let seq = match self.intend(work, purpose, request).await {
                Ok(Granted::Go(seq)) => seq,
                Ok(Granted::Held(state)) => {
                    tracing::debug!(state = state.name(), "the ledger holds this row");
                    return RowEnd::Held(state);
                }
                Err(error) => return self.ledger_failed(&error),
            };
            work.seq = Some(seq);
            tracing::trace!(%request, "its intent is on disk");
            let Ok(exchange) = self.line.send(Some(ready), call, &draft, request).await else {
                return self.withdraw(seq, call).await;
            };
            if call == Call::Create {
                self.line.count_post(std::mem::replace(&mut work.posted, true));
            }
            let (becomes, outcome) = self.judge(work, call, &exchange, alone, &mut signed_in_again);
            let settlement = Settlement {
                seq,
                attempt: Some(self.record(call, &exchange)),
                becomes,
                at: self.line.clock.stamp(exchange.answered),
            };
            if let Err(error) = self.scribe.settle(settlement).await {
                return self.ledger_failed(&error);
            }
            tracing::trace!(request = %exchange.client_request_id, "its outcome is on disk");
            match outcome {
                // It alone; the pace counts it as still to be done.
                Outcome::Again => {
                    if let Some(wait) = exchange.rest() {
                        self.line.pacing(|buckets| buckets.of(Bucket::Writes).add_rows(1));
                        self.line.rest(wait).await;
                    }
                }
                Outcome::Removed => work.remove_first = false,
                Outcome::End(end) => return end,
            }
        }
    }

    /// The next request of this row; `None` where the target cannot name it in a path.
    fn draft(&self, work: &Work) -> Option<(Call, Draft)> {
        match self.target {
            Target::Meeting(meeting) if work.remove_first => {
                meeting.remove(&work.registrant.id).map(|draft| (Call::Remove, draft))
            }
            target => Some((Call::Create, target.enrol(&work.registrant))),
        }
    }

    pub(super) async fn intend(
        &self,
        work: &Work,
        purpose: Purpose,
        request: Uuid,
    ) -> Result<Granted, LedgerError> {
        let now = self.line.clock.now();
        self.scribe
            .intend(Intent {
                id: work.registrant.id.clone(),
                sent: work.sent.clone(),
                person: work.person,
                line: work.line,
                purpose,
                client_request_id: request,
                at: self.line.clock.stamp(now),
            })
            .await
    }

    /// Takes an intent back that was never sent.
    async fn withdraw(&self, seq: Seq, call: Call) -> RowEnd {
        let becomes = if call == Call::Remove {
            in_doubt("not-removed", "it was not removed yet")
        } else {
            Becomes::Ready
        };
        let at = self.line.clock.stamp(self.line.clock.now());
        // A failure here leaves the intent on disk: in doubt, so the next run looks first.
        match self.scribe.settle(Settlement { seq, attempt: None, becomes, at }).await {
            Ok(()) => RowEnd::NotAttempted,
            Err(error) => self.ledger_failed(&error),
        }
    }

    pub(super) fn ledger_failed(&self, error: &LedgerError) -> RowEnd {
        self.line.stop.raise(Stop::Ledger(error.to_string()));
        RowEnd::NotAttempted
    }

    pub(super) fn record(&self, call: Call, exchange: &Exchange) -> Attempt {
        let clock = self.line.clock;
        Attempt {
            call: match call {
                Call::Create => "POST",
                Call::Remove => "DELETE",
                Call::Read => "GET",
            },
            client_request_id: exchange.client_request_id,
            request_id: exchange
                .result
                .as_ref()
                .ok()
                .and_then(|response| response.request_id().map(str::to_owned))
                .or_else(|| exchange.error().request_id),
            sent_at: clock.stamp(exchange.sent),
            answered_at: clock.stamp(exchange.answered),
            waited_ms: millis(exchange.waited),
            status: exchange.status(),
            verdict: exchange.verdict.word(),
            detail: (exchange.verdict != Verdict::Done).then(|| exchange.words()),
        }
    }

    fn judge(
        &self,
        work: &mut Work,
        call: Call,
        exchange: &Exchange,
        alone: bool,
        signed_in_again: &mut bool,
    ) -> (Becomes, Outcome) {
        // What the row is while its next attempt is still to come.
        let waiting = |why: &str| match call {
            Call::Remove => in_doubt("not-removed", why),
            Call::Create | Call::Read => Becomes::Ready,
        };
        match exchange.verdict {
            Verdict::Done if call == Call::Remove && is_removed(exchange) => {
                (Becomes::Ready, Outcome::Removed)
            }
            // A DELETE that fails again and again is one row's trouble; a POST that cannot even be
            // sent is everybody's, and the line ends the run when that lasts.
            Verdict::Again | Verdict::Done if call == Call::Remove && exchange.rest().is_none() => {
                (in_doubt("not-removed", &exchange.words()), Outcome::End(doubted(work)))
            }
            Verdict::Done => match self.target {
                Target::Meeting(_) => self.answered(work, exchange, alone),
                Target::Webinar(_) => accepted(work, exchange),
            },
            Verdict::Throttled | Verdict::Again => (waiting("asked to wait"), Outcome::Again),
            Verdict::SignIn if !*signed_in_again => {
                *signed_in_again = true;
                (waiting("the token had expired"), Outcome::Again)
            }
            Verdict::Unknown => {
                let (code, reason) = lost(exchange);
                (in_doubt(code, &reason), Outcome::End(doubted(work)))
            }
            // The list tells who it is, and its sessions the link.
            Verdict::Exists if matches!(self.target, Target::Webinar(_)) => {
                work.adopted = !work.doubted;
                (link_pending(None, work.adopted), Outcome::End(RowEnd::Accepted(None)))
            }
            // Somebody else's, or our own POST that was counted as lost and came through after all.
            Verdict::Exists if work.doubted => {
                (in_doubt("exists-on-server", "the server holds it"), Outcome::End(doubted(work)))
            }
            Verdict::Exists => {
                let (code, message) = ("exists-on-server".to_owned(), EXISTS.to_owned());
                (Becomes::Foreign, Outcome::End(RowEnd::Refused { code, message }))
            }
            Verdict::Refused => {
                let (code, message) = refusal(exchange);
                let becomes = match call {
                    Call::Remove => in_doubt("not-removed", &message),
                    _ => Becomes::Refused { code: code.clone(), reason: message.clone() },
                };
                (becomes, Outcome::End(RowEnd::Refused { code, message }))
            }
            verdict @ (Verdict::Systemic(_) | Verdict::SignIn) => {
                let status = exchange.status().unwrap_or(0);
                self.line.stop.raise(systemic(
                    status,
                    exchange.error(),
                    verdict,
                    self.target.api(),
                ));
                (waiting("the run was stopped"), Outcome::End(RowEnd::NotAttempted))
            }
        }
    }

    /// A 2xx answer to a POST: a success only with a usable link.
    fn answered(&self, work: &mut Work, exchange: &Exchange, alone: bool) -> (Becomes, Outcome) {
        let read = match &exchange.result {
            Ok(response) => Meeting::read_enrolled(response, &work.registrant.id),
            Err(_) => Err(None),
        };
        let bad = match read {
            Ok(Enrolled { link, registrant_id }) => {
                self.linkless.set(0);
                let becomes = Becomes::Enrolled { link, registrant_id, adopted: false };
                return (becomes, Outcome::End(RowEnd::Enrolled));
            }
            Err(bad) => bad,
        };
        let (code, reason) = match bad {
            None => ("unreadable-answer", "the answer was cut short or is no JSON".to_owned()),
            Some(BadLink::OtherPerson) => ("wrong-link", BadLink::OtherPerson.to_string()),
            Some(bad) => ("no-link", bad.to_string()),
        };
        if bad == Some(BadLink::Missing) {
            self.linkless.set(self.linkless.get() + 1);
            let which = match self.linkless.get() {
                _ if alone => Some("the first row".to_owned()),
                SAME_ANSWER => Some(format!("{SAME_ANSWER} rows, and none between them better,")),
                _ => None,
            };
            if let Some(which) = which {
                let status = exchange.status().unwrap_or(0);
                let answer =
                    format!("Graph answered {which} with {status} and without a join link");
                self.line.stop.raise(Stop::Retired { api: self.target.api(), answer });
            }
        }
        (in_doubt(code, &reason), Outcome::End(doubted(work)))
    }
}

/// A 2xx answer of a webinar: who is registered, and no link yet.
fn accepted(work: &mut Work, exchange: &Exchange) -> (Becomes, Outcome) {
    let accepted = exchange.result.as_ref().ok().and_then(Webinar::read_accepted);
    let Some(Accepted { member }) = accepted else {
        let reason = "the answer was cut short or is no JSON";
        return (in_doubt("unreadable-answer", reason), Outcome::End(doubted(work)));
    };
    let server_id = member.as_ref().and_then(|member| member.server_id.clone());
    let sight = member.map(|member| Box::new(Sight { member, extra: Vec::new(), taken: false }));
    (link_pending(server_id, false), Outcome::End(RowEnd::Accepted(sight)))
}

/// Whether Graph itself said that the registrant is gone, or its registration cancelled. A gateway's
/// page with status 200 or 404 says nothing, and a POST on top of it would enrol twice; the next list
/// tells.
pub(super) fn is_removed(exchange: &Exchange) -> bool {
    exchange.result.as_ref().is_ok_and(|response| {
        if response.status.is_success() {
            response.body.is_empty()
        } else {
            !exchange.error().code.is_empty()
        }
    })
}

/// What tells a row's log lines apart: its line in the input, and its id where that was asked for.
/// Nothing is put together where the level is off.
pub(super) fn span(work: &Work) -> tracing::Span {
    let row = tracing::debug_span!("row", line = work.line);
    let id = work.registrant.id.as_str();
    let named = tracing::debug_span!(target: crate::LOG_IDS, parent: &row, "registrant", id);
    if named.is_disabled() { row } else { named }
}

const EXISTS: &str = "the target holds a registrant with this id that this ledger never sent; its link cannot be had. If nobody uses it, remove it there, or give this row another id";

pub(super) fn doubted(work: &mut Work) -> RowEnd {
    work.lost += 1;
    work.doubted = true;
    RowEnd::InDoubt
}

pub(super) fn in_doubt(code: &str, reason: &str) -> Becomes {
    Becomes::Unknown { code: code.to_owned(), reason: reason.to_owned() }
}

fn lost(exchange: &Exchange) -> (&'static str, String) {
    let code = match &exchange.result {
        Ok(_) => "server-error",
        Err(error) => match error.kind {
            Failure::TimedOut => "timed-out",
            Failure::TooLarge => "unreadable-answer",
            _ => "connection-lost",
        },
    };
    (code, format!("the result of the POST was never learnt ({})", exchange.words()))
}

fn refusal(exchange: &Exchange) -> (String, String) {
    let error = exchange.error();
    let status = exchange.status().unwrap_or(0);
    let code = if error.code.is_empty() { format!("http-{status}") } else { error.code };
    let message = if error.message.is_empty() {
        format!("the server refused it with status {status}")
    } else {
        error.message
    };
    (code, message)
}

/// Where a row stands that a webinar has and whose link was not seen yet.
pub(super) fn link_pending(registrant_id: Option<String>, adopted: bool) -> Becomes {
    Becomes::Awaiting {
        code: "link-pending".to_owned(),
        reason: "the webinar has taken it; its link could not be had yet".to_owned(),
        registrant_id,
        adopted,
    }
}
