//! Who is missing from the lists that were read, and whose registration was cancelled.
//!
//! Only the absent have a row of their own: whoever has none was named by the latest list, or has
//! been enrolled since. So a nightly list of a hundred thousand costs as much as those who left it. A
//! cancellation cannot be taken back, so each absence is sealed like a registrant.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use sha2::{Digest, Sha256};

use super::{
    Attempt, Ledger, LedgerError, SendPermit, Seq, State,
    records::{BEFORE_ALL_RUNS, first_bits, state_of},
    schema,
};

/// So many lists are remembered: one file is never counted twice while its row stands.
const LISTS: i64 = 1_000;

/// A list that was read, by what tells it from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListRead {
    /// When its file was written, in milliseconds since 1970; `None` where it is no file.
    pub written_at: Option<i64>,
    /// A digest of its text.
    pub content: u64,
    /// A digest of how it was read: columns, filters, preset.
    pub reading: u64,
    /// How many rows it has.
    pub rows: u64,
}

/// What is known of earlier lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EarlierLists {
    /// Whether this very list was read before.
    pub known: bool,
    /// How the latest one was read.
    pub reading: Option<u64>,
    /// How many rows the latest complete one had.
    pub rows: Option<u64>,
}

/// Since when no list names somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absence {
    /// How the lists that count were read.
    pub reading: u64,
    /// When the first of them was read, in milliseconds since 1970.
    pub since: i64,
    /// How many different ones there were.
    pub lists: u32,
    /// Whether the person was last named by a list that was read otherwise.
    pub reread: bool,
    /// Whether a person who approved cancellations left this one out.
    pub declined: bool,
}

impl Absence {
    fn seal(&self, seq: i64) -> i64 {
        let Self { reading, since, lists, reread, declined } = *self;
        let mut hash = Sha256::new();
        for number in [seq, reading.cast_signed(), since, lists.into()] {
            hash.update(number.to_be_bytes());
        }
        hash.update([u8::from(reread), u8::from(declined)]);
        first_bits(hash).cast_signed()
    }
}

/// Why a registration is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CancelReason {
    /// The row of this line says that it is cancelled.
    Marked(u64),
    /// No list names the person any more.
    Missing,
}

impl CancelReason {
    /// `marked` or `missing`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Marked(_) => "marked",
            Self::Missing => "missing",
        }
    }

    /// The marked row's line.
    pub fn line(self) -> Option<u64> {
        match self {
            Self::Marked(line) => Some(line),
            Self::Missing => None,
        }
    }
}

/// Asks for the right to cancel: on disk before it is granted.
#[derive(Clone, Copy)]
pub struct CancelIntent {
    pub seq: Seq,
    pub reason: CancelReason,
    /// Whether a person approved it.
    pub approved: bool,
    /// Now, in milliseconds since 1970.
    pub at: i64,
}

/// How a cancellation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelOutcome {
    /// The registration is gone.
    Cancelled,
    /// The server refused it: the registration stands.
    Refused,
    /// Nothing was sent, or it came to nothing: the registration stands.
    Withdrawn,
}

impl CancelOutcome {
    fn word(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Refused => "refused",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// What one attempt to cancel came to, to be made durable.
#[derive(Clone)]
pub struct CancelEnd {
    pub seq: Seq,
    pub attempt: Option<Attempt>,
    /// `None`: not known yet.
    pub outcome: Option<CancelOutcome>,
    /// Now, in milliseconds since 1970.
    pub at: i64,
}

/// A cancellation whose result is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenCancellation {
    pub seq: Seq,
    pub id: String,
    /// The server's own id of the registration.
    pub registrant_id: Option<String>,
}

/// One cancellation, for `explain`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastCancellation {
    pub run: i64,
    pub reason: String,
    pub line: Option<i64>,
    pub approved: bool,
    pub intended_at: i64,
    pub ended_at: Option<i64>,
    /// `None`: in doubt.
    pub outcome: Option<String>,
}

/// Enrolled by this ledger, or registered and waiting for a link: not adopted, not a stranger.
const OWN: &str = "state IN (3, 5) AND run <> 0";

impl Ledger {
    /// What is known of the lists before this one.
    pub fn earlier_lists(&self, list: &ListRead) -> Result<EarlierLists, LedgerError> {
        let db = self.connection();
        let known = "SELECT EXISTS (SELECT 1 FROM list WHERE content = ? AND written_at = ?)";
        let known = schema::value(db, known, params![list.content.cast_signed(), list.written_at])?;
        let of = |query| db.query_row(query, [], |row| row.get::<_, i64>(0)).optional();
        let reading = of("SELECT reading FROM list ORDER BY n DESC LIMIT 1")?;
        let rows = of("SELECT rows FROM list WHERE complete ORDER BY n DESC LIMIT 1")?;
        Ok(EarlierLists {
            known,
            reading: reading.map(i64::cast_unsigned),
            rows: rows.map(i64::cast_unsigned),
        })
    }

    /// Stores that this list was read at `at`, and who is missing from it: all of it, or nothing.
    pub fn store_list(
        &mut self,
        list: &ListRead,
        complete: bool,
        at: i64,
        absent: impl IntoIterator<Item = (Seq, Absence)>,
    ) -> Result<(), LedgerError> {
        self.in_transaction(|db| {
            db.execute(
                "INSERT INTO list (read_at, written_at, content, reading, rows, complete)
                 VALUES (?, ?, ?, ?, ?, ?)",
                params![
                    at,
                    list.written_at,
                    list.content.cast_signed(),
                    list.reading.cast_signed(),
                    list.rows.cast_signed(),
                    complete
                ],
            )?;
            // Of a file that is read again and again the latest reading alone.
            db.execute(
                "DELETE FROM list WHERE n <= (SELECT max(n) FROM list) - ?1
                 OR (n < (SELECT max(n) FROM list) AND content = ?2 AND written_at = ?3)",
                params![LISTS, list.content.cast_signed(), list.written_at],
            )?;
            db.execute("DELETE FROM absence", [])?;
            let mut insert = db.prepare("INSERT INTO absence VALUES (?, ?, ?, ?, ?, ?, ?)")?;
            for (Seq(seq), absence) in absent {
                let Absence { reading, since, lists, reread, declined } = absence;
                let seal = absence.seal(seq);
                let reading = reading.cast_signed();
                insert.execute(params![seq, reading, since, lists, reread, declined, seal])?;
            }
            Ok(())
        })
    }

    /// Who is missing, and since when.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] where one is not as it was written.
    pub fn absences(&self) -> Result<HashMap<Seq, Absence>, LedgerError> {
        self.with_path(|db| {
            let query =
                "SELECT registrant, reading, since, lists, reread, declined, seal FROM absence";
            let rows = schema::rows(db, query, [], |row| {
                let absence = Absence {
                    reading: row.get::<_, i64>(1)?.cast_unsigned(),
                    since: row.get(2)?,
                    lists: row.get(3)?,
                    reread: row.get(4)?,
                    declined: row.get(5)?,
                };
                Ok((row.get::<_, i64>(0)?, absence, row.get::<_, i64>(6)?))
            })?;
            let checked = rows.into_iter().map(|(seq, absence, seal)| {
                let broken = || LedgerError::Damaged(format!("the absence of {seq} is broken"));
                (absence.seal(seq) == seal).then_some((Seq(seq), absence)).ok_or_else(broken)
            });
            checked.collect()
        })
    }

    /// Gives the number of everybody whom this ledger registered and the target holds.
    pub fn for_each_own(&self, mut give: impl FnMut(Seq)) -> Result<(), LedgerError> {
        self.with_path(|db| {
            let query = format!("SELECT seq FROM registrant NOT INDEXED WHERE {OWN} ORDER BY seq");
            let mut statement = db.prepare(&query)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                give(Seq(row.get(0)?));
            }
            Ok(())
        })
    }

    /// How many people are enrolled.
    pub fn enrolled(&self) -> Result<u64, LedgerError> {
        let count = "SELECT count(*) FROM registrant NOT INDEXED WHERE state = 3";
        Ok(schema::value::<i64>(self.connection(), count, [])?.cast_unsigned())
    }

    /// The ids of these registrants.
    pub fn ids_of(&self, seqs: impl IntoIterator<Item = Seq>) -> Result<Vec<String>, LedgerError> {
        self.with_path(|db| {
            let mut one = db.prepare("SELECT id FROM registrant WHERE seq = ?")?;
            seqs.into_iter().map(|seq| Ok(one.query_row([seq.0], |row| row.get(0))?)).collect()
        })
    }

    /// How many cancellations that nobody approved were made, or may have been, after `since`, in
    /// milliseconds since 1970.
    pub fn cancellations_since(&self, since: i64) -> Result<u64, LedgerError> {
        let count = "SELECT count(*) FROM cancellation WHERE NOT approved AND intended_at > ?
                     AND (outcome IS NULL OR outcome = 'cancelled')";
        Ok(schema::value::<i64>(self.connection(), count, [since])?.cast_unsigned())
    }

    /// The cancellations whose results are not known.
    pub fn open_cancellations(&self) -> Result<Vec<OpenCancellation>, LedgerError> {
        let query = "SELECT seq, id, registrant_id FROM cancellation
                     JOIN registrant ON seq = registrant WHERE outcome IS NULL ORDER BY seq";
        schema::rows(self.connection(), query, [], |row| {
            Ok(OpenCancellation {
                seq: Seq(row.get(0)?),
                id: row.get(1)?,
                registrant_id: row.get(2)?,
            })
        })
    }

    /// The server's own ids of the registrations that this ledger cancelled: that they are over
    /// says nothing against a person whom a list names again.
    pub fn cancelled_registrations(&self) -> Result<HashSet<String>, LedgerError> {
        let query = "SELECT DISTINCT registrant_id FROM cancellation
                     JOIN registrant ON seq = registrant
                     WHERE outcome = 'cancelled' AND registrant_id IS NOT NULL";
        let ids = schema::rows(self.connection(), query, [], |row| row.get::<_, String>(0))?;
        Ok(ids.into_iter().collect())
    }

    /// The digest of the file of held cancellations that was written last.
    pub fn held_file(&self) -> Result<Option<u64>, LedgerError> {
        let read = |row: &Row<'_>| row.get::<_, i64>(0);
        let found = self.connection().query_row("SELECT digest FROM held", [], read).optional()?;
        Ok(found.map(i64::cast_unsigned))
    }

    /// Stores the digest of the file of held cancellations.
    pub fn store_held_file(&mut self, digest: u64) -> Result<(), LedgerError> {
        let insert = "INSERT OR REPLACE INTO held (one, digest) VALUES (1, ?)";
        self.connection().execute(insert, [digest.cast_signed()])?;
        Ok(())
    }

    /// Writes how cancellations ended, outside a run's writer.
    pub fn end_cancellation(&mut self, end: &CancelEnd) -> Result<(), LedgerError> {
        self.verify()?;
        self.in_transaction(|db| finish(db, end))
    }
}

/// Permits to cancel, or says what speaks against it: nobody whom this ledger did not register.
pub(super) fn permit(
    db: &Transaction<'_>,
    run: i64,
    intent: &CancelIntent,
) -> Result<SendPermit, LedgerError> {
    let CancelIntent { seq, reason, approved, at } = *intent;
    schema::check_row(db, seq.0, &State::ALL)?;
    let (state, enrolled_in): (i64, i64) =
        db.query_row("SELECT state, run FROM registrant WHERE seq = ?", [seq.0], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let state = state_of(state)?;
    if !matches!(state, State::Enrolled | State::Awaiting) || enrolled_in == BEFORE_ALL_RUNS {
        return Ok(SendPermit::Held(state));
    }
    let open =
        "SELECT EXISTS (SELECT 1 FROM cancellation WHERE registrant = ? AND outcome IS NULL)";
    if !schema::value::<bool>(db, open, [seq.0])? {
        db.execute(
            "INSERT INTO cancellation (registrant, run, reason, line, approved, intended_at)
             VALUES (?, ?, ?, ?, ?, ?)",
            params![seq.0, run, reason.word(), reason.line().map(u64::cast_signed), approved, at],
        )?;
    }
    Ok(SendPermit::Go(seq))
}

/// Writes what a cancellation came to; the caller has written its attempt. Whoever is cancelled may
/// be enrolled anew, and no link of theirs stays.
pub(super) fn finish(db: &Transaction<'_>, end: &CancelEnd) -> Result<(), LedgerError> {
    let CancelEnd { seq: Seq(seq), outcome: Some(outcome), at, .. } = *end else { return Ok(()) };
    db.execute(
        "UPDATE cancellation SET ended_at = ?, outcome = ? WHERE registrant = ? AND outcome IS NULL",
        params![at, outcome.word(), seq],
    )?;
    if outcome == CancelOutcome::Cancelled {
        schema::check_row(db, seq, &[State::Enrolled, State::Awaiting])?;
        db.execute("DELETE FROM absence WHERE registrant = ?", [seq])?;
        db.execute(
            "UPDATE registrant SET state = ?, join_web_url = NULL, code = NULL, reason = NULL,
                    settled_at = ? WHERE seq = ?",
            params![State::Ready as u8, at, seq],
        )?;
        schema::seal_row(db, seq)?;
    }
    Ok(())
}

/// See [`Story`](super::Story).
pub(super) fn of_registrant(
    db: &Connection,
    seq: i64,
) -> Result<Vec<PastCancellation>, LedgerError> {
    let query = "SELECT run, reason, line, approved, intended_at, ended_at, outcome
                 FROM cancellation WHERE registrant = ? ORDER BY n";
    schema::rows(db, query, [seq], |row| {
        Ok(PastCancellation {
            run: row.get(0)?,
            reason: row.get(1)?,
            line: row.get(2)?,
            approved: row.get(3)?,
            intended_at: row.get(4)?,
            ended_at: row.get(5)?,
            outcome: row.get(6)?,
        })
    })
}
