//! A command that failed: the exit code and the sentence.

use crate::{
    auth::AuthError,
    graph::{host::HostError, http::HttpError},
    input::{IdTrap, InputError},
    job::{JobError, stop::Stop},
    ledger::LedgerError,
    output::{Console, FileError, ProjectionError},
};

/// Usage, configuration, or an unreadable input; nothing was posted.
pub(super) const USAGE: u8 = 2;

/// What is told, and the exit code.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) code: u8,
    pub(super) sentence: String,
}

impl Failure {
    /// A fault of what the user gave.
    pub(super) fn usage(sentence: impl Into<String>) -> Self {
        Self { code: USAGE, sentence: sentence.into() }
    }

    /// A fault of the program or the machine that has no code of its own.
    pub(super) fn internal(what: &str, error: &dyn std::error::Error) -> Self {
        Self { code: 1, sentence: format!("{what}: {error}") }
    }

    /// Tells it on standard error; gives the exit code.
    pub(super) fn tell(&self, console: &Console) -> u8 {
        console.error(&self.sentence);
        self.code
    }
}

impl From<InputError> for Failure {
    fn from(error: InputError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<IdTrap> for Failure {
    fn from(trap: IdTrap) -> Self {
        Self::usage(trap.to_string())
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        let late = matches!(error, FileError::Write { .. } | FileError::Keep { .. });
        let code = if late { 6 } else { USAGE };
        Self { code, sentence: error.to_string() }
    }
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        let code = if matches!(error.kind(), LedgerError::Held) { 7 } else { USAGE };
        let next = match error.kind() {
            LedgerError::Io(_) => "; check the folder's rights or name another file with --ledger",
            _ => "",
        };
        Self { code, sentence: format!("{error}{next}") }
    }
}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        Self::usage(format!("--graph-url: {error}"))
    }
}

impl From<HttpError> for Failure {
    fn from(error: HttpError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<AuthError> for Failure {
    fn from(error: AuthError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<JobError> for Failure {
    fn from(error: JobError) -> Self {
        match error {
            JobError::Input(error) => error.into(),
            JobError::Trap(trap) => trap.into(),
            JobError::Moved(moved) => Self::usage(moved.to_string()),
            JobError::Ledger(error) => error.into(),
        }
    }
}

impl From<ProjectionError> for Failure {
    fn from(error: ProjectionError) -> Self {
        // The run is over by now: whatever was done is in the ledger, and running again mends it.
        let sentence =
            format!("{error}; `registrant-import export` writes the files from the ledger");
        Self { code: 6, sentence }
    }
}

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Self {
        Self { code: stop.exit_code(), sentence: stop.to_string() }
    }
}
