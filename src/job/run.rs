//! The story of a run: the target's rule, its list, the plan, the engine; the files are another room's.

use std::{collections::HashSet, sync::Arc, time::Duration};

use tracing::Instrument as _;

use super::{
    canceller::{self, CancelTally, Canceller},
    client::{GraphClient, Refusal},
    clock,
    conduct::Conduct,
    engine::{self, Begin, Engine, Progress, Tally},
    link_guard::LinkGuard,
    plan::{JobError, Plan},
    preflight::{self, Admission, Ruling},
    remote::{self, NoList, RemoteIndex},
    roll_call::{CancelOrder, CancelPlan},
    stop::{self, Stop},
};
use crate::{
    graph::{
        event::VirtualEvent,
        meeting::Registration,
        target::{Api, Target},
        transport::Transport,
        wire::Member,
    },
    input::{InputError, Snapshot},
    ledger::{
        CancelEnd, CancelOutcome, Ledger, LedgerError, LedgerWriter, OpenCancellation, RunEnd, Seq,
    },
    pacing::{Bucket, Learnt, PaceOptions, Pacer},
    registrant::{FormFault, Mode, Rule},
};

/// Fewer people than this may have been removed one by one, however large a part of the ledger they are.
const FEW_GONE: u64 = 3;

/// Under this name the ledger keeps what the pace of writes has learnt.
const WRITES: &str = "writes";

/// What an import works with.
pub struct Import<'a, T> {
    /// The line to Graph.
    pub client: &'a GraphClient<T>,
    /// The target.
    pub target: &'a Target,
    /// The input's copy.
    pub input: &'a Snapshot,
    /// How to behave.
    pub conduct: &'a Conduct,
    /// Create a meeting's missing registration with this mode.
    pub enable: Option<Mode>,
    /// The pace of writes: ceiling, concurrency, seed. Rows and what was learnt are filled in.
    pub pace: PaceOptions,
    /// When to stop starting new requests, since the start, and the option that says so.
    pub deadline: Option<(Duration, &'static str)>,
    /// The ids whose cancellation a person approved, where a file of them was named.
    pub approved: Option<HashSet<String>>,
    /// End with the plan. Nothing but GETs is sent then, whatever else is set.
    pub plan_only: bool,
    /// Keep the ledger in this thread, for deterministic tests under paused time.
    pub in_this_thread: bool,
}

/// What is told while it goes on.
pub enum Event<'a> {
    /// The target's rule is known.
    Ruled(&'a Ruling),
    /// The plan is made, nothing is posted yet.
    Planned(&'a Planned<'a>),
    /// A tick of the engine.
    Going(&'a Progress),
    /// Somebody was cancelled, or was not.
    Cancelling(&'a CancelTally),
}

/// What is told once the plan is made.
pub struct Planned<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Under what rule.
    pub ruling: &'a Ruling,
    /// How many the webinar holds; 0 where it was not listed.
    pub held: u64,
    /// Rows per second, where that is known: from the ceiling or from an earlier run.
    pub pace: Option<f64>,
}

/// How an import ended. The ledger holds the rest.
pub struct Ended {
    /// The ledger.
    pub ledger: Ledger,
    /// The target's rule and mode, where they were learnt.
    pub ruled: Option<(Rule, Mode)>,
    /// What was decided about the rows; `None` where the run came to no plan.
    pub plan: Option<Plan>,
    /// What was done.
    pub tally: Tally,
    /// What was cancelled.
    pub cancelled: CancelTally,
    /// Whether Teams mails those who are registered.
    pub mails: bool,
    /// Whether the target has no place left for those who are to be enrolled.
    cancel_first: bool,
    /// Why it stopped early.
    pub stop: Option<Stop>,
}

impl Ended {
    /// Nothing was done yet.
    fn new(ledger: Ledger) -> Self {
        let (tally, cancelled) = (Tally::default(), CancelTally::default());
        let (mails, cancel_first, stop) = (false, false, None);
        Self { ledger, ruled: None, plan: None, tally, cancelled, mails, cancel_first, stop }
    }
}

/// Why a run ends before its first POST.
enum Early {
    /// For this cause; where there is none, for the one that was raised meanwhile.
    Stop(Option<Stop>),
    /// Input or ledger is at fault.
    Fault(JobError),
}

impl From<JobError> for Early {
    fn from(error: JobError) -> Self {
        Self::Fault(error)
    }
}

impl From<LedgerError> for Early {
    fn from(error: LedgerError) -> Self {
        Self::Fault(error.into())
    }
}

impl From<InputError> for Early {
    fn from(error: InputError) -> Self {
        Self::Fault(error.into())
    }
}

impl From<Stop> for Early {
    fn from(stop: Stop) -> Self {
        Self::Stop(Some(stop))
    }
}

/// Enrols everybody of the input who can be, and ends with the ledger.
///
/// # Errors
/// [`JobError`] when the input or the ledger is at fault before anything was posted. Everything
/// else, from a missing permission to a full disk, is [`Ended::stop`]: the files are still to be
/// written.
pub async fn import<T: Transport>(
    import: &Import<'_, T>,
    mut ledger: Ledger,
    mut tell: impl FnMut(Event<'_>),
) -> Result<Ended, JobError> {
    let path = ledger.path().to_owned();
    let named = |error| match error {
        JobError::Ledger(error) => JobError::Ledger(error.at(&path)),
        error => error,
    };
    let number = ledger.begin_run(import.client.clock.epoch()).map_err(|error| error.at(&path))?;
    let run = tracing::info_span!("run", number);
    let work = import.run(ledger, &mut tell).instrument(run);
    let deadline = async {
        let Some((time, option)) = import.deadline else { return std::future::pending().await };
        tokio::time::sleep_until(import.client.clock.instant(time)).await;
        import.client.stop.raise(Stop::Deadline(option));
        std::future::pending::<()>().await;
    };
    tokio::select! {
        biased;
        ended = work => ended.map_err(named),
        () = deadline => unreachable!("a deadline raises the flag and never ends"),
        () = import.client.keep_token() => unreachable!("a token is kept for ever"),
    }
}

impl<T: Transport> Import<'_, T> {
    async fn run(
        &self,
        ledger: Ledger,
        tell: &mut impl FnMut(Event<'_>),
    ) -> Result<Ended, JobError> {
        let mut ended = Ended::new(ledger);
        match self.prepare(&mut ended, tell).await {
            Ok(()) if self.plan_only => {}
            Ok(()) => return self.enrol(ended, tell).await,
            Err(Early::Stop(stop)) => ended.stop = stop.or_else(|| self.client.stop.cause()),
            Err(Early::Fault(error)) => {
                // The first fault is told; a ledger that cannot be written now will say so next time.
                let at = self.client.clock.stamp(self.client.clock.now());
                let end = RunEnd { at, exit_code: 2, stop_reason: Some("usage"), summary: "{}" };
                let _ = ended.ledger.end_run(&end);
                return Err(error);
            }
        }
        Ok(ended)
    }

    /// Everything before the first POST.
    async fn prepare(
        &self,
        ended: &mut Ended,
        tell: &mut impl FnMut(Event<'_>),
    ) -> Result<(), Early> {
        let ledger = &mut ended.ledger;
        let ruling = self.rule(ledger).await?;
        ended.ruled = Some((ruling.rule.clone(), ruling.mode));
        tell(Event::Ruled(&ruling));
        self.input.require(&ruling.rule)?;
        let unanswered = match &ruling.rule {
            Rule::Event(form) => match self.input.suits(form) {
                Err(error @ InputError::Form(FormFault::Unanswered { .. })) => Some(error),
                other => other.map(|()| None)?,
            },
            Rule::Meeting(_) => None,
        };
        let remote = self.list(ledger, &ruling).await?;
        let held = remote.holding();
        let trust_ids = self.conduct.trust_ids;
        let order = CancelOrder {
            policy: self.conduct.cancel,
            approved: self.approved.clone(),
            starts_at: ruling.admission.as_ref().and_then(|admission| admission.starts_at),
            now: self.client.clock.stamp(self.client.clock.now()),
        };
        let rule = ruling.rule.clone();
        let mut plan = Plan::of(self.input, rule, ledger, remote, trust_ids, &order)?;
        if let Some(trap) = plan.trap.take() {
            return Err(JobError::Trap(trap).into());
        }
        let somebody_goes = |cancel: &CancelPlan| cancel.due().count() + cancel.held().count() > 0;
        if !plan.cancel.as_ref().is_some_and(somebody_goes) {
            self.input.hold_empty(plan.counts.read, plan.counts.excluded)?;
        }
        // A question that was added later is asked of new people only.
        if let Some(error) = unanswered.filter(|_| plan.counts.unanswered > 0) {
            return Err(error.into());
        }
        ledger.store_fingerprints(&plan.learnt)?;
        ledger.end_registrations(&plan.ended, order.now)?;
        plan.store_list(self.input, ledger, order.now)?;
        if !plan.is_idle() {
            ledger.verify()?;
        }
        self.set_pace(&plan, ledger)?;
        let pace = self.client.view().per_second;
        tell(Event::Planned(&Planned { plan: &plan, ruling: &ruling, held, pace }));
        let refusal = self.refuse(&plan, &ruling);
        ended.mails = ruling.admission.as_ref().is_some_and(|admission| !admission.silent);
        ended.cancel_first = self.makes_room_first(&plan, &ruling, held)?;
        ended.plan = Some(plan);
        refusal.map_or(Ok(()), |stop| Err(stop.into()))
    }

    /// The target's rule. A meeting's registration is held against the one that the ledger's links
    /// belong to: one made in its place would leave every link dead.
    async fn rule(&self, ledger: &mut Ledger) -> Result<Ruling, Early> {
        let before = ledger.listed()?.registration.filter(|_| !self.conduct.trust_ledger);
        let enable = self.enable.filter(|_| before.is_none() && !self.plan_only);
        let ruling = match preflight::rule(self.client, self.target, enable).await {
            Ok(ruling) => ruling,
            Err(stop) => {
                let gone = matches!(&stop, Some(Stop::TargetGone { api: Api::Meeting, .. }));
                let vanished = before.filter(|_| gone).map(|before| vanished(&before));
                return Err(Early::Stop(vanished.or(stop)));
            }
        };
        let now = ruling.registration.as_ref();
        if let Some((before, now)) = before.zip(now)
            && let Some(stop) = replaced(&before, now)
        {
            return Err(stop.into());
        }
        let id = now.and_then(|registration| registration.id.as_deref());
        ledger.keep_registration(id, ruling.mode.as_str())?;
        Ok(ruling)
    }

    /// What the target holds, so that a lost ledger, one that was restored from a backup, or another
    /// tool's work doubles nobody. A trusted ledger has to tell by itself, unless it may have lost
    /// something with the run before.
    async fn list(&self, ledger: &mut Ledger, ruling: &Ruling) -> Result<RemoteIndex, Early> {
        if let Target::Event(event) = self.target {
            self.settle_cancellations(ledger, event).await?;
        }
        let in_doubt = ledger.open_cancellations()?;
        if self.conduct.trust_ledger && !ledger.was_torn() && in_doubt.is_empty() {
            return Ok(RemoteIndex::default());
        }
        let now = self.client.clock.stamp(self.client.clock.now());
        // A trusted ledger's word counts for more.
        let trusted = self.conduct.trust_ledger;
        let mut remote = if trusted { RemoteIndex::default() } else { RemoteIndex::of_list(now) };
        remote = remote.without(Arc::new(ledger.cancelled_registrations()?));
        if ruling.registration.is_none() {
            if self.list_pages(|page| page.into_iter().for_each(|it| remote.note(it))).await? {
                // Who is there is told by each run's own list.
                ledger.keep_list([], now)?;
                self.hold_list(ledger, &remote, now)?;
            }
            return Ok(remote);
        }
        // Page by page to the disk: it may be longer than what is to be held in memory.
        let mut list = ledger.begin_list(now)?;
        let mut kept = Ok(());
        let keep = |page: Vec<Member>| {
            let ids = page.into_iter().filter_map(|member| member.posted);
            let ids: Vec<String> = ids.inspect(|id| remote.note_id(id)).collect();
            if kept.is_ok() {
                kept = list.take(ids);
            }
        };
        let listed = self.list_pages(keep).await?;
        kept?;
        if listed {
            list.keep()?;
            remote.sort_ids();
            for OpenCancellation { seq, id, .. } in in_doubt {
                self.settle_cancellation(ledger, seq, !remote.shows(&id, None))?;
            }
            self.hold_list(ledger, &remote, now)?;
        }
        Ok(remote)
    }

    /// Finds out what became of cancellations whose answer an earlier run never learnt.
    async fn settle_cancellations(
        &self,
        ledger: &mut Ledger,
        event: &VirtualEvent,
    ) -> Result<(), Early> {
        for OpenCancellation { seq, registrant_id, .. } in ledger.open_cancellations()? {
            let Some(id) = registrant_id else { continue };
            let read = canceller::read_standing(self.client, &event.registration(&id)).await;
            let is_over = read.map_err(|refusal| {
                Early::Stop(refusal.into_stop(self.target.api(), "a registration"))
            })?;
            self.settle_cancellation(ledger, seq, is_over)?;
        }
        Ok(())
    }

    fn settle_cancellation(
        &self,
        ledger: &mut Ledger,
        seq: Seq,
        is_over: bool,
    ) -> Result<(), LedgerError> {
        let at = self.client.clock.stamp(self.client.clock.now());
        let outcome = if is_over { CancelOutcome::Cancelled } else { CancelOutcome::Withdrawn };
        ledger.end_cancellation(&CancelEnd { seq, attempt: None, outcome: Some(outcome), at })
    }

    /// Lists the whole target; `false` where there is no list and the ledger is trusted.
    async fn list_pages(&self, page: impl FnMut(Vec<Member>)) -> Result<bool, Early> {
        let why = match remote::list(self.client, self.target, page).await {
            Ok(()) => return Ok(true),
            Err(NoList::Refused(Refusal::Stopped)) => return Err(Early::Stop(None)),
            Err(_) if self.conduct.trust_ledger => return Ok(false),
            Err(NoList::Odd(why)) => why,
            Err(NoList::Refused(refusal)) => match refusal.into_stop(self.target.api(), "a list") {
                Some(Stop::Unusable(why) | Stop::Failing(why)) => why,
                stop => return Err(Early::Stop(stop)),
            },
        };
        Err(Stop::NoList(why).into())
    }

    /// Holds the list, begun at `now`, against the ledger: where it lacks most of whom the ledger
    /// enrolled, the registration was made anew, perhaps with the same id, and each link is dead.
    fn hold_list(&self, ledger: &Ledger, remote: &RemoteIndex, now: i64) -> Result<(), Early> {
        if self.conduct.trust_ledger {
            return Ok(());
        }
        let (mut gone, mut of) = (0, 0);
        ledger.for_each_enrolled(|id, server_id, since| {
            of += 1;
            let must_show = now - since > clock::millis(remote::ON_THE_LIST);
            gone += u64::from(must_show && !remote.shows(id, server_id));
        })?;
        if gone < FEW_GONE || gone * 2 <= of {
            return Ok(());
        }
        Err(Stop::Emptied { api: self.target.api(), gone, of }.into())
    }

    /// Hands the plan to the engine.
    async fn enrol(
        &self,
        ended: Ended,
        tell: &mut impl FnMut(Event<'_>),
    ) -> Result<Ended, JobError> {
        let Ended { ledger, ruled, plan, mails, cancel_first, .. } = ended;
        let mut plan = plan.expect("a run that was prepared has a plan");
        let work = |with_missing| match &plan.cancel {
            Some(cancel) => cancel.work(&ledger, with_missing),
            None => Ok(Vec::new()),
        };
        let (every, marked) = (work(true)?, work(false)?);
        let without = |in_doubt: u64| if in_doubt == 0 { every.clone() } else { marked.clone() };
        let cancelled_before = Arc::new(ledger.cancelled_registrations()?);
        let links = LinkGuard::default();
        if self.target.api().is_event() {
            ledger.for_each_link(|id, link, owner| links.note(id, link, owner))?;
        }
        let writer = if self.in_this_thread {
            LedgerWriter::here(ledger)
        } else {
            LedgerWriter::start(ledger)?
        };
        let engine = Engine {
            client: self.client,
            target: self.target,
            writer: &writer,
            conduct: self.conduct,
            links: &links,
            read: plan.counts.read,
            invalid: plan.counts.invalid,
            cancelled: cancelled_before,
        };
        let canceller = Canceller {
            client: self.client,
            target: self.target,
            writer: &writer,
            conduct: self.conduct,
        };
        // A row in doubt may be the very person who is missing.
        let mut done = CancelTally::default();
        if cancel_first {
            let work = without(plan.counts.in_doubt);
            done = canceller.run(work, |tally| tell(Event::Cancelling(tally))).await;
        }
        let begin = self.begin(&mut plan);
        let failed = |error: InputError| Stop::Input(error.to_string());
        let work = plan.work(self.input).map(|work| work.map_err(failed));
        let tally = engine.enrol(work, begin, |progress| tell(Event::Going(progress))).await;
        if !cancel_first && !self.client.stop.is_raised() {
            let work = without(tally.in_doubt);
            done = canceller.run(work, |tally| tell(Event::Cancelling(tally))).await;
        }
        let mut ledger = writer.finish();
        let mut stop = self.client.stop.cause();
        if let Err(error) = self.keep_pace(&mut ledger).and_then(|()| ledger.is_in_place()) {
            stop.get_or_insert(Stop::Ledger(error.to_string()));
        }
        let plan = Some(plan);
        Ok(Ended { ledger, ruled, plan, tally, cancelled: done, mails, cancel_first, stop })
    }

    /// What earlier runs have left to be done.
    fn begin(&self, plan: &mut Plan) -> Begin {
        let settle = clock::millis(self.conduct.settle);
        let mut begin = Begin::default();
        for (mut work, since) in std::mem::take(&mut plan.in_doubt) {
            work.answered_at = since;
            let ripe = self.client.clock.since(since.saturating_add(settle));
            // No longer than that, where a clock was set back since.
            begin.lost.push((work, ripe.min(self.conduct.settle)));
        }
        begin.listed_twice = std::mem::take(&mut plan.listed_twice);
        for work in std::mem::take(&mut plan.awaiting) {
            // One that is over shows before the row's own.
            let shown = plan.remote.of_known(&work.registrant, work.server_id.as_deref());
            match shown.filter(|shown| !shown.member.standing.is_over()) {
                Some(shown) => begin.found.push((work, shown)),
                None => begin.sought.push(work),
            }
        }
        begin
    }

    /// What forbids to post anything at all.
    fn refuse(&self, plan: &Plan, ruling: &Ruling) -> Option<Stop> {
        if self.conduct.strict && plan.counts.invalid > 0 {
            let rows = if plan.counts.invalid == 1 { "row is" } else { "rows are" };
            return Some(Stop::Rejects(format!(
                "{} {rows} invalid and --strict is set",
                plan.counts.invalid
            )));
        }
        let limit = self.conduct.max_rejects;
        if let Some(limit) =
            limit.filter(|limit| limit.is_passed(plan.counts.invalid, plan.counts.read))
        {
            return Some(engine::too_many(limit, plan.counts.invalid));
        }
        // Whoever is signed in registers nobody else.
        // In doubt: an absent one would be posted.
        (ruling.of_a_person && (plan.counts.to_post > 0 || plan.counts.in_doubt > 0))
            .then(|| Stop::Unusable(format!("{}; {}", preflight::PERSON, stop::EVENT_ACCESS)))
    }

    /// Whether more people are to be enrolled than there are places: then those who go make room first.
    ///
    /// # Errors
    /// Where they do not make enough, and `--over-capacity` is not given.
    fn makes_room_first(&self, plan: &Plan, ruling: &Ruling, held: u64) -> Result<bool, JobError> {
        let Some(Admission { capacity: Some(capacity), waitlist: false, .. }) = ruling.admission
        else {
            return Ok(false);
        };
        let people = plan.counts.to_post;
        let due = plan.cancel.as_ref().map_or(0, |cancel| cancel.due().count()) as u64;
        let places = (capacity + due).saturating_sub(held);
        if people > places && !self.conduct.over_capacity {
            return Err(JobError::OverCapacity { people, places });
        }
        Ok(held + people > capacity)
    }

    fn set_pace(&self, plan: &Plan, ledger: &Ledger) -> Result<(), LedgerError> {
        let now = self.client.clock.epoch();
        let learnt = ledger.pace(WRITES)?.and_then(|(text, kept_at)| {
            let age = Duration::from_millis(now.saturating_sub(kept_at).try_into().unwrap_or(0));
            Learnt::from_json(&text).ok()?.aged(age)
        });
        let in_doubt = plan.counts.in_doubt;
        let rows = plan.counts.to_post + in_doubt;
        let settings = PaceOptions { rows, learnt, ..self.pace.clone() };
        let recent = self.recent_sends(ledger)?;
        // What the server asked an earlier run to wait holds for this one.
        let wait = learnt.map_or(Duration::ZERO, |learnt| learnt.wait());
        let pacer = Pacer::new(settings).with_recent(recent).waiting(self.client.clock.now(), wait);
        self.client.pacing(|buckets| {
            let writes = buckets.of(Bucket::Writes);
            // A registration may have been enabled just now.
            *writes = pacer.after(writes);
            buckets.of(Bucket::Reads).add_rows(rows + plan.counts.held + plan.counts.awaiting);
        });
        Ok(())
    }

    /// The ages of the sends that the ceiling still counts.
    fn recent_sends(&self, ledger: &Ledger) -> Result<Vec<Duration>, LedgerError> {
        let Some(ceiling) = self.pace.ceiling else { return Ok(Vec::new()) };
        let now = self.client.clock.epoch();
        let since = now.saturating_sub(clock::millis(ceiling.per));
        let transit = clock::millis(ceiling.transit());
        // The ledger's times are whole milliseconds, cut off: one more, and none looks older than it is.
        let age = |at: i64| now.saturating_sub(at.saturating_add(1)).try_into().unwrap_or(0);
        let sends = ledger.recent_sends(since, transit)?;
        Ok(sends.into_iter().map(|at| Duration::from_millis(age(at))).collect())
    }

    fn keep_pace(&self, ledger: &mut Ledger) -> Result<(), LedgerError> {
        let now = self.client.clock.now();
        match self.client.pacing(|buckets| buckets.of(Bucket::Writes).kept(now)) {
            Some(learnt) => {
                ledger.keep_pace(WRITES, &learnt.to_json(), self.client.clock.stamp(now))
            }
            None => Ok(()),
        }
    }
}

/// The cause to stop, where the registration is not the one that the ledger's links belong to:
/// `before` is the id and mode that the last run saw.
pub fn replaced(before: &(Option<String>, String), now: &Registration) -> Option<Stop> {
    let ((id, before), mode) = (before, now.mode.as_str());
    let other = matches!((id, &now.id), (Some(a), Some(b)) if a != b);
    if !other && before == mode {
        return None;
    }
    let now = name(now.id.as_deref(), mode);
    Some(Stop::Replaced { before: name(id.as_deref(), before), now })
}

/// The cause to stop, where the registration that the ledger's links belong to is gone.
pub fn vanished((id, mode): &(Option<String>, String)) -> Stop {
    Stop::Replaced { before: name(id.as_deref(), mode), now: "none".to_owned() }
}

fn name(id: Option<&str>, mode: &str) -> String {
    match id {
        Some(id) => format!("{id}, {mode}"),
        None => mode.to_owned(),
    }
}
