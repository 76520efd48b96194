//! Rows in doubt, and what a whole list of the target says about them. Pure: the engine asks and
//! acts.
//!
//! A row is judged only by a list that was begun after its settling time was over, and only when
//! the whole list was had: absent means "not there", not "not seen yet".

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use super::row::Work;

/// Rows in doubt beyond which the run does not wait for its end to reconcile them.
pub const ENOUGH: usize = 1_000;

/// One row in doubt.
struct Doubt {
    work: Work,
    /// When its settling time is over, since the start of the run.
    ripe: Duration,
}

/// What the list said of one row.
pub enum Finding {
    /// The target does not hold it: POST again.
    Absent(Work),
    /// The target holds it: DELETE, then POST, so that its link is held.
    Present(Work),
    /// It was enrolled after an "absent", and the target holds it twice: one must go.
    Twice(Work),
}

/// The rows in doubt of a run.
pub struct Doubts {
    /// After so many lost results a row stays unknown for this run.
    most: u32,
    open: Vec<Doubt>,
    /// Enrolled after a list had said "absent": looked at once more, because a server may have
    /// been later than the settling time.
    recheck: Vec<Doubt>,
    given_up: u64,
}

impl Doubts {
    /// No doubts yet. `most`: after so many lost results a row stays unknown for this run.
    #[must_use]
    pub fn new(most: u32) -> Self {
        Self { most, open: Vec::new(), recheck: Vec::new(), given_up: 0 }
    }

    /// A row's result was lost; a list begun from `ripe` on may judge it.
    pub fn add(&mut self, work: Work, ripe: Duration) {
        if work.lost >= self.most {
            self.given_up += 1;
        } else {
            self.open.push(Doubt { work, ripe });
        }
    }

    /// A row was enrolled whose result had been lost before; a list begun from `ripe` on tells
    /// whether it is there once.
    pub fn recheck(&mut self, work: Work, ripe: Duration) {
        self.recheck.push(Doubt { work, ripe });
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

    /// Whether nothing is left to look at.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.open.is_empty() && self.recheck.is_empty()
    }

    /// When a list may be begun that judges every row there is now: the settling time of the
    /// youngest. While rows are still being sent, a list of enough older ones is worth it too.
    #[must_use]
    pub fn ripe_at(&self, idle: bool) -> Option<Duration> {
        if idle {
            return self.open.iter().chain(&self.recheck).map(|doubt| doubt.ripe).max();
        }
        // The ENOUGH-th oldest: rows are added in the order in which they were lost.
        self.open.get(ENOUGH - 1).map(|doubt| doubt.ripe)
    }

    /// The ids that a list begun at `now` may judge.
    #[must_use]
    pub fn wanted(&self, now: Duration) -> HashSet<String> {
        self.open
            .iter()
            .chain(&self.recheck)
            .filter(|doubt| doubt.ripe <= now)
            .map(|doubt| doubt.work.registrant.id.as_str().to_owned())
            .collect()
    }

    /// Judges by a whole list begun at `begun`; `seen` counts how often each wanted id stood in it.
    /// Rows that were too young then stay in doubt.
    pub fn judge(&mut self, begun: Duration, seen: &HashMap<String, u32>) -> Vec<Finding> {
        let ripe = |doubt: &Doubt| doubt.ripe <= begun;
        let times = |work: &Work| seen.get(work.registrant.id.as_str()).copied().unwrap_or(0);
        let (judged, young) = std::mem::take(&mut self.open).into_iter().partition(ripe);
        self.open = young;
        let (checked, young): (Vec<Doubt>, _) =
            std::mem::take(&mut self.recheck).into_iter().partition(ripe);
        self.recheck = young;
        let judged: Vec<Doubt> = judged;
        let mut findings: Vec<Finding> = judged
            .into_iter()
            .map(|doubt| match times(&doubt.work) {
                0 => Finding::Absent(doubt.work),
                _ => Finding::Present(doubt.work),
            })
            .collect();
        for doubt in checked {
            if times(&doubt.work) > 1 {
                findings.push(Finding::Twice(doubt.work));
            }
        }
        findings
    }

    /// No list could be had: whatever is open stays in doubt.
    pub fn give_up(&mut self) {
        self.given_up += self.open.len() as u64;
        self.open.clear();
        self.recheck.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registrant::{Fields, Mode, Registrant, Rule};

    const S: Duration = Duration::from_secs(1);

    fn work(id: &str, lost: u32) -> Work {
        let fields = Fields { id: Some(id), ..Fields::default() };
        let registrant = Registrant::parse(&fields, &Rule::Meeting(Mode::Everyone)).expect("valid");
        Work { lost, ..Work::new(registrant, String::new(), 2) }
    }

    fn seen(ids: &[(&str, u32)]) -> HashMap<String, u32> {
        ids.iter().map(|&(id, n)| (id.to_owned(), n)).collect()
    }

    fn told(findings: Vec<Finding>) -> Vec<String> {
        findings
            .into_iter()
            .map(|finding| match finding {
                Finding::Absent(w) => format!("absent {}", w.registrant.id.as_str()),
                Finding::Present(w) => format!("present {}", w.registrant.id.as_str()),
                Finding::Twice(w) => format!("twice {}", w.registrant.id.as_str()),
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
        assert_eq!(told(doubts.judge(S * 12, &seen(&[("b", 1)]))), ["absent a"]);
        assert_eq!(doubts.open(), 1, "b was too young for that list");
        assert_eq!(told(doubts.judge(S * 15, &seen(&[("b", 1)]))), ["present b"]);
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
        assert_eq!(told(doubts.judge(S * 2, &seen(&[("a", 2), ("b", 1)]))), ["twice a"]);
        assert!(doubts.is_settled());
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
}
