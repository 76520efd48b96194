//! Writes and reads are counted apart by Graph, so each has a pacer; the gate is one: a
//! `Retry-After` to any request stops every new one.

use std::time::Duration;

use super::{Answer, Closed, Pacer, Step, Ticket, View};

/// Which of the server's quotas a request uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bucket {
    /// POST and DELETE.
    Writes,
    /// GET.
    Reads,
}

/// Both pacers behind one gate.
pub struct Buckets {
    writes: Pacer,
    reads: Pacer,
    /// Nothing starts before this time in either bucket.
    held: Duration,
}

impl Buckets {
    /// Paces writes and reads by a pacer each.
    #[must_use]
    pub fn new(writes: Pacer, reads: Pacer) -> Self {
        Self { writes, reads, held: Duration::ZERO }
    }

    /// What a request of this bucket is to do now.
    pub fn poll(&mut self, bucket: Bucket, now: Duration) -> Step {
        if now < self.held {
            return Step::Until(self.held);
        }
        self.of(bucket).poll(now)
    }

    /// A request of this bucket starts at `now`.
    pub fn sent(&mut self, bucket: Bucket, now: Duration) -> Ticket {
        self.of(bucket).sent(now)
    }

    /// The answer to a request of this bucket came at `now`.
    pub fn answered(&mut self, bucket: Bucket, ticket: Ticket, now: Duration, answer: Answer) {
        self.of(bucket).answered(ticket, now, answer);
        if matches!(answer, Answer::Throttled { .. })
            && let Some(closed) = self.of(bucket).view(now).closed
        {
            self.held = self.held.max(closed.until);
        }
    }

    /// The pacer of this bucket.
    pub fn of(&mut self, bucket: Bucket) -> &mut Pacer {
        match bucket {
            Bucket::Writes => &mut self.writes,
            Bucket::Reads => &mut self.reads,
        }
    }

    /// What to show at `now`: the writes, which set the pace of a run.
    #[must_use]
    pub fn view(&self, now: Duration) -> View {
        let view = self.writes.view(now);
        let until = view.closed.map_or(now, |closed| closed.until);
        if self.held > until {
            // A throttled read holds up the writes as well.
            View { closed: Some(Closed { until: self.held, by_server: true }), ..view }
        } else {
            view
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pacing::{RetryAfter, Settings};

    #[test]
    fn a_retry_after_to_a_read_stops_the_writes_too() {
        let mut buckets =
            Buckets::new(Pacer::new(Settings::default()), Pacer::new(Settings::default()));
        let second = Duration::from_secs(1);
        let ticket = buckets.sent(Bucket::Reads, second);
        let retry_after = RetryAfter::Whole(second * 5);
        buckets.answered(Bucket::Reads, ticket, second * 2, Answer::Throttled { retry_after });
        let closed = buckets.view(second * 3).closed.expect("it is told");
        assert!(closed.by_server && closed.until >= second * 7, "{closed:?}");
        assert_eq!(buckets.view(second * 8).closed, None);
        for bucket in [Bucket::Reads, Bucket::Writes] {
            let Step::Until(until) = buckets.poll(bucket, second * 6) else { panic!("open") };
            assert!(until >= second * 7, "{until:?}");
            assert_eq!(buckets.poll(bucket, second * 8), Step::Send);
        }
    }
}
