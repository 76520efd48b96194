//! All rows judged in one pass, and counted: what `check` does.

use std::{collections::BTreeMap, sync::mpsc, thread};

use super::{
    IdTrap, InputError, Row, RowCheck, Rows, Validator,
    validate::{Scales, Settled, Weighed},
};
use crate::registrant::{Fault, FaultCode, Rule};

/// How many faulty rows are kept to be shown.
const SHOWN: usize = 10;

/// How many rows are made ready at once, see [`Validator::approach`].
const TOGETHER: usize = 32;

/// Rows handed over at once: enough that the handing over does not count, few enough to stay in
/// near memory. Long rows make a batch full before: what is under way stays bounded.
const BATCH_ROWS: usize = 1024;
const BATCH_BYTES: usize = 256 * 1024;
/// Batches under way: one is read, one is judged, one waits.
const BATCHES: usize = 3;

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
    let mut sieve = Validator::new(rule);
    settle_all(rows, &mut sieve, |_, row, settled| survey.count(row, settled, &mut on_reject))?;
    survey.trap = sieve.id_trap();
    survey.notes = rows.notes();
    Ok(survey)
}

/// Judges all rows in their order and hands each on with its judgement.
///
/// # Errors
/// When the rows cannot be read on, or `each` fails: with the first failure, after the rows before it.
pub fn check_all<E: From<InputError>>(
    rows: &mut Rows,
    sieve: &mut Validator,
    mut each: impl FnMut(&Row, RowCheck) -> Result<(), E>,
) -> Result<(), E> {
    settle_all(rows, sieve, |sieve, row, settled| each(row, sieve.sifted(row, settled)))
}

/// Rows are read and weighed in one thread and held against each other in another: what the second
/// does is mostly to wait for far memory.
fn settle_all<E: From<InputError>>(
    rows: &mut Rows,
    sieve: &mut Validator,
    mut each: impl FnMut(&Validator, &Row, Settled) -> Result<(), E>,
) -> Result<(), E> {
    let mut scales = sieve.scales();
    thread::scope(|scope| -> Result<(), E> {
        // Made in here, so that an early return closes them and the reader does not wait for ever.
        let (full, filled) = mpsc::sync_channel(BATCHES);
        let (spent, empty) = mpsc::channel();
        for _ in 0..BATCHES {
            // The receiver stands two lines above: it is there.
            let _ = spent.send(Batch::default());
        }
        scope.spawn(move || {
            // Either channel closes only when the judging has ended early.
            for mut batch in empty {
                let outcome = batch.fill(rows, &mut scales);
                let over = !matches!(outcome, Ok(true));
                if full.send((batch, outcome.err())).is_err() || over {
                    break;
                }
            }
        });
        for (mut batch, error) in filled {
            let (mut rest, mut weighed) = (&batch.rows[..batch.filled], &mut batch.weighed[..]);
            while !rest.is_empty() {
                let some = rest.len().min(TOGETHER);
                let (now, now_weighed);
                (now, rest) = rest.split_at(some);
                (now_weighed, weighed) = weighed.split_at_mut(some);
                sieve.approach(now, now_weighed);
                for (row, weighed) in now.iter().zip(now_weighed) {
                    let settled = sieve.settle(row, std::mem::take(weighed));
                    each(sieve, row, settled)?;
                }
            }
            if let Some(error) = error {
                return Err(error.into());
            }
            // The reader has gone once it has sent the last batch.
            let _ = spent.send(batch);
        }
        Ok(())
    })
}

impl Survey {
    fn count<E>(
        &mut self,
        row: &Row,
        settled: Settled,
        on_reject: &mut impl FnMut(&Row, &[Fault]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.read += 1;
        match settled {
            Settled::Excluded => self.excluded += 1,
            Settled::Valid { repeats, .. } => {
                self.valid += 1;
                self.repeated += u64::from(repeats.is_some());
            }
            Settled::Invalid(faults) => {
                self.invalid += 1;
                for fault in &faults {
                    *self.faults.entry(fault.code).or_default() += 1;
                }
                on_reject(row, &faults)?;
                if self.first.len() < SHOWN {
                    self.first.push((row.line(), faults));
                }
            }
        }
        Ok(())
    }
}

/// Rows on their way from the reading to the judging thread.
#[derive(Default)]
struct Batch {
    rows: Vec<Row>,
    filled: usize,
    /// As many as are filled.
    weighed: Vec<Weighed>,
}

impl Batch {
    /// Reads and weighs rows until the batch is full; `false` if they have ended.
    fn fill(&mut self, rows: &mut Rows, scales: &mut Scales) -> Result<bool, InputError> {
        self.filled = 0;
        self.weighed.clear();
        let mut bytes = 0;
        while self.filled < BATCH_ROWS && bytes < BATCH_BYTES {
            if self.filled == self.rows.len() {
                self.rows.push(Row::new());
            }
            let row = &mut self.rows[self.filled];
            if row.raw().len() > BATCH_BYTES {
                *row = Row::new();
            }
            if !rows.read(row)? {
                return Ok(false);
            }
            bytes += row.raw().len();
            self.weighed.push(scales.weigh(row));
            self.filled += 1;
        }
        Ok(true)
    }
}
