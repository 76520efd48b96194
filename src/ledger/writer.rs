//! What changes registrants: intents and outcomes, in group commits, and the target's whole list.
//!
//! Many tasks write through one thread, which owns the ledger. It takes whatever has been asked since
//! its last commit, does it in one transaction and answers all of it after the sync, so the price of
//! a sync is shared by everybody who waits for it. After a failed commit it takes nothing more: what
//! is on disk is the truth, and the next run starts from there.

use std::{
    cell::RefCell,
    sync::mpsc::{Receiver, Sender, channel},
    thread::JoinHandle,
};

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use tokio::sync::oneshot;

use super::{
    Attempt, CancelEnd, CancelIntent, Intent, Ledger, LedgerError, NextState, Over, Purpose,
    SendPermit, Seq, State, Transition, cancellations,
    records::{BEFORE_ALL_RUNS, may_be_processed, state_of},
    schema, store,
};

/// The most requests in one transaction: enough that the disk does not set the pace (measured:
/// the gain ends at some hundreds), few enough that nobody waits long.
const GROUP: usize = 512;

/// Does all of `work` in one transaction: when it returns, everything in it is on disk.
pub(super) fn commit<R>(
    ledger: &mut Ledger,
    work: impl FnOnce(&GroupCommit<'_>) -> Result<R, LedgerError>,
) -> Result<R, LedgerError> {
    ledger.verify()?;
    let run = ledger.current_run();
    ledger.in_transaction(|transaction| work(&GroupCommit { transaction, run }))
}

/// A group commit in the making: intents are permitted and outcomes stored, all of it or nothing.
pub(super) struct GroupCommit<'a> {
    transaction: &'a Transaction<'a>,
    run: i64,
}

impl GroupCommit<'_> {
    fn write(&self, request: &WriteRequest) -> Result<Option<SendPermit>, LedgerError> {
        match request {
            WriteRequest::Intend(intent) => self.intend(intent).map(Some),
            WriteRequest::Settle(outcome) => self.settle(outcome).map(|()| None),
            WriteRequest::Cancel(intent) => self.permit_cancellation(intent).map(Some),
            WriteRequest::EndCancel(end) => {
                if let Some(attempt) = &end.attempt {
                    self.insert_attempt(end.seq, attempt)?;
                }
                cancellations::finish(self.transaction, end).map(|()| None)
            }
        }
    }

    /// Permits to cancel, or says what speaks against it.
    pub(super) fn permit_cancellation(
        &self,
        intent: &CancelIntent,
    ) -> Result<SendPermit, LedgerError> {
        cancellations::permit(self.transaction, self.run, intent)
    }

    /// Permits to send, or says what speaks against it. This is where "never twice" is decided: by
    /// the file, whatever the plan believed.
    pub(super) fn intend(&self, intent: &Intent) -> Result<SendPermit, LedgerError> {
        let db = self.transaction;
        let id = intent.id.as_str();
        let request = intent.client_request_id.as_bytes();
        // An adopted one is awaited at once: no request of its own has to be accounted for.
        let (state, run, request) = match intent.purpose {
            Purpose::Post => (State::Sending, self.run, Some(request)),
            Purpose::Remove => (State::Removing, self.run, Some(request)),
            Purpose::Adopt => (State::Awaiting, BEFORE_ALL_RUNS, None),
        };
        let seq = if let Some((seq, state)) = find(db, id)? {
            let fits = match intent.purpose {
                Purpose::Post => state.may_be_posted(),
                Purpose::Remove => state.is_in_doubt(),
                Purpose::Adopt => {
                    state.may_be_posted() || matches!(state, State::Foreign | State::Gone)
                }
            };
            if !fits {
                return Ok(SendPermit::Held(state));
            }
            seq
        } else if intent.purpose == Purpose::Remove {
            return Ok(SendPermit::Held(State::Ready));
        } else {
            insert(db, id, state, run)?
        };
        db.prepare_cached(
            "UPDATE registrant SET state = ?1, sent = ?2, run = ?3, line = ?4,
                    client_request_id = ?5, sent_at = ?6, code = NULL, reason = NULL, person = ?7
             WHERE seq = ?8",
        )?
        .execute(params![
            state as u8,
            intent.sent,
            run,
            intent.line.cast_signed(),
            request,
            intent.at,
            intent.person.to_number(),
            seq
        ])?;
        schema::seal_row(db, seq)?;
        Ok(SendPermit::Go(Seq(seq)))
    }

    /// Writes an outcome, and the attempt that brought it.
    pub(super) fn settle(&self, outcome: &Transition) -> Result<(), LedgerError> {
        let (db, seq) = (self.transaction, outcome.seq);
        if let Some(attempt) = &outcome.attempt {
            self.insert_attempt(seq, attempt)?;
        }
        let run_of = |adopted: bool| if adopted { BEFORE_ALL_RUNS } else { self.run };
        let mut run = self.run;
        // The server's own id of it, where the outcome tells.
        let mut own = None;
        let (state, code, reason) = match &outcome.becomes {
            NextState::Enrolled { link, registrant_id, adopted } => {
                run = run_of(*adopted);
                // Of an earlier link nothing stays, not the server's own id either.
                db.prepare_cached(
                    "UPDATE registrant SET join_web_url = ?, registrant_id = ? WHERE seq = ?",
                )?
                .execute(params![link.expose(), registrant_id, seq.0])?;
                (State::Enrolled, None, None)
            }
            NextState::Awaiting { code, reason, registrant_id, adopted } => {
                run = run_of(*adopted);
                own = registrant_id.as_deref();
                (State::Awaiting, Some(code), Some(reason))
            }
            NextState::Ready => (State::Ready, None, None),
            // A list that came late had called it absent: it is our own.
            NextState::Foreign if was_in_doubt(db, seq.0)? => (State::Unknown, None, None),
            NextState::Foreign => (State::Foreign, None, None),
            NextState::Unknown { code, reason } => (State::Unknown, Some(code), Some(reason)),
            NextState::Refused { code, reason } => (State::Refused, Some(code), Some(reason)),
            NextState::Gone(over) => return self.end(seq, *over, outcome.at),
        };
        db.prepare_cached(
            "UPDATE registrant SET state = ?1, run = ?2, code = ?3, reason = ?4,
                    client_request_id = NULL, settled_at = ?5,
                    registrant_id = coalesce(?6, registrant_id)
             WHERE seq = ?7",
        )?
        .execute(params![state as u8, run, code, reason, outcome.at, own, seq.0])?;
        schema::seal_row(db, seq.0)
    }

    /// Its registration has come to its end. Whose it was stays known: this ledger's, or adopted.
    pub(super) fn end(&self, seq: Seq, over: Over, at: i64) -> Result<(), LedgerError> {
        let db = self.transaction;
        db.prepare_cached(
            "UPDATE registrant SET state = ?1, run = CASE run WHEN 0 THEN 0 ELSE ?2 END, code = ?3, reason = ?4,
                    client_request_id = NULL, settled_at = ?5
             WHERE seq = ?6",
        )?
        .execute(params![
            State::Gone as u8,
            self.run,
            over.code(),
            over.reason(),
            at,
            seq.0
        ])?;
        schema::seal_row(db, seq.0)
    }

    fn insert_attempt(&self, seq: Seq, attempt: &Attempt) -> Result<(), LedgerError> {
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

/// The number and the state of an id.
fn find(db: &Transaction<'_>, id: &str) -> Result<Option<(i64, State)>, LedgerError> {
    let mut find = db.prepare_cached("SELECT seq, state FROM registrant WHERE id = ?")?;
    let found = find.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    found.map(|(seq, number)| Ok((seq, state_of(number)?))).transpose()
}

/// A new registrant, to be sealed by the caller; returns its number.
fn insert(db: &Transaction<'_>, id: &str, state: State, run: i64) -> Result<i64, LedgerError> {
    db.prepare_cached(
        "INSERT INTO registrant (id, state, sent, run, seal) VALUES (?, ?, '', ?, 0)",
    )?
    .execute(params![id, state as u8, run])?;
    Ok(db.last_insert_rowid())
}

/// Whether the server may hold it by a POST of ours that no cancellation has followed.
fn was_in_doubt(db: &Transaction<'_>, seq: i64) -> Result<bool, LedgerError> {
    let query = concat!(
        "SELECT EXISTS (SELECT 1 FROM attempt WHERE registrant = ?1 AND call = 'POST' AND ",
        may_be_processed!(),
        " AND sent_at >= coalesce((SELECT max(ended_at) FROM cancellation
                                   WHERE registrant = ?1 AND outcome = 'cancelled'), 0))"
    );
    Ok(db.prepare_cached(query)?.query_row([seq], |row| row.get(0))?)
}

/// Writes to the ledger for many tasks.
pub struct LedgerWriter(Home);

enum Home {
    Thread {
        orders: Sender<WriteOrder>,
        thread: JoinHandle<Ledger>,
    },
    /// In the caller's own thread: for deterministic tests under paused time, where waiting for
    /// another thread would let the clock run away.
    Here(RefCell<Ledger>),
}

/// What is to be written.
enum WriteRequest {
    Intend(Intent),
    Settle(Transition),
    Cancel(CancelIntent),
    EndCancel(CancelEnd),
}

impl WriteRequest {
    /// Whether something would be sent on the strength of it. An outcome is written as long as anything
    /// can be, for the files are made from it.
    fn is_intent(&self) -> bool {
        matches!(self, Self::Intend(_) | Self::Cancel(_))
    }
}

/// A request, and who waits for its answer: a permit for an intent, nothing for an outcome.
struct WriteOrder {
    request: WriteRequest,
    reply: oneshot::Sender<Result<Option<SendPermit>, LedgerError>>,
}

impl LedgerWriter {
    /// Hands the ledger to a thread of its own.
    pub fn start(ledger: Ledger) -> Result<Self, LedgerError> {
        let (orders, inbox) = channel();
        let thread = std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || write_groups(ledger, &inbox))?;
        Ok(Self(Home::Thread { orders, thread }))
    }

    /// Keeps the ledger in this thread; each request is its own commit.
    pub fn here(ledger: Ledger) -> Self {
        Self(Home::Here(RefCell::new(ledger)))
    }

    /// Asks for the permit to send. When it is given, the intent is on disk; when it could not be
    /// written, nothing may be sent.
    pub async fn intend(&self, intent: Intent) -> Result<SendPermit, LedgerError> {
        let permit = self.ask(WriteRequest::Intend(intent)).await?;
        Ok(permit.expect("an intent is answered by a permit"))
    }

    /// Makes an outcome durable; where that fails, the row does not count as done.
    pub async fn settle(&self, outcome: Transition) -> Result<(), LedgerError> {
        self.ask(WriteRequest::Settle(outcome)).await.map(drop)
    }

    /// As [`LedgerWriter::intend`], to cancel.
    pub async fn intend_to_cancel(&self, intent: CancelIntent) -> Result<SendPermit, LedgerError> {
        let permit = self.ask(WriteRequest::Cancel(intent)).await?;
        Ok(permit.expect("an intent is answered by a permit"))
    }

    /// Makes durable what an attempt to cancel came to.
    pub async fn end_cancellation(&self, end: CancelEnd) -> Result<(), LedgerError> {
        self.ask(WriteRequest::EndCancel(end)).await.map(drop)
    }

    async fn ask(&self, request: WriteRequest) -> Result<Option<SendPermit>, LedgerError> {
        match &self.0 {
            Home::Here(ledger) => {
                tokio::task::yield_now().await;
                let mut ledger = ledger.borrow_mut();
                if request.is_intent() {
                    ledger.is_in_place()?;
                }
                commit(&mut ledger, |group| group.write(&request))
            }
            Home::Thread { orders, .. } => {
                let gone = || LedgerError::FailedBefore("its thread has ended".to_owned());
                let (reply, answer) = oneshot::channel();
                orders.send(WriteOrder { request, reply }).map_err(|_| gone())?;
                answer.await.map_err(|_| gone())?
            }
        }
    }

    /// Waits until everything that was asked is done, and gives the ledger back.
    ///
    /// # Panics
    /// When the ledger's thread panicked, with the same panic.
    pub fn finish(self) -> Ledger {
        match self.0 {
            Home::Here(ledger) => ledger.into_inner(),
            Home::Thread { orders, thread } => {
                drop(orders);
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            }
        }
    }
}

fn write_groups(mut ledger: Ledger, inbox: &Receiver<WriteOrder>) -> Ledger {
    let mut failed: Option<String> = None;
    let mut group = Vec::with_capacity(GROUP);
    while let Ok(first) = inbox.recv() {
        group.push(first);
        group.extend(inbox.try_iter().take(GROUP - 1));
        if ledger.is_in_place().is_err() {
            for WriteOrder { reply, .. } in group.extract_if(.., |order| order.request.is_intent())
            {
                let _ = reply.send(Err(LedgerError::Replaced));
            }
        }
        if failed.is_none() {
            failed = write_group(&mut ledger, &mut group);
        }
        if let Some(why) = &failed {
            for WriteOrder { reply, .. } in group.drain(..) {
                let _ = reply.send(Err(LedgerError::FailedBefore(why.clone())));
            }
        }
    }
    ledger
}

/// Answers every order of the group, or gives the words of the failure and answers none.
fn write_group(ledger: &mut Ledger, group: &mut Vec<WriteOrder>) -> Option<String> {
    let done = commit(ledger, |writes| {
        group.iter().map(|order| writes.write(&order.request)).collect::<Result<Vec<_>, _>>()
    });
    match done {
        Ok(permits) => {
            for (WriteOrder { reply, .. }, permit) in group.drain(..).zip(permits) {
                // A receiver that is gone belongs to a task that was dropped: nobody waits.
                let _ = reply.send(Ok(permit));
            }
            None
        }
        Err(error) => Some(error.to_string()),
    }
}

/// What SQLite keeps of the file in memory while a list is taken, in KiB: half of the index of a
/// million ids, which come in no order and all in one transaction.
const LIST_CACHE_KIB: i64 = 20 * 1_024;

/// A list may show for so long who was removed, in milliseconds. Microsoft says nothing of that; ten
/// minutes are this program's guess.
const LATE_LIST: i64 = 600_000;

/// A whole list of the target's registrants, taken page by page and kept at its end or not at all: a
/// part of a list would let somebody be taken for absent. Dropped before [`ListWriter::keep`], it
/// leaves no trace.
pub struct ListWriter<'a> {
    connection: &'a Connection,
    transaction: Transaction<'a>,
    run: i64,
    at: i64,
}

impl Ledger {
    /// Begins to take the whole list of the target's registrants, at `at` in milliseconds since
    /// 1970: whoever is on it and was never sent by this ledger becomes [`State::Foreign`], and who
    /// was foreign and is gone becomes [`State::Ready`]. One that this ledger had in doubt, took for
    /// absent and now sees is in doubt again: the server was late.
    pub fn begin_list(&mut self, at: i64) -> Result<ListWriter<'_>, LedgerError> {
        // Rows get new seals, so the old ones must fit.
        self.verify()?;
        let run = self.run()?;
        let connection = self.connection();
        connection.pragma_update(None, "cache_size", -LIST_CACHE_KIB)?;
        let transaction = connection.unchecked_transaction()?;
        for seq in store::seqs_in(&transaction, &[State::Foreign])? {
            transaction
                .prepare_cached("UPDATE registrant SET state = ? WHERE seq = ?")?
                .execute(params![State::Ready as u8, seq])?;
            schema::seal_row(&transaction, seq)?;
        }
        Ok(ListWriter { connection, transaction, run, at })
    }

    /// Takes a list that is there as a whole; returns the number of foreign ones.
    pub fn keep_list(
        &mut self,
        ids: impl IntoIterator<Item = String>,
        at: i64,
    ) -> Result<u64, LedgerError> {
        let mut list = self.begin_list(at)?;
        list.take(ids)?;
        list.keep()
    }

    /// Writes down whose registrations have come to their end on the server: all of them, or none.
    pub fn end_registrations(&mut self, over: &[(Seq, Over)], at: i64) -> Result<(), LedgerError> {
        if over.is_empty() {
            return Ok(());
        }
        commit(self, |group| over.iter().try_for_each(|(seq, over)| group.end(*seq, *over, at)))
    }
}

impl ListWriter<'_> {
    /// Takes some of the ids.
    pub fn take(&mut self, ids: impl IntoIterator<Item = String>) -> Result<(), LedgerError> {
        let db = &self.transaction;
        let mut update =
            db.prepare_cached("UPDATE registrant SET state = ?, settled_at = ? WHERE seq = ?")?;
        for id in ids {
            let found = find(db, &id)?;
            let seq = match found {
                None => insert(db, &id, State::Foreign, self.run)?,
                Some((seq, state)) if state.may_be_posted() && !self.was_cancelled(seq)? => seq,
                Some(_) => continue,
            };
            let known = found.is_some() && was_in_doubt(db, seq)?;
            let state = if known { State::Unknown } else { State::Foreign };
            update.execute(params![state as u8, self.at, seq])?;
            schema::seal_row(db, seq)?;
        }
        Ok(())
    }

    /// Whether this ledger cancelled it so lately that the list may not know yet.
    fn was_cancelled(&self, seq: i64) -> Result<bool, LedgerError> {
        let query = "SELECT EXISTS (SELECT 1 FROM cancellation WHERE registrant = ?
                                    AND outcome = 'cancelled' AND ended_at > ?)";
        let mut cancelled = self.transaction.prepare_cached(query)?;
        Ok(cancelled.query_row([seq, self.at - LATE_LIST], |row| row.get(0))?)
    }

    /// Keeps the list, now that it is whole; returns the number of foreign ones.
    pub fn keep(self) -> Result<u64, LedgerError> {
        let Self { connection, transaction, at, .. } = self;
        transaction.execute("UPDATE target SET listed_at = coalesce(listed_at, ?)", [at])?;
        let count = "SELECT count(*) FROM registrant WHERE state <> 3 AND state = ?";
        let foreign: i64 = schema::value(&transaction, count, [State::Foreign as u8])?;
        transaction.commit()?;
        connection.pragma_update(None, "cache_size", -store::CACHE_KIB)?;
        connection.execute_batch("PRAGMA shrink_memory")?;
        Ok(foreign.cast_unsigned())
    }
}
