//! Ends that nobody watches: a closed terminal, a closed pipe, a killed run, a line of cron's.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
};

use registrant_import::simulator::Config;

use super::{export, export_with, samples, under_way};
use crate::{
    context::{Context, Ran},
    program::signal,
};

const SLOW: &str = "rehearse people.csv --rate 10/s --progress never";

/// A slow run that these words start, whatever answer to SIGHUP this process has inherited.
fn slow(context: &Context, wrapper: &[&str]) -> Command {
    wrapped(context, wrapper, SLOW)
}

/// A command that these words start.
fn wrapped(context: &Context, wrapper: &[&str], line: &str) -> Command {
    let plain = context.command(line);
    let mut command = Command::new(wrapper[0]);
    command.args(&wrapper[1..]).arg(plain.get_program()).args(plain.get_args());
    let variables = plain.get_envs().filter_map(|(name, value)| Some((name, value?)));
    command.current_dir(context.path("")).env_clear().envs(variables).stdin(Stdio::null());
    command
}

#[test]
fn a_terminal_that_closes_ends_a_run_in_order_unless_it_is_to_outlive_it() {
    let context = export(30);
    let child = under_way(&mut slow(&context, &["env", "--default-signal=HUP"]));
    signal(&child, "HUP");
    Ran::end_of(child).expect(143);
    let rejects = context.read("people.rejects.csv");
    assert!(rejects.contains(",not-attempted,terminated,"), "{rejects}");

    let outliving = ["sh", "-c", "trap '' HUP; exec \"$0\" \"$@\""];
    let child = under_way(&mut slow(&context, &outliving));
    signal(&child, "HUP");
    Ran::end_of(child).expect(3);
}

#[test]
fn the_deadline_ends_a_run_whose_input_never_ends() {
    let context = Context::new().variable("GRAPH_TOKEN", "opaque");
    let words = "run - --output out.csv --rejects rejects.csv --ledger l --meeting m --organizer o";
    let mut command = context.command(&format!("{words} --max-duration 1s"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let pipe = child.stdin.take().expect("a pipe that stays open");
    let ran = Ran::end_of(child).expect(5);
    drop(pipe);
    assert!(ran.stderr.contains("--max-duration is over"), "{ran}");
    assert_eq!(context.files(), []);
}

#[test]
fn a_summary_that_nobody_can_read_is_told_on_standard_error() {
    let context = export(3);
    for words in ["rehearse people.csv --json", "check people.csv --json"] {
        let mut command = context.command(words);
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let ran = Ran::of(command.stdout(writer).stderr(Stdio::piped())).expect(0);
        assert!(ran.stderr.contains("error: standard output could not be written"), "{ran}");
    }
}

#[test]
fn status_tells_a_run_that_goes_from_one_that_died() {
    let context = export_with(Config::default(), 30);
    let words = "run people.csv --meeting m --organizer o --ledger l --rate 5/s";
    let mut child = under_way(context.command(words).env("GRAPH_TOKEN", "opaque"));
    let told = || {
        let json = context.run("status --ledger l --json").json();
        (context.run("status --ledger l").stdout, json["runs"][0]["going"].clone())
    };
    let (words, going) = told();
    assert!(words.contains("  is going\n") && going == true, "{words}");
    child.kill().expect("killed");
    child.wait().expect("ends");
    let (words, going) = told();
    assert!(words.contains("  died; the next run goes on\n") && going == false, "{words}");
}

#[test]
fn the_line_for_cron_hands_the_credential_on() {
    let context = Context::offline();
    let at = |name: &str| context.path(name);
    fs::create_dir_all(at("import")).expect("a folder");
    context.file("import/environment", "GRAPH_TOKEN=handed-on\n");
    // In the program's place: says what it is given, and fails, so that cron mails it.
    let double = "#!/bin/sh\necho \"$GRAPH_TOKEN $*\"\nexit 2\n";
    context.file("registrant-import", double);
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(at("registrant-import"), executable).expect("its rights");
    let table = fs::read_to_string(samples().join("deploy/crontab")).expect("the sample");
    let line = table.lines().find(|line| !line.starts_with('#')).expect("a line");
    let command = line.splitn(6, ' ').last().expect("a command");
    let path = format!("{}:/usr/bin:/bin", context.path("").display());
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", command]).env_clear().env("HOME", context.path("")).env("PATH", path);
    assert_eq!(Ran::of(&mut shell).stdout, "exit 2: handed-on run --job job.toml --quiet\n");
}

#[test]
fn a_process_that_may_open_too_few_files_is_told_so_and_one_that_may_open_more_takes_them() {
    let context = export(30);
    let line = "rehearse people.csv --concurrency 64 --progress never";
    for few in [8, 16, 20] {
        let limited = format!("ulimit -n {few}; exec \"$0\" \"$@\"");
        let ran = Ran::of(&mut wrapped(&context, &["sh", "-c", &limited], line)).expect(6);
        let told = format!("this process may have {few} files open, and a run needs 32");
        assert!(ran.stderr.contains(&told), "{ran}");
    }
    let raised = "ulimit -S -n 16; exec \"$0\" \"$@\"";
    Ran::of(&mut wrapped(&context, &["sh", "-c", raised], line)).expect(3);
}

#[test]
#[cfg(target_os = "linux")]
fn a_log_that_a_full_disk_takes_no_more_is_told_once_and_the_run_goes_on() {
    let context = export(30);
    let ran = context.run("rehearse people.csv -vv --log-file /dev/full").expect(3);
    let told = "warning: --log-file /dev/full: No space left on device";
    assert_eq!(ran.stderr.matches("/dev/full").count(), 1, "{ran}");
    assert!(ran.stderr.contains(told), "{ran}");
}
