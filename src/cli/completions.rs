//! `completions`: what a shell needs to complete commands and options.

use clap_complete::Shell;

use super::{enrol, job_file};

pub(super) fn completions(shell: Shell) -> u8 {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut job_file::command(), "registrant-import", &mut text);
    enrol::print(&String::from_utf8_lossy(&text));
    0
}
