//! The command line: what the user typed → settings of parsed types → a command.
//!
//! Every command ends in an exit code (contract, section 8); a fault is one sentence on standard
//! error that names what is at fault and the next step.

mod account;
mod announcement;
mod args;
mod check;
mod choices;
mod completions;
mod deadline;
mod doctor;
mod enrol;
mod export;
mod failure;
mod job_file;
mod keep;
mod logging;
mod login;
mod man;
mod notation;
mod panic;
mod paths;
mod patience;
mod people;
mod print;
mod reach;
mod registration;
mod rehearse;
mod run;
mod signals;
mod simulate;
mod status;

use std::{ffi::OsString, process::ExitCode};

use args::{Cli, Command};
use clap::FromArgMatches;
use failure::Failure;

use crate::output::{Console, Talk};

/// Runs the command that `args` name, the program's own name first.
#[must_use]
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    ExitCode::from(panic::guard(|| obey(args)))
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
            let console = Console::new(Talk::Normal, crate::output::ProgressMode::Never);
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
    let talk = if cli.talk.quiet { Talk::Quiet } else { Talk::Normal };
    let mut console = Console::new(talk, cli.talk.progress);
    let result = paths::settle(&cli)
        .and_then(|()| logging::start(&cli.talk, &console))
        .and_then(|()| execute(&cli.command, &mut console));
    result.unwrap_or_else(|failure| failure.tell(&console))
}

fn execute(command: &Command, console: &mut Console) -> Result<u8, Failure> {
    match command {
        Command::Run(run) => run::run(run, console),
        Command::Rehearse(rehearse) => rehearse::rehearse(rehearse, console),
        Command::Check(check) => check::check(check, console),
        Command::Registration(registration) => registration::registration(registration),
        Command::Status(status) => status::status(status),
        Command::Explain(explain) => status::explain(explain),
        Command::Export(export) => export::export(export, console),
        Command::Simulate(simulate) => simulate::simulate(simulate, console),
        Command::Doctor(run) => doctor::doctor(run),
        Command::Login(login) => login::login(login, console),
        Command::Completions { shell } => Ok(completions::completions(*shell)),
        Command::Man(args) => man::man(args),
    }
}
