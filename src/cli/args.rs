//! What can be typed. Every option may also stand in the environment (`REGISTRANT_IMPORT_…`) or,
//! by the same name, in a job file; see [`super::job_file`].

mod options;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, builder::FalseyValueParser};
use clap_complete::Shell;

pub(super) use options::{
    AccountArgs, AuthArgs, ConductArgs, FileArgs, GraphArgs, InputArgs, JobArgs, LedgerArgs,
    OnUnknownArg, PaceArgs, TargetArgs,
};

use crate::{output::ProgressMode, registrant::Mode, simulator::SimulatorArgs};

/// Enrols the people of a CSV export in a Microsoft Teams meeting or webinar: each exactly once,
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
ledger · 130/143 interrupted or terminated, files written.
Every option can also be set as REGISTRANT_IMPORT_<OPTION> or in a job file (--job FILE.toml).";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Enrol everybody of a CSV export who is not enrolled yet
    Run(Box<RunArgs>),
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
    #[arg(long, value_name = "MODE", help_heading = "Target", conflicts_with = "webinar")]
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
    pub(super) graph: GraphArgs,
    #[command(flatten)]
    pub(super) auth: AuthArgs,
}

#[derive(Debug, Args)]
pub(super) struct RehearseArgs {
    #[command(flatten)]
    pub(super) job: JobArgs,
    #[command(flatten)]
    pub(super) input: InputArgs,
    /// Rehearse a webinar's import instead of a meeting's
    // As for `check`.
    #[arg(long, help_heading = "Target", value_parser = FalseyValueParser::new())]
    pub(super) webinar: bool,
    #[command(flatten)]
    pub(super) files: FileArgs,
    #[command(flatten)]
    pub(super) account: AccountArgs,
    #[command(flatten)]
    pub(super) pace: PaceArgs,
    #[command(flatten)]
    pub(super) conduct: ConductArgs,
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
    #[arg(long, value_name = "MODE", default_value = "everyone")]
    pub(super) mode: Mode,
    /// Hold the rows against a webinar's rule: names and e-mail
    // As a variable or in a job file it is `run`'s, and names the webinar: any name is a yes.
    #[arg(long, conflicts_with = "mode", value_parser = FalseyValueParser::new())]
    pub(super) webinar: bool,
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
    Show(ReachArgs),
    /// Enable the external registration of the meeting (POST)
    Enable {
        /// Who may register: everyone or organization
        #[arg(long, value_name = "MODE")]
        allow: Mode,
        #[command(flatten)]
        reach: ReachArgs,
    },
    /// Disable it, which removes every registrant of the meeting as well (DELETE)
    Disable(ReachArgs),
}

/// Which meeting, where, and who is asking.
#[derive(Debug, Args)]
pub(super) struct ReachArgs {
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

/// What `man` takes.
#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// The command whose page it is, such as `run` or `registration show` [default: the program]
    #[arg(value_name = "COMMAND")]
    pub(super) command: Vec<String>,
    /// Write every page into this folder instead: registrant-import.1, registrant-import-run.1, …
    #[arg(long, value_name = "FOLDER", conflicts_with = "command")]
    pub(super) dir: Option<PathBuf>,
}
