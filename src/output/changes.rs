//! `--changes` and the file of held cancellations: `action,id,reason,line`, a line for each row or person
//! who is not simply enrolled already. Either can be given to `--approve`.

use std::collections::HashSet;

use super::{files::ProjectionError, outcome::faults_in_words};
use crate::{
    input::{Row, Snapshot, parse_row},
    job::{
        cancellation::{Held, Unproven, Verdict},
        decision::{Action, Refused},
        plan::Plan,
        roll_call::{CancelPlan, PlannedCancellation},
    },
    ledger::{Ledger, Over},
    registrant::RegistrantId,
};

/// The columns of both files.
const COLUMNS: [&str; 4] = ["action", "id", "reason", "line"];

/// The action of somebody who is to be cancelled.
pub const CANCEL: &str = "cancel";
/// The action of somebody whose cancellation waits for a person.
pub const HELD: &str = "held";

/// Why a cancellation waits for a person, in a word.
fn held_word(why: Held) -> &'static str {
    match why {
        Held::Brake => "over-max-cancel",
        Held::ShorterList => "shorter-list",
        Held::OtherReading => "other-reading",
        Held::Declined => "not-approved",
    }
}

fn unproven_word(why: Unproven) -> &'static str {
    match why {
        Unproven::TooEarly => "too-early",
        Unproven::FlawedList => "flawed-list",
        Unproven::EventBegan => "event-began",
    }
}

struct Lines(csv::Writer<Vec<u8>>);

impl Lines {
    fn new() -> Self {
        let mut lines = Self(csv::Writer::from_writer(Vec::new()));
        lines.write(COLUMNS);
        lines
    }

    fn write(&mut self, cells: [&str; 4]) {
        self.0.write_record(cells).expect("a Vec takes every write, and all rows have four cells");
    }

    fn into_text(self) -> Vec<u8> {
        self.0.into_inner().expect("a Vec takes every write")
    }

    fn push(&mut self, action: &str, id: &str, reason: &str, line: Option<u64>) {
        let line = line.map(|line| line.to_string()).unwrap_or_default();
        self.write([action, id, reason, line.as_str()]);
    }

    fn cancellation(&mut self, person: &PlannedCancellation) {
        let word = person.reason.word();
        let (action, reason) = match person.verdict {
            Verdict::Due { .. } => (CANCEL, word.to_owned()),
            Verdict::Held(why) => (HELD, format!("{word}, {}", held_word(why))),
            Verdict::NotYet(why) => ("wait", format!("{word}, {}", unproven_word(why))),
        };
        self.push(action, person.id.as_str(), &reason, person.reason.line());
    }
}

/// The file of held cancellations; `None` where none is held.
pub fn held_file(plan: &CancelPlan) -> Option<Vec<u8>> {
    let mut lines = Lines::new();
    plan.held().next()?;
    plan.held().for_each(|(person, _)| lines.cancellation(person));
    Some(lines.into_text())
}

/// The text of `--changes`: first the rows in their order, then the cancellations.
///
/// # Errors
/// [`ProjectionError`]: input or ledger cannot be read.
pub fn changes(input: &Snapshot, plan: &Plan, ledger: &Ledger) -> Result<Vec<u8>, ProjectionError> {
    let mut lines = Lines::new();
    let people = plan.cancel.as_ref().map_or(&[][..], |cancel| &cancel.people);
    let told: HashSet<u64> = people.iter().filter_map(|person| person.reason.line()).collect();
    let mut look_ups = ledger.look_ups()?;
    let (mut rows, mut row) = (input.rows()?, Row::new());
    for nth in 0.. {
        if !rows.read(&mut row)? {
            break;
        }
        let decision = plan.decision(nth).expect("the copy of the input does not change");
        let id = row.fields().id.unwrap_or_default().to_owned();
        let (action, reason) = match decision.action {
            Action::Already | Action::Shares(_) => continue,
            Action::AlreadyOtherwise => ("keep", "details-changed".to_owned()),
            Action::Excluded if told.contains(&row.line()) => continue,
            Action::Excluded => ("exclude", String::new()),
            Action::Enrol => ("enrol", String::new()),
            Action::Adopt => ("adopt", String::new()),
            Action::Reconcile => ("look-up", String::new()),
            Action::FetchLink => ("fetch-link", String::new()),
            Action::Refuse(Refused::Changed | Refused::OtherPerson(_)) => {
                ("refuse", "changed-since-enrolled".to_owned())
            }
            Action::Refuse(Refused::Foreign) => ("refuse", "exists-on-server".to_owned()),
            Action::Refuse(Refused::Gone) => {
                let code = look_ups.find(&RegistrantId::trusted(&id))?.and_then(|it| it.code);
                ("refuse", Over::of_code(code.as_deref()).code().to_owned())
            }
            Action::Invalid(clashes) => {
                let own = parse_row(&row, &plan.rule).err().unwrap_or_default();
                ("invalid", faults_in_words(&clashes.added_to(own, &row)).0)
            }
        };
        lines.push(action, &id, &reason, Some(row.line()));
    }
    for person in people {
        lines.cancellation(person);
    }
    Ok(lines.into_text())
}
