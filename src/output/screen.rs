//! The terminal's last lines: the bar and the counters, which everything that is printed goes past.
//!
//! The rows of the bar are drawn anew at most five times a second. What is printed takes them away,
//! and the next drawing brings them back: a storm of log lines costs no more drawings than silence.

use std::{
    io::{self, IsTerminal, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use console::Term;
use indicatif::{
    MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle, TermLike,
};

use super::words::harmless;

/// Redraws a second, at most.
const HERTZ: u32 = 5;
/// The clock that asks for drawings may come early by so much.
const SLACK: Duration = Duration::from_millis(20);

/// Standard error, and the bar below everything that is printed there.
#[derive(Clone)]
pub(super) struct Screen {
    rows: MultiProgress,
    /// Held while anything is written, so that nothing is printed into the bar's rows.
    drawn: Arc<Mutex<Drawn>>,
}

/// The last drawing.
#[derive(Default)]
struct Drawn {
    /// When the next one is due.
    due: Option<Instant>,
    /// The columns that it filled, where it stands.
    columns: Option<usize>,
}

impl Screen {
    /// Whether a bar can be drawn on standard error: a terminal that can move its cursor.
    pub(super) fn can_draw() -> bool {
        io::stderr().is_terminal() && !ProgressDrawTarget::stderr().is_hidden()
    }

    /// Standard error; `drawn`: with a bar, wherever standard error goes.
    pub(super) fn new(drawn: bool) -> Self {
        // No limit of indicatif's, which allows bursts of twenty: this screen has its own.
        let target = if drawn {
            ProgressDrawTarget::term_like(Box::new(BarRows(Term::buffered_stderr())))
        } else {
            ProgressDrawTarget::hidden()
        };
        Self { rows: MultiProgress::with_draw_target(target), drawn: Arc::default() }
    }

    /// The columns of the terminal; 80 where there is none.
    pub(super) fn columns() -> usize {
        Term::stderr().size_checked().map_or(80, |(_, columns)| usize::from(columns))
    }

    /// Begins a bar of so many steps; `words` are asked for the line below it, with its columns.
    pub(super) fn bar(
        &self,
        total: u64,
        words: impl Fn(usize) -> String + Clone + Send + Sync + 'static,
    ) -> Bar {
        let colours =
            Self::can_draw() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        // Else they would depend on where standard output goes.
        console::set_colors_enabled(colours);
        let bar = if colours { "{wide_bar:.green/white}" } else { "{wide_bar}" };
        let style = ProgressStyle::with_template(&format!("{bar} {{percent:>3}} %\n{{words}}"))
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("━━╌")
            .with_key("words", move |_: &ProgressState, line: &mut dyn std::fmt::Write| {
                let _ = line.write_str(&words(Self::columns()));
            });
        let _turn = self.turn();
        let bar = self.rows.add(ProgressBar::new(total).with_style(style));
        Bar { screen: self.clone(), bar }
    }

    /// Prints past the bar.
    pub(super) fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        let mut drawn = self.turn();
        self.clear(&mut drawn)?;
        io::stderr().lock().write_all(bytes)
    }

    /// Prints a line past the bar.
    pub(super) fn print(&self, line: &str) {
        // Standard error may be closed; nobody is left to be told so.
        let _ = self.write_all(format!("{}\n", harmless(line)).as_bytes());
    }

    /// Takes the rows away. A terminal that was made narrower or wider meanwhile has laid them anew:
    /// they are one line that fills two rows of the old width, and the cursor stands in its middle.
    fn clear(&self, drawn: &mut Drawn) -> io::Result<()> {
        let columns = Self::columns().max(1);
        let Some(before) = drawn.columns.take() else { return Ok(()) };
        let above = before / columns;
        if above == 0 {
            // indicatif goes up by a row, come what may.
            io::stderr().lock().write_all(b"\n")?;
        }
        self.rows.clear()?;
        if above > 1 {
            write!(io::stderr().lock(), "\x1b[{}A", above - 1)?;
        }
        if before != columns {
            io::stderr().lock().write_all(b"\x1b[J")?;
        }
        Ok(())
    }

    fn turn(&self) -> MutexGuard<'_, Drawn> {
        self.drawn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A bar on the screen.
pub(super) struct Bar {
    screen: Screen,
    bar: ProgressBar,
}

impl Bar {
    /// Draws it at this step, unless it was drawn just now.
    pub(super) fn draw(&self, step: u64) {
        let mut drawn = self.screen.turn();
        let now = Instant::now();
        let earliest = drawn.due.unwrap_or(now);
        if now + SLACK >= earliest {
            drawn.due = Some(earliest.max(now) + Duration::from_secs(1) / HERTZ);
            let columns = Screen::columns();
            if drawn.columns.is_some_and(|before| before != columns) {
                // Whoever resizes a terminal may close it, too.
                let _ = self.screen.clear(&mut drawn);
            }
            drawn.columns = Some(columns);
            self.bar.set_position(step);
        }
    }

    /// Takes it away for good.
    pub(super) fn end(&self) {
        let mut drawn = self.screen.turn();
        let _ = self.screen.clear(&mut drawn);
        self.bar.finish_and_clear();
    }
}

/// A terminal whose cursor is left at the start of the bar's last row, in one writing with the row
/// itself. The rows are filled to the edge: what the terminal echoes there (`^C`) would go into the
/// next one, and the bar would not be found again.
#[derive(Debug)]
struct BarRows(Term);

impl TermLike for BarRows {
    fn width(&self) -> u16 {
        TermLike::width(&self.0)
    }

    fn height(&self) -> u16 {
        TermLike::height(&self.0)
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_up(n)
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_down(n)
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_right(n)
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_left(n)
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.0.write_line(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.0.write_str(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.0.clear_line()
    }

    fn flush(&self) -> io::Result<()> {
        self.0.write_str("\r")?;
        self.0.flush()
    }
}
