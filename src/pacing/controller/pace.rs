//! Pace: one send each 1/rate seconds, for buckets and for windows of about a second.
//!
//! From refusal to refusal a bucket goes from empty to empty, so the calls accepted in such a
//! cycle, divided by its time, are the bucket's rate, whatever its burst.

use super::Event;
use super::flow::Flow;
use super::noise::{Finding, Noise};
use super::rules::{Rule, Rules};

/// How far a late send is caught up at most, in seconds: the bucket itself keeps what a pause
/// leaves, and a bucket of one call forgives nothing.
const CATCH_UP: f64 = 0.01;

/// The share of the rows left from which on a bucket's burst is worth the risk of a refusal.
const WORTH: f64 = 0.02;

/// So many seconds of calls speak for a rate that an earlier run learnt.
const KNOWN: f64 = 60.0;

/// Once so many waits are left at the pace, one more costs more than a faster pace could gain.
const STAKE: f64 = 6.0;

/// Cycles shorter than three seconds in a row that disprove windows of about a second.
const DOUBTS: u32 = 16;

/// The pace.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    rules: Rules,
    /// Sends per second.
    rate: f64,
    /// The time of the next slot.
    next: f64,
    /// Whether the rate comes from an earlier run.
    learnt: bool,
    /// The calls, and their seconds, that speak for a rate of an earlier run.
    known: Option<(f64, f64)>,
    /// When the cycle began: the last opening if waits are exact, else the last refusal.
    cycle: f64,
    /// The longest cycle since the limit last changed: its accepted calls and its measure.
    longest: Option<(f64, f64)>,
    /// The rate measured in the last cycle.
    measured: Option<f64>,
    /// The rate up to which the server is thought to refuse nothing.
    ceiling: Option<f64>,
    /// Growth per second while the rate is below the second value.
    search: Option<(f64, f64)>,
    /// Refusals of the last event, and its wait in seconds.
    refusals: f64,
    wait: f64,
    /// Last time that the rate was looked at, and the last opening.
    grown: f64,
    calm_since: f64,
    /// No growth before this time.
    hold: f64,
    /// Last time that the rate fell because the limit was near.
    eased: f64,
    /// Pauses lose quota: no bucket, but windows of about a second; and what speaks against it.
    short: bool,
    doubts: u32,
    /// What was accepted until the first refusal, and in what time: a bucket's burst, and what flowed
    /// into it.
    first: (f64, f64),
    /// The bound that the first refusal gave.
    bound: f64,
    /// Calls that may go without regard to the pace.
    credit: f64,
    /// Refusals that have nothing to do with the pace.
    noise: Noise,
}

impl Pace {
    /// After the first event all that is known is a lower bound; so many rows are `left`.
    pub(super) fn estimate(flow: &Flow, event: &Event, left: f64, rules: Rules) -> Self {
        let mut rate = flow.trailing_rate(0.0, event.at);
        if flow.accepted <= 1 {
            rate = rate.max(1.0 / event.opening.max(0.1));
        }
        let mut pace = Self::new(rate.max(1e-3), rules);
        pace.learnt = false;
        pace.bound = pace.rate;
        pace.first = flow.between(flow.first().unwrap_or(0.0), event.at);
        pace.begin_cycle(event);
        pace.refill(event, left);
        pace
    }

    /// From what an earlier run learnt of a server that has been left alone since, for a job of so
    /// many rows.
    pub(super) fn learnt(rate: f64, burst: f64, doubt: f64, rows: f64, rules: Rules) -> Self {
        let mut pace = Self::new(rate, rules);
        pace.first.0 = burst;
        pace.search = Some((doubt / 20.0, rate * (1.0 + doubt)));
        if rules.has(Rule::Known) {
            pace.known = Some((KNOWN * rate, KNOWN));
        }
        if rules.has(Rule::Refill) && burst > WORTH * rows {
            pace.credit = 0.9 * burst;
        }
        pace
    }

    /// What was known before a wait that turned out to mean nothing.
    pub(super) fn resumed(known: (f64, f64, f64), now: f64, rows: f64, rules: Rules) -> Self {
        let (rate, burst, doubt) = known;
        let mut pace = Self::learnt(rate, burst, doubt, rows, rules);
        (pace.cycle, pace.next, pace.grown, pace.calm_since) = (now, now, now, now);
        pace.credit = 0.0;
        pace
    }

    fn new(rate: f64, rules: Rules) -> Self {
        Self {
            rules,
            rate,
            next: 0.0,
            learnt: true,
            cycle: 0.0,
            longest: None,
            known: None,
            measured: None,
            ceiling: None,
            search: None,
            refusals: 0.0,
            wait: 0.0,
            grown: 0.0,
            calm_since: 0.0,
            hold: 0.0,
            eased: 0.0,
            short: false,
            doubts: 0,
            first: (0.0, 0.0),
            bound: 0.0,
            credit: 0.0,
            noise: Noise::new(),
        }
    }

    fn begin_cycle(&mut self, event: &Event) {
        self.cycle = if event.exact { event.opening } else { event.at };
        self.refusals = event.refusals;
        self.wait = event.wait;
        self.grown = event.opening;
        self.calm_since = event.opening;
        self.next = event.opening;
        self.hold = 0.0;
        self.credit = 0.0;
    }

    /// While the gate was closed a bucket filled up, to its burst at most: that much may go at once.
    /// Where many more rows are `left`, it is not worth the risk; after a wait of our own choosing
    /// one call goes alone.
    fn refill(&mut self, event: &Event, left: f64) {
        let low = self.rate.min(self.measured.unwrap_or(self.rate));
        let burst = self.first.0 - low * self.first.1;
        let filled = (low * (event.opening - event.at)).min(burst);
        if self.rules.has(Rule::Refill) && event.named && filled > WORTH * left {
            self.credit = (filled - event.refusals).max(0.0);
        }
    }

    /// A lone call that had started at `time` without regard to the pace was accepted.
    pub(super) fn resume(&mut self, time: f64) {
        self.next = time + 1.0 / self.rate;
    }

    /// Sends per second.
    pub(super) fn rate(&self) -> f64 {
        self.rate
    }

    /// Calls accepted per second, as far as is known.
    pub(super) fn per_second(&self) -> f64 {
        self.noise.carried().unwrap_or(self.rate)
    }

    /// The rate and the burst that are worth keeping for the next run; none where they may come from
    /// noise.
    pub(super) fn lasting(&self, flow: &Flow) -> Option<(f64, f64, f64)> {
        let until = flow.nth_last(1).unwrap_or(0.0);
        let (calm, time) = flow.between(self.calm_since, until);
        match self.longest {
            _ if self.noise.is_suspected() => None,
            Some((longest, low)) if !self.short => {
                // More calls without a refusal than were ever measured are a proof of their own.
                let held = if calm > longest { self.rate.min(calm / time) } else { 0.0 };
                let low = 0.99 * low;
                let rate = if held > 0.0 && held < low {
                    (held * calm + low * longest) / (calm + longest)
                } else {
                    low.max(held)
                };
                let burst = (self.first.0 - low * self.first.1).max(0.0);
                // What was in flight at its ends blurs a measure.
                Some((rate, burst, (flow.round_trip() * rate / longest).min(1.0)))
            }
            _ => Some((self.rate, 0.0, 0.0)),
        }
    }

    /// When the cycle began.
    pub(super) fn cycle(&self) -> f64 {
        self.cycle
    }

    /// When the next send may start.
    pub(super) fn free_at(&self) -> f64 {
        self.next
    }

    /// How many may be in flight: twice what rate × latency needs, so that slow answers do not
    /// hold up the pace.
    pub(super) fn in_flight(&self, flow: &Flow) -> f64 {
        (2.0 * self.rate * flow.round_trip()).ceil() + 2.0 + self.credit
    }

    pub(super) fn sent(&mut self, now: f64) {
        if self.credit >= 1.0 {
            self.credit -= 1.0;
            return;
        }
        let gap = 1.0 / self.rate;
        self.next = (self.next + gap).max(now + gap - (gap / 2.0).min(CATCH_UP));
    }

    /// A call was accepted, and so many of the `rows` are `left`. `over` tells that refusals have
    /// reached their share.
    pub(super) fn accepted(&mut self, flow: &Flow, now: f64, rows: f64, left: f64, over: bool) {
        let step = (now - self.grown).clamp(0.0, 1.0);
        self.grown = now;
        if now < self.hold || self.noise.is_on() {
            return;
        }
        let below = |share: f64| self.ceiling.is_some_and(|ceiling| self.rate < share * ceiling);
        let climbing = self.measured.is_none() && !self.learnt;
        let growth = if over && self.rules.has(Rule::Budget) {
            0.0003
        } else if self.short {
            if below(0.98) { 0.01 } else { 0.00015 }
        } else if climbing && self.rules.has(Rule::Climb) {
            // Where less than a minute is left, slowness costs more than refusals do; but where
            // answers come late, the next refusal does too.
            0.35 * (60.0 * self.rate / left).clamp(1.0, 3.0) / (5.0 * flow.round_trip()).max(1.0)
        } else if !climbing && left < STAKE * self.wait * self.rate && self.rules.has(Rule::Ending)
        {
            0.0
        } else if !climbing && below(0.96) && self.rules.has(Rule::Recover) {
            0.08
        } else if let Some((growth, end)) = self.search
            && self.rate < end
        {
            growth
        } else {
            // Ever faster while nothing happens, so that a raised limit is found.
            let size = (rows / 1000.0).min(1.0);
            0.0004 * size * (1.0 + size * ((now - self.calm_since) / 20.0).powi(2))
        };
        self.rate *= 1.0 + (growth * step).min(0.5);
    }

    /// The server says what share of the limit is in use: no growth until `until`, and above 1 the
    /// rate falls by as much, once in two round trips.
    pub(super) fn near_limit(&mut self, flow: &Flow, now: f64, until: f64, share: f64) {
        self.hold = until;
        if share > 1.0 && now >= self.eased + 2.0 * flow.round_trip() {
            self.rate /= share.min(2.0);
            self.eased = now;
        }
    }

    /// The gate opened after an event, and so many rows are `left`. `over` tells that refusals have
    /// reached their share.
    pub(super) fn opened(&mut self, flow: &Flow, event: &Event, left: f64, over: bool) {
        let finding = self.noise.opened(flow, event);
        if let Finding::Rate(rate) | Finding::Back(rate) = finding {
            self.rate = rate;
            if finding == Finding::Back(rate) {
                // Up to the pace that was refused before the trial.
                self.measured = Some(rate);
                self.search = None;
            }
            self.begin_cycle(event);
            return;
        }
        let end = if event.exact { event.opening } else { event.at };
        let (accepted, time) = flow.between(self.cycle, end);
        if accepted < 1.0 || (time < 2.0 * flow.round_trip() && self.rules.has(Rule::Hold)) {
            // Too soon to measure: the cycle goes on, but no faster for now.
            self.next = event.opening;
            self.calm_since = event.opening;
            self.hold = event.opening + 4.0 * flow.round_trip();
            return;
        }
        // A learnt start began with a full bucket: as in the ramp, two seconds of burst.
        let full = if self.learnt && self.measured.is_none() { 2.0 } else { 0.0 };
        let mut own = self.measure(event, accepted, time + full, over);
        if self.measured.is_none() && self.rules.has(Rule::Bound) {
            own = own.max(self.bound);
        }
        let low = self.with_known(own, time + full);
        let former = self.measured.replace(low);
        let changed = former.is_some_and(|former| !(0.7..1.4).contains(&(low / former)));
        if changed || self.longest.is_none_or(|longest| longest.0 <= accepted) {
            self.longest = Some((accepted, low));
        }
        if former.unwrap_or(low) * 0.9 > own {
            // Something else was refused than a bucket's overdraft: nothing is known of its burst.
            self.first.0 = 0.0;
        }
        let odd = self.rules.has(Rule::Noise)
            && former.is_some()
            && self.noise.suspect(flow, event, accepted, time);

        if odd {
            self.ceiling = Some(self.rate);
            self.rate = self.noise.begin(event, low);
        } else if self.is_short(flow, former, accepted, time) {
            self.ceiling = Some(self.rate);
            self.rate *= if self.doubts == 0 {
                0.9
            } else if time < 3.0 {
                0.965
            } else {
                0.985
            };
            self.doubts = if time < 3.0 { self.doubts + 1 } else { 1 };
        } else {
            self.settle(former, low, accepted);
        }
        self.begin_cycle(event);
        if !self.noise.is_on() && !self.short {
            self.refill(event, left);
        }
    }

    /// A measure and what an earlier run learnt, as long as they agree.
    fn with_known(&mut self, low: f64, time: f64) -> f64 {
        let Some((calls, seconds)) = self.known else { return low };
        // How a bucket was filled before the first refusal blurs that measure.
        if self.measured.is_some() && !(0.7..1.4).contains(&(low * seconds / calls)) {
            self.known = None;
            return low;
        }
        let (calls, seconds) = (calls + low * time, seconds + time);
        self.known = Some((calls, seconds));
        calls / seconds
    }

    /// The rate of a bucket that was empty at both ends of the cycle.
    fn measure(&self, event: &Event, accepted: f64, time: f64, over: bool) -> f64 {
        let credit = if !event.exact {
            // Whether refusals use quota cannot be told: half of them, and rather too few where a
            // further one is not to be afforded.
            self.refusals * if over && self.rules.has(Rule::Budget) { 0.3 } else { 0.5 }
        } else if accepted >= 4.0
            && event.wait * (accepted + event.refusals) > 0.9 * time
            && self.rules.has(Rule::CountedRefusals)
        {
            // The wait is longer than one call takes to come back, so refusals use quota.
            event.refusals
        } else {
            0.0
        };
        ((accepted + credit) / time).max(1e-3)
    }

    /// Whether the server has windows of about a second: a bucket never gives more than was
    /// measured from empty to empty, such windows do, for a pause loses their quota.
    fn is_short(&mut self, flow: &Flow, former: Option<f64>, accepted: f64, time: f64) -> bool {
        let Some(former) = former.filter(|_| self.rules.has(Rule::ShortWindows)) else {
            return false;
        };
        if self.doubts < DOUBTS && accepted > 1.05 * former * (time + 2.0 * flow.round_trip()) + 3.0
        {
            self.doubts = 0;
            self.short = true;
        }
        if self.doubts >= DOUBTS {
            self.short = false;
        }
        self.short
    }

    /// The next rate of a bucket.
    fn settle(&mut self, former: Option<f64>, low: f64, accepted: f64) {
        let sent = self.rate;
        let agrees = former.is_some_and(|former| (former / low - 1.0).abs() < 0.06);
        let missed = self.ceiling.is_some_and(|ceiling| sent < 0.97 * ceiling);
        let mut ceiling = sent;
        if missed || sent < 1.25 * low {
            ceiling = low + 0.3 * (sent - low).max(0.0);
        }
        if agrees {
            self.ceiling = Some(ceiling.min(1.02 * low));
            self.rate = 0.99 * low;
            self.search = None;
        } else {
            self.ceiling = Some(ceiling);
            self.rate = low;
            let doubt = 1.0 / accepted;
            self.search = Some((doubt / 5.0, low * (1.0 + doubt)));
        }
    }
}
