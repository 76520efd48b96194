//! A command that failed: the exit code and the sentence. And a fault of the program itself: exit
//! code 1, and a sentence without what the fault may quote. A panic's own message can hold whatever
//! the program had in hand (a text cut within a character is quoted whole), so only the place is
//! told; `RUST_BACKTRACE` still gives the way to it: names of functions and lines.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io::Write,
    panic,
};

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

/// A fault of the program.
const INTERNAL: u8 = 1;

/// What is told, and the exit code.
#[derive(Clone, Debug)]
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
        Self { code: INTERNAL, sentence: format!("{what}: {error}") }
    }

    /// Tells it on standard error; gives the exit code.
    pub(super) fn tell(&self, console: &Console) -> u8 {
        console.error(&self.sentence);
        self.code
    }
}

impl From<&Failure> for Failure {
    fn from(failure: &Failure) -> Self {
        failure.clone()
    }
}

macro_rules! faults_of_what_was_given {
    ($($error:ty),*) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::usage(error.to_string())
            }
        })*
    };
}

faults_of_what_was_given!(InputError, IdTrap, HttpError, AuthError);

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

/// What carries out whatever a command waits for.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::internal("no runtime", &error))
}

/// Runs `command`; a panic in it, or in a thread of its own, is told without its message.
pub(super) fn guard(command: impl FnOnce() -> u8) -> u8 {
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, |place| format!(" at {place}"));
        let mut error = std::io::stderr().lock();
        // Standard error may be closed; nobody is left to be told so.
        let _ = writeln!(
            error,
            "error: internal fault{place}; please report it with this place, and run the same command again: what was done is in the ledger"
        );
        let trace = Backtrace::capture();
        if trace.status() == BacktraceStatus::Captured {
            let _ = writeln!(error, "{trace}");
        }
    }));
    // Nothing is looked at after a panic but the exit code.
    panic::catch_unwind(panic::AssertUnwindSafe(command)).unwrap_or(INTERNAL)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Set in the process that is to panic: a hook belongs to a whole process.
    const CHILD: &str = "REGISTRANT_IMPORT_TEST_PANICS";

    #[test]
    fn a_panic_ends_with_1_and_does_not_quote() {
        if std::env::var_os(CHILD).is_some() {
            let name = "Zo\u{eb} Lovelace".to_owned();
            let code = guard(|| u8::try_from(name[..3].len()).unwrap_or_default());
            assert_eq!(code, INTERNAL);
            return;
        }
        let this = std::env::current_exe().expect("this test");
        let child = Command::new(this)
            .args(["--exact", "cli::failure::tests::a_panic_ends_with_1_and_does_not_quote"])
            .arg("--nocapture")
            .env(CHILD, "1")
            .output()
            .expect("runs");
        let told = String::from_utf8_lossy(&child.stderr).into_owned();
        assert!(child.status.success(), "{told}");
        assert!(told.contains("internal fault at src/cli/failure.rs:"), "{told}");
        assert!(!told.contains("Lovelace"), "{told}");
    }
}
