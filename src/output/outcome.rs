//! Where each row ends: a pure function of its decision, what the ledger holds of it, and the run;
//! and the counts of it: rows by outcome, and why rows are not enrolled.
//!
//! What is kept of the reasons does not grow with the input. Codes only, no sentences: a sentence may
//! quote a cell, and these counts go to terminals, reports and mails.

use std::borrow::Cow;

use serde::Serialize;

use crate::{
    job::decision::{Action, IdentityMismatch, Refused},
    ledger::{Entry, State},
    registrant::{Fault, JoinLink, Rule},
};

/// Where a row ends. Every row ends in exactly one.
#[derive(Clone, PartialEq, Eq)]
pub enum RowOutcome<'a> {
    /// In the enrolled file.
    Enrolled {
        /// In an earlier run.
        already: bool,
        /// The person's details differ from what the target has.
        otherwise: bool,
        /// The person's link.
        link: &'a JoinLink,
        /// The server's own id of the registrant.
        registrant_id: Option<&'a str>,
    },
    /// In the rejects file.
    Rejected {
        /// Whose word it is.
        kind: Rejected,
        /// A code from the documented list, or Graph's.
        code: Cow<'a, str>,
        /// In words.
        reason: Cow<'a, str>,
    },
    /// Left out by a filter; only counted.
    Excluded,
}

/// `_outcome` of a rejects file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// The file's fault.
    Invalid,
    /// The server's word.
    Refused,
    /// Sent, and the result was never learnt.
    Unknown,
    /// On the server, no link yet.
    Awaiting,
    /// The run stopped early.
    NotAttempted,
}

impl Rejected {
    /// The word in the file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
            Self::Awaiting => "awaiting",
            Self::NotAttempted => "not-attempted",
        }
    }

    /// The word for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::NotAttempted => "not attempted",
            _ => self.word(),
        }
    }
}

/// How many rows ended where. `already` is a part of `enrolled`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Rows read.
    pub read: u64,
    /// Rows in the enrolled file.
    pub enrolled: u64,
    /// Of these, enrolled in an earlier run.
    pub already: u64,
    /// Of these, people whose details differ from what the target has.
    pub changed: u64,
    /// Rows with faults of the file.
    pub invalid: u64,
    /// Rows that the server refused.
    pub refused: u64,
    /// Rows whose result was never learnt.
    pub unknown: u64,
    /// Rows that wait for a link.
    pub awaiting: u64,
    /// Rows that the run did not get to.
    pub not_attempted: u64,
    /// Rows that a filter left out.
    pub excluded: u64,
    /// People whom this ledger enrolled and no row names: no rows.
    pub missing: u64,
}

impl Counts {
    /// The accounting identity (README, *The two files*).
    pub fn add_up(&self) -> bool {
        self.read
            == self.enrolled
                + self.invalid
                + self.refused
                + self.unknown
                + self.awaiting
                + self.not_attempted
                + self.excluded
    }

    pub(super) fn count(&mut self, outcome: &RowOutcome<'_>) {
        match outcome {
            RowOutcome::Enrolled { already, otherwise, .. } => {
                self.enrolled += 1;
                self.changed += u64::from(*otherwise);
                self.already += u64::from(*already);
            }
            RowOutcome::Excluded => self.excluded += 1,
            RowOutcome::Rejected { kind, .. } => match kind {
                Rejected::Invalid => self.invalid += 1,
                Rejected::Refused => self.refused += 1,
                Rejected::Unknown => self.unknown += 1,
                Rejected::Awaiting => self.awaiting += 1,
                Rejected::NotAttempted => self.not_attempted += 1,
            },
        }
    }
}

/// What outcomes depend on beside the rows.
pub(super) struct RunSoFar<'a> {
    pub(super) number: i64,
    /// Why rows were not attempted: the stop's word and sentence.
    pub(super) stopped: Option<&'a (&'static str, String)>,
    /// The rule that rows were held against.
    pub(super) rule: &'a Rule,
}

/// Where a row ends. `faults` are an invalid row's; `changed` the fields in which it differs from
/// what was sent of it.
pub(super) fn outcome<'a>(
    action: Action,
    faults: &[Fault],
    changed: &[String],
    entry: Option<&'a Entry>,
    run: &RunSoFar<'a>,
) -> RowOutcome<'a> {
    match action {
        Action::Excluded => return RowOutcome::Excluded,
        Action::Invalid(_) => {
            let (code, reason) = faults_in_words(faults);
            let (code, reason) = (code.into(), reason.into());
            return RowOutcome::Rejected { kind: Rejected::Invalid, code, reason };
        }
        _ => {}
    }
    let rejected = |kind, code: &'a str, reason: &'a str| RowOutcome::Rejected {
        kind,
        code: code.into(),
        reason: reason.into(),
    };
    let not_attempted = || match run.stopped {
        Some((word, sentence)) => rejected(Rejected::NotAttempted, word, sentence),
        None => rejected(Rejected::NotAttempted, "not-attempted", "no run has sent it yet"),
    };
    let Some(entry) = entry else { return not_attempted() };
    let told = |kind, code: &'a str, reason: &'a str| {
        let code = entry.code.as_deref().unwrap_or(code);
        rejected(kind, code, entry.reason.as_deref().unwrap_or(reason))
    };
    match (entry.state, action) {
        (State::Enrolled, _) if !changed.is_empty() => has_changed(changed, run.rule),
        (State::Enrolled, Action::Refuse(Refused::OtherPerson(mismatch))) => {
            rejected(Rejected::Refused, "changed-since-enrolled", told_of(mismatch))
        }
        (State::Enrolled, _) => match &entry.link {
            Some(link) => RowOutcome::Enrolled {
                already: entry.run != run.number,
                otherwise: action == Action::AlreadyOtherwise,
                link,
                registrant_id: entry.registrant_id.as_deref(),
            },
            None => rejected(Rejected::Unknown, "no-link", "the ledger holds no link of it"),
        },
        // Another registration stands, and the run did not get to its link.
        (State::Ready, _) | (State::Gone, Action::Adopt | Action::FetchLink) => not_attempted(),
        (State::Gone, _) => told(
            Rejected::Refused,
            "removed-on-server",
            "its registration came to its end on the server",
        ),
        (State::Refused, _) => told(Rejected::Refused, "refused", "the server refused it"),
        (State::Foreign, _) => told(
            Rejected::Refused,
            "exists-on-server",
            "the target holds a registrant with this id that this ledger never sent, and gives no link of it; if nobody uses it, remove it there and run again",
        ),
        (State::Awaiting, _) => told(Rejected::Awaiting, "awaiting", "no link yet"),
        (State::Sending | State::Unknown | State::Removing, _) => told(
            Rejected::Unknown,
            "no-answer",
            "the result of the POST was never learnt; the next run looks it up",
        ),
    }
}

fn has_changed<'a>(changed: &[String], rule: &Rule) -> RowOutcome<'a> {
    // Under another id a webinar's row would meet its own address.
    let own_address = matches!(rule, Rule::Event(_)) && !changed.iter().any(|name| name == "email");
    let or = if own_address { "" } else { ", or another id" };
    RowOutcome::Rejected {
        kind: Rejected::Refused,
        code: "changed-since-enrolled".into(),
        reason: format!(
            "{} changed since this id was enrolled; nobody is enrolled twice, so give the row its former value{or}",
            changed.join(" and ")
        )
        .into(),
    }
}

/// What is said of a row whose id was enrolled for somebody else.
fn told_of(mismatch: IdentityMismatch) -> &'static str {
    match mismatch {
        IdentityMismatch::BothDiffer => {
            "this id was enrolled for somebody with another name and another e-mail address, so its link may be somebody else's; give this row an id of its own, or, if it is the same person, run once with --trust-ids"
        }
        IdentityMismatch::Moved => {
            "this id was enrolled for somebody else: by name and e-mail address this person was enrolled under another id, or the former one has another id now; give this row its own id again, or, if it is the same person, run once with --trust-ids"
        }
        IdentityMismatch::OneDiffers => {
            "this id was enrolled for another name or e-mail address, and the list tells nothing else of the person, so its link may be somebody else's; give this row an id of its own, or, if it is the same person, run once with --trust-ids"
        }
    }
}

/// `_code` is the first fault's; `_reason` tells every fault, each with its code.
pub(super) fn faults_in_words(faults: &[Fault]) -> (String, String) {
    let code = faults.first().map_or("invalid", |fault| fault.code.as_str());
    let reason: Vec<String> =
        faults.iter().map(|fault| format!("{}: {}", fault.code, fault.sentence)).collect();
    (code.to_owned(), reason.join("; "))
}

/// So many lines are kept of each reason: enough to look one up, and to see a pattern.
const EXAMPLE_LINES: usize = 3;

/// So many different reasons are told apart. The documented list is shorter; a server that invents
/// a code for every row must not fill the memory.
const MOST_REASONS: usize = 64;

/// The code under which every further reason is counted.
const FURTHER: &str = "others";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Whose word it is.
    pub kind: Rejected,
    /// The code, as in the rejects file.
    pub code: String,
    /// How many rows.
    pub count: u64,
    /// The first of their lines in the input.
    pub lines: Vec<u64>,
}

impl Reason {
    /// Some of its lines: "17" or "4, 9, 17, …".
    pub fn examples(&self) -> String {
        let lines: Vec<String> = self.lines.iter().map(u64::to_string).collect();
        let more = if self.count > self.lines.len() as u64 { ", …" } else { "" };
        lines.join(", ") + more
    }
}

/// Every reason of a projection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reasons(Vec<Reason>);

impl Reasons {
    /// Counts the row of this line.
    pub fn count(&mut self, kind: Rejected, code: &str, line: u64) {
        let full = self.0.len() >= MOST_REASONS;
        let found = self.0.iter().position(|reason| reason.kind == kind && reason.code == code);
        let place = found.or_else(|| {
            let code = if full { FURTHER } else { code };
            let at = self.0.iter().position(|reason| reason.kind == kind && reason.code == code);
            at.or_else(|| {
                self.0.push(Reason { kind, code: code.to_owned(), count: 0, lines: Vec::new() });
                Some(self.0.len() - 1)
            })
        });
        if let Some(reason) = place.and_then(|at| self.0.get_mut(at)) {
            reason.count += 1;
            if reason.lines.len() < EXAMPLE_LINES {
                reason.lines.push(line);
            }
        }
    }

    /// The commonest first, at most so many; equals in the order in which they were met.
    pub fn commonest(&self, most: usize) -> Vec<&Reason> {
        let mut reasons: Vec<&Reason> = self.0.iter().collect();
        reasons.sort_by_key(|reason| std::cmp::Reverse(reason.count));
        reasons.truncate(most);
        reasons
    }

    /// How many different reasons there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether every row is enrolled.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commonest_come_first_with_their_first_lines() {
        let mut reasons = Reasons::default();
        for line in 2..7 {
            reasons.count(Rejected::Invalid, "missing-id", line);
        }
        reasons.count(Rejected::Refused, "exists-on-server", 9);
        for line in 10..13 {
            reasons.count(Rejected::Unknown, "no-answer", line);
        }
        let told: Vec<(&str, u64, String)> = reasons
            .commonest(2)
            .into_iter()
            .map(|reason| (reason.code.as_str(), reason.count, reason.examples()))
            .collect();
        assert_eq!(
            told,
            [("missing-id", 5, "2, 3, 4, …".to_owned()), ("no-answer", 3, "10, 11, 12".to_owned())]
        );
        assert_eq!(reasons.commonest(9)[2].examples(), "9");
    }

    #[test]
    fn a_server_that_invents_codes_fills_no_memory() {
        let mut reasons = Reasons::default();
        for line in 0..10_000 {
            reasons.count(Rejected::Refused, &format!("code-{line}"), line);
        }
        assert_eq!(reasons.len(), MOST_REASONS + 1);
        assert_eq!(reasons.commonest(1)[0].code, FURTHER);
        assert_eq!(reasons.0.iter().map(|reason| reason.count).sum::<u64>(), 10_000);
    }
}
