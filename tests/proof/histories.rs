//! Ten thousand histories of a list that people leave, against what must never happen, whatever comes:
//! adds, drops, returns, marks, cut and flawed lists, other readings, files read twice, clocks that
//! jump, and a person who approves some.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use registrant_import::{
    job::{
        cancellation::{BRAKE, Question, Uncalled, Verdict},
        conduct::{CancelMode, CancelPolicy, Limit},
    },
    ledger::{Absence, CancelReason, EarlierLists, ListRead, Seq},
};

use crate::seeds;

const HOUR: i64 = 3_600_000;

/// What the ledger would remember, kept as simply as can be.
#[derive(Default)]
struct Ledger {
    enrolled: BTreeSet<u32>,
    absences: BTreeMap<u32, Absence>,
    /// Who was cancelled, when, and whether a person approved.
    cancelled: Vec<(u32, i64, bool)>,
    lists: Vec<ListRead>,
    complete_rows: Option<u64>,
    /// The model: of each person the different lists in a row that did not name them, and since when.
    unnamed: BTreeMap<u32, (BTreeSet<u64>, i64)>,
}

#[test]
fn nobody_is_cancelled_without_proof_nor_beyond_the_brake() {
    seeds::each("REGISTRANT_IMPORT_SEEDS", 300, history);
}

fn history(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let day = i64::try_from(BRAKE.as_millis()).expect("a day");
    let (mut ledger, mut now, mut list) = (Ledger::default(), 1_000 * HOUR, BTreeSet::new());
    list.extend(0..random.u32(5..60));
    let policy = CancelPolicy {
        mode: CancelMode::Missing,
        most: if random.bool() { CancelPolicy::MOST } else { Limit::Rows(random.u64(0..4)) },
        ..CancelPolicy::default()
    };
    for step in 0..40_u64 {
        now += HOUR * random.i64(0..30);
        if random.u8(..) < 8 {
            now -= HOUR * random.i64(0..100);
        }
        for _ in 0..random.u32(0..4) {
            list.remove(&random.u32(0..60));
            list.insert(random.u32(0..70));
        }
        let cut = if random.u8(..) < 40 { random.u32(0..60) } else { u32::MAX };
        let shown: BTreeSet<u32> = list.iter().copied().filter(|person| *person < cut).collect();
        let marked: BTreeSet<u32> = shown.iter().copied().filter(|_| random.u8(..) < 4).collect();
        let again = random.u8(..) < 40 && !ledger.lists.is_empty();
        let content = if again { ledger.lists.last().expect("some").content } else { step + 1 };
        let rows = shown.len() as u64;
        let reading = u64::from(random.u8(..) < 12);
        let read = ListRead { written_at: Some(0), content, reading, rows };
        let flawless = random.u8(..) > 20 && rows > 0;
        let people: Vec<Uncalled> = ledger
            .enrolled
            .iter()
            .filter(|person| !shown.contains(person) || marked.contains(person))
            .map(|&person| Uncalled {
                seq: Seq::of(person + 1),
                reason: if marked.contains(&person) {
                    CancelReason::Marked(2)
                } else {
                    CancelReason::Missing
                },
                absence: ledger.absences.get(&person).copied(),
            })
            .collect();
        let approved: Option<HashSet<Seq>> = (random.u8(..) < 20)
            .then(|| people.iter().filter(|_| random.bool()).map(|person| person.seq).collect());
        let question = Question {
            policy,
            list: read,
            flawless,
            earlier: EarlierLists {
                known: ledger.lists.iter().any(|list| list.content == content),
                reading: ledger.lists.last().map(|list| list.reading),
                rows: ledger.complete_rows,
            },
            enrolled: ledger.enrolled.len() as u64,
            recent: ledger.cancelled.iter().filter(|it| it.1 > now - day && !it.2).count() as u64,
            approved: approved.as_ref(),
            event_began: false,
            now,
        };
        if flawless {
            for person in &people {
                let number = u32::try_from(person.seq.number()).expect("small") - 1;
                let model = ledger.unnamed.entry(number).or_insert((BTreeSet::new(), now));
                model.0.insert(content);
                model.1 = model.1.min(now);
            }
        }
        ledger.unnamed.retain(|person, _| !shown.contains(person) || marked.contains(person));
        let verdicts = question.decide(&people);
        ledger.absences = people
            .iter()
            .filter_map(|person| {
                Some((u32::try_from(person.seq.number()).ok()? - 1, question.absence(person)?))
            })
            .collect();
        if question.is_complete() {
            ledger.complete_rows = Some(rows);
        }
        ledger.lists.push(read);
        let most = usize::try_from(question.most()).expect("small");
        for (person, verdict) in people.iter().zip(&verdicts) {
            let Verdict::Due { approved: by_person } = *verdict else { continue };
            let number = u32::try_from(person.seq.number()).expect("small") - 1;
            let named = approved.as_ref().is_some_and(|named| named.contains(&person.seq));
            assert_eq!(by_person, named, "seed {seed}: approved by a person, or by none");
            assert!(ledger.enrolled.remove(&number), "seed {seed}: once, and nobody else's");
            assert!(!shown.contains(&number) || marked.contains(&number), "seed {seed}: named");
            if person.reason == CancelReason::Missing {
                let (lists, since) = &ledger.unnamed[&number];
                assert!(flawless && lists.len() >= 2, "seed {seed}: by one list");
                assert!(now - since >= day, "seed {seed}: too early");
            }
            ledger.absences.remove(&number);
            ledger.unnamed.remove(&number);
            ledger.cancelled.push((number, now, by_person));
        }
        let recent = ledger.cancelled.iter().filter(|it| it.1 > now - day && !it.2).count();
        let made = verdicts.contains(&Verdict::Due { approved: false });
        assert!(!made || recent <= most, "seed {seed}: {recent} within a day, and {most} at most");
        ledger.enrolled.extend(shown.difference(&marked));
    }
}
