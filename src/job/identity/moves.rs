//! Where people came from and went to, and whether so many did that the ids themselves must be
//! others: told in one sentence then, by counts and a line.

use std::{collections::HashSet, fmt};

use super::{ChangedPerson, IdentityMismatch, IdentityReport, People};
use crate::{
    ledger::Seq,
    registrant::{Likeness, PersonFingerprint},
};

/// So many rows are no accident, and no list is shorter for which ids may seem to have moved.
const MANY: u64 = 10;

/// One row in so many is a large share of a list.
const LARGE_SHARE: u64 = 5;

/// Of people who are seen to have changed places, one in so many is enough.
const SEEN_SHARE: u64 = 100;

/// What is known of a list beside its rows.
pub(super) struct List<'a> {
    /// The halves that its columns tell.
    pub(super) told: PersonFingerprint,
    /// The column(s) that the ids are taken from.
    pub(super) column: &'a str,
    /// Whether its rows are those of another list that were rejected.
    pub(super) is_rejects_file: bool,
}

impl People {
    /// Looks where people came from and went to. Only whole people are compared, by the halves that
    /// the list's columns tell.
    pub(super) fn look_for_moves(
        &self,
        known: &[(Seq, PersonFingerprint)],
        list: &List<'_>,
        judgement: &mut IdentityReport,
    ) -> Result<(), IdsMoved> {
        let suspects: Vec<&ChangedPerson> = self.suspects.iter().filter(|it| it.speaks()).collect();
        let whole =
            |mark: PersonFingerprint| mark.reduced_to(list.told).filter(|mark| !mark.is_unknown());
        // Who is told under an id that the ledger does not have them under.
        let arrived: HashSet<PersonFingerprint> = suspects
            .iter()
            .map(|suspect| suspect.now)
            .chain(self.fresh.iter().map(|(mark, _)| *mark))
            .filter_map(whole)
            .collect();
        // Of these, who is not told any more under the id that the ledger has them under, and of
        // these, whose id the list no longer has.
        let changed: HashSet<Seq> = suspects.iter().map(|suspect| suspect.seq).collect();
        let (mut departed, mut left) = (HashSet::new(), HashSet::new());
        for &(seq, mark) in known {
            let gone = !self.has(seq);
            if (gone || changed.contains(&seq))
                && let Some(mark) = whole(mark)
                && arrived.contains(&mark)
            {
                departed.insert(mark);
                if gone {
                    left.insert(mark);
                }
            }
        }
        let again: Vec<(PersonFingerprint, u64)> = self
            .fresh
            .iter()
            .filter_map(|&(mark, line)| whole(mark).map(|mark| (mark, line)))
            .filter(|(mark, _)| left.contains(mark))
            .collect();
        let came =
            |suspect: &ChangedPerson| whole(suspect.now).is_some_and(|it| departed.contains(&it));
        let went =
            |suspect: &ChangedPerson| whole(suspect.before).is_some_and(|it| arrived.contains(&it));
        let moved: Vec<&ChangedPerson> =
            suspects.iter().copied().filter(|it| came(it) || went(it)).collect();
        if !list.is_rejects_file {
            self.hold_new_ids(&again, known.len() as u64, list.column)?;
            self.hold_known_ids(&suspects, &moved, list.column)?;
        }
        judgement.strange = self
            .most_differ(&suspects)
            .map(|suspect| (suspect.line, IdentityMismatch::MostDiffer))
            .chain(moved.iter().map(|suspect| (suspect.line, IdentityMismatch::Moved)))
            .collect();
        judgement.again = (again.len() as u64, again.first().map_or(0, |(_, line)| *line));
        Ok(())
    }

    /// Those of whom one thing alone is known, and that is another, where it is so with most rows: a
    /// short list that was replaced by another one.
    fn most_differ<'a>(
        &self,
        suspects: &[&'a ChangedPerson],
    ) -> impl Iterator<Item = &'a ChangedPerson> + use<'a> {
        let unlike =
            |suspect: &&&ChangedPerson| suspect.likeness() == Likeness { same: 0, differ: 1 };
        let unlike: Vec<&ChangedPerson> = suspects.iter().filter(unlike).copied().collect();
        // One of one may have been corrected.
        let most = unlike.len() > 1 && unlike.len() as u64 * 2 > self.compared;
        unlike.into_iter().filter(move |_| most)
    }

    /// Finds out whether the known ids belong to other people now.
    fn hold_known_ids(
        &self,
        suspects: &[&ChangedPerson],
        moved: &[&ChangedPerson],
        id_column: &str,
    ) -> Result<(), IdsMoved> {
        let unlike = |suspect: &&&ChangedPerson| suspect.likeness().has_nothing_in_common();
        let unlike: Vec<&&ChangedPerson> = suspects.iter().filter(unlike).collect();
        let many = |rows: u64, share: u64| rows >= MANY && rows * share >= self.compared;
        let people: HashSet<PersonFingerprint> = moved.iter().map(|suspect| suspect.now).collect();
        if !many(unlike.len() as u64, LARGE_SHARE) && !many(people.len() as u64, SEEN_SHARE) {
            return Ok(());
        }
        let mut lines: Vec<u64> =
            unlike.into_iter().chain(moved).map(|suspect| suspect.line).collect();
        lines.sort_unstable();
        lines.dedup();
        Err(IdsMoved::ToOthers {
            rows: lines.len() as u64,
            of: self.compared,
            seen: moved.len() as u64,
            first: lines.first().copied().unwrap_or_default(),
            column: id_column.to_owned(),
        })
    }

    /// Finds out whether people who are known have new ids.
    fn hold_new_ids(
        &self,
        again: &[(PersonFingerprint, u64)],
        in_ledger: u64,
        id_column: &str,
    ) -> Result<(), IdsMoved> {
        // Several rows may be about one person, or about nobody yet.
        let people = again.iter().map(|(mark, _)| *mark).collect::<HashSet<_>>().len() as u64;
        let fresh = self.fresh.len() as u64;
        let large = people * LARGE_SHARE >= fresh.min(in_ledger);
        if people < MANY || people <= self.known || !large {
            return Ok(());
        }
        Err(IdsMoved::NewIds {
            rows: again.len() as u64,
            of: fresh,
            known: self.known,
            first: again.first().map_or(0, |(_, line)| *line),
            column: id_column.to_owned(),
        })
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
