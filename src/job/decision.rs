//! What is decided about a row: the one table that says what is to be done about whom.

use std::num::NonZeroU32;

use crate::{
    input::{Clashes, RowLine, row_line},
    ledger::{Entry, State, changed_fields},
    registrant::Rule,
};

/// What is to be done about a row, or why nothing is. Small, for there is one of each row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The physical line where the row begins.
    pub(super) line: RowLine,
    /// The ledger's number of the row's id.
    pub(super) number: Option<NonZeroU32>,
    /// What it comes to.
    pub action: Action,
}

/// What a decision comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A filter leaves it out.
    Excluded,
    /// It cannot be enrolled: for the rows that stand against it, or by itself.
    Invalid(Clashes),
    /// It repeats the row in this line in every cell: one enrolment serves both.
    Shares(RowLine),
    /// POST it.
    Enrol,
    /// The webinar holds it, and this ledger never sent it: take its link over.
    Adopt,
    /// Enrolled in an earlier run; its link is in the ledger.
    Already,
    /// The result of its POST was never learnt: the target's list tells.
    Reconcile,
    /// On the webinar by an earlier run, no link yet: look again.
    FetchLink,
    /// Nothing is sent.
    Refuse(Refused),
}

/// Why nothing is sent of a row that could be enrolled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It was enrolled with other fields than the row has now.
    Changed,
    /// Its id was enrolled for somebody else than the row tells.
    OtherPerson(IdentityMismatch),
    /// The target holds it, and this ledger never sent it.
    Foreign,
}

impl Decision {
    pub(super) fn new(line: u64, entry: Option<&Entry>, action: Action) -> Self {
        // Without its number a row is found by its id all the same.
        let number = entry.and_then(|entry| u32::try_from(entry.seq.number()).ok());
        Self { line: row_line(line), number: number.and_then(NonZeroU32::new), action }
    }

    /// The physical line where the row begins.
    pub fn line(&self) -> u64 {
        self.line.get().into()
    }

    /// The ledger's number of the row's id, where the ledger has it and the row may.
    pub fn number(&self) -> Option<u64> {
        let owns = !matches!(self.action, Action::Invalid(_) | Action::Shares(_));
        self.number.filter(|_| owns).map(|number| number.get().into())
    }

    /// Whether the row goes to the rejects file whatever the target says.
    pub fn is_rejected(&self) -> bool {
        matches!(self.action, Action::Invalid(_) | Action::Refuse(_))
    }

    pub(super) fn is_invalid(&self) -> bool {
        matches!(self.action, Action::Invalid(_))
    }

    /// Whether the target holds the row's id, or may, by this ledger's doing.
    pub(super) fn is_held(&self) -> bool {
        match self.action {
            Action::Already | Action::Reconcile | Action::FetchLink => true,
            Action::Refuse(refused) => refused != Refused::Foreign,
            _ => false,
        }
    }

    pub(super) fn clashes(&self) -> Clashes {
        match self.action {
            Action::Invalid(clashes) => clashes,
            _ => Clashes::default(),
        }
    }
}

/// What is to be done about a row that can be enrolled. `changed`: it was sent with other fields.
/// `listed`: the webinar's list shows a registration of it.
pub fn decide(entry: Option<&Entry>, changed: bool, listed: bool) -> Action {
    let state = entry.map_or(State::Ready, |entry| entry.state);
    match state {
        State::Ready | State::Refused if listed => Action::Adopt,
        State::Ready | State::Refused => Action::Enrol,
        State::Enrolled if changed => Action::Refuse(Refused::Changed),
        State::Enrolled => Action::Already,
        State::Sending | State::Unknown | State::Removing => Action::Reconcile,
        State::Awaiting => Action::FetchLink,
        State::Foreign => Action::Refuse(Refused::Foreign),
    }
}

/// The fields in which a row differs from what was sent of it; `text` is what is sent now.
pub fn changed_since<'a>(entry: &'a Entry, text: &'a str, rule: &Rule) -> Vec<&'a str> {
    let mut changed = changed_fields(&entry.sent, text);
    // Without the webinar's form its answers cannot be read.
    changed.retain(|name| rule.knows_answers() || !name.starts_with("answer:"));
    changed
}

/// Why a row is taken for somebody else than the one whom its id was enrolled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityMismatch {
    /// Both the name and the address are others.
    BothDiffer,
    /// One of the two is all that can be compared, and it is another.
    OneDiffers,
    /// The name or the address is another, and by both this person came from another id, or the
    /// former one is found under another.
    Moved,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ledger::Seq, registrant::PersonFingerprint};

    #[test]
    fn a_million_decisions_fit_the_memory() {
        assert!(size_of::<Decision>() <= 24, "{}", size_of::<Decision>());
    }

    #[test]
    fn what_the_ledger_holds_decides() {
        assert_eq!(decide(None, false, false), Action::Enrol);
        assert_eq!(decide(None, false, true), Action::Adopt);
        for (state, wanted) in [
            (State::Ready, Action::Enrol),
            (State::Refused, Action::Enrol),
            (State::Sending, Action::Reconcile),
            (State::Unknown, Action::Reconcile),
            (State::Removing, Action::Reconcile),
            (State::Enrolled, Action::Already),
            (State::Awaiting, Action::FetchLink),
            (State::Foreign, Action::Refuse(Refused::Foreign)),
        ] {
            let entry = Entry {
                seq: Seq::first(),
                state,
                run: 1,
                sent: "userId=1".to_owned(),
                person: PersonFingerprint::UNKNOWN,
                link: None,
                registrant_id: None,
                code: None,
                reason: None,
                touched_at: None,
            };
            assert_eq!(decide(Some(&entry), false, false), wanted, "{state:?}");
            // Who has been sent is never adopted, and nobody is posted who may be enrolled.
            let listed = decide(Some(&entry), false, true);
            let adopted = if wanted == Action::Enrol { Action::Adopt } else { wanted };
            assert_eq!(listed, adopted, "{state:?}");
            let changed = decide(Some(&entry), true, false);
            let refused = Action::Refuse(Refused::Changed);
            let wanted = if state == State::Enrolled { refused } else { wanted };
            assert_eq!(changed, wanted, "{state:?}");
        }
    }
}
