//! The way of an import: rule, first list, plan, engine.

use std::{collections::HashSet, time::Duration};

use super::{
    Ended, Event, Import, JobError, Planned, clock, emptied,
    engine::{self, Begin, Engine, Tally},
    listing::{self, NoList},
    people::Judgement,
    plan::{Plan, PlanError},
    preflight::{self, Ruling},
    refusal, replaced,
    sightings::Sightings,
    stop::Stop,
    vanished,
};
use crate::{
    graph::{list::Member, target::Api, transport::Transport},
    input::{InputError, Row},
    ledger::{Ledger, LedgerError, RunEnd, Scribe},
    pacing::{Bucket, Learnt, Pacer, Settings},
    registrant::{Mode, Rule},
};

/// Whoever was enrolled longer ago than this stands on the list, however late it is. Microsoft says
/// nothing of that; an hour is this program's own guess, on the safe side.
const ON_THE_LIST: Duration = Duration::from_secs(60 * 60);

/// Under this name the ledger keeps what the pace of writes has learnt.
const WRITES: &str = "writes";

/// The end of a run before its first POST.
#[derive(Default)]
struct Early {
    /// The rule, where it was learnt.
    ruled: Option<(Rule, Mode)>,
    /// What was found out about the people, where that was asked.
    judgement: Option<Judgement>,
    /// The cause.
    stop: Option<Stop>,
}

/// Everything that is known before the first POST.
struct Prepared {
    plan: Plan,
    mode: Mode,
    /// What the webinar was seen to hold.
    holdings: Sightings,
}

impl<T: Transport> Import<'_, T> {
    pub(super) async fn walk(
        &self,
        mut ledger: Ledger,
        tell: &mut impl FnMut(Event<'_>),
    ) -> Result<Ended, JobError> {
        match self.prepare(&mut ledger, tell).await {
            Ok(Ok(prepared)) => self.enrol(prepared, ledger, tell).await,
            Ok(Err(Early { ruled, judgement, stop })) => {
                let stop = stop.or_else(|| self.line.stop.cause());
                Ok(Ended { ledger, ruled, judgement, tally: Tally::default(), stop })
            }
            Err(error) => {
                // The first fault is told; a ledger that cannot be written now will say so next time.
                let at = self.line.clock.stamp(self.line.clock.now());
                let end = RunEnd { at, exit_code: 2, stop_reason: Some("usage"), summary: "{}" };
                let _ = ledger.end_run(&end);
                Err(error)
            }
        }
    }

    /// Everything before the first POST: the rule, the first list, the plan.
    async fn prepare(
        &self,
        ledger: &mut Ledger,
        tell: &mut impl FnMut(Event<'_>),
    ) -> Result<Result<Prepared, Early>, JobError> {
        // A registration made in the place of the ledger's would leave every link of it dead.
        let bound = ledger.listed()?.registration.filter(|_| !self.conduct.trust_ledger);
        let enable = self.enable.filter(|_| bound.is_none());
        let ruling = match preflight::rule(self.line, self.target, self.host, enable).await {
            Ok(ruling) => ruling,
            Err(stop) => {
                let gone = matches!(&stop, Some(Stop::TargetGone { api: Api::Meeting, .. }));
                let vanished = bound.filter(|_| gone).map(|before| vanished(&before));
                return Ok(Err(Early { stop: vanished.or(stop), ..Early::default() }));
            }
        };
        let (rule, mode) = (ruling.rule.clone(), ruling.mode);
        let ruled = || Some((rule.clone(), mode));
        let early = |stop| Ok(Err(Early { ruled: ruled(), judgement: None, stop }));
        if let Some(stop) = self.hold_registration(ledger, &ruling)? {
            return Ok(Err(Early { stop: Some(stop), ..Early::default() }));
        }
        tell(Event::Ruled(&ruling));
        self.input.require(&rule)?;
        if let Rule::Webinar(form) = &rule {
            self.input.suits(form)?;
        }
        // After a run that was torn off the list also tells whom a damaged log has forgotten.
        let must_list = ledger.listed()?.at.is_none() || ledger.was_torn();
        if let Some(stop) = self.hold_list(ledger, &ruling).await? {
            return early(Some(stop));
        }
        let mut holdings = Sightings::default();
        let mut draw = |ledger: &Ledger, holdings: &Sightings| -> Result<Plan, PlanError> {
            let run = ledger.run()?;
            let mut draw = |judgement| {
                tell(Event::Drawing { rule: &rule, run });
                let rule = rule.clone();
                Plan::draw(self.input, rule, ledger, holdings, judgement, |row| {
                    tell(Event::Noted(row));
                })
            };
            let trust_ids = self.conduct.trust_ids;
            let mut plan = draw(Judgement::new(trust_ids))?;
            if let Some(trap) = plan.trap.take() {
                return Err(trap.into());
            }
            plan.judgement = plan.people.judge(ledger, self.input, trust_ids)?;
            if plan.judgement.is_news() { draw(plan.judgement) } else { Ok(plan) }
        };
        let plan = match self.target.api() {
            Api::Meeting => {
                if must_list && let Err(stop) = self.first_list(ledger).await? {
                    return early(stop);
                }
                let plan = draw(ledger, &holdings)?;
                if plan.foreign > 0 && !must_list {
                    // Somebody may have removed them since they were last seen.
                    match self.first_list(ledger).await? {
                        Ok(()) => draw(ledger, &holdings)?,
                        Err(stop) => return early(stop),
                    }
                } else {
                    plan
                }
            }
            Api::Webinar => {
                let plan = draw(ledger, &holdings)?;
                // People register by themselves, too; whoever is there is not posted.
                if must_list || !plan.is_idle() {
                    match self.look(ledger).await? {
                        Ok(seen) => holdings = seen,
                        Err(stop) => return early(stop),
                    }
                    draw(ledger, &holdings)?
                } else {
                    plan
                }
            }
        };
        ledger.keep_marks(plan.people.learnt())?;
        if !plan.is_idle() {
            ledger.look_over()?;
        }
        self.set_pace(&plan, ledger)?;
        let pace = self.line.view().per_second;
        let held = holdings.holding();
        tell(Event::Planned(&Planned { plan: &plan, ruling: &ruling, held, pace }));
        match self.refuse(&plan, &ruling) {
            Some(stop) => {
                let judgement = Some(plan.judgement);
                Ok(Err(Early { ruled: ruled(), judgement, stop: Some(stop) }))
            }
            None => Ok(Ok(Prepared { plan, mode, holdings })),
        }
    }

    /// Hands the plan to the engine.
    async fn enrol(
        &self,
        prepared: Prepared,
        ledger: Ledger,
        tell: &mut impl FnMut(Event<'_>),
    ) -> Result<Ended, JobError> {
        let Prepared { mut plan, mode, holdings } = prepared;
        let scribe =
            if self.in_this_thread { Scribe::here(ledger) } else { Scribe::start(ledger)? };
        let engine = Engine {
            line: self.line,
            target: self.target,
            host: self.host,
            scribe: &scribe,
            conduct: self.conduct,
            read: plan.read,
            invalid: plan.invalid,
        };
        let begin = self.begin(&mut plan, &holdings);
        let work = plan
            .work(self.input, &holdings)?
            .map(|work| work.map_err(|error| Stop::Input(error.to_string())));
        let tally = engine.enrol(work, begin, |progress| tell(Event::Going(progress))).await;
        let mut ledger = scribe.finish();
        let mut stop = self.line.stop.cause();
        if let Err(error) = self.keep_pace(&mut ledger) {
            stop.get_or_insert(Stop::Ledger(error.to_string()));
        }
        let (ruled, judgement) = (Some((plan.rule, mode)), Some(plan.judgement));
        Ok(Ended { ledger, ruled, judgement, tally, stop })
    }

    /// What earlier runs have left to be done.
    fn begin(&self, plan: &mut Plan, holdings: &Sightings) -> Begin {
        let settle = clock::millis(self.conduct.settle);
        let mut begin = Begin::default();
        for (work, since) in std::mem::take(&mut plan.in_doubt) {
            let ripe = self.line.clock.since(since.saturating_add(settle));
            // No longer than that, where a clock was set back since.
            begin.lost.push((work, ripe.min(self.conduct.settle)));
        }
        for work in std::mem::take(&mut plan.awaiting) {
            match holdings.of(&work.registrant) {
                Some(sight) => begin.found.push((work, sight)),
                None => begin.sought.push(work),
            }
        }
        begin
    }

    /// The registration, held against the one that the ledger's links belong to.
    fn hold_registration(
        &self,
        ledger: &mut Ledger,
        ruling: &Ruling,
    ) -> Result<Option<Stop>, LedgerError> {
        if let Some(before) = ledger.listed()?.registration
            && let Some(now) = &ruling.registration
            && !self.conduct.trust_ledger
            && let Some(stop) = replaced(&before, now)
        {
            return Ok(Some(stop));
        }
        let id = ruling.registration.as_ref().and_then(|registration| registration.id.as_deref());
        ledger.keep_registration(id, ruling.mode.as_str())?;
        Ok(None)
    }

    /// A meeting's list, held against the ledger: a registration that was disabled and enabled
    /// again may bear the same id, and then each link of the ledger's is dead. Only a list that is
    /// there as a whole on its first page can tell; what cannot tell forbids nothing.
    async fn hold_list(
        &self,
        ledger: &Ledger,
        ruling: &Ruling,
    ) -> Result<Option<Stop>, LedgerError> {
        let Some(registration) = &ruling.registration else { return Ok(None) };
        let now = self.line.clock.stamp(self.line.clock.now());
        let long_ago = now.saturating_sub(clock::millis(ON_THE_LIST));
        if self.conduct.trust_ledger || !ledger.has_enrolled_before(long_ago)? {
            return Ok(None);
        }
        let Ok(page) = listing::first_page(self.line, self.target).await else { return Ok(None) };
        if page.next_link.is_some() {
            return Ok(None);
        }
        for member in page.members {
            let Some(id) = member.posted else { return Ok(None) };
            if ledger.holds(&id)? {
                return Ok(None);
            }
        }
        Ok(Some(emptied(registration)))
    }

    /// Lists the target once, so that a lost ledger or another tool's work doubles nobody.
    async fn first_list(
        &self,
        ledger: &mut Ledger,
    ) -> Result<Result<(), Option<Stop>>, LedgerError> {
        // Page by page to the disk: it may be longer than what is to be held in memory.
        let mut list = ledger.begin_list(self.line.clock.stamp(self.line.clock.now()))?;
        let mut kept = Ok(());
        let listed = self
            .list(|page| {
                if kept.is_ok() {
                    kept = list.take(page.into_iter().filter_map(|member| member.posted));
                }
            })
            .await;
        kept?;
        if let Ok(true) = listed {
            list.keep()?;
        }
        Ok(listed.map(|_| ()))
    }

    /// Lists what a webinar holds.
    async fn look(&self, ledger: &mut Ledger) -> Result<Result<Sightings, Option<Stop>>, JobError> {
        let mut seen = Sightings::default();
        let listed = self.list(|page| page.into_iter().for_each(|member| seen.note(member))).await;
        match listed {
            Ok(true) => {
                // Who is there is told by each run's own list.
                ledger.keep_list([], self.line.clock.stamp(self.line.clock.now()))?;
                // Whoever the list names by the id that a registration has is the one it belongs to,
                // whatever row has its address now.
                let listed = self.listed_ids(&seen)?;
                seen.mark_taken(|id| -> Result<bool, LedgerError> {
                    Ok(listed.contains(id.as_str()) || ledger.find(id)?.is_some())
                })?;
                Ok(Ok(seen))
            }
            Ok(false) => Ok(Ok(Sightings::default())),
            Err(stop) => Ok(Err(stop)),
        }
    }

    /// The ids of the input that somebody was registered with.
    fn listed_ids(&self, seen: &Sightings) -> Result<HashSet<String>, InputError> {
        let (mut rows, mut row) = (self.input.rows()?, Row::new());
        let mut ids = HashSet::new();
        while rows.read(&mut row)? {
            if let Some(id) = row.fields().id.filter(|id| seen.has_posted(id)) {
                ids.insert(id.to_owned());
            }
        }
        Ok(ids)
    }

    /// Lists the whole target; `false` where there is no list and the ledger is trusted.
    async fn list(&self, page: impl FnMut(Vec<Member>)) -> Result<bool, Option<Stop>> {
        let why = match listing::list(self.line, self.target, self.host, page).await {
            Ok(()) => return Ok(true),
            Err(NoList::Refused(refusal::Refusal::Stopped)) => return Err(None),
            Err(_) if self.conduct.trust_ledger => return Ok(false),
            Err(NoList::Odd(why)) => why,
            Err(NoList::Refused(refusal)) => match refusal.into_stop(self.target.api()) {
                Some(Stop::Unusable(why) | Stop::Failing(why)) => why,
                stop => return Err(stop),
            },
        };
        Err(Some(Stop::NoList(why)))
    }

    /// What forbids to post anything at all.
    fn refuse(&self, plan: &Plan, ruling: &Ruling) -> Option<Stop> {
        if self.conduct.strict && plan.invalid > 0 {
            let rows = if plan.invalid == 1 { "row is" } else { "rows are" };
            return Some(Stop::Rejects(format!(
                "{} {rows} invalid and --strict is set",
                plan.invalid
            )));
        }
        let limit = self.conduct.max_rejects;
        if let Some(limit) = limit.filter(|limit| limit.is_passed(plan.invalid, plan.read)) {
            return Some(engine::too_many(limit, plan.invalid));
        }
        // Whoever is signed in registers nobody else.
        // In doubt: an absent one would be posted.
        (ruling.of_a_person && (plan.to_post > 0 || !plan.in_doubt.is_empty()))
            .then(|| Stop::Unusable(format!("{}; {}", preflight::PERSON, refusal::WEBINAR_ACCESS)))
    }

    fn set_pace(&self, plan: &Plan, ledger: &Ledger) -> Result<(), LedgerError> {
        let now = self.line.clock.epoch();
        let learnt = ledger.pace(WRITES)?.and_then(|(text, kept_at)| {
            let age = Duration::from_millis(now.saturating_sub(kept_at).try_into().unwrap_or(0));
            Learnt::from_json(&text).ok()?.aged(age)
        });
        let in_doubt = plan.in_doubt.len() as u64;
        let rows = plan.to_post + in_doubt;
        let settings = Settings { rows, learnt, ..self.pace.clone() };
        let recent = self.recent_sends(ledger)?;
        // What the server asked an earlier run to wait holds for this one.
        let wait = learnt.map_or(Duration::ZERO, |learnt| learnt.wait());
        let pacer = Pacer::new(settings).with_recent(recent).waiting(self.line.clock.now(), wait);
        self.line.pacing(|buckets| {
            let writes = buckets.of(Bucket::Writes);
            // A registration may have been enabled just now.
            *writes = pacer.after(writes);
            buckets.of(Bucket::Reads).add_rows(rows + plan.held + plan.awaiting.len() as u64);
        });
        Ok(())
    }

    /// The ages of the sends that the ceiling still counts.
    fn recent_sends(&self, ledger: &Ledger) -> Result<Vec<Duration>, LedgerError> {
        let Some(ceiling) = self.pace.ceiling else { return Ok(Vec::new()) };
        let now = self.line.clock.epoch();
        let since = now.saturating_sub(clock::millis(ceiling.per));
        let transit = clock::millis(ceiling.transit());
        // The ledger's times are whole milliseconds, cut off: one more, and none looks older than it is.
        let age = |at: i64| now.saturating_sub(at.saturating_add(1)).try_into().unwrap_or(0);
        let sends = ledger.recent_sends(since, transit)?;
        Ok(sends.into_iter().map(|at| Duration::from_millis(age(at))).collect())
    }

    fn keep_pace(&self, ledger: &mut Ledger) -> Result<(), LedgerError> {
        let now = self.line.clock.now();
        let learnt = self.line.pacing(|buckets| buckets.of(Bucket::Writes).kept(now));
        match learnt {
            Some(learnt) => ledger.keep_pace(WRITES, &learnt.to_json(), self.line.clock.stamp(now)),
            None => Ok(()),
        }
    }
}
