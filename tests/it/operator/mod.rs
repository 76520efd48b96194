//! What an operator holds in hand after a run: the closing words, the report, the metrics, the
//! answer to SIGUSR1, and the samples for schedulers.

mod ends;
mod patience;
mod terminal;
mod traces;

use std::{
    io::Read as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use registrant_import::simulator::{Config, Faults, SimulatedFault as Fault};

use crate::{
    context::{Context, Ran},
    program::signal,
};

/// A folder with an export of so many people, one of forty without an id.
fn export(people: usize) -> Context {
    exported(Context::offline(), people)
}

/// The same before a Graph with these settings.
fn export_with(config: Config, people: usize) -> Context {
    exported(Context::with(config), people)
}

fn exported(context: Context, people: usize) -> Context {
    let mut csv = "id,firstName,lastName,email\n".to_owned();
    for n in 0..people {
        let id = if n % 40 == 7 { String::new() } else { format!("SECRET-{n}") };
        csv.push_str(&format!("{id},Ada{n},Lovelace{n},ada{n}@example.org\n"));
    }
    context.file("people.csv", csv);
    context
}

/// A run under way: it has told what it is about to do, and takes some seconds more.
fn under_way(command: &mut Command) -> Child {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    let mut told = child.stderr.take().expect("a pipe");
    let (mut text, mut byte) = (Vec::new(), [0]);
    while !text.ends_with(b"new registrants") && told.read(&mut byte).expect("readable") > 0 {
        text.push(byte[0]);
    }
    child.stderr = Some(told);
    std::thread::sleep(Duration::from_millis(300));
    child
}

#[test]
fn the_report_is_one_private_page_that_names_nobody() {
    let context = export(200);
    let out = context.run("rehearse people.csv --report r.html --fault 400=5 --seed 3").expect(3);
    assert_eq!(context.mode("r.html"), 0o600);
    let html = context.read("r.html");
    for told in [
        "missing-id",
        "9, 49, 89",
        "BadRequest",
        "Rehearsal",
        "Exit code 3",
        "<svg",
        "simulated",
        "SQLite",
    ] {
        assert!(html.contains(told), "{told} is missing");
    }
    for secret in ["SECRET", "Ada", "Lovelace", "@example", "teams.microsoft", "http:", "https:"] {
        assert!(!html.contains(secret), "{secret} is told");
    }
    for active in ["<script", "<link", "<img", "url(", "@import", "onload"] {
        assert!(!html.contains(active), "{active}");
    }
    assert!(out.stdout.contains("r.html"), "the closing words name it");
}

#[test]
fn a_report_that_cannot_be_written_is_told_before_anything_is_sent() {
    let context = export(10);
    let out = context.run("rehearse people.csv --report no/such/folder/r.html").expect(2);
    assert!(out.stderr.contains("--report"), "{}", out.stderr);
    context.run("rehearse people.csv --report people.enrolled.csv").expect(2);
}

#[test]
fn a_rehearsal_tells_what_the_pace_was_worth_within_80_columns() {
    let context = export(120);
    let out = context.run("rehearse people.csv --limit 50/s --latency 5ms");
    let told = out.stdout;
    assert!(told.contains("Simulated limit 50/s; pace: "), "{told}");
    assert!(told.contains("The real import of 117 rows"), "{told}");
    let paths = ["enrolled  ", "rejects  ", "ledger  ", "report  "];
    for line in told.lines().filter(|line| !paths.iter().any(|path| line.starts_with(path))) {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn a_rehearsal_that_is_stopped_still_counts_every_row_of_the_real_import() {
    let context = export(80);
    let out = context.run("rehearse people.csv --rate 5/s --max-duration 1s").expect(5);
    assert!(out.stdout.contains("The real import of 78 rows"), "{}", out.stdout);
}

#[test]
fn a_run_says_when_it_ends_and_how_many_fit() {
    let context = export(80);
    let out = context.run("rehearse people.csv --rate 2/s --max-duration 4s");
    let told = out.stderr;
    // Two at once and some eight more; the time that reading took is gone already.
    assert!(told.contains("starts nothing new after "), "{told}");
    assert!(told.contains("(--max-duration)\n"), "{told}");
    let (before, _) = told.split_once(" of 78 until ").expect("not all fit");
    let fitting: u64 = before.rsplit(' ').next().and_then(|n| n.parse().ok()).expect("a number");
    assert!((2..=10).contains(&fitting), "{told}");
    assert!(told.contains(", the rest is for the next run"), "{told}");
    let out = context.run("rehearse people.csv --finish-by 06:00");
    let told = out.stderr;
    assert!(told.contains("starts nothing new after 06:00"), "{told}");
    assert!(told.contains("(--finish-by)\n"), "{told}");
}

const MEASURED: &str =
    "run people.csv --meeting M --organizer O --ledger l.ledger --metrics m.prom";

#[test]
fn the_metrics_are_read_by_a_real_parser_and_add_up() {
    let faults = Faults::default()
        .script("SECRET-3", None, Fault::Refused)
        .script("SECRET-99", Some(1), Fault::Throttled)
        .script("SECRET-50", None, Fault::Refused);
    let context = export_with(Config { faults, ..Config::default() }, 100);
    context.run(MEASURED).expect(3);
    assert_eq!(context.mode("m.prom"), 0o644, "the collector is another user");
    let prom = context.read("m.prom");
    let parsed = openmetrics_parser::openmetrics::parse_openmetrics(&prom).expect("OpenMetrics");
    openmetrics_parser::prometheus::parse_prometheus(prom.trim_end_matches("# EOF\n"))
        .expect("the older format");
    let number = |family: &str, label: Option<(&str, &str)>| -> f64 {
        let family = format!("registrant_import_{family}");
        parsed.families[&family]
            .iter_samples()
            .filter(|sample| {
                let labels = sample.get_labelset().expect("labels");
                assert_eq!(labels.get_label_value("ledger"), Some("l.ledger"));
                label.is_none_or(|(name, value)| labels.get_label_value(name) == Some(value))
            })
            .map(|sample| match &sample.value {
                openmetrics_parser::OpenMetricsValue::Gauge(number) => number.as_f64(),
                other => panic!("{other:?} is no gauge"),
            })
            .sum()
    };
    assert!((number("last_run_rows", None) - 100.0).abs() < 1e-9);
    assert!((number("last_run_rows", Some(("outcome", "invalid"))) - 3.0).abs() < 1e-9);
    assert!((number("last_run_exit_code", None) - 3.0).abs() < 1e-9);
    let throttled = number("last_run_writes", Some(("status", "429")));
    assert!((number("last_run_throttled", None) - throttled).abs() < 1e-9 && throttled > 0.0);
    assert!(!parsed.families.contains_key("registrant_import_last_success_timestamp_seconds"));
    for secret in ["SECRET", "Ada", "@example"] {
        assert!(!prom.contains(secret));
    }
}

#[test]
fn the_last_success_outlives_a_run_that_fails() {
    let context = export_with(Config::default(), 5);
    let stamp = |name: &str| {
        let prom = context.read("m.prom");
        let line =
            prom.lines().find(|line| line.starts_with(&format!("registrant_import_{name}{{")));
        line.map(|line| line.rsplit(' ').next().unwrap_or_default().to_owned())
    };
    context.run(MEASURED).expect(0);
    let success = stamp("last_success_timestamp_seconds").expect("a success");
    std::fs::remove_file(context.path("people.csv")).expect("removes");
    context.run(MEASURED).expect(2);
    assert_eq!(stamp("last_run_exit_code").as_deref(), Some("2"));
    assert_eq!(stamp("last_success_timestamp_seconds"), Some(success));
}

#[test]
fn sigusr1_prints_the_state_at_once_and_the_run_goes_on() {
    let context = export(30);
    let child = under_way(&mut context.command("rehearse people.csv --rate 10/s --progress never"));
    signal(&child, "USR1");
    let out = Ran::end_of(child).expect(3);
    let told = out.stderr;
    assert!(told.lines().any(|line| line.contains(" of 29 rows: ")), "{told}");
}

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples")
}

#[test]
fn the_sample_job_is_understood_and_rehearses_an_import() {
    let context = export(30);
    let job = samples().join("job.toml");
    let mut command = context.command(&format!("run --job {} --ledger l", job.display()));
    let secrets = ["AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"];
    command.envs(secrets.map(|name| (name, "8b081ef6-4792-4def-b2c9-c363a1bf41d5")));
    // Every key is taken; it gets as far as its own input, which is not here yet.
    let ran = Ran::of(&mut command).expect(2);
    assert!(ran.stderr.contains("attendees.csv"), "{ran}");
    let csv = "Registration No,First name,Last name,Status\n1,A,B,paid\n2,C,D,cancelled\n";
    context.file("attendees.csv", csv);
    context.run(&format!("rehearse --job {}", job.display())).expect(0);
    let enrolled = context.read("attendees.enrolled.csv");
    assert_eq!(enrolled.lines().count(), 2, "{enrolled}");
    assert!(context.path("attendees.report.html").exists());
}

#[test]
fn a_key_that_no_command_knows_is_an_error() {
    let context = export(1);
    context.file("job.toml", "csv = \"people.csv\"\nmeting = \"M\"\n");
    let out = context.run("rehearse --job job.toml").expect(2);
    assert!(out.stderr.contains("job.toml:2: `meting`"), "{}", out.stderr);
}

/// A run that reads its input from a pipe that stays open: it can get no further.
fn reading(context: &Context, words: &str) -> Child {
    let mut child = context
        .command(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    // By the end of the pause it waits for more.
    std::io::Write::write_all(child.stdin.as_mut().expect("a pipe"), b"id\n1\n").expect("writes");
    std::thread::sleep(Duration::from_millis(1_200));
    child
}

const FROM_A_PIPE: &str = "rehearse - --output o.csv --rejects r.csv";

#[test]
fn sigusr1_while_the_input_is_read_prints_that_and_reads_on() {
    let context = export(1);
    let mut child = reading(&context, FROM_A_PIPE);
    signal(&child, "USR1");
    std::thread::sleep(Duration::from_millis(200));
    drop(child.stdin.take());
    let out = Ran::end_of(child).expect(0);
    let told = out.stderr;
    assert!(told.contains("reading the input; no row is sent yet"), "{told}");
}

#[test]
fn whoever_ends_it_while_the_input_is_read_does_not_wait() {
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let context = export(1);
        let mut child = reading(&context, FROM_A_PIPE);
        // Its input stays open until it has ended.
        let input = child.stdin.take();
        signal(&child, name);
        let out = Ran::end_of(child);
        drop(input);
        assert_eq!(out.code, Some(code), "{}", out.stderr);
        assert!(out.stderr.contains("ended before anything was sent"));
    }
}

#[test]
fn an_interrupted_run_says_what_it_does_and_how_to_go_on() {
    let context = export(60);
    let child = under_way(&mut context.command("rehearse people.csv --rate 5/s"));
    signal(&child, "INT");
    let out = Ran::end_of(child).expect(130);
    let told = out.stderr;
    for words in
        ["finishing what is under way", "Ctrl-C again ends at once", "stopped: interrupted"]
    {
        assert!(told.contains(words), "{words}: {told}");
    }
}
