//! `completions`: what a shell needs to complete commands and options.

use clap_complete::Shell;

use super::{job_file, print::print};

pub(super) fn completions(shell: Shell) -> u8 {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut job_file::command(), "registrant-import", &mut text);
    print(&String::from_utf8_lossy(&text));
    0
}

#[cfg(test)]
mod tests {
    use clap::Command;

    use super::*;

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
