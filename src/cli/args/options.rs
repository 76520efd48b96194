//! The options that several commands take, in groups as the help shows them.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};
use jiff::civil::Time;

use crate::{
    auth::Method,
    cli::notation,
    graph::host::Cloud,
    input::{Delimiter, Encoding, Filter, Keep, MapOption, PresetChoice, SetOption, Source},
    job::conduct::{Conduct, Limit},
    pacing::Quota,
};

#[derive(Debug, Args)]
pub(in crate::cli) struct JobArgs {
    /// A file that holds any of these options by the same names
    #[arg(long, value_name = "FILE.toml")]
    pub(in crate::cli) job: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Target")]
pub(in crate::cli) struct TargetArgs {
    /// The online meeting's id
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) meeting: Option<String>,
    /// Or a webinar's id, `<id>@<tenant id>`
    #[arg(long, value_name = "ID", conflicts_with_all = ["meeting", "organizer"])]
    pub(in crate::cli) webinar: Option<String>,
    /// The meeting's organizer: object id or user principal name [default: who is signed in]
    #[arg(long, value_name = "USER")]
    pub(in crate::cli) organizer: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Reading")]
pub(in crate::cli) struct InputArgs {
    /// The export; `-` is standard input
    #[arg(value_name = "CSV")]
    pub(in crate::cli) csv: Option<Source>,
    /// Take a field from this column; several columns make one id: id=COLUMN+COLUMN
    #[arg(long, value_name = "FIELD=COLUMN")]
    pub(in crate::cli) map: Vec<MapOption>,
    /// Give a field this value in every row
    #[arg(long, value_name = "FIELD=VALUE")]
    pub(in crate::cli) set: Vec<SetOption>,
    /// Read it as this system's export; `none` for no known one
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) preset: Option<PresetChoice>,
    /// Take only rows whose column has one of these values
    #[arg(long = "where", value_name = "COLUMN=VALUE[,VALUE…]")]
    pub(in crate::cli) filters: Vec<Filter>,
    /// Keep these columns in the enrolled file
    #[arg(long, value_name = "COLUMN[,COLUMN…]", conflicts_with = "keep_all")]
    pub(in crate::cli) keep: Vec<Keep>,
    /// Keep every column in the enrolled file
    #[arg(long)]
    pub(in crate::cli) keep_all: bool,
    /// The delimiter: , ; | or tab [default: detected]
    #[arg(long, value_name = "CHAR")]
    pub(in crate::cli) delimiter: Option<Delimiter>,
    /// The encoding, such as windows-1252 [default: detected]
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) encoding: Option<Encoding>,
    /// Lines above the header [default: detected]
    #[arg(long, value_name = "N")]
    pub(in crate::cli) skip_lines: Option<u64>,
    /// Put this text before every id
    #[arg(long, value_name = "TEXT")]
    pub(in crate::cli) id_prefix: Option<String>,
}

#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Files")]
pub(in crate::cli) struct FileArgs {
    /// The enrolled file [default: the CSV's name with .enrolled.csv]
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) output: Option<PathBuf>,
    /// The rejects file [default: the CSV's name with .rejects.csv]
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) rejects: Option<PathBuf>,
    /// Print the summary as one JSON object on standard output
    #[arg(long)]
    pub(in crate::cli) json: bool,
    /// Put an apostrophe before cells that a spreadsheet would execute
    #[arg(long)]
    pub(in crate::cli) formula_safe: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Files")]
pub(in crate::cli) struct AccountArgs {
    /// Write a report of the run to this file: one page without names, ids and links
    #[arg(long, value_name = "FILE.html")]
    pub(in crate::cli) report: Option<PathBuf>,
    /// Write the run's figures to this file for Prometheus (the node exporter's textfile
    /// collector); a rehearsal writes none
    #[arg(long, value_name = "FILE.prom")]
    pub(in crate::cli) metrics: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Files")]
pub(in crate::cli) struct LedgerArgs {
    #[command(flatten)]
    pub(in crate::cli) job: JobArgs,
    /// The ledger [default: the target's own]
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) ledger: Option<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) target: TargetArgs,
    /// Where Graph is, as it was given to `run`
    #[arg(long, value_name = "URL", help_heading = "Graph")]
    pub(in crate::cli) graph_url: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Pace")]
pub(in crate::cli) struct PaceArgs {
    /// Never send faster than this: 0.5/s, 15/30s, 600/m
    #[arg(long, value_name = "N/UNIT")]
    pub(in crate::cli) rate: Option<Quota>,
    /// The most requests at one time
    #[arg(long, value_name = "N", default_value_t = Conduct::CONCURRENCY, value_parser = notation::at_least_one)]
    pub(in crate::cli) concurrency: usize,
    /// How often a row's answer may be lost before it stays unknown in this run
    #[arg(long, value_name = "N", default_value_t = Conduct::MAX_ATTEMPTS)]
    pub(in crate::cli) max_attempts: u32,
    /// How long one request may take
    #[arg(long, value_name = "DURATION", default_value = "100s", value_parser = notation::duration)]
    pub(in crate::cli) timeout: Duration,
    /// Start nothing new after this time of day
    #[arg(long, value_name = "HH:MM", value_parser = notation::time_of_day)]
    pub(in crate::cli) finish_by: Option<Time>,
    /// Start nothing new after this long
    #[arg(long, value_name = "DURATION", value_parser = notation::duration)]
    pub(in crate::cli) max_duration: Option<Duration>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Conduct")]
pub(in crate::cli) struct ConductArgs {
    /// Post nothing at all if any row is invalid
    #[arg(long)]
    pub(in crate::cli) strict: bool,
    /// Stop when more rows than this are invalid or refused
    #[arg(long, value_name = "N|P%")]
    pub(in crate::cli) max_rejects: Option<Limit>,
    /// What to do about rows whose answer was lost
    #[arg(long, value_name = "WHAT", default_value = "reconcile")]
    pub(in crate::cli) on_unknown: OnUnknownArg,
    /// How long after a lost answer the target's list is asked
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = notation::duration)]
    pub(in crate::cli) settle: Duration,
    /// Go on where the target cannot be listed, or its registration was made anew
    #[arg(long)]
    pub(in crate::cli) trust_ledger: bool,
    /// Take whoever has an id now for the person whom it was enrolled for, whatever name and e-mail
    /// address the row tells; for one run
    #[arg(long)]
    pub(in crate::cli) trust_ids: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(in crate::cli) enum OnUnknownArg {
    /// List the target, then finish the row
    Reconcile,
    /// Leave it alone
    Hold,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Graph")]
pub(in crate::cli) struct GraphArgs {
    /// Where Graph is [default: the cloud's own address]
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) graph_url: Option<String>,
    /// Microsoft's cloud: global, usgov, dod or china
    #[arg(long, value_name = "CLOUD", default_value = "global")]
    pub(in crate::cli) cloud: Cloud,
    /// Send credentials to this host as well
    #[arg(long, value_name = "HOST")]
    pub(in crate::cli) trust_host: Vec<String>,
    /// Trust this authority's certificates as well (PEM)
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) ca_file: Option<PathBuf>,
    /// Speak HTTP/1.1 only
    #[arg(long)]
    pub(in crate::cli) http1: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Sign-in")]
pub(in crate::cli) struct AuthArgs {
    /// How to sign in: token, client-secret, client-certificate, managed-identity,
    /// workload-identity, azure-cli or device-code [default: by what the environment holds]
    #[arg(long, value_name = "METHOD")]
    pub(in crate::cli) auth: Option<Method>,
    /// Read the token from this file
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) token_file: Option<PathBuf>,
    /// Run this command for a token
    #[arg(long, value_name = "COMMAND")]
    pub(in crate::cli) token_command: Option<String>,
}
