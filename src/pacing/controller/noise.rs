//! Noise: refusals that are no limit of ours, because a server has reasons of its own.
//!
//! A bucket that was refused from empty to empty gives the same rate each time. A server that
//! refuses at random gives less each time, for the waits are in the measure: the pace would fall
//! without end. So refusals that no bucket explains raise a suspicion, and a trial decides: where
//! the pace is not what is refused, more of it carries more. It is raised as long as that holds.
//! A bucket shows the opposite within a few events, and is then not tried again so soon.

use super::Event;
use super::flow::Flow;

/// Surplus of a bucket, in units of what blurs it, at which noise is suspected; twice as much after
/// a trial that failed.
const SUSPICION: f64 = 2.0;
/// How much faster each trial is than the pace before it.
const STEP: f64 = 8.0;
/// What a first trial must carry, as a multiple of the pace that was refused; then what each
/// further one must, as a multiple of what the one before it carried.
const PROOF: f64 = 1.25;
const GAIN: f64 = 1.1;
/// Events in which it must show: a bucket's throughput hardly varies, that of chance does.
const LEAST: u32 = 2;
const FIRST: u32 = 4;
const FURTHER: u32 = 6;
/// Events for which the best pace is kept before more is tried again; doubled each time.
const REST: u32 = 8;
/// The share of what the best pace carried below which a limit must have come up since.
const FALLEN: f64 = 0.25;
/// The greatest share of refused calls that may be chance.
const MOST: f64 = 0.2;
/// No faster than this, in calls per second: the calls in flight are the limit long before.
const TOP: f64 = 4096.0;

/// A pace under observation: since an opening, through whole cycles, each ended by a wait.
#[derive(Clone, Copy, Debug)]
struct Stage {
    since: f64,
    events: u32,
    refusals: f64,
    rate: f64,
    /// The pace before and what it carried, in calls per second; `None` while the best one is kept.
    before: Option<(f64, f64)>,
}

/// What is known of noise.
#[derive(Clone, Copy, Debug)]
pub(super) struct Noise {
    /// What a bucket of the best rate would have left over from cycle to cycle, and how much of it
    /// is needed.
    surplus: f64,
    needed: f64,
    /// The best rate measured since the last trial; a bucket's is no lower.
    best: f64,
    stage: Option<Stage>,
    /// Whether a trial has carried more than the pace that was refused.
    proven: bool,
    /// What the best pace carries, waits included.
    carried: f64,
    rest: u32,
}

/// What an event means for the pace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Finding {
    /// A bucket, as far as is known: it is to be measured.
    Limit,
    /// The pace is on trial or proven: it is this.
    Rate(f64),
    /// It was a limit after all, of this rate.
    Back(f64),
}

impl Noise {
    pub(super) fn new() -> Self {
        Self {
            surplus: 0.0,
            needed: SUSPICION,
            best: 0.0,
            stage: None,
            proven: false,
            carried: 0.0,
            rest: REST,
        }
    }

    /// What the run carries, once it is known that the pace is not what is refused.
    pub(super) fn carried(&self) -> Option<f64> {
        self.proven.then_some(self.carried)
    }

    /// Whether the pace is on trial or proven, so that nothing else may change it.
    pub(super) fn is_on(&self) -> bool {
        self.stage.is_some()
    }

    /// Whether what is measured may come from noise.
    pub(super) fn is_suspected(&self) -> bool {
        self.stage.is_some() || self.surplus > SUSPICION
    }

    /// A cycle of `accepted` calls in `time` seconds ended. A bucket of the best rate so far would
    /// have had calls left each time; they are added up, each cycle with no more than one blur, so
    /// that a limit that was cut shows itself first.
    pub(super) fn suspect(&mut self, flow: &Flow, event: &Event, accepted: f64, time: f64) -> bool {
        let best = self.best;
        // One more or less at either end.
        self.best = best.max((accepted - 1.0) / time);
        // Chance refuses calls one by one, and an exact wait tells a bucket's debt.
        if !event.named || event.exact || event.refusals > 2.0 {
            return false;
        }
        // What is in flight at the ends of a cycle blurs its measure.
        let blur = (2.0 * best * flow.round_trip()).max(1.0).max(0.03 * accepted);
        let left = best * time - accepted - event.refusals;
        self.surplus = (self.surplus + (left / blur).clamp(-1.0, 1.0)).max(0.0);
        self.surplus > self.needed
    }

    /// The first trial: the pace that was refused is `rate`.
    pub(super) fn begin(&mut self, event: &Event, rate: f64) -> f64 {
        self.surplus = 0.0;
        self.best = 0.0;
        self.carried = rate;
        self.enter(event, rate * STEP, Some((rate, rate)))
    }

    fn enter(&mut self, event: &Event, rate: f64, before: Option<(f64, f64)>) -> f64 {
        let rate = rate.min(TOP);
        self.stage = Some(Stage { since: event.opening, events: 0, refusals: 0.0, rate, before });
        rate
    }

    /// The gate opened after an event.
    pub(super) fn opened(&mut self, flow: &Flow, event: &Event) -> Finding {
        let Some(stage) = &mut self.stage else {
            return Finding::Limit;
        };
        stage.events += 1;
        stage.refusals += event.refusals;
        let Stage { events, refusals, rate, before, since } = *stage;
        let (accepted, time) = flow.between(since, event.opening);
        let carried = accepted / time;
        // Chance refuses the same share at any pace, a limit all that is above it.
        if refusals > 4.0 && refusals > MOST * (accepted + refusals) {
            return self.end(before.map_or(carried, |before| before.1));
        }
        Finding::Rate(match before {
            Some((former, carried_before)) => {
                let (gain, last) = if self.proven { (GAIN, FURTHER) } else { (PROOF, FIRST) };
                if events >= LEAST && accepted > gain * carried_before * time + 2.0 {
                    self.proven = true;
                    self.carried = carried;
                    self.enter(event, rate * STEP, Some((rate, carried)))
                } else if events < last {
                    rate
                } else if self.proven {
                    self.enter(event, former, None)
                } else {
                    return self.end(former);
                }
            }
            None if events < self.rest => rate,
            // A limit has come up since.
            None if carried < FALLEN * self.carried => return self.end(carried),
            None => {
                self.carried = carried;
                self.rest = self.rest.saturating_mul(2);
                self.enter(event, rate * STEP, Some((rate, carried)))
            }
        })
    }

    fn end(&mut self, rate: f64) -> Finding {
        self.stage = None;
        // A suspicion that was right once is soon raised again.
        self.needed = if self.proven { SUSPICION } else { self.needed * 2.0 };
        self.proven = false;
        self.rest = REST;
        Finding::Back(rate)
    }
}
