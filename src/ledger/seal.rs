//! What makes a changed ledger show: a seal on every registrant, and one look over all of them when
//! the ledger is opened.
//!
//! SQLite's pages carry no checksum, so a flipped bit of a link, of a state or of an index would be
//! believed: a wrong link is worse than none, and an id that the index has lost would be posted
//! again. `PRAGMA integrity_check` finds the lost id too, in twelve seconds for a million rows; the
//! look here takes two, and finds the changed state as well.

use std::hash::{DefaultHasher, Hash, Hasher};

use rusqlite::{Connection, functions::FunctionFlags};
use sha2::{Digest, Sha256};

use super::{LedgerError, record::first_bits};

/// A digest of what a registrant is to this program: 64 bits of SHA-256.
pub(super) fn seal(
    id: &str,
    state: i64,
    sent: &str,
    link: Option<&str>,
    registrant_id: Option<&str>,
) -> i64 {
    let mut hash = Sha256::new();
    hash.update(state.to_be_bytes());
    for text in [Some(id), Some(sent), link, registrant_id] {
        // No text holds this byte, so none runs into the next.
        hash.update([0xFF, u8::from(text.is_some())]);
        hash.update(text.unwrap_or_default());
    }
    first_bits(hash).cast_signed()
}

/// Gives statements the function `seal(id, state, sent, join_web_url, registrant_id)`.
pub(super) fn teach(connection: &Connection) -> Result<(), LedgerError> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_DIRECTONLY;
    connection.create_scalar_function("seal", 5, flags, |call| {
        let (id, sent): (String, String) = (call.get(0)?, call.get(2)?);
        let (link, own): (Option<String>, Option<String>) = (call.get(3)?, call.get(4)?);
        Ok(seal(&id, call.get(1)?, &sent, link.as_deref(), own.as_deref()))
    })?;
    Ok(())
}

/// Looks over all registrants: every seal fits, and the index of ids is sorted and holds each of
/// them, so that who is not found is not there.
pub(super) fn look_over(connection: &Connection) -> Result<(), LedgerError> {
    let damaged = |what: String| Err(LedgerError::Damaged(what));
    let freed: i64 = connection.query_row("PRAGMA freelist_count", [], |row| row.get(0))?;
    if freed > 0 {
        // A page that is thought free would be written over.
        let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if found != "ok" {
            return damaged(found);
        }
    }
    let mut in_table = 0_u64;
    let mut statement = connection.prepare(
        "SELECT seq, id, state, sent, join_web_url, registrant_id, seal FROM registrant NOT INDEXED",
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
        if row.get::<_, i64>(6)? != seal(id, row.get(2)?, sent, link, own) {
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
