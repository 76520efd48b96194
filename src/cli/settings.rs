//! What was asked for, resolved once: flags, variables and job file → immutable settings of parsed
//! types, and a check that the paths among them are held apart.
//!
//! No command sees an argument, so none can find a target, a host or a path differently from
//! another. Each concern has a type of its own, and a command holds those that it needs: `status`
//! does not fail for lack of a CSV. Resolving writes nothing and asks nobody.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap_complete::Shell;
use jiff::{SignedDuration, Unit, Zoned, civil::Time};
use url::Url;

use super::{
    args::{
        AccountArgs, AuthArgs, CancelArgs, CheckArgs, Command, ConductArgs, FileArgs, GraphArgs,
        InputArgs, LedgerArgs, PaceArgs, RegistrationAction, RehearseArgs, RunArgs, TargetArgs,
    },
    failure::Failure,
    paths::{LedgerSettings, Paths, beside, own_ledger},
};
use crate::{
    auth::{AuthSettings, Method, Tokens},
    graph::{
        event::VirtualEvent,
        host::{Cloud, GraphHost, TrustedHosts},
        http::{Http, HttpError, HttpOptions},
        meeting::Meeting,
        target::Target,
    },
    input::{Keep, Options, Source},
    job::{
        self,
        client::GraphClient,
        conduct::{CancelMode, CancelPolicy, Conduct},
    },
    ledger::Identity,
    pacing::{self, Buckets, Pacer, Quota},
    registrant::{EventKind, Mode, Rule},
    simulator::Config,
};

/// What a command works with.
pub(super) enum Settings {
    Run(Box<RunSettings>),
    Plan(Box<RunSettings>, Option<Box<Path>>),
    Rehearse(Box<RehearseSettings>),
    Check(Box<CheckSettings>),
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

/// What `run` and `rehearse` have in common.
pub(super) struct ImportSettings {
    /// Cancellations that a person approved.
    pub(super) approve: Option<PathBuf>,
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
    /// Of held cancellations.
    pub(super) held: PathBuf,
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
    pub(super) against: Against,
    pub(super) rejects: Option<PathBuf>,
    pub(super) json: bool,
}

/// What `check` holds rows against.
#[derive(Clone, Copy)]
pub(super) enum Against {
    /// A meeting's registration of this mode.
    Mode(Mode),
    Event(EventKind),
}

impl Against {
    pub(super) fn rule(self) -> Rule {
        match self {
            Self::Mode(mode) => Rule::Meeting(mode),
            Self::Event(_) => Rule::event(),
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Mode(mode) => mode.as_str(),
            Self::Event(kind) => kind.word(),
        }
    }
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
    pub(super) files: FileParts,
    /// Whether no path is two things.
    pub(super) paths: Result<(), Failure>,
    pub(super) target: Result<Target, Failure>,
    pub(super) enable: Option<Mode>,
    pub(super) graph: Result<GraphSettings, Failure>,
    /// `None` where its target or its host is not known.
    pub(super) ledger: Option<Result<LedgerSettings, Failure>>,
    pace: PaceSettings,
    pub(super) conduct: Conduct,
    approve: Option<PathBuf>,
    /// For `plan`, which needs no names of files.
    is_a_plan: bool,
}

/// What is read and written beside the ledger, each file resolved by itself.
pub(super) struct FileParts {
    pub(super) input: Option<InputSettings>,
    pub(super) enrolled: Result<PathBuf, Failure>,
    pub(super) rejects: Result<PathBuf, Failure>,
    pub(super) report: Option<PathBuf>,
    pub(super) metrics: Option<PathBuf>,
    pub(super) json: bool,
    formula_safe: bool,
}

impl Settings {
    /// The settings of the command that was called. A path that is two things is told before any
    /// other fault.
    pub(super) fn resolve(command: Command, log_file: Option<&Path>) -> Result<Self, Failure> {
        let mut paths = Paths::default();
        let settings = Self::of(command, &mut paths);
        paths.log(log_file);
        paths.check()?;
        settings
    }

    /// Notes every path before the first fault can end it.
    fn of(command: Command, paths: &mut Paths) -> Result<Self, Failure> {
        Ok(match command {
            Command::Run(args) => {
                Self::Run(Box::new(DoctorSettings::resolve(*args, paths).complete()?))
            }
            Command::Plan(args) => {
                let mut settings = DoctorSettings::resolve(args.run, paths);
                // It writes none of the run's files.
                paths.leave_alone();
                paths.write("--changes", args.changes.as_deref());
                settings.is_a_plan = true;
                Self::Plan(
                    Box::new(settings.complete()?),
                    args.changes.map(PathBuf::into_boxed_path),
                )
            }
            Command::Doctor(args) => {
                let mut settings = DoctorSettings::resolve(*args, paths);
                settings.paths = paths.check();
                // It tells of the other files among its findings, and writes a log at most.
                paths.leave_alone();
                Self::Doctor(Box::new(settings))
            }
            Command::Rehearse(args) => Self::Rehearse(Box::new(rehearse(*args, paths)?)),
            Command::Check(args) => Self::Check(Box::new(check(*args, paths)?)),
            Command::Registration(args) => {
                Self::Registration(Box::new(registration(args.action, paths)?))
            }
            Command::Status(args) => {
                Self::Status { ledger: named_ledger(&args.ledger, paths)?, json: args.json }
            }
            Command::Explain(args) => {
                Self::Explain { ledger: named_ledger(&args.ledger, paths)?, id: args.id }
            }
            Command::Export(args) => {
                let account = AccountArgs::default();
                let files = FileParts::resolve(&args.input, &args.files, account, paths);
                let ledger = named_ledger(&args.ledger, paths);
                let (input, files) = files.complete()?;
                Self::Export(Box::new(ExportSettings { input, files, ledger: ledger? }))
            }
            Command::Simulate(args) => {
                paths.write("--tls", args.tls.as_deref());
                let simulator = simulator(args.simulator.config())?;
                let settings = SimulateSettings { port: args.port, tls: args.tls, simulator };
                Self::Simulate(Box::new(settings))
            }
            Command::Login(args) => {
                paths.read("the job file", args.job.job.as_deref());
                let auth = AuthArgs { auth: Some(Method::DeviceCode), ..AuthArgs::default() };
                let http = args.graph.http();
                Self::Login(Box::new(GraphSettings::resolve(&args.graph, &auth, http, paths)?))
            }
            Command::Completions { shell } => Self::Completions(shell),
            Command::Man(args) => Self::Man { command: args.command, folder: args.dir },
        })
    }
}

impl FileParts {
    fn resolve(
        input: &InputArgs,
        files: &FileArgs,
        account: AccountArgs,
        paths: &mut Paths,
    ) -> Self {
        let source = input.source();
        let named = |given: &Option<PathBuf>, ending| match (given, &source) {
            (Some(path), _) => Ok(path.clone()),
            (None, Some(source)) => beside(source, ending),
            (None, None) => Err(no_input()),
        };
        let (enrolled, rejects) =
            (named(&files.output, "enrolled.csv"), named(&files.rejects, "rejects.csv"));
        let AccountArgs { report, metrics } = account;
        paths.input(source.as_ref());
        paths.write("--output", enrolled.as_deref().ok());
        paths.write("--rejects", rejects.as_deref().ok());
        paths.write("--report", report.as_deref());
        paths.write("--metrics", metrics.as_deref());
        let FileArgs { json, formula_safe, .. } = *files;
        let input = input.settings();
        Self { input, enrolled, rejects, report, metrics, json, formula_safe }
    }

    /// Reads marks where somebody may be cancelled.
    fn cancel(&mut self, args: &CancelArgs) {
        if let Some(input) = &mut self.input {
            let may_be = args.cancel != CancelMode::Never;
            input.options.marks = may_be.then(|| args.cancel_where.clone());
        }
    }

    /// All of them, or the first fault.
    fn complete(self) -> Result<(InputSettings, FileSettings), Failure> {
        let input = self.input.ok_or_else(no_input)?;
        let (enrolled, rejects) = (self.enrolled?, self.rejects?);
        let Self { report, metrics, json, formula_safe, .. } = self;
        // What has no name has the enrolled file's.
        let source = match &input.source {
            Source::Stdin | Source::Command(..) => &Source::File(enrolled.clone()),
            file @ Source::File(_) => file,
        };
        let held = beside(source, "held.csv")?;
        let files = FileSettings { enrolled, rejects, held, report, metrics, json, formula_safe };
        Ok((input, files))
    }
}

impl DoctorSettings {
    fn resolve(args: RunArgs, paths: &mut Paths) -> Self {
        let (pace, conduct) =
            (args.pace.settings(), args.conduct.conduct(&args.pace, &args.cancel));
        let mut files = FileParts::resolve(&args.input, &args.files, args.account, paths);
        files.cancel(&args.cancel);
        paths.read("the job file", args.job.job.as_deref());
        let target = target(&args.target);
        let http = HttpOptions {
            total_timeout: pace.timeout,
            pool: conduct.concurrency,
            ..args.graph.http()
        };
        let graph = GraphSettings::resolve(&args.graph, &args.auth, http, paths);
        let ledger = match (&target, &graph) {
            (Ok(target), Ok(graph)) => {
                Some(own_ledger(args.ledger.as_deref(), identity(target, &graph.host)))
            }
            _ => None,
        };
        paths.ledger(ledger.iter().flatten().next().map(|ledger| &*ledger.path));
        // For an event it may be another kind of target's, which stays as it is.
        paths.ledger(args.ledger.as_deref());
        let (job_file, enable) = (args.job.job, args.enable);
        let approve = args.cancel.approve;
        Self {
            job_file,
            files,
            paths: Ok(()),
            target,
            enable,
            graph,
            ledger,
            pace,
            conduct,
            approve,
            is_a_plan: false,
        }
    }

    /// What a run needs, or its first fault.
    fn complete(mut self) -> Result<RunSettings, Failure> {
        if self.is_a_plan {
            let FileParts { enrolled, rejects, .. } = &mut self.files;
            for file in [enrolled, rejects] {
                *file = file.clone().or_else(|_| Ok(PathBuf::from("plan.csv")));
            }
        }
        let (input, files) = self.files.complete()?;
        let (pace, conduct, approve) = (self.pace, self.conduct, self.approve);
        if input.source == Source::Stdin && conduct.cancel.mode == CancelMode::Missing {
            return Err(Failure::usage(
                "--cancel missing needs a list that can be told from others: name a file, or --input-command, instead of standard input",
            ));
        }
        let import = ImportSettings { approve, input, files, pace, conduct };
        let (target, graph) = (self.target?, self.graph?);
        let ledger = self.ledger.expect("target and host are known")?;
        Ok(RunSettings { import, target, enable: self.enable, graph, ledger })
    }
}

fn rehearse(args: RehearseArgs, paths: &mut Paths) -> Result<RehearseSettings, Failure> {
    let mut files = FileParts::resolve(&args.input, &args.files, args.account, paths);
    files.cancel(&args.cancel);
    paths.read("the job file", args.job.job.as_deref());
    let (input, files) = files.complete()?;
    let conduct = args.conduct.conduct(&args.pace, &args.cancel);
    // An event's id names its tenant; a meeting's organizer is named, because an application has
    // no `/me`.
    let target = match args.event.kind() {
        Some(kind) => Target::Event(VirtualEvent::new(kind, "rehearsal@rehearsal")),
        None => Target::Meeting(Meeting::new("rehearsal", Some("organizer"))),
    };
    let (approve, pace) = (args.cancel.approve, args.pace.settings());
    let import = ImportSettings { approve, input, files, pace, conduct };
    Ok(RehearseSettings { import, target, simulator: simulator(args.simulator.config())? })
}

fn check(args: CheckArgs, paths: &mut Paths) -> Result<CheckSettings, Failure> {
    paths.input(args.input.csv.as_ref());
    paths.read("the job file", args.job.job.as_deref());
    paths.write("--rejects", args.rejects.as_deref());
    let input = args.input.settings();
    let input = input.ok_or_else(no_input)?;
    let against = args.event.kind().map_or(Against::Mode(args.mode), Against::Event);
    Ok(CheckSettings { input, against, rejects: args.rejects, json: args.json })
}

fn registration(
    action: RegistrationAction,
    paths: &mut Paths,
) -> Result<RegistrationSettings, Failure> {
    let (task, args) = match action {
        RegistrationAction::Show(args) => (RegistrationTask::Show, args),
        RegistrationAction::Enable { allow, meeting } => (RegistrationTask::Enable(allow), meeting),
        RegistrationAction::Disable(args) => (RegistrationTask::Disable, args),
    };
    paths.read("the job file", args.job.job.as_deref());
    let graph = GraphSettings::resolve(&args.graph, &args.auth, args.graph.http(), paths);
    if let Some((kind, _)) = args.target.event() {
        let (noun, word) = (kind.noun(), kind.word());
        return Err(Failure::usage(format!(
            "this command is for meetings; a {noun}'s registration is set up in Teams by its organizer (`doctor --{word} ID` shows what it admits)"
        )));
    }
    if args.target.meeting.is_none() {
        return Err(Failure::usage("no meeting is named: give --meeting ID"));
    }
    Ok(RegistrationSettings { task, meeting: meeting(&args.target)?, graph: graph? })
}

fn simulator<E: ToString>(config: Result<Config, E>) -> Result<Config, Failure> {
    config.map_err(|error| Failure::usage(error.to_string()))
}

impl InputArgs {
    fn source(&self) -> Option<Source> {
        let command = self.input_command.clone();
        let command = command.map(|command| Source::Command(command, self.input_timeout));
        self.csv.clone().or(command)
    }

    /// The input; `None` where none is named.
    fn settings(&self) -> Option<InputSettings> {
        let columns = self.keep.iter().flat_map(|keep| match keep {
            Keep::Columns(columns) => columns.clone(),
            Keep::Nothing | Keep::All => Vec::new(),
        });
        let columns: Vec<String> = columns.collect();
        let options = Options {
            delimiter: self.delimiter,
            encoding: self.encoding,
            sheet: self.sheet.clone(),
            skip_lines: self.skip_lines,
            map: self.map.clone(),
            set: self.set.clone(),
            preset: self.preset,
            filters: self.filters.clone(),
            marks: None,
            keep: match (self.keep_all, columns.is_empty()) {
                (true, _) => Keep::All,
                (false, true) => Keep::Nothing,
                (false, false) => Keep::Columns(columns),
            },
            id_prefix: self.id_prefix.clone(),
            allow_empty: self.allow_empty,
        };
        self.source().map(|source| InputSettings { source, options })
    }
}

impl ConductArgs {
    fn conduct(&self, pace: &PaceArgs, cancel: &CancelArgs) -> Conduct {
        Conduct {
            strict: self.strict,
            max_rejects: self.max_rejects,
            on_unknown: self.on_unknown,
            settle: self.settle,
            trust_ledger: self.trust_ledger,
            over_capacity: self.over_capacity,
            shared_link: self.shared_link,
            trust_ids: self.trust_ids,
            cancel: CancelPolicy {
                mode: cancel.cancel,
                missing_for: cancel.missing_for,
                most: cancel.max_cancel,
            },
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

fn no_input() -> Failure {
    Failure::usage("no CSV is named: give a file, `-` for standard input, or --input-command")
}

fn target(args: &TargetArgs) -> Result<Target, Failure> {
    let Some((kind, id)) = args.event() else { return meeting(args).map(Target::Meeting) };
    let id = id.trim();
    if matches!(id, "" | "." | "..") {
        let (noun, word) = (kind.noun(), kind.word());
        let sentence = format!("--{word} names no {noun}: give its id, `<id>@<tenant id>`");
        return Err(Failure::usage(sentence));
    }
    Ok(Target::Event(VirtualEvent::new(kind, id)))
}

fn meeting(args: &TargetArgs) -> Result<Meeting, Failure> {
    let id = args.meeting.as_deref().map(str::trim).filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| {
        Failure::usage("no target is named: give --meeting ID, --webinar ID or --townhall ID")
    })?;
    if matches!(id, "." | "..") {
        return Err(Failure::usage(format!("--meeting {id}: no meeting has this id")));
    }
    Ok(Meeting::new(id, args.organizer.as_deref()))
}

impl GraphArgs {
    fn http(&self) -> HttpOptions {
        HttpOptions { ca_file: self.ca_file.clone(), http1: self.http1, ..HttpOptions::default() }
    }
}

impl GraphSettings {
    fn resolve(
        graph: &GraphArgs,
        auth: &AuthArgs,
        http: HttpOptions,
        paths: &mut Paths,
    ) -> Result<Self, Failure> {
        let trusted = TrustedHosts::new(&graph.trust_host)?;
        let given = graph.cloud.unwrap_or_default();
        let host = match &graph.graph_url {
            Some(url) => GraphHost::parse(url, &trusted)?,
            None => GraphHost::of(given),
        };
        // Tokens do not cross clouds, so a secret goes to the login of the cloud that Graph is in.
        let cloud = host.cloud().unwrap_or(given);
        if graph.cloud.is_some() && cloud != given {
            return Err(Failure::usage(format!(
                "--graph-url {host} is Graph of --cloud {cloud}, not of --cloud {given}: leave one of the two out"
            )));
        }
        if !cloud.offers_registration() && graph.graph_url.is_none() {
            return Err(Failure::usage(format!(
                "--cloud {cloud}: Microsoft offers the registration APIs in the global cloud only"
            )));
        }
        let sign_in = AuthSettings {
            method: auth.auth,
            cloud,
            trusted,
            http: http.clone(),
            token_file: auth.token_file.clone(),
            token_command: auth.token_command.clone(),
            ..AuthSettings::from_variables(|name| std::env::var(name).ok())
        };
        paths.credentials(&sign_in);
        Ok(Self { host, http, sign_in })
    }

    /// A client for a few requests, which no ceiling binds.
    pub(super) fn client(&self, tokens: Tokens) -> Result<GraphClient<Http>, HttpError> {
        let pacer = || Pacer::new(pacing::PaceOptions::default());
        Ok(GraphClient::new(
            Http::new(self.host.clone(), &self.http)?,
            self.host.clone(),
            tokens,
            job::start_clock(),
            Buckets::new(pacer(), pacer()),
            fastrand::Rng::new(),
        ))
    }

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
fn named_ledger(args: &LedgerArgs, paths: &mut Paths) -> Result<PathBuf, Failure> {
    if args.target.meeting.is_none() && args.target.event().is_none() {
        paths.ledger(args.ledger.as_deref());
        return args.ledger.clone().ok_or_else(|| {
            Failure::usage(
                "no ledger is named: give --ledger FILE, --meeting ID, --webinar ID or --townhall ID, or the job file that names one of them (--job FILE.toml)",
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
    let ledger = own_ledger(args.ledger.as_deref(), identity(&target, &host))?.path;
    paths.ledger(Some(&ledger));
    Ok(ledger)
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
    use clap::Parser as _;
    use strum::VariantArray as _;

    use super::{super::args::Cli, *};

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
    fn a_secret_goes_to_the_cloud_of_the_graph_that_is_named() {
        let cloud = |options: &[&str]| {
            let args = [&["registrant-import", "login"], options].concat();
            let Command::Login(args) = Cli::try_parse_from(args).expect("options").command else {
                unreachable!("it is `login`");
            };
            let (auth, paths) = (AuthArgs::default(), &mut Paths::default());
            let graph = GraphSettings::resolve(&args.graph, &auth, args.graph.http(), paths);
            graph.map(|graph| graph.sign_in.cloud).map_err(|failure| failure.sentence)
        };
        assert_eq!(cloud(&[]), Ok(Cloud::Global));
        for &known in Cloud::VARIANTS {
            let url = format!("--graph-url=https://{}", known.graph_host());
            assert_eq!(cloud(&[&url]), Ok(known));
            assert_eq!(cloud(&[&url, "--cloud", &known.to_string()]), Ok(known));
            let other = if known == Cloud::China { "global" } else { "china" };
            let refused = cloud(&[&url, "--cloud", other]).expect_err("another cloud");
            assert!(refused.ends_with(": leave one of the two out"), "{refused}");
        }
        // Who stands behind a gateway nobody can tell but the user.
        let gateway = ["--trust-host", "g.example", "--graph-url", "https://g.example"];
        assert_eq!(cloud(&gateway), Ok(Cloud::Global));
        assert_eq!(cloud(&[&gateway[..], &["--cloud", "usgov"]].concat()), Ok(Cloud::UsGov));
    }

    #[test]
    fn a_time_of_day_is_the_next_one() {
        let now: Zoned = "2026-11-21T20:00:00+00:00[UTC]".parse().expect("a time");
        let hours = |text: &str| until(text.parse().expect("a time"), &now).as_secs() / 3_600;
        assert_eq!((hours("23:00"), hours("03:00"), hours("20:00")), (3, 7, 24));
    }
}
