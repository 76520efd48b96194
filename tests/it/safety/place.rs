//! A folder with an export in it, and the program run in it with an environment of its own.

use std::{
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use registrant_import::simulator::{Config, Served, Simulator};
use tempfile::TempDir;

pub(crate) const MEETING: &str = "MSpkYzE3";

/// A run that ended.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

pub(crate) struct Place {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), variables: Vec::new() }
    }

    /// Sets a variable for every run.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// An application that signs in at `endpoint` by its secret.
    pub(crate) fn with_secret(self, endpoint: &str, secret: &str) -> Self {
        self.with("AZURE_AUTHORITY_HOST", endpoint)
            .with("AZURE_TENANT_ID", "tenant")
            .with("AZURE_CLIENT_ID", "client")
            .with("AZURE_CLIENT_SECRET", secret)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("writes");
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("reads")
    }

    /// An export of so many people.
    pub(crate) fn write_people(&self, name: &str, people: usize) {
        let mut text = "id\n".to_owned();
        for n in 0..people {
            text.push_str(&format!("person-{n}\n"));
        }
        self.write(name, &text);
    }

    pub(crate) fn command<S: AsRef<std::ffi::OsStr>>(&self, args: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_registrant-import"));
        command
            .args(args)
            .current_dir(self.folder.path())
            .env_clear()
            .env("XDG_STATE_HOME", self.path("state"))
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run<S: AsRef<std::ffi::OsStr>>(&self, args: &[S]) -> Ran {
        ran(&self.command(args).output().expect("runs"))
    }

    /// The same with words in one line.
    pub(crate) fn say(&self, line: &str) -> Ran {
        self.run(&line.split_whitespace().collect::<Vec<_>>())
    }

    /// Every file below the folder, with its text.
    pub(crate) fn files(&self) -> Vec<(String, Vec<u8>)> {
        let mut files = Vec::new();
        let mut open = vec![self.folder.path().to_owned()];
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(folder).expect("lists") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    let name = path.strip_prefix(self.folder.path()).expect("below");
                    files.push((name.display().to_string(), std::fs::read(&path).expect("reads")));
                }
            }
        }
        files.sort();
        files
    }
}

pub(crate) fn ran(output: &Output) -> Ran {
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A simulated Graph.
pub(crate) fn graph(config: Config) -> Served {
    Served::start(&Simulator::new(config)).expect("a loopback port")
}
