//! The ledger's tables, their version, how a file is recognised, and the seal of a row.
//!
//! The file is meant to be read: `sqlite3 FILE 'select * from enrolled'`. Times are milliseconds
//! since 1970 in UTC.
//!
//! SQLite's pages carry no checksum, so a flipped bit of a link, of a state or of an index would be
//! believed: a wrong link is worse than none, and an id that the index has lost would be posted
//! again. So every registrant has a seal, which is checked whenever its row is read, and all of them
//! are checked before anybody is posted. `PRAGMA integrity_check` finds the lost id too, in 4.4 s for
//! a million registrants; [`verify`] takes 1.4 s (measured on two cores at 2.6 GHz, 560 MB), and
//! finds a changed state as well. A run that has nobody to post needs neither: nothing depends on who
//! is not found.

use std::{
    fs::File,
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Read},
    path::Path,
};

use rusqlite::{Connection, OptionalExtension, Params, Row, Transaction, params, types::FromSql};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{LedgerError, State, lock, records::first_bits};
use crate::registrant::FingerprintKey;

/// Marks the file as ours in SQLite's header (`RIld`), so that another program's database is never
/// taken for a ledger.
const APPLICATION_ID: i32 = 0x5249_6C64;

/// The version of the tables below. It goes up with every change that an older program would
/// misread; a newer ledger is refused, an older one is brought up to date here.
///
/// | version | since |
/// | --- | --- |
/// | 1 | the tables |
/// | 2 | a person's fingerprint beside each registrant, and within its seal |
/// | 3 | the lists that were read, who is missing from them, cancellations, [`State::Gone`] |
pub(super) const VERSION: i32 = 3;

/// The tables of version 1. `state` is [`State`]; `sent` is [`super::sent_digest`];
/// `client_request_id` and `sent_at` are those of the latest attempt whose answer is not in yet;
/// `seal` is that of a [`SealedRow`].
const TABLES: &str = "
CREATE TABLE target (
    one             INTEGER PRIMARY KEY CHECK (one = 1),
    kind            TEXT NOT NULL,
    name            TEXT NOT NULL,
    organizer       TEXT,
    graph           TEXT NOT NULL,
    mode            TEXT,
    registration_id TEXT,
    created_at      INTEGER NOT NULL,
    listed_at       INTEGER
) STRICT;
CREATE TABLE run (
    n           INTEGER PRIMARY KEY,
    started_at  INTEGER NOT NULL,
    ended_at    INTEGER,
    exit_code   INTEGER,
    stop_reason TEXT,
    summary     TEXT,
    version     TEXT NOT NULL
) STRICT;
CREATE TABLE registrant (
    seq               INTEGER PRIMARY KEY,
    id                TEXT NOT NULL UNIQUE,
    state             INTEGER NOT NULL CHECK (state >= 0),
    sent              TEXT NOT NULL,
    run               INTEGER NOT NULL,
    line              INTEGER,
    join_web_url      TEXT,
    registrant_id     TEXT,
    code              TEXT,
    reason            TEXT,
    client_request_id BLOB,
    sent_at           INTEGER,
    settled_at        INTEGER,
    seal              INTEGER NOT NULL,
    CHECK (state <> 3 OR join_web_url IS NOT NULL)
) STRICT;
CREATE TABLE attempt (
    n                 INTEGER PRIMARY KEY,
    registrant        INTEGER NOT NULL REFERENCES registrant (seq),
    run               INTEGER NOT NULL,
    call              TEXT NOT NULL,
    client_request_id BLOB NOT NULL,
    request_id        TEXT,
    sent_at           INTEGER NOT NULL,
    answered_at       INTEGER,
    waited_ms         INTEGER NOT NULL,
    status            INTEGER,
    verdict           TEXT NOT NULL,
    detail            TEXT
) STRICT;
CREATE INDEX attempt_of ON attempt (registrant);
CREATE TABLE pace (
    name    TEXT PRIMARY KEY,
    learnt  TEXT NOT NULL,
    kept_at INTEGER NOT NULL
) STRICT;
CREATE VIEW enrolled (id, join_web_url, registrant_id, enrolled_at, run) AS
    SELECT id, join_web_url, registrant_id,
           strftime('%Y-%m-%dT%H:%M:%SZ', settled_at / 1000, 'unixepoch'), run
    FROM registrant WHERE state = 3;
";

/// Who is not enrolled: few of many, and found at once. `status` counts them, and a run begins with
/// those that an earlier one left. Left out of [`VERSION`], since a program that does not know of it
/// misreads nothing.
const NOT_ENROLLED: &str =
    "CREATE INDEX IF NOT EXISTS not_enrolled ON registrant (state) WHERE state <> 3";

/// What version 2 adds. `person` is a
/// [`PersonFingerprint`](crate::registrant::PersonFingerprint::to_number); one that is not there was
/// not known, and counts for nothing in the seal.
const PEOPLE: &str = "
ALTER TABLE registrant ADD COLUMN person INTEGER;
CREATE TABLE person_key (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    key  BLOB NOT NULL,
    seal INTEGER NOT NULL
) STRICT;
";

/// What version 3 adds. `content` and `reading` are digests; a `cancellation` without an `outcome` is
/// in doubt; `held` is the digest of the file of held cancellations as it was written last.
const CANCELLATIONS: &str = "
CREATE TABLE list (
    n          INTEGER PRIMARY KEY,
    read_at    INTEGER NOT NULL,
    written_at INTEGER,
    content    INTEGER NOT NULL,
    reading    INTEGER NOT NULL,
    rows       INTEGER NOT NULL,
    complete   INTEGER NOT NULL
) STRICT;
CREATE TABLE absence (
    registrant INTEGER PRIMARY KEY REFERENCES registrant (seq),
    reading    INTEGER NOT NULL,
    since      INTEGER NOT NULL,
    lists      INTEGER NOT NULL,
    reread     INTEGER NOT NULL,
    declined   INTEGER NOT NULL,
    seal       INTEGER NOT NULL
) STRICT;
CREATE TABLE cancellation (
    n           INTEGER PRIMARY KEY,
    registrant  INTEGER NOT NULL REFERENCES registrant (seq),
    run         INTEGER NOT NULL,
    reason      TEXT NOT NULL,
    line        INTEGER,
    approved    INTEGER NOT NULL,
    intended_at INTEGER NOT NULL,
    ended_at    INTEGER,
    outcome     TEXT
) STRICT;
CREATE INDEX cancellation_of ON cancellation (registrant);
CREATE TABLE held (one INTEGER PRIMARY KEY CHECK (one = 1), digest INTEGER NOT NULL) STRICT;
DROP VIEW enrolled;
CREATE VIEW enrolled (id, join_web_url, registrant_id, enrolled_at, run) AS
    SELECT id, join_web_url, registrant_id,
           strftime('%Y-%m-%dT%H:%M:%SZ', settled_at / 1000, 'unixepoch'), run
    FROM registrant WHERE state = 3 AND NOT EXISTS
        (SELECT 1 FROM cancellation WHERE registrant = seq AND outcome IS NULL);
";

/// What version 3 changes: the first two knew the states from 0 to 7. A check that becomes wider changes
/// no row, so the table's text is changed in place, as SQLite's "ALTER TABLE", section 7, has it.
const MORE_STATES: &str = "
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, 'state BETWEEN 0 AND 7', 'state >= 0')
WHERE type = 'table' AND name = 'registrant';
PRAGMA writable_schema = RESET;
";

/// What a file turns out to be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    /// A database without tables: new.
    Empty,
    /// A ledger of this earlier version.
    Older(i32),
    /// A ledger of this version.
    Ours,
}

/// The heads of SQLite's files: "Database File Format", sections 1.3.1 and 4.1 (a log has one of
/// two, by the order of its checksums' bytes).
const DATABASE: &[u8] = b"SQLite format 3\0";
const LOGS: [&[u8]; 2] = [&[0x37, 0x7F, 0x06, 0x82], &[0x37, 0x7F, 0x06, 0x83]];

/// Whether there is a ledger at `path`, its log or its lock, by the file's head. Another program's
/// database counts as well: a young ledger's own number may still stand in its log alone, and no
/// database is there to be written over.
pub fn is_part_of_one(path: &Path) -> bool {
    let head = head(path, lock::MARK.len()).unwrap_or_default();
    let heads = [DATABASE, lock::MARK].into_iter().chain(LOGS);
    heads.into_iter().any(|known| head.starts_with(known))
}

/// Where a database's application id stands in its head, as big-endian bytes (section 1.3).
const APPLICATION: std::ops::Range<usize> = 68..72;

/// Finds out, before a lock is made beside it, that the file at `path` is something else. What
/// the head cannot tell is left to [`recognise`]; so is a link, which is not followed.
pub(super) fn refuse_another_file(path: &Path) -> Result<(), LedgerError> {
    if std::fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) {
        return Ok(());
    }
    let head = head(path, APPLICATION.end).unwrap_or_default();
    let other = match head.get(APPLICATION) {
        // A young ledger's own number may stand in its log alone.
        Some(id) => id != [0; 4] && id != APPLICATION_ID.to_be_bytes(),
        None => false,
    };
    let text = !head.is_empty() && !head.starts_with(DATABASE);
    if text || other { Err(LedgerError::NotALedger) } else { Ok(()) }
}

/// The first bytes of a regular file; none of anything else, which might wait for a writer.
fn head(path: &Path, bytes: usize) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    if std::fs::metadata(path)?.is_file() {
        File::open(path)?.take(bytes as u64).read_to_end(&mut head)?;
    }
    Ok(head)
}

/// Reads the file's header and tables without changing anything.
pub(super) fn recognise(connection: &Connection) -> Result<FileKind, LedgerError> {
    let application: i32 = value(connection, "PRAGMA application_id", [])?;
    let version: i32 = value(connection, "PRAGMA user_version", [])?;
    let tables: i64 = value(connection, "SELECT count(*) FROM sqlite_schema", [])?;
    match (application, version) {
        (0, 0) if tables == 0 => Ok(FileKind::Empty),
        (APPLICATION_ID, VERSION) => Ok(FileKind::Ours),
        (APPLICATION_ID, 1..VERSION) => Ok(FileKind::Older(version)),
        (APPLICATION_ID, newer) if newer > VERSION => {
            Err(LedgerError::Newer { found: newer, known: VERSION })
        }
        _ => Err(LedgerError::NotALedger),
    }
}

/// Adds what a ledger may lack because an earlier program made it: all of it, or nothing.
pub(super) fn bring_up_to_date(
    connection: &mut Connection,
    found: FileKind,
) -> Result<(), LedgerError> {
    connection.execute_batch(NOT_ENROLLED)?;
    if let FileKind::Older(version) = found {
        let transaction = connection.transaction()?;
        upgrade(&transaction, version)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Brings tables from `version` to [`VERSION`]. Whose the registrants are, and whom a list names, is
/// learnt by the next run.
fn upgrade(transaction: &Transaction<'_>, version: i32) -> Result<(), LedgerError> {
    if version < 2 {
        transaction.execute_batch(PEOPLE)?;
        draw_key(transaction)?;
    }
    if version < 3 {
        transaction.execute_batch(MORE_STATES)?;
        transaction.execute_batch(CANCELLATIONS)?;
    }
    transaction.pragma_update(None, "user_version", VERSION)?;
    Ok(())
}

/// Creates the tables in one transaction: a crash leaves an empty file or a whole ledger.
pub(super) fn create(connection: &mut Connection) -> Result<(), LedgerError> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(TABLES)?;
    transaction.execute_batch(NOT_ENROLLED)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    upgrade(&transaction, 1)?;
    transaction.commit()?;
    Ok(())
}

/// Draws the key of a ledger that has none.
fn draw_key(connection: &Connection) -> Result<(), LedgerError> {
    // 122 bits of the system's own randomness. aws-lc gathers some of its own first, for a tenth of a
    // second.
    let key: [u8; FingerprintKey::BYTES] = Uuid::new_v4().into_bytes();
    let insert = "INSERT INTO person_key (one, key, seal) VALUES (1, ?, ?)";
    connection.execute(insert, params![key, key_seal(&key)])?;
    Ok(())
}

/// The key of people's fingerprints, as it was drawn. With another one everybody would be somebody
/// else.
pub(super) fn key(connection: &Connection) -> Result<FingerprintKey, LedgerError> {
    let found: Option<([u8; FingerprintKey::BYTES], i64)> = connection
        .query_row("SELECT key, seal FROM person_key", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match found {
        Some((key, sealed)) if key_seal(&key) == sealed => Ok(FingerprintKey::new(key)),
        _ => Err(LedgerError::Damaged("the key of the people's fingerprints is broken".to_owned())),
    }
}

fn key_seal(key: &[u8]) -> i64 {
    first_bits(Sha256::new_with_prefix(key)).cast_signed()
}

/// The columns that [`SealedRow`] reads, for the beginning of a query.
macro_rules! sealed_columns {
    () => {
        "SELECT seq, id, state, sent, join_web_url, registrant_id, person, seal"
    };
}
pub(super) use sealed_columns;

/// What a registrant is to this program, and the seal that stands on it.
pub(super) struct SealedRow<'a> {
    pub(super) seq: i64,
    pub(super) id: &'a str,
    pub(super) state: i64,
    pub(super) sent: &'a str,
    pub(super) link: Option<&'a str>,
    pub(super) registrant_id: Option<&'a str>,
    pub(super) person: Option<i64>,
    seal: i64,
}

impl<'a> SealedRow<'a> {
    fn read(row: &'a Row<'_>) -> Result<Self, LedgerError> {
        let seq = row.get(0)?;
        let text = |column| text(row, column, seq);
        Ok(Self {
            seq,
            id: text(1)?.unwrap_or_default(),
            state: row.get(2)?,
            sent: text(3)?.unwrap_or_default(),
            link: text(4)?,
            registrant_id: text(5)?,
            person: row.get(6)?,
            seal: row.get(7)?,
        })
    }

    /// Reads a row as it was written, or none of it.
    pub(super) fn checked(row: &'a Row<'_>) -> Result<Self, LedgerError> {
        let read = Self::read(row)?;
        if read.seal == read.digest() { Ok(read) } else { Err(broken_seal(read.seq)) }
    }

    /// What the seal must be: 64 bits of SHA-256.
    fn digest(&self) -> i64 {
        let mut hash = Sha256::new();
        hash.update(self.state.to_be_bytes());
        for text in [Some(self.id), Some(self.sent), self.link, self.registrant_id] {
            // No text holds this byte, so none runs into the next.
            hash.update([0xFF, u8::from(text.is_some())]);
            hash.update(text.unwrap_or_default());
        }
        // Nothing where there is none, as in the seals of version 1.
        if let Some(person) = self.person {
            hash.update([0xFE]);
            hash.update(person.to_be_bytes());
        }
        first_bits(hash).cast_signed()
    }
}

const ONE: &str = concat!(sealed_columns!(), " FROM registrant NOT INDEXED WHERE seq = ?");

/// Seals a registrant's row. Whatever changes one calls this in the same transaction.
pub(super) fn seal_row(transaction: &Transaction<'_>, seq: i64) -> Result<(), LedgerError> {
    let mut one = transaction.prepare_cached(ONE)?;
    let mut rows = one.query([seq])?;
    let row = rows.next()?.ok_or_else(|| broken_seal(seq))?;
    let seal = SealedRow::read(row)?.digest();
    let update = "UPDATE registrant SET seal = ? WHERE seq = ?";
    transaction.prepare_cached(update)?.execute([seal, seq])?;
    Ok(())
}

/// Checks one registrant, before it is changed and sealed anew: its seal fits, and it is in one of
/// these states.
pub(super) fn check_row(db: &Connection, seq: i64, states: &[State]) -> Result<(), LedgerError> {
    let mut one = db.prepare_cached(ONE)?;
    let mut rows = one.query([seq])?;
    let row = rows.next()?.ok_or_else(|| broken_seal(seq))?;
    let state = SealedRow::checked(row)?.state;
    let expected = states.iter().any(|wanted| *wanted as i64 == state);
    if expected { Ok(()) } else { Err(broken_seal(seq)) }
}

pub(super) fn broken_seal(seq: i64) -> LedgerError {
    LedgerError::Damaged(format!("the seal of registrant {seq} is broken"))
}

/// A text of registrant `seq`, which is nothing else.
pub(super) fn text<'a>(
    row: &'a Row<'_>,
    column: usize,
    seq: i64,
) -> Result<Option<&'a str>, LedgerError> {
    let text = row.get_ref(column)?.as_str_or_null();
    text.map_err(|_| LedgerError::Damaged(format!("a text of registrant {seq} is none")))
}

/// The one value that a query gives.
pub(super) fn value<T: FromSql>(
    db: &Connection,
    query: &str,
    params: impl Params,
) -> Result<T, LedgerError> {
    Ok(db.query_row(query, params, |row| row.get(0))?)
}

/// All rows that a query gives.
pub(super) fn rows<T>(
    db: &Connection,
    query: &str,
    params: impl Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, LedgerError> {
    Ok(db.prepare(query)?.query_map(params, read)?.collect::<Result<_, _>>()?)
}

/// Checks the pages that the file calls free: one that is not would be written over.
pub(super) fn check_free_pages(connection: &Connection) -> Result<(), LedgerError> {
    if value::<i64>(connection, "PRAGMA freelist_count", [])? == 0 {
        return Ok(());
    }
    let found: String = value(connection, "PRAGMA quick_check(1)", [])?;
    if found == "ok" { Ok(()) } else { Err(LedgerError::Damaged(found)) }
}

/// Checks all registrants: every seal fits, and the index of ids is sorted and holds each of them,
/// so that who is not found is not there.
pub(super) fn verify(connection: &Connection) -> Result<(), LedgerError> {
    let damaged = |what: &str| Err(LedgerError::Damaged(what.to_owned()));
    let mut in_table = 0_u64;
    let all = concat!(sealed_columns!(), " FROM registrant NOT INDEXED");
    let mut statement = connection.prepare(all)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let row = SealedRow::checked(row)?;
        in_table = in_table.wrapping_add(place(row.seq, row.id));
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
            return damaged("the index of ids holds something else");
        };
        if in_index != 0 && id <= before.as_str() {
            return damaged("the index of ids is not sorted");
        }
        before.clear();
        before.push_str(id);
        in_index = in_index.wrapping_add(place(seq, id));
    }
    if in_table != in_index {
        return damaged("the index of ids does not fit the registrants");
    }
    Ok(())
}

/// A number for this id at this place.
fn place(seq: i64, id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (seq, id).hash(&mut hasher);
    hasher.finish()
}
