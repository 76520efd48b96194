//! What a person sees while a run goes on: one calm bar and a line of counters on a terminal, a
//! plain line now and then elsewhere. Logs go past the bar without breaking it.

use std::{
    cell::Cell,
    io::{self, IsTerminal, Write},
    str::FromStr,
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::{SignedDuration, Zoned};

use crate::job::engine::Progress;

/// Redraws a second, at most.
const HERTZ: u8 = 5;
/// Where there is no terminal, a line is written this often.
const PLAIN: Duration = Duration::from_secs(30);

/// `--progress`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProgressMode {
    /// A bar on a terminal, plain lines elsewhere.
    #[default]
    Auto,
    /// A bar, wherever standard error goes.
    Always,
    /// Neither.
    Never,
}

impl FromStr for ProgressMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "always" => Ok(Self::Always),
            "never" => Ok(Self::Never),
            _ => Err(format!("`{text}` is none of auto, always, never")),
        }
    }
}

/// How much is said on standard error beside the logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Talk {
    /// What a person wants to know.
    Normal,
    /// Errors only.
    Quiet,
}

/// Standard error, shared by people's lines, the bar and the logs.
pub struct Console {
    talk: Talk,
    screen: MultiProgress,
    style: Style,
    bar: ProgressBar,
    said_at: Cell<Duration>,
    total: Cell<u64>,
    already: Cell<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Bar,
    Plain,
    Silent,
}

impl Console {
    /// A console that talks so much and shows progress so.
    #[must_use]
    pub fn new(talk: Talk, mode: ProgressMode) -> Self {
        let style = match (talk, mode) {
            (Talk::Quiet, _) | (_, ProgressMode::Never) => Style::Silent,
            (_, ProgressMode::Always) => Style::Bar,
            (_, ProgressMode::Auto) if io::stderr().is_terminal() => Style::Bar,
            (_, ProgressMode::Auto) => Style::Plain,
        };
        let target = match style {
            Style::Bar => ProgressDrawTarget::stderr_with_hz(HERTZ),
            _ => ProgressDrawTarget::hidden(),
        };
        Self {
            talk,
            screen: MultiProgress::with_draw_target(target),
            style,
            bar: ProgressBar::hidden(),
            said_at: Cell::new(Duration::ZERO),
            total: Cell::new(0),
            already: Cell::new(0),
        }
    }

    /// Says a line to a person, unless `--quiet`.
    pub fn say(&self, text: impl AsRef<str>) {
        if self.talk == Talk::Normal {
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
        self.screen.suspend(|| {
            // Standard error may be closed; nobody is left to be told so.
            let _ = writeln!(io::stderr().lock(), "{text}");
        });
    }

    /// Where logs are written, so that they do not break the bar.
    #[must_use]
    pub fn log_writer(&self) -> LogWriter {
        LogWriter(self.screen.clone())
    }

    /// Begins to show progress: `total` rows to be sent, `already` enrolled before.
    pub fn begin(&mut self, total: u64, already: u64) {
        self.total.set(total);
        self.already.set(already);
        if self.style != Style::Bar || total == 0 {
            return;
        }
        let style = ProgressStyle::with_template("{wide_bar:.green/white} {percent:>3} %\n{msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("━━╌");
        self.bar = self.screen.add(ProgressBar::new(total).with_style(style));
        self.bar.tick();
    }

    /// Shows how far a run is.
    pub fn progress(&self, progress: &Progress) {
        let done = progress.tally.enrolled + progress.tally.refused;
        match self.style {
            Style::Bar => {
                self.bar.set_position(done.min(self.total.get()));
                self.bar.set_message(self.counters(progress, " · "));
            }
            Style::Plain => {
                if progress.elapsed.saturating_sub(self.said_at.get()) >= PLAIN {
                    self.said_at.set(progress.elapsed);
                    self.print(&format!(
                        "{done} of {} rows: {}",
                        self.total.get(),
                        self.counters(progress, ", ")
                    ));
                }
            }
            Style::Silent => {}
        }
    }

    /// Takes the bar away.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }

    fn counters(&self, progress: &Progress, between: &str) -> String {
        let tally = &progress.tally;
        let mut parts = vec![format!("{} enrolled", tally.enrolled)];
        let mut count = |number: u64, name: &str| {
            if number > 0 {
                parts.push(format!("{number} {name}"));
            }
        };
        count(self.already.get(), "already");
        count(tally.refused, "refused");
        count(tally.in_doubt, "unknown");
        count(progress.traffic.throttled, "throttled");
        if let Some(rate) = progress.pace.per_second {
            parts.push(rate_in_words(rate));
        }
        match progress.pace.closed {
            Some(closed) => {
                let wait = closed.until.saturating_sub(progress.elapsed);
                let who = if closed.by_server { "asked by the server" } else { "after a failure" };
                parts.push(format!("waiting {} s, {who}", wait.as_secs() + 1));
            }
            None => parts.extend(progress.pace.left.map(time_left)),
        }
        parts.join(between)
    }
}

/// A rate a person can picture: a second, a minute or an hour.
#[must_use]
pub fn rate_in_words(per_second: f64) -> String {
    if per_second >= 10.0 {
        format!("{per_second:.0}/s")
    } else if per_second >= 1.0 {
        format!("{per_second:.1}/s")
    } else if per_second * 60.0 >= 1.0 {
        format!("{:.1}/min", per_second * 60.0)
    } else {
        format!("{:.1}/h", per_second * 3_600.0)
    }
}

/// "4 h 40 min, until 03:10".
#[must_use]
pub fn time_left(left: Duration) -> String {
    let length = length(left);
    let end =
        SignedDuration::try_from(left).ok().and_then(|left| Zoned::now().checked_add(left).ok());
    match end {
        Some(end) => format!("{length} left, until {}", end.strftime("%H:%M")),
        None => format!("{length} left"),
    }
}

/// A duration in its two largest units.
#[must_use]
pub fn length(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..172_800 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Writes logs to standard error past the bar.
#[derive(Clone)]
pub struct LogWriter(MultiProgress);

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().lock().write_all(bytes))?;
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

    #[test]
    fn rates_and_lengths_are_told_in_units_a_person_can_picture() {
        assert_eq!(rate_in_words(123.4), "123/s");
        assert_eq!(rate_in_words(2.55), "2.5/s");
        assert_eq!(rate_in_words(0.5), "30.0/min");
        assert_eq!(rate_in_words(0.01), "36.0/h");
        assert_eq!(length(Duration::from_secs(59)), "59 s");
        assert_eq!(length(Duration::from_secs(20_000)), "5 h 33 min");
        assert_eq!(length(Duration::from_secs(200_000)), "2 days");
    }
}
