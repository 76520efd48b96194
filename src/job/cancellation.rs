//! Whose registration is cancelled, and why not: a pure function of what the list says, what the ledger
//! remembers of earlier lists and cancellations, the options, approvals, and the time.
//!
//! A cancellation cannot be taken back: the link dies, and Teams mails the person. So it needs proof
//! (a row that says so, or lists that no longer name the person), it has a brake (the most in any 24
//! hours), and a person can decide beyond both. From what [`Question`] holds, [`Question::decide`]
//! answers for each person whom this ledger registered and no row keeps; nobody else can be
//! cancelled. [`Question::absence`] is what the ledger is to remember of them. No clock, no disk, no
//! network: the engine acts.

use std::{collections::HashSet, time::Duration};

use super::{
    clock::millis,
    conduct::{CancelPolicy, Limit},
};
use crate::ledger::{Absence, CancelReason, EarlierLists, ListRead, Seq};

/// The brake counts over this long.
pub const BRAKE: Duration = Duration::from_secs(24 * 60 * 60);

/// A share of few people is nobody; so many may always be cancelled.
const LEAST: u64 = 3;

/// Lists that differ are wanted before a missing person counts as gone.
const LISTS: u32 = 2;

/// Somebody whom this ledger registered, and whom no row keeps.
#[derive(Clone, Copy, Debug)]
pub struct Uncalled {
    /// The ledger's number.
    pub seq: Seq,
    /// Whether a marked row names them, or none does.
    pub reason: CancelReason,
    /// What the ledger remembered before this list.
    pub absence: Option<Absence>,
}

/// Why a person's absence proves nothing now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unproven {
    /// Too short a time, or too few lists.
    TooEarly,
    /// The list was not read without a flaw.
    FlawedList,
    /// The event has begun.
    EventBegan,
}

/// Why a cancellation waits for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// More are due than the brake allows.
    Brake,
    /// The list has fewer than four fifths of the rows of the last complete one.
    ShorterList,
    /// The list that named the person last was read with other columns, filters or preset.
    OtherReading,
    /// A person approved others and left this one out.
    Declined,
}

/// What is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Cancel.
    Due {
        /// A person said so.
        approved: bool,
    },
    /// A person has to decide.
    Held(Held),
    /// Not now.
    NotYet(Unproven),
}

/// What decides beside the person.
pub struct Question<'a> {
    pub policy: CancelPolicy,
    pub list: ListRead,
    /// Whether the list was read without a flaw and holds somebody.
    pub flawless: bool,
    pub earlier: EarlierLists,
    /// How many people are enrolled.
    pub enrolled: u64,
    /// How many were cancelled within [`BRAKE`] without approval.
    pub recent: u64,
    /// Whose cancellation a person approved, where a file was named.
    pub approved: Option<&'a HashSet<Seq>>,
    pub event_began: bool,
    /// Milliseconds since 1970.
    pub now: i64,
}

impl Question<'_> {
    /// The most that may be cancelled within [`BRAKE`] without approval.
    pub fn most(&self) -> u64 {
        match self.policy.most {
            Limit::Rows(most) => most,
            Limit::Share(share) => {
                let most = u128::from(self.enrolled) * u128::from(share) / 10_000;
                u64::try_from(most).unwrap_or(u64::MAX).max(LEAST)
            }
        }
    }

    /// Whether the list has fewer than four fifths of the rows of the last complete one, and nobody
    /// approved of that.
    pub fn is_shorter(&self) -> bool {
        let before = self.earlier.rows.unwrap_or(0);
        u128::from(self.list.rows) * 5 < u128::from(before) * 4
    }

    /// Whether the list's size is what the next one is held against.
    pub fn is_complete(&self) -> bool {
        self.flawless && (!self.is_shorter() || self.approved.is_some())
    }

    /// What is to be remembered of somebody once this list is read; `None` where there is nothing.
    pub fn absence(&self, person: &Uncalled) -> Option<Absence> {
        let declined = match self.approved {
            // Whoever was due and is not named stays until a later file names them.
            Some(named) => {
                let named = named.contains(&person.seq);
                !named && (person.was_declined() || self.is_proven(person))
            }
            None => person.was_declined(),
        };
        let missing = person.reason == CancelReason::Missing;
        let absence = match person.absence {
            _ if !missing => None,
            before if !self.flawless => before,
            Some(before) if before.lists > 0 && before.reading == self.list.reading => {
                let lists = before.lists.saturating_add(u32::from(!self.earlier.known));
                // A clock that was set back begins anew.
                Some(Absence { since: before.since.min(self.now), lists, ..before })
            }
            before => Some(Absence {
                reading: self.list.reading,
                since: self.now,
                lists: 1,
                reread: before.is_some_and(|before| before.lists > 0)
                    || self.earlier.reading.is_some_and(|last| last != self.list.reading),
                declined: false,
            }),
        };
        let nothing = Absence { reading: 0, since: self.now, lists: 0, reread: false, declined };
        match absence {
            Some(absence) => Some(Absence { declined, ..absence }),
            None => declined.then_some(nothing),
        }
    }

    /// Whether what the lists say of somebody is enough.
    fn is_proven(&self, person: &Uncalled) -> bool {
        self.unproven(person).is_none()
    }

    fn unproven(&self, person: &Uncalled) -> Option<Unproven> {
        if person.reason != CancelReason::Missing {
            return None;
        }
        if !self.flawless {
            return Some(Unproven::FlawedList);
        }
        if self.event_began {
            return Some(Unproven::EventBegan);
        }
        let undeclined = Question { approved: None, policy: self.policy, ..*self };
        let long_enough = undeclined.absence(person).is_some_and(|absence| {
            let missing_for = self.now.saturating_sub(absence.since);
            absence.lists >= LISTS && missing_for >= millis(self.policy.missing_for)
        });
        (!long_enough).then_some(Unproven::TooEarly)
    }

    /// Decides about everybody, in the order given.
    pub fn decide(&self, people: &[Uncalled]) -> Vec<Verdict> {
        let mut verdicts: Vec<Verdict> = people.iter().map(|person| self.alone(person)).collect();
        let free = |verdict: &&mut Verdict| **verdict == Verdict::Due { approved: false };
        let due = verdicts.iter_mut().filter(free).count() as u64;
        if due + self.recent > self.most() {
            for verdict in verdicts.iter_mut().filter(free) {
                *verdict = Verdict::Held(Held::Brake);
            }
        }
        verdicts
    }

    /// The verdict on one person, whoever else is due.
    fn alone(&self, person: &Uncalled) -> Verdict {
        if let Some(why) = self.unproven(person) {
            return Verdict::NotYet(why);
        }
        if let Some(named) = self.approved {
            let approved = named.contains(&person.seq);
            return if approved {
                Verdict::Due { approved }
            } else {
                Verdict::Held(Held::Declined)
            };
        }
        let missing = person.reason == CancelReason::Missing;
        if person.was_declined() {
            Verdict::Held(Held::Declined)
        } else if missing && self.is_shorter() {
            Verdict::Held(Held::ShorterList)
        } else if missing && self.absence(person).is_some_and(|absence| absence.reread) {
            Verdict::Held(Held::OtherReading)
        } else {
            Verdict::Due { approved: false }
        }
    }
}

impl Uncalled {
    fn was_declined(&self) -> bool {
        self.absence.is_some_and(|absence| absence.declined)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::conduct::CancelMode, *};

    const HOUR: i64 = 3_600_000;
    const LIST: ListRead = ListRead { written_at: Some(1), content: 1, reading: 7, rows: 100 };

    fn question() -> Question<'static> {
        Question {
            policy: CancelPolicy { mode: CancelMode::Missing, ..CancelPolicy::default() },
            list: LIST,
            flawless: true,
            earlier: EarlierLists { known: false, reading: Some(7), rows: Some(100) },
            enrolled: 100,
            recent: 0,
            approved: None,
            event_began: false,
            now: 100 * HOUR,
        }
    }

    fn missing(seq: i64, since: i64, lists: u32) -> Uncalled {
        let absence = Absence { reading: 7, since, lists, reread: false, declined: false };
        Uncalled { seq: Seq::at(seq), reason: CancelReason::Missing, absence: Some(absence) }
    }

    fn marked(seq: i64) -> Uncalled {
        Uncalled { seq: Seq::at(seq), reason: CancelReason::Marked(4), absence: None }
    }

    const DUE: Verdict = Verdict::Due { approved: false };

    #[test]
    fn the_missing_are_due_after_two_lists_and_the_time() {
        let first = Uncalled { absence: None, ..missing(1, 0, 0) };
        assert_eq!(question().decide(&[first]), [Verdict::NotYet(Unproven::TooEarly)]);
        let remembered = question().absence(&first).expect("missing since now");
        assert_eq!((remembered.since, remembered.lists), (100 * HOUR, 1));
        assert_eq!(question().decide(&[missing(1, 76 * HOUR, 1)]), [DUE]);
        let early = missing(1, 76 * HOUR + 1, 9);
        assert_eq!(question().decide(&[early]), [Verdict::NotYet(Unproven::TooEarly)]);
        let mut again = question();
        again.earlier.known = true;
        let verdict = Verdict::NotYet(Unproven::TooEarly);
        assert_eq!(again.decide(&[missing(1, 76 * HOUR, 1)]), [verdict], "one file read twice");
    }

    #[test]
    fn a_list_with_a_flaw_says_nothing_of_the_missing_and_all_of_the_marked() {
        let flawed = Question { flawless: false, ..question() };
        let people = [missing(1, 0, 5), marked(2)];
        assert_eq!(flawed.decide(&people), [Verdict::NotYet(Unproven::FlawedList), DUE]);
        assert_eq!(flawed.absence(&people[0]), people[0].absence, "it counts as no list");
        let begun = Question { event_began: true, ..question() };
        assert_eq!(begun.decide(&people), [Verdict::NotYet(Unproven::EventBegan), DUE]);
    }

    #[test]
    fn over_the_brake_nobody_is_cancelled() {
        let people: Vec<Uncalled> = (1..=6).map(marked).collect();
        assert_eq!(question().most(), 5);
        assert!(question().decide(&people).iter().all(|v| *v == Verdict::Held(Held::Brake)));
        assert!(question().decide(&people[..5]).iter().all(|verdict| *verdict == DUE));
        let later = Question { recent: 1, ..question() };
        assert!(later.decide(&people[..5]).iter().all(|v| *v == Verdict::Held(Held::Brake)));
        let few = Question { enrolled: 4, ..question() };
        assert_eq!(few.most(), 3, "a share of few is nobody");
        let mut none = question();
        none.policy.most = Limit::Rows(0);
        assert_eq!(none.decide(&people[..1]), [Verdict::Held(Held::Brake)]);
    }

    #[test]
    fn a_person_decides_over_the_brake_and_whom_they_leave_out_stays() {
        let people: Vec<Uncalled> = (1..=6).map(marked).collect();
        let named: HashSet<Seq> = people[..4].iter().map(|person| person.seq).collect();
        let approved = Question { approved: Some(&named), recent: 9, ..question() };
        let verdicts = approved.decide(&people);
        assert!(verdicts[..4].iter().all(|v| *v == Verdict::Due { approved: true }));
        assert!(verdicts[4..].iter().all(|v| *v == Verdict::Held(Held::Declined)));
        let left = Uncalled { absence: approved.absence(&people[5]), ..people[5] };
        assert_eq!(question().decide(&[left]), [Verdict::Held(Held::Declined)], "and later");
        let early = missing(1, 99 * HOUR, 1);
        assert_eq!(approved.decide(&[early]), [Verdict::NotYet(Unproven::TooEarly)]);
    }

    #[test]
    fn a_shorter_list_and_another_reading_wait_for_a_person() {
        let long_gone = missing(1, 0, 5);
        let mut shorter = question();
        shorter.list.rows = 79;
        assert_eq!(shorter.decide(&[long_gone]), [Verdict::Held(Held::ShorterList)]);
        assert!(!shorter.is_complete());
        let named = HashSet::from([long_gone.seq]);
        let approved = Question { approved: Some(&named), ..shorter };
        assert_eq!(approved.decide(&[long_gone]), [Verdict::Due { approved: true }]);
        assert!(approved.is_complete(), "its size is accepted");
        let mut other = question();
        other.list.reading = 8;
        let begun_anew = other.absence(&long_gone).expect("still missing");
        assert_eq!((begun_anew.lists, begun_anew.reread, begun_anew.reading), (1, true, 8));
        let absence = Some(Absence { since: 0, lists: 4, ..begun_anew });
        let reread = Uncalled { absence, ..long_gone };
        assert_eq!(other.decide(&[reread]), [Verdict::Held(Held::OtherReading)]);
    }

    #[test]
    fn a_clock_that_was_set_back_begins_the_wait_anew() {
        let ahead = missing(1, 200 * HOUR, 5);
        assert_eq!(question().decide(&[ahead]), [Verdict::NotYet(Unproven::TooEarly)]);
        assert_eq!(question().absence(&ahead).expect("missing").since, 100 * HOUR);
    }
}
