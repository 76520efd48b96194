//! A look at what the target holds, and what it means for the rows that somebody looked for.

use std::time::Duration;

use super::{Engine, Hall};
use crate::{
    graph::{target::Target, transport::Transport},
    job::{
        doubts::Finding,
        listing::{self, NoList},
        refusal::Refusal,
        sightings::{Sight, Sightings, Wanted},
        stop::Stop,
        work::Work,
    },
    ledger::{Becomes, Settlement},
    pacing::{Bucket, Verdict},
};

/// A list, and when it was begun.
pub(super) struct Listed {
    begun: Duration,
    /// How many members it had.
    held: usize,
    result: Result<Sightings, NoList>,
}

impl<T: Transport> Engine<'_, T> {
    pub(super) async fn list(&self, begun: Duration, wanted: Wanted) -> Listed {
        let (mut seen, mut held) = (Sightings::cautious(), 0);
        let result = listing::list(self.line, self.target, self.host, |members| {
            held += members.len();
            for member in members {
                if wanted.has(&member) {
                    seen.note(member);
                }
            }
        })
        .await;
        Listed { begun, held, result: result.map(|()| seen) }
    }

    /// Acts on a list: rows are sent again, followed to their link, or looked for again.
    pub(super) async fn listed<I>(&self, hall: &mut Hall<I>, listed: Listed) {
        let seen = match listed.result {
            Ok(seen) => seen,
            Err(why) => return self.unlisted(hall, why),
        };
        for finding in hall.doubts.judge(listed.begun, &seen, listed.held) {
            let kept = match finding {
                Finding::Missed(work) => {
                    self.missed(hall, work);
                    Ok(())
                }
                Finding::Absent(mut work) => {
                    work.remove_first = false;
                    self.again(hall, work, Becomes::Ready).await
                }
                Finding::Held(work, sight) => self.held(hall, work, sight).await,
                Finding::Twice(work, sight) => {
                    hall.tally.enrolled -= 1;
                    self.held(hall, work, sight).await
                }
            };
            if let Err(error) = kept {
                self.line.stop.raise(Stop::Ledger(error));
                return;
            }
        }
        self.line.pacing(|buckets| {
            buckets.of(Bucket::Writes).add_rows(hall.again.len() as u64);
        });
    }

    /// There is no list: rows stay as they are. One that failed is asked for again later; one that
    /// was refused would be refused again.
    fn unlisted<I>(&self, hall: &mut Hall<I>, why: NoList) {
        let stopped = self.line.stop.is_raised();
        if !stopped {
            tracing::warn!(?why, "no list: nobody is judged by it");
        }
        let passing = match &why {
            NoList::Odd(_) | NoList::Refused(Refusal::Unknown | Refusal::Failing(_)) => true,
            NoList::Refused(Refusal::Stopped | Refusal::Word { .. }) => false,
        };
        if passing && !stopped && hall.doubts.postpone(|failed| self.in_a_while(failed)) {
            return;
        }
        // What is forbidden to this list is forbidden to the next; nobody would be told.
        if let NoList::Refused(refusal @ Refusal::Word { verdict, .. }) = why
            && matches!(verdict, Verdict::Systemic(_) | Verdict::SignIn)
            && !self.conduct.trust_ledger
            && let Some(stop) = refusal.into_stop(self.target.api())
        {
            self.line.stop.raise(stop);
        }
        hall.tally.awaiting += hall.doubts.sought() as u64;
        hall.doubts.give_up();
    }

    /// A row that the target holds.
    async fn held<I>(
        &self,
        hall: &mut Hall<I>,
        mut work: Work,
        sight: Sight,
    ) -> Result<(), String> {
        let twice = !sight.extra.is_empty();
        let (code, reason) = if twice {
            ("listed-twice", "the target holds it twice")
        } else {
            ("listed", "the target holds it")
        };
        let in_doubt = Becomes::Unknown { code: code.to_owned(), reason: reason.to_owned() };
        match self.target {
            Target::Meeting(_) => {
                work.remove_first = true;
                self.again(hall, work, in_doubt).await
            }
            Target::Webinar(_) => {
                // In doubt on disk until the one too many is cancelled.
                if work.doubted && twice {
                    self.keep(&work, in_doubt).await?;
                }
                hall.links.push_back((work, sight));
                Ok(())
            }
        }
    }

    /// A row is sent again.
    async fn again<I>(
        &self,
        hall: &mut Hall<I>,
        work: Work,
        becomes: Becomes,
    ) -> Result<(), String> {
        self.keep(&work, becomes).await?;
        hall.again.push_back(work);
        Ok(())
    }

    async fn keep(&self, work: &Work, becomes: Becomes) -> Result<(), String> {
        let Some(seq) = work.seq else {
            return Err("a row in doubt has no number in the ledger".to_owned());
        };
        let at = self.line.clock.stamp(self.line.clock.now());
        let settlement = Settlement { seq, attempt: None, becomes, at };
        self.scribe.settle(settlement).await.map_err(|error| error.to_string())
    }
}
