//! The ledger: the SQLite file that remembers every registrant of one target across runs.
//!
//! It promises that an intent is on disk before it says so, and an outcome likewise; that no id is
//! there twice; and that an id which is enrolled, or may be, is never permitted another POST. It
//! leaves to others when to POST, and what an answer means.
//!
//! - [`Ledger`] holds the file and its lock, and does one thing at a time.
//! - [`LedgerWriter`] lets many tasks write through it, in group commits, so that a slow disk does not
//!   set the pace.
//! - [`LookUps`] finds registrants, each checked against its seal.
//! - [`Reading`] reads a ledger that a run may be writing.

mod cancellations;
mod error;
mod lock;
mod look_ups;
mod reading;
mod records;
mod schema;
mod store;
#[cfg(test)]
mod tests;
mod traffic;
mod writer;

pub use cancellations::{
    Absence, CancelEnd, CancelIntent, CancelOutcome, CancelReason, EarlierLists, ListRead,
    OpenCancellation, PastCancellation,
};
pub use error::LedgerError;
pub use look_ups::LookUps;
pub use reading::{Attempted, PastRun, Reading, StateCounts, Story, Waiting};
pub use records::{
    Attempt, Entry, Identity, Intent, LastListing, LinkOwner, NextState, Over, Purpose, SendPermit,
    Seq, State, Transition, changed_fields, digest, sent_digest, short_digest,
};
pub use schema::is_part_of_one;
pub use store::{Ledger, RunEnd};
pub use traffic::{AnswerTimes, Answers, EDGES, PERCENTILES, RunTraffic, TrafficSlot};
pub use writer::{LedgerWriter, ListWriter};
