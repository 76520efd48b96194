//! One clock for a run: time since its start for schedules, and stamps for the ledger.

use std::time::Duration;

use tokio::time::Instant;

/// A run's clock. Under tokio's paused time it stands still with everything else.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    /// Milliseconds since 1970 at the start.
    epoch: i64,
}

impl Clock {
    /// A clock that starts now; `epoch` is the wall clock's time in milliseconds since 1970.
    pub fn starting(epoch: i64) -> Self {
        Self { start: Instant::now(), epoch }
    }

    /// Time since the start of the run.
    pub fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// The instant `since` the start, to sleep until.
    pub fn instant(&self, since: Duration) -> Instant {
        self.start + since
    }

    /// `since` the start as milliseconds since 1970.
    pub fn stamp(&self, since: Duration) -> i64 {
        self.epoch.saturating_add(millis(since))
    }

    /// A stamp as time since the start of the run; zero for what was before it.
    pub fn since(&self, stamp: i64) -> Duration {
        Duration::from_millis(stamp.saturating_sub(self.epoch).try_into().unwrap_or(0))
    }

    /// The start as milliseconds since 1970.
    pub fn epoch(&self) -> i64 {
        self.epoch
    }
}

/// A duration in milliseconds, as the ledger keeps it.
pub fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
