//! A fault of the program itself: exit code 1, and a sentence without what the fault may quote.
//!
//! A panic's own message can hold whatever the program had in hand (a text cut within a character is
//! quoted whole), so only the place is told. `RUST_BACKTRACE` still gives the way to it: names of
//! functions and lines.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io::Write,
    panic,
};

/// What the program ends with (contract, section 8).
const INTERNAL: u8 = 1;

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
            .args(["--exact", "cli::panic::tests::a_panic_ends_with_1_and_does_not_quote"])
            .arg("--nocapture")
            .env(CHILD, "1")
            .output()
            .expect("runs");
        let told = String::from_utf8_lossy(&child.stderr).into_owned();
        assert!(child.status.success(), "{told}");
        assert!(told.contains("internal fault at src/cli/panic.rs:"), "{told}");
        assert!(!told.contains("Lovelace"), "{told}");
    }
}
