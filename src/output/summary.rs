//! The end of a run in numbers: for programs (`--json`), and for whatever tells them to people.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Serialize;

use super::{outcome::Counts, words::grouped};
use crate::job::{
    cancellation::Held, canceller::CancelTally, client::Traffic, conduct::Limit,
    roll_call::CancelPlan, stop::Stop,
};

/// What the exit codes say. A test holds them against the README's table.
pub const EXIT_CODES: [(u8, &str); 11] = [
    (0, "every row is enrolled, or left out by a filter"),
    (1, "a fault of the program; please report it"),
    (2, "wrong options, or an input that cannot be read; nothing was posted"),
    (3, "finished; some rows are invalid or refused: mend them in the rejects file"),
    (4, "finished; some rows are unknown or awaiting: run again later"),
    (5, "stopped early for a cause that passes, such as the network: run again"),
    (6, "stopped early, and running again will not help before the cause is mended"),
    (7, "another run holds this ledger: run again later"),
    (8, "finished, but cancellations wait for a person: decide with --approve"),
    (130, "interrupted; what was under way is finished and the files are written"),
    (143, "terminated; likewise"),
];

/// The target, named.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetName {
    /// `meeting` or `webinar`.
    pub kind: &'static str,
    pub id: String,
    /// The organizer, where one was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organizer: Option<String>,
}

/// Where the files are.
#[derive(Clone, Debug, Serialize)]
pub struct Files {
    /// The enrolled file.
    pub enrolled: Option<PathBuf>,
    /// The rejects file.
    pub rejects: Option<PathBuf>,
    pub ledger: Option<PathBuf>,
    /// Where an earlier enrolled file went whose links the ledger does not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<PathBuf>,
}

/// A run's end.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// What it ran on.
    pub target: TargetName,
    /// The target's mode; null where it was never learnt.
    pub mode: Option<&'static str>,
    /// How many rows ended where.
    #[serde(flatten)]
    pub counts: Counts,
    /// Requests of any kind.
    pub requests: u64,
    /// POSTs of registrants.
    pub posts: u64,
    /// Answers that asked to wait.
    pub throttled: u64,
    /// POSTs of a row that was posted before in this run.
    pub retries: u64,
    /// People who were cancelled.
    pub cancelled: u64,
    /// Cancellations that wait for a person.
    pub cancellations_held: u64,
    /// From start to end.
    pub elapsed_seconds: f64,
    pub exit_code: u8,
    /// Why it stopped early.
    pub stop_reason: Option<&'static str>,
    pub files: Files,
    /// What else is to be told of cancellations.
    #[serde(skip)]
    pub cancellations: Cancellations,
}

/// What became of cancellations beside those that were made.
#[derive(Clone, Debug, Default)]
pub struct Cancellations {
    /// Made.
    pub tally: CancelTally,
    /// How many wait for a person.
    pub held: u64,
    /// Why, in words.
    pub why_held: String,
    /// The file that tells of them.
    pub file: Option<PathBuf>,
}

impl Cancellations {
    /// Of a plan, once it was carried out.
    pub fn of(plan: Option<&CancelPlan>, tally: CancelTally, policy: Limit, file: &Path) -> Self {
        let Some(plan) = plan else { return Self::default() };
        let held = plan.held().count() as u64;
        let over = plan.held().filter(|(_, why)| *why == Held::Brake).count() as u64;
        let any = |wanted| plan.held().any(|(_, why)| why == wanted);
        let why_held = if over > 0 {
            let recent = match plan.recent {
                0 => String::new(),
                recent => format!(", with {recent} in the last 24 hours,"),
            };
            let of = grouped(plan.enrolled);
            format!(
                "{} of {of}{recent} are more than --max-cancel {policy}, {} people",
                grouped(over),
                plan.most
            )
        } else if any(Held::ShorterList) {
            let (now, before) = (grouped(plan.list.rows), grouped(plan.rows_before.unwrap_or(0)));
            format!("the list has {now} rows, and the last complete one had {before}")
        } else if any(Held::OtherReading) {
            "these people were last named by a list that was read with other columns, filters or preset".to_owned()
        } else {
            "these were left out when others were approved".to_owned()
        };
        Self { tally, held, why_held, file: (held > 0).then(|| file.to_owned()) }
    }
}

impl Summary {
    /// The summary of a run that read its input. The exit code is 1 when the counts do not add up,
    /// for then the program is wrong.
    pub fn new(
        target: TargetName,
        mode: Option<&'static str>,
        counts: &Counts,
        traffic: Traffic,
        elapsed: Duration,
        stop: Option<&Stop>,
        files: Files,
    ) -> Self {
        Self {
            target,
            mode,
            counts: *counts,
            requests: traffic.requests,
            posts: traffic.posts,
            throttled: traffic.throttled,
            retries: traffic.retries,
            elapsed_seconds: (elapsed.as_secs_f64() * 1_000.0).round() / 1_000.0,
            cancelled: 0,
            cancellations_held: 0,
            exit_code: exit_code(counts, stop, &Cancellations::default()),
            stop_reason: stop.map(Stop::word),
            files,
            cancellations: Cancellations::default(),
        }
    }

    /// The same with what became of cancellations.
    #[must_use]
    pub fn with(mut self, cancellations: Cancellations, stop: Option<&Stop>) -> Self {
        self.cancelled = cancellations.tally.cancelled;
        self.cancellations_held = cancellations.held;
        self.exit_code = exit_code(&self.counts, stop, &cancellations);
        self.cancellations = cancellations;
        self
    }

    /// One JSON object on one line.
    ///
    /// # Panics
    /// Never: numbers, words and paths serialise; a path that is no text is written lossily before.
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("numbers and text serialise")
    }
}

/// A duration for people.
pub(super) fn seconds(elapsed: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a run's length")]
    let whole = elapsed.round() as u64;
    match whole {
        0..=99 => format!("{elapsed:.1} s"),
        100..=5_999 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3_600, whole % 3_600 / 60),
    }
}

/// Nothing went wrong, but a person has to decide about cancellations.
const HELD_CODE: u8 = 8;

/// The exit code (README, *Exit codes*): where several of 3 to 6 apply, the highest; a signal's own
/// stands above them.
fn exit_code(counts: &Counts, stop: Option<&Stop>, cancellations: &Cancellations) -> u8 {
    if !counts.add_up() {
        return 1;
    }
    let mut code = 0;
    let Cancellations { tally, held, .. } = cancellations;
    if counts.invalid + counts.refused + tally.refused > 0 {
        code = 3;
    }
    if counts.unknown + counts.awaiting + tally.unknown > 0 {
        code = 4;
    }
    if *held > 0 && stop.is_none() && counts.not_attempted == 0 {
        return HELD_CODE;
    }
    if stop.is_none() && counts.not_attempted > 0 {
        // Nothing stopped the run, and yet it did not get to every row.
        code = 5;
    }
    stop.map_or(code, |stop| code.max(stop.exit_code()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(change: impl FnOnce(&mut Counts)) -> Counts {
        let mut counts = Counts { read: 10, enrolled: 10, ..Counts::default() };
        change(&mut counts);
        counts.enrolled = counts.read
            - counts.invalid
            - counts.refused
            - counts.unknown
            - counts.awaiting
            - counts.not_attempted
            - counts.excluded;
        counts
    }

    #[test]
    fn the_highest_applicable_code_is_given() {
        let cases: [(Counts, Option<Stop>, u8); 11] = [
            (counts(|_| {}), None, 0),
            (counts(|c| c.excluded = 3), None, 0),
            (counts(|c| c.invalid = 1), None, 3),
            (counts(|c| c.refused = 1), None, 3),
            (counts(|c| (c.invalid, c.unknown) = (1, 1)), None, 4),
            (counts(|c| c.awaiting = 1), None, 4),
            (counts(|c| c.unknown = 1), Some(Stop::Deadline("--max-duration")), 5),
            (counts(|c| c.unknown = 1), Some(Stop::Rejects(String::new())), 4),
            (counts(|c| c.not_attempted = 1), Some(Stop::Ledger(String::new())), 6),
            (counts(|c| c.not_attempted = 1), Some(Stop::Interrupted), 130),
            (counts(|c| c.not_attempted = 1), Some(Stop::Terminated), 143),
        ];
        for (counts, stop, code) in cases {
            assert_eq!(
                exit_code(&counts, stop.as_ref(), &Cancellations::default()),
                code,
                "{counts:?} {stop:?}"
            );
        }
    }

    #[test]
    fn held_cancellations_stand_above_rows_and_below_stops() {
        let held = Cancellations { held: 1, ..Cancellations::default() };
        let code = |counts: &Counts, stop: Option<&Stop>| exit_code(counts, stop, &held);
        assert_eq!(code(&counts(|_| {}), None), 8);
        assert_eq!(code(&counts(|c| (c.invalid, c.unknown) = (1, 1)), None), 8);
        assert_eq!(code(&counts(|c| c.not_attempted = 1), None), 5);
        assert_eq!(code(&counts(|_| {}), Some(&Stop::Ledger(String::new()))), 6);
        let lost = CancelTally { unknown: 1, ..CancelTally::default() };
        let lost = Cancellations { tally: lost, ..Cancellations::default() };
        assert_eq!(exit_code(&counts(|_| {}), None, &lost), 4);
    }

    #[test]
    fn counts_that_do_not_add_up_are_an_internal_fault() {
        let mut counts = counts(|_| {});
        counts.read += 1;
        assert_eq!(exit_code(&counts, Some(&Stop::Interrupted), &Cancellations::default()), 1);
    }
}
