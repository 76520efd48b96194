//! `--metrics`: the run's figures for the textfile collector of Prometheus' `node_exporter`.
//!
//! The text is OpenMetrics and, to the letter, also the older Prometheus format, which is the one
//! that the collector reads: gauges only, no timestamps, an ending that the older format takes for
//! a comment. Gauges and no counters, for each run begins anew.

use std::{
    fmt::{Display, Write},
    path::Path,
};

use super::{
    atomic::{AtomicFile, FileError},
    summary::Summary,
};
use crate::ledger::RunTraffic;

/// What is written.
pub struct Metrics<'a> {
    /// The ledger's file name: it tells one job's figures from another's on the same machine.
    pub ledger: &'a str,
    /// When the run ended, in milliseconds since 1970.
    pub ended: i64,
    /// When a run last ended with exit code 0, this one included.
    pub last_success: Option<i64>,
    pub exit_code: u8,
    /// The numbers; `None` for a run that ended before it had any.
    pub summary: Option<&'a Summary>,
    /// What was sent; `None` where nothing was.
    pub traffic: Option<&'a RunTraffic>,
}

impl Metrics<'_> {
    /// Writes the file, readable by everybody: the collector is another user, and there is nothing
    /// in it but numbers.
    ///
    /// # Errors
    /// [`FileError`]; what was at the path before is untouched then.
    pub fn write(&self, path: &Path) -> Result<(), FileError> {
        let mut file = AtomicFile::create_public(path, "--metrics")?;
        file.write(self.text().as_bytes())?;
        file.commit().map(drop)
    }

    fn text(&self) -> String {
        let mut text = MetricsText { text: String::new(), ledger: escaped(self.ledger) };
        text.family("build_info", "The version of the program.");
        text.labelled("build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
        text.gauge("last_run_timestamp_seconds", "When the last run ended.", stamp(self.ended));
        text.gauge("last_run_exit_code", "The exit code of the last run.", self.exit_code);
        if let Some(at) = self.last_success {
            let help = "When a run last enrolled every row (exit code 0).";
            text.gauge("last_success_timestamp_seconds", help, stamp(at));
        }
        if let Some(summary) = self.summary {
            self.numbers(&mut text, summary);
        }
        text.text.push_str("# EOF\n");
        text.text
    }

    fn numbers(&self, text: &mut MetricsText, summary: &Summary) {
        text.gauge("last_run_duration_seconds", "How long the run took.", summary.elapsed_seconds);
        text.gauge("last_run_rows_read", "Rows of the input.", summary.counts.read);
        text.family("last_run_rows", "Rows by where they ended; every row ends in one.");
        let rows = [
            ("enrolled", summary.counts.enrolled),
            ("invalid", summary.counts.invalid),
            ("refused", summary.counts.refused),
            ("unknown", summary.counts.unknown),
            ("awaiting", summary.counts.awaiting),
            ("not-attempted", summary.counts.not_attempted),
            ("excluded", summary.counts.excluded),
        ];
        for (outcome, number) in rows {
            text.labelled("last_run_rows", &[("outcome", outcome)], number);
        }
        let already = "Of the enrolled rows, those of earlier runs.";
        text.gauge("last_run_rows_already_enrolled", already, summary.counts.already);
        let changed = "People whose details differ from what Teams has.";
        text.gauge("last_run_people_changed", changed, summary.counts.changed);
        let missing = "People whom the ledger enrolled and the list names no more.";
        text.gauge("last_run_people_missing", missing, summary.counts.missing);
        text.gauge("last_run_requests", "Requests of any kind.", summary.requests);
        text.gauge("last_run_throttled", "Answers that asked to wait.", summary.throttled);
        text.gauge("last_run_retries", "POSTs of a row posted before.", summary.retries);
        let help = "People whose registration was cancelled.";
        text.gauge("last_run_cancelled", help, summary.cancelled);
        let help = "Cancellations that wait for a person.";
        text.gauge("last_run_cancellations_held", help, summary.cancellations_held);
        text.family(
            "last_run_writes",
            "POSTs and DELETEs of registrants by HTTP status; `none` where no answer came.",
        );
        for answers in self.traffic.map_or(&[][..], |traffic| &traffic.answers) {
            let status = answers.status.map_or("none".to_owned(), |status| status.to_string());
            let labels = [("call", answers.call.as_str()), ("status", &status)];
            text.labelled("last_run_writes", &labels, answers.count);
        }
    }
}

struct MetricsText {
    text: String,
    ledger: String,
}

impl MetricsText {
    fn family(&mut self, name: &str, help: &str) {
        write!(
            self.text,
            "# HELP registrant_import_{name} {help}\n# TYPE registrant_import_{name} gauge\n"
        )
        .expect("a String takes every write");
    }

    fn labelled(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let mut line = format!("registrant_import_{name}{{ledger=\"{}\"", self.ledger);
        for (name, value) in labels {
            line.extend([",", name, "=\"", &escaped(value), "\""]);
        }
        writeln!(self.text, "{line}}} {value}").expect("a String takes every write");
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, help);
        self.labelled(name, &[], value);
    }
}

/// A label's value as both formats want it.
fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n")
}

/// Seconds since 1970, with milliseconds.
fn stamp(at: i64) -> String {
    format!("{}.{:03}", at.div_euclid(1_000), at.rem_euclid(1_000))
}
