//! A look at what the target holds, and what it means for the rows that somebody looked for.

use std::time::Duration;

use super::{Engine, EngineState};
use crate::{
    graph::{target::Target, transport::Transport},
    job::{
        listing::{self, NoList},
        reconcile::Finding,
        refusal::Refusal,
        remote::{RemoteIndex, RemoteMatch, Wanted},
        stop::Stop,
        work::Work,
    },
    ledger::{NextState, Transition},
    pacing::{Bucket, Verdict},
};

/// A list, and when it was begun.
pub(super) struct Listed {
    begun: Duration,
    /// How many members it had.
    held: usize,
    result: Result<RemoteIndex, NoList>,
}

impl<T: Transport> Engine<'_, T> {
    pub(super) async fn list(&self, begun: Duration, wanted: Wanted) -> Listed {
        let (mut seen, mut held) = (RemoteIndex::cautious(), 0);
        let result = listing::list(self.client, self.target, self.host, |members| {
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
    pub(super) async fn listed<I>(&self, state: &mut EngineState<I>, listed: Listed) {
        let seen = match listed.result {
            Ok(seen) => seen,
            Err(why) => return self.unlisted(state, why),
        };
        for finding in state.doubts.judge(listed.begun, &seen, listed.held) {
            let kept = match finding {
                Finding::Missed(work) => {
                    self.missed(state, work);
                    Ok(())
                }
                Finding::Absent(mut work) => {
                    work.remove_first = false;
                    self.again(state, work, NextState::Ready).await
                }
                Finding::Held(work, sight) => self.held(state, work, sight).await,
                Finding::Twice(work, sight) => {
                    state.tally.enrolled -= 1;
                    self.held(state, work, sight).await
                }
            };
            if let Err(error) = kept {
                self.client.stop.raise(Stop::Ledger(error));
                return;
            }
        }
        self.client.pacing(|buckets| {
            buckets.of(Bucket::Writes).add_rows(state.again.len() as u64);
        });
    }

    /// There is no list: rows stay as they are. One that failed is asked for again later; one that
    /// was refused would be refused again.
    fn unlisted<I>(&self, state: &mut EngineState<I>, why: NoList) {
        let stopped = self.client.stop.is_raised();
        if !stopped {
            tracing::warn!(?why, "no list: nobody is judged by it");
        }
        let passing = match &why {
            NoList::Odd(_) | NoList::Refused(Refusal::Unknown | Refusal::Failing(_)) => true,
            NoList::Refused(Refusal::Stopped | Refusal::Word { .. }) => false,
        };
        if passing && !stopped && state.doubts.postpone(|failed| self.in_a_while(failed)) {
            return;
        }
        // What is forbidden to this list is forbidden to the next; nobody would be told.
        if let NoList::Refused(refusal @ Refusal::Word { verdict, .. }) = why
            && matches!(verdict, Verdict::Systemic(_) | Verdict::SignIn)
            && !self.conduct.trust_ledger
            && let Some(stop) = refusal.into_stop(self.target.api())
        {
            self.client.stop.raise(stop);
        }
        state.tally.awaiting += state.doubts.sought() as u64;
        state.doubts.give_up();
    }

    /// A row that the target holds.
    async fn held<I>(
        &self,
        state: &mut EngineState<I>,
        mut work: Work,
        sight: RemoteMatch,
    ) -> Result<(), String> {
        let twice = !sight.extra.is_empty();
        let (code, reason) = if twice {
            ("listed-twice", "the target holds it twice")
        } else {
            ("listed", "the target holds it")
        };
        let in_doubt = NextState::Unknown { code: code.to_owned(), reason: reason.to_owned() };
        match self.target {
            Target::Meeting(_) => {
                work.remove_first = true;
                self.again(state, work, in_doubt).await
            }
            Target::Webinar(_) => {
                // In doubt on disk until the one too many is cancelled.
                if work.doubted && twice {
                    self.keep(&work, in_doubt).await?;
                }
                state.links.push_back((work, sight));
                Ok(())
            }
        }
    }

    /// A row is sent again.
    async fn again<I>(
        &self,
        state: &mut EngineState<I>,
        work: Work,
        becomes: NextState,
    ) -> Result<(), String> {
        self.keep(&work, becomes).await?;
        state.again.push_back(work);
        Ok(())
    }

    async fn keep(&self, work: &Work, becomes: NextState) -> Result<(), String> {
        let Some(seq) = work.seq else {
            return Err("a row in doubt has no number in the ledger".to_owned());
        };
        let at = self.client.clock.stamp(self.client.clock.now());
        let settlement = Transition { seq, attempt: None, becomes, at };
        self.writer.settle(settlement).await.map_err(|error| error.to_string())
    }
}
