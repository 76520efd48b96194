//! The controller: finds the server's limit and keeps just below it.
//!
//! It passes through at most three states: a ramp, then either a pace or a window.

mod flow;
mod noise;
mod pace;
mod ramp;
mod rules;
mod window;

use self::flow::Flow;
use self::pace::Pace;
pub use self::rules::{Rule, Rules};
use self::window::Window;
use super::learnt::{Learnt, Limit};

/// So long at most, in seconds, nothing is sent on the strength of a conclusion alone.
const PATIENCE: f64 = 60.0;

/// How long growth stops after the server said that the limit is near, in seconds.
const NEAR_LIMIT: f64 = 10.0;

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

/// Waits of our own choosing, because the server names none.
struct Sounding {
    /// The event that began it.
    event: Event,
    /// How many there were.
    waits: u32,
}

enum Phase {
    /// No limit has shown itself.
    Ramp,
    Pace(Box<Pace>),
    Window(Window),
}

/// The controller. Times are seconds since the start of the run.
pub(super) struct Controller {
    rows: f64,
    rules: Rules,
    flow: Flow,
    phase: Phase,
    /// The pace before a window that one event alone speaks for: rate, burst and doubt.
    before: Option<(f64, f64, f64)>,
    learnt: Option<Learnt>,
    first_send: Option<f64>,
    last_send: f64,
    /// The longest wait between two sends that the server gave reason for.
    longest: f64,
    last_opening: f64,
    /// How often the gate opened after refusals.
    events: u32,
    sounding: Option<Sounding>,
    /// The ramp stays where it was at so many successes until this time.
    held: Option<(f64, f64)>,
}

impl Controller {
    pub(super) fn new(rows: u64, learnt: Option<Learnt>, rules: Rules) -> Self {
        let rows = as_f64(rows.max(1));
        let phase = match learnt.map(|learnt| learnt.limit) {
            None => Phase::Ramp,
            Some(Limit::Pace { rate, burst, doubt }) => {
                Phase::Pace(Box::new(Pace::learnt(rate, burst, doubt, rows, rules)))
            }
            Some(Limit::Window { quota, seconds, fixed }) => {
                Phase::Window(Window::learnt(quota, seconds, fixed, rules))
            }
        };
        let longest = match learnt.map(|learnt| learnt.limit) {
            Some(Limit::Window { seconds, .. }) => seconds.max(PATIENCE),
            _ => PATIENCE,
        };
        Self {
            rows,
            rules,
            flow: Flow::default(),
            phase,
            before: None,
            first_send: None,
            last_send: 0.0,
            longest,
            last_opening: 0.0,
            events: 0,
            learnt,
            sounding: None,
            held: None,
        }
    }

    /// When the next request may start, and how many may be in flight with it.
    pub(super) fn allow(&self, now: f64) -> (f64, f64) {
        let (time, in_flight) = match &self.phase {
            Phase::Ramp if !self.rules.has(Rule::Ramp) => (0.0, f64::INFINITY),
            Phase::Ramp => {
                let held = self.held.filter(|held| now < held.0).map(|held| held.1);
                let accepted = held.unwrap_or(as_f64(self.flow.accepted));
                (0.0, ramp::in_flight(self.rows, accepted))
            }
            Phase::Pace(pace) => (pace.free_at(), pace.in_flight(&self.flow)),
            Phase::Window(window) => (window.free_at(&self.flow), window.in_flight(&self.flow)),
        };
        // Whatever was concluded: after the longest wait that the server ever asked for, one asks.
        let time = time.min(self.last_send + 1.1 * self.longest);
        // After a wait of our own choosing, one call asks whether it sufficed.
        if self.sounding.is_some() { (time, 1.0) } else { (time, in_flight) }
    }

    /// A request starts.
    pub(super) fn sent(&mut self, seq: u64, now: f64) {
        self.first_send.get_or_insert(now);
        self.last_send = now;
        self.flow.sent(seq, now);
        let affordable = self.affords(1.0, if self.learnt.is_some() { 0.004 } else { 0.01 });
        let (left, dear) = (self.left(), !self.affords(1.0, 0.01));
        match &mut self.phase {
            Phase::Ramp => {}
            Phase::Pace(pace) => pace.sent(now),
            Phase::Window(window) => window.sent(now, affordable, left, dear),
        }
    }

    /// A request that had started at `sent` was accepted, or at least not refused by the limit.
    pub(super) fn accepted(&mut self, sent: f64, now: f64) {
        self.flow.accepted(sent, now);
        if sent >= self.last_opening {
            self.sounded();
        }
        // Another event must not take the refusals past 2 % of the rows.
        let event = (1.0 + 0.04 * self.per_second().unwrap_or(0.0)).floor();
        let over = match self.learnt {
            Some(_) => !self.affords(event, 0.004) && !self.affords(event, 1.0 / self.rows),
            // The first burst is all that the ramp had in flight; it is counted as one.
            None if self.events == 1 => 1.0 + event > 0.02 * self.rows,
            None => !self.affords(event, 0.02),
        };
        let left = self.left();
        match &mut self.phase {
            Phase::Ramp => {}
            Phase::Pace(pace) => pace.accepted(&self.flow, now, self.rows, left, over),
            Phase::Window(window) => {
                if window.accepted() {
                    self.phase = self.before.take().map_or(Phase::Ramp, |learnt| {
                        Phase::Pace(Box::new(Pace::resumed(learnt, now, self.rows, self.rules)))
                    });
                }
            }
        }
    }

    /// The server says what share of the limit is in use.
    pub(super) fn near_limit(&mut self, now: f64, share: f64) {
        if share < 0.8 {
            return;
        }
        let until = now + NEAR_LIMIT;
        let reached = self.held.map_or(as_f64(self.flow.accepted), |held| held.1);
        self.held = Some((until, reached));
        if let Phase::Pace(pace) = &mut self.phase {
            pace.near_limit(&self.flow, now, until, share);
        }
    }

    /// Rows that are still to be accepted, at least one.
    fn left(&self) -> f64 {
        (self.rows - as_f64(self.flow.accepted)).max(1.0)
    }

    /// Whether `more` refusals would stay within `share` of the rows.
    fn affords(&self, more: f64, share: f64) -> bool {
        as_f64(self.flow.throttled) + more <= share * self.rows
    }

    /// A request was refused by the limit.
    pub(super) fn throttled(&mut self, seq: u64) {
        self.flow.throttled += 1;
        self.flow.forget(seq);
    }

    /// How long to wait after a refusal that names no time, in seconds: a bucket's burst or two
    /// calls at its pace, then up to the next usual window.
    pub(super) fn own_wait(&self) -> f64 {
        match (self.sounding.as_ref().map_or(0, |sounding| sounding.waits), &self.phase) {
            (0, Phase::Pace(pace)) => (2.0 / pace.rate()).clamp(1.0, 10.0),
            (0, _) => 2.0,
            (1, _) => 8.0,
            (2, _) => 20.0,
            (3, _) => 30.0,
            _ => 60.0,
        }
    }

    /// The gate opened after an event.
    pub(super) fn opened(&mut self, event: Event) {
        self.longest = self.longest.max(event.wait);
        if self.events == 0 && self.rules.has(Rule::Anew) && self.contradicts(&event) {
            // What an earlier run learnt does not hold: this one begins anew.
            self.learnt = None;
            self.phase = Phase::Ramp;
        }
        self.events = self.events.saturating_add(1);
        if event.named {
            self.sounding = None;
            self.conclude(&event);
            self.last_opening = event.opening;
            return;
        }
        self.last_opening = event.opening;
        match &mut self.sounding {
            Some(sounding) => sounding.waits += 1,
            None => self.sounding = Some(Sounding { event, waits: 1 }),
        }
    }

    /// A lone call was accepted after waits of our own choosing: the last of them sufficed.
    fn sounded(&mut self) {
        let Some(Sounding { mut event, waits }) = self.sounding.take() else {
            return;
        };
        event.opening = self.last_opening;
        event.wait = event.opening - event.at;
        // A bucket is never empty for so long, if it counts no more refusals than it gave calls.
        let from = match &self.phase {
            Phase::Ramp if waits >= 2 => self.first_send,
            Phase::Pace(pace) if waits >= if pace.rate() >= 4.0 { 2 } else { 3 } => {
                Some(pace.cycle())
            }
            _ => None,
        };
        let quota = from.map_or(0, |from| self.flow.count(from, event.at));
        if let Some(from) = from.filter(|_| quota >= 3 && as_f64(quota) > event.refusals) {
            let elapsed = event.opening - from;
            let window = Window::sounded(&self.flow, quota, elapsed, event.opening, self.rules);
            self.phase = Phase::Window(window);
            return;
        }
        self.conclude(&event);
        if let Phase::Pace(pace) = &mut self.phase {
            pace.resume(event.opening);
        }
    }

    /// Whether the first refusal of a learnt start came so early that what was learnt is wrong: a
    /// server that was left alone gives at least the rate or the quota.
    fn contradicts(&self, event: &Event) -> bool {
        let accepted = as_f64(self.flow.count_before(event.at));
        let least = match &self.phase {
            Phase::Window(_) if event.named => return false,
            Phase::Ramp => return false,
            Phase::Pace(pace) => {
                0.7 * pace.rate() * (event.at - self.first_send.unwrap_or(0.0)) - 2.0
            }
            Phase::Window(window) => 0.85 * window.quota(),
        };
        accepted < least
    }

    /// What an event tells, once the answers that were in flight are known.
    fn conclude(&mut self, event: &Event) {
        let is_window = self.is_window(event);
        let left = self.left();
        let over = !self.affords(1.0, 0.02);
        match &mut self.phase {
            Phase::Ramp | Phase::Pace(_) if is_window => {
                let from = self.first_send.unwrap_or(0.0).max(self.last_opening);
                let first = self.last_opening <= 0.0;
                let window = Window::estimate(&self.flow, event, from, first, self.rules);
                self.before = match &self.phase {
                    Phase::Pace(pace) => pace.lasting(&self.flow),
                    _ => None,
                };
                self.phase = Phase::Window(window);
            }
            Phase::Ramp => {
                let pace = Pace::estimate(&self.flow, event, left, self.rules);
                self.phase = Phase::Pace(Box::new(pace));
            }
            Phase::Pace(pace) => pace.opened(&self.flow, event, left, over),
            Phase::Window(window) => window.opened(&self.flow, event),
        }
    }

    /// Whether the wait is worth more calls than a bucket would ever ask for: a bucket asks for
    /// the one call that is missing, and for those that were refused.
    fn is_window(&self, event: &Event) -> bool {
        let time = event.opening - self.last_opening;
        let (accepted, _) = self.flow.between(self.last_opening, event.at);
        let rate = match &self.phase {
            Phase::Pace(pace) => pace.rate().min(accepted / time),
            _ => accepted / (time + 2.0),
        };
        event.named
            && self.rules.has(Rule::Windows)
            && (event.wait - event.slack) * rate > 1.5 + 1.3 * event.refusals
            && event.wait > 0.25 * time
    }

    /// The rate that is being kept, once one is known, in calls per second.
    pub(super) fn per_second(&self) -> Option<f64> {
        match &self.phase {
            Phase::Ramp => None,
            Phase::Pace(pace) => Some(pace.per_second()),
            Phase::Window(window) => Some(window.per_second()),
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
            Phase::Pace(pace) => {
                let (rate, burst, doubt) = pace.lasting(&self.flow)?;
                Limit::Pace { rate, burst, doubt }
            }
            Phase::Window(window) => {
                let (quota, seconds, fixed) = window.confirmed()?;
                Limit::Window { quota, seconds, fixed }
            }
        };
        Some(Learnt::new(limit))
    }

    pub(super) fn add_rows(&mut self, n: u64) {
        self.rows += as_f64(n);
    }
}

/// A count as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "no run counts to 2^52")]
fn as_f64(count: u64) -> f64 {
    count as f64
}
