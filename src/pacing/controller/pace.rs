//! Pace: one send each 1/rate seconds, for buckets and for windows of about a second.
//!
//! From refusal to refusal a bucket goes from empty to empty, so the calls accepted between two
//! refusals, divided by the time, are its rate, whatever its burst.

use super::Event;
use super::flow::Flow;
use super::rules::Rules;

/// The pace.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    /// Sends per second.
    pub(super) rate: f64,
    /// The rate measured at the last event, once there was one between two refusals.
    measured: Option<f64>,
    /// The rate that was refused.
    ceiling: Option<f64>,
    /// Growth per second while below `soft`, and its end.
    search: Option<(f64, f64)>,
    /// The next slot.
    next: f64,
    /// When the cycle began, and the sends that stuck before it.
    cycle: (f64, u64),
    /// Refusals of the last event.
    former_k: f64,
    /// Last time that the rate grew.
    grown: f64,
    /// The last refusal.
    calm_since: f64,
    /// Calls that may go at once (a learnt burst).
    burst: f64,
    learnt: bool,
}

impl Pace {
    /// After the first event: what is known is a lower bound.
    pub(super) fn estimate(flow: &Flow, event: &Event) -> Self {
        let mut rate = flow.trailing_rate(0.0, event.at);
        if flow.accepted <= 1 {
            rate = rate.max(1.0 / event.opening.max(0.1));
        }
        Self::start(rate.max(1e-3), flow, event)
    }

    /// At a known rate, after an event.
    pub(super) fn start(rate: f64, flow: &Flow, event: &Event) -> Self {
        let mut pace = Self::learnt(rate, 0.0);
        pace.learnt = false;
        pace.begin_cycle(flow, event);
        pace
    }

    /// From what an earlier run learnt.
    pub(super) fn learnt(rate: f64, burst: f64) -> Self {
        Self {
            rate,
            measured: None,
            ceiling: None,
            search: None,
            next: 0.0,
            cycle: (0.0, 0),
            former_k: 0.0,
            grown: 0.0,
            calm_since: 0.0,
            burst: (0.8 * burst).floor(),
            learnt: true,
        }
    }

    fn begin_cycle(&mut self, flow: &Flow, event: &Event) {
        let from = if event.exact { event.opening } else { event.at };
        self.cycle = (from, flow.count_before(from));
        self.former_k = event.refusals;
        self.grown = event.opening;
        self.calm_since = event.opening;
        self.next = event.opening;
    }

    /// When the next send may start.
    pub(super) fn free_at(&self) -> f64 {
        if self.burst >= 1.0 { 0.0 } else { self.next }
    }

    pub(super) fn sent(&mut self, now: f64) {
        if self.burst >= 1.0 {
            self.burst -= 1.0;
        }
        // No catching up beyond half a gap: the bucket itself keeps what a pause leaves.
        self.next = (self.next + 1.0 / self.rate).max(now + 0.5 / self.rate);
    }

    /// A success at `now`; `waited` tells whether sends are held back by the pace.
    pub(super) fn grow(&mut self, now: f64, rows: f64, budget_spent: bool, rules: &Rules) {
        let step = (now - self.grown).clamp(0.0, 1.0);
        self.grown = now;
        let calm = now - self.calm_since;
        let growth = match (self.measured, self.search) {
            _ if budget_spent => {
                if self.learnt {
                    0.0
                } else {
                    0.0003
                }
            }
            // No measure yet: climb until the second refusal gives one.
            (None, _) if !self.learnt && rules.climb => 0.35,
            (Some(_), Some((growth, end))) if self.rate < end => growth,
            _ => {
                let room = (rows / 1000.0).min(1.0);
                0.0004 * room * (1.0 + room * (calm / 20.0).powi(2))
            }
        };
        let most = if self.measured.is_none() && !self.learnt {
            (rows / 2000.0).powi(2).clamp(0.003, 0.5)
        } else {
            0.5
        };
        self.rate *= 1.0 + (growth * step).min(most);
    }

    /// The gate opened after an event.
    pub(super) fn opened(&mut self, flow: &Flow, event: &Event, rules: &Rules) {
        let end = if event.exact { event.opening } else { event.at };
        let time = (end - self.cycle.0).max(1e-3);
        #[expect(clippy::cast_precision_loss, reason = "counts of calls")]
        let accepted = (flow.count_before(end).saturating_sub(self.cycle.1)) as f64;
        let credit = if event.exact { 0.0 } else { self.former_k / 2.0 };
        let mut low = (accepted + credit) / time;
        if rules.trailing_bound {
            low = low.max(flow.trailing_rate(self.cycle.0, event.at));
        }
        let low = low.max(1e-3);
        let sent_rate = self.rate;
        let uncertainty = 1.0 / accepted.max(1.0);
        let agrees = self.measured.is_some_and(|former| (former / low - 1.0).abs() < 0.06);
        self.ceiling = Some(match self.ceiling {
            Some(ceiling) if sent_rate < 0.97 * ceiling => low + 0.3 * (sent_rate - low).max(0.0),
            _ => sent_rate,
        });
        if agrees {
            self.rate = 0.99 * low;
            self.search = None;
        } else {
            self.rate = low;
            self.search = Some((uncertainty / 5.0, low * (1.0 + uncertainty)));
        }
        self.measured = Some(low);
        self.begin_cycle(flow, event);
    }
}
