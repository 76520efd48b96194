//! One run per ledger: a lock file beside it, freed by the run's death.
//!
//! The lock is not on the ledger itself, because closing any handle of SQLite's own file would drop
//! SQLite's locks in the same process (POSIX `fcntl`, "How To Corrupt An SQLite Database File",
//! section 2.2).

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use super::LedgerError;
use crate::private;

/// How the names of a ledger's lock and of SQLite's log end.
pub(super) const LOCK: &str = ".lock";
pub(super) const LOG: &str = "-wal";

/// Held as long as it lives.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

/// Stands in the lock file once the ledger beside it has been made, so that an empty one is known
/// for a loss.
pub(super) const MARK: &[u8] = b"Beside this lock is the ledger of an import. Leave both.\n";

/// `status` and `doctor` hold the lock for an instant; a run that begins in that instant tries
/// again so often, after this long.
const RETRIES: u32 = 5;
const RETRY_AFTER: Duration = Duration::from_millis(10);

impl Lock {
    /// Takes the lock of the ledger at `path`. Waits for no run, but for whoever only asks.
    pub(super) fn take(path: &Path) -> Result<Self, LedgerError> {
        let file = make(&beside(path, LOCK)).map_err(LedgerError::Io)?;
        for nth in 0..=RETRIES {
            match file.try_lock() {
                Ok(()) => return Ok(Self { file }),
                Err(TryLockError::WouldBlock) if nth < RETRIES => std::thread::sleep(RETRY_AFTER),
                Err(TryLockError::WouldBlock) => break,
                Err(TryLockError::Error(error)) => return Err(LedgerError::Io(error)),
            }
        }
        Err(LedgerError::Held)
    }

    /// Whether a ledger was made beside it.
    pub(super) fn is_marked(&self) -> io::Result<bool> {
        Ok(self.file.metadata()?.len() > 0)
    }

    /// Notes that a ledger was made beside it.
    pub(super) fn mark(&self) -> io::Result<()> {
        if self.is_marked()? { Ok(()) } else { (&self.file).write_all(MARK) }
    }
}

impl Lock {
    /// The number of the last run that began on the ledger beside it; `None` where nobody noted one.
    pub(super) fn last_run(&self) -> io::Result<Option<i64>> {
        let mut text = String::new();
        (&self.file).seek(SeekFrom::Start(MARK.len() as u64))?;
        (&self.file).take(64).read_to_string(&mut text)?;
        Ok(text.trim().strip_prefix("Last run: ").and_then(|number| number.parse().ok()))
    }

    /// Notes the run that begins: a ledger with fewer runs came from a backup.
    pub(super) fn note_run(&self, run: i64) -> io::Result<()> {
        (&self.file).seek(SeekFrom::Start(MARK.len() as u64))?;
        (&self.file).write_all(format!("Last run: {run}\n").as_bytes())
    }
}

/// Whether a run holds the lock of the ledger at `path`. Makes no file. Takes a shared lock for
/// an instant.
pub(super) fn is_held(path: &Path) -> io::Result<bool> {
    let file = match File::open(beside(path, LOCK)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The file beside the ledger at `path` whose name ends so.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Creates the file at `path` with mode 0600 where it does not exist: SQLite gives its side files
/// the mode of the database.
pub(super) fn create_private(path: &Path) -> io::Result<()> {
    make(path).map(drop)
}

fn make(path: &Path) -> io::Result<File> {
    private::open(path, OpenOptions::new().read(true).write(true).create(true).truncate(false))
}
