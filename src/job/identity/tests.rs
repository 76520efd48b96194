use super::*;
use crate::ledger::Seq;

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
/// with the person's mark there, and the mark that the row tells.
fn noted(rows: &[(Option<(i64, PersonFingerprint)>, PersonFingerprint)]) -> People {
    let mut people = People::new(true);
    let judgement = IdentityReport::new(false);
    for (line, &(known, now)) in (2..).zip(rows) {
        match known {
            None => people.note_fresh(now, line),
            Some((seq, before)) => {
                let entry = entry(seq, before);
                let stranger = judgement.stranger(Some(&entry), now, line);
                people.note_known(&entry, now, line, false, stranger.is_some());
            }
        }
    }
    people
}

fn judge(
    people: &People,
    told: PersonFingerprint,
    ledger: &[(i64, PersonFingerprint)],
) -> Result<IdentityReport, IdsMoved> {
    let ledger: Vec<_> = ledger.iter().map(|&(seq, mark)| (Seq::at(seq), mark)).collect();
    let mut judgement = IdentityReport::new(false);
    let list = List { told, column: "id", is_rejects_file: false };
    people.look_for_moves(&ledger, &list, &mut judgement)?;
    Ok(judgement)
}

/// The lines of those who are strangers by where people moved.
fn judged(
    people: &People,
    told: PersonFingerprint,
    ledger: &[(i64, PersonFingerprint)],
) -> Result<Vec<u64>, IdsMoved> {
    let mut lines: Vec<u64> = judge(people, told, ledger)?.strange.into_keys().collect();
    lines.sort_unstable();
    Ok(lines)
}

#[test]
fn both_halves_make_a_stranger_and_one_does_not() {
    let judgement = IdentityReport::new(false);
    for (before, now, wanted) in [
        (A, A, None),
        (A, B, Some(IdentityMismatch::BothDiffer)),
        (A, mark(1, 2), None),
        (A, mark(2, 1), None),
        (A, PersonFingerprint::UNKNOWN, None),
        (PersonFingerprint::UNKNOWN, B, None),
        (mark(0, 1), mark(0, 2), None),
        (mark(0, 1), mark(2, 2), None),
        (mark(1, 0), mark(2, 2), None),
    ] {
        let entry = entry(1, before);
        assert_eq!(judgement.stranger(Some(&entry), now, 2), wanted, "{before:?} {now:?}");
        assert_eq!(IdentityReport::new(true).stranger(Some(&entry), now, 2), None, "trusted");
        for state in State::ALL.into_iter().filter(|state| *state != State::Enrolled) {
            let entry = Entry { state, ..entry.clone() };
            assert_eq!(judgement.stranger(Some(&entry), now, 2), None, "nobody has its link");
        }
        // Whom an Entra user's id tells is told by that.
        let entry = Entry { sent: "userId=0".to_owned(), ..entry };
        assert_eq!(judgement.stranger(Some(&entry), now, 2), None);
    }
    assert_eq!(judgement.stranger(None, A, 2), None);
}

#[test]
fn a_changed_half_is_learnt_and_a_stranger_is_not() {
    let people = noted(&[
        (Some((1, A)), mark(1, 9)),
        (Some((2, B)), C),
        (Some((3, PersonFingerprint::UNKNOWN)), mark(0, 7)),
        (Some((4, mark(4, 4))), mark(0, 4)),
    ]);
    assert_eq!(people.learnt(), [(Seq::at(1), mark(1, 9)), (Seq::at(3), mark(0, 7))]);
    assert_eq!(people.lone(), None);
    let people = noted(&[(Some((1, A)), mark(0, 9)), (Some((2, A)), mark(9, 0))]);
    assert_eq!(people.lone(), Some((2, 2)), "nothing that could be compared is the same");
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
        let people = noted(&rows);
        assert_eq!(judged(&people, told, &ledger), Ok(wanted), "{rows:?}");
    }
}

#[test]
fn of_people_known_by_one_thing_alone_few_are_corrected() {
    let ledger: Vec<_> = (1..=5).map(|n| (i64::from(n), nth(n))).collect();
    let rows = |changed: u32, of: u32| -> Vec<_> {
        let now = |n| if n <= changed { nth(100 + n) } else { nth(n) };
        (1..=of)
            .map(|n| (Some((i64::from(n), nth(n))), PersonFingerprint { email: 0, ..now(n) }))
            .collect()
    };
    for (changed, of, strangers) in
        [(1, 1, 0), (1, 2, 0), (2, 4, 0), (2, 3, 2), (3, 5, 3), (5, 5, 5)]
    {
        let lines = judged(&noted(&rows(changed, of)), NAMES, &ledger).expect("few");
        assert_eq!(lines.len(), strangers, "{changed} of {of}");
    }
}

#[test]
fn an_id_of_two_rows_is_the_one_whom_it_was_enrolled_for() {
    let rival = |people: &mut People, mark, line| {
        people.note_rival(&entry(1, A), mark, line, "x", false);
    };
    let promised = |line| {
        let mut promises = IdOwners::default();
        promises.add("x", line);
        promises
    };
    let mut people = noted(&[(Some((1, A)), mark(1, 9))]);
    rival(&mut people, B, 3);
    assert!(people.promises().is_empty(), "the first one fits better");
    rival(&mut people, A, 4);
    rival(&mut people, A, 5);
    assert_eq!(people.promises(), promised(4));
    let mut people = noted(&[(Some((1, A)), B)]);
    rival(&mut people, mark(1, 8), 3);
    assert_eq!(people.promises(), promised(3), "better than one with nothing in common");
    let mut people = noted(&[(Some((1, A)), A)]);
    rival(&mut people, A, 3);
    assert!(people.promises().is_empty(), "the first one fits");
    // What is sent tells more than a mark.
    let mut people = People::new(true);
    people.note_known(&entry(1, A), A, 2, true, true);
    rival(&mut people, mark(1, 9), 3);
    assert_eq!(people.promises(), promised(3));
}

#[test]
fn ids_that_moved_are_told_from_accidents() {
    let enrolled = |count: u32| (1..=count).map(|n| (i64::from(n), nth(n))).collect::<Vec<_>>();
    let shifted =
        |count: u32, from: u32| -> Vec<(Option<(i64, PersonFingerprint)>, PersonFingerprint)> {
            let now = |n| if n < from { nth(n) } else { nth(if n == from { 900 } else { n - 1 }) };
            (1..=count).map(|n| (Some((i64::from(n), nth(n))), now(n))).collect()
        };
    let verdict = |rows: &[_], told, count| judged(&noted(rows), told, &enrolled(count)).err();
    assert!(verdict(&shifted(9, 1), BOTH, 9).is_none(), "each is judged by itself");
    let Some(IdsMoved::ToOthers { rows, of, seen, first, .. }) = verdict(&shifted(12, 1), BOTH, 12)
    else {
        panic!("everybody below has the neighbour's id");
    };
    assert_eq!((rows, of, seen, first), (12, 12, 12, 2));
    // Eleven of a thousand have changed places.
    assert!(verdict(&shifted(1_000, 990), BOTH, 1_000).is_some());
    assert!(verdict(&shifted(3_000, 2_990), BOTH, 3_000).is_none());
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
    let verdict = |rows: &[_]| judged(&noted(rows), BOTH, &ledger).err();
    let Some(IdsMoved::NewIds { rows, of, known: none, first, .. }) = verdict(&fresh(21, 60))
    else {
        panic!("20 of 40 are known under other ids");
    };
    assert_eq!((rows, of, none, first), (20, 40, 0, 2));
    assert!(verdict(&fresh(41, 90)).is_none(), "a second list");
    assert!(verdict(&fresh(34, 90)).is_none(), "some are on both");
    let again = |rows: &[_]| judge(&noted(rows), BOTH, &ledger).expect("no trap").again();
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
