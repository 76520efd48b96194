//! `doctor`: would `run`, with these options, work here and now?
//!
//! Looks at everything that a run needs, in the order in which a run needs it, and goes on after
//! the first fault. Every line says ok, or what to do. Nothing is changed: no ledger is made, no
//! lock is held, and Graph is only read. A sign-in by code is the one exception, because its
//! issuer may replace the kept refresh token by a newer one.

mod online;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use super::{
    failure::Failure,
    paths::LedgerSettings,
    settings::{DoctorSettings, FileParts, GraphSettings, InputSettings},
};
use crate::{
    auth::Tokens,
    graph::target::{Api, Target},
    input::{self, Input, Source, survey},
    job,
    ledger::{Identity, LastListing, LedgerError, Reading, State},
    output::{grouped, probe},
    registrant::{Mode, Rule},
};
pub(super) use online::doctor;

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum FindingStatus {
    /// As it should be.
    Ok,
    /// A run would go on; a person should know.
    Note,
    /// A run would end here: the text says what to do.
    Mend,
    /// Not looked at: the text says why.
    Skipped,
}

#[derive(Debug, Serialize)]
struct DoctorFinding {
    name: &'static str,
    standing: FindingStatus,
    text: String,
    /// What `run` would end with.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u8>,
}

/// Everything that was found, in the order in which `run` would meet it.
#[derive(Debug, Default)]
struct DoctorFindings(Vec<DoctorFinding>);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DoctorReport<'a> {
    checks: &'a [DoctorFinding],
    exit_code: u8,
}

impl DoctorFindings {
    fn ok(&mut self, name: &'static str, text: impl Into<String>) {
        self.add(name, FindingStatus::Ok, text.into(), None);
    }

    fn note(&mut self, name: &'static str, text: impl Into<String>) {
        self.add(name, FindingStatus::Note, text.into(), None);
    }

    fn mend(&mut self, name: &'static str, failure: impl Into<Failure>) {
        let Failure { code, sentence } = failure.into();
        self.add(name, FindingStatus::Mend, sentence, Some(code));
    }

    fn skipped(&mut self, name: &'static str, why: impl Into<String>) {
        self.add(name, FindingStatus::Skipped, why.into(), None);
    }

    /// Notes the fault, or gives the value to go on with.
    fn check<T, E: Into<Failure>>(
        &mut self,
        name: &'static str,
        result: Result<T, E>,
    ) -> Option<T> {
        result.map_err(|error| self.mend(name, error)).ok()
    }

    fn add(&mut self, name: &'static str, standing: FindingStatus, text: String, code: Option<u8>) {
        self.0.push(DoctorFinding { name, standing, text, code });
    }

    /// What `run` would end with: it stops at the first fault that it meets.
    fn exit_code(&self) -> u8 {
        self.0.iter().find_map(|finding| finding.code).unwrap_or(0)
    }

    fn json(&self) -> String {
        let report = DoctorReport { checks: &self.0, exit_code: self.exit_code() };
        let json = serde_json::to_string(&report).expect("strings and numbers serialise");
        format!("{json}\n")
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for DoctorFinding { name, standing, text: found, .. } in &self.0 {
            let word = match standing {
                FindingStatus::Ok => "ok",
                FindingStatus::Note => "note",
                FindingStatus::Mend => "mend",
                FindingStatus::Skipped => "-",
            };
            text.push_str(&format!("{word:<5} {name:<13} {found}\n"));
        }
        let faults =
            self.0.iter().filter(|finding| finding.standing == FindingStatus::Mend).count();
        text.push_str(&if faults == 0 {
            "\nnothing stands in the way of `run`\n".to_owned()
        } else {
            let code = self.exit_code();
            format!("\n{faults} to mend; until then `run` ends with exit code {code}\n")
        });
        text
    }
}

/// What can be asked over the network.
struct Reachable<'a> {
    graph: &'a GraphSettings,
    tokens: Tokens,
    target: Option<&'a Target>,
    /// What the ledger knows of the target.
    known: Option<LastListing>,
    /// The input, opened and mapped.
    input: Option<Input>,
}

/// This program did not exist before: a clock that shows less was never set.
/// 2026-01-01, in milliseconds since 1970.
const EARLIEST: i64 = 1_767_225_600_000;

/// A clock this much behind the ledger's last entry was set back. In milliseconds.
const SET_BACK: i64 = 60_000;

/// What can be known without a network: settings, input, files, ledger, clock, credential.
fn offline<'a>(
    settings: &'a DoctorSettings,
    findings: &mut DoctorFindings,
) -> Option<Reachable<'a>> {
    findings.ok(
        "settings",
        match &settings.job_file {
            Some(file) => format!("flags, environment and {} are understood", file.display()),
            None => "flags and environment are understood".to_owned(),
        },
    );
    let target = findings.check("target", settings.target.as_ref());
    if let Some(target) = target {
        let whose = match target {
            Target::Event(_) => "",
            Target::Meeting(meeting) if meeting.organizer().is_some() => " of --organizer",
            Target::Meeting(_) => " of who is signed in",
        };
        findings.ok("target", format!("{} {}{whose}", target.api().word(), target.id()));
    }
    let graph = findings.check("host", settings.graph.as_ref());
    if let Some(graph) = graph {
        findings.ok("host", graph.host.to_string());
    }
    let rule = match target.map(Target::api) {
        Some(Api::Event(_)) => Rule::event(),
        _ => Rule::Meeting(Mode::Everyone),
    };
    let input = input(settings, rule, findings);
    files(settings, findings);
    let ledger = if let Some(place) = &settings.ledger {
        findings
            .check("ledger", place.as_ref())
            .and_then(|LedgerSettings { path, identity, .. }| ledger(path, identity, findings))
    } else {
        findings.skipped("ledger", "whose it would be is not known without a target");
        None
    };
    let (known, last) = ledger.unzip();
    clock(last.flatten(), findings);
    let graph = graph?;
    let tokens = findings.check("credential", graph.tokens())?;
    let told = tokens.describe();
    match told.method {
        Some(method) => findings.ok("credential", format!("{method}: {}", told.identity)),
        None => findings.ok("credential", "none, and Graph is this machine's own simulator"),
    }
    Some(Reachable { graph, tokens, target, known, input })
}

/// Reads the export to its end: what is no text may stand in its last row.
fn input(settings: &DoctorSettings, rule: Rule, findings: &mut DoctorFindings) -> Option<Input> {
    let Some(InputSettings { source, options }) = &settings.files.input else {
        findings.skipped("input", "no CSV is named");
        return None;
    };
    if !matches!(source, Source::File(_)) {
        findings.skipped("input", format!("{source} is left for `run`"));
        return None;
    }
    let opened = findings.check("input", input::open(source, options))?;
    let read = || -> Result<_, Failure> {
        let mut rows = input::open(source, options)?.into_rows()?;
        let survey = survey::<Failure>(&mut rows, rule, |_, _| Ok(()))?;
        match survey.trap {
            Some(trap) => Err(trap.into()),
            None => Ok(survey.read),
        }
    };
    let rows = findings.check("input", read())?;
    findings.ok(
        "input",
        format!(
            "{source}: {} rows; `check` tells how they are read and what is invalid",
            grouped(rows)
        ),
    );
    Some(opened)
}

fn files(settings: &DoctorSettings, findings: &mut DoctorFindings) {
    if findings.check("files", settings.paths.as_ref()).is_none() {
        return;
    }
    let FileParts { input, enrolled, rejects, report, metrics, .. } = &settings.files;
    for (path, option) in [(report, "--report"), (metrics, "--metrics")] {
        if let Some(path) = path {
            writable(path, option, findings);
        }
    }
    let named = [(enrolled, "--output"), (rejects, "--rejects")];
    if input.is_some()
        && let Some(failure) = named.iter().find_map(|(path, _)| path.as_ref().err())
    {
        return findings.mend("files", failure);
    }
    for (path, option) in named {
        if let Ok(path) = path {
            writable(path, option, findings);
        }
    }
}

fn writable(path: &Path, option: &'static str, findings: &mut DoctorFindings) {
    let name = option.trim_start_matches('-');
    if findings.check(name, probe(path, option)).is_some() {
        findings.ok(name, format!("{} can be written", path.display()));
    }
}

/// What the ledger knows of the target, and when it was written last; `None` where there is none, or
/// none that can be read.
fn ledger(
    path: &Path,
    identity: &Identity,
    findings: &mut DoctorFindings,
) -> Option<(LastListing, Option<i64>)> {
    let read = || -> Result<_, LedgerError> {
        let reading = Reading::glance(path)?;
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
    let (counts, runs, listed) = match read().map_err(|error| error.at(path)) {
        Ok(read) => read,
        Err(error) if matches!(error.kind(), LedgerError::Absent) => {
            let probed = probe(&nearest_folder(path).join("ledger"), "--ledger");
            if findings.check("ledger", probed).is_some() {
                findings.ok("ledger", format!("{}: the first run makes it", path.display()));
            }
            return None;
        }
        Err(error) => {
            findings.mend("ledger", error);
            return None;
        }
    };
    match unwritable(path) {
        Some(why) => findings.mend("ledger", Failure::usage(why)),
        None => findings.ok(
            "ledger",
            format!(
                "{}: {} enrolled, {} in doubt; no run holds it",
                path.display(),
                grouped(counts.of(State::Enrolled)),
                grouped(counts.in_doubt())
            ),
        ),
    }
    Some((listed, runs.first().map(|run| run.ended_at.unwrap_or(run.started_at))))
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
fn clock(last: Option<i64>, findings: &mut DoctorFindings) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_fault_gives_the_code_and_notes_give_none() {
        let mut findings = DoctorFindings::default();
        findings.ok("settings", "read");
        findings.note("clock", "a little late");
        assert_eq!(findings.exit_code(), 0);
        assert!(findings.text().ends_with("nothing stands in the way of `run`\n"));
        findings.mend("ledger", Failure { code: 7, sentence: "held".to_owned() });
        findings.mend("sign-in", Failure { code: 6, sentence: "refused".to_owned() });
        assert_eq!(findings.exit_code(), 7);
        assert!(findings.text().contains("mend  ledger        held\n"), "{}", findings.text());
        let json: serde_json::Value = serde_json::from_str(&findings.json()).expect("JSON");
        assert_eq!((&json["exitCode"], &json["checks"][3]["code"]), (&7.into(), &6.into()));
        assert_eq!(json["checks"][1]["standing"], "note");
    }
}
