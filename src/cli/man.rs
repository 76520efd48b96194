//! `man` and `completions`: a page for the program and one for each command, made from what the command line itself
//! knows, so that a page never tells of an option that is not there.

use std::path::Path;

use clap::Command;
use clap_complete::Shell;
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};

use super::{failure::Failure, job_file, logging::print};
use crate::output::EXIT_CODES;

const ENVIRONMENT: [(&str, &str); 10] = [
    (
        "REGISTRANT_IMPORT_<OPTION>",
        "any option by its name in capitals: REGISTRANT_IMPORT_MAX_REJECTS is --max-rejects. A flag outweighs it, and it outweighs the job file.",
    ),
    ("GRAPH_TOKEN", "a token for Microsoft Graph."),
    ("AZURE_TENANT_ID, AZURE_CLIENT_ID", "the tenant, and the application that signs in."),
    ("AZURE_CLIENT_SECRET", "the application's secret."),
    (
        "AZURE_CLIENT_CERTIFICATE_PATH",
        "its certificate and key, in one PEM file or in a PFX file, which the program `openssl` opens.",
    ),
    ("AZURE_CLIENT_CERTIFICATE_PASSWORD", "the password of a PFX file."),
    ("AZURE_FEDERATED_TOKEN_FILE", "a workload's own token, as its platform gives it."),
    ("HTTPS_PROXY, NO_PROXY", "the proxy, and the hosts that are reached without it."),
    ("NO_COLOR", "if it is set and not empty, nothing is coloured."),
    ("XDG_STATE_HOME", "the folder above the ledgers; without it ~/.local/state."),
];

const FILES: [(&str, &str); 3] = [
    (
        "CSV.enrolled.csv",
        "whoever is enrolled, with id and join link. A link lets its holder in: the file is its owner's alone.",
    ),
    (
        "CSV.rejects.csv",
        "every other row, with the reason. It runs again as it is, once it is mended.",
    ),
    (
        "$XDG_STATE_HOME/registrant-import/*.ledger",
        "the ledger of each target, a SQLite file: what was sent, what was answered, the links. Back it up.",
    ),
];

pub(super) fn man(command: &[String], folder: Option<&Path>) -> Result<u8, Failure> {
    let program = program();
    match folder {
        Some(folder) => write_all(&program, folder)?,
        None => print(&page(find(&program, command)?)?),
    }
    Ok(0)
}

/// What a shell needs to complete commands and options.
pub(super) fn completions(shell: Shell) -> u8 {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut job_file::command(), "registrant-import", &mut text);
    print(&String::from_utf8_lossy(&text));
    0
}

fn program() -> Command {
    let mut program = job_file::command().disable_help_subcommand(true);
    program.build();
    program
}

fn find<'a>(program: &'a Command, names: &[String]) -> Result<&'a Command, Failure> {
    let mut here = program;
    for name in names {
        here = here.find_subcommand(name).ok_or_else(|| {
            let known: Vec<&str> = here.get_subcommands().map(Command::get_name).collect();
            let known = if known.is_empty() {
                format!("`{}` has no commands below it", here.get_name())
            } else {
                format!("there are {}", known.join(", "))
            };
            Failure::usage(format!("man: there is no command `{name}`; {known}"))
        })?;
    }
    Ok(here)
}

fn write_all(command: &Command, folder: &Path) -> Result<(), Failure> {
    let path = folder.join(format!("{}.1", name(command)));
    std::fs::write(&path, page(command)?).map_err(|error| {
        let path = path.display();
        Failure::usage(format!("--dir: {path}: {error}; name a folder that is there"))
    })?;
    command.get_subcommands().try_for_each(|command| write_all(command, folder))
}

/// `registrant-import-run`.
fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

fn page(command: &Command) -> Result<String, Failure> {
    rendered(command)
        .map(|page| String::from_utf8_lossy(&page).into_owned())
        .map_err(|error| Failure::internal("the man page", &error))
}

fn rendered(command: &Command) -> std::io::Result<Vec<u8>> {
    // Forty options in the synopsis would tell nobody anything; they follow, by their headings.
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").to_owned();
    let is_program = name(command) == "registrant-import";
    let man = Man::new(command.clone().override_usage(usage))
        .source(format!("registrant-import {}", env!("CARGO_PKG_VERSION")))
        .manual("registrant-import");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    man.render_options_section(&mut page)?;
    let mut roff = Roff::default();
    if is_program || name(command).ends_with("-run") {
        list(&mut roff, "EXIT STATUS", &EXIT_CODES.map(|(code, text)| (code.to_string(), text)));
        list(&mut roff, "ENVIRONMENT", &ENVIRONMENT);
        list(&mut roff, "FILES", &FILES);
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman(see_also(command))]);
    roff.to_writer(&mut page)?;
    Ok(page)
}

fn list(roff: &mut Roff, heading: &str, entries: &[(impl AsRef<str>, &str)]) {
    roff.control("SH", [heading]);
    for (name, text) in entries {
        roff.control("TP", []);
        roff.text([bold(name.as_ref())]);
        roff.text([roman(*text)]);
    }
}

/// The pages one step up and one step down.
fn see_also(command: &Command) -> String {
    let above = name(command).rsplit_once('-').filter(|(above, _)| *above != "registrant");
    let mut pages: Vec<String> =
        above.map(|(above, _)| format!("{above}(1)")).into_iter().collect();
    pages.extend(command.get_subcommands().map(|below| format!("{}(1)", name(below))));
    pages.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_codes_are_those_of_the_readme() {
        let readme = include_str!("../../README.md");
        let (_, table) = readme.split_once("## Exit codes").expect("the section");
        let (table, _) = table.split_once("\n## ").expect("its end");
        let told: Vec<&str> = table
            .lines()
            .filter_map(|line| line.strip_prefix("| ")?.split(" |").next())
            .filter(|cell| cell.starts_with(|c: char| c.is_ascii_digit()))
            .flat_map(|cell| cell.split(", "))
            .collect();
        assert_eq!(told, EXIT_CODES.map(|(code, _)| code.to_string()));
    }

    #[test]
    fn every_command_has_a_page_and_every_page_is_referred_to() {
        let folder = tempfile::tempdir().expect("a folder");
        write_all(&program(), folder.path()).expect("writes");
        let files = std::fs::read_dir(folder.path()).expect("reads");
        let pages: Vec<(String, String)> = files
            .map(|file| file.expect("a file"))
            .map(|file| (file.file_name(), std::fs::read_to_string(file.path()).expect("reads")))
            .map(|(name, text)| (name.to_string_lossy().replace(".1", "(1)"), text))
            .collect();
        let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
        for name in ["", "-run", "-rehearse", "-registration", "-registration-enable", "-man"] {
            assert!(names.contains(&format!("registrant-import{name}(1)").as_str()), "{name}");
        }
        for (page, text) in &pages {
            for section in [".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION", ".SH \"SEE ALSO\""] {
                assert!(text.contains(section), "{page} has no {section}");
            }
            // A page that is named is there: `\-` is how roff writes a hyphen.
            let plain = text.replace("\\-", "-");
            let mentions = plain.split_whitespace().filter(|word| word.contains("(1)"));
            for word in mentions.map(|word| word.trim_end_matches([',', '.'])) {
                assert!(names.contains(&word), "{page} names {word}, which is not there");
            }
        }
        for name in &names {
            let found = pages
                .iter()
                .any(|(page, text)| page != name && text.replace("\\-", "-").contains(name));
            assert!(found, "nothing leads to {name}");
        }
    }

    /// What the generator puts between double quotes of fish's without a word.
    fn quoted(command: &Command) -> Vec<String> {
        let values = command.get_arguments().flat_map(clap::Arg::get_possible_values);
        let helps = values.filter_map(|value| value.get_help().map(ToString::to_string));
        helps.chain(command.get_subcommands().flat_map(quoted)).collect()
    }

    #[test]
    fn no_value_breaks_the_completions_of_fish() {
        let helps = quoted(&job_file::command());
        assert!(helps.len() > 5, "{helps:?}");
        for help in helps {
            assert!(!help.contains(['"', '$', '\\']), "{help}");
        }
    }
}
