//! A folder, a simulated Graph, and the program to run between them.

use std::{
    fmt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use registrant_import::simulator::{Config, Served, Simulator, Stats};
use tempfile::TempDir;

/// One test's world. Snapshots of a test that has one do not show folders, ports and times.
pub(crate) struct Context {
    folder: TempDir,
    graph: Option<Graph>,
}

/// A simulator on a loopback port, and the address under which the program is told of it.
struct Graph {
    simulator: Simulator,
    served: Served,
    url: String,
}

impl Context {
    /// A folder, and no Graph to reach.
    pub(crate) fn offline() -> Self {
        hide_what_differs();
        let folder = tempfile::Builder::new().prefix("registrant-import-").tempdir();
        Self { folder: folder.expect("a temporary folder"), graph: None }
    }

    /// A folder and a Graph: a meeting with an external registration for everyone.
    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    /// A folder and a Graph with these settings.
    pub(crate) fn with(config: Config) -> Self {
        let simulator = Simulator::new(config);
        let served = Served::start(&simulator).expect("a loopback port");
        let url = served.url();
        Self { graph: Some(Graph { simulator, served, url }), ..Self::offline() }
    }

    /// From now on the program calls Graph at this address; it still is this context's simulator
    /// that has to answer in the end.
    pub(crate) fn call_through(&mut self, url: String) {
        self.graph_mut().url = url;
    }

    /// Where the simulator itself listens.
    pub(crate) fn graph_url(&self) -> String {
        self.graph().served.url()
    }

    /// What the simulator has counted.
    pub(crate) fn stats(&self) -> Stats {
        self.graph().simulator.stats()
    }

    /// The simulator.
    pub(crate) fn simulator(&self) -> &Simulator {
        &self.graph().simulator
    }

    fn graph(&self) -> &Graph {
        self.graph.as_ref().expect("this context has a simulator")
    }

    fn graph_mut(&mut self) -> &mut Graph {
        self.graph.as_mut().expect("this context has a simulator")
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into the folder.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).expect("a temporary folder takes files");
    }

    /// Copies one of the samples into the folder.
    pub(crate) fn sample(&self, name: &str) {
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples").join(name);
        std::fs::copy(&sample, self.path(name)).expect("the sample is there");
    }

    /// Reads a file of the folder.
    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Whether the folder has this file.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// The program with these words, in the folder, with nothing of this process's environment
    /// that could change what it does.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_registrant-import"));
        command
            .args(words(line))
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .env("XDG_STATE_HOME", self.path("state"))
            .env("TZ", "UTC")
            .stdin(Stdio::null());
        for kept in ["PATH", "TMPDIR", "SystemRoot"] {
            command.envs(std::env::var_os(kept).map(|value| (kept, value)));
        }
        if let Some(graph) = &self.graph {
            command.env("REGISTRANT_IMPORT_GRAPH_URL", &graph.url);
        }
        command
    }

    /// Runs the program with these words to its end.
    pub(crate) fn run(&self, line: &str) -> Ran {
        Ran::of(&mut self.command(line))
    }

    /// The same with variables of its own.
    pub(crate) fn run_with(&self, variables: &[(&str, &str)], line: &str) -> Ran {
        Ran::of(self.command(line).envs(variables.iter().copied()))
    }

    /// Runs the program to its end and gives it this on standard input.
    pub(crate) fn run_on(&self, input: &[u8], line: &str) -> Ran {
        use std::io::Write;
        let mut child = self
            .command(line)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut pipe = child.stdin.take().expect("it was asked for");
        // A program that ends before it has read everything is no fault of this test's.
        let _ = pipe.write_all(input);
        drop(pipe);
        Ran::from(child.wait_with_output().expect("the program ends"))
    }

    /// The summary that a run with `--json` printed.
    pub(crate) fn summary(&self, line: &str) -> serde_json::Value {
        self.run(&format!("{line} --json")).json()
    }
}

/// A command that has ended. Its `Display` is what snapshots hold.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(command: &mut Command) -> Self {
        command.output().expect("the program starts").into()
    }

    /// Standard output as one JSON object on one line.
    pub(crate) fn json(&self) -> serde_json::Value {
        assert_eq!(self.stdout.matches('\n').count(), 1, "one line: {self}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self}"))
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

/// Splits a line as a shell does: at blanks, with single and double quotes.
pub(crate) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = None::<String>;
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, _) if c.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    assert_eq!(quote, None, "an open quote in {line}");
    words.extend(word);
    words
}

/// Hides from the snapshots of this test, which has a thread of its own, what differs from run to
/// run: folders, ports, times, random ids.
fn hide_what_differs() {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"/[^\s`\x22]*/registrant-import-\w{6}\b", "[folder]");
    settings.add_filter(r"127\.0\.0\.1:\d+", "127.0.0.1:[port]");
    // Told only where it is a millisecond or more.
    settings.add_filter(r" after waiting \d+(\.\d+)? m?s\b", "");
    settings.add_filter(r"\b(in|after|took) \d+(\.\d+)? m?s\b", "$1 [time]");
    settings.add_filter(r"\bat \d+(\.\d+)?/(s|min|h)\b", "at [rate]");
    settings.add_filter(r"about [^,]*, until \d\d:\d\d", "about [time]");
    settings.add_filter(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?Z?", "[stamp]");
    settings.add_filter(r"[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}", "[guid]");
    settings.add_filter(r"-[\da-f]{12,16}\.ledger", "-[digest].ledger");
    std::mem::forget(settings.bind_to_scope());
}

#[test]
fn words_are_split_as_a_shell_does() {
    assert_eq!(
        words("run a.csv --map 'id=Attendee #' \"\""),
        ["run", "a.csv", "--map", "id=Attendee #", ""]
    );
}
