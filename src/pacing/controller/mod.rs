//! The controller: finds the server's limit and keeps just below it.
//!
//! It passes through at most three states: a ramp, then either a pace or a window.

mod flow;
mod pace;
mod ramp;
mod rules;
mod window;

use self::flow::Flow;
use self::pace::Pace;
pub use self::rules::Rules;
use self::window::{Verdict, Window};
use super::learnt::{Learnt, Limit};

/// When the next request may start, as far as the controller is concerned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Allow {
    /// At this time (now, if it has passed), while fewer than `in_flight` are in flight.
    At {
        /// Seconds since the start of the run.
        time: f64,
        /// The most that may be in flight with it.
        in_flight: f64,
    },
}

/// A refusal and those that came with it: all between two openings of the gate.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// Arrival of the first refusal.
    pub(super) at: f64,
    /// How many refusals.
    pub(super) refusals: f64,
    /// The wait of the last refusal, in seconds.
    pub(super) wait: f64,
    /// How much the wait may be too long: 1 s for whole seconds.
    pub(super) slack: f64,
    /// Whether the wait is exact.
    pub(super) exact: bool,
    /// Whether the server named a wait.
    pub(super) named: bool,
    /// When the gate opens.
    pub(super) opening: f64,
}

enum Phase {
    Ramp,
    Pace(Pace),
    Window(Window),
}

/// The controller.
pub(super) struct Controller {
    rows: f64,
    rules: Rules,
    flow: Flow,
    phase: Phase,
    first_send: Option<f64>,
    last_opening: f64,
    /// Whether a learnt limit was given.
    learnt: bool,
    /// Waits without a Retry-After in a row.
    blind: u32,
}

impl Controller {
    pub(super) fn new(rows: u64, learnt: Option<Learnt>, rules: Rules) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "counts of rows")]
        let rows = rows.max(1) as f64;
        let phase = match learnt.map(|learnt| learnt.limit) {
            None => Phase::Ramp,
            Some(Limit::Pace { rate, burst }) => Phase::Pace(Pace::learnt(rate, burst)),
            Some(Limit::Window { quota, seconds, fixed }) => {
                Phase::Window(Window::learnt(quota, seconds, Some(fixed)))
            }
        };
        Self {
            rows,
            rules,
            flow: Flow::default(),
            phase,
            first_send: None,
            last_opening: 0.0,
            learnt: learnt.is_some(),
            blind: 0,
        }
    }

    pub(super) fn allow(&self) -> Allow {
        #[expect(clippy::cast_precision_loss, reason = "counts of calls")]
        let accepted = self.flow.accepted as f64;
        let ramp = ramp::in_flight(self.rows, accepted);
        let (time, in_flight) = match &self.phase {
            Phase::Ramp => (0.0, ramp),
            // Twice what rate × latency needs, so that slow answers do not hold up the pace.
            Phase::Pace(pace) => {
                (pace.free_at(), (2.0 * pace.rate * self.flow.round_trip()).ceil() + 2.0)
            }
            Phase::Window(window) => {
                (window.free_at(&self.flow), if window.alone() { 1.0 } else { f64::INFINITY })
            }
        };
        if self.blind > 0 {
            return Allow::At { time, in_flight: 1.0 };
        }
        Allow::At { time, in_flight }
    }

    pub(super) fn sent(&mut self, seq: u64, now: f64) {
        self.first_send.get_or_insert(now);
        self.flow.sent(seq, now);
        match &mut self.phase {
            Phase::Ramp => {}
            Phase::Pace(pace) => pace.sent(now),
            Phase::Window(window) => window.sent(now),
        }
    }

    pub(super) fn accepted(&mut self, sent: f64, now: f64) {
        self.flow.accepted(sent, now);
        if sent >= self.last_opening {
            self.blind = 0;
        }
        let budget_spent = self.budget_spent();
        match &mut self.phase {
            Phase::Ramp => {}
            Phase::Pace(pace) => pace.grow(now, self.rows, budget_spent, &self.rules),
            Phase::Window(window) => window.accepted(),
        }
    }

    /// Whether another event could take the refusals past 2 % of the rows.
    fn budget_spent(&self) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "counts of calls")]
        let throttled = self.flow.throttled as f64;
        let rate = self.per_second().unwrap_or(0.0);
        let share = if self.learnt { (0.004 * self.rows).max(1.0) } else { 0.02 * self.rows };
        throttled + (1.0 + 0.04 * rate).floor() > share
    }

    pub(super) fn throttled(&mut self, seq: u64) {
        self.flow.throttled += 1;
        self.flow.forget(seq);
    }

    /// How long to wait after a refusal that names no time, in seconds.
    pub(super) fn blind_wait(&self) -> f64 {
        match self.blind {
            0 => match &self.phase {
                Phase::Pace(pace) => (2.0 / pace.rate).clamp(1.0, 10.0),
                _ => 2.0,
            },
            1 => 8.0,
            2 => 20.0,
            3 => 30.0,
            _ => 60.0,
        }
    }

    /// The gate opened after an event.
    pub(super) fn opened(&mut self, event: &Event) {
        self.blind = if event.named { 0 } else { self.blind + 1 };
        let first_send = self.first_send.unwrap_or(0.0);
        let is_window = self.is_window(event);
        let verdict = match &mut self.phase {
            Phase::Ramp | Phase::Pace(_) if is_window => {
                self.phase = Phase::Window(Window::estimate(&self.flow, event, first_send));
                Verdict::Keep
            }
            Phase::Ramp => {
                self.phase = Phase::Pace(Pace::estimate(&self.flow, event));
                Verdict::Keep
            }
            Phase::Pace(pace) => {
                if self.blind < 2 {
                    pace.opened(&self.flow, event, &self.rules);
                }
                Verdict::Keep
            }
            Phase::Window(window) => window.opened(&self.flow, event),
        };
        if let Verdict::Pace(rate) = verdict {
            self.phase = Phase::Pace(Pace::start(rate, &self.flow, event));
        }
        self.last_opening = event.opening;
    }

    /// Whether the wait is worth more calls than a bucket would ever ask for.
    fn is_window(&self, event: &Event) -> bool {
        if !self.rules.windows {
            return false;
        }
        #[expect(clippy::cast_precision_loss, reason = "counts of calls")]
        let accepted =
            self.flow
                .count_before(event.at)
                .saturating_sub(self.flow.count_before(self.last_opening)) as f64;
        let time = event.opening - self.last_opening;
        let mut rate = accepted / (time + 2.0);
        if let Phase::Pace(pace) = &self.phase {
            rate = pace.rate.min(accepted / time);
        }
        (event.wait - event.slack) * rate > 1.5 + 1.3 * event.refusals && event.wait > 0.25 * time
    }

    /// The rate that is being kept, once one is known, in calls per second.
    pub(super) fn per_second(&self) -> Option<f64> {
        match &self.phase {
            Phase::Ramp => None,
            Phase::Pace(pace) => Some(pace.rate),
            Phase::Window(window) => Some(window.quota_rate()),
        }
    }

    pub(super) fn throttled_count(&self) -> u64 {
        self.flow.throttled
    }

    pub(super) fn accepted_count(&self) -> u64 {
        self.flow.accepted
    }

    pub(super) fn learnt(&self) -> Option<Learnt> {
        let limit = match &self.phase {
            Phase::Ramp => return None,
            Phase::Pace(pace) => Limit::Pace { rate: pace.rate, burst: 0.0 },
            Phase::Window(window) => {
                Limit::Window { quota: window.quota, seconds: window.seconds, fixed: window.fixed? }
            }
        };
        Some(Learnt::new(limit))
    }

    pub(super) fn add_rows(&mut self, n: u64) {
        #[expect(clippy::cast_precision_loss, reason = "counts of rows")]
        let n = n as f64;
        self.rows += n;
    }
}
