//! What refusals are evidence of: chance, a limit, or nothing that could be told.
//!
//! An exhausted limiter refuses what comes after; chance refuses one call and accepts those beside
//! it. So what was accepted beside a refusal tells the two apart, and where it does not, the refusal
//! costs its wait and changes nothing.

use super::flow::Flow;

/// The refusals between two openings of the gate. Times are seconds since the start of the run.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::pacing) struct Event {
    /// Which of the refused calls was the first, and when it was sent.
    pub(in crate::pacing) first: u64,
    pub(in crate::pacing) sent: f64,
    /// Arrival of the first and of the last refusal.
    pub(in crate::pacing) at: f64,
    pub(in crate::pacing) last: f64,
    pub(in crate::pacing) refusals: f64,
    /// The wait of the last refusal, and how much too long it may be.
    pub(in crate::pacing) wait: f64,
    pub(in crate::pacing) slack: f64,
    /// Whether the server named a wait.
    pub(in crate::pacing) named: bool,
    /// When the gate opens.
    pub(in crate::pacing) opening: f64,
}

impl Event {
    /// Whether the wait is exact.
    pub(super) fn is_exact(&self) -> bool {
        self.named && self.slack == 0.0
    }
}

/// What an event tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Finding {
    Chance,
    Unclear,
    Limit,
}

/// Two measures agree within so large a share.
const AGREEMENT: f64 = 0.06;
/// From so many accepted calls on a measure is one.
pub(super) const MEASURE: f64 = 6.0;

/// What the events of the run told so far.
#[derive(Default)]
pub(super) struct Evidence {
    /// The last refusal and the last opening.
    last: f64,
    opened: f64,
    /// Calls accepted beside refusals, and refusals, since the ramp began.
    beside: f64,
    refusals: f64,
    /// Where the cycle that is being measured began, and the measure before it.
    from: f64,
    measure: Option<f64>,
    agreed: u32,
    /// Events in a row before which next to nothing was accepted.
    starved: u32,
}

impl Evidence {
    /// The ramp begins anew.
    pub(super) fn forget(&mut self) {
        *self = Self { last: self.last, opened: self.opened, from: self.from, ..Self::default() };
    }

    /// The last opening of the gate.
    pub(super) fn opened(&self) -> f64 {
        self.opened
    }

    /// Judges an event once the answers that were in flight are known: at the opening.
    pub(super) fn judge(&mut self, flow: &Flow, event: &Event) -> Finding {
        let trip = flow.trip();
        let refusals = event.refusals;
        let beside = flow.count_after(event.first, event.last);
        let accepted = flow.count(self.opened, event.opening);
        self.beside += beside;
        self.refusals += refusals;
        let soon = self.last > 0.0 && event.sent < self.last + 2.0 * trip;
        let alone = beside > 2.0 * refusals || self.beside >= 4.0 * self.refusals;
        self.last = event.last;
        self.opened = event.opening;
        if alone && !soon && 4.0 * refusals <= accepted {
            (self.starved, self.agreed, self.measure, self.from) = (0, 0, None, event.at);
            return Finding::Chance;
        }
        let few = refusals > 0.3 * (accepted + refusals);
        self.starved = if few { self.starved + 1 } else { 0 };
        let since = flow.count(self.from, event.at);
        if since >= MEASURE {
            let own = since / (event.at - self.from).max(1e-3);
            let former = self.measure.replace(own).unwrap_or(f64::INFINITY);
            let agrees = (own / former - 1.0).abs() < AGREEMENT;
            // Few calls agree by chance now and then, but not twice.
            self.agreed = if agrees { self.agreed + if since > 20.0 { 2 } else { 1 } } else { 0 };
            self.from = event.at;
        }
        // Of a burst that went at once, chance may refuse the last ones: all of it counts here.
        let around = flow.count(event.sent - 0.05 * trip, event.last);
        let burst = refusals >= 2.0 && refusals > around;
        // Where nothing was accepted before there is nothing to measure a limit by: the waits alone count.
        let measurable = flow.count(0.0, event.at) > 0.0;
        let limit = measurable && (burst || self.agreed >= 2 || self.starved >= 2);
        if limit { Finding::Limit } else { Finding::Unclear }
    }
}
