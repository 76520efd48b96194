//! What a run leaves beside its two files, where it is asked for: the report and the metrics.

use std::path::Path;

use super::{args::AccountArgs, enrol::Enrolment, failure::Failure};
use crate::{
    auth::Method,
    graph::http::Http,
    job::{self, line::Line},
    ledger::{Ledger, Reading, RunTraffic},
    output::{Console, FileError, Metrics, Reasons, Report, Summary, probe},
    pacing::Bucket,
};

/// So many slots of time at most are told apart: more than a phone shows side by side.
const SLOTS: u16 = 80;

/// The exit code of a run that found the ledger held by another.
const HELD: u8 = 7;

impl Enrolment<'_> {
    /// Finds out, before anything is posted, whether both can be written later.
    pub(super) fn probe_account(&self) -> Result<(), Failure> {
        let files = [(&self.account.report, "--report"), (&self.account.metrics, "--metrics")];
        for (path, option) in
            files.into_iter().filter_map(|(path, name)| Some((path.as_ref()?, name)))
        {
            probe(path, option)?;
        }
        Ok(())
    }

    /// Writes both. One that cannot be written changes the exit code and nothing else: the rows are
    /// safe, and their files are written.
    pub(super) fn account(
        &self,
        summary: &mut Summary,
        reasons: &Reasons,
        ledger: &Ledger,
        line: &Line<Http>,
        console: &Console,
    ) -> Option<RunTraffic> {
        let mut failed = |why: String| {
            console.error(why);
            summary.exit_code = summary.exit_code.max(6);
        };
        // Counting a million attempts takes a second, so only where somebody reads it.
        let is_read =
            self.account.report.is_some() || self.account.metrics.is_some() || self.rehearsal;
        let counted = if is_read { ledger.traffic(SLOTS) } else { Ok(None) };
        let traffic = counted.unwrap_or_else(|error| {
            failed(error.to_string());
            None
        });
        let exit_code = summary.exit_code;
        if let Some(path) = &self.account.report {
            let learnt = line.pacing(|buckets| buckets.of(Bucket::Writes).learnt());
            let report = Report {
                summary,
                reasons,
                traffic: traffic.as_ref(),
                learnt: learnt.and_then(|learnt| learnt.limit),
                ceiling: self.pace.rate,
                settings: self.settings(line.sign_in()),
                began: line.clock.epoch(),
                ended: line.clock.stamp(line.clock.now()),
                rehearsal: self.rehearsal,
            };
            let written = report.write(path);
            tell(written, summary, console);
        }
        if let Some(path) = self.account.metrics.as_ref().filter(|_| !self.rehearsal) {
            let metrics = Metrics {
                ledger: &name(&self.ledger),
                ended: line.clock.stamp(line.clock.now()),
                last_success: ledger.last_success().ok().flatten(),
                exit_code,
                summary: Some(summary),
                traffic: traffic.as_ref(),
            };
            let written = metrics.write(path);
            tell(written, summary, console);
        }
        traffic
    }

    /// What was set, for the report: nothing secret, nothing that names a person. The organizer and
    /// values of `--set` and `--where` may, so they are left out.
    fn settings(&self, sign_in: Option<Method>) -> Vec<(&'static str, String)> {
        let input = match &self.input.csv {
            Some(crate::input::Source::File(path)) => name(path),
            _ => "standard input".to_owned(),
        };
        let or = |value: Option<String>, default: &str| value.unwrap_or(default.to_owned());
        let yes = |flag: bool| if flag { "yes" } else { "no" }.to_owned();
        let conduct = &self.conduct;
        let mut settings = vec![
            ("input", input),
            ("Graph", if self.rehearsal { "simulated".to_owned() } else { self.host.to_string() }),
            (
                "sign-in",
                if self.rehearsal { "simulated" } else { sign_in.map_or("none", Method::name) }
                    .to_owned(),
            ),
            ("--rate", or(self.pace.rate.map(|rate| rate.to_string()), "adaptive")),
            ("--concurrency", conduct.concurrency.to_string()),
            ("--timeout", format!("{} s", self.pace.timeout.as_secs_f64())),
            ("--max-attempts", conduct.max_attempts.to_string()),
            ("--settle", format!("{} s", conduct.settle.as_secs_f64())),
            ("--max-rejects", or(conduct.max_rejects.map(|limit| limit.to_string()), "no limit")),
            ("--strict", yes(conduct.strict)),
            ("--trust-ledger", yes(conduct.trust_ledger)),
            ("--trust-ids", yes(conduct.trust_ids)),
        ];
        if let Some(time) = self.pace.finish_by {
            settings.push(("--finish-by", time.strftime("%H:%M").to_string()));
        }
        if let Some(length) = self.pace.max_duration {
            settings.push(("--max-duration", crate::output::length(length)));
        }
        settings
    }
}

/// The metrics of a run that ended before it had any numbers: a scheduler's monitor hears of it all
/// the same. Where another run holds the ledger, the figures are that run's to write.
pub(super) fn failed(args: &AccountArgs, ledger: &Path, failure: &Failure, console: &Console) {
    let Some(path) = args.metrics.as_ref().filter(|_| failure.code != HELD) else { return };
    let metrics = Metrics {
        ledger: &name(ledger),
        ended: job::wall_clock(),
        last_success: Reading::glance(ledger)
            .and_then(|reading| reading.last_success())
            .ok()
            .flatten(),
        exit_code: failure.code,
        summary: None,
        traffic: None,
    };
    if let Err(error) = metrics.write(path) {
        console.error(error.to_string());
    }
}

fn tell(written: Result<(), FileError>, summary: &mut Summary, console: &Console) {
    if let Err(error) = written {
        console.error(error.to_string());
        summary.exit_code = summary.exit_code.max(6);
    }
}

/// A file's name without its folders, which may name a person.
fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
