//! What a run leaves behind: the enrolled file, the rejects file, the summary, and what is shown
//! meanwhile.
//!
//! The ledger decides, the files are its projection: they are made by reading the input once more
//! beside the plan and the ledger, so they tell what is, not what was meant to be.

mod atomic;
mod changes;
mod closing;
mod console;
mod files;
mod metrics;
mod outcome;
mod report;
mod screen;
mod summary;
mod words;

pub use atomic::{AtomicFile, FileError, probe, replaceable};
pub use changes::{CANCEL, HELD, changes, held_file};
pub use closing::Closing;
pub use console::{Console, LogWriter, ProgressMode, StatusLine};
pub use files::{Projection, ProjectionError, Rejects};
pub use metrics::Metrics;
pub use outcome::{Counts, Reason, Reasons, Rejected, RowOutcome};
pub use report::Report;
pub use summary::{Cancellations, EXIT_CODES, Files, Summary, TargetName};
pub use words::{grouped, harmless, length, rate_in_words, second_of_end, time_left, time_of_end};
