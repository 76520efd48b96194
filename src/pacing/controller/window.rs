//! Window: so many calls in so much time, repeated each window.
//!
//! A send may start when the quota-th last send that stuck is one window old. Bursts therefore
//! repeat each window, which beats even sending by up to a window and costs no refusal.

use super::Event;
use super::flow::Flow;
use super::rules::{Rule, Rules};

/// Lengths that servers use, in seconds.
const USUAL: [f64; 15] =
    [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 3600.0];

/// Rounds without a refusal before the quota is first tried higher; doubled by each refusal.
const PATIENCE: u32 = 8;

/// After a refusal so many sends go in small number …
const PROOF: u64 = 8;
/// … of at most so many in flight.
const WARY: f64 = 4.0;

/// So many seconds of waiting in vain are worth one refusal in any job.
const STAKE: f64 = 240.0;

/// What is known of the window's kind.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Shape {
    /// The length is a guess; the first round under it goes at once, the next begins with a probe.
    Guessed,
    /// One event alone speaks for the window: a call beyond the quota, which a window refuses, is in
    /// flight.
    Tried,
    /// The probe is in flight.
    Probing,
    /// Calls come back one by one as they age.
    Sliding,
    /// All calls come back at one moment.
    Fixed,
    /// As `Fixed`, but when that moment comes is not known yet (a learnt start).
    Unphased,
}

/// What speaks for the window.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Evidence {
    /// One event, which may have been chance.
    One,
    /// The same, and the call beyond the quota is due.
    Due,
    /// A second event has agreed, or several waits.
    Two,
}

/// A window.
#[derive(Clone, Debug)]
pub(super) struct Window {
    rules: Rules,
    quota: u64,
    seconds: f64,
    shape: Shape,
    /// Whether the shape is more than a guess.
    sure: bool,
    /// Added to the length against jitter of arrivals.
    margin: f64,
    /// Start of this round and of the former one, and sends in this one.
    start: f64,
    former: f64,
    in_round: u64,
    /// Whether the last opening has not proved itself yet.
    wary: bool,
    /// Sends that do not count any more: those before a fixed window's new start.
    forgotten: u64,
    /// Rounds without a refusal, and how many are waited for before the quota is tried higher.
    calm: u32,
    patience: u32,
    /// How many fiftieths higher; doubled by each success.
    stride: u64,
    /// What an earlier run learnt has not been refused in this one.
    trusted: bool,
    /// The quota before it was last tried higher, until that has held for a round.
    proven: Option<u64>,
    evidence: Evidence,
}

impl Window {
    /// After a refusal with a long wait: all that was accepted since `from` is one quota. `first`
    /// tells that nothing was refused before.
    pub(super) fn estimate(
        flow: &Flow,
        event: &Event,
        from: f64,
        first: bool,
        rules: Rules,
    ) -> Self {
        let quota = flow.count(from, event.opening);
        let mut window = Self::learnt(quota.max(1), 1.0, true, rules);
        window.shape = Shape::Guessed;
        window.trusted = false;
        window.evidence = Evidence::One;
        window.seconds = window.usual(event.opening - from, event, flow);
        // Only a sliding window's first wait gives its length at once.
        window.sure = first && USUAL.contains(&window.seconds);
        window.margin = 0.35 * flow.round_trip();
        window.calm = 0;
        window.start = event.opening;
        window.former = from;
        window
    }

    /// After waits of our own choosing: the quota was back after `elapsed` seconds.
    pub(super) fn sounded(
        flow: &Flow,
        quota: u64,
        elapsed: f64,
        opening: f64,
        rules: Rules,
    ) -> Self {
        let mut window = Self::learnt(quota.max(1), usual_below(elapsed), false, rules);
        window.shape = Shape::Guessed;
        window.trusted = false;
        window.margin = 0.35 * flow.round_trip();
        window.calm = 0;
        window.start = opening;
        window
    }

    /// From what an earlier run learnt.
    pub(super) fn learnt(quota: u64, seconds: f64, fixed: bool, rules: Rules) -> Self {
        Self {
            rules,
            quota,
            seconds,
            shape: if fixed { Shape::Unphased } else { Shape::Sliding },
            sure: !fixed,
            margin: 0.07,
            start: 0.0,
            former: 0.0,
            in_round: 0,
            wary: false,
            forgotten: 0,
            // What was learnt has held for a round before.
            calm: 1,
            patience: PATIENCE,
            stride: 1,
            trusted: true,
            proven: None,
            evidence: Evidence::Two,
        }
    }

    /// When the next send may start.
    pub(super) fn free_at(&self, flow: &Flow) -> f64 {
        let counted = flow.count_before(f64::INFINITY).saturating_sub(self.forgotten);
        if counted < self.quota || self.evidence == Evidence::Due || self.shape == Shape::Unphased {
            return 0.0;
        }
        flow.nth_last(self.quota).map_or(0.0, |sent| sent + self.seconds + self.margin)
    }

    /// How many may be in flight.
    pub(super) fn in_flight(&self, flow: &Flow) -> f64 {
        match self.shape {
            // The probe and the trial go alone.
            Shape::Probing | Shape::Tried => 1.0,
            Shape::Guessed if self.in_round >= self.quota => 1.0,
            // Past its quota, the window's end is felt out at the mean rate.
            Shape::Unphased if self.in_round >= self.quota => {
                (self.per_second() * flow.round_trip()).ceil()
            }
            // After a refusal, how much came back is found out by a few.
            _ if self.wary => WARY,
            _ => f64::INFINITY,
        }
    }

    /// A send starts. `affordable` tells whether a refusal would be within what trying may cost,
    /// `left` how many rows are, and `dear` that each refusal counts.
    pub(super) fn sent(&mut self, now: f64, affordable: bool, left: f64, dear: bool) {
        if self.evidence == Evidence::Due {
            self.evidence = Evidence::One;
            self.shape = Shape::Tried;
            return;
        }
        if self.in_round >= self.quota && self.shape != Shape::Unphased {
            self.begin_round(now, affordable);
        }
        self.in_round += 1;
        self.wary &= self.in_round < PROOF;
        if self.in_round == self.quota
            && self.evidence == Evidence::One
            && self.shape == Shape::Guessed
            && self.rules.has(Rule::Trial)
            && self.is_worth_a_trial(left, dear)
        {
            self.evidence = Evidence::Due;
        }
    }

    /// Whether to be wrong about this window would cost more than one refusal.
    fn is_worth_a_trial(&self, left: f64, dear: bool) -> bool {
        if dear { left / self.per_second() > STAKE } else { left > self.quota() }
    }

    fn begin_round(&mut self, now: f64, affordable: bool) {
        self.former = self.start;
        self.start = now;
        self.in_round = 0;
        self.calm += 1;
        // A trial that is still on had no answer.
        if matches!(self.shape, Shape::Guessed | Shape::Tried) {
            let probe = self.rules.has(Rule::Probe);
            self.shape = if probe { Shape::Probing } else { Shape::Sliding };
        } else if self.proven.is_some() && self.calm >= 2 {
            self.proven = None;
            self.stride = (self.stride * 2).min(25);
            self.calm = self.patience;
        } else if affordable && self.calm >= self.patience && self.rules.has(Rule::Raise) {
            self.calm = 0;
            self.proven = Some(self.quota);
            self.quota += (self.quota * self.stride / 50).max(1);
        }
    }

    /// A call was accepted; whether that disproves the window.
    pub(super) fn accepted(&mut self) -> bool {
        if self.shape == Shape::Probing {
            self.shape = Shape::Sliding;
        }
        self.shape == Shape::Tried
    }

    /// The gate opened after an event.
    pub(super) fn opened(&mut self, flow: &Flow, event: &Event) {
        let now_fixed = match self.shape {
            _ if !event.named => {
                self.search(flow, event);
                false
            }
            Shape::Unphased => true,
            // Refused as a window would: the wait tells its length, and its start if it is fixed.
            Shape::Tried => {
                let elapsed = event.opening - self.start;
                // The gate opens up to a quarter of a second late.
                let doubt = event.slack + 0.25 + flow.round_trip();
                let fits = (elapsed - self.seconds).abs() <= doubt;
                let former = self.seconds;
                if !fits || !USUAL.contains(&former) {
                    self.seconds = self.usual(elapsed, event, flow);
                }
                self.shape = Shape::Guessed;
                !fits && (self.seconds / former - 1.0).abs() > 0.1
            }
            // The quota did not come back by age, so it comes back all at once.
            Shape::Probing => {
                self.seconds = self.usual(event.opening - self.former, event, flow);
                true
            }
            // Somebody else used the rest of what an earlier run learnt.
            Shape::Sliding
                if self.trusted && !self.is_full(flow, event) && self.rules.has(Rule::Shared) =>
            {
                false
            }
            // It did not come back at once either.
            Shape::Fixed
                if event.opening - self.start < 0.5 * self.seconds
                    && self.used(flow, event) * 2 < self.quota
                    && self.proven.is_none() =>
            {
                self.shape = Shape::Sliding;
                self.sure = true;
                self.forgotten = 0;
                false
            }
            // The first window was straddled, and this one began at the last opening.
            Shape::Guessed if event.opening - self.start > self.seconds / 2.0 => {
                self.seconds = self.usual(event.opening - self.start, event, flow);
                self.sure = false;
                self.quota = self.used(flow, event).max(1);
                false
            }
            shape => {
                self.correct(flow, event);
                shape == Shape::Fixed
            }
        };
        if now_fixed {
            self.shape = Shape::Fixed;
            self.forgotten = flow.count_before(event.opening);
        }
        self.trusted = false;
        self.evidence = Evidence::Two;
        self.calm = 0;
        self.wary = self.rules.has(Rule::Wary);
        self.former = self.start;
        self.start = event.opening;
        self.in_round = 0;
    }

    /// Whether what was accepted of late is about the quota.
    fn is_full(&self, flow: &Flow, event: &Event) -> bool {
        flow.count(event.at - self.seconds, event.opening) * 100 >= self.quota * 85
    }

    /// Sends that stuck in this round.
    fn used(&self, flow: &Flow, event: &Event) -> u64 {
        flow.count(self.start, event.opening)
    }

    /// A refusal in a window that was known: was it too much, too early, or was the limit cut?
    fn correct(&mut self, flow: &Flow, event: &Event) {
        let recent = flow.count(event.at - self.seconds, event.opening);
        let early = event.opening - self.start < 0.5 * self.seconds;
        let longer = self.usual(event.opening - self.former, event, flow);
        let on_edge = self.is_full(flow, event) || event.wait * self.per_second() < 2.0;
        if let Some(proven) = self.proven.take() {
            self.quota = proven;
        } else if early && longer > 1.05 * self.seconds && USUAL.contains(&longer) {
            self.seconds = longer;
        } else if on_edge && self.rules.has(Rule::Margin) {
            self.widen(flow);
        } else {
            let length = self.usual(event.opening - self.start, event, flow);
            if length < 0.75 * self.seconds {
                self.seconds = length;
            }
            self.quota = recent.max(1);
        }
        self.patience = self.patience.saturating_mul(2);
        self.stride = 1;
    }

    /// The same where no wait was named: the time that sufficed is all that is known.
    fn search(&mut self, flow: &Flow, event: &Event) {
        let within = |seconds: f64| flow.count(event.at - seconds, event.at);
        if let Some(proven) = self.proven.take() {
            self.quota = proven;
        } else if self.used(flow, event) * 2 <= self.quota {
            // Refused at a round's start: where a round has held before, its edge was met; else the
            // window is longer.
            let longer = usual_below(event.opening - self.former).max(self.seconds);
            if self.calm >= 2 && longer <= self.seconds {
                self.widen(flow);
            } else {
                self.seconds = longer;
                self.quota = within(longer).max(1);
            }
        } else if within(self.seconds) * 100 < self.quota * 85 {
            self.quota = within(self.seconds).max(1);
        } else {
            self.widen(flow);
        }
        if self.shape != Shape::Guessed {
            self.shape = Shape::Sliding;
        }
        self.patience = self.patience.saturating_mul(2);
        self.stride = 1;
    }

    fn widen(&mut self, flow: &Flow) {
        self.margin = (self.margin + 0.3 * flow.round_trip()).min(0.05 * self.seconds);
    }

    /// The usual length nearest to `seconds`, if it is near enough to be meant: within the doubt
    /// of the wait and of half a round trip.
    fn usual(&self, seconds: f64, event: &Event, flow: &Flow) -> f64 {
        let doubt = event.slack + (flow.round_trip() / 2.0 + 0.05).max(0.15);
        // A wait in whole seconds is half a second too long on average.
        let likely = seconds - event.slack / 2.0;
        USUAL
            .into_iter()
            .filter(|usual| (usual - seconds).abs() <= doubt && self.rules.has(Rule::UsualLength))
            .min_by(|a, b| (a - likely).abs().total_cmp(&(b - likely).abs()))
            .unwrap_or(seconds.max(0.1))
    }

    /// Calls in one window.
    pub(super) fn quota(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "counts of calls")]
        let quota = self.quota as f64;
        quota
    }

    /// Calls per second on average.
    pub(super) fn per_second(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "counts of calls")]
        let quota = self.quota as f64;
        quota / self.seconds
    }

    /// Quota, seconds and whether the phase matters, once the length is confirmed.
    pub(super) fn confirmed(&self) -> Option<(u64, f64, bool)> {
        match self.shape {
            Shape::Guessed | Shape::Tried | Shape::Probing => None,
            _ if self.evidence != Evidence::Two => None,
            Shape::Sliding => Some((self.quota, self.seconds, !self.sure)),
            Shape::Fixed | Shape::Unphased => Some((self.quota, self.seconds, true)),
        }
    }
}

/// The greatest usual length that is not above `seconds`.
fn usual_below(seconds: f64) -> f64 {
    USUAL.into_iter().rev().find(|usual| *usual <= seconds).unwrap_or(seconds.max(0.1))
}
