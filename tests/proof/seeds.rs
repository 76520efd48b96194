//! Which seeds a proof runs, and how a failure tells its own.

use std::{env, str::FromStr};

/// A number from the environment, or the everyday one.
pub(crate) fn number<T: FromStr>(variable: &str, everyday: T) -> T {
    env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(everyday)
}

/// Proves `proof` for as many seeds as `variable` says, or for the one seed that is replayed.
pub(crate) fn each(variable: &str, everyday: u64, proof: impl Fn(u64)) {
    let (first, count) = match replayed() {
        Some(seed) => (seed, 1),
        None => (0, number(variable, everyday)),
    };
    for seed in first..first + count {
        one(seed, &proof);
    }
}

/// The one seed that is replayed.
pub(crate) fn replayed() -> Option<u64> {
    env::var("REGISTRANT_IMPORT_SEED").ok()?.parse().ok()
}

/// Proves `proof` for one seed, which is told when it fails.
pub(crate) fn one(seed: u64, proof: impl Fn(u64)) {
    let _told = Told(seed);
    proof(seed);
}

/// Tells its seed when a proof fails.
struct Told(u64);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tell(&format!("failed with REGISTRANT_IMPORT_SEED={}", self.0));
        }
    }
}

/// A line for whoever reads a test's output.
#[expect(clippy::print_stderr, reason = "a test's own words, shown when it fails")]
pub(crate) fn tell(text: &str) {
    eprintln!("{text}");
}

/// With `REGISTRANT_IMPORT_STORY` set, tells what happens as it happens.
pub(crate) fn story(line: impl FnOnce() -> String) {
    if env::var_os("REGISTRANT_IMPORT_STORY").is_some() {
        tell(&line());
    }
}
