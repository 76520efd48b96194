//! The user's ceiling: `--rate`, never exceeded in any window of its unit.
//!
//! governor's GCRA is the limiter: it spreads a large quota over its window. GCRA alone lets up to
//! twice the quota through in one window (a saved-up burst and what flows in meanwhile), so an exact
//! log of the last sends stands behind it. The log is also what a next run is given, so that the
//! ceiling holds across a restart.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota as Cells, RateLimiter};

use super::quota::{BURST, Quota};

/// The time as the caller last gave it, in nanoseconds since the start of the run.
#[derive(Clone, Debug, Default)]
struct GivenTime(Arc<AtomicU64>);

impl GivenTime {
    fn set(&self, now: Duration) {
        // 584 years fit.
        self.0.store(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Clock for GivenTime {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, GivenTime, NoOpMiddleware<Duration>>;

/// One ceiling.
pub(super) struct Ceiling {
    quota: Quota,
    clock: GivenTime,
    limiter: Limiter,
    /// A cell taken from the limiter for a send that has not happened yet: `check` commits, a poll
    /// must not.
    in_hand: bool,
    /// The last `quota.count` sends, oldest first. Negative times (an earlier run) are kept as
    /// their age at the start.
    before: VecDeque<Duration>,
    sends: VecDeque<Duration>,
}

impl Ceiling {
    pub(super) fn new(quota: Quota) -> Self {
        let clock = GivenTime::default();
        let count = u32::try_from(quota.count).unwrap_or(u32::MAX);
        let burst = NonZeroU32::new(count.min(BURST)).unwrap_or(NonZeroU32::MIN);
        let gap = quota.per.checked_div(count).unwrap_or(quota.per).max(Duration::from_nanos(1));
        let cells = Cells::with_period(gap).expect("the gap is at least a nanosecond");
        let limiter = RateLimiter::direct_with_clock(cells.allow_burst(burst), clock.clone());
        Self {
            quota,
            clock,
            limiter,
            in_hand: false,
            before: VecDeque::new(),
            sends: VecDeque::new(),
        }
    }

    /// Sends of an earlier run, as their age at this run's start.
    pub(super) fn with_recent(&mut self, mut ages: Vec<Duration>) {
        ages.retain(|age| *age <= self.quota.per);
        ages.sort_unstable_by(|a, b| b.cmp(a));
        self.before = ages.into();
    }

    /// Sends of this run, under another ceiling.
    pub(super) fn after(&mut self, earlier: &Self) {
        self.sends.clone_from(&earlier.sends);
    }

    /// When the next send may start: `now` or later.
    pub(super) fn free_at(&mut self, now: Duration) -> Duration {
        let by_log = self.free_by_log();
        if by_log > now || self.in_hand {
            return by_log.max(now);
        }
        self.clock.set(now);
        match self.limiter.check() {
            Ok(()) => {
                self.in_hand = true;
                now
            }
            // At least a nanosecond on, so that the caller's next look finds the cell.
            Err(not_until) => now + not_until.wait_time_from(now).max(Duration::from_nanos(1)),
        }
    }

    /// The log's word: the send `count` sends ago must have left the window.
    fn free_by_log(&self) -> Duration {
        let count = usize::try_from(self.quota.count).unwrap_or(usize::MAX);
        let known = self.before.len() + self.sends.len();
        let Some(index) = known.checked_sub(count) else {
            return Duration::ZERO;
        };
        // Strictly outside: two sends exactly one window apart are in one closed window.
        let window = self.quota.per + Duration::from_nanos(1);
        match self.before.get(index) {
            Some(age) => window.saturating_sub(*age),
            None => {
                self.sends.get(index - self.before.len()).map_or(Duration::ZERO, |at| *at + window)
            }
        }
    }

    /// A send started.
    pub(super) fn sent(&mut self, now: Duration) {
        if !self.in_hand {
            // Sent without asking: it still takes its cell.
            self.clock.set(now);
            let _ = self.limiter.check();
        }
        self.in_hand = false;
        self.sends.push_back(now);
        let count = usize::try_from(self.quota.count).unwrap_or(usize::MAX);
        while self.before.len() + self.sends.len() > count {
            if self.before.pop_front().is_none() {
                self.sends.pop_front();
            }
        }
    }

    /// The answer to what was sent at `sent` came at `now`. The server counted it at some moment
    /// between: where its window slides, one sent exactly a window later could arrive before this
    /// one has left it. So it counts from its answer on, within bounds that cost no pace.
    pub(super) fn answered(&mut self, sent: Duration, now: Duration) {
        let counted = now.min(sent + self.quota.transit());
        let Some(at) = self.sends.iter().rposition(|at| *at == sent) else { return };
        self.sends.remove(at);
        let place = self.sends.partition_point(|at| *at <= counted);
        self.sends.insert(place, counted);
    }

    pub(super) fn quota(&self) -> Quota {
        self.quota
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Ages of the sends still inside the window, oldest first, as the ledger gives them to the next run.
    fn recent(ceiling: &Ceiling, now: Duration) -> Vec<Duration> {
        let earlier = ceiling.before.iter().map(|age| *age + now);
        let own = ceiling.sends.iter().map(|at| now.saturating_sub(*at));
        earlier.chain(own).filter(|age| *age <= ceiling.quota.per).collect()
    }

    /// Sends as fast as the ceiling allows, with pauses, and a restart in the middle that keeps only
    /// what `recent` gave; every closed window of the quota is counted exactly.
    fn most_in_a_window(quota: Quota, pauses: &[u64], restart: usize) -> usize {
        let mut ceiling = Ceiling::new(quota);
        // The time of the run, and the time at which the run started.
        let (mut now, mut base) = (Duration::ZERO, Duration::ZERO);
        let mut sends = Vec::new();
        for (index, pause) in pauses.iter().enumerate() {
            let pause = Duration::from_millis(*pause);
            if index == restart {
                let recent = recent(&ceiling, now);
                ceiling = Ceiling::new(quota);
                ceiling.with_recent(recent.into_iter().map(|age| age + pause).collect());
                base += now + pause;
                now = Duration::ZERO;
                continue;
            }
            now += pause;
            while ceiling.free_at(now) > now {
                now = ceiling.free_at(now);
            }
            ceiling.sent(now);
            sends.push(base + now);
        }
        let most = sends
            .iter()
            .map(|start| {
                sends.iter().filter(|at| *at >= start && **at <= *start + quota.per).count()
            })
            .max();
        most.unwrap_or(0)
    }

    proptest! {
        #[test]
        fn no_window_holds_more_than_the_quota(
            count in 1_u64..80,
            per in prop_oneof![Just(100_u64), Just(1_000), Just(2_000), Just(30_000), Just(60_000)],
            pauses in prop::collection::vec(
                prop_oneof![6 => Just(0_u64), 2 => 0_u64..50, 1 => 0_u64..40_000], 1..250),
            restart in 0_usize..250,
        ) {
            let quota = Quota { count, per: Duration::from_millis(per) };
            let most = most_in_a_window(quota, &pauses, restart);
            prop_assert!(most as u64 <= count, "{most} in a window of {quota}");
        }
    }

    #[test]
    fn a_send_counts_from_its_answer_on_but_never_much_later() {
        let quota: Quota = "2/30s".parse().expect("a quota");
        let (mut ceiling, ms) = (Ceiling::new(quota), Duration::from_millis);
        ceiling.sent(ms(0));
        ceiling.sent(ms(1));
        ceiling.answered(ms(0), ms(80));
        assert!(ceiling.free_at(ms(2)) > ms(30_001), "the second one is the oldest now");
        ceiling.answered(ms(1), ms(9_000));
        let free = ceiling.free_at(ms(9_000));
        assert!(free > ms(30_080) && free < ms(30_081), "{free:?}");
        ceiling.sent(free);
        let free = ceiling.free_at(free);
        assert!(free > ms(30_151) && free < ms(30_152), "half a percent at most: {free:?}");
    }

    #[test]
    fn the_ceiling_is_reached() {
        for text in ["0.5/s", "15/30s", "600/m", "1000/h", "10/s"] {
            let quota: Quota = text.parse().expect(text);
            let mut ceiling = Ceiling::new(quota);
            let mut now = Duration::ZERO;
            for _ in 0..=quota.count * 5 {
                while ceiling.free_at(now) > now {
                    now = ceiling.free_at(now);
                }
                ceiling.sent(now);
            }
            let ideal = quota.per * 5;
            assert!(now >= ideal && now <= ideal + ideal / 1000, "{text}: {now:?} of {ideal:?}");
        }
    }
}
