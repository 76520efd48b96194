//! The ledger's file, written by one run at a time.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, params};

use super::{
    Identity, LastListing, LedgerError, LinkOwner, Seq, State,
    lock::{self, Lock},
    reading,
    records::BEFORE_ALL_RUNS,
    schema::{self, FileKind},
};
use crate::registrant::{FingerprintKey, PersonFingerprint};

/// How long a statement waits for a reader's lock. Readers (`status`, `explain`) hold it for
/// milliseconds.
const BUSY: Duration = Duration::from_secs(10);

/// What SQLite keeps of the file in memory, in KiB. Ids come in no order, so each new one changes a
/// page of its own in their index: with SQLite's own 2 MiB most of these are read again and again.
pub(super) const CACHE_KIB: i64 = 8 * 1_024;

/// The length of the log, in pages, at which it is carried over to the file: four times SQLite's
/// own. A page that was changed several times meanwhile is carried over once.
const LOG_PAGES: i64 = 4_000;

/// The code of a row whose run died between the intent and the answer.
const LOST: &str = "no-answer";

/// The ledger of one target, held by this run alone.
pub struct Ledger {
    connection: Connection,
    path: PathBuf,
    /// Which file it is, where the system tells.
    file: Option<FileId>,
    run: i64,
    torn: bool,
    /// Whether all registrants were checked.
    sound: bool,
    key: FingerprintKey,
    lock: Lock,
}

/// How a run ended, for `status`.
pub struct RunEnd<'a> {
    /// Now, in milliseconds since 1970.
    pub at: i64,
    pub exit_code: u8,
    /// Why it stopped early.
    pub stop_reason: Option<&'a str>,
    /// The summary, as `--json` prints it.
    pub summary: &'a str,
}

/// Whether the ledger came from a backup or another folder: the lock beside it knows of a later run.
fn is_restored(connection: &Connection, lock: &Lock) -> Result<bool, LedgerError> {
    let last: i64 = schema::value(connection, "SELECT coalesce(max(n), 0) FROM run", [])?;
    Ok(lock.last_run()?.is_none_or(|noted| noted > last))
}

/// Device and number of a file.
type FileId = (u64, u64);

fn file_id(path: &Path) -> Option<FileId> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes the target into a new ledger, or compares it with the one that is there.
fn claim(connection: &Connection, target: &Identity, now: i64) -> Result<(), LedgerError> {
    match reading::target(connection).optional()? {
        Some(found) if found.is_same(target) => Ok(()),
        Some(found) => {
            Err(LedgerError::OtherTarget { found: found.to_string(), wanted: target.to_string() })
        }
        None => {
            connection.execute(
                "INSERT INTO target (one, kind, name, organizer, graph, created_at)
                 VALUES (1, ?, ?, ?, ?, ?)",
                params![target.kind, target.name, target.organizer, target.graph, now],
            )?;
            Ok(())
        }
    }
}

impl Ledger {
    /// Opens the ledger at `path` for `target`, or creates it, and takes its lock.
    ///
    /// # Errors
    /// [`LedgerError`], with the path: held by another run, not a ledger, damaged, of another
    /// target, or not writable.
    pub fn open(path: &Path, target: &Identity, now: i64) -> Result<Self, LedgerError> {
        Self::open_here(path, target, now).map_err(|error| error.at(path))
    }

    fn open_here(path: &Path, target: &Identity, now: i64) -> Result<Self, LedgerError> {
        schema::refuse_another_file(path)?;
        std::fs::create_dir_all(folder_of(path))?;
        let lock = Lock::take(path)?;
        let is_new = !path.try_exists()?;
        lock::create_private(path)?;
        // SQLite would object to a link anywhere in the path; which folder is meant is the user's
        // own affair.
        let folder = std::fs::canonicalize(folder_of(path))?;
        let file = folder.join(path.file_name().unwrap_or_default());
        // SQLite removes its log when a run ends, so this one's did not.
        let torn = lock::beside(&file, lock::LOG).try_exists()?;
        let mut connection = Connection::open_with_flags(
            file,
            OpenFlags::SQLITE_OPEN_READ_WRITE
                | OpenFlags::SQLITE_OPEN_NO_MUTEX
                | OpenFlags::SQLITE_OPEN_NOFOLLOW,
        )?;
        connection.busy_timeout(BUSY)?;
        let found = schema::recognise(&connection)?;
        if found == FileKind::Empty && !is_new && lock.is_marked()? {
            return Err(LedgerError::Damaged("it is empty, and it was not".to_owned()));
        }
        // Write-ahead log: one sync a commit, and readers do not wait for the run. FULL: the sync
        // is done at each commit, so that a power loss takes nothing that was promised.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", "OFF")?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
        if found == FileKind::Empty {
            schema::create(&mut connection)?;
        }
        lock.mark()?;
        schema::check_free_pages(&connection)?;
        claim(&connection, target, now)?;
        schema::bring_up_to_date(&mut connection, found)?;
        if is_restored(&connection, &lock)? {
            // Since when somebody is missing is to be found out anew.
            connection.execute("DELETE FROM absence", [])?;
        }
        let key = schema::key(&connection)?;
        let path = path.to_owned();
        let file = file_id(&path);
        Ok(Self { connection, path, file, run: 0, torn, sound: false, key, lock })
    }

    /// Whether its file still stands where it was opened. What is written to another one is lost with
    /// the end of the run, so nobody may be posted any more.
    ///
    /// # Errors
    /// [`LedgerError::Replaced`].
    pub fn is_in_place(&self) -> Result<(), LedgerError> {
        if self.file.is_none() || self.file == file_id(&self.path) {
            return Ok(());
        }
        Err(LedgerError::Replaced.at(&self.path))
    }

    /// Checks all registrants, once: every seal fits, and who is not found is not there. Nobody is
    /// posted before that; a run that posts nobody does without, for each row that it reads is
    /// checked against its seal.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`], with the path.
    pub fn verify(&mut self) -> Result<(), LedgerError> {
        if !self.sound {
            schema::verify(&self.connection).map_err(|error| error.at(&self.path))?;
            self.sound = true;
        }
        Ok(())
    }

    /// Whether an earlier run did not end as it should: it was killed, or the power failed. The
    /// ledger holds everything that such a run was promised, unless its log was damaged as well;
    /// what was lost with it nobody can tell from here, so ask the target.
    pub fn was_torn(&self) -> bool {
        self.torn
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Begins a run: gives it a number, and puts in doubt whatever an earlier run left with an
    /// intent and no answer. Such a request may have left long after its intent was written, so its
    /// settling time begins now.
    pub fn begin_run(&mut self, now: i64) -> Result<i64, LedgerError> {
        let transaction = self.connection.transaction()?;
        let last = "SELECT coalesce((SELECT ended_at IS NULL FROM run ORDER BY n DESC LIMIT 1), 0)";
        self.torn |= schema::value::<bool>(&transaction, last, [])?;
        transaction.execute(
            "INSERT INTO run (started_at, version) VALUES (?, ?)",
            params![now, env!("CARGO_PKG_VERSION")],
        )?;
        let run = transaction.last_insert_rowid();
        put_in_doubt(&transaction, now)?;
        transaction.commit()?;
        self.lock.note_run(run)?;
        self.run = run;
        Ok(run)
    }

    /// The number of this run; before [`Ledger::begin_run`], of the last one.
    pub fn run(&self) -> Result<i64, LedgerError> {
        if self.run != 0 {
            return Ok(self.run);
        }
        schema::value(&self.connection, "SELECT coalesce(max(n), 0) FROM run", [])
    }

    /// When the files of a ledger that holds somebody as enrolled were last written by a run, in
    /// milliseconds since 1970; `None` where they never were, or nobody is enrolled.
    pub fn filed_at(&self) -> Result<Option<i64>, LedgerError> {
        schema::value(
            &self.connection,
            "SELECT max(ended_at) FROM run WHERE EXISTS (SELECT 1 FROM registrant WHERE state = 3)",
            [],
        )
    }

    /// Writes how the run ended.
    pub fn end_run(&mut self, end: &RunEnd<'_>) -> Result<(), LedgerError> {
        self.connection.execute(
            "UPDATE run SET ended_at = ?, exit_code = ?, stop_reason = ?, summary = ? WHERE n = ?",
            params![end.at, end.exit_code, end.stop_reason, end.summary, self.run],
        )?;
        Ok(())
    }

    /// The registration that the last run saw, and whether the target was ever listed whole.
    pub fn listed(&self) -> Result<LastListing, LedgerError> {
        reading::listed(&self.connection)
    }

    /// Keeps the registration that this run sees.
    pub fn keep_registration(&mut self, id: Option<&str>, mode: &str) -> Result<(), LedgerError> {
        self.connection
            .execute("UPDATE target SET registration_id = ?, mode = ?", params![id, mode])?;
        Ok(())
    }

    /// What pacing learnt, under `name`: its text and the time it was kept.
    pub fn pace(&self, name: &str) -> Result<Option<(String, i64)>, LedgerError> {
        Ok(self
            .connection
            .query_row("SELECT learnt, kept_at FROM pace WHERE name = ?", [name], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?)
    }

    /// Keeps what pacing learnt.
    pub fn keep_pace(&mut self, name: &str, learnt: &str, at: i64) -> Result<(), LedgerError> {
        self.connection.execute(
            "INSERT INTO pace (name, learnt, kept_at) VALUES (?1, ?2, ?3)
             ON CONFLICT (name) DO UPDATE SET learnt = ?2, kept_at = ?3",
            params![name, learnt, at],
        )?;
        Ok(())
    }

    /// The latest times at which the server may have counted the latest writes to the target,
    /// newest last, in milliseconds since 1970, so that a ceiling holds across a restart: a write
    /// that was answered by its answer, but `transit` milliseconds after it was sent at the latest;
    /// one whose run died before the answer when the next run began, for it may have left at any
    /// time until its run died.
    pub fn recent_sends(&self, since: i64, transit: i64) -> Result<Vec<i64>, LedgerError> {
        let query = "SELECT at FROM
             (SELECT CASE verdict
                     WHEN 'lost'
                     THEN coalesce((SELECT min(started_at) FROM run WHERE n > attempt.run), sent_at)
                     ELSE min(coalesce(answered_at, sent_at), sent_at + ?2)
                     END AS at
              FROM attempt WHERE call <> 'GET' ORDER BY n DESC LIMIT 100000)
         WHERE at >= ?1 ORDER BY at";
        schema::rows(&self.connection, query, [since, transit], |row| row.get(0))
    }

    /// When a run last ended with exit code 0, in milliseconds since 1970.
    pub fn last_success(&self) -> Result<Option<i64>, LedgerError> {
        reading::last_success(&self.connection)
    }

    /// What the fingerprints of this ledger's people are made with.
    pub fn fingerprint_key(&self) -> FingerprintKey {
        self.key
    }

    /// Whether anybody's fingerprint is known.
    pub fn knows_people(&self) -> Result<bool, LedgerError> {
        let known = "SELECT EXISTS (SELECT 1 FROM registrant WHERE person IS NOT NULL)";
        schema::value(&self.connection, known, [])
    }

    /// Stores the fingerprints of people who were enrolled before they were known, or whose rows
    /// have changed since: all of them, or none. That of a new registrant comes with its intent.
    pub fn store_fingerprints(
        &mut self,
        learnt: &[(Seq, PersonFingerprint)],
    ) -> Result<(), LedgerError> {
        if learnt.is_empty() {
            return Ok(());
        }
        self.in_transaction(|transaction| {
            let mut update =
                transaction.prepare("UPDATE registrant SET person = ? WHERE seq = ?")?;
            for (seq, person) in learnt {
                // They get new seals, so the old ones must fit.
                schema::check_row(transaction, seq.0, &State::ALL)?;
                update.execute(params![person.to_number(), seq.0])?;
                schema::seal_row(transaction, seq.0)?;
            }
            Ok(())
        })
    }

    /// Gives the fingerprint of everybody whom the target holds, or may hold, by this ledger's doing.
    /// No index helps with it, since that is seldom asked.
    pub fn for_each_fingerprint(
        &self,
        mut give: impl FnMut(Seq, PersonFingerprint),
    ) -> Result<(), LedgerError> {
        self.with_path(|connection| {
            let mut statement = connection.prepare(
                "SELECT seq, person FROM registrant NOT INDEXED
                 WHERE person IS NOT NULL AND state NOT IN (?, ?, ?, ?)",
            )?;
            let not_held = [State::Ready, State::Refused, State::Foreign, State::Gone];
            let not_held = not_held.map(|state| state as u8);
            let mut rows = statement.query(not_held)?;
            while let Some(row) = rows.next()? {
                give(Seq(row.get(0)?), PersonFingerprint::from_number(row.get(1)?));
            }
            Ok(())
        })
    }

    /// Gives everybody who is enrolled: the id, the server's own id, and since when, in milliseconds
    /// since 1970.
    pub fn for_each_enrolled(
        &self,
        mut give: impl FnMut(&str, Option<&str>, i64),
    ) -> Result<(), LedgerError> {
        self.with_path(|connection| {
            let mut statement = connection.prepare(
                "SELECT id, registrant_id, settled_at FROM registrant NOT INDEXED WHERE state = ?",
            )?;
            let mut rows = statement.query([State::Enrolled as u8])?;
            while let Some(row) = rows.next()? {
                let text = |column| Ok::<_, LedgerError>(row.get_ref(column)?.as_str().ok());
                let since = row.get::<_, Option<i64>>(2)?;
                give(text(0)?.unwrap_or_default(), text(1)?, since.unwrap_or(0));
            }
            Ok(())
        })
    }

    /// Gives every link that is held: whose it is by id, and whose row.
    pub fn for_each_link(
        &self,
        mut give: impl FnMut(&str, &str, LinkOwner),
    ) -> Result<(), LedgerError> {
        self.with_path(|connection| {
            let mut statement = connection.prepare(
                "SELECT id, join_web_url, seq, registrant_id, run FROM registrant NOT INDEXED
                 WHERE state = ? AND join_web_url IS NOT NULL",
            )?;
            let mut rows = statement.query([State::Enrolled as u8])?;
            while let Some(row) = rows.next()? {
                let owner = LinkOwner {
                    seq: Seq(row.get(2)?),
                    server_id: row.get(3)?,
                    adopted: row.get::<_, i64>(4)? == BEFORE_ALL_RUNS,
                };
                let text = |column| Ok::<_, LedgerError>(row.get_ref(column)?.as_str().ok());
                give(text(0)?.unwrap_or_default(), text(1)?.unwrap_or_default(), owner);
            }
            Ok(())
        })
    }

    /// The connection, for what only reads, and for a list that is taken.
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The number of this run; 0 before it has begun.
    pub(super) fn current_run(&self) -> i64 {
        self.run
    }

    /// Reads, and adds the path to what goes wrong.
    pub(super) fn with_path<'a, R>(
        &'a self,
        read: impl FnOnce(&'a Connection) -> Result<R, LedgerError>,
    ) -> Result<R, LedgerError> {
        read(&self.connection).map_err(|error| error.at(&self.path))
    }

    /// Does all of `work`, or nothing; when it returns, all of it is on disk.
    pub(super) fn in_transaction<R>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> Result<R, LedgerError>,
    ) -> Result<R, LedgerError> {
        let write = || {
            let transaction = self.connection.transaction()?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        };
        write().map_err(|error: LedgerError| error.at(&self.path))
    }
}

/// The numbers of all registrants in these states, none of them [`State::Enrolled`].
pub(super) fn seqs_in(db: &Connection, states: &[State]) -> Result<Vec<i64>, LedgerError> {
    // `state <> 3` stands there for the index.
    let query = "SELECT seq FROM registrant WHERE state <> 3 AND state = ?";
    let mut seqs = Vec::new();
    for state in states {
        seqs.extend(schema::rows(db, query, [*state as u8], |row| row.get::<_, i64>(0))?);
    }
    Ok(seqs)
}

/// Puts in doubt whatever an earlier run left with an intent and no answer.
fn put_in_doubt(transaction: &Transaction<'_>, now: i64) -> Result<(), LedgerError> {
    let mut note = transaction.prepare(
        "INSERT INTO attempt (registrant, run, call, client_request_id, sent_at, waited_ms, verdict, detail)
         SELECT seq, run, CASE state WHEN ?1 THEN 'POST' ELSE 'DELETE' END,
                client_request_id, sent_at, 0, 'lost', 'the run ended before the answer'
         FROM registrant WHERE seq = ?2 AND client_request_id IS NOT NULL",
    )?;
    let mut doubt = transaction.prepare(
        "UPDATE registrant
         SET state = ?1, code = ?2, client_request_id = NULL,
             reason = 'the run ended before the answer came', settled_at = ?3
         WHERE seq = ?4",
    )?;
    let unanswered = [State::Sending, State::Removing];
    for seq in seqs_in(transaction, &unanswered)? {
        // It gets a new seal, so the old one must fit, and the index must have told the truth.
        schema::check_row(transaction, seq, &unanswered)?;
        note.execute(params![State::Sending as u8, seq])?;
        doubt.execute(params![State::Unknown as u8, LOST, now, seq])?;
        schema::seal_row(transaction, seq)?;
    }
    Ok(())
}
