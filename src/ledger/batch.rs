//! One group commit in the making: intents are granted and outcomes kept, all of it or nothing.

use rusqlite::{OptionalExtension, Transaction, params};

use super::{
    Attempt, SendPermit, Intent, LedgerError, NextState, Purpose, Seq, State, Transition,
    record::{BEFORE_ALL_RUNS, state_of},
};
use crate::registrant::JoinLink;

/// One group commit in the making.
pub(super) struct Batch<'a> {
    pub(super) transaction: &'a Transaction<'a>,
    pub(super) run: i64,
}

impl Batch<'_> {
    /// Grants the right to send, or says what stands against it. This is where "never twice" is
    /// decided: by the file, whatever the plan believed.
    pub(super) fn intend(&self, intent: &Intent) -> Result<SendPermit, LedgerError> {
        let db = self.transaction;
        let id = intent.id.as_str();
        let (line, request) = (intent.line.cast_signed(), intent.client_request_id.as_bytes());
        // An adopted one is awaited at once: no request of its own has to be accounted for.
        let (becomes, run, request) = match intent.purpose {
            Purpose::Post => (State::Sending, self.run, Some(request)),
            Purpose::Remove => (State::Removing, self.run, Some(request)),
            Purpose::Adopt => (State::Awaiting, BEFORE_ALL_RUNS, None),
        };
        let person = intent.person.to_number();
        if intent.purpose != Purpose::Remove {
            let inserted = db
                .prepare_cached(
                    "INSERT INTO registrant (id, state, sent, run, line, client_request_id, sent_at,
                                             person, seal)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8,
                             seal(?1, ?2, ?3, NULL, NULL, ?8))
                     ON CONFLICT (id) DO NOTHING",
                )?
                .execute(params![
                    id,
                    becomes as u8,
                    intent.sent,
                    run,
                    line,
                    request,
                    intent.at,
                    person
                ])?;
            if inserted == 1 {
                return Ok(SendPermit::Go(Seq(db.last_insert_rowid())));
            }
        }
        let found: Option<(i64, i64)> = db
            .prepare_cached("SELECT seq, state FROM registrant WHERE id = ?")?
            .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((seq, number)) = found else { return Ok(SendPermit::Held(State::Ready)) };
        let state = state_of(number)?;
        let fits = match intent.purpose {
            Purpose::Post => state.may_be_posted(),
            Purpose::Remove => state.is_in_doubt(),
            Purpose::Adopt => state.may_be_posted() || state == State::Foreign,
        };
        if !fits {
            return Ok(SendPermit::Held(state));
        }
        db.prepare_cached(
            "UPDATE registrant SET state = ?1, sent = ?2, run = ?3, line = ?4,
                    client_request_id = ?5, sent_at = ?6, code = NULL, reason = NULL,
                    person = ?8, seal = seal(id, ?1, ?2, join_web_url, registrant_id, ?8)
             WHERE seq = ?7",
        )?
        .execute(params![
            becomes as u8,
            intent.sent,
            run,
            line,
            request,
            intent.at,
            seq,
            person
        ])?;
        Ok(SendPermit::Go(Seq(seq)))
    }

    /// Writes an outcome, and the attempt that brought it.
    pub(super) fn settle(&self, settlement: &Transition) -> Result<(), LedgerError> {
        if let Some(attempt) = &settlement.attempt {
            self.keep_attempt(settlement.seq, attempt)?;
        }
        let (run, own) = match &settlement.becomes {
            NextState::Awaiting { registrant_id, adopted, .. } => {
                (self.run_of(*adopted), registrant_id.as_deref())
            }
            _ => (self.run, None),
        };
        let (state, code, reason) = match &settlement.becomes {
            NextState::Enrolled { link, registrant_id, adopted } => {
                return self.enrolled(settlement, link, registrant_id.as_deref(), *adopted);
            }
            NextState::Awaiting { code, reason, .. } => (State::Awaiting, Some(code), Some(reason)),
            NextState::Ready => (State::Ready, None, None),
            // A list that came late had called it absent: it is our own.
            NextState::Foreign if self.was_in_doubt(settlement.seq)? => {
                (State::Unknown, None, None)
            }
            NextState::Foreign => (State::Foreign, None, None),
            NextState::Unknown { code, reason } => (State::Unknown, Some(code), Some(reason)),
            NextState::Refused { code, reason } => (State::Refused, Some(code), Some(reason)),
        };
        self.transaction
            .prepare_cached(
                "UPDATE registrant SET state = ?1, run = ?2, code = ?3, reason = ?4,
                        client_request_id = NULL, settled_at = ?5,
                        registrant_id = coalesce(?7, registrant_id),
                        seal = seal(id, ?1, sent, join_web_url, coalesce(?7, registrant_id),
                                    person)
                 WHERE seq = ?6",
            )?
            .execute(params![
                state as u8,
                run,
                code,
                reason,
                settlement.at,
                settlement.seq.0,
                own
            ])?;
        Ok(())
    }

    /// The run that an outcome is counted to.
    fn run_of(&self, adopted: bool) -> i64 {
        if adopted { BEFORE_ALL_RUNS } else { self.run }
    }

    /// Whether the server may hold it by a POST of ours.
    fn was_in_doubt(&self, seq: Seq) -> Result<bool, LedgerError> {
        Ok(self
            .transaction
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM attempt WHERE registrant = ? AND call = 'POST'
                                AND verdict IN ('done', 'unknown', 'lost'))",
            )?
            .query_row([seq.0], |row| row.get(0))?)
    }

    fn enrolled(
        &self,
        settlement: &Transition,
        link: &JoinLink,
        registrant_id: Option<&str>,
        adopted: bool,
    ) -> Result<(), LedgerError> {
        let seq = settlement.seq.0;
        self.transaction
            .prepare_cached(
                "UPDATE registrant SET state = ?1, run = ?2, join_web_url = ?3, registrant_id = ?4,
                        seal = seal(id, ?1, sent, ?3, ?4, person), settled_at = ?5,
                        client_request_id = NULL, code = NULL, reason = NULL
                 WHERE seq = ?6",
            )?
            .execute(params![
                State::Enrolled as u8,
                self.run_of(adopted),
                link.expose(),
                registrant_id,
                settlement.at,
                seq
            ])?;
        Ok(())
    }

    fn keep_attempt(&self, seq: Seq, attempt: &Attempt) -> Result<(), LedgerError> {
        self.transaction
            .prepare_cached(
                "INSERT INTO attempt (registrant, run, call, client_request_id, request_id, sent_at,
                                      answered_at, waited_ms, status, verdict, detail)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                seq.0,
                self.run,
                attempt.call,
                attempt.client_request_id.as_bytes(),
                attempt.request_id,
                attempt.sent_at,
                attempt.answered_at,
                attempt.waited_ms,
                attempt.status,
                attempt.verdict,
                attempt.detail
            ])?;
        Ok(())
    }
}
