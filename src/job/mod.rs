//! The job: from the rows of an input to everybody enrolled once.
//!
//! [`import`] walks through it: the target's registration and with it the rule ([`preflight`]), the
//! plan (pure: rows × ledger → what to do), the engine, which acts on it. What comes out is the
//! ledger; the files are its projection, in another room.

pub mod clock;
pub mod conduct;
pub mod doubts;
pub mod engine;
pub mod line;
pub mod listing;
pub mod plan;
pub mod preflight;
pub mod row;
pub mod stop;

use std::time::Duration;

use tracing::Instrument as _;

use clock::Clock;
use conduct::Conduct;
use engine::{Engine, Progress, Tally};
use line::Line;
use listing::NoList;
use plan::{Plan, PlanError};
use stop::Stop;

use crate::{
    graph::{
        host::GraphHost,
        meeting::{Meeting, Registration},
        transport::Transport,
    },
    input::{IdTrap, InputError, Snapshot},
    ledger::{Ledger, LedgerError, RunEnd, Scribe},
    pacing::{Bucket, Learnt, Pacer, Settings},
    registrant::{Mode, Rule},
};

/// Under this name the ledger keeps what the pace of writes has learnt.
const WRITES: &str = "writes";

/// What an import works with.
pub struct Import<'a, T> {
    /// The line to Graph.
    pub line: &'a Line<T>,
    /// The target.
    pub meeting: &'a Meeting,
    /// Where it is.
    pub host: &'a GraphHost,
    /// The input's copy.
    pub input: &'a Snapshot,
    /// How to behave.
    pub conduct: &'a Conduct,
    /// Create a missing registration with this mode.
    pub enable: Option<Mode>,
    /// The pace of writes: ceiling, concurrency, seed. Rows and what was learnt are filled in.
    pub pace: Settings,
    /// When to stop starting new requests, since the start, and the option that says so.
    pub deadline: Option<(Duration, &'static str)>,
    /// Keep the ledger in this thread, for deterministic tests under paused time.
    pub in_this_thread: bool,
}

/// What is told while it goes on.
pub enum Event<'a> {
    /// The target's rule is known.
    Ruled(&'a Registration),
    /// The plan is drawn, nothing is posted yet; the pace per second where one is known, from the
    /// ceiling or from an earlier run.
    Planned(&'a Plan, Option<f64>),
    /// A tick of the engine.
    Going(&'a Progress),
}

/// How an import ended. The ledger holds the rest.
pub struct Ended {
    /// The ledger.
    pub ledger: Ledger,
    /// The target's mode, where it was learnt.
    pub mode: Option<Mode>,
    /// What was done.
    pub tally: Tally,
    /// Why it stopped early.
    pub stop: Option<Stop>,
}

/// The end of a run before its first POST: the mode, where it was learnt, and the cause.
type Early = (Option<Mode>, Option<Stop>);

/// A fault of the input or the ledger that ends the run before anything is posted.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The input.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The id column is not one.
    #[error(transparent)]
    Trap(#[from] IdTrap),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl From<PlanError> for JobError {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Input(error) => Self::Input(error),
            PlanError::Trap(trap) => Self::Trap(trap),
            PlanError::Ledger(error) => Self::Ledger(error),
        }
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
    let number = ledger.begin_run(import.line.clock.epoch()).map_err(|error| error.at(&path))?;
    let run = tracing::info_span!("run", number);
    let work = import.walk(ledger, &mut tell).instrument(run);
    let deadline = async {
        let Some((time, option)) = import.deadline else { return std::future::pending().await };
        tokio::time::sleep_until(import.line.clock.instant(time)).await;
        import.line.stop.raise(Stop::Deadline(option));
        std::future::pending::<()>().await;
    };
    tokio::select! {
        biased;
        ended = work => ended.map_err(named),
        () = deadline => unreachable!("a deadline raises the flag and never ends"),
    }
}

impl<T: Transport> Import<'_, T> {
    async fn walk(
        &self,
        mut ledger: Ledger,
        tell: &mut impl FnMut(Event<'_>),
    ) -> Result<Ended, JobError> {
        match self.prepare(&mut ledger, tell).await {
            Ok(Ok((plan, mode))) => self.enrol(plan, ledger, mode, tell).await,
            Ok(Err((mode, stop))) => {
                let stop = stop.or_else(|| self.line.stop.cause());
                Ok(Ended { ledger, mode, tally: Tally::default(), stop })
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
    ) -> Result<Result<(Plan, Mode), Early>, JobError> {
        let registration = match self.rule(ledger).await? {
            Ok(registration) => registration,
            Err(stop) => return Ok(Err((None, stop))),
        };
        let mode = registration.mode;
        let rule = Rule::Meeting(mode);
        let early = |stop| Ok(Err((Some(mode), stop)));
        tell(Event::Ruled(&registration));
        self.input.require(rule)?;
        // After a run that was torn off the list also tells whom a damaged log has forgotten.
        let listed = ledger.listed()?.at.is_none() || ledger.was_torn();
        if listed && let Err(stop) = self.first_list(ledger).await? {
            return early(stop);
        }
        let mut plan = Plan::draw(self.input, rule, ledger)?;
        if plan.foreign > 0 && !listed {
            // Somebody may have removed them since they were last seen.
            match self.first_list(ledger).await? {
                Ok(()) => plan = Plan::draw(self.input, rule, ledger)?,
                Err(stop) => return early(stop),
            }
        }
        if plan.to_post > 0 || !plan.in_doubt.is_empty() {
            ledger.look_over()?;
        }
        self.set_pace(&plan, ledger)?;
        tell(Event::Planned(&plan, self.line.view().per_second));
        match self.refuse(&plan) {
            Some(stop) => early(Some(stop)),
            None => Ok(Ok((plan, mode))),
        }
    }

    /// Hands the plan to the engine.
    async fn enrol(
        &self,
        mut plan: Plan,
        ledger: Ledger,
        mode: Mode,
        tell: &mut impl FnMut(Event<'_>),
    ) -> Result<Ended, JobError> {
        let scribe =
            if self.in_this_thread { Scribe::here(ledger) } else { Scribe::start(ledger)? };
        let engine = Engine {
            line: self.line,
            meeting: self.meeting,
            host: self.host,
            scribe: &scribe,
            conduct: self.conduct,
            read: plan.read,
            invalid: plan.invalid,
        };
        let settle = clock::millis(self.conduct.settle);
        let doubt = std::mem::take(&mut plan.in_doubt)
            .into_iter()
            // No longer than that, where a clock was set back since.
            .map(|(work, since)| {
                let ripe = self.line.clock.since(since.saturating_add(settle));
                (work, ripe.min(self.conduct.settle))
            })
            .collect();
        let work =
            plan.work(self.input)?.map(|work| work.map_err(|error| Stop::Input(error.to_string())));
        let tally = engine.enrol(work, doubt, |progress| tell(Event::Going(progress))).await;
        let mut ledger = scribe.finish();
        let mut stop = self.line.stop.cause();
        if let Err(error) = self.keep_pace(&mut ledger) {
            stop.get_or_insert(Stop::Ledger(error.to_string()));
        }
        Ok(Ended { ledger, mode: Some(mode), tally, stop })
    }

    /// The registration, held against the one that the ledger's links belong to.
    async fn rule(
        &self,
        ledger: &mut Ledger,
    ) -> Result<Result<Registration, Option<Stop>>, LedgerError> {
        let found = preflight::registration(self.line, self.meeting, self.enable).await;
        let registration = match found {
            Ok(registration) => registration,
            Err(stop) => return Ok(Err(stop)),
        };
        let mode = registration.mode.as_str();
        if let Some(before) = ledger.listed()?.registration
            && !self.conduct.trust_ledger
            && let Some(stop) = replaced(&before, &registration)
        {
            return Ok(Err(Some(stop)));
        }
        ledger.keep_registration(registration.id.as_deref(), mode)?;
        Ok(Ok(registration))
    }

    /// Lists the target once, so that a lost ledger or another tool's work doubles nobody.
    async fn first_list(
        &self,
        ledger: &mut Ledger,
    ) -> Result<Result<(), Option<Stop>>, LedgerError> {
        // Page by page to the disk: it may be longer than what is to be held in memory.
        let mut list = ledger.begin_list(self.line.clock.stamp(self.line.clock.now()))?;
        let mut kept = Ok(());
        let listed = listing::list(self.line, self.meeting, self.host, |page| {
            if kept.is_ok() {
                kept = list.take(page);
            }
        })
        .await;
        kept?;
        let why = match listed {
            Ok(()) => {
                list.keep()?;
                return Ok(Ok(()));
            }
            Err(NoList::Refused(line::Refusal::Stopped)) => return Ok(Err(None)),
            Err(_) if self.conduct.trust_ledger => return Ok(Ok(())),
            Err(NoList::Odd(why)) => why,
            Err(NoList::Refused(refusal)) => match refusal.into_stop() {
                Some(Stop::Unusable(why) | Stop::Failing(why)) => why,
                stop => return Ok(Err(stop)),
            },
        };
        Ok(Err(Some(Stop::NoList(why))))
    }

    /// What forbids to post anything at all.
    fn refuse(&self, plan: &Plan) -> Option<Stop> {
        if self.conduct.strict && plan.invalid > 0 {
            let rows = if plan.invalid == 1 { "row is" } else { "rows are" };
            return Some(Stop::Rejects(format!(
                "{} {rows} invalid and --strict is set",
                plan.invalid
            )));
        }
        self.conduct
            .max_rejects
            .filter(|limit| limit.is_passed(plan.invalid, plan.read))
            .map(|limit| engine::too_many(limit, plan.invalid))
    }

    fn set_pace(&self, plan: &Plan, ledger: &Ledger) -> Result<(), LedgerError> {
        let now = self.line.clock.epoch();
        let learnt = ledger.pace(WRITES)?.and_then(|(text, kept_at)| {
            let age = Duration::from_millis(now.saturating_sub(kept_at).try_into().unwrap_or(0));
            Learnt::from_json(&text).ok()?.aged(age)
        });
        let rows = plan.to_post + plan.in_doubt.len() as u64;
        let settings = Settings { rows, learnt, ..self.pace.clone() };
        let recent = self.recent_sends(ledger)?;
        let pacer = Pacer::new(settings).with_recent(recent);
        self.line.pacing(|buckets| *buckets.of(Bucket::Writes) = pacer);
        Ok(())
    }

    /// The ages of the sends that the ceiling still counts.
    fn recent_sends(&self, ledger: &Ledger) -> Result<Vec<Duration>, LedgerError> {
        let Some(ceiling) = self.pace.ceiling else { return Ok(Vec::new()) };
        let now = self.line.clock.epoch();
        let since = now.saturating_sub(clock::millis(ceiling.per));
        let age = |at: i64| Duration::from_millis(now.saturating_sub(at).try_into().unwrap_or(0));
        Ok(ledger.recent_sends(since)?.into_iter().map(age).collect())
    }

    fn keep_pace(&self, ledger: &mut Ledger) -> Result<(), LedgerError> {
        let learnt = self.line.pacing(|buckets| buckets.of(Bucket::Writes).learnt());
        match learnt {
            Some(learnt) => {
                let at = self.line.clock.stamp(self.line.clock.now());
                ledger.keep_pace(WRITES, &learnt.to_json(), at)
            }
            None => Ok(()),
        }
    }
}

/// The cause to stop, where the registration is not the one that the ledger's links belong to:
/// `before` is the id and mode that the last run saw.
#[must_use]
pub fn replaced(before: &(Option<String>, String), now: &Registration) -> Option<Stop> {
    let ((id, before), mode) = (before, now.mode.as_str());
    let other = matches!((id, &now.id), (Some(a), Some(b)) if a != b);
    if !other && before == mode {
        return None;
    }
    let name = |id: Option<&str>, mode: &str| match id {
        Some(id) => format!("{id}, {mode}"),
        None => mode.to_owned(),
    };
    Some(Stop::Replaced { before: name(id.as_deref(), before), now: name(now.id.as_deref(), mode) })
}

/// Milliseconds since 1970 by the wall clock.
#[must_use]
pub fn wall_clock() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// The clock of a run that starts now.
#[must_use]
pub fn start_clock() -> Clock {
    Clock::starting(wall_clock())
}
