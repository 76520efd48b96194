//! `cargo bench --bench pacing`: the pacing code against models of throttling servers, in virtual
//! time, beside what others do. Prints Markdown.
//!
//! `-- table` or `-- rivals` prints one part; `-- --tune` takes other seeds than the published tables;
//! `-- --write` puts both parts into `docs/pacing.md`, below its marker.
#![expect(clippy::print_stdout, reason = "a bench prints")]

#[path = "pacing/mod.rs"]
mod models;

use std::io;

use models::groups;

/// The part of the document that is written by the bench begins here.
const MARKER: &str = "<!-- written by cargo bench --bench pacing -- --write -->\n\n";

fn main() -> io::Result<()> {
    let has = |name: &str| std::env::args().any(|arg| arg == name);
    // Whoever tunes the controller must not look at the seeds that judge it.
    let seeds = if has("--tune") { 1_000..1_006 } else { 401..417 };
    let (only_table, only_rivals) = (has("table"), has("rivals"));
    let mut text = String::new();
    if !only_rivals {
        text += &groups::table(&seeds, if has("--tune") { 5 } else { 2 });
    }
    if !only_table {
        text += &groups::rivals(&seeds);
    }
    if !has("--write") {
        print!("{text}");
        return Ok(());
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/pacing.md");
    let document = std::fs::read_to_string(path)?;
    let (head, _) = document
        .split_once(MARKER)
        .ok_or_else(|| io::Error::other("docs/pacing.md has no marker"))?;
    std::fs::write(path, format!("{head}{MARKER}{}\n", text.trim_end()))
}
