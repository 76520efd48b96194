//! Whose the known ids are: the rows' marks held against the ledger's. Pure, but for one look through
//! the ledger when something is suspicious.
//!
//! A meeting is sent the id alone, so nothing else shows that an id has come to somebody else: rows
//! that are numbered anew, another id column, a list in which two people have one id. Then the link
//! that the first one holds would be given to the second.
//!
//! | the id is enrolled, and of its mark | the row is |
//! | --- | --- |
//! | nothing differs | the same person's |
//! | name and e-mail address differ | somebody else's |
//! | one half differs, and by the marks that person came from another id, or the former one went to another | somebody else's |
//! | the only half that is known differs, and so it is with most of the list's rows | somebody else's |
//! | one half differs | the same person's, and the mark is brought up to date |
//!
//! So many at once that the ids themselves must have changed are [`IdsMoved`]: nothing is done then.
//! Rows whose result was never learnt are not judged: nobody holds a link of theirs, so whoever has
//! the id now may be enrolled.

mod moves;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

pub use moves::IdsMoved;
use moves::List;

use crate::{
    input::{IdOwners, Snapshot},
    ledger::{Entry, Ledger, LedgerError, Seq, State},
    registrant::{Field, Likeness, PersonFingerprint},
};

/// Why a row is taken for somebody else than the one whom its id was enrolled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityMismatch {
    /// Both the name and the address are others.
    BothDiffer,
    /// The name or the address is another, and by that the person came from another id, or the
    /// former one is found under another.
    Moved,
    /// People are told by one thing alone, and most of the list's rows tell another than before.
    MostDiffer,
}

/// What was found out about the people of a list. Outside this room there is none but of a list that
/// was judged.
#[derive(Clone, Debug)]
pub struct IdentityReport {
    /// Take whoever has an id for the person whom it was enrolled for.
    trust_ids: bool,
    /// Of ids that several rows have: which row is the person's.
    promises: IdOwners,
    /// The lines of rows that are somebody else's.
    strange: HashMap<u64, IdentityMismatch>,
    /// Rows with a new id that tell people who are known under one that the list no longer has, and
    /// the first one's line.
    again: (u64, u64),
}

impl IdentityReport {
    /// Nothing is found out yet.
    #[must_use]
    pub(super) fn new(trust_ids: bool) -> Self {
        let (promises, strange) = (IdOwners::default(), HashMap::new());
        Self { trust_ids, promises, strange, again: (0, 0) }
    }

    /// Whether it tells something that a plan was drawn without.
    #[must_use]
    pub fn is_news(&self) -> bool {
        let by_list = |stranger: &IdentityMismatch| *stranger != IdentityMismatch::BothDiffer;
        !self.promises.is_empty() || self.strange.values().any(by_list)
    }

    /// How many rows with a new id tell people who are known under another that the list no longer
    /// has; with the line of the first one.
    #[must_use]
    pub fn again(&self) -> Option<(u64, u64)> {
        (self.again.0 > 0).then_some(self.again)
    }

    /// Which rows ids belong to.
    #[must_use]
    pub fn promises(&self) -> &IdOwners {
        &self.promises
    }

    /// Whether the row in this line is another person's than the one whom the ledger has enrolled
    /// with its id. Where more than the id was sent, that tells more than a mark. Once the list is
    /// judged, no mark is needed.
    #[must_use]
    pub fn stranger(
        &self,
        entry: Option<&Entry>,
        mark: PersonFingerprint,
        line: u64,
    ) -> Option<IdentityMismatch> {
        let entry = entry.filter(|entry| is_judged(entry) && !self.trust_ids)?;
        if entry.person.compared_with(mark).is_of_another() {
            return Some(IdentityMismatch::BothDiffer);
        }
        self.strange.get(&line).copied()
    }
}

/// Whether the mark decides about this one.
fn is_judged(entry: &Entry) -> bool {
    entry.state == State::Enrolled && entry.sent.is_empty()
}

/// How well a row fits what the ledger has of its id; less is better.
type Misfit = (bool, u8, u8);

fn misfit(sent_changed: bool, likeness: Likeness) -> Misfit {
    (sent_changed, likeness.differ, 2 - likeness.same)
}

/// A row of an enrolled id that does not fit what the ledger has of it.
#[derive(Clone, Copy, Debug)]
struct ChangedPerson {
    seq: Seq,
    line: u64,
    before: PersonFingerprint,
    now: PersonFingerprint,
    sent_changed: bool,
    /// Whether the mark decides about it.
    judged: bool,
}

impl ChangedPerson {
    fn likeness(&self) -> Likeness {
        self.before.compared_with(self.now)
    }

    /// Whether it speaks for ids that have come to other people.
    fn speaks(&self) -> bool {
        self.judged && self.likeness().differ > 0
    }
}

/// A row that repeats the id of a row before it.
#[derive(Clone, Debug)]
struct ContestedRow {
    seq: Seq,
    line: u64,
    id: String,
    misfit: Misfit,
}

/// What is noted of people while a plan is drawn.
#[derive(Debug, Default)]
pub struct People {
    /// Whether the ledger knows anybody's mark.
    ledger_knows: bool,
    /// Rows whose id the ledger holds.
    known: u64,
    /// Of these, rows whose mark could be compared.
    compared: u64,
    suspects: Vec<ChangedPerson>,
    rivals: Vec<ContestedRow>,
    /// Rows whose id is new.
    fresh: Vec<(PersonFingerprint, u64)>,
    /// The ledger's numbers that the list has, a bit each.
    present: Vec<u64>,
    /// What the ledger is to learn.
    learnt: Vec<(Seq, PersonFingerprint)>,
    /// Rows whose only known half has changed and who pass for all that, and the first one's line.
    lone: (u64, u64),
}

impl People {
    /// Nobody is noted yet.
    #[must_use]
    pub fn new(ledger_knows: bool) -> Self {
        Self { ledger_knows, ..Self::default() }
    }

    /// Notes a row with a new id.
    pub fn note_fresh(&mut self, mark: PersonFingerprint, line: u64) {
        if self.ledger_knows && !mark.is_unknown() {
            self.fresh.push((mark, line));
        }
    }

    /// Notes a row whose id the ledger has. `refused`: it is not taken for the person's.
    pub fn note_known(
        &mut self,
        entry: &Entry,
        mark: PersonFingerprint,
        line: u64,
        sent_changed: bool,
        refused: bool,
    ) {
        let (place, bit) = place(entry.seq);
        if self.present.len() <= place {
            self.present.resize(place + 1, 0);
        }
        self.present[place] |= bit;
        self.known += 1;
        if !has_link_or_soon(entry) {
            return;
        }
        let likeness = entry.person.compared_with(mark);
        let judged = is_judged(entry) && !sent_changed;
        self.compared += u64::from(judged && likeness != Likeness::default());
        if likeness.differ > 0 || sent_changed {
            let (seq, before) = (entry.seq, entry.person);
            self.suspects.push(ChangedPerson {
                seq,
                line,
                before,
                now: mark,
                sent_changed,
                judged,
            });
        }
        if refused || sent_changed {
            return;
        }
        if judged && likeness.has_nothing_in_common() {
            if self.lone.0 == 0 {
                self.lone.1 = line;
            }
            self.lone.0 += 1;
        }
        let updated = entry.person.updated(mark);
        if updated != entry.person {
            self.learnt.push((entry.seq, updated));
        }
    }

    /// Notes a row whose id an earlier row has, with other cells.
    pub fn note_rival(
        &mut self,
        entry: &Entry,
        mark: PersonFingerprint,
        line: u64,
        id: &str,
        changed: bool,
    ) {
        if has_link_or_soon(entry) {
            let misfit = misfit(changed, entry.person.compared_with(mark));
            self.rivals.push(ContestedRow { seq: entry.seq, line, id: id.to_owned(), misfit });
        }
    }

    /// What the ledger is to learn of people, who are the same as before.
    #[must_use]
    pub fn learnt(&self) -> &[(Seq, PersonFingerprint)] {
        &self.learnt
    }

    /// How many rows have changed in the only half of their mark that could be compared, and are
    /// taken for the same people; with the line of the first one.
    #[must_use]
    pub fn lone(&self) -> Option<(u64, u64)> {
        (self.lone.0 > 0).then_some(self.lone)
    }

    /// Judges what was noted.
    ///
    /// # Errors
    /// [`Unjudged`]: the ids have moved to other people, or the ledger fails.
    pub fn judge(
        &self,
        ledger: &Ledger,
        input: &Snapshot,
        trust_ids: bool,
    ) -> Result<IdentityReport, Unjudged> {
        let mut judgement =
            IdentityReport { promises: self.promises(), ..IdentityReport::new(trust_ids) };
        let suspicious = !self.fresh.is_empty() || self.suspects.iter().any(ChangedPerson::speaks);
        if !trust_ids && suspicious {
            let (email, name) = input.tells_people();
            let told = PersonFingerprint { email: u32::from(email), name: u32::from(name) };
            let mut known = Vec::new();
            ledger.for_each_fingerprint(|seq, mark| known.push((seq, mark)))?;
            let list = List {
                told,
                column: &input.mapping().shown(&Field::Id),
                is_rejects_file: input.detected().rejects,
            };
            self.look_for_moves(&known, &list, &mut judgement)?;
        }
        let others = self.suspects.iter().filter(|it| it.judged && it.likeness().is_of_another());
        let others = others.filter(|_| !trust_ids);
        judgement
            .strange
            .extend(others.map(|suspect| (suspect.line, IdentityMismatch::BothDiffer)));
        Ok(judgement)
    }

    /// The row of each contested id that fits the ledger best; of equals the first one. Only where
    /// the row that came first does not fit.
    fn promises(&self) -> IdOwners {
        let mut promises = IdOwners::default();
        if self.rivals.is_empty() {
            return promises;
        }
        let rivals: HashSet<Seq> = self.rivals.iter().map(|rival| rival.seq).collect();
        let mut best: HashMap<Seq, Misfit> = self
            .suspects
            .iter()
            .filter(|suspect| rivals.contains(&suspect.seq))
            .map(|suspect| (suspect.seq, misfit(suspect.sent_changed, suspect.likeness())))
            .collect();
        for rival in &self.rivals {
            if let Some(best) = best.get_mut(&rival.seq)
                && rival.misfit < *best
            {
                *best = rival.misfit;
                promises.add(&rival.id, rival.line);
            }
        }
        promises
    }

    fn has(&self, seq: Seq) -> bool {
        let (place, bit) = place(seq);
        self.present.get(place).is_some_and(|bits| bits & bit != 0)
    }
}

/// Whether somebody has a link under this id, or is about to.
fn has_link_or_soon(entry: &Entry) -> bool {
    matches!(entry.state, State::Enrolled | State::Awaiting)
}

/// Where a number's bit stands.
fn place(seq: Seq) -> (usize, u64) {
    let number = seq.number();
    (usize::try_from(number / 64).unwrap_or(usize::MAX), 1 << (number % 64))
}

/// Why there is no judgement.
#[derive(Debug, thiserror::Error)]
pub enum Unjudged {
    /// The ids are others.
    #[error(transparent)]
    Moved(#[from] IdsMoved),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}
