//! Reads a ledger that a run may be writing: for `status` and `explain`. Takes no lock and changes
//! nothing.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use url::Url;
use uuid::Uuid;

use super::{
    Identity, LastListing, LedgerError, PastCancellation, State, cancellations, lock,
    records::{BEFORE_ALL_RUNS, state_of},
    schema::{self, FileKind},
};

/// A ledger, opened for reading.
pub struct Reading {
    connection: Connection,
    /// Whether it was brought up to this program's version.
    is_current: bool,
}

/// How many registrants stand where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateCounts([u64; State::ALL.len()]);

impl StateCounts {
    /// How many stand there.
    pub fn of(&self, state: State) -> u64 {
        self.0[state as usize]
    }

    /// How many are in doubt.
    pub fn in_doubt(&self) -> u64 {
        State::ALL.into_iter().filter(|s| s.is_in_doubt()).map(|s| self.of(s)).sum()
    }
}

/// So many different causes are told at most.
const WAITING: i64 = 20;

/// Registrants that are not enrolled, for one cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Where they stand.
    pub state: State,
    /// Why; empty where there is nothing to say.
    pub code: String,
    /// How many.
    pub count: u64,
    /// Since when the first of them stands there, in milliseconds since 1970.
    pub since: Option<i64>,
    /// The first of their lines, in the input of the run that sent it last.
    pub line: Option<u64>,
}

/// A run that was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastRun {
    /// Its number.
    pub n: i64,
    /// When it began, in milliseconds since 1970.
    pub started_at: i64,
    /// When it ended; `None`: it is going, or it died ([`Reading::is_held`] tells which).
    pub ended_at: Option<i64>,
    pub exit_code: Option<u8>,
    /// Why it stopped early.
    pub stop_reason: Option<String>,
    /// Its summary, as `--json` printed it.
    pub summary: Option<String>,
}

/// One attempt of a registrant's story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempted {
    pub run: i64,
    /// `POST` or `DELETE`.
    pub call: String,
    /// Sent as `client-request-id`.
    pub client_request_id: Uuid,
    /// The answer's `request-id`.
    pub request_id: Option<String>,
    /// When it was sent, in milliseconds since 1970.
    pub sent_at: i64,
    /// When its answer was there.
    pub answered_at: Option<i64>,
    /// How long it had waited for its turn, in milliseconds.
    pub waited_ms: i64,
    /// The HTTP status.
    pub status: Option<u16>,
    /// What it was taken for.
    pub verdict: String,
    /// The server's code, or the transport's words.
    pub detail: Option<String>,
}

/// One registrant's whole story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Story {
    /// Where it stands.
    pub state: State,
    /// The row's line in the input of the run that sent it last.
    pub line: Option<u64>,
    /// The run that brought it there.
    pub run: i64,
    /// Whether a link is held.
    pub has_link: bool,
    /// Why it is refused, unknown or awaiting.
    pub code: Option<String>,
    /// The same in words.
    pub reason: Option<String>,
    /// Its attempts, oldest first.
    pub attempts: Vec<Attempted>,
    /// Its cancellations, oldest first.
    pub cancellations: Vec<PastCancellation>,
}

impl Story {
    /// Whether it was taken over from the target, rather than sent.
    pub fn is_adopted(&self) -> bool {
        self.run == BEFORE_ALL_RUNS
    }

    /// Whether this ledger cancelled it, and has not sent it since.
    pub fn is_cancelled(&self) -> bool {
        let last = self.cancellations.last().and_then(|last| last.outcome.as_deref());
        self.state == State::Ready && last == Some("cancelled")
    }
}

/// Finds out whether there is a file: SQLite reports a missing one as one that cannot be opened.
fn must_exist(path: &Path) -> Result<(), LedgerError> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(()),
        Ok(_) => Err(LedgerError::NotALedger),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(LedgerError::Absent),
        Err(error) => Err(error.into()),
    }
}

impl Reading {
    /// Opens the ledger at `path`.
    ///
    /// # Errors
    /// [`LedgerError`], with the path: absent, not a ledger, newer, or damaged.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let opened =
            must_exist(path).and_then(|()| Self::connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY));
        opened.map_err(|error| error.at(path))
    }

    /// The same for a glance that leaves no trace where it can: SQLite makes two empty files beside
    /// a ledger that it opens, even to read, unless it is told that nobody writes.
    pub fn glance(path: &Path) -> Result<Self, LedgerError> {
        let log = lock::beside(path, lock::LOG);
        // Whoever writes holds the lock and has a log; a log that lies there without a writer holds
        // what the file itself does not have yet.
        let at_rest =
            path.is_file() && !Self::is_held(path)? && std::fs::symlink_metadata(log).is_err();
        let url = std::path::absolute(path).ok().and_then(|path| Url::from_file_path(path).ok());
        let Some(url) = url.filter(|_| at_rest) else { return Self::open(path) };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        let opened = Self::connect(Path::new(&format!("{url}?immutable=1")), flags);
        opened.map_err(|error| error.at(path))
    }

    fn connect(path: &Path, flags: OpenFlags) -> Result<Self, LedgerError> {
        let connection =
            Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(std::time::Duration::from_secs(10))?;
        match schema::recognise(&connection)? {
            FileKind::Empty => Err(LedgerError::NotALedger),
            found => Ok(Self { connection, is_current: found == FileKind::Ours }),
        }
    }

    pub fn target(&self) -> Result<Identity, LedgerError> {
        Ok(target(&self.connection)?)
    }

    /// Copies the ledger at `path`, as it stands now, to `copy`, where no file may be; and what its lock
    /// knows of it.
    ///
    /// # Errors
    /// [`LedgerError`], with the path.
    pub fn copy(path: &Path, copy: &Path) -> Result<(), LedgerError> {
        let reading = Self::glance(path)?;
        let copied = || {
            reading.connection.execute("VACUUM INTO ?", [copy.to_string_lossy()])?;
            match std::fs::copy(lock::beside(path, lock::LOCK), lock::beside(copy, lock::LOCK)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
                _ => Ok(()),
            }
        };
        copied().map_err(|error: LedgerError| error.at(path))
    }

    /// Whether a run holds the ledger at `path`, which need not exist.
    ///
    /// # Errors
    /// [`LedgerError`], with the path, when its lock cannot be looked at.
    pub fn is_held(path: &Path) -> Result<bool, LedgerError> {
        lock::is_held(path).map_err(|error| LedgerError::Io(error).at(path))
    }

    /// The registration that the last run saw, and whether the target was ever listed whole.
    pub fn listed(&self) -> Result<LastListing, LedgerError> {
        listed(&self.connection)
    }

    /// How many registrants stand where.
    pub fn counts(&self) -> Result<StateCounts, LedgerError> {
        let mut counts = StateCounts::default();
        let mut statement = self
            .connection
            .prepare("SELECT state, count(*) FROM registrant WHERE state <> 3 GROUP BY state")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let state = state_of(row.get(0)?)?;
            counts.0[state as usize] = row.get::<_, i64>(1)?.cast_unsigned();
        }
        // Registrants are numbered from 1 without a gap, and none is ever deleted.
        let all: i64 =
            schema::value(&self.connection, "SELECT coalesce(max(seq), 0) FROM registrant", [])?;
        let others: u64 = counts.0.iter().sum();
        counts.0[State::Enrolled as usize] = all.cast_unsigned().saturating_sub(others);
        Ok(counts)
    }

    /// The last `limit` runs, newest first.
    pub fn runs(&self, limit: u32) -> Result<Vec<PastRun>, LedgerError> {
        let query = "SELECT n, started_at, ended_at, exit_code, stop_reason, summary
                     FROM run ORDER BY n DESC LIMIT ?";
        schema::rows(&self.connection, query, [limit], |row| {
            Ok(PastRun {
                n: row.get(0)?,
                started_at: row.get(1)?,
                ended_at: row.get(2)?,
                exit_code: row.get(3)?,
                stop_reason: row.get(4)?,
                summary: row.get(5)?,
            })
        })
    }

    /// When a run last ended with exit code 0, in milliseconds since 1970.
    pub fn last_success(&self) -> Result<Option<i64>, LedgerError> {
        last_success(&self.connection)
    }

    /// What waits for a next run, by state and code, commonest first.
    pub fn waiting(&self) -> Result<Vec<Waiting>, LedgerError> {
        // Whoever may be posted because this ledger cancelled them waits for nothing.
        let code = if self.is_current {
            "CASE WHEN state = 0 AND EXISTS (SELECT 1 FROM cancellation
                       WHERE registrant = seq AND outcome = 'cancelled') THEN 'cancelled' ELSE code END"
        } else {
            "code"
        };
        let mut statement = self.connection.prepare(&format!(
            "SELECT state, coalesce({code}, ''), count(*), min(coalesce(settled_at, sent_at)), min(line)
             FROM registrant WHERE state <> 3 GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT ?",
        ))?;
        let mut rows = statement.query([WAITING])?;
        let mut waiting = Vec::new();
        while let Some(row) = rows.next()? {
            waiting.push(Waiting {
                state: state_of(row.get(0)?)?,
                code: row.get(1)?,
                count: row.get::<_, i64>(2)?.cast_unsigned(),
                since: row.get(3)?,
                line: row.get::<_, Option<i64>>(4)?.map(i64::cast_unsigned),
            });
        }
        Ok(waiting)
    }

    /// How many people the last list did not name; 0 where nobody is to be cancelled.
    pub fn absent(&self) -> Result<u64, LedgerError> {
        if !self.is_current {
            return Ok(0);
        }
        let count = "SELECT count(*) FROM absence WHERE lists > 0";
        Ok(schema::value::<i64>(&self.connection, count, [])?.cast_unsigned())
    }

    /// The story of `id`, if the ledger knows it.
    pub fn story(&self, id: &str) -> Result<Option<Story>, LedgerError> {
        let found = self
            .connection
            .query_row(
                "SELECT seq, state, line, run, join_web_url IS NOT NULL, code, reason
                 FROM registrant WHERE id = ?",
                params![id],
                |row| {
                    let story = Story {
                        state: state_of(row.get(1)?).unwrap_or(State::Unknown),
                        line: row.get::<_, Option<i64>>(2)?.map(i64::cast_unsigned),
                        run: row.get(3)?,
                        has_link: row.get(4)?,
                        code: row.get(5)?,
                        reason: row.get(6)?,
                        attempts: Vec::new(),
                        cancellations: Vec::new(),
                    };
                    Ok((row.get::<_, i64>(0)?, story))
                },
            )
            .optional()?;
        let Some((seq, mut story)) = found else { return Ok(None) };
        let query = "SELECT run, call, client_request_id, request_id, sent_at, answered_at,
                            waited_ms, status, verdict, detail
                     FROM attempt WHERE registrant = ? ORDER BY n";
        story.attempts = schema::rows(&self.connection, query, [seq], |row| {
            let bytes: [u8; 16] = row.get(2)?;
            Ok(Attempted {
                run: row.get(0)?,
                call: row.get(1)?,
                client_request_id: Uuid::from_bytes(bytes),
                request_id: row.get(3)?,
                sent_at: row.get(4)?,
                answered_at: row.get(5)?,
                waited_ms: row.get(6)?,
                status: row.get(7)?,
                verdict: row.get(8)?,
                detail: row.get(9)?,
            })
        })?;
        if self.is_current {
            story.cancellations = cancellations::of_registrant(&self.connection, seq)?;
        }
        Ok(Some(story))
    }
}

/// The target that the ledger belongs to.
pub(super) fn target(connection: &Connection) -> rusqlite::Result<Identity> {
    connection.query_row("SELECT kind, name, organizer, graph FROM target", [], |row| {
        Ok(Identity {
            kind: row.get(0)?,
            name: row.get(1)?,
            organizer: row.get(2)?,
            graph: row.get(3)?,
        })
    })
}

/// See [`Reading::listed`].
pub(super) fn listed(connection: &Connection) -> Result<LastListing, LedgerError> {
    let query = "SELECT listed_at, mode, registration_id FROM target";
    Ok(connection.query_row(query, [], |row| {
        let mode: Option<String> = row.get(1)?;
        let id: Option<String> = row.get(2)?;
        Ok(LastListing { at: row.get(0)?, registration: mode.map(|mode| (id, mode)) })
    })?)
}

/// When a run last ended with exit code 0, in milliseconds since 1970.
pub(super) fn last_success(db: &Connection) -> Result<Option<i64>, LedgerError> {
    schema::value(db, "SELECT max(ended_at) FROM run WHERE exit_code = 0", [])
}
