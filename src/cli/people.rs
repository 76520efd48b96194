//! What is said and done about the people of a list, where the ledger knows them.

use super::failure::Failure;
use crate::{
    input::Snapshot,
    job::{self, JobError, identity::IdentityReport, plan::Plan},
    ledger::{Ledger, RunEnd},
    output::{Console, grouped},
    registrant::Rule,
};

/// What is to be found out about the people of a list before files with links are written, where no
/// run has found it out.
pub(super) fn judge(
    input: &Snapshot,
    rule: &Rule,
    ledger: &Ledger,
    trust_ids: bool,
) -> Result<IdentityReport, Failure> {
    job::judge(input, rule, ledger, trust_ids).map_err(|error| named(error, ledger))
}

/// Writes into the ledger that a run ended with this, and without files.
pub(super) fn end(ledger: &mut Ledger, failure: &Failure, at: i64) {
    let end = RunEnd { at, exit_code: failure.code, stop_reason: Some("usage"), summary: "{}" };
    // The first fault is told; a ledger that cannot be written now will say so next time.
    let _ = ledger.end_run(&end);
}

fn named(error: JobError, ledger: &Ledger) -> Failure {
    match error {
        JobError::Ledger(error) => error.at(ledger.path()).into(),
        error => error.into(),
    }
}

/// Says what the plan noted of people and nothing was done about.
pub(super) fn warn(plan: &Plan, input: &Snapshot, trust_ids: bool, console: &Console) {
    if let Some(lone) = plan.people.lone().filter(|_| !trust_ids) {
        console.warn(lone_warning(input, lone));
    }
    // A webinar knows them by their address, and makes no second registration of it.
    let again = plan.judgement.again().filter(|_| matches!(plan.rule, Rule::Meeting(_)));
    if let Some(again) = again {
        console.warn(again_warning(again));
    }
}

/// What is said where people are told by one thing alone, and that has changed.
fn lone_warning(input: &Snapshot, (rows, first): (u64, u64)) -> String {
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
fn again_warning((rows, first): (u64, u64)) -> String {
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
