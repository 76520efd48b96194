//! `--report`: the run on one page, to be kept, mailed and printed.
//!
//! The page is one file without script and without anything to be fetched. It holds numbers, codes
//! and line numbers; no name, no id, no link, no secret (contract, section 9), so it may be shown
//! to anybody who may know that the import took place.

mod chart;
mod page;

use std::path::Path;

use super::{
    atomic::{AtomicFile, FileError},
    reasons::Reasons,
    summary::Summary,
};
use crate::{
    ledger::RunTraffic,
    pacing::{Limit, Quota},
};

/// What the page tells.
pub struct Report<'a> {
    /// The numbers.
    pub summary: &'a Summary,
    /// Why rows are not enrolled.
    pub reasons: &'a Reasons,
    /// What was sent; `None` where nothing was.
    pub traffic: Option<&'a RunTraffic>,
    /// What was learnt of the server's limit.
    pub learnt: Option<Limit>,
    /// `--rate`.
    pub ceiling: Option<Quota>,
    /// What was set, by name; nothing secret.
    pub settings: Vec<(&'static str, String)>,
    /// When the run began, in milliseconds since 1970.
    pub began: i64,
    /// When it ended.
    pub ended: i64,
    /// Whether nothing of it was real.
    pub rehearsal: bool,
}

impl Report<'_> {
    /// Writes the page, readable by its owner alone.
    ///
    /// # Errors
    /// [`FileError`]; what was at the path before is untouched then.
    pub fn write(&self, path: &Path) -> Result<(), FileError> {
        let mut file = AtomicFile::create(path, "--report")?;
        file.write(self.page().into_string().as_bytes())?;
        file.commit().map(drop)
    }
}
