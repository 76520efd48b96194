//! The files, drafted while the plan is drawn. Where it turns out that nobody is to be enrolled, the
//! run is over with that, and neither rows nor ledger are read a second time.
//!
//! A draft is thrown away at the first row of which something is to be done: its person's outcome
//! hangs on the run, which may take hours. It never ends a run either: where it fails, the files
//! are written at the end as always, and what is wrong is told then.

use std::path::Path;

use crate::{
    input::Snapshot,
    job::{Event, engine::Tally, plan::Noted},
    output::{Counts, Draft, Projection, ProjectionError, Reasons},
};

/// The files of a run that may turn out to have nothing to do.
pub(super) struct Drafting<'a> {
    input: &'a Snapshot,
    enrolled: &'a Path,
    rejects: &'a Path,
    formula_safe: bool,
    draft: Option<Draft>,
    run: i64,
    answers_known: bool,
    /// Whether the draft holds every row.
    whole: bool,
}

impl<'a> Drafting<'a> {
    pub(super) fn new(
        input: &'a Snapshot,
        enrolled: &'a Path,
        rejects: &'a Path,
        formula_safe: bool,
    ) -> Self {
        let (draft, run, answers_known, whole) = (None, 0, false, false);
        Self { input, enrolled, rejects, formula_safe, draft, run, answers_known, whole }
    }

    /// Takes in what is told of the plan.
    pub(super) fn hear(&mut self, event: &Event<'_>) {
        match event {
            Event::Drawing { rule, run } => {
                (self.run, self.answers_known, self.whole) = (*run, rule.knows_answers(), false);
                let begun =
                    Draft::begin(self.input, self.enrolled, self.rejects, self.formula_safe);
                self.draft = begun.ok();
            }
            Event::Noted(Noted::Settled { row, sifted, entry, stranger }) => {
                if let Some(draft) = &mut self.draft
                    && draft
                        .settled(row, sifted, *entry, self.run, self.answers_known, *stranger)
                        .is_err()
                {
                    self.draft = None;
                }
            }
            Event::Noted(Noted::Open) => self.draft = None,
            Event::Planned(planned) => self.whole = planned.plan.is_idle(),
            Event::Ruled(_) | Event::Going(_) => {}
        }
    }

    /// Puts the drafted files in their places, where they hold every row and the run has changed
    /// nothing since; else writes them from the ledger.
    pub(super) fn write(
        self,
        tally: &Tally,
        projection: &Projection<'_>,
    ) -> Result<(Counts, Reasons), ProjectionError> {
        match self.draft {
            Some(draft) if self.whole && *tally == Tally::default() => Ok(draft.commit()?),
            _ => projection.write(self.enrolled, self.rejects),
        }
    }
}
