//! Logs: on standard error past the progress bar, or in a file; text or JSON.
//!
//! Only this program's own events are logged, whatever the verbosity: those of the libraries below
//! may quote what they carry, and nobody here has read all of them for secrets. Rows are told by
//! their lines in the CSV; their ids belong to a target of its own, which only `--log-ids` switches
//! on.

use std::{fs::OpenOptions, sync::Mutex};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    Layer, filter::Targets, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};

use super::{
    args::{LogFormat, TalkArgs},
    failure::Failure,
};
use crate::{LOG_IDS, output::Console, private};

/// Starts the logs that the options ask for.
pub(super) fn start(talk: &TalkArgs, console: &Console) -> Result<(), Failure> {
    let level = match (talk.quiet, talk.verbose) {
        (true, _) => LevelFilter::ERROR,
        (false, 0) => LevelFilter::WARN,
        (false, 1) => LevelFilter::INFO,
        (false, 2) => LevelFilter::DEBUG,
        (false, _) => LevelFilter::TRACE,
    };
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
            && std::io::IsTerminal::is_terminal(&std::io::stderr());
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
