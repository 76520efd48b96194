//! A whole list of the target's registrants, taken page by page and kept at its end or not at all: a
//! part of a list would let somebody be taken for absent.

use rusqlite::{Connection, Transaction, params};

use super::{Ledger, LedgerError, State, store};

/// What SQLite keeps of the file in memory while a list is taken, in KiB: half of the index of a
/// million ids, which come in no order and all in one transaction.
const CACHE: i64 = 20 * 1_024;

/// A list in the making. Dropped before [`List::keep`], it leaves no trace.
pub struct List<'a> {
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
    ///
    /// # Errors
    /// [`LedgerError`] when the file is damaged or cannot be written.
    pub fn begin_list(&mut self, at: i64) -> Result<List<'_>, LedgerError> {
        // Rows get new seals, so the old ones must fit.
        self.verify()?;
        let run = self.run()?;
        let connection = self.connection();
        connection.pragma_update(None, "cache_size", -CACHE)?;
        let transaction = connection.unchecked_transaction()?;
        transaction.execute(
            "UPDATE registrant
             SET state = ?1, seal = seal(id, ?1, sent, join_web_url, registrant_id, person)
             WHERE state <> 3 AND state = ?2",
            params![State::Ready as u8, State::Foreign as u8],
        )?;
        Ok(List { connection, transaction, run, at })
    }

    /// Takes a list that is there as a whole; returns the number of foreign ones.
    ///
    /// # Errors
    /// [`LedgerError`] when the file cannot be written; nothing is changed then.
    pub fn keep_list(
        &mut self,
        ids: impl IntoIterator<Item = String>,
        at: i64,
    ) -> Result<u64, LedgerError> {
        let mut list = self.begin_list(at)?;
        list.take(ids)?;
        list.keep()
    }
}

impl List<'_> {
    /// Takes some of the ids.
    ///
    /// # Errors
    /// [`LedgerError`] when the file cannot be written.
    pub fn take(&mut self, ids: impl IntoIterator<Item = String>) -> Result<(), LedgerError> {
        let mut insert = self.transaction.prepare_cached(
            "INSERT INTO registrant (id, state, sent, run, settled_at, seal)
             VALUES (?1, ?2, '', ?3, ?4, seal(?1, ?2, '', NULL, NULL, NULL))
             ON CONFLICT (id) DO UPDATE
             SET state = CASE WHEN EXISTS (SELECT 1 FROM attempt
                                           WHERE registrant = registrant.seq AND call = 'POST'
                                             AND verdict IN ('done', 'unknown', 'lost'))
                              THEN ?6 ELSE ?2 END,
                 settled_at = ?4
             WHERE state IN (?5, ?7)",
        )?;
        let mut reseal = self.transaction.prepare_cached(
            "UPDATE registrant SET seal = seal(id, state, sent, join_web_url, registrant_id, person)
             WHERE id = ?",
        )?;
        let last = |db: &Connection| db.last_insert_rowid();
        for id in ids {
            let before = last(&self.transaction);
            let changed = insert.execute(params![
                id,
                State::Foreign as u8,
                self.run,
                self.at,
                State::Ready as u8,
                State::Unknown as u8,
                State::Refused as u8
            ])?;
            // A row that was there before still has its former seal.
            if changed > 0 && last(&self.transaction) == before {
                reseal.execute([id])?;
            }
        }
        Ok(())
    }

    /// Keeps the list, now that it is whole; returns the number of foreign ones.
    ///
    /// # Errors
    /// [`LedgerError`] when the file cannot be written; nothing is changed then.
    pub fn keep(self) -> Result<u64, LedgerError> {
        let Self { connection, transaction, at, .. } = self;
        transaction.execute("UPDATE target SET listed_at = coalesce(listed_at, ?)", [at])?;
        let foreign: i64 = transaction.query_row(
            "SELECT count(*) FROM registrant WHERE state <> 3 AND state = ?",
            [State::Foreign as u8],
            |row| row.get(0),
        )?;
        transaction.commit()?;
        connection.pragma_update(None, "cache_size", -store::CACHE)?;
        connection.execute_batch("PRAGMA shrink_memory")?;
        Ok(foreign.cast_unsigned())
    }
}
