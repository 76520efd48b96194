//! Rows of the ledger that were read ahead, with all their texts in one piece of memory: what
//! another thread has read is handed over without an allocation for each text, and lies in the
//! order in which it is looked at, so that the processor fetches it before it is asked for.

use rusqlite::Row;

use super::{Entry, LedgerError, Seq, State, record::state_of, seal::seal};
use crate::registrant::{JoinLink, PersonFingerprint};

/// A query for all that [`Block::push`] reads.
macro_rules! select {
    ($which:literal) => {
        concat!(
            "SELECT seq, id, state, run, sent, join_web_url, registrant_id, seal,
                    code, reason, coalesce(settled_at, sent_at), person
             FROM registrant ",
            $which
        )
    };
}
pub(super) use select;

/// How many rows another thread hands over at once: each block wakes somebody, which costs as much
/// as some dozens of rows. A block of usual rows fits the processor's near memory.
const ROWS: usize = 512;

/// Rows in the ledger's order, to be taken from the front.
#[derive(Default)]
pub(super) struct Block {
    texts: String,
    rows: Vec<Ahead>,
    /// How many were taken.
    taken: usize,
}

/// A row, its texts apart.
struct Ahead {
    seq: i64,
    run: i64,
    person: PersonFingerprint,
    state: State,
    touched_at: Option<i64>,
    /// Where its texts begin.
    at: usize,
    id: usize,
    sent: usize,
    link: Option<usize>,
    own: Option<usize>,
    code: Option<usize>,
    reason: Option<usize>,
}

impl Block {
    pub(super) fn is_empty(&self) -> bool {
        self.taken == self.rows.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.rows.len() == ROWS
    }

    /// The same memory without rows.
    pub(super) fn clear(&mut self) {
        self.texts.clear();
        self.rows.clear();
        self.taken = 0;
    }

    /// Takes in one row as it was written, or none of it.
    pub(super) fn push(&mut self, row: &Row<'_>) -> Result<(), LedgerError> {
        let seq: i64 = row.get(0)?;
        let number: i64 = row.get(2)?;
        let state = state_of(number)?;
        let text = |column| match row.get_ref(column).map(|cell| cell.as_str_or_null()) {
            Ok(Ok(text)) => Ok(text),
            _ => Err(LedgerError::Damaged(format!("a text of registrant {seq} is none"))),
        };
        let (id, sent) = (text(1)?.unwrap_or_default(), text(4)?.unwrap_or_default());
        let (link, own) = (text(5)?, text(6)?);
        let person: Option<i64> = row.get(11)?;
        if row.get::<_, i64>(7)? != seal(id, number, sent, link, own, person) {
            return Err(LedgerError::Damaged(format!("the seal of registrant {seq} is broken")));
        }
        // Whoever is enrolled has no more to tell.
        let open = state != State::Enrolled;
        let (code, reason) = if open { (text(8)?, text(9)?) } else { (None, None) };
        let touched_at = if open { row.get(10)? } else { None };
        let at = self.texts.len();
        let mut keep = |text: &str| {
            self.texts.push_str(text);
            text.len()
        };
        self.rows.push(Ahead {
            seq,
            run: row.get(3)?,
            person: PersonFingerprint::from_number(person),
            state,
            touched_at,
            at,
            id: keep(id),
            sent: keep(sent),
            link: link.map(&mut keep),
            own: own.map(&mut keep),
            code: code.map(&mut keep),
            reason: reason.map(&mut keep),
        });
        Ok(())
    }

    /// Takes the next row, if it is that of `id`.
    pub(super) fn take(&mut self, id: &str) -> Option<Entry> {
        let row = self.rows.get(self.taken)?;
        let mut texts = self.texts.get(row.at..)?;
        if texts.len() < row.id || texts.as_bytes()[..row.id] != *id.as_bytes() {
            return None;
        }
        self.taken += 1;
        let mut next = |length: usize| {
            let (text, rest) = texts.split_at_checked(length).unwrap_or_default();
            texts = rest;
            text
        };
        next(row.id);
        let sent = next(row.sent).to_owned();
        let link = row.link.map(&mut next);
        let own = row.own.map(&mut next).map(str::to_owned);
        let code = row.code.map(&mut next).map(str::to_owned);
        let reason = row.reason.map(&mut next).map(str::to_owned);
        Some(Entry {
            seq: Seq(row.seq),
            state: row.state,
            run: row.run,
            person: row.person,
            sent,
            link: link.filter(|_| row.state == State::Enrolled).map(JoinLink::trusted),
            registrant_id: own,
            code,
            reason,
            touched_at: row.touched_at,
        })
    }

    /// Passes over the rows up to this number.
    pub(super) fn skip_to(&mut self, seq: i64) {
        self.taken += self.rows[self.taken..].partition_point(|row| row.seq <= seq);
    }
}
