//! Rows that somebody has to look for on the target's list, and what a whole list says about them.
//! Pure: the engine asks and acts.
//!
//! | stage | how it came about | the list shows it | the list does not show it |
//! | --- | --- | --- | --- |
//! | lost | the result of its POST was never learnt | held: take its link, or DELETE and POST | absent, if that is proven: POST |
//! | removed | its DELETE was answered | contradiction: DELETE once more, then unknown | the same |
//! | posted again | enrolled after it had been lost | once: done; twice: DELETE and POST | look again |
//! | accepted | a virtual event took it and gave no link | fetch its link | look again, less and less often |
//!
//! A list may be late, and Microsoft says nowhere by how much. So a list proves a row absent only if
//! it shows a registrant that was acknowledged after the row's attempt was given up (a watermark of
//! how fresh the list is), or if that attempt was given up more than [`PROVEN_BY_AGE`] ago. Where no
//! watermark can come any more, a meeting's row is posted again and the list is asked until it shows it:
//! that registrant is the watermark for all the others, so such rows go one, two, four … at a time. A
//! virtual event mails at each POST, so its row stays unknown, and a later run has its proof by age.

use std::{collections::VecDeque, time::Duration};

use super::{
    clock::millis,
    remote::{RemoteIndex, RemoteMatch, Wanted},
    row::Work,
};

/// So long after an attempt was given up a list proves its row absent whatever it shows. Microsoft
/// names no bound; this is the program's own.
pub const PROVEN_BY_AGE: Duration = Duration::from_secs(600);

/// Lost rows beyond which the run does not wait for its end to reconcile them.
pub const MANY_LOST: usize = 1_000;

/// Accepted rows beyond which it is worth listing the target for their links, where it holds few
/// yet; where it holds many, an eighth of what it held last time, so that lists stay a small part
/// of the work however fast rows are accepted.
const BATCH: usize = 100;

/// How long an accepted row waits for others to be looked for with it.
pub const GATHER: Duration = Duration::from_secs(60);

/// After so many DELETEs that a list contradicts a row is left unknown.
const CONTRADICTIONS: u32 = 2;

/// A whole list, as far as it concerns the rows that were looked for.
pub struct ListSeen<'a> {
    /// When it was begun, since the start of the run.
    pub begun: Duration,
    /// The same in milliseconds since 1970.
    pub begun_at: i64,
    /// The members that were looked for.
    pub index: &'a RemoteIndex,
    /// How many members it had.
    pub held: usize,
    /// When the latest registrant that it shows was acknowledged, in milliseconds since 1970, as far
    /// as this run knows.
    pub fresh_to: Option<i64>,
    /// Nothing else is under way or left to be sent.
    pub idle: bool,
}

/// One row to be looked for.
struct Pending {
    work: Work,
    /// From when on a list may judge it, since the start of the run.
    not_before: Duration,
}

/// What the list said of one row.
pub enum Finding {
    /// A lost one that the target does not hold: POST again.
    Absent(Work),
    /// The target holds it.
    Held(Work, RemoteMatch),
    /// The target holds it twice, and it had counted as enrolled.
    Twice(Work, RemoteMatch),
    /// The target holds it once, and it had been posted again.
    Once(Work),
    /// The list contradicts each DELETE: it stays unknown.
    NotRemoved(Work),
    /// It had counted as enrolled, and is there twice whatever was tried: it stays unknown.
    StillTwice(Work),
    /// An accepted one that the list does not show yet: look for it again.
    Missed(Work),
}

/// The rows that a run looks for.
pub struct Reconciler {
    /// After so many lost results a row stays unknown for this run; after so many lists without it
    /// an accepted one goes on awaiting its link.
    most: u32,
    /// Whether a row may be posted again that nothing proves absent.
    may_risk: bool,
    /// Lost, or removed and not yet seen to be gone.
    open: Vec<Pending>,
    /// Enrolled after it had been lost.
    posted_again: Vec<Pending>,
    /// Accepted and not looked for yet, in the order in which they were accepted.
    fresh: VecDeque<Pending>,
    /// Accepted, and missing from a list.
    missed: Vec<Pending>,
    /// When the first of `missed` may be looked for.
    missed_from: Option<Duration>,
    /// How many the target held when it was last listed.
    held: usize,
    /// How many lists in a row could not be had.
    failed: u32,
    /// How many rows were posted again without proof the last time.
    unproven: usize,
    given_up: u64,
}

impl Reconciler {
    /// Nobody to look for yet. `most`: after so many lost results a row stays unknown for this run;
    /// `may_risk`: a row may be posted again that nothing proves absent.
    pub fn new(most: u32, may_risk: bool) -> Self {
        Self {
            most,
            may_risk,
            open: Vec::new(),
            posted_again: Vec::new(),
            fresh: VecDeque::new(),
            missed: Vec::new(),
            missed_from: None,
            held: 0,
            failed: 0,
            unproven: 0,
            given_up: 0,
        }
    }

    /// A row's result was lost, or its DELETE was answered; a list begun from `not_before` on may
    /// judge it.
    pub fn add(&mut self, mut work: Work, not_before: Duration) {
        work.missed = 0;
        if work.lost >= self.most {
            self.given_up += 1;
        } else {
            self.open.push(Pending { work, not_before });
        }
    }

    /// A row's result was lost, and nobody is to look for it in this run.
    pub fn hold(&mut self) {
        self.given_up += 1;
    }

    /// A row is enrolled that may be there twice: its result had been lost before, or this run's first
    /// list showed it so. A list begun from `not_before` on tells.
    pub fn recheck(&mut self, mut work: Work, not_before: Duration) {
        work.missed = 0;
        self.posted_again.push(Pending { work, not_before });
    }

    /// A row was accepted, and its link is to be found; a list begun from `not_before` on may show it.
    ///
    /// Says whether it is looked for in this run; after too many lists without it, it is not.
    pub fn seek(&mut self, work: Work, not_before: Duration) -> bool {
        if work.missed == 0 {
            self.fresh.push_back(Pending { work, not_before });
        } else if work.missed < self.most {
            let first = self.missed_from.map_or(not_before, |first| first.min(not_before));
            self.missed_from = Some(first);
            self.missed.push(Pending { work, not_before });
        } else {
            return false;
        }
        true
    }

    /// Accepted rows that are looked for in this run.
    pub fn sought(&self) -> usize {
        self.fresh.len() + self.missed.len()
    }

    /// Rows in doubt that can still be helped in this run.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// Rows that stay unknown in this run.
    pub fn given_up(&self) -> u64 {
        self.given_up
    }

    /// Whether nobody is left to look for.
    pub fn is_settled(&self) -> bool {
        self.open.is_empty()
            && self.posted_again.is_empty()
            && self.fresh.is_empty()
            && self.missed.is_empty()
    }

    /// When the next list may be begun. While rows are still being sent, one that judges many; when
    /// nothing else is left to do (`idle`), one that judges every lost row there is, or the accepted
    /// ones as soon as they may show.
    pub fn next_list_at(&self, idle: bool) -> Option<Duration> {
        let (lost, accepted) = if idle {
            let all = self.open.iter().chain(&self.posted_again);
            let lost = all.map(|pending| pending.not_before).max();
            (lost, self.fresh.back().map(|pending| pending.not_before))
        } else {
            // The oldest but so many: rows are added in the order in which they were lost.
            let lost = self.open.get(MANY_LOST - 1).map(|pending| pending.not_before);
            let batch = self.fresh.get(BATCH.max(self.held / 8) - 1);
            let batch = batch.map(|pending| pending.not_before);
            let waited = self.fresh.front().map(|pending| pending.not_before + GATHER);
            (lost, earlier(batch, waited))
        };
        // While rows are sent a list serves many; each had its pause, and gathers others beyond it.
        let gather = if idle { Duration::ZERO } else { GATHER };
        earlier(earlier(lost, accepted), self.missed_from.map(|from| from + gather))
    }

    /// Those whom a list begun at `now` may judge.
    pub fn wanted(&self, now: Duration) -> Wanted {
        let mut wanted = Wanted::default();
        let all = self.open.iter().chain(&self.posted_again).chain(&self.fresh).chain(&self.missed);
        all.filter(|pending| pending.not_before <= now)
            .for_each(|pending| wanted.add(&pending.work.registrant));
        wanted
    }

    /// Judges by a whole list. `acknowledged`: when the latest registrant of this run was
    /// acknowledged, in milliseconds since 1970; `pause`: the wait before the n-th further list.
    /// Rows that were too young for the list stay.
    pub fn judge(
        &mut self,
        list: &ListSeen<'_>,
        acknowledged: Option<i64>,
        pause: impl Fn(u32) -> Duration,
    ) -> Vec<Finding> {
        (self.held, self.failed) = (list.held, 0);
        let mut findings = Vec::new();
        self.judge_lost(list, acknowledged, &pause, &mut findings);
        self.judge_posted_again(list, &pause, &mut findings);
        let mut sought = take_due(&mut self.missed, list.begun);
        self.missed_from = self.missed.iter().map(|pending| pending.not_before).min();
        let due = self.fresh.partition_point(|pending| pending.not_before <= list.begun);
        sought.extend(self.fresh.drain(..due).map(|pending| pending.work));
        findings.extend(sought.into_iter().map(|work| match find(list, &work) {
            Some(found) => Finding::Held(work, found),
            None => Finding::Missed(work),
        }));
        findings
    }

    fn judge_lost(
        &mut self,
        list: &ListSeen<'_>,
        acknowledged: Option<i64>,
        pause: &impl Fn(u32) -> Duration,
        findings: &mut Vec<Finding>,
    ) {
        let mut unproven = Vec::new();
        for mut work in take_due(&mut self.open, list.begun) {
            let found = find(list, &work);
            if found.is_some() && work.removed {
                work.contradictions += 1;
            }
            match found {
                Some(_) if work.contradictions >= CONTRADICTIONS => {
                    self.given_up += 1;
                    findings.push(Finding::NotRemoved(work));
                }
                Some(found) => findings.push(Finding::Held(work, found)),
                None if is_proven_absent(&work, list) => findings.push(Finding::Absent(work)),
                None => unproven.push(work),
            }
        }
        let may_come = |work: &Work| acknowledged.is_some_and(|at| at > work.answered_at);
        let mut allowed = (self.unproven * 2).max(1);
        let mut posted = 0;
        for mut work in unproven {
            if !list.idle || may_come(&work) {
                work.missed += 1;
                let not_before = list.begun + pause(work.missed);
                self.open.push(Pending { work, not_before });
            } else if !self.may_risk {
                self.given_up += 1;
            } else if allowed > 0 {
                allowed -= 1;
                posted += 1;
                findings.push(Finding::Absent(work));
            } else {
                self.open.push(Pending { work, not_before: list.begun });
            }
        }
        if posted > 0 {
            self.unproven = posted;
        }
    }

    fn judge_posted_again(
        &mut self,
        list: &ListSeen<'_>,
        pause: &impl Fn(u32) -> Duration,
        findings: &mut Vec<Finding>,
    ) {
        for mut work in take_due(&mut self.posted_again, list.begun) {
            match find(list, &work) {
                Some(found) if found.extra.is_empty() => findings.push(Finding::Once(work)),
                // Bounded, like every other look: a server may go on listing what it has removed.
                Some(_) if work.lost >= self.most => {
                    self.given_up += 1;
                    findings.push(Finding::StillTwice(work));
                }
                Some(found) => {
                    work.lost += 1;
                    findings.push(Finding::Twice(work, found));
                }
                // A list that is so late says nothing; each run's first list is looked at for that, too.
                None if !work.doubted || work.missed + 1 >= self.most => {}
                None => {
                    work.missed += 1;
                    let not_before = list.begun + pause(work.missed);
                    self.posted_again.push(Pending { work, not_before });
                }
            }
        }
    }

    /// A list could not be had: nobody is judged before `next`. After as many such lists in a row as
    /// a row may be lost, nobody is looked for any more in this run, and it says so.
    pub fn postpone(&mut self, next: impl FnOnce(u32) -> Duration) -> bool {
        self.failed += 1;
        if self.failed >= self.most {
            return false;
        }
        let next = next(self.failed - 1);
        let all = self.open.iter_mut().chain(&mut self.posted_again).chain(&mut self.fresh);
        all.chain(&mut self.missed)
            .for_each(|pending| pending.not_before = pending.not_before.max(next));
        self.missed_from = self.missed_from.map(|from| from.max(next));
        true
    }

    /// No list can be had: lost rows stay in doubt, accepted ones await their link.
    pub fn give_up(&mut self) {
        self.given_up += self.open.len() as u64;
        self.open.clear();
        self.posted_again.clear();
        self.fresh.clear();
        self.missed.clear();
        self.missed_from = None;
    }
}

/// Whether the list proves that the target does not hold this row.
fn is_proven_absent(work: &Work, list: &ListSeen<'_>) -> bool {
    list.fresh_to.is_some_and(|fresh_to| fresh_to > work.answered_at)
        || list.begun_at.saturating_sub(work.answered_at) >= millis(PROVEN_BY_AGE)
}

fn find(list: &ListSeen<'_>, work: &Work) -> Option<RemoteMatch> {
    list.index.of_known(&work.registrant, work.server_id.as_deref())
}

fn take_due(pending: &mut Vec<Pending>, begun: Duration) -> Vec<Work> {
    pending.extract_if(.., |pending| pending.not_before <= begun).map(|it| it.work).collect()
}

fn earlier(a: Option<Duration>, b: Option<Duration>) -> Option<Duration> {
    a.into_iter().chain(b).min()
}

/// When registrants of this run were acknowledged, as far as a list can be held against them: thinned
/// out where there are many, for any one that came after a lost row serves.
#[derive(Clone, Default)]
pub struct Acknowledged {
    /// Key of the registrant, and the time in milliseconds since 1970.
    times: std::collections::HashMap<String, i64>,
    latest: Option<i64>,
    /// One in so many is kept.
    every: u64,
    count: u64,
}

impl Acknowledged {
    /// The most that are kept.
    const MOST: usize = 4_096;

    /// Notes that a registrant with this id was acknowledged.
    pub fn note(&mut self, id: &str, at: i64) {
        self.latest = Some(self.latest.map_or(at, |latest| latest.max(at)));
        self.count += 1;
        if !self.count.is_multiple_of(self.every.max(1)) {
            return;
        }
        if self.times.len() >= Self::MOST {
            self.every = self.every.max(1) * 2;
            let mut keep = false;
            self.times.retain(|_, _| {
                keep = !keep;
                keep
            });
        }
        self.times.insert(id.to_owned(), at);
    }

    /// When the latest one was acknowledged.
    pub fn latest(&self) -> Option<i64> {
        self.latest
    }

    /// When the registrant with this id was acknowledged, where that is kept.
    pub fn at(&self, id: &str) -> Option<i64> {
        self.times.get(id).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::wire::{Member, MemberStanding};
    use crate::registrant::{Fields, Mode, PersonFingerprint, Registrant, Rule};

    const S: Duration = Duration::from_secs(1);

    fn work(id: &str, lost: u32) -> Work {
        let fields = Fields { id: Some(id), ..Fields::default() };
        let registrant = Registrant::parse(&fields, &Rule::Meeting(Mode::Everyone)).expect("valid");
        Work { lost, ..Work::new(registrant, String::new(), PersonFingerprint::UNKNOWN, 2) }
    }

    fn seen(ids: &[(&str, u32)]) -> RemoteIndex {
        let mut remote = RemoteIndex::default();
        for &(id, times) in ids {
            for _ in 0..times {
                remote.note(Member {
                    posted: Some(id.to_owned()),
                    email: None,
                    names: None,
                    server_id: None,
                    standing: MemberStanding::Registered,
                });
            }
        }
        remote
    }

    fn told(findings: Vec<Finding>) -> Vec<String> {
        findings
            .into_iter()
            .map(|finding| match finding {
                Finding::Absent(w) => format!("absent {}", w.registrant.id.as_str()),
                Finding::Twice(w, _) => format!("twice {}", w.registrant.id.as_str()),
                Finding::Held(w, sight) => {
                    format!("held {} {}", w.registrant.id.as_str(), 1 + sight.extra.len())
                }
                Finding::Missed(w) => format!("missed {}", w.registrant.id.as_str()),
                Finding::Once(w) => format!("once {}", w.registrant.id.as_str()),
                Finding::NotRemoved(w) => format!("not removed {}", w.registrant.id.as_str()),
                Finding::StillTwice(w) => format!("still twice {}", w.registrant.id.as_str()),
            })
            .collect()
    }

    /// A list begun at `begun` that is fresh to that moment, and the run has nothing else to do.
    fn list(begun: Duration, index: &RemoteIndex, held: usize) -> ListSeen<'_> {
        let begun_at = millis(begun);
        ListSeen { begun, begun_at, index, held, fresh_to: Some(begun_at), idle: true }
    }

    fn judge(
        doubts: &mut Reconciler,
        begun: Duration,
        ids: &[(&str, u32)],
        held: usize,
    ) -> Vec<Finding> {
        let index = seen(ids);
        doubts.judge(&list(begun, &index, held), None, |lists| S * (10_u32 << lists))
    }

    #[test]
    fn a_row_is_judged_only_after_its_settling_time() {
        let mut doubts = Reconciler::new(5, true);
        doubts.add(work("a", 1), S * 11);
        doubts.add(work("b", 1), S * 15);
        assert_eq!(doubts.next_list_at(true), Some(S * 15));
        assert_eq!(doubts.wanted(S * 12).len(), 1);
        assert_eq!(told(judge(&mut doubts, S * 12, &[("b", 1)], 1)), ["absent a"]);
        assert_eq!(doubts.open(), 1, "b was too young for that list");
        assert_eq!(told(judge(&mut doubts, S * 15, &[("b", 1)], 1)), ["held b 1"]);
        assert!(doubts.is_settled());
    }

    #[test]
    fn a_row_that_is_lost_again_and_again_stays_unknown() {
        let mut doubts = Reconciler::new(3, true);
        doubts.add(work("a", 3), S);
        assert_eq!((doubts.open(), doubts.given_up()), (0, 1));
    }

    #[test]
    fn what_was_enrolled_after_an_absent_is_counted_once_more() {
        let mut doubts = Reconciler::new(3, true);
        doubts.recheck(work("a", 1), S);
        doubts.recheck(work("b", 1), S);
        assert!(!doubts.is_settled());
        assert_eq!(
            told(judge(&mut doubts, S * 2, &[("a", 2), ("b", 1)], 3)),
            ["twice a", "once b"]
        );
        assert!(doubts.is_settled());
    }

    #[test]
    fn a_list_that_cannot_be_had_is_asked_for_again_a_few_times() {
        let mut doubts = Reconciler::new(3, true);
        let later = |failed| S * (10_u32 << failed);
        doubts.add(work("a", 1), S * 2);
        doubts.seek(work("b", 0), S);
        doubts.seek(Work { missed: 1, ..work("c", 0) }, S * 15);
        assert!(doubts.postpone(later));
        assert_eq!((doubts.next_list_at(true), doubts.wanted(S * 9).len()), (Some(S * 10), 0));
        assert!(doubts.postpone(later));
        assert_eq!(doubts.next_list_at(true), Some(S * 20));
        assert_eq!(
            told(judge(&mut doubts, S * 20, &[("b", 1)], 1)),
            ["absent a", "missed c", "held b 1"],
        );
        // A list that was had begins the count anew.
        doubts.add(work("a", 2), S * 30);
        assert!(doubts.postpone(later) && doubts.postpone(later));
        assert!(!doubts.postpone(later));
        doubts.give_up();
        assert_eq!((doubts.given_up(), doubts.is_settled()), (1, true));
    }

    #[test]
    fn while_rows_are_sent_only_many_doubts_are_worth_a_list() {
        let mut doubts = Reconciler::new(5, true);
        for n in 0..MANY_LOST {
            assert_eq!(doubts.next_list_at(false), None);
            doubts.add(work(&n.to_string(), 1), S * 11);
        }
        assert_eq!(doubts.next_list_at(false), Some(S * 11));
    }

    #[test]
    fn an_accepted_row_is_looked_for_until_it_shows_and_never_called_absent() {
        let mut doubts = Reconciler::new(3, true);
        assert!(doubts.seek(work("a", 0), S) && doubts.seek(work("b", 0), S * 2));
        assert_eq!(
            doubts.next_list_at(true),
            Some(S * 2),
            "nothing else to do: as soon as they may show"
        );
        assert_eq!(doubts.next_list_at(false), Some(S + GATHER), "rows are sent: with others");
        assert_eq!(told(judge(&mut doubts, S, &[("a", 1)], 1)), ["held a 1"]);
        assert_eq!(told(judge(&mut doubts, S * 2, &[], 1)), ["missed b"]);
        assert!(doubts.seek(Work { missed: 1, ..work("b", 0) }, S * 12));
        assert_eq!(doubts.sought(), 1);
        assert_eq!((doubts.next_list_at(true), doubts.is_settled()), (Some(S * 12), false));
        assert!(told(judge(&mut doubts, S * 3, &[], 1)).is_empty(), "too early to look again");
        assert_eq!(told(judge(&mut doubts, S * 12, &[], 1)), ["missed b"]);
        assert!(!doubts.seek(Work { missed: 3, ..work("b", 0) }, S * 32));
        assert!(doubts.is_settled(), "it awaits its link until the next run");
        assert_eq!(doubts.given_up(), 0, "it is not in doubt");
    }

    #[test]
    fn while_rows_are_sent_the_more_the_target_holds_the_more_are_gathered() {
        let mut doubts = Reconciler::new(3, true);
        let second = |doubts: &mut Reconciler, n: usize| {
            doubts.seek(work(&n.to_string(), 0), S);
        };
        (0..BATCH).for_each(|n| second(&mut doubts, n));
        assert_eq!(doubts.next_list_at(false), Some(S));
        judge(&mut doubts, S, &[], 16 * BATCH);
        (0..BATCH).for_each(|n| second(&mut doubts, n));
        assert_eq!(doubts.next_list_at(false), Some(S + GATHER));
        (0..BATCH).for_each(|n| second(&mut doubts, n));
        assert_eq!(doubts.next_list_at(false), Some(S));
    }

    fn lost_at(id: &str, at: Duration) -> Work {
        Work { answered_at: millis(at), ..work(id, 1) }
    }

    #[test]
    fn only_a_later_watermark_or_ten_minutes_prove_a_row_absent() {
        let index = seen(&[]);
        let pause = |_| S * 10;
        for (fresh_to, acknowledged, begun, told_of) in [
            // The list shows nobody who came after the row was lost, but somebody did.
            (Some(99), Some(150), 20, vec![]),
            (None, Some(150), 20, vec![]),
            (Some(101), Some(150), 20, vec!["absent a"]),
            (None, Some(150), 600, vec![]),
            (None, Some(150_000), 601, vec!["absent a"]),
        ] {
            let mut doubts = Reconciler::new(5, true);
            doubts.add(Work { answered_at: 100, ..work("a", 1) }, S);
            let list = ListSeen { fresh_to, ..list(S * begun, &index, 1) };
            assert_eq!(told(doubts.judge(&list, acknowledged, pause)), told_of);
            assert_eq!(doubts.open(), usize::from(told_of.is_empty()));
        }
    }

    #[test]
    fn where_each_post_mails_nobody_is_posted_without_proof() {
        let index = seen(&[]);
        let mut doubts = Reconciler::new(5, false);
        doubts.add(lost_at("a", S * 5), S * 15);
        let late = |begun| ListSeen { fresh_to: None, ..list(begun, &index, 0) };
        assert!(told(doubts.judge(&late(S * 15), None, |_| S * 10)).is_empty());
        assert_eq!(
            (doubts.given_up(), doubts.is_settled()),
            (1, true),
            "unknown until the next run"
        );
        doubts.add(lost_at("b", S), S * 700);
        assert_eq!(told(doubts.judge(&late(S * 700), None, |_| S * 10)), ["absent b"]);
    }

    #[test]
    fn where_no_watermark_can_come_a_few_rows_are_posted_again_and_serve_the_others() {
        let index = seen(&[]);
        let mut doubts = Reconciler::new(5, true);
        for id in ["a", "b", "c", "d"] {
            doubts.add(lost_at(id, S * 5), S * 15);
        }
        let late = |begun, fresh_to| ListSeen { fresh_to, ..list(begun, &index, 0) };
        let pause = |_| S * 10;
        assert_eq!(told(doubts.judge(&late(S * 15, None), None, pause)), ["absent a"]);
        // It was lost again.
        doubts.add(lost_at("a", S * 16), S * 26);
        assert_eq!(told(doubts.judge(&late(S * 26, None), None, pause)).len(), 2);
        // One of them is acknowledged: the list has to show it, and then proves the others absent.
        let acknowledged = Some(millis(S * 27));
        assert!(told(doubts.judge(&late(S * 36, None), acknowledged, pause)).is_empty());
        let told = told(doubts.judge(&late(S * 46, acknowledged), acknowledged, pause));
        assert_eq!(told.len(), 2, "{told:?}");
    }

    #[test]
    fn after_a_delete_the_list_decides_and_a_second_contradiction_ends_it() {
        let mut doubts = Reconciler::new(9, true);
        let removed = || Work { removed: true, ..work("a", 1) };
        doubts.add(removed(), S);
        assert_eq!(told(judge(&mut doubts, S, &[], 0)), ["absent a"]);
        doubts.add(removed(), S);
        assert_eq!(told(judge(&mut doubts, S, &[("a", 1)], 1)), ["held a 1"]);
        doubts.add(Work { contradictions: 1, ..removed() }, S);
        assert_eq!(told(judge(&mut doubts, S, &[("a", 1)], 1)), ["not removed a"]);
        assert_eq!(doubts.given_up(), 1);
    }

    #[test]
    fn what_was_posted_again_is_looked_for_until_a_list_shows_it() {
        let mut doubts = Reconciler::new(3, true);
        doubts.recheck(Work { doubted: true, ..work("a", 1) }, S);
        assert!(told(judge(&mut doubts, S, &[], 0)).is_empty());
        assert_eq!(doubts.next_list_at(true), Some(S * 21));
        assert_eq!(told(judge(&mut doubts, S * 21, &[("a", 1)], 1)), ["once a"]);
        doubts.recheck(work("a", 3), S);
        assert_eq!(told(judge(&mut doubts, S, &[("a", 2)], 2)), ["still twice a"]);
    }
}
