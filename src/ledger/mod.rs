//! The ledger: the SQLite file that remembers every registrant of one target across runs.
//!
//! It promises that an intent is on disk before it says so, and an outcome likewise; that no id is
//! there twice; and that an id which is enrolled, or may be, is never granted another POST. It
//! leaves to others when to POST, and what an answer means.
//!
//! - [`Ledger`] holds the file and its lock, and does one thing at a time.
//! - [`LedgerWriter`] lets many tasks write through it, in group commits, so that a slow disk does not
//!   set the pace.
//! - [`Reading`] looks at a ledger that a run may be writing.

mod batch;
mod block;
mod error;
mod list;
mod lock;
mod look_up;
mod marks;
mod reading;
mod record;
mod schema;
mod seal;
mod store;
#[cfg(test)]
mod tests;
mod traffic;
mod writer;

pub use error::LedgerError;
pub use list::List;
pub use look_up::LookUps;
pub use reading::{Attempted, StateCounts, PastRun, Reading, Story, Waiting};
pub use record::{
    Attempt, Entry, SendPermit, Identity, Intent, NextState, Purpose, Seq, State, Transition,
    changed_fields, sent_digest, short_digest,
};
pub use schema::is_part_of_one;
pub use store::{Ledger, LastListing, RunEnd};
pub use traffic::{Answers, EDGES, AnswerTimes, PERCENTILES, RunTraffic, TrafficSlot};
pub use writer::LedgerWriter;
