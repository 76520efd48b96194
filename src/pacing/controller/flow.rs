//! What the controller remembers of the run: sends that used quota, successes, round trips.

use std::collections::VecDeque;

/// The most sends remembered: more than one window of any known Graph limit that a run of this
/// program fills (64 in flight at 120 ms are about 500 a second).
const REMEMBERED: usize = 12_000;

/// The run so far. Times are seconds since its start.
#[derive(Default)]
pub(super) struct Flow {
    /// Sends that were accepted or are in flight, oldest first, by sequence number.
    sends: VecDeque<(u64, f64)>,
    pub(super) accepted: u64,
    pub(super) throttled: u64,
    /// Mean round trip of successes, smoothed.
    trip: Option<f64>,
}

impl Flow {
    pub(super) fn sent(&mut self, seq: u64, now: f64) {
        self.sends.push_back((seq, now));
        if self.sends.len() > REMEMBERED {
            self.sends.pop_front();
        }
    }

    pub(super) fn accepted(&mut self, sent: f64, now: f64) {
        self.accepted += 1;
        let mean = self.trip.unwrap_or(now - sent);
        self.trip = Some(mean + (now - sent - mean) / 20.0);
    }

    /// A refused call used no quota that would come back: its send is forgotten.
    pub(super) fn refused(&mut self, seq: u64) {
        self.throttled += 1;
        if let Ok(index) = self.sends.binary_search_by_key(&seq, |send| send.0) {
            self.sends.remove(index);
        }
    }

    /// Mean round trip of successes in seconds; a guess before the first.
    pub(super) fn trip(&self) -> f64 {
        self.trip.unwrap_or(0.2)
    }

    /// Sends that stuck from `from` on and before `until`.
    #[expect(clippy::cast_precision_loss, reason = "at most so many as are remembered")]
    pub(super) fn count(&self, from: f64, until: f64) -> f64 {
        let before = |at: f64| self.sends.partition_point(|send| send.1 < at);
        before(until).saturating_sub(before(from)) as f64
    }

    /// Sends that stuck behind the one of this number, in order, and before `until`.
    #[expect(clippy::cast_precision_loss, reason = "at most so many as are remembered")]
    pub(super) fn count_after(&self, seq: u64, until: f64) -> f64 {
        let from = self.sends.partition_point(|send| send.0 <= seq);
        self.sends.partition_point(|send| send.1 < until).saturating_sub(from) as f64
    }

    /// The time of the first send that is remembered.
    pub(super) fn first(&self) -> f64 {
        self.sends.front().map_or(0.0, |send| send.1)
    }

    /// The time of the `n`-th last send, 1 being the last.
    pub(super) fn nth_last(&self, n: u64) -> Option<f64> {
        let index = self.sends.len().checked_sub(usize::try_from(n).ok()?)?;
        self.sends.get(index).map(|send| send.1)
    }

    /// The greatest of accepted ÷ (span + 2 s) over the spans that end at `at`: never above the rate
    /// of a bucket of two seconds' burst, and exact once it was drained.
    pub(super) fn least_rate(&self, at: f64) -> f64 {
        let end = self.sends.partition_point(|send| send.1 < at);
        let spans = (1_u32..).zip(self.sends.iter().take(end).rev());
        spans.map(|(count, send)| f64::from(count) / (at - send.1 + 2.0)).fold(0.0, f64::max)
    }
}
