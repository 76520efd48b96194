//! The files as a projection: input × ledger → enrolled file and rejects file, row by row.

use std::path::Path;

use super::{
    atomic::FileError,
    draft::{Draft, Terms},
    outcome::Counts,
    reasons::Reasons,
};
use crate::{
    input::{InputError, RowCheck, Snapshot, Validator, check_all},
    job::identity::IdentityReport,
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
    /// What was found out about the people of the input.
    pub judgement: &'a IdentityReport,
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
        let mut terms = Terms {
            run: self.ledger.run()?,
            stopped: self.stopped.as_ref(),
            answers_known: self.rule.knows_answers(),
            stranger: None,
        };
        let mut held = self.ledger.look_ups()?;
        let (rule, promises) = (self.rule.clone(), self.judgement.promises());
        let holds = |id: &str| held.holds(id).map_err(ProjectionError::from);
        let mut sieve = Validator::over(rule, self.input, None, promises, holds)?;
        drop(held);
        let mut rows = self.input.rows()?;
        let mut look_ups = self.ledger.look_ups()?;
        check_all(&mut rows, &mut sieve, |row, sifted| -> Result<(), ProjectionError> {
            let mut entry = None;
            terms.stranger = None;
            if let RowCheck::Valid { registrant, repeats, mark } = &sifted {
                entry = look_ups.find(&registrant.id)?;
                let line = repeats.unwrap_or(row.line());
                terms.stranger = self.judgement.stranger(entry.as_ref(), *mark, line);
            }
            Ok(draft.row(row, &sifted, entry.as_ref(), &terms)?)
        })?;
        Ok(draft.commit()?)
    }
}
