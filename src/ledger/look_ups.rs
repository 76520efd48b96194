//! What the ledger holds of a registrant, found by id.

use rusqlite::{CachedStatement, Connection, Row, Transaction};

use super::{
    Entry, Ledger, LedgerError, Seq, State,
    records::{may_be_processed, state_of},
    schema::{self, SealedRow, sealed_columns},
};
use crate::registrant::{JoinLink, PersonFingerprint, RegistrantId};

/// A query for all that [`entry`] reads.
macro_rules! select {
    ($which:literal) => {
        concat!(
            sealed_columns!(),
            ", run, code, reason, coalesce(settled_at, sent_at) FROM registrant ",
            $which
        )
    };
}

/// Look-ups that share one lock on the file; nothing can be written while they last. Each row that
/// is given was checked against its seal.
pub struct LookUps<'a> {
    ledger: &'a Ledger,
    by_id: CachedStatement<'a>,
    /// `None` where others hold the lock already.
    _transaction: Option<Transaction<'a>>,
}

impl Ledger {
    /// What the ledger holds of `id`.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] when the row's seal does not fit: a link is given as it was
    /// written, or not at all.
    pub fn find(&self, id: &RegistrantId) -> Result<Option<Entry>, LedgerError> {
        self.look_ups()?.find(id)
    }

    /// Begins a series of look-ups.
    pub fn look_ups(&self) -> Result<LookUps<'_>, LedgerError> {
        self.with_path(|connection| {
            Ok(LookUps {
                ledger: self,
                _transaction: begin(connection)?,
                by_id: connection.prepare_cached(select!("WHERE id = ?"))?,
            })
        })
    }
}

fn begin(connection: &Connection) -> Result<Option<Transaction<'_>>, LedgerError> {
    Ok(connection.is_autocommit().then(|| connection.unchecked_transaction()).transpose()?)
}

impl LookUps<'_> {
    /// See [`Ledger::find`].
    pub fn find(&mut self, id: &RegistrantId) -> Result<Option<Entry>, LedgerError> {
        let id = id.as_str();
        let mut read = || {
            let mut rows = self.by_id.query([id])?;
            let Some(row) = rows.next()? else { return Ok(None) };
            if row.get_ref(1)?.as_str().ok() != Some(id) {
                return Err(LedgerError::Damaged("an index points to another row".to_owned()));
            }
            entry(row).map(Some)
        };
        read().map_err(|error| error.at(self.ledger.path()))
    }
}

impl LookUps<'_> {
    /// Whether the server may hold it twice by this ledger's doing: it was posted again after a POST
    /// that may have been processed.
    pub fn was_posted_again(&self, seq: Seq) -> Result<bool, LedgerError> {
        self.ledger.with_path(|connection| {
            let query = concat!(
                "SELECT count(*) > 1 FROM attempt WHERE registrant = ? AND call = 'POST' AND ",
                may_be_processed!()
            );
            Ok(connection.prepare_cached(query)?.query_row([seq.0], |row| row.get(0))?)
        })
    }
}

fn entry(row: &Row<'_>) -> Result<Entry, LedgerError> {
    let sealed = SealedRow::checked(row)?;
    let state = state_of(sealed.state)?;
    let enrolled = state == State::Enrolled;
    // Whoever is enrolled has no more to tell.
    let open = |column| {
        let text = if enrolled { None } else { schema::text(row, column, sealed.seq)? };
        Ok::<_, LedgerError>(text.map(str::to_owned))
    };
    Ok(Entry {
        seq: Seq(sealed.seq),
        state,
        run: row.get(8)?,
        sent: sealed.sent.to_owned(),
        person: PersonFingerprint::from_number(sealed.person),
        // That of a registration that is gone is still known to be this ledger's.
        link: sealed.link.filter(|_| enrolled || state == State::Gone).map(JoinLink::trusted),
        registrant_id: sealed.registrant_id.map(str::to_owned),
        code: open(9)?,
        reason: open(10)?,
        touched_at: row.get(11)?,
    })
}
