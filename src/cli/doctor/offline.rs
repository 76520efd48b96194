//! What can be known without a network: settings, input, files, ledger, clock.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::finding::Findings;
use crate::{
    auth::{AuthSettings, Tokens},
    cli::{args::RunArgs, enrol, failure::Failure, notation::grouped, paths::Paths, reach},
    graph::{
        host::GraphHost,
        http::HttpOptions,
        target::{Api, Target},
    },
    input::{self, Input, Source, survey},
    job,
    ledger::{Identity, LastListing, LedgerError, Reading, State},
    output::probe,
    registrant::{Mode, Rule},
};

/// What the online part goes on with.
pub(super) struct Ground {
    /// Everything that a request needs.
    pub(super) reach: Option<Reach>,
    /// The input, opened and mapped.
    pub(super) input: Option<Input>,
}

/// Whom to ask, and how to sign in.
pub(super) struct Reach {
    pub(super) host: GraphHost,
    pub(super) http: HttpOptions,
    pub(super) tokens: Tokens,
    pub(super) target: Option<Target>,
    /// What the ledger knows of the target.
    pub(super) known: Option<LastListing>,
}

/// This program did not exist before: a clock that shows less was never set.
/// 2026-01-01, in milliseconds since 1970.
const EARLIEST: i64 = 1_767_225_600_000;

/// A clock this much behind the ledger's last entry was set back. In milliseconds.
const SET_BACK: i64 = 60_000;

pub(super) fn look(args: &RunArgs, findings: &mut Findings) -> Ground {
    findings.ok("settings", settings(args));
    let target = findings.hold("target", reach::target(&args.target));
    if let Some(target) = &target {
        let whose = match target {
            Target::Webinar(_) => "",
            Target::Meeting(meeting) if meeting.organizer().is_some() => " of --organizer",
            Target::Meeting(_) => " of who is signed in",
        };
        findings.ok("target", format!("{} {}{whose}", target.api().word(), target.id()));
    }
    let http = HttpOptions { total_timeout: args.pace.timeout, ..reach::http(&args.graph) };
    let reach = findings.hold("host", reach::settings(&args.graph, &args.auth, &http));
    if let Some((host, _)) = &reach {
        findings.ok("host", host.to_string());
    }
    let rule = match target.as_ref().map(Target::api) {
        Some(Api::Webinar) => Rule::webinar(),
        _ => Rule::Meeting(Mode::Everyone),
    };
    let input = input(args, rule, findings);
    outputs(args, findings);
    let mut known = None;
    if let (Some(target), Some((host, _))) = (&target, &reach) {
        let identity = enrol::identity(target, host);
        match findings.hold("ledger", reach::ledger(args.ledger.as_ref(), &identity)) {
            Some(path) => known = ledger(&path, &identity, findings),
            None => clock(None, findings),
        }
    } else {
        findings.skipped("ledger", "whose it would be is not known without a target");
        clock(None, findings);
    }
    let reach = reach.and_then(|(host, settings)| {
        let tokens = tokens(&host, &settings, findings)?;
        Some(Reach { host, http, tokens, target, known })
    });
    Ground { reach, input }
}

fn settings(args: &RunArgs) -> String {
    match &args.job.job {
        Some(file) => format!("flags, environment and {} are understood", file.display()),
        None => "flags and environment are understood".to_owned(),
    }
}

fn tokens(host: &GraphHost, settings: &AuthSettings, findings: &mut Findings) -> Option<Tokens> {
    let tokens = findings.hold("credential", reach::tokens(host, settings))?;
    let told = tokens.describe();
    match told.method {
        Some(method) => findings.ok("credential", format!("{method}: {}", told.identity)),
        None => findings.ok("credential", "none, and Graph is this machine's own simulator"),
    }
    Some(tokens)
}

/// Reads the export to its end: what is no text may stand in its last row.
fn input(args: &RunArgs, rule: Rule, findings: &mut Findings) -> Option<Input> {
    let Some(source) = &args.input.csv else {
        findings.skipped("input", "no CSV is named");
        return None;
    };
    if matches!(source, Source::Stdin) {
        findings.skipped("input", "standard input is left for `run`");
        return None;
    }
    let options = args.input.options();
    let opened = findings.hold("input", input::open(source, &options))?;
    let read = || -> Result<_, Failure> {
        let mut rows = input::open(source, &options)?.into_rows()?;
        let survey = survey::<Failure>(&mut rows, rule, |_, _| Ok(()))?;
        match survey.trap {
            Some(trap) => Err(trap.into()),
            None => Ok(survey.read),
        }
    };
    let rows = findings.hold("input", read())?;
    findings.ok(
        "input",
        format!(
            "{source}: {} rows; `check` tells how they are read and what is invalid",
            grouped(rows)
        ),
    );
    Some(opened)
}

fn outputs(args: &RunArgs, findings: &mut Findings) {
    if findings.hold("files", Paths::of_run(args).hold_apart()).is_none() {
        return;
    }
    let account = [(&args.account.report, "--report"), (&args.account.metrics, "--metrics")];
    for (path, option) in account {
        if let Some(path) = path {
            writable(path, option, findings);
        }
    }
    let Some(source) = &args.input.csv else {
        for (path, option) in [(&args.files.output, "--output"), (&args.files.rejects, "--rejects")]
        {
            if let Some(path) = path {
                writable(path, option, findings);
            }
        }
        return;
    };
    let Some((enrolled, rejects)) = findings.hold("files", enrol::outputs(source, &args.files))
    else {
        return;
    };
    writable(&enrolled, "--output", findings);
    writable(&rejects, "--rejects", findings);
}

fn writable(path: &Path, option: &'static str, findings: &mut Findings) {
    let name = option.trim_start_matches('-');
    if findings.hold(name, probe(path, option)).is_some() {
        findings.ok(name, format!("{} can be written", path.display()));
    }
}

/// Looks at the ledger, or at the place where it would be, and at the clock by it.
fn ledger(path: &Path, identity: &Identity, findings: &mut Findings) -> Option<LastListing> {
    let reading = match Reading::glance(path) {
        Ok(reading) => reading,
        Err(error) if matches!(error.kind(), LedgerError::Absent) => {
            absent(path, findings);
            clock(None, findings);
            return None;
        }
        Err(error) => {
            findings.mend("ledger", error);
            clock(None, findings);
            return None;
        }
    };
    let look = || -> Result<_, LedgerError> {
        let found = reading.target()?;
        if found != *identity {
            let wanted = identity.to_string();
            return Err(LedgerError::OtherTarget { found: found.to_string(), wanted });
        }
        if Reading::is_held(path)? {
            return Err(LedgerError::Held);
        }
        Ok((reading.counts()?, reading.runs(1)?, reading.listed()?))
    };
    match look().map_err(|error| error.at(path)) {
        Err(error) => {
            findings.mend("ledger", error);
            clock(None, findings);
            None
        }
        Ok((counts, runs, listed)) => {
            if let Some(why) = unwritable(path) {
                findings.mend("ledger", Failure::usage(why));
            } else {
                findings.ok(
                    "ledger",
                    format!(
                        "{}: {} enrolled, {} in doubt; no run holds it",
                        path.display(),
                        grouped(counts.of(State::Enrolled)),
                        grouped(counts.in_doubt())
                    ),
                );
            }
            clock(runs.first().map(|run| run.ended_at.unwrap_or(run.started_at)), findings);
            Some(listed)
        }
    }
}

fn absent(path: &Path, findings: &mut Findings) {
    let folder = nearest_folder(path);
    match probe(&folder.join("ledger"), "--ledger") {
        Ok(()) => findings.ok("ledger", format!("{}: the first run makes it", path.display())),
        Err(error) => findings.mend("ledger", error),
    }
}

/// The folder that is there already: the others are made by the run.
fn nearest_folder(path: &Path) -> PathBuf {
    path.ancestors()
        .skip(1)
        .map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
        .find(|folder| folder.exists())
        .unwrap_or(Path::new("."))
        .to_owned()
}

/// Why a run could not write the ledger that is there; its folder takes SQLite's side files.
fn unwritable(path: &Path) -> Option<String> {
    let say = |what: &Path, error: &dyn std::fmt::Display| {
        format!("{} cannot be written: {error}; mend its rights", what.display())
    };
    if let Err(error) = std::fs::OpenOptions::new().write(true).open(path) {
        return Some(say(path, &error));
    }
    probe(&nearest_folder(path).join("ledger"), "--ledger").err().map(|error| error.to_string())
}

/// Times stand in the ledger, in assertions and in tokens.
fn clock(last: Option<i64>, findings: &mut Findings) {
    let now = job::wall_clock();
    let shown = Timestamp::from_millisecond(now).unwrap_or_default();
    let shown = shown.strftime("%Y-%m-%d %H:%M:%SZ");
    if now < EARLIEST {
        let sentence = format!("this machine shows {shown}: set its clock");
        findings.mend("clock", Failure { code: 6, sentence });
    } else if last.is_some_and(|last| now < last.saturating_sub(SET_BACK)) {
        findings.note("clock", format!("{shown} is before the last run: was the clock set back?"));
    } else {
        findings.ok("clock", shown.to_string());
    }
}
