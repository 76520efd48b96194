//! Models of a server that throttles. Times are seconds since the start of the run.

use std::collections::VecDeque;

/// The kind of limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Model {
    /// None.
    Free,
    /// Token bucket, R a second; a refused call costs nothing.
    A,
    /// The same, but a refused call uses quota too, down to minus the burst.
    B,
    /// Fixed windows of so many seconds, R·T calls each, at a phase unknown to the client.
    W(f64),
    /// A sliding window of so many seconds, R·T calls.
    S(f64),
}

/// The models in the tables' order.
pub(crate) const MODELS: [Model; 8] = [
    Model::A,
    Model::B,
    Model::W(1.0),
    Model::W(10.0),
    Model::W(30.0),
    Model::S(1.0),
    Model::S(10.0),
    Model::S(30.0),
];

impl Model {
    /// The name used in the tables.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Free => "no limit".to_owned(),
            Self::A => "A".to_owned(),
            Self::B => "B".to_owned(),
            Self::W(seconds) => format!("W{seconds}"),
            Self::S(seconds) => format!("S{seconds}"),
        }
    }
}

/// A limit with its counter.
#[derive(Clone, Debug)]
pub(crate) enum Limit {
    None,
    /// A and B.
    Bucket {
        rate: f64,
        burst: f64,
        tokens: f64,
        at: f64,
        refusals_count: bool,
    },
    /// W: calls used in the window that began at `start`.
    Fixed {
        quota: u64,
        seconds: f64,
        start: f64,
        used: u64,
    },
    /// S: the arrivals that count.
    Sliding {
        quota: u64,
        seconds: f64,
        arrivals: VecDeque<f64>,
    },
}

/// Refusals that have nothing to do with the client.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Chance {
    /// Share of the calls.
    pub(crate) share: f64,
    /// The wait that the answer names, in seconds.
    pub(crate) wait: f64,
    /// A 503, after which only its own row rests; else a 429, after which all do.
    pub(crate) fails: bool,
}

/// Why a call was not accepted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refusal {
    /// 429, and the exact time to wait.
    Limited(f64),
    /// 503, likewise.
    Failed(f64),
}

/// A server: its limit, and what it refuses besides.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) limit: Limit,
    pub(crate) chance: Option<Chance>,
    /// After so many calls one is refused with such a wait, for no reason of the client's.
    pub(crate) stray: Option<(u64, f64)>,
    random: fastrand::Rng,
}

impl Server {
    /// A fresh server of `rate` calls a second, whose buckets hold `burst` seconds of it, at least
    /// one call; `phase` in [0, 1) places a fixed window.
    pub(crate) fn new(model: Model, rate: f64, burst: f64, phase: f64) -> Self {
        let random = fastrand::Rng::with_seed(phase.to_bits());
        let limit = Limit::new(model, rate, burst, phase);
        Self { limit, chance: None, stray: None, random }
    }

    /// Whether the next call is refused by chance.
    pub(crate) fn chance(&mut self) -> Option<Refusal> {
        if let Some((calls, wait)) = &mut self.stray {
            *calls = calls.saturating_sub(1);
            if *calls == 0 {
                let wait = *wait;
                self.stray = None;
                return Some(Refusal::Limited(wait));
            }
        }
        let chance = self.chance.filter(|chance| self.random.f64() < chance.share)?;
        let why = if chance.fails { Refusal::Failed } else { Refusal::Limited };
        Some(why(chance.wait))
    }

    /// A call arrives.
    pub(crate) fn arrive(&mut self, now: f64) -> Result<(), Refusal> {
        match self.chance() {
            Some(refusal) => Err(refusal),
            None => self.limit.arrive(now).map_err(Refusal::Limited),
        }
    }
}

impl Limit {
    fn new(model: Model, rate: f64, burst: f64, phase: f64) -> Self {
        // A window that would not hold one call holds one, and is longer.
        let window = |seconds: f64| {
            if rate * seconds < 1.0 {
                (1, 1.0 / rate)
            } else {
                ((rate * seconds).round() as u64, seconds)
            }
        };
        match model {
            Model::Free => Self::None,
            Model::A | Model::B => {
                let refusals_count = model == Model::B;
                let burst = (burst * rate).max(1.0);
                Self::Bucket { rate, burst, tokens: burst, at: 0.0, refusals_count }
            }
            Model::W(seconds) => {
                let (quota, seconds) = window(seconds);
                Self::Fixed { quota, seconds, start: -phase * seconds, used: 0 }
            }
            Model::S(seconds) => {
                let (quota, seconds) = window(seconds);
                Self::Sliding { quota, seconds, arrivals: VecDeque::new() }
            }
        }
    }

    /// The limit is changed by `factor`; what is used stays used.
    pub(crate) fn change(&mut self, now: f64, factor: f64) {
        self.pass(now);
        match self {
            Self::None => {}
            Self::Bucket { rate, burst, tokens, .. } => {
                *rate *= factor;
                *burst = (*burst * factor).max(1.0);
                *tokens = tokens.min(*burst);
            }
            Self::Fixed { quota, seconds, .. } | Self::Sliding { quota, seconds, .. } => {
                let calls = *quota as f64 * factor;
                if calls < 1.0 {
                    *seconds /= calls;
                }
                *quota = (calls.round() as u64).max(1);
            }
        }
    }

    /// A call arrives: accepted, or refused with the exact time to wait.
    pub(crate) fn arrive(&mut self, now: f64) -> Result<(), f64> {
        self.pass(now);
        match self {
            Self::None => Ok(()),
            Self::Bucket { rate, burst, tokens, refusals_count, .. } => {
                if *tokens >= 1.0 - 1e-9 {
                    *tokens -= 1.0;
                    return Ok(());
                }
                if *refusals_count {
                    *tokens = (*tokens - 1.0).max(-*burst);
                }
                Err((1.0 - *tokens) / *rate)
            }
            Self::Fixed { quota, used, .. } if *used < *quota => {
                *used += 1;
                Ok(())
            }
            Self::Fixed { seconds, start, .. } => Err(*start + *seconds - now),
            Self::Sliding { quota, arrivals, .. } if (arrivals.len() as u64) < *quota => {
                arrivals.push_back(now);
                Ok(())
            }
            Self::Sliding { quota, seconds, arrivals } => {
                Err(arrivals[arrivals.len() - *quota as usize] + *seconds - now)
            }
        }
    }

    /// When a call would be accepted: `now` or later. The oracle's view.
    pub(crate) fn free_at(&mut self, now: f64) -> f64 {
        self.pass(now);
        match self {
            Self::None => now,
            Self::Bucket { rate, tokens, .. } => now + ((1.0 - *tokens) / *rate).max(0.0),
            Self::Fixed { quota, used, .. } if *used < *quota => now,
            Self::Fixed { seconds, start, .. } => *start + *seconds + 1e-9,
            Self::Sliding { quota, arrivals, .. } if (arrivals.len() as u64) < *quota => now,
            Self::Sliding { quota, seconds, arrivals } => {
                arrivals[arrivals.len() - *quota as usize] + *seconds + 1e-9
            }
        }
    }

    /// Time passes up to `now`.
    fn pass(&mut self, now: f64) {
        match self {
            Self::None => {}
            Self::Bucket { rate, burst, tokens, at, .. } => {
                *tokens = (*tokens + (now - *at).max(0.0) * *rate).min(*burst);
                *at = at.max(now);
            }
            Self::Fixed { seconds, start, used, .. } => {
                if now >= *start + *seconds {
                    *start += ((now - *start) / *seconds).floor() * *seconds;
                    *used = 0;
                }
            }
            Self::Sliding { seconds, arrivals, .. } => {
                while arrivals.front().is_some_and(|first| *first + *seconds <= now) {
                    arrivals.pop_front();
                }
            }
        }
    }
}
