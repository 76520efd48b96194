//! Validation: each row against the rule, against the rows before it, and against the order number
//! that is taken for an id.
//!
//! A [`Validator`] goes over the rows once, in their order. What it says of a row never changes
//! afterwards; who knows more than the rows (the ledger knows whom an id was enrolled for) may decide
//! between rows that claim the same, for [`RowCheck`] tells a row's own faults and its clashes with
//! other rows apart.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    hash::BuildHasher,
    num::NonZeroU32,
};

use super::{
    IdTrap, InputError, Row, Rows, Standing,
    row::{KEYS, taken},
    trap::TrapWatch,
};
use crate::registrant::{Fault, FaultCode, Fields, Registrant, Rule};

/// How many faulty rows a [`Survey`] keeps to be shown.
const SHOWN: usize = 10;

/// The physical line where a row begins, in four bytes. Lines beyond 4 billion are told as the last
/// line that can be told.
pub type RowLine = NonZeroU32;

/// A row's line in four bytes.
pub fn row_line(line: u64) -> RowLine {
    u32::try_from(line).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MAX)
}

/// A row that no filter leaves out, checked.
pub struct RowCheck {
    /// Who it is; or every fault that the row has by itself, in the order of [`FaultCode::ALL`].
    pub registrant: Result<Registrant, Vec<Fault>>,
    /// The rows that stand against it.
    pub clashes: Clashes,
    /// The first row, if this row repeats it in every cell: one enrolment serves both.
    pub repeats: Option<RowLine>,
    /// Equal for rows whose cells are all equal.
    pub fingerprint: u64,
}

impl RowCheck {
    /// Every fault of the row, clashes included; none where it can be enrolled.
    pub fn faults(&self, row: &Row) -> Vec<Fault> {
        let own = self.registrant.as_ref().err();
        self.clashes.added_to(own.cloned().unwrap_or_default(), row)
    }

    /// Whether it can be enrolled.
    pub fn is_valid(&self) -> bool {
        self.registrant.is_ok() && self.clashes == Clashes::default()
    }
}

/// The rows that have what a row claims for itself. A line behind the row's own is that of the person
/// whom the ledger holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clashes {
    /// The row that has its id, with other cells.
    pub id: Option<RowLine>,
    /// The row that has its e-mail address, with another id. Only a webinar's: Teams keeps one
    /// registration of an address (`email` is an alternate key of `virtualEventRegistration` in
    /// Microsoft's metadata, `schemas/v1.0-Prod.csdl`), so the second id would get no link of its own.
    pub address: Option<RowLine>,
}

impl Clashes {
    /// A row's own faults and these, in the order of [`FaultCode::ALL`].
    pub fn added_to(self, mut faults: Vec<Fault>, row: &Row) -> Vec<Fault> {
        if let Some(line) = self.id {
            let why = if u64::from(line.get()) > row.line() {
                "too, with the person whom it was enrolled for"
            } else {
                "already, and the rows differ"
            };
            let taken = taken(row.id());
            let sentence = format!("{taken} line {line} {why}; two people must not share a link");
            faults.push(Fault::new(FaultCode::DuplicateId, sentence));
        }
        if let Some(line) = self.address {
            let sentence = format!(
                "the e-mail address stands in line {line} already, with another id; Teams keeps one registration for each address"
            );
            faults.push(Fault::new(FaultCode::DuplicateEmail, sentence));
        }
        faults.sort_by_key(|fault| fault.code);
        faults
    }
}

/// What the row is by itself: who can be enrolled, or every fault. A filter's word does not count.
///
/// # Errors
/// The faults, in the order of [`FaultCode::ALL`].
pub fn parse_row(row: &Row, rule: &Rule) -> Result<Registrant, Vec<Fault>> {
    if let Standing::Broken(faults) = row.standing() {
        return Err(faults.to_vec());
    }
    parse_cells(row, &row.fields(), rule)
}

fn parse_cells(row: &Row, fields: &Fields<'_>, rule: &Rule) -> Result<Registrant, Vec<Fault>> {
    let parsed = Registrant::parse(fields, rule);
    let id = fields.id.unwrap_or_default();
    let lost = !id.is_ascii() && id.contains(char::REPLACEMENT_CHARACTER);
    if row.cell_faults().is_empty() && !lost {
        return parsed;
    }
    let mut faults = parsed.err().unwrap_or_default();
    for fault in row.cell_faults() {
        if faults.iter().all(|other| other.code != fault.code) {
            faults.push(fault.clone());
        }
    }
    if lost {
        faults.push(Fault::new(
            FaultCode::Undecodable,
            "the id holds U+FFFD, the mark of a character that an earlier conversion lost; export the list again as UTF-8",
        ));
    }
    faults.sort_by_key(|fault| fault.code);
    Err(faults)
}

/// 64 bits, aligned as 32: a million keys with their places fit 28 MB instead of 36.
type Key = [u32; 2];

/// The hashes are good already.
type Places = HashMap<Key, u32, foldhash::fast::RandomState>;

fn key(text: &str) -> Key {
    let hash = KEYS.hash_one(text);
    #[expect(clippy::cast_possible_truncation, reason = "both halves are kept")]
    [(hash >> 32) as u32, hash as u32]
}

/// The first row with an id.
struct Claim {
    /// Of all its cells.
    fingerprint: u64,
    /// Of its names and address.
    person: u32,
    line: RowLine,
}

/// Holds the rows of one pass against the rule and against each other.
///
/// Ids and addresses are known by hashes of 64 bits that are keyed at random for each process: two of
/// a million fall together with a chance of 1 in 37 million. The second of them would be reported as
/// a duplicate, and nobody would be given another's link.
pub struct Validator {
    rule: Rule,
    /// Each id's place in `claims`.
    ids: Places,
    claims: Vec<Claim>,
    /// Of each address that a row without a fault has: the place of the row's id.
    addresses: Places,
    trap: TrapWatch,
}

impl Validator {
    /// One that has seen no row yet.
    pub fn new(rule: Rule) -> Self {
        let (ids, addresses) = (Places::default(), Places::default());
        let (claims, trap) = (Vec::new(), TrapWatch::default());
        Self { rule, ids, claims, addresses, trap }
    }

    /// Checks the next row; `None` where a filter leaves it out. A row that is left out, or whose
    /// cells cannot be told apart, claims no id.
    pub fn check(&mut self, row: &Row) -> Option<RowCheck> {
        let (mut clashes, mut repeats) = (Clashes::default(), None);
        let fingerprint = row.fingerprint();
        match row.standing() {
            Standing::Excluded(_) => return None,
            Standing::Broken(faults) => {
                let registrant = Err(faults.to_vec());
                return Some(RowCheck { registrant, clashes, repeats, fingerprint });
            }
            Standing::Included => {}
        }
        let fields = row.fields();
        let registrant = parse_cells(row, &fields, &self.rule);
        let nameless = |faults: &Vec<Fault>| faults.iter().any(|f| f.code == FaultCode::MissingId);
        let mut place = None;
        if !registrant.as_ref().is_err_and(nameless) {
            let (at, first) = self.claim_id(row, fields.id.unwrap_or_default(), fingerprint);
            let claim = &self.claims[at as usize];
            if !first && claim.fingerprint == fingerprint {
                repeats = Some(claim.line);
            } else if !first {
                clashes.id = Some(claim.line);
            }
            place = Some(at);
        }
        if matches!(self.rule, Rule::Event(_)) {
            let may_claim = place.filter(|_| registrant.is_ok() && clashes.id.is_none());
            clashes.address =
                self.claim_address(fields.email.unwrap_or_default(), place, may_claim);
        }
        Some(RowCheck { registrant, clashes, repeats, fingerprint })
    }

    /// The place of the id's claim, and whether it is the row's own: no row before it has the id.
    fn claim_id(&mut self, row: &Row, id: &str, fingerprint: u64) -> (u32, bool) {
        if self.claims.is_empty() {
            self.make_room(row);
        }
        let next = u32::try_from(self.claims.len()).expect("fewer than 4 billion rows");
        match self.ids.entry(key(id)) {
            Entry::Vacant(free) => {
                free.insert(next);
                let line = row_line(row.line());
                self.claims.push(Claim { fingerprint, person: row.person(), line });
                self.trap.first(row);
                (next, true)
            }
            Entry::Occupied(held) => {
                let claim = &self.claims[*held.get() as usize];
                if claim.fingerprint != fingerprint {
                    self.trap.taken(row, claim.person == row.person());
                }
                (*held.get(), false)
            }
        }
    }

    /// Makes room for all rows at once: while a table grows, it is there twice.
    fn make_room(&mut self, row: &Row) {
        /// An estimate may be wrong: no more room than this is made unasked.
        const MOST: usize = 1_000_000;
        let expected = row.layout.as_deref().map_or(0, |layout| layout.expected_rows).min(MOST);
        self.ids.reserve(expected);
        self.claims.reserve(expected);
    }

    /// The row of another id that has the address. Where none has it, the row claims it if it
    /// `may_claim`: one that cannot be enrolled takes it from nobody.
    fn claim_address(
        &mut self,
        email: &str,
        place: Option<u32>,
        may_claim: Option<u32>,
    ) -> Option<RowLine> {
        let email = email.trim();
        if email.is_empty() {
            return None;
        }
        let plain = email.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase());
        let key = if plain { key(email) } else { key(&email.to_lowercase()) };
        if let Some(&holder) = self.addresses.get(&key) {
            return (Some(holder) != place).then(|| self.claims[holder as usize].line);
        }
        if let Some(place) = may_claim {
            self.addresses.insert(key, place);
        }
        None
    }

    /// Whether the rows so far look as if the id column were no id: many of them repeat an id with
    /// other people. Then nothing may be posted.
    pub fn id_trap(&self) -> Option<IdTrap> {
        self.trap.verdict()
    }
}

/// What a pass over all rows found, for whoever only reads.
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
    /// What has to be told of the rows.
    pub notes: Vec<String>,
}

/// Checks all rows; `on_reject` is handed each invalid one.
///
/// # Errors
/// When the rows cannot be read on, or `on_reject` fails.
pub fn survey<E: From<InputError>>(
    rows: &mut Rows,
    rule: Rule,
    mut on_reject: impl FnMut(&Row, &[Fault]) -> Result<(), E>,
) -> Result<Survey, E> {
    let (mut survey, mut validator) = (Survey::default(), Validator::new(rule));
    let mut row = Row::new();
    while rows.read(&mut row)? {
        survey.read += 1;
        let Some(check) = validator.check(&row) else {
            survey.excluded += 1;
            continue;
        };
        if check.is_valid() {
            survey.valid += 1;
            survey.repeated += u64::from(check.repeats.is_some());
            continue;
        }
        survey.invalid += 1;
        let faults = check.faults(&row);
        for fault in &faults {
            *survey.faults.entry(fault.code).or_default() += 1;
        }
        on_reject(&row, &faults)?;
        if survey.first.len() < SHOWN {
            survey.first.push((row.line(), faults));
        }
    }
    survey.trap = validator.id_trap();
    survey.notes = rows.notes();
    Ok(survey)
}
