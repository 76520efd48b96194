//! `cargo bench --bench import`: the whole `run` path of the release binary against `simulate` in
//! another process, side by side with what sockets, disk and other programs do in the same minutes.
//!
//! `-- speed`, `-- latency`, `-- limit`, `-- memory`, `-- ledger` and `-- start` print one part;
//! several may be named. All of them take about a quarter of an hour. Prints Markdown.
//!
//! Nothing is asserted but that the work was done: other programs on the machine move the figures,
//! and the ratios less.
#![expect(clippy::print_stdout, reason = "a bench prints")]

#[path = "import/mod.rs"]
mod parts;

use parts::{bare::Generator, program::Fault, size, speed, start, waits};

fn main() -> Result<(), Fault> {
    // cargo adds `--bench`.
    let words: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if let [generate, generator, url, seconds] = &words[..]
        && generate == "generate"
        && let Some(generator) = Generator::named(generator)
    {
        return generator.generate(url, seconds);
    }
    let wanted = |part: &str| words.is_empty() || words.iter().any(|word| word == part);
    if wanted("speed") {
        speed::speed()?;
    }
    if wanted("latency") {
        waits::latency()?;
    }
    if wanted("limit") {
        waits::limit()?;
    }
    if wanted("memory") || wanted("ledger") {
        size::size(wanted)?;
    }
    if wanted("start") {
        start::start()?;
    }
    Ok(())
}
