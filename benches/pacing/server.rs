//! Models of a server that throttles. Times are seconds since the start of the run.

use std::collections::VecDeque;

/// The kind of limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Model {
    /// Token bucket, R a second, burst 2R; a refused call costs nothing.
    A,
    /// The same, but a refused call uses quota too, down to minus the burst.
    B,
    /// Fixed windows of so many seconds, R·T calls each, at a phase unknown to the client.
    W(f64),
    /// A sliding window of so many seconds, R·T calls.
    S(f64),
    /// No limit, but so large a share of the calls is refused at random, with a wait of one second.
    N(f64),
    /// The same over a bucket (A).
    NA(f64),
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
            Self::A => "A".to_owned(),
            Self::B => "B".to_owned(),
            Self::W(seconds) => format!("W{seconds}"),
            Self::S(seconds) => format!("S{seconds}"),
            Self::N(share) => format!("N{:.0}", share * 100.0),
            Self::NA(share) => format!("N{:.0} over A", share * 100.0),
        }
    }
}

/// A server with its counter.
#[derive(Clone, Debug)]
pub(crate) enum Server {
    /// A and B.
    Bucket { rate: f64, burst: f64, tokens: f64, at: f64, refusals_count: bool },
    /// W: calls used in the window that began at `start`.
    Fixed { quota: u64, seconds: f64, start: f64, used: u64 },
    /// S: the arrivals that count.
    Sliding { quota: u64, seconds: f64, arrivals: VecDeque<f64> },
    /// N: refusals by chance, and the limit behind them.
    Noisy { chance: Chance, limit: Option<Box<Server>> },
    /// After so many calls one is refused with such a wait, for no reason of the client's.
    Stray { calls: u64, wait: f64, limit: Box<Server> },
}

/// Refusals that have nothing to do with the client.
#[derive(Clone, Debug)]
pub(crate) struct Chance {
    share: f64,
    random: fastrand::Rng,
}

impl Chance {
    /// The wait of a refusal by chance, in seconds.
    pub(crate) const WAIT: f64 = 1.0;

    /// Whether the next call is refused.
    pub(crate) fn refuses(&mut self) -> bool {
        self.random.f64() < self.share
    }
}

impl Server {
    /// A fresh server of `rate` calls a second, whose buckets hold `burst` seconds of it, at least
    /// one call; `phase` in [0, 1) places a fixed window.
    pub(crate) fn new(model: Model, rate: f64, burst: f64, phase: f64) -> Self {
        // A window that would not hold one call holds one, and is longer.
        let window = |seconds: f64| {
            if rate * seconds < 1.0 {
                (1, 1.0 / rate)
            } else {
                ((rate * seconds).round() as u64, seconds)
            }
        };
        match model {
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
            Model::N(share) | Model::NA(share) => {
                let random = fastrand::Rng::with_seed(phase.to_bits());
                let limit = matches!(model, Model::NA(_))
                    .then(|| Box::new(Self::new(Model::A, rate, burst, phase)));
                Self::Noisy { chance: Chance { share, random }, limit }
            }
        }
    }

    /// The limit, if there is one, apart from refusals by chance.
    pub(crate) fn apart(self) -> (Option<Self>, Option<Chance>) {
        match self {
            Self::Noisy { chance, limit } => (limit.map(|limit| *limit), Some(chance)),
            Self::Stray { limit, .. } => limit.apart(),
            limit => (Some(limit), None),
        }
    }

    /// The limit is cut to a fifth; what is used stays used.
    pub(crate) fn cut(&mut self, now: f64) {
        self.pass(now);
        match self {
            Self::Bucket { rate, burst, tokens, .. } => {
                *rate /= 5.0;
                *burst = (*burst / 5.0).max(1.0);
                *tokens = tokens.min(*burst);
            }
            Self::Fixed { quota, seconds, .. } | Self::Sliding { quota, seconds, .. } => {
                if *quota < 5 {
                    *seconds *= 5.0 / *quota as f64;
                    *quota = 1;
                } else {
                    *quota /= 5;
                }
            }
            Self::Noisy { limit, .. } => {
                if let Some(limit) = limit {
                    limit.cut(now);
                }
            }
            Self::Stray { limit, .. } => limit.cut(now),
        }
    }

    /// A call arrives: accepted, or refused with the exact time to wait.
    pub(crate) fn arrive(&mut self, now: f64) -> Result<(), f64> {
        self.pass(now);
        match self {
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
            Self::Noisy { chance, limit } => {
                if chance.refuses() {
                    return Err(Chance::WAIT);
                }
                limit.as_mut().map_or(Ok(()), |limit| limit.arrive(now))
            }
            Self::Stray { calls: 1, wait, .. } => {
                let wait = *wait;
                self.end_stray();
                Err(wait)
            }
            Self::Stray { calls, limit, .. } => {
                *calls -= 1;
                limit.arrive(now)
            }
        }
    }

    /// When a call would be accepted: `now` or later. The oracle's view.
    pub(crate) fn free_at(&mut self, now: f64) -> f64 {
        self.pass(now);
        match self {
            Self::Bucket { rate, tokens, .. } => now + ((1.0 - *tokens) / *rate).max(0.0),
            Self::Fixed { quota, used, .. } if *used < *quota => now,
            Self::Fixed { seconds, start, .. } => *start + *seconds + 1e-9,
            Self::Sliding { quota, arrivals, .. } if (arrivals.len() as u64) < *quota => now,
            Self::Sliding { quota, seconds, arrivals } => {
                arrivals[arrivals.len() - *quota as usize] + *seconds + 1e-9
            }
            Self::Noisy { limit, .. } => limit.as_mut().map_or(now, |limit| limit.free_at(now)),
            Self::Stray { limit, .. } => limit.free_at(now),
        }
    }

    /// The stray refusal is over: what is left is the limit.
    fn end_stray(&mut self) {
        if let Self::Stray { limit, .. } = self {
            let limit = std::mem::replace(limit, Box::new(Self::nothing()));
            *self = *limit;
        }
    }

    /// No limit at all.
    fn nothing() -> Self {
        Self::Noisy {
            chance: Chance { share: 0.0, random: fastrand::Rng::with_seed(0) },
            limit: None,
        }
    }

    /// Time passes up to `now`.
    fn pass(&mut self, now: f64) {
        match self {
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
            Self::Noisy { .. } | Self::Stray { .. } => {} // The limit behind it keeps its own time.
        }
    }
}
