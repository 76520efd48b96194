//! What an operator holds in hand after a run: the closing words, the report, the metrics, the
//! answer to SIGUSR1, and the samples for schedulers.

mod ends;
mod patience;
mod terminal;
mod traces;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use tempfile::TempDir;

/// A folder with an export of so many people, three of them without an id.
fn folder(people: usize) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let mut csv = "id,firstName,lastName,email\n".to_owned();
    for n in 0..people {
        let id = if n % 40 == 7 { String::new() } else { format!("SECRET-{n}") };
        csv.push_str(&format!("{id},Ada{n},Lovelace{n},ada{n}@example.org\n"));
    }
    fs::write(folder.path().join("people.csv"), csv).expect("writes");
    folder
}

fn program(folder: &Path, words: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_registrant-import"));
    command
        .args(words.split_whitespace())
        .current_dir(folder)
        .env("HOME", folder)
        .env("XDG_STATE_HOME", folder.join("state"))
        .env("TZ", "UTC")
        .stdin(Stdio::null());
    command
}

fn run(folder: &Path, words: &str) -> Output {
    program(folder, words).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("the program speaks UTF-8")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("is there").permissions().mode() & 0o777
}

/// A simulated Graph in a process of its own.
struct Graph(std::process::Child, String);

impl Graph {
    fn start(folder: &Path, options: &str) -> Self {
        use std::io::{BufRead, BufReader};
        let mut child = program(folder, &format!("simulate {options}"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        let mut url = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut url).expect("a line");
        Self(child, url.trim().to_owned())
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_report_is_one_private_page_that_names_nobody() {
    let folder = folder(200);
    let out = run(folder.path(), "rehearse people.csv --report r.html --fault 400=5 --seed 3");
    assert_eq!(out.status.code(), Some(3), "{}", text(&out.stderr));
    let page = folder.path().join("r.html");
    assert_eq!(mode(&page), 0o600);
    let html = fs::read_to_string(&page).expect("a page");
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
    assert!(text(&out.stdout).contains("r.html"), "the closing words name it");
}

#[test]
fn a_report_that_cannot_be_written_is_told_before_anything_is_sent() {
    let folder = folder(10);
    let out = run(folder.path(), "rehearse people.csv --report no/such/folder/r.html");
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("--report"), "{}", text(&out.stderr));
    let out = run(folder.path(), "rehearse people.csv --report people.enrolled.csv");
    assert_eq!(out.status.code(), Some(2), "{}", text(&out.stderr));
}

#[test]
fn a_rehearsal_tells_what_the_pace_was_worth_within_80_columns() {
    let folder = folder(120);
    let out = run(folder.path(), "rehearse people.csv --limit 50/s --latency 5ms");
    let told = text(&out.stdout);
    assert!(told.contains("Simulated limit 50/s; pace: "), "{told}");
    assert!(told.contains("The real import of 117 rows"), "{told}");
    let paths = ["enrolled  ", "rejects  ", "ledger  ", "report  "];
    for line in told.lines().filter(|line| !paths.iter().any(|path| line.starts_with(path))) {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn a_rehearsal_that_is_stopped_still_counts_every_row_of_the_real_import() {
    let folder = folder(80);
    let out = run(folder.path(), "rehearse people.csv --rate 5/s --max-duration 1s");
    assert_eq!(out.status.code(), Some(5));
    assert!(text(&out.stdout).contains("The real import of 78 rows"), "{}", text(&out.stdout));
}

#[test]
fn a_run_says_when_it_ends_and_how_many_fit() {
    let folder = folder(80);
    let out = run(folder.path(), "rehearse people.csv --rate 2/s --max-duration 4s");
    let told = text(&out.stderr);
    // Two at once and some eight more; the time that reading took is gone already.
    assert!(told.contains("starts nothing new after "), "{told}");
    assert!(told.contains("(--max-duration)\n"), "{told}");
    let (before, _) = told.split_once(" of 78 until ").expect("not all fit");
    let fitting: u64 = before.rsplit(' ').next().and_then(|n| n.parse().ok()).expect("a number");
    assert!((2..=10).contains(&fitting), "{told}");
    assert!(told.contains(", the rest is for the next run"), "{told}");
    let out = run(folder.path(), "rehearse people.csv --finish-by 06:00");
    let told = text(&out.stderr);
    assert!(told.contains("starts nothing new after 06:00"), "{told}");
    assert!(told.contains("(--finish-by)\n"), "{told}");
}

#[test]
fn the_metrics_are_read_by_a_real_parser_and_add_up() {
    let folder = folder(100);
    let graph = Graph::start(folder.path(), "--fault 400=5 --fault 429=4");
    let words = format!(
        "run people.csv --meeting M --organizer O --graph-url {} --ledger l.ledger --metrics m.prom",
        graph.1
    );
    let out = run(folder.path(), &words);
    assert_eq!(out.status.code(), Some(3), "{}", text(&out.stderr));
    let path = folder.path().join("m.prom");
    assert_eq!(mode(&path), 0o644, "the collector is another user");
    let prom = fs::read_to_string(&path).expect("metrics");
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
    let folder = folder(5);
    let graph = Graph::start(folder.path(), "");
    let words = format!(
        "run people.csv --meeting M --organizer O --graph-url {} --ledger l.ledger --metrics m.prom",
        graph.1
    );
    let stamp = |name: &str| {
        let prom = fs::read_to_string(folder.path().join("m.prom")).expect("metrics");
        let line =
            prom.lines().find(|line| line.starts_with(&format!("registrant_import_{name}{{")));
        line.map(|line| line.rsplit(' ').next().unwrap_or_default().to_owned())
    };
    assert_eq!(run(folder.path(), &words).status.code(), Some(0));
    let success = stamp("last_success_timestamp_seconds").expect("a success");
    fs::remove_file(folder.path().join("people.csv")).expect("removes");
    assert_eq!(run(folder.path(), &words).status.code(), Some(2));
    assert_eq!(stamp("last_run_exit_code").as_deref(), Some("2"));
    assert_eq!(stamp("last_success_timestamp_seconds"), Some(success));
}

#[test]
fn sigusr1_prints_the_state_at_once_and_the_run_goes_on() {
    let folder = folder(30);
    let child = program(folder.path(), "rehearse people.csv --rate 10/s --progress never")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    // The run takes some three seconds; by now it is under way.
    std::thread::sleep(Duration::from_millis(1_200));
    let asked = Command::new("kill").args(["-USR1", &child.id().to_string()]).status();
    assert!(asked.is_ok_and(|status| status.success()));
    let out = child.wait_with_output().expect("ends");
    assert_eq!(out.status.code(), Some(3), "{}", text(&out.stderr));
    let told = text(&out.stderr);
    assert!(told.lines().any(|line| line.contains(" of 29 rows: ")), "{told}");
}

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples")
}

#[test]
fn the_sample_job_is_understood_and_rehearses_an_import() {
    let folder = folder(30);
    let job = samples().join("job.toml");
    let mut command = program(folder.path(), &format!("run --job {} --ledger l", job.display()));
    let secrets = ["AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"];
    command.envs(secrets.map(|name| (name, "8b081ef6-4792-4def-b2c9-c363a1bf41d5")));
    let out = command.output().expect("starts");
    // Every key is taken; it gets as far as its own input, which is not here yet.
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("attendees.csv"), "{}", text(&out.stderr));
    let csv = "Registration No,First name,Last name,Status\n1,A,B,paid\n2,C,D,cancelled\n";
    fs::write(folder.path().join("attendees.csv"), csv).expect("writes");
    let out = run(folder.path(), &format!("rehearse --job {}", job.display()));
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let enrolled = fs::read_to_string(folder.path().join("attendees.enrolled.csv"));
    let enrolled = enrolled.expect("an enrolled file");
    assert_eq!(enrolled.lines().count(), 2, "{enrolled}");
    assert!(folder.path().join("attendees.report.html").exists());
}

#[test]
fn a_key_that_no_command_knows_is_an_error() {
    let folder = folder(1);
    fs::write(folder.path().join("job.toml"), "csv = \"people.csv\"\nmeting = \"M\"\n")
        .expect("writes");
    let out = run(folder.path(), "rehearse --job job.toml");
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("job.toml:2: `meting`"), "{}", text(&out.stderr));
}

/// Sends a signal to a program of this test's.
fn signal(child: &std::process::Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()));
}

/// A run that reads its input from a pipe that stays open: it can get no further.
fn reading(folder: &Path, words: &str) -> std::process::Child {
    let mut child = program(folder, words)
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
    let folder = folder(1);
    let mut child = reading(folder.path(), FROM_A_PIPE);
    signal(&child, "USR1");
    std::thread::sleep(Duration::from_millis(200));
    drop(child.stdin.take());
    let out = child.wait_with_output().expect("ends");
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let told = text(&out.stderr);
    assert!(told.contains("reading the input; no row is sent yet"), "{told}");
}

#[test]
fn whoever_ends_it_while_the_input_is_read_does_not_wait() {
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let folder = folder(1);
        let mut child = reading(folder.path(), FROM_A_PIPE);
        // Its input stays open until it has ended.
        let input = child.stdin.take();
        signal(&child, name);
        let out = child.wait_with_output().expect("ends");
        drop(input);
        assert_eq!(out.status.code(), Some(code), "{}", text(&out.stderr));
        assert!(text(&out.stderr).contains("ended before anything was sent"));
    }
}

#[test]
fn an_interrupted_run_says_what_it_does_and_how_to_go_on() {
    let folder = folder(60);
    let child = program(folder.path(), "rehearse people.csv --rate 5/s")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    std::thread::sleep(Duration::from_millis(1_200));
    signal(&child, "INT");
    let out = child.wait_with_output().expect("ends");
    assert_eq!(out.status.code(), Some(130), "{}", text(&out.stderr));
    let told = text(&out.stderr);
    for words in
        ["finishing what is under way", "Ctrl-C again ends at once", "stopped: interrupted"]
    {
        assert!(told.contains(words), "{words}: {told}");
    }
}
