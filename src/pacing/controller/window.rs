//! Window: so many calls in so much time, repeated each window.
//!
//! A send may start when the quota-th last send that stuck is one window old. Bursts therefore
//! repeat each window, which beats even sending by up to a window and costs no refusal.

use super::Event;
use super::flow::Flow;

/// Lengths that servers use, in seconds.
const USUAL: [f64; 13] =
    [1.0, 2.0, 5.0, 6.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 3600.0];

/// A window.
#[derive(Clone, Debug)]
pub(super) struct Window {
    pub(super) quota: u64,
    pub(super) seconds: f64,
    /// Whether the whole quota returns at one moment, once known.
    pub(super) fixed: Option<bool>,
    /// Added to the length against jitter of arrivals.
    margin: f64,
    /// Start of the round and sends in it.
    round: f64,
    in_round: u64,
    rounds: u32,
    /// Sends before this time do not count any more (a fixed window's new start).
    forgotten: u64,
    /// The round's first send goes alone and is in flight.
    calm_rounds: u32,
    failures: u32,
}

/// What the window makes of an event.
pub(super) enum Verdict {
    /// Go on.
    Keep,
    /// It is no window: pace at this rate.
    Pace(f64),
}

impl Window {
    pub(super) fn estimate(flow: &Flow, event: &Event, first_send: f64) -> Self {
        let mut window = Self::learnt(flow.accepted.max(1), 1.0, None);
        window.seconds = usual(event.opening - first_send, event.slack);
        window.round = event.opening;
        window.margin = 0.35 * flow.round_trip();
        window
    }

    pub(super) fn learnt(quota: u64, seconds: f64, fixed: Option<bool>) -> Self {
        Self {
            quota,
            seconds,
            fixed,
            margin: 0.05,
            round: 0.0,
            in_round: 0,
            rounds: 0,
            forgotten: 0,
            calm_rounds: 0,
            failures: 0,
        }
    }

    /// When the next send may start.
    pub(super) fn free_at(&self, flow: &Flow) -> f64 {
        let known = flow.count_before(f64::INFINITY).saturating_sub(self.forgotten);
        if known < self.quota {
            return 0.0;
        }
        flow.nth_last(self.quota).map_or(0.0, |sent| sent + self.seconds + self.margin)
    }

    /// Whether the next send opens a round and must go alone.
    pub(super) fn alone(&self) -> bool {
        self.fixed.is_none() && self.rounds == 1 && self.in_round >= self.quota
    }

    pub(super) fn sent(&mut self, now: f64) {
        if self.in_round >= self.quota {
            self.rounds += 1;
            self.calm_rounds += 1;
            self.round = now;
            self.in_round = 0;
            if self.calm_rounds >= 8 << self.failures.min(4) {
                self.calm_rounds = 0;
                self.quota += (self.quota / 50).max(1);
            }
        }
        self.in_round += 1;
    }

    /// A probe was accepted: the length holds.
    pub(super) fn accepted(&mut self) {
        if self.fixed.is_none() && self.rounds >= 2 {
            self.fixed = Some(false);
        }
    }

    /// The gate opened after an event.
    pub(super) fn opened(&mut self, flow: &Flow, event: &Event) -> Verdict {
        let last = |span: f64| {
            flow.count_before(event.at).saturating_sub(flow.count_before(event.at - span)).max(1)
        };
        self.calm_rounds = 0;
        let at_start = self.in_round <= 1;
        if self.fixed.is_none() {
            let length = usual(event.opening - self.round, event.slack);
            if at_start && self.rounds >= 2 {
                // The quota did not come back by age: a fixed window.
                self.fixed = Some(true);
                self.seconds = self.seconds.max(usual(event.opening - self.round, event.slack));
                self.forgotten = flow.count_before(f64::INFINITY);
            } else if length > self.seconds / 2.0 {
                // Inside a round: the first window was straddled.
                self.seconds = length;
                self.quota = last(length);
            }
        } else if last(self.seconds) * 100 >= self.quota * 85
            || event.wait * self.quota_rate() < 2.0
        {
            self.margin = (self.margin + 0.3 * flow.round_trip()).min(0.05 * self.seconds);
            self.failures += 1;
        } else {
            self.quota = last(self.seconds);
            self.failures += 1;
        }
        if self.fixed == Some(true) {
            self.forgotten = flow.count_before(event.opening);
        }
        self.round = event.opening;
        self.in_round = 0;
        Verdict::Keep
    }

    pub(super) fn quota_rate(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "counts of calls")]
        let quota = self.quota as f64;
        quota / self.seconds
    }
}

/// The usual length nearest to `seconds`, if near enough to be meant.
fn usual(seconds: f64, slack: f64) -> f64 {
    USUAL
        .into_iter()
        .filter(|usual| (usual - seconds).abs() <= slack + 0.15)
        .min_by(|a, b| (a - seconds).abs().total_cmp(&(b - seconds).abs()))
        .unwrap_or(seconds.max(0.1))
}
