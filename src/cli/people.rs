//! What is said and done about the people of a list, where the ledger knows them.

use super::{failure::Failure, notation::grouped};
use crate::{
    input::Snapshot,
    job::{JobError, plan::Plan, remote::RemoteIndex},
    ledger::{Ledger, RunEnd},
    output::Console,
    registrant::Rule,
};

/// What is to be decided about the rows before files with links are written, where no run has decided
/// it.
pub(super) fn plan(
    input: &Snapshot,
    rule: Rule,
    ledger: &Ledger,
    trust_ids: bool,
) -> Result<Plan, Failure> {
    let plan = Plan::of(input, rule, ledger, RemoteIndex::default(), trust_ids);
    plan.map_err(|error| named(error, ledger))
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
pub(super) fn warn(plan: &Plan, console: &Console) {
    // A webinar knows them by their address, and makes no second registration of it.
    if let Some(again) = plan.again.filter(|_| matches!(plan.rule, Rule::Meeting(_))) {
        console.warn(again_warning(again));
    }
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
