//! All rows judged in one pass, and counted: what `check` does.

use std::collections::BTreeMap;

use super::{IdTrap, InputError, Row, Rows, Sieve, Sifted};
use crate::registrant::{Fault, FaultCode, Rule};

/// How many faulty rows are kept to be shown.
const SHOWN: usize = 10;

/// How many rows are read before they are judged, see [`Sieve::approach`].
const TOGETHER: usize = 32;

/// What a pass over all rows found.
#[derive(Debug, Default)]
pub struct Survey {
    /// Data rows.
    pub read: u64,
    /// Rows that can be enrolled, repeated ones included.
    pub valid: u64,
    /// Rows that cannot.
    pub invalid: u64,
    /// Rows that a filter leaves out.
    pub excluded: u64,
    /// Valid rows that repeat an earlier row in every cell.
    pub repeated: u64,
    /// How many rows have each fault.
    pub faults: BTreeMap<FaultCode, u64>,
    /// The first faulty rows: line and faults. The sentences may quote cells.
    pub first: Vec<(u64, Vec<Fault>)>,
    /// Whether the id column is none.
    pub trap: Option<IdTrap>,
    /// What must be said aloud.
    pub notes: Vec<String>,
}

/// Judges all rows; `on_reject` is handed each invalid one.
///
/// # Errors
/// When the rows cannot be read on, or `on_reject` fails.
pub fn survey<E: From<InputError>>(
    rows: &mut Rows,
    rule: Rule,
    mut on_reject: impl FnMut(&Row, &[Fault]) -> Result<(), E>,
) -> Result<Survey, E> {
    let mut survey = Survey::default();
    let mut sieve = Sieve::new(rule);
    let mut batch: Vec<Row> = (0..TOGETHER).map(|_| Row::new()).collect();
    let mut more = true;
    while more {
        let mut filled = 0;
        while more && filled < TOGETHER {
            more = rows.read(&mut batch[filled])?;
            filled += usize::from(more);
        }
        sieve.approach(&batch[..filled]);
        for row in &batch[..filled] {
            survey.read += 1;
            match sieve.sift(row) {
                Sifted::Excluded => survey.excluded += 1,
                Sifted::Valid { repeats, .. } => {
                    survey.valid += 1;
                    survey.repeated += u64::from(repeats.is_some());
                }
                Sifted::Invalid(faults) => {
                    survey.invalid += 1;
                    for fault in &faults {
                        *survey.faults.entry(fault.code).or_default() += 1;
                    }
                    on_reject(row, &faults)?;
                    if survey.first.len() < SHOWN {
                        survey.first.push((row.line(), faults));
                    }
                }
            }
        }
    }
    survey.trap = sieve.id_trap();
    survey.notes = rows.notes();
    Ok(survey)
}
