//! The simulator's time for a shell that lives in real, or in paused, time.

use std::time::Duration;

use tokio::time::Instant;

use super::Simulator;

/// Goes on where the simulator last was, so that a new shell on an old simulator is no journey
/// into the past.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    origin: Instant,
    offset: Duration,
}

impl Clock {
    pub(super) fn new(simulator: &Simulator) -> Self {
        Self { origin: Instant::now(), offset: simulator.now() }
    }

    pub(super) fn now(&self) -> Duration {
        self.offset + self.origin.elapsed()
    }
}
