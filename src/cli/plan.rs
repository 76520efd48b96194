//! `plan`: what `run` would do now. It is the run itself, on a copy of the ledger, and it ends where the
//! run would begin to write: nothing but GETs is sent, and no lock is taken.

use std::{fmt::Write as _, path::Path, time::Duration};

use jiff::Zoned;
use serde_json::json;

use super::{
    failure::{Failure, USAGE, runtime},
    logging::print,
    login,
    paths::LedgerSettings,
    run::ImportRun,
    settings::RunSettings,
    signals::Signals,
};
use crate::{
    input,
    job::{
        self,
        cancellation::{Held, Unproven, Verdict},
        plan::Plan,
        stop::Stop,
    },
    ledger::{CancelReason, Ledger, Reading},
    output::{AtomicFile, Console, changes, grouped, harmless, length},
};

pub(super) fn plan(
    settings: &RunSettings,
    changes_file: Option<&Path>,
    console: &mut Console,
) -> Result<u8, Failure> {
    let RunSettings { import, target, enable, graph, ledger } = settings;
    let tokens = graph.tokens()?;
    login::where_needed(&graph.sign_in, console)?;
    let folder = tempfile::tempdir().map_err(|error| Failure {
        code: USAGE,
        sentence: format!("no temporary folder can be made: {error}"),
    })?;
    let copy = LedgerSettings {
        path: folder.path().join("plan.ledger"),
        identity: ledger.identity.clone(),
        is_beside_the_named: false,
    };
    if ledger.path.exists() {
        Reading::copy(&ledger.path, &copy.path)?;
    }
    let run = ImportRun {
        settings: import,
        target,
        enable: *enable,
        graph,
        ledger: &copy,
        rehearsal: false,
        plan_only: true,
    };
    let deadline = import.pace.deadline(&Zoned::now());
    let mut signals = Signals::listen(
        console.status_line("reading the input; nothing is sent"),
        deadline.as_ref().map(|deadline| (deadline.after, deadline.option)),
    );
    let input = input::open(&import.input.source, &import.input.options)?;
    for note in input.notes() {
        console.say(note);
    }
    let copied = Ledger::open(&copy.path, &copy.identity, job::wall_clock())?;
    let snapshot = input.snapshot(folder.path())?;
    let enrol = run.enrol(copied, &snapshot, tokens, deadline, &mut signals, console);
    let (ended, client, _) = runtime()?.block_on(enrol)?;
    console.end("the plan is made");
    let Some(plan) = &ended.plan else {
        let stop = ended.stop.or_else(|| client.stop.cause());
        return Err(stop.map_or_else(
            || Failure::usage("no plan was made"),
            |stop| Failure { code: stop.exit_code(), sentence: stop.to_string() },
        ));
    };
    if let Some(path) = changes_file {
        let text = changes(&snapshot, plan, &ended.ledger)?;
        let mut file = AtomicFile::create(path, "--changes")?;
        file.write(&text)?;
        file.commit()?;
    }
    let rows = plan.counts.to_post + due(plan, |_| true);
    let mails = if ended.mails { rows } else { 0 };
    let per_second = client.view().per_second;
    #[expect(clippy::cast_precision_loss, reason = "rows")]
    let time = per_second.filter(|_| rows > 0).map(|pace| rows as f64 / pace);
    let told = PlanReport { plan, mails, seconds: time, stop: ended.stop.as_ref(), changes_file };
    print(&if import.files.json {
        format!("{}\n", told.json())
    } else {
        harmless(&told.text()).into_owned()
    });
    Ok(ended.stop.as_ref().map_or(0, Stop::exit_code))
}

/// What the plan comes to.
struct PlanReport<'a> {
    plan: &'a Plan,
    /// How many mails Teams will send.
    mails: u64,
    /// How long it takes, where the pace is known.
    seconds: Option<f64>,
    stop: Option<&'a Stop>,
    changes_file: Option<&'a Path>,
}

/// How many cancellations are due, of those that are `wanted`.
fn due(plan: &Plan, wanted: impl Fn(CancelReason) -> bool) -> u64 {
    plan.cancel
        .as_ref()
        .map_or(0, |cancel| cancel.due().filter(|person| wanted(person.reason)).count() as u64)
}

/// Every cause for which a cancellation waits, in words, by its key.
const CAUSES: [(Verdict, &str, &str); 7] = [
    (Verdict::Held(Held::Brake), "overMaxCancel", "held back: more than --max-cancel are due"),
    (
        Verdict::Held(Held::ShorterList),
        "shorterList",
        "held back: the list is far shorter than the last one",
    ),
    (
        Verdict::Held(Held::OtherReading),
        "otherReading",
        "held back: named last by a list that was read otherwise",
    ),
    (Verdict::Held(Held::Declined), "notApproved", "held back: left out when others were approved"),
    (Verdict::NotYet(Unproven::TooEarly), "tooEarly", "missing, and not for long enough"),
    (
        Verdict::NotYet(Unproven::FlawedList),
        "flawedList",
        "missing, but the list was not read without a flaw",
    ),
    (Verdict::NotYet(Unproven::EventBegan), "eventBegan", "missing, but the event has begun"),
];

impl PlanReport<'_> {
    fn held(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let cancel = self.plan.cancel.as_ref();
        CAUSES.into_iter().map(move |(verdict, key, words)| {
            let count = cancel.map_or(0, |cancel| cancel.count(|it| it.verdict == verdict));
            (key, words, count)
        })
    }

    fn marked(&self) -> u64 {
        due(self.plan, |reason| reason != CancelReason::Missing)
    }

    fn missing(&self) -> u64 {
        due(self.plan, |reason| reason == CancelReason::Missing)
    }

    fn json(&self) -> String {
        let counts = self.plan.counts;
        let held: serde_json::Map<_, _> =
            self.held().map(|(key, _, count)| (key.to_owned(), count.into())).collect();
        json!({
            "read": counts.read,
            "toEnrol": counts.to_post,
            "toAdopt": counts.held,
            "already": counts.already,
            "toCancel": {"marked": self.marked(), "missing": self.missing()},
            "held": held,
            "changed": counts.changed + counts.strangers,
            "refused": counts.foreign + counts.gone,
            "inDoubt": counts.in_doubt,
            "awaiting": counts.awaiting,
            "invalid": counts.invalid,
            "excluded": counts.excluded,
            "mails": self.mails,
            "seconds": self.seconds,
            "stopReason": self.stop.map(Stop::word),
            "changes": self.changes_file,
        })
        .to_string()
    }

    fn text(&self) -> String {
        let counts = self.plan.counts;
        let mut text = format!("{} rows; a run would now:\n\n", grouped(counts.read));
        let mut line = |count: u64, words: &str| {
            if count > 0 {
                writeln!(text, "{:>9}  {words}", grouped(count)).expect("a String takes it");
            }
        };
        line(counts.to_post, "enrol");
        line(counts.held, "take over: on the target already, and never sent by this ledger");
        line(counts.already, "leave alone: enrolled already");
        line(self.marked(), "cancel: the row says so");
        line(self.missing(), "cancel: no list names them any more");
        self.held().for_each(|(_, words, count)| line(count, words));
        line(counts.changed + counts.strangers, "refuse: changed since they were enrolled");
        line(counts.foreign, "refuse: on the target, and never sent by this ledger");
        line(counts.gone, "refuse: cancelled, rejected or removed on the target");
        line(counts.in_doubt, "look up: left in doubt by an earlier run");
        line(counts.awaiting, "fetch a link: on the target without one");
        line(counts.invalid, "reject: invalid");
        line(counts.excluded, "leave out: filters and marks");
        line(self.mails, "mails, sent by Teams");
        text.push('\n');
        if let Some(seconds) = self.seconds {
            let time = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
            writeln!(text, "time      about {}", length(time)).expect("a String takes it");
        }
        if let Some(path) = self.changes_file {
            writeln!(text, "changes   {}", path.display()).expect("a String takes it");
        }
        match self.stop {
            Some(stop) => text.push_str(&format!("stops     {stop}\n")),
            None => text.push_str("Nothing was sent, and no file but the changes was written.\n"),
        }
        text
    }
}
