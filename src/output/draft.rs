//! Both files in the making, row by row: put in their places together, or gone without a trace.

use std::path::Path;

use super::{
    atomic::{AtomicFile, FileError},
    cells,
    outcome::{Counts, Outcome, outcome},
    reasons::Reasons,
    rejects::Rejects,
};
use crate::{
    input::{ENROLLED_COLUMNS, Row, RowCheck, Snapshot},
    job::identity::IdentityMismatch,
    ledger::Entry,
};

/// What a row's outcome depends on beside the row and the ledger's entry of it.
pub(super) struct Terms<'a> {
    /// The number of this run.
    pub(super) run: i64,
    /// Why rows were not attempted: the stop's word and sentence.
    pub(super) stopped: Option<&'a (&'static str, String)>,
    /// Whether a webinar's answers were read by its form.
    pub(super) answers_known: bool,
    /// Whether the row tells somebody else than the ledger has enrolled with its id.
    pub(super) stranger: Option<IdentityMismatch>,
}

/// Both files in the making. Dropped before [`Draft::commit`], they leave no trace.
pub struct Draft {
    enrolled: AtomicFile,
    rejects: Rejects,
    formula_safe: bool,
    /// The line in the making, used again and again.
    line: Vec<u8>,
    counts: Counts,
    reasons: Reasons,
}

impl Draft {
    /// Begins both files with their headers.
    ///
    /// # Errors
    /// [`FileError`] when one of them cannot be written.
    pub fn begin(
        input: &Snapshot,
        enrolled: &Path,
        rejects: &Path,
        formula_safe: bool,
    ) -> Result<Self, FileError> {
        let mut enrolled = AtomicFile::create(enrolled, "--output")?;
        let rejects = Rejects::begin(rejects, input.header(), formula_safe)?;
        let kept = input.kept_names();
        let mut line = Vec::new();
        cells::push_line(
            &mut line,
            ENROLLED_COLUMNS.into_iter().chain(kept.iter().map(String::as_str)),
            b',',
            "\n",
        );
        enrolled.write(&line)?;
        let (counts, reasons) = (Counts::default(), Reasons::default());
        Ok(Self { enrolled, rejects, formula_safe, line, counts, reasons })
    }

    /// Writes a row that this run found settled: nothing of it hangs on how the run ends. `run` is
    /// the run's number; `answers_known`: whether a webinar's answers were read by its form;
    /// `stranger`: whether it tells somebody else than the ledger has enrolled with its id.
    ///
    /// # Errors
    /// [`FileError`] when it cannot be written.
    pub fn settled(
        &mut self,
        row: &Row,
        sifted: &RowCheck,
        entry: Option<&Entry>,
        run: i64,
        answers_known: bool,
        stranger: Option<IdentityMismatch>,
    ) -> Result<(), FileError> {
        self.row(row, sifted, entry, &Terms { run, stopped: None, answers_known, stranger })
    }

    pub(super) fn row(
        &mut self,
        row: &Row,
        sifted: &RowCheck,
        entry: Option<&Entry>,
        terms: &Terms<'_>,
    ) -> Result<(), FileError> {
        let Terms { run, stopped, answers_known, stranger } = *terms;
        let outcome = outcome(sifted, entry, run, stopped, answers_known, stranger);
        self.counts.read += 1;
        self.counts.count(&outcome);
        match &outcome {
            Outcome::Enrolled { already, link, registrant_id } => {
                let id = match sifted {
                    RowCheck::Valid { registrant, .. } => registrant.id.as_str(),
                    _ => "",
                };
                let status = if *already { "already" } else { "enrolled" };
                let own = registrant_id.unwrap_or_default();
                let cells = [id, link.expose(), own, status].into_iter().chain(row.kept());
                self.line.clear();
                if self.formula_safe {
                    cells::push_safe_line(&mut self.line, cells, b',', "\n");
                } else {
                    cells::push_line(&mut self.line, cells, b',', "\n");
                }
                self.enrolled.write(&self.line)
            }
            Outcome::Rejected { kind, code, reason } => {
                self.reasons.count(*kind, code, row.line());
                self.rejects.row(row, *kind, code, reason)
            }
            Outcome::Excluded => Ok(()),
        }
    }

    /// Puts both files in their places; counts the rows, and the reasons of those that are not
    /// enrolled. Neither file is touched unless both could be written to their end.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn commit(self) -> Result<(Counts, Reasons), FileError> {
        let Self { enrolled, rejects, counts, reasons, .. } = self;
        rejects.commit()?;
        enrolled.commit()?;
        Ok((counts, reasons))
    }
}
