//! The life of one row at Graph: intent, turn, attempt, verdict, outcome, as often as it takes.
//!
//! The order is what "never twice, never lost" rests on: the intent is on disk before the first
//! byte is sent, the outcome is on disk before the row counts as done, and a POST that may have
//! been processed is never followed by another one here.

use std::cell::Cell;

use tracing::Instrument as _;
use uuid::Uuid;

use super::{
    client::{Exchange, GraphClient, Prepared},
    clock::{Clock, millis},
    link_guard::LinkGuard,
    remote::RemoteMatch,
    stop::{Stop, systemic},
};
use crate::{
    graph::{
        event::{Accepted, VirtualEvent},
        meeting::{Enrolled, Meeting},
        target::Target,
        transport::{GraphRequest, Transport, TransportFailure},
        verdict::{Call, Verdict},
    },
    ledger::{
        Attempt, Intent, LedgerError, LedgerWriter, LinkOwner, NextState, Purpose, SendPermit, Seq,
        State, Transition,
    },
    pacing::Bucket,
    registrant::{BadLink, PersonFingerprint, Registrant},
};

/// So many rows in a row that get the same bad answer, without a success between them, are no longer
/// the rows' fault.
pub(super) const SAME_ANSWER: u32 = 20;

/// A row on its way to Graph.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone)]
pub struct Work {
    /// Whom to enrol.
    pub registrant: Registrant,
    /// Its number in the ledger, once it has one.
    pub seq: Option<Seq>,
    /// What is sent with the id, as the ledger keeps it.
    pub sent: String,
    /// Whose the row is, as far as it tells.
    pub person: PersonFingerprint,
    /// The row's line in the input.
    pub line: u64,
    /// Whether a meeting holds it from an attempt whose answer was lost: DELETE first.
    pub remove_first: bool,
    /// Whether it was removed, and no list has shown yet that it is gone.
    pub removed: bool,
    /// How often a list went on showing it after its DELETE was answered.
    pub contradictions: u32,
    /// When its latest attempt was answered or given up, in milliseconds since 1970.
    pub answered_at: i64,
    /// Whether it was posted in this run.
    pub posted: bool,
    /// Whether its result was ever lost, in this run or an earlier one: then the server may hold it
    /// by our own doing.
    pub doubted: bool,
    /// Whether a POST of it was throttled: that says "not processed", and was now and then.
    pub throttled: bool,
    /// How often its result was lost, or its DELETE failed, in this run.
    pub lost: u32,
    /// How often it was looked for in vain, in this run, after the target had accepted it.
    pub missed: u32,
    /// Whether the target held it before this ledger ever sent it.
    pub adopted: bool,
    /// The server's own id of its registration, where a list has told it.
    pub server_id: Option<String>,
}

impl Work {
    /// A row that nothing is known of yet.
    pub fn new(registrant: Registrant, sent: String, person: PersonFingerprint, line: u64) -> Self {
        Self {
            registrant,
            seq: None,
            sent,
            person,
            line,
            remove_first: false,
            removed: false,
            contradictions: 0,
            answered_at: 0,
            posted: false,
            doubted: false,
            throttled: false,
            lost: 0,
            missed: 0,
            adopted: false,
            server_id: None,
        }
    }
}

/// How a row's life at Graph ended, for now.
pub enum RowEnd {
    /// Enrolled; the link is on disk.
    Enrolled,
    /// The server refused it.
    Refused {
        /// Graph's code.
        code: String,
        /// Graph's message.
        message: String,
    },
    /// A POST or DELETE whose result was never learnt.
    InDoubt,
    /// It was removed; the next list tells whether it is gone.
    Removed,
    /// A webinar has it, and its link is to be had: of this registration, where it is known.
    Accepted(Option<Box<RemoteMatch>>),
    /// A webinar has it, and there is no link before its organizer acts.
    Awaiting,
    /// A webinar has it, and it holds no place there: cancelled, rejected, or somebody else's.
    TurnedAway,
    /// The ledger held it: somebody in this run, or its own story, stands against it.
    Held(State),
    /// The run was stopped before it was sent.
    NotAttempted,
}

/// Sends rows and writes down what becomes of them, for as long as the run goes on.
pub struct RowSender<'a, T> {
    /// The line to Graph.
    pub client: &'a GraphClient<T>,
    /// The target.
    pub target: &'a Target,
    /// The ledger.
    pub writer: &'a LedgerWriter,
    /// Answers of success without a link, since the last one with a link.
    pub linkless: Cell<u32>,
    /// Whose each link is.
    pub links: &'a LinkGuard,
    /// One link for everybody is right.
    pub shared_link: bool,
}

/// What an attempt came to.
enum Outcome {
    /// Send again: not processed, or a fresh token is there.
    Again,
    /// It ends.
    End(RowEnd),
}

impl<T: Transport> RowSender<'_, T> {
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
            let ready = prepared.take().unwrap_or_else(|| self.client.prepare());
            let Some((call, draft)) = self.draft(work) else {
                work.lost = u32::MAX;
                return RowEnd::InDoubt;
            };
            let request = self.client.fresh_id();
            let purpose = if call == Call::Remove { Purpose::Remove } else { Purpose::Post };
            let seq = match self.intend(work, purpose, request).await {
                Ok(SendPermit::Go(seq)) => seq,
                Ok(SendPermit::Held(state)) => {
                    tracing::debug!(state = state.name(), "the ledger holds this row");
                    return RowEnd::Held(state);
                }
                Err(error) => return self.ledger_failed(&error),
            };
            work.seq = Some(seq);
            tracing::trace!(%request, "its intent is on disk");
            let Ok(exchange) = self.client.send(Some(ready), call, &draft, request).await else {
                return self.withdraw(seq, call).await;
            };
            work.answered_at = self.client.clock.stamp(exchange.answered);
            if call == Call::Create {
                self.client.count_post(std::mem::replace(&mut work.posted, true));
            }
            let (becomes, outcome) = self.judge(work, call, &exchange, alone, &mut signed_in_again);
            let settlement = Transition {
                seq,
                attempt: Some(record(self.client.clock, call, &exchange)),
                becomes,
                at: self.client.clock.stamp(exchange.answered),
            };
            if let Err(error) = self.writer.settle(settlement).await {
                return self.ledger_failed(&error);
            }
            tracing::trace!(request = %exchange.client_request_id, "its outcome is on disk");
            match outcome {
                // It alone; the pace counts it as still to be done.
                Outcome::Again => {
                    if let Some(wait) = exchange.rest() {
                        self.client.pacing(|buckets| buckets.of(Bucket::Writes).add_rows(1));
                        self.client.rest(wait).await;
                    }
                }
                Outcome::End(end) => return end,
            }
        }
    }

    /// The next request of this row; `None` where the target cannot name it in a path.
    fn draft(&self, work: &Work) -> Option<(Call, GraphRequest)> {
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
    ) -> Result<SendPermit, LedgerError> {
        let now = self.client.clock.now();
        self.writer
            .intend(Intent {
                id: work.registrant.id.clone(),
                sent: work.sent.clone(),
                person: work.person,
                line: work.line,
                purpose,
                client_request_id: request,
                at: self.client.clock.stamp(now),
            })
            .await
    }

    /// Takes an intent back that was never sent.
    async fn withdraw(&self, seq: Seq, call: Call) -> RowEnd {
        let becomes = if call == Call::Remove {
            in_doubt("not-removed", "it was not removed yet")
        } else {
            NextState::Ready
        };
        let at = self.client.clock.stamp(self.client.clock.now());
        // A failure here leaves the intent on disk: in doubt, so the next run looks first.
        match self.writer.settle(Transition { seq, attempt: None, becomes, at }).await {
            Ok(()) => RowEnd::NotAttempted,
            Err(error) => self.ledger_failed(&error),
        }
    }

    pub(super) fn ledger_failed(&self, error: &LedgerError) -> RowEnd {
        self.client.stop.raise(Stop::Ledger(error.to_string()));
        RowEnd::NotAttempted
    }

    fn judge(
        &self,
        work: &mut Work,
        call: Call,
        exchange: &Exchange,
        alone: bool,
        signed_in_again: &mut bool,
    ) -> (NextState, Outcome) {
        // What the row is while its next attempt is still to come.
        let waiting = |why: &str| match call {
            Call::Remove => in_doubt("not-removed", why),
            Call::Create | Call::Read => NextState::Ready,
        };
        match exchange.verdict {
            Verdict::Done if call == Call::Remove && is_removed(exchange) => {
                (work.remove_first, work.removed) = (false, true);
                let reason =
                    "it was removed to be posted again; the next list tells whether it is gone";
                (in_doubt("removed", reason), Outcome::End(RowEnd::Removed))
            }
            // A DELETE that fails again and again is one row's trouble; a POST that cannot even be
            // sent is everybody's, and the line ends the run when that lasts.
            Verdict::Again | Verdict::Done if call == Call::Remove && exchange.rest().is_none() => {
                (in_doubt("not-removed", &exchange.words()), Outcome::End(doubted(work)))
            }
            Verdict::Done => match self.target {
                Target::Meeting(_) => self.answered(work, exchange, alone),
                Target::Event(_) => accepted(work, exchange),
            },
            Verdict::Throttled | Verdict::Again => {
                work.throttled |= exchange.verdict == Verdict::Throttled && call == Call::Create;
                (waiting("asked to wait"), Outcome::Again)
            }
            Verdict::SignIn if !*signed_in_again => {
                *signed_in_again = true;
                (waiting("the token had expired"), Outcome::Again)
            }
            Verdict::Unknown => {
                let (code, reason) = lost(exchange);
                (in_doubt(code, &reason), Outcome::End(doubted(work)))
            }
            // The list tells who it is, and its sessions the link.
            Verdict::Exists if matches!(self.target, Target::Event(_)) => {
                work.adopted = !(work.doubted || work.throttled);
                (link_pending(None, work.adopted), Outcome::End(RowEnd::Accepted(None)))
            }
            // Our own POST that was counted as lost, or throttled, and came through after all.
            Verdict::Exists if work.doubted || work.throttled => {
                (in_doubt("exists-on-server", "the server holds it"), Outcome::End(doubted(work)))
            }
            Verdict::Exists => {
                let (code, message) = ("exists-on-server".to_owned(), EXISTS.to_owned());
                (NextState::Foreign, Outcome::End(RowEnd::Refused { code, message }))
            }
            // Of this POST; one before it was throttled, and may have been processed: the list tells.
            Verdict::Refused if work.throttled && call == Call::Create => {
                let (code, message) = refusal(exchange);
                (in_doubt(&code, &message), Outcome::End(doubted(work)))
            }
            Verdict::Refused => {
                let (code, message) = refusal(exchange);
                let becomes = match call {
                    Call::Remove => in_doubt("not-removed", &message),
                    _ => NextState::Refused { code: code.clone(), reason: message.clone() },
                };
                (becomes, Outcome::End(RowEnd::Refused { code, message }))
            }
            verdict @ (Verdict::Systemic(_) | Verdict::SignIn) => {
                let status = exchange.status().unwrap_or(0);
                self.client.stop.raise(systemic(
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
    fn answered(&self, work: &mut Work, exchange: &Exchange, alone: bool) -> (NextState, Outcome) {
        let read = match &exchange.result {
            Ok(response) => Meeting::read_enrolled(response, &work.registrant.id),
            Err(_) => Err(None),
        };
        let read = match (read, work.seq) {
            (Ok(enrolled), Some(seq)) => {
                let owner = LinkOwner { seq, server_id: None, adopted: false };
                match self.links.take(&work.registrant.id, &enrolled.link, owner) {
                    Some(_) => Err(Some(BadLink::OtherPerson)),
                    None => Ok(enrolled),
                }
            }
            (read, _) => read,
        };
        let bad = match read {
            Ok(Enrolled { link, registrant_id }) => {
                self.linkless.set(0);
                let becomes = NextState::Enrolled { link, registrant_id, adopted: false };
                return (becomes, Outcome::End(RowEnd::Enrolled));
            }
            Err(bad) => bad,
        };
        let (code, reason) = match bad {
            None => ("unreadable-answer", "the answer was cut short or is no JSON".to_owned()),
            Some(bad) => (bad.code(), bad.to_string()),
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
                self.client.stop.raise(Stop::Retired { api: self.target.api(), answer });
            }
        }
        (in_doubt(code, &reason), Outcome::End(doubted(work)))
    }
}

/// A 2xx answer of a webinar: who is registered, and no link yet.
fn accepted(work: &mut Work, exchange: &Exchange) -> (NextState, Outcome) {
    let accepted = exchange.result.as_ref().ok().and_then(VirtualEvent::read_accepted);
    let Some(Accepted { member }) = accepted else {
        let reason = "the answer was cut short or is no JSON";
        return (in_doubt("unreadable-answer", reason), Outcome::End(doubted(work)));
    };
    let server_id = member.as_ref().and_then(|member| member.server_id.clone());
    let sight =
        member.map(|member| Box::new(RemoteMatch { member, extra: Vec::new(), taken: false }));
    (link_pending(server_id, false), Outcome::End(RowEnd::Accepted(sight)))
}

/// An attempt, as the ledger keeps it.
pub(super) fn record(clock: Clock, call: Call, exchange: &Exchange) -> Attempt {
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

pub(super) fn in_doubt(code: &str, reason: &str) -> NextState {
    NextState::Unknown { code: code.to_owned(), reason: reason.to_owned() }
}

fn lost(exchange: &Exchange) -> (&'static str, String) {
    let code = match &exchange.result {
        Ok(_) => "server-error",
        Err(error) => match error.kind {
            TransportFailure::TimedOut => "timed-out",
            TransportFailure::TooLarge => "unreadable-answer",
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
pub(super) fn link_pending(registrant_id: Option<String>, adopted: bool) -> NextState {
    NextState::Awaiting {
        code: "link-pending".to_owned(),
        reason: "the event has taken it; its link could not be had yet".to_owned(),
        registrant_id,
        adopted,
    }
}
