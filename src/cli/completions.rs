//! `completions` and `man`.

use clap_complete::Shell;

use super::{enrol, failure::Failure, job_file};

pub(super) fn completions(shell: Shell) -> u8 {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut job_file::command(), "registrant-import", &mut text);
    enrol::print(&String::from_utf8_lossy(&text));
    0
}

/// One page with every command: what a person looks up with `man registrant-import`.
pub(super) fn man() -> Result<u8, Failure> {
    let mut text = Vec::new();
    let mut command = job_file::command();
    command.build();
    let render = |command: clap::Command, text: &mut Vec<u8>| {
        clap_mangen::Man::new(command)
            .render(text)
            .map_err(|error| Failure::internal("the man page", &error))
    };
    render(command.clone(), &mut text)?;
    enrol::print(&String::from_utf8_lossy(&text));
    Ok(0)
}
