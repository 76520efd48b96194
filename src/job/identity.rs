//! Whose the known ids are: the rows' fingerprints held against the ledger's.
//!
//! A meeting is sent the id alone, so nothing else shows that an id has come to somebody else: rows
//! that are numbered anew, another id column, a list in which two people have one id. Then the link
//! that the first one holds would be given to the second. A person is known by the fingerprint of
//! name and address:
//!
//! | the id is enrolled, and its fingerprint | the row is |
//! | --- | --- |
//! | shares nothing with the row's | somebody else's |
//! | shares one half, and by the whole of it somebody has changed ids here | somebody else's |
//! | shares one half | the same person's, and the ledger learns the other half |
//!
//! Many rows of the first two kinds are [`IdsMoved`], and so are many people who are known under other
//! ids: the ids themselves have changed, and nothing is done. Rows whose result was never learnt are
//! not judged: nobody holds a link of theirs, so whoever has the id now may be enrolled.

#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

use super::decision::{Decision, IdentityMismatch};
use crate::{
    ledger::{Entry, Seq, State},
    registrant::{Likeness, PersonFingerprint},
};

/// So many rows are no accident, and no list is shorter for which ids may seem to have moved.
pub(super) const MANY: u64 = 10;

/// One row in so many is a large share of a list.
pub(super) const LARGE_SHARE: u64 = 5;

/// How badly a row fits what the ledger has of its id: whether other fields were sent, how many halves
/// of the fingerprint differ, how many are not the same.
pub(super) type Misfit = (bool, u8, u8);

/// A row whose id the ledger has somebody for, and does not have quite so.
#[derive(Clone, Copy, Debug)]
pub(super) struct KnownPerson {
    /// The row's place in the input.
    pub(super) row: usize,
    seq: Seq,
    before: PersonFingerprint,
    now: PersonFingerprint,
    sent_changed: bool,
    /// Whether the fingerprint decides about it: where more than the id was sent, that tells more.
    judged: bool,
}

impl KnownPerson {
    /// The row with this entry; `None` where nobody has a link under the id, or is about to.
    pub(super) fn of(
        row: usize,
        entry: &Entry,
        now: PersonFingerprint,
        sent_changed: bool,
    ) -> Option<Self> {
        let (seq, before) = (entry.seq, entry.person);
        let judged = entry.state == State::Enrolled && entry.sent.is_empty() && !sent_changed;
        let known = Self { row, seq, before, now, sent_changed, judged };
        matches!(entry.state, State::Enrolled | State::Awaiting).then_some(known)
    }

    /// How badly the row fits what the ledger has of its id; less is better.
    pub(super) fn misfit(&self) -> Misfit {
        let likeness = self.likeness();
        (self.sent_changed, likeness.differ, 2 - likeness.same)
    }

    fn likeness(&self) -> Likeness {
        self.before.compared_with(self.now)
    }
}

/// What is noted of people while the input is read.
#[derive(Debug, Default)]
pub(super) struct People {
    /// Whether the ledger knows anybody's fingerprint.
    pub(super) ledger_knows: bool,
    /// Rows whose fingerprint could be compared, and decides.
    compared: u64,
    /// Rows that the ledger does not have quite so.
    pub(super) known: Vec<KnownPerson>,
    /// Rows whose id is new, by their places.
    fresh: Vec<(PersonFingerprint, usize)>,
}

/// What is known of a list beside its rows.
pub(super) struct PeopleList<'a> {
    /// The halves that its columns tell.
    pub(super) told: PersonFingerprint,
    /// The column(s) that the ids are taken from.
    pub(super) column: &'a str,
    /// Whether its rows are those of another list that were rejected.
    pub(super) is_rejects_file: bool,
}

/// What was found out about the people of a list.
#[derive(Debug, Default)]
pub(super) struct Judgement {
    /// Rows that are somebody else's, by their places.
    pub(super) mismatches: Vec<(usize, IdentityMismatch)>,
    /// Rows with a new id of people whom the ledger has under an id that is not on the list; and the
    /// line of the first one.
    pub(super) again: Option<(u64, u64)>,
}

impl People {
    /// Nobody is noted yet.
    pub(super) fn new(ledger_knows: bool) -> Self {
        Self { ledger_knows, ..Self::default() }
    }

    /// Notes a row with an id of its own.
    pub(super) fn note(
        &mut self,
        row: usize,
        entry: Option<&Entry>,
        now: PersonFingerprint,
        sent_changed: bool,
    ) {
        let Some(entry) = entry else {
            if self.ledger_knows && !now.is_unknown() {
                self.fresh.push((now, row));
            }
            return;
        };
        let Some(known) = KnownPerson::of(row, entry, now, sent_changed) else { return };
        self.compared += u64::from(known.judged && known.likeness() != Likeness::default());
        if sent_changed || known.before.updated(now) != known.before {
            self.known.push(known);
        }
    }

    /// Judges the people of the rows that were decided so, each id's being its row's. `ledger` tells
    /// everybody whom it knows.
    pub(super) fn judge<E: From<IdsMoved>>(
        &self,
        rows: &[Decision],
        list: &PeopleList<'_>,
        ledger: impl FnOnce(&mut dyn FnMut(Seq, PersonFingerprint)) -> Result<(), E>,
    ) -> Result<Judgement, E> {
        let differs = |known: &&KnownPerson| known.judged && known.likeness().differ > 0;
        let changed: Vec<&KnownPerson> = self.known.iter().filter(differs).collect();
        if changed.is_empty() && self.fresh.is_empty() {
            return Ok(Judgement::default());
        }
        // Only whole people are compared, by the halves that the list's columns tell.
        let whole =
            |print: PersonFingerprint| print.reduced_to(list.told).filter(|it| !it.is_unknown());
        let arrived: HashSet<PersonFingerprint> = changed
            .iter()
            .map(|known| known.now)
            .chain(self.fresh.iter().map(|(print, _)| *print))
            .filter_map(whole)
            .collect();
        // Who is told under another id than the ledger's, and whether their own has left the list.
        let (mut moved, mut in_ledger) = (HashMap::new(), 0_u64);
        let given: HashSet<Seq> = changed.iter().map(|known| known.seq).collect();
        let present: HashSet<u64> = rows.iter().filter_map(Decision::number).collect();
        ledger(&mut |seq, print| {
            in_ledger += 1;
            let left = !present.contains(&seq.number());
            if (left || given.contains(&seq))
                && let Some(person) = whole(print).filter(|person| arrived.contains(person))
            {
                *moved.entry(person).or_insert(false) |= left;
            }
        })?;
        let has_moved = |print| whole(print).is_some_and(|person| moved.contains_key(&person));
        let again: Vec<(PersonFingerprint, u64)> = self
            .fresh
            .iter()
            .filter_map(|&(print, row)| Some((whole(print)?, rows[row].line())))
            .filter(|(person, _)| moved.get(person) == Some(&true))
            .collect();
        let mut mismatches = Vec::new();
        let mut seen = 0;
        for known in changed {
            let (likeness, changed_places) =
                (known.likeness(), has_moved(known.before) || has_moved(known.now));
            seen += u64::from(changed_places);
            mismatches.push(match likeness {
                Likeness { differ: 2, .. } => (known.row, IdentityMismatch::BothDiffer),
                _ if changed_places => (known.row, IdentityMismatch::Moved),
                Likeness { same: 0, .. } => (known.row, IdentityMismatch::OneDiffers),
                _ => continue,
            });
        }
        if !list.is_rejects_file {
            self.hold_new_ids(&again, present.len() as u64, in_ledger, list.column)?;
            let (count, of) = (mismatches.len() as u64, self.compared);
            if count >= MANY && count * LARGE_SHARE >= of {
                let first = rows[mismatches[0].0].line();
                let column = list.column.to_owned();
                return Err(IdsMoved::ToOthers { rows: count, of, seen, first, column }.into());
            }
        }
        let again = again.first().map(|&(_, line)| (again.len() as u64, line));
        Ok(Judgement { mismatches, again })
    }

    /// Whether people who are known have new ids.
    fn hold_new_ids(
        &self,
        again: &[(PersonFingerprint, u64)],
        known: u64,
        in_ledger: u64,
        column: &str,
    ) -> Result<(), IdsMoved> {
        // Several rows may be about one person, or about nobody yet.
        let people = again.iter().map(|(print, _)| *print).collect::<HashSet<_>>().len() as u64;
        let of = self.fresh.len() as u64;
        if people < MANY || people <= known || people * LARGE_SHARE < of.min(in_ledger) {
            return Ok(());
        }
        let (rows, first, column) = (again.len() as u64, again[0].1, column.to_owned());
        Err(IdsMoved::NewIds { rows, of, known, first, column })
    }

    /// What the ledger is to learn of people whose rows are theirs.
    pub(super) fn learnt(&self, rows: &[Decision]) -> Vec<(Seq, PersonFingerprint)> {
        let theirs = |known: &&KnownPerson| !known.sent_changed && !rows[known.row].is_rejected();
        let learnt = self.known.iter().filter(theirs);
        learnt.map(|known| (known.seq, known.before.updated(known.now))).collect()
    }
}

/// The ids of the list are not those that the ledger has these people under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdsMoved {
    /// Ids that are enrolled belong to other people now.
    ToOthers {
        /// So many rows.
        rows: u64,
        /// Of so many that could be compared.
        of: u64,
        /// So many of them are about people who are known under another id, or were here.
        seen: u64,
        /// The line of the first one.
        first: u64,
        /// The column(s) that the ids are taken from.
        column: String,
    },
    /// Ids that are enrolled have another address, tenant or user now.
    OtherField {
        /// So many people.
        people: u64,
        /// Of so many rows.
        of: u64,
        /// The line of the first one.
        first: u64,
        /// The field that most of them have another value of.
        field: String,
        /// The column that it is taken from.
        from: String,
        /// The column(s) that the ids are taken from.
        column: String,
    },
    /// People who are enrolled have new ids.
    NewIds {
        /// So many rows.
        rows: u64,
        /// Of so many with new ids.
        of: u64,
        /// So many ids of the list are known.
        known: u64,
        /// The line of the first one.
        first: u64,
        /// The column(s) that the ids are taken from.
        column: String,
    },
}

impl fmt::Display for IdsMoved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ToOthers { rows, of, seen, first, column } => {
                write!(
                    f,
                    "the ids in `{column}` stand for other people now: {rows} of {of} rows tell somebody else than their id was enrolled for (the first is line {first})"
                )?;
                if *seen > 0 {
                    write!(f, ", and {seen} of them have changed places")?;
                }
                f.write_str(
                    "; nothing was posted and the files are as they were, for these people would get each other's links. Take ids that stay with a person (--map id=COLUMN; a row's number does not); if they are the same people, run once with --trust-ids",
                )
            }
            Self::OtherField { people, of, first, field, from, column } => write!(
                f,
                "`{from}` gives {people} of {of} rows another {field} than their ids in `{column}` were enrolled with (the first is line {first}); nothing was posted and the files are as they were. Take the former column (--map {field}=COLUMN, --map id=COLUMN); where so many have really changed, run with --trust-ids, which refuses each of them by itself"
            ),
            Self::NewIds { rows, of, known, first, column } => {
                let known = if *known == 0 { "none".to_owned() } else { format!("only {known}") };
                write!(
                    f,
                    "the ids in `{column}` are not those of earlier runs: {known} of them are known, and {rows} of {of} rows with a new id tell people who are enrolled under another one (the first is line {first}); nothing was posted and the files are as they were, for these people are enrolled already. Take the former ids (--map id=COLUMN, --id-prefix TEXT); if they are to be enrolled anew, run once with --trust-ids"
                )
            }
        }
    }
}

impl std::error::Error for IdsMoved {}
