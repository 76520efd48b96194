//! The built program, run in a folder and before a simulated Graph. `it` and `proof` share it.

use std::{
    fmt,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use registrant_import::simulator::{Config, FaultRate, Faults, Served, Simulator};

/// The program in this folder, with nothing of this process's environment that could change what
/// it does.
pub(crate) fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_registrant-import"));
    command
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .env("XDG_STATE_HOME", folder.join("state"))
        .env("TZ", "UTC")
        .stdin(Stdio::null());
    for kept in ["PATH", "TMPDIR", "SystemRoot"] {
        command.envs(std::env::var_os(kept).map(|value| (kept, value)));
    }
    command
}

/// A simulated Graph on a loopback port.
pub(crate) fn serve(config: Config) -> (Simulator, Served) {
    let simulator = Simulator::new(config);
    let served = Served::start(&simulator).expect("a loopback port");
    (simulator, served)
}

/// Faults by their names and percentages.
pub(crate) fn faults(rates: &[&str]) -> Faults {
    let rates: Vec<FaultRate> = rates.iter().map(|r| r.parse().expect("a fault rate")).collect();
    Faults::new(rates).expect("at most 100 %")
}

/// Sends a signal to a program of this test's.
pub(crate) fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(sent.expect("kill is there").success(), "the program is gone");
}

/// A command that has ended. Its `Display` is what snapshots hold.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Ran {
    /// `None`: by a signal.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(command: &mut Command) -> Self {
        command.output().expect("the program starts").into()
    }

    pub(crate) fn end_of(child: Child) -> Self {
        child.wait_with_output().expect("the program ends").into()
    }

    /// Asserts the exit code; gives the command back.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("the program speaks UTF-8");
        Self {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => writeln!(f, "exit {code}")?,
            None => writeln!(f, "killed")?,
        }
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                write!(f, "--- {name}\n{text}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
