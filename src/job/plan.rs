//! The plan: rows × ledger → what to do. Decides; does nothing.

mod work_list;

use work_list::WorkList;

use super::{
    identity::{IdentityMismatch, IdentityReport, IdsMoved, People, Unjudged},
    remote::{RemoteIndex, RemoteMatch},
    work::Work,
};
use crate::{
    input::{IdTrap, InputError, Row, RowCheck, Snapshot, Validator, check_all},
    ledger::{Entry, Ledger, LedgerError, LookUps, State, changed_fields, sent_digest},
    registrant::{
        FaultCode, Field, FingerprintKey, Fingerprinter, Mode, PersonFingerprint, Registrant,
        RegistrantId, Rule,
    },
};

/// What is to be done about a valid row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// POST it.
    Post,
    /// Enrolled in an earlier run; its link is in the ledger.
    Already,
    /// Enrolled with other fields than the row has now.
    Changed,
    /// Enrolled for somebody else than the row tells.
    IdentityMismatch(IdentityMismatch),
    /// Its result was never learnt: reconcile it.
    InDoubt,
    /// On the server, no link yet: look again.
    Awaiting,
    /// On the server, and never sent by this ledger: leave it alone.
    Foreign,
}

/// Holds a valid row against the ledger; `stranger`: what the marks say of the row.
#[must_use]
pub fn decide(
    entry: Option<&Entry>,
    sent: &str,
    stranger: Option<IdentityMismatch>,
) -> Disposition {
    let Some(entry) = entry else { return Disposition::Post };
    match entry.state {
        State::Ready | State::Refused => Disposition::Post,
        State::Enrolled if !changed_fields(&entry.sent, sent).is_empty() => Disposition::Changed,
        State::Enrolled => stranger.map_or(Disposition::Already, Disposition::IdentityMismatch),
        State::Sending | State::Unknown | State::Removing => Disposition::InDoubt,
        State::Awaiting => Disposition::Awaiting,
        State::Foreign => Disposition::Foreign,
    }
}

/// What a run is about to do.
pub struct Plan {
    /// The rule that rows were held against.
    pub rule: Rule,
    /// Rows of the input.
    pub read: u64,
    /// Rows that a filter leaves out.
    pub excluded: u64,
    /// Rows that break the rule.
    pub invalid: u64,
    /// Of these, rows that repeat the id of an earlier row and differ from it.
    pub duplicates: u64,
    /// Rows that share the enrolment of an equal row before them.
    pub repeats: u64,
    /// People to be posted.
    pub to_post: u64,
    /// People whom the webinar holds already, and this ledger never sent.
    pub held: u64,
    /// Rows enrolled in an earlier run.
    pub already: u64,
    /// Rows whose fields have changed since they were enrolled.
    pub changed: u64,
    /// Rows that tell another person than the one whom their id was enrolled for.
    pub strangers: u64,
    /// Rows that the server holds and this ledger never sent.
    pub foreign: u64,
    /// Rows with `tenantId` or `userId` that mode `everyone` does not send.
    pub not_sent: u64,
    /// Rows in doubt since an earlier run, with the time since when, in milliseconds since 1970.
    pub in_doubt: Vec<(Work, i64)>,
    /// Rows that the webinar took in an earlier run, and whose links were not had yet.
    pub awaiting: Vec<Work>,
    /// What speaks against the id column: then nothing may be posted.
    pub trap: Option<IdTrap>,
    /// What was noted of the people.
    pub people: People,
    /// What was found out about them before.
    pub judgement: IdentityReport,
    /// What marks are made with.
    key: FingerprintKey,
    /// Whether rows may hold what is not sent.
    may_hold_more: bool,
    /// By the row's place in the input: whether it is to be posted, or taken over.
    todo: Vec<bool>,
}

/// What is told of the rows while a plan is drawn, up to the first one that is open.
pub enum Noted<'a> {
    /// Nothing is to be done about this row, and no row before it is open.
    Settled {
        /// The row.
        row: &'a Row,
        /// What it is worth.
        sifted: &'a RowCheck,
        /// What the ledger holds of it.
        entry: Option<&'a Entry>,
        /// Whether it tells somebody else than the ledger has enrolled with its id.
        stranger: Option<IdentityMismatch>,
    },
    /// The first row of which something is to be done. Nothing is told of the rows after it.
    Open,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The input.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The id column is not one.
    #[error(transparent)]
    Trap(#[from] IdTrap),
    /// The ids are others than in earlier runs.
    #[error(transparent)]
    Moved(#[from] IdsMoved),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl From<Unjudged> for PlanError {
    fn from(error: Unjudged) -> Self {
        match error {
            Unjudged::Moved(moved) => Self::Moved(moved),
            Unjudged::Ledger(error) => Self::Ledger(error),
        }
    }
}

impl Plan {
    /// Reads the whole input once and holds every row against the rule, the ledger, what the webinar
    /// was seen to hold, and what was found out about the people. `tell` hears of the rows as long
    /// as nothing is to be done.
    ///
    /// # Errors
    /// [`PlanError`]: the input cannot be read to its end, or the ledger fails.
    pub fn draw(
        input: &Snapshot,
        rule: Rule,
        ledger: &Ledger,
        holdings: &RemoteIndex,
        judgement: IdentityReport,
        mut tell: impl FnMut(Noted<'_>),
    ) -> Result<Self, PlanError> {
        let key = ledger.fingerprint_key();
        let mut plan = Self {
            rule: rule.clone(),
            read: 0,
            excluded: 0,
            invalid: 0,
            duplicates: 0,
            repeats: 0,
            to_post: 0,
            held: 0,
            already: 0,
            changed: 0,
            strangers: 0,
            foreign: 0,
            not_sent: 0,
            in_doubt: Vec::new(),
            awaiting: Vec::new(),
            trap: None,
            people: People::new(input.tells_people() != (false, false) && ledger.knows_people()?),
            judgement,
            key,
            may_hold_more: rule == Rule::Meeting(Mode::Everyone)
                && [Field::TenantId, Field::UserId].iter().any(|f| input.mapping().fills(f)),
            todo: Vec::new(),
        };
        let mut rows = input.rows()?;
        let mut held = ledger.look_ups()?;
        let holds = |id: &str| held.holds(id).map_err(PlanError::from);
        let mut sieve = Validator::over(rule, input, Some(key), plan.judgement.promises(), holds)?;
        drop(held);
        let mut look_ups = ledger.look_ups()?;
        check_all(&mut rows, &mut sieve, |row, sifted| -> Result<(), PlanError> {
            let post = plan.note(row, sifted, &mut look_ups, holdings, &mut tell)?;
            plan.read += 1;
            plan.todo.push(post);
            Ok(())
        })?;
        plan.trap = sieve.id_trap();
        Ok(plan)
    }

    /// Notes one row; says whether it is to be posted.
    fn note(
        &mut self,
        row: &Row,
        sifted: RowCheck,
        look_ups: &mut LookUps<'_>,
        holdings: &RemoteIndex,
        tell: &mut impl FnMut(Noted<'_>),
    ) -> Result<bool, LedgerError> {
        match &sifted {
            RowCheck::Excluded => self.excluded += 1,
            RowCheck::Invalid(faults) => {
                let duplicate = faults.iter().any(|fault| fault.code == FaultCode::DuplicateId);
                self.invalid += 1;
                self.duplicates += u64::from(duplicate);
                if duplicate {
                    self.note_rival(row, look_ups)?;
                }
            }
            &RowCheck::Valid { ref registrant, repeats, mark } => {
                self.count_not_sent(row);
                if let Some(first) = repeats {
                    self.repeats += 1;
                    // The row before it has been planned for; only what is told needs it.
                    if self.is_idle() {
                        let entry = look_ups.find(&registrant.id)?;
                        let stranger = self.judgement.stranger(entry.as_ref(), mark, first);
                        let entry = entry.as_ref();
                        tell(Noted::Settled { row, sifted: &sifted, entry, stranger });
                    }
                    return Ok(false);
                }
                let sent = sent_digest(registrant);
                let entry = look_ups.find(&registrant.id)?;
                let stranger = self.judgement.stranger(entry.as_ref(), mark, row.line());
                let disposition = decide(entry.as_ref(), &sent, stranger);
                self.note_person(row, entry.as_ref(), mark, disposition);
                match disposition {
                    Disposition::Already => self.already += 1,
                    Disposition::Changed => self.changed += 1,
                    Disposition::IdentityMismatch(_) => self.strangers += 1,
                    Disposition::Foreign => self.foreign += 1,
                    Disposition::Post | Disposition::Awaiting | Disposition::InDoubt => {
                        if self.is_idle() {
                            tell(Noted::Open);
                        }
                        let RowCheck::Valid { registrant, .. } = sifted else { return Ok(false) };
                        return Ok(self.take_up(
                            disposition,
                            entry.as_ref(),
                            Work::new(registrant, sent, mark, row.line()),
                            holdings,
                        ));
                    }
                }
                if self.is_idle() {
                    let entry = entry.as_ref();
                    tell(Noted::Settled { row, sifted: &sifted, entry, stranger });
                }
                return Ok(false);
            }
        }
        if self.is_idle() {
            tell(Noted::Settled { row, sifted: &sifted, entry: None, stranger: None });
        }
        Ok(false)
    }

    /// Notes whom a row with an id of its own is about.
    fn note_person(
        &mut self,
        row: &Row,
        entry: Option<&Entry>,
        mark: PersonFingerprint,
        disposition: Disposition,
    ) {
        let changed = disposition == Disposition::Changed;
        let refused = changed || matches!(disposition, Disposition::IdentityMismatch(_));
        match entry {
            Some(entry) => self.people.note_known(entry, mark, row.line(), changed, refused),
            None => self.people.note_fresh(mark, row.line()),
        }
    }

    /// Notes a row that has the id of a row before it: the ledger may have it for this one.
    fn note_rival(&mut self, row: &Row, look_ups: &mut LookUps<'_>) -> Result<(), LedgerError> {
        let id = row.fields().id.unwrap_or_default().to_owned();
        if let Some(entry) = look_ups.find(&RegistrantId::trusted(&id))? {
            let mark = row.mark(&mut Fingerprinter::new(self.key));
            let sent = Registrant::parse(&row.fields(), &self.rule);
            let sent = sent.map(|registrant| sent_digest(&registrant));
            let same = sent.is_ok_and(|sent| changed_fields(&entry.sent, &sent).is_empty());
            self.people.note_rival(&entry, mark, row.line(), &id, !same);
        }
        Ok(())
    }

    fn count_not_sent(&mut self, row: &Row) {
        if self.may_hold_more {
            let fields = row.fields();
            let filled = |cell: Option<&str>| cell.is_some_and(|text| !text.trim().is_empty());
            self.not_sent += u64::from(filled(fields.tenant_id) || filled(fields.user_id));
        }
    }

    /// Notes a row of which something is to be done; says whether it is to be posted.
    fn take_up(
        &mut self,
        disposition: Disposition,
        entry: Option<&Entry>,
        work: Work,
        holdings: &RemoteIndex,
    ) -> bool {
        let seq = entry.map(|entry| entry.seq);
        match disposition {
            Disposition::Awaiting => {
                let adopted = entry.is_some_and(Entry::is_adopted);
                let server_id = entry.and_then(|entry| entry.registrant_id.clone());
                self.awaiting.push(Work { seq, adopted, server_id, ..work });
            }
            Disposition::InDoubt => {
                let since = entry.and_then(|entry| entry.touched_at).unwrap_or(0);
                self.in_doubt.push((Work { seq, doubted: true, ..work }, since));
            }
            _ => {
                let held = holdings.of(&work.registrant).is_some();
                *(if held { &mut self.held } else { &mut self.to_post }) += 1;
                return true;
            }
        }
        false
    }

    /// Whether anything is to be asked of the target beside its rule.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.to_post == 0 && self.held == 0 && self.in_doubt.is_empty() && self.awaiting.is_empty()
    }

    /// The rows to be posted, read from the input once more, each with what the webinar was seen to
    /// hold of it.
    ///
    /// # Errors
    /// [`InputError`] when the copy of the input cannot be read.
    pub fn work<'a>(
        &'a self,
        input: &'a Snapshot,
        holdings: &'a RemoteIndex,
    ) -> Result<
        impl Iterator<Item = Result<(Work, Option<RemoteMatch>), InputError>> + 'a,
        InputError,
    > {
        WorkList::of(self, input, holdings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(state: State, sent: &str) -> Entry {
        Entry {
            seq: crate::ledger::Seq::first(),
            state,
            run: 1,
            sent: sent.to_owned(),
            person: PersonFingerprint::UNKNOWN,
            link: None,
            registrant_id: None,
            code: None,
            reason: None,
            touched_at: None,
        }
    }

    #[test]
    fn what_the_ledger_holds_decides() {
        assert_eq!(decide(None, "", None), Disposition::Post);
        for (state, wanted) in [
            (State::Ready, Disposition::Post),
            (State::Refused, Disposition::Post),
            (State::Sending, Disposition::InDoubt),
            (State::Unknown, Disposition::InDoubt),
            (State::Removing, Disposition::InDoubt),
            (State::Enrolled, Disposition::Already),
            (State::Awaiting, Disposition::Awaiting),
            (State::Foreign, Disposition::Foreign),
        ] {
            let entry = entry(state, "userId=1");
            assert_eq!(decide(Some(&entry), "userId=1", None), wanted, "{state:?}");
            // Only who is enrolled has a link that could be given to somebody else.
            let stranger = decide(Some(&entry), "userId=1", Some(IdentityMismatch::Moved));
            let of_another = Disposition::IdentityMismatch(IdentityMismatch::Moved);
            let wanted = if state == State::Enrolled { of_another } else { wanted };
            assert_eq!(stranger, wanted, "{state:?}");
        }
        let before = entry(State::Enrolled, "userId=1");
        assert_eq!(decide(Some(&before), "userId=2", None), Disposition::Changed);
    }
}
