//! A command that failed: the exit code and the sentence. And a fault of the program itself: exit
//! code 1, and a sentence without what the fault may quote. A panic's own message can hold whatever
//! the program had in hand (a text cut within a character is quoted whole), so only the place is
//! told; `RUST_BACKTRACE` still gives the way to it: names of functions and lines.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io::Write,
    panic,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
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

/// A call of the system fails that never should, in a library that does not bear it.
const SYSTEM: u8 = 5;

/// What may pass by itself.
const PASSING: u8 = 5;

/// The machine lacks what every run needs.
const MACHINE: u8 = 6;

/// As many files as a run has open, some connections among them.
const OPEN_FILES: u64 = 32;

/// As many as a run may ever want, with all the connections of `--concurrency`.
const WANTED_FILES: u64 = 1_024;

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

    /// What the machine does not give, and no run can do without.
    pub(super) fn of_machine(what: &str, error: &dyn std::error::Error) -> Self {
        let sentence = format!("{what}: {error}; run again when the machine gives it");
        Self { code: MACHINE, sentence }
    }

    /// A fault of the program that has no code of its own.
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

impl From<InputError> for Failure {
    fn from(error: InputError) -> Self {
        // A download that fails may be had later.
        let code = if matches!(error, InputError::Command(_)) { PASSING } else { USAGE };
        Self { code, sentence: error.to_string() }
    }
}

faults_of_what_was_given!(IdTrap, HttpError, AuthError);

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
            JobError::OverCapacity { .. } => Self::usage(error.to_string()),
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
        .map_err(|error| Failure::of_machine("the program cannot wait for the network", &error))
}

/// Takes as many open files as this process may have and a run may want.
pub(super) fn raise_open_files() -> Result<(), Failure> {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let found = getrlimit(Resource::Nofile);
        let within = |wanted| found.maximum.map_or(wanted, |most| most.min(wanted));
        let current = found.current.map(|current| current.max(within(WANTED_FILES)));
        // Where it is not given, the former limit holds.
        let _ = setrlimit(Resource::Nofile, Rlimit { current, ..found });
        let given = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        if given < OPEN_FILES {
            return Err(Failure {
                code: MACHINE,
                sentence: format!(
                    "this process may have {given} files open, and a run needs {OPEN_FILES}: raise the limit (ulimit -n) and run again"
                ),
            });
        }
    }
    Ok(())
}

/// Where this program's own source stands in its panics; libraries and std have other paths.
const OWN_SOURCE: &str = "src/";

/// Runs `command`; a panic in it, or in a thread of its own, is told without its message. In a library
/// it is nearly always a call of the system that failed (tokio and std panic then), so running again
/// helps.
pub(super) fn guard(command: impl FnOnce() -> u8) -> u8 {
    let code = Arc::new(AtomicU8::new(INTERNAL));
    let panicked = code.clone();
    panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map_or_else(String::new, |place| format!(" at {place}"));
        let own = panic.location().is_none_or(|place| place.file().starts_with(OWN_SOURCE));
        panicked.store(if own { INTERNAL } else { SYSTEM }, Ordering::Relaxed);
        let what = if own {
            "internal fault"
        } else {
            "the system failed in a way that a library cannot bear, or the library is wrong"
        };
        let mut error = std::io::stderr().lock();
        // Standard error may be closed; nobody is left to be told so.
        let _ = writeln!(
            error,
            "error: {what}{place}; please report it with this place, and run the same command again: what was done is in the ledger"
        );
        let trace = Backtrace::capture();
        if trace.status() == BacktraceStatus::Captured {
            let _ = writeln!(error, "{trace}");
        }
    }));
    // Nothing is looked at after a panic but the exit code.
    let ended = panic::catch_unwind(panic::AssertUnwindSafe(command));
    ended.unwrap_or_else(|_| code.load(Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Set in the process that is to panic: a hook belongs to a whole process.
    const CHILD: &str = "REGISTRANT_IMPORT_TEST_PANICS";

    #[test]
    fn a_panic_does_not_quote_and_ends_with_1_or_in_a_library_with_5() {
        if std::env::var_os(CHILD).is_some() {
            let name = "Zo\u{eb} Lovelace".to_owned();
            let code = guard(|| u8::try_from(name[..3].len()).unwrap_or_default());
            assert_eq!(code, INTERNAL);
            // Told with its place in std, as where a system call fails there.
            let code = guard(|| {
                let too_long = std::time::Duration::MAX + std::time::Duration::from_secs(1);
                u8::try_from(too_long.as_secs()).unwrap_or_default()
            });
            assert_eq!(code, SYSTEM);
            return;
        }
        let this = std::env::current_exe().expect("this test");
        let child = Command::new(this)
            .args(["--exact", "cli::failure::tests::a_panic_does_not_quote_and_ends_with_1_or_in_a_library_with_5"])
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
