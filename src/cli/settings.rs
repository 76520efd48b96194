//! What was asked for, resolved once: flags, variables and job file → immutable settings of parsed
//! types, and a check that the paths among them are held apart.
//!
//! No command sees an argument, so none can find a target, a host or a path differently from
//! another. Each concern has a type of its own, and a command holds those that it needs: `status`
//! does not fail for lack of a CSV. Resolving writes nothing and asks nobody.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use clap_complete::Shell;
use jiff::{SignedDuration, Unit, Zoned, civil::Time};
use tracing::level_filters::LevelFilter;
use url::Url;

use super::{
    args::{
        AccountArgs, AuthArgs, CheckArgs, Cli, Command, ConductArgs, FileArgs, GraphArgs,
        InputArgs, LedgerArgs, LogFormat, LoginArgs, OnUnknownArg, PaceArgs, RegistrationAction,
        RehearseArgs, RunArgs, TalkArgs, TargetArgs,
    },
    failure::Failure,
    paths::Paths,
};
use crate::{
    auth::{AuthSettings, KeptSignIn, Method, Tokens},
    graph::{
        host::{Cloud, GraphHost, TrustedHosts},
        http::HttpOptions,
        meeting::Meeting,
        target::{Api, Target},
        webinar::Webinar,
    },
    input::{Keep, Options, Source},
    job::conduct::{Conduct, OnUnknown},
    ledger::{Identity, Reading, short_digest},
    output::{ProgressMode, Talk},
    pacing::Quota,
    registrant::Mode,
    simulator::Config,
};

/// What a command works with.
pub(super) enum Settings {
    Run(Box<RunSettings>),
    Rehearse(Box<RehearseSettings>),
    Check(CheckSettings),
    Registration(Box<RegistrationSettings>),
    Status { ledger: PathBuf, json: bool },
    Explain { ledger: PathBuf, id: String },
    Export(Box<ExportSettings>),
    Simulate(Box<SimulateSettings>),
    Doctor(Box<DoctorSettings>),
    Login(Box<GraphSettings>),
    Completions(Shell),
    Man { command: Vec<String>, folder: Option<PathBuf> },
}

/// How much is said, and where.
pub(super) struct TalkSettings {
    pub(super) talk: Talk,
    pub(super) progress: ProgressMode,
    pub(super) level: LevelFilter,
    pub(super) log_ids: bool,
    pub(super) log_format: LogFormat,
    pub(super) log_file: Option<PathBuf>,
}

/// What `run` and `rehearse` have in common.
pub(super) struct ImportSettings {
    pub(super) input: InputSettings,
    pub(super) files: FileSettings,
    pub(super) pace: PaceSettings,
    pub(super) conduct: Conduct,
}

pub(super) struct InputSettings {
    pub(super) source: Source,
    pub(super) options: Options,
}

/// What is written beside the ledger.
pub(super) struct FileSettings {
    pub(super) enrolled: PathBuf,
    pub(super) rejects: PathBuf,
    pub(super) report: Option<PathBuf>,
    pub(super) metrics: Option<PathBuf>,
    pub(super) json: bool,
    pub(super) formula_safe: bool,
}

pub(super) struct PaceSettings {
    /// `--rate`.
    pub(super) ceiling: Option<Quota>,
    /// How long one request may take.
    pub(super) timeout: Duration,
    pub(super) finish_by: Option<Time>,
    pub(super) max_duration: Option<Duration>,
}

/// Where Graph is, how requests travel, and how to sign in.
pub(super) struct GraphSettings {
    pub(super) host: GraphHost,
    pub(super) http: HttpOptions,
    pub(super) sign_in: AuthSettings,
}

#[derive(Clone)]
pub(super) struct LedgerSettings {
    pub(super) path: PathBuf,
    /// The target that it belongs to.
    pub(super) identity: Identity,
    /// Whether another one was named, which belongs to a meeting and stays as it is.
    pub(super) is_beside_the_named: bool,
}

pub(super) struct RunSettings {
    pub(super) import: ImportSettings,
    pub(super) target: Target,
    /// Create a meeting's missing registration with this mode.
    pub(super) enable: Option<Mode>,
    pub(super) graph: GraphSettings,
    pub(super) ledger: LedgerSettings,
}

pub(super) struct RehearseSettings {
    pub(super) import: ImportSettings,
    pub(super) target: Target,
    pub(super) simulator: Config,
}

pub(super) struct CheckSettings {
    pub(super) input: InputSettings,
    /// `None` for a webinar.
    pub(super) mode: Option<Mode>,
    pub(super) rejects: Option<PathBuf>,
    pub(super) json: bool,
}

pub(super) struct RegistrationSettings {
    pub(super) task: RegistrationTask,
    pub(super) meeting: Meeting,
    pub(super) graph: GraphSettings,
}

#[derive(Clone, Copy)]
pub(super) enum RegistrationTask {
    Show,
    Enable(Mode),
    Disable,
}

pub(super) struct ExportSettings {
    pub(super) input: InputSettings,
    pub(super) files: FileSettings,
    pub(super) ledger: PathBuf,
}

pub(super) struct SimulateSettings {
    pub(super) port: u16,
    /// Where the authority of a TLS server is written.
    pub(super) tls: Option<PathBuf>,
    pub(super) simulator: Config,
}

/// The settings of `run`, each concern resolved by itself: `doctor` tells of all that are at fault,
/// `run` of the first.
pub(super) struct DoctorSettings {
    pub(super) job_file: Option<PathBuf>,
    pub(super) source: Option<Source>,
    pub(super) options: Options,
    pub(super) enrolled: Result<PathBuf, Failure>,
    pub(super) rejects: Result<PathBuf, Failure>,
    pub(super) report: Option<PathBuf>,
    pub(super) metrics: Option<PathBuf>,
    /// Whether no path is two things.
    pub(super) paths: Result<(), Failure>,
    pub(super) target: Result<Target, Failure>,
    pub(super) enable: Option<Mode>,
    pub(super) graph: Result<GraphSettings, Failure>,
    /// `None` where its target or its host is not known.
    pub(super) ledger: Option<Result<LedgerSettings, Failure>>,
    /// `--ledger`, as given.
    named_ledger: Option<PathBuf>,
    pub(super) pace: PaceSettings,
    pub(super) conduct: Conduct,
    pub(super) json: bool,
    pub(super) formula_safe: bool,
}

impl TalkSettings {
    pub(super) fn resolve(talk: &TalkArgs) -> Self {
        Self {
            talk: if talk.quiet { Talk::Quiet } else { Talk::Normal },
            progress: talk.progress,
            level: match (talk.quiet, talk.verbose) {
                (true, _) => LevelFilter::ERROR,
                (false, 0) => LevelFilter::WARN,
                (false, 1) => LevelFilter::INFO,
                (false, 2) => LevelFilter::DEBUG,
                (false, _) => LevelFilter::TRACE,
            },
            log_ids: talk.log_ids,
            log_format: talk.log_format,
            log_file: talk.log_file.clone(),
        }
    }
}

impl Settings {
    /// The settings of the command that was called. A path that is two things is told before any
    /// other fault.
    pub(super) fn resolve(cli: Cli) -> Result<Self, Failure> {
        let log = cli.talk.log_file.as_deref();
        match cli.command {
            Command::Run(args) => {
                let settings = DoctorSettings::resolve(*args);
                settings.every_path().log(log).check()?;
                settings.complete().map(Box::new).map(Self::Run)
            }
            Command::Doctor(args) => {
                let mut settings = DoctorSettings::resolve(*args);
                settings.paths = settings.every_path().check();
                // It tells of the other files among its findings, and writes a log at most.
                settings.every_path().unwritten().log(log).check()?;
                Ok(Self::Doctor(Box::new(settings)))
            }
            Command::Rehearse(args) => rehearse(*args, log).map(Box::new).map(Self::Rehearse),
            Command::Check(args) => check(*args, log).map(Self::Check),
            Command::Registration(args) => {
                registration(args.action, log).map(Box::new).map(Self::Registration)
            }
            Command::Status(args) => {
                Ok(Self::Status { ledger: looked_into(&args.ledger, log)?, json: args.json })
            }
            Command::Explain(args) => {
                Ok(Self::Explain { ledger: looked_into(&args.ledger, log)?, id: args.id })
            }
            Command::Export(args) => {
                let source = args.input.csv.clone();
                let (enrolled, rejects) = outputs(source.as_ref(), &args.files);
                let ledger = named_ledger(&args.ledger);
                let mut paths = Paths::default();
                paths.input(source.as_ref());
                paths.write("--output", enrolled.as_deref().ok());
                paths.write("--rejects", rejects.as_deref().ok());
                paths.ledger(ledger.as_deref().ok());
                paths.log(log).check()?;
                let input = input(source, args.input.options())?;
                let (report, metrics) = (None, None);
                let FileArgs { json, formula_safe, .. } = args.files;
                let (enrolled, rejects) = (enrolled?, rejects?);
                let files = FileSettings { enrolled, rejects, report, metrics, json, formula_safe };
                Ok(Self::Export(Box::new(ExportSettings { input, files, ledger: ledger? })))
            }
            Command::Simulate(args) => {
                let mut paths = Paths::default();
                paths.write("--tls", args.tls.as_deref());
                paths.log(log).check()?;
                let simulator = simulator(args.simulator.config())?;
                let settings = SimulateSettings { port: args.port, tls: args.tls, simulator };
                Ok(Self::Simulate(Box::new(settings)))
            }
            Command::Login(args) => login(&args, log).map(Box::new).map(Self::Login),
            Command::Completions { shell } => {
                Paths::default().log(log).check()?;
                Ok(Self::Completions(shell))
            }
            Command::Man(args) => {
                Paths::default().log(log).check()?;
                Ok(Self::Man { command: args.command, folder: args.dir })
            }
        }
    }
}

impl DoctorSettings {
    fn resolve(args: RunArgs) -> Self {
        let (enrolled, rejects) = outputs(args.input.csv.as_ref(), &args.files);
        let (pace, conduct) = (args.pace.settings(), args.conduct.conduct(&args.pace));
        let target = target(&args.target);
        let http = HttpOptions {
            total_timeout: pace.timeout,
            pool: conduct.concurrency,
            ..http(&args.graph)
        };
        let graph = graph(&args.graph, &args.auth, http);
        let ledger = match (&target, &graph) {
            (Ok(target), Ok(graph)) => {
                Some(own_ledger(args.ledger.as_deref(), identity(target, &graph.host)))
            }
            _ => None,
        };
        Self {
            job_file: args.job.job,
            options: args.input.options(),
            source: args.input.csv,
            enrolled,
            rejects,
            report: args.account.report,
            metrics: args.account.metrics,
            paths: Ok(()),
            target,
            enable: args.enable,
            graph,
            ledger,
            named_ledger: args.ledger,
            pace,
            conduct,
            json: args.files.json,
            formula_safe: args.files.formula_safe,
        }
    }

    /// Every path that could be resolved, the log aside.
    fn every_path(&self) -> Paths {
        let mut paths = Paths::default();
        paths.input(self.source.as_ref());
        paths.read("the job file", self.job_file.as_deref());
        if let Ok(graph) = &self.graph {
            credentials(&mut paths, &graph.sign_in);
        }
        paths.write("--output", self.enrolled.as_deref().ok());
        paths.write("--rejects", self.rejects.as_deref().ok());
        paths.write("--report", self.report.as_deref());
        paths.write("--metrics", self.metrics.as_deref());
        if let Some(Ok(ledger)) = &self.ledger {
            paths.ledger(Some(&ledger.path));
        }
        // For a webinar it may be a meeting's, which stays as it is.
        paths.ledger(self.named_ledger.as_deref());
        paths
    }

    /// What a run needs, or its first fault.
    fn complete(self) -> Result<RunSettings, Failure> {
        let input = input(self.source, self.options)?;
        let files = FileSettings {
            enrolled: self.enrolled?,
            rejects: self.rejects?,
            report: self.report,
            metrics: self.metrics,
            json: self.json,
            formula_safe: self.formula_safe,
        };
        let import = ImportSettings { input, files, pace: self.pace, conduct: self.conduct };
        let (target, graph) = (self.target?, self.graph?);
        let ledger = self.ledger.expect("target and host are known")?;
        Ok(RunSettings { import, target, enable: self.enable, graph, ledger })
    }
}

fn rehearse(args: RehearseArgs, log: Option<&Path>) -> Result<RehearseSettings, Failure> {
    let source = args.input.csv.clone();
    let (enrolled, rejects) = outputs(source.as_ref(), &args.files);
    let AccountArgs { report, metrics } = args.account;
    let mut paths = Paths::default();
    paths.input(source.as_ref());
    paths.read("the job file", args.job.job.as_deref());
    paths.write("--output", enrolled.as_deref().ok());
    paths.write("--rejects", rejects.as_deref().ok());
    paths.write("--report", report.as_deref());
    paths.write("--metrics", metrics.as_deref());
    paths.log(log).check()?;
    let input = input(source, args.input.options())?;
    let FileArgs { json, formula_safe, .. } = args.files;
    let (enrolled, rejects) = (enrolled?, rejects?);
    let files = FileSettings { enrolled, rejects, report, metrics, json, formula_safe };
    let conduct = args.conduct.conduct(&args.pace);
    // A webinar's id names its tenant; a meeting's organizer is named, because an application has
    // no `/me`.
    let target = if args.webinar {
        Target::Webinar(Webinar::new("rehearsal@rehearsal"))
    } else {
        Target::Meeting(Meeting::new("rehearsal", Some("organizer")))
    };
    let import = ImportSettings { input, files, pace: args.pace.settings(), conduct };
    Ok(RehearseSettings { import, target, simulator: simulator(args.simulator.config())? })
}

fn check(args: CheckArgs, log: Option<&Path>) -> Result<CheckSettings, Failure> {
    let mut paths = Paths::default();
    paths.input(args.input.csv.as_ref());
    paths.read("the job file", args.job.job.as_deref());
    paths.write("--rejects", args.rejects.as_deref());
    paths.log(log).check()?;
    let options = args.input.options();
    let input = input(args.input.csv, options)?;
    let mode = (!args.webinar).then_some(args.mode);
    Ok(CheckSettings { input, mode, rejects: args.rejects, json: args.json })
}

fn registration(
    action: RegistrationAction,
    log: Option<&Path>,
) -> Result<RegistrationSettings, Failure> {
    let (task, args) = match action {
        RegistrationAction::Show(args) => (RegistrationTask::Show, args),
        RegistrationAction::Enable { allow, reach } => (RegistrationTask::Enable(allow), reach),
        RegistrationAction::Disable(args) => (RegistrationTask::Disable, args),
    };
    let graph = graph(&args.graph, &args.auth, http(&args.graph));
    let mut paths = Paths::default();
    paths.read("the job file", args.job.job.as_deref());
    if let Ok(graph) = &graph {
        credentials(&mut paths, &graph.sign_in);
    }
    paths.log(log).check()?;
    if args.target.webinar.is_some() {
        return Err(Failure::usage(
            "this command is for meetings; a webinar's registration is set up in Teams by its organizer (`doctor --webinar ID` shows what it admits)",
        ));
    }
    if args.target.meeting.is_none() {
        return Err(Failure::usage("no meeting is named: give --meeting ID"));
    }
    Ok(RegistrationSettings { task, meeting: meeting(&args.target)?, graph: graph? })
}

fn login(args: &LoginArgs, log: Option<&Path>) -> Result<GraphSettings, Failure> {
    let by_code =
        AuthArgs { auth: Some(Method::DeviceCode), token_file: None, token_command: None };
    let graph = graph(&args.graph, &by_code, http(&args.graph));
    let mut paths = Paths::default();
    paths.read("the job file", args.job.job.as_deref());
    if let Ok(graph) = &graph {
        credentials(&mut paths, &graph.sign_in);
    }
    paths.log(log).check()?;
    graph
}

/// The ledger that `status` or `explain` reads.
fn looked_into(args: &LedgerArgs, log: Option<&Path>) -> Result<PathBuf, Failure> {
    let ledger = named_ledger(args);
    let mut paths = Paths::default();
    paths.ledger(ledger.as_deref().ok());
    paths.log(log).check()?;
    ledger
}

fn simulator<E: ToString>(config: Result<Config, E>) -> Result<Config, Failure> {
    config.map_err(|error| Failure::usage(error.to_string()))
}

fn credentials(paths: &mut Paths, sign_in: &AuthSettings) {
    paths.read("the token's file", sign_in.token_file.as_deref());
    paths.read("the authority's certificates (--ca-file)", sign_in.http.ca_file.as_deref());
    paths.read("the client's certificate", sign_in.certificate.as_deref());
    paths.read("the workload's token", sign_in.federated_token_file.as_deref());
    paths.read("the kept sign-in", sign_in.kept.as_ref().map(KeptSignIn::path));
}

impl InputArgs {
    fn options(&self) -> Options {
        let columns = self.keep.iter().flat_map(|keep| match keep {
            Keep::Columns(columns) => columns.clone(),
            Keep::Nothing | Keep::All => Vec::new(),
        });
        let columns: Vec<String> = columns.collect();
        Options {
            delimiter: self.delimiter,
            encoding: self.encoding,
            skip_lines: self.skip_lines,
            map: self.map.clone(),
            set: self.set.clone(),
            preset: self.preset,
            filters: self.filters.clone(),
            keep: match (self.keep_all, columns.is_empty()) {
                (true, _) => Keep::All,
                (false, true) => Keep::Nothing,
                (false, false) => Keep::Columns(columns),
            },
            id_prefix: self.id_prefix.clone(),
        }
    }
}

impl ConductArgs {
    fn conduct(&self, pace: &PaceArgs) -> Conduct {
        Conduct {
            strict: self.strict,
            max_rejects: self.max_rejects,
            on_unknown: match self.on_unknown {
                OnUnknownArg::Reconcile => OnUnknown::Reconcile,
                OnUnknownArg::Hold => OnUnknown::Hold,
            },
            settle: self.settle,
            trust_ledger: self.trust_ledger,
            trust_ids: self.trust_ids,
            max_attempts: pace.max_attempts,
            concurrency: pace.concurrency.max(1),
        }
    }
}

impl PaceArgs {
    fn settings(&self) -> PaceSettings {
        let Self { rate, timeout, finish_by, max_duration, .. } = *self;
        PaceSettings { ceiling: rate, timeout, finish_by, max_duration }
    }
}

fn input(source: Option<Source>, options: Options) -> Result<InputSettings, Failure> {
    source.map(|source| InputSettings { source, options }).ok_or_else(no_input)
}

fn no_input() -> Failure {
    Failure::usage("no CSV is named: give a file, or `-` for standard input")
}

/// Enrolled file and rejects file: as given, or named after the CSV.
fn outputs(
    source: Option<&Source>,
    files: &FileArgs,
) -> (Result<PathBuf, Failure>, Result<PathBuf, Failure>) {
    let named = |given: &Option<PathBuf>, ending: &str| {
        match (given, source) {
        (Some(path), _) => Ok(path.clone()),
        (None, Some(source)) => beside(source, ending).ok_or_else(|| {
            Failure::usage(
                "standard input has no name to make the files' names from; name them with --output FILE and --rejects FILE",
            )
        }),
        (None, None) => Err(no_input()),
    }
    };
    (named(&files.output, "enrolled.csv"), named(&files.rejects, "rejects.csv"))
}

/// `attendees.csv` → `attendees.enrolled.csv`; `.csv.gz` loses both, for the files are not packed.
/// Standard input has no such name.
pub(super) fn beside(source: &Source, ending: &str) -> Option<PathBuf> {
    let Source::File(csv) = source else { return None };
    let name = csv.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.strip_suffix(".gz").unwrap_or(&name);
    let stem = stem.rsplit_once('.').map_or(stem, |(stem, _)| stem);
    Some(csv.with_file_name(format!("{stem}.{ending}")))
}

fn target(args: &TargetArgs) -> Result<Target, Failure> {
    let Some(id) = &args.webinar else { return meeting(args).map(Target::Meeting) };
    let id = id.trim();
    if matches!(id, "" | "." | "..") {
        return Err(Failure::usage("--webinar names no webinar: give its id, `<id>@<tenant id>`"));
    }
    Ok(Target::Webinar(Webinar::new(id)))
}

fn meeting(args: &TargetArgs) -> Result<Meeting, Failure> {
    let id = args.meeting.as_deref().map(str::trim).filter(|id| !id.is_empty());
    let id =
        id.ok_or_else(|| Failure::usage("no target is named: give --meeting ID, or --webinar ID"))?;
    if matches!(id, "." | "..") {
        return Err(Failure::usage(format!("--meeting {id}: no meeting has this id")));
    }
    Ok(Meeting::new(id, args.organizer.as_deref()))
}

fn http(graph: &GraphArgs) -> HttpOptions {
    HttpOptions { ca_file: graph.ca_file.clone(), http1: graph.http1, ..HttpOptions::default() }
}

fn graph(graph: &GraphArgs, auth: &AuthArgs, http: HttpOptions) -> Result<GraphSettings, Failure> {
    let trusted = TrustedHosts::new(&graph.trust_host)?;
    let host = match &graph.graph_url {
        Some(url) => GraphHost::parse(url, &trusted)?,
        None => GraphHost::of(graph.cloud),
    };
    if !graph.cloud.offers_registration() && graph.graph_url.is_none() {
        return Err(Failure::usage(format!(
            "--cloud {}: Microsoft offers the registration APIs in the global cloud only",
            graph.cloud.name()
        )));
    }
    let sign_in = AuthSettings {
        method: auth.auth,
        cloud: graph.cloud,
        trusted,
        http: http.clone(),
        token_file: auth.token_file.clone(),
        token_command: auth.token_command.clone(),
        ..AuthSettings::from_variables(|name| std::env::var(name).ok())
    };
    Ok(GraphSettings { host, http, sign_in })
}

impl GraphSettings {
    pub(super) fn tokens(&self) -> Result<Tokens, Failure> {
        // A simulator on this machine may want no token at all.
        let nothing_said = self.sign_in.method.is_none() && self.sign_in.method().is_err();
        if self.host.is_loopback() && nothing_said {
            return Ok(Tokens::none());
        }
        Ok(Tokens::new(&self.sign_in)?)
    }
}

/// What a ledger calls a simulator on this machine, whatever its port.
pub(super) const THIS_MACHINE: &str = "this machine";

/// The target that a ledger belongs to.
pub(super) fn identity(target: &Target, host: &GraphHost) -> Identity {
    let graph = if host.is_loopback() { THIS_MACHINE.to_owned() } else { host.to_string() };
    Identity {
        kind: target.api().word().to_owned(),
        name: target.id().to_owned(),
        organizer: target.organizer().map(str::to_owned),
        graph,
    }
}

/// The ledger that was named, by its file or by its target.
fn named_ledger(args: &LedgerArgs) -> Result<PathBuf, Failure> {
    if args.target.meeting.is_none() && args.target.webinar.is_none() {
        return args.ledger.clone().ok_or_else(|| {
            Failure::usage(
                "no ledger is named: give --ledger FILE, --meeting ID or --webinar ID, or the job file that names one of them (--job FILE.toml)",
            )
        });
    }
    let target = target(&args.target)?;
    let host = match &args.graph_url {
        // The host only tells which ledger is meant; nothing is sent to it, so `run` alone has to
        // be told that it is trusted.
        Some(url) => {
            let host = Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
            GraphHost::parse(url, &TrustedHosts::new(host)?)?
        }
        None => GraphHost::of(Cloud::Global),
    };
    Ok(own_ledger(args.ledger.as_deref(), identity(&target, &host))?.path)
}

/// The ledger of a target: as given, or its own. A meeting's ledger that is named for a webinar
/// stays as it is, and the webinar's stands beside it: the same command goes on with another target.
fn own_ledger(given: Option<&Path>, identity: Identity) -> Result<LedgerSettings, Failure> {
    let path = if let Some(path) = given {
        let of_a_meeting = || {
            let reading = Reading::glance(path).ok()?;
            Some(reading.target().ok()?.kind == Api::Meeting.word())
        };
        let moved = identity.kind == Api::Webinar.word() && of_a_meeting().unwrap_or(false);
        if moved { beside_a_meetings(path, &identity) } else { path.to_owned() }
    } else {
        let state = state_folder(std::env::var_os("XDG_STATE_HOME"), std::env::home_dir())?;
        state.join("registrant-import").join(ledger_name(&identity))
    };
    let is_beside_the_named = given.is_some_and(|given| given != path);
    Ok(LedgerSettings { path, identity, is_beside_the_named })
}

/// `$XDG_STATE_HOME`, which must be absolute (XDG base directory specification), else
/// `~/.local/state`.
fn state_folder(xdg: Option<OsString>, home: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let xdg = xdg.filter(|path| !path.is_empty()).map(PathBuf::from);
    match (xdg, home) {
        (Some(path), _) if path.is_absolute() => Ok(path),
        (_, Some(home)) => Ok(home.join(".local/state")),
        (Some(path), None) => Err(Failure::usage(format!(
            "XDG_STATE_HOME is `{}`, which is no absolute path, and HOME is not set: mend one of them, or name the ledger with --ledger",
            path.display()
        ))),
        (None, None) => Err(Failure::usage(
            "neither XDG_STATE_HOME nor HOME is set: name the ledger with --ledger",
        )),
    }
}

/// `attendees.ledger` → `attendees.webinar-<8 digits>.ledger`.
fn beside_a_meetings(path: &Path, target: &Identity) -> PathBuf {
    let digest = short_digest(target.to_string().as_bytes());
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let ending = path.extension().map(|e| format!(".{}", e.to_string_lossy())).unwrap_or_default();
    path.with_file_name(format!("{stem}.{}-{}{ending}", target.kind, &digest[..8]))
}

/// A name that a person recognises and that no other target has.
fn ledger_name(target: &Identity) -> String {
    let readable: String = target
        .name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(24)
        .collect();
    format!("{}-{readable}-{}.ledger", target.kind, short_digest(target.to_string().as_bytes()))
}

/// The earlier of `--finish-by` and `--max-duration`: nothing new is started after it.
#[derive(Clone, Debug)]
pub(super) struct Deadline {
    /// From the start of the run on.
    pub(super) after: Duration,
    /// The option that says so.
    pub(super) option: &'static str,
    at: Zoned,
}

impl PaceSettings {
    /// The deadline of a run that starts `now`.
    pub(super) fn deadline(&self, now: &Zoned) -> Option<Deadline> {
        let finish_by = self.finish_by.map(|time| (until(time, now), "--finish-by"));
        let max_duration = self.max_duration.map(|length| (length, "--max-duration"));
        let (after, option) = [finish_by, max_duration].into_iter().flatten().min()?;
        // Beyond what a calendar holds there is no deadline.
        let at = now.checked_add(SignedDuration::try_from(after).ok()?).ok()?;
        Some(Deadline { after, option, at })
    }
}

impl Deadline {
    /// "06:00 tomorrow": a time of day that has just passed is the next day's.
    pub(super) fn words(&self, now: &Zoned) -> String {
        let at = self.at.round(Unit::Second).unwrap_or_else(|_| self.at.clone());
        let time = at.strftime(if at.second() == 0 { "%H:%M" } else { "%H:%M:%S" });
        let tomorrow = now.tomorrow().is_ok_and(|tomorrow| tomorrow.date() == at.date());
        match at.date() {
            date if date == now.date() => time.to_string(),
            _ if tomorrow => format!("{time} tomorrow"),
            date => format!("{time} on {date}"),
        }
    }

    pub(super) fn left(&self, now: &Zoned) -> Duration {
        Duration::try_from(self.at.duration_since(now)).unwrap_or_default()
    }
}

/// How long it is until the clock next shows `time`: today, or tomorrow where that is past.
fn until(time: Time, now: &Zoned) -> Duration {
    let today = now.with().time(time).build().unwrap_or_else(|_| now.clone());
    let next = if today > *now {
        today
    } else {
        now.tomorrow()
            .and_then(|tomorrow| tomorrow.with().time(time).build())
            .unwrap_or_else(|_| today + SignedDuration::from_hours(24))
    };
    Duration::try_from(next.duration_since(now)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_stand_beside_the_input() {
        for (csv, enrolled) in [
            ("a/attendees.csv", "a/attendees.enrolled.csv"),
            ("attendees", "attendees.enrolled.csv"),
            ("list.2026.csv", "list.2026.enrolled.csv"),
            ("list.csv.gz", "list.enrolled.csv"),
        ] {
            let source = Source::File(PathBuf::from(csv));
            assert_eq!(beside(&source, "enrolled.csv"), Some(PathBuf::from(enrolled)));
        }
        assert_eq!(beside(&Source::Stdin, "enrolled.csv"), None);
    }

    #[test]
    fn a_webinars_ledger_stands_beside_the_meetings_that_was_named() {
        let webinar = Identity {
            kind: "webinar".to_owned(),
            name: "W@T".to_owned(),
            organizer: None,
            graph: "https://graph.microsoft.com".to_owned(),
        };
        let name = |path: &str| {
            beside_a_meetings(Path::new(path), &webinar).to_string_lossy().into_owned()
        };
        let digest = &short_digest(webinar.to_string().as_bytes())[..8];
        assert_eq!(name("a/b.ledger"), format!("a/b.webinar-{digest}.ledger"));
        assert_eq!(name("books"), format!("books.webinar-{digest}"));
    }

    #[test]
    fn the_state_folder_is_absolute_or_the_fault_is_told() {
        let folder = |xdg: Option<&str>, home: Option<&str>| {
            state_folder(xdg.map(OsString::from), home.map(PathBuf::from))
        };
        assert_eq!(folder(Some("/x"), None).expect("a folder"), Path::new("/x"));
        for xdg in [Some("x"), Some(""), None] {
            let found = folder(xdg, Some("/h")).expect("a folder");
            assert_eq!(found, Path::new("/h/.local/state"));
        }
        let told = folder(Some("state"), None).expect_err("no folder").sentence;
        assert!(told.starts_with("XDG_STATE_HOME is `state`, which is no absolute path"), "{told}");
        let told = folder(Some(""), None).expect_err("no folder").sentence;
        assert!(told.starts_with("neither XDG_STATE_HOME nor HOME is set"), "{told}");
    }

    #[test]
    fn each_target_has_a_ledger_of_its_own() {
        let identity = |name: &str, organizer: Option<&str>| Identity {
            kind: "meeting".to_owned(),
            name: name.to_owned(),
            organizer: organizer.map(str::to_owned),
            graph: "https://graph.microsoft.com".to_owned(),
        };
        let name = ledger_name(&identity("MSpk/YzE3=", None));
        assert!(name.starts_with("meeting-MSpk-YzE3--"), "{name}");
        assert_ne!(name, ledger_name(&identity("MSpk-YzE3=", None)));
        assert_ne!(name, ledger_name(&identity("MSpk/YzE3=", Some("ada@example.org"))));
    }

    fn deadline(now: &str, finish_by: Option<&str>, minutes: Option<u64>) -> String {
        let now: Zoned = format!("2026-11-21T{now}+00:00[UTC]").parse().expect("a time");
        let pace = PaceSettings {
            ceiling: None,
            timeout: Duration::ZERO,
            finish_by: finish_by.map(|time| time.parse().expect("a time")),
            max_duration: minutes.map(|minutes| Duration::from_secs(60 * minutes)),
        };
        let deadline = pace.deadline(&now).expect("one is given");
        format!("{} {}", deadline.words(&now), deadline.option)
    }

    #[test]
    fn a_time_that_has_passed_is_tomorrows_and_says_so() {
        assert_eq!(deadline("06:01:00", Some("06:00"), None), "06:00 tomorrow --finish-by");
        assert_eq!(deadline("05:59:00", Some("06:00"), None), "06:00 --finish-by");
        assert_eq!(deadline("05:59:00.7", Some("06:00"), None), "06:00 --finish-by");
        assert_eq!(deadline("23:30:05", None, Some(60)), "00:30:05 tomorrow --max-duration");
        assert_eq!(deadline("12:00:00", None, Some(2_880)), "12:00 on 2026-11-23 --max-duration");
        assert_eq!(deadline("05:00:00", Some("06:00"), Some(90)), "06:00 --finish-by");
        assert_eq!(deadline("05:00:00", Some("06:00"), Some(30)), "05:30 --max-duration");
    }

    #[test]
    fn a_time_of_day_is_the_next_one() {
        let now: Zoned = "2026-11-21T20:00:00+00:00[UTC]".parse().expect("a time");
        let hours = |text: &str| until(text.parse().expect("a time"), &now).as_secs() / 3_600;
        assert_eq!((hours("23:00"), hours("03:00"), hours("20:00")), (3, 7, 24));
    }
}
