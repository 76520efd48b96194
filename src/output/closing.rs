//! The end of a run for people: what happened, why, where the files are, what to do next.
//!
//! Fits 80 columns, paths aside. Codes and line numbers only: a sentence may quote a cell, and this
//! text ends up in a scheduler's mail.

use std::{
    fmt::{self, Display, Formatter},
    path::Path,
};

use super::{
    outcome::{Counts, Reasons},
    summary::{Cancellations, Summary, seconds},
    words::grouped,
};

/// So many reasons are shown; the rejects file holds all.
const REASONS: usize = 5;

/// What is told at the end.
pub struct Closing<'a> {
    /// The numbers.
    pub summary: &'a Summary,
    pub reasons: &'a Reasons,
    /// The report, where one was asked for.
    pub report: Option<&'a Path>,
    /// Whether nothing of it was real: there is nothing to run again then.
    pub rehearsal: bool,
}

impl Display for Closing<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.what_happened(f)?;
        self.why(f)?;
        self.where_it_is(f)?;
        for (nth, sentence) in self.next().iter().enumerate() {
            let name = if nth == 0 { "next" } else { "" };
            for (line, text) in folded(sentence, 80 - 10).iter().enumerate() {
                writeln!(f, "{:<9} {text}", if line == 0 { name } else { "" })?;
            }
        }
        Ok(())
    }
}

impl Closing<'_> {
    fn what_happened(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Counts { read, enrolled, already, invalid, refused, unknown, .. } = self.summary.counts;
        let Counts { awaiting, not_attempted, excluded, .. } = self.summary.counts;
        let elapsed_seconds = self.summary.elapsed_seconds;
        let rows = if read == 1 { "row" } else { "rows" };
        writeln!(f, "{} {rows} read in {}:\n", grouped(read), seconds(elapsed_seconds))?;
        let earlier = match already {
            0 => String::new(),
            _ if already == enrolled => "all of them before this run".to_owned(),
            _ => format!("{} of them before this run", grouped(already)),
        };
        let counts = [
            (enrolled, "enrolled", earlier.as_str()),
            (invalid, "invalid", "the file's fault"),
            (refused, "refused", "each has its reason"),
            (unknown, "unknown", "perhaps on the server, no link held"),
            (awaiting, "awaiting", "on the server, no link yet"),
            (not_attempted, "not attempted", "the run did not get to them"),
            (excluded, "excluded", "left out by filters"),
        ];
        for (number, name, note) in counts.into_iter().filter(|(number, ..)| *number > 0) {
            let line = format!("{:>9}  {name:<13}  {note}", grouped(number));
            writeln!(f, "{}", line.trim_end())?;
        }
        let Cancellations { tally, held, .. } = &self.summary.cancellations;
        let people = [
            (tally.cancelled, "cancelled", "their links lead nowhere now"),
            (*held, "held", "cancellations that wait for you"),
            (tally.refused, "not cancelled", "the server refused it"),
            (tally.unknown, "in doubt", "whether they are cancelled: the next run looks"),
        ];
        let told = people.into_iter().filter(|(number, ..)| *number > 0);
        for (nth, (number, name, note)) in told.enumerate() {
            let above = if nth == 0 { "\n" } else { "" };
            writeln!(f, "{above}{:>9}  {name:<13}  {note}", grouped(number))?;
        }
        let beside = beside_rows(&self.summary.counts);
        if !beside.is_empty() {
            writeln!(f)?;
        }
        for sentence in beside {
            writeln!(f, "{sentence}")?;
        }
        writeln!(f)
    }

    fn why(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.reasons.is_empty() {
            return Ok(());
        }
        writeln!(f, "{:>9}  {:<22} {:<13} example lines", "rows", "reason", "outcome")?;
        for reason in self.reasons.commonest(REASONS) {
            writeln!(
                f,
                "{:>9}  {:<22} {:<13} {}",
                grouped(reason.count),
                reason.code,
                reason.kind.words(),
                reason.examples()
            )?;
        }
        let further = self.reasons.len().saturating_sub(REASONS);
        if further > 0 {
            writeln!(f, "{:>9}  and {further} more in the rejects file", "")?;
        }
        writeln!(f)
    }

    fn where_it_is(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let files = &self.summary.files;
        let places = [
            ("enrolled", files.enrolled.as_deref()),
            ("kept", files.kept.as_deref()),
            ("rejects", files.rejects.as_deref()),
            ("ledger", files.ledger.as_deref()),
            ("report", self.report),
        ];
        for (name, path) in places {
            if let Some(path) = path {
                writeln!(f, "{name:<9} {}", path.display())?;
            }
        }
        Ok(())
    }

    /// What to do next, a sentence each.
    pub fn next(&self) -> Vec<String> {
        let Counts { invalid, refused, unknown, awaiting, not_attempted, .. } = self.summary.counts;
        let exit_code = self.summary.exit_code;
        let mut next = Vec::new();
        let to_mend = invalid + refused;
        if self.rehearsal {
            if invalid > 0 {
                next.push(format!("mend {} before the real import", rows(invalid)));
            }
            return next;
        }
        if to_mend > 0 {
            next.push(format!(
                "mend {} in the rejects file and run it as it is: `_reason` says why, and nobody \
                 is enrolled twice",
                rows(to_mend)
            ));
        }
        let Cancellations { held, why_held, file, .. } = &self.summary.cancellations;
        if let Some(file) = file {
            let file = file.display();
            let wait = if *held == 1 { "cancellation waits" } else { "cancellations wait" };
            next.push(format!(
                "{} {wait} for you: {why_held}; look at {file}, then run with --approve {file}",
                grouped(*held)
            ));
        }
        let waiting = unknown + awaiting;
        match exit_code {
            0 => next.push("nothing: everybody is enrolled".to_owned()),
            5 | 130 | 143 => {
                next.push(format!(
                    "run the same command again{}",
                    goes_on(not_attempted + waiting)
                ));
            }
            6 => next.push(format!(
                "mend the cause above, then run the same command again{}",
                goes_on(not_attempted + waiting)
            )),
            _ if waiting > 0 => next.push(format!(
                "run the same command again later: it looks up {} first",
                rows(waiting)
            )),
            _ => {}
        }
        next
    }
}

/// What the counts of rows do not show, in sentences without a full stop.
pub(super) fn beside_rows(counts: &Counts) -> Vec<String> {
    let changed = match counts.changed {
        0 => None,
        1 => Some("1 person's details differ from what Teams has; the link stays".to_owned()),
        many => Some(format!(
            "{} people's details differ from what Teams has; their links stay",
            grouped(many)
        )),
    };
    let missing = match counts.missing {
        0 => None,
        1 => Some("1 person is no longer in the list, and still registered".to_owned()),
        many => Some(format!(
            "{} people are no longer in the list, and still registered",
            grouped(many)
        )),
    };
    changed.into_iter().chain(missing).collect()
}

/// What the next run has to do, where it has anything to do.
fn goes_on(left: u64) -> String {
    if left == 0 { String::new() } else { format!(": it goes on with {}", rows(left)) }
}

fn rows(number: u64) -> String {
    if number == 1 { "the row".to_owned() } else { format!("the {} rows", grouped(number)) }
}

/// The words in lines of at most `width` characters; a longer word has a line of its own.
fn folded(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use insta::assert_snapshot;

    use super::*;
    use crate::{
        job::{client::Traffic, stop::Stop},
        output::{Counts, Files, Rejected, TargetName},
    };

    fn summary(counts: &Counts, stop: Option<&Stop>) -> Summary {
        let target = TargetName { kind: "meeting", id: "M".to_owned(), organizer: None };
        let files = Files {
            enrolled: Some("a.enrolled.csv".into()),
            rejects: Some("a.rejects.csv".into()),
            ledger: Some("a.ledger".into()),
            kept: None,
        };
        let elapsed = Duration::from_millis(754_300);
        Summary::new(target, Some("everyone"), counts, Traffic::default(), elapsed, stop, files)
    }

    fn told(summary: &Summary, reasons: &Reasons) -> String {
        let text = Closing { summary, reasons, report: None, rehearsal: false }.to_string();
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
            assert_eq!(line, line.trim_end());
        }
        text
    }

    #[test]
    fn everybody_is_enrolled() {
        let counts = Counts { read: 2_000, enrolled: 2_000, already: 12, ..Counts::default() };
        assert_snapshot!(told(&summary(&counts, None), &Reasons::default()), @r"
        2,000 rows read in 12 min 34 s:

            2,000  enrolled       12 of them before this run

        enrolled  a.enrolled.csv
        rejects   a.rejects.csv
        ledger    a.ledger
        next      nothing: everybody is enrolled
        ");
    }

    #[test]
    fn every_outcome_has_its_reason_and_its_next_step() {
        let mut reasons = Reasons::default();
        let mut count = |kind, code: &str, rows: u64| {
            for line in 0..rows {
                reasons.count(kind, code, 1_000_002 + line);
            }
        };
        count(Rejected::Invalid, "missing-id", 10);
        count(Rejected::Invalid, "spreadsheet-id", 1);
        count(Rejected::Refused, "changed-since-enrolled", 3);
        count(Rejected::Refused, "exists-on-server", 2);
        count(Rejected::Unknown, "connection-lost", 7);
        count(Rejected::NotAttempted, "interrupted", 88);
        let counts = Counts {
            read: 2_115,
            enrolled: 2_000,
            invalid: 11,
            refused: 5,
            unknown: 7,
            not_attempted: 88,
            excluded: 4,
            ..Counts::default()
        };
        assert_snapshot!(told(&summary(&counts, Some(&Stop::Interrupted)), &reasons), @r"
        2,115 rows read in 12 min 34 s:

            2,000  enrolled
               11  invalid        the file's fault
                5  refused        each has its reason
                7  unknown        perhaps on the server, no link held
               88  not attempted  the run did not get to them
                4  excluded       left out by filters

             rows  reason                 outcome       example lines
               88  interrupted            not attempted 1000002, 1000003, 1000004, …
               10  missing-id             invalid       1000002, 1000003, 1000004, …
                7  connection-lost        unknown       1000002, 1000003, 1000004, …
                3  changed-since-enrolled refused       1000002, 1000003, 1000004
                2  exists-on-server       refused       1000002, 1000003
                   and 1 more in the rejects file

        enrolled  a.enrolled.csv
        rejects   a.rejects.csv
        ledger    a.ledger
        next      mend the 16 rows in the rejects file and run it as it is: `_reason`
                  says why, and nobody is enrolled twice
                  run the same command again: it goes on with the 95 rows
        ");
    }
}
