//! A name for a file that is written never costs what stands there already.

use std::{
    fs,
    os::unix::{fs::FileTypeExt as _, net::UnixListener},
    process::Command,
};

use registrant_import::simulator::Config;

use super::MEETING;
use crate::{
    context::{Context, graph},
    people::persons,
};

const WRITTEN: [&str; 4] = ["--output", "--rejects", "--report", "--metrics"];

#[test]
fn what_is_no_regular_file_is_refused_and_stays() {
    let context = Context::offline();
    context.file("people.csv", persons(2));
    let made = |program: &str, words: &[&str]| {
        let path = context.path(words[0]);
        let made = Command::new(program).arg(path).args(&words[1..]).status();
        made.is_ok_and(|status| status.success())
    };
    assert!(made("mkfifo", &["pipe"]));
    let _socket = UnixListener::bind(context.path("socket")).expect("a socket");
    let mut names = vec!["pipe", "socket"];
    // The system's null device by its number, in this folder; only root may make one.
    if made("mknod", &["device", "c", "1", "3"]) {
        names.push("device");
    }
    std::os::unix::fs::symlink(context.path("pipe"), context.path("link")).expect("a link");
    names.push("link");
    for name in names {
        let before = fs::symlink_metadata(context.path(name)).expect("there").file_type();
        for option in WRITTEN {
            let ran = context.run(&format!("rehearse people.csv {option} {name}"));
            assert_eq!(ran.code, Some(2), "{option} {name}: {}", ran.stderr);
            let told = format!("error: {name} is no regular file");
            assert!(ran.stderr.starts_with(&told) && ran.stderr.contains(option), "{}", ran.stderr);
            assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
            let after = fs::symlink_metadata(context.path(name)).expect("there").file_type();
            assert_eq!(after, before, "{option} {name}");
        }
        let ran = context.run(&format!("check people.csv --rejects {name}"));
        assert_eq!(ran.code, Some(2), "{name}: {}", ran.stderr);
    }
    assert!(fs::metadata(context.path("pipe")).expect("there").file_type().is_fifo());
    assert!(!context.path("people.enrolled.csv").exists());
    fs::create_dir(context.path("folder")).expect("a folder");
    for option in WRITTEN {
        let ran = context.run(&format!("rehearse people.csv {option} folder"));
        assert_eq!(ran.code, Some(2), "{option}: {}", ran.stderr);
        assert!(ran.stderr.contains("folder is a folder"), "{}", ran.stderr);
    }
}

#[test]
fn no_file_is_written_over_one_that_the_command_needs() {
    let served = graph(Config::default());
    let context = Context::offline().variable("GRAPH_TOKEN", "opaque");
    context.file("people.csv", persons(2));
    let run = format!("run people.csv --meeting {MEETING} --graph-url {}", served.url());
    context.run(&format!("{run} --ledger l.ledger")).expect(0);
    context.file("other.csv", persons(1));
    context.file("job.toml", format!("meeting = '{MEETING}'\n"));
    context.file("token", "opaque");
    context.file("ca.pem", "");
    fs::hard_link(context.path("people.csv"), context.path("hard.csv")).expect("a link");
    let before = context.files();
    let own = format!("{run} --ledger l.ledger");
    let other = format!("run other.csv --meeting m2 --graph-url {}", served.url());
    let mut lines = Vec::new();
    let all = ["--output", "--rejects", "--report", "--metrics", "-v --log-file"];
    for option in all {
        for name in ["l.ledger", "./l.ledger", "l.ledger.lock", "l.ledger-wal", "people.csv"] {
            lines.push(format!("{own} {option} {name}"));
        }
        // Another run's, and what a ledger of its own would be.
        for name in ["l.ledger", "l.ledger.lock"] {
            lines.push(format!("{other} --ledger new.ledger {option} {name}"));
        }
        lines.push(format!("{other} --ledger new.ledger {option} new.ledger"));
        lines.push(format!("{own} {option} hard.csv"));
        lines.push(format!("{own} --job job.toml {option} job.toml"));
        lines.push(format!("{own} --token-file token {option} token"));
        lines.push(format!("{own} --ca-file ca.pem {option} ca.pem"));
    }
    for option in ["--report", "--metrics", "-v --log-file"] {
        lines.push(format!("{own} {option} people.enrolled.csv"));
        lines.push(format!("{own} {option} people.rejects.csv"));
        lines.push(format!("rehearse other.csv {option} other.rejects.csv"));
    }
    lines.push(format!("{own} --output new --rejects ./new"));
    lines.push(format!("{own} --report new --metrics new"));
    lines.push(format!("{own} --report new -v --log-file new"));
    for option in ["--output", "--rejects"] {
        lines.push(format!("rehearse other.csv {option} l.ledger"));
        lines.push(format!("export other.csv --ledger l.ledger {option} l.ledger"));
        lines.push(format!("export people.csv --ledger l.ledger {option} l.ledger.lock"));
    }
    lines.push("check people.csv --rejects l.ledger".to_owned());
    lines.push("check people.csv --rejects people.csv".to_owned());
    lines.push("check people.csv -v --log-file people.csv".to_owned());
    lines.push("status --ledger l.ledger -v --log-file l.ledger".to_owned());
    lines.push("explain person-0 --ledger l.ledger --log-file l.ledger".to_owned());
    lines.push(own.replacen("run", "doctor", 1) + " --log-file people.csv");
    lines.push("simulate --tls l.ledger".to_owned());
    for line in lines {
        let ran = context.run(&line);
        assert_eq!(ran.code, Some(2), "{line}: {}{}", ran.stdout, ran.stderr);
        let sentence = ran.stderr.starts_with("error: --") && ran.stderr.lines().count() == 1;
        assert!(sentence && ran.stdout.is_empty(), "{line}: {}{}", ran.stdout, ran.stderr);
        let after = context.files();
        let names = |files: &[(String, Vec<u8>)]| {
            files.iter().map(|file| file.0.clone()).collect::<Vec<_>>().join(" ")
        };
        assert!(after == before, "{line}: {}, was {}", names(&after), names(&before));
    }
    let told = context.run(&(own.replacen("run", "doctor", 1) + " --report people.csv")).expect(2);
    assert!(told.stdout.contains("--report names the input itself"), "{}", told.stdout);
    assert!(context.files() == before);
}

#[test]
fn a_file_that_is_no_ledger_gets_no_lock_beside_it() {
    let served = graph(Config::default());
    let context = Context::offline().variable("GRAPH_TOKEN", "opaque");
    context.file("people.csv", persons(2));
    context.file("other.csv", persons(2));
    // Another program's database: SQLite's head with an application id of its own.
    let mut database = b"SQLite format 3\0".to_vec();
    database.resize(68, 0);
    database.extend(*b"GPKG");
    database.resize(4096, 0);
    fs::write(context.path("map.gpkg"), database).expect("writes");
    let before = context.files();
    for name in ["people.csv", "other.csv", "map.gpkg"] {
        let ran = context
            .run(&format!(
                "run people.csv --meeting {MEETING} --graph-url {} --ledger {name}",
                served.url()
            ))
            .expect(2);
        assert!(ran.stderr.contains(&format!("{name}: this file is no ledger")), "{}", ran.stderr);
        assert!(context.files() == before, "{name}");
    }
}
