//! `status` and `explain`: a look into a ledger.

use std::fmt::Write;

use jiff::{Timestamp, tz::TimeZone};
use serde_json::json;

use super::{
    args::{ExplainArgs, StatusArgs},
    enrol,
    export::ledger_path,
    failure::Failure,
    notation::grouped,
};
use crate::ledger::{Attempted, Counts, PastRun, Reading, State, Story};

/// How many runs are shown.
const RUNS: u32 = 10;

pub(super) fn status(args: &StatusArgs) -> Result<u8, Failure> {
    let path = ledger_path(&args.ledger)?;
    let reading = Reading::open(&path)?;
    let (target, counts, runs) = (reading.target()?, reading.counts()?, reading.runs(RUNS)?);
    if args.json {
        let states: serde_json::Map<_, _> = State::ALL
            .into_iter()
            .map(|state| (state.name().to_owned(), counts.of(state).into()))
            .collect();
        let runs: Vec<_> = runs.iter().map(run_json).collect();
        let text = json!({
            "ledger": path,
            "target": {"kind": target.kind, "id": target.name, "organizer": target.organizer, "graph": target.graph},
            "counts": states,
            "runs": runs,
            "next": next_run(&counts),
        });
        enrol::print(&format!("{text}\n"));
        return Ok(0);
    }
    let mut text = format!("ledger  {}\ntarget  {target}\n\n", path.display());
    let mut count = |state: State, what: &str| {
        if counts.of(state) > 0 {
            line(&mut text, &format!("{:>9}  {what}", grouped(counts.of(state))));
        }
    };
    count(State::Enrolled, "enrolled, link held");
    count(State::Refused, "refused by the server");
    count(State::Foreign, "on the server, never sent by this ledger");
    count(State::Awaiting, "on the server, no link yet");
    count(State::Sending, "being sent, or left so by a run that died");
    count(State::Unknown, "sent, answer lost");
    count(State::Removing, "being removed to be enrolled anew");
    count(State::Ready, "not enrolled");
    line(&mut text, "\nlast runs");
    for run in &runs {
        line(&mut text, &format!("  {}", run_line(run)));
    }
    line(&mut text, &format!("\nthe next run {}", next_run(&counts)));
    enrol::print(&text);
    Ok(0)
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a String takes every write");
}

fn next_run(counts: &Counts) -> String {
    let mut plans = Vec::new();
    let doubt = counts.in_doubt();
    if doubt > 0 {
        plans.push(format!("lists the target and finishes {} in doubt", rows(doubt)));
    }
    let open = counts.of(State::Ready) + counts.of(State::Refused);
    if open > 0 {
        plans.push(format!("sends {} again, where the CSV still holds them", rows(open)));
    }
    if counts.of(State::Awaiting) > 0 {
        plans.push(format!("looks again at {} that wait", grouped(counts.of(State::Awaiting))));
    }
    plans.push("sends every row that is new".to_owned());
    plans.join(", ")
}

fn rows(count: u64) -> String {
    format!("{} {}", grouped(count), if count == 1 { "row" } else { "rows" })
}

fn run_json(run: &PastRun) -> serde_json::Value {
    json!({
        "n": run.n,
        "startedAt": stamp(run.started_at),
        "endedAt": run.ended_at.map(stamp),
        "exitCode": run.exit_code,
        "stopReason": run.stop_reason,
    })
}

fn run_line(run: &PastRun) -> String {
    let end = match (run.ended_at, run.exit_code) {
        (Some(end), Some(code)) => {
            let why = run.stop_reason.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
            format!("ended {} with {code}{why}", local(end))
        }
        _ => "is going, or died".to_owned(),
    };
    format!("run {}: began {}, {end}", run.n, local(run.started_at))
}

pub(super) fn explain(args: &ExplainArgs) -> Result<u8, Failure> {
    let path = ledger_path(&args.ledger)?;
    let Some(story) = Reading::open(&path)?.story(&args.id)? else {
        return Err(Failure::usage(format!(
            "{}: no run has sent or listed an id like this one; ids are compared to the letter",
            path.display()
        )));
    };
    enrol::print(&told(&story));
    Ok(0)
}

fn told(story: &Story) -> String {
    let mut text = String::new();
    let state = match story.state {
        State::Enrolled => "enrolled, its link is held",
        State::Ready => "not enrolled; the next run sends it",
        State::Sending => "being sent, or left so by a run that died",
        State::Unknown => "unknown: sent, and the answer was lost; the next run looks it up",
        State::Refused => "refused by the server",
        State::Awaiting => "on the server, no link yet",
        State::Removing => "in doubt: being removed to be enrolled anew",
        State::Foreign => "on the server, and never sent by this ledger",
    };
    line(&mut text, &format!("state   {state} (run {})", story.run));
    if let Some(number) = story.line {
        line(&mut text, &format!("line    {number} of the CSV that it was last sent from"));
    }
    if let Some(code) = &story.code {
        line(&mut text, &format!("code    {code}"));
    }
    // The server's words may quote names and addresses: they stand in the rejects file alone.
    match &story.reason {
        Some(_) if story.state == State::Refused => {
            line(&mut text, "reason  the server's own words: see `_reason` in the rejects file");
        }
        Some(reason) => line(&mut text, &format!("reason  {reason}")),
        None => {}
    }
    for (nth, attempt) in story.attempts.iter().enumerate() {
        line(&mut text, &format!("\nattempt {}: {}", nth + 1, attempted(attempt)));
    }
    text
}

fn attempted(attempt: &Attempted) -> String {
    let mut text =
        format!("{} in run {}, sent {}", attempt.call, attempt.run, stamp(attempt.sent_at));
    if attempt.waited_ms > 0 {
        write!(text, " after waiting {} ms", attempt.waited_ms).expect("a String takes it");
    }
    match (attempt.status, attempt.answered_at) {
        (Some(status), Some(at)) => {
            write!(text, ", status {status} after {} ms", at - attempt.sent_at)
        }
        (None, Some(at)) => write!(text, ", no answer after {} ms", at - attempt.sent_at),
        _ => write!(text, ", no answer"),
    }
    .expect("a String takes it");
    write!(text, ": {}", attempt.verdict).expect("a String takes it");
    if let Some(detail) = &attempt.detail {
        write!(text, " ({detail})").expect("a String takes it");
    }
    write!(text, "\n  client-request-id {}", attempt.client_request_id).expect("a String takes it");
    if let Some(id) = &attempt.request_id {
        write!(text, "\n  request-id        {id}").expect("a String takes it");
    }
    text
}

/// A stamp in UTC, to the millisecond.
fn stamp(at: i64) -> String {
    Timestamp::from_millisecond(at).map_or_else(|_| at.to_string(), |time| time.to_string())
}

/// A stamp by the local clock, to the second.
fn local(at: i64) -> String {
    Timestamp::from_millisecond(at).map_or_else(
        |_| at.to_string(),
        |time| time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
    )
}
