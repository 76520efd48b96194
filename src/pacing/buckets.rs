//! Writes and reads are counted apart by Graph, so each has a pacer with a gate of its own: a refusal
//! stops every new request of its kind.

use std::time::Duration;

use super::{Answer, Pacer, Step, Ticket, View};

/// Which of the server's quotas a request uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bucket {
    /// POST and DELETE.
    Writes,
    /// GET.
    Reads,
}

/// Both pacers.
pub struct Buckets {
    writes: Pacer,
    reads: Pacer,
}

impl Buckets {
    /// Paces writes and reads by a pacer each.
    pub fn new(writes: Pacer, reads: Pacer) -> Self {
        Self { writes, reads }
    }

    /// What a request of this bucket is to do now.
    pub fn poll(&mut self, bucket: Bucket, now: Duration) -> Step {
        self.of(bucket).poll(now)
    }

    /// A request of this bucket starts at `now`.
    pub fn sent(&mut self, bucket: Bucket, now: Duration) -> Ticket {
        self.of(bucket).sent(now)
    }

    /// The answer to a request of this bucket came at `now`.
    pub fn answered(&mut self, bucket: Bucket, ticket: Ticket, now: Duration, answer: Answer) {
        self.of(bucket).answered(ticket, now, answer);
    }

    /// The pacer of this bucket.
    pub fn of(&mut self, bucket: Bucket) -> &mut Pacer {
        match bucket {
            Bucket::Writes => &mut self.writes,
            Bucket::Reads => &mut self.reads,
        }
    }

    /// What to show at `now`: the writes, which set the pace of a run, and what the reads wait for.
    pub fn view(&self, now: Duration) -> View {
        let (reads, to_look_up) = (self.reads.closed(now), self.reads.rows_left());
        let view = self.writes.view(now);
        let wait = reads.map(|reads| reads.until.saturating_sub(now));
        // As long as something is to be looked up, the run lasts until the reads go on.
        let left = view.left.map(|left| left.max(wait.unwrap_or_default()));
        View { left, reads, to_look_up, ..view }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pacing::{PaceOptions, RetryAfter};

    #[test]
    fn a_refusal_stops_every_request_of_its_kind_and_no_other() {
        let mut buckets =
            Buckets::new(Pacer::new(PaceOptions::default()), Pacer::new(PaceOptions::default()));
        buckets.of(Bucket::Reads).add_rows(7);
        let second = Duration::from_secs(1);
        let ticket = buckets.sent(Bucket::Reads, second);
        let retry_after = RetryAfter::Whole(second * 5);
        buckets.answered(Bucket::Reads, ticket, second * 2, Answer::Throttled { retry_after });
        let view = buckets.view(second * 3);
        let closed = view.reads.expect("it is told");
        assert!(closed.by_server && closed.until >= second * 7, "{closed:?}");
        assert_eq!((view.closed, view.to_look_up), (None, 7));
        let Step::Until(until) = buckets.poll(Bucket::Reads, second * 6) else { panic!("open") };
        assert!(until >= second * 7, "{until:?}");
        assert_eq!(buckets.poll(Bucket::Writes, second * 6), Step::Send);
        assert_eq!(buckets.poll(Bucket::Reads, second * 8), Step::Send);
    }
}
