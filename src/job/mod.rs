//! The job: from the rows of an input to everybody enrolled once.
//!
//! [`import`] tells the story: the target's registration and with it the rule ([`preflight`]), the
//! target's list, the [`plan`] (pure: rows, ledger and list → a decision for each row), the [`engine`],
//! which acts on it. What comes out is the ledger; the files are written from it and the plan, in
//! another room.

pub mod admission;
pub mod client;
pub mod clock;
pub mod conduct;
mod contact;
pub mod engine;
pub mod exchange;
pub mod identity;
pub mod links;
pub mod listing;
pub mod plan;
pub mod preflight;
pub mod reconcile;
pub mod refusal;
pub mod remote;
pub mod row;
mod run;
pub mod stop;
pub mod work;

use std::time::Duration;

use client::GraphClient;
use clock::Clock;
use conduct::Conduct;
use engine::{Progress, Tally};
use identity::IdsMoved;
use plan::Plan;
use preflight::Ruling;
pub use run::{import, replaced, vanished};
use stop::Stop;

use crate::{
    graph::{host::GraphHost, target::Target},
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
    /// Where it is.
    pub host: &'a GraphHost,
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
    /// The plan is made, nothing is posted yet.
    Planned(&'a Planned<'a>),
    /// A tick of the engine.
    Going(&'a Progress),
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
