//! What a command prints.

/// Prints to standard output. It may be closed; the files and the exit code tell the same.
pub(super) fn print(text: &str) {
    let _ = std::io::Write::write_all(&mut std::io::stdout().lock(), text.as_bytes());
}
