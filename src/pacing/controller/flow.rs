//! What the controller remembers of the run: sends that used quota, successes, round trips.

use std::collections::VecDeque;

/// The most sends remembered: more than one window of any known Graph limit that a run of this
/// program fills (64 in flight at 120 ms are about 500 a second).
const REMEMBERED: usize = 12_000;

/// The run so far. Times are seconds since its start.
#[derive(Clone, Debug, Default)]
pub(super) struct Flow {
    /// Sends that were accepted or are in flight, oldest first, by sequence number.
    sends: VecDeque<(u64, f64)>,
    /// Older ones, only counted.
    older: u64,
    /// Successes.
    pub(super) accepted: u64,
    /// Calls refused by the limit.
    pub(super) throttled: u64,
    /// Mean round trip of successes, smoothed.
    round_trip: Option<f64>,
}

impl Flow {
    pub(super) fn sent(&mut self, seq: u64, now: f64) {
        self.sends.push_back((seq, now));
        if self.sends.len() > REMEMBERED {
            self.sends.pop_front();
            self.older += 1;
        }
    }

    pub(super) fn accepted(&mut self, sent: f64, now: f64) {
        self.accepted += 1;
        let trip = now - sent;
        let mean = self.round_trip.unwrap_or(trip);
        self.round_trip = Some(mean + (trip - mean) / 20.0);
    }

    /// A call that used no quota that would come back: its send is forgotten.
    pub(super) fn forget(&mut self, seq: u64) {
        if let Ok(index) = self.sends.binary_search_by_key(&seq, |send| send.0) {
            self.sends.remove(index);
        }
    }

    /// Mean round trip of successes in seconds; a guess before the first.
    pub(super) fn round_trip(&self) -> f64 {
        self.round_trip.unwrap_or(0.2)
    }

    /// The time of the first send that is remembered.
    pub(super) fn first(&self) -> Option<f64> {
        self.sends.front().map(|send| send.1)
    }

    /// Sends that stuck before the time `at`, since the start of the run.
    pub(super) fn count_before(&self, at: f64) -> u64 {
        self.older + self.sends.partition_point(|send| send.1 < at) as u64
    }

    /// Sends that stuck from `from` on and before `until`.
    pub(super) fn count(&self, from: f64, until: f64) -> u64 {
        self.count_before(until).saturating_sub(self.count_before(from))
    }

    /// Sends that stuck from `from` until `until`, and the seconds they are of: fewer than asked for
    /// where the memory does not reach back so far.
    pub(super) fn between(&self, from: f64, until: f64) -> (f64, f64) {
        let from = match self.sends.front() {
            Some(oldest) if self.older > 0 => oldest.1.max(from),
            _ => from,
        };
        let first = self.sends.partition_point(|send| send.1 < from);
        let last = self.sends.partition_point(|send| send.1 < until);
        #[expect(clippy::cast_precision_loss, reason = "counts of calls")]
        let count = last.saturating_sub(first) as f64;
        (count, (until - from).max(1e-3))
    }

    /// The time of the `n`-th last send, 1 being the last.
    pub(super) fn nth_last(&self, n: u64) -> Option<f64> {
        let index = self.sends.len().checked_sub(usize::try_from(n).ok()?)?;
        self.sends.get(index).map(|send| send.1)
    }

    /// The greatest of accepted ÷ (span + 2 s) over the spans from a send after `from` to `at`:
    /// never above the rate of a bucket of two seconds' burst, and exact once it was drained.
    pub(super) fn trailing_rate(&self, from: f64, at: f64) -> f64 {
        let end = self.sends.partition_point(|send| send.1 < at);
        let mut best: f64 = 0.0;
        for (count, (_, sent)) in (1_u32..).zip(self.sends.iter().take(end).rev()) {
            if *sent < from {
                break;
            }
            best = best.max(f64::from(count) / (at - sent + 2.0));
        }
        best
    }
}
