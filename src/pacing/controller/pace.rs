//! Pace: one send each 1/rate seconds, for buckets and for windows of about a second.
//!
//! From refusal to refusal a bucket goes from empty to empty, so the calls accepted in such a cycle,
//! divided by its time, are the bucket's rate, whatever its burst. Refusals by chance give less each
//! time, for their waits are in the measure: two such cycles are a doubt, and a trial decides.

use super::evidence::{Event, MEASURE};
use super::flow::Flow;

/// How far a late send is caught up at most, in seconds: the bucket itself keeps what a pause leaves,
/// and a bucket of one call forgives nothing.
const CATCH_UP: f64 = 0.01;
/// The share of the rows left from which on a bucket's burst is worth the risk of a refusal.
const WORTH: f64 = 0.02;

/// What the controller knows beside the pace.
#[derive(Clone, Copy)]
pub(super) struct Job {
    /// Rows that are still to be accepted.
    pub(super) left: f64,
    /// Whether refusals have reached their share of the rows.
    pub(super) over: bool,
}

/// The pace.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Sends per second.
    pub(super) rate: f64,
    /// The time of the next slot.
    pub(super) next: f64,
    /// When the cycle began: the last opening if waits are exact, else the last refusal; refusals at
    /// its beginning, and events in it.
    cycle: f64,
    refusals: f64,
    events: u32,
    /// The rate measured in the last cycle, and the longest cycle's: its calls and its measure.
    measured: Option<f64>,
    longest: (f64, f64),
    /// The rate up to which the server is thought to refuse nothing.
    ceiling: f64,
    /// Last time that the rate was looked at, and the last opening.
    grown: f64,
    calm_since: f64,
    /// What was accepted until the first refusal, and in what time: a bucket's burst, and what flowed
    /// into it.
    first: (f64, f64),
    /// The bound that the first refusal gave.
    bound: f64,
    /// Calls that may go without regard to the pace.
    credit: f64,
    /// Cycles in a row that no bucket explains, and how many are a doubt.
    doubts: u32,
    pub(super) needed: u32,
}

impl Pace {
    /// After the first event all that is known is a lower bound, or what an earlier run learnt.
    pub(super) fn estimate(flow: &Flow, event: &Event, left: f64, known: Option<f64>) -> Self {
        let bound = flow.least_rate(event.at).max(1e-3);
        let rate = known.filter(|known| *known > bound);
        let mut pace = Self {
            rate: rate.unwrap_or(bound),
            measured: rate,
            ceiling: rate.unwrap_or(f64::INFINITY),
            first: (flow.count(0.0, event.at), event.at - flow.first()),
            bound,
            needed: 2,
            ..Self::default()
        };
        pace.begin_cycle(event);
        pace.refill(event, left);
        pace
    }

    /// The measure holds after all: a trial carried no more than `carried`.
    pub(super) fn settle_at(&mut self, carried: f64) {
        self.measured = Some(carried);
        self.longest = (0.0, carried);
        self.ceiling = carried;
        self.rate = 0.99 * carried;
        self.needed *= 2;
        self.credit = 0.0;
    }

    fn begin_cycle(&mut self, event: &Event) {
        self.cycle = if event.is_exact() { event.opening } else { event.at };
        self.refusals = event.refusals;
        self.events = 0;
        self.rest(event);
    }

    fn rest(&mut self, event: &Event) {
        self.next = event.opening;
        self.grown = event.opening;
        self.calm_since = event.opening;
        self.credit = 0.0;
    }

    /// While the gate was closed a bucket filled up, to its burst at most: that much may go at once.
    /// Where many more rows are `left`, it is not worth the risk; after a wait of our own choosing
    /// one call goes alone.
    fn refill(&mut self, event: &Event, left: f64) {
        let low = self.rate.min(self.measured.unwrap_or(self.rate));
        let burst = self.first.0 - low * self.first.1;
        let filled = (low * (event.opening - event.at)).min(burst);
        if event.named && filled > WORTH * left {
            self.credit = (filled - event.refusals).max(0.0);
        }
    }

    /// How many may be in flight: twice what rate × latency needs, so that slow answers do not hold
    /// up the pace.
    pub(super) fn in_flight(&self, flow: &Flow) -> f64 {
        (2.0 * self.rate * flow.trip()).ceil() + 2.0 + self.credit
    }

    pub(super) fn sent(&mut self, now: f64) {
        if self.credit >= 1.0 {
            self.credit -= 1.0;
            return;
        }
        let gap = 1.0 / self.rate;
        // No later than a gap from now, where it went ahead of its slot: the pace may have grown since.
        let early = now + gap - (gap / 2.0).min(CATCH_UP);
        self.next = (self.next + gap).clamp(early, now + gap);
    }

    /// A call was accepted: the pace grows.
    pub(super) fn accepted(&mut self, flow: &Flow, now: f64, job: Job) {
        let step = (now - self.grown).clamp(0.0, 1.0);
        self.grown = now;
        let calm = (now - self.calm_since).max(0.0);
        let recovering = self.rate < 0.96 * self.ceiling && self.ceiling.is_finite();
        let growth = if job.over {
            0.0003 * (1.0 + (calm / 60.0).powi(3))
        } else if self.measured.is_none() {
            // Where less than a minute is left, slowness costs more than refusals do; but where
            // answers come late, the next refusal does too.
            0.35 * (60.0 * self.rate / job.left).clamp(1.0, 3.0) / (5.0 * flow.trip()).max(1.0)
        } else if recovering {
            0.08
        } else {
            // Ever faster while nothing happens, so that a raised limit is found.
            0.0004 * (1.0 + (calm / 15.0).powi(3))
        };
        self.rate *= 1.0 + (growth * step).min(0.5);
    }

    /// A wait that tells nothing of the limit.
    pub(super) fn waited(&mut self, event: &Event) {
        let calm_since = self.calm_since;
        self.rest(event);
        self.calm_since = calm_since;
    }

    /// The gate opened after an event. `Some` if the pace is in doubt: what the cycles carried.
    pub(super) fn opened(&mut self, flow: &Flow, event: &Event, job: Job) -> Option<f64> {
        let end = if event.is_exact() { event.opening } else { event.at };
        let (accepted, time) = (flow.count(self.cycle, end), (end - self.cycle).max(1e-3));
        self.events += 1;
        if time < 2.0 * flow.trip() || accepted < MEASURE && self.events < 3 {
            // Too soon to measure: the cycle goes on, but no faster for now.
            self.refusals += event.refusals;
            self.rest(event);
            return None;
        }
        // Whether refusals use quota cannot be told: half of them, and rather too few where a further one
        // is not to be afforded. An exact wait includes them.
        let uses = match job.over {
            _ if event.is_exact() => 0.0,
            true => 0.3,
            false => 0.5,
        };
        let mut low = ((accepted + uses * self.refusals) / time).max(1e-3);
        if self.measured.is_none() {
            low = low.max(self.bound);
        }
        let best = self.longest.1.max(self.measured.unwrap_or(0.0));
        // One more or less at either end.
        let most = (accepted + self.refusals + 1.0 + flow.trip() * self.rate) / time;
        if self.measured.is_some() && 7.0 * most < 6.0 * best {
            self.doubts += 1;
            if self.doubts >= self.needed {
                self.doubts = 0;
                return Some(low);
            }
            self.begin_cycle(event);
            return None;
        }
        self.doubts = 0;
        let former = self.measured.replace(low);
        let changed = former.is_some_and(|former| !(0.7..1.4).contains(&(low / former)));
        if changed || self.longest.0 <= accepted {
            self.longest = (accepted, low);
        }
        self.settle(former, low);
        self.begin_cycle(event);
        self.refill(event, job.left);
        None
    }

    /// The next rate of a bucket.
    fn settle(&mut self, former: Option<f64>, low: f64) {
        let sent = self.rate;
        let agrees = former.is_some_and(|former| (former / low - 1.0).abs() < 0.06);
        let missed = self.ceiling.is_finite() && sent < 0.97 * self.ceiling;
        let near = missed || sent < 1.25 * low;
        let ceiling = if near { low + 0.3 * (sent - low).max(0.0) } else { sent };
        (self.ceiling, self.rate) =
            if agrees { (ceiling.min(1.02 * low), 0.99 * low) } else { (ceiling, low) };
    }

    /// The rate that is worth keeping for the next run: one that two cycles agreed on, or a long one
    /// gave, and that is not in doubt.
    pub(super) fn settled(&self) -> Option<f64> {
        let sure = self.measured.is_some() && self.longest.0 >= 2.0 * MEASURE && self.doubts == 0;
        sure.then_some(0.99 * self.longest.1)
    }
}
