//! What can go wrong with the ledger's file, in words that say what to do.

use std::path::PathBuf;

/// A fault of the ledger. Where the path matters the caller adds it with [`LedgerError::at`].
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Another run has it.
    #[error("another run holds this ledger")]
    Held,
    /// The file is something else.
    #[error(
        "this file is no ledger of registrant-import; name another with --ledger, nothing was changed"
    )]
    NotALedger,
    /// A newer program wrote it.
    #[error(
        "the ledger has version {found}, this program knows versions up to {known}; use the newer program"
    )]
    Newer {
        /// The file's version.
        found: i32,
        /// This program's.
        known: i32,
    },
    /// It belongs to another meeting or webinar.
    #[error("the ledger belongs to {found}, not to {wanted}; name another with --ledger")]
    OtherTarget {
        /// The target in the file.
        found: String,
        /// The target of this run.
        wanted: String,
    },
    /// SQLite says that the file is broken.
    #[error(
        "the ledger is damaged ({0}); restore it from a backup, or name a new one with --ledger: the next run then lists the target first and enrols nobody twice"
    )]
    Damaged(String),
    /// The file or its folder cannot be read or written.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// No such file, where one must exist.
    #[error("there is no ledger here yet; `run` creates it")]
    Absent,
    /// SQLite's word for everything else: a full disk, a read-only folder.
    #[error("the ledger cannot be written or read: {0}")]
    Sqlite(String),
    /// Its file is not the one that was opened.
    #[error(
        "the ledger was deleted or replaced while the run went on; the enrolled file holds every link of this run, and a ledger from a backup finds out by the target's list whom it lacks"
    )]
    Replaced,
    /// An earlier write failed; the ledger takes nothing more in this run.
    #[error("the ledger failed earlier in this run: {0}")]
    FailedBefore(String),
    /// The same, with the file's path.
    #[error("{}: {source}", path.display())]
    At {
        /// The ledger's file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<LedgerError>,
    },
}

impl LedgerError {
    /// Adds the file's path.
    pub fn at(self, path: impl Into<PathBuf>) -> Self {
        match self {
            Self::At { .. } => self,
            source => Self::At { path: path.into(), source: Box::new(source) },
        }
    }

    /// The fault without its path.
    pub fn kind(&self) -> &Self {
        match self {
            Self::At { source, .. } => source.kind(),
            kind => kind,
        }
    }
}

impl From<rusqlite::Error> for LedgerError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        // A statement that the tables do not fit is quoted in full; what it says first is enough.
        if let rusqlite::Error::SqlInputError { msg, .. } = &error {
            return Self::Damaged(msg.clone());
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::NotALedger,
            // Without a code of SQLite's: a cell of a type that the tables do not allow, so the bytes
            // were changed by something else.
            Some(ErrorCode::DatabaseCorrupt) | None => Self::Damaged(error.to_string()),
            Some(_) => Self::Sqlite(error.to_string()),
        }
    }
}
