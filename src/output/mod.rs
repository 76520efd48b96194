//! What a run leaves behind: the enrolled file, the rejects file, the summary, and what is shown
//! meanwhile.
//!
//! The ledger decides, the files are its projection: they are made by reading the input once more
//! beside the ledger, so they tell what is, not what was meant to be.

mod atomic;
mod cells;
mod console;
mod projection;
mod rejects;
mod summary;

pub use atomic::{AtomicFile, FileError, probe};
pub use console::{Console, LogWriter, ProgressMode, Talk, length, rate_in_words, time_left};
pub use projection::{Counts, Outcome, Projection, ProjectionError, outcome};
pub use rejects::{Rejected, Rejects};
pub use summary::{Files, Summary, TargetName};
