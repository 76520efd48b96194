//! The command line: what the user typed → settings of parsed types → a command.
//!
//! `job_file` lays flags, variables and job file over each other, `settings` resolves them once,
//! and each command takes the settings that it needs. A command ends in an exit code (README, *Exit
//! codes*); a fault is one sentence on standard error that names what is at fault and the next step.

mod approvals;
mod args;
mod check;
mod doctor;
mod existing_file;
mod export;
mod failure;
mod job_file;
mod logging;
mod login;
mod man;
mod paths;
mod plan;
mod progress;
mod registration;
mod rehearse;
mod run;
mod settings;
mod signals;
mod status;

use std::{ffi::OsString, process::ExitCode};

use args::Cli;
use clap::FromArgMatches;
use failure::Failure;
use settings::Settings;

use crate::output::{Console, ProgressMode};

/// Runs the command that `args` name, the program's own name first.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    ExitCode::from(failure::guard(|| obey(args)))
}

fn obey(args: Vec<OsString>) -> u8 {
    let matches = match job_file::complete(args) {
        Ok(matches) => matches,
        Err(job_file::Incomplete::Clap(error)) => {
            // Help and version are "errors" that clap prints to standard output.
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(2);
        }
        Err(job_file::Incomplete::Job(failure)) => {
            let console = Console::new(false, ProgressMode::Never);
            return failure.tell(&console);
        }
    };
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return 2;
        }
    };
    let Cli { command, talk } = cli;
    let mut console = Console::new(talk.quiet, talk.progress);
    let resolve = |()| Settings::resolve(command, talk.log_file.as_deref());
    let result = failure::raise_open_files().and_then(resolve).and_then(|settings| {
        logging::start(&talk, &console)?;
        execute(&settings, &mut console)
    });
    result.unwrap_or_else(|failure| failure.tell(&console))
}

fn execute(settings: &Settings, console: &mut Console) -> Result<u8, Failure> {
    match settings {
        Settings::Run(run) => run::run(run, console),
        Settings::Plan(run, changes) => plan::plan(run, changes.as_deref(), console),
        Settings::Rehearse(rehearse) => rehearse::rehearse(rehearse, console),
        Settings::Check(check) => check::check(check, console),
        Settings::Registration(registration) => registration::registration(registration),
        Settings::Status { ledger, json } => status::status(ledger, *json),
        Settings::Explain { ledger, id } => status::explain(ledger, id),
        Settings::Export(export) => export::export(export, console),
        Settings::Simulate(simulate) => rehearse::simulate(simulate, console),
        Settings::Doctor(run) => doctor::doctor(run),
        Settings::Login(graph) => login::login(graph, console),
        Settings::Completions(shell) => Ok(man::completions(*shell)),
        Settings::Man { command, folder } => man::man(command, folder.as_deref()),
    }
}
