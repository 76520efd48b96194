//! What is decided about a row: the one table that says what is to be done about whom.

use std::num::NonZeroU32;

use crate::{
    input::{Clashes, RowLine, row_line},
    ledger::{Entry, Over, Seq, State, changed_fields},
    registrant::{EMAIL, PersonFingerprint, Rule},
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
    /// The webinar holds a registration of it that this ledger never sent: take its link over.
    Adopt,
    /// Enrolled in an earlier run; its link is in the ledger.
    Already,
    /// The same, and the person's details differ from what the target has.
    AlreadyOtherwise,
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
    /// It was enrolled with another address, tenant or user than the row has now.
    Changed,
    /// Its id was enrolled for somebody else than the row tells.
    OtherPerson(IdentityMismatch),
    /// The target holds it, and this ledger never sent it.
    Foreign,
    /// Its registration came to its end on the target.
    Gone,
}

/// What the target's list says of a row, or rather of its registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListWord {
    /// Nothing that the ledger does not know: there is no list, or it may not show it yet, or it shows
    /// a meeting's registrant, of whom it tells no more.
    Nothing,
    /// A webinar's registration stands: the one that the ledger has.
    Stands,
    /// A registration stands that is not the ledger's; of that one, if there was one, this became.
    Another(Over),
    /// It has come to its end.
    Over(Over),
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

    /// The ledger's number of the row's id, whatever became of the row.
    pub(super) fn seq(&self) -> Option<Seq> {
        self.number.map(|number| Seq::of(number.get()))
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
            Action::Already | Action::AlreadyOtherwise | Action::Reconcile | Action::FetchLink => {
                true
            }
            Action::Refuse(refused) => !matches!(refused, Refused::Foreign | Refused::Gone),
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

/// What is to be done about a row that can be enrolled: the one table, of where the ledger has it, what
/// the target's list says, and in what the row differs from what was sent.
pub fn decide(entry: Option<&Entry>, word: ListWord, difference: Difference) -> Action {
    let state = entry.map_or(State::Ready, |entry| entry.state);
    match (state, word) {
        (State::Ready | State::Refused, ListWord::Nothing) => Action::Enrol,
        // Also one that is over: whoever has cancelled in Teams stays so.
        (State::Ready | State::Refused, _)
        | (State::Enrolled | State::Awaiting | State::Gone, ListWord::Another(_)) => Action::Adopt,
        (State::Sending | State::Unknown | State::Removing, _) => Action::Reconcile,
        (State::Foreign, _) => Action::Refuse(Refused::Foreign),
        (State::Enrolled | State::Awaiting | State::Gone, ListWord::Over(_))
        | (State::Gone, ListWord::Nothing) => Action::Refuse(Refused::Gone),
        (State::Awaiting, ListWord::Nothing | ListWord::Stands)
        | (State::Gone, ListWord::Stands) => Action::FetchLink,
        (State::Enrolled, _) => match difference {
            Difference::None => Action::Already,
            Difference::Details => Action::AlreadyOtherwise,
            Difference::Identity => Action::Refuse(Refused::Changed),
        },
    }
}

/// What the ledger is to learn of the list's word: that the registration which it holds is over.
pub fn ended(entry: &Entry, word: ListWord) -> Option<Over> {
    let (ListWord::Over(over) | ListWord::Another(over)) = word else { return None };
    match entry.state {
        State::Enrolled | State::Awaiting => Some(over),
        // What ended it stays known when the list shows it no longer.
        State::Gone => Some(over)
            .filter(|&over| over != Over::Removed && over != Over::of_code(entry.code.as_deref())),
        _ => None,
    }
}

/// In what a row differs from what was sent of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// In nothing.
    None,
    /// In what says nothing against its being the same person: a name, an answer, a language.
    Details,
    /// In what the target tells people by: a webinar's address, a meeting's tenant or user.
    Identity,
}

impl Difference {
    /// What it comes to that these fields differ.
    pub fn of(fields: &[String], rule: &Rule) -> Self {
        match rule {
            _ if fields.is_empty() => Self::None,
            Rule::Event(_) if fields.iter().all(|name| name != EMAIL) => Self::Details,
            _ => Self::Identity,
        }
    }
}

/// The fields in which a row differs from what was sent of it; `sent` is what is sent now, `person`
/// whom the row tells.
pub fn changed_since(
    entry: &Entry,
    sent: &str,
    person: PersonFingerprint,
    rule: &Rule,
) -> Vec<String> {
    let mut changed = changed_fields(&entry.sent, sent);
    // Earlier programs did not bring addresses into one form, but their fingerprints.
    let same_address = person.email != 0 && person.email == entry.person.email;
    changed.retain(|name| !(same_address && name == EMAIL));
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

    #[test]
    fn a_million_decisions_fit_the_memory() {
        assert!(size_of::<Decision>() <= 24, "{}", size_of::<Decision>());
    }

    fn entry(state: State) -> Entry {
        Entry {
            seq: Seq::first(),
            state,
            run: 1,
            sent: "userId=1".to_owned(),
            person: PersonFingerprint::UNKNOWN,
            link: None,
            registrant_id: None,
            code: Some("canceled".to_owned()),
            reason: None,
            touched_at: None,
        }
    }

    #[test]
    fn ledger_list_and_row_decide() {
        use Action::{Adopt, Already, Enrol, FetchLink, Reconcile, Refuse};
        const OVER: Over = Over::Canceled;
        let (gone, foreign) = (Refuse(Refused::Gone), Refuse(Refused::Foreign));
        // Where the list says nothing, that ours stands, that another one stands, that ours is over.
        for (state, wanted) in [
            (None, [Enrol, Adopt, Adopt, Adopt]),
            (Some(State::Ready), [Enrol, Adopt, Adopt, Adopt]),
            (Some(State::Refused), [Enrol, Adopt, Adopt, Adopt]),
            (Some(State::Sending), [Reconcile; 4]),
            (Some(State::Unknown), [Reconcile; 4]),
            (Some(State::Removing), [Reconcile; 4]),
            (Some(State::Enrolled), [Already, Already, Adopt, gone]),
            (Some(State::Awaiting), [FetchLink, FetchLink, Adopt, gone]),
            (Some(State::Foreign), [foreign; 4]),
            (Some(State::Gone), [gone, FetchLink, Adopt, gone]),
        ] {
            let entry = state.map(entry);
            let words = [
                ListWord::Nothing,
                ListWord::Stands,
                ListWord::Another(OVER),
                ListWord::Over(OVER),
            ];
            for (word, wanted) in words.into_iter().zip(wanted) {
                for (difference, enrolled) in [
                    (Difference::None, Already),
                    (Difference::Details, Action::AlreadyOtherwise),
                    (Difference::Identity, Refuse(Refused::Changed)),
                ] {
                    let wanted = if wanted == Already { enrolled } else { wanted };
                    let decided = decide(entry.as_ref(), word, difference);
                    assert_eq!(decided, wanted, "{state:?} {word:?} {difference:?}");
                }
            }
        }
    }

    #[test]
    fn an_earlier_programs_address_is_known_by_its_fingerprint() {
        let (ada, eve) =
            (PersonFingerprint { email: 1, name: 7 }, PersonFingerprint { email: 2, name: 7 });
        let entry = Entry { sent: "email=0".into(), person: ada, ..entry(State::Enrolled) };
        let changed = |sent: &str, person, rule: &Rule| {
            Difference::of(&changed_since(&entry, sent, person, rule), rule)
        };
        let now = crate::ledger::sent_digest;
        let fields = crate::registrant::Fields {
            id: Some("a"),
            first_name: Some("Ada"),
            last_name: Some("Byron"),
            email: Some("a@x.org"),
            ..Default::default()
        };
        let row = crate::registrant::Registrant::parse(&fields, &Rule::event()).expect("valid");
        assert_eq!(changed(&now(&row), ada, &Rule::event()), Difference::Details);
        assert_eq!(changed(&now(&row), eve, &Rule::event()), Difference::Identity);
        assert_eq!(
            changed(&now(&row), PersonFingerprint::UNKNOWN, &Rule::event()),
            Difference::Identity
        );
        assert_eq!(changed("email=0", eve, &Rule::event()), Difference::None);
    }

    #[test]
    fn the_ledger_learns_once_how_a_registration_ended() {
        use Over::{Canceled, Rejected, Removed};
        let learns = |state, over| ended(&entry(state), ListWord::Over(over));
        assert_eq!(learns(State::Enrolled, Removed), Some(Removed));
        assert_eq!(learns(State::Awaiting, Rejected), Some(Rejected));
        assert_eq!(learns(State::Gone, Canceled), None, "it knows");
        assert_eq!(learns(State::Gone, Rejected), Some(Rejected));
        assert_eq!(learns(State::Gone, Removed), None, "it was cancelled first");
        assert_eq!(learns(State::Ready, Canceled), None, "it was never there");
        let another = ended(&entry(State::Enrolled), ListWord::Another(Canceled));
        assert_eq!(another, Some(Canceled));
        assert_eq!(ended(&entry(State::Enrolled), ListWord::Stands), None);
    }
}
