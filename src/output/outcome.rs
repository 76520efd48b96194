//! Where each row ends: a pure function of the row, what the ledger holds of it, and the run.

use std::borrow::Cow;

use serde::Serialize;

use super::rejects::{Rejected, faults_in_words};
use crate::{
    input::RowCheck,
    job::identity::IdentityMismatch,
    ledger::{Entry, State, changed_fields, sent_digest},
    registrant::{Details, JoinLink, Registrant},
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
    /// The accounting identity (contract, section 5).
    #[must_use]
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

/// Where a row ends: pure. `answers_known`: whether a webinar's answers were read by its form; else
/// they cannot be held against those that were sent. `stranger`: whether the row tells somebody else
/// than the ledger has enrolled with its id.
#[must_use]
pub fn outcome<'a>(
    sifted: &'a RowCheck,
    entry: Option<&'a Entry>,
    run: i64,
    stopped: Option<&'a (&'static str, String)>,
    answers_known: bool,
    stranger: Option<IdentityMismatch>,
) -> Outcome<'a> {
    let registrant = match sifted {
        RowCheck::Excluded => return Outcome::Excluded,
        RowCheck::Invalid(faults) => {
            let (code, reason) = faults_in_words(faults);
            let (code, reason) = (code.into(), reason.into());
            return Outcome::Rejected { kind: Rejected::Invalid, code, reason };
        }
        RowCheck::Valid { registrant, .. } => registrant,
    };
    let rejected = |kind, code: &'a str, reason: &'a str| Outcome::Rejected {
        kind,
        code: code.into(),
        reason: reason.into(),
    };
    let not_attempted = || match stopped {
        Some((word, sentence)) => rejected(Rejected::NotAttempted, word, sentence),
        None => rejected(Rejected::NotAttempted, "not-attempted", "no run has sent it yet"),
    };
    let Some(entry) = entry else { return not_attempted() };
    let told = |kind, entry: &'a Entry, code: &'a str, reason: &'a str| {
        rejected(
            kind,
            entry.code.as_deref().unwrap_or(code),
            entry.reason.as_deref().unwrap_or(reason),
        )
    };
    match entry.state {
        State::Enrolled => enrolled(registrant, entry, run, answers_known, stranger),
        State::Ready => not_attempted(),
        State::Refused => told(Rejected::Refused, entry, "refused", "the server refused it"),
        State::Foreign => told(
            Rejected::Refused,
            entry,
            "exists-on-server",
            "the target holds a registrant with this id that this ledger never sent, and gives no link of it; if nobody uses it, remove it there and run again",
        ),
        State::Awaiting => told(Rejected::Awaiting, entry, "awaiting", "no link yet"),
        State::Sending | State::Unknown | State::Removing => told(
            Rejected::Unknown,
            entry,
            "no-answer",
            "the result of the POST was never learnt; the next run looks it up",
        ),
    }
}

fn enrolled<'a>(
    registrant: &Registrant,
    entry: &'a Entry,
    run: i64,
    answers_known: bool,
    stranger: Option<IdentityMismatch>,
) -> Outcome<'a> {
    let sent = sent_digest(registrant);
    let mut changed = changed_fields(&entry.sent, &sent);
    changed.retain(|name| answers_known || !name.starts_with("answer:"));
    if !changed.is_empty() {
        // Under another id a webinar's row would meet its own address.
        let attendee = matches!(registrant.details, Details::Webinar(_));
        let or = if attendee && !changed.contains(&"email") { "" } else { ", or another id" };
        return Outcome::Rejected {
            kind: Rejected::Refused,
            code: "changed-since-enrolled".into(),
            reason: format!(
                "{} changed since this id was enrolled; nobody is enrolled twice, so give the row its former value{or}",
                changed.join(" and ")
            )
            .into(),
        };
    }
    if let Some(stranger) = stranger {
        return Outcome::Rejected {
            kind: Rejected::Refused,
            code: "changed-since-enrolled".into(),
            reason: told_of(stranger).into(),
        };
    }
    match &entry.link {
        Some(link) => Outcome::Enrolled {
            already: entry.run != run,
            link,
            registrant_id: entry.registrant_id.as_deref(),
        },
        None => Outcome::Rejected {
            kind: Rejected::Unknown,
            code: "no-link".into(),
            reason: "the ledger holds no link of it".into(),
        },
    }
}

/// What is said of a row whose id was enrolled for somebody else.
fn told_of(stranger: IdentityMismatch) -> &'static str {
    match stranger {
        IdentityMismatch::BothDiffer => {
            "this id was enrolled for somebody with another name and another e-mail address, so its link may be somebody else's; give this row an id of its own, or, if it is the same person, run once with --trust-ids"
        }
        IdentityMismatch::Moved => {
            "this id was enrolled for somebody else: by name and e-mail address this person was enrolled under another id, or the former one has another id now; give this row its own id again, or, if it is the same person, run once with --trust-ids"
        }
        IdentityMismatch::MostDiffer => {
            "this id was enrolled for another name or e-mail address, as most ids of this list were, so its link may be somebody else's; give this row an id of its own, or, if it is the same person, run once with --trust-ids"
        }
    }
}
