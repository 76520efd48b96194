//! What a run leaves behind: the enrolled file, the rejects file, the summary, and what is shown
//! meanwhile.
//!
//! The ledger decides, the files are its projection: they are made by reading the input once more
//! beside the ledger, so they tell what is, not what was meant to be. Only a run that finds nothing
//! to do may draft them while it plans ([`Draft`]): what it reads then is what is.

mod atomic;
mod cells;
mod closing;
mod console;
mod draft;
mod held;
mod metrics;
mod outcome;
mod projection;
mod reasons;
mod rejects;
mod report;
mod screen;
mod summary;
mod words;

pub use atomic::{AtomicFile, FileError, probe, replaceable};
pub use closing::Closing;
pub use console::{Console, LogWriter, ProgressMode, StatusLine, Talk};
pub use draft::Draft;
pub use held::{HeldLink, held_links, keep};
pub use metrics::Metrics;
pub use outcome::{Counts, Outcome, outcome};
pub use projection::{Projection, ProjectionError};
pub use reasons::{Reason, Reasons};
pub use rejects::{Rejected, Rejects};
pub use report::Report;
pub use summary::{Files, Summary, TargetName};
pub use words::{grouped, harmless, length, rate_in_words, second_of_end, time_left, time_of_end};
