//! The job: from the rows of an input to everybody enrolled once.
//!
//! [`import`] walks through it: the target's registration and with it the rule ([`preflight`]), the
//! plan (pure: rows × ledger → what to do), the engine, which acts on it. What comes out is the
//! ledger; the files are its projection, in another room.

pub mod client;
pub mod clock;
pub mod conduct;
pub mod engine;
pub mod identity;
pub mod links;
pub mod plan;
pub mod preflight;
pub mod reconcile;
pub mod remote;
pub mod row;
pub mod stop;
mod walk;

use std::time::Duration;

use tracing::Instrument as _;

use client::GraphClient;
use clock::Clock;
use conduct::Conduct;
use engine::{Progress, Tally};
use identity::{IdentityReport, IdsMoved};
use plan::{Noted, Plan, PlanError};
use preflight::Ruling;
use remote::RemoteIndex;
use stop::Stop;

use crate::{
    graph::{meeting::Registration, target::Target, transport::Transport},
    input::{IdTrap, InputError, Snapshot},
    ledger::{Ledger, LedgerError},
    pacing::Settings,
    registrant::{Mode, Rule},
};

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
    pub pace: Settings,
    /// When to stop starting new requests, since the start, and the option that says so.
    pub deadline: Option<(Duration, &'static str)>,
    /// Keep the ledger in this thread, for deterministic tests under paused time.
    pub in_this_thread: bool,
}

/// What is told while it goes on.
pub enum Event<'a> {
    /// The target's rule is known.
    Ruled(&'a Ruling),
    /// A plan is begun; what an earlier one told of its rows is void.
    Drawing {
        /// The rule that rows are held against.
        rule: &'a Rule,
        /// The number of this run.
        run: i64,
    },
    /// The plan has come to a row.
    Noted(Noted<'a>),
    /// The plan is drawn, nothing is posted yet.
    Planned(&'a Planned<'a>),
    /// A tick of the engine.
    Going(&'a Progress),
}

/// What is told once the plan is drawn.
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
    /// What was found out about the people of the list; `None` where the run came to no plan.
    pub judgement: Option<IdentityReport>,
    /// What was done.
    pub tally: Tally,
    /// Why it stopped early.
    pub stop: Option<Stop>,
}

/// A fault of the input or the ledger that ends the run before anything is posted.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The input.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The id column is not one.
    #[error(transparent)]
    Trap(#[from] IdTrap),
    /// The ids are others than in earlier runs.
    #[error(transparent)]
    Moved(#[from] IdsMoved),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl From<PlanError> for JobError {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Input(error) => Self::Input(error),
            PlanError::Trap(trap) => Self::Trap(trap),
            PlanError::Moved(moved) => Self::Moved(moved),
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
    let number = ledger.begin_run(import.client.clock.epoch()).map_err(|error| error.at(&path))?;
    let run = tracing::info_span!("run", number);
    let work = import.walk(ledger, &mut tell).instrument(run);
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

/// The cause to stop, where the registration is not the one that the ledger's links belong to:
/// `before` is the id and mode that the last run saw.
#[must_use]
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
#[must_use]
pub fn vanished((id, mode): &(Option<String>, String)) -> Stop {
    Stop::Replaced { before: name(id.as_deref(), mode), now: "none".to_owned() }
}

/// The cause to stop, where the registration bears the same id, and nobody is in it whom the ledger
/// enrolled.
fn emptied(now: &Registration) -> Stop {
    let before = name(now.id.as_deref(), now.mode.as_str());
    let now = format!("{before}, and holds nobody whom this ledger enrolled");
    Stop::Replaced { before, now }
}

fn name(id: Option<&str>, mode: &str) -> String {
    match id {
        Some(id) => format!("{id}, {mode}"),
        None => mode.to_owned(),
    }
}

/// What is to be found out about the people of `input`, where no run has drawn a plan: for whoever
/// writes the files of a ledger.
///
/// # Errors
/// [`JobError`]: the input or the ledger is at fault, or the ids are others than in earlier runs.
pub fn judge(
    input: &Snapshot,
    rule: &Rule,
    ledger: &Ledger,
    trust_ids: bool,
) -> Result<IdentityReport, JobError> {
    let judgement = IdentityReport::new(trust_ids);
    let nothing = RemoteIndex::default();
    let plan = Plan::draw(input, rule.clone(), ledger, &nothing, judgement, |_| {})?;
    Ok(plan.people.judge(ledger, input, trust_ids).map_err(PlanError::from)?)
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
