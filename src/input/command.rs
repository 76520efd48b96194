//! `--input-command`: a command whose standard output is the input.
//!
//! What it writes goes to a temporary file without a name (mode 0600), and counts only when the command
//! has ended with 0: half a download is no list. It runs in a process group of its own, which ends with
//! it: at its time limit, when it writes too much, and when this program is ended ([`end`]). Of the
//! command nothing is logged but its standard error, how it ended, and how much it wrote: its words and
//! its environment may hold a secret.

use std::{
    fmt,
    fs::File,
    io::{self, BufRead as _, BufReader, Read, Seek as _},
    process::{Child, Command, ExitStatus, Stdio},
    str::FromStr,
    sync::{Mutex, mpsc},
    time::{Duration, Instant},
};

/// More is no list of people: a million rows of five hundred bytes.
const MOST: u64 = 512 << 20;

/// A command, as it was given.
#[derive(Clone, PartialEq, Eq)]
pub enum CommandLine {
    /// For `sh -c`.
    Shell(String),
    /// A program and its arguments, run without a shell.
    Words(Vec<String>),
}

impl FromStr for CommandLine {
    type Err = std::convert::Infallible;

    /// A list is written as JSON writes it; a shell's line does not read so.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let words: Option<Vec<String>> = serde_json::from_str(text).ok();
        Ok(match words.filter(|words| !words.is_empty()) {
            Some(words) => Self::Words(words),
            None => Self::Shell(text.to_owned()),
        })
    }
}

impl fmt::Debug for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CommandLine(…)")
    }
}

/// Why a command's output does not count.
#[derive(Debug, thiserror::Error)]
pub enum CommandFault {
    /// There is no such program, or it must not be run.
    #[error("cannot be started ({0}); check the program's name")]
    NotStarted(io::Error),
    /// It failed, or was killed.
    #[error("ended with {0}; its standard error is in the log (-v), run it by hand to see more")]
    Failed(ExitStatus),
    /// It goes on.
    #[error("did not end within {} s; give it more time with --input-timeout", .0.as_secs())]
    TimedOut(Duration),
    /// More than any list.
    #[error("writes more than {} MiB, which is no list of people", MOST >> 20)]
    TooLarge,
    /// Its output cannot be kept.
    #[error(
        "wrote what cannot be kept in a temporary file ({0}); make room, or set TMPDIR to another folder"
    )]
    NotKept(io::Error),
}

/// The process groups that run now.
static RUNNING: Mutex<Vec<u32>> = Mutex::new(Vec::new());

fn running() -> std::sync::MutexGuard<'static, Vec<u32>> {
    RUNNING.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Ends whatever command runs: to be called where the process ends at once.
pub fn end() {
    for id in running().drain(..) {
        end_group(id);
    }
}

#[cfg(unix)]
fn end_group(id: u32) {
    if let Some(group) = i32::try_from(id).ok().and_then(rustix::process::Pid::from_raw) {
        // It may be gone already.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
}

#[cfg(not(unix))]
fn end_group(_: u32) {}

/// A command that runs; it and all its own end with this value.
struct Running {
    child: Child,
    /// Whether its number may be somebody else's by now.
    is_over: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        let id = self.child.id();
        running().retain(|&other| other != id);
        if !self.is_over {
            end_group(id);
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Runs a command to its end: what it wrote, and how many bytes.
pub(super) fn fetch(line: &CommandLine, limit: Duration) -> Result<(File, u64), CommandFault> {
    let began = Instant::now();
    let mut command = match line {
        CommandLine::Shell(line) => {
            let mut command = Command::new("sh");
            command.args(["-c", line]);
            command
        }
        CommandLine::Words(words) => {
            let mut command = Command::new(&words[0]);
            command.args(&words[1..]);
            command
        }
    };
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut file = tempfile::tempfile().map_err(CommandFault::NotKept)?;
    // Held until it is noted, so that none is missed at the end.
    let mut noted = running();
    let child = command.spawn().map_err(CommandFault::NotStarted)?;
    let mut running = Running { child, is_over: false };
    noted.push(running.child.id());
    drop(noted);
    tracing::info!("the input command runs");
    let errors = running.child.stderr.take().expect("it was asked for");
    let (all_said, said) = mpsc::channel();
    std::thread::spawn(move || {
        log(errors);
        let _ = all_said.send(());
    });
    let output = running.child.stdout.take().expect("it was asked for");
    let mut copy = file.try_clone().map_err(CommandFault::NotKept)?;
    let (done, copied) = mpsc::channel();
    std::thread::spawn(move || {
        let _ = done.send(io::copy(&mut output.take(MOST + 1), &mut copy));
    });
    let written = match copied.recv_timeout(limit) {
        Ok(Ok(written)) if written > MOST => return Err(CommandFault::TooLarge),
        Ok(written) => written.map_err(CommandFault::NotKept)?,
        Err(_) => return Err(CommandFault::TimedOut(limit)),
    };
    // Its output has ended; it itself mostly has, too.
    let mut pause = Duration::from_millis(1);
    let status = loop {
        if let Some(status) = running.child.try_wait().map_err(CommandFault::NotKept)? {
            running.is_over = true;
            break status;
        }
        if began.elapsed() >= limit {
            return Err(CommandFault::TimedOut(limit));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(200));
    };
    // What it said last tells why; a child of its own may go on saying.
    let _ = said.recv_timeout(Duration::from_secs(1));
    tracing::info!(bytes = written, %status, "the input command ended");
    if !status.success() {
        return Err(CommandFault::Failed(status));
    }
    file.rewind().map_err(CommandFault::NotKept)?;
    Ok((file, written))
}

/// Logs what a command says, line by line; of a line not more than anybody reads.
fn log(errors: impl Read) {
    const LONGEST: u64 = 4096;
    let mut errors = BufReader::new(errors);
    let mut line = Vec::new();
    loop {
        line.clear();
        match errors.by_ref().take(LONGEST).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let said = String::from_utf8_lossy(&line);
                let said: String = said.trim_end().chars().filter(|c| !c.is_control()).collect();
                tracing::info!(said, "the input command says");
            }
        }
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    fn written(line: &str, limit: Duration) -> Result<String, CommandFault> {
        let line = line.parse().unwrap_or_else(|never: std::convert::Infallible| match never {});
        let (mut file, _) = fetch(&line, limit)?;
        let mut text = String::new();
        file.read_to_string(&mut text).expect("text");
        Ok(text)
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn what_a_command_wrote_counts_if_it_ends_well() {
        assert_eq!(written("printf 'id\\n%s\\n' 7", MINUTE).expect("a list"), "id\n7\n");
        // Without a shell nothing is expanded.
        let words = r#"["printf", "%s", "$HOME"]"#;
        assert_eq!(written(words, MINUTE).expect("words"), "$HOME");
        let failed = written("printf 'id\\n7\\n'; exit 22", MINUTE);
        assert!(matches!(failed, Err(CommandFault::Failed(status)) if status.code() == Some(22)));
        let killed = written("printf 'id\\n7\\n'; kill -9 $$", MINUTE);
        assert!(matches!(killed, Err(CommandFault::Failed(status)) if status.code().is_none()));
        let missing = written(r#"["/no/such/program"]"#, MINUTE);
        assert!(matches!(missing, Err(CommandFault::NotStarted(_))));
    }

    #[test]
    fn a_command_that_hangs_or_writes_on_is_ended_with_all_its_own() {
        let short = Duration::from_millis(300);
        // Also one that has closed its output, and one whose child has not.
        for line in ["sleep 600", "exec >&-; sleep 600", "sleep 600 & exit 0"] {
            let hung = written(line, short);
            assert!(matches!(hung, Err(CommandFault::TimedOut(_))), "{line}: {hung:?}");
        }
        let endless = written("exec cat /dev/zero", MINUTE);
        assert!(matches!(endless, Err(CommandFault::TooLarge)), "{endless:?}");
    }
}
