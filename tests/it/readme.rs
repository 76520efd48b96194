//! Every command of the README is run, and prints what the README says it prints.
//!
//! In a `console` block a line after `$ ` is a command and the lines below it must be found, in
//! their order, in what it prints; `…` stands for anything. The blocks share one folder, as they do
//! for a reader. Commands that need a tenant get the simulated Graph.

use std::{fmt::Write as _, path::PathBuf};

use registrant_import::{
    registrant::FaultCode,
    simulator::{Config, EventConfig, EventQuestion, QuestionKind, RegistrationState},
};
use rusqlite::Connection;

use crate::context::{Context, Ran, words};

const README: &str = include_str!("../../README.md");
const LIVING_LIST: &str = include_str!("../../docs/living-list.md");

/// A fenced block: what stands behind its fence, and its lines without their indentation.
struct Block {
    kind: &'static str,
    lines: Vec<&'static str>,
}

fn blocks(page: &'static str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open = None::<(usize, Block)>;
    for line in page.lines() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        match (text.strip_prefix("```"), &mut open) {
            (Some(kind), None) => open = Some((indent, Block { kind, lines: Vec::new() })),
            (Some(_), Some(_)) => blocks.extend(open.take().map(|(_, block)| block)),
            (None, Some((indent, block))) => {
                block.lines.push(line.get(*indent..).unwrap_or_default());
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a fence is not closed");
    blocks
}

/// One command and what is shown of its output.
struct Example {
    command: &'static str,
    shown: Vec<&'static str>,
    code: i32,
}

fn examples(page: &'static str) -> Vec<Example> {
    let mut examples = Vec::<Example>::new();
    for block in blocks(page) {
        let Some(rest) = block.kind.strip_prefix("console") else { continue };
        let code = rest.trim().strip_prefix("exit=").map_or(0, |code| code.parse().expect("code"));
        let first = examples.len();
        for line in block.lines {
            if let Some(command) = line.strip_prefix("$ ") {
                examples.push(Example { command, shown: Vec::new(), code });
            } else {
                assert!(examples.len() > first, "output without a command: {line}");
                examples.last_mut().expect("there is one").shown.push(line);
            }
        }
    }
    examples
}

/// Whether the shown lines are found in their order. Only words count, not the gaps between them.
fn shows(printed: &str, shown: &[&str]) -> Result<(), String> {
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let printed = plain(printed);
    let mut rest = printed.as_str();
    for line in shown {
        for piece in line.split('…').map(plain).filter(|piece| !piece.is_empty()) {
            let at = rest.find(&piece).ok_or_else(|| format!("`{piece}` is not printed"))?;
            rest = &rest[at + piece.len()..];
        }
    }
    Ok(())
}

/// The world that the README describes: its samples, a meeting without a registration, and a
/// webinar.
fn world() -> Context {
    let cities = ["Ghent", "London", "Online"].map(str::to_owned).to_vec();
    let city = EventQuestion {
        required: false,
        kind: QuestionKind::SingleChoice(cities),
        ..EventQuestion::text("Which city?")
    };
    let context = Context::with(Config {
        registration: RegistrationState::Missing,
        event: EventConfig {
            capacity: Some(300),
            waitlist: true,
            questions: vec![city],
            ..EventConfig::default()
        },
        ..Config::default()
    });
    std::fs::create_dir(context.path("samples")).expect("a folder");
    for name in ["attendees", "members", "every-fault", "eventbrite", "webinar"] {
        context.sample(&format!("{name}.csv"));
        let (from, to) = (format!("{name}.csv"), format!("samples/{name}.csv"));
        std::fs::rename(context.path(&from), context.path(&to)).expect("it is there");
    }
    let job = blocks(README).into_iter().find(|block| block.kind == "toml").expect("a job file");
    context.file("import.toml", job.lines.join("\n"));
    context
}

/// The one ledger that a pattern of the README's names; the state folder is the context's own.
fn ledger_like(context: &Context, pattern: &str) -> PathBuf {
    let pattern = pattern.strip_prefix("~/.local/").expect("the usual place");
    let (start, end) = pattern.split_once('*').expect("a pattern");
    let (folder, start) = start.rsplit_once('/').expect("a path");
    let files = std::fs::read_dir(context.path(folder)).expect("the state folder");
    let mut found = files.map(|file| file.expect("a file").path()).filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(start) && name.ends_with(end)
    });
    let ledger = found.next().expect("a ledger");
    assert_eq!(found.next(), None, "one ledger");
    ledger
}

fn run(context: &Context, variables: &mut Vec<(String, String)>, command: &str) -> Option<Ran> {
    if let Some((name, value)) = command.strip_prefix("export ").and_then(|set| set.split_once('='))
    {
        variables.push((name.to_owned(), value.to_owned()));
        return None;
    }
    if let Some(gone) = command.strip_prefix("unset ") {
        variables.retain(|(name, _)| name != gone);
        return None;
    }
    if let Some((from, to)) = command.strip_prefix("cp ").and_then(|files| files.split_once(' ')) {
        context.file(to, context.read(from));
        return None;
    }
    if command.starts_with("cargo test") {
        return None; // this is it
    }
    if let Some(query) = command.strip_prefix("sqlite3 ") {
        let query = words(query);
        let ledger = Connection::open(ledger_like(context, &query[0])).expect("a database");
        let count = format!("SELECT count(*) FROM ({})", query[1]);
        let count: i64 = ledger.query_row(&count, [], |row| row.get(0)).expect("a good query");
        assert!(count > 0, "{command}");
        return None;
    }
    let line = command
        .strip_prefix("cargo run --release -- ")
        .or_else(|| command.strip_prefix("registrant-import "))
        .unwrap_or_else(|| panic!("the README shows an unknown command: {command}"));
    let mut variables: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    if line.starts_with("run ") && variables.iter().any(|(name, _)| name.ends_with("_WEBINAR")) {
        // A reader waits for Microsoft's pace, a test does not.
        variables.push(("REGISTRANT_IMPORT_RATE", "1000/s"));
    }
    Some(match line.split_once(" < ") {
        None => context.run_with(&variables, line),
        Some((line, input)) => context.run_on(context.read(input).as_bytes(), line),
    })
}

#[test]
fn every_command_does_what_the_readme_says() {
    let examples = examples(README);
    assert!(examples.len() > 20, "the examples are found");
    hold(&world(), examples);
}

#[test]
fn every_command_does_what_the_page_of_living_lists_says() {
    let context = Context::new();
    std::fs::create_dir_all(context.path("samples/living-list")).expect("a folder");
    for system in ["eventbrite", "pretix"] {
        for day in ["monday", "tuesday", "wednesday"] {
            let name = format!("samples/living-list/{system}-{day}.csv");
            let sample = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(&name);
            context.file(&name, std::fs::read(sample).expect("a sample"));
        }
    }
    hold(&context, examples(LIVING_LIST));
    // The same of the other system, whose words are others.
    let told = |day: &str, words: &[&str]| {
        context
            .file("attendees.csv", context.read(&format!("samples/living-list/pretix-{day}.csv")));
        let ran = context.run("run attendees.csv --webinar pretix@t --rate 1000/s --cancel marked");
        shows(&ran.expect(0).stdout, words).expect(day);
    };
    told("monday", &["7  enrolled", "1  excluded"]);
    told("tuesday", &["5  enrolled", "3  excluded", "2  cancelled"]);
    told("wednesday", &["6  enrolled", "2  excluded"]);
    let books = context.simulator().books();
    let held = |target: &str| books.registrants.iter().filter(|it| it.target == target).count();
    assert_eq!(held("pretix@t"), 6);
    assert_eq!((books.registrants.len(), context.stats().duplicates), (11, 0));
}

/// Runs the examples and holds what they print against what is shown.
fn hold(context: &Context, examples: Vec<Example>) {
    let mut variables = Vec::new();
    let mut faults = String::new();
    for Example { command, shown, code } in examples {
        let Some(ran) = run(context, &mut variables, command) else { continue };
        let printed = format!("{}{}", ran.stderr, ran.stdout);
        let seen = shows(&printed, &shown);
        if ran.code != Some(code) || seen.is_err() {
            writeln!(faults, "$ {command}\n{seen:?}\n{ran}").expect("a String takes it");
        }
    }
    assert!(faults.is_empty(), "{faults}");
}

#[test]
fn every_code_of_a_row_is_in_the_readme() {
    let faults = FaultCode::ALL.iter().map(|code| code.as_str());
    let stops = include_str!("../../src/job/stop.rs")
        .lines()
        .filter_map(|line| line.trim().strip_suffix("\","))
        .filter(|line| line.starts_with("Self::"))
        .filter_map(|line| line.split_once("=> \"").map(|(_, word)| word));
    let outcomes = [
        "exists-on-server",
        "changed-since-enrolled",
        "rejected-by-organizer",
        "canceled",
        "server-error",
        "timed-out",
        "connection-lost",
        "no-answer",
        "unreadable-answer",
        "no-link",
        "wrong-link",
        "not-removed",
        "removed",
        "listed",
        "listed-twice",
        "pending-approval",
        "waitlisted",
        "link-pending",
        "unknown-status",
    ];
    let source = source();
    for code in outcomes {
        assert!(source.contains(&format!("\"{code}\"")), "the program no longer gives {code}");
    }
    for code in faults.chain(stops).chain(outcomes) {
        assert!(README.contains(&format!("`{code}`")), "{code} is not explained");
    }
}

#[test]
fn messages_that_the_readme_explains_are_the_programs_own() {
    let context = Context::new();
    context.file("people.csv", "name\nAda\n");
    let ran = context.run("run people.csv --meeting m1");
    assert!(ran.stderr.contains("no column for `id`"), "{ran}");
    let source = source();
    for message in [
        "no credential was found",
        "Graph refused the token (401)",
        "Graph forbids it (403",
        "Graph knows no registration of this meeting (404",
        "Graph knows no such ",
        " is a draft",
        "the token is a person's",
        "the event requires an answer to",
        "a registration of Teams' own kind",
        "is no id of a person",
        "another run holds this ledger",
        "registration was made anew or switched off",
        "holds real join links",
        "the client secret is wrong",
        "nobody has consented to the application's permissions",
        "the application is no public client",
        "nobody is signed in",
        "the kept sign-in has ended",
        "does not answer",
        "asks to wait",
        "no answer from Graph for",
        "the certificate that",
        "the ledger belongs to",
        "the ledger is damaged",
        "were refused with",
        "could not be written to its end",
    ] {
        assert!(README.contains(message), "{message}");
        assert!(source.contains(message), "the program no longer says: {message}");
    }
}

#[test]
fn every_gauge_is_in_the_readme() {
    let source = include_str!("../../src/output/metrics.rs");
    let named = |call: &'static str| source.split(call).skip(1);
    let gauges: Vec<&str> = ["gauge(", "family("]
        .into_iter()
        .flat_map(named)
        .filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next())
        .collect();
    assert!(gauges.len() > 8, "{gauges:?}");
    for gauge in gauges {
        assert!(README.contains(&format!("`{gauge}")), "{gauge} is not explained");
    }
}

/// The program's own source, as one text.
fn source() -> String {
    let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut text = String::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder of the source") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                text.push_str(&std::fs::read_to_string(path).expect("a source file"));
            }
        }
    }
    text
}
