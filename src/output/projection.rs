//! The files as a projection: input × ledger → enrolled file and rejects file, row by row.

use std::{borrow::Cow, path::Path};

use super::{
    atomic::{AtomicFile, FileError},
    cells,
    reasons::Reasons,
    rejects::{Rejected, Rejects, faults_in_words},
};
use crate::{
    input::{ENROLLED_COLUMNS, InputError, Sieve, Sifted, Snapshot, sift_all},
    ledger::{Entry, Ledger, LedgerError, State, changed_fields, sent_digest},
    registrant::{Details, JoinLink, Registrant, Rule},
};

/// Where a row ends. Every row ends in exactly one.
#[derive(Clone, PartialEq, Eq)]
pub enum Outcome {
    /// In the enrolled file.
    Enrolled {
        /// In an earlier run.
        already: bool,
        /// The person's link.
        link: JoinLink,
        /// The server's own id of the registrant.
        registrant_id: Option<String>,
    },
    /// In the rejects file.
    Rejected {
        /// Whose word it is.
        kind: Rejected,
        /// A code from the documented list, or Graph's.
        code: String,
        /// In words.
        reason: String,
    },
    /// Left out by a filter; only counted.
    Excluded,
}

/// How many rows ended where. `already` is a part of `enrolled`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

    fn count(&mut self, outcome: &Outcome) {
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

/// Why there are no files.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// The copy of the input.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
}

/// What the files are made of.
pub struct Projection<'a> {
    /// The input.
    pub input: &'a Snapshot,
    /// The rule; where the target's was never learnt, the best guess.
    pub rule: Rule,
    /// The ledger.
    pub ledger: &'a Ledger,
    /// Why rows were not attempted: the stop's word and sentence.
    pub stopped: Option<(&'static str, String)>,
    /// Make cells safe for spreadsheets.
    pub formula_safe: bool,
}

impl Projection<'_> {
    /// Writes both files; counts the rows, and the reasons of those that are not enrolled. Neither
    /// file is touched unless both could be written to their end.
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub fn write(
        &self,
        enrolled: &Path,
        rejects: &Path,
    ) -> Result<(Counts, Reasons), ProjectionError> {
        let mut enrolled = AtomicFile::create(enrolled, "--output")?;
        let mut rejects = Rejects::begin(rejects, self.input.header(), self.formula_safe)?;
        let kept = self.input.kept_names();
        let header = ENROLLED_COLUMNS.into_iter().chain(kept.iter().map(String::as_str));
        enrolled.write(&cells::line(header, b',', "\n"))?;
        let mut enrolled = EnrolledRows::begin(enrolled, self.formula_safe);
        let run = self.ledger.run()?;
        let (mut counts, mut reasons) = (Counts::default(), Reasons::default());
        let mut held = self.ledger.look_ups()?;
        let mut sieve = Sieve::over(self.rule.clone(), self.input, |id| {
            held.holds(id).map_err(ProjectionError::from)
        })?;
        drop(held);
        let mut rows = self.input.rows()?;
        let mut look_ups = self.ledger.look_ups()?;
        sift_all(&mut rows, &mut sieve, |row, sifted| -> Result<(), ProjectionError> {
            let entry = match &sifted {
                Sifted::Valid { registrant, .. } => look_ups.find(&registrant.id)?,
                _ => None,
            };
            let outcome =
                outcome(&sifted, entry, run, self.stopped.as_ref(), self.rule.knows_answers());
            counts.read += 1;
            counts.count(&outcome);
            match &outcome {
                Outcome::Enrolled { already, link, registrant_id } => {
                    let id = match &sifted {
                        Sifted::Valid { registrant, .. } => registrant.id.as_str(),
                        _ => "",
                    };
                    let status = if *already { "already" } else { "enrolled" };
                    let own = registrant_id.as_deref().unwrap_or_default();
                    let cells = [id, link.expose(), own, status];
                    enrolled.row(cells.into_iter().chain(row.kept()))?;
                }
                Outcome::Rejected { kind, code, reason } => {
                    reasons.count(*kind, code, row.line());
                    rejects.row(row, *kind, code, reason)?;
                }
                Outcome::Excluded => {}
            }
            Ok(())
        })?;
        rejects.commit()?;
        enrolled.commit()?;
        Ok((counts, reasons))
    }
}

/// The rows of the enrolled file. One writer for all of them: each costs more to make than a row.
struct EnrolledRows {
    writer: csv::Writer<AtomicFile>,
    formula_safe: bool,
}

impl EnrolledRows {
    /// Goes on in a file that has its header.
    fn begin(file: AtomicFile, formula_safe: bool) -> Self {
        let mut builder = csv::WriterBuilder::new();
        builder.buffer_capacity(1 << 16).flexible(true);
        Self { writer: builder.from_writer(file), formula_safe }
    }

    fn row<'a>(&mut self, cells: impl Iterator<Item = &'a str>) -> Result<(), FileError> {
        let written = if self.formula_safe {
            self.writer.write_record(cells.map(cells::safe).map(Cow::into_owned))
        } else {
            self.writer.write_record(cells)
        };
        written.map_err(|error| self.writer.get_ref().failed(error.into()))
    }

    fn commit(self) -> Result<(), FileError> {
        let path = self.writer.get_ref().path().to_owned();
        match self.writer.into_inner() {
            Ok(file) => file.commit().map(drop),
            Err(error) => Err(FileError::Write { path, source: error.into_error() }),
        }
    }
}

/// Where a row ends: pure. `answers_known`: whether a webinar's answers were read by its form; else
/// they cannot be held against those that were sent.
#[must_use]
pub fn outcome(
    sifted: &Sifted,
    entry: Option<Entry>,
    run: i64,
    stopped: Option<&(&'static str, String)>,
    answers_known: bool,
) -> Outcome {
    let registrant = match sifted {
        Sifted::Excluded => return Outcome::Excluded,
        Sifted::Invalid(faults) => {
            let (code, reason) = faults_in_words(faults);
            return Outcome::Rejected { kind: Rejected::Invalid, code, reason };
        }
        Sifted::Valid { registrant, .. } => registrant,
    };
    let rejected = |kind, code: &str, reason: &str| Outcome::Rejected {
        kind,
        code: code.to_owned(),
        reason: reason.to_owned(),
    };
    let not_attempted = || match stopped {
        Some((word, sentence)) => rejected(Rejected::NotAttempted, word, sentence),
        None => rejected(Rejected::NotAttempted, "not-attempted", "no run has sent it yet"),
    };
    let Some(entry) = entry else { return not_attempted() };
    let told = |kind, entry: &Entry, code: &str, reason: &str| {
        rejected(
            kind,
            entry.code.as_deref().unwrap_or(code),
            entry.reason.as_deref().unwrap_or(reason),
        )
    };
    match entry.state {
        State::Enrolled => enrolled(registrant, entry, run, answers_known),
        State::Ready => not_attempted(),
        State::Refused => told(Rejected::Refused, &entry, "refused", "the server refused it"),
        State::Foreign => told(
            Rejected::Refused,
            &entry,
            "exists-on-server",
            "the target holds a registrant with this id that this ledger never sent, and gives no link of it; if nobody uses it, remove it there and run again",
        ),
        State::Awaiting => told(Rejected::Awaiting, &entry, "awaiting", "no link yet"),
        State::Sending | State::Unknown | State::Removing => told(
            Rejected::Unknown,
            &entry,
            "no-answer",
            "the result of the POST was never learnt; the next run looks it up",
        ),
    }
}

fn enrolled(registrant: &Registrant, entry: Entry, run: i64, answers_known: bool) -> Outcome {
    let sent = sent_digest(registrant);
    let mut changed = changed_fields(&entry.sent, &sent);
    changed.retain(|name| answers_known || !name.starts_with("answer:"));
    if !changed.is_empty() {
        // Under another id a webinar's row would meet its own address.
        let attendee = matches!(registrant.details, Details::Webinar(_));
        let or = if attendee && !changed.contains(&"email") { "" } else { ", or another id" };
        return Outcome::Rejected {
            kind: Rejected::Refused,
            code: "changed-since-enrolled".to_owned(),
            reason: format!(
                "{} changed since this id was enrolled; nobody is enrolled twice, so give the row its former value{or}",
                changed.join(" and ")
            ),
        };
    }
    match entry.link {
        Some(link) => Outcome::Enrolled {
            already: entry.run != run,
            link,
            registrant_id: entry.registrant_id,
        },
        None => Outcome::Rejected {
            kind: Rejected::Unknown,
            code: "no-link".to_owned(),
            reason: "the ledger holds no link of it".to_owned(),
        },
    }
}
