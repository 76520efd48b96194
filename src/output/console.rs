//! What a person sees while a run goes on: one calm bar and a line of counters on a terminal, a
//! plain line now and then elsewhere. Logs go past the bar without breaking it.

use std::{
    cell::Cell,
    io::{self, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use strum::EnumString;

use super::{
    screen::{Bar, Screen},
    words::{grouped, rate_in_words, second_of_end, time_left},
};
use crate::job::engine::{Progress, Tally};

/// Where there is no terminal, a line is written this often.
const PLAIN: Duration = Duration::from_secs(30);

/// Of a wait that lasts for as long at least a person is told the end by the clock.
const LONG: Duration = Duration::from_secs(10);

/// `--progress`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumString)]
#[strum(serialize_all = "lowercase", parse_err_ty = String, parse_err_fn = unknown_mode)]
pub enum ProgressMode {
    /// A bar on a terminal, plain lines elsewhere.
    #[default]
    Auto,
    /// A bar, wherever standard error goes.
    Always,
    /// Neither.
    Never,
}

fn unknown_mode(text: &str) -> String {
    format!("`{text}` is none of auto, always, never")
}

/// Standard error, shared by people's lines, the bar and the logs.
pub struct Console {
    quiet: bool,
    screen: Screen,
    style: Style,
    bar: Option<Bar>,
    said_at: Cell<Duration>,
    total: Cell<u64>,
    already: Cell<u64>,
    status_line: StatusLine,
}

/// Tells how the run stands, from any thread and at any time.
#[derive(Clone)]
pub struct StatusLine {
    quiet: bool,
    screen: Screen,
    state: Arc<RunState>,
}

/// How the run stands.
#[derive(Default)]
struct RunState {
    /// In a line for whoever asks.
    line: Mutex<String>,
    /// What there is to tell, in the order of reading, each with its weight.
    counters: Mutex<Vec<(u8, String)>>,
}

impl StatusLine {
    /// Says how the run stands, also with `--quiet`: somebody has asked.
    pub fn tell_state(&self) {
        let line = held(&self.state.line).clone();
        self.screen.print(&line);
    }

    /// What the program is at, for whoever asks.
    pub fn stage(&self, state: &str) {
        state.clone_into(&mut held(&self.state.line));
    }

    /// Says a line to a person, unless `--quiet`.
    pub fn say(&self, text: &str) {
        if !self.quiet {
            self.screen.print(text);
        }
    }
}

/// The value, whatever became of a thread that had it in hand.
fn held<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Bar,
    Plain,
    Silent,
}

impl Console {
    /// A console that shows progress so; `quiet`: errors, warnings and what somebody asks for alone.
    pub fn new(quiet: bool, mode: ProgressMode) -> Self {
        let style = match mode {
            _ if quiet => Style::Silent,
            ProgressMode::Never => Style::Silent,
            ProgressMode::Always => Style::Bar,
            ProgressMode::Auto if Screen::can_draw() => Style::Bar,
            ProgressMode::Auto => Style::Plain,
        };
        let screen = Screen::new(style == Style::Bar);
        Self {
            quiet,
            status_line: StatusLine { quiet, screen: screen.clone(), state: Arc::default() },
            screen,
            style,
            bar: None,
            said_at: Cell::new(Duration::ZERO),
            total: Cell::new(0),
            already: Cell::new(0),
        }
    }

    /// Says a line to a person, unless `--quiet`.
    pub fn say(&self, text: impl AsRef<str>) {
        if !self.quiet {
            self.print(text.as_ref());
        }
    }

    /// Says a warning, also with `--quiet`.
    pub fn warn(&self, text: impl AsRef<str>) {
        self.print(&format!("warning: {}", text.as_ref()));
    }

    /// Says what ends the command, also with `--quiet`.
    pub fn error(&self, text: impl AsRef<str>) {
        self.print(&format!("error: {}", text.as_ref()));
    }

    /// Asks a person for something, also with `--quiet`: the program waits for it.
    pub fn ask(&self, text: impl AsRef<str>) {
        self.print(text.as_ref());
    }

    fn print(&self, text: &str) {
        self.screen.print(text);
    }

    /// Who tells how the run stands; from now on, and until something else is known, so.
    pub fn status_line(&self, state: &str) -> StatusLine {
        self.stage(state);
        self.status_line.clone()
    }

    /// What the program is at, for whoever asks.
    pub fn stage(&self, state: &str) {
        self.status_line.stage(state);
    }

    /// Where logs are written, so that they do not break the bar.
    pub fn log_writer(&self) -> LogWriter {
        LogWriter(self.screen.clone())
    }

    /// Begins to show progress: `total` rows to be sent, `already` enrolled before.
    pub fn begin(&mut self, total: u64, already: u64) {
        self.total.set(total);
        self.already.set(already);
        if self.style == Style::Bar && total > 0 {
            let state = self.status_line.state.clone();
            let words = move |columns| fitted(held(&state.counters).clone(), columns);
            self.bar = Some(self.screen.bar(total, words));
        }
    }

    /// Shows how far a run is.
    pub fn progress(&self, progress: &Progress) {
        let Tally { enrolled, refused, awaiting, to_link, .. } = progress.tally;
        let done = enrolled + refused + awaiting;
        let counters = self.counters(progress);
        let line = format!(
            "{} of {} rows: {}",
            grouped(done),
            grouped(self.total.get()),
            joined(&counters, ", ")
        );
        match self.style {
            Style::Bar => {
                *held(&self.status_line.state.counters) = counters;
                if let Some(bar) = &self.bar {
                    bar.draw(shown(done, to_link, self.total.get()));
                }
            }
            Style::Plain => {
                if progress.elapsed.saturating_sub(self.said_at.get()) >= PLAIN {
                    self.said_at.set(progress.elapsed);
                    self.print(&line);
                }
            }
            Style::Silent => {}
        }
        *held(&self.status_line.state.line) = line;
    }

    /// Takes the bar away; what is still to be done goes on under this name.
    pub fn end(&self, state: &str) {
        self.stage(state);
        if let Some(bar) = &self.bar {
            bar.end();
        }
    }

    /// What there is to tell, in the order of reading, each with its weight: on a narrow terminal
    /// the lightest go first.
    fn counters(&self, progress: &Progress) -> Vec<(u8, String)> {
        let tally = &progress.tally;
        let mut parts = vec![(9, format!("{} enrolled", grouped(tally.enrolled)))];
        let mut count = |weight: u8, number: u64, name: &str| {
            if number > 0 {
                parts.push((weight, format!("{} {name}", grouped(number))));
            }
        };
        count(1, self.already.get(), "already");
        count(6, tally.to_link, if tally.to_link == 1 { "link to come" } else { "links to come" });
        count(5, tally.awaiting, "awaiting");
        count(6, tally.refused, "refused");
        count(5, tally.in_doubt, "unknown");
        count(3, progress.traffic.throttled, "throttled");
        if let Some(rate) = progress.pace.per_second {
            parts.push((4, rate_in_words(rate)));
        }
        if let Some(closed) = progress.pace.closed {
            let wait = closed.until.saturating_sub(progress.elapsed);
            let who = if closed.by_server { "asked by the server" } else { "after a failure" };
            let long = closed.by_server && wait >= LONG;
            if let Some(end) = second_of_end(wait).filter(|_| long) {
                parts.push((8, format!("Graph asked to wait until {end}")));
            } else {
                parts.push((8, format!("waiting {} s", wait.as_secs() + 1)));
                parts.push((2, format!(", {who}")));
            }
        } else {
            let pace = &progress.pace;
            let wait = |until: Duration| until.saturating_sub(progress.elapsed).as_secs() + 1;
            match pace.left {
                // Every row was sent, and what became of some is still to be found out.
                Some(left) if left.as_secs() == 0 && pace.in_flight == 0 => {
                    parts.push((7, "looking up".to_owned()));
                }
                Some(left) => {
                    let text = time_left(left);
                    let (length, end) = text.split_once(", ").unwrap_or((&text, ""));
                    parts.push((7, length.to_owned()));
                    if !end.is_empty() {
                        parts.push((2, format!(", {end}")));
                    }
                }
                None => {}
            }
            if let Some(closed) = pace.reads {
                parts.push((3, format!("look-ups wait {} s", wait(closed.until))));
            }
            if let Some((requests, until)) = pace.resting {
                parts.push((3, format!("{requests} failed, again in {} s", wait(until))));
            }
        }
        parts
    }
}

/// How far the bar is. A webinar takes rows at its own slow pace and gives their links in batches:
/// who is registered counts, but the bar is not full before the last link is here.
fn shown(done: u64, to_link: u64, total: u64) -> u64 {
    let most = if to_link > 0 { total.saturating_sub(1) } else { total };
    (done + to_link).min(most.max(done)).min(total)
}

/// As much of it as a line of so many columns holds.
fn fitted(mut parts: Vec<(u8, String)>, columns: usize) -> String {
    loop {
        let line = joined(&parts, " · ");
        let lightest = parts.iter().enumerate().min_by_key(|(_, (weight, _))| *weight);
        match lightest {
            Some((place, _)) if line.chars().count() >= columns && parts.len() > 1 => {
                parts.remove(place);
            }
            _ => return line.chars().take(columns.saturating_sub(1)).collect(),
        }
    }
}

/// The parts with this between them; one that begins with a comma goes on with the one before.
fn joined(parts: &[(u8, String)], between: &str) -> String {
    let mut line = String::new();
    for (_, text) in parts {
        if !line.is_empty() && !text.starts_with(',') {
            line.push_str(between);
        }
        line.push_str(text);
    }
    line
}

/// Writes logs to standard error past the bar.
#[derive(Clone)]
pub struct LogWriter(Screen);

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> tracing_subscriber::fmt::MakeWriter<'a> for LogWriter {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        job::client::Traffic,
        pacing::{Closed, View},
    };

    #[test]
    fn the_bar_moves_with_who_is_registered_and_is_full_with_the_last_link() {
        assert_eq!(shown(0, 30, 400), 30);
        assert_eq!(shown(90, 30, 400), 120);
        assert_eq!(shown(300, 100, 400), 399);
        assert_eq!(shown(400, 0, 400), 400);
        assert_eq!(shown(400, 5, 400), 400, "further rows than were planned");
        assert_eq!(shown(0, 0, 0), 0);
    }

    #[test]
    fn a_long_wait_that_graph_asked_for_is_told_by_the_clock() {
        let told = |by_server, seconds: u64| {
            let until = Duration::from_secs(60 + seconds);
            let progress = Progress {
                tally: Tally::default(),
                pace: View {
                    per_second: Some(0.5),
                    closed: Some(Closed { until, by_server }),
                    in_flight: 0,
                    throttled: 1,
                    left: Some(Duration::from_secs(7_200)),
                    ..View::default()
                },
                traffic: Traffic::default(),
                elapsed: Duration::from_secs(60),
            };
            joined(&Console::new(true, ProgressMode::Never).counters(&progress), " · ")
        };
        let long = told(true, 600);
        let (before, end) = long.split_once("Graph asked to wait until ").expect("told");
        assert_eq!(before, "0 enrolled · 30/min · ");
        // Hours, minutes, seconds.
        assert_eq!((end.len(), end.split(':').count()), (8, 3), "{end}");
        assert_eq!(told(true, 3), "0 enrolled · 30/min · waiting 4 s, asked by the server");
        assert_eq!(told(false, 600), "0 enrolled · 30/min · waiting 601 s, after a failure");
    }

    #[test]
    fn what_rests_and_what_is_looked_up_is_told() {
        let told = |pace: View| {
            let (tally, traffic) = (Tally::default(), Traffic::default());
            let progress = Progress { tally, pace, traffic, elapsed: Duration::from_secs(60) };
            joined(&Console::new(true, ProgressMode::Never).counters(&progress), " · ")
        };
        let until = Duration::from_secs(64);
        let sending = View { left: Some(Duration::from_secs(50)), ..View::default() };
        let line = told(View { resting: Some((2, until)), ..sending });
        assert!(line.ends_with(" · 2 failed, again in 5 s"), "{line}");
        assert!(line.starts_with("0 enrolled · 50 s left"), "{line}");
        let reads = Some(Closed { until, by_server: true });
        let line = told(View { reads, ..sending });
        assert!(line.ends_with(" · look-ups wait 5 s"), "{line}");
        let sent = View { left: Some(Duration::ZERO), ..View::default() };
        assert_eq!(told(View { resting: Some((1, until)), ..sent }), {
            "0 enrolled · looking up · 1 failed, again in 5 s"
        });
    }

    #[test]
    fn a_narrow_terminal_loses_the_lightest_words_first_and_never_wraps() {
        let parts = [
            (9, "1,204 enrolled"),
            (1, "88 already"),
            (5, "3 unknown"),
            (3, "17 throttled"),
            (4, "9.8/s"),
            (7, "4 h 40 min left"),
            (2, ", until 03:10"),
        ];
        let line = |columns| {
            fitted(
                parts.iter().map(|(weight, text)| (*weight, (*text).to_owned())).collect(),
                columns,
            )
        };
        assert_eq!(
            line(100),
            "1,204 enrolled · 88 already · 3 unknown · 17 throttled · 9.8/s · 4 h 40 min left, until 03:10"
        );
        assert_eq!(line(60), "1,204 enrolled · 3 unknown · 9.8/s · 4 h 40 min left");
        assert_eq!(line(40), "1,204 enrolled · 4 h 40 min left");
        for columns in 1..120 {
            assert!(line(columns).chars().count() < columns, "{columns}");
        }
    }
}
