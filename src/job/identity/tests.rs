use super::*;
use crate::job::decision::{Action, Difference, ListWord, Refused, decide};

const A: PersonFingerprint = PersonFingerprint { email: 1, name: 1 };
const B: PersonFingerprint = PersonFingerprint { email: 2, name: 2 };
const C: PersonFingerprint = PersonFingerprint { email: 3, name: 3 };
const BOTH: PersonFingerprint = PersonFingerprint { email: 1, name: 1 };
const NAMES: PersonFingerprint = PersonFingerprint { email: 0, name: 1 };

fn mark(email: u32, name: u32) -> PersonFingerprint {
    PersonFingerprint { email, name }
}

/// The nth person.
fn nth(n: u32) -> PersonFingerprint {
    mark(1_000 + n, 1_000 + n)
}

fn entry(seq: i64, person: PersonFingerprint) -> Entry {
    Entry {
        seq: Seq::at(seq),
        state: State::Enrolled,
        run: 1,
        sent: String::new(),
        person,
        link: None,
        registrant_id: None,
        code: None,
        reason: None,
        touched_at: None,
    }
}

/// A list whose rows stand in lines from 2 on: the number that the ledger has the row's id under
/// with the person's fingerprint there, and the one that the row tells.
type Row = (Option<(i64, PersonFingerprint)>, PersonFingerprint);

/// What is noted of them, and what they were decided to be so far.
fn noted(rows: &[Row]) -> (People, Vec<Decision>) {
    let (mut people, mut decisions) = (People::new(true), Vec::new());
    for (nth, &(known, now)) in rows.iter().enumerate() {
        let entry = known.map(|(seq, before)| entry(seq, before));
        let action = decide(entry.as_ref(), ListWord::Nothing, Difference::None);
        decisions.push(Decision::new(nth as u64 + 2, entry.as_ref(), action));
        people.note(nth, entry.as_ref(), now, false);
    }
    (people, decisions)
}

fn judge(
    rows: &[Row],
    told: PersonFingerprint,
    ledger: &[(i64, PersonFingerprint)],
) -> Result<Judgement, IdsMoved> {
    let (people, decisions) = noted(rows);
    let list = PeopleList { told, column: "id", is_rejects_file: false };
    people.judge(&decisions, &list, |tell| {
        for &(seq, print) in ledger {
            tell(Seq::at(seq), print);
        }
        Ok(())
    })
}

/// The lines of those who are somebody else, by where people moved if that alone tells.
fn judged(
    rows: &[Row],
    told: PersonFingerprint,
    ledger: &[(i64, PersonFingerprint)],
) -> Result<Vec<(u64, IdentityMismatch)>, IdsMoved> {
    let found = judge(rows, told, ledger)?.mismatches;
    Ok(found.into_iter().map(|(row, mismatch)| (row as u64 + 2, mismatch)).collect())
}

#[test]
fn whoever_shares_nothing_with_the_ledgers_person_is_somebody_else() {
    for (before, now, wanted) in [
        (A, A, None),
        (A, B, Some(IdentityMismatch::BothDiffer)),
        (A, mark(1, 2), None),
        (A, mark(2, 1), None),
        (A, PersonFingerprint::UNKNOWN, None),
        (PersonFingerprint::UNKNOWN, B, None),
        (mark(0, 1), mark(0, 2), Some(IdentityMismatch::OneDiffers)),
        (mark(0, 1), mark(2, 2), Some(IdentityMismatch::OneDiffers)),
        (mark(1, 0), mark(2, 2), Some(IdentityMismatch::OneDiffers)),
    ] {
        let found = judged(&[(Some((1, before)), now)], BOTH, &[(1, before)]).expect("few");
        assert_eq!(found.first().map(|it| it.1), wanted, "{before:?} {now:?}");
        let known = |state, sent: &str| {
            let entry = Entry { state, sent: sent.to_owned(), ..entry(1, before) };
            KnownPerson::of(0, &entry, now, false).is_some_and(|known| known.judged)
        };
        for state in State::ALL {
            // Nobody else has its link.
            assert_eq!(known(state, ""), state == State::Enrolled, "{state:?}");
        }
        assert!(!known(State::Enrolled, "userId=0"), "an Entra user's id tells who it is");
    }
}

#[test]
fn a_changed_half_is_learnt_and_a_stranger_is_not() {
    let (people, mut decisions) = noted(&[
        (Some((1, A)), mark(1, 9)),
        (Some((2, B)), C),
        (Some((3, PersonFingerprint::UNKNOWN)), mark(0, 7)),
        (Some((4, mark(4, 4))), mark(0, 4)),
    ]);
    decisions[1].action = Action::Refuse(Refused::OtherPerson(IdentityMismatch::BothDiffer));
    let learnt = people.learnt(&decisions);
    assert_eq!(learnt, [(Seq::at(1), mark(1, 9)), (Seq::at(3), mark(0, 7))]);
}

#[test]
fn a_changed_half_is_somebody_else_where_people_moved() {
    let couple = (mark(5, 1), mark(5, 2));
    for (rows, told, ledger, wanted) in [
        // The name was corrected.
        (vec![(Some((1, A)), mark(1, 9))], BOTH, vec![(1, A)], vec![]),
        // Numbered anew: each has the former one's id, and the two share an address.
        (
            vec![(Some((1, couple.0)), mark(5, 9)), (Some((2, couple.1)), couple.0)],
            BOTH,
            vec![(1, couple.0), (2, couple.1)],
            vec![2, 3],
        ),
        // The first one has left, and the second has the id now.
        (vec![(Some((1, couple.0)), couple.1)], BOTH, vec![(1, couple.0), (2, couple.1)], vec![2]),
        // The same, and the second has an own id still: two tickets of one person.
        (
            vec![(Some((1, couple.0)), couple.1), (Some((2, couple.1)), couple.1)],
            BOTH,
            vec![(1, couple.0), (2, couple.1)],
            vec![],
        ),
        // Three tickets in the buyer's name, and two of them get a name of their own.
        (
            vec![(Some((1, A)), A), (Some((2, A)), mark(1, 8)), (Some((3, A)), mark(1, 9))],
            BOTH,
            vec![(1, A), (2, A), (3, A)],
            vec![],
        ),
        // A name that was spelt wrongly on all tickets of a person.
        (
            vec![(Some((1, A)), mark(1, 8)), (Some((2, A)), mark(1, 8))],
            BOTH,
            vec![(1, A), (2, A)],
            vec![],
        ),
        // The former one is under a new id.
        (vec![(Some((1, A)), mark(1, 9)), (None, A)], BOTH, vec![(1, A)], vec![2]),
        // Names alone.
        (
            vec![(Some((1, A)), mark(0, 2)), (Some((2, B)), mark(0, 9))],
            NAMES,
            vec![(1, A), (2, B)],
            vec![2, 3],
        ),
    ] {
        let lines = judged(&rows, told, &ledger).expect("few");
        assert_eq!(lines.iter().map(|it| it.0).collect::<Vec<_>>(), wanted, "{rows:?}");
    }
}

#[test]
fn the_row_that_fits_the_ledger_best_has_the_least_misfit() {
    let misfit = |now, sent_changed| {
        KnownPerson::of(0, &entry(1, A), now, sent_changed).expect("enrolled").misfit()
    };
    let order = [
        misfit(A, false),
        misfit(mark(1, 9), false),
        misfit(B, false),
        // What is sent tells more than a fingerprint.
        misfit(A, true),
    ];
    assert!(order.is_sorted() && order.windows(2).all(|two| two[0] < two[1]), "{order:?}");
}

#[test]
fn ids_that_moved_are_told_from_accidents() {
    let enrolled = |count: u32| (1..=count).map(|n| (i64::from(n), nth(n))).collect::<Vec<_>>();
    let shifted = |count: u32, from: u32| -> Vec<Row> {
        let now = |n| if n < from { nth(n) } else { nth(if n == from { 900_000 } else { n - 1 }) };
        (1..=count).map(|n| (Some((i64::from(n), nth(n))), now(n))).collect()
    };
    let verdict = |rows: &[_], told, count| judged(rows, told, &enrolled(count)).err();
    assert!(verdict(&shifted(9, 1), BOTH, 9).is_none(), "each is judged by itself");
    let Some(IdsMoved::ToOthers { rows, of, seen, first, .. }) = verdict(&shifted(12, 1), BOTH, 12)
    else {
        panic!("everybody below has the neighbour's id");
    };
    assert_eq!((rows, of, seen, first), (12, 12, 12, 2));
    // Eleven of a thousand have changed places: each is refused by itself.
    let few = judged(&shifted(1_000, 990), BOTH, &enrolled(1_000)).expect("few");
    assert_eq!(few.len(), 11);
    // Another list that is numbered from 1 as well: nobody is known.
    let others = |count: u32, of: u32| -> Vec<_> {
        let now = |n| if n <= count { nth(5_000 + n) } else { nth(n) };
        (1..=of).map(|n| (Some((i64::from(n), nth(n))), now(n))).collect()
    };
    assert!(verdict(&others(20, 100), BOTH, 100).is_some());
    assert!(verdict(&others(19, 100), BOTH, 100).is_none());
    // A firm was renamed: all addresses changed, and no name.
    let renamed = |told: PersonFingerprint| -> Vec<_> {
        let now = |n| PersonFingerprint { name: nth(n).name * told.name, ..nth(7_000 + n) };
        (1..=50).map(|n| (Some((i64::from(n), nth(n))), now(n))).collect()
    };
    assert!(verdict(&renamed(BOTH), BOTH, 50).is_none());
    assert!(verdict(&renamed(mark(1, 0)), mark(1, 0), 50).is_some(), "nothing else tells");
}

#[test]
fn known_people_with_new_ids_are_told_from_new_people() {
    let ledger: Vec<_> = (1..=40).map(|n| (i64::from(n), nth(n))).collect();
    let fresh = |from: u32, to: u32| (from..=to).map(|n| (None, nth(n))).collect::<Vec<_>>();
    let known = |count: u32| -> Vec<_> {
        (1..=count).map(|n| (Some((i64::from(n), nth(n))), nth(n))).collect()
    };
    let verdict = |rows: &[_]| judged(rows, BOTH, &ledger).err();
    let Some(IdsMoved::NewIds { rows, of, known: none, first, .. }) = verdict(&fresh(21, 60))
    else {
        panic!("20 of 40 are known under other ids");
    };
    assert_eq!((rows, of, none, first), (20, 40, 0, 2));
    assert!(verdict(&fresh(41, 90)).is_none(), "a second list");
    assert!(verdict(&fresh(34, 90)).is_none(), "some are on both");
    let again = |rows: &[_]| judge(rows, BOTH, &ledger).expect("no trap").again;
    assert_eq!(again(&fresh(34, 90)), Some((7, 2)), "which is said");
    assert_eq!(again(&fresh(41, 90)), None);
    assert_eq!(again(&[known(30), fresh(1, 3)].concat()), None, "second tickets");
    // The list has grown a lot, and the ids have changed.
    assert!(verdict(&fresh(1, 1_000)).is_some());
    // Second tickets of people whose first ones are there.
    assert!(verdict(&[known(30), fresh(1, 40)].concat()).is_none());
    // Nobody has a name yet: rows by the dozen tell the same.
    let nameless: Vec<_> = (0..40).map(|_| (None, nth(3))).collect();
    assert!(verdict(&nameless).is_none());
}
