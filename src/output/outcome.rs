//! Where each row ends: a pure function of its decision, what the ledger holds of it, and the run.

use std::borrow::Cow;

use serde::Serialize;

use crate::{
    job::decision::{Action, IdentityMismatch, Refused},
    ledger::{Entry, State},
    registrant::{Fault, JoinLink, Rule},
};

/// Where a row ends. Every row ends in exactly one.
#[derive(Clone, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// In the enrolled file.
    Enrolled {
        /// In an earlier run.
        already: bool,
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

    pub(super) fn count(&mut self, outcome: &Outcome<'_>) {
        match outcome {
            Outcome::Enrolled { already, .. } => {
                self.enrolled += 1;
                self.already += u64::from(*already);
            }
            Outcome::Excluded => self.excluded += 1,
            Outcome::Rejected { kind, .. } => match kind {
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
    /// Its number.
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
) -> Outcome<'a> {
    match action {
        Action::Excluded => return Outcome::Excluded,
        Action::Invalid(_) => {
            let (code, reason) = faults_in_words(faults);
            let (code, reason) = (code.into(), reason.into());
            return Outcome::Rejected { kind: Rejected::Invalid, code, reason };
        }
        _ => {}
    }
    let rejected = |kind, code: &'a str, reason: &'a str| Outcome::Rejected {
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
            Some(link) => Outcome::Enrolled {
                already: entry.run != run.number,
                link,
                registrant_id: entry.registrant_id.as_deref(),
            },
            None => rejected(Rejected::Unknown, "no-link", "the ledger holds no link of it"),
        },
        (State::Ready, _) => not_attempted(),
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

fn has_changed<'a>(changed: &[String], rule: &Rule) -> Outcome<'a> {
    // Under another id a webinar's row would meet its own address.
    let own_address =
        matches!(rule, Rule::Webinar(_)) && !changed.iter().any(|name| name == "email");
    let or = if own_address { "" } else { ", or another id" };
    Outcome::Rejected {
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
