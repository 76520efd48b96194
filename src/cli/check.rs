//! `check`: reads and validates, offline.

use serde::Serialize;

use super::{
    failure::Failure,
    logging::print,
    progress::repeats_warning,
    settings::{Against, CheckSettings},
    signals::Signals,
};
use crate::{
    input::{self, Detected, Mapping, Survey, survey},
    output::{Console, Rejects, grouped, harmless, probe},
    registrant::{Fault, FaultCode, Field},
};

/// What `--json` prints.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Checked<'a> {
    /// The mode, `webinar` or `townhall`: what the rows were held against.
    mode: &'static str,
    read: u64,
    valid: u64,
    invalid: u64,
    excluded: u64,
    detected: &'a Detected,
    mapping: &'a Mapping,
    exit_code: u8,
}

pub(super) fn check(settings: &CheckSettings, console: &Console) -> Result<u8, Failure> {
    let source = &settings.input.source;
    let _signals = Signals::listen_for(source, console);
    let input = input::open(source, &settings.input.options)?;
    let rule = settings.against.rule();
    if !settings.json {
        print(&harmless(&input.describe()));
    }
    let said = input.notes();
    for note in &said {
        console.say(note);
    }
    input.require(&rule)?;
    if let Some(path) = &settings.rejects {
        probe(path, "--rejects")?;
    }
    let (detected, mapping) = (input.detected().clone(), input.mapping().clone());
    let header = input.header().clone();
    let mut rejects = match &settings.rejects {
        Some(path) => Some(Rejects::begin(path, &header, false)?),
        None => None,
    };
    let mut rows = input.into_rows()?;
    let survey = survey::<Failure>(&mut rows, rule, |row, faults| {
        if let Some(rejects) = &mut rejects {
            rejects.invalid(row, faults)?;
        }
        Ok(())
    })?;
    if let Some(trap) = survey.trap.clone() {
        return Err(trap.into());
    }
    rejects.map(|rejects| rejects.commit().map(drop)).transpose()?;
    let exit_code = if survey.invalid > 0 { 3 } else { 0 };
    if settings.json {
        let checked = Checked {
            mode: settings.against.word(),
            read: survey.read,
            valid: survey.valid,
            invalid: survey.invalid,
            excluded: survey.excluded,
            detected: &detected,
            mapping: &mapping,
            exit_code,
        };
        let json = serde_json::to_string(&checked).map_err(|e| Failure::internal("JSON", &e))?;
        print(&format!("{json}\n"));
    } else {
        print(&harmless(&in_words(&survey, settings.against)));
    }
    for note in survey.notes.iter().filter(|note| !said.contains(note)) {
        console.say(note);
    }
    let differing = survey.faults.get(&FaultCode::DuplicateId).copied().unwrap_or(0);
    if differing > 0 {
        console.warn(repeats_warning(&mapping, differing));
    }
    let shared = survey.faults.get(&FaultCode::DuplicateEmail).copied().unwrap_or(0);
    if shared > 0 {
        console.warn(addresses_warning(&mapping, shared));
    }
    Ok(exit_code)
}

/// What is said where people share an e-mail address that a virtual event tells them apart by.
fn addresses_warning(mapping: &Mapping, rows: u64) -> String {
    let (hold, are) = if rows == 1 { ("row holds", "is") } else { ("rows hold", "are") };
    format!(
        "{} {hold} the e-mail address of an earlier row with another id (`{}`) and {are} invalid: Teams keeps one registration for each address. Give each person an address of their own",
        grouped(rows),
        mapping.shown(&Field::Email)
    )
}

fn in_words(survey: &Survey, against: Against) -> String {
    let against = match against {
        Against::Mode(mode) => format!("mode {mode}"),
        Against::Event(kind) => kind.noun().to_owned(),
    };
    let mut lines = vec![format!(
        "\n{} rows read: {} valid, {} invalid, {} left out ({against})",
        grouped(survey.read),
        grouped(survey.valid),
        grouped(survey.invalid),
        grouped(survey.excluded),
    )];
    if survey.repeated > 0 {
        let repeat = if survey.repeated == 1 { "repeats" } else { "repeat" };
        lines.push(format!(
            "{} of the valid rows {repeat} an earlier row in every cell, to share its enrolment",
            grouped(survey.repeated)
        ));
    }
    let faults = survey.faults.iter();
    lines.extend(faults.map(|(code, rows)| format!("{:>9}  {code}", grouped(*rows))));
    for (line, faults) in &survey.first {
        let told = |fault: &Fault| format!("line {line}: {}: {}", fault.code, fault.told());
        lines.extend(faults.iter().map(told));
    }
    let shown = survey.first.len() as u64;
    if survey.invalid > shown {
        lines.push(format!(
            "… and {} more; --rejects FILE writes all of them",
            grouped(survey.invalid - shown)
        ));
    }
    lines.push(String::new());
    lines.join("\n")
}
