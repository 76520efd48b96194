//! What a command prints.

use std::io::{self, Write};

/// Prints to standard output. Where that cannot be had, standard error says so: the files and the
/// exit code tell the same.
pub(super) fn print(text: &str) {
    let mut out = io::stdout().lock();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        let _ = writeln!(
            io::stderr(),
            "error: standard output could not be written, so what was to stand there is lost: {error}; the exit code and the files hold"
        );
    }
}
