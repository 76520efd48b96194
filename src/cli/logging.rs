//! What is written to the standard streams: what a command prints, and the logs.
//!
//! Logs stand on standard error past the progress bar, or in a file; text or JSON.
//!
//! Only this program's own events are logged, whatever the verbosity: those of the libraries below
//! may quote what they carry, and nobody here has read all of them for secrets. Rows are told by
//! their lines in the CSV; their ids belong to a target of its own, which only `--log-ids` switches
//! on.

use std::{
    fs::OpenOptions,
    io::{self, IsTerminal, Write},
    sync::Mutex,
};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    Layer, filter::Targets, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};

use super::{args::LogFormat, failure::Failure, settings::TalkSettings};
use crate::{LOG_IDS, output::Console, private};

/// Starts the logs that the options ask for.
pub(super) fn start(talk: &TalkSettings, console: &Console) -> Result<(), Failure> {
    let level = talk.level;
    let ids = if talk.log_ids { level } else { LevelFilter::OFF };
    let ours = Targets::new().with_target("registrant_import", level).with_target(LOG_IDS, ids);
    let layer = if let Some(path) = &talk.log_file {
        let mut options = OpenOptions::new();
        let file = private::open(path, options.create(true).append(true))
            .map_err(|error| Failure::usage(format!("--log-file {}: {error}", path.display())))?;
        let layer = fmt::layer().with_writer(Mutex::new(file)).with_ansi(false);
        match talk.log_format {
            LogFormat::Text => layer.boxed(),
            LogFormat::Json => layer.json().boxed(),
        }
    } else {
        let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && io::stderr().is_terminal();
        let layer = fmt::layer().with_writer(console.log_writer()).with_ansi(colours);
        match talk.log_format {
            LogFormat::Text => layer.boxed(),
            LogFormat::Json => layer.json().boxed(),
        }
    };
    // A second start, in a test that calls the library twice, keeps the first one's logs.
    let _ = tracing_subscriber::registry().with(layer.with_filter(ours)).try_init();
    Ok(())
}

/// Prints to standard output. Where that cannot be had, standard error says so: the files and the
/// exit code tell the same.
pub(super) fn print(text: &str) {
    let mut out = io::stdout().lock();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        let _ = writeln!(
            io::stderr(),
            "error: standard output could not be written, so what was to stand there is lost: {error}; the exit code and the files hold"
        );
    }
}
