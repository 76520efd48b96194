//! Window: so many calls in so much time, repeated each window.
//!
//! A send may start when the quota-th last send that stuck is one window old. Bursts therefore
//! repeat each window, which beats even sending by up to a window and costs no refusal. One event is
//! no window: the first is replayed, and a call beyond its quota, sent alone, decides.

use super::evidence::{Event, Finding};
use super::flow::Flow;

/// Lengths that servers use, in seconds.
const USUAL: [f64; 15] =
    [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 3600.0];
/// After so many calls, and at least two rounds, one beyond the quota asks whether the limit was
/// raised: a third of a percent of refusals at most.
const CALM: u64 = 300;
/// … and after so many seconds in any case.
const LONG: f64 = 300.0;

/// A window.
#[derive(Debug, Default)]
pub(super) struct Window {
    pub(super) quota: u64,
    pub(super) seconds: f64,
    /// Whether two events speak for it, and whether a round has held since. Until then its round is
    /// repeated.
    pub(super) known: bool,
    pub(super) proven: bool,
    /// The length that an earlier run learnt, from the next round on.
    learnt: Option<f64>,
    /// Added to the length against jitter of arrivals.
    margin: f64,
    /// The opening before this round, and sends in this round.
    start: f64,
    in_round: u64,
    /// Whether the call beyond the quota is on its way, alone: accepted, it disproves the window.
    pub(super) beyond: bool,
    /// Rounds without a refusal, and events that did not fit.
    calm: u64,
    odd: u32,
}

impl Window {
    /// One event: all that was accepted since `from` is one quota.
    pub(super) fn replay(flow: &Flow, event: &Event, from: f64) -> Self {
        let mut window = Self {
            quota: whole(flow.count(from, event.opening)),
            margin: 0.35 * flow.trip(),
            start: event.opening,
            ..Self::default()
        };
        // A wait in whole seconds is half a second too long on average.
        let late = if event.named { event.slack / 2.0 } else { 0.0 };
        window.seconds = Self::usual(event.opening - from, late, event, flow);
        window
    }

    /// An earlier run knew it: only this round, whose phase is unknown, is a replay.
    pub(super) fn known(self, quota: u64, seconds: f64) -> Self {
        Self { quota, learnt: Some(seconds), known: true, ..self }
    }

    /// When the next send may start.
    pub(super) fn free_at(&self, flow: &Flow) -> f64 {
        if self.is_due() {
            return 0.0;
        }
        self.returns(flow)
    }

    /// When the window has room again.
    pub(super) fn returns(&self, flow: &Flow) -> f64 {
        flow.nth_last(self.quota).map_or(0.0, |sent| sent + self.seconds + self.margin)
    }

    /// Whether a call beyond the quota is to be sent next.
    fn is_due(&self) -> bool {
        let rounds = u32::try_from(self.calm).unwrap_or(u32::MAX);
        let calm = self.calm * self.quota >= CALM || f64::from(rounds) * self.seconds >= LONG;
        self.in_round >= self.quota && (calm && rounds >= 2 || !self.known)
    }

    /// How many may be in flight.
    pub(super) fn in_flight(&self) -> f64 {
        if self.beyond || self.is_due() { 1.0 } else { f64::INFINITY }
    }

    pub(super) fn sent(&mut self) {
        if self.is_due() {
            self.beyond = true;
            return;
        }
        if self.in_round >= self.quota {
            self.in_round = 0;
            self.calm += 1;
            self.proven |= self.known;
            self.seconds = self.learnt.take().unwrap_or(self.seconds);
        }
        self.in_round += 1;
    }

    /// The gate opened after an event; whether the window is given up.
    pub(super) fn opened(&mut self, flow: &Flow, event: &Event, finding: Finding) -> bool {
        let beyond = std::mem::take(&mut self.beyond);
        if self.known && !beyond && self.is_odd(flow, event, finding) {
            return true;
        }
        if finding == Finding::Chance && !beyond {
            // What was refused is not used up.
            self.in_round = self.in_round.saturating_sub(whole(event.refusals));
            return false;
        }
        if !self.known {
            let used = whole(flow.count(self.start, event.opening));
            let elapsed = event.opening - self.start;
            let length = if event.named { elapsed } else { elapsed.max(self.seconds) };
            // Where the second event agrees with the first about the length, it is that.
            if (length - self.seconds).abs() > event.slack + flow.trip() {
                self.seconds = Self::usual(length, 0.0, event, flow);
            }
            self.known = beyond
                || event.refusals >= 2.0
                    && finding == Finding::Limit
                    && used * 100 >= self.quota * 85;
            self.quota = self.quota.min(used);
        }
        self.seconds = self.learnt.take().unwrap_or(self.seconds);
        self.calm = 0;
        self.start = event.opening;
        self.in_round = 0;
        false
    }

    /// A refusal in a window that was known: a little too early, which a wider margin cures, or for
    /// reasons that are no such window's?
    fn is_odd(&mut self, flow: &Flow, event: &Event, finding: Finding) -> bool {
        let edge = if event.named {
            (event.wait - event.slack) * self.per_second().max(8.0 / self.seconds) < 2.0
        } else {
            whole(flow.count(event.at - self.seconds, event.opening)) * 100 >= self.quota * 85
        };
        if edge {
            self.margin = (self.margin + 0.3 * flow.trip()).min(0.05 * self.seconds);
        }
        // Round after round refused, it is no matter of a margin.
        self.odd += u32::from(!edge || self.calm < 2);
        self.odd >= 2 || !edge && finding == Finding::Limit
    }

    /// The usual length nearest to `seconds`, if it is near enough to be meant: within the doubt of
    /// the wait and of half a round trip. `late` is how much too long it is on average.
    fn usual(seconds: f64, late: f64, event: &Event, flow: &Flow) -> f64 {
        let doubt = event.slack + (flow.trip() / 2.0 + 0.05).max(0.15);
        let early = if event.named { doubt } else { doubt - event.slack };
        let near = |usual: &f64| (usual - seconds + late).abs();
        USUAL
            .into_iter()
            .filter(|usual| (seconds - doubt..=seconds + early).contains(usual))
            .min_by(|a, b| near(a).total_cmp(&near(b)))
            .unwrap_or(seconds.max(0.1))
    }

    /// Calls per second on average.
    #[expect(clippy::cast_precision_loss, reason = "counts of calls")]
    pub(super) fn per_second(&self) -> f64 {
        self.quota as f64 / self.seconds
    }
}

/// A count of calls, at least one.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts of calls")]
fn whole(count: f64) -> u64 {
    (count as u64).max(1)
}
