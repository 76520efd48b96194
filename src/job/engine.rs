//! The engine: leads every row that the plan calls for through Graph, reconciles what was lost, and
//! stops when it must. The only room with tasks.
//!
//! One loop on one thread owns everything; a row's life is [`super::row`], one attempt is
//! [`super::client`]. The loop only decides what starts next:
//!
//! ```text
//!  rows of the plan ──┐
//!  rows to be sent ───┴─► in hand (RowSender::serve) ─► enrolled · refused · held
//!   again    ▲                                  └► in doubt ─┐
//!            └──── absent, or present: DELETE first ◄─ list ─┘   (after the settling time)
//! ```
//!
//! A webinar takes a row and gives no link; its registration is found on the list, and the link
//! in the registration's sessions, in the bucket of reads, while rows are sent in that of writes:
//!
//! ```text
//!  in hand ─► accepted ─► list ─► links (RowSender::follow) ─► enrolled · awaiting · refused
//!               ▲ not there yet ─┘          └► no link yet: looked for again
//!  held by the webinar before ─────────────► (adopted)
//! ```

use std::{
    cell::Cell,
    collections::{HashSet, VecDeque},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use futures_util::{
    StreamExt,
    future::{Either, LocalBoxFuture},
    stream::FuturesUnordered,
};

use super::{
    client::{GraphClient, Refusal, Traffic},
    conduct::{Conduct, Limit, OnUnknown},
    link_guard::{LinkGuard, LinkProof},
    links::fetch_link,
    reconcile::{Acknowledged, Finding, ListSeen, Reconciler},
    remote::{self, NoList, RemoteIndex, RemoteMatch, Wanted},
    row::{RowEnd, RowSender, SAME_ANSWER, Work, in_doubt},
    stop::Stop,
};
use crate::{
    graph::{target::Target, transport::Transport, verdict::Verdict},
    ledger::{LedgerWriter, NextState, Transition},
    pacing::{Bucket, View},
};

/// How soon after it was accepted a row may show on the list. Microsoft says nothing of it; a list
/// that comes too early costs a few reads and is taken again.
const SOON: Duration = Duration::from_secs(1);

/// So many looks for the first links follow each other after one, two, four seconds.
const SOON_LOOKS: u32 = 3;

/// The longest pause between two looks for the same row.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// So many rows that the webinar held before are read ahead from the plan, some 500 bytes each:
/// behind them may stand rows to be sent, in the other bucket.
const AHEAD: usize = 8_192;

/// How often progress is told: a bar redraws at most five times a second.
const TICK: Duration = Duration::from_millis(200);

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Rows enrolled in this run.
    pub enrolled: u64,
    /// Rows that the server refused.
    pub refused: u64,
    /// Rows in doubt now.
    pub in_doubt: u64,
    /// Rows whose registration waits for the webinar's organizer, and those whose link this run no
    /// longer looks for.
    pub awaiting: u64,
    /// Rows that the webinar holds and whose link this run still fetches.
    pub to_link: u64,
    /// Lists of the target that were taken to reconcile.
    pub lists: u64,
}

/// What is told at each tick.
pub struct Progress {
    /// Rows so far.
    pub tally: Tally,
    /// The pace.
    pub pace: View,
    /// Requests so far.
    pub traffic: Traffic,
    /// Time since the start of the run.
    pub elapsed: Duration,
}

/// Everything that enrolling needs.
pub struct Engine<'a, T> {
    /// The line to Graph.
    pub client: &'a GraphClient<T>,
    /// The target.
    pub target: &'a Target,
    /// The ledger.
    pub writer: &'a LedgerWriter,
    /// How the run is to behave.
    pub conduct: &'a Conduct,
    /// Whose each link is.
    pub links: &'a LinkGuard,
    /// Rows of the input, and how many of them the plan found invalid: for `--max-rejects`.
    pub read: u64,
    /// Invalid rows.
    pub invalid: u64,
    /// The server's own ids of registrations that this ledger cancelled.
    pub cancelled: Arc<HashSet<String>>,
}

/// What a run begins with.
#[derive(Default)]
pub struct Begin {
    /// In doubt since an earlier run, each with the time from which a list may judge it.
    pub lost: Vec<(Work, Duration)>,
    /// Enrolled by this ledger, and on the list twice.
    pub listed_twice: Vec<Work>,
    /// Accepted in an earlier run, and on the list.
    pub found: Vec<(Work, RemoteMatch)>,
    /// Accepted in an earlier run, and not on the list.
    pub sought: Vec<Work>,
}

/// The loop's own state.
struct EngineState<I> {
    plan: I,
    plan_is_over: bool,
    again: VecDeque<Work>,
    /// Rows that a webinar has taken, and that show on its list.
    links: VecDeque<(Work, RemoteMatch)>,
    /// Rows of the plan that it held before.
    ahead: VecDeque<(Work, RemoteMatch)>,
    doubts: Reconciler,
    acknowledged: Acknowledged,
    tally: Tally,
    /// Whether any row of this run has had an answer that decided it: until then one at a time.
    proven: bool,
    /// What was seen of a virtual event's links.
    link_proof: LinkProof,
    spare: Spare,
    streak: Streak,
}

impl<I> EngineState<I> {
    /// How many rows wait for their link to be fetched.
    fn to_follow(&self) -> usize {
        self.links.len() + self.ahead.len()
    }
}

/// Refusals in a row.
#[derive(Default)]
struct Streak {
    code: String,
    count: u32,
}

impl<T: Transport> Engine<'_, T> {
    /// Enrols the rows of `plan`, each with what the target was seen to hold of it, and brings what
    /// earlier runs `begin` with to its end.
    ///
    /// Ends when nothing is left to do or the flag is raised; in the latter case what is at Graph is
    /// awaited first. `tell` hears of the progress.
    pub async fn enrol<I>(&self, plan: I, begin: Begin, mut tell: impl FnMut(&Progress)) -> Tally
    where
        I: Iterator<Item = Result<(Work, Option<RemoteMatch>), Stop>>,
    {
        let mut doubts =
            Reconciler::new(self.conduct.max_attempts, matches!(self.target, Target::Meeting(_)));
        for (work, ripe) in begin.lost {
            self.doubt(&mut doubts, work, ripe);
        }
        let mut state = EngineState {
            plan,
            plan_is_over: false,
            again: VecDeque::new(),
            links: begin.found.into(),
            ahead: VecDeque::new(),
            doubts,
            acknowledged: Acknowledged::default(),
            tally: Tally::default(),
            proven: false,
            link_proof: LinkProof::default(),
            spare: Spare::ONE,
            streak: Streak::default(),
        };
        for work in begin.listed_twice {
            state.doubts.recheck(work, self.client.clock.now());
        }
        for work in begin.sought {
            self.missed(&mut state, work);
        }
        let sender = RowSender {
            client: self.client,
            target: self.target,
            writer: self.writer,
            linkless: Cell::default(),
            links: self.links,
            shared_link: self.conduct.shared_link,
        };
        let mut in_hand = FuturesUnordered::new();
        let mut following = FuturesUnordered::new();
        let mut list: Option<LocalBoxFuture<'_, Listed>> = None;
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            while let Some(work) = self.next(&mut state, in_hand.len(), following.len()) {
                let alone = !state.proven;
                in_hand.push(sender.serve(work, alone, self.client.prepare()));
            }
            while following.len() < self.conduct.concurrency
                && !self.client.stop.is_raised()
                && let Some((work, sight)) =
                    state.links.pop_front().or_else(|| state.ahead.pop_front())
            {
                following.push(fetch_link(&sender, work, sight));
            }
            let stopped = self.client.stop.is_raised();
            let at_rest = in_hand.is_empty() && following.is_empty();
            let to_send = !state.again.is_empty() || !state.plan_is_over;
            let at_rest_wholly = at_rest && state.to_follow() == 0;
            let idle = at_rest_wholly && !to_send;
            // Or all that is left has to wait for a link.
            let quiet = idle || (at_rest_wholly && self.waits_for_links(&state, 0));
            if list.is_none() && at_rest && (stopped || (idle && state.doubts.is_settled())) {
                break;
            }
            let ripe = self.ripe_at(&state, quiet, list.is_some());
            if let Some(time) = ripe
                && time <= self.client.clock.now()
            {
                let now = self.client.clock.now();
                let (wanted, acknowledged) = (state.doubts.wanted(now), state.acknowledged.clone());
                list = Some(Box::pin(self.list(now, idle, wanted, acknowledged)));
                state.tally.lists += 1;
                continue;
            }
            let listing = match &mut list {
                Some(list) => Either::Left(list),
                None => Either::Right(std::future::pending()),
            };
            // In a fixed order, so that a seed replays; what seldom comes stands first, so that
            // nothing starves.
            tokio::select! {
                biased;
                () = self.client.stop.wait(), if !stopped => {}
                _ = ticks.tick() => tell(&self.progress(&state, following.len())),
                listed = pin!(listing) => {
                    list = None;
                    self.listed(&mut state, listed).await;
                }
                () = until(ripe.map(|time| self.client.clock.instant(time))) => {}
                Some((work, end)) = following.next() => self.followed(&mut state, work, &end),
                Some((work, end)) = in_hand.next() => self.ended(&mut state, work, end),
            }
        }
        tell(&self.progress(&state, following.len()));
        state.tally.in_doubt = state.doubts.open() as u64 + state.doubts.given_up();
        state.tally
    }

    /// The next row to take in hand, if one may be.
    fn next<I>(&self, state: &mut EngineState<I>, in_hand: usize, following: usize) -> Option<Work>
    where
        I: Iterator<Item = Result<(Work, Option<RemoteMatch>), Stop>>,
    {
        if self.client.stop.is_raised() {
            return None;
        }
        if self.waits_for_links(state, following) {
            return None;
        }
        let slow = self.target.api().is_event() && state.link_proof.is_slow();
        let room = if state.proven && !slow {
            in_hand < self.conduct.in_hand() && state.spare.admits(self.client)
        } else {
            in_hand == 0
        };
        if !room {
            return None;
        }
        if let Some(work) = state.again.pop_front() {
            return Some(work);
        }
        while !state.plan_is_over && state.ahead.len() < AHEAD {
            match state.plan.next() {
                Some(Ok((work, None))) => {
                    if self.waits_for_links(state, following) {
                        state.again.push_front(work);
                        return None;
                    }
                    return Some(work);
                }
                Some(Ok((work, Some(sight)))) => state.ahead.push_back((work, sight)),
                Some(Err(stop)) => {
                    self.client.stop.raise(stop);
                    return None;
                }
                None => state.plan_is_over = true,
            }
        }
        None
    }

    /// Whether links have to be seen before anybody else is registered.
    fn waits_for_links<I>(&self, state: &EngineState<I>, following: usize) -> bool {
        let looked_for = state.doubts.sought() + state.to_follow() + following;
        self.target.api().is_event() && state.link_proof.waits(looked_for)
    }

    fn ripe_at<I>(&self, state: &EngineState<I>, idle: bool, listing: bool) -> Option<Duration> {
        let off = listing || self.client.stop.is_raised();
        if off { None } else { state.doubts.next_list_at(idle) }
    }

    /// A row's result was lost.
    fn doubt(&self, doubts: &mut Reconciler, work: Work, ripe: Duration) {
        match self.conduct.on_unknown {
            OnUnknown::Reconcile => doubts.add(work, ripe),
            OnUnknown::Hold => doubts.hold(),
        }
    }

    /// A row that was accepted did not show, or has no link yet: it is looked for again, each time
    /// after twice the pause.
    fn missed<I>(&self, state: &mut EngineState<I>, mut work: Work) {
        // Others wait for the first links, so these are looked for sooner.
        let next = if state.link_proof.is_slow() && work.missed < SOON_LOOKS {
            self.client.clock.now() + SOON * (1 << work.missed)
        } else {
            self.in_a_while(work.missed)
        };
        work.missed += 1;
        state.link_proof.missed(self.client.clock.now(), self.conduct.settle);
        state.tally.awaiting += u64::from(!state.doubts.seek(work, next));
    }

    /// When to look again after so many looks that brought nothing.
    fn in_a_while(&self, looks: u32) -> Duration {
        self.client.clock.now() + self.pause(looks)
    }

    /// How long to wait after so many looks that brought nothing.
    fn pause(&self, looks: u32) -> Duration {
        let pause = self.conduct.settle.saturating_mul(1 << looks.min(16));
        pause.clamp(SOON, LONGEST_PAUSE)
    }

    fn progress<I>(&self, state: &EngineState<I>, following: usize) -> Progress {
        let mut tally = state.tally;
        tally.to_link = (state.doubts.sought() + state.to_follow() + following) as u64;
        tally.in_doubt = state.doubts.open() as u64 + state.doubts.given_up();
        Progress {
            tally,
            pace: self.client.view(),
            traffic: self.client.traffic(),
            elapsed: self.client.clock.now(),
        }
    }

    fn ended<I>(&self, state: &mut EngineState<I>, work: Work, end: RowEnd) {
        let ripe = self.client.clock.now() + self.conduct.settle;
        match end {
            RowEnd::Enrolled => {
                state.acknowledged.note(work.registrant.id.as_str(), work.answered_at);
                state.tally.enrolled += 1;
                state.proven = true;
                state.streak = Streak::default();
                self.recheck(&mut state.doubts, work);
            }
            RowEnd::Refused { code, message } => {
                state.tally.refused += 1;
                state.proven = true;
                self.count_refusal(state, code, message);
            }
            RowEnd::InDoubt => self.doubt(&mut state.doubts, work, ripe),
            RowEnd::Removed => state.doubts.add(work, ripe),
            RowEnd::Accepted(sight) => {
                if work.posted {
                    state.acknowledged.note(work.registrant.id.as_str(), work.answered_at);
                }
                state.proven = true;
                state.link_proof.accepted(self.client.clock.now());
                state.streak = Streak::default();
                if let Some(sight) = sight {
                    state.links.push_back((work, *sight));
                } else {
                    let may_show = self.client.clock.now() + SOON;
                    state.tally.awaiting += u64::from(!state.doubts.seek(work, may_show));
                }
            }
            RowEnd::Awaiting | RowEnd::TurnedAway | RowEnd::Held(_) | RowEnd::NotAttempted => {}
        }
    }

    /// A row is enrolled: where the target may hold it twice a list is to tell.
    fn recheck(&self, doubts: &mut Reconciler, work: Work) {
        // That of a throttled POST was most likely not processed: one look is enough.
        let wait = if work.doubted { self.conduct.settle } else { Duration::ZERO };
        if work.doubted || work.throttled {
            doubts.recheck(work, self.client.clock.now() + wait);
        }
    }

    /// A row that a webinar holds was led as far as it goes now.
    fn followed<I>(&self, state: &mut EngineState<I>, work: Work, end: &RowEnd) {
        if matches!(end, RowEnd::Enrolled | RowEnd::Awaiting | RowEnd::TurnedAway) {
            state.link_proof.led();
        }
        match end {
            RowEnd::Enrolled => {
                state.tally.enrolled += 1;
                self.recheck(&mut state.doubts, work);
            }
            RowEnd::Awaiting => state.tally.awaiting += 1,
            // Each for a reason of its own: no sign that something is wrong with all of them.
            RowEnd::TurnedAway => {
                state.tally.refused += 1;
                self.hold_rejects(state);
            }
            RowEnd::Accepted(_) => self.missed(state, work),
            RowEnd::InDoubt => {
                let ripe = self.client.clock.now() + self.conduct.settle;
                self.doubt(&mut state.doubts, work, ripe);
            }
            RowEnd::Refused { .. } | RowEnd::Removed | RowEnd::Held(_) | RowEnd::NotAttempted => {}
        }
    }

    fn count_refusal<I>(&self, state: &mut EngineState<I>, code: String, message: String) {
        if state.streak.code == code {
            state.streak.count += 1;
        } else {
            state.streak = Streak { code: code.clone(), count: 1 };
        }
        if state.streak.count >= SAME_ANSWER {
            self.client.stop.raise(Stop::SameRefusal { count: state.streak.count, code, message });
        }
        self.hold_rejects(state);
    }

    /// `--max-rejects`.
    fn hold_rejects<I>(&self, state: &EngineState<I>) {
        let rejects = self.invalid + state.tally.refused;
        if let Some(limit) = self.conduct.max_rejects
            && limit.is_passed(rejects, self.read)
        {
            self.client.stop.raise(too_many(limit, rejects));
        }
    }

    async fn list(
        &self,
        begun: Duration,
        idle: bool,
        wanted: Wanted,
        acknowledged: Acknowledged,
    ) -> Listed {
        let (mut seen, mut held, mut fresh_to) =
            (RemoteIndex::cautious().without(self.cancelled.clone()), 0, None);
        let result = remote::list(self.client, self.target, |members| {
            held += members.len();
            for member in members {
                fresh_to =
                    fresh_to.max(member.posted.as_deref().and_then(|id| acknowledged.at(id)));
                if wanted.has(&member) {
                    seen.note(member);
                }
            }
        })
        .await;
        Listed { begun, idle, held, fresh_to, result: result.map(|()| seen) }
    }

    /// Acts on a list: rows are sent again, followed to their link, or looked for again.
    async fn listed<I>(&self, state: &mut EngineState<I>, listed: Listed) {
        let seen = match listed.result {
            Ok(seen) => seen,
            Err(why) => return self.unlisted(state, why),
        };
        let list = ListSeen {
            begun: listed.begun,
            begun_at: self.client.clock.stamp(listed.begun),
            index: &seen,
            held: listed.held,
            fresh_to: listed.fresh_to,
            idle: listed.idle,
        };
        let acknowledged = state.acknowledged.latest();
        for finding in state.doubts.judge(&list, acknowledged, |lists| self.pause(lists)) {
            let kept = match finding {
                Finding::Missed(work) => {
                    self.missed(state, work);
                    Ok(())
                }
                Finding::Absent(mut work) => {
                    (work.remove_first, work.removed, work.throttled) = (false, false, false);
                    self.again(state, work, NextState::Ready).await
                }
                Finding::Held(work, sight) => self.held(state, work, sight).await,
                Finding::Twice(work, sight) => {
                    state.tally.enrolled = state.tally.enrolled.saturating_sub(1);
                    self.held(state, Work { doubted: true, ..work }, sight).await
                }
                Finding::Once(_) => Ok(()),
                Finding::NotRemoved(work) => {
                    let reason = "the target goes on listing it after each DELETE that it answered";
                    self.keep(&work, in_doubt("not-removed", reason)).await
                }
                Finding::StillTwice(work) => {
                    state.tally.enrolled = state.tally.enrolled.saturating_sub(1);
                    self.keep(&work, in_doubt("listed-twice", "the target holds it twice")).await
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
            NoList::Odd(_)
            | NoList::Refused(Refusal::Unknown | Refusal::Unreadable | Refusal::Failing(_)) => true,
            NoList::Refused(Refusal::Stopped | Refusal::Answered { .. }) => false,
        };
        if passing && !stopped && state.doubts.postpone(|failed| self.in_a_while(failed)) {
            return;
        }
        // What is forbidden to this list is forbidden to the next; nobody would be told.
        if let NoList::Refused(refusal @ Refusal::Answered { verdict, .. }) = why
            && matches!(verdict, Verdict::Systemic(_) | Verdict::SignIn)
            && !self.conduct.trust_ledger
            && let Some(stop) = refusal.into_stop(self.target.api(), "a list")
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
        let in_doubt = in_doubt(code, reason);
        match self.target {
            Target::Meeting(_) => {
                work.remove_first = true;
                self.again(state, work, in_doubt).await
            }
            Target::Event(_) => {
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

/// A list, and when it was begun.
struct Listed {
    begun: Duration,
    /// Whether nothing else was under way or left to be sent then.
    idle: bool,
    /// How many members it had.
    held: usize,
    /// When the latest registrant of this run that it shows was acknowledged.
    fresh_to: Option<i64>,
    result: Result<RemoteIndex, NoList>,
}

/// How many rows are prepared ahead of their turn: enough that a free slot does not wait for an
/// intent to reach the disk, few enough that a crash leaves few in doubt that were never sent. So
/// it follows the need: twice as many when a slot waits, half when rows wait.
struct Spare(usize);

impl Spare {
    /// A row that is prepared now and not ahead of anything.
    const ONE: Self = Self(1);

    /// Whether one more may be prepared.
    fn admits<T: Transport>(&mut self, client: &GraphClient<T>) -> bool {
        let unsent = client.unsent();
        if client.waiting() > self.0.div_ceil(2) {
            self.0 = (self.0 / 2).max(1);
        } else if unsent >= self.0 && client.is_starved() {
            self.0 = (self.0 * 2).min(Self::most(client.view().per_second));
        }
        unsent < self.0
    }

    fn most(per_second: Option<f64>) -> usize {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rows")]
        let a_second = per_second.map_or(usize::MAX, |rate| rate.ceil() as usize);
        a_second.max(4)
    }
}

/// The cause for `--max-rejects`.
pub(super) fn too_many(limit: Limit, rejects: u64) -> Stop {
    Stop::Rejects(format!("{rejects} rows are invalid or refused, more than --max-rejects {limit}"))
}

async fn until(time: Option<tokio::time::Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
