//! Waiting after failures that name no time: exponential with full jitter, and a budget that keeps
//! retries a small share of the calls.

use std::time::Duration;

/// The wait grows from half a second …
const BASE: Duration = Duration::from_millis(500);
/// … to half a minute: so late at most does a run see that an outage is over.
const CAP: Duration = Duration::from_secs(30);

/// Exponential backoff with full jitter: the n-th wait is uniform between 0 and
/// min(30 s, 0.5 s · 2ⁿ), the form that AWS's "Exponential Backoff And Jitter" (2015) found to
/// clear a jam with the least work.
#[derive(Clone, Debug)]
pub struct Backoff {
    tries: u32,
    random: fastrand::Rng,
}

impl Backoff {
    /// A backoff before its first wait.
    pub fn new(seed: u64) -> Self {
        Self { tries: 0, random: fastrand::Rng::with_seed(seed) }
    }

    /// The next wait; each call doubles its bound.
    pub fn next_wait(&mut self) -> Duration {
        let bound = BASE.saturating_mul(1 << self.tries.min(16)).min(CAP);
        self.tries = self.tries.saturating_add(1);
        // A tenth of the bound at least, so that no wait is no wait at all.
        bound.mul_f64(self.random.f64().max(0.1))
    }

    /// Forgets the failures: something went well.
    pub fn reset(&mut self) {
        self.tries = 0;
    }
}

/// How many failures may be taken in stride: each answer pays in a fifth, each failure costs one.
///
/// While it lasts, single failures do not slow the run; once it is spent, the server is failing
/// and is asked by one request at a time. The fifth is the ratio of Finagle's and reqwest's retry
/// budgets.
#[derive(Clone, Debug)]
pub(super) struct RetryBudget {
    fifths: u32,
}

impl RetryBudget {
    /// What it starts with, and the most it saves up: ten failures.
    const FULL: u32 = 50;
    /// What a failure costs.
    const FAILURE: u32 = 5;

    /// A full budget.
    pub(super) fn new() -> Self {
        Self { fifths: Self::FULL }
    }

    /// An answer came, whatever it said of its row.
    pub(super) fn answered(&mut self) {
        self.fifths = (self.fifths + 1).min(Self::FULL);
    }

    /// A failure: true while the budget covers it.
    pub(super) fn failed(&mut self) -> bool {
        let covered = self.fifths >= Self::FAILURE;
        self.fifths = self.fifths.saturating_sub(Self::FAILURE);
        covered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_cap_and_start_again() {
        let mut backoff = Backoff::new(1);
        for tries in 0..40_u32 {
            let bound = BASE.saturating_mul(1 << tries.min(16)).min(CAP);
            let wait = backoff.next_wait();
            assert!(wait >= bound / 11 && wait <= bound, "{tries}: {wait:?} of {bound:?}");
        }
        backoff.reset();
        assert!(backoff.next_wait() <= BASE);
    }

    #[test]
    fn the_budget_covers_ten_failures_then_one_in_six_calls() {
        let mut budget = RetryBudget::new();
        assert_eq!((0..20).filter(|_| budget.failed()).count(), 10);
        for _ in 0..5 {
            assert!(!budget.failed());
            budget.answered();
        }
        let covered = (0..600)
            .filter(|call| {
                if call % 6 == 5 {
                    budget.failed()
                } else {
                    budget.answered();
                    false
                }
            })
            .count();
        assert!(covered >= 99, "{covered}");
    }
}
