//! The one place where a row is judged: rule, duplicates, and the order number taken for an id.
//!
//! Used by `check`, by the plan of a run and by the projection at its end, so that all three agree
//! on every row. A row that is left out or cannot be read claims no id.
//!
//! In two steps: [`Scales`] weigh a row by itself, and [`Validator::settle`] holds it against the rows
//! before it. The survey does the first where the row has just been read and is still at hand.

use std::collections::HashMap;

use super::{
    InputError, Row, Snapshot, Standing,
    addresses::Addresses,
    row::taken,
    seen::{Claim, Claimed, Seen, key},
    trap::{IdTrap, TrapWatch},
};
use crate::registrant::{
    Fault, FaultCode, FingerprintKey, Fingerprinter, PersonFingerprint, Registrant, Rule,
};

/// What a row is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowCheck {
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
        /// The person's mark, where the sieve has a key to make it with.
        mark: PersonFingerprint,
    },
}

/// The same without the person.
pub(super) enum Settled {
    Excluded,
    Invalid(Vec<Fault>),
    Valid { repeats: Option<u64>, mark: PersonFingerprint },
}

/// Ids that several rows have, and the line of the row that each belongs to: that of the person
/// whom it was enrolled for, wherever the row stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdOwners(HashMap<u64, u64>);

impl IdOwners {
    /// IdOwners an id to the row in this line.
    pub fn add(&mut self, id: &str, line: u64) {
        self.0.insert(key(id), line);
    }

    /// Whether no id is promised.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The row further down that the claimed id belongs to.
    fn stands_against(&self, claim: &Claim) -> Option<u64> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(&claim.key).copied().filter(|&line| claim.line < line)
    }
}

/// What a row weighs by itself, whatever the other rows are.
#[derive(Default)]
pub(super) enum Weighed {
    #[default]
    Excluded,
    /// Its faults so far, with what it claims its id, if it has one, and whom it is about.
    Judged { faults: Vec<Fault>, claim: Option<Claim>, mark: PersonFingerprint },
}

impl Weighed {
    /// What [`Seen::approach`] must know; of a row that claims nothing any place will do.
    fn key(&self) -> u64 {
        match self {
            Self::Judged { claim: Some(claim), .. } => claim.key,
            _ => 0,
        }
    }
}

/// Holds rows against the rule, one by one.
pub(super) struct Scales {
    rule: Rule,
    key: Option<FingerprintKey>,
    marker: Option<Fingerprinter>,
}

impl Scales {
    pub(super) fn new(rule: Rule, key: Option<FingerprintKey>) -> Self {
        Self { rule, key, marker: key.map(Fingerprinter::new) }
    }

    pub(super) fn weigh(&mut self, row: &Row) -> Weighed {
        match row.standing() {
            Standing::Excluded(_) => return Weighed::Excluded,
            Standing::Broken(faults) => {
                let faults = faults.to_vec();
                return Weighed::Judged { faults, claim: None, mark: PersonFingerprint::UNKNOWN };
            }
            Standing::Included => {}
        }
        let fields = row.fields();
        let id = fields.id.unwrap_or_default();
        let mut faults = Registrant::faults(&fields, &self.rule);
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
        let nameless = faults.iter().any(|fault| fault.code == FaultCode::MissingId);
        let claim = (!nameless).then(|| Claim {
            key: key(id),
            row: row.fingerprint(),
            person: row.person(),
            line: row.line(),
        });
        let mark =
            self.marker.as_mut().map_or(PersonFingerprint::UNKNOWN, |marker| row.mark(marker));
        Weighed::Judged { faults, claim, mark }
    }
}

/// Judges the rows of one pass, in their order.
pub struct Validator {
    scales: Scales,
    seen: Seen,
    promises: IdOwners,
    /// Of a webinar.
    addresses: Option<Addresses>,
    watch: TrapWatch,
}

impl Validator {
    /// A sieve that has seen no row yet.
    #[must_use]
    pub fn new(rule: Rule) -> Self {
        Self::with(rule, None, IdOwners::default())
    }

    fn with(rule: Rule, key: Option<FingerprintKey>, promises: IdOwners) -> Self {
        let addresses = matches!(rule, Rule::Webinar(_)).then(Addresses::default);
        let (scales, seen) = (Scales::new(rule, key), Seen::default());
        Self { scales, seen, promises, addresses, watch: TrapWatch::default() }
    }

    /// A sieve for all rows of `input`, which marks people if there is a `key`, gives ids to the rows
    /// that they are promised to, and leaves an address to the row that `holds` it already, wherever it
    /// stands: a list that is sorted anew takes nobody's link.
    ///
    /// # Errors
    /// Those of the input and of `holds`, which is asked with each row's id.
    pub fn over<E: From<InputError>>(
        rule: Rule,
        input: &Snapshot,
        key: Option<FingerprintKey>,
        promises: &IdOwners,
        mut holds: impl FnMut(&str) -> Result<bool, E>,
    ) -> Result<Self, E> {
        let mut sieve = Self::with(rule, key, promises.clone());
        let Some(addresses) = &mut sieve.addresses else { return Ok(sieve) };
        let mut rows = input.rows()?;
        let mut row = Row::new();
        let mut seen = Seen::default();
        let mut scales = Scales::new(sieve.scales.rule.clone(), None);
        while rows.read(&mut row)? {
            let Weighed::Judged { faults, claim: Some(claim), .. } = scales.weigh(&row) else {
                continue;
            };
            if sieve.promises.stands_against(&claim).is_some() {
                continue;
            }
            // A row that repeats an id and differs is nobody's, and takes no address either.
            let first = matches!(seen.claim(&claim), Claimed::First);
            if first && faults.is_empty() && holds(row.fields().id.unwrap_or_default())? {
                addresses.reserve(&row);
            }
        }
        Ok(sieve)
    }

    /// Makes ready for the rows that are settled next. Never needed, but with some dozens of rows
    /// at a time the settling of a long list takes half the time.
    pub(super) fn approach(&mut self, rows: &[Row], weighed: &[Weighed]) {
        if let Some(row) = rows.first() {
            self.make_room(row);
        }
        self.seen.approach(weighed.iter().map(Weighed::key));
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
    pub fn sift(&mut self, row: &Row) -> RowCheck {
        let weighed = self.scales.weigh(row);
        let settled = self.settle(row, weighed);
        self.sifted(row, settled)
    }

    /// Scales of the same rule, for another thread.
    pub(super) fn scales(&self) -> Scales {
        Scales::new(self.scales.rule.clone(), self.scales.key)
    }

    /// What is settled, with the person.
    pub(super) fn sifted(&self, row: &Row, settled: Settled) -> RowCheck {
        match settled {
            Settled::Excluded => RowCheck::Excluded,
            Settled::Invalid(faults) => RowCheck::Invalid(faults),
            Settled::Valid { repeats, mark } => {
                match Registrant::parse(&row.fields(), &self.scales.rule) {
                    Ok(registrant) => RowCheck::Valid { registrant, repeats, mark },
                    Err(faults) => RowCheck::Invalid(faults),
                }
            }
        }
    }

    /// Holds the next row, which was weighed before, against the rows before it.
    pub(super) fn settle(&mut self, row: &Row, weighed: Weighed) -> Settled {
        let Weighed::Judged { mut faults, claim, mark } = weighed else {
            return Settled::Excluded;
        };
        let mut repeats = None;
        let promised = claim.as_ref().and_then(|claim| self.promises.stands_against(claim));
        if let Some(line) = promised {
            self.watch.taken(row, false);
            faults.push(Fault::new(
                FaultCode::DuplicateId,
                format!(
                    "{} line {line} too, with the person whom it was enrolled for; two people must not share a link",
                    taken(row.id())
                ),
            ));
        } else if let Some(claim) = claim {
            self.make_room(row);
            match self.seen.claim(&claim) {
                Claimed::First => self.watch.first(row),
                Claimed::Again { line } => repeats = Some(line),
                Claimed::Taken { line, same_person } => {
                    self.watch.taken(row, same_person);
                    faults.push(Fault::new(
                        FaultCode::DuplicateId,
                        format!(
                            "{} line {line} already, and the rows differ; two people must not share a link",
                            taken(row.id())
                        ),
                    ));
                }
            }
        }
        if let Some(addresses) = &mut self.addresses {
            addresses.hold(row, &mut faults);
        }
        if faults.is_empty() {
            Settled::Valid { repeats, mark }
        } else {
            faults.sort_by_key(|fault| fault.code);
            Settled::Invalid(faults)
        }
    }

    /// Whether the rows so far look as if the id column were no id: many of them repeat an id with
    /// other people. Then nothing may be posted.
    #[must_use]
    pub fn id_trap(&self) -> Option<IdTrap> {
        self.watch.verdict()
    }
}
