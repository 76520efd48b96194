//! What is written to the standard streams: what a command prints, and the logs.
//!
//! Logs stand on standard error past the progress bar, or in a file; text or JSON.
//!
//! Only this program's own events are logged, whatever the verbosity: those of the libraries below
//! may quote what they carry, and nobody here has read all of them for secrets. Rows are told by
//! their lines in the CSV; their ids belong to a target of its own, which only `--log-ids` switches
//! on.

use std::{
    fs::{File, OpenOptions},
    io::{self, IsTerminal, Write},
    sync::Mutex,
};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    Layer,
    filter::Targets,
    fmt::{self, writer::BoxMakeWriter},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use super::{
    args::{LogFormat, TalkArgs},
    failure::Failure,
};
use crate::{
    LOG_IDS,
    output::{Console, LogWriter},
    private,
};

/// Starts the logs that the options ask for.
pub(super) fn start(talk: &TalkArgs, console: &Console) -> Result<(), Failure> {
    let level = talk.level();
    let ids = if talk.log_ids { level } else { LevelFilter::OFF };
    let ours = Targets::new().with_target("registrant_import", level).with_target(LOG_IDS, ids);
    let (writer, colours) = if let Some(path) = &talk.log_file {
        let mut options = OpenOptions::new();
        let opened = private::open(path, options.create(true).append(true));
        let name = format!("--log-file {}", path.display());
        let file = opened.map_err(|error| Failure::usage(format!("{name}: {error}")))?;
        let file = LogFile { file, name, console: console.log_writer(), is_told: false };
        (BoxMakeWriter::new(Mutex::new(file)), false)
    } else {
        let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && io::stderr().is_terminal();
        (BoxMakeWriter::new(console.log_writer()), colours)
    };
    let layer = fmt::layer().with_writer(writer).with_ansi(colours);
    let layer = match talk.log_format {
        LogFormat::Text => layer.boxed(),
        LogFormat::Json => layer.json().boxed(),
    };
    // A second start, in a test that calls the library twice, keeps the first one's logs.
    let _ = tracing_subscriber::registry().with(layer.with_filter(ours)).try_init();
    Ok(())
}

/// A log that a full disk does not stop: the first event that cannot be written is told, and no other.
struct LogFile {
    file: File,
    /// The option with its path.
    name: String,
    console: LogWriter,
    is_told: bool,
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Err(error) = self.file.write_all(bytes)
            && !std::mem::replace(&mut self.is_told, true)
        {
            let name = &self.name;
            writeln!(self.console, "warning: {name}: {error}; the log may miss what follows")?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
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
