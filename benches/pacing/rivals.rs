//! What others do, as we read them. All have 64 workers and obey a Retry-After for the row that got
//! it; where the header is missing they wait exponentially with jitter.

use std::collections::HashMap;

use registrant_import::pacing::RetryAfter;

use super::client::{Client, Do};
use super::world::IN_FLIGHT;

/// A strategy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Rival {
    /// Each request waits for itself, three retries: the retry handler of the Graph SDKs.
    Sdk,
    /// One Retry-After stops everyone; no other limit.
    Gate,
    /// Concurrency by additive increase and multiplicative decrease: Vector's ARC.
    Arc,
    /// Send rate by a cubic function: the adaptive retry mode of the AWS SDKs.
    Cubic,
}

/// In the tables' order.
pub(crate) const RIVALS: [Rival; 4] = [Rival::Sdk, Rival::Gate, Rival::Arc, Rival::Cubic];

impl Rival {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sdk => "3 retries, no shared wait",
            Self::Gate => "shared gate only",
            Self::Arc => "adaptive concurrency",
            Self::Cubic => "cubic rate",
        }
    }

    pub(crate) fn client(self, rows: u64, seed: u64) -> Box<dyn Client> {
        let queue = Queue {
            fresh: rows,
            resting: Vec::new(),
            flying: HashMap::new(),
            random: fastrand::Rng::with_seed(seed),
        };
        match self {
            Self::Sdk => Box::new(Sdk { queue, lost: 0 }),
            Self::Gate => Box::new(Gate { queue, until: 0.0, blind: 0 }),
            Self::Arc => Box::new(Arc {
                queue,
                limit: 1.0,
                reached: false,
                back_pressure: false,
                trips: (0.0, 0.0),
                past: None,
                next_update: 0.0,
            }),
            Self::Cubic => Box::new(Cubic {
                queue,
                rate: None,
                tokens: 0.0,
                at: 0.0,
                last_max: 0.0,
                last_throttle: 0.0,
                measured: 0.0,
                bucket: 0.0,
                in_bucket: 0.0,
            }),
        }
    }
}

/// Rows: fresh ones, and refused ones that rest until their own time. A resting row keeps its
/// worker.
struct Queue {
    fresh: u64,
    resting: Vec<(f64, u32)>,
    flying: HashMap<u64, (f64, u32)>,
    random: fastrand::Rng,
}

impl Queue {
    /// Whether a row may start, as far as workers and rests are concerned.
    fn step(&mut self, now: f64, workers: usize) -> Do {
        let due = self.resting.iter().map(|row| row.0).fold(f64::INFINITY, f64::min);
        if due <= now && self.flying.len() < IN_FLIGHT {
            return Do::Send;
        }
        if self.fresh > 0 && self.flying.len() + self.resting.len() < workers {
            return Do::Send;
        }
        if due.is_finite() { Do::Until(due) } else { Do::Wait }
    }

    fn sent(&mut self, call: u64, now: f64) {
        let due = self
            .resting
            .iter()
            .enumerate()
            .filter(|(_, row)| row.0 <= now)
            .min_by(|a, b| a.1.0.total_cmp(&b.1.0))
            .map(|(index, _)| index);
        let tries = if let Some(index) = due {
            self.resting.swap_remove(index).1
        } else {
            self.fresh -= 1;
            0
        };
        self.flying.insert(call, (now, tries));
    }

    /// The call's send time and its earlier refusals.
    fn back(&mut self, call: u64) -> (f64, u32) {
        self.flying.remove(&call).expect("each call is answered once")
    }

    /// The row rests for the header's time, or exponentially with full jitter up to `cap` seconds.
    fn rest(&mut self, now: f64, tries: u32, wait: RetryAfter, cap: f64) {
        let wait = wait.duration().map_or_else(
            || self.random.f64() * f64::from(1_u32 << tries.min(10)).min(cap),
            |wait| wait.as_secs_f64(),
        );
        self.resting.push((now + wait + 1e-6, tries + 1));
    }
}

struct Sdk {
    queue: Queue,
    lost: u64,
}

impl Client for Sdk {
    fn step(&mut self, now: f64) -> Do {
        self.queue.step(now, IN_FLIGHT)
    }

    fn sent(&mut self, call: u64, now: f64) {
        self.queue.sent(call, now);
    }

    fn answered(&mut self, call: u64, now: f64, refused: Option<RetryAfter>) {
        let (_, tries) = self.queue.back(call);
        match refused {
            None => {}
            Some(_) if tries >= 3 => self.lost += 1,
            // The SDKs wait 3 s, then longer with the number of the attempt, where no time is named.
            Some(RetryAfter::Absent) => {
                let wait = 3.0 * f64::from(1_u32 << tries);
                self.queue.resting.push((now + wait, tries + 1));
            }
            Some(wait) => self.queue.rest(now, tries, wait, 180.0),
        }
    }

    fn lost(&self) -> u64 {
        self.lost
    }
}

struct Gate {
    queue: Queue,
    until: f64,
    blind: u32,
}

impl Client for Gate {
    fn step(&mut self, now: f64) -> Do {
        if now < self.until { Do::Until(self.until) } else { self.queue.step(now, IN_FLIGHT) }
    }

    fn sent(&mut self, call: u64, now: f64) {
        self.queue.sent(call, now);
    }

    fn answered(&mut self, call: u64, now: f64, refused: Option<RetryAfter>) {
        let (sent, _) = self.queue.back(call);
        let Some(wait) = refused else {
            self.blind = 0;
            return;
        };
        let until = match wait.duration() {
            Some(wait) => now + wait.as_secs_f64(),
            None if sent < self.until => self.until,
            None => {
                self.blind += 1;
                now + f64::from(1_u32 << self.blind.min(5)) * (0.5 + 0.5 * self.queue.random.f64())
            }
        };
        self.until = self.until.max(until + 1e-6);
        self.queue.fresh += 1;
    }
}

/// After Vector's `adaptive_concurrency/controller.rs`: once per round trip, one more if the limit
/// was reached and the round trip did not grow, a tenth fewer after back pressure.
struct Arc {
    queue: Queue,
    limit: f64,
    reached: bool,
    back_pressure: bool,
    /// Sum and number of round trips since the last update.
    trips: (f64, f64),
    /// Smoothed mean and deviation of the round trip.
    past: Option<(f64, f64)>,
    next_update: f64,
}

impl Client for Arc {
    fn step(&mut self, now: f64) -> Do {
        // A resting row keeps its permit, which is kinder to the server than Vector's own retries.
        self.queue.step(now, self.limit as usize)
    }

    fn sent(&mut self, call: u64, now: f64) {
        self.queue.sent(call, now);
        self.reached |= self.queue.flying.len() as f64 >= self.limit.floor();
    }

    fn answered(&mut self, call: u64, now: f64, refused: Option<RetryAfter>) {
        let (sent, tries) = self.queue.back(call);
        if let Some(wait) = refused {
            self.back_pressure = true;
            self.queue.rest(now, tries, wait, 30.0);
        } else {
            self.trips = (self.trips.0 + now - sent, self.trips.1 + 1.0);
        }
        if now < self.next_update || (self.trips.1 == 0.0 && !self.back_pressure) {
            return;
        }
        let current = (self.trips.1 > 0.0).then(|| self.trips.0 / self.trips.1);
        let (mean, deviation) = *self.past.get_or_insert((current.unwrap_or(0.2), 0.0));
        let slower =
            current.is_some_and(|current| current > mean + 2.5 * deviation.max(0.05 * mean));
        if self.back_pressure || slower {
            self.limit = (self.limit * 0.9).max(1.0);
        } else if self.reached {
            self.limit = (self.limit + 1.0).min(IN_FLIGHT as f64);
        }
        if let Some(current) = current {
            let gap = current - mean;
            self.past = Some((mean + 0.4 * gap, deviation + 0.4 * (gap.abs() - deviation)));
        }
        self.next_update = now + self.past.map_or(0.2, |past| past.0);
        self.trips = (0.0, 0.0);
        self.reached = false;
        self.back_pressure = false;
    }
}

/// After botocore's `retries/adaptive.py` and `throttling.py`: beta 0.7, scale 0.4, rate measured in
/// half seconds and smoothed by 0.8, at least 0.5 a second, at most twice the measured rate.
struct Cubic {
    queue: Queue,
    /// `None` before the first refusal: no limit.
    rate: Option<f64>,
    tokens: f64,
    at: f64,
    last_max: f64,
    last_throttle: f64,
    measured: f64,
    bucket: f64,
    in_bucket: f64,
}

impl Cubic {
    fn refill(&mut self, now: f64) {
        if let Some(rate) = self.rate {
            self.tokens = (self.tokens + (now - self.at) * rate).min(rate.max(1.0));
        }
        self.at = now;
    }
}

impl Client for Cubic {
    fn step(&mut self, now: f64) -> Do {
        self.refill(now);
        match (self.queue.step(now, IN_FLIGHT), self.rate) {
            (Do::Send, Some(rate)) if self.tokens < 1.0 - 1e-9 => {
                Do::Until(now + ((1.0 - self.tokens) / rate).max(1e-6))
            }
            (step, _) => step,
        }
    }

    fn sent(&mut self, call: u64, now: f64) {
        self.queue.sent(call, now);
        self.tokens -= 1.0;
    }

    fn answered(&mut self, call: u64, now: f64, refused: Option<RetryAfter>) {
        let (_, tries) = self.queue.back(call);
        self.in_bucket += 1.0;
        let bucket = (now * 2.0).floor() / 2.0;
        if bucket > self.bucket {
            let current = self.in_bucket / (bucket - self.bucket);
            self.measured = 0.8 * current + 0.2 * self.measured;
            self.in_bucket = 0.0;
            self.bucket = bucket;
        }
        self.refill(now);
        let calculated = if let Some(wait) = refused {
            self.queue.rest(now, tries, wait, 20.0);
            let rate = self.rate.map_or(self.measured, |rate| rate.min(self.measured));
            self.last_max = rate;
            self.last_throttle = now;
            rate * 0.7
        } else if self.rate.is_some() {
            let window = (self.last_max * 0.3 / 0.4).cbrt();
            0.4 * (now - self.last_throttle - window).powi(3) + self.last_max
        } else {
            return;
        };
        let rate = calculated.min(2.0 * self.measured).max(0.5);
        self.rate = Some(rate);
        self.tokens = self.tokens.min(rate.max(1.0));
    }
}
