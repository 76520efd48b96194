//! `--report`: the run on one page, to be kept, mailed and printed.
//!
//! The page is one file without script and without anything to be fetched. It holds numbers, codes
//! and line numbers; no name, no id, no link, no secret, so it may be shown to anybody who may know
//! that the import took place.

mod chart;

use std::path::Path;

use jiff::{Timestamp, Zoned, tz::TimeZone};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use self::chart::{Mark, milliseconds, number};
use super::{
    atomic::{AtomicFile, FileError},
    closing::{Closing, beside_rows},
    outcome::{Counts, Reasons, Rejected},
    summary::{EXIT_CODES, Summary, seconds},
    words::{grouped, rate_in_words},
};
use crate::{
    ledger::{PERCENTILES, RunTraffic},
    pacing::{Limit, Quota},
};

/// So many reasons are shown; the rejects file holds all.
const REASONS: usize = 20;

/// No script, nothing fetched, whatever a cell or a server's code may hold.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// What the page tells.
pub struct Report<'a> {
    /// The numbers.
    pub summary: &'a Summary,
    /// Why rows are not enrolled.
    pub reasons: &'a Reasons,
    /// What was sent; `None` where nothing was.
    pub traffic: Option<&'a RunTraffic>,
    /// What was learnt of the server's limit.
    pub learnt: Option<Limit>,
    /// `--rate`.
    pub ceiling: Option<Quota>,
    /// What was set, by name; nothing secret.
    pub settings: Vec<(&'static str, String)>,
    /// When the run began, in milliseconds since 1970.
    pub began: i64,
    /// When it ended.
    pub ended: i64,
    /// Whether nothing of it was real.
    pub rehearsal: bool,
}

impl Report<'_> {
    /// Writes the page, readable by its owner alone.
    ///
    /// # Errors
    /// [`FileError`]; what was at the path before is untouched then.
    pub fn write(&self, path: &Path) -> Result<(), FileError> {
        let mut file = AtomicFile::create(path, "--report")?;
        file.write(self.page().into_string().as_bytes())?;
        file.commit().map(drop)
    }

    fn page(&self) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(POLICY);
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="referrer" content="no-referrer";
                    title { (self.headline()) " – registrant-import" }
                    style { (PreEscaped(include_str!("report/style.css"))) }
                }
                body {
                    main {
                        (self.header())
                        (self.outcome())
                        (self.next())
                        (self.reasons())
                        @if let Some(traffic) = self.traffic {
                            (self.requests(traffic))
                            (self.pace(traffic))
                            (latency(traffic))
                        }
                        (self.settings())
                    }
                    footer {
                        "registrant-import " (env!("CARGO_PKG_VERSION"))
                        " · this page holds no name, no id and no join link"
                    }
                }
            }
        }
    }

    fn headline(&self) -> String {
        let Counts { read, excluded, enrolled, .. } = &self.summary.counts;
        let wanted = read.saturating_sub(*excluded);
        match (enrolled, wanted) {
            (_, 0) => "No rows to enrol".to_owned(),
            (enrolled, wanted) if *enrolled == wanted => {
                format!("All {} rows enrolled", grouped(wanted))
            }
            _ => format!("{} of {} rows enrolled", grouped(*enrolled), grouped(wanted)),
        }
    }

    fn header(&self) -> Markup {
        let Summary { target, mode, exit_code, .. } = self.summary;
        html! {
            header {
                p.kicker {
                    "Import into a " (target.kind)
                    @match *mode {
                        Some("everyone") => " open to everyone",
                        Some("organization") => " open to people of the organization",
                        _ => "",
                    }
                    @if self.rehearsal { " " span.badge { "Rehearsal" } }
                }
                h1 { (self.headline()) }
                p class={ "verdict " (grade(*exit_code)) } {
                    strong { "Exit code " (exit_code) } " " (meaning(*exit_code))
                    @if let Some(reason) = self.summary.stop_reason { " (" code { (reason) } ")" }
                }
                p.when {
                    (self.when()) " · " (seconds(self.summary.elapsed_seconds))
                }
            }
        }
    }

    fn when(&self) -> String {
        let local = |at| {
            Timestamp::from_millisecond(at)
                .map_or_else(|_| Zoned::now(), |time| time.to_zoned(TimeZone::system()))
        };
        let (began, ended) = (local(self.began), local(self.ended));
        let end = if began.date() == ended.date() { "%H:%M:%S" } else { "%-d %B %Y, %H:%M:%S" };
        format!(
            "{} to {} (UTC{})",
            began.strftime("%-d %B %Y, %H:%M:%S"),
            ended.strftime(end),
            ended.strftime("%:z")
        )
    }

    fn outcome(&self) -> Markup {
        let summary = self.summary;
        let parts = [
            (
                "enrolled",
                "Enrolled",
                summary.counts.enrolled - summary.counts.already.min(summary.counts.enrolled),
            ),
            ("already", "Enrolled before this run", summary.counts.already),
            ("invalid", "Invalid: the file's fault", summary.counts.invalid),
            ("refused", "Refused by the server", summary.counts.refused),
            ("unknown", "Unknown: perhaps on the server, no link held", summary.counts.unknown),
            ("awaiting", "Awaiting a link", summary.counts.awaiting),
            ("not-attempted", "Not attempted", summary.counts.not_attempted),
            ("excluded", "Left out by filters", summary.counts.excluded),
        ];
        let shown = || parts.iter().filter(|(.., count)| *count > 0);
        html! {
            section {
                h2 { "Outcome" span.aside { (grouped(summary.counts.read)) " rows read" } }
                div.bar role="img" aria-label="Rows by outcome; the table below tells the numbers" {
                    @for (class, name, count) in shown() {
                        span class=(class) style={ "flex-grow:" (count) }
                            title={ (name) ": " (grouped(*count)) } {}
                    }
                }
                table.legend {
                    @for (class, name, count) in shown() {
                        tr {
                            th scope="row" { i class=(class) {} (name) }
                            td { (grouped(*count)) }
                            td.share { (share(*count, summary.counts.read)) }
                        }
                    }
                }
                @for sentence in beside_rows(&summary.counts) { p { (sentence) "." } }
            }
        }
    }

    fn next(&self) -> Markup {
        let closing = Closing {
            summary: self.summary,
            reasons: self.reasons,
            report: None,
            rehearsal: self.rehearsal,
        };
        let next = closing.next();
        html! {
            @if !next.is_empty() {
                section.next {
                    h2 { "What to do next" }
                    ul { @for sentence in &next { li { (spoken(sentence)) "." } } }
                }
            }
        }
    }

    fn reasons(&self) -> Markup {
        let reasons = self.reasons.commonest(REASONS);
        let most = reasons.first().map_or(1, |reason| reason.count);
        let further = self.reasons.len().saturating_sub(REASONS);
        html! {
            @if !reasons.is_empty() {
                section {
                    h2 { "Why rows are not enrolled" }
                    table.reasons {
                        thead {
                            tr { th { "Reason" } th.number { "Rows" } th { "Example lines" } }
                        }
                        @for reason in reasons {
                            tr {
                                td {
                                    code { (reason.code) }
                                    span.kind { i class=(class(reason.kind)) {} (reason.kind.words()) }
                                }
                                td.number {
                                    (grouped(reason.count))
                                    span.meter aria-hidden="true" {
                                        span class=(class(reason.kind))
                                            style={ "width:" (percent(reason.count, most)) "%" } {}
                                    }
                                }
                                td.lines { (reason.examples().replace(", …", ",\u{a0}…")) }
                            }
                        }
                    }
                    @if further > 0 { p.note { "And " (further) " more in the rejects file." } }
                }
            }
        }
    }

    fn requests(&self, traffic: &RunTraffic) -> Markup {
        let Summary { requests, throttled, retries, posts, .. } = self.summary;
        let sum =
            |count: fn(&crate::ledger::TrafficSlot) -> u64| traffic.slots.iter().map(count).sum();
        let kinds: [(&str, &str, u64); 4] = [
            ("accepted", "accepted", sum(|slot| slot.accepted)),
            ("throttled", "throttled", sum(|slot| slot.throttled)),
            ("failed", "lost or failed", sum(|slot| slot.failed)),
            ("refused", "refused", sum(|slot| slot.other)),
        ];
        html! {
            section {
                h2 {
                    "Requests over time"
                    span.aside { "each column " (milliseconds(traffic.slot)) }
                }
                (figures(&[
                    ("requests", grouped(*requests)),
                    ("posts", grouped(*posts)),
                    ("of them repeated", grouped(*retries)),
                    ("throttled", share(*throttled, *requests)),
                ]))
                (chart::requests(traffic))
                p.key {
                    @for (class, name, count) in kinds.iter().filter(|(.., count)| *count > 0) {
                        span { i class=(class) {} (grouped(*count)) " " (name) }
                    }
                }
            }
        }
    }

    fn pace(&self, traffic: &RunTraffic) -> Markup {
        let accepted: u64 = traffic.slots.iter().map(|slot| slot.accepted).sum();
        let span = number((traffic.last - traffic.first).max(1).unsigned_abs()) / 1_000.0;
        let mean = number(accepted) / span;
        let (per, unit) = if mean >= 1.0 { (1.0, "second") } else { (60.0, "minute") };
        let mut marks = Vec::new();
        if let Some(limit) = self.learnt {
            let (per_second, window) = (per_second(limit), window(limit));
            marks.push(Mark { per_second, window, class: "learnt" });
        }
        if let Some(rate) = self.ceiling {
            let (per_second, window) = (rate.per_second(), rate.per.as_secs_f64());
            marks.push(Mark { per_second, window, class: "ceiling" });
        }
        html! {
            section {
                h2 { "Pace" span.aside { "accepted a " (unit) } }
                (chart::pace(traffic, per, &marks))
                p.key {
                    span { i.accepted {} (rate_in_words(mean)) " on average" }
                    @if let Some(limit) = self.learnt {
                        span { i.learnt {} "limit learnt: " (told(limit)) }
                    } @else if self.summary.throttled > 0 {
                        span { "throttled too seldom to learn the limit" }
                    } @else {
                        span { "no limit showed itself" }
                    }
                    @if let Some(rate) = self.ceiling {
                        span { i.ceiling {} "never faster than " (rate) ", by --rate" }
                    }
                }
            }
        }
    }

    fn settings(&self) -> Markup {
        html! {
            section.settings {
                h2 { "Settings" }
                dl {
                    @for (name, value) in &self.settings {
                        div { dt { (name) } dd { (value) } }
                    }
                    div { dt { "version" } dd { (env!("CARGO_PKG_VERSION")) } }
                    div { dt { "SQLite" } dd { (rusqlite::version()) } }
                    div {
                        dt { "system" }
                        dd { (std::env::consts::OS) ", " (std::env::consts::ARCH) }
                    }
                }
            }
        }
    }
}

fn latency(traffic: &RunTraffic) -> Markup {
    let latency = &traffic.latency;
    let mut told: Vec<(String, String)> = PERCENTILES
        .iter()
        .zip(latency.percentiles)
        .map(|(percent, length)| (format!("{percent} % within"), milliseconds(length)))
        .collect();
    told.push(("longest".to_owned(), milliseconds(latency.longest)));
    let told: Vec<(&str, String)> =
        told.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    html! {
        @if latency.count > 0 {
            section {
                h2 {
                    "Time of an answer"
                    span.aside { (grouped(latency.count)) " answers, throttled ones left out" }
                }
                (figures(&told))
                (chart::latency(latency))
            }
        }
    }
}

fn figures(figures: &[(&str, String)]) -> Markup {
    html! {
        dl.figures {
            @for (name, value) in figures { div { dd { (value) } dt { (name) } } }
        }
    }
}

fn meaning(exit_code: u8) -> &'static str {
    let found = EXIT_CODES.iter().find(|(code, _)| *code == exit_code);
    found.map_or("", |(_, meaning)| meaning)
}

fn grade(exit_code: u8) -> &'static str {
    match exit_code {
        0 => "good",
        3 | 4 | 5 | 130 | 143 => "fair",
        _ => "bad",
    }
}

fn class(kind: Rejected) -> &'static str {
    kind.word()
}

fn per_second(limit: Limit) -> f64 {
    match limit {
        Limit::Pace { rate, .. } => rate,
        Limit::Window { quota, seconds, .. } => number(quota) / seconds,
    }
}

fn window(limit: Limit) -> f64 {
    match limit {
        Limit::Pace { .. } => 1.0,
        Limit::Window { seconds, .. } => seconds,
    }
}

fn told(limit: Limit) -> String {
    match limit {
        Limit::Pace { rate, .. } => rate_in_words(rate),
        Limit::Window { quota, seconds, .. } => format!("{quota} in {seconds:.0} s"),
    }
}

fn percent(part: u64, whole: u64) -> String {
    format!("{:.1}", 100.0 * number(part) / number(whole.max(1)))
}

fn share(part: u64, whole: u64) -> String {
    match percent(part, whole).as_str() {
        "0.0" if part > 0 => "< 0.1 %".to_owned(),
        "100.0" if part < whole => "> 99.9 %".to_owned(),
        text => format!("{} %", text.trim_end_matches(".0")),
    }
}

/// A sentence with a capital, and its `words` as code.
fn spoken(sentence: &str) -> Markup {
    let mut letters = sentence.chars();
    let capital = letters.next().map(char::to_uppercase).into_iter().flatten();
    let sentence: String = capital.chain(letters).collect();
    html! {
        @for (nth, part) in sentence.split('`').enumerate() {
            @if nth % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}
