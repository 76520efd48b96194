//! Rows that somebody has to look for on the target's list, and what a whole list says about them.
//! Pure: the engine asks and acts.
//!
//! - *Lost*: the result of a POST was never learnt. Judged only by a list that was begun after its
//!   settling time was over, and only when the whole list was had: absent means "not there", not
//!   "not seen yet".
//! - *Accepted*: a webinar took it and gave no link. Absent means "not seen yet": it is looked for
//!   again, less and less often, and never posted again.

use std::{collections::VecDeque, time::Duration};

use super::{
    sightings::{Sight, Sightings, Wanted},
    work::Work,
};

/// Lost rows beyond which the run does not wait for its end to reconcile them.
pub const ENOUGH: usize = 1_000;

/// Accepted rows beyond which it is worth listing the target for their links, where it holds few
/// yet; where it holds many, an eighth of what it held last time, so that lists stay a small part
/// of the work however fast rows are accepted.
const BATCH: usize = 100;

/// How long an accepted row waits for others to be looked for with it.
pub const GATHER: Duration = Duration::from_secs(60);

/// One row to be looked for.
struct Doubt {
    work: Work,
    /// From when on a list may judge it, since the start of the run.
    ripe: Duration,
}

/// What the list said of one row.
pub enum Finding {
    /// A lost one that the target does not hold: POST again.
    Absent(Work),
    /// The target holds it.
    Held(Work, Sight),
    /// The target holds it twice, and it had counted as enrolled.
    Twice(Work, Sight),
    /// An accepted one that the list does not show yet: look for it again.
    Missed(Work),
}

/// The rows that a run looks for.
pub struct Doubts {
    /// After so many lost results a row stays unknown for this run; after so many lists without it
    /// an accepted one goes on awaiting its link.
    most: u32,
    open: Vec<Doubt>,
    /// Enrolled after a list had said "absent": looked at once more, because a server may have
    /// been later than the settling time.
    recheck: Vec<Doubt>,
    /// Accepted and not looked for yet, in the order in which they were accepted.
    fresh: VecDeque<Doubt>,
    /// Accepted, and missing from a list.
    missed: Vec<Doubt>,
    /// When the first of `missed` is ripe.
    missed_ripe: Option<Duration>,
    /// How many the target held when it was last listed.
    held: usize,
    /// How many lists in a row could not be had.
    failed: u32,
    given_up: u64,
}

impl Doubts {
    /// Nobody to look for yet. `most`: after so many lost results a row stays unknown for this run.
    #[must_use]
    pub fn new(most: u32) -> Self {
        Self {
            most,
            open: Vec::new(),
            recheck: Vec::new(),
            fresh: VecDeque::new(),
            missed: Vec::new(),
            missed_ripe: None,
            held: 0,
            failed: 0,
            given_up: 0,
        }
    }

    /// A row's result was lost; a list begun from `ripe` on may judge it.
    pub fn add(&mut self, work: Work, ripe: Duration) {
        if work.lost >= self.most {
            self.given_up += 1;
        } else {
            self.open.push(Doubt { work, ripe });
        }
    }

    /// A row's result was lost, and nobody is to look for it in this run.
    pub fn hold(&mut self) {
        self.given_up += 1;
    }

    /// A row was enrolled whose result had been lost before; a list begun from `ripe` on tells
    /// whether it is there once.
    pub fn recheck(&mut self, work: Work, ripe: Duration) {
        self.recheck.push(Doubt { work, ripe });
    }

    /// A row was accepted, and its link is to be found; a list begun from `ripe` on may show it.
    ///
    /// Says whether it is looked for in this run; after too many lists without it, it is not.
    pub fn seek(&mut self, work: Work, ripe: Duration) -> bool {
        if work.missed == 0 {
            self.fresh.push_back(Doubt { work, ripe });
        } else if work.missed < self.most {
            self.missed_ripe = Some(self.missed_ripe.map_or(ripe, |first| first.min(ripe)));
            self.missed.push(Doubt { work, ripe });
        } else {
            return false;
        }
        true
    }

    /// Accepted rows that are looked for in this run.
    #[must_use]
    pub fn sought(&self) -> usize {
        self.fresh.len() + self.missed.len()
    }

    /// Rows in doubt that can still be helped in this run.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// Rows that stay unknown in this run.
    #[must_use]
    pub fn given_up(&self) -> u64 {
        self.given_up
    }

    /// Whether nobody is left to look for.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.open.is_empty()
            && self.recheck.is_empty()
            && self.fresh.is_empty()
            && self.missed.is_empty()
    }

    /// When the next list may be begun. While rows are still being sent, one that judges many; when
    /// nothing else is left to do (`idle`), one that judges every lost row there is, or the accepted
    /// ones as soon as they may show.
    #[must_use]
    pub fn ripe_at(&self, idle: bool) -> Option<Duration> {
        let (lost, accepted) = if idle {
            let lost = self.open.iter().chain(&self.recheck).map(|doubt| doubt.ripe).max();
            (lost, self.fresh.back().map(|doubt| doubt.ripe))
        } else {
            // The ENOUGH-th oldest: rows are added in the order in which they were lost.
            let lost = self.open.get(ENOUGH - 1).map(|doubt| doubt.ripe);
            let batch = self.fresh.get(BATCH.max(self.held / 8) - 1).map(|doubt| doubt.ripe);
            let waited = self.fresh.front().map(|doubt| doubt.ripe + GATHER);
            (lost, earlier(batch, waited))
        };
        // While rows are sent a list serves many; each had its pause, and gathers others beyond it.
        let gather = if idle { Duration::ZERO } else { GATHER };
        earlier(earlier(lost, accepted), self.missed_ripe.map(|ripe| ripe + gather))
    }

    /// Those whom a list begun at `now` may judge.
    #[must_use]
    pub fn wanted(&self, now: Duration) -> Wanted {
        let mut wanted = Wanted::default();
        let all = self.open.iter().chain(&self.recheck).chain(&self.fresh).chain(&self.missed);
        all.filter(|doubt| doubt.ripe <= now).for_each(|doubt| wanted.add(&doubt.work.registrant));
        wanted
    }

    /// Judges by a whole list begun at `begun`, of `held` members: what it `seen` of the wanted.
    /// Rows that were too young then stay.
    pub fn judge(&mut self, begun: Duration, seen: &Sightings, held: usize) -> Vec<Finding> {
        (self.held, self.failed) = (held, 0);
        let mut findings = Vec::new();
        for work in take_ripe(&mut self.open, begun) {
            findings.push(match seen.of_known(&work.registrant, work.server_id.as_deref()) {
                Some(sight) => Finding::Held(work, sight),
                None => Finding::Absent(work),
            });
        }
        for mut work in take_ripe(&mut self.recheck, begun) {
            let sight = seen
                .of_known(&work.registrant, work.server_id.as_deref())
                .filter(|sight| !sight.extra.is_empty());
            // Bounded, like every other look: a server may go on listing what it has removed.
            if let Some(sight) = sight.filter(|_| work.lost < self.most) {
                work.lost += 1;
                findings.push(Finding::Twice(work, sight));
            }
        }
        let mut sought = take_ripe(&mut self.missed, begun);
        self.missed_ripe = self.missed.iter().map(|doubt| doubt.ripe).min();
        let ripe = self.fresh.partition_point(|doubt| doubt.ripe <= begun);
        sought.extend(self.fresh.drain(..ripe).map(|doubt| doubt.work));
        findings.extend(sought.into_iter().map(|work| {
            match seen.of_known(&work.registrant, work.server_id.as_deref()) {
                Some(sight) => Finding::Held(work, sight),
                None => Finding::Missed(work),
            }
        }));
        findings
    }

    /// A list could not be had: nobody is judged before `next`. After as many such lists in a row as
    /// a row may be lost, nobody is looked for any more in this run, and it says so.
    pub fn postpone(&mut self, next: impl FnOnce(u32) -> Duration) -> bool {
        self.failed += 1;
        if self.failed >= self.most {
            return false;
        }
        let next = next(self.failed - 1);
        let all = self.open.iter_mut().chain(&mut self.recheck).chain(&mut self.fresh);
        all.chain(&mut self.missed).for_each(|doubt| doubt.ripe = doubt.ripe.max(next));
        self.missed_ripe = self.missed_ripe.map(|ripe| ripe.max(next));
        true
    }

    /// No list can be had: lost rows stay in doubt, accepted ones await their link.
    pub fn give_up(&mut self) {
        self.given_up += self.open.len() as u64;
        self.open.clear();
        self.recheck.clear();
        self.fresh.clear();
        self.missed.clear();
        self.missed_ripe = None;
    }
}

fn take_ripe(doubts: &mut Vec<Doubt>, begun: Duration) -> Vec<Work> {
    doubts.extract_if(.., |doubt| doubt.ripe <= begun).map(|doubt| doubt.work).collect()
}

fn earlier(a: Option<Duration>, b: Option<Duration>) -> Option<Duration> {
    a.into_iter().chain(b).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::wire::{Member, MemberStanding};
    use crate::registrant::{Fields, Mark, Mode, Registrant, Rule};

    const S: Duration = Duration::from_secs(1);

    fn work(id: &str, lost: u32) -> Work {
        let fields = Fields { id: Some(id), ..Fields::default() };
        let registrant = Registrant::parse(&fields, &Rule::Meeting(Mode::Everyone)).expect("valid");
        Work { lost, ..Work::new(registrant, String::new(), Mark::UNKNOWN, 2) }
    }

    fn seen(ids: &[(&str, u32)]) -> Sightings {
        let mut sightings = Sightings::default();
        for &(id, times) in ids {
            for _ in 0..times {
                sightings.note(Member {
                    posted: Some(id.to_owned()),
                    email: None,
                    names: None,
                    server_id: None,
                    standing: MemberStanding::Registered,
                });
            }
        }
        sightings
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
            })
            .collect()
    }

    #[test]
    fn a_row_is_judged_only_after_its_settling_time() {
        let mut doubts = Doubts::new(5);
        doubts.add(work("a", 1), S * 11);
        doubts.add(work("b", 1), S * 15);
        assert_eq!(doubts.ripe_at(true), Some(S * 15));
        assert_eq!(doubts.wanted(S * 12).len(), 1);
        assert_eq!(told(doubts.judge(S * 12, &seen(&[("b", 1)]), 1)), ["absent a"]);
        assert_eq!(doubts.open(), 1, "b was too young for that list");
        assert_eq!(told(doubts.judge(S * 15, &seen(&[("b", 1)]), 1)), ["held b 1"]);
        assert!(doubts.is_settled());
    }

    #[test]
    fn a_row_that_is_lost_again_and_again_stays_unknown() {
        let mut doubts = Doubts::new(3);
        doubts.add(work("a", 3), S);
        assert_eq!((doubts.open(), doubts.given_up()), (0, 1));
    }

    #[test]
    fn what_was_enrolled_after_an_absent_is_counted_once_more() {
        let mut doubts = Doubts::new(3);
        doubts.recheck(work("a", 1), S);
        doubts.recheck(work("b", 1), S);
        assert!(!doubts.is_settled());
        assert_eq!(told(doubts.judge(S * 2, &seen(&[("a", 2), ("b", 1)]), 3)), ["twice a"]);
        assert!(doubts.is_settled());
    }

    #[test]
    fn a_list_that_cannot_be_had_is_asked_for_again_a_few_times() {
        let mut doubts = Doubts::new(3);
        let later = |failed| S * (10_u32 << failed);
        doubts.add(work("a", 1), S * 2);
        doubts.seek(work("b", 0), S);
        doubts.seek(Work { missed: 1, ..work("c", 0) }, S * 15);
        assert!(doubts.postpone(later));
        assert_eq!((doubts.ripe_at(true), doubts.wanted(S * 9).len()), (Some(S * 10), 0));
        assert!(doubts.postpone(later));
        assert_eq!(doubts.ripe_at(true), Some(S * 20));
        assert_eq!(
            told(doubts.judge(S * 20, &seen(&[("b", 1)]), 1)),
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
        let mut doubts = Doubts::new(5);
        for n in 0..ENOUGH {
            assert_eq!(doubts.ripe_at(false), None);
            doubts.add(work(&n.to_string(), 1), S * 11);
        }
        assert_eq!(doubts.ripe_at(false), Some(S * 11));
    }

    #[test]
    fn an_accepted_row_is_looked_for_until_it_shows_and_never_called_absent() {
        let mut doubts = Doubts::new(3);
        assert!(doubts.seek(work("a", 0), S) && doubts.seek(work("b", 0), S * 2));
        assert_eq!(
            doubts.ripe_at(true),
            Some(S * 2),
            "nothing else to do: as soon as they may show"
        );
        assert_eq!(doubts.ripe_at(false), Some(S + GATHER), "rows are sent: with others");
        assert_eq!(told(doubts.judge(S, &seen(&[("a", 1)]), 1)), ["held a 1"]);
        assert_eq!(told(doubts.judge(S * 2, &seen(&[]), 1)), ["missed b"]);
        assert!(doubts.seek(Work { missed: 1, ..work("b", 0) }, S * 12));
        assert_eq!(doubts.sought(), 1);
        assert_eq!((doubts.ripe_at(true), doubts.is_settled()), (Some(S * 12), false));
        assert!(told(doubts.judge(S * 3, &seen(&[]), 1)).is_empty(), "too early to look again");
        assert_eq!(told(doubts.judge(S * 12, &seen(&[]), 1)), ["missed b"]);
        assert!(!doubts.seek(Work { missed: 3, ..work("b", 0) }, S * 32));
        assert!(doubts.is_settled(), "it awaits its link until the next run");
        assert_eq!(doubts.given_up(), 0, "it is not in doubt");
    }

    #[test]
    fn while_rows_are_sent_the_more_the_target_holds_the_more_are_gathered() {
        let mut doubts = Doubts::new(3);
        let second = |doubts: &mut Doubts, n: usize| {
            doubts.seek(work(&n.to_string(), 0), S);
        };
        (0..BATCH).for_each(|n| second(&mut doubts, n));
        assert_eq!(doubts.ripe_at(false), Some(S));
        doubts.judge(S, &seen(&[]), 16 * BATCH);
        (0..BATCH).for_each(|n| second(&mut doubts, n));
        assert_eq!(doubts.ripe_at(false), Some(S + GATHER));
        (0..BATCH).for_each(|n| second(&mut doubts, n));
        assert_eq!(doubts.ripe_at(false), Some(S));
    }
}
