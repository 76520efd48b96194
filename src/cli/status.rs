//! `status` and `explain`: a look into a ledger.

use std::{
    fmt::{self, Display, Formatter, Write},
    path::Path,
    time::Duration,
};

use jiff::{Timestamp, tz::TimeZone};
use serde_json::json;

use super::{failure::Failure, logging::print};
use crate::{
    job::links::is_own_reason,
    ledger::{
        Attempted, LedgerError, PastCancellation, PastRun, Reading, State, StateCounts, Story,
        Waiting,
    },
    output::{grouped, harmless, length, rate_in_words},
};

/// How many runs are shown.
const RUNS: u32 = 10;

pub(super) fn status(path: &Path, json: bool) -> Result<u8, Failure> {
    let (target, counts, runs, (waiting, absent)) = read(path, |reading| {
        let waiting = (reading.waiting()?, reading.absent()?);
        Ok((reading.target()?, reading.counts()?, reading.runs(RUNS)?, waiting))
    })?;
    // Whoever has no lock is not going any more, and of runs without an end only the last may be.
    let going = Reading::is_held(path)?.then(|| runs.first().map(|run| run.n)).flatten();
    let next = Next::of(&counts);
    if json {
        let states: serde_json::Map<_, _> = State::ALL
            .into_iter()
            .map(|state| (state.name().to_owned(), counts.of(state).into()))
            .collect();
        let runs: Vec<_> = runs.iter().map(|run| run_json(run, going)).collect();
        let waiting: Vec<_> = waiting.iter().map(waiting_json).collect();
        let text = json!({
            "ledger": path,
            "target": {"kind": target.kind, "id": target.name, "organizer": target.organizer, "graph": target.graph},
            "counts": states,
            "waiting": waiting,
            "absent": absent,
            "runs": runs,
            "next": {"lookUp": next.look_up, "sendAgain": next.send_again, "lookAgain": next.look_again, "text": next.to_string()},
        });
        print(&format!("{text}\n"));
        return Ok(0);
    }
    let mut text = format!("ledger  {}\ntarget  {target}\n\n", path.display());
    line(&mut text, &format!("{:>9}  enrolled, link held", grouped(counts.of(State::Enrolled))));
    for cause in &waiting {
        line(&mut text, &waiting_line(cause));
    }
    if absent > 0 {
        let people = format!("{:>9}  enrolled, and not named by the last list", grouped(absent));
        line(&mut text, &people);
    }
    line(&mut text, "\nlast runs");
    for run in &runs {
        line(&mut text, &format!("  {}", run_line(run, going)));
    }
    if runs.is_empty() {
        line(&mut text, "  none");
    }
    line(&mut text, &format!("\nthe next run {next}"));
    print(&harmless(&text));
    Ok(0)
}

/// Reads a ledger without leaving a file beside it, where nobody writes to it. A run that begins
/// meanwhile makes such a glance worth nothing: then it is read again as one that is being written.
fn read<T>(
    path: &Path,
    read: impl Fn(&Reading) -> Result<T, LedgerError>,
) -> Result<T, LedgerError> {
    let seen = Reading::glance(path).and_then(|reading| read(&reading));
    if Reading::is_held(path)? {
        Reading::open(path).and_then(|reading| read(&reading))
    } else {
        seen
    }
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a String takes every write");
}

/// What the ledger alone says of a next run; what is new stands in the CSV.
struct Next {
    /// Rows in doubt: looked up first.
    look_up: u64,
    /// Rows that were not processed, or refused.
    send_again: u64,
    /// Rows on the server without a link.
    look_again: u64,
}

impl Next {
    fn of(counts: &StateCounts) -> Self {
        Self {
            look_up: counts.in_doubt(),
            send_again: counts.of(State::Ready) + counts.of(State::Refused),
            look_again: counts.of(State::Awaiting) + counts.of(State::Foreign),
        }
    }
}

impl Display for Next {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.look_up > 0 {
            write!(f, "lists the target and finishes {} in doubt, ", rows(self.look_up))?;
        }
        if self.send_again > 0 {
            write!(f, "sends {} again, where the CSV still holds them, ", rows(self.send_again))?;
        }
        if self.look_again > 0 {
            write!(f, "looks again at {} on the server, ", rows(self.look_again))?;
        }
        f.write_str("sends every row that is new")
    }
}

fn words(state: State) -> &'static str {
    match state {
        State::Enrolled => "enrolled, link held",
        State::Refused => "refused by the server",
        State::Foreign => "on the server, never sent by this ledger",
        State::Awaiting => "on the server, no link yet",
        State::Sending => "being sent, or left so by a run that died",
        State::Unknown => "sent, perhaps on the server, no link held",
        State::Removing => "being removed to be enrolled anew",
        State::Ready => "not enrolled",
        State::Gone => "on the server no longer: cancelled, rejected or removed there",
    }
}

fn waiting_line(waiting: &Waiting) -> String {
    let mut text = format!("{:>9}  {}", grouped(waiting.count), words(waiting.state));
    if !waiting.code.is_empty() {
        text.push_str(&format!(" ({})", waiting.code));
    }
    if let Some(since) = waiting.since {
        text.push_str(&format!(", since {}", local(since)));
    }
    if let Some(number) = waiting.line {
        text.push_str(&format!(", first on line {number}"));
    }
    text
}

fn waiting_json(waiting: &Waiting) -> serde_json::Value {
    json!({
        "state": waiting.state.name(),
        "code": (!waiting.code.is_empty()).then_some(&waiting.code),
        "count": waiting.count,
        "since": waiting.since.map(stamp),
        "firstLine": waiting.line,
    })
}

/// The figures of a run's summary that `status` tells; all absent for a run that died.
#[derive(Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Figures {
    enrolled: u64,
    already: u64,
    throttled: u64,
    elapsed_seconds: f64,
}

impl Figures {
    fn of(run: &PastRun) -> Self {
        run.summary
            .as_deref()
            .and_then(|summary| serde_json::from_str(summary).ok())
            .unwrap_or_default()
    }

    /// Rows enrolled in this run.
    fn fresh(&self) -> u64 {
        self.enrolled.saturating_sub(self.already)
    }

    /// Rows a second, where any was enrolled.
    fn pace(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "rows")]
        let pace = self.fresh() as f64 / self.elapsed_seconds;
        (pace.is_finite() && pace > 0.0).then_some(pace)
    }
}

fn rows(count: u64) -> String {
    format!("{} {}", grouped(count), if count == 1 { "row" } else { "rows" })
}

fn run_json(run: &PastRun, going: Option<i64>) -> serde_json::Value {
    let figures = Figures::of(run);
    json!({
        "n": run.n,
        "startedAt": stamp(run.started_at),
        "endedAt": run.ended_at.map(stamp),
        "going": run.ended_at.is_none() && going == Some(run.n),
        "exitCode": run.exit_code,
        "stopReason": run.stop_reason,
        "enrolled": figures.fresh(),
        "throttled": figures.throttled,
        "rowsPerSecond": figures.pace(),
    })
}

fn run_line(run: &PastRun, going: Option<i64>) -> String {
    let begun = format!("run {}  {}", run.n, local(run.started_at));
    let (Some(ended), Some(code)) = (run.ended_at, run.exit_code) else {
        let how = if going == Some(run.n) { "is going" } else { "died; the next run goes on" };
        return format!("{begun}  {how}");
    };
    let took = Duration::from_millis(ended.saturating_sub(run.started_at).unsigned_abs());
    let figures = Figures::of(run);
    let why = run.stop_reason.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
    let pace =
        figures.pace().map(|pace| format!(" at {}", rate_in_words(pace))).unwrap_or_default();
    format!(
        "{begun}  took {}, enrolled {}{pace}, exit {code}{why}",
        length(took),
        grouped(figures.fresh())
    )
}

pub(super) fn explain(path: &Path, id: &str) -> Result<u8, Failure> {
    let Some(story) = read(path, |reading| reading.story(id))? else {
        return Err(Failure::usage(format!(
            "{}: no run has sent or listed an id like this one; ids are compared to the letter",
            path.display()
        )));
    };
    print(&harmless(&told(&story)));
    Ok(0)
}

fn told(story: &Story) -> String {
    let mut text = String::new();
    let own = story.reason.as_deref().is_some_and(is_own_reason);
    let state = match story.state {
        State::Refused if own => "refused",
        State::Enrolled => "enrolled, its link is held",
        State::Ready if story.is_cancelled() => {
            "cancelled; enrolled anew, with a new link, if a list names them again"
        }
        State::Ready => "not enrolled; the next run sends it",
        State::Sending => "being sent, or left so by a run that died",
        State::Unknown => {
            "unknown: sent, perhaps on the server, no link held; the next run looks it up"
        }
        State::Refused => "refused by the server",
        State::Awaiting => "on the server, no link yet",
        State::Removing => "in doubt: being removed to be enrolled anew",
        State::Foreign => "on the server, and never sent by this ledger",
        State::Gone => "on the server no longer",
    };
    if story.is_adopted() {
        line(&mut text, &format!("state   {state} (taken over: the target held it already)"));
    } else {
        line(&mut text, &format!("state   {state} (run {})", story.run));
    }
    if let Some(number) = story.line {
        let sent = story.attempts.iter().any(|attempt| attempt.call == "POST");
        let sent = sent || story.state.is_in_doubt();
        let which = if sent { " that it was last sent from" } else { "" };
        line(&mut text, &format!("line    {number} of the CSV{which}"));
    }
    if let Some(code) = &story.code {
        line(&mut text, &format!("code    {code}"));
    }
    // The server's words may quote names and addresses: they stand in the rejects file alone.
    match &story.reason {
        Some(_) if story.state == State::Refused && !own => {
            line(&mut text, "reason  the server's own words: see `_reason` in the rejects file");
        }
        Some(reason) => line(&mut text, &format!("reason  {reason}")),
        None => {}
    }
    for past in &story.cancellations {
        line(&mut text, &format!("cancel  {}", cancelled(past)));
    }
    for (nth, attempt) in story.attempts.iter().enumerate() {
        line(&mut text, &format!("\nattempt {}: {}", nth + 1, attempted(attempt)));
    }
    text
}

fn cancelled(past: &PastCancellation) -> String {
    let outcome = match past.outcome.as_deref() {
        Some("cancelled") => "cancelled",
        Some("refused") => "not cancelled, the server refused it",
        Some(_) => "not cancelled, it was taken back",
        None => "in doubt; the next run looks it up",
    };
    let why = match past.line {
        Some(line) => format!("line {line} said so"),
        None => "no list named them any more".to_owned(),
    };
    let by = if past.approved { ", approved" } else { "" };
    let at = stamp(past.ended_at.unwrap_or(past.intended_at));
    format!("{outcome} in run {}, {at}: {why}{by}", past.run)
}

fn attempted(attempt: &Attempted) -> String {
    // The one reading request of a row's own.
    let call = if attempt.call == "GET" { "GET of its link" } else { &attempt.call };
    let mut text = format!("{call} in run {}, sent {}", attempt.run, stamp(attempt.sent_at));
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
