//! What makes a changed ledger show: a seal on every registrant, which is looked at whenever one is
//! read, and one look over all of them before anybody is posted.
//!
//! SQLite's pages carry no checksum, so a flipped bit of a link, of a state or of an index would be
//! believed: a wrong link is worse than none, and an id that the index has lost would be posted
//! again. `PRAGMA integrity_check` finds the lost id too, in 4.4 s for a million registrants; the
//! look here takes 1.4 s (measured on two cores at 2.6 GHz, 560 MB), and finds the changed state as
//! well. A run that has nobody to post needs neither: nothing hangs on who is not found.

use std::hash::{DefaultHasher, Hash, Hasher};

use rusqlite::{Connection, OptionalExtension, functions::FunctionFlags};
use sha2::{Digest, Sha256};

use super::{LedgerError, State, record::first_bits};

/// A digest of what a registrant is to this program: 64 bits of SHA-256.
pub(super) fn seal(
    id: &str,
    state: i64,
    sent: &str,
    link: Option<&str>,
    registrant_id: Option<&str>,
    person: Option<i64>,
) -> i64 {
    let mut hash = Sha256::new();
    hash.update(state.to_be_bytes());
    for text in [Some(id), Some(sent), link, registrant_id] {
        // No text holds this byte, so none runs into the next.
        hash.update([0xFF, u8::from(text.is_some())]);
        hash.update(text.unwrap_or_default());
    }
    // Nothing where there is none, as in the seals of version 1.
    if let Some(person) = person {
        hash.update([0xFE]);
        hash.update(person.to_be_bytes());
    }
    first_bits(hash).cast_signed()
}

/// Gives statements the function `seal(id, state, sent, join_web_url, registrant_id, person)`.
pub(super) fn teach(connection: &Connection) -> Result<(), LedgerError> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_DIRECTONLY;
    connection.create_scalar_function("seal", 6, flags, |call| {
        let text = |n| {
            let cell = call.get_raw(n).as_str_or_null();
            cell.map_err(|error| rusqlite::Error::UserFunctionError(error.into()))
        };
        let (id, sent) = (text(0)?.unwrap_or_default(), text(2)?.unwrap_or_default());
        Ok(seal(id, call.get(1)?, sent, text(3)?, text(4)?, call.get(5)?))
    })?;
    Ok(())
}

/// Looks at the pages that the file calls free: one that is not would be written over.
pub(super) fn look_at_free_pages(connection: &Connection) -> Result<(), LedgerError> {
    let freed: i64 = connection.query_row("PRAGMA freelist_count", [], |row| row.get(0))?;
    if freed == 0 {
        return Ok(());
    }
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found == "ok" { Ok(()) } else { Err(LedgerError::Damaged(found)) }
}

/// Looks at one registrant: its seal fits, and it stands where it is thought to stand.
pub(super) fn look_at(db: &Connection, seq: i64, states: &[State]) -> Result<(), LedgerError> {
    let fits = db.query_row(
        "SELECT state, seal = seal(id, state, sent, join_web_url, registrant_id, person)
         FROM registrant NOT INDEXED WHERE seq = ?",
        [seq],
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, bool>(1)?)),
    );
    let (state, fits) = fits.optional()?.unwrap_or_default();
    if fits && states.iter().any(|wanted| *wanted as i64 == state) {
        return Ok(());
    }
    Err(LedgerError::Damaged(format!("the seal of registrant {seq} is broken")))
}

/// Looks over all registrants: every seal fits, and the index of ids is sorted and holds each of
/// them, so that who is not found is not there.
pub(super) fn look_over(connection: &Connection) -> Result<(), LedgerError> {
    let damaged = |what: String| Err(LedgerError::Damaged(what));
    let mut in_table = 0_u64;
    let mut statement = connection.prepare(
        "SELECT seq, id, state, sent, join_web_url, registrant_id, seal, person
         FROM registrant NOT INDEXED",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let seq: i64 = row.get(0)?;
        let text = |column| row.get_ref(column).map(|cell| cell.as_str_or_null());
        let (Ok(Some(id)), Ok(Some(sent)), Ok(link), Ok(own)) =
            (text(1)?, text(3)?, text(4)?, text(5)?)
        else {
            return damaged(format!("a text of registrant {seq} is none"));
        };
        if row.get::<_, i64>(6)? != seal(id, row.get(2)?, sent, link, own, row.get(7)?) {
            return damaged(format!("the seal of registrant {seq} is broken"));
        }
        in_table = in_table.wrapping_add(place(seq, id));
    }
    let mut in_index = 0_u64;
    let mut before = String::new();
    let mut statement = connection.prepare(
        "SELECT seq, id FROM registrant INDEXED BY sqlite_autoindex_registrant_1 ORDER BY id",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let seq: i64 = row.get(0)?;
        let Ok(Some(id)) = row.get_ref(1)?.as_str_or_null() else {
            return damaged("the index of ids holds something else".to_owned());
        };
        if in_index != 0 && id <= before.as_str() {
            return damaged("the index of ids is not sorted".to_owned());
        }
        before.clear();
        before.push_str(id);
        in_index = in_index.wrapping_add(place(seq, id));
    }
    if in_table != in_index {
        return damaged("the index of ids does not fit the registrants".to_owned());
    }
    Ok(())
}

/// A number for this id at this place.
fn place(seq: i64, id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (seq, id).hash(&mut hasher);
    hasher.finish()
}
