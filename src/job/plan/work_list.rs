//! The rows that a plan calls for, read from the input once more when their turn comes: a list may be
//! longer than what is to be held in memory.

use super::Plan;
use crate::{
    input::{InputError, Row, Rows, Snapshot},
    job::{
        remote::{RemoteIndex, RemoteMatch},
        row::Work,
    },
    ledger::sent_digest,
    registrant::{Fingerprinter, Registrant},
};

/// The rows of a plan that are to be posted.
pub(super) struct WorkList<'a> {
    rows: Rows,
    row: Row,
    marker: Fingerprinter,
    plan: &'a Plan,
    holdings: &'a RemoteIndex,
    at: usize,
    /// How many rows are still to come: behind the last one nothing is read.
    left: u64,
}

impl<'a> WorkList<'a> {
    pub(super) fn of(
        plan: &'a Plan,
        input: &Snapshot,
        holdings: &'a RemoteIndex,
    ) -> Result<Self, InputError> {
        let left = plan.to_post + plan.held;
        let (row, marker) = (Row::default(), Fingerprinter::new(plan.key));
        Ok(Self { rows: input.rows()?, row, marker, plan, holdings, at: 0, left })
    }
}

impl Iterator for WorkList<'_> {
    type Item = Result<(Work, Option<RemoteMatch>), InputError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.left > 0 {
            match self.rows.read(&mut self.row) {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err(error)),
            }
            let wanted = self.plan.todo.get(self.at).copied().unwrap_or(false);
            self.at += 1;
            if !wanted {
                continue;
            }
            self.left -= 1;
            // The copy of the input has not changed, so a row that was valid still is.
            if let Ok(registrant) = Registrant::parse(&self.row.fields(), &self.plan.rule) {
                let (sent, sight) = (sent_digest(&registrant), self.holdings.of(&registrant));
                let person = self.row.mark(&mut self.marker);
                return Some(Ok((Work::new(registrant, sent, person, self.row.line()), sight)));
            }
        }
        None
    }
}
