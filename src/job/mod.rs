//! The job: from the rows of an input to everybody enrolled once.
//!
//! [`import`] tells the story: the target's registration and with it the rule ([`preflight`]), the
//! target's list, the [`plan`] (pure: rows, ledger and list → a decision for each row), the [`engine`],
//! which acts on it. What comes out is the ledger; the files are written from it and the plan, in
//! another room.

pub mod cancellation;
pub mod canceller;
pub mod client;
pub mod clock;
pub mod conduct;
pub mod decision;
pub mod engine;
pub mod identity;
pub mod link_guard;
pub mod links;
pub mod plan;
pub mod preflight;
pub mod reconcile;
pub mod remote;
pub mod roll_call;
pub mod row;
mod run;
mod shared_pace;
pub mod stop;

pub use plan::JobError;
pub use run::{Ended, Event, Import, Planned, import, replaced, vanished};
pub use shared_pace::SharedPace;

use clock::Clock;

/// Milliseconds since 1970 by the wall clock.
pub fn wall_clock() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// The clock of a run that starts now.
pub fn start_clock() -> Clock {
    Clock::starting(wall_clock())
}
