//! What is said and done about the people of a list, where the ledger knows them.

use super::{enrol, failure::Failure, notation::grouped};
use crate::{
    input::Snapshot,
    job::{self, JobError, people::Judgement, stop::Stop},
    ledger::{Ledger, RunEnd},
    output::Console,
    registrant::Rule,
};

/// What a run found out about the people of its list, before its files are written. A run that came
/// to no plan did not ask; its files show links for all that.
pub(super) fn judged(
    judgement: Option<Judgement>,
    input: &Snapshot,
    rule: &Rule,
    (ledger, trust_ids): (&mut Ledger, bool),
    (stop, now): (Option<&Stop>, i64),
    console: &Console,
) -> Result<Judgement, Failure> {
    if let Some(judgement) = judgement {
        return Ok(judgement);
    }
    let error = match job::judge(input, rule, ledger, trust_ids) {
        Ok(judgement) => return Ok(judgement),
        Err(error) => error,
    };
    if let Some(stop) = stop {
        enrol::tell_stop(stop, console);
    }
    let failure = named(error, ledger);
    let end =
        RunEnd { at: now, exit_code: failure.code, stop_reason: Some("usage"), summary: "{}" };
    // The first fault is told; a ledger that cannot be written now will say so next time.
    let _ = ledger.end_run(&end);
    Err(failure)
}

/// The same for the files of a ledger without a run.
pub(super) fn judge(input: &Snapshot, rule: &Rule, ledger: &Ledger) -> Result<Judgement, Failure> {
    job::judge(input, rule, ledger, false).map_err(|error| named(error, ledger))
}

fn named(error: JobError, ledger: &Ledger) -> Failure {
    match error {
        JobError::Ledger(error) => error.at(ledger.path()).into(),
        error => error.into(),
    }
}

/// What is said where people are told by one thing alone, and that has changed.
pub(super) fn lone_warning(input: &Snapshot, (rows, first): (u64, u64)) -> String {
    let (what, other) = match input.tells_people() {
        (true, false) => ("e-mail address", "name"),
        (false, true) => ("name", "e-mail address"),
        _ => ("name or e-mail address", "other of the two"),
    };
    let (tell, its) =
        if rows == 1 { ("row tells", "its id was") } else { ("rows tell", "their ids were") };
    format!(
        "{} {tell} another {what} than {its} enrolled with, and no {other} to know the person by (the first is line {first}): taken as corrected; whoever is somebody else needs an id of their own, for the link is not theirs",
        grouped(rows)
    )
}

/// What is said where people who are known have new ids, and their former ones are gone.
pub(super) fn again_warning((rows, first): (u64, u64)) -> String {
    let (tell, are) = if rows == 1 {
        ("row with a new id tells a person who is", "is")
    } else {
        ("rows with a new id tell people who are", "are")
    };
    format!(
        "{} {tell} enrolled under an id that the list no longer has (the first is line {first}) and {are} enrolled once more",
        grouped(rows)
    )
}
