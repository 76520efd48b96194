//! The server's limits: how many calls it takes in which time, and how long a refused one is told
//! to wait. Pure state machines that take `now`.

use std::{collections::VecDeque, fmt, time::Duration};

use clap::ValueEnum;

use super::chance;

/// So many calls in so much time: `50/s`, `15/30s`, `0.5/s`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quota {
    /// The calls; a fraction is a call in a longer time.
    pub count: f64,
    /// The time.
    pub per: Duration,
}

impl Quota {
    /// Calls a second.
    #[must_use]
    pub fn per_second(self) -> f64 {
        self.count / self.per.as_secs_f64()
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.per.as_millis() {
            1_000 => write!(f, "{}/s", self.count),
            60_000 => write!(f, "{}/m", self.count),
            3_600_000 => write!(f, "{}/h", self.count),
            per if per % 1_000 == 0 => write!(f, "{}/{}s", self.count, per / 1_000),
            per => write!(f, "{}/{per}ms", self.count),
        }
    }
}

/// How a limiter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LimitShape {
    /// A token bucket.
    Bucket,
    /// Windows that follow one another, their phase unknown to the client.
    #[value(name = "fixed")]
    FixedWindow,
    /// At most the quota in any window of its length.
    #[value(name = "sliding")]
    SlidingWindow,
}

/// What a refused call costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ThrottledCalls {
    /// Nothing.
    Free,
    /// As much as an accepted one: a bucket goes down to minus its burst, a sliding window counts
    /// up to one quota of refused calls. A fixed window forgets them with all others.
    Counted,
}

/// A limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateLimit {
    /// The quota.
    pub quota: Quota,
    /// What a bucket holds when full; `None` for the calls of 2 s. Windows have none.
    pub burst: Option<f64>,
    /// How it counts.
    pub shape: LimitShape,
    /// What a refused call costs.
    pub throttled_calls: ThrottledCalls,
}

impl RateLimit {
    /// A token bucket with the calls of 2 s as its burst; refused calls are free.
    #[must_use]
    pub fn bucket(quota: Quota) -> Self {
        Self {
            quota,
            burst: None,
            shape: LimitShape::Bucket,
            throttled_calls: ThrottledCalls::Free,
        }
    }

    /// The shortest time in which anybody could have so many calls accepted, from the first to the
    /// last: what a bucket or window holds at the start goes at once.
    #[must_use]
    pub fn shortest(&self, calls: u64) -> Duration {
        #[expect(clippy::cast_precision_loss, reason = "calls of a run")]
        let calls = calls as f64;
        let seconds = match self.shape {
            LimitShape::Bucket => {
                let rate = self.quota.per_second();
                (calls - self.burst.unwrap_or(2.0 * rate).max(1.0)) / rate
            }
            LimitShape::FixedWindow | LimitShape::SlidingWindow => {
                let (count, per) = window(self.quota);
                #[expect(clippy::cast_precision_loss, reason = "calls of a window")]
                let windows = (calls / count as f64).ceil();
                // Where windows follow one another, the second may begin just after the first call.
                let free = if self.shape == LimitShape::FixedWindow { 2.0 } else { 1.0 };
                (windows - free) * per.as_secs_f64()
            }
        };
        Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)
    }
}

/// A limit at work.
#[derive(Clone, Debug)]
pub struct RateLimiter {
    state: LimiterState,
    counted: bool,
}

#[derive(Clone, Debug)]
enum LimiterState {
    Bucket {
        rate: f64,
        burst: f64,
        tokens: f64,
        at: Duration,
    },
    Fixed {
        count: usize,
        per: Duration,
        phase: Duration,
        window: u128,
        used: usize,
    },
    /// The calls that count, oldest first.
    Sliding {
        count: usize,
        per: Duration,
        calls: VecDeque<Duration>,
    },
}

/// Rounding errors of additions in floating point stay far below this share of a call.
const EPSILON: f64 = 1e-6;

impl RateLimiter {
    /// A limiter that is full at time 0; the seed sets the phase of fixed windows.
    #[must_use]
    pub fn new(limit: &RateLimit, seed: u64) -> Self {
        let rate = limit.quota.per_second();
        let (count, per) = window(limit.quota);
        let state = match limit.shape {
            LimitShape::Bucket => {
                let burst = limit.burst.unwrap_or(2.0 * rate).max(1.0);
                LimiterState::Bucket { rate, burst, tokens: burst, at: Duration::ZERO }
            }
            LimitShape::FixedWindow => {
                let phase = per.mul_f64(chance::unit(chance::pair(seed, 0x9a5e)));
                LimiterState::Fixed { count, per, phase, window: 0, used: 0 }
            }
            LimitShape::SlidingWindow => {
                LimiterState::Sliding { count, per, calls: VecDeque::new() }
            }
        };
        Self { state, counted: limit.throttled_calls == ThrottledCalls::Counted }
    }

    /// Changes the quota at `now`, as a server does that cuts a client down: what is used up stays
    /// used up, and a bucket's size changes as its rate does.
    pub fn set_quota(&mut self, now: Duration, quota: Quota) {
        match &mut self.state {
            LimiterState::Bucket { rate, burst, tokens, at } => {
                let passed = now.saturating_sub(*at).as_secs_f64();
                let full = (*burst * quota.per_second() / *rate).max(1.0);
                *tokens = (*tokens + passed * *rate).min(full);
                (*rate, *burst, *at) = (quota.per_second(), full, now.max(*at));
            }
            LimiterState::Fixed { count, per, .. } | LimiterState::Sliding { count, per, .. } => {
                (*count, *per) = window(quota);
            }
        }
    }

    /// Takes one call at `now`.
    ///
    /// # Errors
    /// The time until the next call has a chance, when this one is refused.
    pub fn take(&mut self, now: Duration) -> Result<(), Duration> {
        match &mut self.state {
            LimiterState::Bucket { rate, burst, tokens, at } => {
                let passed = now.saturating_sub(*at).as_secs_f64();
                *tokens = (*tokens + passed * *rate).min(*burst);
                *at = now.max(*at);
                if *tokens >= 1.0 - EPSILON {
                    *tokens -= 1.0;
                    return Ok(());
                }
                if self.counted {
                    *tokens = (*tokens - 1.0).max(-*burst);
                }
                Err(Duration::from_secs_f64((1.0 - *tokens) / *rate))
            }
            LimiterState::Fixed { count, per, phase, window, used } => {
                let since = (now + *phase).as_nanos();
                let current = since / per.as_nanos();
                if current != *window {
                    *window = current;
                    *used = 0;
                }
                if *used < *count {
                    *used += 1;
                    return Ok(());
                }
                let rest = per.as_nanos() - since % per.as_nanos();
                Err(Duration::from_nanos(u64::try_from(rest).unwrap_or(u64::MAX)))
            }
            LimiterState::Sliding { count, per, calls } => {
                while calls.front().is_some_and(|&first| first + *per <= now) {
                    calls.pop_front();
                }
                if calls.len() < *count {
                    calls.push_back(now);
                    return Ok(());
                }
                if self.counted && calls.len() < 2 * *count {
                    calls.push_back(now);
                }
                // The next call has room when all but `count - 1` of these have left.
                Err((calls[calls.len() - *count] + *per).saturating_sub(now))
            }
        }
    }
}

/// The calls of a window and its length: less than one call a window is one call in a longer one.
fn window(quota: Quota) -> (usize, Duration) {
    if quota.count < 1.0 {
        return (1, quota.per.div_f64(quota.count));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a quota is positive and far below 2^53"
    )]
    let count = quota.count as usize;
    (count, quota.per)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(
        count: f64,
        secs: u64,
        shape: LimitShape,
        throttled_calls: ThrottledCalls,
    ) -> RateLimiter {
        let quota = Quota { count, per: Duration::from_secs(secs) };
        RateLimiter::new(&RateLimit { quota, burst: None, shape, throttled_calls }, 1)
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn accepted(limiter: &mut RateLimiter, now: Duration, tries: usize) -> usize {
        (0..tries).filter(|_| limiter.take(now).is_ok()).count()
    }

    #[test]
    fn a_bucket_gives_its_burst_then_its_rate() {
        let mut limiter = limiter(10.0, 1, LimitShape::Bucket, ThrottledCalls::Free);
        assert_eq!(accepted(&mut limiter, ms(0), 50), 20);
        assert_eq!(limiter.take(ms(0)), Err(ms(100)));
        assert_eq!(accepted(&mut limiter, ms(1_000), 50), 10);
        assert_eq!(accepted(&mut limiter, ms(100_000), 50), 20);
    }

    #[test]
    fn a_bucket_that_counts_refusals_sinks_to_minus_its_burst() {
        let mut limiter = limiter(10.0, 1, LimitShape::Bucket, ThrottledCalls::Counted);
        assert_eq!(accepted(&mut limiter, ms(0), 25), 20);
        assert_eq!(limiter.take(ms(0)), Err(ms(700)));
        accepted(&mut limiter, ms(0), 1_000);
        assert_eq!(limiter.take(ms(0)), Err(ms(2_100)));
        assert_eq!(limiter.take(ms(2_100)), Ok(()));
    }

    #[test]
    fn waiting_as_long_as_told_is_enough_for_every_shape() {
        for shape in [LimitShape::Bucket, LimitShape::FixedWindow, LimitShape::SlidingWindow] {
            for count in [0.5, 2.0, 15.0, 150.0] {
                for cost in [ThrottledCalls::Free, ThrottledCalls::Counted] {
                    let mut limiter = limiter(count, 1, shape, cost);
                    let mut now = ms(777);
                    for _ in 0..1_000 {
                        if let Err(wait) = limiter.take(now) {
                            assert!(wait > Duration::ZERO);
                            now += wait;
                            assert_eq!(limiter.take(now), Ok(()), "{shape:?} {count} {cost:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_fixed_window_ends_for_all_at_once_and_a_sliding_one_does_not() {
        let mut fixed = limiter(15.0, 30, LimitShape::FixedWindow, ThrottledCalls::Free);
        assert_eq!(accepted(&mut fixed, ms(0), 20), 15);
        let rest = fixed.take(ms(0)).expect_err("refused");
        assert!(rest < Duration::from_secs(30));
        let before = rest.saturating_sub(Duration::from_nanos(1));
        assert_eq!(accepted(&mut fixed, before, 20), 0);
        assert_eq!(accepted(&mut fixed, rest, 20), 15);

        let mut sliding = limiter(15.0, 30, LimitShape::SlidingWindow, ThrottledCalls::Free);
        assert_eq!(accepted(&mut sliding, ms(0), 5), 5);
        assert_eq!(accepted(&mut sliding, ms(20_000), 20), 10);
        assert_eq!(sliding.take(ms(20_000)), Err(ms(10_000)));
        assert_eq!(accepted(&mut sliding, ms(30_000), 20), 5);
        assert_eq!(sliding.take(ms(30_000)), Err(ms(20_000)));
    }

    #[test]
    fn nobody_is_faster_than_the_shortest_time() {
        for shape in [LimitShape::Bucket, LimitShape::FixedWindow, LimitShape::SlidingWindow] {
            let limit = RateLimit {
                shape,
                ..RateLimit::bucket(Quota { count: 15.0, per: Duration::from_secs(30) })
            };
            for calls in [1, 15, 30, 31, 45, 100] {
                for seed in 0..20 {
                    let mut limiter = RateLimiter::new(&limit, seed);
                    let mut left = calls;
                    let end = (0..10_000).find(|&n| {
                        while left > 0 && limiter.take(ms(n * 100)).is_ok() {
                            left -= 1;
                        }
                        left == 0
                    });
                    let took = ms(end.expect("it ends") * 100);
                    assert!(took + ms(1) >= limit.shortest(calls), "{shape:?} {calls} {seed}");
                }
            }
        }
        let quick = RateLimit::bucket(Quota { count: 50.0, per: Duration::from_secs(1) });
        assert_eq!(quick.shortest(2_100), Duration::from_secs(40));
        assert_eq!(quick.shortest(7), Duration::ZERO);
    }

    #[test]
    fn less_than_a_call_a_window_is_a_longer_window() {
        for shape in [LimitShape::FixedWindow, LimitShape::SlidingWindow] {
            let mut limiter = limiter(0.5, 1, shape, ThrottledCalls::Free);
            let taken = (0..100_000).filter(|&n| limiter.take(ms(n)).is_ok()).count();
            assert!((50..=51).contains(&taken), "{shape:?}: {taken}");
        }
    }

    #[test]
    fn a_cut_holds_from_the_next_call_on() {
        for shape in [LimitShape::Bucket, LimitShape::FixedWindow, LimitShape::SlidingWindow] {
            let mut limiter = limiter(50.0, 1, shape, ThrottledCalls::Free);
            accepted(&mut limiter, ms(0), 100);
            limiter.set_quota(ms(0), Quota { count: 10.0, per: Duration::from_secs(1) });
            let taken = (0..10_000).filter(|&n| limiter.take(ms(n)).is_ok()).count();
            assert!((90..=110).contains(&taken), "{shape:?}: {taken}");
        }
    }
}
