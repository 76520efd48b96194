//! The server's limits: how many calls it takes in which time, and how long a refused one is told
//! to wait. Pure state machines that take `now`.

use std::{collections::VecDeque, time::Duration};

use clap::ValueEnum;

use crate::pacing::Quota;

use super::chance;

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

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateLimit {
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
    pub fn bucket(quota: Quota) -> Self {
        let (shape, throttled_calls) = (LimitShape::Bucket, ThrottledCalls::Free);
        Self { quota, burst: None, shape, throttled_calls }
    }

    fn burst(&self) -> f64 {
        self.burst.unwrap_or(2.0 * self.quota.per_second()).max(1.0)
    }

    /// The shortest time in which anybody could have so many calls accepted, from the first to the
    /// last: what a bucket or window holds at the start goes at once.
    pub fn shortest(&self, calls: u64) -> Duration {
        let seconds = match self.shape {
            LimitShape::Bucket => (float(calls) - self.burst()) / self.quota.per_second(),
            LimitShape::FixedWindow | LimitShape::SlidingWindow => {
                let windows = calls.div_ceil(self.quota.count);
                // Where windows follow one another, the second may begin just after the first call.
                let free = if self.shape == LimitShape::FixedWindow { 2 } else { 1 };
                float(windows.saturating_sub(free)) * self.quota.per.as_secs_f64()
            }
        };
        Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)
    }
}

#[expect(clippy::cast_precision_loss, reason = "calls of a run")]
fn float(calls: u64) -> f64 {
    calls as f64
}

/// A limit at work.
#[derive(Clone, Debug)]
pub(super) struct RateLimiter {
    quota: Quota,
    counted: bool,
    state: LimiterState,
}

#[derive(Clone, Debug)]
enum LimiterState {
    Bucket {
        burst: f64,
        tokens: f64,
        at: Duration,
    },
    Fixed {
        phase: Duration,
        window: u128,
        used: u64,
    },
    /// The calls that count, oldest first.
    Sliding(VecDeque<Duration>),
}

/// Rounding errors of additions in floating point stay far below this share of a call.
const EPSILON: f64 = 1e-6;

impl RateLimiter {
    /// A limiter that is full at time 0; the seed sets the phase of fixed windows.
    pub(super) fn new(limit: &RateLimit, seed: u64) -> Self {
        let state = match limit.shape {
            LimitShape::Bucket => {
                let burst = limit.burst();
                LimiterState::Bucket { burst, tokens: burst, at: Duration::ZERO }
            }
            LimitShape::FixedWindow => {
                let phase = limit.quota.per.mul_f64(chance::unit(chance::pair(seed, 0x9a5e)));
                LimiterState::Fixed { phase, window: 0, used: 0 }
            }
            LimitShape::SlidingWindow => LimiterState::Sliding(VecDeque::new()),
        };
        let counted = limit.throttled_calls == ThrottledCalls::Counted;
        Self { quota: limit.quota, counted, state }
    }

    /// Takes one call at `now`; where it is refused, says how long the next one has no chance.
    pub(super) fn take(&mut self, now: Duration) -> Result<(), Duration> {
        let Quota { count, per } = self.quota;
        match &mut self.state {
            LimiterState::Bucket { burst, tokens, at } => {
                let rate = self.quota.per_second();
                let passed = now.saturating_sub(*at).as_secs_f64();
                *tokens = (*tokens + passed * rate).min(*burst);
                *at = now.max(*at);
                if *tokens >= 1.0 - EPSILON {
                    *tokens -= 1.0;
                    return Ok(());
                }
                if self.counted {
                    *tokens = (*tokens - 1.0).max(-*burst);
                }
                Err(Duration::from_secs_f64((1.0 - *tokens) / rate))
            }
            LimiterState::Fixed { phase, window, used } => {
                let since = (now + *phase).as_nanos();
                let current = since / per.as_nanos();
                if current != *window {
                    (*window, *used) = (current, 0);
                }
                if *used < count {
                    *used += 1;
                    return Ok(());
                }
                let rest = per.as_nanos() - since % per.as_nanos();
                Err(Duration::from_nanos(u64::try_from(rest).unwrap_or(u64::MAX)))
            }
            LimiterState::Sliding(calls) => {
                let count = usize::try_from(count).unwrap_or(usize::MAX);
                while calls.front().is_some_and(|&first| first + per <= now) {
                    calls.pop_front();
                }
                let has_room = calls.len() < count;
                if has_room || (self.counted && calls.len() < count.saturating_mul(2)) {
                    calls.push_back(now);
                }
                if has_room {
                    return Ok(());
                }
                // The next call has room when all but `count - 1` of these have left.
                Err((calls[calls.len() - count] + per).saturating_sub(now))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(
        count: u64,
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
        let mut limiter = limiter(10, 1, LimitShape::Bucket, ThrottledCalls::Free);
        assert_eq!(accepted(&mut limiter, ms(0), 50), 20);
        assert_eq!(limiter.take(ms(0)), Err(ms(100)));
        assert_eq!(accepted(&mut limiter, ms(1_000), 50), 10);
        assert_eq!(accepted(&mut limiter, ms(100_000), 50), 20);
    }

    #[test]
    fn a_bucket_that_counts_refusals_sinks_to_minus_its_burst() {
        let mut limiter = limiter(10, 1, LimitShape::Bucket, ThrottledCalls::Counted);
        assert_eq!(accepted(&mut limiter, ms(0), 25), 20);
        assert_eq!(limiter.take(ms(0)), Err(ms(700)));
        accepted(&mut limiter, ms(0), 1_000);
        assert_eq!(limiter.take(ms(0)), Err(ms(2_100)));
        assert_eq!(limiter.take(ms(2_100)), Ok(()));
    }

    #[test]
    fn waiting_as_long_as_told_is_enough_for_every_shape() {
        for shape in [LimitShape::Bucket, LimitShape::FixedWindow, LimitShape::SlidingWindow] {
            for count in [1, 2, 15, 150] {
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
        let mut fixed = limiter(15, 30, LimitShape::FixedWindow, ThrottledCalls::Free);
        assert_eq!(accepted(&mut fixed, ms(0), 20), 15);
        let rest = fixed.take(ms(0)).expect_err("refused");
        assert!(rest < Duration::from_secs(30));
        let before = rest.saturating_sub(Duration::from_nanos(1));
        assert_eq!(accepted(&mut fixed, before, 20), 0);
        assert_eq!(accepted(&mut fixed, rest, 20), 15);

        let mut sliding = limiter(15, 30, LimitShape::SlidingWindow, ThrottledCalls::Free);
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
                ..RateLimit::bucket(Quota { count: 15, per: Duration::from_secs(30) })
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
        let quick = RateLimit::bucket(Quota { count: 50, per: Duration::from_secs(1) });
        assert_eq!(quick.shortest(2_100), Duration::from_secs(40));
        assert_eq!(quick.shortest(7), Duration::ZERO);
    }
}
