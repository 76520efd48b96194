//! Every path of a command and what it is for, in one place: a file that is written is never one
//! that is read, kept, or written as something else. Looked at before anything is touched or asked.

use std::path::{Path, PathBuf};

use super::{
    args::{Cli, Command, FileArgs, InputArgs, JobArgs, RegistrationAction, RunArgs},
    enrol,
    export::ledger_path,
    failure::Failure,
    reach,
};
use crate::{
    auth::{AuthSettings, KeptSignIn},
    graph::http::HttpOptions,
    input::Source,
    ledger, output,
};

/// The paths of one command.
#[derive(Default)]
pub(super) struct Paths {
    /// What is read or kept, each by what it is.
    held: Vec<(&'static str, PathBuf)>,
    written: Vec<Written>,
}

/// A file that is written, by the option that names it.
struct Written {
    option: &'static str,
    path: PathBuf,
    /// Whether a new file takes its place; the log is added to.
    replaced: bool,
}

/// SQLite's own files beside a ledger, and the lock.
const BESIDE_A_LEDGER: [&str; 4] = ["-wal", "-shm", "-journal", ".lock"];

/// Holds all paths of a command against each other.
pub(super) fn settle(cli: &Cli) -> Result<(), Failure> {
    let mut paths = match &cli.command {
        Command::Run(args) => Paths::of_run(args),
        // It tells of the other files among its findings, and writes a log at most.
        Command::Doctor(args) => Paths::of_run(args).unwritten(),
        Command::Rehearse(args) => {
            let mut paths = Paths::of_input(&args.input, &args.job);
            paths.files(&args.input, &args.files);
            paths.write("--report", args.account.report.as_deref());
            paths.write("--metrics", args.account.metrics.as_deref());
            paths
        }
        Command::Check(args) => {
            let mut paths = Paths::of_input(&args.input, &args.job);
            paths.write("--rejects", args.rejects.as_deref());
            paths
        }
        Command::Export(args) => {
            let mut paths = Paths::default();
            paths.input(&args.input);
            paths.files(&args.input, &args.files);
            paths.ledger(ledger_path(&args.ledger).ok());
            paths
        }
        Command::Status(args) => Paths::of_ledger(ledger_path(&args.ledger).ok()),
        Command::Explain(args) => Paths::of_ledger(ledger_path(&args.ledger).ok()),
        Command::Registration(args) => {
            let (RegistrationAction::Show(reach)
            | RegistrationAction::Disable(reach)
            | RegistrationAction::Enable { reach, .. }) = &args.action;
            let mut paths = Paths::default();
            paths.hold("the job file", reach.job.job.as_deref());
            paths.credentials(reach.auth.token_file.as_deref(), reach.graph.ca_file.as_deref());
            paths
        }
        Command::Login(args) => {
            let mut paths = Paths::default();
            paths.hold("the job file", args.job.job.as_deref());
            paths.credentials(None, args.graph.ca_file.as_deref());
            paths
        }
        Command::Simulate(args) => {
            let mut paths = Paths::default();
            paths.write("--tls", args.tls.as_deref());
            paths
        }
        Command::Completions { .. } | Command::Man(_) => Paths::default(),
    };
    if let Some(path) = &cli.talk.log_file {
        paths.written.push(Written { option: "--log-file", path: path.clone(), replaced: false });
    }
    paths.hold_apart()
}

impl Paths {
    /// Those of `run`, the log aside.
    pub(super) fn of_run(args: &RunArgs) -> Self {
        let mut paths = Self::of_input(&args.input, &args.job);
        paths.credentials(args.auth.token_file.as_deref(), args.graph.ca_file.as_deref());
        paths.files(&args.input, &args.files);
        paths.write("--report", args.account.report.as_deref());
        paths.write("--metrics", args.account.metrics.as_deref());
        // A target or host that cannot be understood has no ledger; the run says so by itself.
        let own = || {
            let target = reach::target(&args.target).ok()?;
            let http = HttpOptions::default();
            let (host, _) = reach::settings(&args.graph, &args.auth, &http).ok()?;
            reach::ledger(args.ledger.as_ref(), &enrol::identity(&target, &host)).ok()
        };
        paths.ledger(own());
        // For a webinar it may be a meeting's, which stays as it is.
        paths.ledger(args.ledger.clone());
        paths
    }

    fn of_input(input: &InputArgs, job: &JobArgs) -> Self {
        let mut paths = Self::default();
        paths.input(input);
        paths.hold("the job file", job.job.as_deref());
        paths
    }

    fn of_ledger(ledger: Option<PathBuf>) -> Self {
        let mut paths = Self::default();
        paths.ledger(ledger);
        paths
    }

    fn input(&mut self, args: &InputArgs) {
        if let Some(Source::File(path)) = &args.csv {
            self.hold("the input itself", Some(path));
        }
    }

    fn ledger(&mut self, ledger: Option<PathBuf>) {
        let Some(ledger) = ledger else { return };
        for ending in BESIDE_A_LEDGER {
            let mut name = ledger.as_os_str().to_owned();
            name.push(ending);
            self.hold("a file that belongs to the ledger", Some(Path::new(&name)));
        }
        self.hold("the ledger", Some(&ledger));
    }

    fn credentials(&mut self, token: Option<&Path>, authority: Option<&Path>) {
        self.hold("the token's file", token);
        self.hold("the authority's certificates (--ca-file)", authority);
        let settings = AuthSettings::from_variables(|name| std::env::var(name).ok());
        self.hold("the client's certificate", settings.certificate.as_deref());
        self.hold("the workload's token", settings.federated_token_file.as_deref());
        self.hold("the kept sign-in", settings.kept.as_ref().map(KeptSignIn::path));
    }

    fn files(&mut self, input: &InputArgs, files: &FileArgs) {
        // A standard input has no name to make theirs from; the command says so by itself.
        let named = input.csv.as_ref().and_then(|source| enrol::outputs(source, files).ok());
        let (enrolled, rejects) = match named {
            Some((enrolled, rejects)) => (Some(enrolled), Some(rejects)),
            None => (files.output.clone(), files.rejects.clone()),
        };
        self.write("--output", enrolled.as_deref());
        self.write("--rejects", rejects.as_deref());
    }

    fn hold(&mut self, what: &'static str, path: Option<&Path>) {
        self.held.extend(path.map(|path| (what, path.to_owned())));
    }

    fn write(&mut self, option: &'static str, path: Option<&Path>) {
        let written = |path: &Path| Written { option, path: path.to_owned(), replaced: true };
        self.written.extend(path.map(written));
    }

    /// The same for a command that leaves these files alone.
    fn unwritten(mut self) -> Self {
        let written = std::mem::take(&mut self.written);
        self.held.extend(written.into_iter().map(|file| ("a file of the run", file.path)));
        self
    }

    /// Refuses a file that is written and is anything else as well.
    pub(super) fn hold_apart(&self) -> Result<(), Failure> {
        for (nth, Written { option, path, replaced }) in self.written.iter().enumerate() {
            if let Some((what, _)) = self.held.iter().find(|(_, held)| is_same(held, path)) {
                return Err(Failure::usage(format!("{option} names {what}; name another file")));
            }
            let other = self.written[..nth].iter().find(|other| is_same(&other.path, path));
            if let Some(Written { option: other, .. }) = other {
                return Err(Failure::usage(format!(
                    "{other} and {option} name the same file; name two"
                )));
            }
            if *replaced {
                output::replaceable(path, option)?;
            }
            if ledger::is_part_of_one(path) {
                return Err(Failure::usage(format!(
                    "{option}: {} is a ledger or belongs to one, and stays as it is; name another file",
                    path.display()
                )));
            }
        }
        Ok(())
    }
}

/// Whether both name one file: the same one where both are there, else the same place.
fn is_same(one: &Path, other: &Path) -> bool {
    #[cfg(unix)]
    if let (Ok(one), Ok(other)) = (std::fs::metadata(one), std::fs::metadata(other)) {
        use std::os::unix::fs::MetadataExt as _;
        let files = one.is_file() && other.is_file();
        if files && (one.dev(), one.ino()) == (other.dev(), other.ino()) {
            return true;
        }
    }
    place(one) == place(other)
}

/// The path with its folders' own names, as far as they are there. The file itself is not followed:
/// a link in its place is replaced.
fn place(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or(path.to_owned());
    let mut folders = path.ancestors().skip(1);
    let real = folders.find_map(|folder| {
        let below = path.strip_prefix(folder).ok()?;
        Some(folder.canonicalize().ok()?.join(below))
    });
    real.unwrap_or(path)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn one_file_is_known_under_all_its_names() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("sub")).expect("a folder");
        std::os::unix::fs::symlink(at("sub"), at("link")).expect("a link");
        // Neither is there yet.
        assert!(is_same(&at("sub/a"), &at("link/a")));
        assert!(is_same(&at("sub/../sub/a"), &at("sub/./a")));
        assert!(is_same(&at("new/folder/a"), &at("new/folder/a")));
        assert!(!is_same(&at("sub/a"), &at("sub/b")));
        std::fs::write(at("sub/a"), "").expect("writes");
        std::fs::hard_link(at("sub/a"), at("hard")).expect("a link");
        std::os::unix::fs::symlink(at("hard"), at("soft")).expect("a link");
        assert!(is_same(&at("sub/a"), &at("soft")));
        assert!(!is_same(&at("sub/a"), &at("sub/b")));
    }
}
