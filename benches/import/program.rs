//! The program and the simulated Graph as processes of their own, and what they cost.

use std::{
    error::Error,
    fs::{self, File},
    io::{BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

pub(crate) type Fault = Box<dyn Error>;

/// The release build that cargo makes for the bench.
const PROGRAM: &str = env!("CARGO_BIN_EXE_registrant-import");

/// The core of whatever sends requests.
pub(crate) const CLIENT: u8 = 0;
/// The core of the simulated Graph.
const SERVER: u8 = 1;

/// A command that is kept on one core, where the system has two and a `taskset`.
pub(crate) fn pinned(core: u8, program: &str) -> Command {
    if !can_pin() {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string(), program]);
    command
}

/// Whether client and server each get a core of their own.
pub(crate) fn can_pin() -> bool {
    thread::available_parallelism().is_ok_and(|cores| cores.get() > 1) && answers("taskset", "-V")
}

/// Whether there is such a program.
pub(crate) fn answers(program: &str, argument: &str) -> bool {
    let mut command = Command::new(program);
    command.arg(argument).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// `registrant-import simulate` in a process of its own, until this is dropped.
pub(crate) struct Simulated {
    process: Child,
    pub(crate) url: String,
}

impl Simulated {
    pub(crate) fn start(options: &str) -> Result<Self, Fault> {
        let mut process = pinned(SERVER, PROGRAM)
            .arg("simulate")
            .args(options.split_whitespace())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut url = String::new();
        let stdout = process.stdout.take().ok_or("the simulator has no output")?;
        BufReader::new(stdout).read_line(&mut url)?;
        let url = url.trim().to_owned();
        if url.is_empty() {
            return Err("the simulator did not start".into());
        }
        Ok(Self { process, url })
    }

    /// One of the simulator's counters.
    pub(crate) fn count(&self, counter: &str) -> Result<u64, Fault> {
        let stats: Value = get(&self.url, "/simulator/stats")?;
        stats[counter].as_u64().ok_or_else(|| format!("no counter {counter}").into())
    }
}

impl Drop for Simulated {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody to tell.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// GETs JSON over a plain socket.
fn get(url: &str, path: &str) -> Result<Value, Fault> {
    use std::io::Read;
    let address = url.strip_prefix("http://").ok_or("no plain address")?;
    let mut stream = std::net::TcpStream::connect(address)?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").ok_or("no body")?;
    Ok(serde_json::from_str(body)?)
}

/// What a process was seen to use.
pub(crate) struct Ran {
    /// From start to end.
    pub(crate) wall: f64,
    /// User and system time of all its threads, in seconds.
    pub(crate) cpu: f64,
    /// The most resident memory, in KiB.
    pub(crate) peak: u64,
    /// The summary of `--json`; null for other commands.
    pub(crate) summary: Value,
    /// The exit code.
    pub(crate) code: i32,
}

impl Ran {
    pub(crate) fn count(&self, key: &str) -> u64 {
        self.summary[key].as_u64().unwrap_or(0)
    }
}

/// Runs a command to its end.
pub(crate) fn watch(command: &mut Command) -> Result<Ran, Fault> {
    let before = childrens_cpu();
    let start = Instant::now();
    let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let stdout = process.stdout.take().ok_or("no output")?;
    let reader = thread::spawn(move || std::io::read_to_string(stdout));
    let mut peak = 0;
    let status = loop {
        if let Some(status) = process.try_wait()? {
            break status;
        }
        peak = peak.max(peak_kib(process.id()).unwrap_or(peak));
        thread::sleep(Duration::from_millis(if start.elapsed().as_secs() < 1 { 1 } else { 20 }));
    };
    let wall = start.elapsed().as_secs_f64();
    let text = reader.join().map_err(|_| "the output could not be read")??;
    Ok(Ran {
        wall,
        cpu: childrens_cpu() - before,
        peak,
        summary: text.lines().last().and_then(|l| serde_json::from_str(l).ok()).unwrap_or_default(),
        code: status.code().unwrap_or(-1),
    })
}

/// The high-water mark of a process's resident memory, as Linux keeps it.
fn peak_kib(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// The time that ended children have used, where Linux tells it; it counts in hundredths.
fn childrens_cpu() -> f64 {
    let Ok(stat) = fs::read_to_string("/proc/self/stat") else { return 0.0 };
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let field = |n: usize| after_name.split_whitespace().nth(n).and_then(|t| t.parse::<f64>().ok());
    (field(13).unwrap_or(0.0) + field(14).unwrap_or(0.0)) / 100.0
}

/// A folder for one figure: the input, the ledger and the two files.
pub(crate) struct Place {
    folder: tempfile::TempDir,
    pinned: bool,
}

impl Place {
    pub(crate) fn new() -> Result<Self, Fault> {
        Ok(Self { folder: tempfile::tempdir()?, pinned: true })
    }

    /// From now on the program may use all cores.
    pub(crate) fn let_loose(&mut self) {
        self.pinned = false;
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes an export of so many people, from number `first` on.
    pub(crate) fn export(&self, first: u64, rows: u64) -> Result<PathBuf, Fault> {
        let path = self.path("people.csv");
        write_people(&path, first, rows)?;
        Ok(path)
    }

    /// A command of the program in this folder.
    pub(crate) fn program(&self, words: &str) -> Command {
        let mut command = if self.pinned { pinned(CLIENT, PROGRAM) } else { Command::new(PROGRAM) };
        command.args(words.split_whitespace()).current_dir(self.folder.path());
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("REGISTRANT_IMPORT_") || name.starts_with("AZURE_") {
                command.env_remove(name.as_ref());
            }
        }
        command.env("GRAPH_TOKEN", "a-token").stderr(Stdio::null());
        command
    }

    /// `run people.csv` against the simulated Graph.
    pub(crate) fn run(&self, graph: &Simulated, options: &str) -> Result<Ran, Fault> {
        let url = &graph.url;
        let words = format!(
            "run people.csv --meeting M --graph-url {url} --ledger people.ledger --json --progress never {options}"
        );
        watch(&mut self.program(&words))
    }
}

/// An export as event systems write them: an id, names, an e-mail, a few more columns.
pub(crate) fn write_people(path: &Path, first: u64, rows: u64) -> Result<(), Fault> {
    let mut file = BufWriter::new(File::create(path)?);
    writeln!(file, "Order code,id,First Name,Last Name,Email,Company,Status,Registered")?;
    for row in first..first + rows {
        // A multiplicative step scatters the ids, as real ones are.
        let id = row.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let order = row / 3;
        writeln!(
            file,
            "O{order:07},{id:016x},Ada{row},Byron,ada{row}@example.org,Analytical Engines,Paid,2026-05-01 09:15:00"
        )?;
    }
    file.flush()?;
    Ok(())
}

/// Holds a run's summary against what it had to do.
pub(crate) fn expect(ran: &Ran, enrolled: u64, code: i32) -> Result<(), Fault> {
    if ran.code == code && ran.count("enrolled") == enrolled {
        return Ok(());
    }
    Err(format!("exit code {} and {}", ran.code, ran.summary).into())
}
