//! The controller: finds the server's limit and keeps just below it.
//!
//! Three states. *Free*: no limit has shown itself, and what is in flight grows with successes. From
//! there evidence of a limit leads to a *pace* or to a *window*, and doubt leads back.

mod evidence;
mod flow;
mod pace;
mod window;

pub(super) use self::evidence::Event;
use self::evidence::{Evidence, Finding};
use self::flow::Flow;
use self::pace::{Job, Pace};
use self::window::Window;
use super::learnt::Limit;

/// So long at most, in seconds, nothing is sent on the strength of a conclusion alone.
const PATIENCE: f64 = 60.0;
/// What a trial must carry to prove that the measure before it was none.
const PROOF: f64 = 1.25;
/// The share of the rows up to which refusals are risked.
const BUDGET: f64 = 0.02;
/// After a wait so many may be in flight at once, and one more for each success.
const FEW: f64 = 8.0;
/// Waits in seconds where the server names none.
const OWN_WAITS: [f64; 5] = [2.0, 8.0, 20.0, 30.0, 60.0];

#[derive(Default)]
enum State {
    #[default]
    Free,
    Pace(Box<Pace>),
    Window(Window),
}

/// A pace in doubt: what its cycles carried, since when it is tried without, and how many such cycles
/// were a doubt.
struct Trial {
    carried: f64,
    since: f64,
    needed: u32,
}

/// The controller. Times are seconds since the start of the run.
#[derive(Default)]
pub(super) struct Controller {
    rows: f64,
    flow: Flow,
    state: State,
    evidence: Evidence,
    /// What an earlier run learnt, until it is used.
    known: Option<Limit>,
    /// Successes before the ramp began, and before the last opening that was not chance's.
    ramp: u64,
    reopened: u64,
    trial: Option<Trial>,
    last_send: f64,
    /// The longest wait that the server asked for.
    longest: f64,
    /// Refusals of the first event that told of a limit: they are counted as one.
    first_burst: Option<f64>,
    /// Waits of our own choosing, because the server names none: the first event, and their number.
    sounding: Option<(Event, usize)>,
}

impl Controller {
    pub(super) fn new(rows: u64, known: Option<Limit>) -> Self {
        Self { rows: as_f64(rows.max(1)), known, longest: PATIENCE, ..Self::default() }
    }

    /// When the next request may start, and how many may be in flight with it.
    pub(super) fn allow(&self) -> (f64, f64) {
        let (time, in_flight) = match &self.state {
            State::Free => (0.0, self.ramp()),
            State::Pace(pace) => (pace.next, pace.in_flight(&self.flow)),
            State::Window(window) => (window.free_at(&self.flow), window.in_flight()),
        };
        // Whatever was concluded: after the longest wait that the server ever asked for, one asks.
        let time = time.min(self.last_send + 1.1 * self.longest);
        // After a wait of our own choosing, one call asks whether it sufficed.
        if self.sounding.is_some() { (time, 1.0) } else { (time, in_flight) }
    }

    /// In flight while no limit has shown itself: growth in successes, not in seconds, so that a
    /// burst of refusals costs about 1 % of the rows or less whatever the server's speed.
    fn ramp(&self) -> f64 {
        let accepted = as_f64(self.flow.accepted - self.ramp);
        let growth = (self.rows / 800.0).clamp(0.125, 1.0);
        let start = (self.rows / 250.0).clamp(1.0, 8.0);
        let top = (self.rows / 100.0).max(4.0) + accepted / 10.0 + (accepted / 30.0).powi(2);
        let few = FEW + as_f64(self.flow.accepted - self.reopened);
        (start + growth * accepted).min(top).min(few).round()
    }

    /// A request starts.
    pub(super) fn sent(&mut self, seq: u64, now: f64) {
        self.last_send = now;
        self.flow.sent(seq, now);
        match &mut self.state {
            State::Free => {}
            State::Pace(pace) => pace.sent(now),
            State::Window(window) => window.sent(),
        }
    }

    /// A request that had started at `sent` was accepted, or at least not refused by the limit.
    pub(super) fn accepted(&mut self, sent: f64, now: f64) {
        self.flow.accepted(sent, now);
        if sent >= self.evidence.opened()
            && let Some((event, _)) = self.sounding.take()
        {
            self.sounded(&event);
        }
        let job = self.job();
        match &mut self.state {
            State::Pace(pace) => pace.accepted(&self.flow, now, job),
            State::Window(window) if window.beyond => self.free(),
            State::Free | State::Window(_) => {}
        }
    }

    fn job(&self) -> Job {
        let refused = as_f64(self.flow.throttled) - self.first_burst.unwrap_or(1.0);
        let next = 1.0 + (1.0 + 0.04 * self.per_second().unwrap_or(0.0)).floor();
        Job {
            left: (self.rows - as_f64(self.flow.accepted)).max(1.0),
            over: refused + next > BUDGET * self.rows,
        }
    }

    /// The ramp begins anew.
    fn free(&mut self) {
        self.state = State::Free;
        self.ramp = self.flow.accepted;
        self.evidence.forget();
    }

    /// A request was refused by the limit.
    pub(super) fn throttled(&mut self, seq: u64) {
        self.flow.refused(seq);
    }

    /// How long to wait after a refusal that names no time, in seconds: a bucket's burst or two
    /// calls at its pace, then up to the next usual window.
    pub(super) fn own_wait(&self, now: f64) -> f64 {
        let waits = self.sounding.as_ref().map_or(0, |sounding| sounding.1);
        match &self.state {
            State::Pace(pace) if waits == 0 => (2.0 / pace.rate).clamp(1.0, 10.0),
            State::Window(window) if window.known => {
                (window.returns(&self.flow) - now).clamp(0.5, 60.0)
            }
            _ => OWN_WAITS[waits.min(OWN_WAITS.len() - 1)],
        }
    }

    /// The gate opened after an event.
    pub(super) fn opened(&mut self, event: &Event) {
        self.longest = self.longest.max(event.wait);
        if event.named {
            self.sounding = None;
            self.conclude(event);
            return;
        }
        self.sounding = Some(match self.sounding.take() {
            // The same limit: the waits are one.
            Some((first, waits)) => {
                let (slack, refusals) = (event.wait, first.refusals);
                let wait = event.opening - first.at;
                let last = event.last.min(first.last);
                (Event { opening: event.opening, wait, slack, refusals, last, ..first }, waits + 1)
            }
            None => (Event { slack: event.wait, ..*event }, 1),
        });
    }

    /// A lone call was accepted after waits of our own choosing: they sufficed.
    fn sounded(&mut self, event: &Event) {
        self.conclude(event);
        match &mut self.state {
            State::Free => {}
            State::Pace(pace) => pace.next = event.opening + 1.0 / pace.rate,
            State::Window(window) => window.sent(),
        }
    }

    /// What an event tells, once the answers that were in flight are known.
    fn conclude(&mut self, event: &Event) {
        let from = self.evidence.opened().max(self.flow.first());
        let finding = self.evidence.judge(&self.flow, event);
        let job = self.job();
        if finding != Finding::Chance {
            self.reopened = self.flow.accepted;
        }
        if let State::Window(window) = &mut self.state {
            if window.opened(&self.flow, event, finding) {
                self.free();
            }
            return;
        }
        if finding != Finding::Chance && self.is_window(event, from) {
            self.state = State::Window(match self.known.take() {
                Some(Limit::Window { quota, seconds }) if event.wait <= seconds + event.slack => {
                    Window::replay(&self.flow, event, from).known(quota, seconds)
                }
                _ => Window::replay(&self.flow, event, from),
            });
            return;
        }
        match &mut self.state {
            State::Free if finding == Finding::Limit => self.limited(event, job),
            State::Pace(pace) if finding == Finding::Chance => pace.waited(event),
            State::Pace(pace) => {
                if let Some(carried) = pace.opened(&self.flow, event, job) {
                    self.doubt(carried, event);
                }
            }
            State::Free | State::Window(_) => {}
        }
    }

    /// A limit has shown itself that is no window.
    fn limited(&mut self, event: &Event, job: Job) {
        self.first_burst.get_or_insert(as_f64(self.flow.throttled));
        let known = match self.known.take() {
            Some(Limit::Pace { rate }) => Some(rate),
            _ => None,
        };
        let mut pace = Pace::estimate(&self.flow, event, job.left, known);
        if let Some(Trial { carried, since, needed }) = self.trial.take() {
            pace.needed = needed;
            let now = self.flow.count(since, event.at) / (event.at - since).max(1e-3);
            if now < PROOF * carried {
                pace.settle_at(now.max(carried));
            }
        }
        self.state = State::Pace(Box::new(pace));
    }

    /// Cycles that no bucket explains: was it chance all along? A trial with few in flight decides.
    fn doubt(&mut self, carried: f64, event: &Event) {
        if let State::Pace(pace) = &self.state {
            self.trial = Some(Trial { carried, since: event.at, needed: pace.needed });
        }
        self.free();
    }

    /// Whether the wait is worth more calls than a bucket would ever ask for: a bucket asks for the
    /// one call that is missing, and for those that were refused.
    fn is_window(&self, event: &Event, from: f64) -> bool {
        let (accepted, time) = (self.flow.count(from, event.at), event.opening - from);
        if !event.named {
            // Refused again after a first wait, which would have been enough for a bucket.
            let slow = matches!(&self.state, State::Pace(pace) if pace.rate < 4.0);
            let refused = event.wait > 1.1 * event.slack && (!slow || event.slack > 10.0);
            return refused && accepted >= 3.0 && accepted > event.refusals;
        }
        let rate = match &self.state {
            State::Pace(pace) => pace.rate.min(accepted / time),
            _ => accepted / (time + 2.0),
        };
        (event.wait - event.slack) * rate > 1.5 + 1.3 * event.refusals && event.wait > 0.25 * time
    }

    /// The rate that is being kept, once one is known, in calls per second.
    pub(super) fn per_second(&self) -> Option<f64> {
        match &self.state {
            State::Free => None,
            State::Pace(pace) => Some(pace.rate),
            State::Window(window) => Some(window.per_second()),
        }
    }

    /// Calls that were accepted, and calls that the limit refused.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.flow.accepted, self.flow.throttled)
    }

    /// What two witnesses speak for.
    pub(super) fn learnt(&self) -> Option<Limit> {
        match &self.state {
            State::Free => None,
            State::Pace(pace) => pace.settled().map(|rate| Limit::Pace { rate }),
            State::Window(Window { quota, seconds, proven, .. }) => {
                proven.then_some(Limit::Window { quota: *quota, seconds: *seconds })
            }
        }
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
