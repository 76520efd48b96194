//! `cargo bench --bench pacing`: the pacing code against models of throttling servers, in virtual
//! time, beside what others do. Prints Markdown.
//!
//! `-- own`, `-- short`, `-- rivals`, `-- cuts`, `-- noise`, `-- back`, `-- stray` or `-- ablation` prints
//! one part; the ablation, which takes most of the time, only by name. `-- --write` puts all eight
//! into `docs/pacing.md`, below its marker.
#![expect(clippy::print_stdout, reason = "a bench prints")]

#[path = "pacing/mod.rs"]
mod models;

use std::io;

use models::{odd, report};

/// The part of the document that is written by the bench begins here.
const MARKER: &str = "<!-- written by cargo bench --bench pacing -- --write -->\n\n";

/// A part of the report.
type Part = fn() -> String;

fn main() -> io::Result<()> {
    // cargo adds `--bench`.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let write = wanted.iter().any(|arg| arg == "--write");
    let parts: [(&str, Part); 8] = [
        ("own", report::own),
        ("short", report::short),
        ("rivals", report::rivals),
        ("cuts", report::cuts),
        ("noise", report::noise),
        ("back", odd::back_to_back),
        ("stray", odd::stray),
        ("ablation", report::ablation),
    ];
    let mut text = String::new();
    for (name, part) in parts {
        if write || wanted.is_empty() && name != "ablation" || wanted.iter().any(|arg| arg == name)
        {
            let part = part();
            if !write {
                print!("{part}");
            }
            text += &part;
        }
    }
    if write {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/pacing.md");
        let document = std::fs::read_to_string(path)?;
        let (head, _) = document
            .split_once(MARKER)
            .ok_or_else(|| io::Error::other("docs/pacing.md has no marker"))?;
        std::fs::write(path, format!("{head}{MARKER}{}\n", text.trim_end()))?;
    }
    Ok(())
}
