//! The one place where a row is judged: rule, duplicates, and the order number taken for an id.
//!
//! Used by `check`, by the plan of a run and by the projection at its end, so that all three agree
//! on every row. A row that is left out or cannot be read claims no id.

use super::{
    Row, Standing,
    seen::{Claim, Claimed, Seen},
    trap::{IdTrap, TrapWatch},
};
use crate::registrant::{Fault, FaultCode, Registrant, Rule};

/// What a row is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sifted {
    /// A filter leaves it out.
    Excluded,
    /// It cannot be enrolled: all its faults, in the order of [`FaultCode::ALL`].
    Invalid(Vec<Fault>),
    /// It can.
    Valid {
        /// Who it is.
        registrant: Registrant,
        /// The line of the first row, if this row repeats it in every cell: one enrolment serves
        /// both.
        repeats: Option<u64>,
    },
}

/// Judges the rows of one pass, in their order.
pub struct Sieve {
    rule: Rule,
    seen: Seen,
    watch: TrapWatch,
}

impl Sieve {
    /// A sieve that has seen no row yet.
    #[must_use]
    pub fn new(rule: Rule) -> Self {
        Self { rule, seen: Seen::default(), watch: TrapWatch::default() }
    }

    /// Makes ready for the rows that are judged next. Never needed, but with some dozens of rows at
    /// a time the judging of a long list takes half the time.
    pub fn approach(&mut self, rows: &[Row]) {
        if let Some(row) = rows.first() {
            self.make_room(row);
        }
        self.seen.approach(rows.iter().map(Row::id));
    }

    /// Makes room for all rows at once: while a table grows, it is there twice.
    fn make_room(&mut self, row: &Row) {
        if let Some(layout) = row.layout.as_ref()
            && self.seen.is_empty()
        {
            self.seen.expect(layout.expected_rows);
        }
    }

    /// Judges the next row.
    pub fn sift(&mut self, row: &Row) -> Sifted {
        match row.standing() {
            Standing::Excluded(_) => return Sifted::Excluded,
            Standing::Broken(faults) => return Sifted::Invalid(faults.to_vec()),
            Standing::Included => {}
        }
        let fields = row.fields();
        let id = fields.id.unwrap_or_default();
        let mut faults = Vec::new();
        let mut registrant = None;
        match Registrant::parse(&fields, self.rule) {
            Ok(valid) => registrant = Some(valid),
            Err(found) => faults = found,
        }
        if let Some(fault) = row.part_fault()
            && faults.iter().all(|other| other.code != fault.code)
        {
            faults.push(fault.clone());
        }
        if !id.is_ascii() && id.contains(char::REPLACEMENT_CHARACTER) {
            faults.push(Fault::new(
                FaultCode::Undecodable,
                "the id holds U+FFFD, the mark of a character that an earlier conversion lost; export the list again as UTF-8",
            ));
        }
        let mut repeats = None;
        if !id.trim().is_empty() {
            self.make_room(row);
            let person = row.person();
            match self.seen.claim(id, Claim { row: row.fingerprint(), person, line: row.line() }) {
                Claimed::First => self.watch.first(row),
                Claimed::Again { line } => repeats = Some(line),
                Claimed::Taken { line, same_person } => {
                    self.watch.taken(row, same_person);
                    faults.push(Fault::new(
                        FaultCode::DuplicateId,
                        format!(
                            "the id stands in line {line} already, and the rows differ; two people must not share a link"
                        ),
                    ));
                }
            }
        }
        match registrant {
            Some(registrant) if faults.is_empty() => Sifted::Valid { registrant, repeats },
            _ => {
                faults.sort_by_key(|fault| fault.code);
                Sifted::Invalid(faults)
            }
        }
    }

    /// Whether the rows so far look as if the id column were no id: many of them repeat an id with
    /// other people. Then nothing may be posted.
    #[must_use]
    pub fn id_trap(&self) -> Option<IdTrap> {
        self.watch.verdict()
    }
}
