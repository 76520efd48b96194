//! Whom a list names: what the pass over the rows leaves for [`super::cancellation`], and what that
//! decides about the ledger's people.

use std::collections::{HashMap, HashSet};

use super::{
    cancellation::{BRAKE, Held, Question, Uncalled, Unproven, Verdict},
    canceller::ToCancel,
    clock::millis,
    conduct::{CancelMode, CancelPolicy},
    decision::{Action, Decision},
    remote::RemoteIndex,
};
use crate::{
    input::{Row, Snapshot, Standing},
    ledger::{Absence, CancelReason, Ledger, LedgerError, ListRead, LookUps, Seq, State},
    registrant::RegistrantId,
};

/// What a run is told about cancelling, beside its list.
#[derive(Clone, Debug, Default)]
pub struct CancelOrder {
    pub policy: CancelPolicy,
    /// The ids that a file of approvals names, where one was given.
    pub approved: Option<HashSet<String>>,
    /// When the event begins, in milliseconds since 1970, where that is known.
    pub starts_at: Option<i64>,
    /// Milliseconds since 1970.
    pub now: i64,
}

/// Numbers of registrants, a bit each.
#[derive(Default)]
struct Seqs(Vec<u64>);

impl Seqs {
    fn insert(&mut self, seq: Seq) {
        let (word, bit) = Self::place(seq);
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= bit;
    }

    fn contains(&self, seq: Seq) -> bool {
        let (word, bit) = Self::place(seq);
        self.0.get(word).is_some_and(|bits| bits & bit != 0)
    }

    fn place(seq: Seq) -> (usize, u64) {
        let number = usize::try_from(seq.number()).unwrap_or(usize::MAX);
        (number / 64, 1 << (number % 64))
    }
}

/// The ledger's people whom rows name, kept while the rows are read.
#[derive(Default)]
pub struct RollCall {
    /// By a row that is not marked, whatever else is to be said of it.
    kept: Seqs,
    /// By a marked row, with its line: only whom this ledger registered.
    marked: HashMap<Seq, u64>,
    /// Whether a row's id, or where a row ends, cannot be told with certainty.
    flawed: bool,
}

impl RollCall {
    /// Notes a row and what was decided about it.
    pub fn note(
        &mut self,
        row: &Row,
        decision: Decision,
        look_ups: &mut LookUps<'_>,
    ) -> Result<(), LedgerError> {
        let fields = row.fields();
        let id = fields.id.unwrap_or_default();
        let broken = matches!(row.standing(), Standing::Broken(_)) || !row.has_sound_id();
        self.flawed |= broken || RegistrantId::parse(id).is_err();
        match decision.action {
            // What the pass has looked up, or nobody: then there is nothing to keep.
            Action::Shares(_) => {}
            Action::Excluded | Action::Invalid(_) => {
                let Some(entry) = look_ups.find(&RegistrantId::trusted(id))? else { return Ok(()) };
                let own =
                    matches!(entry.state, State::Enrolled | State::Awaiting) && !entry.is_adopted();
                if !row.is_marked() {
                    self.kept.insert(entry.seq);
                } else if own {
                    self.marked.entry(entry.seq).or_insert(row.line());
                }
            }
            _ => {
                if let Some(seq) = decision.seq() {
                    self.kept.insert(seq);
                }
            }
        }
        Ok(())
    }

    /// Decides about everybody whom this ledger registered and no row keeps.
    pub fn decide(
        self,
        input: &Snapshot,
        rows: u64,
        ledger: &Ledger,
        remote: &RemoteIndex,
        order: &CancelOrder,
    ) -> Result<CancelPlan, LedgerError> {
        let mut people: Vec<Uncalled> = Vec::new();
        let absences = ledger.absences()?;
        let uncalled = |seq, reason| Uncalled { seq, reason, absence: absences.get(&seq).copied() };
        let marked = self.marked.iter().filter(|(seq, _)| !self.kept.contains(**seq));
        people.extend(marked.map(|(&seq, &line)| uncalled(seq, CancelReason::Marked(line))));
        if order.policy.mode == CancelMode::Missing {
            ledger.for_each_own(|seq| {
                if !self.kept.contains(seq) && !self.marked.contains_key(&seq) {
                    people.push(uncalled(seq, CancelReason::Missing));
                }
            })?;
        }
        people.sort_unstable_by_key(|person| person.seq);
        let ids = ledger.ids_of(people.iter().map(|person| person.seq))?;
        // Whoever is on the target no longer needs no cancellation, and stays as they are.
        let (people, ids): (Vec<Uncalled>, Vec<String>) =
            people.into_iter().zip(ids).filter(|(_, id)| !remote.is_gone(id)).unzip();
        let identity = input.identity();
        let list = ListRead {
            written_at: identity.written_at,
            content: identity.content,
            reading: identity.reading,
            rows,
        };
        let named = |names: &HashSet<String>| -> HashSet<Seq> {
            let found = people.iter().zip(&ids).filter(|(_, id)| names.contains(*id));
            found.map(|(person, _)| person.seq).collect()
        };
        let approved = order.approved.as_ref().map(named);
        let question = Question {
            policy: order.policy,
            list,
            flawless: !self.flawed && rows > 0 && input.is_whole_list(),
            earlier: ledger.earlier_lists(&list)?,
            enrolled: ledger.enrolled()?,
            recent: ledger.cancellations_since(order.now.saturating_sub(millis(BRAKE)))?,
            approved: approved.as_ref(),
            event_began: order.starts_at.is_some_and(|at| at <= order.now),
            now: order.now,
        };
        let verdicts = question.decide(&people);
        let absent = people.iter().filter_map(|it| Some((it.seq, question.absence(it)?))).collect();
        let decided = people.iter().zip(ids).zip(verdicts);
        Ok(CancelPlan {
            list,
            complete: question.is_complete(),
            absent,
            recent: question.recent,
            most: question.most(),
            enrolled: question.enrolled,
            rows_before: question.earlier.rows,
            people: decided
                .map(|((person, id), verdict)| {
                    let (seq, reason) = (person.seq, person.reason);
                    PlannedCancellation { seq, id: RegistrantId::trusted(&id), reason, verdict }
                })
                .collect(),
        })
    }
}

/// Somebody who may be cancelled, and what was decided.
#[derive(Clone, Debug)]
pub struct PlannedCancellation {
    pub seq: Seq,
    pub id: RegistrantId,
    pub reason: CancelReason,
    pub verdict: Verdict,
}

/// What is decided about the ledger's people whom no row keeps.
pub struct CancelPlan {
    /// The list that was read.
    pub list: ListRead,
    /// Whether its size is what the next one is held against.
    pub complete: bool,
    /// What is to be remembered of the missing.
    pub absent: Vec<(Seq, Absence)>,
    /// How many were cancelled within 24 hours without approval.
    pub recent: u64,
    /// The most that may be.
    pub most: u64,
    /// How many people are enrolled.
    pub enrolled: u64,
    /// How many rows the last complete list had.
    pub rows_before: Option<u64>,
    /// In the order of their enrolment.
    pub people: Vec<PlannedCancellation>,
}

impl CancelPlan {
    /// Who is to be cancelled.
    pub fn due(&self) -> impl Iterator<Item = &PlannedCancellation> {
        self.people.iter().filter(|person| matches!(person.verdict, Verdict::Due { .. }))
    }

    /// Who waits for a person's decision.
    pub fn held(&self) -> impl Iterator<Item = (&PlannedCancellation, Held)> {
        self.people.iter().filter_map(|person| match person.verdict {
            Verdict::Held(why) => Some((person, why)),
            Verdict::Due { .. } | Verdict::NotYet(_) => None,
        })
    }

    /// How many of them are due, or held, for this reason.
    pub fn count(&self, wanted: impl Fn(&PlannedCancellation) -> bool) -> u64 {
        self.people.iter().filter(|person| wanted(person)).count() as u64
    }

    /// How many are missing and nothing more is said of them, for this cause.
    pub fn unproven(&self, why: Unproven) -> u64 {
        self.count(|person| person.verdict == Verdict::NotYet(why))
    }

    /// The work of the canceller. Where a row is in doubt, the missing may be that row.
    pub fn work(&self, ledger: &Ledger, with_missing: bool) -> Result<Vec<ToCancel>, LedgerError> {
        let mut look_ups = ledger.look_ups()?;
        let due = self.due().filter(|it| with_missing || it.reason != CancelReason::Missing);
        due.map(|person| {
            Ok(ToCancel {
                seq: person.seq,
                id: person.id.clone(),
                registrant_id: look_ups.find(&person.id)?.and_then(|entry| entry.registrant_id),
                reason: person.reason,
                approved: person.verdict == Verdict::Due { approved: true },
            })
        })
        .collect()
    }
}
