//! The files as a projection: input × ledger → enrolled file and rejects file, row by row.

use std::path::Path;

use super::{
    atomic::FileError,
    draft::{Draft, Terms},
    outcome::Counts,
    reasons::Reasons,
};
use crate::{
    input::{InputError, Sieve, Sifted, Snapshot, sift_all},
    ledger::{Ledger, LedgerError},
    registrant::Rule,
};

/// Why there are no files.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// The copy of the input.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
}

/// What the files are made of.
pub struct Projection<'a> {
    /// The input.
    pub input: &'a Snapshot,
    /// The rule; where the target's was never learnt, the best guess.
    pub rule: Rule,
    /// The ledger.
    pub ledger: &'a Ledger,
    /// Why rows were not attempted: the stop's word and sentence.
    pub stopped: Option<(&'static str, String)>,
    /// Make cells safe for spreadsheets.
    pub formula_safe: bool,
}

impl Projection<'_> {
    /// Writes both files; counts the rows, and the reasons of those that are not enrolled. Neither
    /// file is touched unless both could be written to their end.
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub fn write(
        &self,
        enrolled: &Path,
        rejects: &Path,
    ) -> Result<(Counts, Reasons), ProjectionError> {
        let mut draft = Draft::begin(self.input, enrolled, rejects, self.formula_safe)?;
        let terms = Terms {
            run: self.ledger.run()?,
            stopped: self.stopped.as_ref(),
            answers_known: self.rule.knows_answers(),
        };
        let mut held = self.ledger.look_ups()?;
        let mut sieve = Sieve::over(self.rule.clone(), self.input, |id| {
            held.holds(id).map_err(ProjectionError::from)
        })?;
        drop(held);
        let mut rows = self.input.rows()?;
        let mut look_ups = self.ledger.look_ups()?;
        sift_all(&mut rows, &mut sieve, |row, sifted| -> Result<(), ProjectionError> {
            let entry = match &sifted {
                Sifted::Valid { registrant, .. } => look_ups.find(&registrant.id)?,
                _ => None,
            };
            Ok(draft.row(row, &sifted, entry.as_ref(), &terms)?)
        })?;
        Ok(draft.commit()?)
    }
}
