//! The ledger's tables, their version, and how a file is recognised.
//!
//! The file is meant to be looked at: `sqlite3 FILE 'select * from enrolled'`. Times are
//! milliseconds since 1970 in UTC.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use rusqlite::{Connection, Transaction};

use super::{LedgerError, lock, marks};

/// Marks the file as ours in SQLite's header (`RIld`), so that another program's database is never
/// taken for a ledger.
const APPLICATION_ID: i32 = 0x5249_6C64;

/// The version of the tables below. It goes up with every change that an older program would
/// misread; a newer ledger is refused, an older one is brought up to date here.
///
/// | version | since |
/// | --- | --- |
/// | 1 | the tables |
/// | 2 | a person's mark beside each registrant, and within its seal |
pub(super) const VERSION: i32 = 2;

/// The tables of version 1. `state` is [`super::State`]; `sent` is [`super::sent_digest`]; `client_request_id` and `sent_at`
/// are those of the latest attempt whose answer is not in yet; `seal` is [`super::seal`].
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
    state             INTEGER NOT NULL CHECK (state BETWEEN 0 AND 7),
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

/// What version 2 adds. `person` is [`PersonFingerprint::to_number`](crate::registrant::PersonFingerprint::to_number); a mark
/// that is not there was not known, and counts for nothing in the seal.
const PEOPLE: &str = "
ALTER TABLE registrant ADD COLUMN person INTEGER;
CREATE TABLE person_key (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    key  BLOB NOT NULL,
    seal INTEGER NOT NULL
) STRICT;
";

/// What a file turns out to be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// A database without tables: new.
    Empty,
    /// A ledger of an earlier version.
    Older,
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
#[must_use]
pub fn is_part_of_one(path: &Path) -> bool {
    let head = head(path, lock::MARK.len()).unwrap_or_default();
    let heads = [DATABASE, lock::MARK].into_iter().chain(LOGS);
    heads.into_iter().any(|known| head.starts_with(known))
}

/// Where a database's application id stands in its head, as big-endian bytes (section 1.3).
const APPLICATION: std::ops::Range<usize> = 68..72;

/// Finds out, before a lock is made beside it, that the file at `path` is something else. What a
/// look at the head cannot tell is left to [`recognise`]; so is a link, which is not followed.
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

/// Looks at the file's header and tables without changing anything.
pub(super) fn recognise(connection: &Connection) -> Result<Found, LedgerError> {
    let number = |pragma: &str| connection.query_row(pragma, [], |row| row.get::<_, i32>(0));
    let application = number("PRAGMA application_id")?;
    let version = number("PRAGMA user_version")?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (application, version) {
        (0, 0) if tables == 0 => Ok(Found::Empty),
        (APPLICATION_ID, VERSION) => Ok(Found::Ours),
        (APPLICATION_ID, 1..VERSION) => Ok(Found::Older),
        (APPLICATION_ID, newer) if newer > VERSION => {
            Err(LedgerError::Newer { found: newer, known: VERSION })
        }
        _ => Err(LedgerError::NotALedger),
    }
}

/// Adds what a ledger may lack because an earlier program made it: all of it, or nothing.
pub(super) fn bring_up_to_date(
    connection: &mut Connection,
    found: Found,
) -> Result<(), LedgerError> {
    connection.execute_batch(NOT_ENROLLED)?;
    if found == Found::Older {
        let transaction = connection.transaction()?;
        add_people(&transaction)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Brings a ledger from version 1 to 2. Whose the registrants are is learnt by the next run.
fn add_people(transaction: &Transaction<'_>) -> Result<(), LedgerError> {
    transaction.execute_batch(PEOPLE)?;
    marks::draw_key(transaction)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    Ok(())
}

/// Creates the tables in one transaction: a crash leaves an empty file or a whole ledger.
pub(super) fn create(connection: &mut Connection) -> Result<(), LedgerError> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(TABLES)?;
    transaction.execute_batch(NOT_ENROLLED)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    add_people(&transaction)?;
    transaction.commit()?;
    Ok(())
}
