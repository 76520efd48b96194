//! The gate: while it is closed, nothing starts.
//!
//! A closed gate only ever moves later. It opens a little after the time the server named, by a
//! random share, so that several runs of one app do not return together.

use std::time::Duration;

/// The gate opens late by up to this share of the wait …
const JITTER_SHARE: f64 = 0.01;
/// … but by no more than this.
const JITTER_MOST: Duration = Duration::from_millis(250);

/// The shared gate.
pub(super) struct Gate {
    /// The time the server named, or our own backoff: measurements start here.
    named: Duration,
    /// The opening with its jitter.
    until: Duration,
    by_server: bool,
    random: fastrand::Rng,
}

impl Gate {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            named: Duration::ZERO,
            until: Duration::ZERO,
            by_server: false,
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// Closes until `now + wait`, or later if it is closed for longer already.
    pub(super) fn close(&mut self, now: Duration, wait: Duration, by_server: bool) {
        let named = now + wait;
        if named > self.named {
            self.named = named;
        }
        let jitter = wait.mul_f64(JITTER_SHARE * self.random.f64()).min(JITTER_MOST);
        if named + jitter > self.until {
            self.until = named + jitter;
            self.by_server = by_server;
        }
    }

    /// The opening, if the gate is closed now.
    pub(super) fn closed(&self, now: Duration) -> Option<Duration> {
        (now < self.until).then_some(self.until)
    }

    /// The last opening as it was named, without jitter.
    pub(super) fn named(&self) -> Duration {
        self.named
    }

    /// Whether the server asked for the last closing.
    pub(super) fn by_server(&self) -> bool {
        self.by_server
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_moves_later_and_never_opens_early() {
        let second = Duration::from_secs(1);
        for seed in 0..100 {
            let mut gate = Gate::new(seed);
            gate.close(second, second * 10, true);
            gate.close(second * 2, second, false);
            assert_eq!(gate.named(), second * 11);
            let opening = gate.closed(second * 2).expect("closed");
            assert!(opening >= second * 11 && opening <= second * 11 + JITTER_MOST);
            assert!(gate.by_server());
            assert_eq!(gate.closed(opening), None);
        }
    }
}
