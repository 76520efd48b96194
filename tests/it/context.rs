//! A folder, a simulated Graph, and the program to run between them.

use std::{
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
};

use http::Method;
use registrant_import::simulator::{Config, Delivery, HttpCall, Served, Simulator, Stats};
use tempfile::TempDir;

pub(crate) use crate::program::Ran;
use crate::program::{program, serve};

/// One test's world. Snapshots of a test that has one do not show folders, ports and times.
pub(crate) struct Context {
    folder: TempDir,
    graph: Option<Graph>,
    variables: Vec<(String, String)>,
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
        Self { folder: folder.expect("a temporary folder"), graph: None, variables: Vec::new() }
    }

    /// A folder and a Graph: a meeting with an external registration for everyone.
    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    /// A folder and a Graph with these settings.
    pub(crate) fn with(config: Config) -> Self {
        let (simulator, served) = serve(config);
        let url = served.url();
        Self { graph: Some(Graph { simulator, served, url }), ..Self::offline() }
    }

    /// Sets a variable for every run.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// An application that signs in at `endpoint` by its secret.
    pub(crate) fn secret(self, endpoint: &str, secret: &str) -> Self {
        self.variable("AZURE_AUTHORITY_HOST", endpoint)
            .variable("AZURE_TENANT_ID", "tenant")
            .variable("AZURE_CLIENT_ID", "client")
            .variable("AZURE_CLIENT_SECRET", secret)
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

    /// What somebody else does at Graph.
    pub(crate) fn call(&self, method: &Method, target: &str, body: &str) {
        let call = HttpCall {
            method,
            target: &of_this_kind(target),
            base: "",
            authorization: Some("Bearer t"),
            client_request_id: None,
            content_type: Some("application/json"),
            body: body.as_bytes(),
        };
        let reply = self.simulator().handle(self.simulator().now(), &call);
        let Delivery::Answer(answer) = reply.delivery else { panic!("no answer to {target}") };
        assert!(answer.status.is_success(), "{} for {target}", answer.status);
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

    /// Who may read and write a file of the folder.
    pub(crate) fn mode(&self, name: &str) -> u32 {
        let metadata = std::fs::metadata(self.path(name));
        metadata.unwrap_or_else(|error| panic!("{name}: {error}")).permissions().mode() & 0o777
    }

    /// Every file below the folder, with its content.
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

    /// Lets so many minutes pass for all that this ledger has done.
    pub(crate) fn age(&self, ledger: &str, minutes: i64) {
        let ledger = rusqlite::Connection::open(self.path(ledger)).expect("a ledger");
        let older = "UPDATE registrant SET settled_at = settled_at - ?";
        ledger.execute(older, [minutes * 60_000]).expect("its columns");
    }

    /// The program with these words, in the folder, with nothing of this process's environment
    /// that could change what it does.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = program(self.folder.path());
        command
            .args(words(&of_this_kind(line)))
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        if let Some(graph) = &self.graph {
            command.env("REGISTRANT_IMPORT_GRAPH_URL", &graph.url);
        }
        command
    }

    /// Starts the program with these words; what it says can be read while it goes on.
    pub(crate) fn start(&self, line: &str) -> Child {
        let mut command = self.command(line);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("the program starts")
    }

    /// Runs the program with these words to its end.
    pub(crate) fn run(&self, line: &str) -> Ran {
        Ran::of(&mut self.command(line)).like_a_webinar()
    }

    /// The same with variables of its own.
    pub(crate) fn run_with(&self, variables: &[(&str, &str)], line: &str) -> Ran {
        Ran::of(self.command(line).envs(variables.iter().copied())).like_a_webinar()
    }

    /// Runs the program to its end and gives it this on standard input.
    pub(crate) fn run_on(&self, input: &[u8], line: &str) -> Ran {
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
        Ran::end_of(child).like_a_webinar()
    }

    /// The summary that a run with `--json` printed.
    pub(crate) fn summary(&self, line: &str) -> serde_json::Value {
        self.run(&format!("{line} --json")).json()
    }
}

/// A simulated Graph beside a context's, of which no more than the address is wanted.
pub(crate) fn graph(config: Config) -> Served {
    serve(config).1
}

/// Whether this is one of the webinar's tests, run for a town hall: see `main.rs`.
fn is_of_a_town_hall() -> bool {
    std::thread::current().name().is_some_and(|name| name.starts_with("townhall::"))
}

/// A line or a path that names a webinar, or in a town hall's test a town hall.
fn of_this_kind(line: &str) -> String {
    if is_of_a_town_hall() { line.replace("webinar", "townhall") } else { line.to_owned() }
}

impl Ran {
    /// What it says of a town hall as it would say it of a webinar.
    fn like_a_webinar(mut self) -> Self {
        if is_of_a_town_hall() {
            for said in [&mut self.stdout, &mut self.stderr] {
                *said = said.replace("town hall", "webinar").replace("townhall", "webinar");
            }
        }
        self
    }

    /// Standard output as one JSON object on one line.
    pub(crate) fn json(&self) -> serde_json::Value {
        assert_eq!(self.stdout.matches('\n').count(), 1, "one line: {self}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self}"))
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
    shorten_the_summary(&mut settings);
    std::mem::forget(settings.bind_to_scope());
}

/// Writes a summary's frame, which is the same everywhere, in fewer lines. Nothing is left out: a
/// frame that differs stays as it is, and so differs from the snapshot. The whole frame is pinned by
/// [`a_summary_has_its_frame`].
fn shorten_the_summary(settings: &mut insta::Settings) {
    for (frame, short) in [
        (r"(?m)^(\d+ rows?) read in \[time\]:\n\n", "$1 read:\n"),
        (r"\n\n {5}rows  reason {17}outcome {7}example lines\n", "\n"),
        (r"\n\nenrolled  (\S+)\nrejects   (\S+)\n", "\nfiles     $1, $2\n"),
        (
            r"(?m)^(files     .*)\nledger    \[folder\]/state/registrant-import/(\S+)-\[digest\]\.ledger\n",
            "$1, $2\n",
        ),
        (
            r"\n\nThis was a rehearsal: nobody was enrolled, the links lead nowhere\.\nThe real import of (\d+ rows?) would take\nas long as Graph's throttling makes it: Microsoft publishes no limit for meeting\nregistration\. At its limit for virtual events, 15/30s, it would be (\d+ \w+)\.\n",
            "\nrehearsed $1, $2 at 15/30s\n",
        ),
    ] {
        settings.add_filter(frame, short);
    }
}

/// Tests in turn, some at a time: most of them wait most of the time.
pub(crate) fn side_by_side<T: Sync>(cases: &[T], test: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    let name = std::thread::current().name().unwrap_or_default().to_owned();
    std::thread::scope(|scope| {
        for _ in 0..cases.len().min(4) {
            let thread = std::thread::Builder::new().name(name.clone());
            let spawned = thread.spawn_scoped(scope, || {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    test(case);
                }
            });
            spawned.expect("a thread");
        }
    });
}

#[test]
fn words_are_split_as_a_shell_does() {
    assert_eq!(
        words("run a.csv --map 'id=Attendee #' \"\""),
        ["run", "a.csv", "--map", "id=Attendee #", ""]
    );
}

#[test]
fn a_summary_has_its_frame() {
    let context = Context::new();
    context.file("people.csv", "id,name\n1,Ada\n2,Bob\n,Cid\n");
    let run = context.run("run people.csv --meeting m1").expect(3).stdout;
    let rehearsal = "rehearse people.csv --output r.enrolled.csv --rejects r.rejects.csv";
    let rehearsal = context.run(rehearsal).expect(3).stdout;
    let filters =
        vec![(r"in [\d.]+ m?s:", "in [time]:"), (r"(?m)^ledger    .*$", "ledger    [path]")];
    insta::with_settings!({ filters => filters }, {
        insta::assert_snapshot!(run, @"
        3 rows read in [time]:

                2  enrolled
                1  invalid        the file's fault

             rows  reason                 outcome       example lines
                1  missing-id             invalid       4

        enrolled  people.enrolled.csv
        rejects   people.rejects.csv
        ledger    [path]
        next      mend the row in the rejects file and run it as it is: `_reason` says
                  why, and nobody is enrolled twice
        ");
        insta::assert_snapshot!(rehearsal, @"
        3 rows read in [time]:

                2  enrolled
                1  invalid        the file's fault

             rows  reason                 outcome       example lines
                1  missing-id             invalid       4

        enrolled  r.enrolled.csv
        rejects   r.rejects.csv
        next      mend the row before the real import

        This was a rehearsal: nobody was enrolled, the links lead nowhere.
        The real import of 2 rows would take
        as long as Graph's throttling makes it: Microsoft publishes no limit for meeting
        registration. At its limit for virtual events, 15/30s, it would be 0 s.
        ");
    });
}
