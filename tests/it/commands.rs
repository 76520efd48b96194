//! The commands around the import: `simulate`, help, completions, the manual; and being quiet.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use crate::{context::Context, people::crowd};

#[test]
fn the_simulated_graph_serves_other_programs() {
    let context = Context::offline();
    let mut simulate = context
        .command("simulate --mode organization")
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut url = String::new();
    let mut stdout = BufReader::new(simulate.stdout.take().expect("it was asked for"));
    stdout.read_line(&mut url).expect("its address");
    assert!(url.starts_with("http://127.0.0.1:"), "on loopback: {url}");
    context.sample("members.csv");
    let line = format!("run members.csv --meeting m1 --graph-url {}", url.trim());
    let summary = context.summary(&line);
    assert_eq!((&summary["enrolled"], &summary["mode"]), (&24.into(), &"organization".into()));
    // Another port another time, the same ledger.
    let status = format!("status --meeting m1 --graph-url {}", url.trim());
    assert!(context.run(&status).expect(0).stdout.contains("24  enrolled"));
    simulate.kill().expect("it serves until it is ended");
    simulate.wait().expect("it ends");
}

#[test]
fn help_shows_every_command_and_what_exit_codes_mean() {
    let context = Context::offline();
    let help = context.run("--help").expect(0).stdout;
    for told in ["Exit codes: 0 every row enrolled", "7 another run", "REGISTRANT_IMPORT_<OPTION>"]
    {
        assert!(help.contains(told), "{told}: {help}");
    }
    let version = context.run("--version").expect(0);
    assert_eq!(version.stdout, format!("registrant-import {}\n", env!("CARGO_PKG_VERSION")));
    for command in
        ["run", "rehearse", "check", "registration", "status", "explain", "export", "simulate"]
    {
        assert!(help.contains(&format!("\n  {command} ")), "{command}: {help}");
        context.run(&format!("{command} --help")).expect(0);
    }
}

#[test]
fn shells_complete_the_options() {
    let context = Context::offline();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = context.run(&format!("completions {shell}")).expect(0).stdout;
        assert!(script.contains("max-rejects"), "{shell}");
    }
    let manual = context.run("man").expect(0).stdout;
    assert!(manual.contains(".TH registrant-import 1"), "{manual}");
}

#[test]
fn every_command_has_a_man_page() {
    let context = Context::offline();
    let manual = context.run("man registration show").expect(0).stdout;
    assert!(manual.contains(".TH registrant-import-registration-show 1"), "{manual}");
    let ran = context.run("man registration shoe").expect(2);
    assert!(ran.stderr.contains("there are show, enable, disable"), "{ran}");
    std::fs::create_dir(context.path("man")).expect("a folder");
    context.run("man --dir man").expect(0);
    assert!(context.read("man/registrant-import-run.1").contains("max\\-rejects"));
    let ran = context.run("man --dir nowhere").expect(2);
    assert!(ran.stderr.contains("--dir: nowhere/registrant-import.1: No such file"), "{ran}");
}

#[test]
fn quiet_says_nothing_but_the_summary_and_what_is_wrong() {
    let context = Context::new();
    context.file("people.csv", crowd(2));
    let ran = context.run("run people.csv --meeting m1 --quiet").expect(0);
    assert_eq!(ran.stderr, "");
    assert!(ran.stdout.starts_with("2 rows read"), "{ran}");
    let ran = context.run("run people.csv --meeting missing-1 --output none.csv --quiet").expect(6);
    assert!(ran.stderr.starts_with("error: stopped: "), "{ran}");
}

#[test]
fn no_bar_is_drawn_where_there_is_no_terminal() {
    let context = Context::new();
    context.file("people.csv", crowd(2));
    let ran = context.run("run people.csv --meeting m1").expect(0);
    assert!(!ran.stderr.contains(['\u{1b}', '\r']), "{ran}");
}
