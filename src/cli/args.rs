//! What can be typed. Every option may also stand in the environment (`REGISTRANT_IMPORT_…`) or,
//! by the same name, in a job file; see [`super::job_file`].

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum, builder::FalseyValueParser};
use clap_complete::Shell;
use jiff::civil::Time;
use tracing::level_filters::LevelFilter;

use crate::{
    auth::Method,
    graph::host::Cloud,
    input::{
        CommandLine, Delimiter, Encoding, Filter, Keep, MapOption, PresetChoice, SetOption, Source,
    },
    job::conduct::{CancelMode, CancelPolicy, Conduct, Limit, OnUnknown},
    output::ProgressMode,
    pacing::Quota,
    parse::duration,
    registrant::{EventKind, Mode},
    simulator::SimulatorArgs,
};

/// Enrols the people of a CSV export in a Microsoft Teams meeting, webinar or town hall: each exactly once,
/// each with a join link of their own
#[derive(Debug, Parser)]
#[command(name = "registrant-import", version, max_term_width = 100)]
#[command(after_help = EXIT_CODES)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
    #[command(flatten)]
    pub(super) talk: TalkArgs,
}

const EXIT_CODES: &str = "\
Exit codes: 0 every row enrolled · 1 internal fault · 2 usage or unreadable input, nothing posted ·
3 some rows invalid or refused · 4 some rows unknown or awaiting, run again later · 5 stopped early
for a passing cause, run again · 6 stopped early, mend the cause first · 7 another run holds the
ledger · 8 cancellations wait for --approve · 130/143 interrupted or terminated, files written.
Every option can also be set as REGISTRANT_IMPORT_<OPTION> or in a job file (--job FILE.toml).";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Enrol everybody of a CSV export who is not enrolled yet
    Run(Box<RunArgs>),
    /// Tell what `run` would do now, and send nothing
    Plan(Box<PlanArgs>),
    /// Do the same against a simulated Graph: nothing leaves the machine, no credential is needed
    Rehearse(Box<RehearseArgs>),
    /// Read and validate a CSV export, offline
    Check(Box<CheckArgs>),
    /// Show, enable or disable a meeting's external registration
    Registration(Box<RegistrationArgs>),
    /// Show what a ledger holds, and what a next run would do
    Status(StatusArgs),
    /// Tell one registrant's whole story
    Explain(ExplainArgs),
    /// Write the enrolled and rejects files again from ledger and CSV, without network
    Export(Box<ExportArgs>),
    /// Serve the simulated Graph on this machine, for rehearsals by other tools and for tests
    Simulate(Box<SimulateArgs>),
    /// Check settings, files, sign-in, permissions and target as `run` would, and change nothing
    Doctor(Box<RunArgs>),
    /// Sign a person in by a code, for runs in their name; needs `AZURE_CLIENT_ID`
    Login(LoginArgs),
    /// Print the completions of a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Print a man page, or write all of them
    Man(ManArgs),
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Talk")]
pub(super) struct TalkArgs {
    /// Say more in the log; repeat it up to three times
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub(super) verbose: u8,
    /// Say nothing but errors and the summary
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
    /// Show progress: auto (a bar on a terminal, a line every 30 s elsewhere), always or never
    #[arg(long, value_name = "WHEN", default_value = "auto", global = true)]
    pub(super) progress: ProgressMode,
    /// The log's format
    #[arg(long, value_name = "FORMAT", default_value = "text", global = true)]
    pub(super) log_format: LogFormat,
    /// Append the log to this file instead of standard error
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) log_file: Option<PathBuf>,
    /// Name registrants by their ids in the log; else by their lines in the CSV alone
    #[arg(long, global = true)]
    pub(super) log_ids: bool,
}

impl TalkArgs {
    pub(super) fn level(&self) -> LevelFilter {
        match (self.quiet, self.verbose) {
            (true, _) => LevelFilter::ERROR,
            (false, 0) => LevelFilter::WARN,
            (false, 1) => LevelFilter::INFO,
            (false, 2) => LevelFilter::DEBUG,
            (false, _) => LevelFilter::TRACE,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) job: JobArgs,
    #[command(flatten)]
    pub(super) input: InputArgs,
    #[command(flatten)]
    pub(super) target: TargetArgs,
    /// Where the meeting has no external registration, enable it with this mode first
    #[arg(long, value_name = "MODE", help_heading = "Target", conflicts_with_all = ["webinar", "townhall"])]
    pub(super) enable: Option<Mode>,
    #[command(flatten)]
    pub(super) files: FileArgs,
    #[command(flatten)]
    pub(super) account: AccountArgs,
    /// The ledger [default: a file of this target's under $XDG_STATE_HOME/registrant-import]
    #[arg(long, value_name = "FILE", help_heading = "Files")]
    pub(super) ledger: Option<PathBuf>,
    #[command(flatten)]
    pub(super) pace: PaceArgs,
    #[command(flatten)]
    pub(super) conduct: ConductArgs,
    #[command(flatten)]
    pub(super) cancel: CancelArgs,
    #[command(flatten)]
    pub(super) graph: GraphArgs,
    #[command(flatten)]
    pub(super) auth: AuthArgs,
}

#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    pub(super) run: RunArgs,
    /// Write every row and person who is not simply enrolled already to this file, with what is to be
    /// done and why
    #[arg(long, value_name = "FILE.csv", help_heading = "Files")]
    pub(super) changes: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct RehearseArgs {
    #[command(flatten)]
    pub(super) job: JobArgs,
    #[command(flatten)]
    pub(super) input: InputArgs,
    #[command(flatten)]
    pub(super) event: EventArgs,
    #[command(flatten)]
    pub(super) files: FileArgs,
    #[command(flatten)]
    pub(super) account: AccountArgs,
    #[command(flatten)]
    pub(super) pace: PaceArgs,
    #[command(flatten)]
    pub(super) conduct: ConductArgs,
    #[command(flatten)]
    pub(super) cancel: CancelArgs,
    #[command(flatten)]
    pub(super) simulator: SimulatorArgs,
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    pub(super) job: JobArgs,
    #[command(flatten)]
    pub(super) input: InputArgs,
    /// The mode to hold the rows against
    #[arg(long, value_name = "MODE", default_value = "everyone", conflicts_with_all = ["webinar", "townhall"])]
    pub(super) mode: Mode,
    #[command(flatten)]
    pub(super) event: EventArgs,
    /// Write the invalid rows to this file
    #[arg(long, value_name = "FILE")]
    pub(super) rejects: Option<PathBuf>,
    /// Print the result as one JSON object on standard output
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct RegistrationArgs {
    #[command(subcommand)]
    pub(super) action: RegistrationAction,
}

#[derive(Debug, Subcommand)]
pub(super) enum RegistrationAction {
    /// Show the external registration of the meeting (GET)
    Show(MeetingArgs),
    /// Enable the external registration of the meeting (POST)
    Enable {
        /// Who may register: everyone or organization
        #[arg(long, value_name = "MODE")]
        allow: Mode,
        #[command(flatten)]
        meeting: MeetingArgs,
    },
    /// Disable it, which removes every registrant of the meeting as well (DELETE)
    Disable(MeetingArgs),
}

/// Which meeting, where, and who is asking.
#[derive(Debug, Args)]
pub(super) struct MeetingArgs {
    #[command(flatten)]
    pub(super) job: JobArgs,
    #[command(flatten)]
    pub(super) target: TargetArgs,
    #[command(flatten)]
    pub(super) graph: GraphArgs,
    #[command(flatten)]
    pub(super) auth: AuthArgs,
}

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    pub(super) ledger: LedgerArgs,
    /// Print it as one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// The registrant's id, as it stands in the CSV
    #[arg(value_name = "ID")]
    pub(super) id: String,
    #[command(flatten)]
    pub(super) ledger: LedgerArgs,
}

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    pub(super) input: InputArgs,
    #[command(flatten)]
    pub(super) files: FileArgs,
    #[command(flatten)]
    pub(super) ledger: LedgerArgs,
}

#[derive(Debug, Args)]
pub(super) struct SimulateArgs {
    /// The port on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub(super) port: u16,
    /// Serve over TLS, by HTTP/2 or HTTP/1.1 as the client likes, with a certificate made for this;
    /// FILE gets the authority to be trusted, for --ca-file
    #[arg(long, value_name = "FILE")]
    pub(super) tls: Option<PathBuf>,
    #[command(flatten)]
    pub(super) simulator: SimulatorArgs,
}

#[derive(Debug, Args)]
pub(super) struct LoginArgs {
    #[command(flatten)]
    pub(super) job: JobArgs,
    #[command(flatten)]
    pub(super) graph: GraphArgs,
}

#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// The command whose page it is, such as `run` or `registration show` [default: the program]
    #[arg(value_name = "COMMAND")]
    pub(super) command: Vec<String>,
    /// Write every page into this folder instead: registrant-import.1, registrant-import-run.1, …
    #[arg(long, value_name = "FOLDER", conflicts_with = "command")]
    pub(super) dir: Option<PathBuf>,
}

// The options that several commands take, in groups as the help shows them.

#[derive(Debug, Args)]
pub(super) struct JobArgs {
    /// A file that holds any of these options by the same names
    #[arg(long, value_name = "FILE.toml")]
    pub(super) job: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Target")]
pub(super) struct TargetArgs {
    /// The online meeting's id
    #[arg(long, value_name = "ID")]
    pub(super) meeting: Option<String>,
    /// Or a webinar's id, `<id>@<tenant id>`
    #[arg(long, value_name = "ID", conflicts_with_all = ["meeting", "organizer"])]
    pub(super) webinar: Option<String>,
    /// Or a town hall's id, `<id>@<tenant id>`
    #[arg(long, value_name = "ID", conflicts_with_all = ["meeting", "organizer", "webinar"])]
    pub(super) townhall: Option<String>,
    /// The meeting's organizer: object id or user principal name [default: who is signed in]
    #[arg(long, value_name = "USER")]
    pub(super) organizer: Option<String>,
}

impl TargetArgs {
    /// The virtual event that is named.
    pub(super) fn event(&self) -> Option<(EventKind, &str)> {
        let webinar = self.webinar.as_deref().map(|id| (EventKind::Webinar, id));
        webinar.or(self.townhall.as_deref().map(|id| (EventKind::TownHall, id)))
    }
}

/// For commands that ask no target, and need to know only of which kind it is.
// As a variable or in a job file these are `run`'s, and name the event: any name is a yes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Target")]
pub(super) struct EventArgs {
    /// Names and e-mail are required, as a webinar's registration needs them
    #[arg(long, value_parser = FalseyValueParser::new())]
    pub(super) webinar: bool,
    /// The same, for a town hall
    #[arg(long, conflicts_with = "webinar", value_parser = FalseyValueParser::new())]
    pub(super) townhall: bool,
}

impl EventArgs {
    pub(super) fn kind(&self) -> Option<EventKind> {
        let town_hall = self.townhall.then_some(EventKind::TownHall);
        town_hall.or(self.webinar.then_some(EventKind::Webinar))
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Reading")]
pub(super) struct InputArgs {
    /// The export; `-` is standard input
    #[arg(value_name = "CSV")]
    pub(super) csv: Option<Source>,
    /// Take the export from what this command writes, if it ends well; a list of words in a job file
    /// is run without a shell
    #[arg(long, value_name = "COMMAND", conflicts_with = "csv")]
    pub(super) input_command: Option<CommandLine>,
    /// How long that command may take
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration)]
    pub(super) input_timeout: Duration,
    /// Take a field from this column; several columns make one id: id=COLUMN+COLUMN
    #[arg(long, value_name = "FIELD=COLUMN")]
    pub(super) map: Vec<MapOption>,
    /// Give a field this value in every row
    #[arg(long, value_name = "FIELD=VALUE")]
    pub(super) set: Vec<SetOption>,
    /// Read it as this system's export; `none` for no known one
    #[arg(long, value_name = "NAME")]
    pub(super) preset: Option<PresetChoice>,
    /// Take only rows whose column has one of these values
    #[arg(long = "where", value_name = "COLUMN=VALUE[,VALUE…]")]
    pub(super) filters: Vec<Filter>,
    /// Keep these columns in the enrolled file
    #[arg(long, value_name = "COLUMN[,COLUMN…]", conflicts_with = "keep_all")]
    pub(super) keep: Vec<Keep>,
    /// Keep every column in the enrolled file
    #[arg(long)]
    pub(super) keep_all: bool,
    /// The delimiter: , ; | or tab [default: detected]
    #[arg(long, value_name = "CHAR")]
    pub(super) delimiter: Option<Delimiter>,
    /// The encoding, such as windows-1252 [default: detected]
    #[arg(long, value_name = "NAME")]
    pub(super) encoding: Option<Encoding>,
    /// The sheet of a spreadsheet [default: the first with a column for the id]
    #[arg(long, value_name = "NAME")]
    pub(super) sheet: Option<String>,
    /// Lines above the header [default: detected]
    #[arg(long, value_name = "N")]
    pub(super) skip_lines: Option<u64>,
    /// Take it for right that the list is empty, or that its filters leave nobody
    #[arg(long)]
    pub(super) allow_empty: bool,
    /// Put this text before every id
    #[arg(long, value_name = "TEXT")]
    pub(super) id_prefix: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Files")]
pub(super) struct FileArgs {
    /// The enrolled file [default: the CSV's name with .enrolled.csv]
    #[arg(long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// The rejects file [default: the CSV's name with .rejects.csv]
    #[arg(long, value_name = "FILE")]
    pub(super) rejects: Option<PathBuf>,
    /// Print the summary as one JSON object on standard output
    #[arg(long)]
    pub(super) json: bool,
    /// Put an apostrophe before cells that a spreadsheet would execute
    #[arg(long)]
    pub(super) formula_safe: bool,
}

#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Files")]
pub(super) struct AccountArgs {
    /// Write a report of the run to this file: one page without names, ids and links
    #[arg(long, value_name = "FILE.html")]
    pub(super) report: Option<PathBuf>,
    /// Write the run's figures to this file for Prometheus (the node exporter's textfile
    /// collector); a rehearsal writes none
    #[arg(long, value_name = "FILE.prom")]
    pub(super) metrics: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Files")]
pub(super) struct LedgerArgs {
    #[command(flatten)]
    pub(super) job: JobArgs,
    /// The ledger [default: the target's own]
    #[arg(long, value_name = "FILE")]
    pub(super) ledger: Option<PathBuf>,
    #[command(flatten)]
    pub(super) target: TargetArgs,
    /// Where Graph is, as it was given to `run`
    #[arg(long, value_name = "URL", help_heading = "Graph")]
    pub(super) graph_url: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Pace")]
pub(super) struct PaceArgs {
    /// Never send faster than this: 0.5/s, 15/30s, 600/m
    #[arg(long, value_name = "N/UNIT")]
    pub(super) rate: Option<Quota>,
    /// The most requests at one time
    #[arg(long, value_name = "N", default_value_t = Conduct::CONCURRENCY, value_parser = at_least_one)]
    pub(super) concurrency: usize,
    /// How often a row's answer may be lost before it stays unknown in this run
    #[arg(long, value_name = "N", default_value_t = Conduct::MAX_ATTEMPTS)]
    pub(super) max_attempts: u32,
    /// How long one request may take
    #[arg(long, value_name = "DURATION", default_value = "100s", value_parser = duration)]
    pub(super) timeout: Duration,
    /// Start nothing new after this time of day
    #[arg(long, value_name = "HH:MM", value_parser = time_of_day)]
    pub(super) finish_by: Option<Time>,
    /// Start nothing new after this long
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(super) max_duration: Option<Duration>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Conduct")]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub(super) struct ConductArgs {
    /// Post nothing at all if any row is invalid
    #[arg(long)]
    pub(super) strict: bool,
    /// Stop when more rows than this are invalid or refused
    #[arg(long, value_name = "N|P%")]
    pub(super) max_rejects: Option<Limit>,
    /// What to do about rows whose answer was lost
    #[arg(long, value_name = "WHAT", default_value = "reconcile")]
    pub(super) on_unknown: OnUnknown,
    /// How long after a lost answer the target's list is asked
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub(super) settle: Duration,
    /// Go on where the target cannot be listed, or its registration was made anew
    #[arg(long)]
    pub(super) trust_ledger: bool,
    /// Register people although the webinar or town hall has no place for all of them
    #[arg(long)]
    pub(super) over_capacity: bool,
    /// Take it for right that a webinar or town hall has one link for everybody
    #[arg(long)]
    pub(super) shared_link: bool,
    /// Take whoever has an id now for the person whom it was enrolled for, whatever name and e-mail
    /// address the row tells; for one run
    #[arg(long)]
    pub(super) trust_ids: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Cancellations")]
pub(super) struct CancelArgs {
    /// Whose registration is cancelled, of those whom this ledger enrolled
    #[arg(long, value_name = "WHOM", default_value = "never")]
    pub(super) cancel: CancelMode,
    /// A row with one of these values says that the person cancelled, beside what the preset knows
    #[arg(long, value_name = "COLUMN=VALUE[,VALUE…]")]
    pub(super) cancel_where: Vec<Filter>,
    /// How long a person must be missing from every list
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = duration)]
    pub(super) missing_for: Duration,
    /// The most in any 24 hours; where more are due nobody is cancelled, and a person decides. A share
    /// is of the people enrolled, and at least 3
    #[arg(long, value_name = "N|P%", default_value_t = CancelPolicy::MOST)]
    pub(super) max_cancel: Limit,
    /// Cancel whom this file names, as far as they are due: one of held cancellations or of `plan
    /// --changes`, a day old at most
    #[arg(long, value_name = "FILE")]
    pub(super) approve: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Graph")]
pub(super) struct GraphArgs {
    /// Where Graph is [default: the cloud's own address]
    #[arg(long, value_name = "URL")]
    pub(super) graph_url: Option<String>,
    /// Microsoft's cloud: global, usgov, dod or china [default: that of --graph-url, else global]
    #[arg(long, value_name = "CLOUD")]
    pub(super) cloud: Option<Cloud>,
    /// Send credentials to this host as well
    #[arg(long, value_name = "HOST")]
    pub(super) trust_host: Vec<String>,
    /// Trust this authority's certificates as well (PEM)
    #[arg(long, value_name = "FILE")]
    pub(super) ca_file: Option<PathBuf>,
    /// Speak HTTP/1.1 only
    #[arg(long)]
    pub(super) http1: bool,
}

#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Sign-in")]
pub(super) struct AuthArgs {
    /// How to sign in: token, client-secret, client-certificate, managed-identity,
    /// workload-identity, azure-cli or device-code [default: by what the environment holds]
    #[arg(long, value_name = "METHOD")]
    pub(super) auth: Option<Method>,
    /// Read the token from this file
    #[arg(long, value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
    /// Run this command for a token
    #[arg(long, value_name = "COMMAND")]
    pub(super) token_command: Option<String>,
}

/// `HH:MM` of the local clock.
fn time_of_day(text: &str) -> Result<Time, String> {
    let bad = || format!("`{text}` is no time of day; write it as 17:30");
    let (hours, minutes) = text.split_once(':').ok_or_else(bad)?;
    let number = |text: &str| text.parse::<i8>().map_err(|_| bad());
    Time::new(number(hours)?, number(minutes)?, 0, 0).map_err(|_| bad())
}

/// A number of things without which nothing goes on.
fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("with none at a time nothing would ever be sent; give 1 or more".to_owned()),
        Ok(number) => Ok(number),
        Err(_) => Err("is no whole number".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_has_hours_and_minutes() {
        assert_eq!(time_of_day("06:30"), Ok(Time::constant(6, 30, 0, 0)));
        for bad in ["", "24:00", "7", "12:60", "a:b"] {
            assert!(time_of_day(bad).is_err(), "{bad}");
        }
    }
}
